"""Claims, lines and licences of the part of the ledger that one share reads, as the plain values of ``books``."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from django.db.models import (
    F,
    Q,
)

from tracker.claims.models import Claim, ClaimConflict
from tracker.core.period import Period
from tracker.core.quantity import Reported
from tracker.datacenters.models import DataCenter
from tracker.judgement.querysets import answers_in
from tracker.licences.models import LicenceItem
from tracker.organizations.models import Organization
from tracker.reconciliation.books import (
    UNREAD,
    Books,
    ClaimRow,
    Evidence,
    Finding,
    LicenceRow,
    MovementRow,
    NamedLine,
    RecordRef,
    Scope,
    SiteRow,
    SourceRow,
    VerdictRow,
)
from tracker.reconciliation.catalogue.querysets import as_float
from tracker.reconciliation.inventories import HELD
from tracker.reconciliation.position import area_of
from tracker.reconciliation.reference.querysets import Reference, smallest_in_component
from tracker.reconciliation.verdicts import verdicts
from tracker.shipments.models import Shipment

LotNumber = tuple[int, int, int, int]
"""Shipper, consignee, scope and quarter of a lot, as columns write them (``sweep.LOT``)."""
_FLOW_KINDS = frozenset(
    {"production", "sale", "purchase", "shipment", "order", "diverted", "seized", "charge"}
)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a claim says of where its chips are."""

    kind: str
    subject_id: int | None
    counterparty_id: int | None
    site_id: int | None
    destination_country: str
    scope: Scope | None


@dataclass
class Records(Reference):
    """Records by partition: what a check holds against one another lies in one of them."""

    # --- claims -----------------------------------------------------------------------------------------------------

    @cached_property
    def claim_components(self) -> dict[int, int]:
        """claim id -> the smallest claim id of all that are held together: claims about one area, declared to conflict, or
        repeating one another."""
        fields = (
            "id", "echo_of_id", "kind", "subject_id", "counterparty_id", "data_center_id", "destination_country", "chip_id",
            "family_id",
        )  # fmt: skip
        rows = list(self.known(Claim).filter(self.of_world()).order_by("id").values_list(*fields))
        people = self.organizations({pk for row in rows for pk in row[3:5]})
        books = Books(as_of=self.as_of, chips=self.chips, organizations=people)
        nodes: dict[Any, int] = {}
        edges: list[tuple[int, int]] = []

        def node(name: Any) -> int:
            return nodes.setdefault(name, len(nodes))

        for pk, echo_of, kind, subject, counterparty, site, country, chip, family in rows:
            told = _Told(kind, subject, counterparty, None, country, self.scope(chip, family))
            area = None if site else area_of(told, books)
            # where no area is named, one claim may still repeat another that names the same parties
            place = ("site", site) if site else area.key if area else (subject, counterparty, country)
            edges.append((node(("claim", pk)), node(("place", place))))
            if echo_of:
                edges.append((node(("claim", pk)), node(("claim", echo_of))))
        for claim, other in self.known(ClaimConflict).values_list("claim_id", "other_id"):
            edges.append((node(("claim", claim)), node(("claim", other))))
        return smallest_in_component(nodes, edges, "claim")

    def claims(self, where: Q) -> tuple[ClaimRow, ...]:
        fields = (
            "id", "version", "slug", "low", "best", "high", "unit", "grade", "bound", "is_exact", "chips_per_unit", "status",
            "kind", "allegation", "subject_id", "counterparty_id", "data_center_id", "origin_country", "destination_country",
            "chip_id", "family_id", "period_start", "period_end", "method", "bias_key", "echo_of__slug", "source_id",
            "source__publisher", "source__original_publisher", "source__title", "original_text", "note", "verification",
            "reporter",
        )  # fmt: skip
        rows = list(self.known(Claim).filter(where, self.of_world()).order_by("id").values(*fields))
        sources = self.sources(row["source_id"] for row in rows)
        conflicts: dict[int, set[int]] = defaultdict(set)
        for claim, other in self.known(ClaimConflict).values_list("claim_id", "other_id"):
            conflicts[claim].add(other)
            conflicts[other].add(claim)
        return tuple(
            self._claim(row, sources[row["source_id"]], frozenset(conflicts[row["id"]])) for row in rows
        )

    def _claim(self, row: Mapping[str, Any], source: SourceRow, conflicts: frozenset[int]) -> ClaimRow:
        is_flow = row["kind"] in _FLOW_KINDS and row["period_start"] is not None
        last = row["period_end"] or row["period_start"]
        first = row["period_start"] if is_flow and row["period_start"] else last
        house = row["source__original_publisher"] or row["source__publisher"] or row["source__title"]
        return ClaimRow(
            ref=RecordRef("claim", row["id"], row["version"]),
            slug=row["slug"],
            reported=Reported(
                low=as_float(row["low"]),
                best=as_float(row["best"]),
                high=as_float(row["high"]),
                unit=row["unit"],
                grade=row["grade"],
                bound=row["bound"],
                exact=row["is_exact"],
                per_unit=as_float(row["chips_per_unit"]),
            ),
            status=row["status"],
            kind=row["kind"],
            allegation=row["allegation"],
            subject_id=row["subject_id"],
            counterparty_id=row["counterparty_id"],
            site_id=row["data_center_id"],
            origin_country=row["origin_country"],
            destination_country=row["destination_country"],
            scope=self.scope(row["chip_id"], row["family_id"]),
            period=Period.inclusive(first, last) if last else Period(None, None),
            is_flow=is_flow,
            published_on=source.published_on,
            key=row["bias_key"] or (f"{house} | {row['method']}" if row["method"] else house),
            origin=row["echo_of__slug"] or row["slug"],
            conflicts_with=conflicts,
            source=source,
            original_text=row["original_text"],
            note=row["note"],
            verification=row["verification"],
            reporter=row["reporter"],
        )

    # --- movements and licences -------------------------------------------------------------------------------------

    def movements(self, where: Q) -> tuple[MovementRow, ...]:
        fields = (
            "id", "version", "reference", "chip_id", "family_id", "quantity", "bound", "is_exact", "unit", "chips_per_unit",
            "grade", "quantity_by_shipper", "quantity_by_receiver", "grade_by_shipper", "grade_by_receiver", "shipped_on",
            "shipped_on_latest", "received_on", "received_on_latest", "shipper_id", "consignee_id", "end_user_id",
            "origin_country", "destination_country", "origin_id", "destination_id", "onward_of_id", "licence_id", "status",
            "source_id", "note", "consignment",
            "kind",
        )  # fmt: skip
        rows = list(self.known(Shipment).filter(where, self.of_world()).order_by("id").values(*fields))
        sources = self.sources(row["source_id"] for row in rows)
        self._read_slugs(pk for row in rows for pk in (row["shipper_id"], row["consignee_id"]))
        return tuple(self._movement(row, sources[row["source_id"]]) for row in rows)

    def named_lines(self, ids: Iterable[int]) -> dict[int, NamedLine]:
        """Lines by id, with what a finding says of those that it names."""
        fields = (
            "id", "version", "reference", "chip_id", "family_id", "quantity", "bound", "is_exact", "unit", "chips_per_unit",
            "grade", "shipped_on", "shipped_on_latest", "source_id",
        )  # fmt: skip
        lines = self.known(Shipment).filter(self.of_world(), id__any=sorted(ids)).order_by()
        rows = list(lines.values(*fields))
        sources = self.sources(row["source_id"] for row in rows)
        return {
            row["id"]: NamedLine(
                ref=RecordRef("shipment", row["id"], row["version"]),
                reference=row["reference"],
                scope=self._line_scope(row),
                reported=reported(row),
                shipped=day_range(row, "shipped_on"),
                source=sources[row["source_id"]],
            )
            for row in rows
        }

    def named(self, found: Iterable[Finding]) -> list[Finding]:
        """Findings whose evidence tells of every line behind a sum what it says (``books.unread``)."""
        made = list(found)
        wanted = sorted({row.ref.id for one in made for row in one.evidence if row.ref.version == UNREAD})
        if not wanted:
            return made
        fields = ("id", "version", "reference", "quantity", "unit")
        told = {
            pk: (RecordRef("shipment", pk, version), f"{reference}: {float(figure):,.10g} {unit}")
            for pk, version, reference, figure, unit in self.known(Shipment)
            .filter(id__any=wanted)
            .values_list(*fields)
        }

        def read(row: Evidence) -> Evidence:
            if row.ref.version != UNREAD:
                return row
            ref, words = told[row.ref.id]
            return replace(row, ref=ref, label=f"{words}{row.label}")

        return [replace(one, evidence=tuple(map(read, one.evidence))) for one in made]

    @cached_property
    def _slugs(self) -> dict[int, str]:
        return {}

    def _read_slugs(self, ids: Iterable[int | None]) -> None:
        """Names of organizations, read once: joined to lines as known at an instant, all of them would be read each time."""
        wanted = {pk for pk in ids if pk} - self._slugs.keys()
        if wanted:
            self._slugs.update(self.known(Organization).filter(id__any=wanted).values_list("id", "slug"))

    def _movement(self, row: Mapping[str, Any], source: SourceRow) -> MovementRow:
        common = {"unit": row["unit"], "per_unit": as_float(row["chips_per_unit"]), "exact": row["is_exact"]}
        shipped, received = day_range(row, "shipped_on"), day_range(row, "received_on")
        presumed = received is None and shipped is not None
        if received is None and shipped is not None:
            received = _later(shipped, timedelta(days=self.parameters.lead_time_days))
        return MovementRow(
            ref=RecordRef("shipment", row["id"], row["version"]),
            reference=row["reference"],
            scope=self._line_scope(row),
            reported=reported(row),
            by_shipper=_end(row["quantity_by_shipper"], row["grade_by_shipper"], common),
            by_receiver=_end(row["quantity_by_receiver"], row["grade_by_receiver"], common),
            shipped=shipped,
            received=received,
            received_presumed=presumed,
            shipper_id=row["shipper_id"],
            consignee_id=row["consignee_id"],
            end_user_id=row["end_user_id"],
            origin_country=row["origin_country"],
            destination_country=row["destination_country"],
            origin_site_id=row["origin_id"],
            destination_site_id=row["destination_id"],
            onward_of_id=row["onward_of_id"],
            licence_id=row["licence_id"],
            status=row["status"],
            shipper_key=f"org:{self._slugs.get(row['shipper_id'])}",
            receiver_key=f"org:{self._slugs.get(row['consignee_id'])}",
            source=source,
            note=row["note"],
            consignment=row["consignment"],
            kind=row["kind"],
        )

    def _line_scope(self, row: Mapping[str, Any]) -> Scope:
        scope = self.scope(row["chip_id"], row["family_id"])
        assert scope is not None  # the table holds every line to a chip or a family
        return scope

    def licences(self, where: Q | None = None) -> tuple[LicenceRow, ...]:
        """Items of licences; all, if not asked for some."""
        fields = (
            "id", "version", "licence_id", "licence__reference", "licence__authority",
            "licence__kind", "chip_id", "family_id", "quantity",
            "bound", "unit", "licence__grade", "licence__consignee_id", "licence__end_user_id",
            "licence__destination_country", "licence__valid_from", "licence__valid_until", "licence__source_id",
        )  # fmt: skip
        rows = list(
            self.known(LicenceItem)
            .filter(where or Q(), self.of_world("licence__"))
            .order_by("licence_id", "id")
            .values(*fields)
        )
        sources = self.sources(row["licence__source_id"] for row in rows)
        return tuple(
            LicenceRow(
                ref=RecordRef("licenceitem", row["id"], row["version"]),
                reference=row["licence__reference"],
                authority=row["licence__authority"],
                scope=self.scope(row["chip_id"], row["family_id"]),
                reported=_licensed(row),
                consignee_id=row["licence__consignee_id"],
                end_user_id=row["licence__end_user_id"],
                country=row["licence__destination_country"],
                valid=Period(row["licence__valid_from"], row["licence__valid_until"]),
                source=sources[row["licence__source_id"]],
                licence_id=row["licence_id"],
                kind=row["licence__kind"],
            )
            for row in rows
        )

    def inventories(self, numbers: Iterable[int]) -> tuple[ClaimRow, ...]:
        """Claims of what is held of some scopes (as columns write them), for areas declared whole; none where nobody declares."""
        if not self.closed_books:
            return ()
        of_scope = Q(chip_id__in=[n // 2 for n in numbers if n % 2 == 0]) | Q(
            family_id__in=[n // 2 for n in numbers if n % 2]
        )
        return self.claims(of_scope & Q(status__in=HELD))

    def lines_books(self, ids: Iterable[int]) -> Books:
        """The books of single lines."""
        return self._assembled((), self.movements(Q(id__any=sorted(ids))), {})

    def lots_books(self, lines: Iterable[int], lots: Iterable[LotNumber]) -> Books:
        """The books of single lines and of whole lots."""
        where = Q(id__any=sorted(lines))
        for shipper, consignee, scope, quarter in lots:
            first = date(2000 + quarter // 4, quarter % 4 * 3 + 1, 1) if quarter >= 0 else None
            after = first and (first + timedelta(days=95)).replace(day=1)
            days = Q(shipped_on__gte=first, shipped_on__lt=after) if first else Q(shipped_on=None)
            what = Q(family_id=scope // 2) if scope % 2 else Q(chip_id=scope // 2)
            where |= Q(shipper_id=shipper or None, consignee_id=consignee or None) & what & days
        return self._assembled((), self.movements(where), {})

    def _by_route(self, index: int, count: int) -> Books:
        """Trade statistics of either side: all claims of one route and either reporter lie in one share."""
        told = self.known(Claim).filter(self.of_world()).exclude(reporter="")
        routes = (
            told.exclude(origin_country="").exclude(destination_country="").order_by()
            .values_list("origin_country", "destination_country").distinct()
        )  # fmt: skip
        mine = Q(pk__in=[])
        for origin, destination in sorted(routes):
            if int(f"{origin}{destination}", 36) % count == index:
                mine |= Q(origin_country=origin, destination_country=destination)
        return self._assembled(self.claims(mine & ~Q(reporter="")), (), {}, licences=())

    def _by_site(self, index: int, count: int) -> Books:
        every = self.known(DataCenter).filter(self.of_world()).annotate(share=F("id") % count)
        sites = self.sites(every.filter(share=index).values_list("id", flat=True))
        return self._assembled(self.claims(Q(data_center_id__in=sites)), (), sites)

    def _assembled(
        self,
        claims: tuple[ClaimRow, ...],
        movements: tuple[MovementRow, ...],
        sites: Mapping[int, SiteRow],
        judged: bool = False,
        licences: tuple[LicenceRow, ...] | None = None,
    ) -> Books:
        ends = {i for m in movements for i in (m.origin_site_id, m.destination_site_id)} | {
            c.site_id for c in claims
        }
        people = {i for m in movements for i in (m.shipper_id, m.consignee_id, m.end_user_id)}
        people |= {i for c in claims for i in (c.subject_id, c.counterparty_id)}
        licences = self.licences() if licences is None else licences
        people |= {i for licence in licences for i in (licence.consignee_id, licence.end_user_id)}
        all_sites = {**self.sites(ends - set(sites) - {None}), **sites}
        people |= {site.operator_id for site in all_sites.values()}
        if judged:  # a verdict may rest on anybody who stands above a party
            people |= {int(i) for stake in self.stakes for i in (stake.owner, stake.owned)}
        return Books(
            as_of=self.as_of, claims=claims, movements=movements, licences=licences, chips=self.chips,
            organizations=self.organizations(people), sites=all_sites, verdicts=self.judged(movements) if judged else {},
            closed=self.closed_books,
        )  # fmt: skip

    def judged_in(self, name: str, movements: Iterable[MovementRow]) -> dict[int, VerdictRow]:
        """The same from the tables of a judged ledger of that name, without reasons: a row for each verdict and the records of
        its rules, whichever movements share it."""
        ids = {row.ref.id: row.shipped for row in movements}
        numbers, answers = answers_in(name, list(ids))
        seen: dict[tuple[Any, ...], VerdictRow] = {}
        found = {}
        for line, number in numbers.items():
            answer, decision, result, policy, level, rule_ids, missing = answers[number]
            rules = self._rule_refs(rule_ids, ids[line])
            found[line] = seen.setdefault(
                (number, rules),
                VerdictRow(
                    answer=answer, decision=decision, result=result, policy=policy, level=level, rule_ids=tuple(rule_ids),
                    missing=tuple(missing), reasons=(), citations=(), rules=rules,
                ),
            )  # fmt: skip
        return found

    def judged(self, movements: tuple[MovementRow, ...]) -> dict[int, VerdictRow]:
        """What the rules of its day say of each movement, by id, with the records of those rules."""
        found = verdicts(movements, self.specs, self.bench)
        for movement in movements:
            if verdict := found.get(movement.ref.id):
                found[movement.ref.id] = replace(
                    verdict, rules=self._rule_refs(verdict.rule_ids, movement.shipped)
                )
        return found

    def _by_scope(self, index: int, count: int) -> Books:
        return self._assembled(self.claims(self._share_of_scopes(index, count)), (), {})


def day_range(row: Mapping[str, Any], name: str) -> Period | None:
    first = row[name]
    return Period.inclusive(first, row[f"{name}_latest"] or first) if first else None


def _later(days: Period, by: timedelta) -> Period:
    return Period(days.start and days.start + by, days.end and days.end + by)


def reported(row: Mapping[str, Any]) -> Reported:
    """The figure of a line."""
    bound, figure = row["bound"], float(row["quantity"])
    return Reported(
        low=figure if bound == "floor" else None, high=figure if bound == "ceiling" else None,
        best=None if bound else figure, bound=bound, unit=row["unit"], per_unit=as_float(row["chips_per_unit"]),
        grade=row["grade"], exact=row["is_exact"],
    )  # fmt: skip


def _end(figure: Any, grade: str, common: Mapping[str, Any]) -> Reported | None:
    return None if figure is None else Reported(best=float(figure), grade=grade, **common)


def _licensed(row: Mapping[str, Any]) -> Reported:
    figure, bound = float(row["quantity"]), row["bound"]
    return Reported(
        low=figure if bound == "floor" else None, high=figure if bound == "ceiling" else None,
        best=None if bound else figure, bound=bound, unit=row["unit"], grade=row["licence__grade"], exact=not bound,
    )  # fmt: skip
