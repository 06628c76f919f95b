"""What happens at once: two runs that close, a decision taken while one closes, writers beside an instant that was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from tests import factories
from tests.reconciliation.test_incremental import SYNTHETIC
from tests.reconciliation.test_worker_killed import database_url, wait_for
from tracker import tasks
from tracker.core.services import settled_instant
from tracker.models import Claim, Discrepancy, ReconciliationRun, Shipment
from tracker.reconciliation import services
from tracker.reconciliation.lives import services as lives
from tracker.reviews.services import resolve
from tracker.runs import services as runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gaps():
    """Sites that are said to hold more than they received."""
    chip = factories.chip("synthetic-h")
    for number in range(3):
        site = factories.data_center(f"synthetic-site-{number}")
        factories.claim(f"synthetic-claim-{number}", data_center=site, chip=chip, best=5000)
        factories.shipment(f"synthetic-line-{number}", chip=chip, destination=site, quantity=100)


def begun(**given) -> ReconciliationRun:
    """A run of which only the closing is left."""
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC, **given)
    for pk in services.unfinished_shares(row.id):
        assert runs.carry_out(pk) == "done"
    return row


def beside(action: Callable[[], object]) -> threading.Thread:
    """An action in a thread with a connection of its own."""

    def work() -> None:
        try:
            action()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def somebody_waits(*kinds: str) -> bool:
    """Whether a session of this database waits for a lock of one of these kinds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_clear_snapshot()"
        )  # within a transaction the first answer would be kept
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted"
            " AND l.locktype = ANY(%s) AND a.datname = current_database()",
            [list(kinds)],
        )
        return cursor.fetchone()[0] > 0


def close_both(monkeypatch, first: ReconciliationRun, second: ReconciliationRun, held_in: str) -> None:
    """Close two runs, the first of which waits in a step until the second has begun to wait for it."""
    go, entered, step = threading.Event(), threading.Event(), getattr(lives, held_in)
    seen: list[int] = []

    def slow(run, *given):
        made = step(run, *given)
        if not seen:
            seen.append(run.id)
            entered.set()
            assert go.wait(20)
        return made

    monkeypatch.setattr(lives, held_in, slow)
    threads = [beside(lambda: runs.close(first.id))]
    assert entered.wait(20)
    threads.append(beside(lambda: runs.close(second.id)))
    wait_for(lambda: somebody_waits("advisory"))
    go.set()
    for thread in threads:
        thread.join()
    for row in (first, second):
        row.refresh_from_db()
        assert row.status == "finished", row.error


def history(item: Discrepancy) -> list[tuple[str, str]]:
    return list(item.events.filter(what="state").order_by("id").values_list("before", "after"))


def test_two_runs_that_find_the_same_for_the_first_time_both_close(gaps, monkeypatch):
    close_both(monkeypatch, begun(), begun(), "_open_new")
    assert Discrepancy.objects.filter(check_code="GAP").count() == 3


@pytest.mark.parametrize("later_first", [False, True])
def test_of_two_runs_that_close_at_once_the_later_one_has_the_last_word(gaps, monkeypatch, later_first):
    assert runs.close(begun().id)
    one = begun()
    Shipment.objects.filter(reference="synthetic-line-0").update(quantity=200)
    two = begun()
    first, second = (two, one) if later_first else (one, two)
    close_both(monkeypatch, first, second, "_move_on")
    for item in Discrepancy.objects.filter(check_code="GAP"):
        assert item.last_run_id == two.id
        told = history(item)
        assert all(ended == begins for (_, ended), (begins, _) in pairwise(told))
        assert told[-1][1] == item.state


def test_a_decision_taken_while_a_run_closes_stands(gaps):
    assert runs.close(begun().id)
    item, row = Discrepancy.objects.filter(check_code="GAP").earliest("id"), begun()
    with transaction.atomic():
        resolve(item, User.objects.create_user("zhang"), "explained", "Seen on site in February.")
        thread = beside(lambda: runs.close(row.id))
        wait_for(lambda: somebody_waits("transactionid", "tuple"))
    thread.join()
    item.refresh_from_db()
    assert (item.state, history(item)[-1]) == ("resolved", ("new", "resolved"))


def test_an_instant_that_is_asked_for_waits_for_who_is_writing(gaps):
    row = Shipment.objects.earliest("id")
    with psycopg.connect(database_url()) as other:
        other.execute("UPDATE tracker_shipment SET quantity = 4000 WHERE id = %s", [row.id])
        at = timezone.now()
        started: list[ReconciliationRun] = []
        thread = beside(lambda: started.append(begun(as_known_at=at)))
        wait_for(lambda: somebody_waits("relation"))
        other.commit()
    thread.join()
    read = Shipment.objects.known_at(started[0].as_known_at).get(id=row.id)
    assert (started[0].as_known_at, read.quantity) == (at, 4000)
    assert services.ledger_of(started[0]).named_lines([row.id])[row.id].reported.best == 4000


def test_who_writes_table_after_table_by_plain_sql_is_not_broken_off_for_an_instant(gaps):
    claim = Claim.objects.earliest("id")
    with psycopg.connect(database_url()) as other:
        other.execute("UPDATE tracker_shipment SET quantity = 4000")
        fixed: list[datetime] = []
        thread = beside(lambda: fixed.append(settled_instant()))
        wait_for(lambda: somebody_waits("relation"))
        time.sleep(1.5)  # longer than the database takes to look for a deadlock
        other.execute("UPDATE tracker_claim SET note = 'read again' WHERE id = %s", [claim.id])
        other.commit()
    thread.join()
    claim.refresh_from_db()
    assert claim.note == "read again"
    assert fixed[0] > claim.recorded_at


def test_a_run_that_is_resumed_has_its_whole_time_again(gaps):
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    ReconciliationRun.objects.filter(id=row.id).update(created_at=timezone.now() - timedelta(hours=25))
    assert services.cancel_run(row.id)
    row.refresh_from_db()
    assert runs.resume(row)
    assert runs.take_up().failed == []
    ReconciliationRun.objects.filter(id=row.id).update(resumed_at=timezone.now() - timedelta(hours=25))
    assert runs.take_up().failed == [row.id]


def test_a_number_is_not_given_twice_where_a_run_was_deleted(gaps):
    rows = [services.start_run("synthetic analyst", parameters=SYNTHETIC) for _ in range(3)]
    services.cancel_run(rows[0].id)
    rows[0].delete()
    later = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    assert later.key == f"{later.as_known_at:%Y-%m-%d}-4"


def test_a_cancelled_run_stays_cancelled_though_a_share_fails_afterwards(gaps):
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    share = row.partitions.first()
    assert services.cancel_run(row.id)
    services._give_up(share.id, ValueError("synthetic fault"))
    row.refresh_from_db()
    assert (row.status, row.error) == ("cancelled", "")


def test_a_run_of_another_day_does_not_stand_for_today(gaps):
    row = services.start_run("synthetic analyst", as_of=timezone.now().date() - timedelta(days=40))
    services.finish_here(row.id)
    key = tasks.reconcile_changes()
    assert ReconciliationRun.objects.get(key=key).as_of == timezone.now().date()


def test_the_hourly_run_is_not_started_while_another_is_under_way(gaps):
    first = tasks.reconcile_changes()
    factories.organization("synthetic-newcomer")
    assert tasks.reconcile_changes() == first
    services.finish_here(ReconciliationRun.objects.get(key=first).id)
    factories.organization("synthetic-latecomer")
    second = tasks.reconcile_changes()
    assert second != first
    assert ReconciliationRun.objects.count() == 2


def test_a_run_of_another_day_or_of_synthetic_records_keeps_no_hourly_run_from_starting(gaps):
    other = services.start_run("synthetic analyst", as_of=timezone.now().date() - timedelta(days=40))
    synthetic = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    assert tasks.reconcile_changes() not in (other.key, synthetic.key)


@pytest.mark.parametrize("task", [tasks.reconcile_all, tasks.reconcile_changes])
def test_a_message_that_is_handed_out_again_starts_no_second_run(gaps, task):
    keys = set()
    for _ in range(2):
        keys.add(task.apply(task_id="synthetic-message").get())
        ReconciliationRun.objects.update(as_of="2020-01-01")  # so that the message's name alone tells it
    assert len(keys) == ReconciliationRun.objects.count() == 1
    assert task.apply(task_id="synthetic-other-message").get() not in keys
