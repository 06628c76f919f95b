"""However licences and the lines near them are cut into pieces, the check finds what it finds in all of them at once."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from django.db import transaction
from django.db.models import Q
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import factories
from tracker import models
from tracker.core.services import settled_instant
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks import licences
from tracker.reconciliation.licence_lines import querysets
from tracker.reconciliation.querysets import Ledger

pytestmark = pytest.mark.django_db
SYNTHETIC = Parameters(records="synthetic")
PLACES = ["CN", "HK", "SG", "MY", "AE"]


def ledger() -> Ledger:
    return Ledger(settled_instant(), date(2026, 6, 30), SYNTHETIC)


def licensed_trade(world, dice) -> None:
    """Licences of few parties, and lines to them: some name a licence, some share a consignment, some carry on the goods of
    others, some needed no licence."""
    people = world["people"][:8]
    scopes = world["scopes"][:3]
    named = [
        factories.licence(
            f"synthetic-licence-{i}", tuple((scope, 300) for scope in dice.sample(scopes, dice.choice([1, 2]))),
            consignee=dice.choice([None, *people]), end_user=dice.choice([None, None, *people]),
            destination_country=dice.choice(["", *PLACES]), valid_from=date(2024, 1, 1), valid_until=date(2026, 1, 1),
        )
        for i in range(8)
    ]  # fmt: skip
    lines: list[models.Shipment] = []
    for number in range(60):
        shipped = date(2023, 12, 1) + timedelta(dice.randrange(800))
        lines.append(
            models.Shipment.objects.create(
                reference=f"synthetic-{number}", chip=dice.choice(scopes), quantity=dice.choice([50, 100, 400]),
                shipped_on=shipped, origin_country="US", destination_country=dice.choice([*PLACES, "US"]),
                consignee=dice.choice([None, *people]), end_user=dice.choice([None, None, *people]),
                licence=dice.choice([None, None, *named]), consignment=dice.choice(["", "", "", "synthetic-a", "synthetic-b"]),
                onward_of=dice.choice([None, None, *lines[-6:]]), status=dice.choice(["received", "received", "cancelled"]),
                source=factories.source(), is_synthetic=True,
            )
        )  # fmt: skip


def found(of: Ledger, count: int) -> list[Finding]:
    return [
        one
        for index in range(count)
        for books in of.pieces("licence", index, count)
        for one in licences.find(books, SYNTHETIC)
    ]


@example(2133717193)
@given(st.integers(0, 2**32))
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_pieces_find_what_the_whole_finds(world, seed):
    dice = random.Random(seed)
    with transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(querysets, "LINES_PER_PIECE", dice.choice([1, 20]))
        licensed_trade(world, dice)
        whole = ledger()
        books = whole._assembled((), whole.movements(Q()), {}, judged=True)
        expected = licences.find(books, SYNTHETIC)
        assert any(one.is_finding for one in expected)
        mine = found(ledger(), dice.choice([1, 3]))
        assert sorted(mine, key=lambda one: one.key) == sorted(expected, key=lambda one: one.key)
        transaction.set_rollback(True)


def test_goods_of_one_consignment_on_licences_of_two_parties_lie_in_one_piece(world, monkeypatch):
    monkeypatch.setattr(querysets, "LINES_PER_PIECE", 1)
    chip = world["scopes"][0]
    for number, buyer in enumerate(world["people"][:2]):
        licence = factories.licence(
            f"synthetic-licence-{number}", ((chip, 900),), consignee=buyer, destination_country="CN"
        )
        factories.shipment(
            f"synthetic-{number}", chip=chip, quantity=100, consignee=buyer, licence=licence, consignment="synthetic-lot",
            destination_country="CN", shipped_on=date(2025, 3, 1 + number),
        )  # fmt: skip
    (double,) = (one for one in found(ledger(), 2) if one.verdict == "drawn twice")
    assert double.gap == 100


def test_lines_that_needed_no_licence_and_name_none_are_not_read(world):
    buyer = world["people"][0]
    licence = factories.licence(
        "synthetic-licence", ((world["scopes"][0], 10),), consignee=buyer, destination_country="CN"
    )
    common = {
        "chip": world["scopes"][0],
        "consignee": buyer,
        "origin_country": "US",
        "shipped_on": date(2025, 3, 1),
    }
    for reference, values in {
        "needed": {"destination_country": "CN"},
        "needed-none": {"destination_country": "US"},
        "named": {"destination_country": "US", "licence": licence},
    }.items():
        factories.shipment(f"synthetic-{reference}", **common | values)
    (books,) = ledger().pieces("licence", 0, 1)
    assert {row.reference for row in books.movements} == {"synthetic-needed", "synthetic-named"}


def test_where_there_is_no_licence_nothing_is_read(world, django_assert_num_queries):
    of = ledger()
    with django_assert_num_queries(1):
        assert not list(of.pieces("licence", 0, 2))
