"""Accounts and groups, the schedule, and the record of sign-ins: tables of other packages, in the dress of this site.

They stay on Django's own log of admin actions; only ledger records have versions.
"""

from __future__ import annotations

import json
from typing import Any

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django_celery_beat.admin import (
    ClockedScheduleAdmin,
    CrontabScheduleAdmin,
    IntervalScheduleAdmin,
    PeriodicTaskAdmin,
    PeriodicTaskForm,
    SolarScheduleAdmin,
    TaskSelectWidget,
)
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

for theirs in (
    User, Group, AccessAttempt, AccessFailureLog, AccessLog, PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule,
    ClockedSchedule,
):  # fmt: skip
    if admin.site.is_registered(theirs):
        admin.site.unregister(theirs)


@admin.register(User)
class LedgerUserAdmin(UserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class LedgerGroupAdmin(GroupAdmin, ModelAdmin):
    pass


@admin.register(AccessAttempt)
class LedgerAccessAttemptAdmin(AccessAttemptAdmin, ModelAdmin):
    pass


@admin.register(AccessFailureLog)
class LedgerAccessFailureLogAdmin(AccessFailureLogAdmin, ModelAdmin):
    pass


@admin.register(AccessLog)
class LedgerAccessLogAdmin(AccessLogAdmin, ModelAdmin):
    pass


class _TaskSelect(UnfoldAdminSelectWidget, TaskSelectWidget):
    pass


class LedgerTaskForm(PeriodicTaskForm):
    """Refuses what no worker could carry out: at its hour nobody would be there to be told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = _TaskSelect()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean()
        known = sorted(name for name, _ in TaskSelectWidget().choices if name)
        if data.get("task") not in known:
            raise forms.ValidationError(
                f"There is no task '{data.get('task')}'; choose one of: {', '.join(known)}."
            )
        return data

    def clean_args(self) -> str:
        return self._json("args", list, 'a list in square brackets, such as ["analyst"]')

    def clean_kwargs(self) -> str:
        return self._json("kwargs", dict, 'names and values in braces, such as {"requested_by": "analyst"}')

    def _json(self, name: str, kind: type, words: str) -> str:
        text: str = self.cleaned_data[name]
        try:
            right = isinstance(json.loads(text), kind)
        except ValueError:
            right = False
        if not right:
            raise forms.ValidationError(f"{text!r} cannot be read: write {words}.")
        return text


CRONTAB_WORDS = {
    "minute": "a minute from 0 to 59",
    "hour": "an hour from 0 to 23 (UTC unless the time zone says otherwise)",
    "day_of_month": "a day from 1 to 31",
    "month_of_year": "a month from 1 to 12",
    "day_of_week": "a day from 0 (Sunday) to 6, or sun to sat",
}


class LedgerCrontabForm(forms.ModelForm):
    """Says of a wrong part of a crontab what may stand there."""

    def _update_errors(self, errors: ValidationError) -> None:
        if hasattr(errors, "error_dict"):
            for name, words in CRONTAB_WORDS.items():
                if name in errors.error_dict:
                    value = self.data.get(name, "")
                    errors.error_dict[name] = [
                        ValidationError(
                            f"'{value}' cannot be read: write {words}; several with commas (0,30), a range (1-5), steps (*/15), "
                            "or * for each."
                        )
                    ]
        super()._update_errors(errors)  # type: ignore[misc]  # of Django, though the stubs leave it out


@admin.register(PeriodicTask)
class LedgerPeriodicTaskAdmin(PeriodicTaskAdmin, ModelAdmin):
    form = LedgerTaskForm
    list_display = ("name", "enabled", "scheduler", "last_run_at", "task")


@admin.register(IntervalSchedule)
class LedgerIntervalScheduleAdmin(IntervalScheduleAdmin, ModelAdmin):
    pass


@admin.register(CrontabSchedule)
class LedgerCrontabScheduleAdmin(CrontabScheduleAdmin, ModelAdmin):
    form = LedgerCrontabForm


@admin.register(SolarSchedule)
class LedgerSolarScheduleAdmin(SolarScheduleAdmin, ModelAdmin):
    pass


@admin.register(ClockedSchedule)
class LedgerClockedScheduleAdmin(ClockedScheduleAdmin, ModelAdmin):
    pass
