"""``manage.py work_cases FILE``: compute worked cases and say, number by number, whether they come out. No database is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tracker.core.errors import TrackerError
from tracker.reconciliation.cases import CaseResult, run


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers: also ``1e-6``, which YAML 1.1 takes for a word."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"), list("-+.0123456789")
)


class Command(BaseCommand):
    help = "Compute the worked cases of a YAML file; exit status 0 only if all of them pass."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="YAML file with a list under 'cases'")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            results = run(yaml.load(file.read_text(encoding="utf-8"), _Loader))  # noqa: S506 - a safe loader
        except (OSError, UnicodeDecodeError, yaml.YAMLError, TrackerError) as error:
            raise CommandError(f"{file}: {error}") from error
        for result in results:
            self._show(result)
        passed = sum(result.passed for result in results)
        not_run = sum(result.not_run for result in results)
        self.stdout.write(f"{passed} of {len(results)} passed, {not_run} not run")
        if passed < len(results) or not results:
            raise CommandError("not all cases passed" if results else f"{file}: there are no cases")

    def _show(self, result: CaseResult) -> None:
        state = "not run" if result.not_run else "pass" if result.passed else "fail"
        self.stdout.write(f"{state:8}{result.id} ({result.check}) {result.title}")
        if result.error:
            self.stdout.write(f"        {result.error}")
        elif not result.lines and not result.not_run:
            told = "nothing is expected" if result.passed else "nothing that was expected is computed"
            self.stdout.write(f"        {told}; what comes out: {', '.join(result.computed) or 'nothing'}")
            for name, value in result.computed.items() if result.passed else ():
                self.stdout.write(f"            {name}: {value!r}")
        for line in result.lines:
            mark = "ok " if line.ok else "BAD"
            self.stdout.write(f"        {mark} {line.key}: expected {line.expected!r}, got {line.got!r}")
