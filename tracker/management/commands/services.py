"""``services``: the local PostgreSQL and Valkey. manage.py answers it before Django starts; here it is for
the list of commands.
"""

import sys
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Start, stop, show or remove the local PostgreSQL and Valkey."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=("up", "down", "status", "reset"), nargs="?", default="status")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        # Named, not imported: the ledger does not know the project that runs it.
        if code := import_module("config.embedded").main([verb]):
            sys.exit(code)
