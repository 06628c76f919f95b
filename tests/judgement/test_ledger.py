"""A whole ledger judged at once gives each line the very answer that the explanation of that line gives."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tracker import models
from tracker.core.errors import BadInput, UnknownName
from tracker.core.services import settled_instant
from tracker.judgement.querysets import judged_ledger
from tracker.judgement.services import Explainer, explain, explainer
from tracker.rules.services import load_rules, rulebook

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
COUNTRIES = [
    "CN",
    "HK",
    "MO",
    "TW",
    "SG",
    "US",
    "SA",
    "AE",
    "RU",
    "CY",
    "KH",
    "DE",
    "MY",
    "NI",
    "IL",
    "",
    "XK",
]
ROLE = models.Organization.Role


@pytest.fixture
def world(db):
    """Chips of every level, a family, and parties with owners, lists, approvals and rings, under the rules of the seeds."""
    load_rules(SEEDS / "rules")
    nvidia = factories.vendor("nvidia", country="US")
    elsewhere, mainland = (
        factories.vendor("synthetic-gb", country="GB"),
        factories.vendor("huawei", country="CN"),
    )
    nowhere = factories.vendor("synthetic-nowhere", country="")
    made = {
        "big": (nvidia, True, {"fp8_tflops": 1979, "die_area_mm2": 814, "memory_bandwidth_gbs": 3350, "io_bandwidth_gbs": 900}),
        "old": (nvidia, True, {"fp8_tflops": 624, "die_area_mm2": 826, "memory_bandwidth_gbs": 2039, "io_bandwidth_gbs": 600}),
        "small": (nvidia, True, {"fp8_tflops": 362, "die_area_mm2": 608, "memory_bandwidth_gbs": 864, "io_bandwidth_gbs": 64}),
        "gaming": (nvidia, False, {"fp8_tflops": 660, "die_area_mm2": 608, "memory_bandwidth_gbs": 1008, "io_bandwidth_gbs": 64}),
        "wide": (nvidia, True, {"fp8_tflops": 296, "die_area_mm2": 814, "memory_bandwidth_gbs": 4000, "io_bandwidth_gbs": 900}),
        "silent": (nvidia, None, {"fp8_tflops": None, "fp16_tflops": None, "die_area_mm2": None}),
        "british": (elsewhere, True, {"fp8_tflops": 1979, "die_area_mm2": 814}),
        "chinese": (mainland, True, {"fp16_tflops": 376, "fp8_tflops": None, "die_area_mm2": 600}),
        "orphan": (nowhere, True, {"fp8_tflops": 1979, "die_area_mm2": 814}),
        "unknown-marketing": (nvidia, None, {"fp8_tflops": 1979, "die_area_mm2": 814}),
    }  # fmt: skip
    chips = []
    for slug, (vendor, marketed, figures) in made.items():
        chip = factories.chip(
            f"synthetic-{slug}",
            vendor=vendor,
            marketed_for_datacenters=marketed,
            specified=False,
            process_node_nm=5,
        )
        factories.specification(chip, **({"fp16_tflops": None} | figures))
        chips.append(chip)
    families = [
        factories.chip_family("synthetic-same", members=(chips[0], chips[1]), vendor=nvidia),
        factories.chip_family("synthetic-mixed", members=(chips[0], chips[4]), vendor=nvidia),
        factories.chip_family("synthetic-unnamed", vendor=nvidia),
        factories.chip_family("synthetic-of-nobody"),
    ]
    plain = [factories.organization(f"synthetic-in-{c.lower() or 'nowhere'}", country=c) for c in COUNTRIES]
    owned = [factories.organization(f"synthetic-owned-{i}", country="SG") for i in range(8)]
    parent_cn = factories.organization("synthetic-parent-cn", country="CN")
    parent_sg = factories.organization("synthetic-parent-sg", country="SG")
    listed = factories.organization("synthetic-listed", country="SG")
    approved = factories.organization("synthetic-approved", country="US")
    factories.list_entry(listed, listed_on=date(2023, 6, 1), footnote="4", removed_on=date(2026, 2, 1))
    factories.list_entry(listed, listed_on=date(2024, 6, 1), list_name="MEU List")
    factories.list_entry(owned[7], listed_on=None)
    factories.list_entry(approved, list_name="740 Supp. 8", listed_on=date(2026, 7, 10), effect="approved")
    factories.stake(parent_cn, owned[0], 100, valid_from=date(2024, 1, 1))
    factories.stake(parent_sg, owned[0], 100, valid_until=date(2024, 1, 1))
    factories.stake(parent_sg, owned[1], 100)
    factories.stake(parent_sg, parent_sg_child := owned[2], 60)
    factories.stake(listed, parent_sg_child, 40)
    factories.stake(listed, owned[3], 50, valid_from=date(2025, 1, 1))
    factories.stake(listed, owned[4], None)
    factories.stake(owned[5], owned[6], 60)
    factories.stake(owned[6], owned[5], 60)  # a ring
    factories.stake(approved, owned[1], 0)
    subsidiary = factories.organization("synthetic-subsidiary", country="AE")
    factories.stake(approved, subsidiary, 100)
    factories.screening_match(plain[6], factories.listed_party("Synthetic Lion", listed_on=date(2024, 2, 1)))
    crowd = factories.organization("synthetic-crowd", country="CN", is_aggregate=True)
    fab = factories.organization("synthetic-fab", country="TW", roles=[ROLE.FOUNDRY])
    tester = factories.organization("synthetic-osat", country="MY", roles=[ROLE.OSAT])
    people = [*plain, *owned, parent_cn, parent_sg, listed, approved, subsidiary, crowd]
    return {"scopes": [*chips, *families], "people": [*people, None], "shippers": [fab, tester, nvidia, None]}


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
    rules = kept.bench.rules
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
