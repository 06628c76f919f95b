"""Rule sets on a day: half-open periods, country groups with their dates, intervals and digests."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from tracker.rules.parameters import Status


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [("US-3A090-2022", "2022-10-21", "2023-11-16"), ("US-LETTER-2022-08-NVDA-AMD", "2022-08-26", "2022-10-20"),
     ("US-LETTER-2023-10-NVDA", "2023-10-23", "2023-11-16")],
)  # fmt: skip
def test_a_rule_holds_on_its_first_and_last_day_and_not_beside_them(book, rule, first, last):
    first, last, one = date.fromisoformat(first), date.fromisoformat(last), timedelta(days=1)
    holds = [book.on(day).rule(rule) is not None for day in (first - one, first, last, last + one)]
    assert holds == [False, True, True, False]


@pytest.mark.parametrize(
    ("day", "status"),
    [("2025-09-28", Status.NOT_IN_FORCE), ("2025-09-29", Status.ACTIVE), ("2025-11-09", Status.ACTIVE),
     ("2025-11-10", Status.STAYED), ("2026-11-09", Status.STAYED), ("2026-11-10", Status.UNCONFIRMED)],
)  # fmt: skip
def test_the_affiliates_rule_is_active_then_stayed_then_unconfirmed(book, day, status):
    assert book.on(date.fromisoformat(day)).status("US-AFFILIATES-2025") == status


def test_a_text_that_is_not_enforced_says_so(book):
    assert book.on(date(2025, 6, 1)).status("US-AIDIFF-2025") == Status.NOT_ENFORCED


def test_the_licence_destinations_of_the_first_day_are_forty_four_countries_and_macau(book):
    groups = book.on(date(2023, 12, 4)).groups
    everyone = {country for members in groups.groups.values() for country in members}
    inside = {c for c in everyone if groups.holds(c, "adv_computing_licence_destinations")}
    assert len(inside - {"MO"}) == 44
    assert "MO" in inside
    assert {"IL", "CY", "TW"} & inside == set()


@pytest.mark.parametrize(
    ("country", "name", "before", "day"),
    [("NI", "D:5", False, "2024-03-15"), ("KH", "D:5", True, "2025-11-07"), ("AE", "D:4", True, "2026-07-10"),
     ("AE", "A:5", False, "2026-07-10")],
)  # fmt: skip
def test_a_membership_changes_on_its_day(book, country, name, before, day):
    day = date.fromisoformat(day)
    assert book.on(day - timedelta(days=1)).groups.holds(country, name) is before
    assert book.on(day).groups.holds(country, name) is not before


def test_hong_kong_is_china_and_macau_and_taiwan_are_themselves(book):
    groups = book.on(date(2024, 6, 1)).groups
    assert groups.holds("HK", "macau_or_d5") is True
    assert groups.holds("MO", "macau_or_d5") is True
    assert groups.holds("MO", "D:5") is False
    assert groups.holds("TW", "macau_or_d5") is False
    assert groups.holds("HK", "CN") is True


def test_a_contested_membership_and_an_unknown_country_are_neither_in_nor_out(book):
    groups = book.on(date(2024, 6, 1)).groups
    assert groups.holds("CY", "macau_or_d5") is None
    assert groups.holds("", "macau_or_d5") is None
    assert groups.holds("CY", "adv_computing_licence_destinations") is False  # taken out by A:6 either way


def test_norway_is_a_country(book):
    assert book.on(date(2024, 6, 1)).groups.holds("NO", "A:5") is True


def test_a_group_nobody_defined_is_an_error_and_not_an_empty_one(book):
    with pytest.raises(KeyError, match="D:9"):
        book.on(date(2024, 6, 1)).groups.holds("CN", "D:9")


def test_between_two_days_of_change_the_digest_stays_and_over_one_it_changes(book):
    days = [day for day in book.change_days() if day >= date(2022, 8, 1)]
    for day in days:
        assert book.on(day).digest != book.on(day - timedelta(days=1)).digest, day
    for first, following in pairwise(days):
        assert book.on(first).digest == book.on(following - timedelta(days=1)).digest
