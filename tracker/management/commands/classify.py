"""``manage.py classify FILE.csv --out FILE.csv``: hold a table of chips against the rules, row by row."""

from __future__ import annotations

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker.core.errors import TrackerError
from tracker.rules.services import classify_table, law

ABOUT = """\
Classify every row of a table of chips under the rules of its day, and add the columns level, eccn, licence_to_CN, reason.

level          a, b, c (3A090); 2022: the undivided 3A090 of the first rule; letter: only a letter to that vendor catches
               the chip; none; undetermined: the reason names what is not known
eccn           number of the item as it is shipped; both numbers where item_form is blank; blank for none and undetermined
licence_to_CN  for a shipment of the item from the US to a buyer with headquarters in China, on that date: LICENCE, NAC, ACA,
               NO_LICENCE, UNKNOWN (a fact is missing), HUMAN_REVIEW (only a person can say)
reason         figures, comparisons with margin, rule and citation, what is missing

Columns read (any order, any case; others are carried through): chip, tpp, die_area_mm2, datacenter, memory_bandwidth_gbs,
io_bandwidth_gbs, item_form, vendor, date. Instead of tpp, or beside it: dense rates of the whole package (not of one die) in
int4_tops, int8_tops, fp4_tflops, fp8_tflops, fp16_tflops, bf16_tflops, tf32_tflops, fp32_tflops, fp64_tflops; or mac_tops with
bit_length (TPP = 2 x MacTOPS x bit length). A given tpp counts first; rates that come to another one are told in the reason.

Cells: blank, n/a, unknown, - and ? mean not known. Numbers may carry units (814 mm2, 3.35 TB/s), thousands marks (4,800),
ranges (4700-4900, 4700..4900) and limits (>=4800, <4800); ~4800 is refused, for it does not say how far off it may be.
die_area_mm2 is the applicable die area; of a memory stack, the area of its package or stack. datacenter: yes, no, true, false,
1, 0, y, n, x. item_form: ic, card, board, system, hbm and their usual words, or the number of another carrier (5A992). vendor:
slug or name; where it is blank no letter is read and the chip counts as designed in the US. date: 2023-11-17, 2023/11/17,
17 Nov 2023, 2023-11.

The file is UTF-8 with commas, semicolons or tabs. Rows that cannot be read are listed with the mend, nothing is written and the
exit status is 1; with --keep-going they get a blank level and the error as reason, and the exit status is 1 all the same.
Nothing of this is legal advice.
"""


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day; write one like 2023-11-17") from None


class Command(BaseCommand):
    help = ABOUT
    requires_system_checks = ()
    requires_migrations_checks = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="table of chips, CSV")
        parser.add_argument(
            "--out", type=Path, required=True, help="where the table goes, with the columns added"
        )
        parser.add_argument("--date", type=day, help="day for rows without a date; today (UTC) unless given")
        parser.add_argument(
            "--rules", type=Path, help="directory of rule files; else the database, else seeds/rules"
        )
        parser.add_argument(
            "--overwrite-columns", action="store_true", help="replace columns called as the added ones"
        )
        parser.add_argument("--keep-going", action="store_true", help="answer the rows that can be read")

    def handle(self, *args: Any, file: Path, out: Path, **options: Any) -> None:
        try:
            rules = law(options["rules"], Path(settings.BASE_DIR) / "seeds")
            self.stderr.write(rules.told)
            tally = classify_table(
                file,
                out,
                rules,
                options["date"] or datetime.now(UTC).date(),
                overwrite=options["overwrite_columns"],
                keep_going=options["keep_going"],
                tell=self.stderr.write,
            )
        except TrackerError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{tally}; written to {out}")
        if tally.unreadable:
            raise CommandError(f"{tally.unreadable} rows could not be read; their reason says why")
