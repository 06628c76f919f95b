"""Looking over millions of lines for those that a check has something to say about.

The checks on single lines and chains (SRD, DATE, RUNNING, TRANSIT) explain one case with all its records. Most lines have
nothing to explain; here whole columns are tested at once, and only what may be a finding is handed on, by id. What is handed on
is judged again by the check itself, from the records: this module may suspect too much, and must never suspect too little. The
one figure that comes from here alone is the number of tests made, which the control of false alarms needs; tests hold both to
the checks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from scipy.special import ndtr

from tracker.balances.books import narrow
from tracker.balances.reading import (
    CANCELLED,
    EPOCH,
    IN_TRANSIT,
    NO_DAY,
    RETURNED,
    SEIZED,
    TRANSFER,
    Amounts,
    Array,
    end,
    left_on,
    months,
)
from tracker.core.quantity import ReadingParameters

ALPHA = 0.05
"""Tests with a larger p, and differences too small to report, are counted and forgotten: they are never accepted."""

PAIR = np.dtype([("p", "f8"), ("line", "i8")])
"""A movement reported by both ends: p (0 where two exact counts differ) and the line."""
LOT = np.dtype([("p", "f8"), ("shipper", "i8"), ("consignee", "i8"), ("scope", "i8"), ("quarter", "i4")])
"""All such movements of one scope between two parties in a quarter (numbered from 2000; -1: undated)."""

CHAIN = np.dtype([("site", "?"), ("holder", "i8"), ("scope", "i8")])
"""The balance of one organization, or of one site, of one scope."""


@dataclass
class Sweep:
    """What a share of the lines holds that a check may have something to say about; filled block by block (:meth:`add`).

    ``material``: the smallest number of chips of a scope whose difference is worth reporting (0: any). ``first_shipped``:
    earliest first shipping day over the chips of a scope, where all are known. ``makers``: organization that makes a scope, whose
    own book is not followed.
    """

    parameters: ReadingParameters
    as_of: date
    lead_time_days: int
    material: Mapping[int, float]
    first_shipped: Mapping[int, date]
    makers: Mapping[int, int]
    lines: int = 0
    pairs: int = 0
    early: list[int] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)
    _pairs: list[Array] = field(default_factory=list)
    _lots: list[dict[str, Array]] = field(default_factory=list)
    _dispatches: list[dict[str, Array]] = field(default_factory=list)
    _receipts: list[dict[str, Array]] = field(default_factory=list)
    _crossed: list[Array] = field(default_factory=list)

    def add(self, lines: Array, read: Amounts) -> None:
        """Look over a block of lines."""
        self.lines += len(lines)
        self._both_ends(lines)
        self.early += lines["id"][self._too_early(lines)].tolist()
        self.stale += lines["id"][self._overdue(lines)].tolist()
        self._events(lines, read)

    # --- shipper against receiver ---------------------------------------------------------------------------------------

    def _both_ends(self, lines: Array) -> None:
        lines = lines[
            (lines["by_shipper"] >= 0) & (lines["by_receiver"] >= 0) & (lines["status"] != CANCELLED)
        ]
        shipped, received = end(lines, "shipper", self.parameters), end(lines, "receiver", self.parameters)
        usable = shipped.usable & received.usable
        lines = lines[usable]
        d = (shipped.mu - received.mu)[usable]
        random = (shipped.random + received.random)[usable]
        mine, theirs = shipped.systematic[usable], received.systematic[usable]
        p = _two_sided(d, random + mine**2 + theirs**2)
        self.pairs += int(np.count_nonzero(p > 0))
        kept = (p == 0) | ((p <= ALPHA) & self._is_material(d, lines["scope"]))
        found = np.empty(int(kept.sum()), PAIR)
        found["p"], found["line"] = p[kept], lines["id"][kept]
        self._pairs.append(found)
        quarter = np.where(lines["shipped"] == NO_DAY, -1, months(lines["shipped"]) // 3)
        # one house at both ends: its bias is in both figures and cancels in none
        same = lines["shipper"] == lines["consignee"]
        rows = {
            "shipper": narrow(lines["shipper"]), "consignee": narrow(lines["consignee"]), "scope": narrow(lines["scope"]),
            "quarter": quarter.astype(np.int16), "d": d, "random": random, "mine": mine,
            "theirs": np.where(same, theirs**2, theirs), "count": np.ones(len(d), np.int32),
        }  # fmt: skip
        self._lots.append(_lots([rows]))

    def pairs_found(self) -> tuple[int, Array]:
        """Tests of single movements, and those that are suspicious."""
        return self.pairs, np.concatenate(self._pairs) if self._pairs else np.empty(0, PAIR)

    def lots_found(self, only: Array | None = None, beside: Sweep | None = None) -> tuple[int, Array]:
        """Tests of lots of several movements, and those that are suspicious.

        ``only``: LOT rows of the lots asked for. ``beside``: a look over other lines, which count as well.
        """
        parts = [*self._lots, *(beside._lots if beside else ())]
        if not parts:
            return 0, np.empty(0, LOT)
        added = _lots(parts)
        several = added["count"] > 1
        if only is not None:
            several &= np.isin(_named(added), _named(only))
        same = added["shipper"] == added["consignee"]
        theirs = np.where(same, added["theirs"], added["theirs"] ** 2)
        p = _two_sided(added["d"], added["random"] + added["mine"] ** 2 + theirs)
        kept = several & ((p == 0) | ((p <= ALPHA) & self._is_material(added["d"], added["scope"])))
        return int(np.count_nonzero(several & (p > 0))), _as_lots(added, kept, p)

    def lots_touched(self) -> Array:
        """LOT rows of every lot that a line was read of."""
        if not self._lots:
            return np.empty(0, LOT)
        added = _lots(self._lots)
        return _as_lots(added, np.ones(len(added["d"]), bool), np.zeros(len(added["d"])))

    def _is_material(self, d: Array, scopes: Array) -> Array:
        return np.abs(d) >= _by_scope(scopes, self.material, 0.0)

    # --- days -------------------------------------------------------------------------------------------------------------

    def _too_early(self, lines: Array) -> Array:
        """Lines whose last possible day lies before the first shipping day of every chip they may be."""
        last = np.where(lines["shipped"] != NO_DAY, left_on(lines), _received(lines))
        first = _by_scope(
            lines["scope"], {s: (day - EPOCH).days for s, day in self.first_shipped.items()}, NO_DAY
        )
        return (last != NO_DAY) & (first != NO_DAY) & (last < first) & (lines["status"] != CANCELLED)

    def _overdue(self, lines: Array) -> Array:
        """Lines said to be in transit whose usual time is past twice over."""
        limit = (self.as_of - EPOCH).days - 2 * self.lead_time_days
        waiting = (lines["status"] == IN_TRANSIT) & (lines["kind"] == TRANSFER)
        return waiting & (lines["shipped"] != NO_DAY) & (left_on(lines) < limit)

    # --- running balances ---------------------------------------------------------------------------------------------------

    def _events(self, lines: Array, read: Amounts) -> None:
        standing = read.usable & (lines["status"] != RETURNED) & (lines["status"] != CANCELLED)
        maker = _by_scope(lines["scope"], self.makers, 0)
        today = np.int32((self.as_of - EPOCH).days)
        out_day = np.where(left_on(lines) == NO_DAY, today, left_on(lines))
        first = np.where(lines["received"] != NO_DAY, lines["received"], lines["shipped"])
        for place, (sender, receiver) in enumerate((("shipper", "consignee"), ("origin", "destination"))):
            sent = standing & (lines[sender] > 0) & (lines[sender] != lines[receiver])
            if sender == "shipper":
                sent &= lines["shipper"] != maker
            came = (
                standing
                & (lines[receiver] > 0)
                & (lines["status"] != SEIZED)
                & (lines[sender] != lines[receiver])
            )
            for events, mask, who, day in (
                (self._dispatches, sent, sender, out_day),
                (self._receipts, came, receiver, first),
            ):
                chain = _chain(lines[who][mask], place, lines["scope"][mask])
                events.append({"chain": chain, "day": day[mask].astype(np.int32), "mu": read.mu[mask]})
            if sender == "origin":
                # on the days between, the goods are counted at both ends, and may hide what a whole of which both are parts lacks
                lines_crossed = lines[sent & came & (first < out_day)]
                self._crossed += [
                    _chain(lines_crossed[end], place, lines_crossed["scope"]) for end in (sender, receiver)
                ]

    def chains_touched(self) -> Array:
        """CHAIN rows of every balance that a line was read of."""
        found = [events["chain"] for events in (*self._dispatches, *self._receipts)]
        return _as_chains(np.unique(np.concatenate(found)) if found else np.empty(0, np.int64))

    def overdrawn(self) -> Array:
        """CHAIN rows of the balances that fall below zero at some day, and of those whose sum may although they do not
        (:meth:`crossed`). Asked once: the events are let go, to make room."""
        return np.union1d(self.crossed(), _as_chains(self._below()))

    def crossed(self) -> Array:
        """CHAIN rows of the sites between which goods may have come in before they left."""
        return _as_chains(np.unique(np.concatenate([*self._crossed, np.empty(0, np.int64)])))

    def _below(self) -> Array:
        none = np.empty(0, np.int64)
        if not self._dispatches:
            return none
        senders = np.unique(np.concatenate([sent["chain"] for sent in self._dispatches]))
        if not len(senders):
            return none
        parts = [(sent["chain"], sent["day"], -sent["mu"]) for sent in self._dispatches]
        self._dispatches.clear()
        while self._receipts:  # most go to whoever sends nothing
            came = self._receipts.pop()
            wanted = np.isin(came["chain"], senders)
            parts.append((came["chain"][wanted], came["day"][wanted], came["mu"][wanted]))
        key, day, signed = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((signed < 0, day, key))  # on one day receipts come first
        key, level = key[order], np.cumsum(signed[order])  # exact: every term is a whole number of steps
        starts = np.concatenate([[0], np.flatnonzero(key[1:] != key[:-1]) + 1])
        before = np.concatenate([[0.0], level[starts[1:] - 1]])
        low = np.minimum.reduceat(level, starts) - before
        return key[starts][low < 0]


def _chain(holders: Array, place: int, scopes: Array) -> Array:
    """Each balance as one number, as :func:`_as_chains` reads it."""
    return ((holders.astype(np.int64) << 1) | place) << 26 | scopes


def _as_chains(keys: Array) -> Array:
    out = np.empty(len(keys), CHAIN)
    out["site"], out["holder"], out["scope"] = keys >> 26 & 1, keys >> 27, keys & (2**26 - 1)
    return out


def _as_lots(added: dict[str, Array], kept: Array, p: Array) -> Array:
    out = np.empty(int(kept.sum()), LOT)
    out["p"] = p[kept]
    for name in _LOT_KEYS:
        out[name] = added[name][kept]
    return out


def _named(rows: Any) -> Array:
    """Each lot as one value that can be compared."""
    out = np.empty(len(rows["scope"]), [(name, "i8") for name in _LOT_KEYS])
    for name in _LOT_KEYS:
        out[name] = rows[name]
    return out


def without(rows: Array, others: Array) -> Array:
    """The LOT or CHAIN rows that are about none of the others."""
    if rows.dtype == LOT:
        return rows[~np.isin(_named(rows), _named(others))]
    return rows[~np.isin(rows, others)]


def wider(low: Array, outer: Mapping[int, Sequence[int]], wholes: Mapping[int, Collection[int]]) -> Array:
    """CHAIN rows of all balances that may fall below zero, given those that do (:meth:`Sweep.overdrawn`).

    The balance of a family takes in what surely is of it, under whatever name, and that of a site the balances of its parts: a
    sum that falls below zero has a part that does. ``outer``: the scopes that surely hold each scope, itself among them;
    ``wholes``: the sites of which each site is a part.
    """
    rows = {
        (site, place, number)
        for site, holder, scope in low.tolist()
        for place in ({holder, *wholes.get(holder, ())} if site else {holder})
        for number in outer[scope]
    }
    return np.array(sorted(rows), CHAIN)


_LOT_KEYS = ("shipper", "consignee", "scope", "quarter")
_SUMMED = ("d", "random", "mine", "theirs", "count")
"""What is added up of the movements of a lot. ``theirs``: the receiver's systematic error, squared where both parties are one
house."""


def _lots(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Rows of equal parties, scope and quarter added up over all parts; one column after the other, for there may be millions."""
    keys = {name: np.concatenate([part[name] for part in parts]) for name in _LOT_KEYS}
    order = np.lexsort([keys[name] for name in reversed(_LOT_KEYS)])
    fresh = np.zeros(len(order), bool)
    fresh[:1] = True
    for name in _LOT_KEYS:
        column = keys[name][order]
        fresh[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(fresh)
    out = {name: keys.pop(name)[order[starts]] for name in _LOT_KEYS}
    for name in _SUMMED:
        column = np.concatenate([part[name] for part in parts])
        out[name] = np.add.reduceat(column[order], starts) if len(starts) else column
    return out


def _two_sided(d: Array, variance: Array) -> Array:
    """p of differences; 0 where two exact figures differ, 1 where they agree."""
    certain = variance <= 0
    z = np.abs(d) / np.sqrt(np.where(certain, 1.0, variance))
    return np.where(certain, np.where(d == 0, 1.0, 0.0), np.maximum(2 * ndtr(-z), np.finfo(float).tiny))


def _received(lines: Array) -> Array:
    recorded = np.where(lines["received_latest"] != NO_DAY, lines["received_latest"], lines["received"])
    return np.where(lines["received"] == NO_DAY, NO_DAY, recorded)


def _by_scope(scopes: Array, values: Mapping[int, Any], default: float) -> Array:
    """A value for each line by its scope."""
    kinds, place = np.unique(scopes, return_inverse=True)
    return np.array([values.get(int(kind), default) for kind in kinds], type(default))[place]
