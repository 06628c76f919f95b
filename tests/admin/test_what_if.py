"""Drafts of law and what they would do, at the desk."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db.utils import OperationalError
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.admin.forms import filled_in
from tracker import tasks
from tracker.judgement import services
from tracker.judgement.services import run_comparison, waiting_comparisons
from tracker.models import RuleComparison, RuleDraft

pytestmark = pytest.mark.django_db

WOKEN = """schema: 1
title: "SYNTHETIC supposition: a sleeping rule woken"
change_rules:
  SYNTHETIC-A: {enforcement: in force}
"""


def url(name, page="add", *args):
    return reverse(f"admin:tracker_{name}_{page}", args=args)


@pytest.fixture
def law(db):
    """A rule that nobody enforces, with a row that rests on it, and the country set that parties are held against."""
    rule = factories.export_rule(
        "SYNTHETIC-A", enforcement="not enforced", sources=["https://example.org/synthetic-source"]
    )
    factories.country_group("D:5", countries=("CN",))
    factories.country_group("macau_or_d5", is_set=True, union=["D:5"])
    factories.licence_requirement(
        10,
        rule_id="SYNTHETIC-A",
        words="All to MY",
        destinations=["MY"],
        sources=["https://example.org/synthetic-source"],
    )
    factories.shipment(destination_country="MY", origin_country="TW", quantity=10, is_exact=True)
    return rule


@pytest.fixture
def queued(monkeypatch, django_capture_on_commit_callbacks):
    """The comparisons that were sent to a worker while the block ran."""

    @contextmanager
    def watch():
        sent = []
        with monkeypatch.context() as patch:
            patch.setattr(tasks.compare_rules, "delay", sent.append)
            with django_capture_on_commit_callbacks(execute=True):
                yield sent

    return watch


def typed(client, **given):
    return filled_in(client, url("ruledraft")) | {"slug": "woken", "document": WOKEN} | given


def ask(client, row, name="ask", model="ruledraft", **data):
    address = reverse(f"admin:tracker_{model}_{name}", args=[row.pk])
    return client.post(address, {"_form_submitted": "True", **data})


def test_an_analyst_writes_a_draft_whose_title_is_that_of_its_document(analyst, law):
    response = analyst.post(url("ruledraft"), typed(analyst, document=WOKEN.replace("\n", "\r\n")))
    assert response.status_code == 302, response.context["errors"]
    row = RuleDraft.objects.get(slug="woken")
    assert (row.title, row.document) == ("SYNTHETIC supposition: a sleeping rule woken", WOKEN)
    assert row.recorded_by == "the-analyst"


def test_a_change_asks_why_and_keeps_the_version_before(analyst, law):
    analyst.post(url("ruledraft"), typed(analyst))
    row = RuleDraft.objects.get()
    page = url("ruledraft", "change", row.pk)
    data = filled_in(analyst, page) | {"document": WOKEN.replace("woken", "awake", 1)}
    assert analyst.post(page, data).status_code == 200
    assert analyst.post(page, data | {"change_reason": "A better word."}).status_code == 302
    row.refresh_from_db()
    assert (row.version, row.title) == (2, "SYNTHETIC supposition: a sleeping rule awake")
    assert "A better word." in analyst.get(url("ruledraft", "history", row.pk)).content.decode()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("schema: 1\ntitle: x\nchange_rules: {SYNTHETIC-A: {enforcement: maybe}}\n",
         "the draft, rule SYNTHETIC-A: field &#x27;enforcement&#x27; is &#x27;maybe&#x27;; choose one of"),
        ("schema: 1\ntitle: x\nchange_rules: {SYNTHETIC-B: {}}\n", "known fields are SYNTHETIC-A"),
        ("schema: 1\ntitle: [\n", "the draft: not readable as YAML"),
        ("schema: 2", "it must begin with &#x27;schema: 1&#x27;"),
    ],
)  # fmt: skip
def test_a_draft_that_cannot_be_read_comes_back_with_place_and_mend(analyst, law, document, words):
    response = analyst.post(url("ruledraft"), typed(analyst, document=document))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not RuleDraft.objects.exists()


def test_the_button_asks_a_comparison_in_a_worker_and_its_page_shows_what_flips(analyst, law, queued):
    analyst.post(url("ruledraft"), typed(analyst))
    draft = RuleDraft.objects.get()
    with queued() as sent:
        response = ask(analyst, draft, day="2026-01-01", records="synthetic")
    row = RuleComparison.objects.get()
    assert response["HX-Redirect"] == url("rulecomparison", "change", row.pk)
    assert (sent, row.status, row.requested_by) == ([row.pk], "queued", "the-analyst")
    assert (row.before_draft, str(row.before_day), row.after_draft, row.records) == (
        None,
        "2026-01-01",
        draft,
        "synthetic",
    )
    assert "A worker carries it out" in analyst.get(response["HX-Redirect"]).content.decode()

    assert run_comparison(row.pk) == "finished"
    page = analyst.get(response["HX-Redirect"]).content.decode()
    assert "Of 1 line judged, 1 come to another decision" in page
    assert "<svg" in page
    assert "SYNTHETIC records, made by the generator" in page
    assert "woken@2026-01-01" in analyst.get(url("rulecomparison", "changelist")).content.decode()


def test_a_comparison_that_was_carried_out_is_not_touched_by_a_second_message(law):
    factories.rule_draft("woken", document=WOKEN)
    row = tasks.request_comparison(
        tasks.AskedSide(), tasks.AskedSide("woken"), "synthetic analyst", "synthetic"
    )
    assert tasks.compare_rules(row.pk) == "finished"
    row.refresh_from_db()
    first = (row.result, row.finished_at)
    assert first[0]["changed"] == 1
    assert tasks.compare_rules(row.pk) == "over"
    row.refresh_from_db()
    assert (row.result, row.finished_at) == first


def test_a_comparison_is_asked_again_over_the_ledger_as_it_is_now(analyst, law, queued):
    draft = factories.rule_draft("woken", document=WOKEN)
    old = factories.rule_comparison(after_draft=draft, before_day=None, after_day=None, records="synthetic")
    with queued() as sent:
        ask(analyst, old, "ask_again", "rulecomparison")
    new = RuleComparison.objects.exclude(pk=old.pk).get()
    assert sent == [new.pk]
    assert (new.after_draft, new.before_day, new.records) == (draft, None, "synthetic")
    assert new.as_known_at > old.as_known_at


def test_what_a_worker_could_not_do_is_told_on_the_page(analyst, law):
    draft = factories.rule_draft("broken", document="schema: 2")
    row = factories.rule_comparison(
        after_draft=draft,
        before_day=None,
        after_day=None,
        status="queued",
        result={},
        as_known_at=draft.recorded_at,
    )
    assert run_comparison(row.pk) == "failed"
    page = analyst.get(url("rulecomparison", "change", row.pk)).content.decode()
    assert "draft broken: not a draft of rules" in page


def test_a_surprise_in_a_worker_ends_in_failure_and_a_lost_database_does_not(law, monkeypatch):
    row = factories.rule_comparison(status="queued", result={}, as_known_at=law.recorded_at)

    def broken(error):
        def compare(*args, **given):
            raise error

        return compare

    monkeypatch.setattr(services, "compare_sides", broken(OperationalError("the server went away")))
    with pytest.raises(OperationalError):
        run_comparison(row.pk)
    row.refresh_from_db()
    assert row.status == "queued"
    assert waiting_comparisons(timezone.now()) == [row.pk]
    assert waiting_comparisons(timezone.now() - timedelta(minutes=2)) == []

    monkeypatch.setattr(services, "compare_sides", broken(KeyError("secret")))
    with pytest.raises(KeyError):
        run_comparison(row.pk)
    row.refresh_from_db()
    assert (row.status, row.error) == ("failed", "It broke off (KeyError); the log of the worker says where.")


def test_what_no_worker_carries_out_is_given_up_in_the_end(law):
    row = factories.rule_comparison(status="queued", result={})
    RuleComparison.objects.update(created_at=timezone.now() - timedelta(hours=7))
    assert waiting_comparisons(timezone.now()) == []
    row.refresh_from_db()
    assert (row.status, row.error) == (
        "failed",
        "No worker carried it out in time; ask again when workers run.",
    )


def test_asking_of_a_draft_that_no_longer_fits_the_law_is_refused_in_words(analyst, law, queued):
    draft = factories.rule_draft("broken", document="schema: 2")
    with queued() as sent:
        response = ask(analyst, draft, records="real")
    assert response["HX-Redirect"] == url("ruledraft", "change", draft.pk)
    assert "Nothing was asked: draft broken" in analyst.get(response["HX-Redirect"]).content.decode()
    assert sent == []


@pytest.mark.parametrize("role", ["reader", "operator"])
def test_who_only_looks_asks_nothing(request, role, law, queued):
    client = request.getfixturevalue(role)
    draft = factories.rule_draft("woken", document=WOKEN)
    row = factories.rule_comparison(after_draft=draft)
    with queued() as sent:
        assert ask(client, draft, records="real").status_code == 403
        assert ask(client, row, "ask_again", "rulecomparison").status_code == 403
    assert "What would it do?" not in client.get(url("ruledraft", "change", draft.pk)).content.decode()
    assert (sent, RuleComparison.objects.count()) == ([], 1)


def test_a_look_asks_nothing(analyst, law, queued):
    """A link or a picture on another page must not start work."""
    row = factories.rule_comparison(after_draft=factories.rule_draft("woken", document=WOKEN))
    with queued() as sent:
        analyst.get(reverse("admin:tracker_rulecomparison_ask_again", args=[row.pk]))
        analyst.get(reverse("admin:tracker_ruledraft_ask", args=[row.after_draft.pk]))
    assert (sent, RuleComparison.objects.count()) == ([], 1)


def test_the_list_of_comparisons_reads_no_results(reader, django_assert_max_num_queries):
    for _ in range(5):
        factories.rule_comparison(after_draft=factories.rule_draft())
    with django_assert_max_num_queries(16):
        page = reader.get(url("rulecomparison", "changelist")).content.decode()
    assert "synthetic analyst" in page
