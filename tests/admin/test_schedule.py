"""The schedule at the desk: its first entries, who edits them, and what is refused."""

from __future__ import annotations

import pytest
from celery import current_app
from django.conf import settings
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from config.beat import Scheduler
from tests.admin.forms import filled_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def schedule():
    start_beat()
    return PeriodicTask.objects.exclude(name="celery.backend_cleanup")


def start_beat() -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Beat lets go of old connections first; this one is the test's.
        patch.setattr("django_celery_beat.schedulers.close_old_connections", lambda: None)
        Scheduler(app=current_app, lazy=True).setup_schedule()


def page(model: str, what: str, *args) -> str:
    return reverse(f"admin:django_celery_beat_{model}_{what}", args=args)


def test_everything_that_recurs_is_in_the_schedule_under_a_clear_name(schedule, operator):
    tasks = set(schedule.values_list("task", flat=True))
    assert {
        "tracker.reconcile_all", "tracker.verify_ledger", "tracker.screen_changes", "tracker.publish_reports",
        "tracker.reap_runs", "tracker.reconcile_changes",
    } <= tasks  # fmt: skip
    assert tasks <= set(current_app.tasks), "a task that nobody can carry out"
    assert all(row.description and row.enabled for row in schedule)
    text = operator.get(page("periodictask", "changelist")).content.decode()
    assert all(row.name in text for row in schedule)


def test_what_people_changed_stays_when_beat_starts_again(schedule):
    row = schedule.get(task="tracker.reconcile_all")
    row.name, row.enabled = "Our nightly run", False
    row.crontab = CrontabSchedule.objects.create(minute="5", hour="5")
    row.save()
    before = list(PeriodicTask.objects.order_by("id").values("id", "name", "enabled", "crontab"))
    start_beat()
    assert list(PeriodicTask.objects.order_by("id").values("id", "name", "enabled", "crontab")) == before
    assert (
        len(before)
        == len(settings.CELERY_BEAT_SCHEDULE)
        + PeriodicTask.objects.filter(name="celery.backend_cleanup").count()
    )


def test_an_operator_moves_a_run_to_another_hour(schedule, operator):
    row = schedule.get(task="tracker.reconcile_all")
    answer = operator.post(
        page("crontabschedule", "add"),
        {"minute": "40", "hour": "3", "day_of_month": "*", "month_of_year": "*", "day_of_week": "mon-fri", "timezone": "UTC",
         "periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"},
    )  # fmt: skip
    assert answer.status_code == 302, answer.context["errors"]
    later = CrontabSchedule.objects.get(minute="40")
    address = page("periodictask", "change", row.pk)
    answer = operator.post(address, filled_in(operator, address) | {"crontab": later.pk})
    assert answer.status_code == 302, answer.context["errors"]
    row.refresh_from_db()
    assert (row.crontab, row.task) == (later, "tracker.reconcile_all")


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("minute", "99", "a minute from 0 to 59"),
        ("hour", "noon", "an hour from 0 to 23"),
        ("day_of_week", "9", "a day from 0 (Sunday) to 6"),
        ("minute", "*/0", "steps (*/15)"),
    ],
)
def test_a_wrong_crontab_is_refused_with_a_sentence(operator, part, value, words):
    given = {
        "minute": "0",
        "hour": "3",
        "day_of_month": "*",
        "month_of_year": "*",
        "day_of_week": "*",
        "timezone": "UTC",
    }
    forms = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    answer = operator.post(page("crontabschedule", "add"), given | forms | {part: value})
    (sentence,) = answer.context["adminform"].form.errors[part]
    assert sentence.startswith(f"'{value}' cannot be read: write ")
    assert words in sentence
    assert not CrontabSchedule.objects.exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"task": "tracker.nothing", "regtask": ""}, "There is no task 'tracker.nothing'; choose one of: "),
        ({"kwargs": "[1]"}, "names and values in braces"),
        ({"args": "{"}, "a list in square brackets"),
        ({"crontab": "", "interval": ""}, "One of clocked, interval, crontab, or solar must be set."),
    ],
)
def test_an_entry_that_no_worker_could_carry_out_is_refused_with_a_sentence(
    schedule, operator, changed, words
):
    row = schedule.get(task="tracker.reconcile_all")
    address = page("periodictask", "change", row.pk)
    answer = operator.post(address, filled_in(operator, address) | changed)
    assert answer.status_code == 200
    assert any(words in sentence for errors in answer.context["errors"] for sentence in errors)


@pytest.mark.parametrize("role", ["reader", "analyst", "reviewer"])
def test_others_do_not_edit_the_schedule(schedule, request, role):
    client = request.getfixturevalue(role)
    assert client.get(page("periodictask", "change", schedule.first().pk)).status_code == 403
