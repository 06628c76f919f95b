"""What a finished run leaves to do, read from what it kept: what stood resolved then, and which records to verify first."""

from __future__ import annotations

from tracker.reconciliation.models import Discrepancy, DiscrepancyEvent, ReconciliationRun


def resolved_at_close(run: ReconciliationRun) -> set[int]:
    """Ids of the run's discrepancies that stood resolved when it was closed.

    Read from their history and not from their state, which has moved on since: what is said of a run stays the same.
    """
    states = DiscrepancyEvent.objects.filter(
        discrepancy__in=run.findings.filter(discrepancy__isnull=False).values("discrepancy"),
        what=DiscrepancyEvent.What.STATE,
        at__lte=run.finished_at,
    )
    last = dict(states.order_by("discrepancy_id", "at", "id").values_list("discrepancy_id", "after"))
    return {pk for pk, after in last.items() if after == Discrepancy.State.RESOLVED}
