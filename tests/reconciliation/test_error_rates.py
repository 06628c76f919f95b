"""Honest ledgers raise as many false alarms as the method states, and planted gaps are found as often as it states.

Every ledger here is SYNTHETIC and drawn from the error model of docs/method.md, section 1, word by word: a figure c of a
quantity T errs by ``c - T = sb (bias + own) / sqrt(2)`` with ``sb`` the grade's share of the *figure*, ``bias`` one number for
all figures of a key and ``own`` a number of its own. Rates are counted over seeded draws and held against the stated ones by an
exact binomial test at 0.1 %. Sizes are large, so that materiality hides no alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from tests.reconciliation import ledgers as cast
from tracker.core.period import Period
from tracker.core.quantity import Quantity, Reported
from tracker.reconciliation import scopes, significance
from tracker.reconciliation.books import (
    Books,
    ClosedBookRow,
    Finding,
    MovementRow,
    OrganizationRow,
    Parameters,
)
from tracker.reconciliation.checks import conflict, gap, mirror, muf, production, running, srd
from tracker.reconciliation.registry import checks
from tracker.reconciliation.sequence import Entry, balances, page, sitmuf

P = Parameters()
ALPHA = P.alpha
TWO_SIDED_POWER = float(norm.sf(significance.Z_TWO_SIDED - significance.MDG_FACTOR))
ONE_SIDED_POWER = float(norm.sf(significance.Z_ONE_SIDED - significance.MDG_FACTOR))
SIZE = 20_011.0


def agrees(hits: int, trials: int, rate: float, alternative: str = "two-sided") -> bool:
    """Whether so many hits are what the rate gives, within what chance does once in a thousand."""
    return bool(binomtest(hits, trials, rate, alternative).pvalue > 0.001)


def said(truth: float, grade: str, error: float) -> float:
    """The whole number that a report of that grade gives, wrong by ``error`` standard deviations of the figure given."""
    return float(round(truth / (1 - P.grade_rel_sd[grade] * error)))


def truth_of(figure: float, grade: str, error: float) -> float:
    return figure * (1 - P.grade_rel_sd[grade] * error)


class Dice:
    """Errors in standard deviations: half the variance from a bias that a key shares, half of the figure's own."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.biases: dict[str, float] = {}

    def error(self, key: str = "") -> float:
        bias = (
            self.biases.setdefault(key, self.random.standard_normal())
            if key
            else self.random.standard_normal()
        )
        return (
            math.sqrt(P.systematic_share) * bias
            + math.sqrt(1 - P.systematic_share) * self.random.standard_normal()
        )


def operators(count: int) -> dict[int, OrganizationRow]:
    return cast.ORGANIZATIONS | {
        pk: OrganizationRow(
            cast.ref("organization", pk), f"operator-{pk}", f"SYNTHETIC operator {pk}", "MY", False
        )
        for pk in range(100, 100 + count)
    }


def ledger(count: int, rows: Iterable[object]) -> Books:
    return replace(cast.books(*rows), organizations=operators(count))


def line(figure: float, consignee: int, key: str, **given_: object) -> MovementRow:
    source = cast.source(key, str(given_.get("grade", "B")))
    return cast.movement(figure, consignee_id=consignee, destination_site_id=None, source=source, **given_)


def counted(findings: Iterable[Finding]) -> list[Finding]:
    return [found for found in findings if found.p is not None]


# --- GAP ----------------------------------------------------------------------------------------------------------------


def claims_against_books(
    seed: int, count: int, grade: str = "C", lines: int = 3, shifts: Sequence[float] = (0.0,)
) -> Books:
    """Operators with so many lines of grade B under one house each, and a claim whose error is its own plus a shift, in
    standard errors of the whole comparison."""
    dice, rows = Dice(seed), []
    for n in range(count):
        key, shift = f"customs {n}", shifts[n % len(shifts)]
        figures = [float(round(SIZE * dice.random.uniform(0.5, 1.5))) for _ in range(lines)]
        truth = sum(truth_of(figure, "B", dice.error(key)) for figure in figures)
        book = sum(figures)
        noise = P.grade_rel_sd["B"] * math.sqrt((book**2 + sum(figure**2 for figure in figures)) / 2)
        figure = said(truth, grade, dice.error())
        if shift:
            figure = float(round(figure + shift * math.hypot(P.grade_rel_sd[grade] * figure, noise)))
        rows += [line(one, 100 + n, key, grade="B") for one in figures]
        rows.append(cast.claim(figure, subject_id=100 + n, site_id=None, grade=grade, slug=f"claim-{n:05d}"))
    return ledger(count, rows)


@pytest.mark.parametrize("grade", ["A", "C", "D"])
def test_honest_claims_are_found_to_differ_from_honest_books_once_in_twenty(grade):
    found = counted(gap.find(claims_against_books(1, 1_500, grade), P))
    assert len(found) == 1_500
    assert agrees(sum(f.is_finding for f in found), len(found), ALPHA)
    assert min(f.sigma for f in found) * significance.Z_TWO_SIDED > 1_000 * P.materiality_sq, (
        "materiality hides none"
    )


def test_a_planted_gap_of_the_smallest_detectable_size_is_found_as_often_as_stated():
    found = counted(gap.find(exact_books(2, 1_500, significance.MDG_FACTOR), P))
    assert agrees(sum(f.verdict == "not accounted for" for f in found), len(found), TWO_SIDED_POWER)
    assert pytest.approx(0.908, abs=5e-4) == TWO_SIDED_POWER


def exact_books(seed: int, count: int, shift: float, bound: str = "", line_bound: str = "") -> Books:
    dice, rows = Dice(seed), []
    for n in range(count):
        figure = said(SIZE, "B", dice.error() + shift)
        stated = {"low": figure} if bound == "floor" else {"high": figure} if bound == "ceiling" else {}
        best = None if bound else figure
        rows.append(line(SIZE, 100 + n, f"count {n}", exact=not line_bound, grade="A", bound=line_bound))
        rows.append(cast.claim(best, subject_id=100 + n, site_id=None, grade="B", bound=bound, **stated))
    return ledger(count, rows)


@pytest.mark.parametrize(("bound", "direction"), [("floor", 1), ("ceiling", -1)])
def test_bounds_are_tested_on_one_side_at_the_stated_level_and_power(bound, direction):
    honest = counted(gap.find(exact_books(3, 1_500, 0.0, bound), P))
    assert agrees(sum(f.is_finding for f in honest), 1_500, ALPHA)
    planted = gap.find(exact_books(4, 1_500, direction * significance.MDG_FACTOR, bound), P)
    assert agrees(sum(f.is_finding for f in planted), 1_500, ONE_SIDED_POWER)
    assert pytest.approx(0.95, abs=5e-4) == ONE_SIDED_POWER


def test_a_book_that_is_a_lower_limit_raises_no_more_alarms_among_the_tests_that_count():
    """The claims above it count too: leaving them out would make every second p-value of 0.1 one of 0.05."""
    found = counted(gap.find(exact_books(5, 1_500, 0.0, line_bound="floor"), P))
    assert len(found) == 1_500
    assert agrees(sum(f.p < ALPHA for f in found), len(found), ALPHA)
    assert not any(f.is_finding for f in found if f.verdict == "not testable")


def test_two_readings_of_a_book_raise_fewer_alarms_than_stated():
    dice, rows = Dice(6), []
    for n in range(600):
        may = float(dice.random.integers(0, 2))  # a family name, whose chips may be these
        key = f"customs {n}"
        rows.append(line(SIZE, 100 + n, key, exact=True, grade="A"))
        rows.append(line(SIZE / 4, 100 + n, key, exact=True, grade="A", scope=cast.MIXED))
        figure = said(SIZE * (1 + may / 4), "B", dice.error())
        rows.append(cast.claim(figure, subject_id=100 + n, site_id=None, grade="B"))
    found = counted(gap.find(ledger(600, rows), P))
    alarms = sum(f.is_finding for f in found)
    assert agrees(alarms, len(found), ALPHA, "greater")
    assert agrees(alarms, len(found), ALPHA / 2), "of each claim only the far side can be violated"


def test_errors_in_proportion_to_the_truth_raise_more_alarms_below_the_book_for_weak_grades():
    """What the stated model costs where it is not the true one: docs/method.md, section 4, gives these rates."""
    random, rates = np.random.default_rng(7), {}
    for grade, share in P.grade_rel_sd.items():
        figures = SIZE * (1 + share * random.standard_normal(20_000))
        z = (figures - SIZE) / (share * figures)
        rates[grade] = float(np.mean((figures > 0) & (np.abs(z) >= significance.Z_TWO_SIDED)))
    assert rates == pytest.approx({"A": 0.05, "B": 0.051, "C": 0.058, "D": 0.094, "E": 0.139}, abs=0.006)


# --- SRD ----------------------------------------------------------------------------------------------------------------


def both_ends(
    dice: Dice, truth: tuple[float, float], keys: tuple[str, str], grades: str, **given_: object
) -> MovementRow:
    sent, came = (
        said(one, grade, dice.error(key)) for one, grade, key in zip(truth, grades, keys, strict=True)
    )
    return cast.movement(
        sent, by_shipper=Reported(best=sent, grade=grades[0]), by_receiver=Reported(best=came, grade=grades[1]),
        shipper_key=keys[0], receiver_key=keys[1], **given_,
    )  # fmt: skip


@pytest.mark.parametrize("grades", ["AA", "BC", "DD"])
def test_honest_ends_of_a_shipment_differ_once_in_twenty(grades):
    dice = Dice(8)
    rows = [
        both_ends(dice, (SIZE, SIZE), (f"s{n}", f"r{n}"), grades, consignee_id=100 + n) for n in range(1_200)
    ]
    found = counted(srd.find(ledger(1_200, rows), P))
    assert len(found) == 1_200
    assert agrees(sum(f.is_finding for f in found), len(found), ALPHA)


def test_honest_lots_whose_lines_share_a_bias_differ_once_in_twenty():
    dice, rows = Dice(9), []
    for n in range(800):
        keys = (f"s{n}", f"r{n}")
        rows += [both_ends(dice, (SIZE, SIZE), keys, "BB", consignee_id=100 + n) for _ in range(4)]
    lots = [f for f in srd.find(ledger(800, rows), P) if f.counterpart.endswith("lot")]
    assert len(lots) == 800
    assert agrees(sum(f.is_finding for f in lots), len(lots), ALPHA)


def test_a_loss_under_way_of_the_smallest_detectable_size_is_found_as_often_as_stated():
    dice, rows, trials = Dice(10), [], 1_200
    lost = significance.MDG_FACTOR * P.grade_rel_sd["A"] * math.sqrt(2) * SIZE
    for n in range(trials):
        rows.append(
            both_ends(
                dice, (SIZE + lost / 2, SIZE - lost / 2), (f"s{n}", f"r{n}"), "AA", consignee_id=100 + n
            )
        )
    found = srd.find(ledger(trials, rows), P)
    assert agrees(sum(f.is_finding for f in found), trials, TWO_SIDED_POWER)


# --- CONFLICT -------------------------------------------------------------------------------------------------------------


def reports(
    dice: Dice, n: int, grades: str, kinds: str = "", shared: bool = False, truths: Sequence[float] = ()
) -> list[object]:
    """Reports of one operator's stock; ``kinds``: . a figure, + "at least", - "at most"; ``shared``: all of one house."""
    rows = []
    for i, (grade, kind) in enumerate(zip(grades, kinds or "." * len(grades), strict=True)):
        key = f"house {n}" if shared else f"house {n} {i}"
        figure = said(truths[i] if truths else 5 * SIZE, grade, dice.error(key))
        figures = (
            {"best": figure} if kind == "." else {"best": None, "low" if kind == "+" else "high": figure}
        )
        bound = {".": "", "+": "floor", "-": "ceiling"}[kind]
        slug = f"report-{n:05d}-{i}"
        rows.append(
            cast.claim(
                **figures,
                bound=bound,
                grade=grade,
                subject_id=100 + n,
                site_id=None,
                key=key,
                slug=slug,
                origin=slug,
            )
        )
    return rows


def conflicts(seed: int, count: int, *args: object, **given_: object) -> int:
    dice = Dice(seed)
    rows = [row for n in range(count) for row in reports(dice, n, *args, **given_)]
    found = counted(conflict.find(ledger(count, rows), P))
    assert len(found) == count
    return sum(f.is_finding for f in found)


@pytest.mark.parametrize("grades", ["BC", "BCDB", "CCCCC"])
def test_honest_reports_conflict_once_in_twenty(grades):
    assert agrees(conflicts(11, 1_000, grades), 1_000, ALPHA)


@pytest.mark.parametrize("kinds", ["+-", "+++---", "..+++", "..+-"])
def test_honest_bounds_that_lie_on_the_truth_itself_conflict_at_most_once_in_twenty(kinds):
    assert agrees(conflicts(12, 800, "C" * len(kinds), kinds), 800, ALPHA, "greater")


def test_reports_of_one_house_conflict_less_often_than_stated():
    """They share half their variance, and Q takes them for independent: the kinder side."""
    assert conflicts(13, 800, "CC", shared=True) < 0.02 * 800


def test_two_reports_apart_by_the_smallest_detectable_gap_conflict_as_often_as_stated():
    sd = P.grade_rel_sd["A"] * math.sqrt(2) * 5 * SIZE
    truths = (5 * SIZE - significance.MDG_FACTOR * sd / 2, 5 * SIZE + significance.MDG_FACTOR * sd / 2)
    assert agrees(conflicts(14, 1_000, "AA", truths=truths), 1_000, TWO_SIDED_POWER)


# --- PRODUCTION -----------------------------------------------------------------------------------------------------------


def vendors(seed: int, count: int, used: int, shift: float = 0.0) -> Books:
    dice, rows = Dice(seed), []
    sd = P.grade_rel_sd["A"] * math.sqrt(2) * SIZE
    for n in range(count):
        made = {
            "status": "produced",
            "kind": "production",
            "subject_id": 100 + n,
            "site_id": None,
            "grade": "A",
        }
        sold = made | {"status": "shipped", "kind": "sale"}
        rows.append(cast.claim(said(SIZE, "A", dice.error()), slug=f"made-{n}", **made))
        rows += [
            cast.claim(
                said(SIZE + (shift * sd if i == 0 else 0), "A", dice.error()), slug=f"sold-{n}-{i}", **sold
            )
            for i in range(used)
        ]
    return ledger(count, rows)


@pytest.mark.parametrize("used", [1, 3])
def test_honest_sales_of_all_that_was_made_exceed_it_at_most_once_in_twenty(used):
    found = production.find(vendors(15, 1_000, used), P)
    assert len(found) == 1_000
    alarms = sum(f.is_finding for f in found)
    assert agrees(alarms, 1_000, ALPHA) if used == 1 else agrees(alarms, 1_000, ALPHA, "greater")


def test_more_sold_than_made_by_the_smallest_detectable_gap_is_found_as_often_as_stated():
    found = production.find(vendors(16, 1_000, 1, shift=significance.MDG_FACTOR), P)
    assert agrees(sum(f.is_finding for f in found), 1_000, ONE_SIDED_POWER)


# --- many tests -----------------------------------------------------------------------------------------------------------


def runs(findings: Sequence[Finding], size: int) -> list[list[Finding]]:
    """The findings dealt out to so many separate runs, each judged by itself."""
    return [significance.judge(findings[i : i + size], P) for i in range(0, len(findings), size)]


def test_one_honest_run_in_twenty_reports_anything_at_all():
    judged = runs(counted(gap.find(claims_against_books(17, 6_000), P)), 10)
    assert len(judged) == 600
    assert agrees(sum(any(f.accepted for f in run) for run in judged), 600, P.false_discovery_rate)


def test_of_what_a_mixed_run_reports_at_most_one_in_twenty_is_false():
    shifts = (0, 0, 0, 4, 0, 0, 0, 6, 0, 0)
    found = counted(gap.find(claims_against_books(18, 6_000, shifts=shifts), P))
    real = {f"claim-{n:05d}" for n in range(6_000) if shifts[n % 10]}
    shares = [false_share(run, real) for run in runs(found, 50)]
    expected, error = 0.8 * P.false_discovery_rate, float(np.std(shares) / math.sqrt(len(shares)))
    assert np.mean(shares) == pytest.approx(expected, abs=3.3 * error)
    assert error < 0.01
    large = [f for run in runs(found, 50) for f in run if shifts[int(f.counterpart[-5:]) % 10] == 6]
    assert np.mean([f.accepted for f in large]) > 0.95


def false_share(run: Sequence[Finding], real: set[str]) -> float:
    reported = [f.counterpart for f in run if f.accepted]
    return sum(name not in real for name in reported) / max(1, len(reported))


def test_sure_but_immaterial_differences_do_not_let_false_alarms_pass():
    """Forty small differences that are surely there: with their own p-values they would make a threshold of 0.05 x 40 / 80 and
    more for the honest rest, of which each run would then report two or three, and nothing true."""
    random = np.random.default_rng(19)
    row = counted(gap.find(exact_books(20, 1, 0.0), P))[0]
    alarms = 0
    for _ in range(400):
        small = [replace(row, counterpart=f"small {i}", p=1e-9, is_finding=False) for i in range(40)]
        p_values = random.random(40)
        honest = [
            replace(row, counterpart=f"x {i}", p=float(p), is_finding=bool(p < ALPHA))
            for i, p in enumerate(p_values)
        ]
        alarms += any(f.accepted for f in significance.judge([*small, *honest], P))
    assert agrees(alarms, 400, P.false_discovery_rate, "greater")


# --- sequences ------------------------------------------------------------------------------------------------------------


PERIODS = 8


def book_of_periods() -> tuple[dict[str, Quantity], list[list[Entry]]]:
    """Receipts and dispatches of two houses and a count at the end of every period: no loss, and errors as graded."""
    records: dict[str, Quantity] = {}
    periods, stock = [], 0.0
    for t in range(PERIODS):
        came, went = 10_000.0 + 500 * t, 4_000.0
        stock += came - went
        for name, mu, key, grade in (
            (f"in {t}", came, "vendor", "B"),
            (f"out {t}", went, "broker", "C"),
            (f"count {t}", stock, "auditor", "A"),
        ):
            sb = P.grade_rel_sd[grade] * mu
            records[name] = Quantity(mu, sb=sb, ss=math.sqrt(0.5) * sb, sr=math.sqrt(0.5) * sb, key=key)
        opening = [Entry(f"count {t - 1}", "open")] if t else []
        periods.append(
            [
                *opening,
                Entry(f"in {t}", "receipt"),
                Entry(f"out {t}", "dispatch"),
                Entry(f"count {t}", "close"),
            ]
        )
    return records, periods


def drawn_balances(draws: int, seed: int) -> np.ndarray:
    """MUF by draw and period of honest books: the records drawn around the truth, then signed and added up."""
    records, periods = book_of_periods()
    known, random = balances(records, periods), np.random.default_rng(seed)
    rows = [records[name] for name in known.records]
    bias = {key: random.standard_normal(draws) for key in sorted({row.key for row in rows})}
    y = np.array([row.mu + row.ss * bias[row.key] + row.sr * random.standard_normal(draws) for row in rows])
    return (known.signs @ y).T


def test_a_balance_is_beyond_its_error_once_in_twenty_and_its_smallest_detectable_loss_is_seen_as_stated():
    known, mufs = balances(*book_of_periods()), drawn_balances(20_000, 21)
    for t, (sigma, mdg) in enumerate(zip(known.sigma, known.mdg, strict=True)):
        z = np.abs(mufs[:, t]) / sigma
        assert agrees(int((z >= significance.Z_TWO_SIDED).sum()), len(z), ALPHA), t
        seen = (mufs[:, t] + mdg) / sigma >= significance.Z_TWO_SIDED
        assert agrees(int(seen.sum()), len(seen), TWO_SIDED_POWER), t


def test_the_sum_of_balances_is_beyond_three_standard_errors_as_often_as_chance_says():
    known, mufs = balances(*book_of_periods()), drawn_balances(40_000, 22)
    for t in range(PERIODS):
        z = np.abs(mufs[:, : t + 1].sum(axis=1)) / known.sigma_cumuf[t]
        assert agrees(int((z > 3).sum()), len(z), float(2 * norm.sf(3))), t


@pytest.mark.parametrize("beyond", [0.0, significance.Z_ONE_SIDED])
def test_a_loss_spread_over_all_periods_is_seen_in_their_sum_as_often_as_stated(beyond):
    """Three standard errors in all: every second time; 1.64 more: nineteen times in twenty."""
    known, mufs = balances(*book_of_periods()), drawn_balances(20_000, 27)
    sigma = known.sigma_cumuf[PERIODS - 1]
    steady = (3 + beyond) * sigma / PERIODS
    z = (mufs + steady).sum(axis=1) / sigma
    assert agrees(int((z > 3).sum()), len(z), float(norm.sf(-beyond)))


def test_independent_parts_of_honest_balances_are_standard_normal_and_uncorrelated():
    records, periods = book_of_periods()
    known, mufs = balances(records, periods), drawn_balances(20_000, 23)
    parts = np.linalg.solve(np.linalg.cholesky(known.sigma_matrix), mufs.T)
    assert np.array(sitmuf(replace(known, muf=tuple(mufs[0])))) == pytest.approx(parts[:, 0], rel=1e-6)
    correlation = np.corrcoef(parts) - np.eye(PERIODS)
    assert np.abs(correlation).max() < 4.5 / math.sqrt(20_000)
    alarms = int((np.abs(parts) >= significance.Z_TWO_SIDED).sum())
    assert agrees(alarms, parts.size, ALPHA)


def run_lengths(h: float, chains: int, seed: int, sides: int = 1, shift: float = 0.0) -> np.ndarray:
    """Periods until Page's test with k = 0.5 first calls, of so many chains of honest periods or of a steady ``shift``."""
    random, length = np.random.default_rng(seed), np.zeros(chains)
    sums, t = np.zeros((sides, chains)), 0
    while (running := length == 0).any():
        t += 1
        y = random.standard_normal(chains) + shift
        for side in range(sides):
            sums[side] = np.maximum(0, sums[side] + (y, -y)[side] - 0.5)
        length[running & (sums.max(axis=0) > h)] = t
    return length


@pytest.mark.parametrize(("h", "sides", "stated"), [(5, 1, 931), (4, 1, 335), (5, 2, 465)])
def test_pages_test_raises_a_false_alarm_once_in_as_many_periods_as_stated(h, sides, stated):
    lengths = run_lengths(h, 3_000, 24, sides)
    assert lengths.mean() == pytest.approx(stated, abs=3.3 * lengths.std() / math.sqrt(len(lengths)))


@pytest.mark.parametrize(("shift", "stated"), [(0.5, 38.0), (1.0, 10.4), (2.0, 4.01)])
def test_pages_test_sees_a_steady_loss_after_as_many_periods_as_published(shift, stated):
    """Average run lengths of both sides with k = 0.5 and h = 5 (Montgomery, Introduction to Statistical Quality Control)."""
    lengths = run_lengths(5, 10_000, 28, 2, shift)
    spread = 3.3 * lengths.std() / math.sqrt(len(lengths))
    assert lengths.mean() == pytest.approx(stated, abs=spread + 0.005 * stated)


def test_the_engines_page_and_the_simulated_one_raise_the_same_alarm():
    for seed in range(20):
        length = int(run_lengths(4, 1, seed)[0])
        values = np.random.default_rng(seed).standard_normal(length)
        assert page(values.tolist(), 0.5, 4)[1] == (length - 1,)


def test_honest_books_between_counts_are_found_to_differ_once_in_twenty():
    dice, rows, closed, number = Dice(25), [], [], 900
    for n in range(number):
        auditor, key = f"auditor {n}", f"customs {n}"
        moved = [4 * SIZE + 2, SIZE]
        truth = np.cumsum([truth_of(figure, "B", dice.error(key)) for figure in moved])
        for at, day in enumerate(("2026-01-31", "2026-04-30")):
            figure = said(float(truth[at]), "A", dice.error(auditor))
            who = {"subject_id": 100 + n, "site_id": None, "key": auditor, "slug": f"count-{n:04d}-{at}"}
            rows.append(cast.claim(figure, period=cast.day(day), grade="A", **who))
            came = cast.day(("2026-01-20", "2026-03-10")[at])
            rows.append(line(moved[at], 100 + n, key, grade="B", received=came))
        closed.append(
            ClosedBookRow(
                cast.ref("closedbook"),
                f"whole-{n}",
                100 + n,
                None,
                "",
                None,
                cast.days("2026-01-01", "2026-12-31"),
                cast.source(auditor, "A"),
            )
        )
    found = counted(muf.find(replace(ledger(number, rows), closed=tuple(closed)), P))
    assert len(found) == number
    assert agrees(sum(f.is_finding for f in found), number, ALPHA)


def both_sides(seed: int, number: int, grades: str, missing: float = 0.0) -> list[Finding]:
    """Routes told by both reporters; ``missing``: what was under way to nowhere on each, in chips."""
    dice, rows = Dice(seed), []
    for n in range(number):
        first = date(2020, 1, 2) + timedelta(days=n)
        for side, grade, truth in zip(
            ("exporter", "importer"), grades, (5 * SIZE, 5 * SIZE - missing), strict=True
        ):
            error = dice.error()
            while 1 - P.grade_rel_sd[grade] * error < 0.1:  # no honest figure is ten times too large
                error = dice.error()
            rows.append(
                cast.flow(
                    said(truth, grade, error), reporter=side, grade=grade, origin_country="US", destination_country="MY",
                    site_id=None, period=Period.inclusive(first, first + timedelta(days=40)), slug=f"{side}-{n:04d}",
                )
            )  # fmt: skip
    found = counted(mirror.find(ledger(0, rows), P))
    assert len(found) == number
    return found


@pytest.mark.parametrize(("grades", "rate"), [("BB", 0.05), ("CC", 0.054), ("DD", 0.075)])
def test_honest_statistics_of_trade_differ_once_in_twenty_or_as_often_as_docs_say(grades, rate):
    """On the scale of logarithms a large error is no longer normal: docs/method.md, section 4, gives the rates."""
    found = both_sides(26, 400, grades)
    assert agrees(sum(f.is_finding for f in found), len(found), rate)


def test_what_one_reporter_has_beyond_the_other_is_found_as_often_as_stated_and_what_it_lacks_sooner():
    mdg = float(np.median([f.mdg for f in both_sides(29, 100, "BB") if f.mdg]))
    more = both_sides(30, 400, "BB", missing=-mdg)
    assert agrees(sum(f.is_finding for f in more), len(more), TWO_SIDED_POWER)
    less = both_sides(30, 400, "BB", missing=mdg)
    assert sum(f.is_finding for f in less) >= sum(f.is_finding for f in more)


def test_a_stock_sent_on_to_the_last_chip_falls_below_zero_beyond_its_error_once_in_forty():
    """On the boundary itself, where the truth is 0, one side of a test at 5 % is 2.5 %; any stock that stays makes it less."""
    dice, rows, number = Dice(31), [], 1_500
    for n in range(number):
        maker, holder, truth = f"maker {n}", f"holder {n}", 0.0
        for day, figure in (("2026-01-10", 2 * SIZE), ("2026-02-10", SIZE)):
            truth += truth_of(figure, "B", dice.error(maker))
            rows.append(line(figure, 100 + n, maker, grade="B", received=cast.day(day)))
        sent = said(truth, "B", dice.error(holder))
        days = {"shipped": cast.day("2026-04-01"), "received": cast.day("2026-04-20")}
        rows.append(line(sent, cast.RESELLER, holder, grade="B", shipper_id=100 + n, **days))
    found = running.find(ledger(number, rows), P)
    assert agrees(len(found), number, float(norm.sf(significance.Z_TWO_SIDED)))


# --- what could have been seen ----------------------------------------------------------------------------------------------


SCOPES = {scopes.key(one): one for one in (cast.ONE, cast.TWO, cast.MIXED, cast.UNSPECIFIED)}
SIZES = st.sampled_from([30.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 100_000.0])
grades = st.sampled_from("ABCDE")
scope = st.sampled_from(list(SCOPES.values()))


@st.composite
def figures(draw, size):
    """About as large as the size, so that much is consistent and the smallest detectable gap lies on either side of one SQ."""
    return float(round(size * draw(st.floats(0.97, 1.04)))) if draw(st.booleans()) else draw(SIZES)


@st.composite
def claims(draw, size):
    bound = draw(st.sampled_from(["", "", "floor", "ceiling"]))
    figure = draw(figures(size))
    stated = {
        "": {"best": figure},
        "floor": {"best": None, "low": figure},
        "ceiling": {"best": None, "high": figure},
    }[bound]
    status, kind = draw(
        st.sampled_from([("installed", "installed"), ("shipped", "sale"), ("produced", "production")])
    )
    subject = cast.OPERATOR if status == "installed" else cast.VENDOR
    return cast.claim(
        **stated, bound=bound, grade=draw(grades), scope=draw(scope), status=status, kind=kind, subject_id=subject,
        exact=not bound and draw(st.booleans()),
    )  # fmt: skip


@st.composite
def movements(draw, size):
    figure, grade = draw(figures(size)), draw(grades)
    return cast.movement(
        figure, grade=grade, scope=draw(scope), bound=draw(st.sampled_from(["", "", "floor"])), exact=draw(st.booleans()),
        by_shipper=Reported(best=figure, grade=grade), by_receiver=Reported(best=draw(figures(figure)), grade=draw(grades)),
    )  # fmt: skip


@st.composite
def small_ledgers(draw):
    size = draw(SIZES)
    said_ = draw(st.lists(claims(size), max_size=4))
    return cast.books(*said_, *draw(st.lists(movements(size), min_size=1, max_size=2)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(small_ledgers())
def test_every_test_says_what_it_could_have_seen_and_none_is_clean_that_could_overlook_a_significant_quantity(
    books,
):
    for check in checks():
        for found in check.find(books, P):
            if found.p is not None:
                assert found.mdg is not None, check.code
            if found.verdict == "consistent" and found.mdg is not None:
                strongest = SCOPES[found.scope].h100e_high
                assert found.mdg == 0 or found.mdg * strongest <= 1_000 * (1 + 1e-8), check.code
            if found.is_finding:
                assert significance.at_most(found.severity, significance.severity(found.sq)) == found.severity
            if found.weakest_grade in significance.UNCERTAIN_GRADES:
                assert found.severity not in ("critical", "high")


def test_a_larger_error_makes_a_clean_result_inconclusive_and_never_a_finding():
    books = [
        cast.books(cast.claim(3_000, grade=grade), cast.movement(3_000, exact=True, grade="A"))
        for grade in "ABCDE"
    ]
    found = [gap.find(one, P)[0] for one in books]
    assert [f.verdict for f in found] == ["consistent"] * 3 + ["inconclusive"] * 2
    assert all(one.mdg < other.mdg for one, other in pairwise(found))
