"""``manage.py demo``: from nothing to the worst discrepancies of the real ledger, and with ``--serve`` on to the running site."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker import tasks
from tracker.core.errors import TrackerError
from tracker.management.progress import follow, summary, worst
from tracker.reconciliation.models import ReconciliationRun
from tracker.reconciliation.services import standing_run
from tracker.reports.services import build_report

ADMIN = "admin"
STOP_SECONDS = 15


class Command(BaseCommand):
    help = "Load the seeds, reconcile them in a real worker, print the ten worst discrepancies and write the report."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--serve", action="store_true", help="go on with web, worker and beat on loopback until Ctrl-C"
        )
        parser.add_argument(
            "--port", type=int, default=8000, help="port of the web server on 127.0.0.1 (default 8000)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["serve"] and _is_taken(options["port"]):
            raise CommandError(
                f"Port {options['port']} of 127.0.0.1 is taken; give another: demo --serve --port 8001"
            )
        try:
            self._step("Preparing the database")
            call_command("migrate", verbosity=0, interactive=False)
            self._step("Loading seeds/")
            call_command("load_seeds", stdout=self.stdout)
            with ExitStack() as stack:
                run = self._reconciled(stack, keep_worker=options["serve"])
                self.stdout.write(f"\n{summary(run)}\n\n{worst(run)}\n")
                self._report(run)
                if options["serve"]:
                    self._serve(stack, options["port"])
        except TrackerError as error:
            raise CommandError(str(error)) from error

    # --- the main job -------------------------------------------------------------------------------------------------

    def _reconciled(self, stack: ExitStack, keep_worker: bool) -> ReconciliationRun:
        if run := standing_run():
            self._step(f"Nothing has changed since run {run.key}: it stands")
            if keep_worker:
                stack.enter_context(_Process("worker", *_WORKER))
            return run
        self._step("Reconciling in a Celery worker")
        worker = stack.enter_context(_Process("worker", *_WORKER))
        run = tasks.request_run("demo")
        run = follow(run, self.stdout, timeout=600)
        if not keep_worker:
            worker.stop()
        return run

    def _report(self, run: ReconciliationRun) -> None:
        report = build_report(run)
        folder = Path(settings.STATE_DIR) / "reports"
        folder.mkdir(parents=True, exist_ok=True)
        page, table = folder / f"report-{run.key}.html", folder / f"report-{run.key}.csv"
        page.write_text(report.html, encoding="utf-8")
        table.write_text(report.csv, encoding="utf-8", newline="")
        self.stdout.write(
            f"The report:        {page}\nAs a table (CSV):  {table}\n\n"
            "What to do next\n"
            "  open the report in a browser: every line shows its formula, its records and its sources\n"
            "  python3 manage.py demo --serve      the admin, the API and the report on this machine\n"
            "  python3 manage.py test              the test suite\n"
            "  python3 manage.py services down     stop the local database and broker (the data stays)"
        )

    # --- the site -------------------------------------------------------------------------------------------------------

    def _serve(self, stack: ExitStack, port: int) -> None:
        password = _admin_password()
        stack.enter_context(
            _Process("beat", "celery", "-A", "config.celery", "beat", "--loglevel", "WARNING")
        )
        web = stack.enter_context(
            _Process(
                "web",
                "gunicorn",
                "config.wsgi",
                "--bind",
                f"127.0.0.1:{port}",
                "--workers",
                "2",
                "--threads",
                "4",
            )
        )
        site = f"http://127.0.0.1:{port}"
        web.wait_until(lambda: _is_taken(port), f"the web server did not open port {port}")
        self.stdout.write(
            f"\nServing until Ctrl-C\n  reports   {site}/\n  API       {site}/api/v1/   (documentation: {site}/api/v1/docs/)\n"
            f"  admin     {site}/admin/   user {ADMIN}, password {password}\n  logs      {_logs()}"
        )
        self.stdout.flush()
        for ending in (
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGHUP,
        ):  # a shell may have started us with some ignored
            signal.signal(ending, _interrupt)
        try:
            while web.is_running():
                time.sleep(0.5)
            raise CommandError(f"The web server ended by itself; see {_logs() / 'web.log'}.")
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            stack.close()
            subprocess.run(
                [sys.executable, "manage.py", "services", "down"], cwd=settings.BASE_DIR, check=False
            )

    def _step(self, text: str) -> None:
        self.stdout.write(f"== {text}")
        self.stdout.flush()


_WORKER = ("celery", "-A", "config.celery", "worker", "--concurrency", "2", "--loglevel", "WARNING")


class _Process:
    """A program of this project's environment running beside this one; stopped, with its children, on leaving the context."""

    def __init__(self, name: str, module: str, *arguments: str) -> None:
        self.name = name
        self.log = _logs() / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()

    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, ready: Any, otherwise: str, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while not ready():
            if not self.is_running() or time.monotonic() > until:
                raise CommandError(f"{otherwise}; see {self.log}.")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.is_running():
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _logs() -> Path:
    folder = Path(settings.STATE_DIR) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _admin_password() -> str:
    """The password of the local administrator, made once and kept beside the local data, never in the repository."""
    path = Path(settings.STATE_DIR) / "admin_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(12))
    password = path.read_text().strip()
    users = get_user_model().objects
    user = users.filter(username=ADMIN).first() or users.create_superuser(ADMIN)
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    return password
