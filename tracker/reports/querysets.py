"""Reading for a report: the findings of a run with the very record versions they rest on, and the ledger
beside them.

Everything is read as known at the run's instant, so that later corrections leave the report of an earlier run
as it was. Findings are read in slices: one query for each kind of record in a slice, whatever the number of
findings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import Case, Count, DecimalField, F, Q, Sum, When
from django.db.models.functions import Coalesce, TruncMonth

from tracker.balances.models import BalancePlug
from tracker.chips.models import Chip, ChipFamily, ChipFamilyMember
from tracker.claims.models import Claim
from tracker.core.addresses import finding_page, record_page
from tracker.core.countries import COUNTRIES
from tracker.core.models import Unit
from tracker.datacenters.models import DataCenter, DataCenterPart, DataCenterUser
from tracker.licences.models import Licence, LicenceItem
from tracker.organizations.models import Organization
from tracker.reconciliation.models import Evidence, Finding, ReconciliationRun
from tracker.reports.tables import (
    EvidenceLine,
    Line,
    MonthLine,
    Plan,
    PlanClaim,
    PlugLine,
    RuleDate,
    SourceLine,
    Trace,
    figure_words,
    number,
)
from tracker.rules.models import ExportRule
from tracker.runs.querysets import resolved_at_close
from tracker.shipments.models import Shipment
from tracker.sources.models import Source, Verification

SLICE = 1000
PLAN_SIZE_CHIPS = 1000
"""Smaller plans are not set beside the ledger."""
CHIPS_PER_UNNAMED_SERVER = 8

_AREAS = {"site": DataCenter, "org": Organization, "organization": Organization, "group": Organization}
_SCOPES = {"chip": Chip, "family": ChipFamily}
_PLANNED = (Claim.Status.PLANNED, Claim.Status.ANNOUNCED)
_OUTWARD = (
    Claim.Kind.PRODUCTION,
    Claim.Kind.SALE,
    Claim.Kind.LICENCE,
)  # plans to make, sell or allow bring nothing to a place
_STANDING = (Claim.Status.INSTALLED, Claim.Status.OPERATIONAL)
_ONE_EACH = (Unit.CHIPS, Unit.CARDS)
_CARRIERS = (Unit.SERVERS, Unit.SYSTEMS, Unit.RACKS)


@dataclass(frozen=True)
class Reading:
    """The ledger as known at ``at``; None reads it as it stands now."""

    at: datetime | None

    def known(self, model: Any) -> Any:
        return model.objects.known_at(self.at)

    def counts(self) -> dict[str, int]:
        """How many records of each kind the ledger holds, and how many sources nobody has checked against a
        page yet."""
        kinds = {
            "sources": Source,
            "claims": Claim,
            "shipments": Shipment,
            "licences": Licence,
            "chips": Chip,
            "organizations": Organization,
            "data_centers": DataCenter,
            "rules": ExportRule,
        }
        found = {name: self.known(model).count() for name, model in kinds.items()}
        return found | {
            "sources_unverified": self.known(Source).filter(verification=Verification.MEMORY).count()
        }

    def synthetic_records(self) -> int:
        """Claims, movements, licences, sites and parties that the generator made."""
        kinds = (Claim, Shipment, Licence, DataCenter, Organization)
        return sum(self.known(model).filter(is_synthetic=True).count() for model in kinds)

    # --- findings

    def lines(self, run: ReconciliationRun) -> Iterator[Line]:
        """The findings of a run in the order of their keys, each with its evidence."""
        keys = list(run.findings.order_by("key").values_list("id", flat=True))
        resolved = resolved_at_close(run)
        for start in range(0, len(keys), SLICE):
            rows = run.findings.filter(id__in=keys[start : start + SLICE]).select_related(
                "discrepancy__first_run"
            )
            yield from self._lines(list(rows.order_by("key")), resolved)

    def _lines(self, findings: Sequence[Finding], resolved: Collection[int]) -> Iterator[Line]:
        told = {row.evidence_of_id or row.id for row in findings}
        pieces = list(Evidence.objects.filter(finding_id__in=told).order_by("finding_id", "order"))
        evidence = self._evidence(pieces)
        areas = self.area_names({row.area for row in findings})
        scopes = self.scope_names({row.scope for row in findings})
        for row in findings:
            told_by = tuple(evidence[row.evidence_of_id or row.id])
            line = _line(row, areas.get(row.area, row.area), scopes.get(row.scope, row.scope), told_by)
            yield replace(line, is_resolved=row.discrepancy_id in resolved)

    def area_names(self, areas: Collection[str]) -> dict[str, str]:
        """Readable names of areas like ``site:colossus-1``, ``country:MY`` or ``group:nvidia`` (an ultimate parent's)."""
        found = self._names(_AREAS, areas)
        found |= {key: f"{name} and what it owns" for key, name in found.items() if key.startswith("group:")}
        return found | ({"world": "The world"} if "world" in areas else {})

    def scope_names(self, scopes: Iterable[str]) -> dict[str, str]:
        """Readable names of scopes like ``chip:h20-96gb``."""
        return self._names(_SCOPES, scopes)

    def _names(self, kinds: dict[str, Any], labels: Iterable[str]) -> dict[str, str]:
        """Readable names for labels like ``site:colossus-1``, found by slug."""
        slugs: dict[Any, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for label in labels:
            kind, _, slug = label.partition(":")
            if kind in kinds:
                slugs[kinds[kind]][slug].append(label)  # an organization and the group under it have one slug
        return {
            label: name
            for model, wanted in slugs.items()
            for slug, name in self.known(model).filter(slug__in=wanted).values_list("slug", "name")
            for label in wanted[slug]
        } | {label: _country(label) for label in labels if label.startswith("country:")}

    def _evidence(self, pieces: Sequence[Evidence]) -> dict[int, list[EvidenceLine]]:
        wanted: dict[str, set[int]] = defaultdict(set)
        for piece in pieces:
            wanted[piece.model_name].add(piece.object_id)
        records = {(name, row.pk): row for name in sorted(wanted) for row in self.records(name, wanted[name])}
        lines: dict[int, list[EvidenceLine]] = defaultdict(list)
        for piece in pieces:
            record = records.get((piece.model_name, piece.object_id))
            same = record is not None and record.version == piece.version
            lines[piece.finding_id].append(self._evidence_line(piece, record if same else None))
        return lines

    def records(self, name: str, ids: Iterable[int]) -> Any:
        """Records of one table by id, as known at the instant, each with the source and the things that it names."""
        model = apps.get_model("tracker", name)
        fields = {field.name for field in model._meta.get_fields()}
        related = [
            field for field in ("source", "chip", "family", "licence", "data_center") if field in fields
        ]
        if "licence" in related and "source" not in related:
            related.append("licence__source")
        return self.known(model).filter(pk__in=ids).select_related(*related)

    def _evidence_line(self, piece: Evidence, record: Any) -> EvidenceLine:
        source = source_of(record)
        return EvidenceLine(
            role=piece.role,
            record=record_name(record) if record is not None else f"{piece.model_name} {piece.object_id}",
            version=piece.version,
            label=piece.label,
            figure=figure_of(record),
            grade=getattr(record, "grade", "") or (source.grade if source else ""),
            verification=getattr(record, "verification", "") or (source.verification if source else ""),
            allegation=getattr(record, "allegation", ""),
            page=record_page(piece.model_name, piece.object_id, self.at),
            source=self.source_line(source) if source else None,
            contribution=piece.contribution,
            variance_share=piece.variance_share,
            synthetic=bool(getattr(record, "is_synthetic", False))
            or (source is not None and source.verification == "synthetic"),
            bounds=_bounds(record) if isinstance(record, Claim) else None,
            bound=getattr(record, "bound", ""),
            unit=getattr(record, "unit", ""),
        )

    def source_line(self, source: Source) -> SourceLine:
        return SourceLine(
            slug=source.slug,
            title=source.title,
            publisher=source.publisher,
            url=source.url,
            published_on=source.published_on,
            published_on_basis=source.get_published_on_basis_display(),
            retrieved_on=source.retrieved_on,
            kind=source.get_kind_display(),
            grade=source.grade,
            verification=source.verification,
            licence_note=source.licence_note,
            page=record_page("source", source.pk, self.at),
        )

    def plugs(self, run: ReconciliationRun) -> Any:
        """Entries made up to let a displayed chain close, of the records that the run reads, by month."""
        world = run.parameters.get("records") == "synthetic"
        made = self.known(BalancePlug).filter(is_synthetic=world).order_by("month", "id")
        return made.select_related("organization", "data_center", "chip", "family")

    def plug_lines(self, run: ReconciliationRun) -> tuple[PlugLine, ...]:
        """The same as a report lists them."""
        return tuple(plug_line(plug, self.at) for plug in self.plugs(run))

    # --- plans beside the ledger

    def plans(self) -> tuple[Plan, ...]:
        """Published plans of at least 1,000 chips by site, or by party where no site is named, the largest
        first."""
        planned = (
            self.known(Claim)
            .filter(Q(status__in=_PLANNED) | Q(kind=Claim.Kind.PLANNED))
            .exclude(kind__in=_OUTWARD)
        )
        groups: dict[tuple[str, int], list[Claim]] = defaultdict(list)
        for claim in planned.select_related("source", "subject", "data_center", "chip", "family").order_by(
            "slug"
        ):
            if claim.data_center_id:
                groups["site", claim.data_center_id].append(claim)
            elif claim.subject_id:
                groups["party", claim.subject_id].append(claim)
        plans = [
            self._plan(claims)
            for claims in groups.values()
            if max(_chips_named(claim) for claim in claims) >= PLAN_SIZE_CHIPS
        ]
        return tuple(sorted(plans, key=lambda plan: (-plan.size, plan.slug)))

    def _plan(self, claims: Sequence[Claim]) -> Plan:
        site = claims[0].data_center
        named: Any = site or claims[0].subject
        parts = self._parts(site) if site else []
        inside = [site, *parts] if site else []
        parties = {row.operator_id for row in inside if row.operator_id}
        parties |= {claim.subject_id for claim in claims if claim.subject_id}
        parties |= set(
            self.known(DataCenterUser)
            .filter(data_center__in=inside)
            .values_list("organization_id", flat=True)
        )
        country = site.country if site else claims[0].destination_country
        place = [site.region if site else "", _country(f"country:{country}")]
        return Plan(
            slug=named.slug,
            name=named.name,
            kind=site.kind if site else "organization",
            place=", ".join(filter(None, place)),
            parts=tuple(part.name for part in parts),
            note=site.note if site else "",
            claims=tuple(self._plan_claim(claim) for claim in claims),
            trace=self._trace(inside, parties, claims),
        )

    def _parts(self, site: DataCenter) -> list[DataCenter]:
        """Everything that lies inside a site, at any depth, by slug."""
        inside: set[int] = set()
        frontier = {site.pk}
        while frontier:
            below = set(
                self.known(DataCenterPart).filter(whole_id__in=frontier).values_list("part_id", flat=True)
            )
            frontier = below - inside - {site.pk}
            inside |= frontier
        return list(self.known(DataCenter).filter(pk__in=inside).order_by("slug"))

    def _plan_claim(self, claim: Claim) -> PlanClaim:
        return PlanClaim(
            slug=claim.slug,
            figure=figure_of(claim),
            status=claim.get_status_display(),
            said=claim.original_text,
            note=claim.note,
            grade=claim.grade,
            verification=claim.verification,
            allegation=claim.allegation,
            page=record_page("claim", claim.pk, self.at),
            source=self.source_line(claim.source),
            size=_chips_named(claim),
        )

    def _trace(self, inside: Sequence[DataCenter], parties: set[int], claims: Sequence[Claim]) -> Trace:
        sites = {site.pk for site in inside}
        into = traced_to(Q(destination_id__in=sites), "consignee_id", "end_user_id", parties)
        moved = (
            self.known(Shipment)
            .counted()
            .filter(into)
            .aggregate(
                lines=Count("id"),
                chips=Sum(_CHIPS),
                counted=Count(_CHIPS),
                floors=Count("id", filter=Q(bound=Shipment.Bound.FLOOR)),
            )
        )
        where = Q(data_center_id__in=sites) if sites else Q(subject_id__in=parties, data_center__isnull=True)
        standing = (
            self.known(Claim).filter(where, status__in=_STANDING).select_related("source", "chip", "family")
        )
        licences = (
            self.known(LicenceItem)
            .select_related("licence", "chip", "family")
            .order_by("licence__reference", "id")
        )
        naming = Q(licence__consignee_id__in=parties) | Q(licence__end_user_id__in=parties)
        names = self.known(Organization).filter(pk__in=parties).order_by("slug")
        return Trace(
            sites=tuple(sorted(site.slug for site in inside)),
            parties=tuple(names.values_list("slug", flat=True)),
            lines=moved["lines"],
            chips=float(moved["chips"] or 0),
            uncounted=moved["lines"] - moved["counted"],
            at_least=moved["floors"] > 0,
            installed=tuple(self._plan_claim(claim) for claim in standing.order_by("slug")),
            licences_naming=tuple(_licence_words(item) for item in licences.filter(naming)),
            licences_country=tuple(
                _licence_words(item)
                for item in licences.filter(self._same_trade(inside, claims)).exclude(naming)
            ),
        )

    def _same_trade(self, inside: Sequence[DataCenter], claims: Sequence[Claim]) -> Q:
        """Licence items for the country of a plan and for chips that its name may stand for."""
        countries = {site.country for site in inside} | {claim.destination_country for claim in claims}
        countries.discard("")
        families = {claim.family_id for claim in claims if claim.family_id}
        chips = {claim.chip_id for claim in claims if claim.chip_id}
        chips |= set(
            self.known(ChipFamilyMember).filter(family_id__in=families).values_list("chip_id", flat=True)
        )
        wider = (
            set(self.known(ChipFamilyMember).filter(chip_id__in=chips).values_list("family_id", flat=True))
            | families
        )
        return Q(licence__destination_country__in=countries) & (Q(chip_id__in=chips) | Q(family_id__in=wider))

    # --- movements and rules

    @property
    def _movements(self) -> Any:
        return self.known(Shipment).counted()

    def months(self) -> tuple[MonthLine, ...]:
        """Documented movements by month of shipping (of receipt where only that is known), in order of time."""
        rows = (
            self._movements.annotate(month=TruncMonth(Coalesce("shipped_on", "received_on")))
            .filter(month__isnull=False)
            .order_by("month")
            .values("month")
            .annotate(lines=Count("id"), total=Sum(_CHIPS))
        )
        return tuple(MonthLine(row["month"], row["lines"], float(row["total"] or 0)) for row in rows)

    def undated_lines(self) -> int:
        return self._movements.filter(shipped_on__isnull=True, received_on__isnull=True).count()

    def destinations(self) -> dict[str, float]:
        """Chips on documented lines by country of destination."""
        rows = (
            self._movements.order_by("destination_country")
            .values("destination_country")
            .annotate(total=Sum(_CHIPS))
        )
        return {row["destination_country"]: float(row["total"]) for row in rows if row["total"]}

    def rules(self) -> tuple[RuleDate, ...]:
        """The days on which export rules took effect."""
        rows = self.known(ExportRule).order_by("rule_id", "id")
        return tuple(
            RuleDate(row.in_force.lower, row.rule_id, row.title, row.citation, row.verification)
            for row in rows
            if row.in_force and row.in_force.lower
        )


_CHIPS = Case(
    When(unit__in=_ONE_EACH, then=F("quantity")),
    When(unit__in=_CARRIERS, chips_per_unit__isnull=False, then=F("quantity") * F("chips_per_unit")),
    default=None,
    output_field=DecimalField(max_digits=30, decimal_places=5),
)
"""Chips of a shipment line; null where the line is not counted in chips and its carrier's model is not named."""


def _line(row: Finding, area: str, scope: str, evidence: tuple[EvidenceLine, ...]) -> Line:
    return Line(
        key=row.key,
        check=row.check_code,
        area=row.area,
        area_name=area,
        scope=row.scope,
        scope_name=scope,
        period=row.period,
        counterpart=row.counterpart,
        verdict=row.verdict,
        headline=row.headline,
        severity=row.severity,
        strength=row.strength,
        weakest_grade=row.weakest_grade,
        is_discrepancy=row.is_discrepancy,
        unit=row.unit,
        expected=row.expected,
        reported=row.reported,
        gap=row.gap,
        sigma=row.sigma,
        statistic=row.statistic,
        p=row.p,
        q=row.q,
        threshold=row.threshold,
        family=row.family,
        gap_h100e=row.gap_h100e,
        sq=row.sq,
        mdg=row.mdg,
        formula=row.formula,
        sections=tuple((part["heading"], part["body"]) for part in row.sections),
        numbers=row.numbers,
        first_run=row.discrepancy.first_run.key if row.discrepancy else "",
        due_on=row.discrepancy.due_on if row.discrepancy else None,
        evidence=evidence,
        page=finding_page(row.pk),
    )


def _country(label: str) -> str:
    code = label.partition(":")[2]
    return COUNTRIES.get(code, code)


def traced_to(into: Q, consignee: str, end_user: str, parties: Collection[Any]) -> Q:
    """Movements into some sites, and where no site is named those to some parties."""
    return into | Q(destination__isnull=True) & (
        Q(**{f"{consignee}__in": parties}) | Q(**{f"{end_user}__in": parties})
    )


def record_name(record: Any) -> str:
    """What a record is called: its own name, or that of the thing it belongs to."""
    for field in ("slug", "reference", "rule_id"):
        if name := getattr(record, field, ""):
            return name
    for part in ("licence", "chip", "data_center"):
        if owner := getattr(record, part, None):
            return f"{getattr(owner, 'slug', '') or owner.reference}: {record._meta.verbose_name}"
    return str(record)


def source_of(record: Any) -> Source | None:
    """The source that a record rests on: itself if it is one, its own, or that of its licence."""
    if isinstance(record, Source):
        return record
    own = getattr(record, "source", None)
    return own if own is not None else getattr(getattr(record, "licence", None), "source", None)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _bounds(claim: Claim) -> tuple[float | None, float | None, float | None]:
    return _float(claim.low), _float(claim.best), _float(claim.high)


def figure_of(record: Any) -> str:
    """What a record reports, in words; empty for records that report no quantity."""
    if isinstance(record, Claim):
        low, best, high = _bounds(record)
        return figure_words(
            low=low, best=best, high=high, bound=record.bound, unit=record.unit, exact=record.is_exact
        )
    if isinstance(record, Shipment | LicenceItem):
        ends = {"floor": "low", "ceiling": "high"}.get(record.bound, "best")
        values: dict[str, float | None] = {"low": None, "best": None, "high": None} | {
            ends: float(record.quantity)
        }
        return figure_words(
            bound=record.bound, unit=record.unit, exact=getattr(record, "is_exact", False), **values
        )
    if hasattr(record, "megawatts"):
        return f"{number(float(record.megawatts))} MW ({record.get_basis_display()})"
    return ""


def _chips_named(claim: Claim) -> float:
    """The largest number of chips a claim names, for ordering; servers of no named model count as eight; 0
    for other units."""
    largest = max(
        (float(value) for value in (claim.low, claim.best, claim.high) if value is not None), default=0.0
    )
    if claim.unit in _ONE_EACH or claim.unit == Unit.GPU_EQUIVALENTS:
        return largest
    if claim.unit in _CARRIERS:
        per_unit = claim.chips_per_unit or (0 if claim.unit == Unit.RACKS else CHIPS_PER_UNNAMED_SERVER)
        return largest * float(per_unit)
    return 0.0


def plug_line(plug: BalancePlug, at: datetime | None) -> PlugLine:
    """A plug in words."""
    place: Any = plug.organization or plug.data_center
    scope: Any = plug.chip or plug.family
    return PlugLine(
        area=place.name if place else _country(f"country:{plug.country}"),
        scope=scope.name,
        month=plug.month,
        quantity=float(plug.quantity),
        why=plug.why,
        page=record_page("balanceplug", plug.pk, at),
    )


def _licence_words(item: LicenceItem) -> str:
    licence = item.licence
    scope: Any = item.chip or item.family
    known = licence.valid_from or licence.valid_until
    valid = (
        f"valid {licence.valid_from or '…'} to {licence.valid_until or '…'}" if known else "dates not known"
    )
    mark = " UNVERIFIED" if licence.verification == Verification.MEMORY else ""
    return f"{licence.reference}: {figure_of(item)} of {scope.name}, {licence.authority}, {valid}{mark}"
