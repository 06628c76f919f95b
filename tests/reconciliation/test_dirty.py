"""Cells made stale by a change of one movement: checked against drawing up all books before and after."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tracker.reconciliation.dirty import Dirty, Leg, dirty, months

FIRST, LAST = date(2026, 1, 1), date(2026, 8, 1)
AREAS = ("site:a", "org:a", "country:x", "site:b", "org:b", "country:y", "world")
days = st.dates(FIRST, date(2026, 8, 31))
ends = st.frozensets(st.sampled_from(AREAS), max_size=4)
legs = st.builds(
    lambda chip, origin, destination, pair: Leg((chip, "family", "h100e"), origin, destination, *sorted(pair)),
    st.sampled_from(["one", "two"]), ends, ends, st.tuples(days, days),
)  # fmt: skip
counts = st.dictionaries(
    st.tuples(st.sampled_from(AREAS), st.sampled_from(["one", "two", "h100e"])),
    st.lists(days, min_size=1, max_size=2),
    max_size=4,
)


def flows(leg: Leg | None, q: float) -> dict[tuple[str, str], list[tuple[date, float]]]:
    """(area, scope) -> what came in and went out on which day."""
    found: dict[tuple[str, str], list[tuple[date, float]]] = defaultdict(list)
    for scope in leg.scopes if leg else ():
        for area in AREAS:
            inside = area in leg.origin, area in leg.destination
            if inside == (True, False):
                found[area, scope].append((leg.shipped, -q))
            if inside == (False, True):
                found[area, scope].append((leg.received, q))
    return found


def books(leg: Leg | None, q: float, anchors) -> tuple[dict, dict]:
    """Net flow of every cell, and the balance at its end: what moved since the last count that starts the chain afresh."""
    flow, balance = {}, {}
    moved = flows(leg, q)
    for (area, scope), entries in moved.items():
        chip = leg.scopes[0] if leg else scope
        starts = sorted({*anchors.get((area, chip), ()), *anchors.get((area, scope), ())})
        for month in months(FIRST, LAST):
            flow[area, scope, month] = sum(v for day, v in entries if day.replace(day=1) == month)
            # A count stands for the close of its month, so a chain starts afresh in the month after it.
            later = [
                v
                for day, v in entries
                if day.replace(day=1) <= month
                and not any(start >= day and start.replace(day=1) < month for start in starts)
            ]
            balance[area, scope, month] = sum(later)
    return flow, balance


@given(st.one_of(st.none(), legs), st.one_of(st.none(), legs), counts)
def test_what_changes_is_dirty_and_nothing_else(before, after, anchors):
    found = dirty([before, after], anchors, LAST)
    one, other = books(before, 3.0, anchors), books(after, 5.0, anchors)
    for name, old, new in (("flow", one[0], other[0]), ("balance", one[1], other[1])):
        changed = {cell for cell in {*old, *new} if old.get(cell, 0) != new.get(cell, 0)}
        assert changed <= getattr(found, name)
        if before is None or after is None:  # with two versions some changes may cancel
            assert changed == getattr(found, name)
    moved = {*flows(before, 1), *flows(after, 1)}
    assert {cell[:2] for cell in found.flow | found.balance} <= moved


@given(st.one_of(st.none(), legs), st.one_of(st.none(), legs), counts)
def test_the_order_of_the_versions_plays_no_part(before, after, anchors):
    assert dirty([before, after], anchors, LAST) == dirty([after, before], anchors, LAST)


def test_a_movement_within_one_area_is_no_flow_of_it():
    inside = Leg(("one",), frozenset({"world"}), frozenset({"world"}), FIRST, FIRST)
    assert dirty([inside], {}, LAST) == Dirty()


def test_a_count_before_the_flow_ends_no_chain_and_one_of_the_day_does():
    leg = Leg(("one", "h100e"), frozenset(), frozenset({"site:a"}), FIRST, date(2026, 3, 5))
    early = dirty([leg], {("site:a", "one"): [date(2026, 2, 28)]}, LAST)
    assert len(early.balance) == 2 * 6
    same = dirty([leg], {("site:a", "one"): [date(2026, 3, 5)]}, LAST)
    assert len(same.balance) == 2 * 1
    wider = dirty([leg], {("site:a", "h100e"): [date(2026, 3, 5)]}, LAST)
    assert len(wider.balance) == 6 + 1


def test_a_bound_on_what_one_movement_touches():
    origin, destination = frozenset(AREAS[:3]), frozenset(AREAS[3:])
    found = dirty([Leg(("one", "family", "h100e"), origin, destination, FIRST, FIRST)], {}, LAST)
    assert len(found.flow) <= 2 * 5 * 3
    assert len(found.balance) == len(found.flow) * 8
