"""Reading the ledger as it was known at an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from tests import factories
from tracker.core.services import recording
from tracker.models import Alias, Claim, Organization, OwnershipStake, Source


@pytest.fixture
def corrected(world):
    """A claim corrected from 1,000 to 1,200, its source and its subject renamed; the instant before it."""
    before = timezone.now()
    with recording("synthetic analyst", "misread the page", batch="synthetic-batch"):
        Claim.objects.filter(slug="synthetic-claim").update(best=1200, high=1300)
        Source.objects.filter(slug="synthetic-source").update(title="Corrected title")
        Organization.objects.filter(slug="synthetic-operator").update(name="Renamed operator")
    return before


def test_a_detail_shows_the_version_of_that_instant_with_references_of_that_instant(api, corrected):
    then = api.read("claims/synthetic-claim/", known_at=corrected.isoformat())
    now = api.read("claims/synthetic-claim/")
    assert (then["quantity"]["best"], then["version"]) == (1000, 1)
    assert (now["quantity"]["best"], now["version"]) == (1200, 2)
    assert (then["source"]["title"], now["source"]["title"]) == ("Synthetic source", "Corrected title")
    assert (then["subject"]["name"], now["subject"]["name"]) == ("Synthetic operator", "Renamed operator")


def test_a_list_filters_and_searches_by_the_values_of_that_instant(api, corrected):
    at = corrected.isoformat()
    assert len(api.rows("claims/", best__lte=1000, known_at=at)) == 1
    assert api.rows("claims/", best__lte=1000) == []
    assert len(api.rows("organizations/", search="Renamed")) == 1
    assert api.rows("organizations/", search="Renamed", known_at=at) == []


def test_child_tables_are_those_of_that_instant(api, world):
    before = timezone.now()
    Alias.objects.all().delete()
    OwnershipStake.objects.update(share_percent=60)
    then = api.read("organizations/synthetic-operator/", known_at=before.isoformat())
    now = api.read("organizations/synthetic-operator/")
    assert ([row["name"] for row in then["aliases"]], now["aliases"]) == (["合成运营商"], [])
    assert (then["owners"][0]["share_percent"], now["owners"][0]["share_percent"]) == (100, 60)


def test_a_search_over_aliases_reads_those_of_that_instant(api, world):
    before = timezone.now().isoformat()
    Alias.objects.all().delete()
    assert [row["slug"] for row in api.rows("organizations/", search="合成", known_at=before)] == [
        "synthetic-operator"
    ]
    assert api.rows("organizations/", search="合成") == []


def test_a_filter_over_child_tables_reads_those_of_that_instant(api, world):
    before = timezone.now().isoformat()
    world.family.memberships.all().delete()
    assert len(api.rows("chips/", family="synthetic-family", known_at=before)) == 2
    assert api.rows("chips/", family="synthetic-family") == []


def test_derived_figures_follow_the_specification_of_that_instant(api, world):
    before = timezone.now().isoformat()
    world.chip.specifications.update(fp8_tflops=2000)

    def figure(**query):
        return api.read("chips/synthetic-chip/", **query)["specifications"][0]["derived"]["tpp"]["low"]

    assert (figure(known_at=before), figure()) == (8000, 16000)


def test_a_record_is_not_there_before_it_was_recorded_and_still_there_after_it_was_deleted(api, world):
    claim = factories.claim("synthetic-short-lived")
    before_deletion = timezone.now().isoformat()
    claim.delete()
    assert (
        api.read("claims/synthetic-short-lived/", known_at=before_deletion)["slug"] == "synthetic-short-lived"
    )
    assert (
        "as known at"
        in api.refused("claims/synthetic-claim/", 404, known_at="2020-01-01T00:00:00Z")["message"]
    )


def test_the_answer_says_which_instant_it_holds_for(api, world):
    response = api.response("claims/", known_at="2020-01-01T12:00:00+02:00")
    assert response.json()["known_at"] == "2020-01-01T10:00:00Z"
    assert response["X-Known-At"] == "2020-01-01T10:00:00+00:00"
    assert api.read("claims/")["known_at"] is None


def test_a_date_alone_means_the_end_of_that_day(api, world):
    yesterday = timezone.now().date() - timedelta(days=1)
    assert api.read("claims/", known_at=yesterday.isoformat())["known_at"].startswith(
        f"{yesterday}T23:59:59.999999"
    )


def test_today_is_not_over_and_the_future_is_not_known(api):
    today = datetime.now(UTC).date()
    assert "The day is not over yet" in api.refused("claims/", known_at=today.isoformat())["message"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert "lies in the future" in api.refused("claims/", known_at=tomorrow.isoformat())["message"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-03-01T00:00:00",
        "2026-03-01T00:00:00 01:00",
        "0001-01-01T00:00:00+23:00",
    ],
)
def test_what_is_not_an_instant_is_refused_with_how_to_write_one(api, text):
    error = api.refused("claims/", known_at=text)
    assert "2026-03-01T00:00:00Z" in error["fields"]["known_at"][0]


@pytest.mark.parametrize(
    "name", ["runs", "findings", "cells", "reports", "imports", "versions", "discrepancies"]
)
def test_a_resource_without_versions_says_so(api, name):
    assert "keeps no versions" in api.refused(f"{name}/", known_at="2026-01-01")["message"]


def test_all_versions_of_a_record_tell_who_why_and_in_which_batch(api, corrected):
    first, second = api.read("claims/synthetic-claim/versions/")["versions"]
    assert (first["version"], second["version"]) == (1, 2)
    assert (first["row"]["best"], second["row"]["best"]) == (1000, 1200)
    assert first["superseded_by"] == second["recorded_by"] == "synthetic analyst"
    assert first["superseded_reason"] == second["recorded_reason"] == "misread the page"
    assert second["recorded_batch"] == "synthetic-batch"
    assert first["superseded_at"] == second["recorded_at"]
    assert second["superseded_at"] is None
    assert set(first["row"]) == set(second["row"])


def test_one_version_can_be_asked_for(api, corrected):
    claim = api.read("claims/synthetic-claim/")
    only = api.read(f"records/claim/{claim['id']}/", version=1)["versions"]
    assert [row["version"] for row in only] == [1]
    assert api.refused(f"records/claim/{claim['id']}/", 404, version=9)["code"] == "not_found"
    assert "version" in api.refused(f"records/claim/{claim['id']}/", version="x")["fields"]


def test_the_versions_of_a_deleted_record_are_found_by_its_id(api):
    claim = factories.claim(period_end=date(2025, 1, 1))
    number = claim.pk
    claim.delete()
    (last,) = api.read(f"claims/{number}/versions/")["versions"]
    assert last["operation"] == "delete"


def test_a_table_shown_only_within_others_has_its_history_too(api, world):
    power = world.site.powers.get()
    power.megawatts = 150
    power.save()
    versions = api.read(f"records/sitepower/{power.pk}/")["versions"]
    assert [row["row"]["megawatts"] for row in versions] == [100, 150]
    assert "sitepower" in api.refused("records/user/1/", 404)["message"]


def test_superseded_versions_are_listed_by_record_and_by_batch(api, corrected):
    claim = api.read("claims/synthetic-claim/")
    (row,) = api.rows("versions/", table="claim", object_id=claim["id"])
    assert (row["version"], row["superseded_by"]) == (1, "synthetic analyst")
    assert len(api.rows("versions/", superseded_batch="synthetic-batch")) == 3
