"""``manage.py reconcile``: one run, through the workers or in this process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker import tasks
from tracker.core.errors import TrackerError
from tracker.management.instants import instant
from tracker.management.progress import follow, summary, worst
from tracker.reconciliation import services
from tracker.reconciliation.models import ReconciliationRun
from tracker.runs import services as runs


class Command(BaseCommand):
    help = "Reconcile the reported quantities with one another and with the export rules, and show the worst discrepancies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--known-at", metavar="INSTANT", help="read the ledger as known at, e.g. 2026-03-01T00:00:00Z"
        )
        parser.add_argument(
            "--repeat", metavar="RUN", help="make an earlier run again: same instant, day and parameters"
        )
        parser.add_argument("--resume", metavar="RUN", help="queue again what is left of a run")
        parser.add_argument("--cancel", metavar="RUN", help="stop a run")
        parser.add_argument(
            "--synthetic", action="store_true", help="read the generator's records instead of the real ones"
        )
        parser.add_argument(
            "--changes",
            action="store_true",
            help="go on from the latest run, reading only what changed since",
        )
        parser.add_argument("--here", action="store_true", help="work in this process instead of the workers")
        parser.add_argument("--no-wait", action="store_true", help="queue and return")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._handle(options)
        except TrackerError as error:
            raise CommandError(str(error)) from error

    def _handle(self, options: dict[str, Any]) -> None:
        if options["cancel"]:
            run = self._run(options["cancel"])
            stopped = services.cancel_run(run.id)
            self.stdout.write(f"Run {run.key} {'is stopped' if stopped else 'was over already'}.")
            return
        if options["resume"]:
            run = self._run(options["resume"])
            runs.resume(run)
        elif options["repeat"]:
            run = services.repeat_run(self._run(options["repeat"]), "command line")
        else:
            run = services.start_run(
                "command line",
                as_known_at=instant(options["known_at"]),
                mode="incremental" if options["changes"] else "full",
                records="synthetic" if options["synthetic"] else "real",
            )
        if options["here"]:
            with runs.at_work(run.id):
                services.finish_here(run.id)
        else:
            tasks.queue_run(run)
        if options["no_wait"]:
            self.stdout.write(f"Run {run.key} is queued.")
            return
        run = follow(run, self.stdout)
        self.stdout.write(f"{summary(run)}\n\n{worst(run)}")
        if options["repeat"]:
            self._compare(self._run(options["repeat"]), run)

    def _compare(self, before: ReconciliationRun, after: ReconciliationRun) -> None:
        if before.findings_sha256 == after.findings_sha256:
            self.stdout.write(
                f"\nFindings are byte for byte those of run {before.key} (SHA-256 {after.findings_sha256})."
            )
        elif before.signature != after.signature:
            self.stdout.write(
                f"\nFindings may differ from run {before.key}: code or rule records differ (signatures differ)."
            )
        else:
            raise CommandError(
                f"Findings differ from run {before.key} although its signature is the same: this is a fault."
            )

    def _run(self, key: str) -> ReconciliationRun:
        try:
            return ReconciliationRun.objects.get(key=key)
        except ReconciliationRun.DoesNotExist:
            known = ", ".join(ReconciliationRun.objects.values_list("key", flat=True)[:5]) or "none yet"
            raise CommandError(f"There is no run '{key}'. The latest are: {known}.") from None
