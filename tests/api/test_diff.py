"""What flips between two sides of the law, asked by address; and the drafts and stored comparisons that can be read."""

from __future__ import annotations

from datetime import UTC, date, datetime

import psycopg
import pytest
from django.utils import timezone

from api import comparisons
from tests import factories
from tests.reconciliation.test_worker_killed import database_url
from tracker import models

ENFORCED = """schema: 1
title: "SYNTHETIC supposition: the framework enforced"
change_rules:
  US-AIDIFF-2025: {enforcement: in force}
"""
DAYS = {"from": "2023-11-16", "to": "2023-11-17", "records": "synthetic"}


def accelerator(slug, **figures):
    maker = models.Organization.objects.filter(slug="nvidia").first() or factories.vendor(
        "nvidia", country="US"
    )
    chip = factories.chip(slug, vendor=maker, marketed_for_datacenters=True, specified=False)
    factories.specification(chip, **figures)
    return chip


@pytest.fixture
def before_all(rules):
    """An instant at which the rules were known and no shipment."""
    return timezone.now()


@pytest.fixture
def moved(api, rules):
    """Two lines to China of a chip that is of no class in 2022 and of level b since."""
    small = accelerator(
        "synthetic-small", fp8_tflops=362, fp16_tflops=None, die_area_mm2=608, io_bandwidth_gbs=64
    )
    for quantity in (1000, 500):
        factories.shipment(
            chip=small, quantity=quantity, is_exact=True, origin_country="TW", destination_country="CN",
            shipped_on=date(2024, 1, 1),
        )  # fmt: skip


@pytest.fixture
def to_singapore(api, rules):
    """A line of a fast chip to a buyer in Singapore."""
    big = accelerator(
        "synthetic-big", fp8_tflops=1979, fp16_tflops=None, die_area_mm2=814, io_bandwidth_gbs=900
    )
    buyer = factories.organization("synthetic-buyer", country="SG")
    factories.stake(factories.organization("synthetic-parent", country="SG"), buyer, 100)
    factories.shipment(
        chip=big, quantity=10, is_exact=True, origin_country="TW", destination_country="SG", consignee=buyer,
        end_user=buyer, shipped_on=date(2025, 6, 1),
    )  # fmt: skip


def test_two_days_are_compared_with_figures_units_sentences_and_links(api, moved):
    found = api.read("rules/diff/", **DAYS)
    assert (found["judged"], found["changed"]) == (2, 2)
    assert (found["records"], found["known_at"]) == ("synthetic", None)
    (row,) = found["by_decision"]
    assert (row["before"], row["lines"]) == ("NO_LICENCE", 2)
    assert row["chips"] == {"low": 1500, "best": 1500, "high": 1500, "unit": "chips"}
    assert row["h100e"]["best"] == pytest.approx(1500 * 2896 / 15832)
    assert (row["tpp"]["unit"], row["h100e"]["unit"]) == ("TOPS x bits", "H100-equivalents")
    chip = next(flip for flip in found["chips"] if flip["chip"] == "synthetic-small")
    assert (chip["before"], chip["after"]) == ("none", "b")
    assert api.response(chip["classification_url"].removeprefix("/api/v1/")).status_code == 200
    assert found["text"].startswith("SYNTHETIC records: the law of 2023-11-16 against the law of 2023-11-17.")
    assert "Of 2 lines judged, 2 come to another decision" in found["text"]
    assert api.rows(found["before"]["rules_url"].removeprefix("/api/v1/"))
    assert found["before"]["digest"] == found["after"]["digest"], "one rule book, asked for two days"
    assert "not legal advice" in found["remarks"][0]


def test_a_draft_is_held_against_the_law_as_it_stands(api, to_singapore):
    factories.rule_draft("enforced", document=ENFORCED)
    found = api.read("rules/diff/", to="draft:enforced", records="synthetic")
    assert found["before"]["name"] == "law"
    assert found["before"]["digest"] != found["after"]["digest"]
    assert [
        (r["before"].split(":")[0], r["after"].split(":")[0], r["lines"]) for r in found["by_decision"]
    ] == [("NO_LICENCE", "LICENCE", 1)]
    assert [row["name"] for row in found["by_consignee"]] == ["Synthetic buyer"]
    assert api.read(found["after"]["draft_url"].removeprefix("/api/v1/"))["document"] == ENFORCED
    on_a_day = api.read(
        "rules/diff/", to="draft:enforced@2025-04-01", records="synthetic", **{"from": "2025-04-01"}
    )
    assert on_a_day["changed"] == 0, "before the framework asked for anything"


def test_only_real_records_and_chips_are_told_unless_others_are_asked_for(api, moved):
    accelerator("real-chip", fp8_tflops=362, fp16_tflops=None, die_area_mm2=608, io_bandwidth_gbs=64)
    found = api.read("rules/diff/", **{"from": "2023-11-16", "to": "2023-11-17"})
    assert (found["judged"], [row["chip"] for row in found["chips"]]) == (0, ["real-chip"])
    assert [row["chip"] for row in api.read("rules/diff/", **DAYS)["chips"]] == ["synthetic-small"]


def test_the_ledger_is_read_as_known_at_an_instant(api, before_all, moved):
    found = api.read("rules/diff/", **DAYS, known_at=before_all.isoformat())
    assert (found["judged"], found["known_at"][:10]) == (0, before_all.isoformat()[:10])


def test_where_no_law_was_known_nothing_is_judged(api, rules):
    refused = api.refused("rules/diff/", **DAYS, known_at="2020-01-01T00:00:00Z")
    assert "there is no law to judge by as known at 2020-01-01" in refused["message"]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ({}, "to", "to is missing"),
        ({"from": "2023-11-16"}, "to", "draft:NAME"),
        ({"to": "yesterday"}, "to", "'yesterday' is no side of a comparison"),
        ({"from": "2023-02-30", "to": "law"}, "from", "'2023-02-30' is no side"),
        ({"to": "draft:none"}, "to", "There is no draft of rules 'none'"),
        ({"from": "draft:none", "to": "2024-01-01"}, "from", "There is no draft of rules 'none'"),
        ({"to": "2024-01-01", "records": "all"}, "records", "write real or synthetic"),
        ({"to": "2024-01-01", "known_at": "2999-01-01"}, "known_at", "lies in the future"),
        ({"to": "2024-01-01", "on": "2024-01-01"}, "on", "Unknown parameter"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_by_field_and_mend(api, query, field, words):
    assert words in api.refused("rules/diff/", **query)["fields"][field][0]


def test_two_sides_that_are_one_are_refused(api):
    assert "nothing can flip" in api.refused("rules/diff/", to="law")["message"]


def test_a_draft_that_cannot_be_read_is_told_with_its_place(api, rules):
    factories.rule_draft("broken", document="schema: 1\ntitle: SYNTHETIC\nremove_rows: [7]\n")
    message = api.refused("rules/diff/", to="draft:broken")["message"]
    assert "draft broken: field 'remove_rows' is [7]; write a list of orders" in message


def test_an_answer_that_takes_too_long_is_broken_off_and_told_so(api, rules, monkeypatch):
    monkeypatch.setattr(comparisons, "PATIENCE_SECONDS", 0.2)
    with psycopg.connect(database_url()) as brake:
        brake.execute("LOCK TABLE tracker_shipment IN ACCESS EXCLUSIVE MODE")
        assert api.refused("rules/diff/", 503, **DAYS)["code"] == "too_slow"


def test_neither_question_is_taken_for_the_name_of_a_rule(api, rules):
    assert api.read("rules/US-NAC/")["rule_id"] == "US-NAC"
    assert "to" in api.refused("rules/diff/")["fields"]
    assert api.response("rules/evaluate/").status_code == 405


def test_it_counts_as_an_export(api, settings):
    rates = {"export": "1/hour"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    assert api.response("rules/diff/").status_code == 400
    assert api.refused("rules/diff/", 429)["code"] == "throttled"


def test_drafts_are_read_with_their_versions(api, db):
    draft = factories.rule_draft("synthetic-draft", source=factories.source())
    draft.note = "changed"
    draft.save()
    assert api.read("rule-drafts/synthetic-draft/")["source"]["slug"] == "synthetic-source"
    assert [v["version"] for v in api.read("rule-drafts/synthetic-draft/versions/")["versions"]] == [1, 2]


def test_a_sum_in_which_no_line_could_be_counted_is_null_and_not_nothing(api, db):
    unknown, none = factories.flip(h100e=0, uncounted=2), factories.flip(h100e=0)
    factories.rule_comparison("2026-03-01-1", found=factories.comparison(by_decision=(unknown, none)))
    rows = api.read("rule-comparisons/2026-03-01-1/")["diff"]["by_decision"]
    assert rows[0]["h100e"] == {"low": None, "best": None, "high": None, "unit": "H100-equivalents"}
    assert rows[1]["h100e"]["best"] == 0


def test_a_stored_comparison_shows_what_flips_once_it_is_finished(api, db):
    factories.rule_comparison("2026-03-01-1")
    factories.rule_comparison("2026-03-01-2", status="queued", result={}, finished_at=None)
    kept = api.read("rule-comparisons/2026-03-01-1/")
    assert kept["diff"]["by_decision"][0]["h100e"] == {
        "low": 900,
        "best": 1000,
        "high": 1100,
        "unit": "H100-equivalents",
    }
    assert (kept["diff"]["left_off"]["by_consignee"], kept["diff"]["after"]["day"]) == (3, "2023-11-17")
    assert datetime.fromisoformat(kept["diff"]["known_at"]) == datetime(2026, 3, 1, tzinfo=UTC)
    assert api.read("rule-comparisons/2026-03-01-2/")["diff"] is None
    assert [row["key"] for row in api.rows("rule-comparisons/", status="queued")] == ["2026-03-01-2"]
    assert "requested_by" not in kept
    assert timezone.now() > datetime.fromisoformat(kept["created_at"])
