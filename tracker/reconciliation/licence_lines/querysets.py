"""Licences with the lines that may draw on them, for the check LICENCE: in pieces that have no goods and no party in common.

A line draws on the licence it names; a line that needed one and names none draws on those of its consignee and end user; and one
consignment, or goods carried on, must not draw twice. Lines near licences are found, tied together and judged in the database; of
those that name no licence only the ones that needed one are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Q
from django.db.models.expressions import RawSQL

from tracker.claims.combine import quantity
from tracker.core.copying.services import copy_into
from tracker.core.quantity import Quantity
from tracker.judgement.querysets import NOT_MEANT, judged_ledger, known_table
from tracker.licences.account import Use
from tracker.licences.models import Licence
from tracker.reconciliation import drawing, scopes
from tracker.reconciliation.bias import dated
from tracker.reconciliation.books import Books, LicenceRow, Scope
from tracker.reconciliation.checks import licences
from tracker.reconciliation.checks.rule import REQUIRED
from tracker.reconciliation.records.querysets import day_range, reported
from tracker.reconciliation.reference.querysets import smallest_in_component
from tracker.reconciliation.tabulate import MOST_ROWS
from tracker.reconciliation.touched import Touched
from tracker.reconciliation.verdict_sums.querysets import VerdictSums
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import house

Key = TypeVar("Key", int, str)

LINES_PER_PIECE = 10_000
"""Lines read at a time. What is tied together is one piece, however many lines it has."""
_JUDGED = "draws"
"""Prefix of the tables that hold the verdicts on lines near licences."""

# ``owner``: whom a line is booked under here: twice the licence it names, or twice the party that a licence names plus one. A
# line whose consignee and end user are both named by licences ties the two (_PAIRS), so it may stand under either.
_NEAR = """
DROP TABLE IF EXISTS licence_near;
CREATE TEMPORARY TABLE licence_near ON COMMIT DROP AS
SELECT s.id, s.licence_id, s.consignment, s.onward_of_id, a.id AS consignee, b.id AS end_user,
  coalesce(2 * s.licence_id, 2 * coalesce(a.id, b.id) + 1) AS owner
FROM {lines} s LEFT JOIN licence_party a ON a.id = s.consignee_id LEFT JOIN licence_party b ON b.id = s.end_user_id
WHERE s.is_synthetic = %s AND s.status <> ALL(%s) AND (s.licence_id IS NOT NULL OR a.id IS NOT NULL OR b.id IS NOT NULL)
"""
# Of goods carried on the way back from each line near a licence, through lines that are near none, to the next that is.
_BACK = """
DROP TABLE IF EXISTS licence_back;
CREATE TEMPORARY TABLE licence_back ON COMMIT DROP AS
WITH RECURSIVE back AS (
  SELECT id, owner, onward_of_id AS earlier FROM licence_near WHERE onward_of_id IS NOT NULL
  UNION
  SELECT b.id, b.owner, s.onward_of_id FROM back b JOIN {lines} s ON s.id = b.earlier
  WHERE s.onward_of_id IS NOT NULL AND s.is_synthetic = %s AND s.status <> ALL(%s)
    AND NOT EXISTS (SELECT FROM licence_near n WHERE n.id = b.earlier)
) SELECT id, owner, earlier FROM back
"""
_PAIRS = """
SELECT DISTINCT 2 * consignee + 1, 2 * end_user + 1 FROM licence_near WHERE licence_id IS NULL AND consignee <> end_user
UNION SELECT DISTINCT b.owner, n.owner FROM licence_back b JOIN licence_near n ON n.id = b.earlier WHERE b.owner <> n.owner
"""
_CONSIGNMENTS = """
SELECT array_agg(DISTINCT owner) FROM licence_near WHERE consignment <> '' GROUP BY consignment HAVING min(owner) < max(owner)
"""
# What drew on nothing is read only where it lies on the way of goods carried on.
_DRAWING = """
DROP TABLE IF EXISTS licence_line;
CREATE TEMPORARY TABLE licence_line ON COMMIT DROP AS
SELECT n.id, p.component, v.answer = %s AS required FROM licence_near n JOIN licence_part p USING (owner)
  JOIN draws_line l ON l.line_id = n.id JOIN draws_case USING (case_id) JOIN draws_verdict v USING (verdict_id)
WHERE n.licence_id IS NOT NULL OR v.answer = %s
UNION SELECT b.earlier, p.component, false FROM licence_back b JOIN licence_part p USING (owner)
"""


@dataclass
class LicenceLines(VerdictSums):
    """Licences with the lines near them."""

    def _pieces_of_licence(self, index: int, count: int) -> Iterator[Books]:
        """The licences of one share, some at a time, each with the lines that draw on it and those of the same goods."""
        asked = self._licence_components if self.only is None else self.licences_asked
        mine: dict[int, list[int]] = defaultdict(list)
        for licence, component in sorted(asked.items()):
            if component % count == index:
                mine[component].append(licence)
        if not mine:
            return
        with connection.cursor() as cursor, self._drawing(cursor, mine):
            cursor.execute("SELECT component, count(*) FROM licence_line GROUP BY 1")
            lines = dict(cursor.fetchall())
            for pack in _packs((component, lines.get(component, 0)) for component in sorted(mine)):
                items = self.licences(Q(licence_id__in=[pk for component in pack for pk in mine[component]]))
                yield from self._told_books(cursor, pack, items)

    def _told_books(
        self, cursor: CursorWrapper, components: Sequence[int], items: Sequence[LicenceRow]
    ) -> Iterator[Books]:
        """The accounts of some components, as many at a time as name so many lines. To draw, a line is read as few values; those
        that are named are read as records."""
        uses, spoken = self._uses(cursor, components)
        drawn = drawing.draw(items, uses, spoken, self.chips, self.parameters)
        del uses
        by_name = {drawing.name(item.ref.id): item for item in items}
        named = ((key, min(len(account.entries), MOST_ROWS)) for key, account in drawn.of.items())
        for keys in _packs(named):
            told = drawing.told(drawn, keys, spoken)
            near = {*keys, *(key for drew in told.twice.values() for key, _ in drew)}
            movements = self.movements(Q(id__any=sorted(licences.shown(told))))
            books = self._assembled((), movements, {}, licences=tuple(by_name[key] for key in sorted(near)))
            people = self.organizations(drawing.receivers(told) - books.organizations.keys())
            yield replace(
                books, drawn=told, organizations={**books.organizations, **people},
                verdicts=self.judged_in(_JUDGED, movements),
            )  # fmt: skip

    def _uses(self, cursor: CursorWrapper, components: Sequence[int]) -> tuple[list[Use], dict[str, Scope]]:
        """The lines of some components as the accounts take them, without those whose unit does not tell chips; and what all of
        them are of, by key."""
        cursor.execute(
            "SELECT id, bool_or(required) FROM licence_line WHERE component = ANY(%s) GROUP BY id",
            [list(components)],
        )
        required = dict(cursor.fetchall())
        fields = (
            "id", "chip_id", "family_id", "quantity", "bound", "is_exact", "unit", "chips_per_unit", "grade", "house",
            "shipped_on", "shipped_on_latest", "received_on", "consignee_id", "end_user_id", "destination_country", "licence_id",
            "onward_of_id", "consignment",
        )  # fmt: skip
        # only of this world: a line may carry on goods of one that became real, or synthetic
        ids = RawSQL("SELECT id FROM licence_line WHERE component = ANY(%s)", [list(components)])
        rows = (
            self.known(Shipment)
            .filter(self.of_world(), id__in=ids)
            .exclude(status__in=NOT_MEANT)
            .annotate(house=house())
            .order_by()
            .values(*fields)
        )
        uses, spoken = [], {}
        for row in rows.iterator(chunk_size=LINES_PER_PIECE):
            scope = self.scope(row["chip_id"], row["family_id"])
            assert scope is not None  # the table holds every line to a chip or a family
            spoken[scopes.key(scope)] = scope
            day = row["shipped_on_latest"] or row["shipped_on"] or row["received_on"]
            key = dated(row["house"], day, self.parameters.bias_key_months)
            amount = quantity(reported(row), self.parameters, key)
            if isinstance(amount, Quantity):
                uses.append(
                    drawing.use_of(
                        row["id"], scope, amount, day_range(row, "shipped_on"), (row["consignee_id"], row["end_user_id"]),
                        row["destination_country"], row["licence_id"], required[row["id"]], row["onward_of_id"],
                        row["consignment"],
                    )
                )  # fmt: skip
        return uses, spoken

    @cached_property
    def _parties_of_licences(self) -> dict[int, tuple[int, ...]]:
        """licence id -> the parties that it names."""
        rows = self.known(Licence).filter(self.of_world()).order_by("id")
        return {
            pk: tuple(party for party in parties if party)
            for pk, *parties in rows.values_list("id", "consignee_id", "end_user_id")
        }

    @cached_property
    def _licence_components(self) -> dict[int, int]:
        """licence id -> the smallest id of all licences tied to it: by a party, by lines that may draw on either, by goods of one
        consignment or carried on. Leaves the lines near licences in ``licence_near``, and the ways of their goods in
        ``licence_back``, until the transaction ends."""
        if not self._parties_of_licences:
            return {}
        near = [
            (("licence", pk), ("org", party))
            for pk, parties in self._parties_of_licences.items()
            for party in parties
        ]
        lines, given = known_table(Shipment._meta.db_table, self.at)
        with connection.cursor() as cursor:
            _filled(cursor, "licence_party", "id bigint", sorted({(party,) for _, (_, party) in near}))
            synthetic = self.parameters.records == "synthetic"
            cursor.execute(_NEAR.format(lines=lines), [*given, synthetic, list(NOT_MEANT)])
            cursor.execute("CREATE INDEX ON licence_near (id)")
            cursor.execute("ANALYZE licence_near")
            cursor.execute(_BACK.format(lines=lines), [*given, synthetic, list(NOT_MEANT)])
            cursor.execute(_PAIRS)
            ties = [(_owner(one), _owner(other)) for one, other in cursor.fetchall()]
            cursor.execute(_CONSIGNMENTS)
            ties += [
                (_owner(owners[0]), _owner(other)) for (owners,) in cursor.fetchall() for other in owners[1:]
            ]
        nodes: dict[Any, int] = {("licence", pk): place for place, pk in enumerate(self._parties_of_licences)}
        edges = [
            (nodes.setdefault(one, len(nodes)), nodes.setdefault(other, len(nodes)))
            for one, other in [*near, *ties]
        ]
        return smallest_in_component(nodes, edges, "licence")

    @property
    def licences_asked(self) -> dict[int, int]:
        """Of the components those that a changed line bears on, then or now, or a line of the same goods."""
        assert self.only is not None  # it is narrowed
        near = Touched(self.only.goods)
        named, people = near.licences, near.parties
        touched = {
            component for pk, component in self._licence_components.items()
            if pk in named or not people.isdisjoint(self._parties_of_licences[pk])
        }  # fmt: skip
        return {pk: component for pk, component in self._licence_components.items() if component in touched}

    @contextmanager
    def _drawing(self, cursor: CursorWrapper, mine: Mapping[int, Sequence[int]]) -> Iterator[None]:
        """The lines that draw on some licences, with their component, in ``licence_line``, and what the rules say of them, while
        the ``with`` block stands."""
        owners = {(2 * pk, component) for component, licences in mine.items() for pk in licences}
        owners |= {
            (2 * party + 1, component)
            for component, licences in mine.items()
            for pk in licences
            for party in self._parties_of_licences[pk]
        }
        _filled(cursor, "licence_part", "owner bigint, component bigint", sorted(owners))
        only = "s.id IN (SELECT n.id FROM licence_near n JOIN licence_part USING (owner))"
        with judged_ledger(_JUDGED, self.rules, at=self.at, records=self.parameters.records, only=(only, ())):
            cursor.execute(_DRAWING, [REQUIRED, REQUIRED])
            yield


def _filled(cursor: CursorWrapper, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
    """A temporary table with these rows."""
    cursor.execute(f"DROP TABLE IF EXISTS {table}")
    cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DROP")
    copy_into(table, rows)
    cursor.execute(f"ANALYZE {table}")


def _owner(number: int) -> tuple[str, int]:
    return ("org" if number % 2 else "licence", number // 2)


def _packs(lines: Iterable[tuple[Key, int]]) -> Iterator[list[Key]]:
    """Keys in packs of about as many lines as are read at a time."""
    pack: list[Key] = []
    read = 0
    for key, more in lines:
        if pack and read + more > LINES_PER_PIECE:
            yield pack
            pack, read = [], 0
        pack.append(key)
        read += more
    if pack:
        yield pack
