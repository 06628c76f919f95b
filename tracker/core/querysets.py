"""Reading the ledger as it was known at an instant, through the ordinary ORM.

``Claim.objects.known_at(t)`` is a queryset of ``Claim`` like any other: it filters, joins, selects and aggregates, but each
versioned table in it, the joined ones too, stands for the versions alive at ``t``. It works by putting a sub-select in place
of the table name in the FROM clause; columns and conditions are untouched, so the planner pushes filters into it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.apps import apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.datastructures import BaseTable, Join

from tracker.core.errors import BadInput


@models.Field.register_lookup
class AnyOf(models.Lookup):
    """``id__any=[...]``: as ``id__in``, with the values in one array. Written one by one, thousands of them take longer to put
    into the statement than the rows take to read."""

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", (*params, list(self.rhs))


def versioned_tables() -> frozenset[str]:
    """The names of all tables whose earlier versions are kept."""
    return frozenset(
        model._meta.db_table for model in apps.get_models() if getattr(model, "keeps_versions", False)
    )


def rows_known_at(table: str, at: datetime) -> tuple[str, list[Any]]:
    """SQL and parameters for the rows of ``table`` alive at ``at``: the standing ones and the superseded ones."""
    superseded, params = superseded_known_at(table, at)
    standing = f'SELECT * FROM "{table}" WHERE recorded_at <= %s'  # noqa: S608 - a table name of ours, never input
    return f"({standing} UNION ALL {superseded})", [at, *params]


def superseded_known_at(table: str, at: datetime) -> tuple[str, list[Any]]:
    """The same of the rows that were superseded since."""
    sql = (
        f'SELECT r.* FROM tracker_recordversion v, LATERAL jsonb_populate_record(NULL::"{table}", v.row) r'  # noqa: S608
        " WHERE v.table_name = %s AND v.recorded_at <= %s AND v.superseded_at > %s"
    )
    return sql, [table, at, at]


class _KnownAtTable(BaseTable):
    at: datetime

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        sql, params = rows_known_at(self.table_name, self.at)
        return f"{sql} {compiler.quote_name_unless_alias(self.table_alias or self.table_name)}", tuple(params)


class _KnownAtJoin(Join):
    at: datetime

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        sql, params = super().as_sql(compiler, connection)
        head = f"{self.join_type} {compiler.quote_name_unless_alias(self.table_name)}"
        rest = sql[len(head) :]
        alias = compiler.quote_name_unless_alias(self.table_name) if rest.startswith(" ON ") else ""
        rows, row_params = rows_known_at(self.table_name, self.at)
        return f"{self.join_type} {rows} {alias}{rest}", (*row_params, *params)


class VersionedQuerySet(models.QuerySet):
    """Querysets of ledger records."""

    _known_at: datetime | None = None

    def known_at(self, at: datetime | None) -> Self:
        """The records as known at ``at`` (an aware instant); None leaves the queryset as it is.

        Reads only: update and delete of the past are refused.
        """
        if at is None:
            return self
        if at.tzinfo is None:
            raise BadInput(f"known_at {at.isoformat()} has no time zone; write it like 2026-03-01T00:00:00Z.")
        clone = self.all()
        clone._known_at = at
        query, tables = clone.query, versioned_tables()
        table_class = type("KnownAtTable", (_KnownAtTable,), {"at": at})
        join_class = type("KnownAtJoin", (_KnownAtJoin,), {"at": at})

        def table(name: str, alias: str | None) -> BaseTable:
            return (table_class if name in tables else BaseTable)(name, alias)

        def join(name: str, *args: Any, **kwargs: Any) -> Join:
            return (join_class if name in tables else Join)(name, *args, **kwargs)

        query.base_table_class, query.join_class = table, join  # type: ignore[assignment]  # called only, as classes are
        query.alias_map = {
            alias: table(entry.table_name, entry.table_alias)
            if isinstance(entry, BaseTable)
            else join(
                entry.table_name,
                entry.parent_alias,
                entry.table_alias,
                entry.join_type,
                entry.join_field,
                entry.nullable,
                filtered_relation=entry.filtered_relation,
            )
            for alias, entry in query.alias_map.items()
        }
        return clone

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]  # of Django, though the stubs leave it out
        clone._known_at = self._known_at
        return clone

    def _refuse_past(self) -> None:
        if self._known_at is not None:
            raise BadInput(
                "The past is read only: correct the record that stands now; its earlier version is kept."
            )

    def update(self, **kwargs: Any) -> int:
        self._refuse_past()
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._refuse_past()
        return super().delete()
