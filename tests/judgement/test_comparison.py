"""What flips between two days and between two rule books, with quantities and their intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests import factories
from tracker.judgement.comparison import Side
from tracker.judgement.services import compare
from tracker.reconciliation.books import Parameters
from tracker.rules.services import rulebook

DAYS = (Side("2023-11-16", date(2023, 11, 16)), Side("2023-11-17", date(2023, 11, 17)))


def moved(world, scope, quantity, **given):
    place = {
        "origin_country": "TW",
        "destination_country": "CN",
        "shipped_on": date(2024, 1, 1),
        "grade": "C",
    }
    chosen = world["scopes"][scope]
    named = {"chip": chosen} if hasattr(chosen, "specifications") else {"family": chosen}
    return factories.shipment(quantity=quantity, **(place | named | given))


def between(sides=DAYS, before=None, after=None, **given):
    book = rulebook()
    return compare(before or book, after or book, sides, records="synthetic", reading=Parameters(), **given)


def test_lines_that_need_a_licence_from_one_day_to_the_next_are_summed_with_their_spread(world):
    buyer = world["people"][0]
    moved(world, 2, 1000, consignee=buyer)  # small: no class in 2022, b since
    moved(world, 2, 500, is_exact=True)
    moved(world, 4, 7)  # wide: in no class on either day
    found = between()
    assert (found.judged, found.changed) == (3, 2)
    (row,) = found.by_decision
    assert (row.before, row.after) == ("NO_LICENCE", "EXCEPTION: 25-day notice; BIS may require a licence")
    assert (row.lines, row.uncounted, row.chips.best) == (2, 0, 1500)
    # grade C is 10 percent of 1,000 and rounding to two digits; the exact line adds nothing
    assert row.chips.high - row.chips.best == pytest.approx(1.644854 * 104.08, rel=1e-3)
    assert row.tpp.best == pytest.approx(1500 * 2896)
    assert row.h100e.best == pytest.approx(1500 * 2896 / 15832)
    assert [(f.name, f.lines) for f in found.by_consignee] == [(buyer.name, 1), ("not recorded", 1)]
    assert [(f.who, f.lines) for f in found.by_destination] == [("CN", 2)]


def test_chips_that_change_level_are_named_with_the_paragraph(world):
    flips = {flip.chip: (flip.before, flip.after) for flip in between().chips}
    assert flips["synthetic-small"] == ("none", "b")
    assert flips["synthetic-old"] == ("2022", "a")
    assert "synthetic-wide" not in flips


def test_a_family_leaves_its_amount_between_its_members(world):
    moved(world, 10, 100, is_exact=True)  # big and old
    (row,) = between((Side("", date(2022, 8, 25)), Side("", date(2023, 11, 17)))).by_decision
    assert (row.tpp.low, row.tpp.high) == (100 * 4992, 100 * 15832)
    assert row.chips.low == row.chips.high == 100


def test_units_that_are_no_chips_are_counted_apart(world):
    moved(world, 2, 3, unit="racks")
    moved(world, 2, 4, bound="floor")
    (row,) = between().by_decision
    assert (row.lines, row.uncounted, row.bounds, row.chips.best) == (2, 1, 1, 4)


def test_another_rule_book_is_compared_on_the_day_each_line_left(world):
    moved(world, 0, 10, is_exact=True, destination_country="SG", shipped_on=date(2025, 6, 1),
          consignee=world["people"][18], end_user=world["people"][18])  # fmt: skip
    book = rulebook()
    enforced = replace(
        book,
        rules=tuple(
            replace(rule, enforcement="in force") if rule.id == "US-AIDIFF-2025" else rule
            for rule in book.rules
        ),
    )
    found = between((Side("law"), Side("framework enforced")), after=enforced)
    assert found.before_digest != found.after_digest
    flips = {(f.before.split(":")[0], f.after.split(":")[0]): f.chips.best for f in found.by_decision}
    assert flips == {("NO_LICENCE", "LICENCE"): 10}
    assert found.chips == ()


def test_what_is_the_same_on_both_sides_flips_nothing(world):
    moved(world, 0, 10)
    found = between((Side("law"), Side("law")))
    assert (found.judged, found.changed, found.by_decision, found.chips) == (1, 0, (), ())
