"""Pages of what changes slowly: organizations and vendors, chips and families, data centers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    DropdownFilter,
    RangeDateFilter,
    RangeNumericFilter,
)

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, Part, StackedPart, choice_filters
from tracker.chips.services import derived
from tracker.core.errors import BadInput
from tracker.models import (
    Alias,
    Chip,
    ChipFamily,
    ChipFamilyMember,
    ChipSpecification,
    DataCenter,
    DataCenterPart,
    DataCenterStatus,
    DataCenterUser,
    ListEntry,
    Organization,
    OwnershipStake,
    SitePower,
    Vendor,
)
from tracker.reports.picture import class_timeline
from tracker.rules.services import chip_law

TRUST = ("confidence", "verification")
"""How sure somebody is, and how far the page was checked: asked last, after the facts."""


# --- organizations ----------------------------------------------------------------------------------------------------------


class AliasRows(Part):
    model = Alias
    fields = ("name", "language", "note")


class OwnerRows(Part):
    model = OwnershipStake
    fk_name = "owned"
    fields = ("source", "owner", "share_percent", "valid_from", "valid_until", "verification")
    autocomplete_fields = ("source", "owner")
    verbose_name, verbose_name_plural = "owner", "owners"


class HoldingRows(Part):
    model = OwnershipStake
    fk_name = "owner"
    fields = ("source", "owned", "share_percent", "valid_from", "valid_until", "verification")
    autocomplete_fields = ("source", "owned")
    verbose_name, verbose_name_plural = "holding", "holdings"


class ListEntryRows(Part):
    model = ListEntry
    fields = (
        "source",
        "list_name",
        "effect",
        "citation",
        "footnote",
        "listed_on",
        "removed_on",
        "verification",
    )
    autocomplete_fields = ("source",)


class RoleFilter(DropdownFilter):
    title = "role"
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Organization.Role.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(roles__contains=[self.value()]) if self.value() else queryset


@admin.register(Organization)
class OrganizationAdmin(LedgerAdmin):
    list_display: tuple[str, ...] = (
        "name", "country", "roles_line", "is_aggregate", "source_grade", "confidence", "marks",
    )  # fmt: skip
    list_select_related = ("source",)
    list_filter = (
        RoleFilter,
        *choice_filters("country", "confidence", "verification"),
        ("is_aggregate", BooleanRadioFilter),
        ("is_synthetic", BooleanRadioFilter),
    )
    search_fields = ("name", "slug", "aliases__name")
    search_help_text = "Name, short name or any alias, in any script"
    ordering = ("slug",)
    autocomplete_fields = ("source",)
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Who it is", {"fields": ("name", "slug", "country", "roles", "is_aggregate")}),
        ("How sure", {"fields": (*TRUST, "is_synthetic", "note")}),
    )
    inlines: tuple[type[Part], ...] = (AliasRows, OwnerRows, HoldingRows, ListEntryRows)

    @admin.display(description="Roles")
    def roles_line(self, obj: Organization) -> str:
        return ", ".join(obj.roles) or marks.BLANK


class ChipRows(Part):
    """Chips of a vendor. A chip is a record of its own: it is opened, not taken away, from here."""

    model = Chip
    is_another_record = True
    fields = ("name", "slug", "form", "ics_per_item", "first_shipped_on", "marketed_for_datacenters")
    can_delete = False


@admin.register(Vendor)
class VendorAdmin(OrganizationAdmin):
    list_display = ("name", "country", "chips_line", "source_grade", "confidence", "marks")
    inlines = (ChipRows, AliasRows, OwnerRows)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return (
            super().get_queryset(request).prefetch_related(Prefetch("chips", Chip.objects.order_by("slug")))
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"roles": [Organization.Role.VENDOR], **super().get_changeform_initial_data(request)}

    @admin.display(description="Chips")
    def chips_line(self, obj: Vendor) -> SafeString | str:
        chips = list(obj.chips.all())
        return format_html_join(", ", "{}", ((marks.link(chip),) for chip in chips)) if chips else marks.BLANK


@admin.register(Alias)
class AliasAdmin(LedgerAdmin):
    list_display = ("name", "organization", "language", "note")
    list_select_related = ("organization",)
    search_fields = ("name", "organization__name")
    autocomplete_fields = ("organization",)
    fieldsets = ((None, {"fields": ("organization", "name", "language", "note")}),)


@admin.register(OwnershipStake)
class OwnershipStakeAdmin(LedgerAdmin):
    list_display = ("owned", "owner", "share", "valid_from", "valid_until", "source_grade", "marks")
    list_select_related = ("owned", "owner", "source")
    list_filter = (
        ("owned", AutocompleteSelectFilter),
        ("owner", AutocompleteSelectFilter),
        ("share_percent", RangeNumericFilter),
        ("valid_from", RangeDateFilter),
        *choice_filters("verification"),
    )
    search_fields = ("owned__name", "owner__name", "owned__aliases__name", "owner__aliases__name")
    search_help_text = "Name or alias of either side"
    ordering = ("owned", "owner", "valid_from")
    autocomplete_fields = ("source", "owner", "owned")
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Who holds how much of whom", {"fields": ("owner", "owned", "share_percent")}),
        ("When", {"fields": ("valid_from", "valid_until")}),
        ("How sure", {"fields": ("verification", "note")}),
    )

    @admin.display(description="Share", ordering="share_percent")
    def share(self, obj: OwnershipStake) -> str:
        return "not known" if obj.share_percent is None else f"{obj.share_percent.normalize():f} %"


@admin.register(ListEntry)
class ListEntryAdmin(LedgerAdmin):
    list_display = (
        "organization",
        "list_name",
        "effect",
        "footnote",
        "listed_on",
        "removed_on",
        "citation",
        "source_grade",
        "marks",
    )
    list_select_related = ("organization", "source")
    list_filter = (
        ("organization", AutocompleteSelectFilter),
        ("listed_on", RangeDateFilter),
        ("removed_on", RangeDateFilter),
        *choice_filters("effect", "verification"),
    )
    search_fields = ("organization__name", "organization__aliases__name", "citation")
    search_help_text = "Organization, alias or citation"
    ordering = ("organization", "list_name")
    autocomplete_fields = ("source", "organization")
    fieldsets = (
        ("Source", {"fields": ("source", "citation")}),
        ("Listing", {"fields": ("organization", "list_name", "effect", "footnote")}),
        ("When", {"fields": ("listed_on", "removed_on")}),
        ("How sure", {"fields": ("verification", "note")}),
    )


# --- chips ------------------------------------------------------------------------------------------------------------------


def _figure(figures: Mapping[str, Any] | None, digits: int = 0) -> str:
    """A derived figure: a number, a range, or 'at least' where only the lower limit is known."""
    if not figures or figures["low"] is None:
        return marks.BLANK
    low, high = figures["low"], figures["high"]
    if high is None:
        return f"at least {low:,.{digits}f}"
    return f"{low:,.{digits}f}" if low == high else f"{low:,.{digits}f} to {high:,.{digits}f}"


def _worked(figures: Mapping[str, Any] | None, digits: int = 0) -> SafeString | str:
    """The same with the way it was worked out, for the page of one specification."""
    if not figures:
        return marks.BLANK
    return format_html(
        '<b>{}</b> <span class="ledger-note">{} · {}</span>',
        _figure(figures, digits),
        figures["unit"],
        figures["derivation"],
    )


class DerivedFigures:
    """Columns that follow from a specification and are never typed in."""

    @admin.display(description="TPP (derived)")
    def tpp(self, obj: ChipSpecification) -> SafeString | str:
        if obj.pk is None:
            return marks.BLANK
        figure = derived(obj)["tpp"]
        differs = figure and figure["published_differs_by"]
        note = (
            format_html(
                ' <span class="ledger-note">the source prints {}</span>', f"{figure['published']:,.1f}"
            )
            if differs
            else ""
        )
        return format_html("{}{}", _worked(figure), note)

    @admin.display(description="Performance density (derived)")
    def performance_density(self, obj: ChipSpecification) -> SafeString | str:
        return _worked(derived(obj)["performance_density"], 2) if obj.pk else marks.BLANK

    @admin.display(description="H100-equivalents (derived)")
    def h100e(self, obj: ChipSpecification) -> SafeString | str:
        return _worked(derived(obj)["h100_equivalents"], 3) if obj.pk else marks.BLANK


DERIVED = ("tpp", "performance_density", "h100e")

SPECIFICATION_FIELDSETS = (
    ("Source", {"fields": ("source", "datasheet_url", "rank")}),
    (
        "Dense peak rates of one item",
        {
            "fields": (
                ("fp4_tflops", "fp8_tflops"),
                ("fp16_tflops", "bf16_tflops"),
                ("tf32_tflops", "fp32_tflops"),
                ("int4_tops", "int8_tops"),
                "tpp_published",
            )
        },
    ),
    (
        "Package, memory and power",
        {
            "fields": (
                ("dies", "die_area_mm2"),
                "transistors_bn",
                ("memory_gb", "memory_type"),
                "memory_bandwidth_gbs",
                ("io_bandwidth_gbs", "tdp_w"),
            )
        },
    ),
    ("What follows from it", {"fields": DERIVED}),
    ("How sure", {"fields": (*TRUST, "note")}),
)


class SpecificationRows(DerivedFigures, StackedPart):
    model = ChipSpecification
    fieldsets = SPECIFICATION_FIELDSETS
    readonly_fields = DERIVED
    autocomplete_fields = ("source",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("chip__vendor", "source")


class MembershipRows(Part):
    model = ChipFamilyMember
    fk_name = "chip"
    fields = ("family",)
    autocomplete_fields = ("family",)
    verbose_name, verbose_name_plural = "family", "families it may be meant by"


@admin.register(Chip)
class ChipAdmin(LedgerAdmin):
    list_display = (
        "name",
        "vendor",
        "sold_as",
        "first_shipped_on",
        "tpp",
        "performance_density",
        "h100e",
        "source_grade",
        "marks",
    )
    list_select_related = ("vendor",)
    list_filter = (
        ("vendor", AutocompleteSelectFilter),
        *choice_filters("form"),
        ("marketed_for_datacenters", BooleanRadioFilter),
        ("first_shipped_on", RangeDateFilter),
    )
    search_fields = ("name", "slug", "vendor__name", "vendor__aliases__name")
    search_help_text = "Name, short name or vendor"
    ordering = ("slug",)
    autocomplete_fields = ("vendor",)
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = (
        ("What it is", {"fields": ("vendor", "name", "slug", "form", "ics_per_item", "first_shipped_on")}),
        ("What it is sold for", {"fields": ("marketed_for_datacenters", "marketing_evidence")}),
        ("How it is made", {"fields": ("foundry", "process_node_nm", "note")}),
    )
    inlines = (SpecificationRows, MembershipRows)
    change_form_template = "tracker/admin/chip_form.html"

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The form, with the chip's class over time below its fields."""
        chip = self.get_object(request, unquote(object_id)) if object_id else None
        if chip is not None:
            today = timezone.now().date()
            try:
                law = chip_law(chip.slug, today)
            except BadInput as error:  # a record of law that cannot be read must not close the page of a chip
                found: dict[str, Any] = {"law_refusal": str(error)}
            else:
                picture = class_timeline(law.stretches, today)
                found = {"law": law, "picture": mark_safe(picture)}  # noqa: S308  # every text in it is escaped
            extra_context = {**found, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        preferred = ChipSpecification.objects.filter(rank=1).select_related("source", "chip__vendor")
        return (
            super()
            .get_queryset(request)
            .prefetch_related(Prefetch("specifications", preferred, to_attr="preferred"))
        )

    @admin.display(description="Sold as", ordering="form")
    def sold_as(self, obj: Chip) -> str:
        name = "IC" if obj.form == Chip.Form.IC else obj.form
        return name if obj.ics_per_item == 1 else f"{name} of {obj.ics_per_item} ICs"

    @staticmethod
    def _specification(obj: Chip) -> ChipSpecification | None:
        rows = getattr(obj, "preferred", ())
        return rows[0] if rows else None

    def _derived(self, obj: Chip, name: str, digits: int = 0) -> str:
        row = self._specification(obj)
        return _figure(derived(row)[name], digits) if row else marks.BLANK

    @admin.display(description="TPP")
    def tpp(self, obj: Chip) -> str:
        return self._derived(obj, "tpp")

    @admin.display(description="TPP/mm²")
    def performance_density(self, obj: Chip) -> str:
        return self._derived(obj, "performance_density", 2)

    @admin.display(description="H100e")
    def h100e(self, obj: Chip) -> str:
        return self._derived(obj, "h100_equivalents", 3)

    @admin.display(description="Grade and source")
    def source_grade(self, obj: Chip) -> SafeString | str:
        row = self._specification(obj)
        return marks.source_with_grade(row.source if row else None)

    @admin.display(description="Marks")
    def marks(self, obj: Chip) -> SafeString | str:
        return marks.marks(self._specification(obj))


@admin.register(ChipSpecification)
class ChipSpecificationAdmin(DerivedFigures, LedgerAdmin):
    list_display = (
        "name",
        "rank",
        "tpp_short",
        "density_short",
        "tdp_w",
        "source_grade",
        "confidence",
        "marks",
    )
    list_select_related = ("chip__vendor", "source")
    list_filter = (
        ("chip", AutocompleteSelectFilter),
        ("source", AutocompleteSelectFilter),
        ("rank", RangeNumericFilter),
        *choice_filters("confidence", "verification"),
    )
    search_fields = ("chip__name", "chip__slug", "source__title", "source__publisher")
    search_help_text = "Chip or source"
    ordering = ("chip", "rank", "id")
    autocomplete_fields = ("chip", "source")
    readonly_fields = DERIVED
    fieldsets = (("Chip", {"fields": ("chip",)}), *SPECIFICATION_FIELDSETS)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("chip__vendor", "source")

    @admin.display(description="Chip", ordering="chip__slug")
    def name(self, obj: ChipSpecification) -> str:
        return obj.chip.name

    @admin.display(description="TPP")
    def tpp_short(self, obj: ChipSpecification) -> str:
        return _figure(derived(obj)["tpp"])

    @admin.display(description="TPP/mm²")
    def density_short(self, obj: ChipSpecification) -> str:
        return _figure(derived(obj)["performance_density"], 2)


class MemberRows(Part):
    model = ChipFamilyMember
    fields = ("chip",)
    autocomplete_fields = ("chip",)
    verbose_name, verbose_name_plural = "member", "members"


@admin.register(ChipFamily)
class ChipFamilyAdmin(LedgerAdmin):
    list_display = ("name", "slug", "vendor", "members_line")
    list_select_related = ("vendor",)
    list_filter = (("vendor", AutocompleteSelectFilter),)
    search_fields = ("name", "slug", "memberships__chip__name")
    search_help_text = "Name of the family or of a member"
    ordering = ("slug",)
    autocomplete_fields = ("vendor",)
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = ((None, {"fields": ("name", "slug", "vendor", "note")}),)
    inlines = (MemberRows,)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("members")

    @admin.display(description="Members")
    def members_line(self, obj: ChipFamily) -> SafeString | str:
        members = list(obj.members.all())
        return (
            format_html_join(", ", "{}", ((marks.link(chip),) for chip in members))
            if members
            else marks.BLANK
        )


@admin.register(ChipFamilyMember)
class ChipFamilyMemberAdmin(LedgerAdmin):
    list_display = ("family", "chip")
    list_select_related = ("family", "chip")
    search_fields = ("family__name", "chip__name")
    autocomplete_fields = ("family", "chip")
    fieldsets = ((None, {"fields": ("family", "chip")}),)


# --- data centers -----------------------------------------------------------------------------------------------------------


class PowerRows(Part):
    model = SitePower
    fields = ("source", "megawatts", "basis", "as_of", "note")
    autocomplete_fields = ("source",)
    verbose_name, verbose_name_plural = "power", "power"


class StatusRows(Part):
    model = DataCenterStatus
    fields = ("source", "status", "valid_from")
    autocomplete_fields = ("source",)


class UserRows(Part):
    model = DataCenterUser
    fields = ("organization", "valid_from", "valid_until")
    autocomplete_fields = ("organization",)
    verbose_name, verbose_name_plural = "user", "users"


class PartRows(Part):
    model = DataCenterPart
    fk_name = "whole"
    fields = ("part", "note")
    autocomplete_fields = ("part",)
    verbose_name, verbose_name_plural = "part", "parts"


class WholeRows(Part):
    model = DataCenterPart
    fk_name = "part"
    fields = ("whole", "note")
    autocomplete_fields = ("whole",)
    verbose_name, verbose_name_plural = "larger site", "lies inside"


@admin.register(DataCenter)
class DataCenterAdmin(LedgerAdmin):
    list_display = (
        "name",
        "kind",
        "country",
        "operator",
        "power",
        "status",
        "source_grade",
        "confidence",
        "marks",
    )
    list_select_related = ("operator", "source")
    list_filter = (
        *choice_filters("kind", "country", "confidence", "verification"),
        ("operator", AutocompleteSelectFilter),
        ("is_synthetic", BooleanRadioFilter),
    )
    search_fields = ("name", "slug", "region", "operator__name", "operator__aliases__name")
    search_help_text = "Name, place or operator (any alias)"
    ordering = ("slug",)
    autocomplete_fields = ("source", "operator", "owner")
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("What it is", {"fields": ("name", "slug", "kind", "operator", "owner")}),
        ("Where it stands", {"fields": ("country", "region", ("latitude", "longitude"))}),
        ("How sure", {"fields": (*TRUST, "is_synthetic", "note")}),
    )
    inlines = (PowerRows, StatusRows, UserRows, PartRows, WholeRows)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("powers", "statuses")

    @admin.display(description="Power")
    def power(self, obj: DataCenter) -> str:
        """The largest figure of any source, as the checks take it."""
        largest = max(obj.powers.all(), key=lambda row: row.megawatts, default=None)
        return f"{largest.megawatts.normalize():,f} MW {largest.basis}" if largest else marks.BLANK

    @admin.display(description="Status")
    def status(self, obj: DataCenter) -> str:
        """The latest by its own date; a status without a day comes first, like in the ordering of its table reversed."""
        rows = sorted(obj.statuses.all(), key=lambda row: (row.valid_from is not None, row.valid_from or 0))
        return rows[-1].get_status_display() if rows else marks.BLANK


class SiteFact(LedgerAdmin):
    list_filter = (("data_center", AutocompleteSelectFilter),)
    search_fields = ("data_center__name", "data_center__slug")
    search_help_text = "Data center"


@admin.register(SitePower)
class SitePowerAdmin(SiteFact):
    list_display = ("data_center", "megawatts", "basis", "as_of", "source_grade")
    list_select_related = ("data_center", "source")
    autocomplete_fields = ("source", "data_center")
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Power", {"fields": ("data_center", "megawatts", "basis", "as_of", "note")}),
    )


@admin.register(DataCenterStatus)
class DataCenterStatusAdmin(SiteFact):
    list_display = ("data_center", "status", "valid_from", "source_grade")
    list_select_related = ("data_center", "source")
    autocomplete_fields = ("source", "data_center")
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Status", {"fields": ("data_center", "status", "valid_from")}),
    )


@admin.register(DataCenterUser)
class DataCenterUserAdmin(SiteFact):
    list_display = ("data_center", "organization", "valid_from", "valid_until")
    list_select_related = ("data_center", "organization")
    autocomplete_fields = ("data_center", "organization")
    fieldsets = ((None, {"fields": ("data_center", "organization", "valid_from", "valid_until")}),)


@admin.register(DataCenterPart)
class DataCenterPartAdmin(LedgerAdmin):
    list_display = ("part", "whole", "note")
    list_select_related = ("part", "whole")
    search_fields = ("part__name", "whole__name")
    autocomplete_fields = ("whole", "part")
    fieldsets = ((None, {"fields": ("whole", "part", "note")}),)
