"""The real seeds, loaded and reconciled; three discrepancies recomputed here from the rows (docs/worked-examples.md)."""

from __future__ import annotations

import csv
from math import erfc, pi, sqrt
from pathlib import Path

import pytest
from django.conf import settings

from tests.reconciliation import ledgers as cast
from tracker.imports.services import load_seeds
from tracker.models import Finding
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks import licences

pytestmark = pytest.mark.django_db

SEEDS = Path(settings.BASE_DIR) / "seeds"
GRADE = {"A": 0.01, "B": 0.03, "C": 0.10, "D": 0.25, "E": 0.50}
Z90 = 1.644854


def row(file: str, key: str) -> dict[str, str]:
    with open(SEEDS / file, encoding="utf-8", newline="") as handle:
        return next(line for line in csv.DictReader(handle) if key in line.values())


def one(findings: list[Finding], check: str, **values: str) -> Finding:
    found = [
        f for f in findings if f.check_code == check and all(getattr(f, k) == v for k, v in values.items())
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def findings(django_db_setup, django_db_blocker):
    """All findings of one run over the seeds, as plain rows; everything written for them is undone."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        load_seeds(SEEDS, "test")
        run = services.start_run("test")
        services.finish_here(run.id)
        yield list(Finding.objects.filter(run=run))
        transaction.set_rollback(True)


def test_the_inventory_of_megaspeed_against_its_imports(findings):
    claim, line = row("claims.csv", "mega-86k"), row("shipments.csv", "mega-136k")
    said, came = float(claim["best"]), float(line["quantity"])
    s_claim = sqrt((GRADE[claim["grade"]] * said) ** 2 + 500**2 / 3)
    sigma = sqrt(s_claim**2 + (GRADE[line["grade"]] * came) ** 2)
    z = (said - came) / sigma
    found = one(findings, "GAP", counterpart="mega-86k")
    assert found.is_discrepancy
    assert found.verdict == "claim below ledger"
    assert (found.reported, found.expected, found.gap) == (said, came, said - came)
    assert found.sigma == pytest.approx(sigma, rel=1e-6)
    assert found.statistic == pytest.approx(z, rel=1e-6)
    assert found.p == pytest.approx(0.5 * erfc(-z / sqrt(2)), rel=1e-5)
    lowest = float(row("chip_specifications.csv", "t4")["fp16_tflops"]) * 16 / 15832
    assert found.gap_h100e == pytest.approx((said - came) * lowest, rel=1e-6)
    assert (found.severity, found.strength, found.weakest_grade) == ("high", "strong", "C")
    roles = list(found.evidence.values_list("role", flat=True))
    assert roles == ["claim", "ledger", "specification"], (
        "every record behind the figures is named, the chip's too"
    )


def test_the_a100_in_china(findings):
    claim, line = row("claims.csv", "ep-china-a100"), row("shipments.csv", "janford-400-a100")
    low, best, high = (float(claim[name]) for name in ("low", "best", "high"))
    a, b = (best - low) / Z90, (high - best) / Z90
    mu = best + sqrt(2 / pi) * (b - a)
    variance = (1 - 2 / pi) * (b - a) ** 2 + a * b
    book = float(line["quantity"])
    sigma = sqrt(variance + (0.10 * book) ** 2 + 5**2 / 3)
    found = one(findings, "GAP", counterpart="ep-china-a100")
    assert (found.verdict, found.severity) == ("not accounted for", "critical")
    assert found.gap == pytest.approx(mu - book, rel=1e-6)
    assert found.statistic == pytest.approx((mu - book) / sigma, rel=1e-5)
    assert found.gap_h100e == pytest.approx((mu - book) * 4992 / 15832, rel=1e-6)


def test_seven_thousand_chips_against_the_rule_of_their_day(findings):
    found = one(findings, "RULE", scope="family:h100-h200")
    assert found.verdict == "no licence recorded"
    assert (found.gap, found.gap_h100e, found.sq) == (7000, 7000, 7)
    assert "88 FR 73458" in found.text
    assert "15,832" in found.text
    named = set(found.evidence.values_list("model_name", flat=True))
    assert {"shipment", "exportrule", "chipspecification", "organization"} <= named


def test_plans_are_context_and_never_a_discrepancy(findings):
    plan = one(findings, "GAP", counterpart="xj-115000-plus")
    assert (plan.verdict, plan.severity, plan.is_discrepancy) == ("beside the ledger", "info", False)
    assert plan.reported == 115000


def test_no_finding_uses_a_word_of_blame(findings):
    for found in findings:
        words = f"{found.headline} {found.verdict} {found.text}".lower()
        titles = [evidence.label.lower() for evidence in found.evidence.all()]
        for word in ("smuggl", "divert", "stolen", "illegal", "missing"):
            assert word not in words or any(word in title for title in titles), (found.headline, word)


def test_the_account_of_a_synthetic_licence():
    """The fourth example, whose rows are SYNTHETIC: a holder, three lines of one house, one of them after the last day."""
    first, second = 400 * GRADE["B"], 500 * GRADE["B"]
    random = (first**2 + second**2) / 2 + 2 * 5**2 / 3
    sd = [sqrt(first**2 / 2 + 5**2 / 3 + first**2 / 2), sqrt(random + ((first + second) / sqrt(2)) ** 2)]
    rows = [
        cast.movement(400, grade="B", shipped=cast.day("2026-02-01")),
        cast.movement(500, grade="B", shipped=cast.day("2026-03-01")),
        cast.movement(180, exact=True, grade="A", shipped=cast.day("2026-07-05"), licence_id=1),
    ]
    verdicts = {one.ref.id: cast.verdict("required") for one in rows}
    account, outside = licences.find(cast.books(*rows, cast.licence(1000), verdicts=verdicts), Parameters())
    table = account.numbers["running"]
    column = {name: [entry[place] for entry in table["rows"]] for place, name in enumerate(table["columns"])}
    assert column["drawn so far"] == [400, 900, 1080]
    assert column["remaining"] == [600, 100, -80]
    assert column["sd"] == pytest.approx([sd[0], sd[1], sd[1]])
    assert column["p over"][1] == pytest.approx(erfc(100 / sd[1] / sqrt(2)) / 2, rel=1e-6)
    assert account.numbers["probability_over"] == pytest.approx(1 - erfc(80 / sd[1] / sqrt(2)) / 2)
    assert (account.verdict, account.gap, account.statistic) == (
        "over licence by 80",
        80,
        pytest.approx(80 / sd[1]),
    )
    assert (account.gap_h100e, account.sq, account.severity) == (80, 0.08, "low")
    assert (outside.verdict, outside.gap) == ("used after it ended", 180)
    assert [f"{sd[0]:.2f}", f"{sd[1]:.2f}", f"{80 / sd[1]:.3f}"] == ["12.34", "23.78", "3.364"]
