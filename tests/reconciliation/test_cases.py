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


GOOD = {"id": "X", "check": "false_alarms", "input": {"p": [0.01, 0.5]}, "expect": {"rejected": 1}}


def one(**changes):
    (result,) = run({"cases": [GOOD | changes]})
    return result


@pytest.mark.parametrize(
    ("check", "given", "expected"),
    [
        ("false_alarms", {"p": [0.05, 0.05, 0.05], "q": 0.05}, {"rejected": 3, "threshold": 0.05}),
        ("false_alarms", {"p": [0.001, 0.002, 0.025, 0.3, 0.5, 0.9], "q": 0.05}, {"rejected": 3}),
        ("conflict", {"claims": [{"id": "a", "at_least": 150000, "grade": "B"}, {"id": "b", "at_most": 100000, "grade": "B"}]},
         {"z": 9.245003, "lower": "a", "upper": "b"}),
        ("physical", {"tests": [{"test": "power", "chips": [{"n": 1, "tdp_w": 500}], "site_mw": 4.1}]},
         {"results": [{"max_chips_floor": 8200, "verdict": "possible"}]}),
        ("physical", {"tests": [{"test": "power", "chips": [{"n": 700, "tdp_w": 1000, "overhead": 1.1}], "site_mw": 0.847,
                                 "pue": 1.1}]}, {"results": [{"verdict": "possible"}]}),
        ("physical", {"tests": [{"test": "running", "node": "B", "movements": [
            {"id": 1, "to": "B", "q": 100, "shipped": "2026-01-01"}, {"id": 2, "from": "B", "q": 50, "shipped": "2026-03-01"},
            {"id": 3, "from": "B", "to": "B", "q": 900, "shipped": "2026-01-01"}]}]},
         {"results": [{"verdict": "possible", "final": 50}]}),
        ("muf", {"periods": [
            {"records": [{"role": "open", "value": 100, "sr": 1}, {"role": "close", "value": 98, "sr": 1}]},
            {"records": [{"role": "receipt", "value": 10, "sr": 1}, {"role": "close", "value": 107, "sr": 1}]}]},
         {"muf": [2, 1], "sigma": [1.4142136, 1.7320508], "sigma_cumuf": [1.4142136, 1.7320508]}),
        *(
            ("network", {"streams": [{"id": "a", "from": "env", "to": "n", "value": 10, "sd": 0.3},
                                     {"id": "b", "from": "n", "to": "m", "value": 500, "sd": vague},
                                     {"id": "c", "from": "m", "to": "env", "value": 12, "sd": 0.3}]},
             {"reconciled": {"a": 11, "b": 11, "c": 11}, "sd": {"a": 0.212132, "b": 0.212132, "c": 0.212132},
              "gamma": 22.2222222 + (489 / vague) ** 2})
            for vague in (1e4, 1e5, 1e6, 1e8, 1e10)
        ),
    ],
)  # fmt: skip
def test_what_is_met_exactly_or_left_out_is_read_as_the_method_says(check, given, expected):
    result = one(check=check, input=given, expect=expected)
    assert result.passed, (result.error, [line for line in result.lines if not line.ok], result.computed)


def test_three_pairs_over_three_streams_are_no_matrix():
    streams = [
        {"id": name, "from": "env" if name != "c" else "n", "to": "n" if name != "c" else "env", "value": 10.0, "sd": 1.0}
        for name in "abc"
    ]  # fmt: skip
    pairs = [["a", "b", 0.5], ["a", "c", 0.2], ["b", "c", 0.1]]
    matrix = [[1.0, 0.5, 0.2], [0.5, 1.0, 0.1], [0.2, 0.1, 1.0]]
    told = [
        one(check="network", input={"streams": streams, "covariance": given}, expect={})
        for given in (pairs, matrix)
    ]
    assert told[0].passed
    assert told[0].computed == told[1].computed


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
        ({"say": "word"}, "case X: the key 'say' must hold a list of words"),
        ({"tol": "wide"}, "case X: the key 'tol' must hold a number"),
    ],
)
def test_a_malformed_case_fails_with_its_name_and_key_and_the_others_are_computed(changes, message):
    document = {"cases": [{**GOOD, **changes}, GOOD]}
    wrong, right = run(document)
    assert wrong.error.startswith(message)
    assert (wrong.passed, wrong.not_run, right.passed) == (False, False, True)


def test_what_is_no_case_fails_and_what_is_of_no_known_kind_is_not_run():
    found = run({"cases": ["x", {**GOOD, "check": 7}, {**GOOD, "check": "other", "input": [1]}]})
    assert [(one.passed, one.not_run) for one in found] == [(False, False), (False, True), (False, True)]
    assert found[0].error == "case 1 is not a mapping."


@pytest.mark.parametrize("document", [None, [], {"cases": {}}])
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


def test_the_command_reads_numbers_as_scientists_write_them(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text(
        "cases:\n- {id: X, check: false_alarms, input: {p: [1e-6, 5e-1]}, expect: {adjusted: [2e-6, 0.5]}, tol: {abs: 1e-12}}\n",
        encoding="utf-8",
    )
    out = StringIO()
    Command(stdout=out).handle(file=path)
    assert "1 of 1 passed" in out.getvalue()


def test_a_method_of_control_that_there_is_not_is_refused():
    (found,) = run(
        {"cases": [{"id": "a", "check": "false_alarms", "input": {"p": [0.1], "method": "guess"}}]}
    )
    assert "the method 'GUESS' is not one of BH, BY" in found.error


def test_a_time_that_is_none_is_refused():
    given = {"known_at": ["2026-13-01T00:00:00"], "versions": []}
    (found,) = run({"cases": [{"id": "a", "check": "as_known_at", "input": given}]})
    assert "is not a time like" in found.error
