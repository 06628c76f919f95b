"""From a finding to its sources, as its run read the ledger."""

from __future__ import annotations

from datetime import date

import pytest

from tests import factories
from tracker.models import Claim, Finding, RecordVersion, Source
from tracker.provenance.querysets import finding_tree, findings, record_shown
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.tree import Node, as_dict

pytestmark = pytest.mark.django_db


@pytest.fixture
def desert():
    """A site said to hold 115,000 chips, with two movements: a letter documents the first, a wire repeats the claim."""
    site = factories.data_center("synthetic-desert", operator=factories.organization("synthetic-operator"))
    chip = factories.chip("synthetic-h")
    paper, wire = factories.source("synthetic-paper"), factories.source("synthetic-wire")
    claim = factories.claim(
        "synthetic-115000", data_center=site, chip=chip, low=None, best=115000, high=None, original_text="about 115,000 chips",
        source=paper,
    )  # fmt: skip
    factories.claim(
        "synthetic-echo", data_center=site, chip=chip, low=None, best=115000, high=None, echo_of=claim, source=wire,
        original_text="115,000, according to the paper",
    )  # fmt: skip
    letter = factories.claim(
        "synthetic-letter", data_center=site, chip=chip, kind="shipment", status="shipped", low=None, best=1500, high=None,
        original_text="fifteen hundred of them", source=factories.source("synthetic-letter"), period_end=None,
    )  # fmt: skip
    factories.shipment("synthetic-line-1", (letter,), chip=chip, quantity=1500, destination=site)
    factories.shipment("synthetic-line-2", chip=chip, quantity=800, destination=site)
    return site


def run():
    row = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    services.finish_here(row.id)
    row.refresh_from_db()
    return row


def gap(row) -> Finding:
    return findings().get(run=row, check_code="GAP", counterpart="synthetic-115000")


def term(tree: Node, name: str) -> Node:
    return next(node for node in tree.children if node.role == name)


def test_the_tree_leads_from_the_difference_to_the_words_of_the_sources(desert):
    page = finding_tree(gap(run()))
    assert page.tree.number == 115000 - 2300
    (claim,) = term(page.tree, "reported").children
    assert claim.record is not None
    assert claim.record.model == "claim"
    (words,) = [node for node in claim.children if node.kind == "source"]
    assert (words.said, words.source and words.source.slug) == ("about 115,000 chips", "synthetic-paper")
    receipts = term(page.tree, "receipts")
    assert (receipts.number, receipts.count) == (2300, 2)
    first, second = receipts.children
    assert [node.kind for node in first.children] == ["claim", "source"]
    assert first.children[0].children[0].said == "fifteen hundred of them"
    assert [node.kind for node in second.children] == ["source"]
    (echo,) = term(page.tree, "echoes").children
    assert echo.children[0].said == "115,000, according to the paper"


def test_the_tree_shows_the_versions_that_the_run_read(desert):
    found = gap(run())
    before = as_dict(finding_tree(found).tree)
    Claim.objects.filter(slug="synthetic-115000").update(original_text="corrected", best=5)
    Source.objects.filter(slug="synthetic-paper").update(title="Another title", verification="read")
    Claim.objects.filter(slug="synthetic-echo").delete()
    assert as_dict(finding_tree(found).tree) == before


def test_a_tree_takes_as_many_queries_for_many_records_as_for_few(desert, django_assert_max_num_queries):
    chip = Claim.objects.get(slug="synthetic-115000").chip
    for number in range(30):
        factories.shipment(f"synthetic-more-{number}", chip=chip, quantity=10 + number, destination=desert)
    found = gap(run())
    assert found.evidence.count() > 30
    with django_assert_max_num_queries(8):
        finding_tree(found)


def test_a_long_tree_is_read_in_pages(desert):
    found = gap(run())
    first = finding_tree(found, limit=2)
    assert first.next_after == 1
    rest = finding_tree(found, after=1)
    assert rest.next_after is None
    assert term(first.tree, "receipts").number == term(rest.tree, "receipts").number == 2300
    count = found.evidence.count()
    assert (first.tree.left_out, rest.tree.left_out) == (count - 2, 2)


def test_findings_of_a_run_that_has_not_finished_are_not_shown(desert):
    row = factories.run(status="running")
    factories.finding(row)
    assert not findings().filter(run=row).exists()


# --- records ----------------------------------------------------------------------------------------------------------------


def test_a_record_is_shown_as_it_was_known_with_all_its_versions(desert):
    row = run()
    claim = Claim.objects.get(slug="synthetic-115000")
    Claim.objects.filter(pk=claim.pk).update(best=90000, original_text="about 90,000 chips")
    then, now = record_shown("claim", claim.pk, row.as_known_at), record_shown("claim", claim.pk, None)
    assert then is not None
    assert now is not None
    assert (then.record.said, then.record.figure) == ("about 115,000 chips", "115,000 chips")
    assert (now.record.said, now.record.figure) == ("about 90,000 chips", "90,000 chips")
    assert [(line.version, line.is_shown) for line in then.versions] == [(2, False), (1, True)]
    old = RecordVersion.objects.get(table_name="tracker_claim", object_id=claim.pk)
    assert then.versions[1].superseded_at == old.superseded_at
    assert [(use.check, use.version) for use in then.uses if use.check == "GAP"] == [("GAP", 1)]


def test_a_source_shows_the_passages_taken_from_it(desert):
    source = Source.objects.get(slug="synthetic-paper")
    page = record_shown("source", source.pk, None)
    assert page is not None
    assert [record.said for record in page.passages] == ["about 115,000 chips"]
    line = record_shown("source", Source.objects.get(slug="synthetic-source").pk, None)
    assert line is not None
    assert dict(line.others)["shipments"] == 2


def test_no_name_of_staff_is_on_the_page_of_a_record(desert):
    claim = Claim.objects.get(slug="synthetic-115000")
    page = record_shown("claim", claim.pk, None)
    assert page is not None
    assert not {fact.name for fact in page.facts} & {"recorded by", "recorded reason", "recorded batch"}


@pytest.mark.parametrize("model", ["user", "recordversion", "finding", "nothing"])
def test_other_tables_have_no_pages(model):
    assert record_shown(model, 1, None) is None


def test_a_record_that_was_not_known_yet_is_not_shown(desert):
    claim = Claim.objects.get(slug="synthetic-115000")
    assert record_shown("claim", claim.pk, claim.recorded_at.replace(year=2020)) is None
    assert date(2020, 1, 1) < claim.recorded_at.date()
