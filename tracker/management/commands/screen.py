"""Screen organizations against the lists: ``manage.py screen [--all]``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tracker.core.errors import TrackerError
from tracker.screening.services import screen


class Command(BaseCommand):
    help = "Screen what changed: organizations against all listed parties, and listed parties against all organizations."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="Screen everything again; decisions are kept.")
        parser.add_argument("--actor", default="screen", help="Who screens; kept with every version written.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            counts = screen(options["actor"], everything=options["all"], said=self.stdout.write)
        except TrackerError as error:
            raise CommandError(str(error)) from error
        for name, count in counts.as_counts().items():
            self.stdout.write(f"{name:16} {count:>9,}")
