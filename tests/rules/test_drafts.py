"""Drafts of law: what they change, and how their mistakes are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.rules.test_licensing import BOOK, CHIPS, SINGAPORE
from tracker.core.errors import BadInput
from tracker.rules.classify import classify
from tracker.rules.drafts import draft
from tracker.rules.licensing import Case, verdict

DAY = date(2026, 6, 1)
SAFE = {
    "id": "SYNTHETIC-BANDWIDTH", "kind": "classification_and_licence", "title": "SYNTHETIC", "citation": "SYNTHETIC 1",
    "effective_from": "2026-01-01", "effective_to_inclusive": None, "enforcement": "in force", "verification": "synthetic",
    "sources": ["https://example.org/synthetic"],
    "criteria": {"classes": [{"level": "x", "eccn": {"ic": "9X999"}, "paragraphs": [
        {"name": "9X999", "when": "total_dram_bandwidth_gbs >= 3500"}]}]},
}  # fmt: skip


def made(**document):
    return draft({"schema": 1, "title": "Draft", **document}, BOOK, "draft.yaml").book


def decision(book, chip="h100", to="SG", day=DAY, party=SINGAPORE):
    rules = book.on(day)
    return verdict(classify(CHIPS[chip], rules), Case(to, "TW", (party,)), rules).decision


def test_a_draft_that_changes_nothing_is_the_same_law():
    assert made().digest == BOOK.digest


def test_what_sleeps_may_be_woken():
    assert decision(BOOK) == "NO_LICENCE"
    assert decision(made(change_rules={"US-AIDIFF-2025": {"enforcement": "in force"}})) == "LICENCE"
    assert decision(BOOK) == "NO_LICENCE"


def test_rules_and_rows_are_added_changed_and_taken_away():
    row = {
        "order": 5, "from": "2026-01-01", "to_inclusive": None, "rule": "SYNTHETIC-BANDWIDTH", "items": ["x"],
        "result": "LICENCE", "answer": "required", "words": "SYNTHETIC", "verification": "synthetic",
    }  # fmt: skip
    assert decision(made(regime="SYNTHETIC", rules=[SAFE], matrix=[row]), "h20") == "LICENCE"
    assert decision(BOOK, "h20", "CN") == "LICENCE"
    assert decision(made(remove_rows=[160]), "h20", "CN", party=replace(SINGAPORE, hq="SG")) == "NO_LICENCE"
    assert decision(made(change_rows={160: {"to_inclusive": "2026-05-31"}}), "h20", "CN") == "NO_LICENCE"
    assert (
        decision(made(change_rows={160: {"to_inclusive": "2026-05-31"}}), "h20", "CN", date(2026, 5, 31))
        == "LICENCE"
    )


def test_a_threshold_may_be_moved():
    classes = [
        dict(c) for c in next(r for r in BOOK.rules if r.id == "US-3A090-2023").data["criteria"]["classes"]
    ]
    classes[0] = {
        **classes[0],
        "scope": "tpp >= 0",
        "paragraphs": [{"name": "3A090.a.1", "when": "tpp >= 2000"}],
    }
    book = made(change_rules={"US-3A090-2023": {"criteria": {"classes": classes}}})
    assert classify(CHIPS["h20"], BOOK.on(DAY)).level == "none"
    assert classify(CHIPS["h20"], book.on(DAY)).level == "a"


def test_countries_move_in_and_out_of_groups():
    assert decision(BOOK, to="DE") == "NO_LICENCE"
    assert (
        decision(made(members=[{"group": "D:4", "country": "TH", "from": "2026-01-01"}]), to="TH")
        == "LICENCE"
    )
    assert decision(BOOK, to="TH") == "NO_LICENCE"
    assert decision(BOOK, to="VN") == "LICENCE"
    gone = [{"group": m.group, "country": "VN"} for m in BOOK.memberships if m.country == "VN"]
    assert decision(made(leave=gone), to="VN") == "NO_LICENCE"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"change_rules": {"US-NAK": {}}}, "field 'US-NAK' is not known here; known fields are"),
        ({"change_rules": {"US-NAC": {"enforcement": "maybe"}}}, "draft.yaml, rule US-NAC: field 'enforcement' is 'maybe'"),
        ({"change_rules": {"US-NAC": {"enforcment": "in force"}}}, "rule US-NAC: field 'enforcment' is not known here"),
        ({"change_rows": {7: {}}}, "field '7' is not known here"),
        ({"change_rows": [1]}, "write a mapping from the order"),
        ({"remove_rows": [7]}, "field 'remove_rows' is [7]; write a list of orders"),
        ({"remove_rules": ["US-NAK"]}, "'US-NAK' is not known"),
        ({"remove_rules": ["US-NAC"]}, "licence matrix, row 140: field 'rule' is 'US-NAC'; no rule has this id"),
        ({"members": [{"group": "D:9", "country": "TH"}]}, "field 'group' is 'D:9'"),
        ({"members": [{"group": "D:5", "country": "CN"}]}, "puts CN into D:5, where it is already"),
        ({"leave": [{"group": "D:5", "country": "DE"}]}, "names DE in D:5; it is no member there"),
        ({"chnge_rules": {}}, "field 'chnge_rules' is not known here"),
        ({"title": None}, "field 'title' is None"),
        ({"rules": [{"id": "X"}]}, "draft.yaml, rule X"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_draft_is_told_with_its_place(document, said):
    with pytest.raises(BadInput) as caught:
        made(**document)
    assert said in str(caught.value)


def test_what_is_no_draft_is_refused():
    with pytest.raises(BadInput, match="must begin with 'schema: 1'"):
        draft(["a"], BOOK, "x.yaml")
