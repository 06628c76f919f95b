"""Celery tasks: each takes ids, calls one service, returns a small summary. All may run twice without harm."""

from __future__ import annotations

from datetime import datetime, timedelta

from celery import Task, shared_task
from django.db import transaction
from django.utils import timezone

from tracker.judgement.models import RuleComparison
from tracker.judgement.services import (
    AskedSide,
    request_comparison,
    run_comparison,
    waiting_comparisons,
)
from tracker.proof.services import prove
from tracker.reconciliation import services
from tracker.reconciliation.models import GOING, ReconciliationRun
from tracker.reports.services import build_report, unpublished_runs
from tracker.runs import services as runs
from tracker.screening.services import screen

RESUMABLE = timedelta(days=1)
"""How long the books of a run that came to nothing are kept for whoever may resume it."""
QUEUE_PATIENCE = timedelta(minutes=2)
"""How long a comparison or a report may wait in the queue before it is taken for lost; a second message does no harm."""


def request_run(
    requested_by: str, as_known_at: datetime | None = None, *, request_key: str = ""
) -> ReconciliationRun:
    """Write a run down and, once that is committed, queue its shares; with a key that was given before, the run of then."""
    run, is_new = runs.start_once(requested_by, request_key, as_known_at=as_known_at)
    if is_new:
        queue_run(run)
    return run


def queue_run(run: ReconciliationRun) -> None:
    """Queue every share of a run that nobody is at work on, after the present transaction commits."""
    run_id = run.id
    transaction.on_commit(lambda: _queue_shares(run_id))


def _queue_shares(run_id: int) -> None:
    left = services.unfinished_shares(run_id)
    for pk in left:
        reconcile_share.delay(pk)
    if not left:  # of a run that goes on, perhaps only the closing is left
        close_run.delay(run_id)


@shared_task(name="tracker.reconcile_share")
def reconcile_share(partition_id: int) -> str:
    """Judge one share of a run; whoever finishes the last share closes the run."""
    outcome = runs.carry_out(partition_id)
    if outcome == "done":
        close_run.delay(services.run_of(partition_id))
    return outcome


@shared_task(name="tracker.close_run")
def close_run(run_id: int) -> bool:
    """Close a run if all its shares are done, and build its report."""
    closed = runs.close(run_id)
    if closed:
        build_run_report.delay(run_id)
    return closed


@shared_task(name="tracker.build_run_report")
def build_run_report(run_id: int) -> str:
    """Build the report of a finished run (again with the same bytes, if it exists)."""
    return build_report(ReconciliationRun.objects.get(id=run_id)).html_sha256


@shared_task(name="tracker.reap_runs")
def reap_runs() -> int:
    """Look after what died with its worker or was lost by the broker: runs, their closing and reports, comparisons of law;
    returns shares queued."""
    found = runs.take_up()
    for pk in found.shares:
        reconcile_share.delay(pk)
    for run_id in found.complete:
        close_run.delay(run_id)
    before = timezone.now() - QUEUE_PATIENCE
    for run_id in unpublished_runs(before):
        build_run_report.delay(run_id)
    for pk in waiting_comparisons(before):
        compare_rules.delay(pk)
    services.forget_unfinished(timezone.now() - RESUMABLE)
    return len(found.shares)


@shared_task(name="tracker.reconcile_changes", bind=True)
def reconcile_changes(self: Task, requested_by: str = "schedule") -> str:
    """A run that goes on from the latest one, reading only what changed since. None is started where nothing changed, nor while
    another is under way: runs that take longer than the hour between them must not pile up. Returns the key of the run that
    stands, goes or was started."""
    found = services.run_under_way() or services.standing_run()
    return (found or _asked_by_message(self, requested_by, ReconciliationRun.Mode.INCREMENTAL)).key


@shared_task(name="tracker.reconcile_all", bind=True)
def reconcile_all(self: Task, requested_by: str = "schedule") -> str:
    """A full run, as the schedule asks for it; returns its key."""
    return _asked_by_message(self, requested_by, ReconciliationRun.Mode.FULL).key


def _asked_by_message(task: Task, requested_by: str, mode: str) -> ReconciliationRun:
    """The run that a message asks for: one, also where the broker hands the message out again because a worker was lost."""
    run, is_new = runs.start_once(
        requested_by, f"message {task.request.id}" if task.request.id else "", mode=mode
    )
    if is_new or run.status in GOING:  # the worker may have been lost before it queued the shares
        queue_run(run)
    return run


@shared_task(name="tracker.publish_reports")
def publish_reports() -> int:
    """Build the reports of finished runs that have none; returns how many."""
    missing = unpublished_runs(timezone.now())
    for run_id in missing:
        build_run_report(run_id)
    return len(missing)


@shared_task(name="tracker.verify_ledger")
def verify_ledger(requested_by: str = "schedule") -> dict[str, int | str]:
    """Prove the ledger; returns the outcome and how many rows do not hold."""
    proof = prove(requested_by)
    return {"outcome": proof.outcome, "looked_at": proof.looked_at, "breached": proof.breached}


def ask_comparison(
    before: AskedSide, after: AskedSide, requested_by: str, records: str = "real"
) -> RuleComparison:
    """Write a comparison of two sides of the law down and, once that is committed, queue it."""
    row = request_comparison(before, after, requested_by, records)
    transaction.on_commit(lambda: compare_rules.delay(row.pk))
    return row


@shared_task(name="tracker.compare_rules")
def compare_rules(comparison_id: int) -> str:
    """Hold two sides of the law against the ledger."""
    return run_comparison(comparison_id)


@shared_task(name="tracker.screen_changes")
def screen_changes(requested_by: str = "schedule", everything: bool = False) -> dict[str, int]:
    """Screen the organizations and listed parties that changed; returns counts."""
    return screen(requested_by, everything=everything).as_counts()
