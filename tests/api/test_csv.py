"""Lists as CSV: all rows of the filter, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest

from tests import factories


def _rows(response):
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_a_csv_holds_all_rows_of_the_filter_in_order(api):
    for number in range(120):
        factories.source(f"synthetic-{number:03}", grade="A" if number % 2 else "B")
    response = api.response("sources/", format="csv", grade="A", ordering="-slug")
    slugs = [row["slug"] for row in _rows(response)]
    assert slugs == [f"synthetic-{number:03}" for number in range(119, 0, -2)]
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="sources.csv"'


def test_a_csv_row_holds_what_the_json_row_holds(api, world):
    (shown, _) = api.rows("claims/")
    (row, _) = _rows(api.response("claims/", format="csv"))
    assert row["slug"] == shown["slug"]
    assert float(row["quantity_best"]) == shown["quantity"]["best"]
    assert row["quantity_unit"] == shown["quantity"]["unit"]
    assert row["period_end"] == shown["period"]["end"]
    assert row["source_url"] == shown["source"]["url"]
    assert row["counterparty_slug"] == ""
    assert row["is_synthetic"] == "t"
    assert row["version"] == "1"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(api, start):
    factories.source("synthetic-formula", title=f"{start}1+1", note="harmless = text")
    (row,) = _rows(api.response("sources/", format="csv"))
    assert row["title"] == f"'{start}1+1"
    assert row["note"] == "harmless = text"


def test_a_formula_cannot_hide_in_a_list(api):
    factories.organization("synthetic-listed", roles=["@SUM(A1)", "other"])
    (row,) = _rows(api.response("organizations/", format="csv"))
    assert row["roles"] == "'@SUM(A1); other"


def test_negative_figures_stay_figures(api):
    factories.finding(factories.run(), gap=-400.0)
    (row,) = _rows(api.response("findings/", format="csv"))
    assert float(row["gap"]) == -400


def test_commas_quotes_and_line_ends_survive(api):
    title = 'A "quoted", synthetic\ntitle'
    factories.source("synthetic-quotes", title=title)
    (row,) = _rows(api.response("sources/", format="csv"))
    assert row["title"] == title


def test_a_csv_of_nothing_is_a_header(api):
    response = api.response("claims/", format="csv")
    assert b"".join(response.streaming_content).decode().startswith("id,slug,kind,")


def test_a_csv_of_the_past_holds_the_past(api):
    from django.utils import timezone

    source = factories.source("synthetic-renamed", title="Before")
    before = timezone.now().isoformat()
    source.title = "After"
    source.save()
    assert [row["title"] for row in _rows(api.response("sources/", format="csv", known_at=before))] == [
        "Before"
    ]


@pytest.mark.django_db(transaction=True)
def test_a_reader_who_leaves_in_the_middle_does_not_hold_the_connection(api):
    for number in range(150):
        factories.source(f"synthetic-{number}", note="x" * 1000)
    response = api.response("sources/", format="csv")
    assert next(iter(response.streaming_content)).startswith(b"id,slug,")
    response.close()
    assert len(api.rows("sources/")) == 50


def test_what_a_client_accepts_chooses_too(api):
    factories.source("synthetic-accepted")
    response = api.client.get("/api/v1/sources/", headers={"accept": "text/csv"})
    assert [row["slug"] for row in _rows(response)] == ["synthetic-accepted"]


def test_more_rows_than_fit_are_refused_rather_than_cut(api, monkeypatch):
    monkeypatch.setattr("api.export.LARGEST_EXPORT", 2)
    for number in range(3):
        factories.source(f"synthetic-{number}")
    assert "narrow the filter" in api.refused("sources/", format="csv")["message"]
    assert len(_rows(api.response("sources/", format="csv", slug__in="synthetic-0,synthetic-1"))) == 2


def test_a_wrong_parameter_is_told_in_json_though_csv_was_asked_for(api):
    response = api.response("sources/", format="csv", grade="F")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"


def test_every_resource_can_be_had_as_csv(api, world):
    from api.viewsets import RESOURCES

    for name in RESOURCES:
        if name != "versions":
            assert _rows(api.response(f"{name}/", format="csv")), name
