"""Capacity: do more chips stand in a site than its racks can hold?

``capacity = racks x chips per rack``, from claims that count the site's racks of a named model; ``excess = chips - capacity``,
``z = excess / sqrt(s_chips^2 + s_racks^2)``. *Impossible* where z >= 1.96.

How to read it. What is installed is held against installed racks, what is planned against planned ones, and only where all the
chips claimed are of the kind that the racks hold. Of several counts of racks the largest stands, of several claims of chips for
one day and kind the smallest: both the kinder reading. "At least" so many racks limit nothing, "at most" so many chips exceed
nothing.

What it does not say. Which of the two is wrong: racks are often counted for a part of a site, or on an earlier day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tracker.core.quantity import Quantity, total
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import Books, ClaimRow, Evidence, Finding, Parameters, SiteRow
from tracker.reconciliation.checks.power import BASES
from tracker.reconciliation.position import claim_label
from tracker.reconciliation.result import finding

CODE = "CAPACITY"
TITLE = "Room in the racks"
FAMILY = None
PARTITION = "site"

FORMULA = "chips - racks x chips per rack; z = excess / sqrt(s_chips^2 + s_racks^2)"


@dataclass(frozen=True, slots=True)
class _Figure:
    claim: ClaimRow
    amount: Quantity


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One result per site, standing, kind of chip and day with racks to be held against; sorted by site id."""
    found = []
    for _, site in sorted(books.sites.items()):
        for basis in BASES:
            figures = _figures(site, basis, books, parameters)
            racks = [
                one for one in figures if one.claim.reported.unit == "racks" and one.amount.bound != "lower"
            ]
            found += [
                _judged(site, basis, chips, largest, books, parameters)
                for chips in _smallest(figures)
                if (largest := _room_for(chips, racks))
            ]
    return found


def _figures(site: SiteRow, basis: str, books: Books, parameters: Parameters) -> list[_Figure]:
    rows = [
        claim
        for claim in sorted(books.claims, key=lambda row: row.slug)
        if claim.site_id == site.ref.id and claim.status in BASES[basis] and claim.scope is not None and not claim.is_flow
    ]  # fmt: skip
    read = [(claim, in_chips(claim, parameters)) for claim in rows]
    return [_Figure(claim, amount) for claim, amount in read if isinstance(amount, Quantity)]


def _smallest(figures: list[_Figure]) -> list[_Figure]:
    """Of several claims of chips for one day and kind the smallest, by kind and day."""
    found: dict[tuple[str, str], _Figure] = {}
    for one in figures:
        if one.claim.reported.unit == "racks" or one.amount.bound == "upper":
            continue
        key = scopes.key(one.claim.scope), explain.when(one.claim.period)
        if key not in found or one.amount.mu < found[key].amount.mu:
            found[key] = one
    return [found[key] for key in sorted(found)]


def _room_for(chips: _Figure, racks: list[_Figure]) -> _Figure | None:
    fitting = [
        one
        for one in racks
        if chips.claim.scope and one.claim.scope and scopes.is_within(chips.claim.scope, one.claim.scope)
    ]
    return max(fitting, key=lambda one: (one.amount.mu, one.claim.slug), default=None)


def _judged(
    site: SiteRow, basis: str, chips: _Figure, racks: _Figure, books: Books, parameters: Parameters
) -> Finding:
    found = total([(1.0, chips.amount), (-1.0, racks.amount)])
    z = significance.z_score(found.mu, found.s)
    impossible = z >= significance.Z_TWO_SIDED
    scope = chips.claim.scope
    h100e = scopes.h100e(found.mu, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    evidence = [
        Evidence(one.claim.ref, role, claim_label(one.claim, one.amount), sign * one.amount.mu, share)
        for (role, sign, one), share in zip(
            (("chips", 1, chips), ("racks", -1, racks)), found.shares, strict=True
        )
    ]
    weakest = significance.weakest_indispensable(evidence, [chips.amount.grade, racks.amount.grade], found.mu)
    count = racks.amount.mu / (racks.claim.reported.per_unit or math.inf)
    name = scope.name if scope else "chips"
    story = explain.Story(
        compared=f"What is said to be {chips.claim.status} of {name} at {site.name}, with what its racks can hold.",
        sides=(f"Chips: {evidence[0].label}.", f"Racks: {evidence[1].label}.",
               f"Capacity: {explain.number(count)} racks x {racks.claim.reported.per_unit:g} chips = "
               f"{explain.chips(racks.amount.mu)}."),
        difference=f"{explain.magnitude(found.mu, h100e, sq)} more than the racks can hold." if impossible
        else "None: the racks can hold them, within what the stated errors allow.",
        surprise=f"The chips lie {z:.3g} standard errors above the capacity, so the stated errors do not explain it."
        if impossible and math.isfinite(z) else explain.CERTAIN if impossible else "Nothing surprising.",
        open=(explain.DATES, explain.STATUS, explain.UNITS) if impossible else (),
        settle=f"A count of the racks of the whole of {site.name} for the day of the claim, with their model.",
        assumptions=(*chips.amount.assumptions, *racks.amount.assumptions),
    )  # fmt: skip
    return finding(
        check=CODE, area=f"site:{site.slug}", scope=scopes.key(scope), period=explain.when(chips.claim.period),
        counterpart=f"{basis} racks", verdict="impossible" if impossible else "possible",
        headline=f"{site.name}: {explain.chips(chips.amount.mu)} ({name}), racks hold {explain.number(racks.amount.mu)} "
        f"({'impossible' if impossible else 'possible'})",
        expected=racks.amount.mu, reported=chips.amount.mu, gap=found.mu, sigma=found.s, statistic=z,
        threshold=significance.Z_TWO_SIDED, is_finding=impossible, gap_h100e=h100e[0] if h100e else None, sq=sq,
        severity=significance.severity(sq, weakest) if impossible else "info", strength="certain" if impossible else "",
        weakest_grade=weakest, formula=FORMULA, sections=explain.sections(story),
        evidence=(*evidence, *scopes.specification(scope, books.chips)),
        numbers={"racks": count, "chips_per_rack": racks.claim.reported.per_unit, "capacity": racks.amount.mu},
    )  # fmt: skip
