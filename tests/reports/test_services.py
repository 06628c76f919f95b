"""Reports as published: self-contained, escaped, leading to sources, and the same for ever."""

from __future__ import annotations

import csv
import io
import re
from datetime import date

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests import factories
from tracker import models
from tracker.core.errors import BadInput
from tracker.reports.querysets import Reading
from tracker.reports.services import build_report, render
from tracker.reviews.services import resolve

pytestmark = pytest.mark.django_db


def run_now(**given):
    """A finished run over everything recorded so far."""
    return factories.run(as_known_at=timezone.now(), **given)


@pytest.fixture
def world():
    """A claim of 1,000 chips at a site, a movement of 600, and a source nobody checked."""
    cast = factories.cast()
    unchecked = factories.source(
        "unchecked-page", title="Unchecked page", kind="press", verification="memory"
    )
    claim = factories.claim(
        "site-1000", data_center=cast.site, chip=cast.chip, source=unchecked, verification="memory"
    )
    moved = factories.shipment(
        "line-600", quantity=600, destination=cast.site, consignee=cast.operator, chip=cast.chip
    )
    run = run_now()
    finding = factories.finding(
        run,
        evidence=(claim, moved),
        check_code="GAP",
        sections=[{"heading": "What was compared", "body": "Installed chips with the book."}],
        gap_h100e=380.0,
        sq=0.38,
        numbers={},
    )
    return cast, claim, moved, run, finding


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_evidence_row_shows_its_label_version_source_and_record(world):
    _, claim, moved, run, finding = world
    html = render(run).html
    for piece in finding.evidence.all():
        assert piece.label in html
    assert 'href="https://example.org/unchecked-page"' in html
    assert f"/records/claim/{claim.pk}/?known_at=" in html
    assert f"/records/shipment/{moved.pk}/?known_at=" in html
    assert "Installed chips with the book." in html
    assert f'id="d-{finding.key[:12]}"' in html


def test_an_unverified_record_is_marked_where_it_is_used(world):
    assert "1 UNVERIFIED" in render(world[3]).html


def test_the_same_run_gives_the_same_bytes_twice(world):
    run = world[3]
    assert render(run) == render(run)


def test_a_record_changed_after_the_run_leaves_the_report_as_it_was(world):
    cast, claim, _, run, _ = world
    before = render(run)
    models.Claim.objects.filter(pk=claim.pk).update(best=5, low=5, high=5, original_text="corrected")
    models.Source.objects.filter(slug="unchecked-page").update(title="Another title", verification="read")
    models.DataCenter.objects.filter(pk=cast.site.pk).update(name="Renamed site")
    factories.claim("later-plan", status="planned", kind="planned", low=None, best=90_000, high=None)
    factories.shipment("later-line", destination=cast.site)
    assert render(run) == before


def test_what_was_published_is_not_rewritten(world):
    run = world[3]
    first = build_report(run)
    factories.finding(run, check_code="SRD", headline="Came after publication")
    again = build_report(run)
    assert (again.pk, again.html, again.html_sha256) == (first.pk, first.html, first.html_sha256)
    assert "Came after publication" in render(run).html


def test_a_run_that_has_not_finished_has_no_report():
    run = run_now(status=models.ReconciliationRun.Status.RUNNING)
    with pytest.raises(BadInput, match="finished run only"):
        build_report(run)


def test_markup_in_a_record_or_finding_stays_text(world):
    cast = world[0]
    evil = '<script>alert("x")</script>'
    source = factories.source("evil", title=evil, publisher=evil)
    claim = factories.claim("evil-claim", source=source, data_center=cast.site, original_text=evil, note=evil)
    plan = factories.claim(
        "evil-plan",
        source=source,
        data_center=cast.site,
        status="planned",
        low=None,
        best=50_000,
        high=None,
        note=evil,
    )
    run = run_now()
    factories.finding(run, evidence=(claim, plan), headline=f"Site {evil}", formula=evil, counterpart=evil)
    html = render(run).html
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_page_asks_nothing_of_any_other_place(world):
    html = render(world[3]).html
    assert not re.findall(r"<(?:script|link|img|iframe|object|embed|video|audio)\b", html)
    assert not re.findall(r"@import|url\(", html)
    assert 'style="' not in html


def test_synthetic_data_stand_under_a_banner(world):
    assert "SYNTHETIC DATA" in render(world[3]).html


def test_a_ledger_without_synthetic_records_has_no_banner():
    factories.source("page", kind="press", verification="read")
    assert "SYNTHETIC DATA" not in render(run_now()).html


def test_a_plan_of_a_group_is_shown_beside_what_is_traced_to_its_parts():
    group = factories.data_center("desert-39", name="Desert group", kind="group", country="CN", operator=None)
    part = factories.data_center("desert-1", name="Desert one", country="CN")
    models.DataCenterPart.objects.create(whole=group, part=part)
    factories.claim(
        "desert-115000",
        data_center=group,
        kind="planned",
        status="planned",
        low=115_000,
        bound="floor",
        chip=factories.chip(),
    )
    html = render(run_now()).html
    assert "at least 115,000 chips" in html
    assert "no shipment line" in html
    factories.shipment("into-part", destination=part, quantity=64)
    assert "64 chips on 1 line" in render(run_now()).html


def test_a_plan_below_a_thousand_chips_is_not_set_beside_the_ledger():
    factories.claim("small-plan", kind="planned", status="planned", low=None, best=999, high=None)
    assert "small-plan" not in render(run_now()).html


def test_servers_of_no_named_model_are_not_added_up_as_chips():
    site = factories.data_center("servers-site", country="CN")
    factories.claim(
        "servers-plan", data_center=site, kind="planned", status="planned", low=None, best=2000, high=None
    )
    factories.shipment("ten-servers", destination=site, quantity=10, unit="servers")
    factories.shipment("two-racks", destination=site, quantity=2, unit="racks", chips_per_unit=72)
    assert "at least 144 chips on 2 lines (1 of them not counted in chips)" in render(run_now()).html


def test_the_csv_has_a_row_for_each_finding_and_flags_those_that_are_no_discrepancy(world):
    run = world[3]
    factories.finding(
        run,
        check_code="RULE",
        is_discrepancy=False,
        severity="info",
        severity_rank=4,
        verdict="undetermined",
        headline="Open",
    )
    made = rows(render(run).csv)
    assert [(row["check"], row["is_discrepancy"]) for row in made] == [("GAP", "yes"), ("RULE", "no")]
    assert made[0]["source_urls"].split() == [
        "https://example.org/unchecked-page",
        "https://example.org/synthetic-source",
    ]
    assert made[0]["gap"] == "400"


def test_open_rule_questions_have_a_table_of_their_own(world):
    run = world[3]
    factories.finding(
        run,
        check_code="RULE",
        is_discrepancy=False,
        severity="info",
        severity_rank=4,
        verdict="undetermined",
        headline="Who uses it?",
    )
    html = render(run).html
    assert "Rule questions left open" in html
    assert "Who uses it?" in html


def test_a_formula_in_a_headline_does_not_reach_a_spreadsheet(world):
    run = world[3]
    factories.finding(run, check_code="SRD", headline='=HYPERLINK("http://x")')
    assert any(row["headline"] == '\'=HYPERLINK("http://x")' for row in rows(render(run).csv))


def test_export_rules_are_marked_on_the_timeline(world):
    factories.export_rule("RULE-2025", title="Synthetic rule of 2025", in_force=(date(2025, 3, 1), None))
    html = render(run_now()).html
    assert "Synthetic rule of 2025" in html
    assert "<b>2025-03-01</b>" in html


def test_queries_do_not_grow_with_the_findings(world, django_assert_max_num_queries):
    _, claim, moved, run, _ = world
    for index in range(30):
        factories.finding(run, evidence=(claim, moved), check_code="GAP", counterpart=str(index))
    with django_assert_max_num_queries(60):
        render(run)


def test_overdue_lines_stand_in_the_report_and_a_later_decision_leaves_it_as_it_was(world):
    run, found = world[3], world[4]
    models.Discrepancy.objects.update(due_on=date(2025, 12, 31))
    html = render(run).html
    assert 'id="overdue"' in html
    assert "2025-12-31" in html.split('id="overdue"')[1].split("</section>")[0]

    run.finished_at = timezone.now()
    run.save()
    reviewer = User.objects.create_user("zhang")
    resolve(found.discrepancy, reviewer, "timing", "The chips were under way until March.")
    assert render(run).html == html

    run.finished_at = timezone.now()
    run.save()
    assert 'id="overdue"' not in render(run).html


def test_an_organization_and_the_group_under_it_have_names_of_their_own():
    factories.organization("synthetic-parent", name="Synthetic Parent")
    found = Reading(timezone.now()).area_names(["org:synthetic-parent", "group:synthetic-parent", "world"])
    assert found == {
        "org:synthetic-parent": "Synthetic Parent",
        "group:synthetic-parent": "Synthetic Parent and what it owns",
        "world": "The world",
    }
