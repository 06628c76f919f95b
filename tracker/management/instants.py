"""Instants given on the command line."""

from __future__ import annotations

from datetime import datetime

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime


def instant(text: str | None) -> datetime | None:
    """An aware instant; one without a zone is UTC. None where nothing was given.

    Raises:
        CommandError: it cannot be read.
    """
    if text is None:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"'{text}' is not an instant; write it like 2026-03-01T00:00:00Z.")
    return found if found.tzinfo else timezone.make_aware(found)
