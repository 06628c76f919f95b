"""What the ledger holds of one area and scope, read twice: as much as it may hold, and as much as it surely holds.

A claim above the book is held against the first reading, a claim below it against the second, so that every doubt (a vague day,
a family name, a consignee who may have passed goods on) counts for the claim. Only movements reported, in transit or received
enter a book; what was seized leaves the book of whoever sent it; returned and cancelled lines are no movements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from math import sqrt
from typing import Protocol

from tracker.claims.combine import measure, quantity
from tracker.core.countries import COUNTRIES
from tracker.core.quantity import EQUIVALENTS, NotComparable, Quantity, Total, scaled, total
from tracker.reconciliation import scopes
from tracker.reconciliation.bias import key_of_line
from tracker.reconciliation.books import (
    Books,
    BundleRow,
    ClaimRow,
    LicenceRow,
    MovementRow,
    NamedLine,
    Parameters,
    Scope,
)
from tracker.reconciliation.explain import chips, cited, counted, figure, when

COUNTED = ("reported", "in transit", "received")
GONE = (*COUNTED, "seized")
STOCK_STATUSES = ("installed", "operational")
"""Standing of claims that count what is there, as against what came or went."""
RECEIVER_IS_SUBJECT = ("purchase", "installed", "inventory", "planned", "order", "licence")
SELLER_IS_SUBJECT = ("sale", "shipment")


@dataclass(frozen=True, slots=True)
class Area:
    """A balance area: a site with its parts, an organization, or a country (by place, not by headquarters)."""

    kind: str  # site | org | country
    id: int | str
    slug: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.slug}"


class Placed(Protocol):
    """What a claim says of where its chips are."""

    @property
    def kind(self) -> str: ...
    @property
    def subject_id(self) -> int | None: ...
    @property
    def counterparty_id(self) -> int | None: ...
    @property
    def site_id(self) -> int | None: ...
    @property
    def destination_country(self) -> str: ...
    @property
    def scope(self) -> Scope | None: ...


def area_of(claim: Placed, books: Books) -> Area | None:
    """Where a claim's chips are said to be: its site, else whoever received them, else the destination country.

    Groups of unnamed buyers are no place; their claims are about the country. None: the claim names no place at all.
    """
    if claim.site_id is not None and (site := books.sites.get(claim.site_id)):
        return Area("site", claim.site_id, site.slug, site.name)
    holder = books.organizations.get(_receiver_id(claim, books) or 0)
    if holder and not holder.is_aggregate:
        return Area("org", holder.ref.id, holder.slug, holder.name)
    country = claim.destination_country
    return Area("country", country, country, COUNTRIES.get(country, country)) if country else None


def seller_of(claim: ClaimRow, books: Books) -> int | None:
    """The organization that the claim says sent the chips, if it is one organization."""
    if claim.kind not in SELLER_IS_SUBJECT:
        return None
    seller = claim.counterparty_id if _receiver_id(claim, books) == claim.subject_id else claim.subject_id
    row = books.organizations.get(seller or 0)
    return seller if row and not row.is_aggregate else None


def _receiver_id(claim: Placed, books: Books) -> int | None:
    """The subject of a purchase or holding; the counterparty of a sale. A shipment's vendor is never its receiver."""
    if claim.kind not in SELLER_IS_SUBJECT:
        return claim.subject_id
    counterparty = books.organizations.get(claim.counterparty_id or 0)
    vendors = scopes.vendors(claim.scope, books.chips) if claim.scope else frozenset()
    if claim.kind == "shipment" and counterparty and counterparty.slug in vendors:
        return claim.subject_id
    return claim.counterparty_id


def counts_from_the_first(claim: ClaimRow, books: Books) -> bool:
    """Whether a figure counts all chips of its kind up to its last day: a running total, or a period that begins no later than
    the first of them was shipped."""
    if claim.period.last is None or claim.scope is None:
        return False
    if not claim.is_flow or claim.period.start is None:
        return True
    members = scopes.member_rows(claim.scope, books.chips) or []
    first = [member.first_shipped_on for member in members]
    return bool(first) and all(day is not None and claim.period.start <= day for day in first)


# --- days ------------------------------------------------------------------------------------------------------------

DayRange = tuple[date | None, date | None]
"""First and last possible day; None: not known."""


def dispatch_days(movement: MovementRow) -> DayRange:
    return (movement.shipped.start, movement.shipped.last) if movement.shipped else (None, None)


def receipt_days(movement: MovementRow, parameters: Parameters) -> DayRange:
    """Days on which the goods may have come in. A presumed day is no report: from the day of shipping to twice the lead time;
    what is in transit may arrive on any later day."""
    first, last = dispatch_days(movement)
    if movement.received and not movement.received_presumed:
        return movement.received.start, movement.received.last
    if movement.status == "in transit" or last is None:
        return first, None
    return first, last + timedelta(days=2 * parameters.lead_time_days)


@dataclass(frozen=True, slots=True)
class Window:
    """The days a claim speaks of. A stock as of a vague date meets the book of every day in it; a flow those days only."""

    first: date
    last: date
    is_flow: bool

    def may_hold(self, days: DayRange) -> bool:
        if days[0] and days[0] > self.last:
            return False
        return not (self.is_flow and days[1] and days[1] < self.first)

    def surely_holds(self, days: DayRange) -> bool:
        if not self.is_flow:
            return days[1] is not None and days[1] <= self.first
        return days[0] is not None and days[1] is not None and self.first <= days[0] and days[1] <= self.last


def window_of(claim: ClaimRow) -> Window | None:
    """The days of a claim; None if it names none (an open flow has no days that could be compared)."""
    first, last = claim.period.start, claim.period.last
    if last is None or (claim.is_flow and first is None):
        return None
    return Window(first or last, last, claim.is_flow)


# --- books -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A movement in a book: ``sign`` +1 came in, -1 went out; ``sure``: within area, scope and days without doubt.

    ``worth``: least and most that one chip of it counts in the measure of the book."""

    movement: MovementRow
    quantity: Quantity
    sign: int
    sure: bool
    worth: tuple[float, float] = (1.0, 1.0)

    def counted(self, *, most: bool) -> Line:
        """The line in the measure of the book, with what its chips may count at most, or at least."""
        factor = self.worth[most]
        if factor == 1.0:
            return self
        return replace(self, quantity=scaled(self.quantity, factor), worth=(1.0, 1.0))

    @property
    def lines(self) -> int:
        """How many lines of the ledger it stands for."""
        return self.movement.lines if isinstance(self.movement, BundleRow) else 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """A movement of an area's book before a claim's days are asked: ``sure`` of place and scope."""

    movement: MovementRow
    quantity: Quantity | NotComparable
    sign: int
    sure: bool
    days: DayRange


@dataclass(frozen=True)
class Position:
    """The lines of one area, scope and window, sorted by movement id. ``not_countable``: what came in, and ``not_countable_out``
    what went out, without telling how much in the measure of the book."""

    lines: tuple[Line, ...]
    not_countable: tuple[MovementRow, ...]
    not_countable_out: tuple[MovementRow, ...] = ()

    @cached_property
    def larger_lines(self) -> tuple[Line, ...]:
        """All that may have come in, less only what surely went out."""
        return tuple(
            line.counted(most=line.sign > 0)
            for line in self.lines
            if line.sign > 0 or (line.sure and line.quantity.bound != "upper")
        )

    @cached_property
    def sure_lines(self) -> tuple[Line, ...]:
        """Only what surely came in, less all that may have gone out."""
        return tuple(
            line.counted(most=line.sign < 0)
            for line in self.lines
            if line.sign < 0 or (line.sure and line.quantity.bound != "upper")
        )

    @cached_property
    def larger(self) -> Total:
        return _book(self.larger_lines)

    @cached_property
    def sure(self) -> Total:
        return _book(self.sure_lines)

    @property
    def at_least(self) -> bool:
        """Whether more may have come in than the larger book says: something did so "at least", or cannot be counted."""
        return bool(self.not_countable) or any(
            line.sign > 0 and line.quantity.bound == "lower" for line in self.lines
        )

    @property
    def at_least_went_out(self) -> bool:
        """Whether more may have gone out than the sure book says: something did so "at least", or cannot be counted."""
        return bool(self.not_countable_out) or any(
            line.sign < 0 and line.quantity.bound == "lower" for line in self.lines
        )

    @property
    def differs(self) -> bool:
        return self.larger.mu != self.sure.mu


def _book(lines: Iterable[Line]) -> Total:
    """A book below 0 is one whose receipts nobody recorded: it explains nothing, and is 0 (RUNNING says so)."""
    found = total([(line.sign, line.quantity) for line in lines])
    return found if found.mu >= 0 else Total(0.0, found.variance, found.shares)


def own_part(line: Line, part: float, parameters: Parameters) -> float | None:
    """Of the variance ``part`` that a bundle bears in some difference, what its largest line bears alone; None of a single line.

    What the bundle's house errs alike in the whole difference is what is left of its part beyond its own variance.
    """
    bundle = line.movement
    if not isinstance(bundle, BundleRow) or bundle.lines == 1:
        return None
    largest = quantity(bundle.largest.reported, parameters)
    assert isinstance(largest, Quantity)  # a bundle that cannot be counted is no line of a book
    worth = line.quantity.mu / bundle.chips if bundle.chips else 1.0
    alike = (part - line.quantity.sr**2) / line.quantity.ss if line.quantity.ss else 0.0
    return (worth * largest.sr) ** 2 + worth * largest.ss * alike


def scopes_of(lines: Iterable[Line]) -> dict[Scope, None]:
    """What lines count, each scope once."""
    return dict.fromkeys(line.movement.scope for line in lines)


class Shelf:
    """The movements of the books by the places they touch, so that a claim looks only at those near it."""

    def __init__(self, books: Books, parameters: Parameters) -> None:
        self.books, self.parameters = books, parameters
        self._near: dict[tuple[str, int | str], list[MovementRow]] = defaultdict(list)
        for movement in sorted(books.movements, key=lambda row: row.ref.id):
            if movement.status in GONE:
                for place in self._places(movement):
                    self._near[place].append(movement)
        self._quantities: dict[int, Quantity | NotComparable] = {}
        self._rows: dict[str, list[MovementRow]] = {}
        self._books: dict[tuple[str, str], list[_Entry]] = {}
        self._labels: dict[int, str] = {}

    def _places(self, m: MovementRow) -> set[tuple[str, int | str]]:
        places: set[tuple[str, int | str]] = {
            ("org", org) for org in (m.shipper_id, m.consignee_id, m.end_user_id) if org is not None
        }
        for site_id in (m.origin_site_id, m.destination_site_id):
            if site_id is not None:
                places.add(("site", site_id))
                if (site := self.books.sites.get(site_id)) and site.operator_id is not None:
                    places.add(("org", site.operator_id))
        return places | {("country", place) for place in (self.origin(m), self.destination(m)) if place}

    def origin(self, m: MovementRow) -> str:
        site = self.books.sites.get(m.origin_site_id or 0)
        return m.origin_country or (site.country if site else "")

    def destination(self, m: MovementRow) -> str:
        site = self.books.sites.get(m.destination_site_id or 0)
        return m.destination_country or (site.country if site else "")

    def quantity(self, movement: MovementRow) -> Quantity | NotComparable:
        if movement.ref.id not in self._quantities:
            read = quantity(movement.reported, self.parameters, key_of_line(movement, self.parameters))
            if isinstance(movement, BundleRow) and isinstance(read, Quantity):
                read = replace(read, mu=movement.chips, ss=movement.systematic, sr=sqrt(movement.random))
            self._quantities[movement.ref.id] = read
        return self._quantities[movement.ref.id]

    def near(self, area: Area) -> list[MovementRow]:
        """Movements that touch the area, each once, by id."""
        if area.key in self._rows:
            return self._rows[area.key]
        keys: list[tuple[str, int | str]] = [(area.kind, area.id)]
        if area.kind == "site" and (site := self.books.sites.get(int(area.id))):
            keys += [("site", part) for part in sorted(site.parts)]
            keys += [("org", site.operator_id)] if site.operator_id is not None else []
        rows = {row.ref.id: row for key in keys for row in self._near.get(key, [])}
        self._rows[area.key] = [rows[pk] for pk in sorted(rows)]
        return self._rows[area.key]

    # --- in and out: None no, False possibly, True surely -----------------------------------------------------------

    def came_in(self, m: MovementRow, area: Area) -> bool | None:
        if area.kind == "country":
            return True if self.destination(m) == area.id != self.origin(m) else None
        if area.kind == "site":
            return self._into_site(m, int(area.id))
        if m.shipper_id == area.id:
            return None
        if m.end_user_id == area.id or (m.consignee_id == area.id and m.end_user_id is None):
            return True
        site = self.books.sites.get(m.destination_site_id or 0)
        return False if m.consignee_id == area.id or (site and site.operator_id == area.id) else None

    def _into_site(self, m: MovementRow, site_id: int) -> bool | None:
        site = self.books.sites[site_id]
        inside = {site_id, *site.parts}
        if m.destination_site_id in inside:
            return None if m.origin_site_id in inside else True
        at_operator = site.operator_id is not None and site.operator_id in (m.consignee_id, m.end_user_id)
        here = self.destination(m) in ("", site.country)
        return False if m.destination_site_id is None and at_operator and here else None

    def went_out(self, m: MovementRow, area: Area) -> bool | None:
        if area.kind == "country":
            return True if self.origin(m) == area.id != self.destination(m) else None
        if area.kind == "site":
            site = self.books.sites[int(area.id)]
            inside = {site.ref.id, *site.parts}
            if m.origin_site_id in inside:
                return None if m.destination_site_id in inside else True
            return (
                False if m.origin_site_id is None and m.shipper_id == site.operator_id is not None else None
            )
        own = area.id in (m.consignee_id, m.end_user_id)
        return True if m.shipper_id == area.id and not own else None

    # --- a claim's position -------------------------------------------------------------------------------------------

    def position(
        self,
        area: Area,
        scope: Scope,
        window: Window,
        *,
        shipped: bool,
        seller: int | None = None,
        measure: str = "chips",
    ) -> Position:
        """The book that a claim meets. ``shipped``: the claim is about leaving, so either day of a movement may count.

        A flow meets receipts only; a stock meets receipts less dispatches. With ``seller``, what others sent is only possible.
        In H100-equivalents the larger book takes what came in under a family's name for its strongest chip and what went out for
        its weakest, the sure book the other way round.
        """
        lines: list[Line] = []
        not_countable: dict[bool, list[MovementRow]] = {True: [], False: []}
        for entry in self._entries(area, scope):
            came_in = entry.sign > 0
            if window.is_flow and not came_in:
                continue
            days = (entry.days, dispatch_days(entry.movement)) if shipped and came_in else (entry.days,)
            if not any(window.may_hold(one) for one in days):
                continue
            worth = self._worth(entry.movement, scope, measure)
            if worth and isinstance(entry.quantity, Quantity):
                sure = entry.sure and all(window.surely_holds(one) for one in days)
                sure = sure and seller in (None, entry.movement.shipper_id)
                lines.append(Line(entry.movement, entry.quantity, entry.sign, sure, worth))
            else:
                not_countable[came_in].append(entry.movement)
        return Position(tuple(lines), tuple(not_countable[True]), tuple(not_countable[False]))

    def _worth(self, movement: MovementRow, scope: Scope, measure: str) -> tuple[float, float] | None:
        return scopes.worth(movement.scope, scope, self.books.chips) if measure == EQUIVALENTS else (1.0, 1.0)

    def _entries(self, area: Area, scope: Scope) -> list[_Entry]:
        """What may have come into or gone out of an area's book of a scope on any day, by movement id."""
        key = area.key, scopes.key(scope)
        if key not in self._books:
            found = (self._entry(movement, area, scope) for movement in self.near(area))
            self._books[key] = [entry for entry in found if entry]
        return self._books[key]

    def _entry(self, m: MovementRow, area: Area, scope: Scope) -> _Entry | None:
        if not scopes.may_overlap(m.scope, scope, self.books.chips):
            return None
        came = self.came_in(m, area) if m.status in COUNTED else None
        left = self.went_out(m, area) if came is None else None
        if came is None and left is None:
            return None
        within = scopes.is_within(m.scope, scope)
        if came is not None:
            return _Entry(m, self.quantity(m), 1, came and within, receipt_days(m, self.parameters))
        return _Entry(m, self.quantity(m), -1, bool(left) and within, dispatch_days(m))

    def label(self, line: Line) -> str:
        """:func:`movement_label`, made once for each movement; of a bundle its largest line's, with what stands behind it."""
        movement, pk = line.movement, line.movement.ref.id
        if pk not in self._labels:
            self._labels[pk] = (
                self._bundle_label(movement)
                if isinstance(movement, BundleRow)
                else movement_label(movement, line.quantity)
            )
        return self._labels[pk]

    def _bundle_label(self, bundle: BundleRow) -> str:
        read = quantity(bundle.largest.reported, self.parameters)
        assert isinstance(read, Quantity)  # a bundle that cannot be counted is no line of a book
        label = movement_label(bundle.largest, read)
        if bundle.lines == 1:
            return label
        further = counted(bundle.lines - 1, "further line")
        return f"{label}; the largest of its kind, with {further} {chips(bundle.chips)} in all"


# --- licences --------------------------------------------------------------------------------------------------------


def licences_for(area: Area, scope: Scope, window: Window, books: Books) -> list[LicenceRow]:
    """Licence items that may cover chips of the scope going to the area by the last day of the window, by id."""
    site = books.sites.get(int(area.id)) if area.kind == "site" else None
    party = area.id if area.kind == "org" else site.operator_id if site else None
    holder = books.organizations.get(int(party)) if party is not None else None
    places: set[int | str] = {row.country for row in (site, holder) if row}
    places = {area.id} if area.kind == "country" else places
    return [
        item
        for item in sorted(books.licences, key=lambda row: row.ref.id)
        if (item.scope is None or scopes.may_overlap(item.scope, scope, books.chips))
        and (item.valid.start is None or item.valid.start <= window.last)
        and _is_for(item, area, party, places)
    ]


def _is_for(item: LicenceRow, area: Area, party: int | str | None, places: set[int | str]) -> bool:
    """A licence names a party or it is for everybody in its country; a country's book holds all that went there."""
    named = {item.consignee_id, item.end_user_id} - {None}
    if area.kind == "country" or not named:
        return item.country in places if item.country else not named
    return party in named


def movement_label(movement: NamedLine, amount: Quantity) -> str:
    shipped = f"shipped {when(movement.shipped)}" if movement.shipped else "date not known"
    return f"{movement.reference}: {figure(amount)} of {movement.scope.name}, {shipped}; {cited(movement.source, amount.grade)}"


def claim_label(claim: ClaimRow, amount: Quantity) -> str:
    scope = f" of {claim.scope.name}" if claim.scope else ""
    said = f"{figure(amount, measure(claim.reported))}{scope}"
    return f"{claim.slug}: {said}, {claim.status}, {when(claim.period)}; {cited(claim.source, amount.grade)}"
