"""Counts that open a chain of books anew."""

from __future__ import annotations

import pytest

from tests.reconciliation import ledgers as cast
from tests.reconciliation.test_checks_muf import count, whole
from tracker.claims.combine import Report, pool
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.inventories import anchors

P = Parameters()


def anchor(*rows):
    ((_, by_month),) = anchors(rows, [whole()], P).items()
    (found,) = by_month.values()
    return found


def test_counts_that_agree_are_taken_together():
    rows = [count(best, "2026-03-31", key=key, grade="B") for best, key in ((1000, "a"), (1020, "b"))]
    pooled = pool([Report(row.slug, in_chips(row, P), row.slug) for row in rows])
    found = anchor(*rows)
    assert (found.mu, found.variance) == (pooled.gls_mean, pytest.approx(pooled.gls_sd**2))


def test_counts_that_disagree_open_the_book_with_what_is_shown_of_them():
    """As CONFLICT shows them: the random-effects mean, whose error is as large as their disagreement."""
    rows = [count(best, "2026-03-31", key=key) for best, key in ((1000, "a"), (3000, "b"), (1010, "c"))]
    pooled = pool([Report(row.slug, in_chips(row, P), row.slug) for row in rows])
    found = anchor(*rows)
    assert pooled.p < P.alpha
    assert (found.mu, found.variance) == (pooled.random_mean, pytest.approx(pooled.random_sd**2))
    assert found.variance > 100 * pooled.gls_sd**2


def test_a_count_in_h100_equivalents_opens_no_book_of_chips():
    told = count(500, "2026-03-31", unit="H100-equivalents", scope=cast.MIXED)
    assert anchors([told], [whole()], P) == {}
