"""Real workers, a real broker and a real database, killed with -9 in the middle of runs: each run ends as an undisturbed one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from django.utils import timezone

from config import embedded
from config.celery import app
from tests import factories
from tests.reconciliation.test_worker_killed import database_url, wait_for, worker
from tracker import tasks
from tracker.models import Discrepancy, ReconciliationRun, Report, RunPartition, Shipment
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reports.services import build_report, unpublished_runs
from tracker.runs import services as runs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    app.control.purge()
    yield
    app.control.purge()


@pytest.fixture
def calm() -> ReconciliationRun:
    """An undisturbed run, in one process, over a small ledger in which most places do not add up."""
    chip = factories.chip("synthetic-h")
    for number in range(6):
        site = factories.data_center(f"synthetic-site-{number}")
        factories.claim(f"synthetic-claim-{number}", data_center=site, chip=chip, best=5000)
        factories.shipment(f"synthetic-line-{number}", chip=chip, destination=site, quantity=100)
    run = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    run.refresh_from_db()
    assert run.findings.filter(is_discrepancy=True).exists()
    return run


def again(calm: ReconciliationRun) -> ReconciliationRun:
    return services.repeat_run(calm, "synthetic analyst")


def that_finds(run: ReconciliationRun) -> RunPartition:
    """A share whose like had findings in an undisturbed run: one without writes none, and would wait for nothing."""
    known = RunPartition.objects.filter(run__status="finished", findings__gt=0).earliest("id")
    return run.partitions.get(kind=known.kind, index=known.index)


SAME = """
SELECT status, findings_sha256,
       (SELECT count(*) FROM tracker_finding f WHERE f.run_id = r.id),
       (SELECT count(*) FROM tracker_evidence e JOIN tracker_finding f ON coalesce(f.evidence_of_id, f.id) = e.finding_id
        WHERE f.run_id = r.id),
       (SELECT count(*) FROM tracker_balancecell c WHERE c.run_id = r.id),
       (SELECT count(*) FROM tracker_runpartition p WHERE p.run_id = r.id AND p.status <> 'done'),
       (SELECT count(*) FROM tracker_report p WHERE p.run_id = r.id) <= 1
FROM tracker_reconciliationrun r WHERE id = %s
"""


def outcome(run_id: int, url: str | None = None) -> Any:
    """Digest and numbers of rows of a run: two runs of equal outcome have the same findings, none of them twice."""
    with psycopg.connect(url or database_url()) as other:
        return other.execute(SAME, [run_id]).fetchone()


def finished(run: ReconciliationRun) -> bool:
    run.refresh_from_db()
    return run.status == "finished"


def kill(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def waiting() -> int:
    """How many sessions of this database wait for a table that another has locked. Workers that begin shares of one run wait a
    moment for its row, too: who is killed there has begun nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND wait_event = 'relation'"
        )
        return cursor.fetchone()[0]


def kill_children(process: subprocess.Popen) -> None:
    """Kill the processes of a worker's pool, which do the work; their parent lives on."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    for pid in listed.stdout.split():
        os.kill(int(pid), signal.SIGKILL)


# --- one worker, at each stage --------------------------------------------------------------------------------------------


def nothing(run: ReconciliationRun) -> None:
    """The run stands at its beginning."""


def judge(run: ReconciliationRun) -> None:
    for pk in services.unfinished_shares(run.id):
        runs.carry_out(pk)


def finish(run: ReconciliationRun) -> None:
    services.finish_here(run.id)


def one_share(run: ReconciliationRun) -> None:
    tasks.reconcile_share.delay(that_finds(run).id)


@dataclass(frozen=True)
class Stage:
    """Where a process is killed: after ``before`` was done here, ``queue`` has it go on, and it waits for ``table``."""

    table: str
    before: Callable[[ReconciliationRun], None]
    queue: Callable[[ReconciliationRun], Any]


BOOKS = Stage("tracker_shipment", nothing, one_share)
CHECKS = Stage("tracker_finding", nothing, one_share)
FALSE_ALARMS = Stage("tracker_finding", judge, lambda run: tasks.close_run.delay(run.id))
DISCREPANCIES = Stage("tracker_discrepancy", judge, lambda run: tasks.close_run.delay(run.id))
REPORT = Stage("tracker_report", finish, lambda run: tasks.build_run_report.delay(run.id))

ROUNDS = ((BOOKS, DISCREPANCIES, REPORT), (CHECKS, FALSE_ALARMS))
"""Stages whose locks do not keep the others of their round from getting where they are to be killed."""


def test_processes_killed_at_any_stage_leave_runs_like_an_undisturbed_one(tmp_path, calm):
    discrepancies = Discrepancy.objects.count()
    with worker(tmp_path, processes=3) as only:
        for stages in ROUNDS:
            given = [(stage, again(calm)) for stage in stages]
            for stage, run in given:
                stage.before(run)
            with psycopg.connect(database_url()) as brake:
                for table in sorted({stage.table for stage in stages}):
                    brake.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                for stage, run in given:
                    stage.queue(run)
                wait_for(lambda stages=stages: waiting() == len(stages))
                kill_children(only)
                brake.rollback()
            for _, run in given:
                tasks.queue_run(run)  # what was not begun
            for _, run in given:
                wait_for(lambda run=run: finished(run) and Report.objects.filter(run=run).exists())
                assert outcome(run.id) == outcome(calm.id)
    assert Discrepancy.objects.count() == discrepancies


def test_what_a_killed_worker_was_closing_or_publishing_is_found_when_its_message_is_lost(calm):
    run = again(calm)
    judge(run)
    ReconciliationRun.objects.filter(id=run.id).update(lease_until=run.created_at)
    assert runs.take_up().complete == [run.id]
    assert runs.close(run.id)
    assert unpublished_runs(timezone.now()) == [calm.id, run.id]
    build_report(calm)
    assert unpublished_runs(timezone.now()) == [run.id]


# --- several workers ------------------------------------------------------------------------------------------------------


def test_three_workers_share_two_runs_and_mix_nothing(tmp_path, calm):
    two = [again(calm), again(calm)]
    Shipment.objects.filter(reference="synthetic-line-0").update(quantity=4990)
    other = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    names = ("first", "second", "third")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(worker(tmp_path, name))
        with psycopg.connect(database_url()) as brake:
            brake.execute("LOCK TABLE tracker_shipment IN ACCESS EXCLUSIVE MODE")
            for run in (two[0], other):
                tasks.queue_run(run)
            wait_for(lambda: waiting() == len(names))  # all three are at work at once
            brake.rollback()
        wait_for(lambda: finished(two[0]) and finished(other))
    for name in names:
        assert "reconcile_share" in (tmp_path / f"{name}.log").read_text()
    assert outcome(two[0].id) == outcome(calm.id)
    assert other.findings_sha256 != calm.findings_sha256

    # The same two in one process: the second of each pair reads the same instant.
    calm_other = again(other)
    for run in (two[1], calm_other):
        services.finish_here(run.id)
    assert outcome(two[1].id) == outcome(calm.id)
    assert outcome(calm_other.id) == outcome(other.id)


def test_of_two_workers_one_is_killed_and_the_other_does_its_work(tmp_path, calm):
    run = again(calm)
    with worker(tmp_path, "lives"), worker(tmp_path, "dies") as dies:
        with psycopg.connect(database_url()) as brake:
            brake.execute("LOCK TABLE tracker_shipment IN ACCESS EXCLUSIVE MODE")
            tasks.queue_run(run)
            wait_for(lambda: waiting() == 2)
            kill(dies)
            brake.rollback()
        wait_for(lambda: run.partitions.exclude(status="done").count() == 1)  # its message is lost with it
        wait_for(lambda: tasks.reap_runs() >= 1)
        wait_for(lambda: finished(run))
    assert run.partitions.filter(attempts=2).count() == 1
    assert outcome(run.id) == outcome(calm.id)


# --- broker and database --------------------------------------------------------------------------------------------------


@pytest.fixture
def own_servers(tmp_path, monkeypatch) -> Iterator[Path]:
    """A state folder of this test: what is killed here serves no other test."""
    monkeypatch.setenv("TRACKER_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    yield tmp_path / "state"
    embedded.reset()


def queue(*names_and_arguments: tuple[str, list[Any]]) -> None:
    """Send tasks to the broker of this test."""
    with closing(Celery(broker=embedded.broker_url(), set_as_current=False)) as sender:
        sender.conf.task_default_queue = settings.CELERY_TASK_DEFAULT_QUEUE
        for name, arguments in names_and_arguments:
            sender.send_task(name, arguments)


def let_the_lease_pass(run_id: int, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "UPDATE tracker_reconciliationrun SET lease_until = now() - interval '1 second' WHERE id = %s"
            " AND status = 'running'",
            [run_id],
        )


def test_a_run_whose_broker_is_killed_with_its_queue_goes_on_by_its_lease(
    tmp_path, own_servers, calm, monkeypatch
):
    url = database_url()
    monkeypatch.setenv("DATABASE_URL", url)  # the database of all tests: only the broker is this test's own
    embedded.up(fast=True)
    run = again(calm)
    with worker(tmp_path, DATABASE_URL=url):
        with psycopg.connect(url) as brake:
            brake.execute("LOCK TABLE tracker_finding IN ACCESS EXCLUSIVE MODE")
            queue(*(("tracker.reconcile_share", [pk]) for pk in services.unfinished_shares(run.id)))
            wait_for(lambda: waiting() == 1)
            kill_broker()
            shutil.rmtree(own_servers / "valkey/appendonlydir")  # nothing of the queue is left
            brake.rollback()
        embedded.up(fast=True)
        wait_for(lambda: not services.held_locks(services.SHARE_LOCK))
        assert run.partitions.filter(status="waiting").exists()
        wait_for(lambda: goes_on(run.id, url))
    run.refresh_from_db()
    assert run.take_ups >= 1
    assert outcome(run.id) == outcome(calm.id)


def kill_broker() -> None:
    os.kill(int((embedded.state_dir() / "valkey/valkey.pid").read_text()), signal.SIGKILL)
    wait_for(lambda: not embedded.valkey_ready())


def test_a_run_whose_database_is_killed_goes_on_when_it_is_back(tmp_path, own_servers, calm):
    run = again(calm)
    embedded.up(fast=True)
    url = embedded.database_url()
    copy_database(url)
    with worker(tmp_path, DATABASE_URL=url):
        brake = psycopg.connect(url)
        brake.execute("LOCK TABLE tracker_finding IN ACCESS EXCLUSIVE MODE")
        queue(*(("tracker.reconcile_share", [pk]) for pk in services.unfinished_shares(run.id)))
        with psycopg.connect(url, autocommit=True) as look:
            waits = (
                "SELECT count(*) FROM pg_locks WHERE relation = 'tracker_finding'::regclass AND NOT granted"
            )
            wait_for(lambda: look.execute(waits).fetchone()[0] == 1)
        kill_database()
        brake.close()
        embedded.up(fast=True)
        wait_for(lambda: goes_on(run.id, url), seconds=60)
    assert outcome(run.id, url) == outcome(calm.id)


def copy_database(url: str) -> None:
    """The database of all tests, rows and all, into this test's own."""
    bins = embedded._reachable_bin()
    dump = subprocess.run([bins / "pg_dump", "--no-owner", database_url()], capture_output=True, check=True)
    subprocess.run(
        [bins / "psql", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=dump.stdout,
        capture_output=True,
        check=True,
    )


def kill_database() -> None:
    """Every process of the server at once."""
    pid = (embedded._pg_home() / "pgdata/postmaster.pid").read_text().splitlines()[0]
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", pid], capture_output=True, text=True, check=True)
    for victim in (pid, *listed.stdout.split()):
        with suppress(ProcessLookupError):
            os.kill(int(victim), signal.SIGKILL)
    wait_for(lambda: not embedded.pg_ready())


def goes_on(run_id: int, url: str) -> bool:
    """Whether the run has ended; else what the clock does each minute is done now."""
    if outcome(run_id, url)[0] == "finished":
        return True
    let_the_lease_pass(run_id, url)
    queue(("tracker.reap_runs", []))
    time.sleep(1)
    return False
