"""The public pages of the law and of chips under it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.utils import timezone

from tests import factories
from tracker.models import CountryGroup, CountryGroupMember, ExportRule, LicenceRequirement, RuleInterval
from tracker.rules.services import load_rules

pytestmark = pytest.mark.django_db

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
PAGES = ("/rules/", "/rules/open-questions/", "/rules/SYNTHETIC-A/", "/chips/", "/chips/synthetic-h/")


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


@pytest.fixture
def law():
    """One classification rule, stayed for a while in 2025, and one row that rests on it; two chips, one without an area."""
    rule = factories.export_rule(
        "SYNTHETIC-A",
        title="Synthetic computing rule",
        summary="It classes fast chips.",
        criteria={
            "classes": [
                {
                    "level": "a",
                    "eccn": {"ic": "3A090.a"},
                    "paragraphs": [
                        {"name": "3A090.a.1", "when": "tpp >= 4800"},
                        {"name": "3A090.a.2", "when": "tpp >= 1600 and performance_density >= 5.92"},
                    ],
                }
            ],
            "in_words": "chips as fast as that",
        },
        hq_rule={"items": "all", "scope": "worldwide"},
        sources=["https://example.org/synthetic-source"],
        verification="single_source",
    )
    factories.rule_interval(rule, date(2025, 1, 1), date(2025, 7, 1))
    LicenceRequirement.objects.create(
        order=10, in_force=(date(2024, 1, 1), None), rule_id="SYNTHETIC-A", items=["a"], destinations=["CN"],
        result="LICENCE", answer="required", words="Fast chips to China", verification="verified", source=rule.source,
    )  # fmt: skip
    factories.specification(factories.chip("synthetic-h", specified=False), fp8_tflops=1979, die_area_mm2=814)
    factories.specification(factories.chip("synthetic-slow", specified=False), fp8_tflops=25, fp16_tflops=12)
    factories.specification(
        factories.chip("synthetic-open", specified=False), fp8_tflops=300, fp16_tflops=150, die_area_mm2=None
    )
    return rule


def text(client, address, status=200):
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def test_the_list_shows_every_rule_with_days_standing_and_verification(client, law):
    page = text(client, "/rules/")
    assert 'href="/rules/SYNTHETIC-A/"' in page
    assert "2024-01-01" in page
    assert "stayed: 2025-01-01 to 2025-06-30" in page
    assert re.search(r'<span class="flag warn">single_source</span>', page)
    assert "Not legal advice" in page


def test_a_rule_shows_its_tests_as_numbers_its_rows_and_the_chips_it_catches(client, law):
    page = text(client, "/rules/SYNTHETIC-A/?on=2024-06-01")
    assert "It classes fast chips." in page
    assert re.search(r'<td class="mono">performance_density</td><td class="num">&gt;= 5.92</td>', page)
    assert "Fast chips to China" in page
    assert '<span class="key">items</span> all' in page
    caught, undetermined = page.split("<h3>Undetermined: 1</h3>")
    assert "synthetic-h/" in caught
    assert "tpp 15,832 &gt;= 4,800 TOPS x bits (by +11,032)" in caught
    assert "synthetic-open/" in undetermined
    assert "die_area_mm2" in undetermined
    assert "synthetic-slow/" not in page


def test_on_a_day_of_its_stay_the_rule_catches_nothing_and_says_so(client, law):
    page = text(client, "/rules/SYNTHETIC-A/?on=2025-03-01")
    assert "the rule is <b>stayed</b>" in page
    assert "No chip on record is certainly caught" in page


def test_a_rule_that_has_ended_is_asked_for_its_last_day(client, law):
    law.in_force = (date(2024, 1, 1), date(2024, 9, 1))
    law.intervals.all().delete()
    law.save()
    assert "Chips it catches on 2024-08-31" in text(client, "/rules/SYNTHETIC-A/")


def test_a_changed_threshold_shows_at_once(client, law):
    assert "synthetic-h/" in text(client, "/rules/SYNTHETIC-A/?on=2024-06-01")
    law.criteria["classes"][0]["paragraphs"] = [{"name": "3A090.a.1", "when": "tpp >= 48000"}]
    law.save()
    page = text(client, "/rules/SYNTHETIC-A/?on=2024-06-01")
    assert "48,000" in page
    assert "synthetic-h/" not in page


def test_a_changed_specification_shows_at_once(client, law):
    assert "synthetic-slow/" not in text(client, "/rules/SYNTHETIC-A/?on=2024-06-01")
    factories.specification(factories.chip("synthetic-new", specified=False), fp8_tflops=5000)
    assert "synthetic-new/" in text(client, "/rules/SYNTHETIC-A/?on=2024-06-01")


def test_a_day_that_is_none_is_refused_in_words(client, law):
    page = text(client, "/rules/SYNTHETIC-A/?on=yesterday", status=400)
    assert "is no day; write one like 2024-06-01" in page


@pytest.mark.parametrize("address", ["/rules/NONE/", "/chips/none/"])
def test_what_is_not_there_is_not_found(client, law, address):
    assert client.get(address).status_code == 404


def test_open_questions_name_unconfirmed_status_contested_members_and_unchecked_records(client, law):
    today = timezone.now().date()
    RuleInterval.objects.create(
        rule=law, period=(today, None), status="unconfirmed", note="Nobody has said whether it returns."
    )
    group = CountryGroup.objects.create(name="D:5", label="Embargoes", source=law.source)
    CountryGroupMember.objects.create(
        group=group,
        country="CY",
        period=(None, None),
        is_contested=True,
        note="Two tables differ.",
        source=law.source,
    )
    page = text(client, "/rules/open-questions/")
    assert '<span class="flag warn">UNCONFIRMED</span>' in page
    assert "Nobody has said whether it returns." in page
    assert "Two tables differ." in page
    assert "single_source" in page
    assert "UNCONFIRMED" in text(client, "/rules/")


def test_a_status_that_will_be_unconfirmed_is_announced(client, law):
    day = timezone.now().date() + timedelta(days=30)
    RuleInterval.objects.create(
        rule=law, period=(day, None), status="unconfirmed", note="Returns by its terms."
    )
    assert f'<span class="mono">{day}</span>' in text(client, "/rules/open-questions/")


def test_a_chip_shows_its_timeline_its_sources_and_whether_they_flip_the_class(client, law):
    chip = factories.chip("synthetic-two", specified=False)
    factories.specification(chip, fp8_tflops=1000)
    factories.specification(
        chip,
        source=factories.source("synthetic-other"),
        rank=2,
        fp8_tflops=100,
        fp16_tflops=50,
        die_area_mm2=800,
    )
    page = text(client, "/chips/synthetic-two/")
    assert "<svg" in page
    assert "TPP 8,000.0 = 1,000.0 dense fp8 TOPS x 8 bits" in page
    assert '<span class="flag warn">another level</span>' in page
    assert "level none instead of a" in page
    assert 'href="/rules/SYNTHETIC-A/"' in page


def test_a_chip_without_any_specification_is_undetermined_not_clear(client, law):
    factories.chip("synthetic-bare", specified=False)
    page = text(client, "/chips/synthetic-bare/")
    assert 'class="level level-undetermined"' in page
    assert "No source gives a specification" in page


def test_the_pages_stand_without_any_rule(client, db):
    factories.chip("synthetic-h")
    for address in ("/rules/", "/rules/open-questions/", "/chips/", "/chips/synthetic-h/"):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize("address", PAGES)
def test_pages_have_nothing_inline_and_the_strict_policy(client, law, address):
    response = client.get(address)
    assert not re.search(r"<style|<script|style=|onclick=|javascript:", response.content.decode())
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "Not legal advice" in response.content.decode()
    assert "/api/v1/" in response.content.decode()


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_only_read(client, law, address):
    assert client.post(address).status_code == 405


@pytest.mark.parametrize("address", PAGES)
def test_a_warm_page_asks_few_questions_whatever_the_number_of_chips(
    client, law, address, django_assert_max_num_queries
):
    for index in range(5):
        factories.specification(
            factories.chip(f"synthetic-more-{index}", specified=False), fp8_tflops=1000 + index
        )
    client.get(address)
    with django_assert_max_num_queries(6):
        client.get(address)


def test_every_rule_and_row_of_the_seeds_has_its_page(client, db):
    load_rules(SEEDS / "rules")
    listed = text(client, "/rules/")
    for rule_id in ExportRule.objects.values_list("rule_id", flat=True).distinct():
        assert f'href="/rules/{rule_id}/"' in listed
        assert "Not legal advice" in text(client, f"/rules/{rule_id}/")


def test_the_page_of_a_rule_counts_the_lines_it_bears_on(client):
    load_rules(SEEDS / "rules")
    chip = factories.chip("synthetic-big", vendor=factories.vendor("synthetic-us", country="US"))
    buyer = factories.organization("synthetic-in-china", country="CN", is_synthetic=False)
    given = {"chip": chip, "origin_country": "TW", "destination_country": "CN", "is_synthetic": False}
    factories.shipment(consignee=buyer, shipped_on=date(2025, 6, 1), quantity=1200, **given)
    factories.shipment(consignee=buyer, shipped_on=date(2025, 6, 1), quantity=34, **given)
    factories.shipment(consignee=buyer, shipped_on=date(2022, 1, 1), quantity=5, **given)
    page = client.get("/rules/US-3A090-2023/").content.decode()
    assert "Shipment lines it bears on" in page
    row = page.split('id="lines"')[1]
    assert [cell in row for cell in ("LICENCE", ">2<", "1,234")] == [True] * 3
    assert "No line on record rests on it" in client.get("/rules/US-NAC/").content.decode()
