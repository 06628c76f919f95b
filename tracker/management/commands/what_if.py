"""``manage.py what_if DRAFT.yaml``: what would flip if the law were another, over the whole ledger."""

from __future__ import annotations

import getpass
import tempfile
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker.core.errors import BadInput, TrackerError
from tracker.core.services import recording
from tracker.judgement.comparison import ChipFlip, Comparison
from tracker.judgement.services import AskedSide, compare_sides
from tracker.judgement.telling import NOT_LAW, ToldTable, sentences, tables, write_csv
from tracker.judgement.telling import told as sum_of
from tracker.models import RuleComparison
from tracker.rules.services import rulebook, save_draft

ABOUT = """\
Judge the whole ledger twice and tell what flips: which chips are of another level, and which lines come to another decision,
with chips and H100-equivalents (90 percent intervals) by decision, chip, consignee and destination. The law that stands is not
touched.

A side is a day (2023-11-17: every line judged as if it had left on it), law (each line on the day it left), draft:NAME (a draft
of the ledger) or draft:NAME@DAY. With a FILE or --draft the draft is the second side; then --to may only name the day it is
asked for.

  what_if seeds/drafts/safe-chips-act-s3374.yaml --from 2026-01-01 --to 2026-01-01
  what_if --draft ai-diffusion-enforced --csv flips.csv
  what_if --from 2023-11-16 --to 2023-11-17

A draft that cannot be read is told with its place and the mend, and the exit status is 1. What comes out is no law, no forecast
and no legal advice.
"""
CHIPS_TOLD = 40
"""Chips printed; --csv and --json have all of them."""


class Command(BaseCommand):
    help = ABOUT

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("file", nargs="?", type=Path, help="a draft of rules, YAML (docs/rules.md)")
        which.add_argument("--draft", metavar="NAME", help="a draft of the ledger")
        parser.add_argument(
            "--from", dest="before", default="law", metavar="SIDE", help="first side; law unless given"
        )
        parser.add_argument(
            "--to", dest="after", default="", metavar="SIDE", help="second side, or the day of the draft"
        )
        parser.add_argument("--records", choices=RuleComparison.Records.values, default="real")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it as JSON")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="write the tables as one CSV file")
        parser.add_argument(
            "--save", metavar="NAME", help="keep the draft of FILE in the ledger under this name"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            given = self._given(options["file"], options["save"])
            before, after = AskedSide.parse(options["before"]), _after(options, next(iter(given), ""))
            found = compare_sides(before, after, records=options["records"], given=given)
            self._show(found)
            if options["json"]:
                text = orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode()
                self._write(options["json"], lambda file: file.write(text + "\n"))
            if options["csv"]:
                self._write(options["csv"], lambda file: write_csv(found, file))
        except TrackerError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error

    def _given(self, path: Path | None, name: str | None) -> dict[str, str]:
        """The draft of the file by the name it goes by, kept in the ledger first if that is asked for."""
        if path is None:
            if name:
                raise BadInput("--save keeps the draft of a file; name the file")
            return {}
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}: not readable as text in UTF-8: {error}") from error
        if name:
            with recording(getpass.getuser(), f"what_if --save from {path.name}"):
                row = save_draft(name, text, rulebook(), path.name)
            self.stdout.write(f"kept as draft:{row.slug} (version {row.version})")
        return {path.name: text}

    def _write(self, path: Path, fill: Callable[[IO[str]], object]) -> None:
        """A file that is there whole or not at all."""
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                fill(file)
            except BaseException:
                Path(file.name).unlink()
                raise
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
        self.stdout.write(f"written: {path}")

    def _show(self, found: Comparison) -> None:
        for sentence in sentences(found):
            self.stdout.write(sentence)
        if found.chips:
            self.stdout.write("\nChips of another level")
            self.stdout.write(_chips(found.chips))
        for table in tables(found):
            self.stdout.write(f"\n{table.title}")
            self.stdout.write(_columns(_cells(table)))
            if table.left_off:
                self.stdout.write(f"  and {table.left_off} smaller rows")
        self.stdout.write(f"\n{NOT_LAW}")


def _after(options: dict[str, Any], file: str) -> AskedSide:
    draft, text = file or options["draft"] or "", options["after"]
    if not draft:
        if not text:
            raise BadInput("name a draft (FILE or --draft NAME) or the second side (--to SIDE)")
        return AskedSide.parse(text)
    asked = AskedSide.parse(text) if text else AskedSide()
    if asked.draft or (text and asked.day is None):
        raise BadInput(
            f"--to is {text!r}; beside a draft it names the day the draft is asked for, like 2026-01-01"
        )
    return AskedSide(draft, asked.day)


def _chips(flips: tuple[ChipFlip, ...]) -> str:
    rows = [["chip", "from", "to", "before", "after", "why"]]
    for flip in flips[:CHIPS_TOLD]:
        open_end = "open" if flip.first else ""
        rows.append(
            [flip.chip, str(flip.first or ""), str(flip.last or open_end), flip.before, flip.after, flip.why]
        )
    more = f"\n  and {len(flips) - CHIPS_TOLD} more" if len(flips) > CHIPS_TOLD else ""
    return _columns(rows) + more


def _cells(table: ToldTable) -> list[list[str]]:
    rows = [[table.who or "", "before", "after", "lines", "in no amount", "chips", "H100-equivalents"]]
    for row in (told.flip for told in table.rows):
        rows.append(
            [
                row.name,
                row.before,
                row.after,
                f"{row.lines:,}",
                f"{row.uncounted:,}",
                sum_of(row, row.chips),
                sum_of(row, row.h100e),
            ]
        )
    return rows


def _columns(rows: Iterable[list[str]]) -> str:
    """Rows below one another, each column as wide as its widest cell; columns that are empty throughout are left out."""
    kept = [column for column in zip(*rows, strict=True) if any(column)]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in kept]
    return "\n".join("  " + "  ".join(cells).rstrip() for cells in zip(*padded, strict=True))
