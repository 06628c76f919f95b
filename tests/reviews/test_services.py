import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction

from tests import factories
from tracker.core.errors import BadInput
from tracker.models import DiscrepancyEvent
from tracker.reviews.services import assign, ensure_roles, events, note, reopen, resolve

pytestmark = pytest.mark.django_db

WHY = "The chips were under way until March."


@pytest.fixture
def zhang():
    return User.objects.create_user("zhang")


@pytest.fixture
def found():
    return factories.finding(factories.run()).discrepancy


def test_closing_keeps_the_digest_of_the_evidence_it_rested_on(found, zhang):
    row = resolve(found, zhang, "timing", WHY)

    assert row.resolved_evidence_sha256 == row.latest.evidence_sha256 != ""


@pytest.mark.parametrize(
    ("reason", "sentence", "said"),
    [
        ("because", WHY, "is no reason"),
        ("timing", "  ", "in a sentence"),
        ("timing", "seen", "in a sentence"),
    ],
)
def test_closing_needs_a_known_reason_and_a_sentence(found, zhang, reason, sentence, said):
    with pytest.raises(BadInput, match=said):
        resolve(found, zhang, reason, sentence)

    found.refresh_from_db()
    assert found.state == "new"


def test_what_is_closed_cannot_be_closed_again(found, zhang):
    resolve(found, zhang, "timing", WHY)

    with pytest.raises(BadInput, match="resolved by zhang already"):
        resolve(found, zhang, "echo", WHY)


def test_only_what_is_closed_can_be_opened_again(found, zhang):
    with pytest.raises(BadInput, match="is not resolved"):
        reopen(found, zhang, "The carrier gives another date.")


def test_every_decision_is_kept_with_its_author_and_what_was_before(found, zhang):
    assign(found, zhang, zhang)
    resolve(found, zhang, "timing", WHY)
    reopen(found, zhang, "The carrier gives another date.")

    told = [(row.made_by, row.what, row.before, row.after, row.reason, row.words) for row in events(found)]
    assert told == [
        ("zhang", "state", "resolved", "reopened", "", "The carrier gives another date."),
        ("zhang", "state", "new", "resolved", "timing", WHY),
        ("zhang", "assignee", "", "zhang", "", ""),
    ]


def test_assigning_to_whom_it_is_assigned_already_is_no_event(found, zhang):
    assign(found, zhang, zhang)
    assign(found, zhang, zhang)
    assign(found, zhang, None)

    assert [(row.before, row.after) for row in events(found)] == [("zhang", ""), ("", "zhang")]


def test_the_history_cannot_be_rewritten(found, zhang):
    assign(found, zhang, zhang)
    note(found, zhang, "The operator confirms the count.")
    for rows in (DiscrepancyEvent.objects.all(), found.notes.all()):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            rows.update(discrepancy=found)
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            rows.delete()


def test_a_note_carries_its_author_address_and_source(found, zhang):
    source = factories.source()
    row = note(found, zhang, " The filing gives a later date. ", "https://example.org/filing", source)

    assert (row.written_by, row.text, row.url, row.source) == (
        "zhang", "The filing gives a later date.", "https://example.org/filing", source,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "url", "said"),
    [("seen", "", "in a sentence"), ("The filing says so.", "javascript:alert(1)", "valid URL")],
)
def test_a_note_without_a_sentence_or_with_no_web_address_is_refused(found, zhang, text, url, said):
    with pytest.raises(BadInput, match=said):
        note(found, zhang, text, url)
    assert not found.notes.exists()


def test_nothing_is_assigned_to_a_closed_account(found, zhang):
    with pytest.raises(BadInput, match="can no longer sign in"):
        assign(found, zhang, User.objects.create_user("gone", is_active=False))


def test_roles_hold_what_their_work_needs_and_no_more():
    ensure_roles()

    def may(role, name):
        app, codename = name.split(".")
        return Permission.objects.filter(
            group__name=role, content_type__app_label=app, codename=codename
        ).exists()

    assert may("Reader", "tracker.view_claim")
    assert not Group.objects.get(name="Reader").permissions.exclude(codename__startswith="view_").exists()
    assert may("Analyst", "tracker.change_claim")
    assert not may("Analyst", "tracker.delete_claim")
    assert not may("Analyst", "tracker.change_exportrule")
    assert not may("Analyst", "tracker.resolve_discrepancy")
    assert may("Analyst", "tracker.add_discrepancynote")
    assert not may("Analyst", "tracker.change_methodparameter")
    assert may("Reviewer", "tracker.change_methodparameter")
    assert may("Reviewer", "tracker.resolve_discrepancy")
    assert may("Operator", "tracker.add_reconciliationrun")
    assert not may("Operator", "tracker.change_claim")
    for role in ("Reader", "Analyst", "Reviewer", "Operator"):
        assert not Permission.objects.filter(group__name=role, content_type__app_label="auth").exists()


def test_making_the_roles_twice_changes_nothing():
    assert ensure_roles() == ensure_roles()
    assert Group.objects.filter(name="Analyst").count() == 1
