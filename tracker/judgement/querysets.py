"""Reading what judging needs: the parties with their dated records, the chips behind chips and families; and the whole ledger
judged by its distinct cases.

A whole ledger is judged in the database. Small tables of signatures (``judgement.cases``) are worked out for the chips,
countries and parties there are, joined to the lines in one statement that gives each line the number of its case, and each
distinct case is judged once. No loop runs over lines; what grows with the ledger is SQL.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, partial
from math import prod
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tracker.chips.models import ChipFamily, ChipFamilyMember
from tracker.chips.services import specs_known_at
from tracker.chips.specs import ChipSpec
from tracker.core.copying.services import copy_into
from tracker.core.countries import COUNTRIES
from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.core.querysets import rows_known_at
from tracker.judgement.bench import said, undated_verdict
from tracker.judgement.cases import EXPORTER_ROLES, MOVEMENTS, CaseBook, CaseKey, over
from tracker.judgement.parties import NOBODY, Body, ListingRow, PartyBook, Profile, affiliates_rule
from tracker.organizations.models import ListEntry, Organization, OwnershipStake
from tracker.organizations.ownership import Stake, tied
from tracker.rules.licensing import Listing, Verdict
from tracker.rules.parameters import RuleBook
from tracker.screening.querysets import open_matches

MAKERS = {
    Organization.Role.FOUNDRY.value: "front_end_fabricator",
    Organization.Role.OSAT.value: "osat",
}
"""Organizations that make chips for others, by role, and what the regulations call them as exporters."""


def party_book(rules: RuleBook, at: datetime | None = None, of: Collection[int] | None = None) -> PartyBook:
    """Parties with their dated records and open matches of screening, as known at an instant (None: as they stand). Four
    queries.

    ``of``: ids of the organizations that will be asked about, None for all. Whoever a dated record names is read in any case,
    since it may stand above one of them.
    """
    held, rows, matches = stakes(at), listings(at), open_matches(at)
    organizations = Organization.objects.known_at(at)
    if of is not None:
        tied = {int(i) for stake in held for i in (stake.owner, stake.owned)}
        tied |= {row.organization_id for row in rows} | matches.keys()
        organizations = organizations.filter(id__in=sorted(tied | set(of)))
    fields = ("id", "name", "country", "is_aggregate", "roles")
    bodies = {
        pk: Body(pk, name, country, aggregate, next((MAKERS[role] for role in roles if role in MAKERS), ""))
        for pk, name, country, aggregate, roles in organizations.order_by("id").values_list(*fields)
    }
    return PartyBook(bodies, held, rows, matches, affiliates_rule(rules))


def stakes(at: datetime | None = None) -> tuple[Stake, ...]:
    fields = ("owner_id", "owned_id", "share_percent", "valid_from", "valid_until")
    rows = OwnershipStake.objects.known_at(at).order_by("id").values_list(*fields)
    return tuple(
        # A stake is recorded without a share where a source names the owner as parent and says no more.
        Stake(
            owner, owned, None if share is None else float(share), Period(start, end), is_parent=share is None
        )
        for owner, owned, share, start, end in rows
    )


@lru_cache(maxsize=4)
def stakes_known_at(at: datetime) -> tuple[Stake, ...]:
    """All stakes. What was known at a settled instant never changes, so a process reads it once."""
    return stakes(at)


def stakes_near(at: datetime, of: Collection[int]) -> tuple[Stake, ...]:
    """The stakes that tie one of these organizations to others, through any number of them."""
    near = {id(circle): circle for pk in of if (circle := _circles(at).get(pk))}
    return tuple(stake for circle in near.values() for stake in circle)


@lru_cache(maxsize=4)
def _circles(at: datetime) -> dict[int, list[Stake]]:
    """Organization -> all stakes of those that any stakes tie to it."""
    return {
        int(pk): circle
        for circle in tied(stakes_known_at(at))
        for stake in circle
        for pk in (stake.owner, stake.owned)
    }


def listings(at: datetime | None = None) -> tuple[ListingRow, ...]:
    fields = ("organization_id", "list_name", "citation", "footnote", "listed_on", "removed_on", "effect")
    rows = ListEntry.objects.known_at(at).order_by("id").values_list(*fields)
    return tuple(
        ListingRow(
            organization,
            Period(start, end),
            Listing(name, citation, footnote),
            approves=effect == ListEntry.Effect.APPROVED,
        )
        for organization, name, citation, footnote, start, end, effect in rows
    )


@dataclass(frozen=True, slots=True)
class Scope:
    """What a line may consist of: one chip, or the members of a family; none: ``stand_in`` says what is known."""

    chips: tuple[str, ...]
    stand_in: ChipSpec


def scopes(at: datetime | None = None) -> tuple[dict[tuple[str, int], Scope], dict[str, ChipSpec]]:
    """(``chip`` or ``family``, id) -> scope; and the preferred specification of every chip by slug. Four queries."""
    specs = {pk: next(iter(found.values())) for pk, found in specs_known_at(at).items()}
    found = {("chip", pk): Scope((spec.slug,), spec) for pk, spec in specs.items()}
    members: dict[int, list[int]] = defaultdict(list)
    for family, chip in ChipFamilyMember.objects.known_at(at).values_list("family_id", "chip_id"):
        members[family].append(chip)
    fields = ("id", "slug", "vendor__slug", "vendor__country")
    for pk, slug, vendor, country in ChipFamily.objects.known_at(at).order_by("id").values_list(*fields):
        chips = tuple(specs[chip].slug for chip in sorted(members[pk]) if chip in specs)
        found["family", pk] = Scope(chips, ChipSpec(slug=slug, vendor=vendor or "", vendor_hq=country or ""))
    return found, {spec.slug: spec for spec in specs.values()}


# --- a whole ledger -------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[a-z][a-z_]{0,20}")
NOT_MEANT = ("returned", "cancelled")
"""Statuses of lines that are not judged: what they say is no longer meant to happen."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged ledger, in temporary tables that stand while the ``with`` block does.

    ``NAME_line (line_id, case_id)``: every judged line; ``NAME_case (case_id, verdict_id)``: every distinct case;
    ``NAME_verdict (verdict_id, answer, decision, result, policy, level, rule_ids, missing)``. ``cases``: how many distinct
    cases were judged; ``verdicts``: how many different answers came of them.
    """

    name: str
    cases: int
    verdicts: int


@contextmanager
def judged_ledger(
    name: str,
    rules: RuleBook,
    *,
    at: datetime | None = None,
    as_if: date | None = None,
    records: str = "real",
    only: tuple[str, Sequence[Any]] | None = None,
) -> Iterator[Judged]:
    """Judge every line of the ledger under ``rules``, on its shipping date or ``as_if`` all had left on one day.

    One transaction. ``name``: prefix of the temporary tables; two judgements may stand side by side under two. ``at``: the
    ledger as known at an instant. ``records``: ``real`` or ``synthetic``; the two are never mixed. ``only``: a condition on
    the lines ``s`` that are judged, in SQL with its parameters; all are, if not given.

    Raises BadInput for a prefix that is no name, or other records.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be a prefix of tables; use small letters")
    if records not in ("real", "synthetic"):
        raise BadInput(f"records are 'real' or 'synthetic', not {records!r}")
    with transaction.atomic(), connection.cursor() as cursor:
        # Everybody of whom no dated record speaks is told by the country alone, in SQL. What judged is let go before the block.
        yield _Judging(
            cursor,
            name,
            CaseBook(rules),
            party_book(rules, at, of=()),
            at,
            as_if,
            records == "synthetic",
            only,
        ).judge()
        cursor.execute("DROP TABLE " + ", ".join(f"{name}_{table}" for table in _TABLES))


def answers_in(name: str, lines: Sequence[int]) -> tuple[dict[int, int], dict[int, tuple[Any, ...]]]:
    """Of a judged ledger under this prefix: the number of the verdict on each of some lines, and of each of those verdicts its
    answer, decision, result, policy, level, rule ids and missing facts."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT line_id, verdict_id FROM {name}_line JOIN {name}_case USING (case_id) WHERE line_id = ANY(%s)",
            [list(lines)],
        )
        numbers = dict(cursor.fetchall())
        cursor.execute(
            "SELECT verdict_id, answer, decision, result, policy, level, rule_ids, missing"
            f" FROM {name}_verdict WHERE verdict_id = ANY(%s)",
            [sorted(set(numbers.values()))],
        )
        return numbers, {number: tuple(told) for number, *told in cursor.fetchall()}


_TABLES = {
    "line": "line_id bigint NOT NULL, case_id bigint NOT NULL",
    "case": "case_id bigint NOT NULL, verdict_id int NOT NULL",
    "verdict": "verdict_id int NOT NULL, answer text, decision text, result text, policy text, level text, rule_ids text[],"
    " missing text[]",
    "chip": "scope bigint NOT NULL, law int NOT NULL, sig bigint NOT NULL",
    "place": "country text NOT NULL, law int NOT NULL, sig bigint NOT NULL",
    "seat": "country text NOT NULL, first date NOT NULL, until date NOT NULL, sig bigint NOT NULL",
    "party": "id bigint NOT NULL, first date NOT NULL, until date NOT NULL, sig bigint NOT NULL",
    "exporter": "id bigint NOT NULL, role bigint NOT NULL",
    "moment": "line_id bigint NOT NULL, day date NOT NULL, case_id bigint NOT NULL",
    "run": "line_id bigint NOT NULL, run int[] NOT NULL",
    "runs": "case_id bigint NOT NULL, run int[] NOT NULL",
}


class _Judging:
    """One judging of one ledger: tables of signatures, one statement over the lines, distinct cases judged once."""

    def __init__(
        self,
        cursor: CursorWrapper,
        name: str,
        book: CaseBook,
        parties: PartyBook,
        at: datetime | None,
        as_if: date | None,
        synthetic: bool,
        only: tuple[str, Sequence[Any]] | None = None,
    ) -> None:
        self.cursor, self.name, self.book, self.parties, self.as_if = cursor, name, book, parties, as_if
        self.lines, self.given_table = known_table("tracker_shipment", at)
        self.organizations, self.given_organizations = known_table("tracker_organization", at)
        self.at = at
        self.condition = "s.is_synthetic = %s AND s.status <> ALL(%s)"
        self.given_condition: list[Any] = [synthetic, list(NOT_MEANT)]
        if only is not None:
            self.condition += f" AND ({only[0]})"
            self.given_condition += only[1]
        self.given = [*self.given_table, *self.given_condition]
        self.verdicts: dict[Hashable, tuple[int, Verdict]] = {}

    def judge(self) -> Judged:
        self._sql(
            "SET LOCAL work_mem = '128MB'"
        )  # the joins below are hash joins; on disk they take several times as long
        self._create()
        if (span := self._span()) is not None:
            self._chips(span)
            self._places(span)
            self._parties(span)
            self._exporters()
            self._single_lines()
            self._vague_lines()
        keys = [
            key
            for (key,) in self._sql(
                f"SELECT case_id FROM {self.name}_line UNION SELECT case_id FROM {self.name}_moment"
            )
        ]
        cases = {key: self._number(self.book.verdict(self._decoded(key))) for key in sorted(keys)}
        self._copy("case", cases.items())
        self._combine_vague()
        self._undated_lines()
        self._copy(
            "verdict",
            (
                (n, v.answer, v.decision, v.result, v.policy, v.level, list(v.rule_ids), list(v.missing))
                for n, v in self.verdicts.values()
            ),
        )
        self._sql(f"ANALYZE {self.name}_line")
        return Judged(self.name, len(cases), len(self.verdicts))

    def _sql(self, sql: str, given: Sequence[Any] = ()) -> list[Any]:
        self.cursor.execute(sql, given)
        return self.cursor.fetchall() if self.cursor.description else []

    def _copy(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        copy_into(f"{self.name}_{table}", rows)
        self._sql(f"ANALYZE {self.name}_{table}")

    def _number(self, verdict: Verdict) -> int:
        """The number of a verdict; verdicts that come to the same under the same rules, for want of the same facts, share one."""
        content = (*said(verdict), verdict.rule_ids, verdict.missing)
        return self.verdicts.setdefault(content, (len(self.verdicts), verdict))[0]

    def _create(self) -> None:
        for table, columns in _TABLES.items():
            self._sql(f"CREATE TEMPORARY TABLE {self.name}_{table} ({columns}) ON COMMIT DROP")

    # --- signatures -----------------------------------------------------------------------------------------------------

    def _span(self) -> range | None:
        """The stretches of law in which lines of the ledger left; None where no line has a day."""
        if self.as_if is not None:
            return range(self.book.law_of(self.as_if), self.book.law_of(self.as_if) + 1)
        ((first, last),) = self._sql(
            f"SELECT min(s.shipped_on), max(greatest(s.shipped_on, s.shipped_on_latest)) FROM {self.lines} s"
            f" WHERE {self.condition}",
            self.given,
        )
        return range(self.book.law_of(first), self.book.law_of(last) + 1) if first else None

    def _chips(self, span: range) -> None:
        found, specs = scopes(self.at)
        written = self._sql(
            "SELECT DISTINCT coalesce(2 * s.chip_id, 2 * s.family_id + 1)"
            f" FROM {self.lines} s WHERE {self.condition}",
            self.given,
        )
        moved = {number for (number,) in written}
        members = {
            number: [specs[chip] for chip in scope.chips] or [scope.stand_in]
            for (kind, pk), scope in found.items()
            if (number := 2 * pk + (kind == "family")) in moved
        }
        self._copy("chip", ((key, law, self.book.chip(m, law)) for key, m in members.items() for law in span))

    def _places(self, span: range) -> None:
        written = self._sql(
            f"SELECT DISTINCT s.destination_country FROM {self.lines} s WHERE {self.condition}", self.given
        )
        countries = sorted({*COUNTRIES, "", *(country for (country,) in written)})
        self._copy("place", ((c, law, self.book.place(c, law)) for c in countries for law in span))

    def _parties(self, span: range) -> None:
        """Whoever has no dated record of its own is told by its country and joined in SQL; the others one by one."""
        written = self._sql(
            f"SELECT DISTINCT o.country FROM {self.organizations} o", self.given_organizations
        )
        seats = sorted({*COUNTRIES, "", *(country for (country,) in written)})
        self.nobody = {self.book.party(NOBODY, law) for law in span}
        dated = sorted(self.parties.dated & self.parties.bodies.keys())
        told = {
            pk: self._told(partial(self.parties.profile, pk), span, self.parties.days(pk)) for pk in dated
        }
        seated = {c: self._told(partial(_seated, c), span, ()) for c in seats}
        self.turns = sorted({first for found in (*told.values(), *seated.values()) for first, _, _ in found})
        self._copy("seat", ((country, *row) for country, found in seated.items() for row in found))
        self._copy("party", ((pk, *row) for pk, found in told.items() for row in found))
        self._sql(
            f"INSERT INTO {self.name}_party SELECT o.id, c.first, c.until, c.sig FROM {self.organizations} o"
            f" JOIN {self.name}_seat c ON c.country = o.country"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self.name}_party p WHERE p.id = o.id)",
            self.given_organizations,
        )
        self._sql(f"ANALYZE {self.name}_party")

    def _told(
        self, profile: Callable[[date], Profile], span: range, days: Sequence[date]
    ) -> list[tuple[date, date, int]]:
        """The stretches ``[first, until)`` over which a party keeps one signature. Each facet of the law is asked, so that
        every signature has a representative under it."""
        laws, first = self.book.laws, self.book.days[span.start]
        turns = [i for i in span if i == span.start or laws[i].party != laws[i - 1].party]
        starts = {laws[i].first for i in turns} | {
            d for d in days if first < d and self.book.law_of(d) < span.stop
        }
        found: list[tuple[date, date, int]] = []
        ordered = sorted(starts)
        for first, until in zip(ordered, [*ordered[1:], date.max], strict=True):
            number = self.book.party(profile(first), self.book.law_of(first))
            if found and found[-1][2] == number:
                found[-1] = (found[-1][0], until, number)
            else:
                found.append((first, until, number))
        return found

    def _exporters(self) -> None:
        makers = {role: EXPORTER_ROLES.index(name) for role, name in MAKERS.items()}
        which = " ".join(f"WHEN %s = ANY(o.roles) THEN {number}" for number in makers.values())
        self._sql(
            f"INSERT INTO {self.name}_exporter SELECT o.id, CASE {which} END FROM {self.organizations} o"
            " WHERE o.roles && %s::varchar[]",
            [*makers, *self.given_organizations, list(makers)],
        )
        self._sql(f"ANALYZE {self.name}_exporter")

    # --- lines ----------------------------------------------------------------------------------------------------------

    @property
    def _radices(self) -> tuple[int, ...]:
        """How many numbers each part of a case may take, in the order of :class:`CaseKey` without the law."""
        book = self.book
        parties = len(book.parties)
        found = (len(book.chips), len(book.places), len(MOVEMENTS), len(EXPORTER_ROLES), parties, parties)
        if len(book.days) * prod(found) >= 2**63:
            raise BadInput(
                "this ledger has more combinations of chips, places and parties than a case can number"
            )
        return found

    def _decoded(self, key: int) -> CaseKey:
        parts = []
        for radix in reversed(self._radices):
            key, part = divmod(key, radix)
            parts.append(part)
        return CaseKey(key, *reversed(parts))

    def _keyed(self, lines: str) -> str:
        """SQL that gives each row of ``lines`` (id, day, law, scope, origin, destination, shipper, consignee, end_user) the
        number of its case."""
        chips, places, movements, exporters, parties, _ = self._radices
        (nobody,) = self.nobody
        movement = (
            "CASE WHEN l.destination = '' THEN 0 WHEN l.destination = 'US' THEN 2 - (l.origin = 'US')::int"
            " WHEN l.origin = l.destination THEN 3 ELSE 5 - (l.origin = 'US')::int END"
        )
        return (
            f"SELECT l.id, l.day, (((((l.law::bigint * {chips} + c.sig) * {places} + p.sig) * {movements} + {movement})"
            f" * {exporters} + coalesce(x.role, 0)) * {parties} + coalesce(a.sig, {nobody})) * {parties}"
            f" + coalesce(b.sig, {nobody}) AS case_id FROM ({lines}) l"
            f" JOIN {self.name}_chip c ON c.scope = l.scope AND c.law = l.law"
            f" JOIN {self.name}_place p ON p.country = l.destination AND p.law = l.law"
            f" LEFT JOIN {self.name}_exporter x ON x.id = l.shipper"
            f" LEFT JOIN {self.name}_party a ON a.id = l.consignee AND a.first <= l.day AND l.day < a.until"
            f" LEFT JOIN {self.name}_party b ON b.id = l.end_user AND b.first <= l.day AND l.day < b.until"
        )

    def _columns(self, day: str) -> str:
        # OFFSET 0 keeps the planner from working the law out again in every join
        return (
            f"SELECT s.id, {day} AS day, width_bucket({day}, %s::date[]) AS law,"
            " coalesce(2 * s.chip_id, 2 * s.family_id + 1) AS scope, s.origin_country AS origin,"
            " s.destination_country AS destination, s.shipper_id AS shipper, s.consignee_id AS consignee,"
            " s.end_user_id AS end_user"
        )

    def _single_lines(self) -> None:
        """Lines that left on one day, or all of them ``as_if`` on one."""
        if self.as_if is not None:
            day, which = f"DATE '{self.as_if.isoformat()}'", ""
        else:
            day = "s.shipped_on"
            which = " AND s.shipped_on IS NOT NULL AND (s.shipped_on_latest IS NULL OR s.shipped_on_latest = s.shipped_on)"
        lines = f"{self._columns(day)} FROM {self.lines} s WHERE {self.condition}{which} OFFSET 0"
        self._sql(
            f"INSERT INTO {self.name}_line SELECT id, case_id FROM ({self._keyed(lines)}) k",
            [self._law_days, *self.given],
        )

    def _vague_lines(self) -> None:
        """Lines that left within a range: a row for its first day and each later one on which law or parties change."""
        if self.as_if is not None:
            return
        days = sorted({*self._law_days, *self.turns})
        lines = (
            f"{self._columns('m.day')} FROM {self.lines} s CROSS JOIN LATERAL (SELECT s.shipped_on AS day UNION ALL"
            " SELECT d FROM unnest(%s::date[]) d WHERE d > s.shipped_on AND d <= s.shipped_on_latest) m"
            f" WHERE {self.condition} AND s.shipped_on_latest > s.shipped_on OFFSET 0"
        )
        # the parameters stand in the order in which the statement names them: the law, the table, the days, the condition
        self._sql(
            f"INSERT INTO {self.name}_moment SELECT id, day, case_id FROM ({self._keyed(lines)}) k",
            [self._law_days, *self.given_table, days, *self.given_condition],
        )

    @property
    def _law_days(self) -> list[date]:
        return list(self.book.days[1:])

    def _combine_vague(self) -> None:
        """One case for each distinct run of verdicts that lines of vague date go through; its number is below zero."""
        self._sql(
            f"INSERT INTO {self.name}_run SELECT m.line_id,"
            f" array_agg(c.verdict_id ORDER BY m.day) AS run FROM {self.name}_moment m JOIN {self.name}_case c"
            " USING (case_id) GROUP BY m.line_id"
        )
        verdicts = dict(self.verdicts.values())
        runs = [run for (run,) in self._sql(f"SELECT DISTINCT run FROM {self.name}_run")]
        made = [
            (-1 - i, run, self._number(over([verdicts[n] for n in run])))
            for i, run in enumerate(sorted(runs))
        ]
        self._copy("runs", ((number, run) for number, run, _ in made))
        self._copy("case", ((number, verdict) for number, _, verdict in made))
        self._sql(
            f"INSERT INTO {self.name}_line SELECT r.line_id, k.case_id FROM {self.name}_run r"
            f" JOIN {self.name}_runs k ON k.run = r.run"
        )

    def _undated_lines(self) -> None:
        if self.as_if is not None:
            return
        number = -1 - 2**62
        self._copy("case", [(number, self._number(undated_verdict()))])
        self._sql(
            f"INSERT INTO {self.name}_line SELECT s.id, %s FROM {self.lines} s WHERE {self.condition}"
            " AND s.shipped_on IS NULL",
            [number, *self.given],
        )


def known_table(name: str, at: datetime | None) -> tuple[str, list[Any]]:
    """SQL and parameters for a table as known at an instant; the table itself for None."""
    return (f'"{name}"', []) if at is None else rows_known_at(name, at)


def _seated(country: str, day: date) -> Profile:
    """What is known of a party of which only the country is."""
    return Profile(hq=country)
