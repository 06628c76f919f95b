"""The ledger as a network: what went into and out of the areas whose book somebody declared whole, and what is said to be there.

A flow is a sum of lines of one route, kind of chip, house and stretch of days. A declaration gives one balance for each chip and
each stretch between the days on which that area's stock is claimed: what was there, with what came in, less what went out, is
there. Other places are held to nothing, so flows that touch no declared area do not come in here at all.

A family is a report of its members' sum, one unknown flow for each. A line whose day may lie on either side of a count gives that
balance a flow of its own that nobody reports, and with it no power.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import sqrt

from tracker.chips.specs import h100_equivalents
from tracker.claims.combine import measure
from tracker.core.countries import COUNTRIES
from tracker.core.period import DAY, Period
from tracker.core.quantity import EQUIVALENTS, Quantity
from tracker.reconciliation import explain, scopes
from tracker.reconciliation.bias import as_counted, dated, ends_of_eras
from tracker.reconciliation.books import (
    Books,
    ClaimRow,
    ClosedBookRow,
    Evidence,
    FlowRow,
    OrganizationRow,
    Parameters,
    Scope,
    SiteRow,
    unread,
)
from tracker.reconciliation.echoes import echo_groups
from tracker.reconciliation.network import Balance, Network, Report, merged
from tracker.reconciliation.position import area_of, claim_label

USE = "network"
"""``FlowRow.use`` of the sums that are read here."""
STOCKS = ("installed", "operational")
ON_THE_SHELF = "stocked"
LARGEST = 5000
"""Balances that one network may have before sites are merged into organizations, then organizations into countries."""
OTHER = 0
"""Stands for every chip that no flow or claim names by itself."""
PRODUCTION, RETIRED, SEIZED, STOCK, UNKNOWN = "PRODUCTION", "RETIRED", "SEIZED", "STOCK", "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Entry:
    """One flow, stock or output as a reader sees it: what is reported of it, and which unknown flows it is the sum of."""

    id: str
    kind: str  # flow | stock | production
    from_node: str
    to_node: str
    scope: Scope
    label: str
    terms: Mapping[str, float]
    key: str  # a name that the next run gives it again
    area: str = ""  # a declared area that it belongs to
    amount: Quantity | None = None  # None: nobody reports it as a figure
    limit: Quantity | None = None  # a one-sided figure
    evidence: tuple[Evidence, ...] = ()
    unit: str = "chips"  # of the figure


@dataclass(frozen=True, slots=True)
class Place:
    """What one balance is about."""

    area: str
    name: str
    scope: Scope
    days: Period
    key: str
    declared: tuple[ClosedBookRow, ...]


@dataclass(frozen=True, slots=True)
class LedgerNetwork:
    """``entries`` by report or flow; ``bounds``: one-sided figures; ``places`` by balance; ``notes``: what was merged."""

    network: Network
    entries: Mapping[str, Entry]
    places: Mapping[str, Place]
    bounds: tuple[Report, ...] = ()
    notes: tuple[str, ...] = ()


def cut_days(
    closed: Iterable[ClosedBookRow], claims: Iterable[ClaimRow], as_of: date, bias_key_months: int
) -> list[date]:
    """The days at whose end the ledger is cut: those of claims, ends of declarations and of what a house errs alike, and the day
    of the run."""
    days = {as_of, *ends_of_eras(as_of, bias_key_months)}
    for row in closed:
        days |= {day - DAY for day in (row.valid.start, row.valid.end) if day}
    for claim in claims:
        days |= {claim.period.last} if claim.period.last else set()
        days |= {claim.period.start - DAY} if claim.is_flow and claim.period.start else set()
    return sorted(day for day in days if day <= as_of)


def ledger_network(books: Books, parameters: Parameters) -> LedgerNetwork:
    """All declared areas of the books as one network; its parts are those of ``network.components``."""
    return _Builder(books, parameters).built()


@dataclass(slots=True)
class _End:
    """Flows that come into or leave an area: the entry, +1 or -1, and the days on which they may have done so."""

    entry: Entry
    sign: float
    days: Period | None


@dataclass(slots=True)
class _Builder:
    books: Books
    parameters: Parameters
    flows: dict[str, None] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    bounds: list[Report] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    chips: dict[int, Scope] = field(default_factory=dict)
    vendors: dict[int, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    routes: Counter[str] = field(default_factory=Counter)

    def built(self) -> LedgerNetwork:
        declared = self._declared()
        rows = sorted((row for row in self.books.flows if row.use == USE), key=_order)
        claims = [
            pair[0] for pair in echo_groups((row for row in self.books.claims if row.scope), self.parameters)
        ]
        self._name_chips([row.scope for row in rows] + [claim.scope for claim in claims if claim.scope])
        ends: dict[str, list[_End]] = defaultdict(list)
        for row in rows:
            self._flow(row, set(declared), ends)
        stocks = self._stocks(claims, set(declared))
        for area, declarations in declared.items():
            for declaration in declarations:
                self._balance(area, declaration, ends[area], stocks[area])
        for area in declared:
            for claim in stocks[area]:
                self._stock(area, claim)
        for claim in claims:
            self._output(claim, ends)
        used = {flow for row in self.balances for flow in row.terms}
        return self._kept(used)

    # --- chips and areas ------------------------------------------------------------------------------------------------

    def _name_chips(self, named: Iterable[Scope]) -> None:
        """The chips that are told apart: those named, and those of families whose members are known."""
        unspecified = False
        for scope in sorted(set(named), key=lambda scope: (scope.kind, scope.id)):
            unspecified |= not scope.members
            for member in sorted(scope.members):
                row = self.books.chips.get(member)
                value = h100_equivalents(row.tpp) if row and row.tpp else None
                slug, name = (row.slug, row.name) if row else (str(member), "a chip")
                alone = Scope(
                    "chip", member, slug, name, frozenset({member}), value, value, row.ref if row else None
                )
                self.chips.setdefault(member, scope if scope.kind == "chip" else alone)
                self.vendors[member] = row.vendor if row else scope.vendor
        if unspecified:
            self.chips[OTHER] = Scope(
                "chip", OTHER, "other", "chips not named by model", frozenset(), None, None
            )

    def _members(self, scope: Scope) -> list[int]:
        """Chips that a scope may count; of a family without known members, any of its vendor."""
        if scope.members:
            return sorted(scope.members)
        meant = scopes.vendors(scope, self.books.chips)
        return sorted(pk for pk in self.chips if pk == OTHER or not meant or self.vendors.get(pk) in meant)

    def _declared(self) -> dict[str, list[ClosedBookRow]]:
        found: dict[str, list[ClosedBookRow]] = defaultdict(list)
        for row in sorted(self.books.closed, key=lambda row: row.ref.id):
            site, organization = (
                self.books.sites.get(row.site_id or 0),
                self.books.organizations.get(row.organization_id or 0),
            )
            area = (
                f"site:{site.slug}" if site
                else f"org:{organization.slug}" if organization
                else f"country:{row.country}" if row.country else ""
            )  # fmt: skip
            if area:
                found[area].append(row)
        return dict(sorted(found.items()))

    def _name(self, area: str) -> str:
        kind, slug = area.split(":", 1)
        if not self.names:
            self.names |= {f"site:{row.slug}": row.name for row in self.books.sites.values()}
            self.names |= {f"org:{row.slug}": row.name for row in self.books.organizations.values()}
        return COUNTRIES.get(slug, slug) if kind == "country" else self.names.get(area, slug)

    def _ends_of(self, row: FlowRow) -> tuple[frozenset[str], frozenset[str], str, str]:
        """Areas at the origin and at the destination, and the finest name of each end."""
        sites, organizations = self.books.sites, self.books.organizations
        origin = areas(row.origin_site_id, row.shipper_id, row.origin, sites, organizations)
        target = areas(row.destination_site_id, row.consignee_id, row.destination, sites, organizations)
        nodes = [_finest(origin), _finest(target)]
        if row.kind == "production":
            origin, nodes[0] = frozenset(), PRODUCTION
        if row.kind in ("retirement", "seized"):
            target, nodes[1] = frozenset(), RETIRED if row.kind == "retirement" else SEIZED
        return origin, target, nodes[0], nodes[1]

    # --- flows ----------------------------------------------------------------------------------------------------------

    def _flow(self, row: FlowRow, declared: set[str], ends: dict[str, list[_End]]) -> None:
        origin, target, left, arrived = self._ends_of(row)
        touched = sorted((origin ^ target) & declared)
        if not touched:
            return
        route = f"{left} > {arrived}, {scopes.key(row.scope)}, {row.house}"
        self.routes[route] += 1  # sums of one route differ in days, countries or parties
        name = f"{route}, {self.routes[route]}"
        since = next((days.start for days in (row.received, row.shipped) if days and days.start), None)
        again = f", {self.routes[route]}" if self.routes[route] > 1 else ""
        is_figure = not (row.at_least or row.uncounted)
        key = dated(row.house, _last_day(row.shipped or row.received), self.parameters.bias_key_months)
        amount = Quantity(row.chips, ss=row.systematic, sr=sqrt(row.random), key=key, grade=row.grade)
        told = explain.counted(row.lines or row.uncounted, "shipment line") + (
            f", told by {row.house}" if row.house else ""
        )
        entry = Entry(
            id=name,
            kind="production" if left == PRODUCTION else "flow",
            from_node=left,
            to_node=arrived,
            scope=row.scope,
            label=f"{row.scope.name} from {self._node(left)} to {self._node(arrived)} ({told})",
            terms=self._terms(name, row.scope),
            key=f"{left} > {arrived}, {row.house}, from {since or 'the start'}{again}",
            area=touched[0],
            amount=amount if is_figure else None,
            limit=None if is_figure else replace(amount, bound="lower"),
            evidence=tuple(unread(pk, "report") for pk in row.examples),
        )
        self.entries[name] = entry
        report = Report(name, entry.terms, amount)
        if is_figure:
            self.reports.append(report)
        elif row.chips:
            self.bounds.append(replace(report, amount=replace(amount, bound="lower")))
        for area in sorted(target - origin & declared):
            ends[area].append(_End(entry, 1.0, row.received))
        for area in sorted(origin - target & declared):
            ends[area].append(_End(entry, -1.0, row.shipped))

    def _terms(self, name: str, scope: Scope) -> dict[str, float]:
        if scope.kind == "chip":
            return {self._new(name): 1.0}
        return {self._new(_of(name, member)): 1.0 for member in self._members(scope)}

    def _new(self, flow: str) -> str:
        self.flows[flow] = None
        return flow

    def _node(self, node: str) -> str:
        return self._name(node) if ":" in node else node.lower()

    # --- stocks ---------------------------------------------------------------------------------------------------------

    def _stocks(self, claims: Sequence[ClaimRow], declared: set[str]) -> dict[str, list[ClaimRow]]:
        """Claims of what is there, by area. Where what is installed is claimed, what lies on the shelf is only a part."""
        found: dict[str, list[ClaimRow]] = defaultdict(list)
        shelf: dict[str, list[ClaimRow]] = defaultdict(list)
        for claim in claims:
            area = area_of(claim, self.books)
            day = claim.period.last
            if (
                area is None
                or area.key not in declared
                or claim.is_flow
                or day is None
                or day > self.books.as_of
            ):
                continue
            if claim.status in STOCKS:
                found[area.key].append(claim)
            elif claim.status == ON_THE_SHELF:
                shelf[area.key].append(claim)
        for area_key, rows in shelf.items():
            found[area_key] = found[area_key] or rows
        return found

    def _balance(
        self, area: str, declaration: ClosedBookRow, ends: Sequence[_End], claims: Sequence[ClaimRow]
    ) -> None:
        """The chain of one declaration: for each chip what was there, came in, went out and is there."""
        first = declaration.valid.start - DAY if declaration.valid.start else None
        last = min(declaration.valid.last or date.max, self.books.as_of)
        if first and first >= last:
            return
        counted: dict[int, set[date]] = defaultdict(set)
        for claim in claims:
            for chip in self._members(claim.scope) if claim.scope else ():
                counted[chip].add(claim.period.last or last)
        moved: dict[int, list[tuple[_End, str]]] = defaultdict(list)
        for end in ends:
            for chip in self._members(end.entry.scope):
                flow = end.entry.id if end.entry.scope.kind == "chip" else _of(end.entry.id, chip)
                moved[chip].append((end, flow))
        covered = set(self._members(declaration.scope)) if declaration.scope else set(self.chips)
        for chip in sorted((set(moved) | set(counted)) & covered):
            days = sorted(day for day in counted[chip] if day < last and (first is None or day > first))
            opening = first
            for closing in (*days, last):
                self._link(area, declaration, chip, opening, closing, moved[chip])
                opening = closing

    def _link(
        self,
        area: str,
        declaration: ClosedBookRow,
        chip: int,
        opening: date | None,
        closing: date,
        moved: Sequence[tuple[_End, str]],
    ) -> None:
        scope = self.chips[chip]
        name = f"{area} {scope.slug} {opening + DAY if opening else 'start'}..{closing} {declaration.slug}"
        terms: dict[str, float] = {self._held(area, chip, closing): -1.0}
        if opening:
            terms[self._held(area, chip, opening)] = 1.0
        for end, flow in moved:
            inside = _within(end.days, opening, closing, self.books.as_of)
            if inside:
                terms[flow] = end.sign
            elif inside is None:
                terms[self._new(f"of a day not known, {name}")] = 1.0
        self.balances.append(Balance(name, terms))
        days = Period.inclusive(opening + DAY if opening else None, closing)
        key = f"{declaration.slug} from {days.start or 'the start'}"
        self.places[name] = Place(area, self._name(area), scope, days, key, (declaration,))

    def _held(self, area: str, chip: int, day: date) -> str:
        """The unknown stock of one chip in an area at the end of a day."""
        scope = self.chips[chip]
        name = f"{area} > {STOCK}, chip:{scope.slug}, {day}"
        if name not in self.entries:
            label = f"{scope.name} at {self._name(area)} on {day}"
            terms = {self._new(name): 1.0}
            self.entries[name] = Entry(name, "stock", area, STOCK, scope, label, terms, name, area)
        return name

    def _stock(self, area: str, claim: ClaimRow) -> None:
        """A claim of stock as a report of the stocks it counts, if the area's chains stop on its day."""
        day = claim.period.last
        if claim.scope is None or day is None:
            return
        held = [
            f"{area} > {STOCK}, chip:{self.chips[chip].slug}, {day}" for chip in self._members(claim.scope)
        ]
        if any(name not in self.entries for name in held):
            return
        chips = dict(zip(held, self._members(claim.scope), strict=True))
        self._claimed(claim, "stock", area, STOCK, area, chips)

    def _output(self, claim: ClaimRow, ends: Mapping[str, Sequence[_End]]) -> None:
        """A claim of all output up to a day as a report of the recorded production until then."""
        area, day = area_of(claim, self.books), claim.period.last
        if claim.status != "produced" or claim.scope is None or area is None or day is None:
            return
        made = [end for end in ends.get(area.key, ()) if end.entry.kind == "production" and end.sign > 0]
        since = claim.period.start - DAY if claim.is_flow and claim.period.start else None
        wanted, flows = set(self._members(claim.scope)), dict[str, int]()
        for end in made:
            members = self._members(end.entry.scope)
            inside = _within(end.days, since, day, self.books.as_of)
            if inside is False or not wanted & set(members):
                continue
            if inside is None or not set(members) <= wanted:
                return  # of some lines it cannot be told whether the claim counts them
            flows |= dict(zip(end.entry.terms, members, strict=True))
        if flows:
            self._claimed(claim, "production", PRODUCTION, area.key, area.key, flows)

    def _claimed(
        self, claim: ClaimRow, kind: str, from_node: str, to_node: str, area: str, flows: Mapping[str, int]
    ) -> None:
        """A claim as a report of a sum of flows, each of one chip: of their chips, or of their H100-equivalents."""
        amount, unit = as_counted(claim, self.parameters), measure(claim.reported)
        weights = {
            chip: self.chips[chip].h100e_low if unit == EQUIVALENTS else 1.0 for chip in flows.values()
        }
        terms = {flow: weight for flow, chip in flows.items() if (weight := weights[chip])}
        if not isinstance(amount, Quantity) or claim.scope is None or len(terms) < len(flows):
            return  # no number, or of a chip whose performance is not known
        scope = scopes.measured(claim.scope, unit)
        name = f"claim {claim.slug}"
        who = claim.source.publisher or claim.source.slug
        label = (
            f"{scope.name}, {claim.status}, {explain.when(claim.period)} (the claim {claim.slug} of {who})"
        )
        proof = Evidence(claim.ref, "claim", claim_label(claim, amount))
        figure, limit = (None, amount) if amount.bound else (amount, None)
        self.entries[name] = Entry(
            name,
            kind,
            from_node,
            to_node,
            scope,
            label,
            terms,
            claim.slug,
            area,
            figure,
            limit,
            (proof,),
            unit,
        )
        (self.bounds if amount.bound else self.reports).append(Report(name, terms, amount))

    # --- the whole --------------------------------------------------------------------------------------------------------

    def _kept(self, used: set[str]) -> LedgerNetwork:
        """What takes part in a balance, in a fixed order, with areas merged where there are too many balances."""
        tied = {row.id for row in (*self.reports, *self.bounds) if used & set(row.terms)}
        reported = {next(iter(row.terms)) for row in self.reports if list(row.terms.values()) == [1.0]}
        flows = used | {flow for row in (*self.reports, *self.bounds) if row.id in tied for flow in row.terms}
        network = Network(
            tuple(sorted(flows)),
            tuple(sorted(self.balances, key=lambda row: row.id)),
            tuple(sorted((row for row in self.reports if row.id in tied), key=lambda row: row.id)),
        )
        # A stock that a claim reports stands in the table as that claim.
        entries = {
            name: entry
            for name, entry in sorted(self.entries.items())
            if name in tied or (name in flows and name not in reported)
        }
        bounds = tuple(sorted((row for row in self.bounds if row.id in tied), key=lambda row: row.id))
        return LedgerNetwork(network, entries, self.places, bounds)


def smaller(whole: LedgerNetwork, books: Books, largest: int = LARGEST) -> LedgerNetwork:
    """The network with balances of sites, then of organizations, added up while there are more than ``largest``.

    What is added up can no longer tell which of its parts has a flow that is not recorded; the notes say so.
    """
    sites = {f"site:{row.slug}": row for row in books.sites.values()}
    people = {f"org:{row.slug}": row for row in books.organizations.values()}

    def to_organization(area: str) -> str:
        site = sites.get(area)
        operator = books.organizations.get((site.operator_id if site else None) or 0)
        return (
            f"org:{operator.slug}"
            if operator
            else f"country:{site.country}"
            if site and site.country
            else area
        )

    def to_country(area: str) -> str:
        row = people.get(area)
        return f"country:{row.country}" if row and row.country else area

    for kind, larger in (("sites", to_organization), ("organizations", to_country)):
        if len(whole.network.balances) <= largest:
            break
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in whole.network.balances:
            place = whole.places[row.id]
            groups[larger(place.area), place.scope.slug].append(row.id)
        names = {name: f"{area} {slug}" for (area, slug), rows in groups.items() for name in rows}
        places = {
            f"{area} {slug}": replace(
                whole.places[rows[0]], area=area, name=area.split(":", 1)[1], key=f"{kind} added up",
                declared=tuple(one for row in rows for one in whole.places[row].declared),
            )
            for (area, slug), rows in groups.items()
        }  # fmt: skip
        whole = replace(
            whole, network=merged(whole.network, names), places=places,
            notes=(*whole.notes, f"the books of {kind} were added up, because the network has more than {largest:,} of them"),
        )  # fmt: skip
    return whole


def _last_day(days: Period | None) -> date | None:
    return (days.last or days.start) if days else None


def _of(flow: str, chip: int) -> str:
    """The part of a family's flow that is one of its members."""
    return f"{flow} / {chip}"


def _finest(names: frozenset[str]) -> str:
    """The finest area of one end of a movement."""
    for kind in ("site:", "org:", "country:"):
        for name in sorted(names):
            if name.startswith(kind):
                return name
    return UNKNOWN


def _within(days: Period | None, opening: date | None, closing: date, as_of: date) -> bool | None:
    """Whether days lie after ``opening`` and not after ``closing``; None: they may lie on either side."""
    if days is None:  # of an undated line only that it is recorded is known
        return True if opening is None and closing == as_of else None
    if (opening and days.last and days.last <= opening) or (days.start and days.start > closing):
        return False
    begins = opening is None or (days.start is not None and days.start > opening)
    return True if begins and days.last is not None and days.last <= closing else None


def _order(row: FlowRow) -> tuple[str, ...]:
    parts = (
        scopes.key(row.scope), row.origin_site_id, row.shipper_id, row.origin, row.destination_site_id, row.consignee_id,
        row.destination, row.kind, row.house, row.shipped, row.received, row.uncounted, row.chips,
    )  # fmt: skip
    return tuple(str(part) for part in parts)


def areas(
    site_id: int | None,
    organization_id: int | None,
    country: str,
    sites: Mapping[int, SiteRow],
    organizations: Mapping[int, OrganizationRow],
) -> frozenset[str]:
    """The balance areas that one end of a movement lies in."""
    names = set()
    if site := sites.get(site_id or 0):
        names.add(f"site:{site.slug}")
        country = country or site.country
    if (organization := organizations.get(organization_id or 0)) and not organization.is_aggregate:
        names.add(f"org:{organization.slug}")
    if country:
        names.add(f"country:{country}")
    return frozenset(names)
