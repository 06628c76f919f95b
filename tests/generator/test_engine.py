"""A synthetic ledger with planted discrepancies, reconciled by the engine under the real rules: all found, nothing else."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from django.conf import settings

from benchmarks.detection import AIMS, Detection, name_of, named, reconciled
from tracker.core.services import recording
from tracker.generator.closing import INFORMATION, KINDS, POSSIBLE
from tracker.generator.plan import Settings
from tracker.generator.services import generate
from tracker.models import Finding
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.rules.services import load_rules

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


LAST_DAY = date(2026, 6, 30)
"""Last day of a ledger of thirty months: what came through a hub is asked of the year before the run's day."""


def test_every_planted_discrepancy_is_found_and_no_other():
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")
    planted = json.loads(generate(Settings(lines=2000, seed=7), "test").truth)["leaks"]
    run = services.start_run("test", as_of=LAST_DAY, parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    findings = Finding.objects.filter(run=run)
    found = {named(f.check_code, f.area, f.scope, f.verdict) for f in findings if f.is_discrepancy}
    reported = [leak for leak in planted if not leak["standing"]]
    possible = {name_of(leak) for leak in planted if leak["standing"] == POSSIBLE}
    expected = {name_of(leak) for leak in reported}
    assert len(expected) >= 25
    assert {leak["kind"] for leak in planted} == set(KINDS)
    assert expected - found == set()
    assert found - expected - possible == set()
    aside = [leak for leak in planted if leak["standing"] == INFORMATION]
    quiet = {
        (f.check_code, f.area, f.period)
        for f in findings
        if not f.is_discrepancy and "not enforced" in f.verdict
    }
    assert {(leak["check"], leak["area"], leak["period"]) for leak in aside} <= quiet


def test_a_ledger_without_planted_discrepancies_has_none():
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")
    generate(Settings(lines=1000, seed=7, organizations=60, leaks=0), "test")
    run = services.start_run("test", as_of=LAST_DAY, parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    found = Finding.objects.filter(run=run)
    assert not [f.headline for f in found if f.is_discrepancy]
    assert found.filter(check_code="LICENCE", verdict="consistent").count() > 4


SIZED = Settings(lines=1_500, seed=11, organizations=60, leaks=3, sizes=(2, 4, 6))


@pytest.fixture
def rules(db):
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")


def test_differences_above_three_standard_errors_are_found_and_little_else(rules):
    truth, reported = reconciled(SIZED, "test")
    detection = Detection()
    detection.add(truth, reported)
    assert detection.overall_recall().trials >= 25
    assert detection.overall_recall().rate > AIMS["recall"], detection.missed
    assert detection.overall_precision().rate > AIMS["precision"], detection.false
    small = [detection.recall[kind, 2].rate for kind in KINDS[:4]]
    assert small == [0.0] * 4, "two standard errors are no surprise among so many tests"
    sized = [leak for leak in truth["leaks"] if leak["sigma"] and not leak["follows_from"]]
    assert len(sized) == 27
    for leak in sized:
        tests = Finding.objects.filter(check_code=leak["check"], area=leak["area"], scope=leak["scope"])
        lots = leak["check"] == "SRD"
        found = [
            abs(f.statistic)
            for f in tests.exclude(statistic=None)
            if not lots or f.counterpart.endswith("lot")
        ]
        size = leak["sigma"] ** 2 if leak["check"] == "CONFLICT" else leak["sigma"]  # Q is a square
        assert found or leak["sigma"] < 3, leak
        assert not found or min(abs(one - size) for one in found) < 0.01 * size, leak
