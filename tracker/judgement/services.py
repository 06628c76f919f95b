"""Judging shipments: one with every reason; and what becomes another for a whole ledger on another day or under other law."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError, OperationalError
from django.utils import timezone

from tracker.chips.specs import tpp
from tracker.claims.combine import quantity
from tracker.core.errors import BadInput, TrackerError, UnknownName
from tracker.core.period import Period
from tracker.core.quantity import Quantity, ReadingParameters, Reported, StandardReading
from tracker.core.services import settled_instant
from tracker.judgement.bench import Bench, Line
from tracker.judgement.comparison import FIRST_DAY, Comparison, Flip, Side, Sums, chip_flips, flip
from tracker.judgement.models import RuleComparison
from tracker.judgement.querysets import Scope, judged_ledger, known_table, party_book, scopes
from tracker.rules.licensing import HQ_SET, Verdict
from tracker.rules.models import RuleDraft
from tracker.rules.parameters import RuleBook
from tracker.rules.services import read_draft, rulebook
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

SYNTHETIC = "synthetic"
"""How the slug of a chip begins that the generator made; among real records it is not told, and no other among SYNTHETIC ones."""

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
    reading: ReadingParameters | None = None,
    seconds: float | None = None,
) -> Comparison:
    """Judge a ledger under two rule books, or on two days, and tell what is another: chips, lines, quantities.

    ``reading``: the numbers by which quantities are read. ``seconds``: how long any one statement may take; for askers who
    wait.
    """
    with (
        transaction.atomic(),
        connection.cursor() as cursor,
        _patience(cursor, seconds),
        judged_ledger("before", before, at=at, as_if=sides[0].day, records=records),
        judged_ledger("after", after, at=at, as_if=sides[1].day, records=records),
    ):
        cursor.execute(_FLIPS)
        cursor.execute("SELECT (SELECT count(*) FROM before_line), (SELECT count(*) FROM flip)")
        judged, changed = cursor.fetchone()
        _readings(cursor, at, reading or StandardReading())
        _sizes(cursor, at)
        rows = {what: _sums(cursor, at, what) for what in _WHO}
        cursor.execute("DROP TABLE flip, reading, size")
        kinds = [
            spec
            for spec in scopes(at)[1].values()
            if spec.slug.startswith(SYNTHETIC) == (records == RuleComparison.Records.SYNTHETIC)
        ]
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
        chips=chip_flips(kinds, before, after, sides),
        by_decision=tuple(rows["by_decision"][0]),
        by_chip=tuple(largest["by_chip"]),
        by_consignee=tuple(largest["by_consignee"]),
        by_destination=tuple(largest["by_destination"]),
        left_off={
            what: count - len(largest[what]) for what, (_, count) in rows.items() if what != "by_decision"
        },
    )


@contextmanager
def _patience(cursor: CursorWrapper, seconds: float | None) -> Iterator[None]:
    if seconds is not None:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{seconds}s"])
    yield


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


# --- sides and stored comparisons -----------------------------------------------------------------------------------------

STANDING = "law"
"""How a side is named that is the rules that stand, on each line's own shipping date."""
DRAFT = "draft:"


@dataclass(frozen=True, slots=True)
class AskedSide:
    """A side as somebody names it: a day, ``law``, or ``draft:NAME``; a draft on one day as well, ``draft:NAME@2026-01-01``."""

    draft: str = ""
    day: date | None = None

    @classmethod
    def parse(cls, text: str) -> AskedSide:
        """Raises BadInput for what is none of the three."""
        name, _, day = text.partition("@")
        if not day and not name.startswith(DRAFT) and name != STANDING:
            name, day = STANDING, name
        try:
            on = date.fromisoformat(day) if day else None
        except ValueError:
            on = None
        draft = name.removeprefix(DRAFT) if name.startswith(DRAFT) else ""
        if (day and on is None) or (name != STANDING and not draft):
            raise BadInput(
                f"{text!r} is no side of a comparison; write a day like 2023-11-17, 'law', 'draft:NAME' or "
                "'draft:NAME@2026-01-01'"
            )
        return cls(draft, on)

    @property
    def label(self) -> str:
        name = f"{DRAFT}{self.draft}" if self.draft else STANDING
        return (
            name
            if self.day is None
            else f"{name}@{self.day.isoformat()}"
            if self.draft
            else self.day.isoformat()
        )


def compare_sides(
    before: AskedSide,
    after: AskedSide,
    *,
    at: datetime | None = None,
    records: str = "real",
    seconds: float | None = None,
    given: Mapping[str, str] | None = None,
) -> Comparison:
    """:func:`compare` for sides as somebody names them, with rules and drafts as known at ``at``.

    ``given``: drafts that are not kept in the ledger, in YAML by name; they go before those that are.

    Raises BadInput where the sides are one and the same, a draft cannot be read or there is no law to judge by, UnknownName
    where there is no such draft.
    """
    if before == after:
        raise BadInput("the two sides are the same, so nothing can flip; name two days, or a draft")
    book = _law(at)
    books = [_book_of(side, book, at, given) for side in (before, after)]
    sides = Side(before.label, before.day), Side(after.label, after.day)
    return compare(books[0], books[1], sides, at=at, records=records, seconds=seconds)


def _law(at: datetime | None) -> RuleBook:
    book = rulebook(at)
    if HQ_SET not in book.groups_on(FIRST_DAY).groups.keys() | {found.name for found in book.sets}:
        when = f" as known at {at.isoformat()}" if at else ""
        raise BadInput(
            f"there is no law to judge by{when}: no country set {HQ_SET!r} is recorded; load the rules first"
        )
    return book


def _book_of(
    side: AskedSide, book: RuleBook, at: datetime | None, given: Mapping[str, str] | None = None
) -> RuleBook:
    if not side.draft:
        return book
    if given and side.draft in given:
        return read_draft(given[side.draft], side.draft, book).book
    row = RuleDraft.objects.known_at(at).filter(slug=side.draft).first()
    if row is None:
        raise UnknownName(f"there is no draft of rules {side.draft!r}; the list of drafts has all names")
    return read_draft(row.document, f"draft {row.slug}", book).book


def request_comparison(
    before: AskedSide, after: AskedSide, requested_by: str, records: str = "real"
) -> RuleComparison:
    """Write a comparison down; carrying it out is the caller's to queue.

    Raises BadInput and UnknownName as :func:`compare_sides` does.
    """
    if before == after:
        raise BadInput("the two sides are the same, so nothing can flip; name two days, or a draft")
    at = settled_instant()
    book, drafts = _law(at), {}
    for side in (before, after):
        if side.draft:
            _book_of(side, book, at)
            drafts[side.draft] = RuleDraft.objects.get(slug=side.draft)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [COMPARISON_LOCK])
        day = f"{at:%Y-%m-%d}"
        count = RuleComparison.objects.filter(key__startswith=f"{day}-").count()
        return RuleComparison.objects.create(
            key=f"{day}-{count + 1}",
            before_draft=drafts.get(before.draft),
            after_draft=drafts.get(after.draft),
            before_day=before.day,
            after_day=after.day,
            records=records,
            as_known_at=at,
            requested_by=requested_by,
        )


COMPARISON_LOCK = (
    7204  # first key of the advisory locks that number comparisons and hold one that is carried out
)


def sides_of(row: RuleComparison) -> tuple[AskedSide, AskedSide]:
    return (
        AskedSide(row.before_draft.slug if row.before_draft else "", row.before_day),
        AskedSide(row.after_draft.slug if row.after_draft else "", row.after_day),
    )


def run_comparison(pk: int) -> str:
    """Carry a comparison out; returns finished, failed, or over where it was done already or somebody is at it. May run twice:
    the lock dies with its holder, and a finished comparison is not touched again."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [COMPARISON_LOCK, pk])
                held = cursor.fetchone()[0]
            row = RuleComparison.objects.select_related("before_draft", "after_draft").get(pk=pk)
            if not held or row.status == RuleComparison.Status.FINISHED:
                return "over"
            before, after = sides_of(row)
            found = compare_sides(before, after, at=row.as_known_at, records=row.records)
            row.result = orjson.loads(orjson.dumps(found.as_dict()))
            row.status, row.finished_at, row.error = RuleComparison.Status.FINISHED, timezone.now(), ""
            row.save()
            return "finished"
    except TrackerError as error:
        _end_in_failure(pk, str(error))
        return "failed"
    except (OperationalError, InterfaceError):
        raise  # the database went away: it is still to be done, and whoever looks for lost work finds it
    except Exception as error:
        _end_in_failure(pk, f"It broke off ({type(error).__name__}); the log of the worker says where.")
        raise


def _end_in_failure(pk: int, words: str) -> None:
    RuleComparison.objects.filter(pk=pk).update(
        status=RuleComparison.Status.FAILED, finished_at=timezone.now(), error=words
    )


def waiting_comparisons(asked_before: datetime) -> list[int]:
    """Comparisons asked for before an instant and neither finished nor failed; one may be under way. What waited for more than
    :data:`PATIENCE` before that instant is given up: it may be what kills the workers."""
    waiting = RuleComparison.objects.filter(status=RuleComparison.Status.QUEUED, created_at__lt=asked_before)
    waiting.filter(created_at__lt=asked_before - PATIENCE).update(
        status=RuleComparison.Status.FAILED,
        finished_at=timezone.now(),
        error="No worker carried it out in time; ask again when workers run.",
    )
    return list(waiting.order_by("pk").values_list("pk", flat=True))


PATIENCE = timedelta(hours=6)
"""How long a comparison may wait for a worker that carries it out."""


def kept_comparison(pk: int) -> Comparison | None:
    """What a stored comparison found; None until it is finished."""
    row = RuleComparison.objects.filter(pk=pk, status=RuleComparison.Status.FINISHED).first()
    return Comparison.from_dict(row.result) if row else None
