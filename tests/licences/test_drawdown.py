"""Licences running out, with the worked numbers of case V10."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tracker.core.period import Period
from tracker.licences.drawdown import Licence, Movement, draw_down

RULE = [Period(date(2022, 10, 7), None)]
FIRST_HALF = Period.inclusive(date(2026, 1, 15), date(2026, 6, 30))
L1 = Licence("L1", 1000, FIRST_HALF, consignee="K1", chips=frozenset("X"))


def shipped(name, quantity, day, to="K1"):
    return Movement(name, to, "X", quantity, date.fromisoformat(day))


def test_movements_draw_in_the_order_of_shipping_and_the_licence_runs_out():
    movements = [
        shipped("m1", 400, "2026-02-01"),
        shipped("m2", 700, "2026-03-01"),
        shipped("m3", 300, "2026-08-01"),
        shipped("m4", 50, "2026-03-05", to="K2"),
        shipped("m5", 50, "2022-01-05", to="K2"),
    ]
    found = draw_down(reversed(movements), [L1], RULE)
    assert list(found.by_movement.items()) == [
        ("m5", "no licence needed"),
        ("m1", "covered"),
        ("m2", "over licence by 100"),
        ("m4", "licence missing"),
        ("m3", "licence missing"),
    ]
    assert found.used == {"L1": 1100}


def test_a_licence_covers_its_last_day_and_not_the_next():
    found = draw_down([shipped("m1", 1, "2026-06-30"), shipped("m2", 1, "2026-07-01")], [L1], RULE)
    assert found.by_movement == {"m1": "covered", "m2": "licence missing"}


def test_the_licence_that_expires_first_is_used_first_and_the_next_takes_the_rest():
    later = Licence("A0", 500, Period(date(2026, 1, 1), None), consignee="K1")
    found = draw_down([shipped("m1", 1200, "2026-02-01")], [later, L1], RULE)
    assert found.by_movement == {"m1": "covered"}
    assert found.drawn["m1"] == (("L1", 1000), ("A0", 200))


def test_movements_of_one_day_draw_in_the_order_of_their_ids():
    found = draw_down([shipped("b", 600, "2026-02-01"), shipped("a", 600, "2026-02-01")], [L1], RULE)
    assert found.by_movement == {"a": "covered", "b": "over licence by 200"}


def test_a_licence_for_another_chip_or_end_user_covers_nothing():
    other_chip = Licence("L2", 1000, FIRST_HALF, chips=frozenset("Y"))
    other_user = Licence("L3", 1000, FIRST_HALF, end_user="U1")
    found = draw_down([shipped("m1", 1, "2026-02-01")], [other_chip, other_user], RULE)
    assert found.by_movement == {"m1": "licence missing"}


def test_large_and_broken_quantities_are_written_plainly():
    found = draw_down([shipped("m1", 2_001_000.5, "2026-02-01")], [L1], RULE)
    assert found.by_movement == {"m1": "over licence by 2000000.5"}


@given(st.lists(st.integers(1, 900), max_size=8))
def test_every_unit_shipped_is_drawn_on_some_licence(quantities):
    licences = [L1, Licence("L2", 700, FIRST_HALF), Licence("L3", 10, FIRST_HALF)]
    movements = [shipped(f"m{i}", q, "2026-02-01") for i, q in enumerate(quantities)]
    found = draw_down(movements, licences, RULE)
    assert sum(found.used.values()) == sum(quantities)
    over = any(text.startswith("over") for text in found.by_movement.values())
    assert over == (sum(quantities) > 1710)
