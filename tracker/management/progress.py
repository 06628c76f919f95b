"""What a terminal shows of a run: a progress bar while it goes on, a table of its worst discrepancies when it is done."""

from __future__ import annotations

import shutil
import textwrap
import time

from django.core.management.base import OutputWrapper

from tracker.core.errors import CannotReconcile
from tracker.reconciliation.models import Finding, ReconciliationRun
from tracker.runs.services import progress

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 15
"""How long a run may stand in the queue before the terminal says that perhaps no worker is running."""


def follow(run: ReconciliationRun, out: OutputWrapper, timeout: float = 3600) -> ReconciliationRun:
    """Show the progress of ``run`` until it is over; returns it as it ended.

    Raises:
        CannotReconcile: it failed, was cancelled, or did not end within ``timeout`` seconds.
    """
    until = time.monotonic() + timeout
    hint_at = time.monotonic() + PATIENCE_SECONDS
    live = out.isatty()
    shown = stage = ""
    while True:
        run.refresh_from_db()
        at = progress(run)
        total, done = at.shares, at.shares_done
        line = _bar(done, total, run.get_stage_display())
        # A terminal shows every step; a log file the beginning, each stage and the end.
        if line != shown and (live or done in (0, total) or run.stage != stage):
            out.write(("\r" if live else "") + line.ljust(80 if live else 0) + ("" if live else "\n"))
            out.flush()
            shown, stage = line, run.stage
        if run.status not in (ReconciliationRun.Status.QUEUED, ReconciliationRun.Status.RUNNING):
            break
        if run.status == ReconciliationRun.Status.QUEUED and time.monotonic() > hint_at:
            out.write(
                "  No worker has taken this up yet. Start one (celery -A config.celery worker), or stop here and run"
                f" it in this process: manage.py reconcile --resume {run.key} --here\n"
            )
            hint_at = until
        if time.monotonic() > until:
            raise CannotReconcile(
                f"Run {run.key} has not ended after {timeout:.0f} s: {done} of {total} shares are done. Is a worker running? "
                "Start one with: celery -A config.celery worker"
            )
        time.sleep(POLL_SECONDS)
    if live:
        out.write("\n")
    if run.status != ReconciliationRun.Status.FINISHED:
        raise CannotReconcile(f"Run {run.key} {run.status}. {run.error}".strip())
    return run


def _bar(done: int, total: int, stage: str, width: int = 30) -> str:
    filled = width * done // total if total else width
    return f"  [{'#' * filled}{'.' * (width - filled)}] {done}/{total} shares, {stage}"


def summary(run: ReconciliationRun) -> str:
    """One paragraph of counts."""
    counts = run.counts
    tests = ", ".join(f"{number} {family}" for family, number in counts["tests"].items()) or "none"
    severities = (
        ", ".join(f"{number} {name}" for name, number in counts["by_severity"].items() if number) or "none"
    )
    return (
        f"Run {run.key}, as known at {run.as_known_at:%Y-%m-%d %H:%M:%S} UTC (signature {run.signature}).\n"
        f"{counts['claims']} claims and {counts['shipments']} shipment lines read; statistical tests: {tests}.\n"
        f"{counts['discrepancies']} discrepancies: {severities}."
    )


def worst(run: ReconciliationRun, limit: int = 10) -> str:
    """A table of the most severe discrepancies, worst first, each with a one-line reason."""
    rows = Finding.objects.filter(run=run, is_discrepancy=True).order_by("severity_rank", "-sq", "key")[
        :limit
    ]
    width = max(80, min(shutil.get_terminal_size((110, 24)).columns, 140))
    lines = [f"{'#':>2}  {'SEVERITY':<9} {'CHECK':<9} {'STRENGTH':<12} {'GRADE':<5} {'GAP':>22}", "-" * width]
    for number, row in enumerate(rows, 1):
        gap = "" if row.gap is None else f"{row.gap:+,.0f} {row.unit}"
        lines.append(
            f"{number:>2}  {row.severity:<9} {row.check_code:<9} {row.strength or '-':<12} "
            f"{row.weakest_grade or '-':<5} {gap:>22}"
        )
        lines += textwrap.wrap(row.headline, width - 6, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
