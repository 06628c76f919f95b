"""The tree below a finding: nothing is lost between a number and its sources, and the same evidence gives the same tree."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.reconciliation import tree
from tracker.reconciliation.books import Evidence, Finding, Parameters, RecordRef
from tracker.reconciliation.checks import gap
from tracker.reconciliation.tree import Piece, Record, SourceFacts


def found(**given) -> Finding:
    values = {
        "check": "GAP", "area": "site:desert", "scope": "chip:h-one", "period": "2026-03-31", "counterpart": "c",
        "verdict": "not accounted for", "headline": "Desert site: 112,700 not accounted for here", "expected": 2300.0,
        "reported": 115000.0, "gap": 112700.0, "sigma": 11504.0, "statistic": 9.796592,
    }  # fmt: skip
    return Finding(**values | given)


def piece(order: int, role: str, contribution: float | None = None, **given) -> Piece:
    ref = given.pop("ref", None) or RecordRef("shipment" if role == "ledger" else role, order + 1, 1)
    return Piece(order, Evidence(ref, role, f"row {order}", contribution, given.pop("share", None)), **given)


def source(slug: str = "gazette", **given) -> SourceFacts:
    values = {
        "slug": slug, "title": "A report", "publisher": "Gazette", "original_publisher": "", "url": "https://example.org/a",
        "published_on": date(2026, 3, 1), "retrieved_on": date(2026, 3, 4), "kind": "press report", "grade": "C",
        "verification": "read", "archive": "", "page": f"/records/source/1/#{slug}", "data": "/api/v1/sources/1/",
    }  # fmt: skip
    return SourceFacts(**values | given)


LEDGER = [
    piece(0, "claim", 115000.0, share=0.9),
    piece(1, "ledger", -2000.0, share=0.06),
    piece(2, "ledger", -500.0, share=0.03, kind="production"),
    piece(3, "ledger", 150.0, share=0.01),
    piece(4, "ledger", 50.0, share=0.0, status="seized"),
    piece(5, "echo"),
    piece(6, "specification"),
]


def names(node: tree.Node) -> list[str]:
    return [child.role for child in node.children]


def test_terms_stand_in_the_order_of_the_book_with_their_amounts():
    grown = tree.grow(found(), LEDGER, {})
    assert [(node.role, node.number, node.contribution) for node in grown.children] == [
        ("reported", 115000.0, 115000.0),
        ("receipts", 2000.0, -2000.0),
        ("production", 500.0, -500.0),
        ("dispatches", 150.0, 150.0),
        ("exits", 50.0, 50.0),
        ("specification", None, None),
        ("echoes", None, None),
    ]
    assert math.fsum(node.contribution or 0 for node in grown.children) == grown.number


def test_a_role_that_no_term_is_named_for_is_a_term_of_its_own():
    assert names(tree.grow(found(), [piece(0, "claim", 5.0), piece(1, "lost_and_found")], {})) == [
        "reported",
        "lost_and_found",
    ]


def test_the_sign_of_a_movement_tells_its_way_only_where_a_book_is_taken_off():
    rows = [piece(0, "ledger", 500.0), piece(1, "ledger", -20.0)]
    assert names(tree.grow(found(), rows, {})) == ["receipts", "dispatches"]
    assert names(tree.grow(found(check="3WAY"), rows, {})) == ["movements"]


def test_figures_that_contradict_one_another_have_no_sum():
    grown = tree.grow(
        found(reported=900.0, expected=500.0), [piece(0, "claim", 900.0), piece(1, "claim", 300.0)], {}
    )
    assert (grown.children[0].number, grown.children[0].contribution) == (None, None)


def test_below_a_record_stand_its_claims_and_its_source_with_the_words():
    ref = RecordRef("shipment", 7, 2)
    claim = Record(
        RecordRef("claim", 9, 1),
        "claim-1",
        "about 2,000 chips",
        said="about two thousand",
        grade="D",
        source=source("wire"),
    )
    line = Record(
        ref, "line-1", "2,000 chips", grade="B", page="/records/shipment/7/", source=source(), claims=(claim,)
    )
    (term,) = tree.grow(found(), [piece(0, "ledger", -2000.0, ref=ref)], {ref: line}).children
    (record,) = term.children
    assert (record.record, record.page, record.grade) == (ref, "/records/shipment/7/", "B")
    documents, own = record.children
    assert (documents.kind, documents.role, documents.said) == ("claim", "documents", "about two thousand")
    (passage,) = documents.children
    assert (passage.kind, passage.said, passage.grade) == ("source", "about two thousand", "D")
    assert passage.source is not None
    assert passage.source.archive_link == "https://web.archive.org/web/20260304/https://example.org/a"
    assert own.source == source()


def test_a_version_that_cannot_be_read_says_so():
    grown = tree.grow(found(), [piece(0, "claim", 5.0)], {})
    assert grown.children[0].children[0].note == "This version of the record could not be read."


def test_a_row_may_stand_for_the_lines_of_a_month():
    row = piece(
        0,
        "ledger",
        -90000.0,
        month=date(2026, 1, 1),
        count=3000,
        page="/cells/r/country:MY/chip:h-one/2026-01/",
    )
    (term,) = tree.grow(found(), [row, piece(1, "ledger", -10.0)], {}).children
    assert (term.count, term.number) == (3001, 90010.0)
    assert (term.children[0].count, term.children[0].page, term.children[0].note) == (3000, row.page, "")


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "ftp://example.org"])
def test_an_address_that_a_browser_may_not_follow_is_no_link(url):
    assert (source(url=url).link, source(url=url).archive_link) == ("", "")


roles = st.sampled_from(["claim", "ledger", "movement", "echo", "rule", "party", "shipper", "something else"])
rows = st.lists(st.tuples(roles, st.none() | st.integers(-1000, 1000), st.integers(1, 50)), max_size=30)


def pieces_of(drawn) -> list[Piece]:
    return [
        piece(order, role, None if q is None else float(q), count=n)
        for order, (role, q, n) in enumerate(drawn)
    ]


def shown(node: tree.Node) -> list[str]:
    if node.kind == "record":
        return [node.label]
    return [label for child in node.children for label in shown(child)]


@given(rows, st.integers(1, 7))
def test_the_pages_of_a_tree_hold_every_row_once_under_the_same_terms(drawn, limit):
    pieces = pieces_of(drawn)
    whole = tree.grow(found(), pieces, {})
    labels, after = [], -1
    while page := tree.page(pieces, after, limit):
        grown = tree.grow(found(), pieces, {}, after=after, limit=limit)
        assert [(n.role, n.number, n.count) for n in grown.children] == [
            (n.role, n.number, n.count) for n in whole.children
        ]
        assert grown.left_out == sum(one.count for one in pieces) - sum(one.count for one in page)
        labels += shown(grown)
        after = page[-1].order
    assert sorted(labels) == sorted(shown(whole)) == sorted(one.evidence.label for one in pieces)


@given(rows, st.randoms())
def test_the_order_in_which_rows_are_read_changes_no_byte(drawn, shuffled):
    pieces = pieces_of(drawn)
    mixed = list(pieces)
    shuffled.shuffle(mixed)
    one, other = (tree.as_dict(tree.grow(found(), given, {})) for given in (pieces, mixed))
    assert one == other
    assert tree.digest(one) == tree.digest(other)


# --- the formula with its numbers ----------------------------------------------------------------------------------------------


def test_the_formula_is_worked_with_the_stored_numbers():
    one = found(gap_h100e=112700.0, sq=112.7, mdg=3.29 * 11504)
    assert tree.worked(one, tree.grow(one, LEDGER[:2], {})) == (
        "difference = reported - explained = 115,000 - 2,300 = 112,700 chips",
        "z = difference / its standard error = 112,700 / 11,504 = 9.8",
        "H100-equivalents = chips x 1 = 112,700 x 1 = 112,700",
        "significant quantities = 112,700 / 1,000 = 113",
        "smallest gap it could see = 3.29 x 11,504 = 37,848 chips",
    )


def test_terms_that_make_the_difference_are_added_up():
    one = found()
    assert tree.worked(one, tree.grow(one, LEDGER, {}))[1] == (
        "reported 115,000 - receipts 2,000 - production 500 + dispatches 150 + exits 50 = 112,700 chips"
    )


def test_a_step_that_the_numbers_do_not_bear_out_is_left_out():
    one = found(gap=1.0)
    assert tree.worked(one, tree.grow(one, LEDGER, {})) == ()


amounts = st.floats(1, 1e6)


@settings(max_examples=60, deadline=None)
@given(amounts, st.lists(amounts, min_size=1, max_size=5))
def test_the_terms_of_a_comparison_with_the_ledger_add_up_to_its_difference(said, moved):
    books = cast.books(cast.claim(said), *(cast.movement(q) for q in moved))
    for one in gap.find(books, Parameters()):
        pieces = [Piece(order, row) for order, row in enumerate(one.evidence)]
        grown = tree.grow(one, pieces, {})
        if one.family and one.gap:
            assert math.isclose(
                math.fsum(n.contribution or 0 for n in grown.children),
                one.gap,
                abs_tol=1e-8 * (said + sum(moved)),  # each is cut to nine digits
            )
            assert len(tree.worked(one, grown)) >= 3
