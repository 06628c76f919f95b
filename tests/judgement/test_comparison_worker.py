"""A comparison of two sides of the law in a real worker over the real broker, killed with -9 in the middle of it."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from config.celery import app
from tests import factories
from tests.admin.test_what_if import WOKEN, law  # noqa: F401 - a fixture
from tests.reconciliation.test_worker_killed import blocked_on, database_url, wait_for, worker
from tracker import tasks
from tracker.judgement.services import AskedSide
from tracker.models import RuleComparison

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def _empty_queue():
    app.control.purge()
    yield
    app.control.purge()


def test_a_comparison_whose_worker_is_killed_is_found_and_carried_out_by_another(tmp_path, law):  # noqa: F811
    factories.rule_draft("woken", document=WOKEN)
    with worker(tmp_path) as first, psycopg.connect(database_url()) as brake:
        row = tasks.request_comparison(AskedSide(), AskedSide("woken"), "synthetic analyst", "synthetic")
        brake.execute("LOCK TABLE tracker_shipment IN ACCESS EXCLUSIVE MODE")
        tasks.compare_rules.delay(row.pk)
        wait_for(lambda: blocked_on("tracker_shipment"))
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        brake.rollback()
    row.refresh_from_db()
    assert (row.status, row.result) == ("queued", {}), "half a comparison was left behind"

    RuleComparison.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    with worker(tmp_path):
        tasks.reap_runs()
        wait_for(lambda: RuleComparison.objects.get(pk=row.pk).status == "finished")
    row.refresh_from_db()
    assert (row.result["judged"], row.result["changed"]) == (1, 1)
    assert tasks.waiting_comparisons(timezone.now()) == []
