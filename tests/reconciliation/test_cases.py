"""Worked cases: they come out, and what does not come out is said."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management.base import CommandError

from tracker.core.errors import BadInput
from tracker.management.commands.work_cases import Command
from tracker.reconciliation.cases import case_kinds, case_parameters, run

FILE = Path(__file__).with_name("cases.yaml")
DOCUMENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SHARED = Path(__file__).resolve().parents[3] / "shared" / "reconciliation_cases.yaml"


@pytest.mark.parametrize("result", run(DOCUMENT), ids=lambda result: result.id)
def test_a_worked_case_comes_out(result):
    assert result.passed, [line for line in result.lines if not line.ok] or result.error


@pytest.mark.skipif(not SHARED.exists(), reason="the full list of cases is not beside this repository")
def test_every_case_of_a_known_kind_in_the_full_list_comes_out():
    document = yaml.safe_load(SHARED.read_text(encoding="utf-8"))
    results = [result for result in run(document) if result.check in case_kinds()]
    assert results
    assert [result.id for result in results if not result.passed] == []


def one(**changes):
    case = {"id": "X", "check": "false_alarms", "input": {"p": [0.01, 0.5]}, "expect": {"rejected": 1}}
    (result,) = run({"cases": [case | changes]})
    return result


def test_a_number_off_by_more_than_the_tolerance_fails_and_shows_both():
    result = one(expect={"adjusted": [0.0201, 0.5]})
    assert not result.passed
    assert [(line.key, line.expected, line.got, line.ok) for line in result.lines] == [
        ("adjusted[0]", 0.0201, 0.02, False),
        ("adjusted[1]", 0.5, 0.5, True),
    ]


@pytest.mark.parametrize("tolerance", [0.01, {"rel": 0.01}, {"abs": 0.0002}])
def test_a_tolerance_may_be_given_in_three_ways(tolerance):
    assert one(expect={"adjusted": [0.0201, 0.5]}, tol=tolerance).passed


def test_a_key_that_is_not_computed_is_passed_over_but_not_alone():
    assert one(expect={"rejected": 1, "something_else": 7}).passed
    assert not one(expect={"something_else": 7}).passed


def test_a_case_that_expects_nothing_passes_if_it_can_be_computed_and_shows_what_comes_out():
    found = one(expect={})
    assert found.passed
    assert found.computed["rejected"] == 1
    assert not one(expect={}, input={"p": "no list"}).passed


def test_a_list_of_another_length_fails():
    assert not one(expect={"adjusted": [0.02]}).passed


def test_a_name_that_is_absent_from_a_computed_table_fails():
    case = {
        "id": "X", "check": "as_known_at", "expect": {"out": {"2026-01-02": {"total": 5}, "2026-01-09": {"total": 5}}},
        "input": {"known_at": ["2026-01-02"], "versions": [{"id": "a", "v": 1, "q": 5, "recorded": "2026-01-01"}]},
    }  # fmt: skip
    (result,) = run({"cases": [case]})
    assert [(line.key, line.ok) for line in result.lines] == [
        ("out.2026-01-02.total", True),
        ("out.2026-01-09", False),
    ]


def test_an_unknown_kind_is_not_run_and_not_passed():
    result = one(check="astrology")
    assert (result.passed, result.not_run) == (False, True)


def test_words_must_and_must_not_be_said():
    gap = {
        "check": "gap",
        "input": {"claim": {"best": 500, "grade": "B"}, "ledger": [{"q": 100}]},
        "expect": {"ledger": 100},
    }
    assert one(**gap, say=["500"], never_say=["astrology"]).passed
    assert not one(**gap, say=["astrology"]).passed
    assert not one(**gap, never_say=["LEDGER"]).passed


def test_words_asked_of_a_kind_without_an_explanation_fail():
    assert not one(say=["anything"]).passed


def test_a_case_whose_input_lacks_a_key_names_case_and_key():
    result = one(input={})
    assert not result.passed
    assert result.error == "case X: the input lacks the key 'p'."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": None}, "case X: the key 'input' must hold a mapping"),
        ({"expect": [1]}, "case X: the key 'expect' must hold a mapping"),
        ({"check": 7}, "case X: the key 'check' must hold the kind of check"),
        ({"say": "word"}, "case X: the key 'say' must hold a list of words"),
        ({"tol": "wide"}, "case X: the key 'tol' must hold a number"),
    ],
)
def test_a_malformed_case_is_refused_with_its_name_and_key(changes, message):
    with pytest.raises(BadInput, match=message):
        one(**changes)


@pytest.mark.parametrize("document", [None, [], {"cases": {}}, {"cases": ["x"]}])
def test_a_malformed_document_is_refused(document):
    with pytest.raises(BadInput):
        run(document)


def test_parameters_of_the_document_replace_the_defaults_and_unknown_ones_are_passed_over():
    assert case_parameters({"alpha": 0.01, "interval_is": "central"}).alpha == 0.01
    with pytest.raises(BadInput, match="alpha cannot be 'small'"):
        case_parameters({"alpha": "small"})


def command(path: Path) -> str:
    out = StringIO()
    Command(stdout=out).handle(file=path)
    return out.getvalue()


def test_the_command_prints_every_number_and_ends_well_only_if_all_pass(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text(
        yaml.safe_dump({"cases": [case for case in DOCUMENT["cases"] if case["id"] in ("V06", "V18")]})
    )
    said = command(path)
    assert "pass    V06 (gap)" in said
    assert "ok  gap: expected 112700, got 112700.0" in said
    assert "2 of 2 passed, 0 not run" in said
    path.write_text(yaml.safe_dump({"cases": [{"id": "X", "check": "astrology", "input": {}, "expect": {}}]}))
    with pytest.raises(CommandError, match="not all cases passed"):
        command(path)


def test_the_command_names_a_file_that_is_no_yaml(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text("cases: [")
    with pytest.raises(CommandError, match=r"cases\.yaml: "):
        command(path)
    with pytest.raises(CommandError, match=r"nowhere\.yaml"):
        command(tmp_path / "nowhere.yaml")
