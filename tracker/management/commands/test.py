"""``test``: the suite, on a throw-away database. Whatever follows is for pytest: ``manage.py test -k ownership -x``."""

import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the tests with pytest, on a throw-away PostgreSQL and Valkey."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the arguments over unread: they are pytest's. The whole suite is shared between two processes."""
        arguments = argv[2:] or ["-n", "2", "--dist", "loadfile"]
        command = [sys.executable, "-m", "pytest", *arguments]
        sys.exit(subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode)

    def handle(self, *args: Any, **options: Any) -> None:
        self.run_from_argv(["manage.py", "test", *args])
