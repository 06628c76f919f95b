"""Three-way match: contracted or licensed >= shipped >= delivered >= installed, for one place and kind of chip.

What stands higher on the ladder holds all that stands lower, added up from the first chip on. ``step = lower - higher``,
``z = step / s``, one-sided: a step upward at z >= 1.645 is a finding. Against contracts and licences also what the ledger surely
received is held; severity is then at most medium, since others may exist that nobody published.

How to read it. Claims of one place (site, organization or country) are compared, each rung with the next higher one that somebody
reports, the lower one by its latest figure. The higher one must count from the first chip on (an as-of figure, or a period that
begins no later than the first shipping day) and must be for the same day or a later one, the nearest; its kind of chip must hold
the lower one's. Of several reports of a rung and day the more exact stands, echoes left out. What one seller is said to have
shipped is no limit to what others brought. "At least" so many limit nothing, "at most" so many exceed nothing.

What it does not say. Which rung is wrong; ordered, delivered and installed chips are easily taken for one another.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from tracker.core.quantity import Quantity, Total, total
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import Books, ClaimRow, Evidence, Finding, Parameters, Scope
from tracker.reconciliation.echoes import echo_groups
from tracker.reconciliation.position import (
    STOCK_STATUSES,
    Area,
    Shelf,
    Window,
    area_of,
    claim_label,
    counts_from_the_first,
    seller_of,
)
from tracker.reconciliation.result import MOST_EVIDENCE, finding

CODE = "3WAY"
TITLE = "Contracted, shipped, delivered, installed"
FAMILY = "3WAY"
PARTITION = "claim_subject"

FORMULA = "step = lower rung - higher rung; z = step / s, one-sided"
RUNGS = (("contracted", "licensed"), ("shipped",), ("delivered",), STOCK_STATUSES)
"""From what is agreed to what stands there; the statuses of a rung are equally high."""
LEDGER = "received in the ledger"


@dataclass(frozen=True, slots=True)
class _Figure:
    """What somebody says of a rung up to a day."""

    rung: int
    claim: ClaimRow
    amount: Quantity
    day: date
    scope: Scope


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One result per place and pair of figures of neighbouring rungs; sorted by place, then by the lower figure."""
    shelf: Shelf | None = None  # made where a contract or licence limits: elsewhere no movement is asked
    found = []
    for area, figures in _places(books, parameters):
        for lower in _latest(figures):
            if higher := _higher(lower, figures, books):
                found.append(_against_claim(area, lower, higher, books, parameters))
        for limit in figures:
            if limit.rung == 0 and _limits(limit, books):
                shelf = shelf or Shelf(books, parameters)
                found += _against_ledger(area, limit, shelf)
    return found


def _places(books: Books, parameters: Parameters) -> list[tuple[Area, list[_Figure]]]:
    """Figures by place, of each rung, kind of chip, day and seller the most exact; sorted by place, then by slug."""
    places: dict[str, Area] = {}
    best: dict[str, dict[tuple[object, ...], _Figure]] = defaultdict(dict)
    for claim, _ in echo_groups(books.claims, parameters):
        area, day = area_of(claim, books), claim.period.last
        rung = next((number for number, statuses in enumerate(RUNGS) if claim.status in statuses), None)
        if rung is None or area is None or day is None or claim.scope is None:
            continue
        amount = in_chips(claim, parameters)
        if not isinstance(amount, Quantity):
            continue
        places[area.key] = area
        key = (
            claim.status,
            scopes.key(claim.scope),
            explain.when(claim.period),
            seller_of(claim, books),
            amount.bound,
        )
        other = best[area.key].get(key)
        if other is None or (amount.s, claim.slug) < (other.amount.s, other.claim.slug):
            best[area.key][key] = _Figure(rung, claim, amount, day, claim.scope)
    return [
        (places[key], sorted(best[key].values(), key=lambda one: one.claim.slug)) for key in sorted(places)
    ]


def _latest(figures: Iterable[_Figure]) -> list[_Figure]:
    """Of each rung below the first and kind of chip the latest figure; of one day the largest."""
    found: dict[tuple[int, str], _Figure] = {}
    for one in figures:
        if one.rung == 0 or one.amount.bound == "upper":
            continue
        key = one.rung, scopes.key(one.scope)
        if key not in found or (one.day, one.amount.mu) > (found[key].day, found[key].amount.mu):
            found[key] = one
    return [found[key] for key in sorted(found)]


def _limits(one: _Figure, books: Books) -> bool:
    """Whether a figure holds everything up to its day: from the first chip on, and not as a floor."""
    return one.amount.bound != "lower" and counts_from_the_first(one.claim, books)


def _higher(lower: _Figure, figures: Iterable[_Figure], books: Books) -> _Figure | None:
    """The figure of the nearest higher rung that must hold the lower one; of a rung the nearest day, then the larger."""
    fitting = [
        one
        for one in figures
        if one.rung < lower.rung
        and one.day >= lower.day
        and _limits(one, books)
        and scopes.is_within(lower.scope, one.scope)
        and seller_of(one.claim, books) in (None, seller_of(lower.claim, books))
    ]
    return min(fitting, key=lambda one: (-one.rung, one.day, -one.amount.mu, one.claim.slug), default=None)


def _against_claim(
    area: Area, lower: _Figure, higher: _Figure, books: Books, parameters: Parameters
) -> Finding:
    claim, amount = lower.claim, lower.amount
    step = total([(1.0, amount), (-1.0, higher.amount)])
    row = Evidence(claim.ref, claim.status, claim_label(claim, amount), amount.mu)
    return _judged(
        area,
        lower.scope,
        claim.status,
        claim.slug,
        step,
        [row],
        [amount.grade],
        [1],
        higher,
        books,
        parameters,
    )


def _against_ledger(area: Area, limit: _Figure, shelf: Shelf) -> list[Finding]:
    """What the ledger surely received by the day of a contract or licence, whoever sent it on since."""
    window = Window(limit.day, limit.day, False)
    position = shelf.position(
        area, limit.scope, window, shipped=True, seller=seller_of(limit.claim, shelf.books)
    )
    lines = [line for line in position.sure_lines if line.sign > 0]
    if not lines:
        return []
    step = total([*((1.0, line.quantity) for line in lines), (-1.0, limit.amount)])
    rows = [Evidence(line.movement.ref, "ledger", shelf.label(line), line.quantity.mu) for line in lines]
    grades = [line.quantity.grade for line in lines]
    return [
        _judged(
            area,
            limit.scope,
            LEDGER,
            limit.claim.slug,
            step,
            rows,
            grades,
            [line.lines for line in lines],
            limit,
            shelf.books,
            shelf.parameters,
        )
    ]


def _judged(
    area: Area,
    scope: Scope,
    standing: str,
    name: str,
    step: Total,
    lower: list[Evidence],
    grades: list[str],
    counts: list[int],
    higher: _Figure,
    books: Books,
    parameters: Parameters,
) -> Finding:
    z = significance.z_score(step.mu, step.s)
    certain, upward = z == math.inf, z >= significance.Z_ONE_SIDED
    p = significance.one_sided_p(z)
    h100e = scopes.h100e(step.mu, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    mdg = significance.MDG_FACTOR * step.s
    mdg_h100e = scopes.h100e(mdg, scope)
    mdg_sq = significance.in_sq(mdg_h100e[0] if mdg_h100e else None, parameters)
    inconclusive = not upward and significance.is_inconclusive(mdg_sq)
    verdict = "step upward" if upward else "inconclusive" if inconclusive else "consistent"
    is_finding = upward and significance.is_material(sq, parameters)
    agreed = Evidence(
        higher.claim.ref, higher.claim.status, claim_label(higher.claim, higher.amount), -higher.amount.mu
    )
    shared = [
        Evidence(row.ref, row.role, row.label, row.contribution, share)
        for row, share in zip([*lower, agreed], step.shares, strict=True)
    ]
    weakest = significance.weakest_indispensable(shared, [*grades, higher.amount.grade], step.mu)
    below = math.fsum(row.contribution or 0.0 for row in lower)
    named = sorted(shared[:-1], key=lambda row: (-(row.contribution or 0.0), row.ref.id))
    cap = "medium" if higher.rung == 0 else "critical"
    size = explain.magnitude(step.mu, h100e, sq)
    figures = [f"{standing.capitalize()}: {row.label}." for row in named[: explain.FEW]]
    told = {row.ref: count for row, count in zip(lower, counts, strict=True)}
    more = sum(told[row.ref] for row in named[explain.FEW :])
    story = explain.Story(
        compared=f"What is {standing} of {scope.name} for {area.name}, with what is {higher.claim.status}, all to {higher.day}.",
        sides=(*figures, *((
            f"Smaller ones beside these: {explain.counted(more, 'movement')}, {explain.chips(below)} in all.",
        ) if more else ()),
               f"{higher.claim.status.capitalize()}: {agreed.label}."),
        difference=f"{size} more {standing} than {higher.claim.status}." if upward
        else f"None that needs an explanation: no more is {standing} than {higher.claim.status}, within the stated errors.",
        surprise=explain.surprise(p, z) if upward else explain.no_surprise(mdg, mdg_sq, inconclusive),
        open=_open(higher, scope, standing) if upward else (),
        settle=f"The order, the delivery notes and the inventory of {area.name} for {scope.name}, added up to one day.",
        assumptions=(*higher.amount.assumptions, f"what is {higher.claim.status} is told from the first chip on"),
    )  # fmt: skip
    return finding(
        check=CODE, area=area.key, scope=scopes.key(scope), period=f"to {higher.day.isoformat()}",
        counterpart=f"{standing} over {higher.claim.status}: {name}", verdict=verdict,
        headline=f"{area.name}: {explain.number(below)} {standing}, {explain.number(higher.amount.mu)} {higher.claim.status} "
        f"({scope.name}): {verdict}",
        expected=higher.amount.mu, reported=below, gap=step.mu, sigma=step.s, statistic=z, p=None if certain else p,
        threshold=significance.Z_ONE_SIDED, family=None if certain else FAMILY, is_finding=is_finding,
        gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=mdg,
        severity=significance.severity(sq, weakest, cap=cap) if is_finding else "info", strength=significance.strength(z),
        weakest_grade=weakest, formula=FORMULA, sections=explain.sections(story),
        evidence=(*named[:MOST_EVIDENCE], shared[-1], *scopes.specification(scope, books.chips)),
        numbers={"mdg_sq": mdg_sq, "lower": below, "higher": higher.amount.mu},
    )  # fmt: skip


def _open(higher: _Figure, scope: Scope, standing: str) -> tuple[str, ...]:
    applicable: Mapping[str, bool] = {
        explain.STATUS: True,
        explain.TIMING: True,
        explain.UNPUBLISHED: higher.rung == 0,
        explain.ROUNDING: True,
        explain.FAMILY: "family" in (higher.scope.kind, scope.kind),
        explain.ECHO: standing != LEDGER,
    }
    return tuple(phrase for phrase, applies in applicable.items() if applies)
