"""Balances between counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.core.period import Period
from tracker.core.quantity import Quantity, total
from tracker.reconciliation import counts as chain_of
from tracker.reconciliation.books import Books, ClosedBookRow, Finding, Parameters
from tracker.reconciliation.checks.muf import find
from tracker.reconciliation.explain import forbidden_words
from tracker.reconciliation.position import Line

P = Parameters()
EXACT = {"exact": True, "grade": "A"}
ENDS = ("2025-03-31", "2025-06-30", "2025-09-30", "2025-12-31", "2026-03-31")


def whole(first: str | None = None, until: str | None = None, **given) -> ClosedBookRow:
    """A declaration that the ledger holds every movement of the site, for all days unless given."""
    days = Period(first and date.fromisoformat(first), until and date.fromisoformat(until))
    row = {
        "ref": cast.ref("closedbook"), "slug": "whole", "organization_id": None, "site_id": cast.SITE, "country": "",
        "scope": None, "valid": days, "source": cast.source("Operator Co.", "B"),
    }  # fmt: skip
    return ClosedBookRow(**row | given)


def count(best: float, day: str, **given):
    return cast.claim(best, period=cast.day(day), **({"grade": "A", "key": "counts"} | given))


def came(q: float, day: str, **given):
    return cast.movement(q, shipped=cast.day(day), received=cast.day(day), **({"grade": "B"} | given))


def left(q: float, day: str, **given):
    out = {
        "shipper_id": cast.OPERATOR, "consignee_id": cast.RESELLER, "origin_site_id": cast.SITE, "destination_site_id": None,
        "origin_country": "MY", "destination_country": "SG",
    }  # fmt: skip
    return came(q, day, **out | given)


def books(*rows) -> Books:
    closed = tuple(row for row in rows if isinstance(row, ClosedBookRow))
    return replace(cast.books(*(row for row in rows if row not in closed)), closed=closed)


def results(*rows) -> dict[str, Finding]:
    return {one.counterpart: one for one in find(books(*rows), P)}


def quarters(counts: list[float], receipts: list[float], **given) -> list:
    """Counts at the ends of quarters, and a receipt within each quarter but the first."""
    within = ("2025-05-01", "2025-08-01", "2025-11-01", "2026-02-01")
    found = [count(best, day, slug=f"count-{day}", **given) for best, day in zip(counts, ENDS, strict=False)]
    return found + [came(q, day, **given) for q, day in zip(receipts, within, strict=False)]


def spoken(finding: Finding) -> str:
    return " ".join([finding.headline, *(part.body for part in finding.sections)])


def test_without_a_declaration_that_the_book_is_whole_nothing_is_tested():
    rows = quarters([20000, 10000], [0])
    (found,) = find(books(*rows), P)
    assert (found.verdict, found.severity, found.is_finding) == (
        "not tested: the book is not declared whole",
        "info",
        False,
    )
    assert results(*rows, whole())["count-2025-06-30"].is_finding


@pytest.mark.parametrize(
    ("counted", "verdict", "gap", "words"),
    [
        (20000, "book above count", 5000, "The book holds 5,000 chips"),
        (30000, "count above book", -5000, "More was counted than the book explains: 5,000 chips"),
    ],
)
def test_a_period_is_told_by_its_sign_and_never_as_a_loss(counted, verdict, gap, words):
    found = results(*quarters([20000, counted], [5000], **EXACT), whole("2025-01-01"))["count-2025-06-30"]
    assert (found.verdict, found.gap, found.strength, found.family) == (verdict, gap, "certain", None)
    assert (found.severity, found.is_finding) == ("high", True)
    assert words in spoken(found)
    assert not forbidden_words(spoken(found))


def test_the_variance_is_that_of_opening_flows_and_closing_with_the_house_of_the_counts_shared():
    rows = quarters([20000, 24000], [5000])
    found = results(*rows, whole("2025-01-01"))["count-2025-06-30"]
    opening, closing = (Quantity(v, ss=v * 0.01 / 2**0.5, key="c") for v in (20000, 24000))
    shared = total([(1.0, opening), (-1.0, closing)]).variance
    own = sum((v * 0.01) ** 2 / 2 + h**2 / 3 for v, h in ((20000, 500), (24000, 500)))
    flow = (5000 * 0.03) ** 2 + 50**2 / 3
    assert found.sigma == pytest.approx((shared + own + flow) ** 0.5)
    assert found.gap == 1000
    assert sum(row.contribution or 0 for row in found.evidence) == pytest.approx(found.gap)


def test_the_first_period_opens_at_zero_where_the_book_is_whole_from_the_first_chip_on():
    rows = count(900, "2025-06-30", slug="only", **EXACT), came(1500, "2025-02-01", **EXACT)
    found = results(*rows, whole())["only"]
    assert (found.gap, found.numbers["from_zero"], found.period) == (600, True, "2022-09-20 to 2025-06-30")
    assert results(*rows, whole("2022-09-20"))["only"].gap == 600
    assert results(*rows, whole("2022-09-21")) == {}


def test_declarations_for_another_place_chip_or_stretch_of_days_do_not_count():
    rows = quarters([20000, 10000], [0])
    for other in (
        whole(site_id=None, organization_id=cast.OPERATOR), whole(site_id=None, country="MY"), whole(scope=cast.TWO),
        whole("2025-04-01"), whole("2025-01-01", "2025-06-30"),
    ):  # fmt: skip
        assert set(results(*rows, other)) == {"book"}
    for fitting in (whole(scope=cast.MIXED), whole("2025-03-31", "2025-07-01")):
        assert "count-2025-06-30" in results(*rows, fitting)


def test_declarations_that_touch_make_one_stretch():
    rows = quarters([20000, 20000, 20000], [0, 0])
    two = whole("2025-01-01", "2025-06-01"), whole("2025-06-01")
    assert {"count-2025-06-30", "count-2025-09-30", "whole span"} <= set(results(*rows, *two))
    apart = whole("2025-01-01", "2025-06-01"), whole("2025-06-02")
    assert "count-2025-06-30" not in results(*rows, *apart)


def test_exits_and_dispatches_leave_the_book_and_making_chips_enters_it():
    made = came(300, "2025-05-02", kind="production", shipper_id=None, origin_country="", **EXACT)
    retired = left(200, "2025-05-03", kind="retirement", consignee_id=None, destination_country="", **EXACT)
    rows = [*quarters([1000, 1050], [0], **EXACT)[:2], made, retired, left(50, "2025-05-04", **EXACT)]
    found = results(*rows, whole("2025-01-01"))["count-2025-06-30"]
    assert found.gap == 0
    roles = {row.role for row in found.evidence}
    assert {"opening count", "production", "exit", "dispatch", "closing count", "closed book"} <= roles


def test_a_small_steady_difference_is_seen_in_the_whole_and_not_in_any_period():
    """2 % of each quarter's receipts are not in the counts."""
    grade = {"grade": "A"}
    receipts = [30001.0, 30001.0, 30001.0, 30001.0]
    at_hand = [20001.0]
    for q in receipts:
        at_hand.append(at_hand[-1] + q - 900)
    rows = quarters(at_hand, receipts, **grade)
    rows = [replace(row, key=f"house {n}") if hasattr(row, "key") else row for n, row in enumerate(rows)]
    found = results(*rows, whole("2025-01-01"))
    assert not any(found[f"count-{day}"].is_finding for day in ENDS[1:])
    span = found["whole span"]
    assert (span.gap, span.family, span.p, span.threshold) == (pytest.approx(3600), None, None, 3)
    assert span.statistic == pytest.approx(span.gap / span.sigma)
    assert set(span.numbers["running"]["columns"]) >= {"MUF", "Page up"}


@pytest.mark.parametrize(("last", "is_finding"), [(8000, False), (7500, True)])
def test_the_whole_span_is_told_beyond_three_standard_errors(last, is_finding):
    rows = [*quarters([10000, 10000], [], **EXACT), count(last, ENDS[2], grade="C")]
    found = results(*rows, whole("2025-01-01"))["whole span"]
    assert found.statistic == pytest.approx({8000: 2.498, 7500: 3.333}[last], rel=0.01)
    assert found.is_finding is is_finding


def test_the_whole_span_and_pages_test_are_the_same_with_a_further_count():
    rows = [*quarters([10000, 10000], [], **EXACT), count(7500, ENDS[2], grade="C")]
    before = results(*rows, whole("2025-01-01"))
    after = results(*rows, count(7400, ENDS[3], grade="C"), whole("2025-01-01"))
    for name in ("whole span", "page test"):
        assert before[name].key == after[name].key
    assert [found["whole span"].period_end.isoformat() for found in (before, after)] == [ENDS[2], ENDS[3]]


def test_pages_test_calls_on_what_summed_up_since_it_was_last_at_rest():
    levels = (20001, 20501, 19501, 18501, 17501)  # a quarter the other way, then three down
    rows = [count(best, day, key="", slug=f"count-{day}") for best, day in zip(levels, ENDS, strict=True)]
    found = results(*rows, whole("2025-01-01"))["page test"]
    assert (found.is_finding, found.verdict, found.gap) == (True, "book above count", 3000)
    assert (found.family, found.p, found.threshold) == (None, None, P.page_h)
    for limit, calls in ((found.statistic - 0.01, True), (found.statistic + 0.01, False)):
        told = {
            one.counterpart: one for one in find(books(*rows, whole("2025-01-01")), replace(P, page_h=limit))
        }
        assert told["page test"].is_finding is calls
    backwards = [replace(row, period=cast.day(day)) for row, day in zip(rows, ENDS[::-1], strict=True)]
    fallen = results(*backwards, whole("2025-01-01"))
    assert (fallen["page test"].verdict, fallen["page test"].gap) == ("count above book", -2500)


def test_balances_without_any_error_are_certain_one_by_one_and_no_sequence():
    found = results(*quarters([1000, 1000, 1000], [0, 0], **EXACT), whole("2025-01-01"))
    assert found["count-2025-06-30"].verdict == "consistent"
    assert found["page test"].verdict.startswith("not tested: Sigma is not positive definite")


def test_a_vague_day_around_a_count_is_read_both_ways_and_the_smaller_difference_counts():
    vague = cast.movement(
        500, shipped=cast.day("2025-06-01"), received=cast.days("2025-06-20", "2025-07-10"), **EXACT
    )
    declared = whole("2025-01-01")
    early = results(*quarters([1000, 1500, 1500], [0, 0], **EXACT)[:3], vague, declared)
    late = results(*quarters([1000, 1000, 1500], [0, 0], **EXACT)[:3], vague, declared)
    for found in (early, late):
        assert [found[f"count-{day}"].gap for day in ENDS[1:3]] == [0, 0]
    none = results(*quarters([1000, 1000, 1000], [0, 0], **EXACT)[:3], vague, declared)
    assert [none[f"count-{day}"].gap for day in ENDS[1:3]] == [0, 0]
    assert none["whole span"].gap == 500
    between = results(*quarters([1000, 1200, 1500], [0, 0], **EXACT)[:3], vague, declared)
    assert between["count-2025-06-30"].gap == 0


def test_a_book_with_bounds_or_uncountable_receipts_is_not_tested():
    for doubtful in (came(500, "2025-05-01", bound="floor"), came(5, "2025-05-01", unit="racks")):
        (found,) = find(books(*quarters([1000, 900], []), doubtful, whole("2025-01-01")), P)
        assert found.verdict.startswith("not tested: a ")


def test_of_two_counts_of_one_day_the_more_exact_stands_and_echoes_count_for_nothing():
    rows = [
        *quarters([20000, 20000], []),
        count(19000, "2025-06-30", slug="exact", **EXACT, source=cast.source("Auditor", "A")),
    ]
    echo = count(20000, "2025-06-30", slug="z-echo", origin="count-2025-06-30")
    assert set(results(*rows, echo, whole("2025-01-01"))) == {"exact"}


def test_a_house_is_believed_to_err_alike_for_two_years_only():
    """What one house says of receipts in two years is added before it is squared; what it says two years later is not."""

    def sigma(day: str) -> float:
        rows = [count(0, "2024-01-31", **EXACT), count(20000, "2026-12-31", **EXACT, slug="last")]
        moved = [came(10000, "2024-03-01"), came(10000, day)]
        return results(*rows, *moved, whole("2024-01-01"))["last"].sigma

    each = 300**2  # grade B, 3 %, half of its variance shared
    rounding = 2 * 500**2 / 3
    assert sigma("2025-12-30") ** 2 == pytest.approx(2 * each / 2 + (2**2) * each / 2 + rounding)
    assert sigma("2026-01-02") ** 2 == pytest.approx(2 * each + rounding)


sizes, errors = st.floats(1, 1e5), st.floats(0, 1e3)


@given(st.lists(st.tuples(sizes, errors, errors, st.sampled_from(["", "a", "b"])), max_size=8))
def test_adding_up_by_house_loses_nothing_of_the_error(rows):
    lines = [Line(cast.movement(1), Quantity(mu, ss=ss, sr=sr, key=key), 1, True) for mu, ss, sr, key in rows]
    added = total([(1.0, amount) for _, _, amount in chain_of._added(lines)])
    alone = total([(1.0, line.quantity) for line in lines])
    assert added.mu == pytest.approx(alone.mu)
    assert added.s == pytest.approx(alone.s)


def test_the_parts_of_the_error_that_records_bear_come_to_the_whole():
    """Ten receipts of one house: what they err alike is told with each of them, so that their parts add up to 1."""
    rows = [came(500, f"2025-05-{day:02}") for day in range(1, 11)]
    found = results(*quarters([1000, 6000, 5900], [], grade="B"), *rows, whole("2025-01-01"))
    for finding in found.values():
        shares = [row.variance_share for row in finding.evidence if row.variance_share is not None]
        assert sum(shares) == pytest.approx(1)
    period = found["count-2025-06-30"]
    (one, *_) = (row for row in period.evidence if row.role == "receipt")
    assert one.variance_share * period.sigma**2 > 5 * 15**2  # its own variance is about 15^2


def test_no_finding_names_more_than_its_largest_movements():
    rows = [came(q, "2025-05-01", **EXACT) for q in range(1, 80)]
    found = results(*quarters([1000, 9000], []), *rows, whole("2025-01-01"))["count-2025-06-30"]
    named = [row.contribution for row in found.evidence if row.role == "receipt"]
    assert named == sorted(range(30, 80), reverse=True)


def test_counts_in_h100_equivalents_meet_a_book_in_those_beside_counts_of_chips():
    """20,000 chips of half an H100 came in between; counted were 10,000 more, and 5,000 H100-equivalents more."""
    counted = {"unit": "H100-equivalents", "scope": cast.MIXED}
    rows = [
        count(10000, "2025-03-31", slug="then", **counted), count(15000, "2025-06-30", slug="now", **counted),
        count(10000, "2025-03-31", slug="chips then", scope=cast.MIXED),
        count(20000, "2025-06-30", slug="chips now", scope=cast.MIXED),
        came(20000, "2025-05-01", scope=cast.TWO), whole("2025-01-01"),
    ]  # fmt: skip
    found = results(*rows)
    assert {name: (one.gap, one.unit) for name, one in found.items()} == {
        "now, in H100-equivalents": (10000 + 0.5 * 20000 - 15000, "H100-equivalents"),
        "chips now": (10000 + 20000 - 20000, "chips"),
    }
    assert found["now, in H100-equivalents"].gap_h100e == 5000
    assert "Came in: 10,000 H100-equivalents in 1 movement" in spoken(found["now, in H100-equivalents"])


def test_what_left_and_cannot_be_counted_leaves_the_book_untested():
    rows = [count(1000, "2025-03-31"), count(2000, "2025-06-30"), whole()]
    gone = left(3, "2025-05-01", unit="units")
    assert {one.verdict for one in find(books(*rows, gone), P)} == {
        "not tested: a movement cannot be counted in chips"
    }
