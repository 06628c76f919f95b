"""Reading what a number rests on: the tree below a finding, a record with its words and versions, a book with its lines.

Everything is read as known at an instant, in as many queries as there are kinds of records, whatever their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce

from tracker.balances.books import KINDS, TERMS, Places, behind, ends
from tracker.balances.models import BalanceArea, BalanceCell, BalancePlug, BalanceScope
from tracker.balances.querysets import line_chunks, of_scopes, places
from tracker.balances.reading import CANCELLED, RETURNED, amounts
from tracker.claims.models import Claim, ClosedBook
from tracker.core.addresses import RESOURCES, finding_page, record_data, record_page
from tracker.core.models import RecordVersion, Versioned
from tracker.reconciliation import tree
from tracker.reconciliation.books import Evidence as EvidenceRow
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.books import Parameters, RecordRef
from tracker.reconciliation.models import Evidence, Finding, ReconciliationRun
from tracker.reconciliation.querysets import Ledger
from tracker.reconciliation.tree import Node, Piece, Record, SourceFacts
from tracker.reports.querysets import Reading, figure_of, record_name, source_of, traced_to
from tracker.shipments.models import Shipment, ShipmentClaim
from tracker.sources.models import Source

ROWS = 100
"""Rows of evidence in one page of a tree, unless asked otherwise."""
MOST_ROWS = 500
MOST_ECHOES = 20
"""Echoes and documenting claims shown below one record."""
LATEST_RUNS = 5
LISTED = 100
"""Passages, versions and findings on the page of a record."""

PAGES = (*RESOURCES, "balanceplug", "closedbook", "licenceitem", "sitepower")
"""Tables whose records have a page."""
_NOT_FACTS = frozenset(
    {
        "id",
        "version",
        "recorded_at",
        "recorded_by",
        "recorded_reason",
        "recorded_batch",
        "source",
        "original_text",
        "note",
    }
)


@dataclass(frozen=True, slots=True)
class TreePage:
    """A tree, the finding's own steps, and the place after which the next rows follow (None: all are shown)."""

    tree: Node
    worked: tuple[str, ...]
    next_after: int | None


def findings() -> models.QuerySet[Finding]:
    """Findings that are published: those of finished runs."""
    return Finding.objects.filter(run__status=ReconciliationRun.Status.FINISHED).select_related(
        "run", "discrepancy"
    )


def finding_tree(row: Finding, *, after: int = -1, limit: int = ROWS) -> TreePage:
    """The tree below a finding as its run read the ledger. ``after``, ``limit``: which rows of evidence are shown."""
    trail = Trail(row.run.as_known_at)
    pieces = trail.pieces(row.evidence.order_by("order"))
    shown = tree.page(pieces, after, limit)
    found = _found(row)
    grown = tree.grow(
        found, pieces, trail.records(piece.evidence.ref for piece in shown), after=after, limit=limit
    )
    last = shown[-1].order if shown else after
    more = any(piece.order > last for piece in pieces)
    return TreePage(grown, tree.worked(found, grown), last if more else None)


def _found(row: Finding) -> Found:
    return Found(
        check=row.check_code, area=row.area, scope=row.scope, period=row.period, counterpart=row.counterpart,
        verdict=row.verdict, headline=row.headline, expected=row.expected, reported=row.reported, gap=row.gap, unit=row.unit,
        sigma=row.sigma, statistic=row.statistic, gap_h100e=row.gap_h100e, sq=row.sq, mdg=row.mdg,
        weakest_grade=row.weakest_grade, formula=row.formula, numbers=row.numbers,
    )  # fmt: skip


@dataclass(frozen=True)
class Trail:
    """The ledger as known at ``at``, read from a record towards its sources."""

    at: datetime | None

    @property
    def reading(self) -> Reading:
        return Reading(self.at)

    def known(self, model: Any) -> Any:
        return model.objects.known_at(self.at)

    # --- evidence -----------------------------------------------------------------------------------------------------

    def pieces(self, evidence: models.QuerySet[Evidence]) -> list[Piece]:
        """Rows of evidence with what tells production and retirement from other movements."""
        rows = list(evidence)
        lines = {row.object_id for row in rows if row.model_name == "shipment" and row.role == "ledger"}
        kinds: dict[int, tuple[str, str]] = {}
        if lines:
            found = self.known(Shipment).filter(pk__in=lines).order_by().values_list("id", "kind", "status")
            kinds = {pk: (kind, status) for pk, kind, status in found}
        return [
            Piece(
                row.order,
                EvidenceRow(
                    RecordRef(row.model_name, row.object_id, row.version),
                    row.role, row.label, row.contribution, row.variance_share,
                ),
                *kinds.get(row.object_id if row.model_name == "shipment" else 0, ("", "")),
            )
            for row in rows
        ]  # fmt: skip

    def records(self, refs: Iterable[RecordRef]) -> dict[RecordRef, Record]:
        """The very versions that are named, with the claims that document or repeat them and their sources."""
        ids: dict[str, set[int]] = defaultdict(set)
        wanted = set(refs)
        for ref in wanted:
            ids[ref.model].add(ref.id)
        rows = {
            RecordRef(name, row.pk, row.version): row
            for name in sorted(ids)
            for row in self.reading.records(name, ids[name])
        }
        documents = self._documents(ids["shipment"])
        echoes = self._echoes(ids["claim"])
        found = {}
        for ref in wanted:
            row = rows.get(ref)
            if row is None:
                found[ref] = Record(ref, f"{ref.model} {ref.id}", is_found=False)
                continue
            record = self.record(row)
            if ref.model == "shipment":
                record = replace(record, claims=documents[ref.id])
            if ref.model == "claim":
                record = replace(record, echoes=echoes[ref.id])
            found[ref] = record
        return found

    def record(self, row: Any) -> Record:
        """One row in words."""
        model, source = row._meta.model_name, source_of(row)
        anchor = row.slug if model in ("claim", "closedbook") else ""
        return Record(
            ref=RecordRef(model, row.pk, row.version),
            name=record_name(row),
            figure=figure_of(row),
            said=getattr(row, "original_text", ""),
            note=getattr(row, "note", ""),
            grade=getattr(row, "grade", "") or (source.grade if source else ""),
            verification=getattr(row, "verification", "") or (source.verification if source else ""),
            allegation=getattr(row, "allegation", ""),
            is_synthetic=bool(getattr(row, "is_synthetic", False)),
            page=record_page(model, row.pk, self.at),
            data=record_data(model, row.pk, self.at),
            source=self.source(source, anchor=anchor) if source else None,
        )

    def source(self, row: Source, *, anchor: str = "") -> SourceFacts:
        return SourceFacts(
            slug=row.slug, title=row.title, publisher=row.publisher, original_publisher=row.original_publisher, url=row.url,
            published_on=row.published_on, retrieved_on=row.retrieved_on, kind=row.get_kind_display(), grade=row.grade,
            verification=row.verification, archive=row.archive_sha256,
            page=record_page("source", row.pk, self.at) + (f"#{anchor}" if anchor else ""),
            data=record_data("source", row.pk, self.at),
        )  # fmt: skip

    def _documents(self, shipments: set[int]) -> dict[int, tuple[Record, ...]]:
        """shipment id -> the claims that document it."""
        found: dict[int, list[Record]] = defaultdict(list)
        if shipments:
            rows = (
                self.known(ShipmentClaim)
                .filter(shipment_id__in=shipments)
                .order_by("shipment_id", "claim_id")
            )
            for row in rows.select_related("claim__source", "claim__chip", "claim__family"):
                if len(found[row.shipment_id]) < MOST_ECHOES:
                    found[row.shipment_id].append(self.record(row.claim))
        return defaultdict(tuple, {pk: tuple(claims) for pk, claims in found.items()})

    def _echoes(self, claims: set[int]) -> dict[int, tuple[Record, ...]]:
        """claim id -> the claims that only repeat it."""
        found: dict[int, list[Record]] = defaultdict(list)
        if claims:
            rows = (
                self.known(Claim)
                .filter(echo_of_id__in=claims)
                .select_related("source")
                .order_by("echo_of_id", "id")
            )
            for row in rows:
                if len(found[row.echo_of_id]) < MOST_ECHOES:
                    found[row.echo_of_id].append(self.record(row))
        return defaultdict(tuple, {pk: tuple(echoes) for pk, echoes in found.items()})


# --- the page of a record ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    """A column of a record in words; ``page``: of the record that it names."""

    name: str
    text: str
    page: str = ""


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version of a record. ``page``: the record as it was then."""

    version: int
    recorded_at: datetime
    superseded_at: datetime | None
    page: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Use:
    """A discrepancy that rests on the record."""

    run: str
    check: str
    headline: str
    role: str
    severity: str
    version: int
    page: str


@dataclass(frozen=True, slots=True)
class RecordPage:
    """All that the page of a record shows.

    ``passages``: of a source, the claims taken from it; ``others``: what else cites it, by kind; ``movements``: of a claim, those
    that it documents.
    """

    record: Record
    kind: str
    recorded_at: datetime
    facts: tuple[Fact, ...]
    versions: tuple[VersionLine, ...]
    uses: tuple[Use, ...]
    passages: tuple[Record, ...] = ()
    passages_left_out: int = 0
    others: tuple[tuple[str, int], ...] = ()
    movements: tuple[Record, ...] = ()

    @property
    def is_source(self) -> bool:
        return self.record.ref.model == "source"


def record_shown(model_name: str, pk: int, at: datetime | None) -> RecordPage | None:
    """The page of a record as known at the instant; None where there was no such record then, or its table has no pages."""
    if model_name not in PAGES:
        return None
    model = apps.get_model("tracker", model_name)
    trail = Trail(at)
    keys = [field.name for field in model._meta.concrete_fields if field.is_relation]
    row = (
        trail.known(model)
        .filter(pk=pk)
        .select_related(*keys, *(["licence__source"] if "licence" in keys else []))
        .first()
    )
    if row is None:
        return None
    ref = RecordRef(model_name, row.pk, row.version)
    record = trail.record(row)
    linked = trail.records([ref])[ref] if model_name in ("claim", "shipment") else record
    passages, left_out, others = trail_of_source(trail, row) if isinstance(row, Source) else ((), 0, ())
    return RecordPage(
        record=linked if linked.is_found else record,
        kind=str(model._meta.verbose_name),
        recorded_at=row.recorded_at,
        facts=tuple(_facts(row, at)),
        versions=tuple(_versions(row)),
        uses=tuple(_uses(model_name, pk)),
        passages=passages,
        passages_left_out=left_out,
        others=others,
        movements=tuple(_documented(trail, row)) if isinstance(row, Claim) else (),
    )


def _facts(row: Versioned, at: datetime | None) -> Iterable[Fact]:
    for field in row._meta.concrete_fields:
        if field.name in _NOT_FACTS or field.name.endswith("_by"):
            continue
        value = getattr(row, field.name)
        if value is None or value == "" or value == [] or value == {}:
            continue
        name = str(field.verbose_name)
        if isinstance(value, models.Model):
            known = value._meta.model_name in PAGES
            page = record_page(str(value._meta.model_name), value.pk, at) if known else ""
            yield Fact(name, getattr(value, "name", "") or str(value), page)
        else:
            yield Fact(name, _words(row, field, value))


def _words(row: Versioned, field: Any, value: Any) -> str:
    if getattr(field, "choices", None):
        return str(getattr(row, f"get_{field.name}_display")())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if field.get_internal_type() == "DecimalField":
        return f"{value.normalize():,f}"
    return str(value)


def _versions(row: Versioned) -> Iterable[VersionLine]:
    """All versions, the newest first; each is reached at the instant it was recorded."""
    model = type(row)
    name = str(model._meta.model_name)
    standing = model._base_manager.filter(pk=row.pk).values_list("version", "recorded_at")
    ended = (
        RecordVersion.objects.filter(table_name=model._meta.db_table, object_id=row.pk)
        .order_by("-version", "-id")
        .values_list("version", "recorded_at", "superseded_at")[:LISTED]
    )
    known: list[tuple[int, datetime, datetime | None]] = [(version, at, None) for version, at in standing]
    for version, recorded_at, superseded_at in [*known, *ended]:
        page = record_page(name, row.pk, recorded_at)
        yield VersionLine(version, recorded_at, superseded_at, page, version == row.version)


def _uses(model_name: str, pk: int) -> Iterable[Use]:
    """Discrepancies of the latest finished runs that rest on the record, those of the last run first, the gravest first.

    Of the latest only: a specification may bear thousands of findings in every run there has been.
    """
    finished = ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED).order_by("-id")
    own = Coalesce("evidence_of_id", "id")
    pieces = Evidence.objects.filter(model_name=model_name, object_id=pk)
    rows = (
        Finding.objects.filter(
            is_discrepancy=True, run_id__in=list(finished.values_list("id", flat=True)[:LATEST_RUNS])
        )
        .annotate(told=own)
        .filter(Exists(pieces.filter(finding_id=OuterRef("told"))))
        .select_related("run")
        .order_by("-run_id", "severity_rank", "id")
    )
    found = list(rows[:LISTED])
    borne: dict[int, list[Evidence]] = defaultdict(list)
    for piece in pieces.filter(finding_id__in={one.told for one in found}).order_by("finding_id", "order"):
        borne[piece.finding_id].append(piece)
    named = [(one, piece) for one in found for piece in borne[one.told]]
    for finding, row in named[:LISTED]:
        yield Use(
            finding.run.key,
            finding.check_code,
            finding.headline,
            row.role,
            finding.severity,
            row.version,
            finding_page(finding.pk),
        )


def _documented(trail: Trail, claim: Claim) -> Iterable[Record]:
    """Movements that the claim documents."""
    rows = trail.known(ShipmentClaim).filter(claim_id=claim.pk).order_by("shipment_id")
    for row in rows.select_related("shipment__source")[:LISTED]:
        yield trail.record(row.shipment)


def trail_of_source(
    trail: Trail, source: Source
) -> tuple[tuple[Record, ...], int, tuple[tuple[str, int], ...]]:
    """The claims and declarations that were taken from a source, how many more there are, and how much else cites it."""
    claims = trail.known(Claim).filter(source_id=source.pk)
    rows: Sequence[Any] = [
        *claims.select_related("source", "chip", "family").order_by("slug")[:LISTED],
        *trail.known(ClosedBook)
        .filter(source_id=source.pk)
        .select_related("source")
        .order_by("slug")[:LISTED],
    ]
    others = []
    for name in PAGES:
        model = apps.get_model("tracker", name)
        cites = name != "claim" and any(field.name == "source" for field in model._meta.concrete_fields)
        if cites and (count := trail.known(model).filter(source_id=source.pk).count()):
            name = model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural
            others.append((str(name), count))
    return tuple(trail.record(row) for row in rows), max(0, claims.count() - LISTED), tuple(others)


# --- books ------------------------------------------------------------------------------------------------------------------

AREAS_LISTED = 200
LINES_LISTED = 50


@dataclass(frozen=True, slots=True)
class AreaLine:
    """A balance area of a run. ``page``: its books."""

    key: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class BookLine:
    """The latest month of one book of an area."""

    scope: str
    name: str
    months: int
    cell: BalanceCell


@dataclass(frozen=True, slots=True)
class MovementLine:
    """A line that moves a book, with the term it counts in (``receipts``, ``dispatches``, ...)."""

    record: Record
    term: str
    route: str
    status: str
    left: date | None
    arrived: date | None
    is_presumed: bool


@dataclass(frozen=True, slots=True)
class BookLines:
    """Lines behind a month of a book by id, the id after which the next follow (None: all are shown), and of each term the
    number of its lines and their chips, over all pages."""

    lines: tuple[MovementLine, ...]
    next_after: int | None
    terms: tuple[tuple[str, int, float], ...]


def shown_run(name: str) -> ReconciliationRun | None:
    """The finished run of that key, or the latest one of that signature."""
    runs = ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED)
    return runs.filter(Q(key=name) | Q(signature=name)).order_by("-id").first()


def _layers(run: ReconciliationRun) -> list[int]:
    """Runs whose cells make up the books of this one, the earliest first, itself last."""
    return [*(pk for pk in run.layers if pk != run.pk), run.pk]


def _standing(run: ReconciliationRun, cells: Iterable[BalanceCell]) -> list[BalanceCell]:
    """Of cells of one area, by scope and month, those of the latest layer; months that are gone by then are left out."""
    place = {pk: index for index, pk in enumerate(_layers(run))}
    best: dict[tuple[str, date], BalanceCell] = {}
    for cell in sorted(cells, key=lambda cell: place[cell.run_id]):
        best[cell.scope.key, cell.month] = cell
    return [best[key] for key in sorted(best) if not best[key].is_gone]


def book_areas(run: ReconciliationRun, *, kind: str = "", after: str = "") -> tuple[list[AreaLine], str]:
    """Areas that have a book in the run, by key, and the key after which the next follow (empty: all are shown)."""
    cells = BalanceCell.objects.filter(run_id__in=_layers(run), area_id=OuterRef("pk"))
    areas = BalanceArea.objects.filter(Exists(cells), key__gt=after).order_by("key")
    rows = list((areas.filter(kind=kind) if kind else areas)[: AREAS_LISTED + 1])
    shown = rows[:AREAS_LISTED]
    names = Reading(run.as_known_at).area_names([row.key for row in shown])
    lines = [AreaLine(row.key, names.get(row.key, row.key), row.get_kind_display()) for row in shown]
    return lines, shown[-1].key if len(rows) > AREAS_LISTED else ""


def books_of(run: ReconciliationRun, area: str) -> list[BookLine]:
    """The books of one area, one for each scope, by the scope's key."""
    cells = BalanceCell.objects.filter(run_id__in=_layers(run), area__key=area).select_related("scope")
    months: dict[str, list[BalanceCell]] = defaultdict(list)
    for cell in _standing(run, cells):
        months[cell.scope.key].append(cell)
    names = Reading(run.as_known_at).scope_names(list(months))
    return [BookLine(key, names.get(key, key), len(rows), rows[-1]) for key, rows in months.items()]


def has_book(run: ReconciliationRun, area: str) -> bool:
    """Whether the run keeps a book of the area."""
    return BalanceCell.objects.filter(run_id__in=_layers(run), area__key=area).exists()


def book(run: ReconciliationRun, area: str, scope: str) -> list[BalanceCell]:
    """The months of one book in order; empty where the run keeps no such book."""
    cells = BalanceCell.objects.filter(run_id__in=_layers(run), area__key=area, scope__key=scope)
    return _standing(run, cells.select_related("area", "scope"))


def plugs_of(
    run: ReconciliationRun, area: BalanceArea, scope: BalanceScope | None = None
) -> list[BalancePlug]:
    """Entries made up to let the displayed chain of an area close, as known to the run: no evidence, in no number of a test."""
    made = Reading(run.as_known_at).plugs(run)
    owners = {"site": "data_center_id", "org": "organization_id"}
    if area.kind in owners:
        made = made.filter(**{owners[area.kind]: area.object_id})
    elif area.kind == BalanceArea.Kind.COUNTRY:
        made = made.filter(country=area.key.partition(":")[2])
    else:
        return []
    if scope is not None:
        made = made.filter(**{f"{scope.kind}_id": scope.object_id})
    return list(made)


def book_lines(
    run: ReconciliationRun, area: BalanceArea, scope: BalanceScope, month: date, *, after: int = 0
) -> BookLines:
    """The lines that move a book in one month, read and added up as the run did (``balances.books``)."""
    parameters = Parameters(**run.parameters)
    synthetic = parameters.records == "synthetic"
    kind = KINDS.index(area.kind)
    where = _places(run, parameters, is_group=area.kind == BalanceArea.Kind.GROUP)
    number = (month.year - 2000) * 12 + month.month - 1
    over = (month + timedelta(days=32)).replace(day=1)
    key = scope.object_id * 2 + (scope.kind == BalanceScope.Kind.FAMILY)
    of_scope, scoped = of_scopes([key])
    dated = f"({_LEFT} >= %s AND {_LEFT} < %s) OR ({_ARRIVED} >= %s AND {_ARRIVED} < %s)"
    lead = parameters.lead_time_days
    days = [month, over, lead, month, lead, over]
    counts: dict[str, int] = defaultdict(int)
    chips: dict[str, float] = defaultdict(float)
    terms: dict[int, str] = {}
    for lines in line_chunks(run.as_known_at, synthetic, f"{of_scope} AND ({dated})", [*scoped, *days]):
        usable = amounts(lines, parameters).usable & ~np.isin(lines["status"], (RETURNED, CANCELLED))
        lines = lines[usable]
        found = ends(lines, amounts(lines, parameters), where, lead)
        rows, places = behind(found, kind, area.object_id, number)
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            term = TERMS[place]
            counts[term] += 1
            chips[term] += float(found["mu"][row])
            terms[int(lines["id"][row])] = term
    shown = [pk for pk in sorted(terms) if pk > after]
    trail = Trail(run.as_known_at)
    rows_shown = (
        trail.known(Shipment).filter(pk__in=shown[:LINES_LISTED]).order_by("pk").select_related(*_LINE_NAMES)
    )
    return BookLines(
        tuple(_movement(trail, row, terms[row.pk]) for row in rows_shown),
        shown[LINES_LISTED - 1] if len(shown) > LINES_LISTED else None,
        tuple((term, counts[term], chips[term]) for term in TERMS if counts[term]),
    )


_LEFT = "coalesce(shipped_on_latest, shipped_on)"
_ARRIVED = f"coalesce(CASE WHEN received_on IS NOT NULL THEN coalesce(received_on_latest, received_on) END, {_LEFT} + %s)"
_LINE_NAMES = ("source", "shipper", "consignee", "end_user", "origin", "destination", "chip", "family")


def _places(run: ReconciliationRun, parameters: Parameters, *, is_group: bool) -> Places:
    """The places that lines lie in; who owns whom is read only where a group is asked for."""
    if not is_group:
        return places(run.as_known_at, (), Q(is_synthetic=parameters.records == "synthetic"))
    ledger = Ledger(run.as_known_at, run.as_of, parameters)
    return places(run.as_known_at, ledger.parties.stakes, ledger.of_world())


def _movement(trail: Trail, row: Any, term: str) -> MovementLine:
    ends = (
        (row.shipper, row.origin, row.get_origin_country_display()),
        (row.end_user or row.consignee, row.destination, row.get_destination_country_display()),
    )
    words = [
        ", ".join(filter(None, (party.name if party else "", site.name if site else "", country)))
        or "not known"
        for party, site, country in ends
    ]
    left = row.shipped_on_latest or row.shipped_on
    arrived = (row.received_on_latest or row.received_on) if row.received_on else None
    return MovementLine(
        trail.record(row),
        term,
        " → ".join(words),
        row.get_status_display(),
        left,
        arrived,
        row.received_on is None,
    )


def movements(
    run: ReconciliationRun,
    *,
    to: str = "",
    month: date | None = None,
    into: Collection[str] = (),
    parties: Collection[str] = (),
    after: int = 0,
) -> tuple[list[MovementLine], int | None]:
    """Lines as the run's report counts them, by id: all, or the standing movements to a country (``none``: not known), shipped
    in a month, or ``into`` sites by name and, where no site is named, to ``parties``."""
    trail = Trail(run.as_known_at)
    known = trail.known(Shipment)
    lines = (known.counted() if to or month or into or parties else known).filter(pk__gt=after)
    if into or parties:
        lines = lines.filter(
            traced_to(Q(destination__slug__in=into), "consignee__slug", "end_user__slug", parties)
        )
    if to:
        lines = lines.filter(destination_country="" if to == "none" else to)
    if month:
        dated = lines.annotate(day=Coalesce("shipped_on", "received_on"))
        lines = dated.filter(day__gte=month, day__lt=(month + timedelta(days=32)).replace(day=1))
    rows = list(lines.order_by("pk").select_related(*_LINE_NAMES)[: LINES_LISTED + 1])
    found = [_movement(trail, row, "") for row in rows[:LINES_LISTED]]
    return found, found[-1].record.ref.id if len(rows) > LINES_LISTED else None
