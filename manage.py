#!/usr/bin/env python3
"""The one entry point: sets up .venv, starts the local servers where they are needed, runs the command."""

from __future__ import annotations

import os
import sys

from config import bootstrap

# These look after the servers themselves, or never ask the database anything.
WITHOUT_SERVERS = {"", "test", "check_all", "collectstatic", "help", "version", "--version", "--help"}


def main(argv: list[str]) -> None:
    bootstrap.ensure(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import embedded

    command = "".join(argv[1:2])
    if command == "services":  # without Django: no error in a model can keep the servers from stopping
        sys.exit(embedded.main(argv[2:]))
    if command not in WITHOUT_SERVERS and not {"--help", "-h"} & set(argv):
        try:
            embedded.up()
        except embedded.ServicesError as error:
            sys.exit(f"manage.py {command}: {error}")

    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)


if __name__ == "__main__":
    main(sys.argv)
