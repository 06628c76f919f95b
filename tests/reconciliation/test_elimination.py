"""Sparse elimination against dense rank."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.reconciliation.elimination import eliminate

ENTRY = st.sampled_from((0.0, 0.0, 0.0, 1.0, -1.0, 0.5, 3.0))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(ENTRY, min_size=n, max_size=n), min_size=1, max_size=6)
    )
)
def test_as_many_rows_are_left_as_depend_on_the_others(given_rows):
    rows = [{column: value for column, value in enumerate(row) if value} for row in given_rows]
    width = len(given_rows[0])
    done = eliminate(rows, range(width), fully=True)
    assert len(done.rest) == len(given_rows) - np.linalg.matrix_rank(np.array(given_rows))
    assert all(not rows[index] for index in done.rest)
    for column, index in done.pivots.items():
        assert [number for number, row in enumerate(rows) if column in row] == [index]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(ENTRY, min_size=5, max_size=5), min_size=1, max_size=6))
def test_rows_stay_combinations_of_the_rows_given(given_rows):
    matrix = np.array(given_rows)
    rows = [{column: value for column, value in enumerate(row) if value} for row in given_rows]
    eliminate(rows, (0, 1, 2))
    for row in rows:
        extended = np.vstack([matrix, [row.get(column, 0.0) for column in range(5)]])
        assert np.linalg.matrix_rank(extended) == np.linalg.matrix_rank(matrix)
