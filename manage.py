#!/usr/bin/env python3
"""The one entry point: sets up .venv, starts the local servers where they are needed, runs the command."""

from __future__ import annotations

import os
import sys

from config import bootstrap

# These look after the servers themselves, or never ask the database anything.
WITHOUT_SERVERS = {"", "test", "check_all", "collectstatic", "help", "version", "--version", "--help"}
# These read files where no database answers.
CAN_DO_WITHOUT = {"classify"}


def main(argv: list[str]) -> None:
    bootstrap.ensure(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import embedded

    command = "".join(argv[1:2])
    if command == "services":  # without Django: no error in a model can keep the servers from stopping
        sys.exit(embedded.main(argv[2:]))
    if needs_servers(command, argv):
        try:
            embedded.up()
        except embedded.ServicesError as error:
            if command not in CAN_DO_WITHOUT:
                sys.exit(f"manage.py {command}: {error}")

    from django.core.management import execute_from_command_line
    from django.db.utils import ProgrammingError

    try:
        execute_from_command_line(argv)
    except ProgrammingError as error:
        if not lacks_tables(error):
            raise
        sys.exit(
            f"manage.py {command}: the database has not the tables of this version. "
            "Run 'python3 manage.py migrate' first, or 'python3 manage.py demo', which sets everything up."
        )


def lacks_tables(error: BaseException) -> bool:
    """Whether the database refused because a table or column is not there: it was never migrated, or not lately."""
    return type(error.__cause__).__name__ in ("UndefinedTable", "UndefinedColumn")


def needs_servers(command: str, argv: list[str]) -> bool:
    asks_files = command in CAN_DO_WITHOUT and any(word.split("=")[0] == "--rules" for word in argv)
    return command not in WITHOUT_SERVERS and not asks_files and not {"--help", "-h"} & set(argv)


if __name__ == "__main__":
    main(sys.argv)
