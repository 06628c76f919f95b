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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import numpy as np

from tracker.balances.reading import EPOCH, NO_DAY, Array
from tracker.claims.combine import quantity
from tracker.core.quantity import Quantity
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.books import Books, Evidence, Finding, MovementRow, NamedLine, Parameters, Scope
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
from tracker.reconciliation.result import finding, left_out, most_telling

CODE = "RUNNING"
TITLE = "Running balance below zero"
FAMILY = None
PARTITION = "lines"
MOVES_WITH_THE_DAY = True

FORMULA = "min over time of (receipts - dispatches); below 0 by more than 1.96 s"


NAMED = 6
"""The last movements before the low point, which the text names one by one."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that moved a balance: ``sign`` +1 came in, -1 went out, on ``day`` (None: before all others)."""

    id: int
    day: date | None
    sign: int
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Events:
    """What moved a balance, as columns in the order that counts (:func:`in_order`).

    ``days`` from 2000, ``NO_DAY`` before all others. ``mu``: chips. ``systematic``: sd that all figures of one ``house`` share
    (houses are numbered; -1: shared with nobody). ``random``: variance of their own. ``open``: came in as "at least".
    """

    ids: Array
    days: Array
    signs: Array
    mu: Array
    systematic: Array
    random: Array
    open: Array
    house: Array
    grades: Array

    def some(self, rows: Array | slice) -> Events:
        return Events(*(getattr(self, column.name)[rows] for column in fields(self)))


def in_order(events: Events) -> Events:
    """By day; on one day what came in before what went out; then by id."""
    return events.some(np.lexsort((events.ids, -events.signs, events.days)))


def as_columns(events: Sequence[Event]) -> Events:
    """Events as columns, in order."""
    rows = sorted(events, key=lambda one: one.id)
    houses = {"": -1}  # numbered as they come, by id
    numbers = [houses.setdefault(one.quantity.key, len(houses) - 1) for one in rows]
    return in_order(
        Events(
            ids=np.array([one.id for one in rows], np.int64),
            days=np.array([(one.day - EPOCH).days if one.day else NO_DAY for one in rows], np.int64),
            signs=np.array([one.sign for one in rows], np.int64),
            mu=np.array([one.quantity.mu for one in rows], float),
            systematic=np.array([one.quantity.ss for one in rows], float),
            random=np.array([one.quantity.sr**2 for one in rows], float),
            open=np.array([one.sign > 0 and one.quantity.bound == "lower" for one in rows], bool),
            house=np.array(numbers, np.int64),
            grades=np.array([one.quantity.grade for one in rows], "U1"),
        )
    )


@dataclass(frozen=True, slots=True)
class Low:
    """The lowest point of a balance, and what it holds at the end. ``taken``: events up to the point, with the part that each
    has in the variance."""

    balance: float
    sigma: float
    final: float
    taken: Events
    shares: Array

    @property
    def after(self) -> int:
        """Id of the event that brought the balance there."""
        return int(self.taken.ids[-1])

    @property
    def day(self) -> date | None:
        days = int(self.taken.days[-1])
        return None if days == NO_DAY else EPOCH + timedelta(days=days)

    @property
    def contributions(self) -> Array:
        """What each event adds to the gap."""
        return -self.taken.signs * self.taken.mu

    @property
    def is_impossible(self) -> bool:
        return self.balance < 0 and (
            self.sigma == 0 or self.balance / self.sigma <= -significance.Z_TWO_SIDED
        )

    def shown(self) -> list[int]:
        """Ids of the events that a finding names: those of its evidence, and the last ones."""
        return sorted(
            {*self.taken.ids[most_telling(self.contributions)[0]].tolist(), *self.taken.ids[-NAMED:].tolist()}
        )


def lowest(events: Events) -> Low | None:
    """The lowest point of the running balance, None without events.

    From a receipt of "at least" on, no low point is taken: more may have come in.
    """
    end = int(np.argmax(events.open)) if events.open.any() else len(events.ids)
    if not end:
        return None
    level = np.cumsum(events.signs * events.mu)  # one after the other, as a reader would add
    at = int(np.argmin(level[:end]))
    taken = events.some(slice(at + 1))
    variance, shares = _variance(taken)
    return Low(float(level[at]), math.sqrt(variance), float(level[-1]), taken, shares)


def impossible(events: Events) -> Low | None:
    """The lowest point, if it cannot be: of a place into which something came on record."""
    low = lowest(events) if (events.signs > 0).any() else None
    return low if low and low.is_impossible else None


def _variance(taken: Events) -> tuple[float, Array]:
    """``core.quantity.total`` over columns: the variance of the sum, and the part of each event in it."""
    signed = taken.signs * taken.systematic
    alone = taken.house < 0
    shared = np.bincount(np.where(alone, 0, taken.house), np.where(alone, 0.0, signed))[taken.house]
    parts = taken.random + np.where(alone, taken.systematic**2, signed * shared)
    variance = max(0.0, math.fsum(parts.tolist()))
    return variance, parts / variance if variance else np.zeros(len(parts))


# --- the check -------------------------------------------------------------------------------------------------------


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per place and scope whose balance falls below 0 beyond its error; sorted by area, then scope."""
    shelf = Shelf(books, parameters)
    rows = {row.ref.id: row for row in books.movements}
    found = []
    for area, scope in _chains(books):
        if low := impossible(as_columns(_events(area, scope, shelf))):
            found.append(explained(area, scope, low, rows, parameters))
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


def _events(area: Area, scope: Scope, shelf: Shelf) -> list[Event]:
    found = (_event(row, area, scope, shelf) for row in shelf.near(area))
    return [event for event in found if event]


def _event(row: MovementRow, area: Area, scope: Scope, shelf: Shelf) -> Event | None:
    amount = shelf.quantity(row)
    came = row.status in COUNTED and shelf.came_in(row, area) is not None
    if came and scopes.may_overlap(row.scope, scope, shelf.books.chips):
        if not isinstance(amount, Quantity):  # an unreadable receipt: as much as you like may have come in
            amount = Quantity(0.0, bound="lower")
        return Event(row.ref.id, receipt_days(row, shelf.parameters)[0], 1, amount)
    out = not came and shelf.went_out(row, area) and scopes.is_within(row.scope, scope)
    if not out or not isinstance(amount, Quantity) or amount.bound == "upper":
        return None
    return Event(row.ref.id, dispatch_days(row)[1] or shelf.books.as_of, -1, amount)


def explained(
    area: Area, scope: Scope, low: Low, rows: Mapping[int, NamedLine], parameters: Parameters
) -> Finding:
    """The finding on a balance that cannot be. ``rows``: movements by id, at least those that it shows (:meth:`Low.shown`)."""
    units, taken, contributions = -low.balance, low.taken, low.contributions
    h100e = scopes.h100e(units, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)

    def label(place: int) -> str:
        row = rows[int(taken.ids[place])]
        amount = quantity(row.reported, parameters)
        assert isinstance(amount, Quantity)  # what cannot be read comes in as "at least", and is not taken
        return movement_label(row, amount)

    kept, rest = most_telling(contributions)
    evidence = tuple(
        Evidence(
            rows[int(taken.ids[i])].ref, "receipt" if taken.signs[i] > 0 else "dispatch", label(i), float(contributions[i]),
            float(low.shares[i]),
        )
        for i in kept.tolist()
    )  # fmt: skip
    alike = [
        (grade, (taken.grades == grade) & (taken.signs == sign))
        for grade in np.unique(taken.grades).tolist()
        for sign in (1, -1)
    ]
    weakest = significance.weakest_of(
        (
            (grade, math.fsum(contributions[mine].tolist()), math.fsum(low.shares[mine].tolist()))
            for grade, mine in alike
            if grade and mine.any()
        ),
        units,
    )
    came = math.fsum(taken.mu[taken.signs > 0].tolist())
    last, day = rows[low.after], low.day.isoformat() if low.day else "the first day"
    named = [label(place) for place in range(max(0, len(taken.ids) - NAMED), len(taken.ids))]
    return finding(
        check=CODE, area=area.key, scope=scopes.key(scope), period="whole record", counterpart="running balance",
        verdict="impossible",
        headline=f"{area.name}: by {day} at least {explain.number(units)} {scope.name} left that never came in on record",
        expected=came, reported=came + units, gap=units, sigma=low.sigma, is_finding=True,
        statistic=significance.z_score(low.balance, low.sigma), threshold=-significance.Z_TWO_SIDED,
        gap_h100e=h100e[0] if h100e else None, sq=sq, severity=significance.severity(sq, weakest), strength="certain",
        weakest_grade=weakest, formula=FORMULA,
        sections=explain.sections(_story(area, scope, low, last, came, h100e, sq, day, named)), evidence=evidence,
        numbers={"min_balance": low.balance, "on": day, "after": last.reference, "final": low.final,
                 **left_out(contributions[rest], low.shares[rest])},
    )  # fmt: skip


def _story(
    area: Area,
    scope: Scope,
    low: Low,
    last: NamedLine,
    came: float,
    h100e: tuple[float, float] | None,
    sq: float | None,
    day: str,
    named: Sequence[str],
) -> explain.Story:
    receipts = int(np.count_nonzero(low.taken.signs > 0))
    dispatches = len(low.taken.ids) - receipts
    return explain.Story(
        compared=f"Recorded receipts and dispatches of {scope.name} at {area.name}, in order, up to {day}.",
        sides=(
            f"Receipts: {explain.chips(came)} in {explain.counted(receipts, 'movement')}.",
            f"Dispatches: {explain.chips(came - low.balance)} in {explain.counted(dispatches, 'movement')}, "
            f"the last of them {last.reference}.",
            *(f"{words}." for words in named),
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


def running_case(row: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    """One test of a worked case: the movements that touch ``node``, each an exact count. A receipt of no known day came in when
    goods usually do after they left."""
    events = []
    names = sorted(str(one["id"]) for one in row["movements"])
    for one in row["movements"]:
        amount, number = Quantity(float(one["q"])), names.index(str(one["id"]))
        came, went = one.get("to") == row["node"], one.get("from") == row["node"]
        if came and not went and (one.get("received") or one.get("shipped")):
            usual = timedelta(days=int(row.get("lead_time_days", parameters.lead_time_days)))
            day = case_date(one["received"]) if one.get("received") else case_date(one["shipped"]) + usual
            events.append(Event(number, day, 1, amount))
        if went and not came:
            events.append(Event(number, case_date(one["shipped"]), -1, amount))
    low = lowest(as_columns(events))
    if low is None:
        return {"verdict": "possible", "final": 0.0}
    found: dict[str, Any] = {
        "min_balance": low.balance, "on": low.day.isoformat() if low.day else None, "after": names[low.after],
        "final": low.final, "verdict": "impossible" if low.is_impossible else "possible",
        "missing_at_least": max(0.0, -low.balance),
    }  # fmt: skip
    return found
