"""A synthetic ledger with planted discrepancies, reconciled by the engine under the real rules: all found, nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import settings

from tracker.core.services import recording
from tracker.generator.closing import INFORMATION, KINDS
from tracker.generator.plan import Settings
from tracker.generator.services import generate
from tracker.models import Finding
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.rules.services import load_rules

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


VERDICTS = {
    "over licence": "over licence", "licence before validity": "used before it was valid",
    "licence by another party": "used by another party", "licence drawn twice": "drawn twice", "ratio exceeded": "over ratio",
}  # fmt: skip
"""How a finding names a leak, for the checks that tell several things of one area and scope apart."""


def told(finding: Finding) -> str:
    """The verdict without its number, for those checks."""
    return next((words for words in VERDICTS.values() if finding.verdict.startswith(words)), "")


def test_every_planted_discrepancy_is_found_and_no_other():
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")
    planted = json.loads(generate(Settings(lines=2000, seed=7), "test").truth)["leaks"]
    run = services.start_run("test", parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    findings = Finding.objects.filter(run=run)
    found = {(f.check_code, f.area, f.scope, told(f)) for f in findings if f.is_discrepancy}
    reported = [leak for leak in planted if leak["standing"] != INFORMATION]
    expected = {
        (leak["check"], leak["area"], leak["scope"], VERDICTS.get(leak["kind"], "")) for leak in reported
    }
    assert len(expected) >= 25
    assert {leak["kind"] for leak in planted} == set(KINDS)
    assert expected - found == set()
    assert found - expected == set()
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
    run = services.start_run("test", parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    found = Finding.objects.filter(run=run)
    assert not [f.headline for f in found if f.is_discrepancy]
    assert found.filter(check_code="LICENCE", verdict="consistent").count() > 4
