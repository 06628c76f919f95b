"""Running balance: did more leave a place than is recorded to have come in?

The balance of a site or organization is followed through its movements in order of day; on one day
receipts come before dispatches, then record id decides. Its lowest point below 0 means that *at least
that many units came in unrecorded*.

How to read it. Every doubt counts for the place: a receipt counts from its first possible day, a dispatch
on its last, a receipt of a family name that may have been these chips counts, and so does an "at most" in
full. A place with a receipt of "at least" is not judged from that day on. A negative balance within the
stated errors (|balance| < 1.96 s) is no finding. Only places with a recorded receipt are followed, and
never the vendor of the chips: what is made is not recorded here as a receipt.

What it does not say. That anything is wrong with the dispatches; only that the record of receipts is not
whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker.core.quantity import Quantity, total
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.books import Books, Evidence, Finding, MovementRow, Parameters, Scope
from tracker.reconciliation.case_input import case_date
from tracker.reconciliation.position import (
    COUNTED,
    GONE,
    Area,
    Shelf,
    dispatch_days,
    movement_label,
    receipt_days,
)
from tracker.reconciliation.result import finding

CODE = "RUNNING"
TITLE = "Running balance below zero"
FAMILY = None
PARTITION = "lines"

FORMULA = "min over time of (receipts - dispatches); below 0 by more than 1.96 s"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that moved a balance: ``sign`` +1 came in, -1 went out, on ``day`` (None: before all others)."""

    id: str
    day: date | None
    sign: int
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Low:
    """The lowest point of a balance: after which event, and what it holds at the end. ``taken``: events up to the point."""

    balance: float
    sigma: float
    after: Event
    final: float
    taken: tuple[Event, ...]

    @property
    def is_impossible(self) -> bool:
        return self.balance < 0 and (
            self.sigma == 0 or self.balance / self.sigma <= -significance.Z_TWO_SIDED
        )


def lowest(events: Iterable[Event]) -> Low | None:
    """The lowest point of the running balance, None without events.

    From a receipt of "at least" on, no low point is taken: more may have come in.
    """
    ordered = sorted(events, key=lambda one: (one.day or date.min, -one.sign, one.id))
    if not ordered:
        return None
    end = next(
        (i for i, one in enumerate(ordered) if one.sign > 0 and one.quantity.bound == "lower"), len(ordered)
    )
    balance, low, at = 0.0, math.inf, -1
    for index, event in enumerate(ordered):
        balance += event.sign * event.quantity.mu
        if index < end and balance < low:
            low, at = balance, index
    if at < 0:
        return None
    taken = tuple(ordered[: at + 1])
    sum_of = total([(event.sign, event.quantity) for event in taken])
    return Low(low, sum_of.s, ordered[at], balance, taken)


# --- the check -------------------------------------------------------------------------------------------------------


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per place and scope whose balance falls below 0 beyond its error; sorted by area, then scope."""
    shelf = Shelf(books, parameters)
    found = []
    for area, scope in _chains(books):
        events, rows = _events(area, scope, shelf)
        if not any(event.sign > 0 for event in events):
            continue
        low = lowest(events)
        if low and low.is_impossible:
            found.append(_impossible(area, scope, low, rows, shelf))
    return found


def _chains(books: Books) -> list[tuple[Area, Scope]]:
    """Places that sent something, with the scope they sent it under."""
    chains: dict[tuple[str, str], tuple[Area, Scope]] = {}
    for row in books.movements:
        if row.status not in GONE:
            continue
        organization, site = (
            books.organizations.get(row.shipper_id or 0),
            books.sites.get(row.origin_site_id or 0),
        )
        if organization and not organization.is_aggregate:
            vendors = scopes.vendors(row.scope, books.chips)
            if organization.slug not in vendors:
                area = Area("org", organization.ref.id, organization.slug, organization.name)
                chains[area.key, scopes.key(row.scope)] = area, row.scope
        if site:
            area = Area("site", site.ref.id, site.slug, site.name)
            chains[area.key, scopes.key(row.scope)] = area, row.scope
    return [chains[key] for key in sorted(chains)]


def _events(area: Area, scope: Scope, shelf: Shelf) -> tuple[list[Event], dict[str, MovementRow]]:
    events: list[Event] = []
    rows: dict[str, MovementRow] = {}
    for row in shelf.near(area):
        event = _event(row, area, scope, shelf)
        if event:
            events.append(event)
            rows[event.id] = row
    return events, rows


def _event(row: MovementRow, area: Area, scope: Scope, shelf: Shelf) -> Event | None:
    amount = shelf.quantity(row)
    name = f"{row.ref.id:012d}"
    came = row.status in COUNTED and shelf.came_in(row, area) is not None
    if came and scopes.may_overlap(row.scope, scope, shelf.books.chips):
        if not isinstance(amount, Quantity):  # an unreadable receipt: as much as you like may have come in
            amount = Quantity(0.0, bound="lower")
        return Event(name, receipt_days(row, shelf.parameters)[0], 1, amount)
    out = not came and shelf.went_out(row, area) and scopes.is_within(row.scope, scope)
    if not out or not isinstance(amount, Quantity) or amount.bound == "upper":
        return None
    return Event(name, dispatch_days(row)[1] or shelf.books.as_of, -1, amount)


def _impossible(area: Area, scope: Scope, low: Low, rows: Mapping[str, MovementRow], shelf: Shelf) -> Finding:
    parameters, units = shelf.parameters, -low.balance
    h100e = scopes.h100e(units, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    shares = total([(event.sign, event.quantity) for event in low.taken]).shares
    evidence = [
        Evidence(
            rows[event.id].ref, "receipt" if event.sign > 0 else "dispatch", movement_label(rows[event.id], event.quantity),
            -event.sign * event.quantity.mu, part,
        )
        for event, part in zip(low.taken, shares, strict=True)
    ]  # fmt: skip
    weakest = significance.weakest_indispensable(
        evidence, [event.quantity.grade for event in low.taken], units
    )
    came = math.fsum(event.quantity.mu for event in low.taken if event.sign > 0)
    last, day = rows[low.after.id], low.after.day.isoformat() if low.after.day else "the first day"
    return finding(
        check=CODE, area=area.key, scope=scopes.key(scope), period="whole record", counterpart="running balance",
        verdict="impossible",
        headline=f"{area.name}: by {day} at least {explain.number(units)} {scope.name} left that never came in on record",
        expected=came, reported=came + units, gap=units, sigma=low.sigma, is_finding=True,
        statistic=significance.z_score(low.balance, low.sigma), threshold=-significance.Z_TWO_SIDED,
        gap_h100e=h100e[0] if h100e else None, sq=sq, severity=significance.severity(sq, weakest), strength="certain",
        weakest_grade=weakest, formula=FORMULA,
        sections=explain.sections(_story(area, scope, low, last, came, h100e, sq, day, evidence)), evidence=tuple(evidence),
        numbers={"min_balance": low.balance, "on": day, "after": last.reference, "final": low.final},
    )  # fmt: skip


def _story(
    area: Area,
    scope: Scope,
    low: Low,
    last: MovementRow,
    came: float,
    h100e: tuple[float, float] | None,
    sq: float | None,
    day: str,
    evidence: Sequence[Evidence],
) -> explain.Story:
    receipts = sum(1 for event in low.taken if event.sign > 0)
    dispatches = len(low.taken) - receipts
    return explain.Story(
        compared=f"Recorded receipts and dispatches of {scope.name} at {area.name}, in order, up to {day}.",
        sides=(
            f"Receipts: {explain.chips(came)} in {explain.counted(receipts, 'movement')}.",
            f"Dispatches: {explain.chips(came - low.balance)} in {explain.counted(dispatches, 'movement')}, "
            f"the last of them {last.reference}.",
            *(f"{row.label}." for row in evidence[-6:]),
        ),
        difference=f"At least {explain.magnitude(low.balance, h100e, sq)} came in unrecorded.",
        surprise=explain.CERTAIN
        if low.sigma == 0
        else f"The balance lies {abs(low.balance / low.sigma):.3g} standard errors below 0, "
        "so the stated errors do not explain it.",
        open=(explain.UNRECORDED, explain.TIMING, *((explain.FAMILY,) if scope.kind == "family" else ())),
        settle=f"A record of the receipts of {scope.name} at {area.name} before {day}.",
        assumptions=("receipts count from their first possible day, dispatches on their last",),
    )


def running_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """One test of a worked case: the movements that touch ``node``, each an exact count."""
    events = []
    for one in row["movements"]:
        amount = Quantity(float(one["q"]))
        if one.get("to") == row["node"] and one.get("received"):
            events.append(Event(str(one["id"]), case_date(one["received"]), 1, amount))
        if one.get("from") == row["node"]:
            events.append(Event(str(one["id"]), case_date(one["shipped"]), -1, amount))
    low = lowest(events)
    if low is None:
        return {"verdict": "possible", "final": 0.0}
    found: dict[str, Any] = {
        "min_balance": low.balance, "on": low.after.day.isoformat() if low.after.day else None, "after": low.after.id,
        "final": low.final, "verdict": "impossible" if low.is_impossible else "possible",
        "missing_at_least": max(0.0, -low.balance),
    }  # fmt: skip
    return found
