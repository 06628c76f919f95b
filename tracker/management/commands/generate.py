"""``manage.py generate``: a synthetic ledger of any size, with planted discrepancies and the truth about them."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker.core.errors import TrackerError
from tracker.generator import services
from tracker.generator.tables import ERRORS, Settings


def sizes(text: str) -> tuple[float, ...]:
    """Sizes in standard errors, as the terminal gives them."""
    return tuple(float(one) for one in text.split(","))


class Command(BaseCommand):
    help = "Write a synthetic ledger, the same for the same seed and size, or remove all synthetic records."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lines", type=int, help="shipment lines, e.g. 100000")
        parser.add_argument(
            "--seed", type=int, default=1, help="the same seed and size give the same ledger (default 1)"
        )
        parser.add_argument(
            "--truth", type=Path, metavar="FILE", help="write what was planted to this JSON file"
        )
        parser.add_argument(
            "--organizations", type=int, default=0, help="operators (default: by the number of lines)"
        )
        parser.add_argument(
            "--months", type=int, default=30, help="length of the ledger, a multiple of 3 (default 30)"
        )
        parser.add_argument(
            "--leaks", type=int, default=3, help="planted discrepancies of each kind (default 3)"
        )
        parser.add_argument(
            "--sizes", type=sizes, default=(), metavar="1,2,4",
            help="plant differences between reports by turns of these sizes, in standard errors (default: gross ones)",
        )  # fmt: skip
        parser.add_argument(
            "--errors", choices=ERRORS, default="cut",
            help="cut honest errors at about two standard deviations, or leave them in full as the method reads them",
        )  # fmt: skip
        parser.add_argument(
            "--remove", action="store_true", help="delete all synthetic records; the history keeps them"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._remove() if options["remove"] else self._generate(options)
        except TrackerError as error:
            raise CommandError(str(error)) from error

    def _remove(self) -> None:
        gone = services.remove("command line")
        told = ", ".join(f"{count:,} {name}" for name, count in gone.items())
        self.stdout.write(f"Removed: {told or 'there were no synthetic records'}.")

    def _generate(self, options: dict[str, Any]) -> None:
        if options["lines"] is None:
            raise CommandError("Say how large the ledger shall be: --lines 100000 (or --remove).")
        target: Path | None = options["truth"]
        if target and not target.parent.is_dir():
            raise CommandError(f"There is no folder {target.parent} for the truth file.")
        wanted = ("lines", "seed", "organizations", "months", "leaks", "sizes", "errors")
        began = monotonic()
        made = services.generate(Settings(**{name: options[name] for name in wanted}), "command line")
        seconds = monotonic() - began
        if target:
            target.write_text(made.truth)
        told = ", ".join(f"{count:,} {name}" for name, count in made.rows.items())
        self.stdout.write(f"{made.key}: {told}.")
        self.stdout.write(f"{sum(made.rows.values()) / seconds:,.0f} rows a second, {seconds:.1f} s.")
