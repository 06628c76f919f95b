"""What single resources show beyond their columns."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests import factories


def test_a_chip_shows_each_source_and_the_figures_that_follow(api, world):
    factories.specification(
        world.chip, rank=2, source=factories.source("another-source"), fp8_tflops=None, fp16_tflops=None,
        die_area_mm2=None, tpp_published=7900,
    )  # fmt: skip
    first, second = api.read("chips/synthetic-chip/")["specifications"]
    assert first["derived"]["tpp"]["low"] == 8000
    assert first["derived"]["tpp"]["derivation"] == "TPP 8,000.0 = 1,000.0 dense fp8 TOPS x 8 bits"
    assert first["derived"]["performance_density"]["low"] == 10
    assert first["derived"]["h100_equivalents"]["low"] == pytest.approx(8000 / 15832)
    assert first["source"]["slug"] == "synthetic-source"
    assert second["derived"]["tpp"]["basis"] == "published"
    assert second["derived"]["performance_density"] is None
    assert "die_area_mm2" in second["derived"]["missing"]


def test_a_specification_of_its_own_shows_the_same_figures(api, world):
    (within,) = api.read("chips/synthetic-chip/")["specifications"]
    alone = api.read(f"specifications/{within['id']}/")
    assert alone["derived"] == within["derived"]


def test_vendors_are_the_organizations_that_design_chips(api, world):
    assert [row["slug"] for row in api.rows("vendors/")] == ["synthetic-vendor"]
    assert api.refused("vendors/synthetic-operator/", 404)["code"] == "not_found"


def test_an_organization_is_found_by_an_alias_once_though_two_fit(api, world):
    factories.alias(world.operator, "Synthetic trading name")
    factories.alias(world.operator, "Synthetic trading name Ltd")
    assert [row["slug"] for row in api.rows("organizations/", search="TRADING name")] == [
        "synthetic-operator"
    ]


def test_an_organization_shows_aliases_owners_holdings_and_listings(api, world):
    operator = api.read("organizations/synthetic-operator/")
    assert [row["name"] for row in operator["aliases"]] == ["合成运营商"]
    assert [(row["owner"]["slug"], row["share_percent"]) for row in operator["owners"]] == [
        ("synthetic-parent", 100)
    ]
    assert (
        api.read("organizations/synthetic-parent/")["stakes_held"][0]["owned"]["slug"] == "synthetic-operator"
    )
    assert api.read("organizations/synthetic-reseller/")["list_entries"][0]["list_name"] == "Entity List"


def test_roles_are_filtered_by_what_a_list_holds(api, world):
    assert [row["slug"] for row in api.rows("organizations/", roles="intermediary")] == ["synthetic-reseller"]


def test_a_data_center_shows_power_status_and_what_lies_inside(api, world):
    from tracker.models import DataCenterPart

    DataCenterPart.objects.create(whole=world.site, part=world.other_site)
    site = api.read("data-centers/synthetic-site/")
    assert [(row["megawatts"], row["source"]["slug"]) for row in site["powers"]] == [
        (100, "synthetic-source")
    ]
    assert [row["status"] for row in site["statuses"]] == ["operational"]
    assert [row["part"]["slug"] for row in site["parts"]] == ["synthetic-other-site"]
    assert [row["slug"] for row in api.rows("data-centers/", inside="synthetic-site")] == [
        "synthetic-other-site"
    ]


def test_a_shipment_shows_parties_places_and_the_claims_behind_it(api, world):
    shipment = api.read("shipments/synthetic-shipment/")
    assert shipment["amount"]["quantity"] == 100
    assert shipment["amount"]["unit"] == "chips"
    assert shipment["shipped"] == {"first": "2025-06-01", "last": None, "presumed": False}
    assert shipment["destination"]["slug"] == "synthetic-site"
    assert shipment["licence"]["reference"] == "synthetic-licence"
    assert [row["claim"]["slug"] for row in shipment["claims"]] == ["synthetic-claim"]


def test_a_licence_shows_what_it_allows_and_is_found_by_chip(api, world):
    assert api.read("licences/synthetic-licence/")["items"][0]["quantity"] == 1000
    assert [row["reference"] for row in api.rows("licences/", chip="synthetic-chip")] == ["synthetic-licence"]
    assert api.rows("licences/", chip="synthetic-other-chip") == []


@pytest.mark.parametrize(("day", "found"), [("2023-12-31", 0), ("2024-01-01", 1), ("2025-05-05", 1)])
def test_rules_are_asked_for_by_day(api, world, day, found):
    assert len(api.rows("rules/", on=day)) == found


def test_the_day_a_rule_ends_belongs_to_the_next_version(api, db):
    factories.export_rule("SYNTHETIC-TWICE", in_force=(date(2022, 1, 1), date(2023, 1, 1)), title="Old")
    factories.export_rule("SYNTHETIC-TWICE", in_force=(date(2023, 1, 1), None), title="New")
    assert [row["title"] for row in api.rows("rules/", rule_id="SYNTHETIC-TWICE", on="2023-01-01")] == ["New"]
    assert api.read("rules/SYNTHETIC-TWICE/")["title"] == "New"
    assert api.rows("rules/", on="2022-06-01")[0]["in_force"] == {
        "since": "2022-01-01",
        "until": "2023-01-01",
    }


def test_a_rule_shows_its_stays(api, world):
    (interval,) = api.read("rules/SYNTHETIC-RULE/")["intervals"]
    assert (interval["status"], interval["period"]) == (
        "stayed",
        {"since": "2024-06-01", "until": "2024-09-01"},
    )


def test_members_of_a_country_group_are_asked_for_by_group_and_day(api, world):
    rows = api.rows("country-members/", group="synthetic:5", on="2024-01-01")
    assert [row["country"] for row in rows] == ["CN", "MO"]
    assert [row["country"] for row in api.read("country-groups/synthetic:5/")["members"]] == ["CN", "MO"]


def test_evidence_leads_to_the_record_and_to_the_exact_version_that_was_read(api, world):
    from tracker.models import Claim

    Claim.objects.filter(slug="synthetic-claim").update(best=1050)
    (finding,) = api.rows("findings/")
    evidence = api.read(f"findings/{finding['id']}/")["evidence"][0]
    assert api.read(evidence["record_url"].removeprefix("/api/v1/"))["quantity"]["best"] == 1050
    response = api.client.get(evidence["version_url"])
    (version,) = response.json()["versions"]
    assert (version["version"], version["row"]["best"]) == (1, 1000)


def test_a_discrepancy_shows_its_latest_finding_and_those_of_all_runs(api, world):
    factories.finding(factories.run("synthetic-later-run"), gap=300.0, reported=900.0)
    (row,) = api.rows("discrepancies/")
    assert (row["first_run"]["key"], row["last_run"]["key"]) == ("synthetic-run", "synthetic-later-run")
    assert row["latest"]["gap"] == 300
    assert [finding["gap"] for finding in api.read(f"discrepancies/{row['id']}/")["findings"]] == [400, 300]


def test_findings_are_filtered_by_run_and_severity(api, world):
    assert len(api.rows("findings/", run="synthetic-run", severity="high")) == 1
    assert api.rows("findings/", run="synthetic-run", severity="low") == []
    assert api.rows("findings/", run="another-run") == []


def test_names_of_staff_are_not_shown(api, world):
    assert "requested_by" not in api.rows("runs/")[0]
    assert "assignee" not in api.rows("discrepancies/")[0]


@pytest.mark.parametrize(("kind", "content_type"), [("html", "text/html"), ("csv", "text/csv")])
def test_a_report_is_handed_out_byte_for_byte(api, world, kind, content_type):
    (report,) = api.rows("reports/")
    response = api.response(f"reports/{report['id']}/{kind}/")
    from tracker.models import Report

    assert response.content.decode() == getattr(Report.objects.get(), kind)
    assert response["Content-Type"].startswith(content_type)
    assert response["Content-Disposition"] == f'attachment; filename="report-synthetic-run.{kind}"'
    assert response["ETag"] == f'"{report[f"{kind}_sha256"]}"'


def test_an_import_shows_what_was_wrong(api, world):
    from tracker.models import ImportProblem, ImportRun

    ImportProblem.objects.create(
        run=ImportRun.objects.get(), file="claims.csv", row=3, column="unit", message="No such unit."
    )
    assert api.read("imports/synthetic-import/")["problems"][0]["message"] == "No such unit."


def test_a_discrepancy_tells_its_age_by_the_last_run_and_its_life_without_names(api, world):
    from django.contrib.auth.models import User

    from tests import factories
    from tracker.models import Discrepancy
    from tracker.reviews.services import assign, resolve

    item, zhang = Discrepancy.objects.get(), User.objects.create_user("zhang")
    later = {"as_of": date(2026, 6, 30), "as_known_at": datetime(2026, 7, 1, tzinfo=UTC)}
    factories.run("synthetic-later", parameters={"records": "real"}, **later)
    assign(item, zhang, zhang)

    # opened on 2026-03-01; due 90 days after 2026-02-28
    shown = api.read(f"discrepancies/{item.pk}/")
    assert (shown["due_on"], shown["age_days"], shown["is_overdue"], shown["history"]) == (
        "2026-05-29", 121, True, [],
    )  # fmt: skip
    resolve(item, zhang, "timing", "The chips were under way until March.")
    shown = api.read(f"discrepancies/{item.pk}/")
    assert not shown["is_overdue"]
    (event,) = shown["history"]
    assert (event["run"], event["before"], event["after"], event["reason"]) == (
        None,
        "new",
        "resolved",
        "timing",
    )
    assert "zhang" not in str(event)
    assert [note["text"] for note in shown["notes"]] == ["Asked the operator for its receiving report."]
    assert "written_by" not in shown["notes"][0]


def test_what_is_overdue_and_what_nobody_looks_into_can_be_listed(api, world):
    from tracker.models import Discrepancy

    def listed(**query):
        return len(api.rows("discrepancies/", **query))

    assert (listed(overdue="true"), listed(overdue="false")) == (1, 0)
    Discrepancy.objects.update(due_on=date(2999, 1, 1))
    assert (listed(overdue="true"), listed(overdue="false")) == (0, 1)
    Discrepancy.objects.update(due_on=None)
    assert (listed(overdue="true"), listed(overdue="false")) == (0, 1)
    assert (listed(assignee__isnull="true"), listed(assignee__isnull="false")) == (1, 0)
