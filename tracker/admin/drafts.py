"""Pages of what would be if the law were another: drafts of rules, and the comparisons that were made with them."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import models
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString, mark_safe
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, ReadOnlyAdmin, ReasonForm, actor, choice_filters
from tracker.admin.findings import RUN_TONES, htmx_redirect
from tracker.core.errors import BadInput, TrackerError
from tracker.judgement.comparison import Comparison
from tracker.judgement.services import AskedSide, sides_of
from tracker.judgement.telling import NOT_LAW, days, sentences, side, tables
from tracker.models import RuleComparison, RuleDraft
from tracker.reports.flips import flip_chart
from tracker.rules.services import read_draft, rulebook
from tracker.tasks import ask_comparison


def _may_ask(request: HttpRequest) -> bool:
    return request.user.has_perm("tracker.add_rulecomparison")


def _asked(request: HttpRequest, before: AskedSide, after: AskedSide, records: str, back: str) -> str:
    """Ask for a comparison and say so; gives the address to go on to."""
    try:
        row = ask_comparison(before, after, actor(request), records)
    except TrackerError as error:
        messages.error(request, f"Nothing was asked: {error}")
        return back
    messages.success(request, f"Comparison {row.key} is queued; a worker carries it out.")
    return marks.record_url("rulecomparison", row.pk)


# --- drafts -----------------------------------------------------------------------------------------------------------------


class DraftForm(ReasonForm):
    """A draft, held against the rules that stand before it may be saved. Its title is the one that the document gives itself."""

    def clean_document(self) -> str:
        """Line ends as in the file it may have come from: a browser sends others, which would look like a change."""
        return str(self.cleaned_data["document"]).replace("\r\n", "\n")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if text := cleaned.get("document"):
            try:
                self.instance.title = read_draft(text, "the draft", rulebook()).title
            except BadInput as error:
                self.add_error("document", str(error))
        return cleaned


class AskForm(BaseDialogForm):
    """Against what a draft is held."""

    day = forms.DateField(
        label="As if all had left on",
        required=False,
        widget=UnfoldAdminDateWidget,
        help_text="Blank: each line is judged on the day it left.",
    )
    records = forms.ChoiceField(
        label="Records", choices=RuleComparison.Records.choices, widget=UnfoldAdminSelectWidget
    )


class AskAgainForm(BaseDialogForm):
    """Nothing to choose: the sides are those of the comparison."""


@admin.register(RuleDraft)
class RuleDraftAdmin(LedgerAdmin):
    form = DraftForm
    list_display = ("title", "slug", "comparison_count", "source_link")
    list_select_related = ("source",)
    list_filter = (("source", AutocompleteSelectFilter),)
    search_fields = ("slug", "title")
    search_help_text = "Short name or title"
    ordering = ("slug",)
    autocomplete_fields = ("source",)
    readonly_fields = ("title",)
    actions_detail = ("ask",)
    fieldsets = (
        ("Source", {"fields": ("source",)}),
        ("Draft", {"fields": ("slug", "title", "document", "note")}),
    )

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "document":
            field.widget = UnfoldAdminTextareaWidget(attrs={"rows": 24, "spellcheck": "false"})
            field.strip = False  # type: ignore[attr-defined]  # a text field's own
        return field

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        count = models.Count("comparisons_after", distinct=True) + models.Count(
            "comparisons_before", distinct=True
        )
        return super().get_queryset(request).annotate(compared=count)

    def has_ask_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may_ask(request)

    @action(
        description="What would it do?",
        url_path="ask",
        icon="difference",
        variant=ActionVariant.PRIMARY,
        permissions=["ask"],
        dialog={
            "title": "What would it do?",
            "description": "The whole ledger is judged under the law and under this draft, in the background.",
            "form_class": AskForm,
            "form_submit_text": "Ask",
        },
    )
    def ask(self, request: HttpRequest, form: AskForm, object_id: str) -> HttpResponse:
        draft = get_object_or_404(RuleDraft, pk=unquote(object_id))
        day: date | None = form.cleaned_data["day"]
        back = marks.record_url("ruledraft", draft.pk)
        records = form.cleaned_data["records"]
        return htmx_redirect(_asked(request, AskedSide("", day), AskedSide(draft.slug, day), records, back))

    @admin.display(description="Comparisons")
    def comparison_count(self, obj: RuleDraft) -> int:
        return obj.compared  # type: ignore[attr-defined]  # counted by get_queryset

    @admin.display(description="Made after", ordering="source__slug")
    def source_link(self, obj: RuleDraft) -> SafeString | str:
        return marks.link(obj.source) if obj.source else "a thought of our own"


# --- comparisons ------------------------------------------------------------------------------------------------------------


@admin.register(RuleComparison)
class RuleComparisonAdmin(ReadOnlyAdmin):
    list_display = (
        "key", "before", "after", "records_mark", "status_mark", "judged_count", "changed_count", "requested_by", "as_known_at",
    )  # fmt: skip
    list_select_related = ("before_draft", "after_draft")
    list_filter = (
        *choice_filters("status", "records"),
        ("after_draft", AutocompleteSelectFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("key", "requested_by", "before_draft__slug", "after_draft__slug")
    search_help_text = "Name of the comparison, draft, or who asked"
    ordering = ("-created_at", "-id")
    list_fullwidth = True
    actions_detail = ("ask_again",)
    change_form_template = "tracker/admin/comparison.html"
    fieldsets = ((None, {"fields": ()}),)  # the template shows the row

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        found = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "tracker_rulecomparison_changelist":
            found = found.defer("result").annotate(judged=KT("result__judged"), changed=KT("result__changed"))
        return found

    def has_ask_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may_ask(request)

    @action(
        description="Ask again",
        url_path="again",
        icon="refresh",
        permissions=["ask"],
        dialog={
            "title": "Ask again",
            "description": "The same two sides, over the ledger, the rules and the drafts as they are known now.",
            "form_class": AskAgainForm,
            "form_submit_text": "Ask",
        },
    )
    def ask_again(self, request: HttpRequest, form: AskAgainForm, object_id: str) -> HttpResponse:
        drafts = RuleComparison.objects.select_related("before_draft", "after_draft")
        row = get_object_or_404(drafts, pk=unquote(object_id))
        before, after = sides_of(row)
        back = marks.record_url("rulecomparison", row.pk)
        return htmx_redirect(_asked(request, before, after, row.records, back))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id)) if object_id else None
        if row is not None:
            extra_context = {**(extra_context or {}), **_told(row)}
        return super().changeform_view(request, object_id, form_url, extra_context)

    @admin.display(description="Before")
    def before(self, obj: RuleComparison) -> str:
        return sides_of(obj)[0].label

    @admin.display(description="After")
    def after(self, obj: RuleComparison) -> str:
        return sides_of(obj)[1].label

    @admin.display(description="Records", ordering="records")
    def records_mark(self, obj: RuleComparison) -> SafeString | str:
        if obj.records == RuleComparison.Records.SYNTHETIC:
            return marks.mark(
                "SYNTHETIC", "synthetic", "Made by the generator; says nothing about the world."
            )
        return obj.get_records_display()

    @admin.display(description="Status", ordering="status")
    def status_mark(self, obj: RuleComparison) -> SafeString:
        return marks.mark(obj.get_status_display(), RUN_TONES.get(obj.status, "none"), obj.error[:200])

    @admin.display(description="Lines judged")
    def judged_count(self, obj: RuleComparison) -> str:
        return f"{int(obj.judged):,}" if obj.judged else marks.BLANK  # type: ignore[attr-defined]  # read by get_queryset

    @admin.display(description="Another decision")
    def changed_count(self, obj: RuleComparison) -> str:
        return f"{int(obj.changed):,}" if obj.changed else marks.BLANK  # type: ignore[attr-defined]  # read by get_queryset


def _told(row: RuleComparison) -> dict[str, Any]:
    """What the page of a comparison shows of it."""
    before, after = sides_of(row)
    told: dict[str, Any] = {"before": before.label, "after": after.label}
    if row.status != RuleComparison.Status.FINISHED:
        return told
    found = Comparison.from_dict(row.result)
    synthetic = found.records == RuleComparison.Records.SYNTHETIC
    title = f"Lines that come to another decision: {side(found.before)} against {side(found.after)}"
    picture = flip_chart(found.by_decision, title, synthetic=synthetic)
    return told | {
        "found": found, "synthetic": synthetic, "sentences": (*sentences(found), NOT_LAW), "days": days(found),
        "tables": tables(found),
        "picture": mark_safe(picture),  # noqa: S308 - drawn by our own function, which escapes every text in it
    }  # fmt: skip
