"""Mirror statistics: what exporter and importer report of one flow."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests import factories
from tests.reconciliation import ledgers as cast
from tracker.core.services import settled_instant
from tracker.reconciliation import explain
from tracker.reconciliation.books import ClaimRow, Finding, Parameters
from tracker.reconciliation.checks import conflict
from tracker.reconciliation.checks.mirror import find
from tracker.reconciliation.querysets import Ledger

P = Parameters()


def report(best: float, reporter: str, **given) -> ClaimRow:
    """What a country's statistics say went from the US to Malaysia in the first quarter of 2026."""
    said = {
        "kind": "shipment", "subject_id": None, "site_id": None, "origin_country": "US", "destination_country": "MY",
        "reporter": reporter, "grade": "B", "source": cast.source(f"Customs of the {reporter}", "B"), "key": reporter,
    }  # fmt: skip
    return cast.flow(best, **said | given)


def pair(x: float, m: float, **given) -> list[ClaimRow]:
    return [report(x, "exporter", **given), report(m, "importer", **given)]


def months(exporter: list[float], importer: list[float], lag: int = 0) -> list[ClaimRow]:
    """Monthly reports from January 2024 on; the importer's begin ``lag`` months later."""
    rows = []
    for side, values, first in (("exporter", exporter, 0), ("importer", importer, lag)):
        for t, value in enumerate(values, first):
            start = date(2024 + t // 12, t % 12 + 1, 1)
            last = date(start.year + start.month // 12, start.month % 12 + 1, 1).toordinal() - 1
            period = cast.days(start.isoformat(), date.fromordinal(last).isoformat())
            rows.append(report(value, side, period=period, slug=f"{side}-{t:02d}"))
    return rows


def only(*rows: ClaimRow) -> Finding:
    (found,) = find(cast.books(*rows), P)
    return found


def spoken(finding: Finding) -> str:
    return " ".join([finding.headline, *(part.body for part in finding.sections)])


def test_quantities_are_compared_as_they_are():
    found = only(*pair(20000, 15000))
    assert (found.verdict, found.gap, found.is_finding, found.severity) == ("differs", 5000, True, "high")
    assert found.numbers["cif_fob"] == 0
    assert found.area == "country:MY"


def test_values_are_compared_after_freight_and_have_no_equivalents():
    assert only(*pair(1_000_000, 1_060_000, unit="USD")).gap == pytest.approx(0)
    found = only(*pair(1_000_000, 1_590_000, unit="USD"))
    assert (found.gap, found.unit, found.gap_h100e) == (-500000, "USD", None)
    assert "500,000 USD more on the side of the importer" in spoken(found)
    assert explain.FREIGHT in spoken(found)


def test_the_reasons_for_mirrors_to_differ_are_always_named():
    text = spoken(only(*pair(20000, 15000)))
    for words in (explain.REEXPORT, explain.TRADE_SYSTEM, explain.CONFIDENTIAL):
        assert words in text
    assert not explain.forbidden_words(text)


def test_both_sides_of_the_threshold_of_1_96():
    importer = report(
        10000, "importer", grade="C"
    )  # relative error 0.104 with rounding: 1.96 of it is a factor of 1.226
    exact = {"exact": True, "grade": "A"}
    assert only(report(12300, "exporter", **exact), importer).verdict == "differs"
    assert only(report(12200, "exporter", **exact), importer).verdict == "inconclusive"


def test_exact_reports_that_differ_are_certain():
    found = only(*pair(5000, 4000, exact=True, grade="A"))
    assert (found.p, found.family, found.strength) == (None, None, "certain")


def test_only_the_same_flow_is_compared():
    x = report(20000, "exporter")
    for other in (
        {"destination_country": "SG"}, {"origin_country": "TW"}, {"scope": cast.TWO}, {"unit": "USD"},
        {"period": cast.days("2026-01-01", "2026-06-30")}, {"reporter": "exporter"}, {"reporter": ""},
    ):  # fmt: skip
        assert find(cast.books(x, report(15000, **({"reporter": "importer"} | other))), P) == []


def test_the_more_exact_of_two_reports_stands_for_its_side():
    better = report(20100, "exporter", exact=True, grade="A", source=cast.source("Port", "A"))
    rows = [*pair(20000, 15000), better]
    assert only(*rows).reported == 20100


def test_months_that_only_arrive_later_are_no_difference():
    units = [1000, 4000, 2000, 7000, 3000, 9000, 1000, 5000, 8000, 2000, 6000, 4000]
    found = only(*months(units, units, lag=2))
    assert (found.numbers["lag_months"], found.gap, found.period) == (2, 0, "2024-01 to 2024-12")
    assert "read 2 months later" in spoken(found)


def test_months_are_summed_by_twelve_from_the_last_and_odd_ones_are_left_out():
    exporter = [1000.0 + 1000 * (t * 37 % 11) for t in range(27)]
    importer = [1.0] * 3 + exporter[3:15] + [value - 500 for value in exporter[15:]]
    found = find(cast.books(*months(exporter, importer)), P)
    assert [(one.period, one.gap, one.numbers["lag_months"]) for one in found] == [
        ("2024-04 to 2025-03", 0, 0),
        ("2025-04 to 2026-03", 6000, 0),
    ]


def test_a_month_that_one_side_lacks_is_compared_with_nothing():
    rows = months([1000.0, 2000.0, 3000.0], [1000.0, 2000.0, 3000.0])
    found = only(*[row for row in rows if row.slug != "importer-01"])
    assert (found.reported, found.expected) == (4000, 4000)


def test_what_one_side_says_alike_is_added_before_it_is_squared():
    found = only(*months([10001.0] * 12, [10001.0] * 12))
    alike = replace(P, systematic_share=1.0)
    (whole,) = find(cast.books(*months([10001.0] * 12, [10001.0] * 12)), alike)
    assert whole.numbers["sigma_log"] == pytest.approx(0.03 * 2**0.5, rel=0.01)
    assert found.numbers["sigma_log"] < whole.numbers["sigma_log"]


def test_every_report_bears_its_part_of_the_difference_and_the_variance():
    found = only(*pair(20000, 15000))
    rows = [row for row in found.evidence if row.role in ("exporter", "importer")]
    assert sum(row.contribution for row in rows) == pytest.approx(found.gap)
    assert sum(row.variance_share for row in rows) == pytest.approx(1)


def test_mirror_reports_are_not_also_called_a_conflict():
    rows = pair(20000, 15000)
    assert conflict.find(cast.books(*rows), P) == []
    alike = [replace(row, reporter="exporter") for row in rows]
    assert len(conflict.find(cast.books(*alike), P)) == 1


@pytest.mark.django_db
def test_both_sides_of_a_route_lie_in_one_share_and_other_claims_in_none():
    chip = factories.chip("synthetic-h")
    for number, (origin, destination) in enumerate([("US", "MY"), ("TW", "MY"), ("US", "SG")]):
        for side in ("exporter", "importer", ""):
            factories.claim(
                f"synthetic-{number}-{side or 'neither'}", chip=chip, kind="shipment", origin_country=origin,
                destination_country=destination, reporter=side, period_start=date(2025, 10, 1), status="shipped",
            )  # fmt: skip
    at = settled_instant()
    ledger = Ledger(at=at, as_of=date(2026, 6, 30), parameters=Parameters(records="synthetic"))
    shares = [next(ledger.pieces("route", index, 3)).claims for index in range(3)]
    routes = [{(row.origin_country, row.destination_country) for row in share} for share in shares]
    assert sum(len(share) for share in shares) == 6
    assert sum(len(share) for share in routes) == len(set().union(*routes)) == 3
