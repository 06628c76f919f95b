"""Pages of the law as dated data: rules with the days on which they were active, the licence matrix, country groups."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AllValuesCheckboxFilter,
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    DropdownFilter,
)

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, Part, StackedPart, choice_filters
from tracker.core.period import Period
from tracker.models import CountryGroup, CountryGroupMember, ExportRule, LicenceRequirement, RuleInterval


def _days(period: Any) -> str:
    """A stretch of days as the law writes it: first and last day, both included."""
    if period is None:
        return marks.BLANK
    span = Period(period.lower, period.upper)
    return f"{span.start or 'always'} to {span.last or 'open'}"


class InForceFilter(DropdownFilter):
    title = "in force"
    parameter_name = "in_force_on"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("today", "today"), ("past", "no longer"), ("ahead", "not yet")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = timezone.now().date()
        match self.value():
            case "today":
                return queryset.in_force(today)
            case "past":
                return queryset.filter(in_force__endswith__lte=today)
            case "ahead":
                return queryset.filter(in_force__startswith__gt=today)
        return queryset


class IntervalRows(StackedPart):
    model = RuleInterval
    fields = ("period", "status", "citation", "verification", "note")


class LawAdmin(LedgerAdmin):
    list_select_related = ("source",)

    @admin.display(description="In force", ordering="in_force")
    def days(self, obj: Any) -> str:
        return _days(obj.in_force)


@admin.register(ExportRule)
class ExportRuleAdmin(LawAdmin):
    list_display = ("rule_id", "title", "regime", "days", "enforcement", "citation", "source_grade", "marks")
    list_filter = (InForceFilter, ("regime", AllValuesCheckboxFilter), *choice_filters("enforcement"))
    search_fields = ("rule_id", "title", "citation", "summary")
    search_help_text = "Rule, title or citation"
    ordering = ("rule_id", "in_force")
    autocomplete_fields = ("source",)
    fieldsets = (
        ("Source", {"fields": ("source", "citation", "sources")}),
        ("Rule", {"fields": ("rule_id", "title", "summary", ("regime", "kind"))}),
        ("When", {"fields": ("in_force", ("published_on", "released_on"), "compliance_from")}),
        ("How it is enforced", {"fields": ("enforcement", "enforcement_note", "licence_policy")}),
        ("What it tests", {"fields": ("criteria", "quantity_caps", "exceptions")}),
        ("Where and to whom it reaches", {"fields": ("destinations", "hq_rule", "addressees")}),
        ("How sure", {"fields": ("verification", "verified_on", "more", "note")}),
    )
    inlines = (IntervalRows,)


@admin.register(RuleInterval)
class RuleIntervalAdmin(LedgerAdmin):
    list_display = ("rule", "days", "status", "citation", "marks")
    list_select_related = ("rule",)
    list_filter = (("rule", AutocompleteSelectFilter), *choice_filters("status"))
    search_fields = ("rule__rule_id", "citation")
    autocomplete_fields = ("rule",)
    fieldsets = ((None, {"fields": ("rule", "citation", "period", "status", "verification", "note")}),)

    @admin.display(description="Days", ordering="period")
    def days(self, obj: RuleInterval) -> str:
        return _days(obj.period)


@admin.register(LicenceRequirement)
class LicenceRequirementAdmin(LawAdmin):
    list_display = ("order", "words", "answer_mark", "result", "days", "rule_id", "source_grade", "marks")
    list_filter = (InForceFilter, *choice_filters("answer"), ("result", AllValuesCheckboxFilter))
    search_fields = ("words", "rule_id", "citation", "result")
    search_help_text = "Words, rule, result or citation"
    ordering = ("order",)
    autocomplete_fields = ("source",)
    fieldsets = (
        ("Source", {"fields": ("source", "citation", "rule_id", "sources")}),
        ("Row", {"fields": ("order", "words", "in_force")}),
        ("Which items", {"fields": ("items", "letter", "when", "vendor_hq", "jurisdiction")}),
        (
            "Where to and who",
            {"fields": ("destinations", "not_destinations", "movements", "party", "conditions")},
        ),
        ("Answer", {"fields": ("answer", "result", "policy")}),
        ("How sure", {"fields": ("verification",)}),
    )

    @admin.display(description="Answer", ordering="answer")
    def answer_mark(self, obj: LicenceRequirement) -> SafeString:
        tones = {"required": "severity-high", "not_required": "good", "undetermined": "unverified"}
        return marks.mark(obj.get_answer_display(), tones.get(obj.answer, "none"))


class MemberCountryRows(Part):
    model = CountryGroupMember
    fields = ("source", "country", "period", "is_contested", "verification", "note")
    autocomplete_fields = ("source",)
    verbose_name, verbose_name_plural = "country", "countries"


@admin.register(CountryGroup)
class CountryGroupAdmin(LedgerAdmin):
    list_display = ("name", "label", "is_set", "source_grade")
    list_select_related = ("source",)
    list_filter = (("is_set", BooleanRadioFilter),)
    search_fields = ("name", "label")
    ordering = ("name",)
    autocomplete_fields = ("source",)
    fieldsets = (
        ("Source", {"fields": ("source", "sources")}),
        ("Group", {"fields": ("name", "label", "note")}),
        ("Put together from", {"fields": ("is_set", "union", "minus")}),
    )
    inlines = (MemberCountryRows,)


@admin.register(CountryGroupMember)
class CountryGroupMemberAdmin(LedgerAdmin):
    list_display = ("country", "where", "days", "is_contested", "source_grade", "marks")
    list_select_related = ("group", "source")
    list_filter = (
        ("group", AutocompleteSelectFilter),
        *choice_filters("country"),
        ("is_contested", BooleanRadioFilter),
    )
    search_fields = ("country", "group__name")
    autocomplete_fields = ("source", "group")
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Membership", {"fields": ("group", "treated_as", "country", "period", "is_contested")}),
        ("How sure", {"fields": ("verification", "note")}),
    )

    @admin.display(description="Member of, or counts as")
    def where(self, obj: CountryGroupMember) -> str:
        return str(obj.group) if obj.group else f"counts as {obj.get_treated_as_display()}"

    @admin.display(description="Days", ordering="period")
    def days(self, obj: CountryGroupMember) -> str:
        return _days(obj.period)
