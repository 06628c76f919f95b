"""Pages of the reconciliation: runs, discrepancies and how people close them, findings, books, reports."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AllValuesCheckboxFilter,
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    DropdownFilter,
    FieldTextFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
)
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
)

from tracker.admin import marks
from tracker.admin.base import ReadOnlyAdmin, actor, choice_filters, signed_in
from tracker.core.errors import TrackerError
from tracker.models import (
    BalanceCell,
    Discrepancy,
    Evidence,
    Finding,
    ReconciliationRun,
    Report,
    RunPartition,
    Source,
)
from tracker.reconciliation.lifecycle import OVER, is_overdue
from tracker.reconciliation.models import GOING
from tracker.reconciliation.services import cancel_run, parameter_lines
from tracker.reports.page import running_table
from tracker.reviews.services import assign, events, note, reopen, resolve
from tracker.runs.querysets import priorities
from tracker.runs.services import progress as run_progress
from tracker.runs.services import resume
from tracker.tasks import queue_run, request_run

LOOK_NEXT = 20
"""How many records and facts to verify the page of a run names; the API gives more."""

REFRESH_SECONDS = 5
"""How often the page of a run that goes on asks for itself again."""


def htmx_redirect(url: str) -> HttpResponse:
    """Leave a dialog: the theme's dialogs are posted by htmx, which follows this header."""
    return HttpResponse(headers={"HX-Redirect": url})


# --- runs -------------------------------------------------------------------------------------------------------------------


class StartRunForm(BaseDialogForm):
    """Nothing to choose: a run reads everything that is known at the instant it is started."""


class StopRunForm(BaseDialogForm):
    """Nothing to choose."""


def progress(run: ReconciliationRun) -> list[dict[str, Any]]:
    """How far the shares of a run are: one row for each kind of work, with counts and percentages."""
    rows = (
        run.partitions.values("kind")
        .annotate(
            total=Count("id"),
            done=Count("id", filter=Q(status=RunPartition.Status.DONE)),
            running=Count("id", filter=Q(status=RunPartition.Status.RUNNING)),
            failed=Count("id", filter=Q(status=RunPartition.Status.FAILED)),
        )
        .order_by("kind")
    )
    return [
        {**row, "kind": row["kind"].replace("_", " "), "percent": round(100 * row["done"] / row["total"])}
        for row in rows
    ]


RUN_TONES = {
    "finished": "good",
    "failed": "severity-critical",
    "running": "severity-low",
    "queued": "severity-low",
}


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    list_display = (
        "key",
        "status_mark",
        "share_line",
        "as_known_at",
        "discrepancy_line",
        "requested_by",
        "finished_at",
        "report_link",
    )
    list_select_related = ("report",)
    list_filter = (
        *choice_filters("status"),
        ("created_at", RangeDateTimeFilter),
        ("as_known_at", RangeDateTimeFilter),
    )
    search_fields = ("key", "requested_by", "findings_sha256")
    search_help_text = "Name of the run, who asked for it, or digest"
    actions_list = ("start_run",)
    actions_detail = ("stop_run", "resume_run")
    change_form_template = "tracker/admin/run.html"
    fieldsets = ((None, {"fields": ()}),)  # the template shows the row

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        done = Count("partitions", filter=Q(partitions__status=RunPartition.Status.DONE))
        return super().get_queryset(request).annotate(shares=Count("partitions"), shares_done=done)

    def has_start_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.add_reconciliationrun")

    @action(
        description="Start a run",
        url_path="start",
        icon="play_arrow",
        variant=ActionVariant.PRIMARY,
        permissions=["start"],
        dialog={
            "title": "Start a run",
            "description": "The whole ledger is reconciled as it is known at this instant. Workers share the work.",
            "form_class": StartRunForm,
            "form_submit_text": "Start",
        },
    )
    def start_run(self, request: HttpRequest, form: StartRunForm) -> HttpResponse:
        try:
            run = request_run(actor(request))
        except TrackerError as error:
            self.message_user(request, str(error), messages.ERROR)
            return htmx_redirect(reverse("admin:tracker_reconciliationrun_changelist"))
        self.message_user(request, f"Run {run.key} is queued.", messages.SUCCESS)
        return htmx_redirect(marks.record_url("reconciliationrun", run.pk))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A run that goes on can be stopped; one that was stopped or failed can go on."""
        status = ReconciliationRun.objects.filter(pk=object_id).values_list("status", flat=True).first()
        hidden = {"resume_run"} if status in GOING else {"stop_run"}
        if status == ReconciliationRun.Status.FINISHED:
            hidden = {"resume_run", "stop_run"}
        return [
            item
            for item in super().get_actions_detail(request, object_id)
            if not any(item.action_name.endswith(f"_{name}") for name in hidden)
        ]

    @action(
        description="Stop",
        url_path="stop",
        icon="stop_circle",
        permissions=["start"],
        dialog={
            "title": "Stop this run",
            "description": "What is under way ends without effect, and nothing of this run is published.",
            "form_class": StopRunForm,
            "form_submit_text": "Stop it",
        },
    )
    def stop_run(self, request: HttpRequest, form: StopRunForm, object_id: str) -> HttpResponse:
        run = get_object_or_404(ReconciliationRun, pk=object_id)
        try:
            stopped = cancel_run(run.pk)
        except TrackerError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            words = "is stopped" if stopped else "was over already"
            self.message_user(
                request, f"Run {run.key} {words}.", messages.SUCCESS if stopped else messages.WARNING
            )
        return htmx_redirect(marks.record_url("reconciliationrun", run.pk))

    @action(
        description="Go on",
        url_path="resume",
        icon="resume",
        permissions=["start"],
        dialog={
            "title": "Let this run go on",
            "description": "Shares that are done are kept; what is left is queued again.",
            "form_class": StartRunForm,
            "form_submit_text": "Go on",
        },
    )
    def resume_run(self, request: HttpRequest, form: StartRunForm, object_id: str) -> HttpResponse:
        run = get_object_or_404(ReconciliationRun, pk=object_id)
        try:
            resume(run)
        except TrackerError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            queue_run(run)
            self.message_user(request, f"Run {run.key} goes on.", messages.SUCCESS)
        return htmx_redirect(marks.record_url("reconciliationrun", run.pk))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        run = self.get_object(request, object_id) if object_id else None
        if run is not None:
            failed = run.partitions.filter(status=RunPartition.Status.FAILED).order_by("id")[:20]
            extra_context = {
                **(extra_context or {}),
                "progress": progress(run),
                "at": run_progress(run),
                "failed_shares": failed,
                "parameters": parameter_lines(run),
                "priorities": priorities(run, LOOK_NEXT)
                if run.finished_at and run.status == "finished"
                else (),
                "report": Report.objects.filter(run=run).defer("html", "csv").first(),
                "discrepancies_url": marks.list_url(
                    "finding", run__id__exact=run.pk, is_discrepancy__exact=1
                ),
            }
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if run is not None and run.status in GOING:
            response["Refresh"] = str(REFRESH_SECONDS)  # the browser asks again by itself, without a script
        return response

    @admin.display(description="Status", ordering="status")
    def status_mark(self, obj: ReconciliationRun) -> SafeString:
        return marks.mark(obj.get_status_display(), RUN_TONES.get(obj.status, "none"), obj.error[:200])

    @admin.display(description="Shares done")
    def share_line(self, obj: ReconciliationRun) -> SafeString | str:
        shares, done = obj.shares, obj.shares_done  # type: ignore[attr-defined]  # counted by get_queryset
        if not shares:
            return marks.BLANK
        return format_html(
            '<progress class="bar" max="{}" value="{}"></progress> <span class="nowrap">{} of {}</span>',
            shares, done, done, shares,
        )  # fmt: skip

    @admin.display(description="Discrepancies")
    def discrepancy_line(self, obj: ReconciliationRun) -> str:
        found = obj.counts.get("by_severity") or {}
        return ", ".join(f"{count:,} {name}" for name, count in found.items() if count) or marks.BLANK

    @admin.display(description="Report")
    def report_link(self, obj: ReconciliationRun) -> SafeString | str:
        return marks.link(getattr(obj, "report", None), "report")


# --- discrepancies ------------------------------------------------------------------------------------------------------------


def _sentence(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=2000, help_text=help_text, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


_SHOWN = re.compile(r"\d{1,18}:\d{1,18}")
"""A discrepancy, and the finding of it that was shown."""


class ResolveForm(BaseDialogForm):
    reason = forms.ChoiceField(
        label="Reason",
        choices=[("", "Choose a reason"), *Discrepancy.Reason.choices],
        widget=UnfoldAdminSelectWidget,
    )
    resolution = _sentence("Explanation", "In a sentence: what explains it, and where that can be seen.")


class ReopenForm(BaseDialogForm):
    reason = _sentence("Why it is opened again", "In a sentence: what the closing did not explain.")


class NoteForm(BaseDialogForm):
    text = _sentence(
        "What you found", "In a sentence: what was asked or read, and what it says. Notes are never changed."
    )
    url = forms.URLField(
        label="Where it can be read",
        required=False,
        max_length=500,
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
    )
    source = forms.CharField(
        label="Source in the ledger", required=False, help_text="Its short name, e.g. nvidia-10q-2025-11.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip

    def clean_source(self) -> Source | None:
        slug = self.cleaned_data["source"].strip()
        found = Source.objects.filter(slug=slug).first() if slug else None
        if slug and found is None:
            raise forms.ValidationError(
                f"There is no source '{slug}' in the ledger; enter it first, or leave this blank."
            )
        return found


class AssignForm(BaseDialogForm):
    assignee = forms.ModelChoiceField(
        label="Who looks into it",
        queryset=get_user_model().objects.none(),
        required=False,
        empty_label="Nobody",
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        staff = get_user_model().objects.filter(is_active=True, is_staff=True)
        self.fields["assignee"].queryset = staff.order_by("username")


class OpenFilter(DropdownFilter):
    """Open ones unless asked otherwise: what is closed need not be looked at again."""

    title = "state"
    parameter_name = "standing"
    all_option = ("", "open")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "open and overdue"), ("all", "all"), *Discrepancy.State.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if value == "all":
            return queryset
        if value in Discrepancy.State.values:
            return queryset.filter(state=value)
        queryset = queryset.exclude(state__in=OVER)
        return queryset.filter(due_on__lt=timezone.now().date()) if value == "overdue" else queryset


class SeverityFilter(DropdownFilter):
    title = "severity"
    parameter_name = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Finding.Severity.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(latest__severity=self.value()) if self.value() else queryset


class MineFilter(DropdownFilter):
    title = "assignee"
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = get_user_model().objects.filter(pk__in=Discrepancy.objects.values("assignee"))
        named = people.order_by("username").values_list("pk", "username")
        return [("mine", "mine"), ("nobody", "nobody"), *((str(pk), name) for pk, name in named)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "mine":
                return queryset.filter(assignee=request.user)
            case "nobody":
                return queryset.filter(assignee__isnull=True)
            case str(who) if who.isdigit():
                return queryset.filter(assignee=int(who))
        return queryset


def evidence_lines(finding: Finding) -> list[dict[str, Any]]:
    """The records that a finding rests on, each with the address of its page and of the very version that was read."""
    lines = []
    for row in finding.evidence.order_by("order"):
        try:
            page = marks.record_url(row.model_name, row.object_id)
            version = f"{marks.record_url(row.model_name, row.object_id, 'history')}?version={row.version}"
        except NoReverseMatch:
            page = version = ""
        lines.append({"row": row, "page": page, "version": version})
    return lines


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin):
    list_display = (
        "severity",
        "headline",
        "gap",
        "sq",
        "strength",
        "weakest_grade",
        "state_mark",
        "age",
        "due",
        "assignee",
    )
    list_display_links = ("headline",)
    list_select_related = ("latest", "assignee")
    list_filter = (
        OpenFilter,
        SeverityFilter,
        MineFilter,
        ("check_code", AllValuesCheckboxFilter),
        ("area", FieldTextFilter),
        ("scope", FieldTextFilter),
        ("latest__sq", RangeNumericFilter),
        *choice_filters("reason"),
    )
    search_fields = ("latest__headline", "area", "scope", "key")
    search_help_text = "Words of the headline, area (site:colossus-1) or scope (chip:h20-96gb)"
    # Worst first: severity, then the larger gap; what no finding stands behind any more comes last.
    ordering = (F("latest__severity_rank").asc(nulls_last=True), F("latest__sq").desc(nulls_last=True), "id")
    list_fullwidth = True
    actions = ("resolve_selected", "assign_to_me")
    actions_detail = ("resolve_one", "reopen_one", "assign_one", "note_one")
    change_form_template = "tracker/admin/discrepancy.html"
    fieldsets = ((None, {"fields": ()}),)  # the template shows the row

    # --- the list -----------------------------------------------------------------------------------------------------

    @admin.display(description="Severity", ordering="latest__severity_rank")
    def severity(self, obj: Discrepancy) -> SafeString | str:
        return marks.severity(obj.latest)

    @admin.display(description="What does not add up", ordering="latest__headline")
    def headline(self, obj: Discrepancy) -> SafeString:
        words = obj.latest.headline if obj.latest else str(obj)
        note = " · ".join((obj.check_code, obj.area, obj.scope, obj.period))
        return format_html('<span class="headline">{}</span><span class="ledger-note">{}</span>', words, note)

    @admin.display(description="Gap", ordering="latest__gap")
    def gap(self, obj: Discrepancy) -> str:
        return marks.quantity(obj.latest.gap, obj.latest.unit) if obj.latest else marks.BLANK

    @admin.display(description="SQ", ordering="latest__sq")
    def sq(self, obj: Discrepancy) -> str:
        return marks.quantity(obj.latest.sq, digits=1) if obj.latest else marks.BLANK

    @admin.display(description="Strength", ordering="latest__strength")
    def strength(self, obj: Discrepancy) -> str:
        return (obj.latest.strength if obj.latest else "") or marks.BLANK

    @admin.display(description="Weakest", ordering="latest__weakest_grade")
    def weakest_grade(self, obj: Discrepancy) -> SafeString | str:
        grade = obj.latest.weakest_grade if obj.latest else ""
        return (
            marks.mark(grade, f"grade-{grade}", "Weakest grade among the evidence it cannot do without")
            if grade
            else marks.BLANK
        )

    @admin.display(description="State", ordering="state")
    def state_mark(self, obj: Discrepancy) -> SafeString:
        tones = {
            "resolved": "good",
            "new": "severity-low",
            "reopened": "severity-medium",
            "changed": "severity-medium",
            "back": "severity-medium",
        }
        return marks.mark(obj.state, tones.get(obj.state, "none"), obj.get_state_display())

    @admin.display(description="Age", ordering="-opened_at")
    def age(self, obj: Discrepancy) -> str:
        return f"{(timezone.now() - obj.opened_at).days} days" if obj.opened_at else marks.BLANK

    @admin.display(description="Due", ordering="due_on")
    def due(self, obj: Discrepancy) -> SafeString | str:
        words = obj.due_on.isoformat() if obj.due_on else marks.BLANK
        if not is_overdue(obj.due_on, obj.state, timezone.now().date()):
            return words
        return format_html("{} {}", words, marks.mark("overdue", "severity-high", "Open past its day"))

    # --- one discrepancy ----------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id) if object_id else None
        if obj is not None:
            asked = request.GET.get("finding", "")
            finding = obj.findings.filter(pk=asked).first() if asked.isdigit() else obj.latest
            extra_context = {
                **(extra_context or {}),
                "finding": finding,
                "severity_mark": marks.severity(finding),
                "state_mark": self.state_mark(obj),
                "age": self.age(obj),
                "due": self.due(obj),
                "evidence": evidence_lines(finding) if finding else [],
                "running": running_table(finding.numbers) if finding else None,
                "findings": obj.findings.select_related("run").order_by("-run__as_known_at", "-id")[:100],
                "events": events(obj),
                "notes": obj.notes.select_related("source"),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    # --- deciding -----------------------------------------------------------------------------------------------------

    def has_resolve_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.resolve_discrepancy")

    def _decide(
        self, request: HttpRequest, form: BaseDialogForm, object_id: str, decide: Any, said: str
    ) -> HttpResponse:
        """Carry a decision out; what the service refuses is shown beside the form's fields."""
        try:
            decide(get_object_or_404(Discrepancy, pk=object_id))
        except TrackerError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, said, messages.SUCCESS)
        return htmx_redirect(marks.record_url("discrepancy", object_id))

    @action(
        description="Resolve",
        url_path="resolve",
        icon="task_alt",
        variant=ActionVariant.PRIMARY,
        permissions=["resolve"],
        dialog={
            "title": "Resolve this discrepancy",
            "description": "It opens again by itself when a record it rests on changes.",
            "form_class": ResolveForm,
            "form_submit_text": "Resolve",
        },
        attrs={"hx-include": "#shown-finding"},
    )
    def resolve_one(self, request: HttpRequest, form: ResolveForm, object_id: str) -> HttpResponse:
        data, shown = form.cleaned_data, request.GET.get("shown", "")
        return self._decide(
            request, form, object_id,
            lambda row: resolve(
                row, signed_in(request), data["reason"], data["resolution"], shown=int(shown) if shown.isdigit() else None
            ),
            "Resolved.",
        )  # fmt: skip

    @action(
        description="Reopen",
        url_path="reopen",
        icon="undo",
        permissions=["resolve"],
        dialog={
            "title": "Open it again",
            "description": "",
            "form_class": ReopenForm,
            "form_submit_text": "Reopen",
        },
    )
    def reopen_one(self, request: HttpRequest, form: ReopenForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self._decide(
            request, form, object_id, lambda row: reopen(row, signed_in(request), reason), "Open again."
        )

    @action(
        description="Assign",
        url_path="assign",
        icon="person",
        permissions=["resolve"],
        dialog={"title": "Assign", "description": "", "form_class": AssignForm, "form_submit_text": "Assign"},
    )
    def assign_one(self, request: HttpRequest, form: AssignForm, object_id: str) -> HttpResponse:
        person = form.cleaned_data["assignee"]
        return self._decide(
            request,
            form,
            object_id,
            lambda row: assign(row, signed_in(request), person),
            f"Assigned to {person or 'nobody'}.",
        )

    def has_note_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.add_discrepancynote")

    @action(
        description="Add a note",
        url_path="note",
        icon="edit_note",
        permissions=["note"],
        dialog={"title": "Add a note", "description": "", "form_class": NoteForm, "form_submit_text": "Add"},
    )
    def note_one(self, request: HttpRequest, form: NoteForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data
        return self._decide(
            request, form, object_id,
            lambda row: note(row, signed_in(request), data["text"], data["url"], data["source"]), "Noted.",
        )  # fmt: skip

    @admin.action(description="Assign selected discrepancies to me", permissions=["resolve"])
    def assign_to_me(self, request: HttpRequest, queryset: QuerySet) -> None:
        me = get_user_model().objects.get(username=actor(request))
        for row in queryset:
            assign(row, me, me)
        self.message_user(request, f"{len(queryset)} assigned to you.", messages.SUCCESS)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the decisions that are open: what is resolved can be reopened, what is open resolved or assigned."""
        state = Discrepancy.objects.filter(pk=object_id).values_list("state", flat=True).first()
        hidden = {"reopen_one"} if state != Discrepancy.State.RESOLVED else {"resolve_one", "assign_one"}
        return [
            item
            for item in super().get_actions_detail(request, object_id)
            if not any(item.action_name.endswith(f"_{name}") for name in hidden)
        ]

    @admin.action(description="Resolve selected discrepancies", permissions=["resolve"])
    def resolve_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Ask once for a reason and a sentence, then close each; those that cannot be closed are named."""
        form = ResolveForm(data=request.POST if "apply" in request.POST else None, request=request)
        if "apply" in request.POST and form.is_valid():
            closed, data = 0, form.cleaned_data
            shown = dict(
                pair.split(":", 1) for pair in request.POST.getlist("shown") if _SHOWN.fullmatch(pair)
            )
            for row in queryset:
                seen = shown.get(str(row.pk))
                try:
                    resolve(
                        row, signed_in(request), data["reason"], data["resolution"], shown=int(seen) if seen else None
                    )  # fmt: skip
                    closed += 1
                except TrackerError as error:
                    self.message_user(request, str(error), messages.ERROR)
            if closed:
                self.message_user(request, f"{closed} resolved.", messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Resolve selected discrepancies",
            "opts": self.opts,
            "rows": queryset.select_related("latest"),
            "form": form,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "tracker/admin/resolve_selected.html", context)


# --- findings, books, reports -------------------------------------------------------------------------------------------------


MOST_SEARCHED = 1_000
"""Findings with the words that are searched for, the latest first; each with all that were carried over from it."""


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """Everything a run evaluated, also what was consistent."""

    list_display = (
        "severity_mark",
        "headline",
        "verdict",
        "check_code",
        "gap_line",
        "sq_line",
        "q_line",
        "weakest_grade",
        "run",
    )
    list_display_links = ("headline",)
    list_select_related = ("run",)
    list_filter = (
        ("run", AutocompleteSelectFilter),
        ("is_discrepancy", BooleanRadioFilter),
        *choice_filters("severity"),
        ("check_code", FieldTextFilter),
        ("area", FieldTextFilter),
        ("scope", FieldTextFilter),
        ("sq", RangeNumericFilter),
    )
    search_fields = ("headline",)
    search_help_text = f"Words of the headline; of more than {MOST_SEARCHED:,} findings the latest"
    ordering = ("-id",)
    paginator = InfinitePaginator
    change_form_template = "tracker/admin/finding.html"
    fieldsets = ((None, {"fields": ()}),)  # the template shows the row

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        finding = self.get_object(request, object_id) if object_id else None
        if finding is not None:
            extra_context = {
                **(extra_context or {}),
                "finding": finding,
                "severity_mark": marks.severity(finding),
                "evidence": evidence_lines(finding),
                "running": running_table(finding.numbers),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """By the headlines of findings as they were first written, which are indexed; with those carried over from them."""
        first, more = super().get_search_results(
            request, Finding.objects.filter(evidence_of=None), search_term
        )
        if not search_term:
            return queryset, more
        ids = list(first.order_by("-id").values_list("id", flat=True)[:MOST_SEARCHED])
        return queryset.filter(Q(id__any=ids) | Q(evidence_of__in=ids)), more

    @admin.display(description="Severity", ordering="severity_rank")
    def severity_mark(self, obj: Finding) -> SafeString | str:
        return marks.severity(obj) if obj.is_discrepancy else marks.mark("no discrepancy", "none")

    @admin.display(description="Gap")
    def gap_line(self, obj: Finding) -> str:
        return marks.quantity(obj.gap, obj.unit)

    @admin.display(description="SQ")
    def sq_line(self, obj: Finding) -> str:
        return marks.quantity(obj.sq, digits=1)

    @admin.display(description="q")
    def q_line(self, obj: Finding) -> str:
        return marks.BLANK if obj.q is None else f"{obj.q:.2g}"


@admin.register(Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    list_display = ("label", "role", "model_name", "object_id", "version", "finding")
    list_select_related = ("finding",)
    list_filter = (("model_name", FieldTextFilter), ("finding", AutocompleteSelectFilter))
    search_fields = ("=object_id",)
    search_help_text = "The number of a record"
    ordering = ("-id",)
    paginator = InfinitePaginator


@admin.register(RunPartition)
class RunPartitionAdmin(ReadOnlyAdmin):
    list_display = ("run", "kind", "index", "count", "status", "attempts", "findings", "finished_at")
    list_select_related = ("run",)
    list_filter = (("run", AutocompleteSelectFilter), *choice_filters("status"))
    ordering = ("-id",)
    paginator = InfinitePaginator


@admin.register(BalanceCell)
class BalanceCellAdmin(ReadOnlyAdmin):
    """Books of areas by calendar month, as a run drew them up."""

    list_display = (
        "area",
        "scope",
        "month",
        "opening",
        "receipts",
        "dispatches",
        "exits",
        "book_line",
        "close",
        "is_closed",
        "run",
    )
    list_select_related = ("run", "area", "scope")
    list_filter = (
        ("run", AutocompleteSelectFilter),
        ("area__key", FieldTextFilter),
        ("scope__key", FieldTextFilter),
    )
    search_fields = ("area__key__startswith",)
    search_help_text = "Beginning of an area, e.g. site:colossus"
    ordering = ("-id",)
    paginator = InfinitePaginator

    @admin.display(description="Book", ordering="book")
    def book_line(self, obj: BalanceCell) -> str:
        least = "at least " if obj.at_least else ""
        return f"{least}{obj.book:,.0f} ± {obj.sigma:,.0f}"


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("title", "run", "built_at", "files")
    list_select_related = ("run",)
    list_filter = (("built_at", RangeDateTimeFilter),)
    search_fields = ("title", "run__key", "html_sha256", "csv_sha256")
    search_help_text = "Title, run or digest"
    fieldsets = (
        ("Report", {"fields": ("title", "run", "built_at", "files")}),
        ("Digests", {"fields": ("html_sha256", "csv_sha256")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("html", "csv")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("files",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file_view)
        return [
            path("<int:object_id>/file/<str:kind>/", view, name="tracker_report_file"),
            *super().get_urls(),
        ]

    def file_view(self, request: HttpRequest, object_id: int, kind: str) -> HttpResponse:
        """The bytes of a report, as a download: a page of its own must not run inside the admin's address."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in ("html", "csv"):
            raise Http404
        report = get_object_or_404(Report.objects.select_related("run"), pk=object_id)
        return HttpResponse(
            getattr(report, kind),
            content_type=f"text/{kind}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="report-{report.run.key}.{kind}"'},
        )

    @admin.display(description="Files")
    def files(self, obj: Report) -> SafeString:
        address = [reverse("admin:tracker_report_file", args=[obj.pk, kind]) for kind in ("html", "csv")]
        return format_html(
            '<a class="text-link" href="{}">web page</a> · <a class="text-link" href="{}">table (CSV)</a>',
            *address,
        )
