"""What the rules say of the lines, added up by the database for the check RULE.

The lines of a share are judged by their distinct cases (``judgement.querysets.judged_ledger``). Those that needed a licence and
have none, and those for which it cannot be told, are grouped there; only the sums, and the largest lines behind each, are read.
``checks.rule.added_up`` says the same of a few lines one by one; a test holds the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Q, QuerySet

from tracker.core.copying.services import copy_into
from tracker.core.period import quarter
from tracker.judgement.querysets import judged_ledger
from tracker.licences.models import LicenceItem
from tracker.reconciliation.books import Books, VerdictPart, VerdictSum
from tracker.reconciliation.catalogue.querysets import as_float
from tracker.reconciliation.checks.rule import COUNTERPART_LIMIT, NO_RULE, REQUIRED, UNDETERMINED
from tracker.reconciliation.result import MOST_EVIDENCE
from tracker.reconciliation.scopes import may_overlap
from tracker.reconciliation.sums.querysets import Sums
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import read

SUMS_PER_PIECE = 200
"""Sums told at a time: each names lines and parties, and memory holds those of one piece."""

# A line is covered as checks.rule._covers has it; 0 stands for a party that an item or a line does not name.
_OPEN = """
CREATE TEMPORARY TABLE rule_open ON COMMIT DROP AS
SELECT s.id, v.verdict_id, v.answer = %s AS required, coalesce(s.consignee_id, s.end_user_id, 0) AS party,
  s.destination_country AS country, l.scope,
  CASE WHEN v.answer = %s THEN date_trunc('quarter', s.shipped_on)::date END AS quarter,
  CASE WHEN v.answer = %s THEN left(coalesce(nullif(array_to_string(v.rule_ids, ', '), ''), %s), %s) ELSE '' END AS under,
  s.unit, s.chips_per_unit, s.grade, s.chips
FROM rule_line j JOIN rule_case USING (case_id) JOIN rule_verdict v USING (verdict_id) JOIN ({lines}) s ON s.id = j.line_id
  CROSS JOIN LATERAL (SELECT coalesce(2 * s.chip_id, 2 * s.family_id + 1) AS scope) l
WHERE v.answer IN (%s, %s) AND NOT (v.answer = %s AND (coalesce(s.licence_id = ANY(%s), false) OR EXISTS (
  SELECT FROM rule_cover k
  WHERE k.scope = l.scope AND k.party IN (0, s.consignee_id, s.end_user_id)
    AND (s.shipped_on IS NULL OR (coalesce(k.valid_from <= coalesce(s.shipped_on_latest, s.shipped_on), true)
      AND coalesce(s.shipped_on < k.valid_until, true)))
    AND (k.consignee = 0 OR k.consignee IN (s.consignee_id, s.end_user_id))
    AND (s.end_user_id IS NULL OR k.end_user = 0 OR k.end_user IN (s.end_user_id, s.consignee_id))
    AND (k.country IN ('', s.destination_country) OR s.destination_country = ''))))
"""
_COVER = """
INSERT INTO rule_cover SELECT p.party, t.scope, coalesce(i.consignee, 0), coalesce(i.end_user, 0), i.country, i.valid_from,
  i.valid_until
FROM ({items}) i JOIN rule_tied t ON t.item = coalesce(2 * i.chip_id, 2 * i.family_id + 1)
  CROSS JOIN LATERAL (SELECT i.consignee UNION SELECT i.end_user) p (party)
WHERE p.party IS NOT NULL
UNION ALL SELECT 0, t.scope, 0, 0, i.country, i.valid_from, i.valid_until
FROM ({items}) i JOIN rule_tied t ON t.item = coalesce(2 * i.chip_id, 2 * i.family_id + 1)
WHERE i.consignee IS NULL AND i.end_user IS NULL
"""
# Undetermined amounts too small to report are told together by country (checks.rule.added_up).
_TOLD = """
CREATE TEMPORARY TABLE rule_told ON COMMIT DROP AS
SELECT o.*, dense_rank() OVER (ORDER BY o.required, o.area, o.place, o.scope, o.quarter, o.under) AS number
FROM (
  SELECT q.*, CASE WHEN q.is_small THEN 0 ELSE q.party END AS area,
    CASE WHEN q.is_small OR q.party = 0 THEN q.country ELSE '' END AS place
  FROM (
    SELECT r.*, NOT r.required AND coalesce(sum(r.chips) OVER held, 0) < m.least IS TRUE AS is_small
    FROM rule_open r LEFT JOIN rule_material m USING (scope)
    WINDOW held AS (PARTITION BY r.required, r.party, r.country, r.scope)
  ) q
) o
WHERE %s OR (o.area > 0 AND o.area = ANY(%s)) OR (o.area = 0 AND o.place = ANY(%s))
"""
_SUMS = f"""
SELECT number, required, min(area), min(place), min(scope), min(quarter), min(under), count(*), coalesce(sum(chips), 0),
  count(*) FILTER (WHERE chips IS NULL), max(grade), count(DISTINCT nullif(party, 0)),
  (array_agg(id ORDER BY chips DESC NULLS LAST, id))[1:{MOST_EVIDENCE}]
FROM rule_told WHERE number > %s AND number <= %s GROUP BY number, required ORDER BY number
"""  # noqa: S608 - a number of ours
_PARTS = """
SELECT number, (array_agg(id ORDER BY chips DESC NULLS LAST, id))[1], count(*), coalesce(sum(chips), 0)
FROM rule_told WHERE number > %s AND number <= %s GROUP BY number, verdict_id ORDER BY number, verdict_id
"""
_UNITS = """
SELECT DISTINCT number, unit, chips_per_unit FROM rule_told WHERE number > %s AND number <= %s ORDER BY 1, 2, 3
"""


@dataclass
class VerdictSums(Sums):
    """Sums of what the rules say of lines."""

    def _pieces_of_verdict(self, index: int, count: int) -> Iterator[Books]:
        """The sums of the scopes of one share, some at a time, each with the movements that are named."""
        numbers = sorted(self.numbered_scopes)[index::count]
        if self.only is not None:
            numbers = sorted(self.only.scopes & set(numbers))
        which, only = self._asked(numbers)
        lines = read(self.known(Shipment).filter(which, self.of_world()), self.parameters).order_by()
        if not lines.exists():
            return
        with (
            connection.cursor() as cursor,
            judged_ledger("rule", self.rules, at=self.at, records=self.parameters.records, only=only),
        ):
            self._add_up(cursor, numbers, lines)
            cursor.execute("SELECT coalesce(max(number), 0) FROM rule_told")
            (last,) = cursor.fetchone()
            for first in range(0, last, SUMS_PER_PIECE):
                yield self._verdict_books(self._sums_told(cursor, [first, first + SUMS_PER_PIECE]))
            cursor.execute("DROP TABLE rule_open, rule_told, rule_cover, rule_tied, rule_material")

    def _asked(self, numbers: Sequence[int]) -> tuple[Q, tuple[str, list[Any]]]:
        """The lines of some scopes, as conditions of both kinds; in a run over changes only those that share a sum with one
        that changed."""
        chips, families = ([number // 2 for number in numbers if number % 2 == rest] for rest in (0, 1))
        which = Q(chip_id__in=chips) | Q(family_id__in=families)
        sql, given = "(s.chip_id = ANY(%s) OR s.family_id = ANY(%s))", [chips, families]
        if self.only is None:
            return which, (sql, given)
        people, places = sorted(self.only.receivers - {0}), sorted(self.only.destinations)
        near = Q(consignee_id__in=people) | Q(consignee_id=None, end_user_id__in=people)
        sql += " AND (coalesce(s.consignee_id, s.end_user_id) = ANY(%s) OR s.destination_country = ANY(%s))"
        return which & (near | Q(destination_country__in=places)), (sql, [*given, people, places])

    def _add_up(self, cursor: CursorWrapper, numbers: Sequence[int], lines: QuerySet) -> None:
        """Group the judged lines in temporary tables, ``rule_told`` with the ``number`` of the sum of each."""
        items = (
            self.known(LicenceItem).filter(self.of_world("licence__"))
            .exclude(licence__kind__contains="import")  # it is of the buyer's country: it allows the buying, not the export
        )  # fmt: skip
        self._tables(cursor, numbers, items)
        columns = (
            "id", "chip_id", "family_id", "consignee_id", "end_user_id", "destination_country", "licence_id", "shipped_on",
            "shipped_on_latest", "unit", "chips_per_unit", "grade", "chips",
        )  # fmt: skip
        sql, given = lines.values(*columns).query.sql_with_params()
        export = sorted(set(items.order_by().values_list("licence_id", flat=True)))
        cursor.execute(
            _OPEN.format(lines=sql),
            [
                *(REQUIRED, REQUIRED, REQUIRED, NO_RULE, COUNTERPART_LIMIT),
                *given,
                *(REQUIRED, UNDETERMINED, REQUIRED, export),
            ],
        )
        told: list[Any] = (
            [sorted(self.only.receivers), sorted(self.only.destinations)] if self.only else [[], []]
        )
        cursor.execute(_TOLD, [self.only is None, *told])
        cursor.execute("CREATE INDEX ON rule_told (number)")
        cursor.execute("ANALYZE rule_told")

    def _tables(self, cursor: CursorWrapper, numbers: Sequence[int], items: QuerySet) -> None:
        """What lines are held against: licences by party and scope, and the least amount of each scope that is reported."""
        cursor.execute(
            "CREATE TEMPORARY TABLE rule_tied (item bigint, scope bigint) ON COMMIT DROP;"
            "CREATE TEMPORARY TABLE rule_material (scope bigint, least float8) ON COMMIT DROP;"
            "CREATE TEMPORARY TABLE rule_cover (party bigint, scope bigint, consignee bigint, end_user bigint, country text,"
            " valid_from date, valid_until date) ON COMMIT DROP"
        )
        licensed = items.order_by().values_list("chip_id", "family_id").distinct()
        tied = [
            (item, number)
            for item in sorted(chip * 2 if chip else family * 2 + 1 for chip, family in licensed)
            for number in numbers
            if may_overlap(self.numbered_scopes[item], self.numbered_scopes[number], self.chips)
        ]
        least = [(number, self.material[number]) for number in numbers if number in self.material]
        copy_into("rule_tied", tied)
        copy_into("rule_material", least)
        columns = {
            "consignee": F("licence__consignee_id"), "end_user": F("licence__end_user_id"),
            "country": F("licence__destination_country"), "valid_from": F("licence__valid_from"),
            "valid_until": F("licence__valid_until"),
        }  # fmt: skip
        sql, given = items.order_by().values("chip_id", "family_id", **columns).query.sql_with_params()
        cursor.execute(_COVER.format(items=sql), [*given, *given])
        cursor.execute("CREATE INDEX ON rule_cover (scope, party)")
        cursor.execute("ANALYZE rule_cover")

    def _sums_told(self, cursor: CursorWrapper, numbers: Sequence[int]) -> tuple[VerdictSum, ...]:
        """The sums of a stretch of numbers."""
        parts: dict[int, list[VerdictPart]] = defaultdict(list)
        cursor.execute(_PARTS, numbers)
        for number, *part in cursor.fetchall():
            parts[number].append(VerdictPart(*part))
        units: dict[int, list[tuple[str, float | None]]] = defaultdict(list)
        cursor.execute(_UNITS, numbers)
        for number, unit, each in cursor.fetchall():
            units[number].append((unit, as_float(each)))
        cursor.execute(_SUMS, numbers)
        return tuple(
            VerdictSum(
                required=required, organization_id=party or None, country=place, scope=self.numbered_scopes[scope],
                quarter=(quarter(day) if day else "undated") if required else "", under=under, lines=lines, chips=chips,
                uncounted=uncounted, grade=grade, parties=parties, parts=tuple(parts[number]), shown=tuple(shown),
                units=tuple(units[number]),
            )
            for number, required, party, place, scope, day, under, lines, chips, uncounted, grade, parties, shown
            in cursor.fetchall()
        )  # fmt: skip

    def _verdict_books(self, sums: tuple[VerdictSum, ...]) -> Books:
        """Sums with the movements that they name, and what the rules say of those."""
        named = {pk for one in sums for pk in one.shown} | {
            part.movement for one in sums for part in one.parts
        }
        movements = self.movements(Q(id__any=sorted(named)))
        people = {one.organization_id for one in sums} | {
            pk for row in movements for pk in (row.consignee_id, row.end_user_id)
        }
        return Books(
            as_of=self.as_of, movements=movements, chips=self.chips, organizations=self.organizations(people),
            verdicts=self.judged(movements), verdict_sums=sums,
        )  # fmt: skip
