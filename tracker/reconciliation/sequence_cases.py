"""Worked cases of sequences in time: balances between counts (CUMUF, SITMUF, Page) and CUSUM charts, as textbooks print them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation import explain, sequence, significance
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.case_input import case_quantity
from tracker.reconciliation.checks.muf import open_questions, surprise, told
from tracker.reconciliation.sequence import Balances, Entry


@dataclass
class _Given:
    """Records and periods as a worked case writes them.

    ``ref`` names a record given elsewhere: one and the same. So is a count that closes a period and, given once more with equal
    figures, opens a later one; any other record that bears a name again in another period is another record.
    """

    records: dict[str, Quantity] = field(default_factory=dict)
    periods: list[list[Entry]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    _given: dict[str, list[tuple[int, str, str]]] = field(default_factory=lambda: defaultdict(list))

    def read(self, periods: Sequence[Mapping[str, Any]], parameters: Parameters) -> None:
        told = [
            [
                (row, self._record(row, number, place, parameters))
                for place, row in enumerate(period["records"])
            ]
            for number, period in enumerate(periods)
        ]
        for number, rows in enumerate(told):
            self.names.append(str(periods[number].get("id", number + 1)))
            entries = [
                Entry(name or self._named(str(row["ref"]), number), str(row["role"])) for row, name in rows
            ]
            self.periods.append([*self._opening(entries), *entries])

    def _opening(self, entries: Sequence[Entry]) -> list[Entry]:
        """What a period that names no opening record opens with: the count that closed the one before, else its book."""
        if not self.periods or any(entry.role == "open" for entry in entries):
            return []
        before = self.periods[-1]
        counted = [Entry(entry.record, "open") for entry in before if entry.role == "close"]
        return counted or [entry for entry in before if entry.role != "close"]

    def _record(self, row: Mapping[str, Any], number: int, place: int, parameters: Parameters) -> str:
        """The name under which a record is kept; empty for a reference."""
        if "ref" in row:
            return ""
        own = str(row.get("id", f"record {place} of period {number}"))
        amount, before = case_quantity(row, parameters), self._given[own]
        if (
            before
            and row["role"] == "open"
            and before[-1][2] == "close"
            and self.records[before[-1][1]] == amount
        ):
            return before[-1][1]
        if before and before[-1][0] == number:
            raise BadInput(f"two records of period {number + 1} are called {own!r}")
        name = f"{own} of period {number}" if before else own
        self.records[name] = amount
        before.append((number, name, str(row["role"])))
        return name

    def _named(self, own: str, number: int) -> str:
        """The last record of that name up to a period, else the first after it; an unknown name the balance will refuse."""
        given = self._given.get(own, [])
        earlier = [name for at, name, _ in given if at <= number]
        return earlier[-1] if earlier else given[0][1] if given else own


def _muf_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    read = _Given()
    read.read(given["periods"], parameters)
    whole = sequence.balances(read.records, read.periods)
    counted = [
        at for at, entries in enumerate(read.periods) if any(entry.role == "close" for entry in entries)
    ]
    if not counted:
        return {"book": list(whole.book), "muf": [None] * len(read.periods)}
    found = sequence.balances(read.records, [read.periods[at] for at in counted])

    def by_period(values: Sequence[float]) -> list[float | None]:
        """A figure of each period that ends with a count; None of the others, whose book stands and is held against nothing."""
        told = dict(zip(counted, values, strict=True))
        return [told.get(at) for at in range(len(read.periods))]

    got: dict[str, Any] = {
        "book": list(whole.book), "muf": by_period(found.muf), "sigma": by_period(found.sigma), "z": by_period(found.z),
        "p": by_period([significance.two_sided_p(z) for z in found.z]), "mdg": by_period(found.mdg),
        "cumuf": by_period(found.cumuf), "sigma_cumuf": by_period(found.sigma_cumuf), "z_cumuf": by_period(found.z_cumuf),
    }  # fmt: skip
    k, h = float(given.get("k", parameters.page_k)), float(given.get("h", parameters.page_h))
    names = [read.names[at] for at in counted]
    try:
        steps = sequence.sitmuf(found)
    except BadInput as error:  # the balances stand; what needs the inverse of Sigma does not
        text = explain.full_text(explain.sections(_case_story(names, found, (), h, parameters, str(error))))
        return got | {"error": str(error), "text": text}
    loss, rises = sequence.page(steps, k, h)
    gain, falls = sequence.page([-step for step in steps], k, h)
    text = explain.full_text(explain.sections(_case_story(names, found, (*loss, *gain), h, parameters)))
    return got | {
        "sitmuf": by_period(steps), "page_loss": by_period(loss), "page_gain": by_period(gain),
        "page_alarm": [counted[at] for at in sorted({*rises, *falls})], "text": text,
    }  # fmt: skip


def _case_story(
    names: Sequence[str],
    found: Balances,
    sums: Sequence[float],
    h: float,
    parameters: Parameters,
    error: str = "",
) -> explain.Story:
    whole, z = found.cumuf[-1], found.z_cumuf[-1]
    highest = max(sums, default=0.0)
    chance = explain.surprise(significance.two_sided_p(z), z)
    page = f" {surprise(z, sequence.exceeds(highest, h), True, highest, h, parameters)}" if sums else ""
    counted = [book - muf for book, muf in zip(found.book, found.muf, strict=True)]
    return explain.Story(
        compared="The book of an area between its counts, with the count at the end of each period.",
        sides=tuple(
            f"{name}: book {explain.number(book)}, counted {explain.number(count)}. {told(muf, explain.chips(abs(muf)))}"
            for name, book, count, muf in zip(names, found.book, counted, found.muf, strict=True)
        ),
        difference=f"Over {explain.counted(len(names), 'period')}: {told(whole, explain.chips(abs(whole)))}",
        surprise=f"{chance}{page}{f' {error}.' if error else ''}", open=open_questions(whole, None),
        settle="A recount with its day, or the waybills of what came and went in between.",
    )  # fmt: skip


def _cusum_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    """``K`` and ``H`` in the units of the readings, or ``k`` and ``h`` in standard deviations ``sigma`` of them; ``headstart``:
    what both sums begin with."""
    unit = float(given.get("sigma", 1))
    allowance = float(given["K"]) if "K" in given else float(given["k"]) * unit
    limit = float(given["H"]) if "H" in given else float(given["h"]) * unit
    found = sequence.cusum(
        [float(one) for one in given["x"]],
        float(given["target"]),
        allowance,
        limit,
        float(given.get("headstart", 0)),
    )
    return {"upper": list(found.upper), "lower": list(found.lower), "alarm": list(found.alarm)}


KINDS = {"muf": _muf_case, "cusum": _cusum_case}
