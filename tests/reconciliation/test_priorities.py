"""Where to look next, with numbers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.reconciliation.priorities import TOLD, Doubt, Question, rank

SQ = 1000.0


def doubt(pk: int, finding: int, share: float, sigma_sq: float, model: str = "claim") -> Doubt:
    return Doubt(model, pk, f"Record {pk}", finding, f"Finding {finding}", share, sigma_sq)


def question(fact: str, finding: int, h100e: float | None, **given) -> Question:
    place = {"area": "org:synthetic-operator", "scope": "chip:synthetic-chip"} | given
    return Question(fact=fact, finding=finding, headline=f"Question {finding}", h100e=h100e, **place)


def test_a_record_counts_with_its_share_of_every_open_variance():
    # 0.7 x 0.1^2 + 0.25 x 2^2 = 0.007 + 1 = 1.007; the other: 0.75 x 2^2 = 3
    doubts = [doubt(1, 10, 0.7, 0.1), doubt(1, 11, 0.25, 2.0), doubt(2, 11, 0.75, 2.0)]

    other, first = rank(doubts, [], SQ)

    assert (other.id, other.variance, other.count) == (2, 3.0, 1)
    assert (first.id, first.variance, first.count) == (1, 1.007, 2)
    assert [(reason.finding, reason.variance) for reason in first.reasons] == [(11, 1.0), (10, 0.007)]
    assert first.words == "Verifying “Record 1” would take its part out of the variance of 2 discrepancies."
    assert first.reasons[0].words == "25 % of the variance of “Finding 11” (standard deviation: 2 SQ)"


def test_a_fact_counts_with_the_amount_it_holds_up_at_even_odds():
    # (3000 / 1000)^2 / 4 + (1000 / 1000)^2 / 4 = 2.25 + 0.25 = 2.5
    asked = [
        question("ultimate parent", 1, 3000.0),
        question("ultimate parent", 2, 1000.0, scope="chip:other"),
    ]

    (line,) = rank([], asked, SQ)

    assert (line.kind, line.name, line.id) == ("fact", "ultimate parent (org:synthetic-operator)", None)
    assert (line.variance, line.h100e, line.count) == (2.5, 4000.0, 2)
    assert line.words == (
        "Recording “ultimate parent” for org:synthetic-operator would help to tell whether up to 4,000 H100-equivalents needed a "
        "licence, in 2 questions."
    )


def test_a_fact_about_a_chip_is_one_for_all_consignees_and_one_about_a_party_is_not():
    asked = [
        question(fact, number, 1000.0, area=f"org:{number}")
        for number, fact in enumerate(
            ("chip parameter tpp", "chip parameter tpp", "headquarters", "headquarters")
        )
    ]
    lines = rank([], asked, SQ)
    assert [(line.name, line.count) for line in lines] == [
        ("chip parameter tpp (chip:synthetic-chip)", 2), ("headquarters (org:2)", 1), ("headquarters (org:3)", 1),
    ]  # fmt: skip


def test_what_only_a_person_can_say_is_told_apart():
    asked = [question("law confirmed", 1, 1000.0, for_a_person=True), question("law confirmed", 2, 1000.0)]
    lines = rank([], asked, SQ)
    assert [(line.kind, line.words.split(" “")[0]) for line in lines] == [
        ("fact", "Recording"), ("person", "Asking a person for"),
    ]  # fmt: skip


def test_an_amount_that_cannot_be_told_weighs_nothing_and_is_listed_last():
    lines = rank([doubt(1, 1, 0.5, 0.001)], [question("ultimate parent", 2, None)], SQ)
    assert [(line.kind, line.h100e) for line in lines] == [("record", 0.0), ("fact", 0.0)]
    assert lines[1].variance == 0


def test_a_smaller_significant_quantity_moves_facts_up():
    doubts, asked = [doubt(1, 1, 1.0, 1.0)], [question("ultimate parent", 2, 1000.0)]
    assert [line.kind for line in rank(doubts, asked, 1000.0)] == ["record", "fact"]  # 1 against 1 / 4
    assert [line.kind for line in rank(doubts, asked, 100.0)] == ["fact", "record"]  # 1 against 10^2 / 4


def test_only_the_largest_reasons_are_told_and_the_rest_counted():
    (line,) = rank([doubt(1, number, 0.5, float(number)) for number in range(1, TOLD + 4)], [], SQ)
    assert [reason.finding for reason in line.reasons] == list(range(TOLD + 3, 3, -1))
    assert line.count == TOLD + 3


SHARES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.floats(0.001, 1), st.floats(0.001, 100))


@given(st.lists(SHARES, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_plays_no_part_and_the_most_comes_first(rows, random):
    doubts = [doubt(*row) for row in rows]
    mixed = list(doubts)
    random.shuffle(mixed)
    lines = rank(doubts, [], SQ)
    assert [(line.id, line.variance) for line in rank(mixed, [], SQ)] == [
        (line.id, line.variance) for line in lines
    ]
    assert [line.variance for line in lines] == sorted((line.variance for line in lines), reverse=True)
    assert sum(line.variance for line in lines) == pytest.approx(sum(one.variance for one in doubts))
    assert rank(doubts, [], SQ, limit=1) == lines[:1]
