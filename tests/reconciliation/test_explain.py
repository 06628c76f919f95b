"""The words of findings: order, numbers, and what is never said."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.core.quantity import Reported
from tracker.reconciliation import explain
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.registry import checks

P = Parameters()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (112700, "112,700"),
        (1234.5, "1,234"),
        (99.5, "99.5"),
        (0.07164, "0.0716"),
        (-1200, "-1,200"),
        (0, "0"),
        (None, "not known"),
    ],
)
def test_numbers_are_written_with_thousands_separators(value, words):
    assert explain.number(value) == words


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.3, "about once in 3.3 "),
        (0.01, "about once in 100 "),
        (0.000084443, "about once in 12,000 "),
        (2e-6, "about once in 500,000 "),
        (1e-9, "about once in more than a million "),
    ],
)
def test_a_probability_is_told_as_how_often(p, words):
    assert words in explain.surprise(p, 3.0)


def test_one_chip_is_not_chips():
    assert (explain.chips(1), explain.chips(2)) == ("1 chip", "2 chips")


@given(st.text(min_size=0, max_size=400))
def test_a_headline_is_one_line_of_at_most_140_characters(words):
    line = explain.headline(words)
    assert len(line) <= 140
    assert "\n" not in line


def test_long_lists_of_names_are_cut_and_counted():
    assert explain.listed("abc") == "a, b and c"
    assert explain.listed(map(str, range(9)), limit=3) == "0, 1 and 7 more"
    assert explain.listed([]) == "none"


def test_the_run_is_the_eighth_and_last_part():
    parts = explain.sections(explain.Story("c", (), "d", "s", (), "x"))
    closing = explain.record_section("2026-11-23-1", datetime(2026, 11, 23, tzinfo=UTC), "0.1+abc")
    assert [part.heading for part in (*parts, closing)] == list(explain.HEADINGS)
    assert all(part.body for part in parts)
    assert "as known at 2026-11-23T00:00:00+00:00" in closing.body
    assert explain.full_text((*parts, closing)).count("\n\n") == 7


STATUSES = ["announced", "planned", "shipped", "delivered", "installed", "operational", "produced"]
SCOPES = [cast.ONE, cast.TWO, cast.MIXED, cast.UNSPECIFIED]
units = st.sampled_from(["chips", "cards", "servers", "USD", "GPU-equivalents"])
bounds = st.sampled_from(["", "floor", "ceiling"])
amounts = st.floats(1, 1e6)

claims = st.builds(
    lambda q, unit, bound, grade, status, scope, kind, flow, other: cast.claim(
        q, unit=unit, bound=bound, grade=grade, status=status, scope=scope, kind=kind, is_flow=flow,
        period=cast.days("2022-01-01", "2026-03-31") if flow else cast.day("2026-03-31"), subject_id=other,
    ),
    amounts, units, bounds, st.sampled_from("ABCDE"), st.sampled_from(STATUSES), st.sampled_from(SCOPES),
    st.sampled_from(["installed", "sale", "purchase", "production"]), st.booleans(),
    st.sampled_from([cast.VENDOR, cast.OPERATOR]),
)  # fmt: skip
movements = st.builds(
    lambda q, came, grade, scope, shipper, day, status, bound: cast.movement(
        q, grade=grade, scope=scope, shipper_id=shipper, shipped=cast.day(day), status=status, bound=bound,
        consignee_id=cast.OPERATOR if shipper == cast.RESELLER else cast.RESELLER, by_shipper=Reported(best=q, grade="A"),
        by_receiver=Reported(best=came, grade="A"), licence_id=1 if q > 1000 else None,
    ),
    amounts, amounts, st.sampled_from("ABCDE"), st.sampled_from(SCOPES), st.sampled_from([cast.VENDOR, cast.RESELLER]),
    st.sampled_from(["2022-01-05", "2026-01-10", "2026-02-10"]), st.sampled_from(["received", "in transit", "seized"]), bounds,
)  # fmt: skip
verdicts = st.sampled_from(
    [
        cast.verdict("required"),
        cast.verdict("undetermined", missing=("headquarters",)),
        cast.verdict("not_required"),
    ]
)


def found_in(said, moved, answers, megawatts) -> list[Finding]:
    if len(said) > 1:  # the last is declared to conflict with the first
        said[-1] = cast.claim(
            said[-1].reported.best,
            unit=said[-1].reported.unit,
            conflicts_with=frozenset({said[0].ref.id}),
            scope=cast.MIXED,
        )
    books = cast.books(
        *said, *moved, cast.licence(500), powers=(cast.power(megawatts),),
        verdicts={row.ref.id: answer for row, answer in zip(moved, answers, strict=False)},
    )  # fmt: skip
    return [finding for check in checks() for finding in check.find(books, P)]


ledgers = (
    st.lists(claims, min_size=1, max_size=4),
    st.lists(movements, max_size=4),
    st.lists(verdicts, min_size=4, max_size=4),
    st.floats(1, 1000),
)


@settings(max_examples=150, deadline=None)
@given(*ledgers)
def test_no_finding_ever_speaks_of_blame_or_loss(said, moved, answers, megawatts):
    for finding in found_in(said, moved, answers, megawatts):
        words = " ".join(
            [finding.headline, explain.full_text(finding.sections), *(row.label for row in finding.evidence)]
        )
        assert explain.forbidden_words(words) == [], words


@settings(max_examples=100, deadline=None)
@given(*ledgers)
def test_every_finding_is_whole(said, moved, answers, megawatts):
    found = found_in(said, moved, answers, megawatts)
    assert len({finding.key for finding in found}) == len(found)
    for finding in found:
        assert [part.heading for part in finding.sections] == list(explain.HEADINGS[:7])
        assert all(part.body.strip() for part in finding.sections)
        assert finding.evidence
        assert len(finding.headline) <= 140
        assert finding.severity in ("critical", "high", "medium", "low", "info")
        assert (finding.severity == "info") is not finding.is_finding
        assert finding.family is None or finding.p is not None
        assert max(len(finding.area), len(finding.scope)) <= 100
        assert len(finding.period) <= 60
        assert len(finding.counterpart) <= 200
        assert len(finding.verdict) <= 60


def test_the_templates_themselves_hold_no_forbidden_word():
    """Every literal text of the modules that make words; keys of worked cases and names from the rules are no words of ours."""
    allowed = {"missing_at_least", *explain.FORBIDDEN}
    modules = [inspect.getmodule(check.find) for check in checks()] + [explain]
    for module in modules:
        tree = ast.parse(inspect.getsource(module))
        documentation = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value not in documentation | allowed
            ):
                assert explain.forbidden_words(node.value) == [] or node.value == "licence missing", (
                    node.value
                )


@settings(max_examples=100, deadline=None)
@given(*ledgers)
def test_every_finding_can_be_quoted(said, moved, answers, megawatts):
    """Whole sentences, nothing left to fill in, no number as a machine writes it."""
    for finding in found_in(said, moved, answers, megawatts):
        words = explain.full_text(finding.sections)
        assert not re.search(r"\w\(s\)|\bnan\b|\binf\b|\d[eE][-+]?\d|…", words), words
        for section in finding.sections:
            for line in section.body.splitlines():
                assert line == line.strip()
                assert line.startswith("- ") or line.endswith("."), line
