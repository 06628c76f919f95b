"""One declaration per resource: a serializer lists the columns, and lists, details, CSV and schema all follow from it.

A serializer here is never run over instances. :func:`plan` reads its fields once and says which columns to select
(``values_list``) and how to fold a tuple of them into the nested object that leaves:

- a plain field is a column;
- a nested serializer with ``source="*"`` groups columns of the same row (a quantity: low, best, high, unit);
- a nested serializer over a foreign key is a reference, null where the key is;
- a nested serializer with ``many=True`` over a reverse relation is a child table, read in one query of its own (details only).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, cast

from django.db import connection, models, transaction
from django.db.models import Model
from rest_framework import serializers

ROOT = "/api/v1/"
CHILD_LIMIT = 1_000
"""Rows of one child table shown in a detail; beyond it the child's own list serves."""

Build = Callable[[Sequence[Any]], dict[str, Any]]


class ChoiceText(serializers.CharField):
    """A choice as plain text, with the choices in words: an enumeration in the schema would break readers when one is added."""

    def __init__(self, choices: Any, **kwargs: Any):
        values = [str(value) for value, _ in choices]
        told = (
            "ISO 3166-1 alpha-2 code."
            if len(values) > 50
            else f"One of: {', '.join(value or '(blank)' for value in values)}."
        )
        kwargs["help_text"] = f"{kwargs.get('help_text') or ''} {told}".strip()
        kwargs.pop("allow_null", None)
        super().__init__(**kwargs)


class ApiUrl(serializers.CharField):
    """Where a record is read, made from its key: no column of its own."""

    def __init__(self, resource: str, key: str = "slug"):
        self.resource, self.key = resource, key
        super().__init__(read_only=True, help_text=f"Address of the record under {ROOT}{resource}/.")

    def address(self, value: Any) -> str | None:
        return None if value is None else f"{ROOT}{self.resource}/{value}/"


class Computed(serializers.JSONField):
    """Filled by the view after the row is read; absent from lists."""

    def __init__(self, **kwargs: Any):
        super().__init__(read_only=True, **kwargs)


class Number(serializers.DecimalField):
    """A decimal that leaves as a JSON number."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs | {"coerce_to_string": False})


class LedgerSerializer(serializers.ModelSerializer):
    """Columns of a table, listed by hand in ``Meta.fields``; all read only."""

    serializer_choice_field = ChoiceText
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.DecimalField: Number
    }

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        for item in fields.values():
            item.read_only, item.required = True, False
        return fields


def model_of(serializer: LedgerSerializer | type[LedgerSerializer]) -> type[Model]:
    """The table whose columns a serializer lists."""
    return serializer.Meta.model


@dataclass(frozen=True)
class Column:
    """One column of a CSV: its header, its ORM path and the serializer field it comes from."""

    header: str
    path: str
    field: serializers.Field


@dataclass(frozen=True)
class Child:
    """A table of rows that belong to a record: ``foreign_key`` names the way back."""

    name: str
    model: type[Model]
    foreign_key: str
    plan: Plan


@dataclass
class Plan:
    """What to select and how to fold it."""

    paths: list[str] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    build: Build = dict  # replaced in plan()

    def index(self, path: str) -> int:
        if path not in self.paths:
            self.paths.append(path)
        return self.paths.index(path)


@cache
def plan(serializer_class: type[serializers.Serializer]) -> Plan:
    """The plan of a serializer; made once for each."""
    made = Plan()
    made.build = _fold(made, serializer_class(), "", ())
    return made


def _fold(made: Plan, serializer: serializers.Serializer, prefix: str, header: tuple[str, ...]) -> Build:
    parts: list[tuple[str, int | Callable]] = []
    for name, item in serializer.fields.items():
        if isinstance(item, Computed):
            continue
        if isinstance(item, serializers.ListSerializer):
            made.children.append(_child(serializer, name, item))
        else:
            parts.append((name, _part(made, item, prefix, (*header, name))))
    return lambda row: {name: row[part] if isinstance(part, int) else part(row) for name, part in parts}


def _part(made: Plan, item: serializers.Field, prefix: str, header: tuple[str, ...]) -> int | Callable:
    if isinstance(item, ApiUrl):
        at = made.index(prefix + item.key)
        return lambda row: item.address(row[at])
    if isinstance(item, serializers.Serializer):
        if item.source == "*":
            return _fold(made, item, prefix, header)
        inner = prefix + "__".join(item.source_attrs) + "__"
        build, present = _fold(made, item, inner, header), made.index(inner + "id")
        return lambda row: None if row[present] is None else build(row)
    path = prefix + "__".join(item.source_attrs)
    made.columns.append(Column("_".join(header), path, item))
    return made.index(path)


def _child(serializer: serializers.Serializer, name: str, item: serializers.ListSerializer) -> Child:
    model = model_of(cast("LedgerSerializer", serializer))
    relation: Any = model._meta.get_field(".".join(item.source_attrs))
    child = cast("serializers.Serializer", item.child)
    return Child(name, relation.related_model, relation.field.name, plan(type(child)))


@contextmanager
def short_planning() -> Iterator[None]:
    """One transaction in which PostgreSQL joins tables in the order written, without caching nodes.

    A page joins up to fourteen tables for its references, each by primary key: weighing all their orders takes the planner
    thirty times as long as reading the page.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL join_collapse_limit = 1; SET LOCAL enable_memoize = off")
        yield


def children(made: Plan, record_id: int, at: datetime | None) -> dict[str, list[dict[str, Any]]]:
    """The child tables of one record as known at ``at``, one query for each, in the order of the child's model."""
    found = {}
    for child in made.children:
        rows = child.model._default_manager.filter(**{child.foreign_key: record_id})
        if at is not None and hasattr(rows, "known_at"):
            rows = rows.known_at(at)
        ordering = cast("Sequence[str]", child.model._meta.ordering)  # names only, in every model here
        order = [name for name in ordering if name.lstrip("-") != child.foreign_key]
        rows = rows.order_by(
            *[f"{name}_id" if _is_relation(child.model, name) else name for name in order], "id"
        )
        found[child.name] = [
            child.plan.build(row) for row in rows.values_list(*child.plan.paths)[:CHILD_LIMIT]
        ]
    return found


def _is_relation(model: type[Model], name: str) -> bool:
    """Ordering by a relation would order by the related table's own order, and join it for that alone."""
    return model._meta.get_field(name.lstrip("-")).is_relation
