"""What the database itself refuses, whatever the path of writing."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from tests import factories
from tracker.models import ChipSpecification, Claim, Licence, Shipment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "make"),
    [
        (Shipment, factories.shipment),
        (Claim, factories.claim),
        (Licence, factories.licence),
        (ChipSpecification, lambda: factories.chip("synthetic-cited").specifications.get()),
    ],
)
def test_nothing_of_evidence_stands_without_a_source(model, make):
    row = make()
    with (
        pytest.raises(IntegrityError, match="source_id"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE {model._meta.db_table} SET source_id = NULL WHERE id = %s", [row.pk])
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=row.pk).update(source=None)


def test_a_source_that_is_cited_cannot_be_deleted():
    claim = factories.claim()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM tracker_source WHERE id = %s", [claim.source_id])


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"low": 5, "best": 4, "high": 6}, "claim_order"),
        ({"low": -1, "best": None, "high": None}, "claim_not_negative"),
        ({"bound": "words", "best": 4}, "claim_figure_or_words"),
        ({"grade": "F"}, "claim_grade"),
        ({"unit": "boxes"}, "claim_unit"),
        ({"destination_country": "my"}, "claim_countries"),
    ],
)
def test_a_claim_that_cannot_be_meant_is_refused(values, constraint):
    claim = factories.claim()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Claim.objects.filter(pk=claim.pk).update(**values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"quantity": 0}, "shipment_quantity"),
        ({"received_on": "2025-05-01"}, "shipment_dates"),
        ({"chip": None}, "shipment_one_scope"),
        ({"status": "lost"}, "shipment_status"),
    ],
)
def test_a_shipment_that_cannot_be_is_refused(values, constraint):
    line = factories.shipment()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Shipment.objects.filter(pk=line.pk).update(**values)
