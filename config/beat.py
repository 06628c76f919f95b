"""The clock of the schedules: django-celery-beat's, and a sign of life that a health check can read."""

from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler

from config.probe import sign_of_life


class Scheduler(DatabaseScheduler):
    """Reads its schedules from the database."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Queue what is due; returns the seconds until the next turn."""
        seconds: float = super().tick(*args, **kwargs)
        sign_of_life().touch()
        return seconds
