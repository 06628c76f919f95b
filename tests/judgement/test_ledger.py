"""A whole ledger judged at once gives each line the very answer that the explanation of that line gives."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tests.judgement.conftest import COUNTRIES
from tracker import models
from tracker.core.errors import BadInput, UnknownName
from tracker.core.services import settled_instant
from tracker.judgement.querysets import judged_ledger
from tracker.judgement.services import Explainer, explain, explainer
from tracker.rules.services import rulebook


def scope(what) -> dict:
    return {"chip": what} if isinstance(what, models.Chip) else {"family": what}


def add(world, number, pick, first, length) -> models.Shipment:
    """One line, chosen by ``pick`` from the world."""
    return models.Shipment(
        reference=f"synthetic-{number}",
        quantity=1 + number,
        shipped_on=first,
        shipped_on_latest=None if first is None or length is None else first + timedelta(days=length),
        origin_country=pick(COUNTRIES),
        destination_country=pick(COUNTRIES),
        shipper=pick(world["shippers"]),
        consignee=pick(world["people"]),
        end_user=pick(world["people"]),
        status=pick(["reported", "received", "seized", "cancelled"]),
        source=factories.source(),
        is_synthetic=True,
        **scope(pick(world["scopes"])),
    )


def said(row) -> tuple:
    return row.answer, row.decision, row.result, row.policy, row.level, row.rule_ids


def judged(rules, **given) -> dict:
    with judged_ledger("j", rules, records="synthetic", **given), connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.line_id, v.answer, v.decision, v.result, v.policy, v.level, v.rule_ids FROM j_line l"
            " JOIN j_case USING (case_id) JOIN j_verdict v USING (verdict_id)"
        )
        rows = cursor.fetchall()
        assert len({row[0] for row in rows}) == len(rows), "a line was judged twice"
        return {pk: (*rest, tuple(ids)) for pk, *rest, ids in rows}


def assert_alike(rules, at=None, as_if=None, one_by_one: Explainer | None = None) -> int:
    """Both ways over all lines; returns how many were judged."""
    whole = judged(rules, at=at, as_if=as_if)
    one_by_one = one_by_one or explainer(rules, at)
    lines = (
        models.Shipment.objects.known_at(at)
        .exclude(status__in=["returned", "cancelled"])
        .filter(is_synthetic=True)
    )
    assert set(whole) == {line.pk for line in lines}
    for line in lines:
        single = one_by_one.verdict(line, as_if)
        assert whole[line.pk] == said(single), f"{line.reference}: {line.__dict__}\n{single}"
    return len(whole)


@given(st.integers(0, 2**32), st.booleans())
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_whole_ledger_and_the_single_line_agree(world, seed, vague):
    dice = random.Random(seed)
    kept = world.setdefault("kept", explainer())
    rules = kept.bench.classes.rules
    days = [*rules.change_days(), date(2024, 5, 5), date(2026, 11, 25)]
    days = [day for day in days if day >= date(2022, 7, 1)]
    with transaction.atomic():
        models.Shipment.objects.bulk_create(
            add(
                world,
                number,
                dice.choice,
                dice.choice([*days, None])
                if dice.random() < 0.1
                else dice.choice(days) - timedelta(dice.randint(0, 1)),
                dice.choice([None, 0, 1, 30, 400]) if vague else None,
            )
            for number in range(100)
        )
        assert assert_alike(rules, one_by_one=kept) > 50
        transaction.set_rollback(True)


def test_as_if_all_had_left_on_one_day(world):
    dice = random.Random(1)
    models.Shipment.objects.bulk_create(
        add(world, number, dice.choice, dice.choice([None, date(2024, 5, 5)]), dice.choice([None, 700]))
        for number in range(100)
    )
    for day in (date(2022, 6, 1), date(2023, 11, 16), date(2023, 11, 17), date(2026, 11, 10)):
        assert assert_alike(rulebook(), as_if=day) > 50


def test_the_past_is_judged_with_what_was_known_then(world):
    line = factories.shipment(
        shipped_on=date(2024, 6, 1), origin_country="TW", destination_country="SG", chip=world["scopes"][0],
        consignee=world["people"][4], end_user=world["people"][4],
    )  # fmt: skip
    before = settled_instant()
    assert {v[1] for v in judged(rulebook()).values()} == {"UNKNOWN"}
    factories.stake(world["people"][4], world["people"][4 + 1], 100)
    factories.stake(factories.organization(country="SG"), world["people"][4], 100)
    line.quantity = 7
    line.save()
    assert {v[1] for v in judged(rulebook()).values()} == {"NO_LICENCE"}
    assert {v[1] for v in judged(rulebook(before), at=before).values()} == {"UNKNOWN"}
    assert_alike(rulebook(before), at=before)


def test_a_ledger_without_lines_is_judged_too(world):
    assert judged(rulebook()) == {}


def test_real_and_synthetic_lines_are_never_judged_together(world):
    factories.shipment(chip=world["scopes"][0])
    with judged_ledger("r", rulebook(), records="real"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM r_line")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(("name", "records"), [("x; DROP TABLE y", "real"), ("ok", "all")])
def test_what_names_no_table_and_no_records_is_refused(world, name, records):
    with pytest.raises(BadInput), judged_ledger(name, rulebook(), records=records):
        pytest.fail("nothing should have been judged")


def test_one_shipment_explains_itself(world):
    line = factories.shipment(
        "synthetic-one", chip=world["scopes"][0], shipped_on=date(2024, 6, 1), origin_country="TW", destination_country="CN"
    )  # fmt: skip
    found = explain(line.reference)
    assert (found.decision, found.rule_ids) == ("LICENCE", ("US-3A090-2023",))
    assert any("15,832.0" in reason for reason in found.reasons)
    assert explain(line.reference, as_if=date(2022, 6, 1)).decision == "NO_LICENCE"
    with pytest.raises(UnknownName, match="no shipment 'nothing'"):
        explain("nothing")
