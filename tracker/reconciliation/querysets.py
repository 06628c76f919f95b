"""Reading the ledger for a run: one query for each kind of record, as known at the run's instant, cut to one partition.

What comes out are the plain values of ``books``. Partitions are cut so that whatever a check holds against one another lies in
one partition: claims by connected component of (subject, declared conflict, echo); movements by scope or by consignee; sites by
their id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
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
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tracker.chips.models import Chip, ChipFamily, ChipFamilyMember, ChipSpecification
from tracker.chips.services import CHIP_FIELDS, SPEC_FIELDS, spec_of
from tracker.chips.specs import H100_TPP, ChipSpec, h100_equivalents, tpp
from tracker.claims.models import Claim, ClaimConflict, ClosedBook
from tracker.core.period import DAY, Period, twelve_months
from tracker.core.quantity import Reported
from tracker.datacenters.models import DataCenter, DataCenterPart, DataCenterStatus, SitePower
from tracker.judgement.parties import PartyBook
from tracker.judgement.querysets import party_book
from tracker.licences.models import Licence, LicenceItem
from tracker.organizations.models import Organization
from tracker.reconciliation import scopes
from tracker.reconciliation.books import (
    Books,
    ChipRow,
    ClaimRow,
    ClosedBookRow,
    FlowRow,
    Law,
    LicenceRow,
    MovementRow,
    OrganizationRow,
    Parameters,
    PowerRow,
    RecordRef,
    Scope,
    SiteRow,
    SourceRow,
)
from tracker.reconciliation.inventories import HELD, scope_number
from tracker.reconciliation.ledger_network import USE as NETWORK
from tracker.reconciliation.ledger_network import cut_days
from tracker.reconciliation.position import COUNTED, GONE
from tracker.reconciliation.verdicts import verdicts
from tracker.rules.caps import Cap
from tracker.rules.models import ExportRule
from tracker.rules.parameters import RuleBook
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import counted, in_chips, sums
from tracker.sources.models import Source

KINDS = ("claim_subject", "consignee", "hub", "licence", "limit", "network", "route", "scope", "site")
"""Kinds of shares that are read as books; the lines are read as columns."""
LotNumber = tuple[int, int, int, int]
"""Shipper, consignee, scope and quarter of a lot, as columns write them (``sweep.LOT``)."""


FLOW_COLUMNS = (
    "chip_id",
    "family_id",
    "origin_country",
    "destination_country",
    "shipped_on",
    "shipped_on_latest",
)
_FLOW_KINDS = frozenset(
    {"production", "sale", "purchase", "shipment", "order", "diverted", "seized", "charge"}
)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


@dataclass
class Ledger:
    """The ledger as known at one instant, read piece by piece and only once.

    ``at``: the instant. ``as_of``: the day books are drawn up for. Reference data (chips, families) is small and read whole;
    claims, movements, organizations and sites are read for the partition at hand.
    """

    at: datetime
    as_of: date
    rules: RuleBook
    parameters: Parameters

    def known(self, model: Any) -> QuerySet:
        return model.objects.known_at(self.at)

    def of_world(self, prefix: str = "") -> Q:
        """Real and synthetic records share countries and chips, so a book of both would say nothing of either."""
        return Q(**{f"{prefix}is_synthetic": self.parameters.records == "synthetic"})

    # --- reference data ---------------------------------------------------------------------------------------------

    @cached_property
    def chip_specs(self) -> dict[int, tuple[RecordRef, int, dict[str, Any]]]:
        """chip id -> (specification version, source id, columns) of the specification of lowest rank."""
        fields = ("chip_id", "id", "version", "source_id", *SPEC_FIELDS)
        rows = self.known(ChipSpecification).order_by("chip_id", "rank", "id").values(*fields)
        best: dict[int, tuple[RecordRef, int, dict[str, Any]]] = {}
        for row in rows:
            ref = RecordRef("chipspecification", row["id"], row["version"])
            best.setdefault(row["chip_id"], (ref, row["source_id"], row))
        return best

    @cached_property
    def chips(self) -> dict[int, ChipRow]:
        return {chip_id: row for chip_id, (row, _) in self._chips.items()}

    @cached_property
    def specs(self) -> dict[int, ChipSpec]:
        """What the classification reads of each chip."""
        return {chip_id: spec for chip_id, (_, spec) in self._chips.items()}

    @cached_property
    def _chips(self) -> dict[int, tuple[ChipRow, ChipSpec]]:
        fields = ("id", "version", "name", "first_shipped_on", *CHIP_FIELDS)
        found = {}
        for row in self.known(Chip).order_by("id").values(*fields):
            ref, source_id, values = self.chip_specs.get(row["id"], (None, None, {}))
            spec = spec_of(row, values)
            figure = tpp(spec)
            chip = ChipRow(
                ref=RecordRef("chip", row["id"], row["version"]),
                slug=row["slug"],
                name=row["name"],
                vendor=row["vendor__slug"],
                tpp=figure.low if figure is not None else None,
                tdp_w=spec.tdp_w,
                first_shipped_on=row["first_shipped_on"],
                spec=ref,
                source=self.sources([source_id]).get(source_id) if source_id else None,
                commodity=self._commodity(row["id"], spec, figure.low if figure is not None else None),
            )
            found[row["id"]] = chip, spec
        return found

    def _commodity(self, chip_id: int, spec: ChipSpec, tpp_low: float | None) -> str:
        """The five figures of 91 FR 1684 by which commodities are the same, where all are known."""
        values = (
            tpp_low,
            spec.memory_bandwidth_gbs,
            spec.io_bandwidth_gbs,
            self._memory.get(chip_id),
            spec.tdp_w,
        )
        known = [value for value in values if value is not None]
        units = ("TPP", "GB/s to memory", "GB/s of interconnect", "GB of memory", "W")
        if len(known) < len(units):
            return ""
        return ", ".join(f"{value:g} {unit}" for value, unit in zip(known, units, strict=True))

    @cached_property
    def _memory(self) -> dict[int, float | None]:
        """chip id -> memory in GB, of the specification of lowest rank."""
        rows = self.known(ChipSpecification).order_by("chip_id", "rank", "id")
        found: dict[int, float | None] = {}
        for chip_id, memory in rows.values_list("chip_id", "memory_gb"):
            found.setdefault(chip_id, _number(memory))
        return found

    @cached_property
    def scopes(self) -> dict[tuple[str, int], Scope]:
        """(``chip`` or ``family``, id) -> scope."""
        found = {}
        for chip_id, chip in self.chips.items():
            equivalents = chip.tpp and h100_equivalents(chip.tpp)
            found["chip", chip_id] = Scope(
                kind="chip",
                id=chip_id,
                slug=chip.slug,
                name=chip.name,
                members=frozenset({chip_id}),
                h100e_low=equivalents,
                lowest_chip=chip_id if equivalents else None,
                h100e_high=equivalents,
                ref=chip.ref,
                vendor=chip.vendor,
                vendor_country=self.specs[chip_id].vendor_hq,
            )
        members: dict[int, set[int]] = defaultdict(set)
        for family_id, chip_id in self.known(ChipFamilyMember).values_list("family_id", "chip_id"):
            members[family_id].add(chip_id)
        fields = ("id", "version", "slug", "name", "vendor__slug", "vendor__country")
        for pk, version, slug, name, vendor, country in self.known(ChipFamily).values_list(*fields):
            # Members not known: any data-center chip of the vendor may be meant (of all vendors, if none is named).
            counted = members[pk] or {
                i
                for i, spec in self.specs.items()
                if spec.marketed_for_datacenters is not False and vendor in (None, spec.vendor)
            }
            rated = sorted((t, c) for c in counted if c in self.chips and (t := self.chips[c].tpp))
            found["family", pk] = Scope(
                kind="family",
                id=pk,
                slug=slug,
                name=name,
                members=frozenset(members[pk]),
                h100e_low=h100_equivalents(rated[0][0]) if rated else None,
                h100e_high=h100_equivalents(rated[-1][0]) if rated else None,
                lowest_chip=rated[0][1] if rated else None,
                ref=RecordRef("chipfamily", pk, version),
                vendor=vendor or "",
                vendor_country=country or "",
            )
        return found

    def scope(self, chip_id: int | None, family_id: int | None) -> Scope | None:
        if chip_id:
            return self.scopes["chip", chip_id]
        return self.scopes["family", family_id] if family_id else None

    @cached_property
    def _sources(self) -> dict[int, SourceRow]:
        return {}

    def sources(self, ids: Iterable[int | None]) -> dict[int, SourceRow]:
        """Sources by id, read once."""
        wanted = {i for i in ids if i} - self._sources.keys()
        fields = ("id", "version", "slug", "title", "publisher", "url", "published_on", "grade")
        for pk, version, *rest in (
            self.known(Source).filter(id__in=wanted).values_list(*fields) if wanted else ()
        ):
            self._sources[pk] = SourceRow(RecordRef("source", pk, version), *rest)
        return self._sources

    def organizations(self, ids: Iterable[int | None]) -> dict[int, OrganizationRow]:
        fields = ("id", "version", "slug", "name", "country", "is_aggregate")
        rows = (
            self.known(Organization).filter(id__in={i for i in ids if i}).order_by("id").values_list(*fields)
        )
        return {
            pk: OrganizationRow(RecordRef("organization", pk, version), *rest) for pk, version, *rest in rows
        }

    def sites(self, ids: Iterable[int | None]) -> dict[int, SiteRow]:
        """Data centers by id with their powers, latest status and the ids of their parts."""
        wanted = {i for i in ids if i}
        parts: dict[int, set[int]] = defaultdict(set)
        for whole, part in (
            self.known(DataCenterPart).filter(whole_id__in=wanted).values_list("whole_id", "part_id")
        ):
            parts[whole].add(part)
        status: dict[int, str] = {}
        latest = self.known(DataCenterStatus).filter(data_center_id__in=wanted)
        for site, name in latest.order_by(F("valid_from").asc(nulls_first=True), "id").values_list(
            "data_center_id", "status"
        ):
            status[site] = name
        powers: dict[int, list[PowerRow]] = defaultdict(list)
        fields = ("data_center_id", "id", "version", "megawatts", "as_of", "basis", "source_id")
        rows = list(
            self.known(SitePower).filter(data_center_id__in=wanted).order_by("id").values_list(*fields)
        )
        sources = self.sources(row[-1] for row in rows)
        for site, pk, version, megawatts, as_of, basis, source_id in rows:
            ref = RecordRef("sitepower", pk, version)
            powers[site].append(PowerRow(ref, float(megawatts), as_of, basis, sources[source_id]))
        fields = ("id", "version", "slug", "name", "operator_id", "country", "kind")
        found = self.known(DataCenter).filter(id__in=wanted).order_by("id").values_list(*fields)
        return {
            pk: SiteRow(
                RecordRef("datacenter", pk, version),
                slug,
                name,
                operator_id,
                country,
                kind,
                status=status.get(pk, ""),
                powers=tuple(powers[pk]),
                parts=frozenset(parts[pk]),
            )
            for pk, version, slug, name, operator_id, country, kind in found
        }

    # --- claims -----------------------------------------------------------------------------------------------------

    @cached_property
    def claim_components(self) -> dict[int, int]:
        """claim id -> the smallest claim id of all claims tied to it by subject, declared conflict or echo."""
        fields = (
            "id",
            "subject_id",
            "data_center_id",
            "echo_of_id",
            "subject__is_aggregate",
            "destination_country",
        )
        rows = list(self.known(Claim).filter(self.of_world()).order_by("id").values_list(*fields))
        nodes: dict[Any, int] = {}
        edges: list[tuple[int, int]] = []

        def node(name: Any) -> int:
            return nodes.setdefault(name, len(nodes))

        for pk, subject, site, echo_of, aggregate, country in rows:
            ties: list[tuple[Any, ...]] = [("claim", echo_of)] if echo_of else []
            ties += [("site", site)] if site else []
            ties += [("org", subject)] if subject and not aggregate else []
            ties += [("country", country, subject)] if not subject or aggregate else []
            edges += [(node(("claim", pk)), node(tie)) for tie in ties]
            node(("claim", pk))
        for claim, other in self.known(ClaimConflict).values_list("claim_id", "other_id"):
            edges.append((node(("claim", claim)), node(("claim", other))))
        return _smallest(nodes, edges, "claim")

    @cached_property
    def scope_components(self) -> dict[tuple[str, int], int]:
        """(kind, id) of a scope -> the smallest chip or family id of all scopes tied to it by a shared member.

        Chips and families keep apart series of ids, so a component is named by its smallest chip, else by minus its family.
        """
        nodes: dict[Any, int] = {}
        edges: list[tuple[int, int]] = []
        for (kind, pk), scope in sorted(self.scopes.items()):
            node = nodes.setdefault((kind, pk), len(nodes))
            edges += [(node, nodes.setdefault(("chip", chip), len(nodes))) for chip in sorted(scope.members)]
        labels = _labels(nodes, edges)
        names: dict[int, int] = {}
        for (kind, pk), node in sorted(nodes.items()):
            names.setdefault(int(labels[node]), pk if kind == "chip" else -pk)
        return {key: names[int(labels[node])] for key, node in nodes.items()}

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
                low=_number(row["low"]),
                best=_number(row["best"]),
                high=_number(row["high"]),
                unit=row["unit"],
                grade=row["grade"],
                bound=row["bound"],
                exact=row["is_exact"],
                per_unit=_number(row["chips_per_unit"]),
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

    @cached_property
    def _slugs(self) -> dict[int, str]:
        return {}

    def _read_slugs(self, ids: Iterable[int | None]) -> None:
        """Names of organizations, read once: joined to lines as known at an instant, all of them would be read each time."""
        wanted = {pk for pk in ids if pk} - self._slugs.keys()
        if wanted:
            self._slugs.update(self.known(Organization).filter(id__in=wanted).values_list("id", "slug"))

    def _movement(self, row: Mapping[str, Any], source: SourceRow) -> MovementRow:
        bound, figure = row["bound"], float(row["quantity"])
        common = {"unit": row["unit"], "per_unit": _number(row["chips_per_unit"]), "exact": row["is_exact"]}
        shipped, received = _days(row, "shipped_on"), _days(row, "received_on")
        presumed = received is None and shipped is not None
        if received is None and shipped is not None:
            received = _later(shipped, timedelta(days=self.parameters.lead_time_days))
        scope = self.scope(row["chip_id"], row["family_id"])
        assert scope is not None  # the table holds every line to a chip or a family
        return MovementRow(
            ref=RecordRef("shipment", row["id"], row["version"]),
            reference=row["reference"],
            scope=scope,
            reported=Reported(
                low=figure if bound == "floor" else None,
                high=figure if bound == "ceiling" else None,
                best=figure if not bound else None,
                bound=bound,
                grade=row["grade"],
                **common,
            ),
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

    def licences(self) -> tuple[LicenceRow, ...]:
        fields = (
            "id", "version", "licence_id", "licence__reference", "licence__authority",
            "licence__kind", "chip_id", "family_id", "quantity",
            "bound", "unit", "licence__grade", "licence__consignee_id", "licence__end_user_id",
            "licence__destination_country", "licence__valid_from", "licence__valid_until", "licence__source_id",
        )  # fmt: skip
        rows = list(
            self.known(LicenceItem)
            .filter(self.of_world("licence__"))
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

    @cached_property
    def closed_books(self) -> tuple[ClosedBookRow, ...]:
        """All declarations of whole books: few, and read whole."""
        fields = (
            "id", "version", "slug", "organization_id", "data_center_id", "country", "chip_id", "family_id", "valid_from",
            "valid_until", "source_id",
        )  # fmt: skip
        rows = list(self.known(ClosedBook).filter(self.of_world()).order_by("id").values_list(*fields))
        sources = self.sources(row[-1] for row in rows)
        return tuple(
            ClosedBookRow(
                RecordRef("closedbook", pk, version), slug, org, site, country, self.scope(chip, family),
                Period(first, until), sources[source],
            )
            for pk, version, slug, org, site, country, chip, family, first, until, source in rows
        )  # fmt: skip

    # --- parties ----------------------------------------------------------------------------------------------------

    @cached_property
    def parties(self) -> PartyBook:
        """Everybody who can be a party, with stakes, list entries and open questions: small beside the movements."""
        return party_book(self.rules, self.at)

    @cached_property
    def rule_records(self) -> dict[str, list[tuple[Period, RecordRef, str]]]:
        """rule id -> its records with the days they are for and what to cite."""
        found: dict[str, list[tuple[Period, RecordRef, str]]] = defaultdict(list)
        fields = ("rule_id", "id", "version", "in_force", "title", "citation")
        for rule, pk, version, days, title, citation in (
            self.known(ExportRule).order_by("id").values_list(*fields)
        ):
            period = Period(days.lower, days.upper)
            label = f"{rule}: {title} ({citation}), {period}"
            found[rule].append((period, RecordRef("exportrule", pk, version), label))
        return found

    def _rule_refs(
        self, rule_ids: Iterable[str], shipped: Period | None
    ) -> tuple[tuple[RecordRef, str], ...]:
        return tuple(
            (ref, label)
            for rule in rule_ids
            for period, ref, label in self.rule_records[rule]
            if shipped is None or period.overlaps(shipped)
        )

    # --- sums for the limits of rules -------------------------------------------------------------------------------

    @property
    def _lines(self) -> QuerySet:
        return counted(self.known(Shipment).filter(self.of_world()), self.known(Shipment))

    def flows(self, where: Q, use: str) -> tuple[FlowRow, ...]:
        """Lines added up by route, scope and days (and consignee), each sum with its largest lines."""
        by = [*FLOW_COLUMNS, *(["consignee_id"] if use == "consignee" else [])]
        rows = list(sums(self._lines.filter(where), by, self.parameters))
        labels = self._labelled(rows)
        return tuple(self._flow(row, use, labels) for row in rows)

    def _labelled(self, rows: Iterable[Mapping[str, Any]]) -> dict[int, tuple[RecordRef, str]]:
        """The largest lines of sums, each with a line a person can read."""
        named = {pk for row in rows for pk in row["examples"]}
        fields = ("id", "version", "reference", "quantity", "unit")
        return {
            pk: (RecordRef("shipment", pk, version), f"{reference}: {float(figure):,.10g} {unit}")
            for pk, version, reference, figure, unit in self.known(Shipment)
            .filter(id__in=named)
            .values_list(*fields)
        }

    def _flow(self, row: Mapping[str, Any], use: str, labels: Mapping[int, tuple[RecordRef, str]]) -> FlowRow:
        scope = self.scope(row["chip_id"], row["family_id"])
        assert scope is not None  # the table holds every line to a chip or a family
        return FlowRow(
            scope=scope, origin=row["origin_country"], destination=row["destination_country"],
            shipped=_days(row, "shipped_on"), house=row["house"], lines=row["lines"], chips=row["total"],
            systematic=row["total_systematic"], random=row["total_random"], grade=row["weakest"],
            consignee_id=row.get("consignee_id"), use=use, usd=row["usd"],
            uncounted=row["uncounted"], unpriced=row["unpriced"], at_least=row["at_least"],
            examples=tuple(labels[pk] for pk in row["examples"]),
        )  # fmt: skip

    @cached_property
    def owner_components(self) -> dict[int, int]:
        """organization id -> smallest id of those tied to it by stakes on any day; without a stake it is not in it."""
        nodes: dict[Any, int] = {}
        edges = [
            (nodes.setdefault(("org", s.owner), len(nodes)), nodes.setdefault(("org", s.owned), len(nodes)))
            for s in self.parties.stakes
        ]
        return _smallest(nodes, edges, "org")

    def _by_limit(self, index: int, count: int) -> Books:
        """Flows of the keys whose sums reach a limit: consignees, countries and commodities. Nothing else is read.

        A sum is *possibly* beyond a limit from a probability of one half on, which is where its mean reaches the limit; so
        keys below it are left out by the database. The reading of each rule's scope is the check's.
        """
        orgs: set[int] = set()
        countries: set[str] = set()
        ratio = Q(pk__in=[])
        for rule in self.rules.rules:
            for cap in rule.quantity_caps:
                if not cap.evaluated:
                    continue
                if cap.kind == "ratio" and cap.of:
                    ratio |= self._traded(cap, index, count)
                elif cap.per == "country":
                    countries |= self._countries_at(cap, rule.period)
                else:
                    orgs |= self._consignees_at(cap, rule.period)
        orgs = {pk for pk in orgs if self.owner_components.get(pk, pk) % count == index}
        aliases = {alias.country: alias.group for alias in self.rules.aliases}
        countries = {code for code in countries if int(aliases.get(code, code), 36) % count == index}
        flows = (
            *self.flows(Q(consignee_id__in=orgs), "consignee"),
            *self.flows(Q(destination_country__in=countries), "country"),
            *self.flows(ratio, "ratio"),
        )
        law = Law(self.rules, self.specs, self.parties.stakes, self.rule_records)
        books = self._assembled((), (), {}, licences=())
        owners = {int(i) for stake in self.parties.stakes for i in (stake.owner, stake.owned)}
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
        dated = self._lines.filter(shipped_on__isnull=False)
        for days in (period, cap.days):
            dated = dated.filter(shipped_on__gte=days.start) if days.start else dated
            dated = dated.filter(shipped_on__lt=days.end) if days.end else dated
        keys = (by, "shipped_on__year") if cap.window == "calendar year" else (by,)
        read = in_chips(dated, self.parameters).order_by().values(*keys)
        return read.annotate(reached=Sum(self._metric(cap), output_field=FloatField()))

    def _countries_at(self, cap: Cap, period: Period) -> set[str]:
        least = _least(cap)
        found = self._sums_at(cap, period, "destination_country").exclude(destination_country="")
        aliases = {alias.country: alias.group for alias in self.rules.aliases}
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

    def _traded(self, cap: Cap, index: int, count: int) -> Q:
        """Lines of either side of a ratio, of the chips of this share that went to the limited side at all."""
        assert cap.of is not None
        top, bottom = (self._codes(scope.destinations) for scope in (cap.scope, cap.of))
        pairs = self._lines.filter(destination_country__in=top).order_by().values_list("chip_id", "family_id")
        tied = {
            self.scope_components["chip" if chip else "family", chip or family]
            for chip, family in pairs.distinct()
        }
        mine = [key for key, name in self.scope_components.items() if name in tied and name % count == index]
        where = Q(chip_id__in=[pk for kind, pk in mine if kind == "chip"])
        where |= Q(family_id__in=[pk for kind, pk in mine if kind == "family"])
        return where & Q(destination_country__in=top | bottom)

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
        days = cut_days(self.closed_books, claims, self.as_of)
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
        labels = self._labelled(rows)
        for row in rows:
            yield replace(
                self._flow({**row, "shipped_on": None, "consignee_id": row["to_party"]}, NETWORK, labels),
                shipped=_between(days, row["left"], row["left_latest"]),
                received=_between(days, row["arrived"], row["arrived_latest"]),
                shipper_id=row["from_party"], origin_site_id=row["from_site"], destination_site_id=row["to_site"],
                kind="seized" if row["is_seized"] else row["kind"],
            )  # fmt: skip

    def _after_lead(self, day: str) -> Any:
        """The day on which goods are presumed to arrive that were shipped on ``day``."""
        lead = Value(timedelta(days=self.parameters.lead_time_days))
        return Cast(ExpressionWrapper(F(day) + lead, output_field=DateTimeField()), DateField())

    def _share_of_scopes(self, index: int, count: int) -> Q:
        """Lines and claims of the chips of one share."""
        mine = [key for key, component in self.scope_components.items() if component % count == index]
        where = Q(chip_id__in=[pk for kind, pk in mine if kind == "chip"])
        return where | Q(family_id__in=[pk for kind, pk in mine if kind == "family"])

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
        return replace(books, flows=flows, law=Law(self.rules, self.specs))

    def _monthly(self, lines: QuerySet, use: str) -> list[FlowRow]:
        """Sums by scope, route, month of ``day`` and whether a licence is named. Lines told as "at most" count nothing here, so
        they stand beside as lines that could not be counted."""
        dated = lines.annotate(
            month=TruncMonth("day"),
            licensed=ExpressionWrapper(Q(licence__isnull=False), output_field=BooleanField()),
        )
        by = ("chip_id", "family_id", "origin_country", "destination_country", "month", "licensed")
        rows = [*sums(dated, by, self.parameters), *_uncounted(dated, by)]
        labels = self._labelled(rows)
        return [
            replace(self._flow({**row, "shipped_on": None}, use, labels), shipped=_month(row["month"]), licensed=row["licensed"])
            for row in rows
        ]  # fmt: skip

    # --- books ------------------------------------------------------------------------------------------------------

    def books(self, kind: str, index: int, count: int) -> Books:
        """The books of share ``index`` (from 0) of ``count`` of one kind of partition."""
        return getattr(self, f"_by_{kind}")(index, count)

    def _by_claim_subject(self, index: int, count: int) -> Books:
        ids = [pk for pk, component in self.claim_components.items() if component % count == index]
        claims = self.claims(Q(id__in=ids))
        subjects = {c.subject_id for c in claims} - {None}
        sites = self.sites(c.site_id for c in claims)
        around = set(sites) | {part for site in sites.values() for part in site.parts}
        people = self.organizations([*subjects, *(c.counterparty_id for c in claims)])
        owners = {pk for pk in subjects if pk in people and not people[pk].is_aggregate}
        countries = {
            c.destination_country for c in claims if not c.subject_id or people[c.subject_id].is_aggregate
        } - {""}
        owners |= {c.counterparty_id for c in claims if c.counterparty_id}
        movements = self.movements(
            Q(consignee_id__in=owners) | Q(end_user_id__in=owners) | Q(shipper_id__in=owners)
            | Q(destination_id__in=around) | Q(origin_id__in=around)
            | Q(destination_country__in=countries) | Q(origin_country__in=countries)
        )  # fmt: skip
        return self._assembled(claims, movements, {**sites, **self.sites(around)}, judged=True)

    def _by_scope(self, index: int, count: int) -> Books:
        return self._assembled(self.claims(self._share_of_scopes(index, count)), (), {})

    # --- what a first look over the lines suspects --------------------------------------------------------------------

    @cached_property
    def numbered_scopes(self) -> dict[int, Scope]:
        """Scopes by the number that columns of lines know them by."""
        return {scope_number(scope): scope for scope in self.scopes.values()}

    @cached_property
    def material(self) -> dict[int, float]:
        """The smallest number of chips of each scope whose difference is worth reporting; scopes of unknown performance lack."""
        least = self.parameters.materiality_sq * self.parameters.significant_quantity_h100e
        return {
            number: least / scope.h100e_low
            for number, scope in self.numbered_scopes.items()
            if scope.h100e_low
        }

    @cached_property
    def first_shipped(self) -> dict[int, date]:
        """The earliest first shipping day over the chips of each scope, where all of them are known."""
        found = {}
        for number, scope in self.numbered_scopes.items():
            days = [row.first_shipped_on for row in scopes.member_rows(scope, self.chips) or ()]
            if days and all(days):
                found[number] = min(day for day in days if day)
        return found

    @cached_property
    def makers(self) -> dict[int, int]:
        """The organization that makes each scope, if it is one."""
        slugs = {number: scopes.vendors(scope, self.chips) for number, scope in self.numbered_scopes.items()}
        ids = dict(
            self.known(Organization).filter(slug__in=set().union(*slugs.values())).values_list("slug", "id")
        )
        return {
            number: ids[slug]
            for number, makers in slugs.items()
            if len(makers) == 1
            for slug in makers
            if slug in ids
        }

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
        return self._assembled((), self.movements(Q(id__in=sorted(ids))), {})

    def chain_books(self, kind: str, holder: int, scope: int) -> Books:
        """All that may have moved one organization's or site's book of a scope: a chain, whole."""
        sites = [holder]
        near = Q()
        if kind == "org":
            sites = list(self.known(DataCenter).filter(operator_id=holder).values_list("id", flat=True))
            near = Q(consignee_id=holder) | Q(end_user_id=holder) | Q(shipper_id=holder)
        if sites:  # keys, not a join: each condition has an index of its own
            near |= Q(destination_id__in=sites) | Q(origin_id__in=sites)
        asked = self.numbered_scopes[scope]
        tied = [key for key, other in self.scopes.items() if scopes.may_overlap(other, asked, self.chips)]
        of_scope = Q(chip_id__in=[pk for kind, pk in tied if kind == "chip"])
        of_scope |= Q(family_id__in=[pk for kind, pk in tied if kind == "family"])
        return self._assembled((), self.movements(near & of_scope), {})

    def lots_books(self, lines: Iterable[int], lots: Iterable[LotNumber]) -> Books:
        """The books of single lines and of whole lots."""
        where = Q(id__in=sorted(lines))
        for shipper, consignee, scope, quarter in lots:
            first = date(2000 + quarter // 4, quarter % 4 * 3 + 1, 1) if quarter >= 0 else None
            after = first and (first + timedelta(days=95)).replace(day=1)
            days = Q(shipped_on__gte=first, shipped_on__lt=after) if first else Q(shipped_on=None)
            what = Q(family_id=scope // 2) if scope % 2 else Q(chip_id=scope // 2)
            where |= Q(shipper_id=shipper or None, consignee_id=consignee or None) & what & days
        return self._assembled((), self.movements(where), {})

    @cached_property
    def party_components(self) -> dict[int, int]:
        """organization id -> smallest id of the parties tied to it by a common movement: a licence may name either of them."""
        nodes: dict[Any, int] = {}
        edges: list[tuple[int, int]] = []
        pairs = (
            self.known(Shipment).filter(self.of_world()).order_by().values_list("consignee_id", "end_user_id")
        )
        for pair in pairs.distinct():
            ends = [nodes.setdefault(("org", pk), len(nodes)) for pk in pair if pk]
            edges += [(ends[0], end) for end in ends[1:]]
        return _smallest(nodes, edges, "org")

    def _by_consignee(self, index: int, count: int) -> Books:
        mine = [pk for pk, component in self.party_components.items() if component % count == index]
        where = Q(consignee_id__in=mine) | Q(end_user_id__in=mine)
        if index == 0:
            where |= Q(consignee_id=None, end_user_id=None)
        return self._assembled((), self.movements(where), {}, judged=True)

    @cached_property
    def licence_components(self) -> dict[int, int]:
        """licence id -> smallest id of the licences tied to it: by a party that they name or that names them, by goods of
        one consignment, or by goods carried on from a line that names one to a line that names another."""
        nodes: dict[Any, int] = {}
        edges: list[tuple[int, int]] = []
        items = self.known(Licence).filter(self.of_world()).order_by("id")
        lines = self.known(Shipment).filter(self.of_world(), licence__isnull=False).order_by()
        for pk, *parties in items.values_list("id", "consignee_id", "end_user_id"):
            node = nodes.setdefault(("licence", pk), len(nodes))
            edges += [(node, nodes.setdefault(("org", org), len(nodes))) for org in parties if org]
        for licence, *parties in lines.values_list("licence_id", "consignee_id", "end_user_id").distinct():
            node = nodes.setdefault(("licence", licence), len(nodes))
            edges += [(node, nodes.setdefault(("org", org), len(nodes))) for org in parties if org]
        orgs = [org for kind, org in nodes if kind == "org"]
        unnamed = self.known(Shipment).filter(
            self.of_world(), licence=None, consignee_id__in=orgs, end_user_id__in=orgs
        )
        for consignee, user in unnamed.order_by().values_list("consignee_id", "end_user_id").distinct():
            edges.append((nodes["org", consignee], nodes["org", user]))
        for licence, consignment in (
            lines.exclude(consignment="").values_list("licence_id", "consignment").distinct()
        ):
            edges.append((nodes["licence", licence], nodes.setdefault(("lot", consignment), len(nodes))))
        onward = lines.filter(onward_of__licence__isnull=False)
        for licence, earlier in onward.values_list("licence_id", "onward_of__licence_id").distinct():
            edges.append((nodes["licence", licence], nodes.setdefault(("licence", earlier), len(nodes))))
        return _smallest(nodes, edges, "licence")

    def _by_licence(self, index: int, count: int) -> Books:
        """Licences with the lines that name them, the lines to the parties they name, and the earlier legs of both."""
        mine = {pk for pk, component in self.licence_components.items() if component % count == index}
        licences = tuple(row for row in self.licences() if row.licence_id in mine)
        parties = {pk for row in licences for pk in (row.consignee_id, row.end_user_id) if pk}
        where = Q(licence_id__in=mine)
        # A line without a licence of its own draws on one that names its party; of a licence for all nothing is counted.
        where |= Q(licence__isnull=True) & (Q(consignee_id__in=parties) | Q(end_user_id__in=parties))
        return self._assembled((), self.movements(where), {}, judged=True, licences=licences)

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
            people |= {int(i) for stake in self.parties.stakes for i in (stake.owner, stake.owned)}
        organizations = self.organizations(people)
        judgements = verdicts(movements, self.specs, self.parties, self.rules) if judged else {}
        for movement in movements:
            if verdict := judgements.get(movement.ref.id):
                judgements[movement.ref.id] = replace(
                    verdict, rules=self._rule_refs(verdict.rule_ids, movement.shipped)
                )
        return Books(
            as_of=self.as_of, claims=claims, movements=movements, licences=licences, chips=self.chips,
            organizations=organizations, sites=all_sites, verdicts=judgements, closed=self.closed_books,
        )  # fmt: skip


def _labels(nodes: Mapping[Any, int], edges: list[tuple[int, int]]) -> Any:
    """The number of the connected component of each node."""
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    shape = (len(nodes), len(nodes))
    return connected_components(
        coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape), directed=False
    )[1]


def _smallest(nodes: Mapping[Any, int], edges: list[tuple[int, int]], kind: str) -> dict[int, int]:
    """id -> smallest id of its component, over the nodes (kind, id)."""
    if not nodes:
        return {}
    labels = _labels(nodes, edges)
    found: dict[int, int] = {}
    for name in sorted(key for key in nodes if key[0] == kind):
        found.setdefault(int(labels[nodes[name]]), name[1])
    return {name[1]: found[int(labels[node])] for name, node in nodes.items() if name[0] == kind}


def _uncounted(lines: QuerySet, by: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Lines told as "at most" count nothing in a sum, so they stand beside it as lines that could not be counted."""
    nothing = {
        "house": "", "lines": 0, "total": 0.0, "total_systematic": 0.0, "total_random": 0.0, "weakest": "", "usd": 0.0,
        "unpriced": 0, "at_least": 0, "examples": (),
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


def _least(cap: Cap) -> float:
    """The smallest limit that a cap knows."""
    return min([step.limit for step in cap.schedule], default=cap.limit or 0.0)


def _days(row: Mapping[str, Any], name: str) -> Period | None:
    first = row[name]
    return Period.inclusive(first, row[f"{name}_latest"] or first) if first else None


def _month(first: date) -> Period:
    return Period(first, (first + timedelta(days=31)).replace(day=1))


def _later(days: Period, by: timedelta) -> Period:
    return Period(days.start and days.start + by, days.end and days.end + by)


def _end(figure: Any, grade: str, common: Mapping[str, Any]) -> Reported | None:
    return None if figure is None else Reported(best=float(figure), grade=grade, **common)


def _licensed(row: Mapping[str, Any]) -> Reported:
    figure, bound = float(row["quantity"]), row["bound"]
    return Reported(
        low=figure if bound == "floor" else None, high=figure if bound == "ceiling" else None,
        best=None if bound else figure, bound=bound, unit=row["unit"], grade=row["licence__grade"], exact=not bound,
    )  # fmt: skip
