"""The clock of the schedules: django-celery-beat's, and a sign of life that a health check can read."""

from typing import Any

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from config.probe import sign_of_life


class Scheduler(DatabaseScheduler):
    """Reads its schedules from the database. Those of the settings are first values: a task that is scheduled in any way, or is
    switched off, stays as people have it, whatever its entry is called by now."""

    def setup_schedule(self) -> None:
        self.install_default_entries(self.schedule)
        known = set(PeriodicTask.objects.values_list("task", flat=True))
        first = self.app.conf.beat_schedule.items()
        self.update_from_dict({name: entry for name, entry in first if entry["task"] not in known})

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Queue what is due; returns the seconds until the next turn."""
        seconds: float = super().tick(*args, **kwargs)
        sign_of_life().touch()
        return seconds
