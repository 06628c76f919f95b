"""A draft of law: what a rule book would be with some of it changed. The live rules are not touched.

A draft is a document in the language of rule files (docs/rules.md) with a few words more: ``change_rules`` and ``change_rows``
alter fields of what stands, ``remove_rules`` and ``remove_rows`` take away, ``members`` and ``leave`` move countries in and out
of groups, ``rules`` and ``matrix`` add. The whole is checked like rule files.

    schema: 1
    title: "Supposed: the framework of January 2025, enforced"
    sources: ["https://example.org/bill"]
    change_rules:
      US-AIDIFF-2025: {enforcement: in force}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tracker.core.errors import BadInput
from tracker.rules import schema
from tracker.rules.parameters import MatrixRow, Membership, Rule, RuleBook

FIELDS = (
    "schema", "title", "summary", "sources", "regime", "change_rules", "change_rows", "remove_rules", "remove_rows", "members",
    "leave", "rules", "matrix",
)  # fmt: skip
LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as read: what it says of itself, and the rule book it would make. ``sources``: the bill or proposal it is made
    after, the main one first; none for a thought of our own."""

    title: str
    book: RuleBook
    summary: str = ""
    sources: tuple[str, ...] = ()


def draft(document: Any, book: RuleBook, where: str) -> Draft:
    """The rule book that ``document`` would make of ``book``.

    Raises BadInput naming rule or row, field, value and mend.
    """
    if not isinstance(document, Mapping) or document.get("schema") != 1:
        raise BadInput(f"{where}: not a draft of rules; it must begin with 'schema: 1'")
    read = schema.Reader(document, where)
    read.only(FIELDS)
    title = read.text("title", required=True)
    if len(title) > LONGEST_TITLE:
        raise BadInput(
            f"{where}: field 'title' has {len(title)} characters; write at most {LONGEST_TITLE}, and the rest into 'summary'"
        )
    groups = set(book.group_names)
    rules = _rules(read, book)
    rows = _rows(read, book)
    for mistake in (*schema.rule_mistakes(rules), *schema.row_mistakes(rows, rules, groups)):
        raise BadInput(f"{where}: {mistake}")
    return Draft(
        title=title,
        book=replace(book, rules=tuple(rules), matrix=tuple(rows), memberships=_members(read, book)),
        summary=read.text("summary"),
        sources=read.texts("sources"),
    )


def _rules(read: schema.Reader, book: RuleBook) -> list[Rule]:
    removed = set(read.texts("remove_rules", {rule.id for rule in book.rules}))
    standing = [rule for rule in book.rules if rule.id not in removed]
    changes = read.mapping("change_rules")
    changes.only({rule.id for rule in standing})
    latest = {
        rule.id: rule
        for rule in sorted(standing, key=lambda rule: (rule.period.start is not None, rule.period.start))
    }
    changed = {
        id(latest[name]): schema.rule(
            {**latest[name].data, **changes.mapping(name).data}, f"{read.where}, rule {name}"
        )
        for name in changes.data
    }
    added = [
        schema.rule(
            {"regime": read.data.get("regime"), **part.data}, f"{read.where}, rule {part.data.get('id')}"
        )
        for part in read.parts("rules")
    ]
    new = {rule.id for rule in added}
    return [*(changed.get(id(rule), rule) for rule in standing if rule.id not in new), *added]


def _rows(read: schema.Reader, book: RuleBook) -> list[MatrixRow]:
    orders = {str(row.order): row for row in book.matrix}
    removed = _orders(read, "remove_rows", orders)
    raw = read.data.get("change_rows") or {}
    if not isinstance(raw, Mapping):
        raise read.wrong("change_rows", "write a mapping from the order of a row to its changed fields")
    changes = schema.Reader(
        {str(order): fields for order, fields in raw.items()}, f"{read.where}, change_rows"
    )
    changes.only(orders.keys() - removed)
    added = [
        schema.matrix_row(part.data, f"{read.where}, row {part.data.get('order', '(without order)')}")
        for part in read.parts("matrix")
    ]
    changed = {
        order: schema.matrix_row(
            {**orders[order].data, **changes.mapping(order).data}, f"{read.where}, row {order}"
        )
        for order in changes.data
    }
    new = {str(row.order) for row in added}
    kept = [changed.get(order, row) for order, row in orders.items() if order not in removed | new]
    return sorted([*kept, *added], key=lambda row: row.order)


def _orders(read: schema.Reader, field: str, known: Mapping[str, MatrixRow]) -> set[str]:
    value = read.data.get(field) or []
    if not isinstance(value, list | tuple) or any(str(order) not in known for order in value):
        raise read.wrong(field, "write a list of orders of rows that stand in the licence matrix")
    return {str(order) for order in value}


def _members(read: schema.Reader, book: RuleBook) -> tuple[Membership, ...]:
    leaving = set()
    for part in read.parts("leave"):
        part.only(("group", "country"))
        leaving.add((part.choice("group", sorted(book.group_names)), schema.country(part)))
    if unknown := leaving - {(m.group, m.country) for m in book.memberships}:
        group, country = min(unknown)
        raise BadInput(f"{read.where}: field 'leave' names {country} in {group}; it is no member there")
    added = []
    for part in read.parts("members"):
        group = part.choice("group", sorted(book.group_names))
        data = {name: value for name, value in part.data.items() if name != "group"}
        added.append(schema.membership(data, group, part.where))
    kept = [m for m in book.memberships if (m.group, m.country) not in leaving]
    for one in added:
        for other in kept:
            if (one.group, one.country) == (other.group, other.country) and one.period.overlaps(other.period):
                raise BadInput(
                    f"{read.where}: field 'members' puts {one.country} into {one.group}, where it is already"
                )
    return (*kept, *added)
