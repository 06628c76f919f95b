"""Shipper and receiver: do both ends of a movement report the same number?

``d = s - r``, what the shipper reports less what the receiver reports; variance = the four error
components added (random and systematic of both ends). A lot is all movements of one chip between one pair
of parties in one quarter: there the random parts add up as squares, the systematic parts of each
reporting house add up first, so a steady bias shows that no single shipment could show. Best value of a
movement: the mean of both reports weighted by their inverse variances.

How to read it. d > 0: more left than is said to have come in. Two exact counts that differ are a certain
difference.

What it does not say. Which end is right; and nothing about where the difference went: counts are taken on
different days, of different things (boxes, boards, packages), by different people.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracker.claims.combine import quantity
from tracker.core.period import quarter
from tracker.core.quantity import Quantity, total
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.books import Books, Evidence, Finding, MovementRow, Parameters, Scope
from tracker.reconciliation.case_input import case_quantity
from tracker.reconciliation.result import finding

CODE = "SRD"
TITLE = "Shipper and receiver"
FAMILY = "SRD"
PARTITION = "lines"

FORMULA = "d = shipper - receiver; z = d / sqrt(sum of the random variances + squared sums of the systematic parts per house)"


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one movement or one lot: ``d`` and ``sigma`` in chips, ``best`` the weighted mean of both ends summed up."""

    d: float
    sigma: float
    z: float
    p: float
    best: float
    shares: tuple[float, ...] = ()


def difference(pairs: Sequence[tuple[Quantity, Quantity]]) -> Difference:
    """What the shippers report less what the receivers report, of one or more movements in a fixed order.

    ``shares``: part of the variance of every pair's shipper, then receiver. Bounds are refused by the
    caller: they have no mean.
    """
    terms = [term for shipper, receiver in pairs for term in ((1.0, shipper), (-1.0, receiver))]
    found = total(terms)
    z = significance.z_score(found.mu, found.s)
    best = math.fsum(best_value(shipper, receiver) for shipper, receiver in pairs)
    return Difference(found.mu, found.s, z, significance.two_sided_p(z), best, found.shares)


def best_value(one: Quantity, other: Quantity) -> float:
    """Inverse-variance mean; an exact count stands alone, two of them meet in the middle."""
    if one.variance + other.variance == 0:
        return (one.mu + other.mu) / 2
    return (one.mu * other.variance + other.mu * one.variance) / (one.variance + other.variance)


@dataclass(frozen=True, slots=True)
class _Pair:
    movement: MovementRow
    shipper: Quantity
    receiver: Quantity


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per movement reported by both ends, and one per lot of several; sorted by reference, then lot."""
    pairs = [
        pair
        for row in sorted(books.movements, key=lambda row: row.ref.id)
        if (pair := _pair(row, parameters))
    ]
    lots: dict[LotKey, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        lots[lot_key(pair.movement)].append(pair)
    single = [
        _judged(
            [pair],
            books,
            parameters,
            explain.when(pair.movement.shipped) if pair.movement.shipped else "undated",
        )
        for pair in pairs
    ]
    several = [_judged(lots[key], books, parameters, key[3]) for key in sorted(lots) if len(lots[key]) > 1]
    return single + several


def kept(
    found: Iterable[Finding], movements: Container[int], lots: Container[LotKey], books: Books
) -> list[Finding]:
    """Those findings that are about one of these movements, or about one of these whole lots.

    For books that hold only the lines that something is to be told of: a lot of which only some lines are there says nothing.
    """
    rows = {row.ref.id: row for row in books.movements}

    def wanted(one: Finding) -> bool:
        first = rows[one.evidence[0].ref.id]
        return lot_key(first) in lots if one.numbers["movements"] > 1 else first.ref.id in movements

    return [one for one in found if wanted(one)]


LotKey = tuple[int, int, str, str]
"""Shipper, consignee, scope and quarter of a lot; 0 where a party is not named."""


def lot_key(row: MovementRow) -> LotKey:
    day = row.shipped.start if row.shipped else None
    return (
        row.shipper_id or 0,
        row.consignee_id or 0,
        scopes.key(row.scope),
        quarter(day) if day else "undated",
    )


def _pair(row: MovementRow, parameters: Parameters) -> _Pair | None:
    if row.by_shipper is None or row.by_receiver is None or row.status == "cancelled":
        return None
    shipper = quantity(row.by_shipper, parameters, row.shipper_key)
    receiver = quantity(row.by_receiver, parameters, row.receiver_key)
    if (
        not isinstance(shipper, Quantity)
        or not isinstance(receiver, Quantity)
        or shipper.bound
        or receiver.bound
    ):
        return None
    if (
        row.shipper_key == row.receiver_key
    ):  # one house at both ends: its bias is in both figures and cancels in none
        receiver = replace(receiver, key="")
    return _Pair(row, shipper, receiver)


def _judged(pairs: Sequence[_Pair], books: Books, parameters: Parameters, when: str) -> Finding:
    first, scope = pairs[0].movement, pairs[0].movement.scope
    found = difference([(pair.shipper, pair.receiver) for pair in pairs])
    certain = math.isinf(found.z)
    h100e = scopes.h100e(found.d, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    mdg = significance.MDG_FACTOR * found.sigma
    mdg_sq = scopes.could_hide(mdg, scope, parameters)
    surprising = abs(found.z) >= significance.Z_TWO_SIDED
    is_finding = certain or (surprising and significance.is_material(sq, parameters))
    inconclusive = not surprising and significance.is_inconclusive(mdg_sq)
    verdict = "differs" if surprising else "inconclusive" if inconclusive else "consistent"
    evidence = _evidence(pairs, found.shares)
    grades = [grade for pair in pairs for grade in (pair.shipper.grade, pair.receiver.grade)]
    weakest = significance.weakest_indispensable(evidence, grades, found.d)
    names = _party(first.shipper_id, books), _party(first.consignee_id, books)
    what = f"shipment {first.reference}" if len(pairs) == 1 else f"{len(pairs)} shipments of {when}"
    counterpart = first.reference if len(pairs) == 1 else f"{_slug(first.shipper_id, books)} lot"
    return finding(
        check=CODE, area=f"org:{_slug(first.consignee_id, books)}", scope=scopes.key(scope), period=when,
        counterpart=counterpart, verdict=verdict,
        headline=f"{names[0]} to {names[1]}, {what}: ends differ by {explain.chips(found.d)} ({verdict})",
        expected=math.fsum(pair.shipper.mu for pair in pairs), reported=math.fsum(pair.receiver.mu for pair in pairs),
        gap=found.d, sigma=found.sigma, statistic=found.z, p=None if certain else found.p,
        threshold=significance.Z_TWO_SIDED, family=None if certain else FAMILY, is_finding=is_finding,
        gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=mdg,
        severity=significance.severity(sq, weakest) if is_finding else "info",
        strength=significance.strength(found.z), weakest_grade=weakest, formula=FORMULA,
        sections=explain.sections(_story(pairs, found, names, what, scope, h100e, sq, mdg_sq, surprising)),
        evidence=tuple(evidence), numbers={"best": found.best, "movements": len(pairs), "mdg_sq": mdg_sq},
    )  # fmt: skip


def _evidence(pairs: Sequence[_Pair], shares: Sequence[float]) -> list[Evidence]:
    rows = []
    for index, pair in enumerate(pairs):
        for side, amount, sign in ((0, pair.shipper, 1), (1, pair.receiver, -1)):
            who = ("shipper", "receiver")[side]
            said = explain.cited(pair.movement.source, amount.grade)
            label = f"{pair.movement.reference}, {who}: {explain.figure(amount)}; {said}"
            rows.append(Evidence(pair.movement.ref, who, label, sign * amount.mu, shares[2 * index + side]))
    return rows


def _story(
    pairs: Sequence[_Pair],
    found: Difference,
    names: tuple[str, str],
    what: str,
    scope: Scope,
    h100e: tuple[float, float] | None,
    sq: float | None,
    mdg_sq: float | None,
    surprising: bool,
) -> explain.Story:
    shipped = math.fsum(pair.shipper.mu for pair in pairs)
    received = math.fsum(pair.receiver.mu for pair in pairs)
    grades = "/".join((pairs[0].shipper.grade, pairs[0].receiver.grade))
    mdg = significance.MDG_FACTOR * found.sigma
    more = (
        "more is reported shipped than received" if found.d > 0 else "more is reported received than shipped"
    )
    size = explain.magnitude(found.d, h100e, sq)
    sources = explain.listed(explain.cited(pair.movement.source) for pair in pairs)
    return explain.Story(
        compared=f"What {names[0]} reports to have shipped and {names[1]} to have received of {scope.name}: {what}.",
        sides=(
            f"Shipper: {explain.chips(shipped)}. Receiver: {explain.chips(received)} (grades {grades}).",
            f"Read in: {sources}.",
            f"Best value from both: {explain.chips(found.best)}.",
        ),
        difference=f"{size}: {more}." if found.d else "None: both ends report the same.",
        surprise=explain.surprise(found.p, found.z) if surprising else explain.no_surprise(
            mdg, mdg_sq, significance.is_inconclusive(mdg_sq)
        ),
        open=(explain.TIMING, explain.IN_TRANSIT, explain.ROUNDING) if found.d else (),
        settle="The packing list and the receiving report of the same shipment, with serial numbers.",
        assumptions=tuple(text for pair in pairs for text in (*pair.shipper.assumptions, *pair.receiver.assumptions)),
    )  # fmt: skip


def _party(pk: int | None, books: Books) -> str:
    row = books.organizations.get(pk or 0)
    return row.name if row else "an unnamed party"


def _slug(pk: int | None, books: Books) -> str:
    row = books.organizations.get(pk or 0)
    return row.slug if row else "unnamed"


def _srd_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    pairs = [
        tuple(case_quantity({"key": side, **row[side]}, parameters) for side in ("shipper", "receiver"))
        for row in given["shipments"]
    ]
    lots = [difference([(pair[0], pair[1])]) for pair in pairs]
    whole = difference([(pair[0], pair[1]) for pair in pairs])
    return {
        "lots": [{"d": one.d, "sigma": one.sigma, "z": one.z, "p": one.p, "best": one.best} for one in lots],
        "total": whole.d, "sigma_total": whole.sigma, "z_total": whole.z, "p_total": whole.p,
    }  # fmt: skip


CASES = {"srd": _srd_case}
