"""Books of several kinds of chips added up: the chips of a family, or all chips in H100-equivalents.

A sum is made of the cells of its kinds when somebody asks for it and is stored nowhere, so that it cannot differ from them
(docs/adr/0007-books-added-up.md). Months in which one kind did not move take its book as it stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.balances.books import TERMS
from tracker.balances.reading import Array

CELL_FIELDS = (
    "month", "opening", *TERMS, "book", "sigma", "close", "muf_sigma", "random", "shared_in", "shared_out", "lines", "at_least",
)  # fmt: skip
"""What is read of each cell; months as whole numbers, ``close`` and ``muf_sigma`` NaN where nothing was counted."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The cells of one kind of chips in order of month, by column, and the least and most that one chip counts in the sum (0 and
    1: it may belong to it or not)."""

    cells: Mapping[str, Array]
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum read twice: with the least, and with the most, that its chips may count."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a sum: ``book = opening + receipts + production - dispatches - exits``, of which the low reading takes the low
    of what came in and the high of what went out. ``sigma``: an upper bound of the standard deviation of either reading.
    ``close``: what was counted at its end, where all kinds of the sum that hold anything were; ``muf``: book less that."""

    month: int
    opening: Amount
    receipts: Amount
    production: Amount
    dispatches: Amount
    exits: Amount
    book: Amount
    sigma: float
    close: Amount | None
    muf: Amount | None
    lines: int
    kinds: int
    at_least: bool


def added_up(chains: Sequence[Chain]) -> list[Month]:
    """The months in which any of the chains moved, in order."""
    rows = [chain for chain in chains if len(chain.cells["month"])]
    if not rows:
        return []
    months = np.unique(np.concatenate([chain.cells["month"] for chain in rows]))
    read = [_on(chain, months) for chain in rows]
    total = {name: np.sum([one[name] for one in read], axis=0) for name in read[0] if name != "anchor"}
    # What several counts err alike may add up; so may what one house says of several kinds.
    anchors = np.sum([one["anchor"] for one in read], axis=0)
    sigma = np.sqrt(anchors**2 + total["random"] + total["shared_in"] ** 2 + total["shared_out"] ** 2)
    return [_month(total, sigma, place, int(month)) for place, month in enumerate(months)]


def _month(total: Mapping[str, Array], sigma: Array, place: int, month: int) -> Month:
    def amount(name: str) -> Amount:
        return Amount(float(total[f"{name} low"][place]), float(total[f"{name} high"][place]))

    counted = total["counted"][place] > 0 and total["uncounted"][place] == 0
    book, close = amount("book"), amount("close")
    return Month(
        month=month, opening=amount("opening"), **{term: amount(term) for term in TERMS}, book=book,
        sigma=float(sigma[place]), close=close if counted else None,
        muf=Amount(book.low - close.high, book.high - close.low) if counted else None,
        lines=int(total["lines"][place]), kinds=int(total["kinds"][place]), at_least=bool(total["at_least"][place] > 0),
    )  # fmt: skip


def _on(chain: Chain, months: Array) -> dict[str, Array]:
    """One chain in the measure of the sum on every month of it: what moved in the month, and how its book stood."""
    cells = chain.cells
    last = np.searchsorted(cells["month"], months, side="right") - 1  # the last cell by then; -1: none yet
    known = last >= 0
    now = known & (cells["month"][last] == months)
    is_count = ~np.isnan(cells["close"])
    # The cell with which the stretch began that each lies in: the first, or the first after a count.
    fresh = np.concatenate([[True], is_count[:-1]])
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(fresh)), 0))
    out = {
        "lines": np.where(now, cells["lines"][last], 0), "kinds": known.astype(int),
        "at_least": (known & np.where(now | ~is_count[last], cells["at_least"][last], False)).astype(int),
    }  # fmt: skip
    for name, mine, other in (("low", chain.least, chain.most), ("high", chain.most, chain.least)):
        into = cells["receipts"] + cells["production"]
        net = into * mine - (cells["dispatches"] + cells["exits"]) * other
        book = cells["opening"][first] * mine + _since(net, first)
        stands = np.where(is_count, cells["close"] * mine, book)
        out[f"book {name}"] = np.where(known, np.where(now, book[last], stands[last]), 0.0)
        out[f"opening {name}"] = np.where(now, (book - net)[last], out[f"book {name}"])
        out[f"close {name}"] = np.where(now & is_count[last], stands[last], 0.0)
        for term in TERMS:
            out[f"{term} {name}"] = np.where(now, cells[term][last] * mine, 0.0)
    counted = now & is_count[last]
    out["counted"] = counted.astype(int)
    out["uncounted"] = (~counted & ((out["book low"] != 0) | (out["book high"] != 0))).astype(int)
    return out | _errors(chain, last, first, after_count=known & ~now & is_count[last])


def _since(values: Array, first: Array) -> Array:
    """Sums of each stretch so far: from the cell that ``first`` names up to each."""
    summed = np.cumsum(values)
    return np.asarray(summed - (summed - values)[first])


def _errors(chain: Chain, last: Array, first: Array, after_count: Array) -> dict[str, Array]:
    """Of the lines since the last count their variance and the errors that they may share; ``anchor``: the count's own error."""
    cells = chain.cells
    summed = {name: _since(cells[name], first) for name in ("random", "shared_in", "shared_out")}
    of_lines = summed["random"] + summed["shared_in"] ** 2 + summed["shared_out"] ** 2
    anchor = np.sqrt(np.maximum(cells["sigma"] ** 2 - of_lines, 0.0))
    of_count = np.sqrt(np.maximum(np.nan_to_num(cells["muf_sigma"]) ** 2 - cells["sigma"] ** 2, 0.0))
    rows = {"anchor": np.where(after_count, of_count[last], anchor[last]) * chain.most}
    for name, worth in (("random", chain.most**2), ("shared_in", chain.most), ("shared_out", chain.most)):
        rows[name] = np.where(after_count, 0.0, summed[name][last] * worth)
    return {name: np.where(last >= 0, column, 0.0) for name, column in rows.items()}
