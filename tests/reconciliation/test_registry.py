"""The checks there are, and that their pages can be made from them."""

from __future__ import annotations

from tests.reconciliation import ledgers as cast
from tracker.reconciliation.books import Books, Parameters
from tracker.reconciliation.registry import checks


def test_checks_are_sorted_by_code_and_found_once():
    codes = [check.code for check in checks()]
    assert codes == sorted(set(codes))
    assert {"CONFLICT", "DATE", "GAP", "POWER", "PRODUCTION", "RULE", "RUNNING", "SRD"} <= set(codes)


def test_every_check_documents_its_reading_and_its_limits():
    for check in checks():
        title, *rest = check.documentation.split("\n\n")
        assert "\n" not in title
        assert "``" in check.documentation or check.family is None
        assert any(part.startswith("How to read it.") for part in rest), check.code
        assert any(part.startswith("What it does not say.") for part in rest), check.code


def test_empty_books_yield_nothing():
    empty = Books(as_of=cast.books().as_of)
    assert [finding for check in checks() for finding in check.find(empty, Parameters())] == []
