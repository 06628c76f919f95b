"""Licence required and recorded."""

from __future__ import annotations

import pytest

from tests.reconciliation import ledgers as cast
from tracker.reconciliation.books import Finding, Parameters, RecordRef
from tracker.reconciliation.checks.rule import find

P = Parameters()


def judged(*rows, answer: str = "required", **given) -> list[Finding]:
    lines = [row for row in rows if row.ref.model == "shipment"]
    return find(cast.books(*rows, verdicts={row.ref.id: cast.verdict(answer, **given) for row in lines}), P)


def line(q: float = 1000, **given):
    return cast.movement(q, **{"exact": True, "grade": "A"} | given)


def spoken(finding: Finding) -> str:
    return " ".join([finding.headline, *(part.body for part in finding.sections)])


def test_a_movement_that_needed_a_licence_without_one_on_record_is_reported():
    (found,) = judged(line(12000))
    assert (found.verdict, found.is_finding, found.severity, found.p) == (
        "no licence recorded",
        True,
        "critical",
        None,
    )
    text = spoken(found)
    assert "needed a licence under 15 CFR 742.6(a)(6)" in text
    assert "no licence is recorded in this database" in text
    assert "in force since 2023-11-17" in text


def test_a_small_one_is_reported_with_a_low_severity():
    (found,) = judged(line(3))
    assert (found.is_finding, found.severity) == (True, "low")


def test_a_covering_licence_settles_it():
    assert judged(line(1000), cast.licence(1000)) == []


def test_movements_that_needed_none_are_not_mentioned():
    assert judged(line(1000), answer="not_required") == []


@pytest.mark.parametrize(
    "other",
    [
        {"consignee_id": cast.RESELLER}, {"scope": cast.TWO}, {"country": "SG"}, {"valid": cast.days("2026-02-01", "2026-12-31")},
    ],
)  # fmt: skip
def test_a_licence_for_something_else_does_not_cover(other):
    (found,) = judged(line(1000), cast.licence(1000, **other))
    assert found.verdict == "no licence recorded"


def test_a_licence_for_everybody_in_a_country_covers_without_being_counted():
    assert judged(line(1000), cast.licence(10, consignee_id=None)) == []


def test_vague_days_and_family_names_count_for_the_movement():
    vague = line(1000, shipped=cast.days("2025-12-01", "2026-01-10"), scope=cast.MIXED)
    assert judged(vague, cast.licence(1000)) == []


def test_an_undetermined_answer_is_information_that_names_what_is_not_known():
    rows = line(1000), line(500)
    (found,) = judged(*rows, answer="undetermined", missing=("headquarters of the ultimate parent",))
    assert (found.severity, found.is_finding, found.gap) == ("info", False, 1500)
    assert "headquarters of the ultimate parent (2 movements)" in spoken(found)


def test_what_no_record_settles_is_told_apart_from_what_one_would():
    rows = [cast.movement(10)]
    facts = ("confirmation that US-X applies on 2026-11-20", "headquarters of the ultimate parent")
    (found,) = judged(*rows, answer="undetermined", missing=facts, for_a_person=facts[:1], decision="UNKNOWN")
    text = " ".join(part.body for part in found.sections)
    assert f"For a person to say: {facts[0]} (1 movement)." in text
    assert f"Not recorded: {facts[1]} (1 movement)." in text
    assert f"To record: {facts[1]}. For a person to say: {facts[0]}." in text
    assert found.numbers["decisions"] == {"UNKNOWN": 1}
    assert found.numbers["for_a_person"] == [facts[0]]


def test_each_fact_says_how_many_chips_it_holds_up():
    few, many = cast.movement(10), cast.movement(500)
    verdicts = {
        few.ref.id: cast.verdict("undetermined", missing=("headquarters", "end use")),
        many.ref.id: cast.verdict("undetermined", missing=("headquarters",)),
    }
    (found,) = find(cast.books(few, many, verdicts=verdicts), P)
    assert found.numbers["chips_held_by"] == {"end use": 10, "headquarters": 510}


def test_movements_of_one_quarter_to_one_consignee_are_one_finding():
    rows = line(10), line(20, shipped=cast.day("2026-03-01")), line(40, shipped=cast.day("2026-04-01"))
    assert sorted((found.period, found.gap) for found in judged(*rows)) == [("2026Q1", 30), ("2026Q2", 40)]


def test_every_movement_and_rule_is_named():
    row, rule = line(1000), RecordRef("exportrule", 7, 3)
    (found,) = judged(row, rules=((rule, "the rule and its citation"),))
    named = {(one.ref, one.role) for one in found.evidence}
    assert {(row.ref, "movement"), (rule, "rule")} <= named
    assert {role for _, role in named} == {"movement", "rule", "specification", "party"}


def test_cancelled_movements_need_nothing():
    assert judged(line(1000, status="cancelled")) == []


def test_how_much_of_a_licence_is_used_and_whether_it_speaks_of_the_line_is_told_elsewhere():
    assert judged(line(5000), cast.licence(1000)) == []
    assert judged(line(1000, licence_id=1), cast.licence(1000, consignee_id=cast.RESELLER)) == []


def test_an_import_approval_does_not_stand_in_for_an_export_licence():
    (found,) = judged(line(1000, licence_id=1), cast.licence(1000, kind="import approval"))
    assert found.verdict == "no licence recorded"
    assert (
        judged(
            line(1000, licence_id=1),
            cast.licence(1000, kind="import approval"),
            cast.licence(9, licence_id=2),
        )
        == []
    )
