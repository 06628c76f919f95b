"""What the database adds up for RULE is what the check adds up from the lines one by one."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta

import pytest
from django.db import transaction
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tracker import models
from tracker.core.services import settled_instant
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks import rule
from tracker.reconciliation.querysets import Ledger
from tracker.reconciliation.result import MOST_EVIDENCE
from tracker.reconciliation.verdict_sums import querysets

pytestmark = pytest.mark.django_db
SYNTHETIC = Parameters(records="synthetic")
DAYS = [
    date(2022, 10, 7),
    date(2023, 11, 16),
    date(2023, 11, 17),
    date(2024, 8, 1),
    date(2025, 3, 31),
    date(2026, 2, 1),
]
PLACES = ["CN", "HK", "SG", "MY", "AE", "RU", "US", "DE", ""]


def line(world, dice, number, **given) -> models.Shipment:
    scope, first, unit = (
        dice.choice(world["scopes"]),
        dice.choice([*DAYS, None]),
        dice.choice(["chips", "chips", "servers", "racks", "dies"]),
    )
    people = [None, *world["people"][:6]]
    values = {
        "chip" if isinstance(scope, models.Chip) else "family": scope, "reference": f"synthetic-{number}", "unit": unit,
        "quantity": dice.choice([1, 50, 5000]), "grade": dice.choice("ABC"), "bound": dice.choice(["", "", "floor", "ceiling"]),
        "chips_per_unit": dice.choice([None, 8]) if unit in ("servers", "racks") else None, "shipped_on": first,
        "shipped_on_latest": first and dice.choice([None, None, first + timedelta(200)]),
        "origin_country": dice.choice(["US", "TW"]), "destination_country": dice.choice(PLACES), "shipper": world["shippers"][0],
        "consignee": dice.choice(people), "end_user": dice.choice(people), "source": factories.source(), "is_synthetic": True,
        "status": dice.choice(["received", "received", "seized", "cancelled"]),
    }  # fmt: skip
    return models.Shipment(**values | given)


def licences(world, dice) -> list[models.Licence]:
    people = [None, *world["people"][:6]]
    found = []
    for number in range(4):
        first = dice.choice([None, *DAYS])
        until = first + timedelta(dice.choice([100, 500])) if first else dice.choice([None, DAYS[3]])
        found.append(
            factories.licence(
                f"synthetic-licence-{number}", ((dice.choice(world["scopes"]), 100),), consignee=dice.choice(people),
                end_user=dice.choice([None, *people]), destination_country=dice.choice(PLACES), valid_from=first,
                valid_until=until, kind=dice.choice(["export licence", "export licence", "import approval"]),
            )
        )  # fmt: skip
    return found


def by_the_database(count: int = 1) -> list[Finding]:
    ledger = Ledger(settled_instant(), date(2026, 6, 30), SYNTHETIC)
    return [
        found
        for index in range(count)
        for books in ledger.pieces("verdict", index, count)
        for found in rule.find(books, SYNTHETIC)
    ]


def one_by_one() -> list[Finding]:
    ledger = Ledger(settled_instant(), date(2026, 6, 30), SYNTHETIC)
    return rule.find(ledger._assembled((), ledger.movements(Q()), {}, judged=True), SYNTHETIC)


def figures(found: Finding) -> tuple:
    """What a finding says, with facts named without the examples that stand in brackets: lines of one case may name others."""
    bare = {
        name: {_bare(fact): n for fact, n in value.items()} if isinstance(value, dict)
        else sorted({_bare(fact) for fact in value}) if isinstance(value, list) else value
        for name, value in found.numbers.items() if name != "chips_held_by"
    }  # fmt: skip
    return (
        *found.key,
        found.verdict,
        found.headline,
        found.gap,
        found.sq,
        found.severity,
        found.weakest_grade,
        bare,
    )


def _bare(fact: str) -> str:
    return re.sub(r" \(.*\)", "", str(fact))


@given(st.integers(0, 2**32))
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_sums_of_the_database_and_of_the_check_agree(world, seed):
    dice = random.Random(seed)
    with transaction.atomic():
        named = licences(world, dice)
        models.Shipment.objects.bulk_create(
            line(world, dice, n, licence=dice.choice([None, None, None, *named])) for n in range(80)
        )
        mine, theirs = by_the_database(dice.choice([1, 3])), one_by_one()
        assert theirs
        assert {one.key: figures(one) for one in mine} == {one.key: figures(one) for one in theirs}
        transaction.set_rollback(True)


def test_of_many_movements_the_largest_are_named_and_the_others_counted(world, monkeypatch):
    monkeypatch.setattr(querysets, "SUMS_PER_PIECE", 1)
    buyer, plenty = world["people"][0], MOST_EVIDENCE + 7
    assert buyer.country == "CN"
    lines = [
        line(
            world, random.Random(n), n, chip=world["scopes"][0], family=None, quantity=1 + n, unit="chips", chips_per_unit=None,
            bound="", grade="A", shipped_on=date(2024, 2, 1), shipped_on_latest=None, origin_country="US", status="received",
            destination_country="CN", consignee=buyer, end_user=None, shipper=None,
        )
        for n in range(plenty)
    ]  # fmt: skip
    models.Shipment.objects.bulk_create(lines)
    (found,) = by_the_database()
    assert (found.verdict, found.gap, found.numbers["movements"]) == (
        rule.NO_LICENCE,
        sum(range(plenty + 1)),
        plenty,
    )
    shown = [row for row in found.evidence if row.role == "movement"]
    assert [row.contribution for row in shown] == [plenty - i for i in range(MOST_EVIDENCE)]
    assert "beside them stand 7 movements, 28 chips in all" in " ".join(part.body for part in found.sections)


def test_undetermined_amounts_too_small_to_report_are_told_together_for_their_country(world):
    chip = world["scopes"][0]
    crowd = [factories.organization(f"synthetic-buyer-{i}", country="") for i in range(3)]
    lines = [
        line(
            world, random.Random(1), f"{who.slug}-{place}", chip=chip, family=None, quantity=quantity, unit="chips",
            chips_per_unit=None, bound="", grade="A", shipped_on=date(2024, 2, 1), shipped_on_latest=None, origin_country="US",
            status="received", destination_country=place, consignee=who, end_user=who, shipper=None,
        )
        for who, quantity, place in (
            (crowd[0], 10, "SG"), (crowd[1], 20, "SG"), (crowd[2], 9000, "SG"), (crowd[2], 5, "DE"),
        )
    ]  # fmt: skip
    models.Shipment.objects.bulk_create(lines)
    told = {found.area: found for found in by_the_database()}
    assert {area: found.gap for area, found in told.items()} == {
        "country:SG": 30,
        "country:DE": 5,
        f"org:{crowd[2].slug}": 9000,
    }
    words = " ".join(part.body for part in told["country:SG"].sections)
    assert "2 consignees and end users are told together" in words
