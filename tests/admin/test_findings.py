from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tracker.models import Discrepancy, ReconciliationRun, RunPartition
from tracker.reconciliation import services

pytestmark = pytest.mark.django_db

LIST = "admin:tracker_discrepancy_changelist"
CLOSING = {"reason": "timing", "resolution": "The chips were under way until March."}


@pytest.fixture
def found():
    return factories.finding(factories.run(), evidence=(factories.claim(),)).discrepancy


def decide(client, row, what, **data):
    return client.post(
        reverse(f"admin:tracker_discrepancy_{what}", args=[row.pk]), {"_form_submitted": "on", **data}
    )


def test_a_reviewer_resolves_with_a_reason_and_a_sentence(reviewer, found):
    decide(reviewer, found, "resolve_one", **CLOSING)

    found.refresh_from_db()
    assert (found.state, found.reason, found.resolved_by) == ("resolved", "timing", "the-reviewer")
    text = reviewer.get(reverse("admin:tracker_discrepancy_change", args=[found.pk])).content.decode()
    assert text.count("The chips were under way until March.") == 2  # as the resolution, and in its history


@pytest.mark.parametrize("blank", ["reason", "resolution"])
def test_resolving_without_reason_or_sentence_is_refused(reviewer, found, blank):
    decide(reviewer, found, "resolve_one", **CLOSING | {blank: ""})

    found.refresh_from_db()
    assert found.state == "new"


def test_a_sentence_of_one_word_explains_nothing(reviewer, found):
    decide(reviewer, found, "resolve_one", **CLOSING | {"resolution": "ok"})

    found.refresh_from_db()
    assert found.state == "new"


@pytest.mark.parametrize("role", ["reader", "analyst", "operator"])
def test_only_reviewers_resolve(request, role, found):
    client = request.getfixturevalue(role)

    assert decide(client, found, "resolve_one", **CLOSING).status_code == 403
    client.post(
        reverse(LIST), {"action": "resolve_selected", "_selected_action": [found.pk], "apply": "1", **CLOSING}
    )

    found.refresh_from_db()
    assert found.state == "new"


def test_several_are_resolved_at_once_with_one_explanation(reviewer):
    run = factories.run()
    rows = [factories.finding(run, area=f"site:{n}").discrepancy for n in range(3)]
    data = {
        "action": "resolve_selected",
        "_selected_action": [row.pk for row in rows[:2]],
        "_form_submitted": "True",
    }

    asked = reviewer.post(reverse(LIST), data | {"index": "0"}).content.decode()
    assert 'name="resolution"' in asked
    refused = reviewer.post(reverse(LIST), data | {"apply": "1", "reason": "timing", "resolution": ""})
    assert "This field is required" in refused.content.decode()
    assert not Discrepancy.objects.filter(state="resolved").exists()

    reviewer.post(reverse(LIST), data | {"apply": "1", **CLOSING})
    assert set(Discrepancy.objects.filter(state="resolved")) == set(rows[:2])


def test_what_a_run_found_anew_meanwhile_is_not_resolved_by_what_was_shown_before(reviewer, found):
    """The page says which finding it shows; the dialog takes it along (htmx), and the list shows each with its own."""
    page = reviewer.get(reverse("admin:tracker_discrepancy_change", args=[found.pk])).content.decode()
    shown = found.latest_id
    assert f'id="shown-finding" name="shown" value="{shown}"' in page
    assert 'hx-include="#shown-finding"' in page
    later = factories.finding(factories.run("synthetic-later"), gap=900.0)
    assert later.discrepancy == found
    address = reverse("admin:tracker_discrepancy_resolve_one", args=[found.pk])
    chosen = {"action": "resolve_selected", "_selected_action": [found.pk], "shown": f"{found.pk}:{shown}"}
    for url, data in (
        (f"{address}?shown={shown}", {"_form_submitted": "on"}),
        (reverse(LIST), chosen | {"apply": "1", "_form_submitted": "True"}),
    ):
        reviewer.post(url, data | CLOSING)
        found.refresh_from_db()
        assert found.state == "new"
        assert "was found anew by run synthetic-later" in reviewer.get(reverse(LIST)).content.decode()
    reviewer.post(f"{address}?shown={later.pk}", {"_form_submitted": "on", **CLOSING})
    found.refresh_from_db()
    assert found.state == "resolved"


def test_the_list_asks_with_the_findings_that_it_shows(reviewer, found):
    data = {"action": "resolve_selected", "_selected_action": [found.pk], "index": "0"}
    assert (
        f'name="shown" value="{found.pk}:{found.latest_id}"'
        in reviewer.post(reverse(LIST), data).content.decode()
    )


def test_a_resolved_discrepancy_can_be_opened_again_and_the_closing_stays_readable(reviewer, found):
    decide(reviewer, found, "resolve_one", **CLOSING)
    decide(reviewer, found, "reopen_one", reason="The carrier gives another date.")

    found.refresh_from_db()
    assert found.state == "reopened"
    text = reviewer.get(reverse("admin:tracker_discrepancy_change", args=[found.pk])).content.decode()
    assert "The chips were under way until March." in text
    assert "The carrier gives another date." in text


def test_the_list_shows_the_worst_first_and_leaves_out_what_is_closed(reader, reviewer):
    run = factories.run()
    small = factories.finding(run, area="site:small", severity="low", severity_rank=3, sq=0.05)
    large = factories.finding(run, area="site:large", severity="high", severity_rank=1, sq=8.0)
    larger = factories.finding(run, area="site:larger", severity="high", severity_rank=1, sq=9.0)
    closed = factories.finding(run, area="site:closed", severity="critical", severity_rank=0, sq=50.0)
    decide(reviewer, closed.discrepancy, "resolve_one", **CLOSING)

    def shown(**query):
        return [row.pk for row in reader.get(reverse(LIST), query).context["cl"].result_list]

    assert shown() == [row.discrepancy.pk for row in (larger, large, small)]
    assert shown(standing="resolved") == [closed.discrepancy.pk]
    assert len(shown(standing="all")) == 4
    assert shown(severity="low") == [small.discrepancy.pk]


def test_an_old_open_discrepancy_is_marked_overdue_and_a_closed_one_is_not(reviewer):
    today = timezone.now().date()
    old = factories.finding(factories.run(as_of=today - timedelta(days=91)), area="site:old").discrepancy
    due = factories.finding(
        factories.run(as_of=today - timedelta(days=90)), area="site:due today"
    ).discrepancy
    assert due.due_on == today

    def overdue():
        return [
            row.pk for row in reviewer.get(reverse(LIST), {"standing": "overdue"}).context["cl"].result_list
        ]

    assert overdue() == [old.pk]
    assert reviewer.get(reverse(LIST)).content.decode().count(">overdue<") == 1
    decide(reviewer, old, "resolve_one", **CLOSING)
    assert overdue() == []


def test_a_running_table_is_a_table_and_not_a_raw_value(reader):
    table = {
        "columns": ["shipped", "drawn", "remaining"],
        "rows": [["2026-02-01", 1200.0, -200.0], ["<b>", None, 0.5]],
    }
    found = factories.finding(factories.run(), numbers={"lines": 2, "running": table}).discrepancy
    text = reader.get(reverse("admin:tracker_discrepancy_change", args=[found.pk])).content.decode()
    assert '<th class="number">remaining</th>' in text
    assert '<td class="number">1,200</td><td class="number">−200</td>' in text
    assert "&lt;b&gt;" in text
    assert "columns" not in text.split("With these numbers")[1].split("Running table")[0]


def test_evidence_leads_to_the_record_and_to_the_very_version_that_was_read(reader):
    claim = factories.claim(note="as the run read it")
    found = factories.finding(factories.run(), evidence=(claim,)).discrepancy
    claim.note = "as corrected since"
    claim.save()

    text = reader.get(reverse("admin:tracker_discrepancy_change", args=[found.pk])).content.decode()

    page = reverse("admin:tracker_claim_change", args=[claim.pk])
    version = reverse("admin:tracker_claim_history", args=[claim.pk]) + "?version=1"
    assert f'href="{page}"' in text
    assert f'href="{version}"' in text
    assert "as the run read it" in reader.get(version).content.decode()


def test_a_discrepancy_shows_its_words_formula_and_all_runs_that_saw_it(reader):
    factories.finding(factories.run("synthetic-first"), gap=100.0, headline="As first seen")
    sections = [{"heading": "What was compared", "body": "One <b>claim</b> and one book."}]
    found = factories.finding(
        factories.run("synthetic-second"), sections=sections, numbers={"z": 4.0}
    ).discrepancy

    page = reverse("admin:tracker_discrepancy_change", args=[found.pk])
    text = reader.get(page).content.decode()

    assert "One &lt;b&gt;claim&lt;/b&gt; and one book." in text
    assert "gap = reported - expected" in text
    assert "synthetic-first" in text
    assert "synthetic-second" in text
    first = found.findings.order_by("id").first()
    assert "As first seen" in reader.get(page, {"finding": first.pk}).content.decode()


def test_a_search_finds_headlines_in_the_run_that_wrote_them_and_in_those_that_carried_them_over(reader):
    first = factories.finding(factories.run("synthetic-first"), headline="Desert halls: more claimed")
    carried = factories.finding(
        factories.run("synthetic-second"), headline="Desert halls: more claimed", evidence_of=first
    )
    other = factories.finding(
        factories.run("synthetic-third"), headline="Coast halls: more claimed", area="site:c"
    )
    page = reverse("admin:tracker_finding_changelist")

    def found(words):
        return {row.pk for row in reader.get(page, {"q": words}).context["cl"].result_list}

    assert found("desert claimed") == {first.pk, carried.pk}
    assert found("halls") == {first.pk, carried.pk, other.pk}
    assert found("nowhere") == set()


def test_an_operator_starts_a_run_and_its_progress_is_shown(operator):
    operator.post(reverse("admin:tracker_reconciliationrun_start_run"), {"_form_submitted": "on"})

    run = ReconciliationRun.objects.get()
    assert run.requested_by == "the-operator"
    assert RunPartition.objects.filter(run=run).exists()
    text = operator.get(reverse("admin:tracker_reconciliationrun_change", args=[run.pk])).content.decode()
    assert f"0 of {run.partitions.filter(kind='site').count()}" in text


def test_the_page_of_a_run_that_goes_on_asks_for_itself_again_and_tells_its_stage(reader):
    run = factories.run(status="running", stage="checks")
    factories.partition(run)
    page = reader.get(reverse("admin:tracker_reconciliationrun_change", args=[run.pk]))
    assert page["Refresh"] == "5"
    assert "At: judging." in page.content.decode()
    over = reader.get(reverse("admin:tracker_reconciliationrun_change", args=[factories.run().pk]))
    assert "Refresh" not in over


def test_an_operator_stops_a_run_and_lets_it_go_on(operator, django_capture_on_commit_callbacks):
    run = services.start_run("synthetic")
    pages = {
        what: reverse(f"admin:tracker_reconciliationrun_{what}", args=[run.pk])
        for what in ("stop_run", "resume_run")
    }
    shown = operator.get(reverse("admin:tracker_reconciliationrun_change", args=[run.pk])).content.decode()
    assert pages["stop_run"] in shown
    assert pages["resume_run"] not in shown

    operator.post(pages["stop_run"], {"_form_submitted": "on"})
    run.refresh_from_db()
    assert run.status == "cancelled"

    with django_capture_on_commit_callbacks() as queued:
        operator.post(pages["resume_run"], {"_form_submitted": "on"})
    run.refresh_from_db()
    assert (run.status, len(queued)) == ("queued", 1)


@pytest.mark.parametrize("role", ["reader", "analyst"])
def test_a_reader_or_analyst_stops_no_run(request, role):
    run = factories.run(status="running")
    page = reverse("admin:tracker_reconciliationrun_stop_run", args=[run.pk])
    assert request.getfixturevalue(role).post(page, {"_form_submitted": "on"}).status_code == 403
    run.refresh_from_db()
    assert run.status == "running"


@pytest.mark.parametrize("role", ["reader", "analyst"])
def test_a_reader_or_analyst_starts_no_run(request, role):
    client = request.getfixturevalue(role)

    answer = client.post(reverse("admin:tracker_reconciliationrun_start_run"), {"_form_submitted": "on"})

    assert answer.status_code == 403
    assert not ReconciliationRun.objects.exists()


def test_a_report_is_downloaded_byte_for_byte_and_never_run_inside_the_admin(reader):
    report = factories.report(factories.run("synthetic-run-x"), csv="check,gap\nC1,400\n")

    answer = reader.get(reverse("admin:tracker_report_file", args=[report.pk, "csv"]))

    assert answer.content == b"check,gap\nC1,400\n"
    page = reader.get(reverse("admin:tracker_report_file", args=[report.pk, "html"]))
    assert page.headers["Content-Disposition"] == 'attachment; filename="report-synthetic-run-x.html"'


def test_the_page_of_a_run_says_where_to_look_next(reader):
    run = factories.run()
    claim = factories.claim("synthetic-claim")
    row = factories.finding(run, (claim,), sq=0.4)
    row.evidence.update(variance_share=0.5)

    page = reader.get(reverse("admin:tracker_reconciliationrun_change", args=[run.pk])).content.decode()

    told = page.split('id="next"')[1]
    assert "Verifying “synthetic-claim”" in told
    assert "0.005" in told
    assert reverse("admin:tracker_finding_change", args=[row.pk]) in told


def test_an_analyst_writes_a_note_and_a_reader_does_not(analyst, reader, found):
    words = {"text": "The operator confirms the count.", "url": "https://example.org/letter"}
    assert decide(reader, found, "note_one", **words).status_code == 403
    decide(analyst, found, "note_one", **words, source="no-such-source")
    assert not found.notes.exists()

    decide(analyst, found, "note_one", **words, source=factories.source().slug)

    (row,) = found.notes.all()
    assert (row.written_by, row.url, row.source) == ("the-analyst", words["url"], factories.source())
    text = reader.get(reverse("admin:tracker_discrepancy_change", args=[found.pk])).content.decode()
    assert "The operator confirms the count." in text
    assert 'href="https://example.org/letter"' in text


def test_several_are_assigned_to_oneself_and_listed_by_who_looks_into_them(reviewer, reader, found):
    other = factories.finding(factories.run(), area="site:other").discrepancy
    chosen = {"action": "assign_to_me", "_selected_action": [found.pk]}
    assert reviewer.post(reverse(LIST), chosen).status_code == 302

    found.refresh_from_db()
    assert found.assignee.username == "the-reviewer"

    def shown(client, whose):
        return [row.pk for row in client.get(reverse(LIST), {"whose": whose}).context["cl"].result_list]

    assert shown(reviewer, "mine") == shown(reader, str(found.assignee_id)) == [found.pk]
    assert shown(reviewer, "nobody") == [other.pk]
    assert shown(reader, "mine") == []
