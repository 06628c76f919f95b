"""The books that claims are held against, piece by piece: line by line where few lines are near, and else in bundles that the
database adds up (docs/method.md, section 4).

A piece holds the claims of one component with all lines near their areas, or several components whose lines are few. Nothing
grows with the ledger but what the database reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, QuerySet

from tracker.core.period import DAY, Period
from tracker.datacenters.models import DataCenter
from tracker.judgement.querysets import judged_ledger, known_table
from tracker.reconciliation import scopes
from tracker.reconciliation.asked import ELSEWHERE, SOMEBODY, SOMEWHERE, Asked, asked, stand_ins, together
from tracker.reconciliation.bias import FIRST_YEAR
from tracker.reconciliation.books import (
    Books,
    BundleRow,
    ClaimRow,
    LicenceRow,
    MovementRow,
    Scope,
)
from tracker.reconciliation.inventories import scope_number
from tracker.reconciliation.position import GONE
from tracker.reconciliation.sums.querysets import Sums
from tracker.reconciliation.touched import TouchedLine
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import house, read

SINGLE_LINES = 5000
"""Lines near the claims of one piece up to which they are read singly: a quarter of a second's reading and some ten megabytes."""
_JUDGED = "near"
"""Prefix of the tables that hold the verdicts on lines near claims."""


@dataclass(frozen=True, slots=True)
class _Component:
    """Claims that are held together, what they ask, and how many lines are near them at most."""

    claims: tuple[ClaimRow, ...]
    asked: Asked
    lines: int


@dataclass(frozen=True, slots=True)
class _Key:
    """One way for a line to be near: a column that holds one of some values, under a condition."""

    column: str
    values: frozenset[Any]
    condition: Q


@dataclass
class Bundles(Sums):
    """Books of claims. ``single_lines``: how many lines near the claims of a piece are read singly at most."""

    single_lines: int = SINGLE_LINES

    def _pieces_of_claim_subject(self, index: int, count: int) -> Iterator[Books]:
        """The books of the claims of one share, one piece after the other. What is found in them depends neither on the number
        of shares nor on which components a piece takes together."""
        packs: list[list[_Component]] = [[]]
        large: list[_Component] = []
        for one in self._components(index, count) if self.only is None else self._components_asked:
            if one.lines > self.single_lines:
                large.append(one)
            elif packs[-1] and sum(other.lines for other in packs[-1]) + one.lines > self.single_lines:
                packs.append([one])
            else:
                packs[-1].append(one)
        with self._judged(one.asked for pack in (*packs, large) for one in pack if one.lines):
            yield from (self._single(pack) for pack in packs if pack)
            yield from (self._bundled(one) for one in large)

    @contextmanager
    def _judged(self, each: Iterable[Asked]) -> Iterator[None]:
        """Verdicts on all lines near, in tables while the ``with`` block stands."""
        near = list(each)
        if not near:
            yield
            return
        only = _condition(self._near(near))
        with judged_ledger(_JUDGED, self.rules, at=self.at, records=self.parameters.records, only=only):
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE INDEX ON {_JUDGED}_line (line_id)")
            yield

    # --- which lines are near ---------------------------------------------------------------------------------------

    def _components(self, index: int, count: int) -> list[_Component]:
        """The components of one share, by the smallest of their claims."""
        mine = {pk: name for pk, name in self.claim_components.items() if name % count == index}
        claims = self.claims(Q(id__in=list(mine)))
        books = Books(
            as_of=self.as_of, claims=claims, chips=self.chips, sites=self.sites(c.site_id for c in claims),
            organizations=self.organizations(pk for c in claims for pk in (c.subject_id, c.counterparty_id)),
            closed=self.closed_books,
        )  # fmt: skip
        held: dict[int, list[ClaimRow]] = defaultdict(list)
        for claim in claims:
            held[mine[claim.ref.id]].append(claim)
        found = [(tuple(rows), asked(rows, books)) for _, rows in sorted(held.items())]
        counts = self._counts(together(one for _, one in found))
        return [_Component(rows, one, self._lines_near(one, counts)) for rows, one in found]

    @cached_property
    def _components_asked(self) -> list[_Component]:
        """Of all components those that have a changed line near, then or now."""
        assert self.only is not None  # it is narrowed
        lines = self.only.lines
        return [
            one for one in self._components(0, 1) if any(self._is_near(line, one.asked) for line in lines)
        ]

    @property
    def claims_asked(self) -> set[int]:
        """Ids of the claims that are held together with one that has a changed line near."""
        return {claim.ref.id for one in self._components_asked for claim in one.claims}

    def _is_near(self, line: TouchedLine, one: Asked) -> bool:
        """Whether a line may be near in one of the ways of :meth:`_keys`."""
        people = {line.shipper, line.consignee, line.end_user}
        return any(line.scope in self._overlapping[scope] for scope in one.scopes) and not (
            one.countries.isdisjoint({line.origin_country or line.origin_site_country})
            and one.countries.isdisjoint({line.destination_country or line.destination_site_country})
            and one.parties.isdisjoint({*people, line.destination_operator})
            and one.operators.isdisjoint(people)
            and one.sites.isdisjoint({line.origin, line.destination})
        )

    def _keys(self, one: Asked) -> tuple[_Key, ...]:
        """The ways in which lines are near: those in which ``position`` finds that they came in or went out, or may have."""
        here = frozenset(pk for country in one.countries for pk in self._sites_in.get(country, ()))
        operated = frozenset(pk for org in one.parties for pk in self._sites_of.get(org, ()))
        anyway, twice = Q(), Q(consignee_id=F("end_user_id"))
        unplaced, unsent = Q(destination_id=None), Q(origin_id=None)
        return (
            _Key("destination_country", one.countries, anyway),
            _Key("origin_country", one.countries, anyway),
            _Key("destination_id", here, Q(destination_country="")),
            _Key("origin_id", here, Q(origin_country="")),
            _Key("consignee_id", one.parties, anyway),
            _Key("end_user_id", one.parties, ~twice | Q(consignee_id=None)),
            _Key("shipper_id", one.parties, anyway),
            _Key("destination_id", one.sites | operated, anyway),
            _Key("origin_id", one.sites, anyway),
            _Key("consignee_id", one.operators, unplaced),
            _Key("end_user_id", one.operators, unplaced & (~twice | Q(consignee_id=None))),
            _Key("shipper_id", one.operators, unsent),
        )

    @cached_property
    def _known_sites(self) -> list[tuple[int, int | None, str]]:
        """Id, operator and country of every site."""
        return list(self.known(DataCenter).order_by("id").values_list("id", "operator_id", "country"))

    @cached_property
    def _sites_in(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for pk, _, country in self._known_sites:
            found[country].append(pk)
        return found

    @cached_property
    def _sites_of(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for pk, operator, _ in self._known_sites:
            if operator is not None:
                found[operator].append(pk)
        return found

    @cached_property
    def _overlapping(self) -> dict[Scope, frozenset[int]]:
        """The numbers of the scopes that may hold chips of each scope."""
        return {
            one: frozenset(
                number
                for number, other in self.numbered_scopes.items()
                if scopes.may_overlap(other, one, self.chips)
            )
            for one in self.numbered_scopes.values()
        }

    def _of_scopes(self, one: Asked) -> Q:
        numbers = {number for scope in one.scopes for number in self._overlapping[scope]}
        return Q(chip_id__in=sorted(n // 2 for n in numbers if n % 2 == 0)) | Q(
            family_id__in=sorted(n // 2 for n in numbers if n % 2)
        )

    @property
    def _moved(self) -> QuerySet:
        return self.known(Shipment).filter(self.of_world(), status__in=GONE)

    def _near(self, each: Iterable[Asked]) -> QuerySet:
        """The lines that may stand in a book that any of these ask for: near its area and of its chips."""
        alike: dict[frozenset[Scope], list[Asked]] = defaultdict(list)
        for one in each:
            alike[one.scopes].append(one)
        near = Q(pk__in=[])
        for some in alike.values():
            asked_alike = together(some)
            for key in self._keys(asked_alike):
                if key.values:
                    of = Q(**{f"{key.column}__in": sorted(key.values)})
                    near |= of & key.condition & self._of_scopes(asked_alike)
        return self._moved.filter(near)

    def _counts(self, one: Asked) -> list[dict[Any, dict[int, int]]]:
        """Of each way to be near: value -> number of scope -> how many lines. One statement for each way, whatever the number
        of components."""
        found = []
        for key in self._keys(one):
            counts: dict[Any, dict[int, int]] = defaultdict(dict)
            if key.values:
                lines = self._moved.filter(
                    key.condition, self._of_scopes(one), **{f"{key.column}__in": sorted(key.values)}
                )
                rows = lines.order_by().values_list(key.column, "chip_id", "family_id").annotate(Count("id"))
                for value, chip, family, lines_of in rows:
                    scope = self.scope(chip, family)
                    assert scope is not None  # the table holds every line to a chip or a family
                    counts[value][scope_number(scope)] = lines_of
            found.append(counts)
        return found

    def _lines_near(self, one: Asked, counts: Sequence[Mapping[Any, Mapping[int, int]]]) -> int:
        """How many lines are near, those that are so in two ways counted twice."""
        wanted = frozenset(number for scope in one.scopes for number in self._overlapping[scope])
        return sum(
            lines
            for key, by_value in zip(self._keys(one), counts, strict=True)
            for value in key.values
            for number, lines in by_value.get(value, {}).items()
            if number in wanted
        )

    # --- pieces -----------------------------------------------------------------------------------------------------

    @cached_property
    def _every_licence(self) -> tuple[LicenceRow, ...]:
        return self.licences()

    def _single(self, pack: Sequence[_Component]) -> Books:
        """Few lines: each as it was recorded."""
        near = self._near(one.asked for one in pack if one.lines)
        return self._piece(pack, self.movements(Q(id__in=near.values("id"))))

    def _piece(self, pack: Sequence[_Component], movements: tuple[MovementRow, ...]) -> Books:
        claims = tuple(sorted((row for part in pack for row in part.claims), key=lambda row: row.ref.id))
        parts = {site for one in pack for site in one.asked.sites}
        sites = self.sites({*parts, *(row.site_id for row in claims)})
        books = self._assembled(claims, movements, sites, licences=self._every_licence)
        return replace(books, verdicts=self.judged_in(_JUDGED, movements)) if movements else books

    def _bundled(self, component: _Component) -> Books:
        """Many lines: added up by all that the claims ask of them."""
        rows = self._rows(component.asked)
        largest: dict[int, MovementRow] = {}
        for some in _batches([row["largest"] for row in rows], SINGLE_LINES):
            largest |= {line.ref.id: line for line in self.movements(Q(id__any=some))}
        bundles = (_bundle(row, largest[row["largest"]], self.numbered_scopes[row["scope"]]) for row in rows)
        return self._piece([component], tuple(bundles))

    def _rows(self, one: Asked) -> list[dict[str, Any]]:
        """One row for each set of near lines that answer alike."""
        stands, at_site = stand_ins(self.numbered_scopes, one, self.chips), self._site_stand_ins(one)
        lines_read = read(self._near([one]), self.parameters).annotate(house=house())
        lines, given = lines_read.values(*_COLUMNS).query.sql_with_params()
        sites, at = known_table(DataCenter._meta.db_table, self.at)
        with connection.cursor() as cursor:
            cursor.execute(
                _BUNDLES.format(
                    lines=lines, sites=sites, judged=_JUDGED, somebody=SOMEBODY, somewhere=SOMEWHERE, elsewhere=ELSEWHERE,
                    alike=", ".join(_ALIKE), era=_ERA,
                ),
                [
                    sorted(one.parties | one.operators), sorted(one.parties | one.operators | one.sellers), sorted(one.sites),
                    sorted(one.countries | one.seats), [day + DAY for day in one.days],
                    2 * self.parameters.lead_time_days, bool(one.operators), *given, list(stands), list(stands.values()),
                    list(at_site), list(at_site.values()), *at, *at, FIRST_YEAR, self.parameters.bias_key_months,
                ],
            )  # fmt: skip
            columns = [column[0] for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def _site_stand_ins(self, one: Asked) -> dict[int, int]:
        """Destination -> the site that stands for it: areas and their parts for themselves; of the other sites of a party, of
        which it is asked only whose they are, the first that has a country and the first that has none."""
        found = {pk: pk for pk in one.sites}
        first: dict[tuple[int, bool], int] = {}
        for pk, operator, country in self._known_sites:
            if operator in one.parties and pk not in found:
                found[pk] = first.setdefault((operator, bool(country)), pk)
        return found


_COLUMNS = (
    "id", "chip_id", "family_id", "status", "kind", "bound", "unit", "chips_per_unit", "grade", "house", "chips", "systematic",
    "random", "shipped_on", "shipped_on_latest", "received_on", "received_on_latest", "shipper_id", "consignee_id",
    "end_user_id", "origin_country", "destination_country", "origin_id", "destination_id",
)  # fmt: skip
"""What is read of each line."""
_ALIKE = (
    "scope", "kind", "bound", "unit", "chips_per_unit", "grade", "house", "status", "presumed", "needs_none", "shipper",
    "consignee", "end_user", "origin", "destination", "origin_country", "destination_country",
)  # fmt: skip
"""What the lines of a bundle have in common beside the stretches in which they left and came."""
_ERA = "floor((extract(year FROM b.told) * 12 + extract(month FROM b.told) - 1 - 12 * %s) / %s)"
"""The stretch of months in which what a house says errs alike (``bias.key_of_line``)."""
# The days are those of position.dispatch_days and receipt_days. OFFSET 0 keeps the planner from working out the parts of a row
# again for each place that names them. The largest line is found by a maximum, since sorting the lines takes longest of all.
_BUNDLES = """
WITH asked AS NOT MATERIALIZED (
  SELECT %s::bigint[] AS parties, %s::bigint[] AS senders, %s::bigint[] AS sites, %s::text[] AS countries, %s::date[] AS starts,
    %s::int AS lead, %s AS placed
)
SELECT {alike}, count(*) AS lines, coalesce(sum(chips::numeric), 0)::float8 AS chips,
  coalesce(sum(systematic), 0) AS systematic, coalesce(sum(random), 0) AS random,
  (-(max(ARRAY[coalesce(chips, 0), -id]))[2])::bigint AS largest,
  min(left_first) AS left_first, max(left_last) AS left_last, min(came_first) AS came_first, max(came_last) AS came_last
FROM asked, (
  SELECT l.id, l.chips, l.systematic, l.random, c.stands AS scope, l.kind, l.bound, l.unit, l.chips_per_unit, l.grade, l.house,
    CASE WHEN l.status IN ('seized', 'in transit') THEN l.status ELSE 'received' END AS status,
    l.received_on IS NULL AND l.shipped_on IS NOT NULL AS presumed,
    coalesce(x.answer = 'not_required', false) AS needs_none,
    CASE WHEN l.shipper_id = ANY(a.senders) THEN l.shipper_id END AS shipper,
    CASE WHEN l.consignee_id = ANY(a.parties) THEN l.consignee_id END AS consignee,
    CASE WHEN l.end_user_id = ANY(a.parties) THEN l.end_user_id
      WHEN l.end_user_id IS NOT NULL AND l.consignee_id = ANY(a.parties) THEN {somebody} END AS end_user,
    CASE WHEN l.origin_id = ANY(a.sites) THEN l.origin_id
      WHEN l.origin_id IS NOT NULL AND a.placed THEN {somewhere} END AS origin,
    coalesce(p.stands, CASE WHEN l.destination_id IS NOT NULL AND a.placed THEN {somewhere} END) AS destination,
    CASE WHEN t.sent_from = ANY(a.countries) OR t.sent_from = '' THEN t.sent_from ELSE '{elsewhere}' END AS origin_country,
    CASE WHEN t.sent_to = ANY(a.countries) OR t.sent_to = '' THEN t.sent_to ELSE '{elsewhere}' END AS destination_country,
    t.left_first, t.left_last, coalesce(t.left_last, l.received_on) AS told, coalesce(l.received_on, t.left_first) AS came_first,
    CASE WHEN l.received_on IS NOT NULL THEN coalesce(l.received_on_latest, l.received_on)
      WHEN l.status <> 'in transit' THEN t.left_last + a.lead END AS came_last
  FROM asked a, ({lines}) l
  JOIN unnest(%s::bigint[], %s::bigint[]) AS c(scope, stands) ON c.scope = coalesce(2 * l.chip_id, 2 * l.family_id + 1)
  LEFT JOIN unnest(%s::bigint[], %s::bigint[]) AS p(site, stands) ON p.site = l.destination_id
  LEFT JOIN {sites} o ON o.id = l.origin_id
  LEFT JOIN {sites} d ON d.id = l.destination_id
  LEFT JOIN {judged}_line j ON j.line_id = l.id
  LEFT JOIN {judged}_case k ON k.case_id = j.case_id
  LEFT JOIN {judged}_verdict x ON x.verdict_id = k.verdict_id
  CROSS JOIN LATERAL (SELECT l.shipped_on AS left_first,
    CASE WHEN l.shipped_on IS NOT NULL THEN coalesce(l.shipped_on_latest, l.shipped_on) END AS left_last,
    coalesce(nullif(l.origin_country, ''), o.country, '') AS sent_from,
    coalesce(nullif(l.destination_country, ''), d.country, '') AS sent_to) t
  OFFSET 0
) b
GROUP BY {alike}, width_bucket(b.left_first, asked.starts), width_bucket(b.left_last, asked.starts),
  width_bucket(b.came_first, asked.starts), width_bucket(b.came_last, asked.starts), {era}
"""


def _bundle(row: Mapping[str, Any], largest: MovementRow, scope: Scope) -> BundleRow:
    told = {column.name: getattr(largest, column.name) for column in fields(MovementRow)}
    left, came = (_days(row[f"{way}_first"], row[f"{way}_last"]) for way in ("left", "came"))
    told |= {
        "scope": scope, "shipped": left, "received": None if row["presumed"] else came, "received_presumed": row["presumed"],
        "shipper_id": row["shipper"], "consignee_id": row["consignee"], "end_user_id": row["end_user"],
        "origin_site_id": row["origin"], "destination_site_id": row["destination"], "origin_country": row["origin_country"],
        "destination_country": row["destination_country"], "status": row["status"],
    }  # fmt: skip
    return BundleRow(
        **told, largest=largest, lines=row["lines"], chips=row["chips"], systematic=row["systematic"], random=row["random"]
    )  # fmt: skip


def _days(first: date | None, last: date | None) -> Period | None:
    return Period.inclusive(first, last) if first and last else None


def _condition(lines: QuerySet) -> tuple[str, list[Any]]:
    """The condition of a queryset of lines that joins no table, over the alias ``s`` of the rows of shipments."""
    sql, given = lines.query.get_compiler(connection=connection).compile(lines.query.where)
    return sql.replace(f'"{Shipment._meta.db_table}"', "s"), list(given)


def _batches(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
