"""Pages of the screening: lists and their files, listed parties, and the queue of matches that wait for a person."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    DropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
    RangeNumericFilter,
)
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from tracker.admin import marks
from tracker.admin.base import LedgerAdmin, ReadOnlyAdmin, ReadOnlyRows, actor, choice_filters
from tracker.admin.findings import htmx_redirect
from tracker.core.errors import TrackerError
from tracker.models import ListedName, ListedParty, ListVersion, ScreeningList, ScreeningMatch
from tracker.screening.lists import FORMATS
from tracker.screening.services import confirm, load_list, reject
from tracker.tasks import screen_changes

LARGEST_UPLOAD = 50 * 1024 * 1024
"""Bytes; a larger file is loaded with the command."""


class ListFileForm(forms.Form):
    """A file of a list, as its publisher gives it."""

    file = forms.FileField(
        label="File",
        help_text="CSV or JSON of the Consolidated Screening List, or FollowTheMoney entities (JSON lines); 50 MB at most.",
    )
    format = forms.ChoiceField(
        choices=[(name, "told from the content" if name == "auto" else name) for name in FORMATS],
        widget=UnfoldAdminSelectWidget,
    )
    as_of = forms.DateField(
        label="Day of the file",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Parties that it no longer names ended on this day, unless the file tells another.",
    )
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept with every version that the file makes.",
    )
    many_removals = forms.BooleanField(
        required=False,
        label="It may end many parties",
        help_text="Tick it only after the file was refused for ending more than a fifth of them, and that is really so.",
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_UPLOAD:
            raise forms.ValidationError(
                f"The file has {file.size:,} bytes, more than {LARGEST_UPLOAD:,}; load it with manage.py load_list."
            )
        return file


class FileRows(ReadOnlyRows):
    model = ListVersion
    fields = readonly_fields = (
        "as_of",
        "file_name",
        "format",
        "loaded_at",
        "loaded_by",
        "count_line",
        "sha256",
    )
    verbose_name_plural = "Files loaded"
    per_page = 20

    @admin.display(description="Changed")
    def count_line(self, obj: ListVersion) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in obj.counts.items() if count) or marks.BLANK


@admin.register(ScreeningList)
class ScreeningListAdmin(LedgerAdmin):
    list_display = ("name", "publisher", "party_count", "standing_count", "latest", "licence_terms")
    list_select_related = ("source",)
    search_fields = ("name", "slug", "publisher")
    autocomplete_fields = ("source",)
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = (
        ("Which list", {"fields": ("name", "slug", "publisher", "url", "source")}),
        ("On which terms", {"fields": ("licence_terms", "note")}),
    )
    inlines = (FileRows,)
    actions_detail = ("load_file",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        standing = Count("parties", filter=Q(parties__removed_on__isnull=True))
        return (
            super()
            .get_queryset(request)
            .annotate(parties_counted=Count("parties"), standing_counted=standing)
        )

    @admin.display(description="Parties", ordering="parties_counted")
    def party_count(self, obj: ScreeningList) -> str:
        return f"{obj.parties_counted:,}"  # type: ignore[attr-defined]  # counted by get_queryset

    @admin.display(description="Standing", ordering="standing_counted")
    def standing_count(self, obj: ScreeningList) -> str:
        return f"{obj.standing_counted:,}"  # type: ignore[attr-defined]  # counted by get_queryset

    @admin.display(description="As of")
    def latest(self, obj: ScreeningList) -> str:
        version = obj.versions.first()
        return str(version.as_of) if version else marks.BLANK

    def has_load_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.load_screeninglist")

    @action(description="Load a file", url_path="load", icon="upload_file", permissions=["load"])
    def load_file(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A page with the form; what is wrong with a file is shown line by line, and nothing of it is kept."""
        obj = get_object_or_404(ScreeningList, pk=object_id)
        form = ListFileForm(request.POST or None, request.FILES or None)
        refusal: list[str] = []
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            try:
                loaded = load_list(
                    file.read(),
                    obj.name,
                    actor(request),
                    format=form.cleaned_data["format"],
                    as_of=form.cleaned_data["as_of"],
                    file_name=file.name,
                    reason=form.cleaned_data["reason"],
                    many_removals=form.cleaned_data["many_removals"],
                )
            except TrackerError as error:
                refusal = str(error).splitlines()
            else:
                told = ", ".join(f"{count:,} {name}" for name, count in loaded.counts.items() if count)
                said = (
                    f"Loaded {file.name}: {told}."
                    if loaded.version
                    else f"{file.name} was loaded last; nothing changed."
                )
                if loaded.version:
                    transaction.on_commit(lambda: screen_changes.delay(actor(request)))
                    said += " The screening of what changed is queued."
                self.message_user(request, said, messages.SUCCESS)
                return HttpResponse(
                    status=302, headers={"Location": marks.record_url("screeninglist", obj.pk)}
                )
        context = {
            **self.admin_site.each_context(request),
            "title": f"Load a file of {obj}",
            "opts": self.opts,
            "object": obj,
            "form": form,
            "refusal": refusal,
            "back": marks.record_url("screeninglist", obj.pk),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "tracker/admin/load_list.html", context)


class VersionedReadOnly(ReadOnlyAdmin):
    """What the machinery writes and people decide: nobody types, but every version is kept and shown."""

    object_history_template = LedgerAdmin.object_history_template
    history_view = LedgerAdmin.history_view
    _parts = LedgerAdmin._parts
    _is_version = staticmethod(LedgerAdmin._is_version)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        return super().changeform_view(
            request, object_id, form_url, {"show_history": True, **(extra_context or {})}
        )


class NameRows(ReadOnlyRows):
    model = ListedName
    fields = readonly_fields = ("name", "kind")
    verbose_name_plural = "Names"
    tab = False


@admin.register(ListedParty)
class ListedPartyAdmin(VersionedReadOnly):
    list_display = (
        "name",
        "which_list",
        "countries_line",
        "listed_on",
        "removed_on",
        "citation",
        "screening_list",
    )
    list_select_related = ("screening_list",)
    list_filter = (
        ("screening_list", AutocompleteSelectFilter),
        ("list_name", FieldTextFilter),
        ("listed_on", RangeDateFilter),
        ("removed_on", RangeDateFilter),
    )
    search_fields = ("name", "names__name", "key")
    search_help_text = "A name or alias in any script, or the key in the list"
    fieldsets = (
        ("Party", {"fields": ("name", "screening_list", "list_name", "kind", "countries_line", "key")}),
        ("Listing", {"fields": ("listed_on", "removed_on", "citation", "footnote", "programs", "link")}),
        ("What follows", {"fields": ("licence_requirement", "licence_policy", "remarks")}),
        ("Where and under which numbers", {"fields": ("address_lines", "identifiers")}),
    )
    inlines = (NameRows,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("countries_line", "address_lines", "link")

    @admin.display(description="List", ordering="list_name")
    def which_list(self, obj: ListedParty) -> str:
        return obj.which_list

    @admin.display(description="Countries")
    def countries_line(self, obj: ListedParty) -> str:
        return ", ".join(obj.countries) or marks.BLANK

    @admin.display(description="Addresses")
    def address_lines(self, obj: ListedParty) -> SafeString | str:
        return "; ".join(obj.addresses) or marks.BLANK

    @admin.display(description="Notice")
    def link(self, obj: ListedParty) -> SafeString | str:
        if not obj.source_url.startswith(("http://", "https://")):
            return marks.BLANK
        return format_html(
            '<a class="text-link" href="{}" rel="noreferrer">{}</a>', obj.source_url, obj.source_url
        )


STATE_TONES = {
    "open": "severity-medium",
    "confirmed": "severity-critical",
    "rejected": "good",
    "superseded": "none",
}
BAND_TONES = {"match": "severity-high", "ask": "severity-low"}


def score_bar(score: Any) -> SafeString:
    """The score as a number and a bar of its length."""
    return format_html(
        '<progress class="bar" max="1" value="{}"></progress> <span class="nowrap">{}</span>',
        score,
        f"{score:.2f}",
    )


def _why() -> forms.CharField:
    return forms.CharField(
        label="Why",
        max_length=2000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="In a sentence: what the decision rests on (register, address, filing), and where that can be seen.",
    )


class DecideForm(BaseDialogForm):
    reason = _why()


class DecideSelectedForm(forms.Form):
    reason = _why()


class WaitingFilter(DropdownFilter):
    """What waits for a person, unless asked otherwise."""

    title = "state"
    parameter_name = "standing"
    all_option = ("", "open")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("all", "all"),
            *((value, label) for value, label in ScreeningMatch.State.choices if value != "open"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if value == "all":
            return queryset
        return queryset.filter(
            state=value if value in ScreeningMatch.State.values else ScreeningMatch.State.OPEN
        )


@admin.register(ScreeningMatch)
class ScreeningMatchAdmin(VersionedReadOnly):
    list_display = (
        "score_line",
        "pair",
        "which_list",
        "listed_on",
        "band_mark",
        "state_mark",
        "screened_on",
    )
    list_display_links = ("pair",)
    list_select_related = ("organization", "party__screening_list")
    list_filter = (
        WaitingFilter,
        *choice_filters("band"),
        ("score", RangeNumericFilter),
        ("organization", AutocompleteSelectFilter),
        ("party__list_name", FieldTextFilter),
    )
    search_fields = ("organization__name", "organization__slug", "asked_name", "listed_name", "party__name")
    search_help_text = "Either side, by name or alias"
    ordering = ("-score", "id")
    list_fullwidth = True
    actions = ("reject_selected",)
    actions_list = ("screen_now",)
    actions_detail = ("confirm_one", "reject_one")
    change_form_template = "tracker/admin/screening_match.html"
    fieldsets = ((None, {"fields": ()}),)  # the template shows the row

    # --- the queue ----------------------------------------------------------------------------------------------------

    @admin.display(description="Score", ordering="score")
    def score_line(self, obj: ScreeningMatch) -> SafeString:
        return score_bar(obj.score)

    @admin.display(description="May be the same", ordering="organization__name")
    def pair(self, obj: ScreeningMatch) -> SafeString:
        return format_html(
            '<span class="headline">{}</span><span class="ledger-note">{}</span>',
            f"{obj.organization.name} – {obj.party.name}",
            f"{obj.asked_name} ~ {obj.listed_name}"
            if (obj.asked_name, obj.listed_name) != (obj.organization.name, obj.party.name)
            else f"{obj.organization.country or 'country not known'} – {', '.join(obj.party.countries) or 'country not known'}",
        )

    @admin.display(description="List", ordering="party__list_name")
    def which_list(self, obj: ScreeningMatch) -> str:
        return obj.party.which_list

    @admin.display(description="Listed on", ordering="party__listed_on")
    def listed_on(self, obj: ScreeningMatch) -> str:
        ended = f" to {obj.party.removed_on}" if obj.party.removed_on else ""
        return f"{obj.party.listed_on or 'day not known'}{ended}"

    @admin.display(description="Band", ordering="band")
    def band_mark(self, obj: ScreeningMatch) -> SafeString:
        return marks.mark(obj.get_band_display(), BAND_TONES[obj.band], f"Score {obj.score:.4f}")

    @admin.display(description="State", ordering="state")
    def state_mark(self, obj: ScreeningMatch) -> SafeString:
        return marks.mark(obj.state, STATE_TONES[obj.state], obj.get_state_display())

    @admin.display(description="Screened", ordering="screened_at")
    def screened_on(self, obj: ScreeningMatch) -> str:
        return f"{obj.screened_at:%Y-%m-%d}"

    # --- one match ----------------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id) if object_id else None
        if obj is not None:
            extra_context = {
                **(extra_context or {}),
                "score_bar": score_bar(obj.score),
                "band_mark": self.band_mark(obj),
                "state_mark": self.state_mark(obj),
                "organization_link": marks.link(obj.organization),
                "party_link": marks.link(obj.party),
                "entry_link": marks.link(obj.list_entry) if obj.list_entry_id else "",
                "sides": self._sides(obj),
                "others": self._others(obj),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    @staticmethod
    def _sides(obj: ScreeningMatch) -> list[tuple[str, str, str]]:
        """The two parties line by line: what, the organization, the listed party."""
        organization, listed = obj.organization, obj.party
        aliases = list(organization.aliases.order_by("name").values_list("name", flat=True)[:30])
        names = [row for row in listed.names.all()[:30] if row.name != listed.name]
        told = ", ".join(
            f"{row.name} (weak)" if row.kind == ListedName.Kind.WEAK else row.name for row in names
        )
        roles = ", ".join(
            dict(type(organization).Role.choices).get(role, role) for role in organization.roles
        )
        lines = [
            ("Name", organization.name, listed.name),
            ("Closest names", obj.asked_name, obj.listed_name),
            ("Other names", ", ".join(aliases), told),
            ("Country", organization.get_country_display(), ", ".join(listed.countries)),
            ("What it is", roles, listed.kind),
            ("Addresses", "", "; ".join(listed.addresses[:8])),
            ("Numbers", "", ", ".join(listed.identifiers)),
            ("Source", str(organization.source or ""), listed.source_url),
            ("Notes", organization.note, listed.remarks),
            ("What follows", "", " ".join(filter(None, [listed.licence_requirement, listed.licence_policy]))),
            ("Programs", "", ", ".join(listed.programs)),
        ]
        return [line for line in lines if line[1] or line[2]]

    @staticmethod
    def _others(obj: ScreeningMatch) -> QuerySet[ScreeningMatch]:
        rows = ScreeningMatch.objects.filter(organization=obj.organization).exclude(pk=obj.pk)
        return rows.select_related("party__screening_list").order_by("-score")[:10]

    # --- deciding -----------------------------------------------------------------------------------------------------

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.decide_screeningmatch")

    def has_screen_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.run_screening")

    def _decide(
        self, request: HttpRequest, form: DecideForm, object_id: str, decide: Any, said: str
    ) -> HttpResponse:
        match = get_object_or_404(ScreeningMatch, pk=object_id)
        try:
            decide(match, actor(request), form.cleaned_data["reason"])
        except TrackerError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, said, messages.SUCCESS)
        return htmx_redirect(marks.record_url("screeningmatch", object_id))

    @action(
        description="Confirm: the same",
        url_path="confirm",
        icon="check",
        variant=ActionVariant.PRIMARY,
        permissions=["decide"],
        dialog={
            "title": "They are the same organization",
            "description": "The listing becomes a list entry of the organization, and the rule checks read it from its day on.",
            "form_class": DecideForm,
            "form_submit_text": "Confirm",
        },
    )
    def confirm_one(self, request: HttpRequest, form: DecideForm, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, confirm, "Confirmed; the list entry is written.")

    @action(
        description="Reject: another",
        url_path="reject",
        icon="close",
        permissions=["decide"],
        dialog={
            "title": "They are different organizations",
            "description": "The pair is not asked again unless one of the two changes. A list entry it wrote is taken back.",
            "form_class": DecideForm,
            "form_submit_text": "Reject",
        },
    )
    def reject_one(self, request: HttpRequest, form: DecideForm, object_id: str) -> HttpResponse:
        return self._decide(
            request, form, object_id, reject, "Rejected; it comes back only if one of the two changes."
        )

    @admin.action(description="Reject selected matches", permissions=["decide"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Reject several for one reason, after a page that shows them and asks it."""
        form = DecideSelectedForm(request.POST if request.POST.get("post") else None)
        if request.POST.get("post") and form.is_valid():
            refused = []
            for match in queryset.order_by("id")[:200]:
                try:
                    reject(match, actor(request), form.cleaned_data["reason"])
                except TrackerError as error:
                    refused.append(str(error))
            self.message_user(request, f"{queryset.count() - len(refused)} rejected.", messages.SUCCESS)
            for told in refused[:10]:
                self.message_user(request, told, messages.ERROR)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Reject selected matches",
            "opts": self.opts,
            "rows": queryset.select_related("organization", "party__screening_list")[:200],
            "form": form,
            "action_name": "reject_selected",
            "checkbox": ACTION_CHECKBOX_NAME,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "tracker/admin/reject_selected.html", context)

    @action(
        description="Screen what changed", url_path="screen", icon="manage_search", permissions=["screen"]
    )
    def screen_now(self, request: HttpRequest) -> HttpResponse:
        who = actor(request)
        transaction.on_commit(lambda: screen_changes.delay(who))
        self.message_user(
            request, "The screening of what changed is queued; its matches appear here.", messages.SUCCESS
        )
        return HttpResponse(
            status=302, headers={"Location": reverse("admin:tracker_screeningmatch_changelist")}
        )
