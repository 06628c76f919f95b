"""Lines added up by the database, for the checks that ask for no single line: limits of rules, networks, hubs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, cached_property
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    Count,
    DateField,
    DateTimeField,
    ExpressionWrapper,
    F,
    FloatField,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, TruncMonth
from django.db.models.lookups import GreaterThan, LessThanOrEqual

from tracker.chips.specs import H100_TPP
from tracker.core.period import DAY, Period, twelve_months
from tracker.datacenters.models import DataCenter
from tracker.reconciliation.books import (
    Books,
    FlowRow,
    Law,
)
from tracker.reconciliation.ledger_network import USE as NETWORK
from tracker.reconciliation.ledger_network import cut_days
from tracker.reconciliation.position import COUNTED, GONE
from tracker.reconciliation.records.querysets import Records
from tracker.rules.caps import Cap
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import counted, in_chips, sums

FLOW_COLUMNS = (
    "chip_id",
    "family_id",
    "origin_country",
    "destination_country",
    "shipped_on",
    "shipped_on_latest",
)


@dataclass
class Sums(Records):
    """Sums of lines by route, scope and days."""

    # --- sums for the limits of rules -------------------------------------------------------------------------------

    @property
    def _lines(self) -> QuerySet:
        lines = self.known(Shipment).filter(self.of_world())
        return counted(lines, lines)

    def flows(self, where: Q, use: str) -> tuple[FlowRow, ...]:
        """Lines added up by route, scope and days (and consignee), each sum with the ids of its largest lines."""
        by = [*FLOW_COLUMNS, *(["consignee_id"] if use == "consignee" else [])]
        days = cache(_days)  # sums are many, and their days are few
        return tuple(
            self._flow(row, use, days(row["shipped_on"], row["shipped_on_latest"]))
            for row in sums(self._lines.filter(where), by, self.parameters)
        )

    def _flow(self, row: Mapping[str, Any], use: str, shipped: Period | None = None) -> FlowRow:
        scope = self.scope(row["chip_id"], row["family_id"])
        assert scope is not None  # the table holds every line to a chip or a family
        return FlowRow(
            scope=scope, origin=row["origin_country"], destination=row["destination_country"],
            shipped=shipped, house=row["house"], lines=row["lines"], chips=row["total"],
            systematic=row["total_systematic"], random=row["total_random"], grade=row["weakest"],
            consignee_id=row.get("consignee_id"), use=use, usd=row["usd"],
            uncounted=row["uncounted"], unpriced=row["unpriced"], at_least=row["at_least"],
            examples=tuple(row["examples"]), largest=row["largest"],
        )  # fmt: skip

    def _by_limit(self, index: int, count: int) -> Books:
        """Flows of the keys whose sums reach a limit: consignees, countries and commodities. Nothing else is read.

        A sum is *possibly* beyond a limit from a probability of one half on, which is where its mean reaches the limit; so
        keys below it are left out by the database. The reading of each rule's scope is the check's.
        """
        orgs: set[int] = set()
        countries: set[str] = set()
        of_country, of_party = Q(pk__in=[]), Q(pk__in=[])
        for rule in self.rules.rules:
            for cap in rule.quantity_caps:
                if not cap.evaluated:
                    continue
                if cap.kind == "ratio":
                    continue
                if cap.per == "country":
                    countries |= self._countries_at(cap, rule.period)
                    of_country |= _dated(cap, rule.period)
                else:
                    orgs |= self._consignees_at(cap, rule.period)
                    of_party |= _dated(cap, rule.period)
        orgs = {pk for pk in orgs if self.owner_components.get(pk, pk) % count == index}
        aliases = self._aliases
        countries = {code for code in countries if int(aliases.get(code, code), 36) % count == index}
        names = sorted(self.commodities_asked)[index::count]
        chips = frozenset(chip for name in names for chip in self.commodities[name])
        flows = (
            *self.flows(of_party & Q(consignee_id__in=orgs), "consignee"),
            *self.flows(of_country & Q(destination_country__in=countries), "country"),
            *(
                self.flows(self._may_be_of(chips) & Q(destination_country__in=self._both_sides), "ratio")
                if chips
                else ()
            ),
        )
        law = Law(self.classes, self.specs, self.stakes, self.rule_records, chips)
        books = self._assembled((), (), {}, licences=())
        owners = {int(i) for stake in self.stakes for i in (stake.owner, stake.owned)}
        people = {**books.organizations, **self.organizations(orgs | owners)}
        return replace(books, flows=flows, law=law, organizations=people)

    def _metric(self, cap: Cap) -> Any:
        """What a line adds to the sum of a cap, on the low reading of a family."""
        if cap.metric == "usd":
            return Coalesce(Cast("value_usd", FloatField()), Value(0.0))
        if cap.metric == "units":
            return F("chips")
        factor = 1.0 if cap.metric == "h100e" else H100_TPP
        known = [
            When(**{f"{kind}_id": pk}, then=Value(scope.h100e_low * factor))
            for (kind, pk), scope in sorted(self.scopes.items())
            if scope.h100e_low
        ]
        return F("chips") * Case(*known, default=Value(0.0), output_field=FloatField())

    def _sums_at(self, cap: Cap, period: Period, by: str) -> QuerySet:
        """Sums of a cap by a column and, where it counts by the year, the year."""
        dated = self._lines.filter(_dated(cap, period))
        keys = (by, "shipped_on__year") if cap.window == "calendar year" else (by,)
        if self.only is not None:
            mine = self.limited_owners(self.only.parties)
            asked = self.limited_countries(self.only.countries) if by == "destination_country" else mine
            dated = dated.filter(**{f"{by}__in": asked})
        read = in_chips(dated, self.parameters).order_by().values(*keys)
        return read.annotate(reached=Sum(self._metric(cap), output_field=FloatField()))

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """Country -> the one that it is counted with."""
        return {alias.country: alias.group for alias in self.rules.aliases}

    def limited_countries(self, countries: Iterable[str]) -> set[str]:
        """The countries with all that are counted with them, and what they are counted as."""
        groups = {self._aliases.get(code, code) for code in countries}
        return groups | {code for code, group in self._aliases.items() if group in groups}

    def limited_owners(self, orgs: Iterable[int]) -> set[int]:
        """The organizations with all whom stakes tie to them."""
        near = {self.owner_components.get(pk, pk) for pk in orgs}
        return near | {pk for pk, component in self.owner_components.items() if component in near}

    def _countries_at(self, cap: Cap, period: Period) -> set[str]:
        least = _least(cap)
        found = self._sums_at(cap, period, "destination_country").exclude(destination_country="")
        aliases = self._aliases
        totals: dict[tuple[Any, ...], float] = defaultdict(float)
        members: dict[tuple[Any, ...], set[str]] = defaultdict(set)
        for row in found:
            code = row["destination_country"]
            key = aliases.get(code, code), row.get("shipped_on__year")
            totals[key] += row["reached"] or 0.0
            members[key].add(code)
        return {code for key, total in totals.items() if total >= least for code in members[key]}

    def _consignees_at(self, cap: Cap, period: Period) -> set[int]:
        found = self._sums_at(cap, period, "consignee_id").exclude(consignee_id=None)
        if cap.per == "company and country":
            return set(found.filter(consignee__slug__in=cap.scope.who).values_list("consignee_id", flat=True))
        if cap.per == "ultimate consignee":
            return set(found.filter(reached__gte=_least(cap)).values_list("consignee_id", flat=True))
        totals: dict[tuple[Any, ...], float] = defaultdict(float)
        members: dict[tuple[Any, ...], set[int]] = defaultdict(set)
        for row in found:
            org = row["consignee_id"]
            key = self.owner_components.get(org, org), row.get("shipped_on__year")
            totals[key] += row["reached"] or 0.0
            members[key].add(org)
        return {org for key, total in totals.items() if total >= _least(cap) for org in members[key]}

    # --- limits on a ratio, for each commodity -------------------------------------------------------------------

    @cached_property
    def _ratios(self) -> list[tuple[set[str], set[str]]]:
        """The countries on either side of each ratio that a rule limits."""
        return [
            (self._codes(cap.scope.destinations), self._codes(cap.of.destinations))
            for rule in self.rules.rules
            for cap in rule.quantity_caps
            if cap.evaluated and cap.kind == "ratio" and cap.of
        ]

    @property
    def _both_sides(self) -> set[str]:
        return set().union(*(one | other for one, other in self._ratios))

    @cached_property
    def commodities(self) -> dict[str, list[int]]:
        """Commodity -> ids of its chips; a chip of which not all is known stands for itself."""
        found: dict[str, list[int]] = defaultdict(list)
        for pk, chip in sorted(self.chips.items()):
            found[chip.commodity or chip.slug].append(pk)
        return found

    @cached_property
    def commodities_asked(self) -> set[str]:
        """Commodities that went to the limited side of a ratio; where only lines changed, of those the ones that such a line on
        either side may be of."""
        if not self._ratios:
            return set()
        limited = set().union(*(one for one, _ in self._ratios))
        pairs = (
            self._lines.filter(destination_country__in=limited).order_by().values_list("chip_id", "family_id")
        )
        asked = self._commodities_of(
            {chip * 2 if chip else family * 2 + 1 for chip, family in pairs.distinct()}
        )
        return asked if self.only is None else asked & self.commodities_near

    @property
    def commodities_near(self) -> set[str]:
        """Commodities that a changed line on either side of a ratio may be of, then or now."""
        assert self.only is not None  # it is narrowed
        near = {line.scope for line in self.only.lines if line.destination_country in self._both_sides}
        return self._commodities_of(near)

    def _commodities_of(self, numbers: Iterable[int]) -> set[str]:
        """The commodities that units of these scopes may be of."""
        found: set[str] = set()
        for number in numbers:
            members = self.numbered_scopes[number].members
            if not members:
                return set(self.commodities)
            found |= {self.chips[pk].commodity or self.chips[pk].slug for pk in members if pk in self.chips}
        return found

    def _may_be_of(self, chips: frozenset[int]) -> Q:
        """Lines of scopes that may hold one of these chips."""
        near = [key for key, scope in self.scopes.items() if not scope.members or scope.members & chips]
        where = Q(chip_id__in=[pk for kind, pk in near if kind == "chip"])
        return where | Q(family_id__in=[pk for kind, pk in near if kind == "family"])

    def _codes(self, places: Iterable[str]) -> set[str]:
        """Country codes of groups, sets and codes, on any day."""
        found: set[str] = set()
        for place in places:
            if len(place) == 2 and place.isalpha():
                found |= {place, *(alias.country for alias in self.rules.aliases if alias.group == place)}
                continue
            composed = next((one for one in self.rules.sets if one.name == place), None)
            found |= self._codes(composed.union) if composed else set()
            found |= {member.country for member in self.rules.memberships if member.group == place}
        return found

    # --- sums for networks ------------------------------------------------------------------------------------------

    def _by_network(self, index: int, count: int) -> Books:
        """What went into and out of the areas whose book is declared whole, added up between the days that their chains stop at,
        with the claims about those areas. No line is read."""
        mine = self._share_of_scopes(index, count)
        sites = {row.site_id for row in self.closed_books} - {None}
        orgs = {row.organization_id for row in self.closed_books} - {None}
        places = {row.country for row in self.closed_books} - {""}
        if not (sites or orgs or places):
            return Books(as_of=self.as_of)
        here = Q(data_center_id__in=sites) | Q(subject_id__in=orgs) | Q(counterparty_id__in=orgs)
        here |= Q(destination_country__in=places)
        claims = self.claims(mine & here & Q(status__in=["installed", "operational", "stocked", "produced"]))
        within = set(self.known(DataCenter).filter(country__in=places).values_list("id", flat=True)) | sites
        touching = Q(origin_id__in=within) | Q(destination_id__in=within) | Q(shipper_id__in=orgs)
        touching |= (
            Q(consignee_id__in=orgs) | Q(origin_country__in=places) | Q(destination_country__in=places)
        )
        days = cut_days(self.closed_books, claims, self.as_of, self.parameters.bias_key_months)
        lines = self.known(Shipment).filter(mine & touching, self.of_world(), status__in=GONE)
        by_name = Q(origin_id__in=sites) | Q(destination_id__in=sites)
        by_name |= Q(shipper_id__in=orgs) | Q(consignee_id__in=orgs)
        flows = tuple(self._passages(lines, days, by_name))
        books = self._assembled(claims, (), self.sites(sites), licences=())
        around = self.sites(
            {pk for row in flows for pk in (row.origin_site_id, row.destination_site_id)} - set(books.sites)
        )
        people = {pk for row in flows for pk in (row.shipper_id, row.consignee_id)} | orgs
        people |= {site.operator_id for site in around.values()}
        return replace(
            books, flows=flows, sites={**books.sites, **around},
            organizations={**books.organizations, **self.organizations(people - set(books.organizations))},
        )  # fmt: skip

    def _passages(self, lines: QuerySet, days: Sequence[date], by_name: Q) -> Iterator[FlowRow]:
        """Sums by route and by the stretches between ``days`` in which the lines left and arrived.

        Only lines ``by_name``, those of a declared site or organization, keep sites and parties apart; the others touch a
        declared country, and of them only the countries count, else the sums would be as many as the lines.
        """

        def where_named(column: str, also: Q | None = None) -> Case:
            return Case(When(by_name | also if also else by_name, then=F(column)), default=None)

        arrived = Coalesce("received_on", self._after_lead("shipped_on"))
        latest = Coalesce("received_on_latest", "received_on", self._after_lead("shipped_on_latest"), arrived)
        dated = lines.annotate(
            left=_stretch(F("shipped_on"), days),
            left_latest=_stretch(Coalesce("shipped_on_latest", "shipped_on"), days),
            arrived=_stretch(arrived, days),
            arrived_latest=_stretch(latest, days),
            is_seized=ExpressionWrapper(Q(status="seized"), output_field=BooleanField()),
            from_site=where_named("origin_id", Q(origin_country="")),  # whose country then counts
            from_party=where_named("shipper_id"),
            to_site=where_named("destination_id", Q(destination_country="")),
            to_party=where_named("consignee_id"),
        )
        by = (
            "chip_id", "family_id", "from_site", "from_party", "origin_country", "to_site", "to_party", "destination_country",
            "kind", "is_seized", "left", "left_latest", "arrived", "arrived_latest",
        )  # fmt: skip
        rows = [*sums(dated, by, self.parameters), *_uncounted(dated, by)]
        for row in rows:
            yield replace(
                self._flow({**row, "consignee_id": row["to_party"]}, NETWORK),
                shipped=_between(days, row["left"], row["left_latest"]),
                received=_between(days, row["arrived"], row["arrived_latest"]),
                shipper_id=row["from_party"], origin_site_id=row["from_site"], destination_site_id=row["to_site"],
                kind="seized" if row["is_seized"] else row["kind"],
            )  # fmt: skip

    def _after_lead(self, day: str) -> Any:
        """The day on which goods are presumed to arrive that were shipped on ``day``."""
        lead = Value(timedelta(days=self.parameters.lead_time_days))
        return Cast(ExpressionWrapper(F(day) + lead, output_field=DateTimeField()), DateField())

    # --- sums for the hubs ------------------------------------------------------------------------------------------

    def _by_hub(self, index: int, count: int) -> Books:
        """What came into and left the countries that did both in the twelve months to the day, added up by month and route,
        with the claims about those countries. No line is read."""
        months = twelve_months(self.as_of)
        between = (
            self.known(Shipment).filter(self.of_world()).exclude(origin_country=F("destination_country"))
            .exclude(origin_country="").exclude(destination_country="")
        )  # fmt: skip
        came = between.filter(status__in=COUNTED).annotate(
            day=Coalesce("received_on", self._after_lead("shipped_on"), output_field=DateField())
        )
        left = between.filter(status__in=GONE).annotate(day=F("shipped_on"))
        came, left = (rows.filter(day__gte=months.start, day__lt=months.end) for rows in (came, left))
        if self.only is not None:
            asked = self.limited_countries(self.only.countries)
            came, left = came.filter(destination_country__in=asked), left.filter(origin_country__in=asked)
        receivers = set(came.order_by().values_list("destination_country", flat=True).distinct())
        senders = set(left.order_by().values_list("origin_country", flat=True).distinct())
        hubs = {code for code in receivers & senders if int(code, 36) % count == index}
        flows = (
            *self._monthly(came.filter(destination_country__in=hubs), "hub inflow"),
            *self._monthly(left.filter(origin_country__in=hubs), "hub outflow"),
        )
        stocks = Q(
            data_center__isnull=True,
            destination_country__in=hubs,
            status__in=["installed", "operational", "stocked"],
        )
        books = self._assembled(self.claims(stocks), (), {})
        return replace(books, flows=flows, law=Law(self.classes, self.specs))

    def _monthly(self, lines: QuerySet, use: str) -> list[FlowRow]:
        """Sums by scope, route, month of ``day`` and whether a licence is named. Lines told as "at most" count nothing here, so
        they stand beside as lines that could not be counted."""
        dated = lines.annotate(
            month=Cast(TruncMonth("day"), DateField()),
            licensed=ExpressionWrapper(Q(licence__isnull=False), output_field=BooleanField()),
        )
        by = ("chip_id", "family_id", "origin_country", "destination_country", "month", "licensed")
        rows = [*sums(dated, by, self.parameters), *_uncounted(dated, by)]
        return [replace(self._flow(row, use, _month(row["month"])), licensed=row["licensed"]) for row in rows]


def _days(first: date | None, latest: date | None) -> Period | None:
    return Period.inclusive(first, latest or first) if first else None


def _uncounted(lines: QuerySet, by: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Lines told as "at most" count nothing in a sum, so they stand beside it as lines that could not be counted."""
    nothing = {
        "house": "", "lines": 0, "total": 0.0, "total_systematic": 0.0, "total_random": 0.0, "weakest": "", "usd": 0.0,
        "unpriced": 0, "at_least": 0, "examples": (), "largest": 0.0,
    }  # fmt: skip
    most = lines.filter(bound="ceiling").order_by().values(*by).annotate(uncounted=Count("id"))
    return ({**nothing, **row} for row in most.order_by(*by))


def _stretch(day: Any, days: Sequence[date]) -> Case:
    """The number of the stretch between ``days`` that a day lies in, whose last day belongs to it; None for no day."""
    on = Cast(day, DateField())
    steps = [When(LessThanOrEqual(on, Value(until)), then=Value(number)) for number, until in enumerate(days)]
    after = When(GreaterThan(on, Value(days[-1])), then=Value(len(days)))
    return Case(*steps, after, default=None, output_field=IntegerField())


def _between(days: Sequence[date], first: int | None, last: int | None) -> Period | None:
    """The days of the stretches from one number to another; None if they are not known."""
    if first is None or last is None:
        return None
    return Period(days[first - 1] + DAY if first else None, days[last] + DAY if last < len(days) else None)


def _dated(cap: Cap, period: Period) -> Q:
    """Lines that may count towards a limit (``Cap.period_of``) of a rule that is in the books for ``period``."""
    found = Q(shipped_on__isnull=False)
    for days in (period, *(() if cap.window == "calendar year" else (cap.days,))):
        found &= Q(shipped_on__gte=days.start) if days.start else Q()
        found &= Q(shipped_on__lt=days.end) if days.end else Q()
    return found


def _least(cap: Cap) -> float:
    """The smallest limit that a cap knows."""
    return min([step.limit for step in cap.schedule], default=cap.limit or 0.0)


def _month(first: date) -> Period:
    return Period(first, (first + timedelta(days=31)).replace(day=1))
