"""``manage.py build_report [RUN] [--out DIR]``: publish a run and, if asked, write its two files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tracker.core.errors import TrackerError
from tracker.reports.services import build_report, latest_run


class Command(BaseCommand):
    help = "Make the report of a run (the latest finished one if none is named): an HTML page and a CSV file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", nargs="?", default="", help="key of the run, e.g. 2026-11-23-1")
        parser.add_argument(
            "--out", type=Path, metavar="DIR", help="folder to write report-RUN.html and report-RUN.csv to"
        )

    def handle(self, *args: Any, run: str, out: Path | None, **options: Any) -> None:
        try:
            report = build_report(latest_run(run))
        except TrackerError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{report.title}\nhtml sha256 {report.html_sha256}\ncsv  sha256 {report.csv_sha256}"
        )
        if out is None:
            return
        try:
            out.mkdir(parents=True, exist_ok=True)
            for suffix, text in (("html", report.html), ("csv", report.csv)):
                path = out / f"report-{report.run.key}.{suffix}"
                path.write_bytes(text.encode())
                self.stdout.write(str(path))
        except OSError as error:
            raise CommandError(f"The files could not be written to {out}: {error.strerror}.") from error
