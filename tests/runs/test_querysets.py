"""What a finished run leaves to do, read from its findings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import factories
from tracker.models import Evidence
from tracker.reviews.services import resolve
from tracker.runs.querysets import priorities, resolved_at_close

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    return factories.run(finished_at=datetime(2099, 1, 1, tzinfo=UTC))


def found(run, area, shares, **given):
    """A gap of 400 chips, 0.4 SQ, sigma 100: variance 0.01 SQ squared; ``shares`` of it by record."""
    row = factories.finding(run, tuple(shares), area=area, sq=0.4, gap_h100e=400.0, **given)
    for record, share in shares.items():
        Evidence.objects.filter(finding=row, model_name=record._meta.model_name, object_id=record.pk).update(
            variance_share=share
        )
    return row


def test_records_rank_by_their_shares_of_open_variance(run):
    one, other = factories.claim("synthetic-one"), factories.claim("synthetic-other")
    found(run, "site:a", {one: 0.7, other: 0.3})  # 0.007 and 0.003
    found(run, "site:b", {other: 0.5}, sigma=400.0)  # 0.5 x (400 x 0.4 / 400)^2 = 0.08

    lines = priorities(run)

    assert [(line.model, line.id, line.variance) for line in lines] == [
        ("claim", other.pk, 0.083), ("claim", one.pk, 0.007),
    ]  # fmt: skip


def test_a_line_that_stands_for_a_sum_ranks_by_what_it_bears_alone(run):
    line, claim = factories.shipment("synthetic-largest"), factories.claim("synthetic-one")
    row = found(run, "site:a", {line: 0.9, claim: 0.1})
    Evidence.objects.filter(finding=row, model_name="shipment").update(own_share=0.05)
    assert [(one.model, one.variance) for one in priorities(run)] == [("claim", 0.001), ("shipment", 0.0005)]


def test_what_has_no_size_is_no_discrepancy_or_was_resolved_counts_nothing(run):
    claim = factories.claim()
    found(run, "site:a", {claim: 1.0}, sigma=None)
    found(run, "site:b", {claim: 1.0}, gap=0.0)
    found(run, "site:c", {claim: 1.0}, is_discrepancy=False)
    found(factories.run(), "site:d", {claim: 1.0})
    done = found(run, "site:e", {claim: 1.0}).discrepancy
    assert len(priorities(run)) == 1
    resolve(done, User.objects.create_user("zhang"), "timing", "The chips were under way until March.")
    assert priorities(run) == ()
    assert resolved_at_close(run) == {done.pk}


def test_what_was_resolved_after_the_run_was_closed_changes_nothing_of_it(run):
    run.finished_at = timezone.now()
    run.save()
    done = found(run, "site:a", {factories.claim(): 1.0}).discrepancy
    before = priorities(run)
    resolve(done, User.objects.create_user("zhang"), "timing", "The chips were under way until March.")
    assert priorities(run) == before != ()


def test_facts_that_rules_want_rank_by_what_they_hold_up(run):
    factories.finding(
        run, check_code="RULE", verdict="undetermined", area="org:a", gap=1000.0, gap_h100e=2000.0, is_discrepancy=False,
        numbers={
            "chips_held_by": {"headquarters": 1000.0, "law confirmed": 500.0}, "for_a_person": ["law confirmed"],
            "consignee": "Synthetic operator", "kind_of_chip": "Synthetic chip",
        },
    )  # fmt: skip

    lines = priorities(run)

    # (2000 / 1000)^2 / 4 = 1 and (1000 / 1000)^2 / 4 = 0.25
    assert [(line.kind, line.name, line.variance, line.h100e) for line in lines] == [
        ("fact", "headquarters (Synthetic operator)", 1.0, 2000.0),
        ("person", "law confirmed (Synthetic operator)", 0.25, 1000.0),
    ]  # fmt: skip


def test_many_records_take_no_more_questions_and_come_in_bounds(run):
    claims = [factories.claim() for _ in range(8)]
    for number, claim in enumerate(claims):
        found(run, f"site:{number}", {claim: 1.0}, sigma=100.0 + number)
    with CaptureQueriesContext(connection) as asked:
        lines = priorities(run, limit=2)
    assert [line.id for line in lines] == [claims[7].pk, claims[6].pk]
    assert sum(query["sql"].startswith("SELECT") for query in asked) <= 5
