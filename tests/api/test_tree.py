"""The tree below a finding, as data."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def finding(world):
    claim = factories.claim(
        "tree-claim", original_text="a thousand chips", data_center=world.site, chip=world.chip
    )
    lines = [factories.shipment(f"tree-line-{n}", chip=world.chip, destination=world.site) for n in range(3)]
    run = factories.run("tree-run", as_known_at=timezone.now())
    return factories.finding(run, evidence=(claim, *lines), counterpart="tree")


def test_the_tree_of_a_finding_leads_to_record_and_source(api, finding):
    body = api.read(f"findings/{finding.pk}/tree/")
    assert (body["finding"], body["run"], body["next"]) == (finding.pk, "tree-run", None)
    (term,) = body["tree"]["children"]
    claim = term["children"][0]
    assert claim["record"] == {"model": "claim", "id": claim["record"]["id"], "version": 1}
    assert claim["children"][0]["said"] == "a thousand chips"
    assert claim["children"][0]["source"]["slug"] == "synthetic-source"
    assert api.response(claim["api_url"].removeprefix("/api/v1/")).status_code == 200


def test_the_tree_of_a_discrepancy_is_that_of_its_latest_finding(api, finding):
    assert api.read(f"discrepancies/{finding.discrepancy_id}/tree/") == api.read(
        f"findings/{finding.pk}/tree/"
    )


def test_a_long_tree_comes_in_pages(api, finding):
    first = api.read(f"findings/{finding.pk}/tree/", limit=3)
    assert first["tree"]["left_out"] == 1
    rest = api.read(first["next"])
    assert [row["label"] for row in rest["tree"]["children"][0]["children"]] == ["tree-line-2"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("name", "value"), [("limit", 0), ("limit", 501), ("after", "x"), ("colour", 1), ("known_at", 1)]
)
def test_a_page_that_cannot_be_meant_is_refused(api, finding, name, value):
    assert name in api.refused(f"findings/{finding.pk}/tree/", **{name: value})["fields"]


def test_a_finding_of_a_run_that_has_not_finished_has_no_tree(api):
    going = factories.finding(factories.run(status="running"), tracked=False)
    assert "finished run" in api.refused(f"findings/{going.pk}/tree/", 404)["message"]


def test_a_discrepancy_without_a_finding_has_no_tree(api):
    assert (
        api.refused(f"discrepancies/{factories.discrepancy(factories.run()).pk}/tree/", 404)["code"]
        == "not_found"
    )
