"""The one base of every page that writes to the ledger: each change carries who made it and why, and its history is shown.

A form that changes a record asks for the reason; saving, deleting and the deletion of several go through
:func:`tracker.core.services.recording`, so the database writes actor and reason into the version. Django's own log of admin
actions is not kept for these records: their versions say more, and say it for every path of writing.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.contrib.postgres.forms import RangeWidget
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDateWidget,
    UnfoldAdminTextareaWidget,
)

from tracker.admin import marks
from tracker.core.services import recording
from tracker.models import Versioned
from tracker.reviews.services import Event, history

REASON = "change_reason"
SEEN_VERSION = "seen_version"


def actor(request: HttpRequest) -> str:
    return request.user.get_username()


def signed_in(request: HttpRequest) -> AbstractUser:
    """Who asks, as an account: the admin's pages are closed to everybody else."""
    return cast(AbstractUser, request.user)


def given_reason(request: HttpRequest) -> str:
    return request.POST.get(REASON, "").strip()


def refusal_of(error: IntegrityError) -> str:
    """What the database refused, in the sentence that the broken constraint carries."""
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    for model in Versioned.__subclasses__():
        for constraint in model._meta.constraints:
            if constraint.name == name:
                return str(constraint.violation_error_message)
    return f"The database refused this: {name or error}."


class ReasonForm(forms.ModelForm):
    """A form of one record, with the reason for the change. ``request`` and ``reason_required`` are set by the admin."""

    request: HttpRequest
    reason_required = False

    change_reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Kept with this version for good: what was wrong or new, and what the change rests on.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields[REASON]
        field.required = self.reason_required
        field.error_messages["required"] = (
            "Say why this record is changed; the reason is kept with the new version."
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if refusal := getattr(self.request, "refusal", ""):
            raise forms.ValidationError(refusal)
        seen = self.data.get(SEEN_VERSION, "")
        if self.instance.pk and seen.isdigit() and int(seen) < self.instance.version:
            raise forms.ValidationError(
                f"{self.instance.recorded_by} changed this record while you had it open (it is now version "
                f"{self.instance.version}). Look at its history, then save again if your values still hold."
            )
        return cleaned


class PlainDecimalField(forms.DecimalField):
    """A number as a person writes it: 21, where the column's three decimal places would show 21.000."""

    def prepare_value(self, value: Any) -> Any:
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value


class ReadableJSONField(forms.JSONField):
    """Structured values on several lines, as one would write them; an emptied field is an empty structure, not a missing one."""

    def __init__(self, *, empty: Any = None, **kwargs: Any) -> None:
        self.empty = empty
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        read = super().to_python(value)
        return self.empty() if read is None and callable(self.empty) else read

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput):
            return value
        return json.dumps(value, ensure_ascii=False, indent=2)


class FormFieldsMixin:
    """Widgets for the kinds of columns that the theme does not dress."""

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if isinstance(db_field, models.DecimalField):
            kwargs["form_class"] = PlainDecimalField
        if isinstance(db_field, models.TextField) and not db_field.choices:
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 3})
        if isinstance(db_field, ArrayField):
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 2})
        if isinstance(db_field, models.JSONField):
            kwargs["form_class"] = ReadableJSONField
            kwargs["empty"] = db_field.default if db_field.has_default() else None
            kwargs["widget"] = UnfoldAdminTextareaWidget(
                attrs={"rows": 8, "class": "json", "spellcheck": "false"}
            )
        if isinstance(db_field, models.URLField):
            kwargs["assume_scheme"] = "https"
        if isinstance(db_field, DateRangeField):
            kwargs["widget"] = RangeWidget(UnfoldAdminDateWidget())
        if isinstance(db_field, ArrayField) and db_field.base_field.choices:
            return forms.MultipleChoiceField(
                choices=db_field.base_field.choices,
                required=not db_field.blank,
                help_text=db_field.help_text,
                widget=UnfoldAdminCheckboxSelectMultipleWidget(),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # mixed into an admin


def _safe_address(contents: SafeString) -> SafeString | str:
    """Only web addresses become links: a loaded row might carry another scheme."""
    return contents if "href=" not in contents or 'href="http' in contents else escape("not a web address")


class LedgerAdmin(FormFieldsMixin, ModelAdmin):
    """Base of every ledger table. Subclasses name ``fieldsets`` in the order of the paper being typed in."""

    form = ReasonForm
    actions = ("delete_with_reason",)
    change_form_template = "tracker/admin/ledger_form.html"
    object_history_template = "tracker/admin/history.html"
    readonly_preprocess_fields = {"url": _safe_address, "datasheet_url": _safe_address}
    list_filter_submit = True
    list_per_page = 50
    save_as = False
    warn_unsaved_form = True
    show_full_result_count = False

    # --- the form -----------------------------------------------------------------------------------------------------

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ReasonForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"request": request, "reason_required": change})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None:
            fieldsets.append(("This version", {"fields": ("version_line",)}))
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), "version_line")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        # Only for a new record: files and links know the old short name.
        return dict(super().get_prepopulated_fields(request, obj)) if obj is None else {}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with recording(actor(request), given_reason(request)):
                return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError as error:
            # Once more, now refused by the form: the page comes back with everything that was typed.
            request.refusal = refusal_of(error)  # type: ignore[attr-defined]  # ours, for the form
            return super().changeform_view(request, object_id, form_url, extra_context)

    # --- deleting -----------------------------------------------------------------------------------------------------

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if request.method != "POST":
            return super().delete_view(request, object_id, extra_context)
        if not given_reason(request):
            messages.error(request, "Nothing was deleted: say why this record goes.")
            return HttpResponseRedirect(request.get_full_path())
        with recording(actor(request), given_reason(request)):
            return super().delete_view(request, object_id, extra_context)

    @admin.action(description="Delete selected %(verbose_name_plural)s", permissions=["delete"])
    def delete_with_reason(self, request: HttpRequest, queryset: models.QuerySet) -> HttpResponse | None:
        """Delete the selected records, after a page that shows what goes and asks why."""
        if request.POST.get("post") and not given_reason(request):
            messages.error(request, "Nothing was deleted: say why these records go.")
            return None
        with recording(actor(request), given_reason(request)):
            return delete_selected(self, request, queryset)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    # The versions are the log: see the module's docstring.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: the database recorded it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: the database recorded it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Nothing: the database recorded it."""

    # --- history ------------------------------------------------------------------------------------------------------

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """All versions of the record and of its parts: who, when, why, and what changed field by field.

        ``?version=3`` also shows every field as it stood in version 3.
        """
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        events = history(obj, self._parts())
        named = Names(events)
        asked = request.GET.get("version", "")
        seen = next((e for e in events if self._is_version(e, obj, asked)), None)
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {self.opts.verbose_name}",
            "subtitle": str(obj),
            "object": obj,
            "opts": self.opts,
            "events": [
                named.event(event, own=event.object_id == obj.pk and event.model is type(obj))
                for event in events
            ],
            "asked": asked,
            "seen": seen and named.fields(seen.model, seen.content()),
            "back": marks.record_url(self.opts.model_name, quote(obj.pk)),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.object_history_template, context)

    @staticmethod
    def _is_version(event: Event, obj: Any, asked: str) -> bool:
        own = event.model is type(obj) and event.object_id == obj.pk and event.kind != "deleted"
        return own and asked == str(event.version)

    def _parts(self) -> list[tuple[type[Versioned], str]]:
        """Tables whose rows are typed in on this page, with their foreign key to the record."""
        found = []
        for inline in self.inlines:
            if not issubclass(inline.model, Versioned) or getattr(inline, "is_another_record", False):
                continue
            parents = {self.model, self.model._meta.concrete_model}
            keys = [
                f.name for f in inline.model._meta.fields if f.many_to_one and f.remote_field.model in parents
            ]
            found.append((inline.model, inline.fk_name or keys[0]))
        return found

    # --- shared columns -----------------------------------------------------------------------------------------------

    @admin.display(description="Record")
    def version_line(self, obj: Any) -> SafeString | str:
        if obj is None or obj.pk is None:
            return ""
        return format_html(
            '{} Version {} · recorded {} by {}{} · <a class="text-link" href="{}">history</a>',
            marks.marks(obj),
            obj.version,
            f"{timezone.localtime(obj.recorded_at):%Y-%m-%d %H:%M} UTC",
            obj.recorded_by,
            format_html(" · “{}”", obj.recorded_reason) if obj.recorded_reason else "",
            marks.record_url(self.opts.model_name, obj.pk, "history"),
        )

    @admin.display(description="Marks")
    def marks(self, obj: Any) -> SafeString | str:
        return marks.marks(obj)

    @admin.display(description="Grade and source", ordering="source__slug")
    def source_grade(self, obj: Any) -> SafeString | str:
        return marks.source_with_grade(obj.source, getattr(obj, "grade", ""))


class Names:
    """Readable values for the history: names of the rows that foreign keys point to (one query per table), labels of choices."""

    def __init__(self, events: list[Event]) -> None:
        wanted: dict[type[models.Model], set[int]] = {}
        for event in events:
            for column, value in event.content().items():
                if (target := self._target(event.model, column)) and value is not None:
                    wanted.setdefault(target, set()).add(value)
        self._found = {model: model._base_manager.in_bulk(ids) for model, ids in wanted.items()}

    @staticmethod
    def _field(model: type[models.Model], column: str) -> models.Field | None:
        return next((f for f in model._meta.concrete_fields if f.column == column), None)

    def _target(self, model: type[models.Model], column: str) -> type[models.Model] | None:
        field = self._field(model, column)
        remote = field.remote_field if field is not None and field.many_to_one else None
        return remote.model if remote is not None else None

    def value(self, model: type[models.Model], column: str, value: Any) -> str:
        if value in (None, "", [], {}):
            return "blank"
        if target := self._target(model, column):
            row = self._found.get(target, {}).get(value)
            return str(row) if row is not None else f"{target._meta.verbose_name} {value} (deleted since)"
        field = self._field(model, column)
        if field is not None and field.choices:
            return str(dict(field.flatchoices).get(value, value))
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value)

    def label(self, model: type[models.Model], column: str) -> str:
        field = self._field(model, column)
        return str(field.verbose_name) if field is not None else column

    def fields(self, model: type[models.Model], row: dict[str, Any]) -> list[tuple[str, str]]:
        return [
            (self.label(model, column), self.value(model, column, value)) for column, value in row.items()
        ]

    def event(self, event: Event, own: bool) -> dict[str, Any]:
        """A line of the history table. A part's first and last appearance lists its fields, for it has no page of its own."""
        model = event.model
        whole = self.fields(model, event.content()) if not own and event.kind != "changed" else []
        return {
            "event": event,
            "own": own,
            "what": str(model._meta.verbose_name),
            "fields": [(name, value) for name, value in whole if value != "blank"],
            "changes": [
                (
                    self.label(model, c.column),
                    self.value(model, c.column, c.before),
                    self.value(model, c.column, c.after),
                )
                for c in event.changes
            ],
        }


class Part(FormFieldsMixin, TabularInline):
    """Rows that belong to a record and are typed in on its page."""

    extra = 0
    show_change_link = True
    hide_title = True


class StackedPart(FormFieldsMixin, StackedInline):
    extra = 0
    show_change_link = True


class ReadOnlyAdmin(ModelAdmin):
    """What the machinery writes: everyone with the view permission looks, nobody types."""

    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    actions: tuple[str, ...] | None = None

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Written once: the page itself is all there is."""
        return HttpResponseRedirect(marks.record_url(self.opts.model_name, object_id))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        extra_context = {"show_history": False, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, extra_context)


class ReadOnlyRows(TabularInline):
    """Rows of the machinery on the page of what they belong to."""

    extra = 0
    can_delete = False
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def choice_filters(*names: str) -> list[tuple[str, type[ChoicesDropdownFilter]]]:
    return [(name, ChoicesDropdownFilter) for name in names]
