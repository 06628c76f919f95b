"""A running balance read as columns is told as one whose lines are read as records, to the letter."""

from __future__ import annotations

import random
from datetime import date, timedelta

import numpy as np
import pytest
from django.utils import timezone

from tests import factories
from tracker.models import DataCenterPart, Shipment
from tracker.reconciliation import result, scopes
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks import running
from tracker.reconciliation.lines.querysets import followed_chains
from tracker.reconciliation.lines.services import below_zero
from tracker.reconciliation.querysets import Ledger
from tracker.reconciliation.sweep import CHAIN

pytestmark = pytest.mark.django_db

PARAMETERS = Parameters(records="synthetic")
AS_OF = date(2026, 6, 30)


@pytest.fixture
def ledger_of_all_sorts():
    """Writes lines of every sort that a balance has a rule for, between a maker, four firms, unnamed buyers and four sites."""
    maker = factories.vendor("synthetic-maker")
    chips = [factories.chip(f"synthetic-c{i}", vendor=maker) for i in range(3)]
    families = [
        factories.chip_family("synthetic-two", vendor=maker, members=chips[:2]),
        factories.chip_family("synthetic-any", vendor=maker),
    ]
    firms = [factories.organization(f"synthetic-firm-{i}", country="SG") for i in range(4)]
    crowd = factories.organization("synthetic-buyers", is_aggregate=True)
    sites = [
        factories.data_center(f"synthetic-site-{i}", operator=operator, country=country)
        for i, (operator, country) in enumerate(
            [(firms[0], "MY"), (firms[1], "SG"), (firms[0], "MY"), (None, "TH")]
        )
    ]
    DataCenterPart.objects.create(whole=sites[0], part=sites[2])
    houses = [
        factories.source("synthetic-house-1"),
        factories.source("synthetic-house-2"),  # the same publisher
        factories.source("synthetic-house-3", publisher="Synthetic Gazette"),
        factories.source("synthetic-house-4", publisher=""),
    ]

    def write(seed: int, lines: int) -> None:
        dice = random.Random(seed)
        nobody = [None, None]
        for number in range(lines):
            shipped = dice.choice([None, *[date(2025, 1, 1) + timedelta(dice.randrange(20))] * 9])
            received = shipped + timedelta(dice.randrange(15)) if shipped and dice.random() < 0.6 else None
            vague = dice.random() < 0.15
            what = dice.choice(
                [*[{"chip": chip} for chip in chips] * 6, *[{"family": one} for one in families]]
            )
            unit, holds = dice.choice(
                [*[("chips", None)] * 20, ("servers", None), ("servers", 8), ("racks", None), ("racks", 72.5)]
            )
            factories.shipment(
                f"synthetic-line-{number}", **{"chip": None, "family": None} | what,
                quantity=dice.choice([1, 12.5, 40, 100, 1000, 2384, 0.125]), unit=unit, chips_per_unit=holds,
                bound=dice.choice([*[""] * 40, "floor", "ceiling"]), is_exact=dice.random() < 0.2, grade=dice.choice("ABCDE"),
                shipped_on=shipped, shipped_on_latest=shipped + timedelta(6) if shipped and vague else None,
                received_on=received, received_on_latest=received + timedelta(9) if received and vague else None,
                shipper=dice.choice([maker, *firms, *firms, crowd, None]), consignee=dice.choice([*firms, *firms, crowd, None]),
                end_user=dice.choice([*nobody, *firms]), origin=dice.choice([*nobody, *sites]),
                destination=dice.choice([*nobody, *sites]), origin_country="US",
                destination_country=dice.choice(["", "MY", "SG"]), source=dice.choice(houses),
                status=dice.choice(["received"] * 4 + ["reported", "in transit", "seized", "returned", "cancelled"]),
                kind=dice.choice(["transfer"] * 6 + ["production", "retirement"]),
            )  # fmt: skip

    return write


def as_records(ledger: Ledger, chains: np.ndarray) -> list[Finding]:
    """What the check finds of some balances in all lines there are, read as records."""
    books = ledger.lines_books(Shipment.objects.values_list("id", flat=True))
    found = {(one.area, one.scope): one for one in running.find(books, PARAMETERS)}
    told = []
    for site, holder, scope in chains.tolist():
        held = (books.sites if site else books.organizations).get(holder)
        key = (
            f"{'site' if site else 'org'}:{held.slug if held else ''}",
            scopes.key(ledger.numbered_scopes[scope]),
        )
        told += [found[key]] if key in found else []
    return told


def every_chain(ledger: Ledger) -> np.ndarray:
    holders = {False: set(), True: set()}
    for row in Shipment.objects.values_list(
        "shipper_id", "consignee_id", "end_user_id", "origin_id", "destination_id"
    ):
        holders[False] |= set(row[:3]) - {None}
        holders[True] |= set(row[3:]) - {None}
    return np.array(
        sorted(
            (site, pk, scope) for site in holders for pk in holders[site] for scope in ledger.numbered_scopes
        ),
        CHAIN,
    )


@pytest.mark.parametrize(("seed", "lines"), [(1, 60), (2, 90), (3, 120)])
def test_a_balance_read_as_columns_is_told_as_one_read_as_records(
    ledger_of_all_sorts, monkeypatch, seed, lines
):
    ledger_of_all_sorts(seed, lines)
    monkeypatch.setattr(result, "EVIDENCE_BOUND", 4)  # so that findings leave evidence out
    ledger = Ledger(timezone.now() + timedelta(seconds=1), AS_OF, PARAMETERS)
    chains = every_chain(ledger)
    told = below_zero(ledger, followed_chains(ledger, chains))
    assert told == as_records(ledger, chains)
    assert {one.area.partition(":")[0] for one in told} == {"org", "site"}
    assert any("evidence_left_out" in one.numbers for one in told)


def test_only_the_records_that_a_finding_shows_are_read(ledger_of_all_sorts, monkeypatch):
    ledger_of_all_sorts(4, 90)
    monkeypatch.setattr(result, "EVIDENCE_BOUND", 3)
    ledger = Ledger(timezone.now() + timedelta(seconds=1), AS_OF, PARAMETERS)
    read: list[int] = []
    named_lines = Ledger.named_lines

    def noted(self, ids):
        found = named_lines(self, ids)
        read.extend(found)
        return found

    monkeypatch.setattr(Ledger, "named_lines", noted)
    monkeypatch.setattr(Ledger, "movements", None)
    told = below_zero(ledger, followed_chains(ledger, every_chain(ledger)))
    assert 0 < len(read) <= len(told) * (3 + running.NAMED)
