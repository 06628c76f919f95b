"""Load a list of restricted parties: ``manage.py load_list FILE --list NAME [--format FORMAT] [--as-of DAY]``."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tracker.core.errors import BadInput, TrackerError
from tracker.screening.lists import FORMATS, LARGEST_FILE
from tracker.screening.services import load_list


class Command(BaseCommand):
    help = "Load a file of a screening list: all of it, or nothing and a list of what is wrong. See docs/screening.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="The file as its publisher gives it.")
        parser.add_argument(
            "--list", required=True, help="Name of the list, e.g. 'Consolidated Screening List'."
        )
        parser.add_argument(
            "--format", choices=FORMATS, default="auto", help="Told from the content unless given."
        )
        parser.add_argument(
            "--as-of", type=date.fromisoformat, metavar="DAY", help="Day of the file; else today."
        )
        parser.add_argument(
            "--actor", default="load_list", help="Who loads; kept with every version written."
        )
        parser.add_argument("--reason", default="", help="Why; kept with every version written.")
        parser.add_argument(
            "--many-removals",
            action="store_true",
            help="Let the file end more than a fifth of the standing parties.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = load_list(
                _content(options["file"]),
                options["list"],
                options["actor"],
                format=options["format"],
                as_of=options["as_of"],
                file_name=options["file"].name,
                reason=options["reason"],
                many_removals=options["many_removals"],
            )
        except TrackerError as error:
            raise CommandError(f"{error}\nNothing was loaded.") from error
        if loaded.version is None:
            self.stdout.write(f"{loaded.list}: this file was loaded last; nothing to change.")
            return
        self.stdout.write(f"{loaded.list} as of {loaded.version.as_of} ({loaded.version.format})")
        for name, count in loaded.counts.items():
            self.stdout.write(f"{name:32} {count:>9,}")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a file that can be read.") from error
