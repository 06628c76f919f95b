"""Pages of the law as dated data: rules with the days on which they were active, the licence matrix, country groups."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AllValuesCheckboxFilter,
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    DropdownFilter,
)

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, Part, ReasonForm, StackedPart, choice_filters
from tracker.core.period import Period
from tracker.models import CountryGroup, CountryGroupMember, ExportRule, LicenceRequirement, RuleInterval
from tracker.rules.parameters import PARAMETERS
from tracker.rules.services import refusal_of_law


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


class ReadAsLaw:
    """A form whose record is read by the schema of rule files, with the whole law around it, before it may be saved: a wrong
    test would break every run."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # mixed into a form
        form = cast(forms.ModelForm, self)
        if not form.errors and (refusal := refusal_of_law(form.instance)):
            form.add_error(None, refusal)


class LawForm(ReadAsLaw, ReasonForm):
    """The form of one record of law."""


class LawRowForm(ReadAsLaw, forms.ModelForm):
    """A row typed in on the page of what it belongs to."""


class IntervalRows(StackedPart):
    model = RuleInterval
    form = LawRowForm
    fields = ("period", "status", "citation", "verification", "note")


EXAMPLES = {
    "criteria": '{"classes": [{"level": "b", "eccn": {"ic": "3A090.b", "carrier": "4A090.b"}, "paragraphs": '
    '[{"name": "3A090.b.1", "when": "2400 <= tpp < 4800"}], "scope": "datacenter_marketed"}]}. The parameters of tests: '
    + ", ".join(PARAMETERS),
    "savings": '{"aboard_by": "2025-01-31", "until_inclusive": "2025-03-01", "words": "on dock by then"}',
    "quantity_caps": '[{"metric": "transistors per final package", "limit": 30000000000, "per": "packaged IC"}]',
    "exceptions": '["NAC", "ACA"]',
    "destinations": '{"set": "macau_or_d5"} or {"include": ["CN", "HK"]}',
    "hq_rule": '{"set": "macau_or_d5", "scope": "worldwide"}',
    "more": '{"effective_note": "the rule took effect in steps"}',
    "sources": '["https://www.ecfr.gov/current/title-15/part-774"]',
    "conditions": '[{"kind": "notice", "words": "a notification that was cleared", "days": 25}]',
    "supersedes": "US-3A090-2022",
    "addressees": "nvidia,amd",
    "licencerequirement.destinations": "macau_or_d5,AE",
    "not_destinations": "CN,US",
    "items": "a-datacenter,a-other,b",
    "movements": "export,reexport",
    "lists": "Entity List",
    "footnotes": "1,4",
    "exporter_roles": "front_end_fabricator,osat",
    "union": "D:1,D:4,D:5",
}
"""What may stand in a field, as one would type it; by its name, or by table and name where two tables differ."""


class LawAdmin(LedgerAdmin):
    """A table of the law: what is typed in is read like a rule file, and nothing goes that other law names."""

    form = LawForm
    list_select_related: tuple[str, ...] = ("source",)

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        own = f"{db_field.model._meta.model_name}.{db_field.name}"
        if field is not None and (example := EXAMPLES.get(own, EXAMPLES.get(db_field.name, ""))):
            field.help_text = f"{field.help_text} E.g. {example}".strip()
        return field

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if request.method == "POST" and obj is not None and (refusal := refusal_of_law(obj, gone=True)):
            messages.error(request, f"Nothing was deleted: {refusal}")
            return HttpResponseRedirect(request.get_full_path())
        return super().delete_view(request, object_id, extra_context)

    @admin.action(description="Delete selected %(verbose_name_plural)s", permissions=["delete"])
    def delete_with_reason(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        if request.POST.get("post") and (refusal := refusal_of_law(*queryset, gone=True)):
            messages.error(request, f"Nothing was deleted: {refusal}")
            return None
        return super().delete_with_reason(request, queryset)

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
        (
            "When",
            {
                "fields": (
                    "in_force",
                    ("published_on", "released_on"),
                    "compliance_from",
                    "supersedes",
                    "savings",
                )
            },
        ),
        ("How it is enforced", {"fields": ("enforcement", "enforcement_note", "licence_policy")}),
        ("What it tests", {"fields": ("criteria", "quantity_caps", "exceptions")}),
        ("Where and to whom it reaches", {"fields": ("destinations", "hq_rule", "addressees")}),
        ("How sure", {"fields": ("verification", "verified_on", "more", "note")}),
    )
    inlines = (IntervalRows,)


@admin.register(RuleInterval)
class RuleIntervalAdmin(LawAdmin):
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
        ("Which items", {"fields": ("items", "letter", "presumption", "when", "vendor_hq", "jurisdiction")}),
        ("Where to", {"fields": ("destinations", "not_destinations", "movements")}),
        ("Who", {"fields": ("party", ("lists", "footnotes"), "exporter_roles")}),
        ("Answer", {"fields": ("answer", "result", "exception", "conditions", "policy")}),
        ("How sure", {"fields": ("verification",)}),
    )

    @admin.display(description="Answer", ordering="answer")
    def answer_mark(self, obj: LicenceRequirement) -> SafeString:
        tones = {"required": "severity-high", "not_required": "good", "undetermined": "unverified"}
        return marks.mark(obj.get_answer_display(), tones.get(obj.answer, "none"))


class MemberCountryRows(Part):
    model = CountryGroupMember
    form = LawRowForm
    fields = ("source", "country", "period", "is_contested", "verification", "note")
    autocomplete_fields = ("source",)
    verbose_name, verbose_name_plural = "country", "countries"


@admin.register(CountryGroup)
class CountryGroupAdmin(LawAdmin):
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
class CountryGroupMemberAdmin(LawAdmin):
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
