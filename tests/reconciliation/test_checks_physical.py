"""What cannot be, whatever the errors: date, running balance, power, and more used than made."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.core.quantity import Quantity
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks import dates, power, production, running
from tracker.reconciliation.checks.running import Event, as_columns, lowest

P = Parameters()


# --- date ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shipped", "found"), [("2022-09-19", 1), ("2022-09-20", 0)])
def test_a_chip_cannot_move_before_it_was_first_shipped(shipped, found):
    row = cast.movement(shipped=cast.day(shipped), received=cast.day("2022-12-01"))
    assert len(dates.find(cast.books(row), P)) == found


def test_a_vague_day_counts_for_the_movement():
    early = cast.movement(shipped=cast.days("2022-06-01", "2022-09-20"))
    assert dates.find(cast.books(early), P) == []


def test_a_family_is_impossible_only_if_every_member_came_later():
    before_one = cast.movement(scope=cast.MIXED, shipped=cast.day("2022-01-01"))
    before_two = cast.movement(scope=cast.MIXED, shipped=cast.day("2023-01-01"))
    assert [found.counterpart for found in dates.find(cast.books(before_one, before_two), P)] == [
        before_one.reference
    ]


def test_a_family_without_known_members_is_not_judged():
    assert (
        dates.find(cast.books(cast.movement(scope=cast.UNSPECIFIED, shipped=cast.day("2012-01-01"))), P) == []
    )


def test_an_impossible_date_names_the_specification_it_rests_on():
    (found,) = dates.find(cast.books(cast.movement(12000, shipped=cast.day("2022-08-15"))), P)
    assert (found.verdict, found.strength, found.family, found.numbers["days"]) == (
        "impossible",
        "certain",
        None,
        36,
    )
    assert [row.role for row in found.evidence] == ["movement", "specification"]
    assert found.severity == "critical"


# --- running balance -------------------------------------------------------------------------------------------------


def sent(q: float, shipped: str, **given):
    row = {
        "shipper_id": cast.RESELLER, "consignee_id": cast.OPERATOR, "origin_country": "SG", "shipped": cast.day(shipped),
        "received": None, "exact": True, "grade": "A",
    }  # fmt: skip
    return cast.movement(q, **row | given)


def bought(q: float, received: str = "2026-02-01", **given):
    row = {
        "consignee_id": cast.RESELLER, "destination_site_id": None, "destination_country": "SG", "exact": True, "grade": "A",
        "received": cast.day(received),
    }  # fmt: skip
    return cast.movement(q, **row | given)


def balances(*rows):
    return [found for found in running.find(cast.books(*rows), P) if found.area == "org:reseller"]


def test_more_sent_than_received_means_unrecorded_receipts():
    (found,) = balances(
        bought(1000), sent(800, "2026-02-10"), sent(700, "2026-02-20"), bought(600, "2026-03-01")
    )
    assert (found.gap, found.numbers["on"], found.numbers["final"]) == (500, "2026-02-20", 100)
    assert "at least 500 H One left that never came in on record" in found.headline


def test_many_small_dispatches_bear_a_balance_together():
    """None of them is 5 % of what is missing, and without them nothing is: their grade is the weakest."""
    (found,) = balances(bought(1000), *(sent(40, "2026-02-10", grade="D") for _ in range(60)))
    assert (found.gap, found.weakest_grade, found.severity) == (1400, "D", "medium")


def test_on_one_day_receipts_come_before_dispatches():
    assert balances(bought(1000, "2026-02-10"), sent(1000, "2026-02-10")) == []
    assert len(balances(bought(1000, "2026-02-11"), sent(1000, "2026-02-10"))) == 1


def test_a_place_without_recorded_receipts_is_not_followed():
    assert balances(sent(800, "2026-02-10")) == []


def test_the_vendor_of_the_chips_is_not_followed():
    back = cast.movement(
        5,
        shipper_id=cast.OPERATOR,
        consignee_id=cast.VENDOR,
        destination_site_id=None,
        destination_country="US",
    )
    found = running.find(cast.books(back, cast.movement(9000, shipped=cast.day("2026-05-01"))), P)
    assert "org:vendor" not in [one.area for one in found]


def test_a_receipt_of_at_least_makes_a_balance_untestable_from_then_on():
    floor = bought(1000, bound="floor", exact=False)
    assert balances(floor, sent(8000, "2026-02-10")) == []
    assert len(balances(floor, bought(10, "2026-01-01"), sent(8000, "2026-01-20"))) == 1


def test_a_receipt_under_the_family_name_counts_for_the_chip():
    assert balances(bought(1000, scope=cast.MIXED), sent(900, "2026-02-10")) == []


def test_a_dispatch_under_the_family_name_does_not_count_against_the_chip():
    found = balances(bought(1000), sent(1000, "2026-02-10"), sent(900, "2026-02-11", scope=cast.MIXED))
    assert [one.scope for one in found] == ["family:h-mixed"]


def test_a_negative_balance_within_the_errors_is_no_finding():
    assert balances(bought(1000, exact=False, grade="C"), sent(1100, "2026-02-10")) == []
    assert len(balances(bought(1000, exact=False, grade="C"), sent(1300, "2026-02-10"))) == 1


def test_cancelled_and_returned_dispatches_never_left_and_seized_ones_did():
    assert (
        balances(
            bought(1000),
            sent(1500, "2026-02-10", status="cancelled"),
            sent(1500, "2026-02-10", status="returned"),
        )
        == []
    )
    assert len(balances(bought(1000), sent(1500, "2026-02-10", status="seized"))) == 1


@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.sampled_from([1, -1]), st.integers(1, 1000)), min_size=1, max_size=12
    )
)
def test_the_order_of_the_records_plays_no_part_in_a_balance(rows):
    events = [
        Event(i, date(2026, 1, d), sign, Quantity(float(q), ss=0.1 * q, key=f"house {i % 3}"))
        for i, (d, sign, q) in enumerate(rows)
    ]
    one, other = (lowest(as_columns(some)) for some in (events, list(reversed(events))))
    if one is None or other is None:
        assert one is other
    else:
        assert (one.balance, one.sigma, one.final) == (other.balance, other.sigma, other.final)
        assert (one.taken.ids.tolist(), one.shares.tolist()) == (
            other.taken.ids.tolist(),
            other.shares.tolist(),
        )


# --- power -----------------------------------------------------------------------------------------------------------


SERVERS = Parameters(pue=1.1002, server_watts_per_chip={"h-one": 1274.0})


@pytest.mark.parametrize(
    ("chips", "verdict"),
    [(85715, "impossible"), (85714, "implausible"), (42807, "implausible"), (42806, "possible")],
)
def test_both_sides_of_what_sixty_megawatts_can_feed(chips, verdict):
    # 60 MW / 700 W = 85,714.3; 60 MW / (1,274 W x 1.1002) = 42,806.5
    exact = cast.claim(chips, exact=True, grade="A")
    (found,) = power.find(cast.books(exact, powers=(cast.power(60),)), SERVERS)
    assert found.verdict == verdict


def test_both_verdicts_must_hold_with_the_claim_at_its_least():
    def verdict(chips):
        (found,) = power.find(cast.books(cast.claim(chips, grade="C"), powers=(cast.power(60),)), SERVERS)
        return found.verdict, found.severity

    assert verdict(50000) == ("possible", "info")  # 50,000 less 1.96 x 10 % is 40,200
    assert verdict(100000) == ("implausible", "medium")
    assert verdict(120000) == ("impossible", "critical")


def test_chips_whose_servers_are_not_known_are_asked_for_their_own_need_alone():
    (found,) = power.find(cast.books(cast.claim(80000, grade="C"), powers=(cast.power(60),)), P)
    assert (found.verdict, found.numbers["typical_mw"]) == ("possible", None)
    assert "what servers of these chips need is not known" in found.sections[6].body


def test_the_highest_power_of_any_source_is_used_and_named():
    low, high = cast.power(10), cast.power(200)
    (found,) = power.find(cast.books(cast.claim(100000), powers=(low, high)), P)
    assert found.numbers["site_mw"] == 200
    assert high.ref in [row.ref for row in found.evidence]


def test_plans_meet_planned_power_and_holdings_installed_power():
    plan = cast.claim(100000, status="planned")
    assert power.find(cast.books(plan, powers=(cast.power(10),)), P) == []
    (found,) = power.find(cast.books(plan, powers=(cast.power(10), cast.power(40, "planned"))), P)
    assert (found.counterpart, found.numbers["site_mw"]) == ("planned power", 40)


def test_a_mixed_name_counts_with_its_lowest_power():
    (found,) = power.find(cast.books(cast.claim(100000, scope=cast.MIXED), powers=(cast.power(60),)), P)
    assert found.numbers["floor_mw"] == 40  # 400 W each


def test_a_name_without_known_members_is_not_evaluated():
    assert (
        power.find(cast.books(cast.claim(100000, scope=cast.UNSPECIFIED), powers=(cast.power(60),)), P) == []
    )


def test_claims_of_different_chips_for_one_day_are_added():
    rows = cast.claim(50000), cast.claim(50000, scope=cast.TWO)
    (found,) = power.find(cast.books(*rows, powers=(cast.power(60),)), P)
    assert found.numbers["floor_mw"] == 55


@pytest.mark.parametrize("other", [{"period": cast.day("2026-04-30")}, {"scope": cast.MIXED}])
def test_claims_of_other_days_or_overlapping_names_are_not_added(other):
    rows = cast.claim(50000), cast.claim(50000, **{"scope": cast.TWO} | other)
    (found,) = power.find(cast.books(*rows, powers=(cast.power(60),)), P)
    assert found.numbers["floor_mw"] == 35


@given(chips=st.floats(1, 1e6), mw=st.floats(0.1, 1000), more=st.floats(0, 1000))
def test_more_power_never_makes_a_load_less_possible(chips, mw, more):
    order = ["possible", "implausible", "impossible"]
    load = [power.Load(chips, 700, 1.82)]
    assert order.index(power.feed(load, mw + more, 1.1).verdict) <= order.index(
        power.feed(load, mw, 1.1).verdict
    )


# --- production ------------------------------------------------------------------------------------------------------


def made(best: float, **given):
    row = {
        "status": "produced", "kind": "production", "subject_id": cast.VENDOR, "site_id": None, "is_flow": True,
        "period": cast.days("2022-01-01", "2025-12-31"), "grade": "B",
    }  # fmt: skip
    return cast.claim(best, **row | given)


def sold(best: float, **given):
    row = {
        "kind": "sale", "subject_id": cast.VENDOR, "site_id": None, "period": cast.days("2025-01-01", "2025-12-31"),
        "grade": "B",
    }  # fmt: skip
    return cast.flow(best, **row | given)


def test_more_sold_than_made_is_a_finding():
    (found,) = production.find(cast.books(made(620000), sold(700000)), P)
    assert (found.verdict, found.gap, found.is_finding, found.family) == (
        "more used than made",
        80000,
        True,
        "PRODUCTION",
    )


def test_less_sold_than_made_is_none():
    (found,) = production.find(cast.books(made(700000), sold(620000)), P)
    assert not found.is_finding


@pytest.mark.parametrize(
    ("output", "sale"),
    [
        (
            {"period": cast.days("2025-01-01", "2025-12-31")},
            {},
        ),  # output of one year: older stock may have been sold
        (
            {},
            {"period": cast.days("2026-01-01", "2026-03-31")},
        ),  # sold after the last day of the output claim
        ({}, {"subject_id": cast.RESELLER}),
        ({}, {"scope": cast.MIXED}),  # may be other chips
    ],
)
def test_only_what_surely_comes_from_that_output_is_held_against_it(output, sale):
    assert production.find(cast.books(made(620000, **output), sold(700000, **sale)), P) == []


def test_of_several_claims_of_output_the_largest_counts():
    found = production.find(cast.books(made(620000), made(900000), sold(700000)), P)
    assert [one.is_finding for one in found] == [False]
