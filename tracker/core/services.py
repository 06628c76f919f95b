"""Writing with a name, a reason and one instant; and fixing the instant a run reads at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import cast

from django.apps import apps
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.utils import OperationalError
from psycopg.errors import LockNotAvailable

from tracker.core.errors import CannotReconcile
from tracker.core.models import RecordVersion, Versioned
from tracker.core.querysets import versioned_tables

# Any fixed number that nothing else in this database uses: writers share it, a run that fixes its instant takes it alone.
WRITERS_LOCK = 7_203_115_000

_SETTINGS = ("tracker.actor", "tracker.reason", "tracker.batch", "tracker.recorded_at")


@contextmanager
def recording(actor: str, reason: str = "", batch: str = "") -> Iterator[None]:
    """One transaction whose changes carry ``actor``, ``reason`` and ``batch`` and share one ``recorded_at``.

    All versions written inside appear at the same instant, so no later read 'as known at' sees half of them.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [WRITERS_LOCK])
        cursor.execute(
            "SELECT " + ", ".join("coalesce(current_setting(%s, true), '')" for _ in _SETTINGS), _SETTINGS
        )
        before = cursor.fetchone()
        cursor.execute(
            "SELECT set_config('tracker.actor', %s, true), set_config('tracker.reason', %s, true),"
            " set_config('tracker.batch', %s, true),"
            " set_config('tracker.recorded_at', clock_timestamp()::text, true)",
            [actor, reason, batch],
        )
        yield
        for name, value in zip(_SETTINGS, before, strict=True):
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def settled_instant() -> datetime:
    """An instant before which nothing more can be recorded: all that is known at it is committed, for ever.

    Waits for writers under way (a minute at most), and keeps new ones waiting only for the blink in which the clock is read.

    Raises:
        CannotReconcile: a writer held the ledger for more than a minute.
    """
    late = CannotReconcile(
        "Another session has been writing to the ledger for over a minute, so no instant could be fixed; "
        "start the run again later."
    )
    until = monotonic() + _PATIENCE
    with transaction.atomic(), connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_PATIENCE}s"])
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITERS_LOCK])
        except OperationalError as error:
            raise late from error
        while (at := _settled(cursor)) is None:
            if monotonic() > until:
                raise late
            sleep(_BLINK_MS / 1000)
        return at


_PATIENCE, _BLINK_MS = 60, 200
"""Seconds that an instant is waited for; milliseconds that all tables are held for it at a time."""


def _settled(cursor: CursorWrapper) -> datetime | None:
    """The clock while nobody writes; None where somebody does. Who writes by plain SQL may ask for one table after another: if it
    were waited for with some of them held, the database would have to break off one of the two."""
    tables = ", ".join(f'"{name}"' for name in sorted(versioned_tables()))
    try:
        with transaction.atomic():
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_BLINK_MS}ms"])
            cursor.execute(f"LOCK TABLE {tables} IN SHARE MODE")
            cursor.execute("SELECT clock_timestamp()")
            return cast(datetime, cursor.fetchone()[0])
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return None
        raise


def changed_since(at: datetime) -> bool:
    """Whether any record of the ledger was written, changed or deleted after ``at``."""
    if RecordVersion.objects.filter(superseded_at__gt=at).exists():
        return True
    return any(
        model._base_manager.filter(recorded_at__gt=at).exists()
        for model in apps.get_models()
        if issubclass(model, Versioned) and not model._meta.proxy
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of the tables of which a record was written between two instants, and of which one was changed or deleted."""

    written: frozenset[str]
    rewritten: frozenset[str]

    @property
    def tables(self) -> frozenset[str]:
        return self.written | self.rewritten


def changes_between(since: datetime, at: datetime) -> Changes:
    """Which tables hold a record that was written, changed or deleted after ``since`` and until ``at``, whatever became of it
    later: a record first written in between may have been superseded after ``at``."""
    tables = sorted(versioned_tables())
    asked = " UNION ALL ".join(
        # table names of ours, never input; with EXISTS it would look so dear that the server compiles it, which takes longer
        f"(SELECT '{name}' FROM \"{name}\" WHERE recorded_at > %s AND recorded_at <= %s LIMIT 1)"
        for name in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(asked, [since, at] * len(tables))
        written = frozenset(name for (name,) in cursor.fetchall())
        cursor.execute(
            "SELECT table_name, bool_or(superseded_at <= %s) FROM tracker_recordversion WHERE table_name = ANY(%s)"
            " AND superseded_at > %s AND (superseded_at <= %s OR recorded_at > %s AND recorded_at <= %s) GROUP BY 1",
            [at, tables, since, at, since, at],
        )
        found = dict(cursor.fetchall())
        return Changes(written | found.keys(), frozenset(name for name, changed in found.items() if changed))
