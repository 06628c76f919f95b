"""Keyset pagination: each page begins after the last row of the one before, by (key, id), both compared.

A page costs the same at row 50 and at row 10,000,000, and walking the pages gives each row exactly once, also among rows with
equal keys and while others are inserted. An offset gives neither; nor does a cursor that compares the key alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import orjson
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, F, Field, Func, Model, QuerySet, Value
from rest_framework.pagination import BasePagination
from rest_framework.request import Request

from api.errors import BadParameters
from api.renderers import dumps

DEFAULT_SIZE, LARGEST_SIZE = 50, 500
COUNT_CAP = 10_000


class After(Func):
    """``(key, id) > (last key, last id)`` as a comparison of rows, which one index on (key, id) answers.

    Written as ``key > a OR (key = a AND id > b)`` it would read every row before the page.
    """

    template = "(%(expressions)s)"
    output_field = BooleanField()

    def __init__(self, key: str, last_key: Value, last_id: int, operator: str):
        super().__init__(F(key), F("id"), last_key, Value(last_id))
        self.operator = operator

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> tuple[str, Any]:
        compiled = [compiler.compile(expression) for expression in self.get_source_expressions()]
        key, row_id, last_key, last_id = (sql for sql, _ in compiled)
        return f"({key}, {row_id}) {self.operator} ({last_key}, {last_id})", [
            p for _, params in compiled for p in params
        ]


@dataclass(frozen=True)
class Cursor:
    """The position after a row: the ordering in which it holds, the row's key there, and its id."""

    ordering: str
    key: Any
    id: int

    def written(self) -> str:
        return base64.urlsafe_b64encode(dumps([self.ordering, self.key, self.id])).decode().rstrip("=")


def read_cursor(text: str, ordering: str, model: type[Model]) -> Cursor:
    """The cursor that ``written`` made. It holds nothing secret, so it is checked rather than signed.

    Raises:
        BadParameters: the text is not a cursor, or belongs to another ordering.
    """
    try:
        held_ordering, key, row_id = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(held_ordering, str) and held_ordering != ordering:
            raise BadParameters(
                {"cursor": f"This cursor belongs to ordering={held_ordering:.60}; start again without it."}
            )
        field = _key_field(model, ordering)
        key = None if key is None else field.to_python(key)
        if type(row_id) is int and abs(row_id) < 2**63 and (key is not None or field.null):
            return Cursor(ordering, key, row_id)
    except (ValueError, TypeError, binascii.Error, ValidationError):
        pass
    raise BadParameters(
        {"cursor": "This is not a cursor of this list: take it from 'next' of the page before."}
    )


def _key_field(model: type[Model], ordering: str) -> Field:
    return cast("Field", model._meta.get_field(ordering.lstrip("-")))  # orderings name columns of the table


def ordered(queryset: QuerySet, ordering: str) -> QuerySet:
    """All rows in the order that the pages follow; blanks come last ascending and first descending."""
    key, sign = ordering.lstrip("-"), "-" if ordering.startswith("-") else ""
    return queryset.order_by(ordering) if key == "id" else queryset.order_by(ordering, f"{sign}id")


def stretches(queryset: QuerySet, ordering: str, cursor: Cursor | None) -> Iterator[QuerySet]:
    """What is left after the cursor, in one or two pieces to be read one after the other.

    Rows with a key and rows without one are separate pieces: a comparison with NULL is never true, and joining the two by OR
    would keep the index from being used.
    """
    field, descending = _key_field(queryset.model, ordering), ordering.startswith("-")
    operator, id_after = ("<", "id__lt") if descending else (">", "id__gt")
    rows = ordered(queryset, ordering)
    if field.primary_key:
        yield rows if cursor is None else rows.filter(**{id_after: cursor.id})
        return
    if not field.null:
        yield rows if cursor is None else rows.filter(_after(field, cursor, operator))
        return
    blank, valued = (
        rows.filter(**{f"{field.name}__isnull": True}),
        rows.filter(**{f"{field.name}__isnull": False}),
    )
    if cursor is not None and cursor.key is None:
        blank = blank.filter(**{id_after: cursor.id})
        yield from (blank, valued) if descending else (blank,)
        return
    if cursor is not None:
        valued = valued.filter(_after(field, cursor, operator))
        yield from (valued,) if descending else (valued, blank)
        return
    yield from (blank, valued) if descending else (valued, blank)


def _after(field: Field, cursor: Cursor, operator: str) -> After:
    return After(field.name, Value(cursor.key, output_field=field), cursor.id, operator)


class KeysetPagination(BasePagination):
    """``page_size`` 1 to 500 (50 unless told), ``cursor`` from ``next``, ``ordering`` from the view's own list.

    No total is counted unless ``count=capped`` asks for it, and then up to 10,000 only: counting ten million rows costs more
    than reading any page of them.
    """

    def paginate_queryset(  # type: ignore[override]  # only querysets come in, and rows leave as folded dicts
        self, queryset: QuerySet, request: Request, view: Any = None
    ) -> list[dict[str, Any]]:
        self.size, ordering = page_size(request), chosen_ordering(request, view)
        self.count = self._count(request, queryset)
        text = request.query_params.get("cursor")
        cursor = read_cursor(text, ordering, queryset.model) if text is not None else None
        key, made = ordering.lstrip("-"), view.plan
        rows: list[tuple[Any, ...]] = []
        for stretch in stretches(queryset, ordering, cursor):
            rows += stretch.values_list(*made.paths, key, "id")[: self.size + 1 - len(rows)]
            if len(rows) > self.size:
                break
        page = rows[: self.size]
        self.next = self._next(request, Cursor(ordering, *page[-1][-2:])) if len(rows) > self.size else None
        return [made.build(row) for row in page]

    def _count(self, request: Request, queryset: QuerySet) -> dict[str, Any] | None:
        wanted = request.query_params.get("count")
        if wanted is None:
            return None
        if wanted != "capped":
            raise BadParameters(
                {"count": f"count={wanted!r} is not offered; count=capped counts up to {COUNT_CAP:,}."}
            )
        found = queryset.order_by()[: COUNT_CAP + 1].count()
        return {"count": min(found, COUNT_CAP), "count_is_capped": found > COUNT_CAP}

    def _next(self, request: Request, cursor: Cursor) -> str:
        query = request.query_params.copy()
        query["cursor"] = cursor.written()
        return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")

    def envelope(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        return {"results": results, "next": self.next, "page_size": self.size, **(self.count or {})}

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next", "page_size", "known_at"],
            "properties": {
                "results": schema,
                "next": {
                    "type": "string",
                    "format": "uri",
                    "nullable": True,
                    "description": "The next page; null on the last.",
                },
                "page_size": {"type": "integer"},
                "known_at": {
                    "type": "string",
                    "format": "date-time",
                    "nullable": True,
                    "description": "The instant these rows were known at; null: the rows that stand now.",
                },
                "count": {
                    "type": "integer",
                    "description": "Rows of the filter, at most 10,000; only with count=capped.",
                },
                "count_is_capped": {"type": "boolean", "description": "There are more rows than counted."},
            },
        }


def page_size(request: Request) -> int:
    text = request.query_params.get("page_size", str(DEFAULT_SIZE))
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LARGEST_SIZE:
        return int(text)
    raise BadParameters({"page_size": f"page_size {text!r} is not a whole number from 1 to {LARGEST_SIZE}."})


def chosen_ordering(request: Request, view: Any) -> str:
    """The ordering asked for, or the view's first; each may be turned round with a minus."""
    ordering = request.query_params.get("ordering", view.orderings[0])
    if ordering.removeprefix("-") not in {name.removeprefix("-") for name in view.orderings}:
        offered = ", ".join(name.removeprefix("-") for name in view.orderings)
        raise BadParameters(
            {
                "ordering": f"ordering={ordering!r} is not offered; choose one of {offered}, or -name for descending."
            }
        )
    return ordering
