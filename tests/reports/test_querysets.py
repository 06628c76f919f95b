"""What a report reads, and where it sends its readers."""

from __future__ import annotations

import pytest

from tests import factories
from tracker.reports.querysets import Reading


@pytest.mark.django_db
def test_plans_are_the_largest_first_and_carry_the_claims_of_one_site_together():
    site = factories.data_center("planned-site")
    factories.claim(
        "small", data_center=site, kind="planned", status="planned", low=None, best=2000, high=None
    )
    factories.claim(
        "large", data_center=site, kind="planned", status="planned", low=None, best=9000, high=None
    )
    factories.claim("elsewhere", kind="planned", status="announced", low=None, best=50_000, high=None)
    plans = Reading(None).plans()
    assert [[claim.slug for claim in plan.claims] for plan in plans] == [["elsewhere"], ["large", "small"]]


@pytest.mark.django_db
def test_a_movement_that_names_another_site_is_not_traced_to_its_consignees_plan():
    cast = factories.cast()
    factories.claim(
        "plan", data_center=cast.site, kind="planned", status="planned", low=None, best=5000, high=None
    )
    factories.shipment(destination=cast.other_site, consignee=cast.operator, quantity=10)
    factories.shipment(consignee=cast.operator, quantity=7)
    (plan,) = Reading(None).plans()
    assert (plan.trace.lines, plan.trace.chips) == (1, 7.0)


@pytest.mark.django_db
def test_cancelled_and_returned_lines_are_not_documented_movements():
    factories.shipment(quantity=5)
    factories.shipment(quantity=50, status="cancelled")
    factories.shipment(quantity=500, status="returned")
    assert [(month.lines, month.chips) for month in Reading(None).months()] == [(1, 5.0)]
    assert Reading(None).destinations() == {"MY": 5.0}
