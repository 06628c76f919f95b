"""Pages of what runs are told and what they estimate: parameters of the method, plugs, the network's estimates."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    FieldTextFilter,
    RangeDateFilter,
)
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminSelectWidget

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, ReadOnlyAdmin, choice_filters
from tracker.models import BalancePlug, MethodParameter, NetworkEstimate
from tracker.reconciliation.parameters import SETTINGS, Setting


@admin.register(MethodParameter)
class MethodParameterAdmin(LedgerAdmin):
    list_display = ("name", "value", "unit", "valid_from", "reason")
    list_filter = (("name", FieldTextFilter), ("valid_from", RangeDateFilter))
    search_fields = ("name", "reason")
    search_help_text = "Name of the parameter or words of the reason"
    ordering = ("name", "-valid_from")
    fieldsets = ((None, {"fields": ("name", "value", "valid_from", "reason")}),)

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "name":
            choices = [
                ("", "Choose a parameter"),
                *((name, _words(name, of)) for name, of in SETTINGS.items()),
            ]
            return forms.ChoiceField(
                choices=choices, widget=UnfoldAdminSelectWidget, help_text=db_field.help_text
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="Unit")
    def unit(self, obj: MethodParameter) -> str:
        return SETTINGS[obj.name].unit or marks.BLANK if obj.name in SETTINGS else marks.BLANK


def _words(name: str, setting: Setting) -> str:
    unit = f"{setting.unit}, " if setting.unit else ""
    return f"{name}: {unit}{setting.range_words}"


@admin.register(BalancePlug)
class BalancePlugAdmin(LedgerAdmin):
    list_display = ("month", "area", "scope", "quantity", "why")
    list_select_related = ("organization", "data_center", "chip", "family")
    list_filter = (
        ("organization", AutocompleteSelectFilter),
        ("data_center", AutocompleteSelectFilter),
        ("month", RangeDateFilter),
        ("is_synthetic", BooleanRadioFilter),
    )
    search_fields = ("organization__name", "data_center__name", "why")
    search_help_text = "Area, or words of the explanation"
    ordering = ("-month", "id")
    autocomplete_fields = ("organization", "data_center", "chip", "family")
    fieldsets = (
        ("Whose book (one of the three)", {"fields": ("organization", "data_center", "country")}),
        ("Of what", {"fields": ("chip", "family")}),
        ("How much, and why", {"fields": ("month", "quantity", "why", "is_synthetic")}),
    )

    @admin.display(description="Whose book")
    def area(self, obj: BalancePlug) -> str:
        return str(obj.data_center or obj.organization or obj.get_country_display())

    @admin.display(description="Of what")
    def scope(self, obj: BalancePlug) -> str:
        return str(obj.chip or obj.family)


@admin.register(NetworkEstimate)
class NetworkEstimateAdmin(ReadOnlyAdmin):
    """Estimates, kept apart from the reports: the most likely true flows and stocks given all of them."""

    list_display = ("from_node", "to_node", "scope", "kind", "report_line", "estimate_line", "status", "run")
    list_select_related = ("run",)
    list_filter = (
        ("run", AutocompleteSelectFilter),
        *choice_filters("status"),
        ("component", FieldTextFilter),
        ("scope", FieldTextFilter),
    )
    search_fields = ("from_node__startswith", "to_node__startswith")
    search_help_text = "Beginning of an end of the flow, e.g. site:colossus"
    ordering = ("-id",)
    paginator = InfinitePaginator

    @admin.display(description="Reported")
    def report_line(self, obj: NetworkEstimate) -> str:
        return _with_sd(obj.reported, obj.reported_sd)

    @admin.display(description="Estimate")
    def estimate_line(self, obj: NetworkEstimate) -> str:
        return _with_sd(obj.estimate, obj.sd)


def _with_sd(value: float | None, sd: float | None) -> str:
    if value is None:
        return marks.BLANK
    return f"{value:,.0f}" if sd is None else f"{value:,.0f} ± {sd:,.0f}"
