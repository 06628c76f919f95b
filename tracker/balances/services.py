"""Writing books: the names of areas and scopes, and the cells of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction

from tracker.balances.books import (
    CELL,
    FLOW,
    KINDS,
    TERMS,
    Anchors,
    Columns,
    area_of,
    cells,
    country_code,
    differing,
    joined,
    kinds_and_objects,
    merged,
    none,
    size,
    taken,
)
from tracker.balances.models import BalanceArea, BalanceScope
from tracker.balances.querysets import copied, standing_cells
from tracker.balances.reading import EPOCH, Array
from tracker.core.columns import HEADER, TRAILER, Column, packed
from tracker.core.copying.services import copying
from tracker.core.countries import COUNTRIES
from tracker.core.models import RecordVersion
from tracker.core.quantity import SIGNIFICANT_DIGITS

Named = tuple[str, int, str]
"""Kind, key of the object, and the key that readers see."""


def area_ids(named: Iterable[Named]) -> dict[tuple[str, int], int]:
    """(kind, object) -> id of the balance area, made where there is none yet; a new name replaces the old one."""
    return _ids(BalanceArea, named)


def scope_ids(named: Iterable[Named]) -> dict[tuple[str, int], int]:
    """(kind, object) -> id of the balance scope, made where there is none yet; a new name replaces the old one."""
    return _ids(BalanceScope, named)


def _ids(model: Any, named: Iterable[Named]) -> dict[tuple[str, int], int]:
    wanted = sorted(
        set(named)
    )  # in one order, so that two runs that name the same areas do not wait for each other
    found = _known_ids(model, wanted)
    if any(found.get((kind, pk), ("", 0))[0] != key for kind, pk, key in wanted):
        model.objects.bulk_create(
            (model(kind=kind, object_id=pk, key=key) for kind, pk, key in wanted),
            update_conflicts=True,
            unique_fields=["kind", "object_id"],
            update_fields=["key"],
            batch_size=5000,
        )
        found = _known_ids(model, wanted)
    return {named: pk for named, (_, pk) in found.items()}


def _known_ids(model: Any, wanted: Sequence[Named]) -> dict[tuple[str, int], tuple[str, int]]:
    """(kind, object) -> key and id, of those that there are."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for kind in sorted({kind for kind, _, _ in wanted}):
        objects = [pk for other, pk, _ in wanted if other == kind]
        rows = model.objects.filter(kind=kind, object_id__any=objects).order_by()
        found |= {(kind, pk): (key, row) for pk, key, row in rows.values_list("object_id", "key", "id")}
    return found


# --- a run's cells ----------------------------------------------------------------------------------------------------

LARGE = 100_000
"""Lines from which a run's cells get a table of their own: below, one more table costs more than it saves."""
CELL_COLUMNS: tuple[Column, ...] = (
    ("id", "i8"), ("run_id", "i8"), ("area_id", "i8"), ("scope_id", "i8"), ("month", "i4"), ("opening", "f8"),
    *((term, "f8") for term in TERMS), ("book", "f8"), ("sigma", "f8"), ("close", "f8"), ("muf", "f8"), ("muf_sigma", "f8"),
    ("lines", "i4"), ("floors", "i4"), ("at_least", "?"), ("is_closed", "?"), ("is_gone", "?"), ("random", "f8"),
    ("shared_in", "f8"), ("shared_out", "f8"),
)  # fmt: skip
_INVENTORY = frozenset({"close", "muf", "muf_sigma"})
_WRITE = 25_000  # cells packed at once
_CLOSE = 4  # areas asked for one by one where fewer than one in so many are wanted
_IDS_LOCK = 7_203_117


def cell_table(run_id: int) -> str:
    """The table of a large run's own cells, while they are written and after."""
    return f"tracker_balancecell_r{int(run_id)}"


def begin_cells(run_id: int, lines: int) -> bool:
    """Make a table for the cells of a large run, without indexes; True if the run is one."""
    if lines < LARGE:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {cell_table(run_id)} (LIKE tracker_balancecell INCLUDING DEFAULTS,"
            f" CONSTRAINT mine CHECK (run_id = {int(run_id)}))"
        )
    return True


def has_own_table(run_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [cell_table(run_id)])
        return bool(cursor.fetchone()[0])


def finish_cells(run_id: int) -> None:
    """Index a large run's cells in bulk and hang them into the table that readers see; nothing to do for others, or twice."""
    if not has_own_table(run_id):
        return
    table = cell_table(run_id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT relispartition FROM pg_class WHERE oid = %s::regclass", [table])
        if cursor.fetchone()[0]:
            return
        cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
        cursor.execute(
            f"ALTER TABLE {table} ADD PRIMARY KEY (run_id, id), ADD UNIQUE (run_id, area_id, scope_id, month)"
        )
        cursor.execute(
            f"ALTER TABLE tracker_balancecell ATTACH PARTITION {table} FOR VALUES IN ({int(run_id)})"
        )
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT mine")
        cursor.execute(f"ANALYZE {table}")


def learn_cells() -> None:
    """Let the planner learn what the shared table of cells now holds; by what it knew, it would read all of it for each chain."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tracker_balancecell_other (run_id, area_id, scope_id, month)")


def drop_cells(run_id: int) -> None:
    """Forget the cells of a run that came to nothing or is no longer wanted."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {cell_table(run_id)}")
        cursor.execute("DELETE FROM tracker_balancecell WHERE run_id = %s", [run_id])


def write_cells(
    run_id: int,
    found: Columns,
    scope_names: Mapping[int, str],
    closed: Array | None = None,
    gone: Array | None = None,
) -> int:
    """Copy CELL rows of a run into its table; returns cells written.

    ``scope_names``: key of each scope that readers see. ``closed``, ``gone``: flags beside the cells. Runs in the caller's
    transaction: a share that dies leaves no cell.
    """
    count = size(found)
    if not count:
        return 0
    places = _area_numbers(found["area"])
    scopes = _scope_numbers(found["scope"], scope_names)
    table = cell_table(run_id) if has_own_table(run_id) else "tracker_balancecell"
    first = _reserved_ids(count)
    for start in range(
        0, count, _WRITE
    ):  # a piece at a time: cells and their copy would not fit into memory together
        part = slice(start, min(start + _WRITE, count))
        rows = {name: column[part] for name, column in found.items() if name not in ("area", "scope")}
        here = len(rows["month"])
        rows |= {
            "id": np.arange(first + start, first + start + here), "run_id": np.full(here, run_id), "area_id": places[part],
            "scope_id": scopes[part], "month": _month_days(rows["month"]),
            "is_closed": np.zeros(here, bool) if closed is None else closed[part],
            "is_gone": np.zeros(here, bool) if gone is None else gone[part],
            "sigma": significant(rows["sigma"]), "muf_sigma": significant(rows["muf_sigma"]),
        }  # fmt: skip
        without = np.isnan(rows["close"])
        for mask, null in ((without, _INVENTORY), (~without, frozenset[str]())):
            if mask.any():
                _copy_in(table, CELL_COLUMNS, rows if mask.all() else taken(rows, mask), null)
    return count


@dataclass(frozen=True, slots=True)
class Forward:
    """Cells that differ from those that stand, a flag beside each: it is ``gone``; how many ``more`` there are; and all cells of
    the chains that were touched."""

    cells: Columns
    gone: Array
    more: int
    drawn: Columns


def bring_forward(
    run_id: int, layers: Sequence[int], delta: Columns, anchors: Anchors, scope_names: Mapping[int, str]
) -> Forward:
    """The chains that ``delta`` (FLOW rows of change) or an anchor touches, drawn up from the cells of ``layers`` and it."""
    areas = np.concatenate([delta["area"], np.array([area for area, _ in anchors], np.int64)])
    scopes = np.concatenate([delta["scope"], np.array([scope for _, scope in anchors], np.int64)])
    if not len(areas):
        return Forward(none(CELL), np.zeros(0, bool), 0, none(CELL))
    chains = np.unique(np.stack([areas, scopes]), axis=1)
    standing = standing_cells(
        layers, chains, _area_numbers(chains[0]), _scope_numbers(chains[1], scope_names)
    )
    before = {name: standing[name] for name, _ in FLOW}
    drawn = cells(merged([taken(before, before["lines"] != 0), delta]), anchors)
    as_stored = drawn | {name: significant(drawn[name]) for name in ("sigma", "muf_sigma")}
    fresh, gone = differing(standing, as_stored)
    out = joined([taken(drawn, fresh), taken(standing, gone)])
    flags = np.concatenate([np.zeros(int(fresh.sum()), bool), np.ones(int(gone.sum()), bool)])
    return Forward(out, flags, size(drawn) - size(standing), drawn)


def significant(values: Array) -> Array:
    """Numbers cut to the digits of a stored statistic (``core.quantity.stored``), over a column."""
    known = np.isfinite(values) & (values != 0)
    digits = np.zeros(len(values))
    digits[known] = np.floor(np.log10(np.abs(values[known])))
    scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - digits)
    return np.where(known, np.rint(np.where(known, values, 0.0) * scale) / scale, values)


def _month_days(months: Array) -> Array:
    """First days of months as PostgreSQL counts days."""
    first = (months.astype(np.int64) + 360).astype("datetime64[M]").astype("datetime64[D]")
    return (first - np.datetime64(EPOCH, "D")).astype(np.int32)


def _copy_in(table: str, columns: Sequence[Column], rows: Columns, null: frozenset[str]) -> None:
    names = ", ".join(name for name, _ in columns)
    with copying(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        copy.write(packed(rows, columns, null))
        copy.write(TRAILER)


def _reserved_ids(count: int) -> int:
    """The first of ``count`` ids that nobody else will take."""
    with connection.cursor() as cursor:
        # held only from one statement to the next, and not to the end of a transaction that may last minutes
        cursor.execute("SELECT pg_advisory_lock(%s)", [_IDS_LOCK])
        try:
            cursor.execute("SELECT nextval('tracker_balancecell_id_seq')")
            first = int(cursor.fetchone()[0])
            cursor.execute("SELECT setval('tracker_balancecell_id_seq', %s)", [first + count])
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_IDS_LOCK])
    return first


def register_areas() -> None:
    """Give every organization, site and country of the ledger its balance area, with the name it goes by now."""
    with connection.cursor() as cursor:
        for kind, table in (
            ("org", "tracker_organization"),
            ("group", "tracker_organization"),
            ("site", "tracker_datacenter"),
        ):
            cursor.execute(
                f"INSERT INTO tracker_balancearea (kind, object_id, key)"
                f" SELECT '{kind}', id, '{kind}:' || slug FROM {table} ORDER BY id"
                " ON CONFLICT (kind, object_id) DO UPDATE SET key = EXCLUDED.key WHERE tracker_balancearea.key <> EXCLUDED.key"
            )
    area_ids(
        [("world", 1, "world"), *(("country", country_code(code), f"country:{code}") for code in COUNTRIES)]
    )


def _area_numbers(areas: Array) -> Array:
    """The row of each area among the balance areas."""
    wanted = np.unique(areas)
    known = _known_areas(wanted)
    lacking = np.setdiff1d(wanted, known[0])
    if len(lacking):  # of records that were deleted since, or a code that is no country
        kinds, objects = kinds_and_objects(lacking)
        named = [(KINDS[kind], pk) for kind, pk in zip(kinds.tolist(), objects.tolist(), strict=True)]
        area_ids((kind, pk, _lost_name(kind, pk)) for kind, pk in named)
        known = _known_areas(wanted)
    return known[1][np.searchsorted(known[0], areas)]


def _known_areas(areas: Array) -> tuple[Array, Array]:
    """Those of some areas (sorted) that have a row, and the id of each row."""
    kinds, objects = kinds_and_objects(areas)
    found = [np.empty((2, 0), np.int64)]
    for kind in np.unique(kinds).tolist():
        mine = objects[kinds == kind]
        low, high = int(mine[0]), int(mine[-1])
        if high - low < _CLOSE * len(mine):  # a run takes up most of the areas between two
            among, given = "BETWEEN %s AND %s", [low, high]
        else:
            among, given = "= ANY(%s)", [mine.tolist()]
        sql = (
            f"SELECT object_id, id FROM tracker_balancearea WHERE kind = %s AND object_id {among} ORDER BY 1"
        )
        for rows in copied(sql, [KINDS[kind], *given], (("object", "i8"), ("id", "i8"))):
            found.append(
                np.stack([area_of(kind, rows["object"].astype(np.int64)), rows["id"].astype(np.int64)])
            )
    known, ids = np.concatenate(found, axis=1)
    return known, ids


def _lost_name(kind: str, pk: int) -> str:
    if kind == "country":
        return f"country:{np.base_repr(pk, 36)}"
    table = {"site": "tracker_datacenter"}.get(kind, "tracker_organization")
    last = RecordVersion.objects.filter(table_name=table, object_id=pk).order_by("-version").first()
    return f"{kind}:{last.row['slug'] if last else pk}"


def _scope_numbers(scopes: Array, names: Mapping[int, str]) -> Array:
    wanted = np.unique(scopes)
    kind = ("chip", "family")
    ids = scope_ids((kind[int(s) % 2], int(s) // 2, names[int(s)]) for s in wanted)
    numbers = np.array([ids[kind[int(s) % 2], int(s) // 2] for s in wanted], np.int64)
    return numbers[np.searchsorted(wanted, scopes)]
