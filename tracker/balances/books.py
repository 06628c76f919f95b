"""From columns of lines to balance cells: what every area's book holds of every scope at the end of every month.

``BOOK = OPEN + R + P - D - X`` (docs/method.md). A line leaves its origin in the month it left, enters its destination in the
month it arrived (of a vague day the last counts); a line whose two ends lie in one area is no flow of that area. Seized and
retired chips leave the book of whoever held them, produced ones enter that of whoever made them. When an organization
changes its ultimate parent, its book leaves the old group and enters the new one on that day.

The work is adding: lines become entries, entries are added up by (area, scope, month) into :data:`FLOW` rows, flow rows of
any number of parts are added up again (:func:`merged`), and :func:`cells` runs each chain of months once. The sums are exact
(``balances.reading``), so the chunks may be cut in any way, and a changed line may be taken out and put back (:func:`negated`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from tracker.balances.reading import (
    CANCELLED,
    NO_DAY,
    PRODUCTION,
    RETIREMENT,
    RETURNED,
    SEIZED,
    Amounts,
    Array,
    arrived_on,
    left_on,
    months,
)
from tracker.core.columns import Column

KINDS = ("site", "org", "group", "country", "world")
"""Kinds of balance areas. An area is written as one number: the place of its kind here, shifted, and its object's id."""
SITE, ORG, GROUP, COUNTRY, WORLD = range(len(KINDS))
_KIND_BITS = 34  # ids of objects stay below it
TERMS = ("receipts", "production", "dispatches", "exits")

KEYS = ("area", "scope", "month")
SUMMED = (*TERMS, "random", "shared_in", "shared_out", "lines", "floors")
Columns = dict[str, Array]
"""Columns of one length by name: what a table is while it is worked on."""

FLOW: tuple[Column, ...] = (
    ("area", "i8"), ("scope", "i8"), ("month", "i4"), *((term, "f8") for term in TERMS), ("random", "f8"), ("shared_in", "f8"),
    ("shared_out", "f8"), ("lines", "i4"), ("floors", "i4"),
)  # fmt: skip
"""What moved one area's book of one scope in one month. ``random``: variance of the lines' own errors. ``shared_in`` and
``shared_out``: sums of the errors that lines share with others, of what came in and of what went out, in chips."""
CELL: tuple[Column, ...] = (
    ("area", "i8"), ("scope", "i8"), ("month", "i4"), ("opening", "f8"), *((term, "f8") for term in TERMS), ("book", "f8"),
    ("sigma", "f8"), ("close", "f8"), ("muf", "f8"), ("muf_sigma", "f8"), ("lines", "i4"), ("floors", "i4"), ("at_least", "?"),
    ("random", "f8"), ("shared_in", "f8"), ("shared_out", "f8"),
)  # fmt: skip
"""A month of a chain. ``close``, ``muf``, ``muf_sigma`` are NaN where no inventory was reported."""


def none(columns: Sequence[Column]) -> Columns:
    """No rows."""
    return {name: np.empty(0, kind) for name, kind in columns}


def size(table: Mapping[str, Array]) -> int:
    return len(table["area"])


def taken(table: Mapping[str, Array], rows: Array | slice) -> Columns:
    """Some of the rows, by place, by mask or by stretch."""
    return {name: column[rows] for name, column in table.items()}


def joined(tables: Sequence[Mapping[str, Array]]) -> Columns:
    """The rows of several tables of the same columns."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


@dataclass(frozen=True, slots=True)
class Places:
    """What the lines' keys lie in: the country of each site, the groups of organizations, and who is no single holder.

    ``site_ids`` sorted, ``site_countries`` beside. ``aggregates``: sorted ids of organizations that stand for many.
    """

    site_ids: Array
    site_countries: Array
    aggregates: Array
    groups: Groups


@dataclass(frozen=True, slots=True)
class Groups:
    """Membership of organizations in ownership groups by day: rows sorted by (org, first day); the group is its ultimate parent.

    An organization that stands in no row is in no group. ``changes``: (org, day, old group, new group), 0 for none.
    """

    orgs: Array = field(default_factory=lambda: np.empty(0, np.int64))
    days: Array = field(default_factory=lambda: np.empty(0, np.int64))
    parents: Array = field(default_factory=lambda: np.empty(0, np.int64))
    changes: tuple[tuple[int, int, int, int], ...] = ()

    def of(self, orgs: Array, days: Array) -> Array:
        """The group of each organization on a day (0: none)."""
        if not len(self.orgs):
            return np.zeros(len(orgs), np.int64)
        asked = orgs.astype(np.int64) * _SPAN + days
        place = np.searchsorted(self.orgs * _SPAN + self.days, asked, side="right") - 1
        found = np.maximum(place, 0)
        return np.where((place >= 0) & (self.orgs[found] == orgs), self.parents[found], 0)


_SPAN = 2**32  # more than there are days, so that an organization and a day are one number
_SCOPES = 2**25  # more than there are scopes, so that an area and a scope are one number


def membership(spans: Mapping[int, Sequence[tuple[int, int]]]) -> Groups:
    """Groups from the (first day, parent) rows of each organization, 0 for no parent; the first row begins before all days."""
    rows = sorted((org, day, parent) for org, steps in spans.items() for day, parent in steps)
    changes = [
        (org, day, before[2], parent)
        for before, (org, day, parent) in pairwise(rows)
        if before[0] == org and before[2] != parent
    ]
    orgs, days, parents = (np.array([row[i] for row in rows], np.int64) for i in range(3))
    return Groups(orgs, days, parents, tuple(changes))


Ends = dict[str, Array]
"""Of each usable line: ``scope``, ``mu``, ``systematic``, ``random``, ``floor``, days ``left``, ``arrived``, whether it
``leaves`` and ``enters`` a book at all and ``makes`` or ``retires``, and its ends (``from site``, ``to country``...)."""


def ends(lines: Array, read: Amounts, places: Places, lead_time_days: int) -> Ends:
    """Where each line comes from and goes to, as known of it; lines that move no book are left out.

    The columns are copies, no views: a view of one would hold the whole records in memory.
    """
    standing = read.usable & (lines["status"] != RETURNED) & (lines["status"] != CANCELLED)
    lines = lines[standing]
    left, arrived = left_on(lines), arrived_on(lines, lead_time_days)
    makes, retires = lines["kind"] == PRODUCTION, (lines["kind"] == RETIREMENT) | (lines["status"] == SEIZED)
    out = {
        "scope": lines["scope"].astype(np.int32), "mu": read.mu[standing], "systematic": read.systematic[standing],
        "random": read.random[standing], "floor": read.floor[standing], "left": left, "arrived": arrived,
        "leaves": (left != NO_DAY) & ~makes, "enters": (arrived != NO_DAY) & ~retires, "makes": makes, "retires": retires,
    }  # fmt: skip
    for way, org, site, country, days in (
        ("from", lines["shipper"], lines["origin"], lines["origin_country"], left),
        ("to", lines["consignee"], lines["destination"], lines["destination_country"], arrived),
    ):
        holder = np.where(np.isin(org, places.aggregates), 0, org) if len(places.aggregates) else org
        out[f"{way} site"], out[f"{way} org"] = narrow(site), narrow(holder)
        out[f"{way} group"] = narrow(places.groups.of(holder, np.where(days == NO_DAY, 0, days)))
        out[f"{way} country"] = _codes(country, site, places).astype(np.int16)
        out[f"{way} world"] = np.ones(len(lines), np.int8)
    return out


def narrow(ids: Array) -> Array:
    """A copy of ids (0 and above), as 32-bit numbers where all of them fit."""
    return ids.astype(np.int32 if not len(ids) or ids.max() < 2**31 else np.int64)


def country_code(letters: str) -> int:
    """A country's two letters as a number to base 36; 0 for none."""
    return int(letters, 36) if letters.strip() else 0


def _codes(country: Array, site: Array, places: Places) -> Array:
    """Country numbers, of the site where the line itself names none."""
    pairs = np.frombuffer(np.ascontiguousarray(country).tobytes(), np.uint8).reshape(-1, 2).astype(np.int64)
    own = np.where(pairs[:, 0] > 32, (pairs[:, 0] - 55) * 36 + pairs[:, 1] - 55, 0)
    if not len(places.site_ids):
        return own
    at = np.minimum(np.searchsorted(places.site_ids, site), len(places.site_ids) - 1)
    known = places.site_ids[at] == site
    return np.where((own == 0) & known, places.site_countries[at], own)


def area_of(kind: int, objects: Any) -> Any:
    """The number of an area of a kind, or of a column of them."""
    return (kind << _KIND_BITS) + objects


def kinds_and_objects(areas: Any) -> tuple[Any, Any]:
    """The kind of an area and the id of its object, or columns of them."""
    return areas >> _KIND_BITS, areas & ((1 << _KIND_BITS) - 1)


def flows(found: Ends, kind: int, groups: Groups) -> Columns:
    """The FLOW rows of one kind of areas, sorted by (area, scope, month)."""
    return joined([rows for _, rows in stretches(found, kind, groups)])


ENTRIES = 100_000
"""Entries added up at once: what bounds the memory that adding takes, some 100 bytes for each."""


def stretches(found: Ends, kind: int, groups: Groups, most: int = ENTRIES) -> Iterator[tuple[range, Columns]]:
    """The rows of :func:`flows`, some areas after the other, with the areas that each part is about: at least one part, and
    together all areas of the kind.

    A part has about ``most`` entries, or those of one area that has more.
    """
    moved = ownership_moves(found, groups) if kind == GROUP else none(FLOW)
    for low, high in pairwise(_cuts(found, kind, most)):
        about = range(area_of(kind, low), area_of(kind, high))
        area, line, term, day = _entries(found, kind, low, high)
        # a group may hold nothing but what it took over
        parts = [taken(moved, slice(*np.searchsorted(moved["area"], [about.start, about.stop])))]
        for start in range(0, len(area), most):
            piece = slice(start, start + most)
            mine = area_of(kind, area[piece])
            parts.append(_added(mine, line[piece], term[piece], day[piece], found))
        yield about, merged(parts)


def _cuts(found: Ends, kind: int, most: int) -> list[int]:
    """Objects of a kind, in order, at which to cut so that about ``most`` ends lie between two; the first and last hold all."""
    objects = np.concatenate([found[f"{way} {KINDS[kind]}"] for way in ("from", "to")])
    objects = np.sort(objects[objects > 0])
    return [0, *np.unique(objects[most::most]).tolist(), 1 << _KIND_BITS]


def _entries(
    found: Ends, kind: int, low: int = 0, high: int = 1 << _KIND_BITS
) -> tuple[Array, Array, Array, Array]:
    """Objects, places of the lines, terms and days of one kind of area's entries, of objects from ``low`` to below ``high``."""
    origin, destination = found[f"from {KINDS[kind]}"], found[f"to {KINDS[kind]}"]
    least = max(low, 1)  # 0: in no such area
    leaves = found["leaves"] & (origin >= least) & (origin < high)
    enters = found["enters"] & (destination >= least) & (destination < high)
    apart, makes, retires = origin != destination, found["makes"], found["retires"]
    parts = [
        np.flatnonzero(mask)
        for mask in (enters & ~makes & apart, enters & makes, leaves & ~retires & apart, leaves & retires)
    ]
    line = np.concatenate(parts)
    term = np.repeat(np.arange(4, dtype=np.int8), [len(part) for part in parts])
    incoming = term < 2
    area = np.where(incoming, destination[line], origin[line]).astype(np.int64)
    return area, line, term, np.where(incoming, found["arrived"][line], found["left"][line])


def behind(found: Ends, kind: int, object_id: int, month: int) -> tuple[Array, Array]:
    """The lines behind one month of one area's book: their places among the ends, and the place in :data:`TERMS` of each.

    What an ownership group took over or gave up with an organization is in no line (:func:`ownership_moves`).
    """
    area, line, term, day = _entries(found, kind)
    mine = (area == object_id) & (months(day) == month)
    return line[mine], term[mine]


def _added(area: Array, line: Array, term: Array, day: Array, found: Ends) -> Columns:
    keys = {"area": area, "scope": found["scope"][line], "month": months(day).astype(np.int32)}
    order, starts = _runs(keys)
    line, term = line[order], term[order]
    out = {name: column[order[starts]] for name, column in keys.items()}
    out["scope"] = out["scope"].astype(np.int64)
    mu, shared = found["mu"][line], found["systematic"][line]
    for place, name in enumerate(TERMS):
        mine = term == place
        out[name] = np.add.reduceat(np.where(mine, mu, 0.0), starts) if mine.any() else np.zeros(len(starts))
    out["random"] = np.add.reduceat(found["random"][line], starts)
    out["shared_in"] = np.add.reduceat(np.where(term < 2, shared, 0.0), starts)
    out["shared_out"] = np.add.reduceat(np.where(term < 2, 0.0, shared), starts)
    out["lines"] = np.diff(np.append(starts, len(line))).astype(np.int32)
    out["floors"] = np.add.reduceat(found["floor"][line].astype(np.int32), starts)
    return out


def ownership_moves(found: Ends, groups: Groups) -> Columns:
    """FLOW rows that carry the book of an organization from its old group to its new one on the day it changed hands."""
    moving = np.unique(np.array([change[0] for change in groups.changes], np.int64))
    theirs = np.isin(found["from org"], moving) | np.isin(found["to org"], moving)
    if not theirs.any():
        return none(FLOW)
    found = taken(found, theirs)
    area, line, term, days = _entries(found, ORG)
    mine = np.isin(area, moving)
    order = np.flatnonzero(mine)[np.argsort(area[mine], kind="stable")]
    area, line, term, days = area[order], line[order], term[order], days[order]
    parts = []
    for org, day, before, after in groups.changes:
        first, last = np.searchsorted(area, [org, org + 1])
        past = first + np.flatnonzero(days[first:last] < day)
        if not len(past):
            continue
        rows, inward = line[past], term[past] < 2
        sign, shared = np.where(inward, 1.0, -1.0), found["systematic"][rows]
        for group, name in ((before, "dispatches"), (after, "receipts")):
            if not group:
                continue
            comes_in = inward == (
                name == "receipts"
            )  # what leaves a book leaves its error behind on the other side
            part = {
                "area": np.full(len(rows), area_of(GROUP, group)), "scope": found["scope"][rows].astype(np.int64),
                "month": months(np.full(len(rows), day)).astype(np.int32), **{term: np.zeros(len(rows)) for term in TERMS},
                "random": found["random"][rows], "shared_in": np.where(comes_in, shared, 0.0),
                "shared_out": np.where(comes_in, 0.0, shared), "lines": np.ones(len(rows), np.int32),
                "floors": found["floor"][rows].astype(np.int32),
            }  # fmt: skip
            part[name] = sign * found["mu"][rows]
            parts.append(merged([part]))
    return merged(parts)


def negated(rows: Mapping[str, Array]) -> Columns:
    """The same flows taken out again."""
    return {name: -column if name in SUMMED else column for name, column in rows.items()}


def merged(parts: Sequence[Mapping[str, Array]], *, keep_empty: bool = False) -> Columns:
    """FLOW rows added up over several parts, sorted by (area, scope, month); rows of no line fall away.

    ``keep_empty``: they stay, because what is added up is a change: a line that says something else adds no line.
    """
    filled = [part for part in parts if size(part)]
    if not filled:
        return none(FLOW)
    rows = filled[0] if len(filled) == 1 else joined(filled)
    order, starts = _runs(rows)
    if len(starts) == len(order):
        out = taken(rows, order)
    else:
        out = {name: rows[name][order[starts]] for name in KEYS}
        for name in SUMMED:
            out[name] = np.add.reduceat(rows[name][order], starts)
    kept = out["lines"] != 0
    return out if keep_empty or kept.all() else taken(out, kept)


def _runs(rows: Mapping[str, Array], by: Sequence[str] = KEYS) -> tuple[Array, Array]:
    """An order of rows by some columns, and where each run of equal ones starts in it."""
    columns = [rows[name] for name in by]
    low = [int(column.min()) for column in columns]
    span = [int(column.max()) - base + 1 for column, base in zip(columns, low, strict=True)]
    wide = np.prod([float(one) for one in span]) >= 2.0**62
    if (
        wide
    ):  # too wide to be one number: number the values of the first column instead of taking them as they are
        columns[0] = np.unique(columns[0], return_inverse=True)[1]
        low[0], span[0] = 0, int(columns[0].max()) + 1
    key = columns[0].astype(np.int64) - low[0]
    for column, base, width in zip(columns[1:], low[1:], span[1:], strict=True):
        key = key * width + (column - base)
    order = np.argsort(key)
    key = key[order]
    return order, np.concatenate([[0], np.flatnonzero(key[1:] != key[:-1]) + 1])


# --- chains -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Anchor:
    """A reported inventory at a month's end: mean (chips) and variance."""

    mu: float
    variance: float


Anchors = Mapping[tuple[int, int], Mapping[int, Anchor]]
"""(area, scope) -> month -> reported inventory."""


def cells(rows: Mapping[str, Array], anchors: Anchors | None = None) -> Columns:
    """The CELL rows of whole chains of FLOW rows (sorted as :func:`merged` leaves them), one for each, in the same order.

    The error of a book is an upper bound that needs no record but the chain: shared errors of all that came in are added before
    they are squared, as if one house had reported it, and so are those of all that went out. Tests (MUF, GAP) read the records
    themselves and use the shared errors of each house.
    """
    if not size(rows):
        return _with_anchors(none(CELL), anchors or {})
    offset = _offsets(_chain_starts(rows))
    out = dict(rows)
    net = rows["receipts"] + rows["production"] - rows["dispatches"] - rows["exits"]
    out["book"] = running(net, offset)
    out["opening"] = out["book"] - net
    out["at_least"] = running(rows["floors"].astype(float), offset) > 0
    shared = running(rows["shared_in"], offset) ** 2 + running(rows["shared_out"], offset) ** 2
    out["sigma"] = np.sqrt(np.maximum(running(rows["random"], offset) + shared, 0.0))
    for name in ("close", "muf", "muf_sigma"):
        out[name] = np.full(size(rows), np.nan)
    return _with_anchors({name: out[name] for name, _ in CELL}, anchors or {})


def always_enough(drawn: Mapping[str, Array]) -> tuple[Array, Array]:
    """Areas and scopes of the chains (CELL rows of whole chains, sorted) whose book cannot fall below zero on any day, as far as
    dated movements tell: in no month does more leave than was there when it began.

    A book that a reported inventory opens anew tells nothing of what moved, and is not among them.
    """
    doubtful = (drawn["opening"] < drawn["dispatches"] + drawn["exits"]) | ~np.isnan(drawn["close"])
    starts = np.flatnonzero(_chain_starts(drawn))
    enough = ~np.logical_or.reduceat(doubtful, starts) if len(starts) else np.zeros(0, bool)
    return drawn["area"][starts][enough], drawn["scope"][starts][enough]


def _chain_starts(rows: Mapping[str, Array]) -> Array:
    """Of rows sorted by (area, scope, month), which are the first of a chain."""
    fresh = np.ones(size(rows), bool)
    fresh[1:] = (rows["area"][1:] != rows["area"][:-1]) | (rows["scope"][1:] != rows["scope"][:-1])
    return fresh


def _offsets(starts: Array) -> Array:
    """How far each row lies behind the start of its chain."""
    places = np.arange(len(starts))
    return places - np.maximum.accumulate(np.where(starts, places, 0))


def running(values: Array, offset: Array) -> Array:
    """Running sums that start afresh with each chain.

    By doubling: what a row holds depends on its own chain alone, never on those before it, which the difference of two running
    sums over everything could not promise in binary arithmetic.
    """
    out, reach = values.astype(float), 1
    longest = int(offset.max()) + 1 if len(offset) else 0
    while reach < longest:
        shifted = np.zeros_like(out)
        shifted[reach:] = out[:-reach]
        out = out + np.where(offset >= reach, shifted, 0.0)
        reach *= 2
    return out


def _with_anchors(found: Columns, anchors: Anchors) -> Columns:
    """The cells with the chains that have reported inventories run again: each inventory opens the month after it."""
    asked = sorted(key for key, by_month in anchors.items() if by_month)
    if not asked:
        return found
    wanted = np.array([area * _SCOPES + scope for area, scope in asked], np.int64)
    keys = found["area"] * _SCOPES + found["scope"]
    parts = [taken(found, ~np.isin(keys, wanted))]
    for (area, scope), key in zip(asked, wanted, strict=True):
        plain = taken(found, slice(*np.searchsorted(keys, [key, key + 1])))
        parts.append(_anchored(area, scope, plain, anchors[area, scope]))
    out = joined(parts)
    return taken(out, np.lexsort((out["month"], out["scope"], out["area"])))


def _anchored(
    area: int, scope: int, plain: Mapping[str, Array], inventories: Mapping[int, Anchor]
) -> Columns:
    """One chain with inventories: ``muf = book - close``. The inventory's own error counts in full on both sides of it."""
    place = {int(month): i for i, month in enumerate(plain["month"])}
    months_of = sorted({*place, *inventories})
    out = {name: np.zeros(len(months_of), kind) for name, kind in CELL}
    book, random, shared_in, shared_out, opened, floors = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for i, month in enumerate(months_of):
        out["area"][i], out["scope"][i], out["month"][i], out["opening"][i] = area, scope, month, book
        if month in place:
            for name in SUMMED:
                out[name][i] = plain[name][place[month]]
        random += float(out["random"][i])
        shared_in, shared_out = (
            shared_in + float(out["shared_in"][i]),
            shared_out + float(out["shared_out"][i]),
        )
        floors += int(out["floors"][i])
        book += float(out["receipts"][i] + out["production"][i] - out["dispatches"][i] - out["exits"][i])
        variance = max(0.0, random + shared_in**2 + shared_out**2 + opened)
        out["book"][i], out["at_least"][i], out["sigma"][i] = book, floors > 0, variance**0.5
        out["close"][i] = out["muf"][i] = out["muf_sigma"][i] = np.nan
        if found := inventories.get(month):
            out["close"][i], out["muf"][i] = found.mu, book - found.mu
            out["muf_sigma"][i] = (variance + found.variance) ** 0.5
            book, opened = found.mu, found.variance
            random, shared_in, shared_out, floors = 0.0, 0.0, 0.0, 0
    return out


def changes(old: Ends, new: Ends, kind: int, groups: Groups) -> Columns:
    """What lines corrected, added or withdrawn change of one kind of areas: FLOW rows to be added to those that stand."""
    return merged([negated(flows(old, kind, groups)), flows(new, kind, groups)], keep_empty=True)


def differing(standing: Mapping[str, Array], drawn: Mapping[str, Array]) -> tuple[Array, Array]:
    """Cells drawn anew that do not stand as they are, and standing cells that are no more, as masks."""
    both = joined([{name: table[name] for name in KEYS} for table in (standing, drawn)])
    order, starts = _runs(both) if size(both) else (np.empty(0, np.int64), np.empty(0, np.int64))
    name_of = np.empty(len(order), np.int64)
    name_of[order] = np.cumsum(np.isin(np.arange(len(order)), starts)) - 1
    mine, theirs = name_of[: size(standing)], name_of[size(standing) :]
    at = np.searchsorted(mine, theirs)  # both are sorted by the same keys
    found = np.minimum(at, max(len(mine) - 1, 0))
    same = (mine[found] == theirs) if len(mine) else np.zeros(len(theirs), bool)
    for name, _ in CELL:
        if len(mine) and name not in KEYS:
            before, after = standing[name][found], drawn[name]
            same &= (before == after) | ((before != before) & (after != after))  # NaN is like NaN here
    return ~same, ~np.isin(mine, theirs)
