"""Filters of every resource, listed by hand. Relations are named by slug; lists go in one parameter (``status__in=a,b``).

``not_filtered`` names the fields that deliberately have no filter: free text (``search`` reads names), figures that only mean
something beside others of their row, and digests. A test holds the two together against the models.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.db.models import Exists, Field, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django_filters import BaseInFilter, BooleanFilter, CharFilter, ChoiceFilter, DateFilter, Filter
from django_filters.rest_framework import FilterSet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from api.errors import BadParameters
from tracker import models
from tracker.core.models import CountryField
from tracker.reconciliation.lifecycle import OVER

EXACT, ONE_OF = ["exact"], ["exact", "in"]
SPAN = ["exact", "gte", "lte"]
DAYS = ["exact", "gte", "lte", "isnull"]
FIGURE = ["gte", "lte", "isnull"]
VERSION: dict[str, list[str]] = {
    "id": ["gte", "lte", "in"],
    "version": ["exact", "gte"],
    "recorded_at": ["gte", "lte"],
}
"""Of every versioned record: changed since when, more than one version or not, or a known set of ids."""
VERSION_TEXTS = ("recorded_by", "recorded_reason", "recorded_batch")
EVIDENCE: dict[str, list[str]] = {"confidence": ONE_OF, "verification": ONE_OF}
COUNTRY_CODE = RegexValidator(r"^[A-Z]{2}$", "A country is a two-letter ISO code in capitals, such as MY.")
IDS: dict[str, list[str]] = {"id": ["gte", "lte", "in"]}


class SlugsFilter(BaseInFilter, CharFilter):
    """One slug or several with commas between: rows tied to any of them."""


def slugs(relation: str, key: str = "slug") -> SlugsFilter:
    return SlugsFilter(
        field_name=f"{relation}__{key}", lookup_expr="in", help_text=f"{key} of the {relation}, or several."
    )


class CountriesFilter(BaseInFilter, CharFilter):
    """Country codes with commas between."""


class ChoicesFilter(BaseInFilter, ChoiceFilter):
    """Choices with commas between; one that is none of them is refused."""


class AmongFilter(SlugsFilter):
    """Rows that have a belonging row (member, user, item) tied to any of the slugs.

    A subquery rather than a join: a record with two fitting rows must not come twice. It reads at the view's ``known_at``.
    """

    def __init__(self, through: type[models.Versioned], back: str, relation: str):
        super().__init__(help_text=f"slug of the {relation}, or several.")
        self.through, self.back, self.relation = through, back, relation

    def filter(self, queryset: QuerySet, value: list[str]) -> QuerySet:
        if not value:
            return queryset
        at = self.parent.request.parser_context["view"].known_at
        rows = self.through.objects.known_at(at).filter(**{f"{self.relation}__slug__in": value})
        return queryset.filter(pk__in=rows.values(f"{self.back}_id"))


def on_day(column: str) -> DateFilter:
    return DateFilter(field_name=column, lookup_expr="contains", help_text="Rows whose range holds this day.")


def holds(column: str) -> CharFilter:
    """Rows whose list holds the value."""
    return CharFilter(field_name=column, method="filter_held", help_text=f"Rows whose {column} hold this.")


class LedgerFilterSet(FilterSet):
    """Builds only the filters that a request names: making forms of fifty fields costs more than the query."""

    base_filters: dict[str, Filter]
    not_filtered: ClassVar[tuple[str, ...]] = ()

    def __init__(self, data: QueryDict | None = None, *args: Any, **kwargs: Any):
        self.base_filters = {
            name: made for name, made in type(self).base_filters.items() if name in (data or {})
        }
        super().__init__(data, *args, **kwargs)

    @classmethod
    def filter_for_lookup(cls, field: Field, lookup_type: str) -> tuple[type[Filter], dict[str, Any]]:
        """Choices are checked in lists too; countries by their form, for 250 names would drown the description."""
        if isinstance(field, CountryField):
            return (
                (CharFilter, {"validators": [COUNTRY_CODE]})
                if lookup_type == "exact"
                else (CountriesFilter, {})
            )
        if lookup_type == "in" and getattr(field, "choices", None):
            return ChoicesFilter, {"choices": field.choices}
        return super().filter_for_lookup(field, lookup_type)

    def filter_held(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(**{f"{name}__contains": [value]})


class SourceFilter(LedgerFilterSet):
    not_filtered = ("title", "archive_sha256", "licence_note", "note", *VERSION_TEXTS)

    class Meta:
        model = models.Source
        fields = VERSION | {
            "slug": ONE_OF, "publisher": EXACT, "original_publisher": EXACT, "url": EXACT, "published_on": DAYS,
            "published_on_basis": EXACT, "retrieved_on": DAYS, "kind": ONE_OF, "grade": ONE_OF, "verification": ONE_OF,
        }  # fmt: skip


class ChipFilter(LedgerFilterSet):
    vendor = slugs("vendor")
    family = AmongFilter(models.ChipFamilyMember, "chip", "family")
    not_filtered = ("marketing_evidence", "note", *VERSION_TEXTS)

    class Meta:
        model = models.Chip
        fields = VERSION | {
            "slug": ONE_OF, "name": EXACT, "form": ONE_OF, "ics_per_item": SPAN, "first_shipped_on": DAYS,
            "marketed_for_datacenters": ["exact", "isnull"], "foundry": EXACT, "process_node_nm": FIGURE,
        }  # fmt: skip


class SpecificationFilter(LedgerFilterSet):
    chip = slugs("chip")
    source = slugs("source")
    not_filtered = ("datasheet_url", "note", *VERSION_TEXTS)

    class Meta:
        model = models.ChipSpecification
        fields = VERSION | EVIDENCE | dict.fromkeys(
            (
                "int4_tops", "int8_tops", "fp4_tflops", "fp8_tflops", "fp16_tflops", "bf16_tflops", "tf32_tflops", "fp32_tflops",
                "tpp_published", "dies", "die_area_mm2", "transistors_bn", "memory_gb", "memory_bandwidth_gbs",
                "io_bandwidth_gbs", "tdp_w",
            ), FIGURE,
        ) | {"rank": SPAN, "memory_type": EXACT}  # fmt: skip


class ChipFamilyFilter(LedgerFilterSet):
    vendor = slugs("vendor")
    chip = AmongFilter(models.ChipFamilyMember, "family", "chip")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.ChipFamily
        fields = VERSION | {"slug": ONE_OF, "name": EXACT}


class OrganizationFilter(LedgerFilterSet):
    roles = holds("roles")
    source = slugs("source")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.Organization
        fields = VERSION | EVIDENCE | {
            "slug": ONE_OF, "name": EXACT, "country": ONE_OF, "is_aggregate": EXACT, "is_synthetic": EXACT,
        }  # fmt: skip


class StakeFilter(LedgerFilterSet):
    owner = slugs("owner")
    owned = slugs("owned")
    source = slugs("source")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.OwnershipStake
        fields = VERSION | {
            "share_percent": FIGURE,
            "valid_from": DAYS,
            "valid_until": DAYS,
            "verification": ONE_OF,
        }


class ListEntryFilter(LedgerFilterSet):
    organization = slugs("organization")
    source = slugs("source")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.ListEntry
        fields = VERSION | {
            "list_name": EXACT, "effect": ONE_OF, "citation": EXACT, "footnote": EXACT, "listed_on": DAYS, "removed_on": DAYS,
            "verification": ONE_OF,
        }  # fmt: skip


class ScreeningListFilter(LedgerFilterSet):
    source = slugs("source")
    not_filtered = ("licence_terms", "url", "note", *VERSION_TEXTS)

    class Meta:
        model = models.ScreeningList
        fields = VERSION | {"slug": ONE_OF, "name": EXACT, "publisher": EXACT}


class ListedPartyFilter(LedgerFilterSet):
    screening_list = slugs("screening_list")
    countries = holds("countries")
    programs = holds("programs")
    identifiers = holds("identifiers")
    not_filtered = (
        "licence_requirement", "licence_policy", "addresses", "cities", "source_url", "remarks", "content_digest", "match_digest",
        *VERSION_TEXTS,
    )  # fmt: skip

    class Meta:
        model = models.ListedParty
        fields = VERSION | {
            "key": ONE_OF, "name": EXACT, "list_name": ONE_OF, "kind": ONE_OF, "citation": EXACT, "footnote": EXACT,
            "listed_on": DAYS, "removed_on": DAYS,
        }  # fmt: skip


class ScreeningMatchFilter(LedgerFilterSet):
    organization = slugs("organization")
    not_filtered = (
        "asked_name", "listed_name", "features", "organization_digest", "party_digest", "decided_by", "reason", *VERSION_TEXTS,
    )  # fmt: skip

    class Meta:
        model = models.ScreeningMatch
        fields = VERSION | {
            "party": ONE_OF, "score": SPAN, "band": ONE_OF, "engine": EXACT, "screened_at": SPAN, "state": ONE_OF,
            "decided_at": DAYS, "list_entry": [*ONE_OF, "isnull"], "wrote_entry": EXACT,
        }  # fmt: skip


class DataCenterFilter(LedgerFilterSet):
    operator = slugs("operator")
    owner = slugs("owner")
    user = AmongFilter(models.DataCenterUser, "data_center", "organization")
    inside = AmongFilter(models.DataCenterPart, "part", "whole")
    source = slugs("source")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.DataCenter
        fields = VERSION | EVIDENCE | {
            "slug": ONE_OF, "name": EXACT, "kind": ONE_OF, "country": ONE_OF, "region": EXACT, "latitude": FIGURE,
            "longitude": FIGURE, "is_synthetic": EXACT,
        }  # fmt: skip


class ClaimFilter(LedgerFilterSet):
    subject = slugs("subject")
    counterparty = slugs("counterparty")
    data_center = slugs("data_center")
    chip = slugs("chip")
    family = slugs("family")
    source = slugs("source")
    echo_of = slugs("echo_of")
    not_filtered = ("original_text", "note", *VERSION_TEXTS)

    class Meta:
        model = models.Claim
        fields = VERSION | EVIDENCE | {
            "slug": ONE_OF, "kind": ONE_OF, "status": ONE_OF, "allegation": ONE_OF, "origin_country": ONE_OF,
            "destination_country": ONE_OF, "reporter": EXACT, "low": FIGURE, "best": FIGURE, "high": FIGURE, "bound": EXACT,
            "is_exact": EXACT, "unit": ONE_OF, "chips_per_unit": FIGURE, "period_start": DAYS, "period_end": DAYS,
            "grade": ONE_OF, "method": EXACT, "bias_key": EXACT, "is_synthetic": EXACT,
        }  # fmt: skip


class LicenceFilter(LedgerFilterSet):
    exporter = slugs("exporter")
    consignee = slugs("consignee")
    end_user = slugs("end_user")
    chip = AmongFilter(models.LicenceItem, "licence", "chip")
    source = slugs("source")
    not_filtered = ("conditions", "note", *VERSION_TEXTS)

    class Meta:
        model = models.Licence
        fields = VERSION | EVIDENCE | {
            "reference": ONE_OF, "authority": EXACT, "kind": EXACT, "destination_country": ONE_OF, "valid_from": DAYS,
            "valid_until": DAYS, "grade": ONE_OF, "is_synthetic": EXACT,
        }  # fmt: skip


class ShipmentFilter(LedgerFilterSet):
    chip = slugs("chip")
    family = slugs("family")
    shipper = slugs("shipper")
    consignee = slugs("consignee")
    end_user = slugs("end_user")
    origin = slugs("origin")
    destination = slugs("destination")
    onward_of = slugs("onward_of", "reference")
    licence = slugs("licence", "reference")
    source = slugs("source")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.Shipment
        fields = VERSION | EVIDENCE | {
            "reference": ONE_OF, "consignment": ONE_OF, "kind": ONE_OF, "quantity": FIGURE, "bound": EXACT, "is_exact": EXACT,
            "unit": ONE_OF, "chips_per_unit": FIGURE, "quantity_by_shipper": FIGURE, "quantity_by_receiver": FIGURE,
            "grade_by_shipper": ONE_OF, "grade_by_receiver": ONE_OF, "shipped_on": DAYS, "shipped_on_latest": DAYS,
            "shipped_on_presumed": EXACT, "received_on": DAYS, "received_on_latest": DAYS, "received_on_presumed": EXACT,
            "origin_country": ONE_OF, "destination_country": ONE_OF, "value_usd": FIGURE, "status": ONE_OF, "grade": ONE_OF,
            "is_synthetic": EXACT,
        }  # fmt: skip


class RuleFilter(LedgerFilterSet):
    on = on_day("in_force")
    addressees = holds("addressees")
    supersedes = holds("supersedes")
    source = slugs("source")
    not_filtered = (
        "title", "summary", "citation", "enforcement_note", "savings", "criteria", "destinations", "hq_rule", "quantity_caps",
        "exceptions", "licence_policy", "note", "more", "sources", *VERSION_TEXTS,
    )  # fmt: skip

    class Meta:
        model = models.ExportRule
        fields = VERSION | {
            "rule_id": ONE_OF, "regime": ONE_OF, "kind": ONE_OF, "published_on": DAYS, "released_on": DAYS,
            "compliance_from": DAYS, "enforcement": ONE_OF, "verification": EXACT, "verified_on": DAYS,
        }  # fmt: skip


class RequirementFilter(LedgerFilterSet):
    on = on_day("in_force")
    items = holds("items")
    destinations = holds("destinations")
    not_destinations = holds("not_destinations")
    movements = holds("movements")
    lists = holds("lists")
    footnotes = holds("footnotes")
    exporter_roles = holds("exporter_roles")
    source = slugs("source")
    not_filtered = ("when", "conditions", "policy", "words", "citation", "sources", *VERSION_TEXTS)

    class Meta:
        model = models.LicenceRequirement
        fields = VERSION | {
            "order": SPAN, "rule_id": ONE_OF, "letter": EXACT, "presumption": EXACT, "exception": EXACT,
            "party": EXACT, "vendor_hq": EXACT, "jurisdiction": EXACT,
            "result": ONE_OF, "answer": ONE_OF, "verification": EXACT,
        }  # fmt: skip


class RuleDraftFilter(LedgerFilterSet):
    source = slugs("source")
    not_filtered = ("title", "document", "note", *VERSION_TEXTS)

    class Meta:
        model = models.RuleDraft
        fields = VERSION | {"slug": ONE_OF}


class RuleComparisonFilter(LedgerFilterSet):
    before_draft = slugs("before_draft")
    after_draft = slugs("after_draft")
    not_filtered = ("requested_by", "error", "result")

    class Meta:
        model = models.RuleComparison
        fields = IDS | {
            "key": ONE_OF, "before_day": DAYS, "after_day": DAYS, "records": ONE_OF, "as_known_at": SPAN, "status": ONE_OF,
            "created_at": ["gte", "lte"], "finished_at": DAYS,
        }  # fmt: skip


class CountryGroupFilter(LedgerFilterSet):
    union = holds("union")
    minus = holds("minus")
    source = slugs("source")
    not_filtered = ("label", "note", "sources", *VERSION_TEXTS)

    class Meta:
        model = models.CountryGroup
        fields = VERSION | {"name": ONE_OF, "is_set": EXACT}


class CountryMemberFilter(LedgerFilterSet):
    on = on_day("period")
    group = slugs("group", "name")
    source = slugs("source")
    not_filtered = ("note", *VERSION_TEXTS)

    class Meta:
        model = models.CountryGroupMember
        fields = VERSION | {
            "treated_as": ONE_OF,
            "country": ONE_OF,
            "is_contested": EXACT,
            "verification": EXACT,
        }


class RunFilter(LedgerFilterSet):
    base = slugs("base", "key")
    not_filtered = ("layers", "lease_until", "parameters", "counts", "error", "requested_by", "request_key")

    class Meta:
        model = models.ReconciliationRun
        fields = IDS | {
            "key": ONE_OF, "mode": EXACT, "stage": ONE_OF, "as_known_at": SPAN, "as_of": SPAN, "rule_set_sha256": EXACT,
            "code_version": EXACT, "signature": EXACT, "status": ONE_OF, "take_ups": SPAN, "created_at": ["gte", "lte"],
            "resumed_at": DAYS, "started_at": DAYS, "finished_at": DAYS, "findings_sha256": EXACT,
        }  # fmt: skip


class ProofFilter(LedgerFilterSet):
    not_filtered = ("only", "checks", "breaches", "error", "requested_by")

    class Meta:
        model = models.LedgerProof
        fields = IDS | {
            "started_at": ["gte", "lte"], "finished_at": DAYS, "since": DAYS, "outcome": ONE_OF, "looked_at": SPAN,
            "breached": SPAN,
        }  # fmt: skip


class PartitionFilter(LedgerFilterSet):
    run = slugs("run", "key")
    not_filtered = ("tests", "scratch", "error")

    class Meta:
        model = models.RunPartition
        fields = IDS | {
            "kind": EXACT, "index": SPAN, "count": EXACT, "status": ONE_OF, "attempts": SPAN, "started_at": DAYS,
            "finished_at": DAYS, "findings": SPAN, "rows": SPAN, "seconds": FIGURE, "peak_mb": SPAN,
        }  # fmt: skip


class CellFilter(LedgerFilterSet):
    run = slugs("run", "key")
    area = slugs("area", "key")
    scope = slugs("scope", "key")
    not_filtered = ("muf_sigma", "floors", "random", "shared_in", "shared_out")

    class Meta:
        model = models.BalanceCell
        fields = IDS | {"month": SPAN, "at_least": EXACT, "is_closed": EXACT, "is_gone": EXACT, "lines": SPAN} | dict.fromkeys(
            ("opening", "receipts", "production", "dispatches", "exits", "book", "sigma", "close", "muf"), FIGURE,
        )  # fmt: skip


class DiscrepancyFilter(LedgerFilterSet):
    first_run = slugs("first_run", "key")
    last_run = slugs("last_run", "key")
    severity = SlugsFilter(
        field_name="latest__severity", lookup_expr="in", help_text="Severity of the latest finding."
    )
    overdue = BooleanFilter(
        method="filter_overdue",
        help_text="Open past the day by which it should be resolved (due_on), as of today.",
    )
    not_filtered = ("latest", "resolution", "resolved_by", "resolved_evidence_sha256")

    class Meta:
        model = models.Discrepancy
        fields = IDS | {
            "key": ONE_OF, "check_code": ONE_OF, "area": ONE_OF, "scope": ONE_OF, "period": EXACT, "counterpart": EXACT,
            "state": ONE_OF, "reason": ONE_OF, "resolved_at": DAYS, "period_end": DAYS, "due_on": DAYS, "opened_at": DAYS,
            "assignee": ["isnull"],
        }  # fmt: skip

    def filter_overdue(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        late = Q(due_on__lt=timezone.now().date()) & ~Q(state__in=OVER)
        return queryset.filter(late if value else ~late)


class FindingFilter(LedgerFilterSet):
    run = slugs("run", "key")
    discrepancy = slugs("discrepancy", "key")
    not_filtered = (
        "headline", "formula", "sections", "text", "numbers", "evidence_sha256", "evidence_of", "is_own_finding", "own_severity",
    )  # fmt: skip

    class Meta:
        model = models.Finding
        fields = IDS | {
            "key": ONE_OF, "check_code": ONE_OF, "area": ONE_OF, "scope": ONE_OF, "period": EXACT, "counterpart": EXACT,
            "verdict": ONE_OF, "unit": EXACT, "family": ONE_OF, "is_discrepancy": EXACT, "severity": ONE_OF,
            "severity_rank": SPAN, "period_end": DAYS, "strength": ONE_OF, "weakest_grade": ONE_OF,
        } | dict.fromkeys(
            ("expected", "reported", "gap", "sigma", "statistic", "p", "q", "threshold", "gap_h100e", "sq", "mdg"), FIGURE
        )  # fmt: skip


class NetworkEstimateFilter(LedgerFilterSet):
    run = slugs("run", "key")
    not_filtered = ("order", "note")

    class Meta:
        model = models.NetworkEstimate
        fields = IDS | dict.fromkeys(("component", "kind", "from_node", "to_node", "scope", "status"), ONE_OF) | dict.fromkeys(
            ("reported", "reported_sd", "estimate", "sd"), FIGURE
        )  # fmt: skip


class ClosedBookFilter(LedgerFilterSet):
    organization = slugs("organization")
    data_center = slugs("data_center")
    chip = slugs("chip")
    family = slugs("family")
    source = slugs("source")
    not_filtered = ("original_text", "note", *VERSION_TEXTS)

    class Meta:
        model = models.ClosedBook
        fields = VERSION | EVIDENCE | {
            "slug": ONE_OF, "country": ONE_OF, "valid_from": DAYS, "valid_until": DAYS, "is_synthetic": EXACT,
        }  # fmt: skip


class PlugFilter(LedgerFilterSet):
    organization = slugs("organization")
    data_center = slugs("data_center")
    chip = slugs("chip")
    family = slugs("family")
    not_filtered = ("why", *VERSION_TEXTS)

    class Meta:
        model = models.BalancePlug
        fields = VERSION | {"country": ONE_OF, "month": SPAN, "quantity": FIGURE, "is_synthetic": EXACT}


class MethodParameterFilter(LedgerFilterSet):
    not_filtered = ("value", "reason", *VERSION_TEXTS)

    class Meta:
        model = models.MethodParameter
        fields = VERSION | {"name": ONE_OF, "valid_from": SPAN}


class RecordVersionFilter(LedgerFilterSet):
    table = CharFilter(
        method="filter_table", help_text="Record kind, as in Evidence: claim, shipment, chip, ..."
    )
    not_filtered = ("superseded_by", "superseded_reason", "row")

    class Meta:
        model = models.RecordVersion
        fields = IDS | {
            "table_name": EXACT, "object_id": ONE_OF, "version": SPAN, "recorded_at": ["gte", "lte"],
            "superseded_at": ["gte", "lte"], "superseded_batch": EXACT, "operation": ONE_OF,
        }  # fmt: skip

    def filter_table(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(table_name=f"tracker_{value}")


class ReportFilter(LedgerFilterSet):
    run = slugs("run", "key")
    not_filtered = ("title", "html", "csv")

    class Meta:
        model = models.Report
        fields = IDS | {"built_at": ["gte", "lte"], "html_sha256": EXACT, "csv_sha256": EXACT}


class ImportRunFilter(LedgerFilterSet):
    not_filtered = ("what", "counts")

    class Meta:
        model = models.ImportRun
        fields = IDS | {
            "key": ONE_OF, "sha256": EXACT, "actor": EXACT, "status": ONE_OF, "started_at": ["gte", "lte"], "finished_at": DAYS,
        }  # fmt: skip


class Search(BaseFilterBackend):
    """``search``: rows one of whose names, or of whose other names (aliases), contains the text, case ignored.

    A view says where in ``searched`` (columns) and ``searched_names`` (model, foreign key back, column).
    """

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        text = request.query_params.get("search")
        if text is None:
            return queryset
        if not 2 <= len(text.strip()) <= 100:
            raise BadParameters({"search": "search takes 2 to 100 characters."})
        found = Q()
        for column in view.searched:
            found |= Q(**{f"{column}__icontains": text.strip()})
        for model, foreign_key, column in view.searched_names:
            # EXISTS rather than a join: a record with two fitting names must not come twice.
            names = model.objects.known_at(view.known_at).filter(
                **{foreign_key: OuterRef("pk"), f"{column}__icontains": text.strip()}
            )
            found |= Q(Exists(names))
        return queryset.filter(found)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        if not view.searched:
            return []
        where = ", ".join(
            (*view.searched, *(model._meta.verbose_name for model, _, _ in view.searched_names))
        )
        text = f"Text contained in one of: {where}; case ignored."
        return [
            {
                "name": "search",
                "required": False,
                "in": "query",
                "description": text,
                "schema": {"type": "string"},
            }
        ]
