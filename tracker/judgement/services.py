"""Judging shipments: one with every reason; and what becomes another for a whole ledger on another day or under other law."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from django.core.cache import cache
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError, OperationalError
from django.utils import timezone

from tracker.chips.specs import ChipSpec, tpp
from tracker.core.errors import BadInput, TrackerError, UnknownName
from tracker.core.period import DAY, Period
from tracker.core.quantity import Quantity, ReadingParameters, StandardReading
from tracker.core.services import settled_instant
from tracker.judgement.bench import Bench, Line
from tracker.judgement.classes import ClassBook
from tracker.judgement.comparison import FIRST_DAY, Comparison, Flip, Side, Sums, chip_flips, flip
from tracker.judgement.models import RuleComparison
from tracker.judgement.querysets import Scope, judged_ledger, known_table, party_book, scopes
from tracker.licences.account import Terms, Use, faults
from tracker.licences.models import LicenceItem
from tracker.organizations.models import Organization
from tracker.rules.classify import Classification, compared
from tracker.rules.licensing import CONSIGNEE, END_USER, HQ_SET, Party, Verdict, verdict
from tracker.rules.models import RuleDraft
from tracker.rules.parameters import RuleBook, RuleSet
from tracker.rules.question import Question, WrongFields
from tracker.rules.services import read_draft, rulebook, specs_of_chip
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import house, in_chips

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


def explainer(
    rules: RuleBook | None = None, at: datetime | None = None, of: Collection[int] | None = None
) -> Explainer:
    """What judges single shipments under a rule book (default: the one that stood at ``at``), with the chips and parties of
    the ledger as known then. ``of``: ids of the organizations in them, None for all there are."""
    rules = rules or rulebook(at)
    found, specs = scopes(at)
    return Explainer(Bench(ClassBook(rules), specs, party_book(rules, at, of)), found)


def explain(reference: str, *, at: datetime | None = None, as_if: date | None = None) -> Verdict:
    """What the rules of its day (or of another, ``as_if``) say of one shipment, with every reason.

    Raises UnknownName where no shipment has the reference.
    """
    shipment = Shipment.objects.known_at(at).filter(reference=reference).first()
    if shipment is None:
        raise UnknownName(f"there is no shipment {reference!r}")
    parties = [shipment.shipper_id, shipment.consignee_id, shipment.end_user_id]
    return explainer(at=at, of=[pk for pk in parties if pk]).verdict(shipment, as_if)


def parties(
    slugs: Iterable[str], on: date, at: datetime | None = None, rules: RuleBook | None = None
) -> dict[str, Party]:
    """Organizations (by slug) as the parties they were on a day, with owners, lists, approvals and open matches of screening;
    a slug that nothing answers to is left out. ``rules``: the rule book, where it is at hand."""
    ids = dict(Organization.objects.known_at(at).filter(slug__in=list(slugs)).values_list("slug", "id"))
    if not ids:
        return {}
    book = party_book(rules or rulebook(at), at, of=ids.values())
    return {slug: book.party(pk, END_USER, on) for slug, pk in ids.items()}


# --- questions ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LicenceAnswer:
    """Whether a licence of the ledger speaks of the shipment. ``faults``: in what it does not, of the item that comes nearest."""

    reference: str
    covers: bool
    faults: tuple[str, ...]
    authorised: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The answer to a question: class of the chip and verdict on the shipment, under the rules of its day."""

    question: Question
    on: date
    classification: Classification
    rules: RuleSet
    verdict: Verdict
    licence: LicenceAnswer | None
    remarks: tuple[str, ...]


def evaluate(question: Question, today: date, at: datetime | None = None) -> Evaluated:
    """Answer a question under the rules of the day it names, ``today`` unless it names one. Nothing is written.

    Organizations it names are the parties they were on that day; what the question says of one goes before that.

    Raises WrongFields where it names a chip, an organization or a licence that the ledger does not have.
    """
    on = question.on or today
    wrong: dict[str, str] = {}
    vendor = question.spec.vendor if question.spec else ""
    book = rulebook(at)
    known = parties({asked.organization for asked in question.parties} | {vendor} - {""}, on, at, book)
    for index, asked in enumerate(question.parties):
        if asked.organization and asked.organization not in known:
            wrong[f"parties.{index}.organization"] = (
                f"There is no organization {asked.organization!r}; the list of organizations finds them by name (search=)."
            )
    specs: Mapping[str, ChipSpec] = {}
    if question.spec is not None:
        hq = known[vendor].hq if vendor in known else ""
        specs = {"": replace(question.spec, vendor_hq=question.spec.vendor_hq or hq)}
    else:
        try:
            specs = specs_of_chip(question.chip, at)
        except UnknownName as error:
            wrong["chip"] = f"{str(error)[:1].upper()}{str(error)[1:]}."
    items = _licence_items(question.licence, at) if question.licence else []
    if question.licence and not items:
        wrong["licence"] = (
            f"There is no licence {question.licence!r} with items; the list of licences has all references."
        )
    if wrong:
        raise WrongFields(wrong)
    rules = book.on(on)
    found = compared(specs, rules)
    told = tuple(
        asked.completed(known[asked.organization]) if asked.organization else asked.party
        for asked in question.parties
    )
    remarks = []
    if vendor and vendor not in known:
        remarks.append(f"The ledger has no vendor {vendor!r}; letters name vendors by their slugs.")
    return Evaluated(
        question=question,
        on=on,
        classification=found,
        rules=rules,
        verdict=verdict(found, replace(question.case, parties=told), rules),
        licence=_licence_answer(question, items, on) if items else None,
        remarks=tuple(remarks),
    )


def _licence_items(reference: str, at: datetime | None) -> list[Terms]:
    """The items of a licence, in slugs."""
    fields = (
        "id", "chip__slug", "family_id", "quantity", "bound", "unit", "licence__consignee__slug", "licence__end_user__slug",
        "licence__destination_country", "licence__valid_from", "licence__valid_until",
    )  # fmt: skip
    rows = list(
        LicenceItem.objects.known_at(at).filter(licence__reference=reference).order_by("id").values(*fields)
    )
    known = scopes(at)[0] if rows else {}
    return [
        Terms(
            id=str(row["id"]),
            licence=reference,
            reference=reference,
            valid=Period(row["licence__valid_from"], row["licence__valid_until"]),
            authorised=None if row["bound"] == "floor" else float(row["quantity"]),
            unit=row["unit"],
            scopes=frozenset(
                {row["chip__slug"]} if row["chip__slug"] else known["family", row["family_id"]].chips
            ),
            consignee=row["licence__consignee__slug"],
            end_user=row["licence__end_user__slug"],
            country=row["licence__destination_country"],
        )
        for row in rows
    ]


def _licence_answer(question: Question, items: Sequence[Terms], on: date) -> LicenceAnswer:
    """By the item that speaks of the shipment, or the one that comes nearest to it."""
    by_role = {asked.party.role: asked.organization for asked in question.parties if asked.organization}
    use = Use(
        id="question",
        scope=question.chip,
        amount=Quantity(question.quantity or 0.0),
        shipped=Period(on, on + DAY),
        consignee=by_role.get(CONSIGNEE),
        end_user=by_role.get(END_USER),
        country=question.case.destination,
        licence=items[0].licence,
    )
    terms, found = min(((terms, faults(terms, use)) for terms in items), key=lambda pair: len(pair[1]))
    return LicenceAnswer(terms.reference, not found, found, terms.authorised, terms.unit)


# --- what rules catch -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Catch:
    """Lines of the ledger on whose decision a rule bears: how many, and how many chips where their units tell."""

    decision: str
    lines: int
    chips: float


CATCHES_KEPT_SECONDS = 600


def rule_catches(rule_id: str, seconds: int = 20) -> list[Catch]:
    """The real lines whose verdict rests on a rule, by decision, the most frequent first. They may be some minutes old.

    ``seconds``: how long any one statement may take.
    """
    found = cache.get("rule-catches")
    if found is None:
        found = _catches(seconds)
        cache.set("rule-catches", found, CATCHES_KEPT_SECONDS)
    return [Catch(*row) for row in found.get(rule_id, ())]


def _catches(seconds: int) -> dict[str, list[tuple[str, int, float]]]:
    read, given = _read(None, StandardReading())
    found: dict[str, list[tuple[str, int, float]]] = {}
    with (
        transaction.atomic(),
        connection.cursor() as cursor,
        _patience(cursor, seconds),
        judged_ledger("catch", rulebook()),
    ):
        cursor.execute(
            "SELECT rule, v.decision, count(*), coalesce(sum(r.chips), 0) FROM catch_line l JOIN catch_case USING (case_id)"
            " JOIN catch_verdict v USING (verdict_id) CROSS JOIN LATERAL unnest(v.rule_ids) rule"
            f" LEFT JOIN ({read}) r ON r.id = l.line_id GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
            given,
        )
        for rule, *row in cursor.fetchall():
            found.setdefault(rule, []).append((row[0], row[1], float(row[2])))
    return found


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

_SUMS = """
SELECT who, name, before, after, sum(lines), sum(uncounted), sum(bounds), sum(mu), sum(v) + sum(ss * ss), sum(tl),
  sum(vl) + sum(sl * sl), sum(th), sum(vh) + sum(sh * sh), count(*) OVER ()
FROM (
  SELECT {who} AS who, {name} AS name, f.before, f.after, r.house, count(*) AS lines,
    count(*) FILTER (WHERE r.chips IS NULL OR z.low IS NULL) AS uncounted, count(*) FILTER (WHERE s.bound <> '') AS bounds,
    coalesce(sum(r.chips), 0) AS mu, coalesce(sum(r.systematic), 0) AS ss, coalesce(sum(r.random), 0) AS v,
    coalesce(sum(r.chips * z.low), 0) AS tl, coalesce(sum(r.systematic * z.low), 0) AS sl,
    coalesce(sum(r.random * z.low * z.low), 0) AS vl,
    coalesce(sum(r.chips * z.high), 0) AS th, coalesce(sum(r.systematic * z.high), 0) AS sh,
    coalesce(sum(r.random * z.high * z.high), 0) AS vh
  FROM flip f JOIN {lines} s ON s.id = f.line_id LEFT JOIN ({read}) r ON r.id = f.line_id
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
        read = _read(at, reading or StandardReading())
        _sizes(cursor, at)
        rows = {what: _sums(cursor, at, what, read) for what in _WHO}
        cursor.execute("DROP TABLE flip, size")
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


def _read(at: datetime | None, reading: ReadingParameters) -> tuple[str, tuple[Any, ...]]:
    """SQL for the quantity of every line in chips, with its errors and the house that reports it."""
    lines = in_chips(Shipment.objects.known_at(at), reading).annotate(house=house()).order_by()
    return lines.values("id", "chips", "systematic", "random", "house").query.sql_with_params()


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


def _sums(
    cursor: CursorWrapper, at: datetime | None, what: str, read: tuple[str, Sequence[Any]]
) -> tuple[list[Flip], int]:
    """The rows of one table, the largest first, and how many there are in all."""
    who, name, joins = _WHO[what]
    given: list[Any] = []
    lines, more = known_table("tracker_shipment", at)
    given += [*more, *read[1]]
    named = {}
    for key, table in (
        ("chips", "tracker_chip"), ("families", "tracker_chipfamily"), ("organizations", "tracker_organization"),
    ):  # fmt: skip
        if "{" + key + "}" in joins:
            named[key], more = known_table(table, at)
            given += more
    limit = "ALL" if what == "by_decision" else str(LARGEST)
    cursor.execute(
        _SUMS.format(who=who, name=name, lines=lines, read=read[0], joins=joins.format(**named), limit=limit),
        given,
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
