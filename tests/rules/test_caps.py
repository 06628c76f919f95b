"""Quantity limits read from rule files."""

from __future__ import annotations

from datetime import date

import pytest

from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.rules.caps import COUNTED, SUMMED, Cap
from tracker.rules.schema import rule

YEARLY = {
    "id": "YEARLY",
    "kind": "quantity",
    "metric": "tpp",
    "limit": 26900000,
    "per": "ultimate consignee",
    "window": "calendar year",
}
SHARE = {
    "id": "HALF", "kind": "ratio", "metric": "tpp", "limit_ratio": 0.5, "per": "commodity",
    "window": "licence application date", "scope": {"destinations": ["CN", "HK", "MO"]},
    "of": {"destinations": ["US"], "in_country": True},
}  # fmt: skip


def caps(*entries) -> tuple[Cap, ...]:
    return rule(
        {
            "id": "TEST-CAPS", "regime": "TEST", "kind": "quantity", "title": "Synthetic", "citation": "none",
            "enforcement": "in force", "effective_from": "2025-01-13", "verification": "synthetic",
            "sources": ["synthetic"], "quantity_caps": list(entries),
        },
        "test.yaml, rule TEST-CAPS",
    ).quantity_caps  # fmt: skip


def test_a_cap_keeps_its_number_its_words_and_its_days():
    (cap,) = caps(
        YEARLY | {"in_words": {"per": "one buyer, all sellers together"}, "citation": "15 CFR 740.29"}
    )
    assert (cap.limit, cap.per, cap.in_words["per"]) == (
        26_900_000,
        "ultimate consignee",
        "one buyer, all sellers together",
    )
    assert cap.evaluated
    assert cap.limit_on(date(2025, 3, 1)) == 26_900_000


def test_a_schedule_has_the_limit_of_the_day():
    steps = [
        {"from": "2025-01-01", "to_inclusive": "2025-03-31", "limit": 10},
        {"from": "2025-04-01", "to_inclusive": "2025-06-30", "limit": 20},
    ]
    given = {k: v for k, v in YEARLY.items() if k != "limit"}
    (cap,) = caps(given | {"kind": "installed", "window": "quarter end", "schedule": steps})
    days = (date(2025, 3, 31), date(2025, 4, 1), date(2025, 7, 1))
    assert [cap.limit_on(day) for day in days] == [10, 20, None]


@pytest.mark.parametrize(
    ("window", "day", "period"),
    [
        ({"window": "calendar year"}, date(2025, 12, 31), Period(date(2025, 1, 1), date(2026, 1, 1))),
        (
            {"window": "period", "from": "2025-01-01", "to_inclusive": "2027-12-31"},
            date(2027, 12, 31),
            Period(date(2025, 1, 1), date(2028, 1, 1)),
        ),
        ({"window": "period", "from": "2025-01-01", "to_inclusive": "2027-12-31"}, date(2028, 1, 1), None),
        ({"window": "cumulative"}, date(2026, 5, 1), Period(date(2025, 1, 13), None)),
        ({"window": "cumulative"}, date(2025, 1, 12), None),
    ],
)
def test_the_days_over_which_a_movement_is_added_up(window, day, period):
    (cap,) = caps(YEARLY | window)
    assert cap.period_of(day, date(2025, 1, 13)) == period


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (YEARLY | {"kind": "quota"}, "field 'kind' is 'quota'; choose one of quantity, ratio"),
        (YEARLY | {"metric": "flops"}, "field 'metric' is 'flops'; choose one of tpp"),
        (YEARLY | {"limit": "26,900,000"}, "field 'limit' is '26,900,000'; write a number"),
        (YEARLY | {"limit": -1}, "field 'limit' is -1"),
        (YEARLY | {"limit": None}, "write the number, or a schedule"),
        (YEARLY | {"per": "shipment"}, "per that can be evaluated: ultimate consignee"),
        (YEARLY | {"kind": "notice"}, "kinds that are evaluated"),
        (YEARLY | {"window": "period"}, "a period needs both"),
        (YEARLY | {"from": "2025-01-01"}, "days belong to the windows period and cumulative"),
        (YEARLY | {"evaluated": False}, "field 'why' is None"),
        (YEARLY | {"unit": "TPP"}, "field 'unit' is not known here"),
        (YEARLY | {"scope": {"countries": ["CN"]}}, "field 'countries' is not known here"),
        (YEARLY | {"scope": {"when": "tpp <"}}, "field 'when'"),
        (YEARLY | {"of": {"destinations": ["US"]}}, "only a ratio has a denominator"),
        (YEARLY | {"per": "company and country"}, "name the companies under 'who'"),
        (YEARLY | {"per": "country", "scope": {"not_hq": ["CN"]}}, "headquarters are known per consignee only"),
        (SHARE | {"of": None}, "a ratio needs 'limit_ratio' and 'of'"),
        (SHARE | {"per": "country"}, "a ratio is evaluated per commodity"),
        ({"kind": "quantity", "metric": "tpp"}, "field 'window'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_rule_field_value_and_mend(entry, words):
    with pytest.raises(BadInput) as error:
        caps(entry)
    assert "test.yaml, rule TEST-CAPS, quantity_caps[0]" in str(error.value)
    assert words in str(error.value)


def test_two_limits_for_one_day_or_two_caps_of_one_name_are_refused():
    steps = [{"from": "2025-01-01", "limit": 10}, {"from": "2025-04-01", "limit": 20}]
    with pytest.raises(BadInput, match="overlap; a day has one limit"):
        caps({k: v for k, v in YEARLY.items() if k != "limit"} | {"schedule": steps})
    with pytest.raises(BadInput, match="either a limit or a schedule"):
        caps(YEARLY | {"schedule": steps[:1]})
    with pytest.raises(BadInput, match="two caps have the id 'YEARLY'"):
        caps(YEARLY, YEARLY)


def test_what_cannot_be_evaluated_says_why():
    given = {"id": "N", "kind": "notice", "metric": "days", "limit": 25, "per": "party", "window": "shipment"}
    (cap,) = caps(given | {"evaluated": False, "why": "notices are not recorded"})
    assert (cap.evaluated, cap.why) == (False, "notices are not recorded")


def test_an_entry_of_earlier_records_in_free_words_is_kept_and_not_evaluated():
    (cap,) = caps(
        {
            "metric": "notice_days",
            "limit": 25,
            "per": "first export to that end user",
            "window": "before export",
        }
    )
    assert (cap.evaluated, cap.in_words["per"], cap.in_words["limit"]) == (
        False,
        "first export to that end user",
        "25",
    )


def test_every_limit_of_the_seed_files_is_evaluated_or_says_why(seed_files):
    found = {(rule.id, cap.id): cap for rule in seed_files.rules for cap in rule.quantity_caps}
    assert len(found) == 22
    for cap in found.values():
        assert cap.kind != "words"
        assert (
            (cap.kind == "ratio" or (cap.kind in SUMMED and cap.metric in COUNTED))
            if cap.evaluated
            else cap.why
        )
    evaluated = {name for (_, name), cap in found.items() if cap.evaluated}
    assert evaluated == {"LPP", "COUNTRY", "AIA_REPORT", "CN_MO_50", "PER_CUSTOMER"}
    assert found["US-AIDIFF-2025", "AIA_REPORT"].report_only
    assert found["US-H200-LICENCES-2026", "PER_CUSTOMER"].is_unconfirmed
    schedule = found["US-AIDIFF-2025", "NVEU"].schedule
    assert (len(schedule), schedule[-1].limit) == (9, 5_064_000_000)
