"""Proofs of the ledger at the desk and for monitors."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests import factories
from tests.admin.conftest import at_the_desk
from tracker import tasks
from tracker.models import LedgerProof
from tracker.proof.services import prove

pytestmark = pytest.mark.django_db

START = "admin:tracker_ledgerproof_start_proof"
BREACH = {
    "check": "shares", "table": "tracker_runpartition", "id": 77, "stored": "share <b>site</b> 1: waiting", "expected": "done",
    "mend": "Make the run again.",
}  # fmt: skip


def test_a_proof_tells_what_was_looked_at_and_which_rows_do_not_hold(reader):
    proof = factories.ledger_proof(outcome="breached", breached=1, breaches=[BREACH])
    text = reader.get(reverse("admin:tracker_ledgerproof_change", args=[proof.pk])).content.decode()
    assert "tracker_runpartition 77" in text
    assert "share &lt;b&gt;site&lt;/b&gt; 1: waiting" in text
    assert "Make the run again." in text
    assert "10 rows looked at, 1 do not hold" in text
    assert "rows do not hold" in reader.get(reverse("admin:tracker_ledgerproof_changelist")).content.decode()


def test_the_desk_tells_the_last_proof(reader):
    assert "never proven" in reader.get(reverse("admin:index")).content.decode()
    prove("synthetic")
    assert "rows hold (proof of" in reader.get(reverse("admin:index")).content.decode()
    factories.ledger_proof(outcome="breached", breached=1, started_at=LedgerProof.objects.get().finished_at)
    assert "1 rows do not hold" in reader.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("role", ["Operator", "Reviewer"])
def test_an_operator_or_reviewer_asks_for_a_proof(role, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.verify_ledger, "delay", asked.append)
    at_the_desk(role).post(reverse(START), {"_form_submitted": "on"})
    assert asked == [f"the-{role.lower()}"]


@pytest.mark.parametrize("role", ["reader", "analyst"])
def test_others_ask_for_no_proof(request, role):
    assert request.getfixturevalue(role).post(reverse(START), {"_form_submitted": "on"}).status_code == 403


def test_a_monitor_is_told_whether_the_ledger_stands_proven(client):
    assert client.get("/proofz").status_code == 503
    tasks.verify_ledger("schedule")
    answer = client.get("/proofz")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.content.decode().startswith("All of ")
    factories.ledger_proof(
        outcome="broken off",
        error="Its process was stopped.",
        started_at=LedgerProof.objects.get().finished_at,
    )
    answer = client.get("/proofz")
    assert (answer.status_code, b"was broken off" in answer.content) == (503, True)
