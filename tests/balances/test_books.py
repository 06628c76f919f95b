"""Cells added up from columns are the books that one would keep by hand, however the lines are cut."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.balances import books
from tracker.balances.books import (
    COUNTRY,
    GROUP,
    KINDS,
    ORG,
    SITE,
    WORLD,
    Anchor,
    area_of,
    country_code,
    kinds_and_objects,
)
from tracker.balances.reading import EPOCH, LINE, NO_DAY, amounts, month_number
from tracker.core.quantity import StandardReading
from tracker.reconciliation.sweep import Sweep

READING = StandardReading()
SITES = {1: "SG", 2: "MY"}


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def place(groups: books.Groups | None = None, aggregates: tuple[int, ...] = ()) -> books.Places:
    return books.Places(
        np.array(list(SITES), np.int64), np.array([country_code(c) for c in SITES.values()], np.int64),
        np.array(aggregates, np.int64), groups or books.Groups(),
    )  # fmt: skip


def line(number: int, quantity: float, shipped: int, received: int | None = None, **given) -> np.ndarray:
    row = np.zeros(1, LINE)
    row["id"], row["scope"], row["quantity"], row["per_unit"] = number, given.get("scope", 2), quantity, 1.0
    row["by_shipper"] = row["by_receiver"] = -1
    for name in ("shipped_latest", "received", "received_latest"):
        row[name] = NO_DAY
    row["shipped"] = shipped
    if received is not None:
        row["received"] = received
    for name in ("shipper", "consignee", "origin", "destination"):
        row[name] = given.get(name, 0)
    row["origin_country"], row["destination_country"] = given.get("frm", b"  "), given.get("to", b"  ")
    row["grade"] = row["grade_by_shipper"] = row["grade_by_receiver"] = given.get("grade", b"B")
    row["kind"], row["status"] = given.get("kind", b"t"), given.get("status", b"rec")
    row["bound"], row["exact"] = given.get("bound", b"-"), given.get("exact", b"-")
    return row


def drawn(lines: np.ndarray, places: books.Places, kind: int, anchors=None) -> books.Columns:
    found = books.ends(lines, amounts(lines, READING), places, 30)
    return books.cells(books.flows(found, kind, places.groups), anchors)


days = st.integers(day("2024-01-01"), day("2025-12-31"))
orgs, sites = st.integers(0, 4), st.integers(0, 2)


@st.composite
def ledgers(draw):
    rows = []
    for number in range(draw(st.integers(0, 14))):
        shipped = draw(days)
        rows.append(
            line(
                number + 1, draw(st.integers(1, 5000)), shipped, draw(st.none() | st.integers(shipped, shipped + 90)),
                shipper=draw(orgs), consignee=draw(orgs), origin=draw(sites), destination=draw(sites),
                frm=draw(st.sampled_from([b"US", b"SG", b"  "])), to=draw(st.sampled_from([b"MY", b"SG", b"  "])),
                status=draw(st.sampled_from([b"rec", b"rep", b"in ", b"sei", b"ret", b"can"])),
                kind=draw(st.sampled_from([b"t", b"t", b"p", b"r"])), scope=draw(st.sampled_from([2, 4, 5])),
                grade=draw(st.sampled_from([b"A", b"C", b"E"])), bound=draw(st.sampled_from([b"-", b"f", b"c"])),
            )
        )  # fmt: skip
    return np.concatenate(rows) if rows else np.empty(0, LINE)


def by_hand(lines: np.ndarray, kind: int) -> dict[tuple[int, int, int], float]:
    """The book of each area, scope and month in which something moved, one line after the other."""
    moved: dict[tuple[int, int], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row in lines:
        if row["status"] in (b"ret", b"can") or row["bound"] == b"c":
            continue
        country = {
            way: bytes(row[name]).decode().strip() or SITES.get(int(row[site]), "")
            for way, name, site in (
                ("from", "origin_country", "origin"),
                ("to", "destination_country", "destination"),
            )
        }
        keys = {
            SITE: (row["origin"], row["destination"]), ORG: (row["shipper"], row["consignee"]), GROUP: (0, 0), WORLD: (1, 1),
            COUNTRY: (country_code(country["from"]), country_code(country["to"])),
        }  # fmt: skip
        origin, destination = (int(key) for key in keys[kind])
        left = EPOCH.toordinal() + int(row["shipped"])
        came = EPOCH.toordinal() + int(row["received"]) if row["received"] != NO_DAY else left + 30
        makes, retires = row["kind"] == b"p", row["kind"] == b"r" or row["status"] == b"sei"
        amount = float(row["quantity"])
        if origin and not makes and (retires or origin != destination):
            moved[origin, int(row["scope"])][month_number(date.fromordinal(left))] -= amount
        if destination and not retires and (makes or origin != destination):
            moved[destination, int(row["scope"])][month_number(date.fromordinal(came))] += amount
    out = {}
    for (area, scope), months in moved.items():
        book = 0.0
        for month in sorted(months):
            book += months[month]
            out[area_of(kind, area), scope, month] = book
    return out


@given(ledgers())
def test_books_are_those_kept_by_hand(lines):
    for kind in (SITE, ORG, COUNTRY, WORLD):
        found = drawn(lines, place(), kind)
        told = zip(found["area"].tolist(), found["scope"].tolist(), found["month"].tolist(), strict=True)
        assert dict(zip(told, found["book"].tolist(), strict=True)) == by_hand(lines, kind)


@given(ledgers(), st.data())
def test_a_book_obeys_its_identity_and_opens_with_the_month_before(lines, data):
    kind = data.draw(st.sampled_from(range(len(KINDS))))
    found = drawn(lines, place(), kind)
    net = found["receipts"] + found["production"] - found["dispatches"] - found["exits"]
    assert (found["opening"] + net == found["book"]).all()
    same = (found["area"][1:] == found["area"][:-1]) & (found["scope"][1:] == found["scope"][:-1])
    assert (found["opening"][1:][same] == found["book"][:-1][same]).all()
    assert (found["opening"][1:][~same] == 0).all()


@given(ledgers(), st.randoms())
def test_the_order_and_the_cutting_of_lines_change_no_bit(lines, dice):
    places = place()
    for kind in (SITE, ORG, COUNTRY):
        whole = drawn(lines, places, kind)
        order = list(range(len(lines)))
        dice.shuffle(order)
        cut = dice.randint(0, len(lines))
        parts = [
            books.flows(books.ends(part, amounts(part, READING), places, 30), kind, places.groups)
            for part in (lines[order[:cut]], lines[order[cut:]])
        ]
        again = books.cells(books.merged(parts))
        assert all(np.array_equal(whole[name], again[name], equal_nan=True) for name in whole)


@given(ledgers(), st.integers(1, 5))
def test_books_drawn_up_some_areas_at_a_time_are_those_of_all_at_once(lines, most):
    groups = books.membership({1: [(-(2**30), 0), (day("2024-09-10"), 3)], 2: [(-(2**30), 3)]})
    found = books.ends(lines, amounts(lines, READING), place(groups), 30)
    for kind in range(len(KINDS)):
        parts = list(books.stretches(found, kind, groups, most))
        whole, again = books.flows(found, kind, groups), books.joined([rows for _, rows in parts])
        assert all(np.array_equal(whole[name], again[name]) for name in whole)
        assert all(int(area) in about for about, rows in parts for area in rows["area"])
        abouts = [about for about, _ in parts]
        assert (abouts[0].start, abouts[-1].stop) == (area_of(kind, 0), area_of(kind + 1, 0))
        assert [one.stop for one in abouts[:-1]] == [one.start for one in abouts[1:]]


def test_ids_are_narrow_where_they_fit():
    assert [books.narrow(np.array([0, top])).dtype for top in (2**31 - 1, 2**31)] == [np.int32, np.int64]


@given(ledgers(), ledgers(), ledgers())
@settings(max_examples=60)
def test_changed_lines_taken_out_and_put_back_leave_the_books_of_all_lines(kept, old, new):
    places = place()
    for kind in (SITE, ORG, COUNTRY, WORLD):
        sides = [books.ends(side, amounts(side, READING), places, 30) for side in (old, new)]
        standing = books.flows(
            books.ends(both := np.concatenate([kept, old]), amounts(both, READING), places, 30),
            kind,
            places.groups,
        )
        delta = books.changes(sides[0], sides[1], kind, places.groups)
        forward = books.cells(books.merged([standing, delta]))
        afresh = drawn(np.concatenate([kept, new]), places, kind)
        assert all(np.array_equal(forward[name], afresh[name], equal_nan=True) for name in afresh)
        fresh, gone = books.differing(books.cells(standing), afresh)
        before = books.cells(standing)
        stays = {key: row for key, row in zip(keys_of(before), rows_of(before), strict=True)} | dict(
            zip(keys_of(books.taken(afresh, fresh)), rows_of(books.taken(afresh, fresh)), strict=True)
        )
        for key in keys_of(books.taken(before, gone)):
            del stays[key]
        assert stays == dict(zip(keys_of(afresh), rows_of(afresh), strict=True))


def keys_of(table: books.Columns) -> list[tuple]:
    return list(zip(*(table[name].tolist() for name in ("area", "scope", "month")), strict=True))


def rows_of(table: books.Columns) -> list[str]:
    return [repr(row) for row in zip(*(table[name].tolist() for name, _ in books.CELL), strict=True)]


def test_shared_errors_of_what_came_in_are_added_before_they_are_squared():
    lines = np.concatenate(
        [line(i, 1000, day("2024-03-01"), day("2024-03-20"), consignee=1, grade=b"C") for i in (1, 2)]
    )
    found = drawn(lines, place(), ORG)
    read = amounts(lines, READING)
    assert found["sigma"][0] == pytest.approx(((2 * read.systematic[0]) ** 2 + 2 * read.random[0]) ** 0.5)
    assert found["sigma"][0] > (2 * (read.systematic[0] ** 2 + read.random[0])) ** 0.5


def test_a_change_of_owner_moves_the_book_from_one_group_to_the_other():
    groups = books.membership({7: [(-(2**30), 70), (day("2024-06-10"), 80)]})
    lines = np.concatenate(
        [
            line(1, 500, day("2024-01-05"), day("2024-02-05"), consignee=7),
            line(2, 100, day("2024-03-01"), day("2024-03-20"), shipper=7, consignee=9),
            line(3, 40, day("2024-07-01"), day("2024-07-20"), consignee=7),
        ]
    )
    found = drawn(lines, place(groups), GROUP)
    area = kinds_and_objects(found["area"])[1].tolist()
    month = found["month"].tolist()
    told = dict(zip(zip(area, month, strict=True), found["book"].tolist(), strict=True))
    june = month_number(date(2024, 6, 1))
    assert told[70, june] == 0
    assert told[80, june] == 400
    assert told[80, june + 1] == 440
    assert drawn(lines, place(groups), ORG)["book"].tolist()[:3] == [500, 400, 440]


def test_a_movement_within_a_group_is_no_flow_of_it():
    groups = books.membership({7: [(-(2**30), 70)], 8: [(-(2**30), 70)]})
    lines = line(1, 500, day("2024-01-05"), day("2024-02-05"), shipper=7, consignee=8)
    assert books.size(drawn(lines, place(groups), GROUP)) == 0
    assert drawn(lines, place(groups), ORG)["book"].tolist() == [-500, 500]


def test_an_inventory_opens_the_next_month_and_leaves_what_is_unaccounted_for():
    lines = np.concatenate(
        [
            line(1, 500, day("2024-01-05"), day("2024-01-25"), consignee=7),
            line(2, 50, day("2024-03-01"), day("2024-03-20"), consignee=7),
        ]
    )
    key = int(area_of(ORG, 7)), 2
    january = month_number(date(2024, 1, 1))
    found = drawn(lines, place(), ORG, {key: {january + 1: Anchor(460.0, 25.0)}})
    assert found["month"].tolist() == [january, january + 1, january + 2]
    assert found["book"].tolist() == [500, 500, 510]
    assert found["opening"].tolist() == [0, 500, 460]
    assert found["muf"].tolist()[1] == 40
    assert np.isnan(found["muf"][[0, 2]]).all()
    assert found["muf_sigma"][1] == pytest.approx((found["sigma"][1] ** 2 + 25) ** 0.5)


def test_groups_of_unnamed_buyers_keep_no_book():
    lines = line(1, 500, day("2024-01-05"), day("2024-02-05"), shipper=3, consignee=4)
    found = drawn(lines, place(aggregates=(4,)), ORG)
    assert kinds_and_objects(found["area"])[1].tolist() == [3]


@given(
    ledgers(),
    st.lists(st.sampled_from(["dated", "vague", "undated"]), min_size=14, max_size=14),
    st.sampled_from([ORG, SITE]),
)
def test_a_book_that_always_holds_enough_tells_of_a_balance_that_never_falls_below_zero(lines, known, kind):
    """What a run over changes rests on where it reads no line of a balance."""
    known = np.array(known[: len(lines)])
    lines["shipped_latest"][known == "vague"] = lines["shipped"][known == "vague"] + 40
    lines["shipped"][known == "undated"] = NO_DAY
    sweep = Sweep(READING, date(2026, 6, 30), 30, {}, {}, {})
    sweep.add(lines, amounts(lines, READING))
    crossed = set(sweep.crossed().tolist())
    low = set(sweep.overdrawn().tolist()) - crossed
    sender = "shipper" if kind == ORG else "origin"
    beside = lines[(lines["shipped"] == NO_DAY) | (lines["kind"] == b"p")]
    untold = set(zip(beside[sender].tolist(), beside["scope"].tolist(), strict=True))
    for area, scope in zip(*books.always_enough(drawn(lines, place(), kind)), strict=True):
        holder = int(area - area_of(kind, 0))
        assert (kind == SITE, holder, int(scope)) not in low or (holder, int(scope)) in untold


def test_enough_is_what_a_month_began_with():
    """What comes in during a month may have come after all that left in it."""
    january, february = day("2025-01-10"), day("2025-02-10")
    stocked = [
        line(1, 100, january, january, shipper=1, consignee=2),
        line(2, 60, february, february, shipper=2, consignee=3),
    ]
    hasty = line(3, 50, february, february, shipper=2, consignee=3)
    late = line(4, 50, february, february, shipper=1, consignee=2)
    areas = [
        books.always_enough(drawn(np.concatenate(rows), place(), ORG))[0]
        for rows in (stocked, [*stocked, hasty, late])
    ]
    assert [area_of(ORG, 2) in some for some in areas] == [True, False]
