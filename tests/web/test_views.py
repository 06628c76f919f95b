"""The public pages."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from tests import factories
from tracker.reports.services import build_report

pytestmark = pytest.mark.django_db


@pytest.fixture
def published():
    return build_report(factories.run("2026-03-01-1", as_known_at=timezone.now()))


def test_the_landing_page_counts_the_ledger_and_leads_to_the_latest_report(client, published):
    factories.claim()
    page = client.get("/").content.decode()
    assert 'href="/reports/2026-03-01-1/"' in page
    assert re.search(r"<dt>reported quantities</dt><dd>1</dd>", page)


def test_the_landing_page_stands_without_any_report(client):
    assert "No report has been published yet" in client.get("/").content.decode()


def test_all_reports_are_listed(client, published):
    build_report(factories.run("earlier", as_known_at=published.run.as_known_at.replace(year=2025)))
    page = client.get("/reports/").content.decode()
    assert page.index("/reports/2026-03-01-1/") < page.index("/reports/earlier/")


def test_a_report_is_served_byte_for_byte(client, published):
    assert client.get("/reports/2026-03-01-1/").content == published.html.encode()
    response = client.get("/reports/2026-03-01-1.csv")
    assert response.content == published.csv.encode()
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="report-2026-03-01-1.csv"' in response["Content-Disposition"]


def test_the_policy_of_a_report_allows_its_own_style_sheet_and_no_script(client, published):
    policy = client.get("/reports/2026-03-01-1/")["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_the_pages_of_the_site_have_no_inline_style_or_script(client, published):
    for address in ("/", "/reports/"):
        page = client.get(address).content.decode()
        assert not re.search(r"<style|<script|style=|onclick=", page)


@pytest.mark.parametrize("address", ["/reports/none/", "/reports/none.csv"])
def test_a_report_that_is_not_there_is_not_found(client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/", "/reports/"])
def test_pages_are_only_read(client, address):
    assert client.post(address).status_code == 405


def test_the_list_does_not_load_the_files(client, published, django_assert_max_num_queries):
    for index in range(5):
        build_report(factories.run(f"more-{index}", as_known_at=timezone.now()))
    with django_assert_max_num_queries(2) as captured:
        client.get("/reports/")
    assert all('"tracker_report"."html",' not in query["sql"] for query in captured)
