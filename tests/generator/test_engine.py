"""A synthetic ledger with planted discrepancies, reconciled by the engine under the real rules: all found, nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import settings

from tracker.core.services import recording
from tracker.generator.plan import Settings
from tracker.generator.services import generate
from tracker.models import Finding
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.rules.services import load_rules

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_every_planted_discrepancy_is_found_and_no_other():
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")
    planted = json.loads(generate(Settings(lines=2000, seed=7), "test").truth)["leaks"]
    run = services.start_run("test", parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    found = {(f.check_code, f.area, f.scope) for f in Finding.objects.filter(run=run, is_discrepancy=True)}
    expected = {(leak["check"], leak["area"], leak["scope"]) for leak in planted}
    assert len(expected) >= 15
    assert expected - found == set()
    assert found - expected == set()
