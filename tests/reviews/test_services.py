import pytest
from django.contrib.auth.models import Group, Permission, User

from tests import factories
from tracker.core.errors import BadInput
from tracker.reviews.services import assign, decisions, ensure_roles, reopen, resolve

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


def test_every_decision_is_kept_with_its_author(found, zhang):
    assign(found, zhang, zhang)
    resolve(found, zhang, "timing", WHY)
    reopen(found, zhang, "The carrier gives another date.")

    said = [(entry.user.username, entry.change_message) for entry in decisions(found)]
    assert [who for who, _ in said] == ["zhang"] * 3
    assert [words.split()[0] for _, words in said] == ["Reopened:", "Resolved", "Assigned"]


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
    assert may("Reviewer", "tracker.resolve_discrepancy")
    assert may("Operator", "tracker.add_reconciliationrun")
    assert not may("Operator", "tracker.change_claim")
    for role in ("Reader", "Analyst", "Reviewer", "Operator"):
        assert not Permission.objects.filter(group__name=role, content_type__app_label="auth").exists()


def test_making_the_roles_twice_changes_nothing():
    assert ensure_roles() == ensure_roles()
    assert Group.objects.filter(name="Analyst").count() == 1
