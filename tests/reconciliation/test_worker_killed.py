"""A real Celery worker over the real broker, killed with -9 in the middle of a share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from config.celery import app
from tests import factories
from tracker import tasks
from tracker.models import Discrepancy, Evidence, Finding, ReconciliationRun, RunPartition
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def database_url() -> str:
    values = connection.settings_dict
    host = values["HOST"] or values["OPTIONS"].get("host", "")
    return f"postgresql://{values['USER']}@/{values['NAME']}?host={host}"


@contextmanager
def worker(
    tmp_path: Path, name: str = "worker", processes: int = 1, **environment: str
) -> Iterator[subprocess.Popen]:
    """A worker in processes of its own, as on a host of its own; its log is ``name``.log."""
    log = open(tmp_path / f"{name}.log", "ab")  # noqa: SIM115 - held by the worker
    command = [
        sys.executable, "-m", "celery", "-A", "config.celery", "worker", "-c", str(processes), "-l", "INFO", "-n", f"{name}@%h",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=os.environ | {"DATABASE_URL": database_url()} | environment, stdout=log,
        stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def wait_for(question: Callable[[], bool], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    app.control.purge()
    yield
    app.control.purge()


def test_a_run_whose_worker_is_killed_half_way_ends_as_if_nothing_had_happened(tmp_path):
    chip = factories.chip("synthetic-h")
    for number in range(8):
        site = factories.data_center(f"synthetic-site-{number}")
        factories.claim(f"synthetic-claim-{number}", data_center=site, chip=chip, best=5000)
        factories.shipment(f"synthetic-line-{number}", chip=chip, destination=site, quantity=100)

    with psycopg.connect(database_url()) as brake:
        # No finding can be written while this lock is held: the worker stands in the middle of its share.
        brake.execute("LOCK TABLE tracker_finding IN ACCESS EXCLUSIVE MODE")
        with worker(tmp_path) as first:
            run = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
            tasks.queue_run(run)
            wait_for(lambda: blocked_on("tracker_finding"))
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
        brake.rollback()

    shares = RunPartition.objects.filter(run=run)
    wait_for(lambda: len(services.unfinished_shares(run.id)) == shares.exclude(status="done").count())
    assert shares.filter(status="running").exists()
    assert not Finding.objects.filter(run=run).exists(), "half a share was left behind"

    with worker(tmp_path):
        wait_for(lambda: tasks.reap_runs() >= 1)
        wait_for(lambda: ReconciliationRun.objects.get(id=run.id).status == "finished")
    run.refresh_from_db()
    assert shares.filter(attempts__gte=2).exists()

    calm = services.repeat_run(run, "synthetic analyst")
    services.finish_here(calm.id)
    calm.refresh_from_db()
    assert run.findings_sha256 == calm.findings_sha256
    assert run.findings.count() == calm.findings.count() > 0
    assert (
        Evidence.objects.filter(finding__run=run).count()
        == Evidence.objects.filter(finding__run=calm).count()
    )
    assert Discrepancy.objects.count() == run.findings.filter(is_discrepancy=True).count()


def blocked_on(table: str) -> int:
    """How many sessions wait for a table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [table])
        return cursor.fetchone()[0]
