"""What rows say of other rows: names that must exist, chains that must end, things of which there is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from tracker.imports.columns import Problem, near
from tracker.imports.parse import FileSpec, Row

T = TypeVar("T")


def named(spec: FileSpec, row: Row) -> Iterator[tuple[str, str, str]]:
    """Every (column, kind of record, slug) that the row names."""
    for column in spec.columns:
        value = row.values[column.name]
        if column.refers_to and value:
            for slug in value if isinstance(value, tuple) else (value,):
                yield column.name, column.refers_to, slug


def unknown_names(
    spec: FileSpec,
    rows: Sequence[Row],
    known: Mapping[str, Collection[str]],
    suggestions: Callable[[str], Collection[str]],
) -> list[Problem]:
    """A problem for each name that is not ``known`` under its kind, with the nearest of ``suggestions(kind)``.

    Kinds that ``known`` leaves out are not checked.
    """
    problems = []
    for row in rows:
        for column, kind, slug in named(spec, row):
            if kind in known and slug not in known[kind]:
                what = kind.replace("_", " ")
                message = f"no {what} has this name, neither in the files nor in the ledger; add it or mend the name."
                hint = near(slug, suggestions(kind))
                problems.append(Problem(spec.name, row.line, column, slug, message + hint))
    return problems


def endless_chains(spec: FileSpec, rows: Sequence[Row], column: str) -> list[Problem]:
    """A problem for each row whose chain of ``column`` comes back to it, e.g. two claims that echo each other."""
    key = spec.key[0]
    parent = {row.values[key]: row.values[column] for row in rows if row.values[column]}
    problems = []
    for row in rows:
        start = row.values[key]
        step, seen = parent.get(start), {start}
        while step is not None and step not in seen:
            seen.add(step)
            step = parent.get(step)
        if step == start and parent.get(start):
            message = f"the chain of {column} comes back to {start}; empty the cell of the first of them."
            problems.append(Problem(spec.name, row.line, column, parent[start], message))
    return problems


def second_first_ranks(spec: FileSpec, rows: Sequence[Row]) -> list[Problem]:
    """A problem for each further specification of rank 1 of one chip."""
    first: dict[str, int] = {}
    problems = []
    for row in rows:
        chip = row.values["chip"]
        if row.values["rank"] != 1:
            continue
        if chip in first:
            message = f"{chip} has a specification of rank 1 in row {first[chip]}; give one of the two a higher number."
            problems.append(Problem(spec.name, row.line, "rank", "1", message))
        else:
            first[chip] = row.line
    return problems


def layers(records: Sequence[T], name: Callable[[T], Any], parent: Callable[[T], Any]) -> Iterator[list[T]]:
    """The records in as few groups as keep every one after the record it names, so that its id is known by then.

    Raises ValueError when they name each other in a circle.
    """
    waiting = {name(record) for record in records}
    rest = list(records)
    while rest:
        ready = [record for record in rest if parent(record) not in waiting]
        if not ready:
            raise ValueError("records that name each other in a circle have no order")
        yield ready
        waiting -= {name(record) for record in ready}
        rest = [record for record in rest if name(record) in waiting]
