"""Leases, taking up again, giving up, cancelling and asking once, without workers."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests import factories
from tests.reconciliation.test_worker_killed import blocked_on, database_url, wait_for
from tracker.core.errors import BadInput, CannotReconcile
from tracker.models import Finding, ReconciliationRun, RunPartition
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.closing import services as closing
from tracker.runs import services as runs

pytestmark = pytest.mark.django_db


def start(**given) -> ReconciliationRun:
    row = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    ReconciliationRun.objects.filter(id=row.id).update(**given)
    row.refresh_from_db()
    return row


def ago(**span) -> object:
    return timezone.now() - timedelta(**span)


def finish_shares(row: ReconciliationRun) -> None:
    for pk in services.unfinished_shares(row.id):
        assert runs.carry_out(pk) == "done"


def begun(row: ReconciliationRun) -> RunPartition:
    """A share that somebody began a while ago and does not hold."""
    share = row.partitions.first()
    assert services.begin_share(share.id)
    RunPartition.objects.filter(id=share.id).update(started_at=ago(minutes=1))
    return share


# --- the lease ------------------------------------------------------------------------------------------------------------


def test_work_on_a_share_moves_the_lease_of_its_run_on(settings):
    settings.RUN_LEASE_MINUTES = 7
    row = start()
    assert row.lease_until is None
    runs.carry_out(row.partitions.first().id)
    row.refresh_from_db()
    assert timedelta(minutes=6) < row.lease_until - timezone.now() <= timedelta(minutes=7)


def test_shares_that_wait_in_the_queue_are_left_there_while_the_lease_runs():
    row = start(lease_until=timezone.now() + timedelta(minutes=1))
    assert runs.take_up() == runs.TakenUp()
    row.refresh_from_db()
    assert row.take_ups == 0


@pytest.mark.django_db(transaction=True)
def test_a_share_whose_worker_died_is_taken_up_at_once():
    row = start(lease_until=timezone.now() + timedelta(minutes=1))
    share = begun(row)
    assert runs.take_up().shares == [share.id]


def test_a_run_that_stands_still_past_its_lease_is_taken_up_whole_and_gets_a_new_lease():
    row = start(lease_until=ago(seconds=1))
    assert runs.take_up().shares == list(row.partitions.order_by("id").values_list("id", flat=True))
    row.refresh_from_db()
    assert row.take_ups == 1
    assert row.lease_until > timezone.now()
    assert runs.take_up().shares == [], "the queue was filled twice"


def test_a_run_that_was_never_touched_has_the_lease_of_its_first_minutes():
    row = start()
    assert runs.take_up().shares == []
    ReconciliationRun.objects.filter(id=row.id).update(created_at=ago(minutes=6))
    assert len(runs.take_up().shares) == row.partitions.count()


def test_a_run_that_is_taken_up_too_often_is_failed_with_what_went_wrong_last(settings):
    settings.RUN_TAKE_UPS = 3
    row = start(lease_until=ago(seconds=1), take_ups=3)
    RunPartition.objects.filter(id=row.partitions.first().id).update(error="OperationalError: disk full")
    assert runs.take_up().failed == [row.id]
    row.refresh_from_db()
    assert row.status == "failed"
    assert f"0 of {row.partitions.count()} shares were done" in row.error
    assert "disk full" in row.error
    assert "start a new run" in row.error
    assert runs.take_up() == runs.TakenUp()


def test_a_run_past_its_deadline_is_failed_even_while_its_lease_runs(settings):
    settings.RUN_DEADLINE_HOURS = 5
    row = start(created_at=ago(hours=6), lease_until=timezone.now() + timedelta(minutes=5))
    assert runs.take_up().failed == [row.id]
    row.refresh_from_db()
    assert "within 5 hours" in row.error
    assert not services.begin_share(row.partitions.first().id)


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_closing_was_lost_is_closed():
    row = start()
    finish_shares(row)
    assert runs.take_up().complete == [row.id]
    assert runs.close(row.id)
    assert not runs.close(row.id)


def test_a_share_that_the_database_dropped_too_often_fails_its_run_and_says_why():
    row = start()
    share = row.partitions.first()
    RunPartition.objects.filter(id=share.id).update(
        attempts=services.ATTEMPTS, error="OperationalError: disk full"
    )
    assert not services.begin_share(share.id)
    row.refresh_from_db()
    assert row.status == "failed"
    assert "disk full" in row.error


# --- work that is disturbed -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_run_is_not_taken_up_past_its_lease_while_somebody_holds_a_share():
    row = start()
    share = row.partitions.first()
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", [services.SHARE_LOCK, share.id])
        ReconciliationRun.objects.filter(id=row.id).update(lease_until=ago(hours=1))
        assert runs.take_up() == runs.TakenUp()
    assert runs.take_up().shares


@pytest.mark.django_db(transaction=True)
def test_a_run_is_closed_by_one_process_while_others_pass_by():
    row = start()
    finish_shares(row)
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [runs.CLOSING_LOCK, row.id])
        ReconciliationRun.objects.filter(id=row.id).update(lease_until=ago(hours=1))
        assert not runs.close(row.id)
        assert runs.take_up() == runs.TakenUp()
        # given back in words: a server may notice a moment later that a connection was closed
        other.execute("SELECT pg_advisory_unlock(%s, %s)", [runs.CLOSING_LOCK, row.id])
    assert runs.close(row.id)
    assert services.held_locks(runs.CLOSING_LOCK) == set()


@pytest.mark.django_db(transaction=True)
def test_a_share_of_a_cancelled_run_ends_soon_and_without_effect(monkeypatch):
    monkeypatch.setattr(runs, "BEAT_SECONDS", 0.05)
    chip, site = factories.chip(), factories.data_center("synthetic-site")
    factories.claim("synthetic-claim", data_center=site, chip=chip, best=5000)
    factories.shipment("synthetic-line", destination=site, chip=chip, quantity=100)
    row = start()
    connection.cursor().execute("SET lock_timeout = '30s'")  # rather than for ever
    with psycopg.connect(database_url()) as brake:
        brake.execute("LOCK TABLE tracker_finding IN ACCESS EXCLUSIVE MODE")
        told: list[float] = []
        elsewhere = threading.Thread(target=cancel_once_it_waits, args=[row.id, told])
        elsewhere.start()
        outcomes = {runs.carry_out(pk) for pk in services.unfinished_shares(row.id)}
        elsewhere.join()
        connection.cursor().execute("SET lock_timeout = 0")
        assert time.monotonic() - told[0] < 20, "it was the lock that gave up, not the share"
    assert "over" in outcomes
    assert outcomes <= {"over", "done"}
    assert not Finding.objects.exists()
    assert not row.partitions.filter(status__in=["running", "failed"]).exists()
    row.refresh_from_db()
    assert row.status == "cancelled"


def cancel_once_it_waits(run_id: int, told: list[float]) -> None:
    try:
        wait_for(lambda: blocked_on("tracker_finding") > 0)
    finally:
        told.append(time.monotonic())
        cancel_elsewhere(run_id)


def cancel_elsewhere(run_id: int) -> None:
    services.cancel_run(run_id)
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_just_being_closed_cannot_be_stopped_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(services, "CANCEL_PATIENCE_MS", 100)
    row = start()
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT 1 FROM tracker_reconciliationrun WHERE id = %s FOR UPDATE", [row.id])
        with pytest.raises(CannotReconcile, match="can no longer be stopped"):
            services.cancel_run(row.id)
    assert services.cancel_run(row.id)


@pytest.mark.django_db(transaction=True)
def test_between_its_steps_a_share_sees_that_its_run_was_cancelled(monkeypatch):
    row = start()
    judged = []

    def judge_and_cancel(self, *share):
        judged.append(share)
        elsewhere = threading.Thread(target=cancel_elsewhere, args=[row.id])
        elsewhere.start()
        elsewhere.join()
        return real(self, *share)

    real = services.Ledger.pieces
    monkeypatch.setattr(services.Ledger, "pieces", judge_and_cancel)
    outcomes = [runs.carry_out(pk) for pk in services.unfinished_shares(row.id)]
    first = outcomes.index("over")
    assert set(outcomes[:first]) == {"done"}, "lines, which are read otherwise"
    assert set(outcomes[first:]) == {"over"}
    assert len(judged) == 1, "shares of a run that is over were begun"


@pytest.mark.django_db(transaction=True)
def test_a_share_that_the_database_broke_off_is_left_for_another_try(monkeypatch):
    row = start()
    share = row.partitions.first()

    def broken(*args):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)")

    with monkeypatch.context() as patch:
        patch.setattr(services.Ledger, "pieces", broken)
        with pytest.raises(OperationalError):
            runs.carry_out(share.id)
    share.refresh_from_db()
    row.refresh_from_db()
    assert (row.status, share.status) == ("running", "running")
    assert "statement timeout" in share.error
    RunPartition.objects.filter(id=share.id).update(started_at=ago(minutes=1))
    assert runs.take_up().shares == [share.id]
    assert runs.carry_out(share.id) == "done"


def test_closing_that_fails_fails_the_run_and_says_what_to_do(monkeypatch):
    row = start()
    finish_shares(row)

    def broken(*args):
        raise ValueError("synthetic trouble")

    monkeypatch.setattr(runs, "close_if_complete", broken)
    with pytest.raises(ValueError, match="synthetic trouble"):
        runs.close(row.id)
    row.refresh_from_db()
    assert row.status == "failed"
    assert "synthetic trouble. Mend the cause and start a new run" in row.error


# --- asking ---------------------------------------------------------------------------------------------------------------


def test_asking_twice_with_one_key_starts_one_run():
    first, is_new = runs.start_once("synthetic analyst", "key-1")
    again, is_new_again = runs.start_once("synthetic analyst", "key-1")
    assert (is_new, is_new_again) == (True, False)
    assert first.id == again.id
    assert runs.start_once("another analyst", "key-1")[0].id != first.id
    assert runs.start_once("synthetic analyst")[0].id != runs.start_once("synthetic analyst")[0].id


def test_one_key_for_two_instants_is_refused():
    first, _ = runs.start_once("synthetic analyst", "key-1")
    assert runs.start_once("synthetic analyst", "key-1", as_known_at=first.as_known_at)[0].id == first.id
    with pytest.raises(BadInput, match=first.key):
        runs.start_once("synthetic analyst", "key-1", as_known_at=ago(days=1))


def test_two_requests_with_one_key_at_once_start_one_run(monkeypatch):
    """The second asks before the first has written its row: it meets the constraint and gets the first's run."""
    first, _ = runs.start_once("synthetic analyst", "key-1")
    answers = iter([None, first])
    monkeypatch.setattr(runs, "run_for", lambda *asked: next(answers))
    again, is_new = runs.start_once("synthetic analyst", "key-1")
    assert (again.id, is_new) == (first.id, False)


# --- going on -------------------------------------------------------------------------------------------------------------


def test_a_failed_run_goes_on_from_where_it_stood():
    row = start()
    shares = list(row.partitions.order_by("id").values_list("id", flat=True))
    assert runs.carry_out(shares[0]) == "done"
    RunPartition.objects.filter(id=shares[1]).update(status="failed", attempts=5, error="synthetic trouble")
    ReconciliationRun.objects.filter(id=row.id).update(
        status="failed", error="synthetic trouble", finished_at=ago(minutes=1)
    )
    row.refresh_from_db()
    assert runs.resume(row)
    assert (row.status, row.error) == ("queued", "")
    assert services.unfinished_shares(row.id) == shares[1:]
    services.finish_here(row.id)
    row.refresh_from_db()
    assert row.status == "finished"


def test_a_run_of_other_code_does_not_go_on():
    row = start(status="failed", code_version="0.0.0+000000000000")
    with pytest.raises(BadInput, match="--repeat"):
        runs.resume(row)


def test_a_worker_of_other_code_leaves_a_run_to_workers_of_its_own(settings):
    settings.RUN_TAKE_UPS = 1
    row = start(code_version="0.0.0+000000000000")
    share = row.partitions.first()
    assert runs.carry_out(share.id) == "other code"
    share.refresh_from_db()
    assert (share.status, share.attempts) == ("waiting", 0)
    row.partitions.update(status="done")
    assert not runs.close(row.id)
    row.partitions.update(status="waiting")
    ReconciliationRun.objects.filter(id=row.id).update(lease_until=ago(seconds=1), take_ups=1)
    assert runs.take_up().failed == [row.id]
    row.refresh_from_db()
    assert "restart all workers" in row.error


@pytest.mark.django_db(transaction=True)
def test_a_run_tells_the_stage_it_is_at(monkeypatch):
    row = start()
    seen = [row.stage]

    def looked(step):
        def look_and_go_on(*args):
            row.refresh_from_db()
            if row.stage != seen[-1]:
                seen.append(row.stage)
            return step(*args)

        return look_and_go_on

    for module, step in ((services, services._locked_share), (closing, closing._control_false_alarms)):
        monkeypatch.setattr(module, step.__name__, looked(step))

    finish_shares(row)
    assert runs.close(row.id)
    row.refresh_from_db()
    assert [*seen, row.stage] == ["snapshot", "books", "checks", "false alarms", "closed"]


def test_a_finished_run_does_not_go_on():
    row = start()
    services.finish_here(row.id)
    row.refresh_from_db()
    with pytest.raises(BadInput, match="has finished"):
        runs.resume(row)


def test_progress_tells_stage_shares_lines_and_time():
    row = start()
    share = row.partitions.first()
    runs.carry_out(share.id)
    RunPartition.objects.filter(id=share.id).update(rows=1234, seconds=2.5)
    row.refresh_from_db()
    now = row.started_at + timedelta(seconds=90)
    found = runs.progress(row, now)
    assert found == runs.Progress(row.stage, 1, row.partitions.count(), 1234, 2.5, 90.0)
