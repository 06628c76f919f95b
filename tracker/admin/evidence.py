"""Pages of what was said and what moved: sources, claims, licences, shipments, and the loads and versions behind them."""

from __future__ import annotations

from decimal import Decimal

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    RangeDateFilter,
    RangeDateTimeFilter,
)
from unfold.paginator import InfinitePaginator

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, Part, ReadOnlyAdmin, ReadOnlyRows, choice_filters
from tracker.admin.catalogue import TRUST
from tracker.models import (
    Claim,
    ClaimConflict,
    ClosedBook,
    ImportProblem,
    ImportRun,
    Licence,
    LicenceItem,
    RecordVersion,
    Shipment,
    ShipmentClaim,
    Source,
)
from tracker.reports.tables import figure_words


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _scope(record: Claim | ClosedBook | Shipment | LicenceItem) -> str:
    return str(record.chip or record.family or "all chips")


@admin.register(Source)
class SourceAdmin(LedgerAdmin):
    list_display = (
        "title",
        "publisher",
        "published_on",
        "kind",
        "grade_mark",
        "address",
        "retrieved_on",
        "marks",
    )
    list_filter = (
        *choice_filters("kind", "grade", "verification", "published_on_basis"),
        ("published_on", RangeDateFilter),
        ("retrieved_on", RangeDateFilter),
    )
    search_fields = ("title", "slug", "publisher", "original_publisher", "url")
    search_help_text = "Title, publisher, short name or address"
    ordering = ("slug",)
    date_hierarchy = "published_on"
    fieldsets = (
        ("The page that was read", {"fields": ("url", "title", "publisher", "original_publisher", "slug")}),
        ("Dates", {"fields": (("published_on", "published_on_basis"), "retrieved_on")}),
        ("How far to trust it", {"fields": ("kind", "grade", "verification")}),
        ("Keeping", {"fields": ("archive_sha256", "licence_note", "note")}),
    )

    @admin.display(description="Grade", ordering="grade")
    def grade_mark(self, obj: Source) -> SafeString:
        return marks.mark(obj.grade, f"grade-{obj.grade}", obj.get_grade_display())

    @admin.display(description="Page")
    def address(self, obj: Source) -> SafeString | str:
        if not obj.url.lower().startswith(("http://", "https://")):
            return marks.BLANK
        host = obj.url.split("/")[2].removeprefix("www.")
        return format_html(
            '<a class="text-link" href="{}" rel="noopener noreferrer" target="_blank">{}</a>', obj.url, host
        )


class ConflictRows(Part):
    model = ClaimConflict
    fk_name = "claim"
    fields = ("other", "note")
    autocomplete_fields = ("other",)
    verbose_name, verbose_name_plural = "conflicting claim", "conflicts with"


class DocumentedRows(Part):
    model = ShipmentClaim
    fk_name = "claim"
    fields = ("shipment",)
    autocomplete_fields = ("shipment",)
    verbose_name, verbose_name_plural = "shipment", "shipments it documents"


@admin.register(Claim)
class ClaimAdmin(LedgerAdmin):
    list_display = ("slug", "figure", "scope", "of_whom", "kind", "how_far", "as_of", "source_grade", "marks")
    list_select_related = ("subject", "data_center", "chip", "family", "source")
    list_filter = (
        *choice_filters(
            "kind",
            "status",
            "allegation",
            "grade",
            "verification",
            "confidence",
            "destination_country",
            "unit",
        ),
        ("subject", AutocompleteSelectFilter),
        ("chip", AutocompleteSelectFilter),
        ("family", AutocompleteSelectFilter),
        ("data_center", AutocompleteSelectFilter),
        ("source", AutocompleteSelectFilter),
        ("period_end", RangeDateFilter),
        ("is_synthetic", BooleanRadioFilter),
    )
    search_fields = (
        "slug",
        "original_text",
        "subject__name",
        "subject__aliases__name",
        "source__title",
        "source__publisher",
    )
    search_help_text = "Short name, words of the source, organization (any alias) or source"
    ordering = ("slug",)
    autocomplete_fields = ("source", "subject", "counterparty", "data_center", "chip", "family", "echo_of")
    fieldsets = (
        ("Source", {"fields": ("source", "original_text", "slug")}),
        ("What is said", {"fields": (("kind", "status"), "allegation")}),
        (
            "Of whom and where",
            {
                "fields": (
                    "subject",
                    "counterparty",
                    "data_center",
                    ("origin_country", "destination_country"),
                    "reporter",
                )
            },
        ),
        ("Of what", {"fields": ("chip", "family")}),
        ("How many", {"fields": (("low", "best", "high"), "bound", ("unit", "chips_per_unit"), "is_exact")}),
        ("When", {"fields": (("period_start", "period_end"),)}),
        ("How sure", {"fields": ("grade", *TRUST, "method", "bias_key", "echo_of", "is_synthetic", "note")}),
    )
    inlines = (ConflictRows, DocumentedRows)

    @admin.display(description="Status", ordering="status")
    def how_far(self, obj: Claim) -> str:
        return marks.BLANK if obj.status == Claim.Status.NONE else obj.status

    @admin.display(description="Figure", ordering="best")
    def figure(self, obj: Claim) -> str:
        return figure_words(
            low=_float(obj.low),
            best=_float(obj.best),
            high=_float(obj.high),
            bound=obj.bound,
            unit=obj.unit,
            exact=obj.is_exact,
        )

    @admin.display(description="Of what")
    def scope(self, obj: Claim) -> str:
        return _scope(obj)

    @admin.display(description="Of whom")
    def of_whom(self, obj: Claim) -> str:
        return str(obj.data_center or obj.subject or obj.get_destination_country_display())

    @admin.display(description="As of", ordering="period_end")
    def as_of(self, obj: Claim) -> SafeString | str:
        days = [day for day in (obj.period_start, obj.period_end) if day]
        return (
            format_html_join(" to ", '<span class="nowrap">{}</span>', ((day.isoformat(),) for day in days))
            or marks.BLANK
        )


@admin.register(ClaimConflict)
class ClaimConflictAdmin(LedgerAdmin):
    list_display = ("claim", "other", "note")
    list_select_related = ("claim", "other")
    search_fields = ("claim__slug", "other__slug", "note")
    autocomplete_fields = ("claim", "other")
    fieldsets = ((None, {"fields": ("claim", "other", "note")}),)


@admin.register(ClosedBook)
class ClosedBookAdmin(LedgerAdmin):
    list_display = ("slug", "area", "scope", "valid_from", "valid_until", "source", "marks")
    list_select_related = ("organization", "data_center", "chip", "family", "source")
    list_filter = (
        ("organization", AutocompleteSelectFilter),
        ("data_center", AutocompleteSelectFilter),
        *choice_filters("country", "confidence", "verification"),
        ("is_synthetic", BooleanRadioFilter),
    )
    search_fields = ("slug", "organization__name", "data_center__name", "original_text")
    search_help_text = "Short name, area or words of the declaration"
    ordering = ("slug",)
    autocomplete_fields = ("source", "organization", "data_center", "chip", "family")
    fieldsets = (
        ("Source", {"fields": ("source", "original_text", "slug")}),
        ("Whose book (one of the three)", {"fields": ("organization", "data_center", "country")}),
        ("Of what (both blank: all chips)", {"fields": ("chip", "family")}),
        ("When", {"fields": (("valid_from", "valid_until"),)}),
        ("How sure", {"fields": (*TRUST, "is_synthetic", "note")}),
    )

    @admin.display(description="Whose book")
    def area(self, obj: ClosedBook) -> str:
        return str(obj.data_center or obj.organization or obj.get_country_display())

    @admin.display(description="Of what")
    def scope(self, obj: ClosedBook) -> str:
        return _scope(obj)


class LicenceItemRows(Part):
    model = LicenceItem
    fields = ("chip", "family", "quantity", "bound", "unit")
    autocomplete_fields = ("chip", "family")
    verbose_name, verbose_name_plural = "item", "items"


@admin.register(Licence)
class LicenceAdmin(LedgerAdmin):
    list_display = (
        "reference", "authority", "kind", "consignee", "destination_country", "valid_from", "valid_until", "item_count",
        "source_grade", "marks",
    )  # fmt: skip
    list_select_related = ("consignee", "source")
    list_filter = (
        *choice_filters("destination_country", "grade", "verification", "confidence"),
        ("exporter", AutocompleteSelectFilter),
        ("consignee", AutocompleteSelectFilter),
        ("end_user", AutocompleteSelectFilter),
        ("valid_from", RangeDateFilter),
        ("valid_until", RangeDateFilter),
        ("is_synthetic", BooleanRadioFilter),
    )
    search_fields = (
        "reference",
        "authority",
        "exporter__name",
        "consignee__name",
        "consignee__aliases__name",
        "end_user__name",
    )
    search_help_text = "Reference, authority or a party"
    ordering = ("reference",)
    autocomplete_fields = ("source", "exporter", "consignee", "end_user")
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Licence", {"fields": ("reference", "authority", "kind")}),
        ("Parties", {"fields": ("exporter", "consignee", "end_user", "destination_country")}),
        ("When", {"fields": (("valid_from", "valid_until"), "conditions")}),
        ("How sure", {"fields": ("grade", *TRUST, "is_synthetic", "note")}),
    )
    inlines = (LicenceItemRows,)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(items_counted=Count("items"))

    @admin.display(description="Items")
    def item_count(self, obj: Licence) -> int:
        return obj.items_counted  # type: ignore[attr-defined]  # counted by get_queryset


@admin.register(LicenceItem)
class LicenceItemAdmin(LedgerAdmin):
    list_display = ("licence", "scope", "quantity", "bound", "unit")
    list_select_related = ("licence", "chip", "family")
    search_fields = ("licence__reference", "chip__name", "family__name")
    autocomplete_fields = ("licence", "chip", "family")
    fieldsets = ((None, {"fields": ("licence", "chip", "family", "quantity", "bound", "unit")}),)

    @admin.display(description="Of what")
    def scope(self, obj: LicenceItem) -> str:
        return _scope(obj)


class ShipmentClaimRows(Part):
    model = ShipmentClaim
    fk_name = "shipment"
    fields = ("claim",)
    autocomplete_fields = ("claim",)
    verbose_name, verbose_name_plural = "claim", "claims that document it"


@admin.register(Shipment)
class ShipmentAdmin(LedgerAdmin):
    list_display = (
        "reference", "amount", "scope", "route", "shipper", "consignee", "shipped_on", "received_on", "status", "source_grade",
        "marks",
    )  # fmt: skip
    list_select_related = ("chip", "family", "shipper", "consignee", "source")
    list_filter = (
        ("shipper", AutocompleteSelectFilter),
        ("consignee", AutocompleteSelectFilter),
        ("end_user", AutocompleteSelectFilter),
        ("chip", AutocompleteSelectFilter),
        ("family", AutocompleteSelectFilter),
        ("destination", AutocompleteSelectFilter),
        ("licence", AutocompleteSelectFilter),
        ("shipped_on", RangeDateFilter),
        *choice_filters("kind", "destination_country", "origin_country", "status", "grade", "verification"),
        ("is_synthetic", BooleanRadioFilter),
    )
    # Prefixes only: the table is large, and these two columns have an index that prefixes can use. Parties are filters.
    search_fields = ("reference__startswith", "consignment__startswith")
    search_help_text = "Beginning of a reference or waybill; parties and chips are filters"
    ordering = ("-shipped_on", "-id")
    paginator = InfinitePaginator
    autocomplete_fields = (
        "source", "chip", "family", "shipper", "consignee", "end_user", "origin", "destination", "onward_of", "licence",
    )  # fmt: skip
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Consignment", {"fields": ("consignment", "reference", ("kind", "status"))}),
        (
            "What moved",
            {
                "fields": (
                    "chip",
                    "family",
                    ("quantity", "unit"),
                    "bound",
                    "chips_per_unit",
                    "is_exact",
                    "value_usd",
                )
            },
        ),
        ("From", {"fields": ("shipper", "origin_country", "origin")}),
        ("To", {"fields": ("consignee", "end_user", "destination_country", "destination")}),
        (
            "When",
            {
                "fields": (
                    ("shipped_on", "shipped_on_latest"),
                    "shipped_on_presumed",
                    ("received_on", "received_on_latest"),
                    "received_on_presumed",
                )
            },
        ),
        ("Under which licence, carrying on what", {"fields": ("licence", "onward_of")}),
        (
            "Figures of the two ends",
            {
                "fields": (
                    ("quantity_by_shipper", "grade_by_shipper"),
                    ("quantity_by_receiver", "grade_by_receiver"),
                )
            },
        ),
        ("How sure", {"fields": ("grade", *TRUST, "is_synthetic", "note")}),
    )
    inlines = (ShipmentClaimRows,)

    @admin.display(description="Quantity", ordering="quantity")
    def amount(self, obj: Shipment) -> str:
        figure = float(obj.quantity)
        return figure_words(
            low=figure if obj.bound == Shipment.Bound.FLOOR else None,
            best=figure,
            high=figure if obj.bound == Shipment.Bound.CEILING else None,
            bound=obj.bound,
            unit=obj.unit,
            exact=obj.is_exact,
        )

    @admin.display(description="Of what")
    def scope(self, obj: Shipment) -> str:
        return _scope(obj)

    @admin.display(description="Route", ordering="destination_country")
    def route(self, obj: Shipment) -> str:
        return f"{obj.origin_country or '?'} → {obj.destination_country or '?'}"


@admin.register(ShipmentClaim)
class ShipmentClaimAdmin(LedgerAdmin):
    list_display = ("shipment", "claim")
    list_select_related = ("shipment", "claim")
    search_fields = ("shipment__reference__startswith", "claim__slug")
    ordering = ("-id",)
    paginator = InfinitePaginator
    autocomplete_fields = ("shipment", "claim")
    fieldsets = ((None, {"fields": ("shipment", "claim")}),)


class ProblemRows(ReadOnlyRows):
    model = ImportProblem
    fields = readonly_fields = ("file", "row", "column", "value", "message")
    per_page = 100


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    list_display = ("key", "what", "status_mark", "actor", "started_at", "finished_at", "problem_count")
    list_filter = (*choice_filters("status"), ("started_at", RangeDateTimeFilter))
    search_fields = ("key", "what", "actor")
    fieldsets = (
        ("What was read", {"fields": ("key", "what", "sha256", "actor")}),
        ("What came of it", {"fields": ("status", "started_at", "finished_at", "counts")}),
    )
    inlines = (ProblemRows,)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(problems_counted=Count("problems"))

    @admin.display(description="Outcome", ordering="status")
    def status_mark(self, obj: ImportRun) -> SafeString:
        tones = {"loaded": "good", "refused": "severity-high", "running": "severity-low"}
        return marks.mark(obj.get_status_display(), tones.get(obj.status, "none"))

    @admin.display(description="Problems")
    def problem_count(self, obj: ImportRun) -> int:
        return obj.problems_counted  # type: ignore[attr-defined]  # counted by get_queryset


@admin.register(RecordVersion)
class RecordVersionAdmin(ReadOnlyAdmin):
    """Every version that no longer stands, also of records that were deleted and have no page of their own."""

    list_display = (
        "record",
        "version",
        "operation",
        "recorded_at",
        "superseded_at",
        "superseded_by",
        "superseded_reason",
    )
    list_filter = (*choice_filters("operation"), ("superseded_at", RangeDateTimeFilter))
    search_fields = ("=table_name", "=object_id")
    search_help_text = "A table, e.g. tracker_claim, or the number of a record"
    ordering = ("-id",)
    paginator = InfinitePaginator
    fieldsets = (
        ("Version", {"fields": ("table_name", "object_id", "version", "recorded_at")}),
        (
            "How it ended",
            {
                "fields": (
                    "operation",
                    "superseded_at",
                    "superseded_by",
                    "superseded_reason",
                    "superseded_batch",
                )
            },
        ),
        ("The row as it was", {"fields": ("row",)}),
    )

    @admin.display(description="Record")
    def record(self, obj: RecordVersion) -> str:
        return f"{obj.table_name.removeprefix('tracker_')} {obj.object_id}"
