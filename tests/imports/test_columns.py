"""One cell: understood exactly, or refused with the mend."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.imports.columns import (
    Refused,
    choice,
    country,
    decimal,
    integer,
    iso_date,
    listed,
    near,
    pattern,
    slug,
    text,
    url,
    yes_no,
)

QUANTITY = decimal(20, 3)


def mend(parser, cell: str) -> str:
    with pytest.raises(Refused) as refusal:
        parser(cell)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("12-15", "low and high"),
        ("12 to 15", "low and high"),
        ("12–15", "low and high"),
        ("1.000,00", "nothing between thousands"),
        ("1,000", "nothing between thousands"),
        ("1 000", "nothing between thousands"),
        ("1’000", "nothing between thousands"),
        ("1e5", "instead of an exponent"),
        ("500 chips", "unit column"),
        ("about 500", "note"),
        (">500", "note"),
        ("+5", "plain number"),
        (".5", "plain number"),
        ("5.", "plain number"),
        ("NaN", "plain number"),
        ("Infinity", "plain number"),
        ("٥٠٠", "plain number"),
        ("0x10", "plain number"),
        ("=1+1", "plain number"),
        ("0.1234", "more than 3 decimals"),
        ("1" * 18, "before the point"),
        ("-1", "less than 0"),
    ],
)
def test_a_number_that_is_not_plain_digits_is_refused_with_the_mend(cell, words):
    assert words in mend(QUANTITY, cell)


@given(st.decimals(min_value=0, max_value=10**16, places=3, allow_nan=False, allow_infinity=False))
def test_every_plain_number_is_read_as_exactly_itself(number):
    assert QUANTITY(f"{number:f}") == number


@given(st.text(min_size=1, max_size=12))
def test_any_text_is_either_a_plain_number_or_refused(cell):
    try:
        value = QUANTITY(cell)
    except Refused:
        return
    assert set(cell) <= set("0123456789.")
    assert value == Decimal(cell)


def test_trailing_zeros_are_no_further_decimals():
    assert QUANTITY("5.5000") == Decimal("5.5")


def test_bounds_of_a_number_hold_at_both_ends():
    latitude = decimal(8, 5, least=-90, most=90)
    assert latitude("-90") == -90
    assert latitude("90") == 90
    assert "more than 90" in mend(latitude, "90.00001")
    assert "less than -90" in mend(latitude, "-90.00001")


@pytest.mark.parametrize(
    "cell", ["14.07.2025", "2025-7-14", "2025-02-30", "20250714", "2025-07", "2025-W28-1"]
)
def test_a_date_in_another_form_is_refused(cell):
    assert "2025-07-14" in mend(iso_date, cell)


def test_an_iso_date_is_read():
    assert iso_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("UK", "GB for Britain"),
        ("my", "in capitals: MY"),
        ("Malaysia", "MY for Malaysia"),
        ("XX", "such as MY"),
    ],
)
def test_a_country_that_is_no_iso_code_is_refused_with_the_code_meant(cell, words):
    assert words in mend(country, cell)


def test_the_choices_are_listed_when_none_of_them_is_written():
    assert mend(choice("read", "memory"), "Read") == "write one of: read, memory"


@pytest.mark.parametrize(
    "cell",
    ["example.org/a", "ftp://example.org", "javascript:alert(1)", "http://", "https://a b", "http://["],
)
def test_an_address_that_is_not_http_is_refused(cell):
    assert "http://" in mend(url, cell)


def test_an_address_of_600_characters_is_the_longest():
    longest = "https://example.org/" + "a" * 580
    assert url(longest) == longest
    assert "601 characters" in mend(url, longest + "a")


@pytest.mark.parametrize("cell", ["h100 sxm", "h100/sxm", "naïve", "a.b", "a|b"])
def test_a_short_name_holds_letters_digits_and_hyphens_only(cell):
    assert "short name" in mend(slug(), cell)


def test_a_list_names_each_part_once_and_leaves_none_empty():
    parser = listed(text())
    assert parser("华为 | Huawei Cloud") == ("华为", "Huawei Cloud")
    assert "twice" in mend(parser, "a|a")
    assert "one |" in mend(parser, "a||b")
    assert "one |" in mend(parser, "|a")


def test_yes_and_no_are_the_only_answers():
    assert yes_no("yes") is True
    assert yes_no("no") is False
    assert "yes or no" in mend(yes_no, "TRUE")


def test_whole_numbers_keep_their_bounds():
    parser = integer(1, 8)
    assert parser("8") == 8
    for cell in ("0", "9", "1.0", "１", ""):
        assert "whole number from 1 to 8" in mend(parser, cell)


def test_a_pattern_is_met_from_end_to_end():
    digest = pattern(r"[0-9a-f]{64}", "write 64 digits")
    assert digest("a" * 64)
    assert mend(digest, "a" * 64 + "\n") == "write 64 digits"


def test_text_longer_than_its_column_is_refused_with_both_lengths():
    assert mend(text(3), "four") == "has 4 characters; shorten it to 3 or fewer"


def test_near_matches_are_named_and_distant_ones_are_not():
    assert near("nvidai", ["nvidia", "amd"]) == " Near matches: nvidia."
    assert near("zzz", ["nvidia", "amd"]) == ""
