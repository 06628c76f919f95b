"""Claim against ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.core.quantity import Quantity, total
from tracker.reconciliation import scopes
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks.gap import compare, find

P = Parameters()


def only(*rows) -> Finding:
    (found,) = find(cast.books(*rows), P)
    return found


def spoken(finding: Finding) -> str:
    return " ".join([finding.headline, *(part.body for part in finding.sections)])


def test_a_claim_far_above_the_ledger_is_not_accounted_for():
    found = only(cast.claim(115000), cast.movement(1500), cast.movement(800))
    assert (found.verdict, found.gap, found.is_finding) == ("not accounted for", 112700, True)
    assert (found.severity, found.strength, found.sq) == ("critical", "very strong", 112.7)
    assert found.area == "site:desert"


def test_the_text_names_the_figures_and_that_the_ledger_is_incomplete():
    text = spoken(only(cast.claim(115000), cast.movement(1500), cast.movement(800)))
    for words in ("115,000", "2,300", "112,700", "no licence", "not accounted for", "not in this database"):
        assert words in text


def test_every_record_used_is_named_with_its_version_and_its_part():
    claim, line = cast.claim(115000), cast.movement(2300)
    found = only(claim, line)
    assert [(row.ref, row.role) for row in found.evidence[:2]] == [(claim.ref, "claim"), (line.ref, "ledger")]
    assert sum(row.variance_share or 0 for row in found.evidence) == pytest.approx(1)
    assert sum(row.contribution or 0 for row in found.evidence) == pytest.approx(found.gap)
    assert cast.CHIPS[cast.CHIP].spec in [row.ref for row in found.evidence]


@pytest.mark.parametrize(
    ("best", "verdict"),
    [
        (12500, "not accounted for"),
        (12350, "inconclusive"),
        (8450, "inconclusive"),
        (8250, "claim below ledger"),
    ],
)
def test_a_difference_within_the_errors_is_no_discrepancy(best, verdict):
    assert only(cast.claim(best, grade="C"), cast.movement(10000, exact=True, grade="A")).verdict == verdict


def test_both_sides_of_the_threshold_of_1_96():
    book = total([(1, Quantity(1000))])
    assert compare(Quantity(1196.1, sr=100), book, book).is_violated
    assert not compare(Quantity(1195.9, sr=100), book, book).is_violated
    assert compare(Quantity(803.9, sr=100), book, book).is_violated


@pytest.mark.parametrize("status", ["announced", "planned", "ordered", "contracted", "licensed"])
def test_what_is_not_yet_shipped_stands_beside_the_ledger(status):
    found = only(cast.claim(300000, status=status), cast.movement(1500))
    assert (found.verdict, found.severity, found.p, found.is_finding) == (
        "beside the ledger",
        "info",
        None,
        False,
    )


def test_without_a_movement_nothing_is_compared():
    assert only(cast.claim(115000)).verdict == "no record"


@pytest.mark.parametrize("unit", ["USD", "dies", "shipments", "racks", "chips per year"])
def test_what_is_not_a_number_of_chips_is_not_compared(unit):
    found = only(cast.claim(115000, unit=unit), cast.movement(1500))
    assert (found.verdict, found.p) == ("not comparable", None)


@pytest.mark.parametrize("status", ["seized", "returned", "cancelled"])
def test_what_never_arrived_adds_nothing_to_a_book(status):
    found = only(cast.claim(115000), cast.movement(1500), cast.movement(50000, status=status))
    assert found.expected == 1500


def test_seized_chips_leave_the_book_of_whoever_sent_them():
    sent = cast.movement(
        400, origin_site_id=cast.SITE, destination_site_id=None, shipper_id=cast.OPERATOR, consignee_id=None,
        destination_country="CN", status="seized",
    )  # fmt: skip
    assert only(cast.claim(115000), cast.movement(1500), sent).expected == 1100


def test_a_movement_within_a_site_and_its_parts_is_no_flow():
    inner = cast.movement(700, origin_site_id=cast.PART, destination_site_id=cast.SITE)
    books = cast.books(cast.claim(115000), cast.movement(1500), inner)
    books = replace(books, sites={cast.SITE: cast.site(parts=frozenset({cast.PART}))})
    assert find(books, P)[0].expected == 1500


def test_a_movement_after_the_day_of_the_claim_is_not_counted():
    late = cast.movement(5000, shipped=cast.day("2026-04-01"), received=cast.day("2026-04-20"))
    assert only(cast.claim(115000), cast.movement(1500), late).expected == 1500


def test_a_vague_day_counts_for_the_claim_on_both_sides():
    vague = cast.movement(
        5000,
        shipped=cast.day("2026-03-01"),
        received=cast.days("2026-03-20", "2026-04-20"),
        exact=True,
        grade="A",
    )
    firm = cast.movement(1000, exact=True, grade="A")
    above, below = only(cast.claim(20000), vague, firm), only(cast.claim(500), vague, firm)
    assert (above.expected, below.expected) == (6000, 1000)
    between = only(cast.claim(3000), vague, firm)
    assert (between.gap, between.p) == (0, 1)


def test_a_family_name_counts_as_possible_only():
    mixed = cast.movement(5000, scope=cast.MIXED)
    assert only(cast.claim(20000), mixed).expected == 5000
    assert only(cast.claim(10), mixed, cast.movement(1000)).expected == 1000


def test_a_chip_of_the_family_counts_surely():
    assert only(cast.claim(10, scope=cast.MIXED), cast.movement(1000)).expected == 1000


def test_an_unspecified_family_of_another_vendor_does_not_count():
    assert only(cast.claim(20000, scope=cast.FOREIGN), cast.movement(1500)).verdict == "no record"
    assert only(cast.claim(20000, scope=cast.UNSPECIFIED), cast.movement(1500)).expected == 1500


def test_a_book_known_only_as_at_least_contradicts_no_larger_claim():
    floor = cast.movement(1500, bound="floor")
    assert only(cast.claim(115000), floor).verdict == "not testable"
    below = only(cast.claim(100), floor)
    assert (below.verdict, below.threshold) == ("claim below ledger", pytest.approx(1.644853627))


def test_an_at_least_claim_is_tested_only_from_below():
    assert (
        only(cast.claim(None, low=50000, bound="floor"), cast.movement(1500)).verdict == "not accounted for"
    )
    assert not only(cast.claim(None, low=50, bound="floor"), cast.movement(150000)).is_finding
    assert (
        only(cast.claim(None, high=50, bound="ceiling"), cast.movement(15000)).verdict == "claim below ledger"
    )
    assert not only(cast.claim(None, high=50000, bound="ceiling"), cast.movement(150)).is_finding


def test_a_period_claim_meets_the_flows_of_its_period_only():
    earlier = cast.movement(9000, shipped=cast.day("2025-11-01"), received=cast.day("2025-12-01"))
    assert only(cast.flow(20000), cast.movement(1500), earlier).expected == 1500


def test_goods_passed_on_by_a_reseller_leave_its_book():
    bought = cast.movement(
        1000,
        consignee_id=cast.RESELLER,
        destination_site_id=None,
        destination_country="SG",
        exact=True,
        grade="A",
    )
    sold = cast.movement(
        900,
        shipper_id=cast.RESELLER,
        origin_country="SG",
        shipped=cast.day("2026-02-10"),
        exact=True,
        grade="A",
    )
    held = cast.claim(5000, subject_id=cast.RESELLER, site_id=None, destination_country="SG")
    assert only(held, bought, sold).expected == 100


def test_sales_to_unnamed_buyers_are_about_their_country():
    sale = cast.flow(
        5000,
        kind="sale",
        subject_id=cast.VENDOR,
        counterparty_id=cast.BUYERS,
        site_id=None,
        destination_country="CN",
    )
    into = cast.movement(1500, destination_country="CN", destination_site_id=None, consignee_id=None)
    within = cast.movement(
        700, origin_country="CN", destination_country="CN", destination_site_id=None, consignee_id=None
    )
    found = only(sale, into, within)
    assert (found.area, found.expected) == ("country:CN", 1500)


def test_what_others_sent_never_contradicts_a_sellers_figure():
    sale = cast.flow(
        500,
        kind="sale",
        subject_id=cast.VENDOR,
        counterparty_id=cast.BUYERS,
        site_id=None,
        destination_country="CN",
    )
    other = cast.movement(
        9000, shipper_id=cast.RESELLER, destination_country="CN", destination_site_id=None, consignee_id=None
    )
    assert not only(sale, other).is_finding


def test_the_vendor_is_never_the_receiver_of_a_shipment():
    shipped = cast.flow(
        5000, kind="shipment", subject_id=cast.OPERATOR, counterparty_id=cast.VENDOR, site_id=None
    )
    assert only(shipped, cast.movement(1500)).area == "org:operator"


def test_the_excess_over_recorded_licences_is_given():
    found = only(cast.claim(115000), cast.movement(1500), cast.licence(40000))
    assert (found.numbers["licensed"], found.numbers["over_licence"]) == (40000, 75000)
    assert "licence" in [row.role for row in found.evidence]


def test_a_licence_for_another_party_or_a_later_day_does_not_count():
    rows = (
        cast.licence(40000, consignee_id=cast.RESELLER),
        cast.licence(40000, valid=cast.days("2026-04-15", "2026-12-31")),
    )
    assert only(cast.claim(115000), cast.movement(1500), *rows).numbers["licensed"] == 0


def test_deliveries_that_needed_no_licence_count_as_allowed():
    line = cast.movement(1500)
    (found,) = find(
        cast.books(cast.claim(115000), line, verdicts={line.ref.id: cast.verdict("not_required")}), P
    )
    assert found.numbers["licensed"] == 1500


def test_a_weak_grade_caps_the_severity_at_medium():
    found = only(cast.claim(115000, grade="D"), cast.movement(1500))
    assert (found.severity, found.weakest_grade) == ("medium", "D")


def test_an_immaterial_gap_is_no_finding():
    found = only(cast.claim(180, exact=True, grade="A"), cast.movement(100, exact=True, grade="A"))
    assert (found.verdict, found.is_finding) == ("not accounted for", False)


def test_a_confirmed_and_a_proposed_echo_are_not_tested_again():
    first = cast.claim(115000, slug="a", source=cast.source("Bloomberg"))
    confirmed = cast.claim(115000, slug="b", origin="a")
    proposed = cast.claim(115000, slug="c", source=cast.source("Wire page (reports Bloomberg)"))
    found = only(first, confirmed, proposed, cast.movement(1500))
    assert (found.counterpart, found.numbers["echoes"]) == ("a", 2)
    assert sorted(row.ref.id for row in found.evidence if row.role == "echo") == sorted(
        [confirmed.ref.id, proposed.ref.id]
    )


def test_an_echo_changes_nothing_but_the_count_of_echoes():
    first = cast.claim(115000, slug="a")
    alone = only(first, cast.movement(1500, reference="line", ref=cast.ref("shipment", 5)))
    with_echo = only(
        first,
        cast.claim(115000, slug="b", origin="a"),
        cast.movement(1500, reference="line", ref=cast.ref("shipment", 5)),
    )
    assert (alone.gap, alone.statistic, alone.p, alone.sigma) == (
        with_echo.gap,
        with_echo.statistic,
        with_echo.p,
        with_echo.sigma,
    )


def test_the_order_of_the_records_plays_no_part():
    claim, lines = (
        cast.claim(115000),
        [cast.movement(q, grade=g) for q, g in ((1501, "B"), (333, "C"), (77, "D"))],
    )
    assert find(cast.books(claim, *lines), P) == find(cast.books(*reversed(lines), claim), P)


def test_without_a_known_performance_the_magnitude_is_not_told():
    found = only(cast.claim(115000, scope=cast.UNSPECIFIED), cast.movement(1500))
    assert (found.sq, found.severity, found.is_finding) == (None, "low", True)
    assert "cannot be told" in spoken(found)


def test_a_test_that_could_not_have_seen_a_significant_quantity_is_inconclusive():
    found = only(cast.claim(20000, grade="D"), cast.movement(20000))
    assert (found.verdict, found.is_finding) == ("inconclusive", False)
    assert "inconclusive, not clean" in spoken(found)


amounts = st.floats(1, 1e6)
errors = st.floats(0, 1e6)


@given(mu=amounts, book=amounts, error=errors, more=errors, bound=st.sampled_from(["", "lower", "upper"]))
def test_a_larger_error_never_opens_a_discrepancy(mu, book, error, more, bound):
    held = total([(1, Quantity(book))])
    if compare(Quantity(mu, sr=error + more, bound=bound), held, held).is_violated:
        assert compare(Quantity(mu, sr=error, bound=bound), held, held).is_violated


@given(mu=amounts, book=amounts, error=st.floats(1, 1e6), factor=st.floats(0.1, 100))
def test_the_answer_does_not_depend_on_the_unit(mu, book, error, factor):
    one = compare(Quantity(mu, sr=error), total([(1, Quantity(book))]), total([(1, Quantity(book))]))
    held = total([(1, Quantity(book * factor))])
    other = compare(Quantity(mu * factor, sr=error * factor), held, held)
    assert other.z == pytest.approx(one.z, rel=1e-6, abs=1e-6)


@given(mu=amounts, sure=amounts, extra=st.floats(0, 1e6), error=st.floats(1, 1e5))
def test_a_doubtful_receipt_never_makes_a_discrepancy_worse(mu, sure, extra, error):
    claim, small = Quantity(mu, sr=error), total([(1, Quantity(sure))])
    plain = compare(claim, small, small)
    doubtful = compare(claim, total([(1, Quantity(sure + extra))]), small)
    assert abs(doubtful.z) <= abs(plain.z) + 1e-9


def test_a_vague_day_of_the_claim_counts_for_it_too():
    during = cast.movement(
        5000, shipped=cast.day("2026-02-01"), received=cast.day("2026-02-15"), exact=True, grade="A"
    )
    before = cast.movement(
        1000, shipped=cast.day("2025-12-01"), received=cast.day("2026-01-01"), exact=True, grade="A"
    )
    vague = {"period": cast.days("2026-01-31", "2026-03-31")}
    assert only(cast.claim(20000, **vague), during, before).expected == 6000
    assert only(cast.claim(500, **vague), during, before).expected == 1000


# --- H100-equivalents -------------------------------------------------------------------------------------------------------

H100E = {"unit": "H100-equivalents"}


def test_a_figure_in_h100_equivalents_meets_the_book_drawn_up_in_those():
    two = cast.movement(20000, scope=cast.TWO)
    found = only(cast.claim(60000, scope=cast.MIXED, **H100E), cast.movement(10000), two)
    assert (found.verdict, found.unit, found.expected, found.gap) == (
        "not accounted for", "H100-equivalents", 10000 + 0.5 * 20000, 40000,
    )  # fmt: skip
    assert (found.gap_h100e, found.sq, found.severity) == (40000, 40, "critical")
    assert sum(row.contribution or 0 for row in found.evidence) == pytest.approx(found.gap)
    specified = {row.ref for row in found.evidence if row.role == "specification"}
    assert specified == {cast.CHIPS[pk].spec for pk in (cast.CHIP, cast.OTHER_CHIP)}
    text = spoken(found)
    assert "20,000 H100-equivalents in 2 movements" in text
    assert "40,000 H100-equivalents (40 significant quantities of 1,000)" in text
    assert "TPP / 15,832" in text
    assert "60,000 chips" not in text


@pytest.mark.parametrize(
    ("said", "verdict", "book"),
    [(3000, "not accounted for", 1000), (700, "consistent", 1000), (100, "claim below ledger", 500)],
)
def test_chips_of_a_family_count_for_the_claim_as_its_strongest_or_its_weakest(said, verdict, book):
    line = cast.movement(1000, scope=cast.MIXED, exact=True)
    found = only(cast.claim(said, scope=cast.MIXED, **H100E), line)
    assert (found.verdict, found.expected) == (verdict, book)


def test_what_left_counts_the_other_way_round():
    gone = {"shipper_id": cast.OPERATOR, "consignee_id": cast.RESELLER, "origin_site_id": cast.SITE, "destination_site_id": None,
            "origin_country": "MY", "destination_country": "SG", "shipped": cast.day("2026-02-10")}  # fmt: skip
    rows = cast.movement(4000, exact=True), cast.movement(1000, scope=cast.MIXED, exact=True, **gone)
    found = only(cast.claim(3200, scope=cast.MIXED, **H100E), *rows)
    assert (found.numbers["larger_book"], found.numbers["sure_book"]) == (4000 - 500, 4000 - 1000)


def test_chips_without_a_known_performance_make_the_book_a_limit():
    """In: more may be there than the book says. Out: less may be."""
    unknown = cast.movement(1000, scope=cast.UNSPECIFIED)
    above = only(cast.claim(60000, scope=cast.UNSPECIFIED, **H100E), cast.movement(10000), unknown)
    assert above.verdict == "not testable"
    gone = cast.movement(
        10, scope=cast.UNSPECIFIED, shipper_id=cast.OPERATOR, consignee_id=cast.RESELLER, origin_site_id=cast.SITE,
        destination_site_id=None, origin_country="MY", destination_country="SG",
    )  # fmt: skip
    below = only(cast.claim(100, scope=cast.MIXED, **H100E), cast.movement(10000), gone)
    assert below.verdict == "not testable"
    assert (
        only(cast.claim(100, scope=cast.MIXED, **H100E), cast.movement(10000)).verdict == "claim below ledger"
    )


def test_a_book_of_which_nothing_can_be_counted_is_not_compared():
    found = only(
        cast.claim(900, scope=cast.UNSPECIFIED, **H100E), cast.movement(1000, scope=cast.UNSPECIFIED)
    )
    assert found.verdict == "no record"
    assert "is not told in numbers" in spoken(found)


@given(st.integers(2, 900_000), st.integers(1, 1000), st.integers(1, 900_000))
def test_in_either_measure_the_answer_is_the_same(low, more, moved):
    """A range of chips of one kind, and the same range in H100-equivalents of which each chip is a half."""
    line = cast.movement(moved, scope=cast.TWO)
    given = {"best": None, "scope": cast.TWO, "slug": "said", "key": "house"}
    one = only(cast.claim(low=low, high=low + more, **given), line)
    other = only(cast.claim(low=low / 2, high=(low + more) / 2, **given, **H100E), line)
    assert (one.verdict, one.severity) == (other.verdict, other.severity)
    for name in ("statistic", "p", "gap_h100e", "sq") if one.family else ():
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6, abs=1e-9), name
    assert one.mdg is None or other.mdg == pytest.approx(0.5 * one.mdg)


def test_a_licence_in_either_measure_covers_a_claim_in_h100_equivalents():
    claim, line = cast.claim(60000, scope=cast.MIXED, **H100E), cast.movement(10000)
    found = only(claim, line, cast.licence(8000, scope=cast.TWO), cast.licence(500, scope=None, **H100E))
    assert found.numbers["licensed"] == 0.5 * 8000 + 500


def test_a_figure_in_h100_equivalents_that_is_not_compared_is_still_told_in_those():
    found = only(cast.claim(900, status="planned", scope=cast.MIXED, **H100E))
    assert (found.verdict, found.unit, found.reported) == ("beside the ledger", "H100-equivalents", 900)
    assert "900 H100-equivalents" in found.headline


def test_a_family_of_which_one_member_is_not_rated_is_worth_nobody_knows_what():
    unrated = replace(cast.CHIPS[cast.OTHER_CHIP], tpp=None)
    chips = cast.CHIPS | {cast.OTHER_CHIP: unrated}
    assert scopes.worth(cast.MIXED, cast.MIXED, cast.CHIPS) == (0.5, 1.0)
    assert scopes.worth(cast.MIXED, cast.MIXED, chips) is None
    assert scopes.worth(cast.MIXED, cast.ONE, chips) == (
        1.0,
        1.0,
    )  # of the chips that may be meant all are rated
    claim, line = cast.claim(60000, scope=cast.MIXED, **H100E), cast.movement(1000, scope=cast.MIXED)
    (found,) = find(replace(cast.books(claim, line, cast.movement(10000)), chips=chips), P)
    assert found.verdict == "not testable"
