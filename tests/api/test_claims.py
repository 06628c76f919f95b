"""Claims: a figure leaves with range, unit, period, source and grade."""

from __future__ import annotations

from datetime import date

import pytest

from tests import factories


def test_a_figure_leaves_with_range_unit_period_source_and_grade(api, world):
    claim = api.read("claims/synthetic-claim/")
    assert claim["quantity"] == {
        "low": 900, "best": 1000, "high": 1100, "bound": "", "is_exact": False, "unit": "chips", "chips_per_unit": None,
    }  # fmt: skip
    assert claim["period"] == {"start": None, "end": "2025-12-31"}
    assert claim["grade"] == "C"
    assert claim["source"]["title"] == "Synthetic source"
    assert claim["source"]["url"] == "https://example.org/synthetic-source"
    assert claim["is_synthetic"] is True
    assert claim["version"] == 1
    assert claim["recorded_at"]


def test_a_reference_that_is_not_there_is_null_and_one_that_is_leads_on(api, world):
    claim = api.read("claims/synthetic-claim/")
    assert claim["counterparty"] is None
    assert api.read(claim["subject"]["api_url"].removeprefix("/api/v1/"))["slug"] == "synthetic-operator"


def test_a_claim_in_words_only_has_no_figures(api):
    factories.claim("synthetic-words", bound="words")
    quantity = api.read("claims/synthetic-words/")["quantity"]
    assert (quantity["low"], quantity["best"], quantity["high"], quantity["bound"]) == (
        None,
        None,
        None,
        "words",
    )


def test_a_fraction_stays_a_fraction(api):
    factories.claim("synthetic-fraction", best="12.375")
    assert api.read("claims/synthetic-fraction/")["quantity"]["best"] == 12.375


def test_the_detail_shows_conflicts_from_both_sides_and_the_shipments_it_documents(api, world):
    claim = api.read("claims/synthetic-claim/")
    assert [row["other"]["slug"] for row in claim["conflicts"]] == ["synthetic-other-claim"]
    assert [row["shipment"]["reference"] for row in claim["shipments"]] == ["synthetic-shipment"]
    other = api.read("claims/synthetic-other-claim/")
    assert [row["claim"]["slug"] for row in other["conflicts_stated_by_others"]] == ["synthetic-claim"]


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ({"subject": "synthetic-operator"}, ["synthetic-claim", "synthetic-other-claim"]),
        ({"chip": "synthetic-chip"}, ["synthetic-claim"]),
        ({"family": "synthetic-family"}, ["synthetic-other-claim"]),
        ({"chip": "synthetic-chip,synthetic-other-chip"}, ["synthetic-claim"]),
        ({"bound": "floor"}, ["synthetic-other-claim"]),
        ({"best__gte": 1000}, ["synthetic-claim"]),
        ({"best__isnull": "true"}, ["synthetic-other-claim"]),
        ({"period_end__lte": "2025-12-30"}, []),
        ({"grade__in": "A,C"}, ["synthetic-claim", "synthetic-other-claim"]),
        ({"grade__in": "A,B"}, []),
        ({"search": "OTHER-claim"}, ["synthetic-other-claim"]),
    ],
)
def test_filters_narrow_the_list(api, world, query, slugs):
    assert [row["slug"] for row in api.rows("claims/", **query)] == slugs


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"grade": "F"}, "grade"),
        ({"grade__in": "A,F"}, "grade__in"),
        ({"period_end": "yesterday"}, "period_end"),
        ({"best__gte": "many"}, "best__gte"),
        ({"destination_country": "Malaysia"}, "destination_country"),
        ({"search": "x"}, "search"),
        ({"slug__in": ",".join(["a"] * 101)}, "slug__in"),
        ({"method": "x" * 2001}, "method"),
        ({"method": "a\x00b"}, "method"),
    ],
)
def test_a_filter_value_that_cannot_be_meant_is_refused_by_name(api, query, field):
    error = api.refused("claims/", **query)
    assert field in error["fields"]
    assert error["message"]


def test_a_filter_given_twice_is_refused(api):
    assert api.response("claims/?grade=A&grade=B").status_code == 400


def test_a_claim_is_found_by_slug_and_by_id(api, world):
    by_slug = api.read("claims/synthetic-claim/")
    assert api.read(f"claims/{by_slug['id']}/") == by_slug


def test_a_slug_of_digits_goes_before_an_id(api):
    one = factories.claim("synthetic-one")
    numbered = factories.claim(str(one.pk), period_end=date(2024, 1, 1))
    assert api.read(f"claims/{one.pk}/")["id"] == numbered.pk


def test_what_is_not_there_is_told_in_one_shape(api):
    error = api.refused("claims/no-such-claim/", 404)
    assert error == {"code": "not_found", "message": "There is no claim 'no-such-claim'."}
    assert api.refused("claims/999999999999999999999/", 404)["code"] == "not_found"
