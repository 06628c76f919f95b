"""Judging shipments: one with every reason; and what becomes another for a whole ledger on another day or under other law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from tracker.chips.specs import tpp
from tracker.claims.combine import quantity
from tracker.core.errors import UnknownName
from tracker.core.period import Period
from tracker.core.quantity import Quantity, ReadingParameters, Reported
from tracker.judgement.bench import Bench, Line
from tracker.judgement.comparison import Comparison, Flip, Side, Sums, chip_flips, flip
from tracker.judgement.querysets import Scope, judged_ledger, known_table, party_book, scopes
from tracker.rules.licensing import Verdict
from tracker.rules.parameters import RuleBook
from tracker.rules.services import rulebook
from tracker.shipments.models import Shipment

# --- one shipment ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Explainer:
    """Judges single shipments of a ledger, as known at one instant."""

    bench: Bench
    scopes: Mapping[tuple[str, int], Scope]

    def verdict(self, shipment: Shipment, as_if: date | None = None) -> Verdict:
        """What the rules of its day, or of another, say of a shipment, with every reason."""
        return self.bench.verdict(self.line(shipment), as_if)

    def line(self, shipment: Shipment) -> Line:
        """A shipment as the rules see it."""
        key = ("chip", shipment.chip_id) if shipment.chip_id else ("family", shipment.family_id or 0)
        scope = self.scopes[key]
        first, last = shipment.shipped_on, shipment.shipped_on_latest or shipment.shipped_on
        return Line(
            chips=scope.chips,
            stand_in=scope.stand_in,
            shipped=Period.inclusive(first, last) if first else None,
            origin=shipment.origin_country,
            destination=shipment.destination_country,
            shipper_id=shipment.shipper_id,
            consignee_id=shipment.consignee_id,
            end_user_id=shipment.end_user_id,
        )


def explainer(rules: RuleBook | None = None, at: datetime | None = None) -> Explainer:
    """What judges single shipments under a rule book (default: the one that stood at ``at``), with the chips and parties of
    the ledger as known then."""
    rules = rules or rulebook(at)
    found, specs = scopes(at)
    return Explainer(Bench(rules, specs, party_book(rules, at)), found)


def explain(reference: str, *, at: datetime | None = None, as_if: date | None = None) -> Verdict:
    """What the rules of its day (or of another, ``as_if``) say of one shipment, with every reason.

    Raises UnknownName where no shipment has the reference.
    """
    shipment = Shipment.objects.known_at(at).filter(reference=reference).first()
    if shipment is None:
        raise UnknownName(f"there is no shipment {reference!r}")
    return explainer(at=at).verdict(shipment, as_if)


# --- what flips -----------------------------------------------------------------------------------------------------------

LARGEST = 50
"""Rows of a comparison by chip, consignee and destination; the rest is counted."""

_FLIPS = """
CREATE TEMPORARY TABLE flip ON COMMIT DROP AS
SELECT l.line_id, concat_ws(': ', o.decision, nullif(o.policy, '')) AS before,
  concat_ws(': ', n.decision, nullif(n.policy, '')) AS after
FROM before_line l JOIN before_case oc USING (case_id) JOIN before_verdict o USING (verdict_id)
JOIN after_line m USING (line_id) JOIN after_case nc ON nc.case_id = m.case_id
JOIN after_verdict n ON n.verdict_id = nc.verdict_id
WHERE (o.decision, o.policy) IS DISTINCT FROM (n.decision, n.policy)
"""

_READ = "s.quantity, s.bound, s.is_exact, s.unit, s.chips_per_unit, s.grade"

_SUMS = """
SELECT who, name, before, after, sum(lines), sum(uncounted), sum(bounds), sum(mu), sum(v) + sum(ss * ss), sum(tl),
  sum(vl) + sum(sl * sl), sum(th), sum(vh) + sum(sh * sh), count(*) OVER ()
FROM (
  SELECT {who} AS who, {name} AS name, f.before, f.after, s.source_id, count(*) AS lines,
    count(*) FILTER (WHERE r.mu IS NULL OR z.low IS NULL) AS uncounted, count(*) FILTER (WHERE s.bound <> '') AS bounds,
    coalesce(sum(r.mu), 0) AS mu, coalesce(sum(r.ss), 0) AS ss, coalesce(sum(r.sr * r.sr), 0) AS v,
    coalesce(sum(r.mu * z.low), 0) AS tl, coalesce(sum(r.ss * z.low), 0) AS sl,
    coalesce(sum(r.sr * r.sr * z.low * z.low), 0) AS vl,
    coalesce(sum(r.mu * z.high), 0) AS th, coalesce(sum(r.ss * z.high), 0) AS sh,
    coalesce(sum(r.sr * r.sr * z.high * z.high), 0) AS vh
  FROM flip f JOIN {lines} s ON s.id = f.line_id
  LEFT JOIN reading r ON (r.quantity, r.bound, r.is_exact, r.unit, coalesce(r.chips_per_unit, -1), r.grade)
    = (s.quantity, s.bound, s.is_exact, s.unit, coalesce(s.chips_per_unit, -1), s.grade)
  LEFT JOIN size z ON z.scope = coalesce(2 * s.chip_id, 2 * s.family_id + 1)
  {joins}
  GROUP BY 1, 2, 3, 4, 5
) parts GROUP BY who, name, before, after ORDER BY sum(th) DESC, sum(mu) DESC, who, before, after LIMIT {limit}
"""


def compare(
    before: RuleBook,
    after: RuleBook,
    sides: tuple[Side, Side],
    *,
    at: datetime | None = None,
    records: str = "real",
    reading: ReadingParameters,
) -> Comparison:
    """Judge a ledger under two rule books, or on two days, and tell what is another: chips, lines, quantities.

    ``reading``: the numbers by which quantities are read (a run's parameters have them).
    """
    with (
        judged_ledger("before", before, at=at, as_if=sides[0].day, records=records),
        judged_ledger("after", after, at=at, as_if=sides[1].day, records=records),
        connection.cursor() as cursor,
    ):
        cursor.execute(_FLIPS)
        cursor.execute("SELECT (SELECT count(*) FROM before_line), (SELECT count(*) FROM flip)")
        judged, changed = cursor.fetchone()
        _readings(cursor, at, reading)
        _sizes(cursor, at)
        rows = {what: _sums(cursor, at, what) for what in _WHO}
        cursor.execute("DROP TABLE flip, reading, size")
        specs = scopes(at)[1]
    largest = {what: rows[what][0][:LARGEST] for what in rows}
    return Comparison(
        before=sides[0],
        after=sides[1],
        before_digest=before.digest,
        after_digest=after.digest,
        as_known_at=at,
        records=records,
        judged=judged,
        changed=changed,
        chips=chip_flips(list(specs.values()), before, after, sides),
        by_decision=tuple(rows["by_decision"][0]),
        by_chip=tuple(largest["by_chip"]),
        by_consignee=tuple(largest["by_consignee"]),
        by_destination=tuple(largest["by_destination"]),
        left_off={
            what: count - len(largest[what]) for what, (_, count) in rows.items() if what != "by_decision"
        },
    )


def _readings(cursor: CursorWrapper, at: datetime | None, parameters: ReadingParameters) -> None:
    """Each distinct way in which a quantity of a flipped line is written, read once by the method of the reconciliation."""
    lines, given = known_table("tracker_shipment", at)
    cursor.execute(
        "CREATE TEMPORARY TABLE reading (quantity numeric, bound text, is_exact bool, unit text, chips_per_unit numeric,"
        " grade text, mu float8, ss float8, sr float8) ON COMMIT DROP"
    )
    cursor.execute(f"SELECT DISTINCT {_READ} FROM flip f JOIN {lines} s ON s.id = f.line_id", given)
    found = cursor.fetchall()
    with cursor.copy("COPY reading FROM STDIN") as copy:
        for row in found:
            read = quantity(_reported(*row), parameters)
            if isinstance(read, Quantity):
                copy.write_row((*row, read.mu, read.ss, read.sr))
    cursor.execute("ANALYZE reading")


def _reported(figure: Any, bound: str, exact: bool, unit: str, per_unit: Any, grade: str) -> Reported:
    value = float(figure)
    return Reported(
        low=value if bound == Shipment.Bound.FLOOR else None,
        best=value if not bound else None,
        high=value if bound == Shipment.Bound.CEILING else None,
        unit=unit,
        grade=grade,
        bound=bound,
        exact=exact,
        per_unit=None if per_unit is None else float(per_unit),
    )


def _sizes(cursor: CursorWrapper, at: datetime | None) -> None:
    """TPP of one unit of each chip and family: of the lightest and the heaviest member whose TPP is known."""
    cursor.execute("CREATE TEMPORARY TABLE size (scope bigint, low float8, high float8) ON COMMIT DROP")
    found, specs = scopes(at)
    with cursor.copy("COPY size FROM STDIN") as copy:
        for (kind, pk), scope in found.items():
            figures = [figure for chip in scope.chips if (figure := tpp(specs[chip]))]
            if figures:
                lowest = min(figure.low for figure in figures)
                highest = max(figure.low if figure.high is None else figure.high for figure in figures)
                copy.write_row((2 * pk + (kind == "family"), lowest, highest))
    cursor.execute("ANALYZE size")


_WHO = {
    "by_decision": ("''", "''", ""),
    "by_chip": (
        "coalesce(c.slug, y.slug)",
        "coalesce(c.name, y.name)",
        "LEFT JOIN {chips} c ON c.id = s.chip_id LEFT JOIN {families} y ON y.id = s.family_id",
    ),
    "by_consignee": (
        "coalesce(o.slug, '')",
        "coalesce(o.name, 'not recorded')",
        "LEFT JOIN {organizations} o ON o.id = s.consignee_id",
    ),
    "by_destination": ("s.destination_country", "s.destination_country", ""),
}
"""What each table of a comparison goes by: key, name and joins."""


def _sums(cursor: CursorWrapper, at: datetime | None, what: str) -> tuple[list[Flip], int]:
    """The rows of one table, the largest first, and how many there are in all."""
    who, name, joins = _WHO[what]
    given: list[Any] = []
    lines, more = known_table("tracker_shipment", at)
    given += more
    named = {}
    for key, table in (
        ("chips", "tracker_chip"), ("families", "tracker_chipfamily"), ("organizations", "tracker_organization"),
    ):  # fmt: skip
        if "{" + key + "}" in joins:
            named[key], more = known_table(table, at)
            given += more
    limit = "ALL" if what == "by_decision" else str(LARGEST)
    cursor.execute(
        _SUMS.format(who=who, name=name, lines=lines, joins=joins.format(**named), limit=limit), given
    )
    rows = cursor.fetchall()
    flips = [
        flip(who, name, one, other, Sums(*(int(n) for n in counts), *(float(n) for n in sums)))
        for who, name, one, other, *numbers, _ in rows
        for counts, sums in [(numbers[:3], numbers[3:])]
    ]
    return flips, rows[0][-1] if rows else 0
