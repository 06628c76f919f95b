"""What holds for every resource: it lists, shows, filters, counts its queries and refuses what it does not understand."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from api.rows import plan
from api.viewsets import RESOURCES
from tests import factories
from tracker import models

NAMES = sorted(RESOURCES)
PARTS = {
    "Alias": "organizations", "ChipFamilyMember": "chip-families", "ClaimConflict": "claims", "DataCenterPart": "data-centers",
    "BalanceArea": "cells", "BalanceScope": "cells", "DataCenterStatus": "data-centers", "DataCenterUser": "data-centers",
    "DiscrepancyEvent": "discrepancies", "DiscrepancyNote": "discrepancies", "Evidence": "findings", "ImportProblem": "imports",
    "LicenceItem": "licences", "ListVersion": "screening-lists", "ListedName": "listed-parties",
    "RuleInterval": "rules", "ShipmentClaim": "shipments", "SitePower": "data-centers",
}  # fmt: skip
"""Tables shown within the details of another."""

MARKS = {"ScreenedOrganization", "ScreenedParty"}
"""Which state of a record was screened last, and how a book's shared errors add up: of use to the machinery alone."""

NOT_SHOWN = {
    "recorded_by": "in the versions of the record", "recorded_reason": "in the versions", "recorded_batch": "in the versions",
    "decided_by": "a name of staff", "loaded_by": "a name of staff",
    "requested_by": "a name of staff", "assignee": "a name of staff",
    "written_by": "a name of staff",
    "lease_until": "how workers share a run", "request_key": "of use to the asker alone",
    "evidence_of": "the detail has the evidence, wherever it was written first",
    "is_own_finding": "kept to judge it among other tests; what is told is is_discrepancy", "own_severity": "as is_own_finding",
    "scratch": "gone when the run is closed",
    "floors": "how a book is put together again", "random": "as floors", "shared_in": "as floors", "shared_out": "as floors",
    "html": "a download", "csv": "a download", "result": "in the detail, as rules/diff/ gives it",
}  # fmt: skip


def _shown(serializer_class) -> set[str]:
    return {path.split("__")[0] for path in plan(serializer_class).paths}


def test_every_model_of_the_ledger_can_be_read():
    shown = (
        {view.row_class.Meta.model.__name__ for view in RESOURCES.values()}
        | PARTS.keys()
        | {"Vendor", "Versioned"}
        | MARKS
    )
    assert set(models.__all__) - shown == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_shown_or_held_back_for_a_reason(name):
    view = RESOURCES[name]
    columns = {field.name for field in view.row_class.Meta.model._meta.concrete_fields}
    assert columns - _shown(view.row_class) - NOT_SHOWN.keys() == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_column_of_a_child_table_is_shown(name):
    for child in plan(RESOURCES[name].detail_class or RESOURCES[name].row_class).children:
        columns = {field.name for field in child.model._meta.concrete_fields} - {child.foreign_key}
        shown = {path.split("__")[0] for path in child.plan.paths}
        if child.model.__name__ in PARTS:
            assert columns - shown - NOT_SHOWN.keys() == set(), child.name


@pytest.mark.parametrize("name", NAMES)
def test_every_column_has_a_filter_or_is_left_out_deliberately(name):
    filterset = RESOURCES[name].filterset_class
    filtered = {made.field_name.split("__")[0] for made in filterset.base_filters.values() if made.field_name}
    if name == "versions":
        filtered.add("table_name")
    columns = {field.name for field in filterset._meta.model._meta.concrete_fields}
    assert columns - filtered - set(filterset.not_filtered) == set()
    assert set(filterset.not_filtered) <= columns, "left out, but no such column"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "versions"])
def test_a_list_shows_rows_and_each_leads_to_its_detail(api, world, name):
    rows = api.rows(f"{name}/")
    assert rows
    detail = api.read(rows[0]["api_url"].removeprefix("/api/v1/"))
    assert {key: detail[key] for key in rows[0]} == rows[0]


def _selects(read) -> int:
    with CaptureQueriesContext(connection) as captured:
        read()
    return sum(query["sql"].startswith("SELECT") for query in captured)


@pytest.mark.parametrize("name", NAMES)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(api, world, name):
    assert 1 <= _selects(lambda: api.read(f"{name}/", page_size=50)) <= 2  # two where keys may be blank
    assert 1 <= _selects(lambda: api.read(f"{name}/", page_size=1)) <= 2


def test_a_detail_takes_one_query_and_one_more_for_each_child_table(api, world):
    for number in range(5):
        factories.alias(world.operator, f"Synthetic alias {number}")
    # the record, aliases, owners, stakes held, list entries
    assert _selects(lambda: api.read("organizations/synthetic-operator/")) == 5
    factories.specification(world.chip, source=factories.source("another-source"), rank=2)
    # the record, specifications, families, and the figures derived
    assert _selects(lambda: api.read("chips/synthetic-chip/")) == 4


@pytest.mark.parametrize("name", NAMES)
def test_every_ordering_that_is_offered_works_both_ways(api, world, name):
    for ordering in RESOURCES[name].orderings:
        forth = api.rows(f"{name}/", ordering=ordering.removeprefix("-"))
        back = api.rows(f"{name}/", ordering=f"-{ordering.removeprefix('-')}")
        assert [row["id"] for row in forth] == [row["id"] for row in reversed(back)]


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_nobody_knows_is_refused_with_those_that_are_known(api, name):
    error = api.refused(f"{name}/", colour="blue")
    assert error["code"] == "unknown_parameter"
    assert "colour" in error["fields"]
    assert "cursor" in error["detail"]["known_parameters"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(api, world, method):
    addresses = [f"{name}/" for name in NAMES] + [
        "",
        "chips/synthetic-chip/",
        "claims/synthetic-claim/versions/",
    ]
    for address in addresses:
        response = getattr(api.client, method)(f"/api/v1/{address}", {}, format="json")
        starts = (method, address) == ("post", "runs/")  # those who may, and nobody else
        assert response.status_code == (403 if starts else 405), address
        assert response.json()["error"]["code"] == ("not_authenticated" if starts else "method_not_allowed")


def test_the_root_lists_every_resource_with_its_filters(api):
    listed = api.read("")["resources"]
    assert set(listed) == set(RESOURCES)
    assert "grade__in" in listed["claims"]["filters"]
    assert listed["runs"]["versioned"] is False
    for told in listed.values():
        assert api.response(told["api_url"].removeprefix("/api/v1/")).status_code == 200
