"""What each resource shows: columns listed by hand. How they are read and folded stands in :mod:`api.rows`.

``...Row`` is what a list shows of a record; ``...Detail`` adds the tables that belong to it.
"""

from __future__ import annotations

from rest_framework import serializers

from api.rows import ApiUrl, Computed, LedgerSerializer
from tracker import models

VERSION = ("version", "recorded_at")
"""Of every versioned record: which version this is and since when it stood. Who and why: its ``versions/``."""


# --- references -------------------------------------------------------------------------------------------------------


class SourceRef(LedgerSerializer):
    """Where a figure was read."""

    api_url = ApiUrl("sources")

    class Meta:
        model = models.Source
        fields = ("slug", "title", "publisher", "url", "published_on", "grade", "api_url")


class OrganizationRef(LedgerSerializer):
    api_url = ApiUrl("organizations")

    class Meta:
        model = models.Organization
        fields = ("slug", "name", "country", "api_url")


class ChipRef(LedgerSerializer):
    api_url = ApiUrl("chips")

    class Meta:
        model = models.Chip
        fields = ("slug", "name", "api_url")


class ChipFamilyRef(LedgerSerializer):
    api_url = ApiUrl("chip-families")

    class Meta:
        model = models.ChipFamily
        fields = ("slug", "name", "api_url")


class DataCenterRef(LedgerSerializer):
    api_url = ApiUrl("data-centers")

    class Meta:
        model = models.DataCenter
        fields = ("slug", "name", "country", "api_url")


class ClaimRef(LedgerSerializer):
    api_url = ApiUrl("claims")

    class Meta:
        model = models.Claim
        fields = ("slug", "api_url")


class ShipmentRef(LedgerSerializer):
    api_url = ApiUrl("shipments", "reference")

    class Meta:
        model = models.Shipment
        fields = ("reference", "api_url")


class LicenceRef(LedgerSerializer):
    api_url = ApiUrl("licences", "reference")

    class Meta:
        model = models.Licence
        fields = ("reference", "authority", "api_url")


class RunRef(LedgerSerializer):
    api_url = ApiUrl("runs", "key")

    class Meta:
        model = models.ReconciliationRun
        fields = ("key", "as_known_at", "as_of", "api_url")


class DiscrepancyRef(LedgerSerializer):
    api_url = ApiUrl("discrepancies", "id")

    class Meta:
        model = models.Discrepancy
        fields = ("id", "state", "api_url")


# --- sources ----------------------------------------------------------------------------------------------------------


class SourceRow(LedgerSerializer):
    api_url = ApiUrl("sources")

    class Meta:
        model = models.Source
        fields = (
            "id", "slug", "title", "publisher", "original_publisher", "url", "published_on", "published_on_basis",
            "retrieved_on", "kind", "grade", "archive_sha256", "verification", "licence_note", "note", *VERSION, "api_url",
        )  # fmt: skip


# --- chips ------------------------------------------------------------------------------------------------------------


class DenseRates(LedgerSerializer):
    """Dense peak rates of one item; the unit is in each name."""

    class Meta:
        model = models.ChipSpecification
        fields = (
            "int4_tops", "int8_tops", "fp4_tflops", "fp8_tflops", "fp16_tflops", "bf16_tflops", "tf32_tflops", "fp32_tflops",
        )  # fmt: skip


class SpecificationRow(LedgerSerializer):
    chip = ChipRef()
    dense_rates = DenseRates(source="*")
    source = SourceRef()
    api_url = ApiUrl("specifications", "id")

    class Meta:
        model = models.ChipSpecification
        fields = (
            "id", "chip", "rank", "dense_rates", "tpp_published", "dies", "die_area_mm2", "transistors_bn", "memory_gb",
            "memory_type", "memory_bandwidth_gbs", "io_bandwidth_gbs", "tdp_w", "datasheet_url", "source", "confidence",
            "verification", "note", *VERSION, "api_url",
        )  # fmt: skip


class SpecificationDetail(SpecificationRow):
    derived = Computed(
        help_text="TPP, performance density and H100-equivalents, each with unit, range and derivation; computed when read."
    )

    class Meta(SpecificationRow.Meta):
        fields = (*SpecificationRow.Meta.fields, "derived")


class ChipRow(LedgerSerializer):
    vendor = OrganizationRef()
    api_url = ApiUrl("chips")

    class Meta:
        model = models.Chip
        fields = (
            "id", "slug", "name", "vendor", "form", "ics_per_item", "first_shipped_on", "marketed_for_datacenters",
            "marketing_evidence", "foundry", "process_node_nm", "note", *VERSION, "api_url",
        )  # fmt: skip


class FamilyMembership(LedgerSerializer):
    family = ChipFamilyRef()

    class Meta:
        model = models.ChipFamilyMember
        fields = ("id", "family", *VERSION)


class ChipDetail(ChipRow):
    specifications = SpecificationDetail(many=True)
    memberships = FamilyMembership(many=True)

    class Meta(ChipRow.Meta):
        fields = (*ChipRow.Meta.fields, "specifications", "memberships")


class ChipFamilyRow(LedgerSerializer):
    vendor = OrganizationRef()
    api_url = ApiUrl("chip-families")

    class Meta:
        model = models.ChipFamily
        fields = ("id", "slug", "name", "vendor", "note", *VERSION, "api_url")


class FamilyMember(LedgerSerializer):
    chip = ChipRef()

    class Meta:
        model = models.ChipFamilyMember
        fields = ("id", "chip", *VERSION)


class ChipFamilyDetail(ChipFamilyRow):
    members = FamilyMember(many=True, source="memberships")

    class Meta(ChipFamilyRow.Meta):
        fields = (*ChipFamilyRow.Meta.fields, "members")


# --- organizations ----------------------------------------------------------------------------------------------------


class OrganizationRow(LedgerSerializer):
    source = SourceRef()
    api_url = ApiUrl("organizations")

    class Meta:
        model = models.Organization
        fields = (
            "id", "slug", "name", "country", "roles", "is_aggregate", "source", "confidence", "verification", "is_synthetic",
            "note", *VERSION, "api_url",
        )  # fmt: skip


class AliasRow(LedgerSerializer):
    class Meta:
        model = models.Alias
        fields = ("id", "name", "language", "note", *VERSION)


class StakeRow(LedgerSerializer):
    owner = OrganizationRef()
    owned = OrganizationRef()
    source = SourceRef()
    api_url = ApiUrl("stakes", "id")

    class Meta:
        model = models.OwnershipStake
        fields = (
            "id", "owner", "owned", "share_percent", "valid_from", "valid_until", "source", "verification", "note", *VERSION,
            "api_url",
        )  # fmt: skip


class ListEntryRow(LedgerSerializer):
    organization = OrganizationRef()
    source = SourceRef()
    api_url = ApiUrl("list-entries", "id")

    class Meta:
        model = models.ListEntry
        fields = (
            "id", "organization", "list_name", "effect", "citation", "footnote", "listed_on", "removed_on", "source",
            "verification", "note", *VERSION, "api_url",
        )  # fmt: skip


class ListVersionRow(LedgerSerializer):
    class Meta:
        model = models.ListVersion
        fields = ("id", "sha256", "format", "file_name", "as_of", "loaded_at", "counts")


class ScreeningListRow(LedgerSerializer):
    source = SourceRef()
    api_url = ApiUrl("screening-lists")

    class Meta:
        model = models.ScreeningList
        fields = (
            "id",
            "slug",
            "name",
            "publisher",
            "licence_terms",
            "url",
            "source",
            "note",
            *VERSION,
            "api_url",
        )


class ScreeningListDetail(ScreeningListRow):
    files = ListVersionRow(many=True, source="versions")

    class Meta(ScreeningListRow.Meta):
        fields = (*ScreeningListRow.Meta.fields, "files")


class ScreeningListRef(LedgerSerializer):
    api_url = ApiUrl("screening-lists")

    class Meta:
        model = models.ScreeningList
        fields = ("slug", "name", "api_url")


class ListedPartyRef(LedgerSerializer):
    api_url = ApiUrl("listed-parties", "id")

    class Meta:
        model = models.ListedParty
        fields = ("id", "name", "list_name", "countries", "listed_on", "removed_on", "citation", "api_url")


class ListedPartyRow(LedgerSerializer):
    screening_list = ScreeningListRef()
    api_url = ApiUrl("listed-parties", "id")

    class Meta:
        model = models.ListedParty
        fields = (
            "id", "screening_list", "key", "name", "list_name", "kind", "countries", "programs", "citation",
            "footnote", "listed_on", "removed_on", "licence_requirement", "licence_policy", "addresses", "cities",
            "identifiers", "source_url", "remarks",
            "content_digest", "match_digest", *VERSION, "api_url",
        )  # fmt: skip


class ListedNameRow(LedgerSerializer):
    class Meta:
        model = models.ListedName
        fields = ("id", "name", "kind", *VERSION)


class ListedPartyDetail(ListedPartyRow):
    names = ListedNameRow(many=True)

    class Meta(ListedPartyRow.Meta):
        fields = (*ListedPartyRow.Meta.fields, "names")


class ListEntryRef(LedgerSerializer):
    api_url = ApiUrl("list-entries", "id")

    class Meta:
        model = models.ListEntry
        fields = ("id", "list_name", "listed_on", "removed_on", "api_url")


class ScreeningMatchRow(LedgerSerializer):
    organization = OrganizationRef()
    party = ListedPartyRef()
    list_entry = ListEntryRef()
    api_url = ApiUrl("screening-matches", "id")

    class Meta:
        model = models.ScreeningMatch
        fields = (
            "id", "organization", "party", "score", "band", "asked_name", "listed_name", "features", "engine",
            "organization_digest", "party_digest", "screened_at", "state", "decided_at", "reason", "list_entry",
            "wrote_entry", *VERSION, "api_url",
        )  # fmt: skip


class OrganizationDetail(OrganizationRow):
    aliases = AliasRow(many=True)
    owners = StakeRow(many=True)
    stakes_held = StakeRow(many=True)
    list_entries = ListEntryRow(many=True)

    class Meta(OrganizationRow.Meta):
        fields = (*OrganizationRow.Meta.fields, "aliases", "owners", "stakes_held", "list_entries")


# --- data centers -----------------------------------------------------------------------------------------------------


class DataCenterRow(LedgerSerializer):
    operator = OrganizationRef()
    owner = OrganizationRef()
    source = SourceRef()
    api_url = ApiUrl("data-centers")

    class Meta:
        model = models.DataCenter
        fields = (
            "id", "slug", "name", "kind", "operator", "owner", "country", "region", "latitude", "longitude", "source",
            "confidence", "verification", "is_synthetic", "note", *VERSION, "api_url",
        )  # fmt: skip


class PartRow(LedgerSerializer):
    part = DataCenterRef()

    class Meta:
        model = models.DataCenterPart
        fields = ("id", "part", "note", *VERSION)


class WholeRow(LedgerSerializer):
    whole = DataCenterRef()

    class Meta:
        model = models.DataCenterPart
        fields = ("id", "whole", "note", *VERSION)


class PowerRow(LedgerSerializer):
    """Megawatts of the whole site as one source gives them."""

    source = SourceRef()

    class Meta:
        model = models.SitePower
        fields = ("id", "megawatts", "basis", "as_of", "source", "note", *VERSION)


class StatusRow(LedgerSerializer):
    source = SourceRef()

    class Meta:
        model = models.DataCenterStatus
        fields = ("id", "status", "valid_from", "source", *VERSION)


class UserRow(LedgerSerializer):
    organization = OrganizationRef()

    class Meta:
        model = models.DataCenterUser
        fields = ("id", "organization", "valid_from", "valid_until", *VERSION)


class DataCenterDetail(DataCenterRow):
    parts = PartRow(many=True)
    wholes = WholeRow(many=True)
    powers = PowerRow(many=True)
    statuses = StatusRow(many=True)
    users = UserRow(many=True, source="uses")

    class Meta(DataCenterRow.Meta):
        fields = (*DataCenterRow.Meta.fields, "parts", "wholes", "powers", "statuses", "users")


# --- claims -----------------------------------------------------------------------------------------------------------


class ClaimQuantity(LedgerSerializer):
    """The figure as reported: a range, a bound, or words only (then all three are null)."""

    class Meta:
        model = models.Claim
        fields = ("low", "best", "high", "bound", "is_exact", "unit", "chips_per_unit")


class ClaimPeriod(LedgerSerializer):
    """First and last day, both included; without a start the figure is as of the end."""

    start = serializers.DateField(source="period_start", allow_null=True)
    end = serializers.DateField(source="period_end", allow_null=True)

    class Meta:
        model = models.Claim
        fields = ("start", "end")


class ClaimRow(LedgerSerializer):
    subject = OrganizationRef()
    counterparty = OrganizationRef()
    data_center = DataCenterRef()
    chip = ChipRef()
    family = ChipFamilyRef()
    quantity = ClaimQuantity(source="*")
    period = ClaimPeriod(source="*")
    source = SourceRef()
    echo_of = ClaimRef()
    api_url = ApiUrl("claims")

    class Meta:
        model = models.Claim
        fields = (
            "id", "slug", "kind", "status", "allegation", "subject", "counterparty", "data_center", "origin_country",
            "destination_country", "reporter", "chip", "family", "quantity", "period", "original_text", "source", "grade",
            "method", "bias_key", "confidence", "verification", "echo_of", "is_synthetic", "note", *VERSION, "api_url",
        )  # fmt: skip


class ConflictRow(LedgerSerializer):
    other = ClaimRef()

    class Meta:
        model = models.ClaimConflict
        fields = ("id", "other", "note", *VERSION)


class ConflictFromOther(LedgerSerializer):
    claim = ClaimRef()

    class Meta:
        model = models.ClaimConflict
        fields = ("id", "claim", "note", *VERSION)


class ShipmentOfClaim(LedgerSerializer):
    shipment = ShipmentRef()

    class Meta:
        model = models.ShipmentClaim
        fields = ("id", "shipment", *VERSION)


class ClaimDetail(ClaimRow):
    conflicts = ConflictRow(many=True, source="conflict_rows")
    conflicts_stated_by_others = ConflictFromOther(many=True, source="conflict_rows_as_other")
    shipments = ShipmentOfClaim(many=True, source="shipment_rows")

    class Meta(ClaimRow.Meta):
        fields = (*ClaimRow.Meta.fields, "conflicts", "conflicts_stated_by_others", "shipments")


# --- licences and shipments -------------------------------------------------------------------------------------------


class LicenceRow(LedgerSerializer):
    exporter = OrganizationRef()
    consignee = OrganizationRef()
    end_user = OrganizationRef()
    source = SourceRef()
    api_url = ApiUrl("licences", "reference")

    class Meta:
        model = models.Licence
        fields = (
            "id", "reference", "authority", "kind", "exporter", "consignee", "end_user", "destination_country", "valid_from",
            "valid_until", "conditions", "source", "grade", "confidence", "verification", "is_synthetic", "note", *VERSION,
            "api_url",
        )  # fmt: skip


class LicenceItemRow(LedgerSerializer):
    chip = ChipRef()
    family = ChipFamilyRef()

    class Meta:
        model = models.LicenceItem
        fields = ("id", "chip", "family", "quantity", "bound", "unit", *VERSION)


class LicenceDetail(LicenceRow):
    items = LicenceItemRow(many=True)

    class Meta(LicenceRow.Meta):
        fields = (*LicenceRow.Meta.fields, "items")


class ShipmentQuantity(LedgerSerializer):
    """The quantity as reported, and what shipper and receiver each say, all in ``unit``."""

    class Meta:
        model = models.Shipment
        fields = (
            "quantity", "bound", "is_exact", "unit", "chips_per_unit", "quantity_by_shipper", "grade_by_shipper",
            "quantity_by_receiver", "grade_by_receiver",
        )  # fmt: skip


class Shipped(LedgerSerializer):
    """First and last possible day; ``presumed``: derived, not reported."""

    first = serializers.DateField(source="shipped_on", allow_null=True)
    last = serializers.DateField(source="shipped_on_latest", allow_null=True)
    presumed = serializers.BooleanField(source="shipped_on_presumed")

    class Meta:
        model = models.Shipment
        fields = ("first", "last", "presumed")


class Received(LedgerSerializer):
    """First and last possible day; ``presumed``: derived, not reported."""

    first = serializers.DateField(source="received_on", allow_null=True)
    last = serializers.DateField(source="received_on_latest", allow_null=True)
    presumed = serializers.BooleanField(source="received_on_presumed")

    class Meta:
        model = models.Shipment
        fields = ("first", "last", "presumed")


class ShipmentRow(LedgerSerializer):
    chip = ChipRef()
    family = ChipFamilyRef()
    amount = ShipmentQuantity(source="*")
    shipped = Shipped(source="*")
    received = Received(source="*")
    shipper = OrganizationRef()
    consignee = OrganizationRef()
    end_user = OrganizationRef()
    origin = DataCenterRef()
    destination = DataCenterRef()
    onward_of = ShipmentRef()
    licence = LicenceRef()
    source = SourceRef()
    api_url = ApiUrl("shipments", "reference")

    class Meta:
        model = models.Shipment
        fields = (
            "id", "reference", "consignment", "kind", "chip", "family", "amount", "shipped", "received", "shipper", "consignee",
            "end_user", "origin_country", "destination_country", "origin", "destination", "onward_of", "licence", "value_usd",
            "status", "source", "grade", "confidence", "verification", "is_synthetic", "note", *VERSION, "api_url",
        )  # fmt: skip


class ClaimOfShipment(LedgerSerializer):
    claim = ClaimRef()

    class Meta:
        model = models.ShipmentClaim
        fields = ("id", "claim", *VERSION)


class ShipmentDetail(ShipmentRow):
    claims = ClaimOfShipment(many=True, source="claim_rows")

    class Meta(ShipmentRow.Meta):
        fields = (*ShipmentRow.Meta.fields, "claims")


# --- rules ------------------------------------------------------------------------------------------------------------


class InForce(serializers.Serializer):
    """Days, half-open: ``since`` is the first, ``until`` the first no longer; null: open."""

    since = serializers.DateField(source="in_force__startswith", allow_null=True, read_only=True)
    until = serializers.DateField(source="in_force__endswith", allow_null=True, read_only=True)


class Period(serializers.Serializer):
    """Days, half-open: ``since`` is the first, ``until`` the first no longer; null: open."""

    since = serializers.DateField(source="period__startswith", allow_null=True, read_only=True)
    until = serializers.DateField(source="period__endswith", allow_null=True, read_only=True)


class RuleRef(LedgerSerializer):
    api_url = ApiUrl("rules", "id")

    class Meta:
        model = models.ExportRule
        fields = ("rule_id", "title", "citation", "api_url")


class RuleRow(LedgerSerializer):
    in_force = InForce(source="*")
    source = SourceRef()
    api_url = ApiUrl("rules", "id")

    class Meta:
        model = models.ExportRule
        fields = (
            "id", "rule_id", "regime", "kind", "title", "summary", "citation", "published_on", "released_on", "in_force",
            "compliance_from", "enforcement", "enforcement_note", "addressees", "supersedes", "savings", "criteria",
            "destinations", "hq_rule", "quantity_caps", "exceptions", "licence_policy", "note", "more", "verification",
            "verified_on", "source", "sources", *VERSION, "api_url",
        )  # fmt: skip


class IntervalRow(LedgerSerializer):
    period = Period(source="*")

    class Meta:
        model = models.RuleInterval
        fields = ("id", "period", "status", "note", "citation", "verification", *VERSION)


class RuleDetail(RuleRow):
    intervals = IntervalRow(many=True)

    class Meta(RuleRow.Meta):
        fields = (*RuleRow.Meta.fields, "intervals")


class RequirementRow(LedgerSerializer):
    in_force = InForce(source="*")
    source = SourceRef()
    api_url = ApiUrl("licence-requirements", "id")

    class Meta:
        model = models.LicenceRequirement
        fields = (
            "id", "order", "in_force", "rule_id", "letter", "items", "destinations", "not_destinations", "movements", "party",
            "lists", "footnotes", "exporter_roles", "presumption", "exception", "vendor_hq", "jurisdiction",
            "when", "conditions", "result", "answer", "policy", "words", "citation", "verification",
            "source", "sources", *VERSION, "api_url",
        )  # fmt: skip


class RuleDraftRef(LedgerSerializer):
    api_url = ApiUrl("rule-drafts")

    class Meta:
        model = models.RuleDraft
        fields = ("slug", "title", "api_url")


class RuleDraftRow(LedgerSerializer):
    source = SourceRef()
    api_url = ApiUrl("rule-drafts")

    class Meta:
        model = models.RuleDraft
        fields = ("id", "slug", "title", "document", "source", "note", *VERSION, "api_url")


class RuleComparisonRow(LedgerSerializer):
    before_draft = RuleDraftRef()
    after_draft = RuleDraftRef()
    api_url = ApiUrl("rule-comparisons", "key")

    class Meta:
        model = models.RuleComparison
        fields = (
            "id", "key", "before_draft", "before_day", "after_draft", "after_day", "records", "as_known_at", "status",
            "created_at", "finished_at", "error", "api_url",
        )  # fmt: skip


class RuleComparisonDetail(RuleComparisonRow):
    diff = Computed(help_text="As rules/diff/ gives it; null until the comparison is finished.")

    class Meta(RuleComparisonRow.Meta):
        fields = (*RuleComparisonRow.Meta.fields, "diff")


class CountryGroupRef(LedgerSerializer):
    api_url = ApiUrl("country-groups", "name")

    class Meta:
        model = models.CountryGroup
        fields = ("name", "label", "api_url")


class CountryGroupRow(LedgerSerializer):
    source = SourceRef()
    api_url = ApiUrl("country-groups", "name")

    class Meta:
        model = models.CountryGroup
        fields = (
            "id",
            "name",
            "label",
            "is_set",
            "union",
            "minus",
            "note",
            "source",
            "sources",
            *VERSION,
            "api_url",
        )


class CountryMemberRow(LedgerSerializer):
    group = CountryGroupRef()
    period = Period(source="*")
    source = SourceRef()
    api_url = ApiUrl("country-members", "id")

    class Meta:
        model = models.CountryGroupMember
        fields = (
            "id", "group", "treated_as", "country", "period", "is_contested", "note", "verification", "source", *VERSION,
            "api_url",
        )  # fmt: skip


class CountryGroupDetail(CountryGroupRow):
    members = CountryMemberRow(many=True)

    class Meta(CountryGroupRow.Meta):
        fields = (*CountryGroupRow.Meta.fields, "members")


# --- runs and what they found -----------------------------------------------------------------------------------------


class RunRow(LedgerSerializer):
    base = RunRef()
    api_url = ApiUrl("runs", "key")

    class Meta:
        model = models.ReconciliationRun
        fields = (
            "id", "key", "mode", "base", "layers", "as_known_at", "as_of", "parameters", "rule_set_sha256", "code_version",
            "signature", "status", "stage", "take_ups", "created_at", "resumed_at", "started_at", "finished_at", "counts",
            "findings_sha256", "error", "api_url",
        )  # fmt: skip


class RunDetail(RunRow):
    progress = Computed(
        help_text="How far it is when read: `stage`, `shares_done` of `shares`, shipment lines read (`rows`), seconds of work of "
        "all workers (`worked_seconds`), seconds since it began (`seconds`)."
    )

    class Meta(RunRow.Meta):
        fields = (*RunRow.Meta.fields, "progress")


class ProofRow(LedgerSerializer):
    """One proof of the ledger; ``checks`` count rows looked at and rows that do not hold, ``breaches`` name the first."""

    api_url = ApiUrl("proofs", "id")

    class Meta:
        model = models.LedgerProof
        fields = (
            "id", "started_at", "finished_at", "since", "only", "outcome", "looked_at", "breached", "checks", "breaches", "error",
            "api_url",
        )  # fmt: skip


class PartitionRow(LedgerSerializer):
    run = RunRef()
    api_url = ApiUrl("partitions", "id")

    class Meta:
        model = models.RunPartition
        fields = (
            "id", "run", "kind", "index", "count", "status", "attempts", "started_at", "finished_at", "findings", "rows",
            "seconds", "peak_mb", "tests", "error", "api_url",
        )  # fmt: skip


class AreaRef(LedgerSerializer):
    class Meta:
        model = models.BalanceArea
        fields = ("key", "kind")


class ScopeRef(LedgerSerializer):
    class Meta:
        model = models.BalanceScope
        fields = ("key", "kind")


class CellRow(LedgerSerializer):
    """Chips: book = opening + receipts + production - dispatches - exits, with its standard deviation ``sigma``; the smallest gap
    that a test of it could have seen is 3.29 sigma. ``close``: inventory reported for the month's end; ``muf`` = book - close."""

    run = RunRef()
    area = AreaRef()
    scope = ScopeRef()
    api_url = ApiUrl("cells", "id")

    class Meta:
        model = models.BalanceCell
        fields = (
            "id", "run", "area", "scope", "month", "opening", "receipts", "production", "dispatches", "exits", "book", "sigma",
            "close", "muf", "muf_sigma", "lines", "at_least", "is_closed", "is_gone", "api_url",
        )  # fmt: skip


class FindingBrief(LedgerSerializer):
    """The finding in one line."""

    run = RunRef()
    api_url = ApiUrl("findings", "id")

    class Meta:
        model = models.Finding
        fields = (
            "id",
            "run",
            "verdict",
            "headline",
            "expected",
            "reported",
            "gap",
            "unit",
            "sigma",
            "severity",
            "api_url",
        )


class DiscrepancyRow(LedgerSerializer):
    first_run = RunRef()
    last_run = RunRef()
    latest = FindingBrief()
    api_url = ApiUrl("discrepancies", "id")

    class Meta:
        model = models.Discrepancy
        fields = (
            "id", "key", "check_code", "area", "scope", "period", "counterpart", "state", "first_run", "last_run", "latest",
            "period_end", "due_on", "opened_at", "reason", "resolution", "resolved_by", "resolved_at", "resolved_evidence_sha256",
            "api_url",
        )  # fmt: skip


class FindingRow(LedgerSerializer):
    run = RunRef()
    discrepancy = DiscrepancyRef()
    api_url = ApiUrl("findings", "id")

    class Meta:
        model = models.Finding
        fields = (
            "id", "run", "discrepancy", "key", "check_code", "area", "scope", "period", "counterpart", "verdict", "headline",
            "expected", "reported", "gap", "unit", "sigma", "statistic", "p", "q", "threshold", "family", "is_discrepancy",
            "period_end", "gap_h100e", "sq", "mdg", "severity", "severity_rank", "strength", "weakest_grade", "formula",
            "sections", "text", "numbers", "evidence_sha256", "api_url",
        )  # fmt: skip


class EvidenceRow(LedgerSerializer):
    """A record version that a finding rests on; ``contribution`` in the finding's unit, ``variance_share`` from 0 to 1; of a row
    that stands for a sum of lines ``own_share`` is what the line that it names bears alone."""

    record_url = Computed(
        help_text="Where the record stands now; null for a table that is shown only within others."
    )
    version_url = Computed(help_text="The exact version that was read.")

    class Meta:
        model = models.Evidence
        fields = (
            "id", "order", "role", "model_name", "object_id", "version", "label", "contribution", "variance_share",
            "own_share", "record_url", "version_url",
        )  # fmt: skip


class FindingDetail(FindingRow):
    evidence = EvidenceRow(many=True, source="own_evidence")

    class Meta(FindingRow.Meta):
        fields = (*FindingRow.Meta.fields, "evidence")


class NoteRow(LedgerSerializer):
    """What was written or laid beside a discrepancy while somebody looked into it."""

    source = SourceRef()

    class Meta:
        model = models.DiscrepancyNote
        fields = ("id", "written_at", "text", "url", "source")


class DiscrepancyDetail(DiscrepancyRow):
    findings = FindingBrief(many=True)
    notes = NoteRow(many=True)
    age_days = Computed(help_text="Days from its opening to the day of the last run that looked for it.")
    is_overdue = Computed(help_text="Whether it was open past its day when the last run looked for it.")
    history = Computed(
        help_text="Changes of its state, the latest first: when, by which run or (null) a person, and why."
    )

    class Meta(DiscrepancyRow.Meta):
        fields = (*DiscrepancyRow.Meta.fields, "age_days", "is_overdue", "history", "findings", "notes")


class NetworkEstimateRow(LedgerSerializer):
    """An estimate, never evidence: the most likely true flow or stock given all reports, in chips, with its standard deviation.
    ``estimate`` is null where the reports do not determine it."""

    run = RunRef()
    api_url = ApiUrl("network-estimates", "id")

    class Meta:
        model = models.NetworkEstimate
        fields = (
            "id", "run", "component", "order", "kind", "from_node", "to_node", "scope", "reported", "reported_sd", "estimate",
            "sd", "status", "note", "api_url",
        )  # fmt: skip


# --- what runs are told -----------------------------------------------------------------------------------------------


class ClosedBookRow(LedgerSerializer):
    """Somebody declares that the ledger holds every movement of one area; with no chip and no family: of all chips."""

    organization = OrganizationRef()
    data_center = DataCenterRef()
    chip = ChipRef()
    family = ChipFamilyRef()
    source = SourceRef()
    api_url = ApiUrl("closed-books")

    class Meta:
        model = models.ClosedBook
        fields = (
            "id", "slug", "organization", "data_center", "country", "chip", "family", "valid_from", "valid_until",
            "original_text", "source", "confidence", "verification", "is_synthetic", "note", *VERSION, "api_url",
        )  # fmt: skip


class PlugRow(LedgerSerializer):
    """A made-up movement that closes a displayed chain: no evidence, and part of no test. Chips; negative: taken out."""

    organization = OrganizationRef()
    data_center = DataCenterRef()
    chip = ChipRef()
    family = ChipFamilyRef()
    api_url = ApiUrl("plugs", "id")

    class Meta:
        model = models.BalancePlug
        fields = (
            "id", "organization", "data_center", "country", "chip", "family", "month", "quantity", "why", "is_synthetic",
            *VERSION, "api_url",
        )  # fmt: skip


class MethodParameterRow(LedgerSerializer):
    """A number of the method, from a day on, and why it was set so. Every run shows the numbers that it used."""

    api_url = ApiUrl("method-parameters", "id")

    class Meta:
        model = models.MethodParameter
        fields = ("id", "name", "value", "valid_from", "reason", *VERSION, "api_url")


# --- versions, reports, imports ---------------------------------------------------------------------------------------


class RecordVersionRow(LedgerSerializer):
    api_url = ApiUrl("versions", "id")

    class Meta:
        model = models.RecordVersion
        fields = (
            "id", "table_name", "object_id", "version", "recorded_at", "superseded_at", "superseded_by", "superseded_reason",
            "superseded_batch", "operation", "row", "api_url",
        )  # fmt: skip


class ReportRow(LedgerSerializer):
    run = RunRef()
    api_url = ApiUrl("reports", "id")

    class Meta:
        model = models.Report
        fields = ("id", "run", "title", "built_at", "html_sha256", "csv_sha256", "api_url")


class ImportRunRow(LedgerSerializer):
    api_url = ApiUrl("imports", "key")

    class Meta:
        model = models.ImportRun
        fields = (
            "id",
            "key",
            "what",
            "sha256",
            "actor",
            "status",
            "started_at",
            "finished_at",
            "counts",
            "api_url",
        )


class ImportProblemRow(LedgerSerializer):
    class Meta:
        model = models.ImportProblem
        fields = ("id", "file", "row", "column", "value", "message")


class ImportRunDetail(ImportRunRow):
    problems = ImportProblemRow(many=True)

    class Meta(ImportRunRow.Meta):
        fields = (*ImportRunRow.Meta.fields, "problems")


class RecordHistory(serializers.Serializer):
    """Every version of one record, the oldest first; the one that stands has no ``superseded_at``."""

    version = serializers.IntegerField()
    recorded_at = serializers.DateTimeField()
    recorded_by = serializers.CharField()
    recorded_reason = serializers.CharField()
    recorded_batch = serializers.CharField()
    superseded_at = serializers.DateTimeField(allow_null=True)
    superseded_by = serializers.CharField(allow_null=True)
    superseded_reason = serializers.CharField(allow_null=True)
    superseded_batch = serializers.CharField(allow_null=True)
    operation = serializers.CharField(
        allow_null=True, help_text="What ended it: update, delete or truncate; null while it stands."
    )
    row = serializers.JSONField(help_text="The row as it was, one member for each column.")


# --- the tree below a finding -------------------------------------------------------------------------------------------


class TreeRecord(serializers.Serializer):
    """The very record version that was read."""

    model = serializers.CharField()
    id = serializers.IntegerField()
    version = serializers.IntegerField()


class TreeSource(serializers.Serializer):
    """Who said it, when, and where the words stand."""

    slug = serializers.CharField()
    title = serializers.CharField()
    publisher = serializers.CharField()
    original_publisher = serializers.CharField()
    url = serializers.CharField()
    kind = serializers.CharField()
    grade = serializers.CharField()
    verification = serializers.CharField()
    archive_sha256 = serializers.CharField(help_text="SHA-256 of the archived copy; empty if none is kept.")
    archive_url = serializers.CharField(help_text="Where a public web archive may have a copy.")
    published_on = serializers.DateField(allow_null=True)
    retrieved_on = serializers.DateField(allow_null=True)


class TreeNode(serializers.Serializer):
    """A node: the finding, a term of its comparison, a record version, a claim that documents or repeats it, or a source."""

    kind = serializers.CharField(help_text="finding, term, record, claim or source.")
    label = serializers.CharField()
    role = serializers.CharField(help_text="Name of the term; role of the record in the finding.")
    number = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    contribution = serializers.FloatField(allow_null=True, help_text="To the difference, signed.")
    variance_share = serializers.FloatField(
        allow_null=True, help_text="Of the variance of the difference, 0 to 1."
    )
    month = serializers.DateField(allow_null=True, help_text="Of a row that adds up the lines of a month.")
    count = serializers.IntegerField(allow_null=True, help_text="Records below it.")
    left_out = serializers.IntegerField(help_text="Of those, how many are on other pages of the tree.")
    figure = serializers.CharField(help_text="What the record reports, in words.")
    said = serializers.CharField(help_text="The words as written in the source.")
    note = serializers.CharField()
    grade = serializers.CharField()
    verification = serializers.CharField()
    allegation = serializers.CharField()
    is_synthetic = serializers.BooleanField()
    record = TreeRecord(allow_null=True)
    source = TreeSource(allow_null=True)
    page_url = serializers.CharField(help_text="Page for readers.")
    api_url = serializers.CharField(help_text="The record as known to the run.")

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | {"children": TreeNode(many=True)}


class ReasonShown(serializers.Serializer):
    """A discrepancy or question that something to verify would settle a part of."""

    finding = serializers.CharField(help_text="Address of the finding.")
    words = serializers.CharField()
    variance = serializers.FloatField(help_text="That part, in significant quantities squared.")


class PriorityShown(serializers.Serializer):
    """A record or fact whose verification would settle a part of what the run left open."""

    kind = serializers.CharField(help_text="record, fact, or person (a question that no record settles).")
    name = serializers.CharField()
    record_url = serializers.CharField(
        allow_null=True, help_text="The record as the run knew it; null for a fact."
    )
    variance = serializers.FloatField(
        help_text="What it would settle at most, in significant quantities squared."
    )
    h100e = serializers.FloatField(help_text="H100-equivalents of the questions that a fact holds up.")
    count = serializers.IntegerField(help_text="Discrepancies or questions; the largest five are told.")
    words = serializers.CharField()
    reasons = ReasonShown(many=True)


class Priorities(serializers.Serializer):
    """Where to look next after a run: what would settle most first. A rank and no estimate."""

    run = serializers.CharField()
    priorities = PriorityShown(many=True)


class Ends(serializers.Serializer):
    """A figure read twice: with the least, and with the most, that chips told by a family's name alone may count."""

    low = serializers.FloatField()
    high = serializers.FloatField()


class SummedMonth(serializers.Serializer):
    """book = opening + receipts + production - dispatches - exits; the low book takes the low of what came in and the high of
    what went out. A month in which nothing moved has no row: the book before stands."""

    month = serializers.DateField()
    opening = Ends()
    receipts = Ends()
    production = Ends()
    dispatches = Ends()
    exits = Ends()
    book = Ends()
    sigma = serializers.FloatField(help_text="Standard deviation of the book, an upper bound.")
    close = Ends(allow_null=True, help_text="Inventory, where all kinds that hold anything were counted.")
    muf = Ends(allow_null=True, help_text="Book less inventory.")
    lines = serializers.IntegerField(help_text="Shipment lines that move the month's books.")
    kinds = serializers.IntegerField(help_text="Books added up.")
    at_least = serializers.BooleanField(help_text="Some of it was reported only as 'at least'.")


class SummedPart(serializers.Serializer):
    scope = serializers.CharField()
    name = serializers.CharField()
    worth = Ends(allow_null=True, help_text="What one chip counts in the sum; null: not known, left out.")


class BookSumShown(serializers.Serializer):
    """Books of one area added up. Nothing of it is stored: it is made of the run's cells."""

    run = serializers.CharField()
    area = serializers.CharField()
    scope = serializers.CharField()
    unit = serializers.CharField(help_text="chips, or H100-equivalents (chips x TPP / 15,832).")
    parts = SummedPart(many=True)
    months = SummedMonth(many=True)


class FindingTree(serializers.Serializer):
    """What a finding rests on, as its run read the ledger."""

    finding = serializers.IntegerField()
    run = serializers.CharField()
    as_known_at = serializers.DateTimeField()
    worked = serializers.ListField(
        child=serializers.CharField(), help_text="The formula with its numbers put in, step by step."
    )
    tree_sha256 = serializers.CharField(
        help_text="Digest of the tree: JSON with sorted members and no blanks. A run made again gives the same."
    )
    next = serializers.CharField(allow_null=True, help_text="The same tree with the next records below it.")
    tree = TreeNode()
