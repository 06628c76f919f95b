"""What a run reads whole and only once, because it is small beside the lines: chips, families, rules, parties, declarations;
and sources, organizations and sites by id."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from django.db.models import (
    F,
    Q,
    QuerySet,
)
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tracker.chips.specs import ChipSpec
from tracker.claims.models import ClosedBook
from tracker.core.period import Period
from tracker.datacenters.models import DataCenter, DataCenterPart, DataCenterStatus, SitePower
from tracker.judgement.bench import Bench
from tracker.judgement.classes import ClassBook
from tracker.judgement.parties import PartyBook
from tracker.judgement.querysets import party_book, stakes_known_at
from tracker.organizations.models import Organization
from tracker.organizations.ownership import Stake
from tracker.reconciliation import scopes
from tracker.reconciliation.books import (
    ChipRow,
    ClosedBookRow,
    OrganizationRow,
    Parameters,
    PowerRow,
    RecordRef,
    Scope,
    SiteRow,
    SourceRow,
)
from tracker.reconciliation.catalogue.querysets import Catalogue, catalogue_known_at, source_rows
from tracker.reconciliation.touched import Touched
from tracker.rules.models import ExportRule
from tracker.rules.parameters import RuleBook
from tracker.rules.services import rulebook
from tracker.sources.models import Source


@dataclass
class Reference:
    """What other records are told by, as known at one instant.

    ``at``: the instant. ``as_of``: the day books are drawn up for. Chips, families, rules, parties and declarations are small
    and read whole; sources, organizations and sites by id. ``unchanged_since``: an earlier instant since which no chip, family,
    rule or stake changed, as the caller knows: what a process has read of them then serves it again. ``only``: what changed lines
    bear on, where nothing else is asked.
    """

    at: datetime
    as_of: date
    parameters: Parameters
    unchanged_since: datetime | None = None
    only: Touched | None = None

    def known(self, model: Any) -> QuerySet:
        return model.objects.known_at(self.at)

    def of_world(self, prefix: str = "") -> Q:
        """Real and synthetic records share countries and chips, so a book of both would say nothing of either."""
        return Q(**{f"{prefix}is_synthetic": self.parameters.records == "synthetic"})

    # --- reference data ---------------------------------------------------------------------------------------------

    @cached_property
    def catalogue(self) -> Catalogue:
        """Chips and families."""
        return catalogue_known_at(self.unchanged_since or self.at)

    @property
    def chips(self) -> dict[int, ChipRow]:
        return self.catalogue.chips

    @property
    def specs(self) -> dict[int, ChipSpec]:
        """What the classification reads of each chip."""
        return self.catalogue.specs

    @property
    def scopes(self) -> dict[tuple[str, int], Scope]:
        """(``chip`` or ``family``, id) -> scope."""
        return self.catalogue.scopes

    @property
    def numbered_scopes(self) -> dict[int, Scope]:
        """Scopes by the number that columns of lines know them by."""
        return self.catalogue.numbered_scopes

    @property
    def first_shipped(self) -> dict[int, date]:
        """The earliest first shipping day over the chips of each scope, where all of them are known."""
        return self.catalogue.first_shipped

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
        if wanted:
            self._sources.update(source_rows(self.known(Source).filter(id__any=wanted)))
        return self._sources

    def organizations(self, ids: Iterable[int | None]) -> dict[int, OrganizationRow]:
        fields = ("id", "version", "slug", "name", "country", "is_aggregate")
        if not (wanted := {i for i in ids if i}):
            return {}
        rows = self.known(Organization).filter(id__any=wanted).order_by("id").values_list(*fields)
        return {
            pk: OrganizationRow(RecordRef("organization", pk, version), *rest) for pk, version, *rest in rows
        }

    def sites(self, ids: Iterable[int | None]) -> dict[int, SiteRow]:
        """Data centers by id with their powers, latest status and the ids of their parts."""
        if not (wanted := {i for i in ids if i}):
            return {}
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
        found = self.known(DataCenter).filter(id__any=wanted).order_by("id").values_list(*fields)
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
        labels = component_labels(nodes, edges)
        names: dict[int, int] = {}
        for (kind, pk), node in sorted(nodes.items()):
            names.setdefault(int(labels[node]), pk if kind == "chip" else -pk)
        return {key: names[int(labels[node])] for key, node in nodes.items()}

    def _share_of_scopes(self, index: int, count: int) -> Q:
        """Lines and claims of the chips of one share."""
        mine = [key for key, component in self.scope_components.items() if component % count == index]
        where = Q(chip_id__in=[pk for kind, pk in mine if kind == "chip"])
        return where | Q(family_id__in=[pk for kind, pk in mine if kind == "family"])

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

    @property
    def rules(self) -> RuleBook:
        """The rules as known at the instant."""
        return self.classes.rules

    @cached_property
    def classes(self) -> ClassBook:
        """The same, with the classes of chips under them."""
        return _classes_known_at(self.unchanged_since or self.at)

    # --- parties ----------------------------------------------------------------------------------------------------

    @cached_property
    def parties(self) -> PartyBook:
        """Everybody who can be a party, with stakes, list entries and open questions: small beside the movements."""
        return party_book(self.rules, self.at)

    @cached_property
    def stakes(self) -> tuple[Stake, ...]:
        return stakes_known_at(self.unchanged_since or self.at)

    @cached_property
    def bench(self) -> Bench:
        """Judges single lines, and keeps what it worked out of chips, days and parties."""
        return Bench(self.classes, {spec.slug: spec for spec in self.specs.values()}, self.parties)

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

    @cached_property
    def owner_components(self) -> dict[int, int]:
        """organization id -> smallest id of those tied to it by stakes on any day; without a stake it is not in it."""
        nodes: dict[Any, int] = {}
        edges = [
            (nodes.setdefault(("org", s.owner), len(nodes)), nodes.setdefault(("org", s.owned), len(nodes)))
            for s in self.stakes
        ]
        return smallest_in_component(nodes, edges, "org")

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


@lru_cache(maxsize=4)
def _classes_known_at(at: datetime) -> ClassBook:
    """What was known at a settled instant never changes, so a process reads the rules once, and classes its chips once."""
    return ClassBook(rulebook(at))


def component_labels(nodes: Mapping[Any, int], edges: list[tuple[int, int]]) -> Any:
    """The number of the connected component of each node."""
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    shape = (len(nodes), len(nodes))
    return connected_components(
        coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape), directed=False
    )[1]


def smallest_in_component(
    nodes: Mapping[Any, int], edges: list[tuple[int, int]], kind: str
) -> dict[int, int]:
    """id -> smallest id of its component, over the nodes (kind, id)."""
    if not nodes:
        return {}
    labels = component_labels(nodes, edges)
    found: dict[int, int] = {}
    for name in sorted(key for key in nodes if key[0] == kind):
        found.setdefault(int(labels[nodes[name]]), name[1])
    return {name[1]: found[int(labels[node])] for name, node in nodes.items() if name[0] == kind}
