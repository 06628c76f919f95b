from hypothesis import given
from hypothesis import strategies as st

from tracker.reviews.history import ABOUT_THE_VERSION, changes

rows = st.dictionaries(
    st.sampled_from(["id", "version", "name", "note", "grade"]), st.integers() | st.text(), max_size=5
)


def test_only_what_says_something_about_the_world_counts_as_changed():
    before = {"id": 1, "version": 1, "recorded_by": "a", "name": "Old", "note": ""}
    after = {"id": 1, "version": 2, "recorded_by": "b", "name": "New", "note": ""}

    assert [(c.column, c.before, c.after) for c in changes(before, after)] == [("name", "Old", "New")]


def test_a_column_that_is_new_or_gone_is_a_change():
    assert [c.column for c in changes({"old": 1}, {"new": 2})] == ["new", "old"]


@given(rows)
def test_a_version_does_not_differ_from_itself(row):
    assert changes(row, row) == ()


@given(rows, rows)
def test_applying_the_changes_to_the_old_gives_the_new(before, after):
    patched = {k: v for k, v in before.items() if k not in ABOUT_THE_VERSION}
    patched |= {c.column: c.after for c in changes(before, after)}

    wanted = {k: v for k, v in after.items() if k not in ABOUT_THE_VERSION}
    assert {k: v for k, v in patched.items() if v is not None} == wanted
