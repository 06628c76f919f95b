"""Load the seed files into the ledger: ``manage.py load_seeds [FOLDER] [--actor NAME] [--reason WHY]``."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tracker.core.errors import TrackerError
from tracker.imports.models import ImportRun
from tracker.imports.services import load_seeds


class Command(BaseCommand):
    help = "Load the seed files (*.csv and rules/): all of them, or nothing and a list of what is wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", nargs="?", type=Path, default=Path(settings.BASE_DIR) / "seeds")
        parser.add_argument(
            "--actor", default="load_seeds", help="Who loads; kept with every version written."
        )
        parser.add_argument("--reason", default="", help="Why; kept with every version written.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = load_seeds(options["folder"], options["actor"], options["reason"])
        except TrackerError as error:
            raise CommandError(str(error)) from error
        if run.status == ImportRun.Status.REFUSED:
            for problem in run.problems.order_by("id"):
                self.stderr.write(str(problem))
            raise CommandError(f"{run.key} refused: {run.problems.count()} problems, nothing written.")
        self._table(run)

    def _table(self, run: ImportRun) -> None:
        names = ("created", "changed", "unchanged", "not in files")
        self.stdout.write(f"{'':22}" + "".join(f"{name:>14}" for name in names))
        for table, counts in run.counts.items():
            self.stdout.write(f"{table:22}" + "".join(f"{counts[name]:>14}" for name in names))
        self.stdout.write(f"{run.key}: {run.get_status_display()}")
