"""What rows say of other rows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tracker.imports.columns import Column, listed, slug
from tracker.imports.parse import FileSpec, Row
from tracker.imports.references import endless_chains, layers, second_first_ranks, unknown_names

SPEC = FileSpec(
    "claims.csv",
    (
        Column("slug", slug(), ""),
        Column("subject", slug(), "", blank=None, refers_to="organization"),
        Column("rivals", listed(slug()), "", blank=(), refers_to="claim"),
        Column("echo_of", slug(), "", blank=None, refers_to="claim"),
    ),
    key=("slug",),
)


def row(line: int, name: str, subject=None, rivals=(), echo_of=None) -> Row:
    return Row(line, {"slug": name, "subject": subject, "rivals": rivals, "echo_of": echo_of})


def test_an_unknown_name_is_a_problem_with_near_matches():
    (problem,) = unknown_names(
        SPEC, [row(2, "a", "nvidai")], {"organization": {"nvidia"}}, lambda kind: {"nvidia", "amd"}
    )
    assert (problem.row, problem.column, problem.value) == (2, "subject", "nvidai")
    assert "no organization has this name" in problem.message
    assert "Near matches: nvidia." in problem.message


def test_each_part_of_a_list_is_looked_up():
    found = unknown_names(SPEC, [row(2, "a", rivals=("b", "c"))], {"claim": {"b"}}, lambda kind: ())
    assert [problem.value for problem in found] == ["c"]


def test_kinds_that_are_not_known_are_not_checked():
    assert unknown_names(SPEC, [row(2, "a", "nobody")], {}, lambda kind: ()) == []


def test_claims_that_echo_each_other_in_a_circle_are_problems():
    rows = [row(2, "a", echo_of="b"), row(3, "b", echo_of="a"), row(4, "c", echo_of="a"), row(5, "d")]
    assert [problem.row for problem in endless_chains(SPEC, rows, "echo_of")] == [2, 3]


def test_a_chain_that_ends_is_no_problem():
    rows = [row(2, "a", echo_of="b"), row(3, "b", echo_of="elsewhere")]
    assert endless_chains(SPEC, rows, "echo_of") == []


def test_a_chip_has_one_preferred_specification():
    def spec(line: int, chip: str, rank: int) -> Row:
        return Row(line, {"chip": chip, "rank": rank, "tdp": Decimal(1)})

    rows = [spec(2, "h100", 1), spec(3, "h100", 2), spec(4, "h200", 1), spec(5, "h100", 1)]
    (problem,) = second_first_ranks(SPEC, rows)
    assert problem.row == 5
    assert "in row 2" in problem.message


def test_every_record_comes_after_the_one_it_names():
    parents = {"a": "b", "b": "c", "c": None, "d": "outside"}
    groups = list(layers(list(parents), lambda name: name, parents.get))
    assert groups == [["c", "d"], ["b"], ["a"]]


def test_records_in_a_circle_have_no_order():
    parents = {"a": "b", "b": "a"}
    with pytest.raises(ValueError, match="circle"):
        list(layers(list(parents), lambda name: name, parents.get))
