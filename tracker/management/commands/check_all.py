"""``check_all``: everything a change must pass besides the tests. One line a step; what a failed step printed follows it."""

import os
import secrets
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

PYTHON = [sys.executable, "-W", "error::DeprecationWarning"]
MANAGE = [sys.executable, "manage.py"]
STEPS: tuple[tuple[str, list[str]], ...] = (
    ("lint", [sys.executable, "-m", "ruff", "check", "."]),
    ("format", [sys.executable, "-m", "ruff", "format", "--check", "."]),
    ("types", [sys.executable, "-m", "mypy"]),
    ("import contracts", ["lint-imports"]),
    ("migrations are complete", [*MANAGE, "makemigrations", "--check", "--dry-run"]),
    ("system checks", [*PYTHON, "manage.py", "check", "--fail-level", "INFO"]),
    ("production checks", [*PYTHON, "manage.py", "check", "--deploy", "--fail-level", "INFO"]),
    ("API schema", [*MANAGE, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull]),
)
# Settings as strict as on a server; nothing connects to these addresses.
PRODUCTION = {
    "TRACKER_ENV": "production",
    "SECRET_KEY": secrets.token_urlsafe(64),
    "ALLOWED_HOSTS": "ledger.example.org",
    "DATABASE_URL": "postgresql://tracker:unused@db.example.org/tracker",
    "REDIS_URL": "redis://valkey.example.org:6379/0",
}


class Command(BaseCommand):
    help = "Lint, format, types, import contracts, migrations, system and deployment checks, API schema."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        failed = [name for name, command in STEPS if not self.passes(name, command)]
        if failed:
            self.stderr.write(f"{len(failed)} of {len(STEPS)} failed: {', '.join(failed)}")
            sys.exit(1)

    def passes(self, name: str, command: list[str]) -> bool:
        """Run one step and print its line: whether it ended well."""
        beside_python = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
        environment = os.environ | {"PATH": beside_python} | (PRODUCTION if "--deploy" in command else {})
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=settings.BASE_DIR,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        verdict = "ok" if done.returncode == 0 else "FAILED"
        self.stdout.write(f"{verdict:>6}  {name} ({time.monotonic() - started:.1f} s)")
        if done.returncode:
            self.stdout.write(done.stdout)
        self.stdout.flush()
        return done.returncode == 0
