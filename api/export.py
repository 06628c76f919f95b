"""Whole lists as CSV, streamed by PostgreSQL's own COPY: a million rows in constant memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from django.db import connection
from django.db.models import CharField, F, Func, QuerySet
from django.http import StreamingHttpResponse
from rest_framework import serializers

from api.errors import BadParameters
from api.pagination import ordered
from api.rows import ChoiceText, Plan

LARGEST_EXPORT = 1_000_000


class SafeText(Func):
    """Text with an apostrophe before a first character that a spreadsheet would take for the start of a formula."""

    template = (
        "CASE WHEN left(%(expressions)s, 1) IN ('=', '+', '-', '@', E'\\t', E'\\r')"
        " THEN '''' || %(expressions)s ELSE %(expressions)s END"
    )
    output_field = CharField()


class Joined(Func):
    """An array as one text, its items parted by semicolons."""

    template = "array_to_string(%(expressions)s, '; ')"
    output_field = CharField()


def csv_response(queryset: QuerySet, plan: Plan, ordering: str, name: str) -> StreamingHttpResponse:
    """All rows of ``queryset`` as an attachment ``name.csv`` with one header line; columns as the plan declares them.

    Raises:
        BadParameters: there are more than a million rows. A file cut short would look complete.
    """
    rows = ordered(queryset, ordering)
    if rows.order_by()[LARGEST_EXPORT : LARGEST_EXPORT + 1].exists():
        raise BadParameters(
            {"format": f"More than {LARGEST_EXPORT:,} rows: narrow the filter and fetch the parts."}
        )
    sql, params = rows.values_list(
        *[_expression(column.field, column.path) for column in plan.columns]
    ).query.sql_with_params()
    header = (",".join(column.header for column in plan.columns) + "\n").encode()
    lines = _copied(f"COPY ({sql}) TO STDOUT WITH (FORMAT csv)", params)
    # The first rows are fetched before the answer begins: an error now is still an error of the API, not a broken file.
    first = next(lines, b"")
    response = StreamingHttpResponse(_Body(header + first, lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _expression(field: serializers.Field, path: str) -> F | Func:
    """Free text is made safe; slugs and choices are held to harmless forms on entry, and checking all costs far more."""
    if isinstance(field, serializers.ListField):
        return SafeText(Joined(F(path)))
    free = isinstance(field, serializers.CharField) and not isinstance(
        field, (ChoiceText, serializers.SlugField)
    )
    return SafeText(F(path)) if free else F(path)


def _copied(sql: str, params: tuple) -> Generator[bytes, None, None]:
    """Blocks of some 64 KB: the server sends line by line, and a line a write would cost more than the query."""
    block = bytearray()
    with connection.cursor() as cursor, cursor.copy(sql, params) as copy:
        for line in copy:
            block += line
            if len(block) > 65_536:
                yield bytes(block)
                block.clear()
    # Handed out only after the COPY has ended: a short answer, read or not, never holds the connection.
    yield bytes(block)


class _Body:
    """All blocks; a reader who leaves in the middle ends the COPY, which would else hold the connection of this thread."""

    def __init__(self, start: bytes, rest: Generator[bytes, None, None]):
        self.start, self.rest = start, rest

    def __iter__(self) -> Iterator[bytes]:
        yield self.start
        yield from self.rest

    def close(self) -> None:
        self.rest.close()
