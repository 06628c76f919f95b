"""Publishing a run: one self-contained page and one CSV file, made from the run alone and kept byte for byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from tracker.core.errors import BadInput
from tracker.reconciliation.models import ReconciliationRun
from tracker.reports import page
from tracker.reports.models import Report
from tracker.reports.querysets import Reading
from tracker.reports.tables import ReportData, RunFacts, cited_sources, csv_text, ordered
from tracker.runs.querysets import priorities

LOOK_NEXT = 20
"""How many records and facts to verify a report names."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The two files of a report."""

    title: str
    html: str
    csv: str


def gather(run: ReconciliationRun) -> ReportData:
    """Everything a report of the run says, read as known at the run's instant."""
    reading = Reading(run.as_known_at)
    lines, plans = ordered(reading.lines(run)), reading.plans()
    return ReportData(
        run=RunFacts(
            key=run.key,
            as_known_at=run.as_known_at,
            as_of=run.as_of,
            parameters=run.parameters,
            rule_set_sha256=run.rule_set_sha256,
            code_version=run.code_version,
            findings_sha256=run.findings_sha256,
        ),
        counts=reading.counts(),
        lines=lines,
        plans=plans,
        months=reading.months(),
        undated_lines=reading.undated_lines(),
        rules=reading.rules(),
        destinations=reading.destinations(),
        sources=cited_sources(lines, plans),
        synthetic_records=reading.synthetic_records(),
        priorities=priorities(run, LOOK_NEXT),
        plugs=reading.plug_lines(run),
    )


def render(run: ReconciliationRun) -> Rendered:
    """The files of a run. No clock: the same run gives the same bytes, whatever was recorded since.

    Raises:
        BadInput: the run has not finished.
    """
    if run.status != ReconciliationRun.Status.FINISHED:
        raise BadInput(
            f"Run {run.key} is {run.get_status_display()}; a report is made of a finished run only."
        )
    data = gather(run)
    html = render_to_string("tracker/report.html", page.context(data))
    return Rendered(page.title(data), html, csv_text(data.run, data.lines))


def build_report(run: ReconciliationRun) -> Report:
    """The report of a run, made and kept if it is not there yet. What was published once is not rewritten.

    Raises:
        BadInput: the run has not finished.
    """
    if published := Report.objects.filter(run=run).first():
        return published
    with transaction.atomic():
        made = render(run)
        values = {
            "title": made.title,
            "built_at": timezone.now(),
            "html": made.html,
            "csv": made.csv,
            "html_sha256": _sha256(made.html),
            "csv_sha256": _sha256(made.csv),
        }
        return Report.objects.get_or_create(run=run, defaults=values)[0]


UNPUBLISHED_DAYS = 2
"""Older runs without a report were finished where no report is built, or theirs was not wanted."""


def unpublished_runs(finished_before: datetime) -> list[int]:
    """Runs of the last days that were finished before an instant and have no report: whoever was to build it died."""
    finished = ReconciliationRun.objects.filter(
        status=ReconciliationRun.Status.FINISHED,
        finished_at__lt=finished_before,
        finished_at__gt=finished_before - timedelta(days=UNPUBLISHED_DAYS),
    )
    return list(finished.filter(report__isnull=True).order_by("id").values_list("id", flat=True))


def latest_run(key: str = "") -> ReconciliationRun:
    """The run of that key; without a key the finished run that looks at the latest state of the ledger.

    Raises:
        BadInput: there is no such run.
    """
    runs = ReconciliationRun.objects.order_by("-as_known_at", "-id")
    found = runs.filter(key=key) if key else runs.filter(status=ReconciliationRun.Status.FINISHED)
    if run := found.first():
        return run
    raise BadInput(
        f"There is no run '{key}'."
        if key
        else "No run has finished yet: start one with the command reconcile."
    )


def ledger_counts() -> dict[str, int]:
    """How many records of each kind the ledger holds now."""
    return Reading(None).counts()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
