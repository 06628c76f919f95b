"""Accounts and groups, the schedule, and the record of sign-ins: tables of other packages, in the dress of this site.

They stay on Django's own log of admin actions; only ledger records have versions.
"""

from __future__ import annotations

from typing import Any

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
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
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = _TaskSelect()


@admin.register(PeriodicTask)
class LedgerPeriodicTaskAdmin(PeriodicTaskAdmin, ModelAdmin):
    form = LedgerTaskForm


@admin.register(IntervalSchedule)
class LedgerIntervalScheduleAdmin(IntervalScheduleAdmin, ModelAdmin):
    pass


@admin.register(CrontabSchedule)
class LedgerCrontabScheduleAdmin(CrontabScheduleAdmin, ModelAdmin):
    pass


@admin.register(SolarSchedule)
class LedgerSolarScheduleAdmin(SolarScheduleAdmin, ModelAdmin):
    pass


@admin.register(ClockedSchedule)
class LedgerClockedScheduleAdmin(ClockedScheduleAdmin, ModelAdmin):
    pass
