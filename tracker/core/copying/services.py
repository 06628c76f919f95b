"""Writing many rows with PostgreSQL's COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, models


@contextmanager
def copying(statement: str) -> Iterator[Any]:
    """A COPY under way, to write to; what goes wrong is raised as Django's errors, as from any other statement."""
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        yield copy


def copy_into(table: str, rows: Iterable[Sequence[Any]], columns: Sequence[str] = ()) -> None:
    """Write rows of a table: of all columns, or of those named, and the database fills the others."""
    named = ", ".join(f'"{column}"' for column in columns)
    with copying(f"COPY {table} {f'({named}) ' if named else ''}FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def copy_in(rows: Sequence[models.Model]) -> None:
    """Write new rows of one model, several times as fast as ``bulk_create``; each gets its ``pk``.

    The rows hold values as their columns take them; triggers work as they always do; signals are not sent, and no field fills
    itself.
    """
    if not rows:
        return
    model = type(rows[0])
    fields = model._meta.concrete_fields
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
            [model._meta.db_table, model._meta.pk.column, len(rows)],
        )
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
    columns = ", ".join(f'"{field.column}"' for field in fields)
    encoded = [(field.attname, field if isinstance(field, models.JSONField) else None) for field in fields]
    with copying(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(
                [
                    getattr(row, name)
                    if field is None
                    else field.get_db_prep_save(getattr(row, name), connection)
                    for name, field in encoded
                ]
            )
