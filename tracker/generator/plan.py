"""A synthetic ledger from a seed: tables in the order in which they can be written, and the truth about what was planted.

    ledger = Ledger(Settings(lines=2_000, seed=7))
    for table in ledger.tables():      # bounded memory: one chunk of lines at a time
        ...
    ledger.truth()                     # complete once the tables were taken

Nothing in it describes the world: names begin with "Synthetic", slugs with "synthetic-", and every source is titled
"SYNTHETIC ledger, seed S". The same settings give the same rows and, byte for byte, the same truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tracker.generator import closing as ends
from tracker.generator import lines as moves
from tracker.generator import whole
from tracker.generator import world as cast
from tracker.generator.closing import Closing
from tracker.generator.lines import Totals
from tracker.generator.tables import FIRST_DAY, Settings, Table


class Ledger:
    """One synthetic ledger, to be taken table by table."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.world = cast.build(settings)
        self.totals = Totals.empty(self.world)
        self.closing = Closing(self.world, self.totals)
        self._complete = False

    def tables(self) -> Iterator[Table]:
        """Every table once, shipments in several; references point to rows given before or in the same table.

        Raises:
            BadInput: the ledger is too small for the discrepancies it should hide.
        """
        yield from cast.tables(self.world)
        yield ends.licences(self.world)
        yield whole.closed_books(self.world)
        planted = ends.planted_count(self.world)
        counted = self.settings.lines - whole.line_count(self.settings) - whole.hub_count(self.settings)
        for chunk in moves.chunks(self.world, counted - planted):
            self.totals.add(self.world, chunk)
            yield moves.table(self.world, chunk)
        if planted:
            chunk = ends.planted(self.closing, counted - planted)
            self.totals.add(self.world, chunk)
            yield moves.table(self.world, chunk)
        chunk = whole.lines(self.closing, counted)
        self.totals.add(self.world, chunk)
        yield moves.table(self.world, chunk)
        if whole.hub_count(self.settings):
            chunk = whole.hub_lines(self.closing, counted + whole.line_count(self.settings))
            self.totals.add(self.world, chunk)
            yield moves.table(self.world, chunk)
        yield ends.licence_items(self.closing)
        ends.claims(self.closing)
        whole.count(self.closing)
        whole.trade(self.closing)
        whole.hubs(self.closing)
        yield ends.claim_table(self.closing)
        yield ends.powers(self.closing)
        self._complete = True

    def truth(self) -> dict[str, object]:
        """What was planted, for judging a reconciliation; only after all tables were taken."""
        if not self._complete:
            raise RuntimeError("the truth is known only when every table has been taken")
        s = self.settings
        return {
            "about": s.title,
            "seed": s.seed,
            "lines": s.lines,
            "organizations": s.organizations,
            "months": s.months,
            "first_day": FIRST_DAY.isoformat(),
            "last_day": ends.day_text(self.world, s.days - 1),
            "chips_moved": self.totals.chips,
            "leaks": [leak.as_dict() for leak in self.closing.leaks],
        }


def truth_text(truth: dict[str, object]) -> str:
    """The truth as the file's text: the same truth is the same bytes."""
    return json.dumps(truth, indent=1, sort_keys=True) + "\n"
