"""Reading the ledger as columns: shipment lines by binary COPY, and the places that their keys lie in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import numpy as np
from django.db import DatabaseError, connection
from psycopg import ClientCursor
from psycopg import Error as PostgresError
from psycopg.pq import ExecStatus

from tracker.balances.books import CELL, Columns, Groups, Places, country_code, membership, none, taken
from tracker.balances.reading import EPOCH, LINE, Array, first_day, months
from tracker.chips.models import Chip, ChipFamily
from tracker.core.columns import HEADER, TRAILER, Column, layout, unpacked
from tracker.core.quantity import AS_CHIPS, CARRIERS, DEFAULT_FITS
from tracker.core.querysets import rows_known_at, superseded_known_at
from tracker.datacenters.models import DataCenter
from tracker.organizations.models import Organization
from tracker.organizations.ownership import Stake, stakes_above, tied, tops
from tracker.shipments.models import Shipment

CHUNK = 50_000
"""Lines turned into columns at once: what bounds the bytes held between the socket and the arrays."""


def _texts(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


_PER_UNIT = (
    f"CASE WHEN unit = 'chips' THEN 1 WHEN unit IN ({_texts([*AS_CHIPS])}) THEN 1"
    f" WHEN unit IN ({_texts([*CARRIERS])}) AND chips_per_unit IS NOT NULL THEN chips_per_unit::float8"
    f" WHEN unit IN ({_texts(DEFAULT_FITS)}) THEN -1 ELSE 0 END::float8"
)
_DAY = "coalesce({0}, DATE '-infinity')"
COLUMNS: dict[str, str] = {
    "id": "id", "scope": "coalesce(chip_id * 2, family_id * 2 + 1)", "quantity": "quantity::float8",
    "per_unit": _PER_UNIT, "by_shipper": "coalesce(quantity_by_shipper::float8, -1)",
    "by_receiver": "coalesce(quantity_by_receiver::float8, -1)", "shipper": "coalesce(shipper_id, 0)",
    "consignee": "coalesce(consignee_id, 0)", "origin": "coalesce(origin_id, 0)::int4",
    "destination": "coalesce(destination_id, 0)::int4",
    "shipped": _DAY.format("shipped_on"), "shipped_latest": _DAY.format("shipped_on_latest"),
    "received": _DAY.format("received_on"), "received_latest": _DAY.format("received_on_latest"),
    "origin_country": "(origin_country || '  ')::char(2)",
    "destination_country": "(destination_country || '  ')::char(2)", "grade": "grade::char(1)",
    "grade_by_shipper": "grade_by_shipper::char(1)", "grade_by_receiver": "grade_by_receiver::char(1)",
    # versions written before lines had kinds are transfers
    "kind": "left(coalesce(kind, 'transfer'), 1)", "status": "left(status, 3)",
    "bound": "left(bound || '-', 1)", "exact": "CASE WHEN is_exact THEN 'x' ELSE '-' END",
    "end_user": "coalesce(end_user_id, 0)", "source": "source_id",
}  # fmt: skip
"""Name in LINE and CHAIN_LINE (``balances.reading``) and the SQL it comes from; every value has a fixed width."""


def line_chunks(
    at: datetime, synthetic: bool, where: str = "true", params: Sequence[Any] = (), record: np.dtype = LINE
) -> Iterator[Array]:
    """Lines as known at an instant, in records (LINE or CHAIN_LINE), some :data:`CHUNK` at a time, in no order.

    ``where``: SQL over columns of shipments, of ours, with ``params`` for what it is given.
    """
    rows, held = rows_known_at(Shipment._meta.db_table, at)
    sql = f"SELECT {_columns(record)} FROM {rows} s WHERE is_synthetic = %s AND ({where})"
    yield from _records(sql, [*held, synthetic, *params], record)


def lines_of(
    at: datetime,
    synthetic: bool,
    end: str,
    holders: Array,
    scopes: Array,
    where: str = "true",
    quarters: tuple[Array, Array] | None = None,
) -> Array:
    """LINE records of some holders, each with its scope (``holders`` and ``scopes`` beside one another), as known at an instant.

    ``end``: the column of shipments that names the holder. ``where``: as :func:`line_chunks` takes it, without parameters.
    ``quarters``, if given, beside the others: the first and last in which lines left, numbered from 2000.
    """
    table = Shipment._meta.db_table
    superseded, held = superseded_known_at(table, at)
    days = "true" if quarters is None else "shipped_on >= d.since AND shipped_on < d.until"
    parts: list[Array] = []
    for what, of_kind in (("chip_id", scopes % 2 == 0), ("family_id", scopes % 2 == 1)):
        if not of_kind.any():
            continue
        asked = [holders[of_kind].tolist(), (scopes[of_kind] // 2).tolist(), *_bounds(of_kind, quarters)]
        mine = f"{end} = d.holder AND {what} = d.what AND {days}"
        # pair by pair through the index: asked for together, each holder's lines of all the scopes would be read
        sql = (
            "WITH d AS MATERIALIZED (SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::date[])"
            " d(holder, what, since, until)),"
            f" s AS (SELECT s.* FROM d CROSS JOIN LATERAL (SELECT * FROM {table} WHERE recorded_at <= %s AND {mine}"
            f" AND ({where}) OFFSET 0) s UNION ALL SELECT s.* FROM ({superseded}) s JOIN d ON {mine})"
            f" SELECT {_columns(LINE)} FROM s WHERE is_synthetic = %s AND ({where})"
        )
        parts += _records(sql, [*asked, at, *held, synthetic], LINE)
    return np.concatenate(parts) if parts else np.empty(0, LINE)


def _bounds(rows: Array, quarters: tuple[Array, Array] | None) -> list[list[date | None]]:
    """The first day of each first quarter, and that after each last one."""
    if quarters is None:
        return [[None] * int(rows.sum())] * 2
    first, last = (side[rows].tolist() for side in quarters)
    return [[first_day(3 * number) for number in first], [first_day(3 * (number + 1)) for number in last]]


def have_lines(
    at: datetime, synthetic: bool, end: str, holders: Array, scopes: Array, where: str = "true"
) -> Array:
    """Whether each holder has a line of its scope, as :func:`lines_of` would read them; no line is read for it."""
    table = Shipment._meta.db_table
    superseded, held = superseded_known_at(table, at)
    found = np.zeros(len(holders), bool)
    for what, of_kind in (("chip_id", scopes % 2 == 0), ("family_id", scopes % 2 == 1)):
        if not of_kind.any():
            continue
        sql = (
            "SELECT d.place FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) d(holder, what, place)"
            f" WHERE EXISTS (SELECT FROM {table} WHERE recorded_at <= %s AND {end} = d.holder AND {what} = d.what"
            f" AND is_synthetic = %s AND ({where})) OR (d.holder, d.what) IN (SELECT {end}, {what} FROM ({superseded}) s"
            f" WHERE is_synthetic = %s AND ({where}))"
        )
        places = np.flatnonzero(of_kind)
        asked = [holders[of_kind].tolist(), (scopes[of_kind] // 2).tolist(), places.tolist()]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*asked, at, synthetic, *held, synthetic])
            found[[place for (place,) in cursor.fetchall()]] = True
    return found


def _columns(record: np.dtype) -> str:
    return ", ".join(COLUMNS[name] for name in record.names or ())


def _records(sql: str, params: Sequence[Any], record: np.dtype) -> Iterator[Array]:
    names = record.names or ()
    types: tuple[Column, ...] = tuple((name, record[name].str.lstrip("<|=")) for name in names)
    for found in copied(sql, params, types):
        out = np.empty(len(found), record)
        for name in names:
            out[name] = found[name]
        del found  # the bytes that came in need not wait for the next ones
        yield out


def copied(sql: str, params: Sequence[Any], columns: Sequence[Column]) -> Iterator[Array]:
    """The rows of a query through binary COPY, as records of ``columns``, at most :data:`CHUNK` at a time.

    Below the cursor, because a cursor hands out one Python object for each row, and rows go by the million here. Until the last
    chunk is read the connection takes no other query.
    """
    connection.ensure_connection()
    raw = connection.connection
    query = ClientCursor(raw).mogrify(f"COPY ({sql}) TO STDOUT (FORMAT binary)", list(params))
    result = raw.pgconn.exec_(query.encode())
    if result.status != ExecStatus.COPY_OUT:
        raise DatabaseError(result.get_error_message())
    size = layout(columns).itemsize
    skip, more = len(HEADER), True
    try:
        while more:
            held, more = _block(raw.pgconn, skip + CHUNK * size)
            body = memoryview(held)[skip:]
            if body[-len(TRAILER) :] == TRAILER and not more:
                body = body[: -len(TRAILER)]
            skip = 0
            if body:
                yield unpacked(body, columns)
            del body, held
    except BaseException:
        # whoever reads gave up: the connection must not be left in the middle of handing out rows
        raw.pgconn.get_cancel().cancel()
        with suppress(PostgresError):
            while raw.pgconn.get_copy_data(0)[0] > 0:
                pass
        _ended(raw.pgconn)
        raise
    if failed := [one for one in _ended(raw.pgconn) if one.status == ExecStatus.FATAL_ERROR]:
        raise DatabaseError(failed[0].get_error_message())


def _block(below: Any, enough: int) -> tuple[bytearray, bool]:
    """The next bytes that are handed out, until there are enough, and whether more may follow."""
    held, take = bytearray(), below.get_copy_data
    with connection.wrap_database_errors:
        while len(held) < enough:
            count, data = take(0)
            if count <= 0:
                return held, False
            held += data
    return held, True


def _ended(below: Any) -> list[Any]:
    """The results that a connection still holds; after the last it takes queries again."""
    found = []
    while (result := below.get_result()) is not None:
        found.append(result)
    return found


def line_counts(at: datetime, synthetic: bool) -> dict[int, int]:
    """Lines of each scope (as LINE writes it), as known at an instant."""
    rows, held = rows_known_at(Shipment._meta.db_table, at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(chip_id * 2, family_id * 2 + 1), count(*) FROM {rows} s WHERE is_synthetic = %s GROUP BY 1",
            [*held, synthetic],
        )
        return dict(cursor.fetchall())


def of_scopes(scopes: Sequence[int]) -> tuple[str, list[Any]]:
    """The condition for lines of these scopes (as LINE writes them)."""
    chips = [scope // 2 for scope in scopes if scope % 2 == 0]
    families = [scope // 2 for scope in scopes if scope % 2]
    return "(chip_id = ANY(%s) OR family_id = ANY(%s))", [chips, families]


def places(
    at: datetime,
    stakes: Sequence[Stake],
    world: Any,
    of: set[int] | None = None,
    sites: set[int] | None = None,
) -> Places:
    """Sites with countries, organizations that are no single holder, and ownership groups, as known at an instant.

    ``world``: the condition that keeps real and synthetic records apart. ``of``: organizations that are asked for, None for all;
    ``sites``: sites that are asked for, None for all.
    """
    known = DataCenter.objects.known_at(at).filter(world)
    told = (known if sites is None else known.filter(id__any=sites)).order_by("id")
    found = list(told.values_list("id", "country")) if sites is None or sites else []
    many = Organization.objects.known_at(at).filter(is_aggregate=True)
    aggregates = (many if of is None else many.filter(id__any=of)).order_by("id")
    ids = list(aggregates.values_list("id", flat=True)) if of is None or of else []
    return Places(
        site_ids=np.array([pk for pk, _ in found], np.int64),
        site_countries=np.array([country_code(country) for _, country in found], np.int64),
        aggregates=np.array(ids, np.int64),
        groups=groups(stakes, of),
    )


def groups(stakes: Sequence[Stake], of: set[int] | None = None) -> Groups:
    """Ownership groups by day: each organization with an owner, or owning others, under its one ultimate parent.

    An organization with several ultimate parents, or with one that cannot be told, is in no group for those days: its chips would
    be counted with somebody who may not hold them.
    """
    spans: dict[int, list[tuple[int, int]]] = {}
    for mine in tied(stakes):
        if of is not None and not any(int(s.owner) in of or int(s.owned) in of for s in mine):
            continue
        # one at a time: whoever is tied by no stake to a change is not asked again because of it
        changes = sorted({day for s in mine for day in (s.period.start, s.period.end) if day is not None})
        people = sorted({int(org) for s in mine for org in (s.owner, s.owned)})
        for day, number in [(date.min, -(2**30)), *((day, (day - EPOCH).days) for day in changes)]:
            above = stakes_above(mine, day)
            held = {int(org) for s in mine if s.period.holds(day) for org in (s.owner, s.owned)}
            for org in people:
                found = tops(org, above) if org in held else None
                parent = int(found.parents[0]) if found and found.are_known and len(found.parents) == 1 else 0
                steps = spans.setdefault(org, [])
                if not steps or steps[-1][1] != parent:
                    steps.append((number, parent))
    kept = {org: steps for org, steps in spans.items() if any(parent for _, parent in steps)}
    return membership(kept)


def scope_names(at: datetime) -> dict[int, str]:
    """The key of each scope that readers see, by the scope as LINE writes it."""
    chips = {pk * 2: f"chip:{slug}" for pk, slug in Chip.objects.known_at(at).values_list("id", "slug")}
    families = {
        pk * 2 + 1: f"family:{slug}" for pk, slug in ChipFamily.objects.known_at(at).values_list("id", "slug")
    }
    return chips | families


def changed_lines(since: datetime, at: datetime) -> list[int]:
    """Ids of the lines that were written, corrected or deleted after ``since`` and until ``at``, whatever became of them later.

    The versions that the database keeps are the list of what is dirty: whatever the way of writing (form, COPY, raw SQL), a row
    that changed has a later instant, and what it replaced has ended by then.
    """
    table = Shipment._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE recorded_at > %s AND recorded_at <= %s UNION SELECT object_id"
            " FROM tracker_recordversion WHERE table_name = %s AND superseded_at > %s"
            " AND (superseded_at <= %s OR recorded_at > %s AND recorded_at <= %s) ORDER BY 1",
            [since, at, table, since, at, since, at],
        )
        return [row[0] for row in cursor.fetchall()]


_NUMBERED: tuple[Column, ...] = (("place", "i8"), *CELL[2:], ("gone", "?"), ("run", "i8"))


def standing_cells(layers: Sequence[int], chains: Array, areas: Array, scopes: Array) -> Columns:
    """The CELL rows of some chains as the layers of a run hold them, sorted by (area, scope, month).

    ``chains``: areas and scopes, beside one another, sorted; ``areas`` and ``scopes``: the ids of their balance areas and scopes.
    The latest layer that has a cell tells.
    """
    null = {"close", "muf", "muf_sigma"}
    told = {"place": "d.place", "gone": "c.is_gone", "run": "c.run_id"}
    columns = ", ".join(
        told.get(name) or (f"coalesce(c.{name}, 'NaN')" if name in null else f"c.{name}")
        for name, _ in _NUMBERED
    )
    sql = (
        f"SELECT {columns} FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY d(area_id, scope_id, place)"
        # chain by chain through the index: read whole, the cells of a large run would be read for the sake of a few
        " CROSS JOIN LATERAL (SELECT * FROM tracker_balancecell WHERE run_id = ANY(%s) AND area_id = d.area_id"
        " AND scope_id = d.scope_id OFFSET 0) c"
    )
    with connection.cursor() as cursor:
        # cells written a moment ago are not in the planner's statistics yet, and it would read all of them for each chain
        cursor.execute("SET LOCAL enable_seqscan = off")
        parts = list(copied(sql, [areas.tolist(), scopes.tolist(), list(layers)], _NUMBERED))
        cursor.execute("SET LOCAL enable_seqscan = on")
    if not parts:
        return none(CELL)
    found = {name: np.concatenate([part[name] for part in parts]).astype(kind) for name, kind in _NUMBERED}
    found["month"] = months(found["month"]).astype(np.int32)
    found = taken(found, np.lexsort((found["run"], found["month"], found["place"])))
    latest = np.ones(len(found["run"]), bool)
    latest[:-1] = (found["place"][1:] != found["place"][:-1]) | (found["month"][1:] != found["month"][:-1])
    kept = taken(found, latest & ~found["gone"])
    kept["area"], kept["scope"] = chains[:, kept["place"] - 1]
    return {name: kept[name] for name, _ in CELL}
