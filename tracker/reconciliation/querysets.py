"""Reading the ledger for a run: one query for each kind of record, as known at the run's instant, cut to one partition.

What comes out are the plain values of ``books``. Partitions are cut so that whatever a check holds against one another lies in
one partition: claims by connected component of (area, declared conflict, echo); movements by scope or by consignee; sites by
their id.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from tracker.core.errors import CannotReconcile
from tracker.reconciliation.books import Books, Parameters
from tracker.reconciliation.bundles.querysets import Bundles
from tracker.reconciliation.licence_lines.querysets import LicenceLines
from tracker.reconciliation.models import GOING, ReconciliationRun

KINDS = ("claim_subject", "hub", "licence", "limit", "network", "route", "scope", "site", "verdict")
"""Kinds of shares that are read as books; the lines are read as columns."""
LINES = "lines"
"""Kind of the shares that read lines as columns."""


@dataclass
class Ledger(Bundles, LicenceLines):
    """The ledger as known at one instant, read piece by piece and only once."""

    def pieces(self, kind: str, index: int, count: int) -> Generator[Books]:
        """The books of share ``index`` (from 0) of ``count`` of one kind of partition, one piece after the other: what a check
        holds against one another lies in one of them."""
        in_pieces = getattr(self, f"_pieces_of_{kind}", None)
        if in_pieces is None:
            yield getattr(self, f"_by_{kind}")(index, count)
        else:
            yield from in_pieces(index, count)


def ledger_of(run: ReconciliationRun) -> Ledger:
    """The ledger as a run reads it. Since the full run that it goes on from, in one step or several, no chip, rule or stake
    changed (``services.base_of``)."""
    since = None
    if run.base_id:
        since = ReconciliationRun.objects.values_list("as_known_at", flat=True).get(id=run.layers[0])
    return Ledger(run.as_known_at, run.as_of, Parameters(**run.parameters), since)


class RunOver(CannotReconcile):
    """The run of a share was cancelled or given up while the share was judged."""


def stop_if_over(run_id: int) -> None:
    """Between the steps of a share: end it, without effect, if its run goes on no longer.

    Raises:
        RunOver: it was cancelled or given up.
    """
    if not ReconciliationRun.objects.filter(id=run_id, status__in=GOING).exists():
        raise RunOver(f"run {run_id} goes on no longer")
