"""A client that reads JSON, and a ledger with a little of everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from tests import factories
from tests.rules.conftest import SEEDS
from tracker.rules.services import load_rules


class Reader:
    """Reads the API as anybody may."""

    def __init__(self) -> None:
        self.client = APIClient(raise_request_exception=False)

    def response(self, path: str, **query: Any) -> Any:
        return self.client.get(path if path.startswith("http") else f"/api/v1/{path}", query or None)

    def read(self, path: str, expect: int = 200, **query: Any) -> Any:
        response = self.response(path, **query)
        assert response.status_code == expect, response.content[:1000]
        return response.json()

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        return self.read(path, **query)["results"]

    def refused(self, path: str, expect: int = 400, **query: Any) -> dict[str, Any]:
        return self.read(path, expect, **query)["error"]

    def walk(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All rows, page after page."""
        page = self.read(path, **query)
        found = page["results"]
        while page["next"]:
            page = self.read(page["next"])
            found += page["results"]
        return found


@pytest.fixture(autouse=True)
def _no_rate_limits(settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {}}


@pytest.fixture
def api(db: None) -> Reader:
    return Reader()


@pytest.fixture
def world(db: None) -> factories.Cast:
    """The standing cast and at least one record of every table."""
    cast = factories.cast()
    factories.alias(cast.operator, "合成运营商", language="zh-Hans")
    factories.list_entry(cast.reseller)
    factories.screening_match(
        cast.reseller, factories.listed_party("Synthetic listed party", "Synthetic other name")
    )
    factories.site_power(cast.site)
    factories.data_center_status(cast.site)
    claim = factories.claim("synthetic-claim", subject=cast.operator, data_center=cast.site, chip=cast.chip)
    other = factories.claim(
        "synthetic-other-claim", subject=cast.operator, family=cast.family, bound="floor", low=500
    )
    factories.conflict(claim, other)
    licence = factories.licence("synthetic-licence", items=((cast.chip, 1000),), consignee=cast.operator)
    shipment = factories.shipment(
        "synthetic-shipment", documented_by=(claim,), chip=cast.chip, shipper=cast.vendor, consignee=cast.operator,
        destination=cast.site, licence=licence,
    )  # fmt: skip
    rule = factories.export_rule("SYNTHETIC-RULE")
    factories.rule_interval(rule, since=factories.date(2024, 6, 1), until=factories.date(2024, 9, 1))
    factories.licence_requirement(10)
    factories.country_group("synthetic:5", countries=("CN", "MO"))
    draft = factories.rule_draft("synthetic-draft")
    factories.rule_comparison("synthetic-comparison", after_draft=draft)
    run = factories.run("synthetic-run")
    factories.partition(run)
    factories.cell(run)
    factories.network_estimate(run)
    factories.closed_book("synthetic-closed-book", data_center=cast.site)
    factories.plug(data_center=cast.site, chip=cast.chip)
    factories.method_parameter()
    found = factories.finding(run, evidence=(claim, shipment))
    factories.note(found.discrepancy)
    factories.report(run)
    factories.import_run("synthetic-import")
    factories.ledger_proof()
    return cast


@pytest.fixture(scope="module")
def rules(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The rules of the seed files, once for the module: loading them takes longer than all its tests."""
    with django_db_blocker.unblock():
        load_rules(SEEDS / "rules")
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE tracker_exportrule, tracker_ruleinterval, tracker_licencerequirement, tracker_countrygroup, "
            "tracker_countrygroupmember, tracker_source, tracker_recordversion CASCADE"
        )
