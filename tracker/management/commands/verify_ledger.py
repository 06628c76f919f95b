"""``manage.py verify_ledger``: prove the ledger, and name every row that does not hold."""

from __future__ import annotations

import textwrap
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker.core.errors import TrackerError
from tracker.management.instants import instant
from tracker.proof import services
from tracker.proof.breach import Outcome


class Command(BaseCommand):
    help = (
        "Work every stored number out again and compare: versions, sources, evidence, digests, leases, balances. "
        "Ends with status 1 where a row does not hold, and names it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            metavar="INSTANT",
            help="look only at what was written since, e.g. 2026-03-01T00:00:00Z",
        )
        parser.add_argument(
            "--only", metavar="CHECK", action="append", default=[], help="this check only; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            proof = services.prove(
                "command line", since=instant(options["since"]), only=options["only"], tell=self._tell
            )
        except TrackerError as error:
            raise CommandError(str(error)) from error
        for breach in proof.breaches:
            words = f"{breach['table']} {breach['id']}: stored is {breach['stored']}; it should be {breach['expected']}."
            self.stdout.write("")
            self.stdout.write(textwrap.fill(words, 120, break_long_words=False, break_on_hyphens=False))
            self.stdout.write(textwrap.indent(textwrap.fill(breach["mend"], 116), "  > "))
        if proof.breached:
            left = proof.breached - len(proof.breaches)
            more = f" {left:,} more are not named." if left else ""
            raise CommandError(f"{proof.breached:,} of {proof.looked_at:,} rows do not hold.{more}")
        self.stdout.write(f"All of {proof.looked_at:,} rows hold.")

    def _tell(self, outcome: Outcome) -> None:
        verdict = "holds" if not outcome.breached else f"{outcome.breached:,} DO NOT HOLD"
        self.stdout.write(
            f"{outcome.title + ':':<66} {verdict}, {outcome.looked_at:,} looked at in {outcome.seconds:.1f} s"
        )
        self.stdout.flush()
