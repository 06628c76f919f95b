"""Goods drawn twice: lines of one consignment, or that carry on one another's goods, tie licences that no changed line names. And
lines that carry on goods of the other world, real or synthetic."""

from __future__ import annotations

from datetime import date

import pytest

from tests import factories
from tests.reconciliation.test_incremental import finished, same_as_afresh
from tracker.models import Chip, Licence, ReconciliationRun, Shipment

pytestmark = pytest.mark.django_db

TODAY = date(2026, 6, 30)


@pytest.fixture
def licences() -> list[Licence]:
    """Three licences of one chip, each of another buyer."""
    chip = factories.chip("synthetic-c")
    buyers = [factories.organization(f"synthetic-buyer-{i}", country="CN") for i in range(3)]
    return [
        factories.licence(f"synthetic-licence-{i}", ((chip, 900),), consignee=buyer, destination_country="CN")
        for i, buyer in enumerate(buyers)
    ]


def line(number: int, licence: Licence | None = None, **given) -> Shipment:
    """A line to the buyer of a licence, or to somebody that no licence names."""
    buyer = licence.consignee if licence else factories.organization(f"synthetic-firm-{number}", country="CN")
    return factories.shipment(
        f"synthetic-{number}", chip=Chip.objects.get(slug="synthetic-c"), quantity=100, consignee=buyer, licence=licence,
        destination_country="CN", shipped_on=date(2025, 3, 1 + number), **given,
    )  # fmt: skip


def twice(row: ReconciliationRun) -> int:
    return row.findings.filter(check_code="LICENCE", verdict="drawn twice").count()


@pytest.mark.parametrize("change", [{"consignment": ""}, {"status": "cancelled"}])
def test_the_first_line_of_a_consignment_leaves_the_others_behind(licences, change):
    lines = [line(i, licence, consignment="synthetic-lot") for i, licence in enumerate(licences)]
    base = finished(as_of=TODAY)
    assert twice(base)
    for name, value in change.items():
        setattr(lines[0], name, value)
    lines[0].save()
    assert twice(same_as_afresh(base))


@pytest.mark.parametrize(("before", "after"), [("received", "cancelled"), ("cancelled", "received")])
def test_goods_are_carried_on_through_lines_that_are_near_no_licence(licences, before, after):
    first = line(0, licences[0])
    second = line(1, onward_of=first)
    third = line(2, onward_of=second, status=before)
    line(3, licences[1], onward_of=third)
    base = finished(as_of=TODAY)
    third.status = after
    third.save()
    forward = same_as_afresh(base)
    assert {twice(base), twice(forward)} == {0, 1}


def test_goods_turn_out_to_be_those_of_another_line(licences):
    first, other = line(0, licences[0]), line(4, licences[2])
    between = line(1, onward_of=first)
    line(5, licences[1], onward_of=between)
    base = finished(as_of=TODAY)
    between.onward_of = other
    between.save()
    assert twice(same_as_afresh(base))


def test_a_line_between_becomes_one_of_the_other_world(licences):
    first = line(0, licences[0])
    between = line(1, onward_of=first)
    line(2, licences[1], onward_of=between)
    base = finished(as_of=TODAY)
    assert twice(base)
    between.is_synthetic = False
    between.save()
    assert not twice(same_as_afresh(base))


@pytest.mark.parametrize("named", [True, False])
def test_a_line_whose_goods_are_carried_on_is_found_to_be_of_the_other_world(licences, named):
    first = line(0, licences[0])
    line(1, licences[0], onward_of=first)
    first.is_synthetic = False
    if not named:
        first.licence = None
    first.save()
    row = finished(as_of=TODAY)
    assert (row.status, twice(row)) == ("finished", 0)
