"""The statements of a proof: each looks at whole tables in the database, counts what does not hold and brings the first rows.

``since`` (None: everything) narrows a check to what was written at or after an instant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models

from tracker.balances.books import KINDS, TERMS, Columns, area_of, joined, kinds_and_objects, none
from tracker.balances.models import BalanceArea, BalanceScope
from tracker.balances.querysets import copied
from tracker.core.columns import Column
from tracker.core.models import Versioned
from tracker.proof.breach import Breach, Looked

SHOWN = 20
"""Rows of one check that are named; all are counted."""

RESTORE = (
    "Restore this row from a backup and look who wrote past the triggers: versions are never changed by hand"
)


def _count(sql: str, given: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return int(cursor.fetchone()[0])


def _breaches(
    sql: str, given: Sequence[Any], breach: Callable[..., Breach]
) -> tuple[int, tuple[Breach, ...]]:
    """All rows of a statement counted, the first made breaches."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH bad AS MATERIALIZED ({sql}) SELECT (SELECT count(*) FROM bad), bad.* FROM bad ORDER BY 2 LIMIT {SHOWN}",
            given,
        )
        rows = cursor.fetchall()
    return (int(rows[0][0]) if rows else 0), tuple(breach(*row[1:]) for row in rows)


def _looked(
    count: tuple[str, Sequence[Any]], bad: tuple[str, Sequence[Any]], breach: Callable[..., Breach]
) -> Looked:
    return Looked(_count(*count), *_breaches(*bad, breach))


def versioned_models() -> list[type[Versioned]]:
    """Every table whose versions are kept, by name."""
    found = [model for model in apps.get_models() if issubclass(model, Versioned) and not model._meta.proxy]
    return sorted(found, key=lambda model: model._meta.db_table)


# --- versions -------------------------------------------------------------------------------------------------------------


def version_chains(since: datetime | None) -> Looked:
    """Earlier versions of each record: numbered 1 to n without a gap, each begun where the one before it ended, and each the row
    it says it is. After a deletion an id may begin again at 1 (rows brought back by a restore)."""
    recent = "" if since is None else (
        " WHERE (table_name, object_id) IN (SELECT table_name, object_id FROM tracker_recordversion WHERE superseded_at >= %s)"
    )  # fmt: skip
    given = [] if since is None else [since]
    bad = f"""
        SELECT id, table_name || ' ' || object_id, version, recorded_at, should, since, (row_id, row_version)::text
        FROM (
          SELECT id, table_name, object_id, version, recorded_at, (row ->> 'id')::bigint AS row_id,
            (row ->> 'version')::bigint AS row_version,
            CASE WHEN lag(operation) OVER chain = 'update' THEN lag(version) OVER chain + 1 ELSE 1 END AS should,
            lag(superseded_at) OVER chain AS since, lag(operation) OVER chain AS before, superseded_at
          FROM tracker_recordversion{recent}
          WINDOW chain AS (PARTITION BY table_name, object_id ORDER BY id)
        ) v
        WHERE version <> should OR (before = 'update' AND recorded_at <> since) OR (since IS NOT NULL AND recorded_at < since)
          OR row_id IS DISTINCT FROM object_id OR row_version IS DISTINCT FROM version
    """

    def breach(
        pk: int, record: str, version: int, at: datetime, should: int, since: datetime | None, row: str
    ) -> Breach:
        until = f" from {since.isoformat()} on" if since else ""
        return Breach(
            "versions", "tracker_recordversion", pk,
            f"version {version} of {record} from {at.isoformat()} on, with row (id, version) {row}",
            f"version {should}{until}, with the row of that version", f"{RESTORE}.",
        )  # fmt: skip

    return _looked((f"SELECT count(*) FROM tracker_recordversion{recent}", given), (bad, given), breach)


def standing_versions(since: datetime | None) -> Looked:
    """Rows that stand: each is the version after its last earlier one and began where that ended; and no record that was changed
    last is missing."""
    found = Looked(0)
    for model in versioned_models():
        found += _standing(model._meta.db_table, since)
    return found


def _standing(table: str, since: datetime | None) -> Looked:
    last = (
        "SELECT DISTINCT ON (object_id) object_id, version, superseded_at, operation FROM tracker_recordversion"
        " WHERE table_name = %s ORDER BY object_id, id DESC"
    )
    recent = "" if since is None else " AND t.recorded_at >= %s"
    given = [table] if since is None else [table, since]
    stands = f"""
        SELECT t.id, t.version, t.recorded_at, CASE WHEN l.operation = 'update' THEN l.version + 1 ELSE 1 END AS should,
          l.superseded_at
        FROM {table} t LEFT JOIN ({last}) l ON l.object_id = t.id
        WHERE (t.version <> CASE WHEN l.operation = 'update' THEN l.version + 1 ELSE 1 END
          OR (l.operation = 'update' AND t.recorded_at <> l.superseded_at) OR t.recorded_at < l.superseded_at){recent}
    """

    def breach(pk: int, version: int, at: datetime, should: int, since: datetime | None) -> Breach:
        until = f" from {since.isoformat()} on" if since else ""
        return Breach(
            "standing", table, pk, f"version {version} from {at.isoformat()} on", f"version {should}{until}", f"{RESTORE}."
        )  # fmt: skip

    where = "" if since is None else " WHERE t.recorded_at >= %s"
    found = _looked(
        (f"SELECT count(*) FROM {table} t{where}", [] if since is None else [since]), (stands, given), breach
    )
    gone = f"""
        SELECT l.object_id, l.version, l.superseded_at FROM ({last}) l LEFT JOIN {table} t ON t.id = l.object_id
        WHERE t.id IS NULL AND l.operation = 'update'{"" if since is None else " AND l.superseded_at >= %s"}
    """

    def gone_breach(pk: int, version: int, at: datetime) -> Breach:
        return Breach(
            "standing", table, pk, "no row, and no version that says it was deleted",
            f"version {version + 1} from {at.isoformat()} on", f"{RESTORE}.",
        )  # fmt: skip

    return found + Looked(0, *_breaches(gone, given, gone_breach))


# --- sources and evidence -------------------------------------------------------------------------------------------------


def sources(since: datetime | None) -> Looked:
    """Records that must rest on a source: that source is there."""
    found = Looked(0)
    for model in versioned_models():
        field = next((field for field in model._meta.concrete_fields if field.name == "source"), None)
        if not isinstance(field, models.ForeignKey):
            continue
        table = model._meta.db_table
        recent, given = ("", []) if since is None else (" AND t.recorded_at >= %s", [since])
        missing = "s.id IS NULL" if not field.null else "s.id IS NULL AND t.source_id IS NOT NULL"
        bad = (
            f"SELECT t.id, t.source_id FROM {table} t LEFT JOIN tracker_source s ON s.id = t.source_id"
            f" WHERE {missing}{recent}"
        )

        def breach(pk: int, source: int | None, table: str = table) -> Breach:
            return Breach(
                "sources", table, pk, f"source {source if source is not None else 'none'}", "a source of the ledger",
                "Name the document this record rests on, on its page in the admin; or delete the record there.",
            )  # fmt: skip

        found += _looked((f"SELECT count(*) FROM {table} t WHERE true{recent}", given), (bad, given), breach)
    return found


FINISHED = "JOIN tracker_reconciliationrun r ON r.id = f.run_id AND r.status = 'finished'"


def _finished_since(since: datetime | None) -> tuple[str, list[Any]]:
    return ("", []) if since is None else (" AND r.finished_at >= %s", [since])


def findings_with_evidence(since: datetime | None) -> Looked:
    """Findings of finished runs that are discrepancies: each rests on records."""
    recent, given = _finished_since(since)
    of = f"FROM tracker_finding f {FINISHED} WHERE f.is_discrepancy{recent}"
    bad = (
        f"SELECT f.id, f.headline, r.key {of} AND NOT EXISTS (SELECT 1 FROM tracker_evidence e"
        " WHERE e.finding_id = coalesce(f.evidence_of_id, f.id))"
    )

    def breach(pk: int, headline: str, run: str) -> Breach:
        return Breach(
            "evidence", "tracker_finding", pk, f"no evidence for '{headline}'", "the records it rests on",
            f"Make run {run} again (reconcile --repeat {run}) and compare; do not publish this finding.",
        )  # fmt: skip

    return _looked((f"SELECT count(*) {of}", given), (bad, given), breach)


def evidence_records(since: datetime | None) -> Looked:
    """Evidence of finished runs: the record version it names stands, or is kept."""
    recent, given = _finished_since(since)
    of = (
        f"FROM tracker_evidence e JOIN tracker_finding f ON f.id = e.finding_id {FINISHED} WHERE true{recent}"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT e.model_name, count(*) {of} GROUP BY 1 ORDER BY 1", given)
        counted = cursor.fetchall()
    tables = {str(model._meta.model_name): model._meta.db_table for model in versioned_models()}
    found = Looked(0)
    for name, count in counted:
        known = (
            f"EXISTS (SELECT 1 FROM {tables[name]} t WHERE t.id = e.object_id AND t.version = e.version)"
            " OR EXISTS (SELECT 1 FROM tracker_recordversion v WHERE v.table_name = %s AND v.object_id = e.object_id"
            " AND v.version = e.version)"
            if name in tables
            else "false"
        )
        more = [name, tables[name]] if name in tables else [name]
        bad = f"SELECT e.id, e.model_name, e.object_id, e.version, r.key {of} AND e.model_name = %s AND NOT ({known})"

        def breach(pk: int, name: str, record: int, version: int, run: str) -> Breach:
            return Breach(
                "evidence records", "tracker_evidence", pk, f"version {version} of {name} {record}, which is not kept",
                "a version that stands or is kept",
                f"Make run {run} again (reconcile --repeat {run}) and compare its evidence; restore the version from a backup.",
            )  # fmt: skip

        found += Looked(count, *_breaches(bad, [*given, *more], breach))
    return found


# --- runs -----------------------------------------------------------------------------------------------------------------


def leases(now: datetime, lease: timedelta, patience: timedelta, held: Sequence[int]) -> Looked:
    """Runs that go on: none stands past its lease by more than a patience, with nobody at work (``held``: runs that are held).
    One that nobody has touched yet has a first ``lease`` from its start."""
    going = "FROM tracker_reconciliationrun r WHERE r.status IN ('queued', 'running')"
    bad = f"""
        SELECT r.id, r.key, r.status, coalesce(r.lease_until, r.created_at + %s) AS until {going}
          AND coalesce(r.lease_until, r.created_at + %s) < %s AND NOT r.id = ANY(%s)
    """

    def breach(pk: int, key: str, status: str, until: datetime) -> Breach:
        return Breach(
            "leases", "tracker_reconciliationrun", pk, f"run {key} {status}, its lease past since {until.isoformat()}",
            "taken up again or given up by now",
            "Nobody looks after runs: start a worker and beat (celery -A config.celery worker, celery -A config.celery beat).",
        )  # fmt: skip

    return _looked(
        (f"SELECT count(*) {going}", []), (bad, [lease, lease, now - patience, list(held)]), breach
    )


def shares(since: datetime | None) -> Looked:
    """Shares of finished runs: all are done, and found as many findings as are there."""
    recent, given = _finished_since(since)
    of = f"FROM tracker_runpartition f {FINISHED} WHERE true{recent}"
    bad = f"SELECT f.id, r.key, f.kind, f.index, f.status {of} AND f.status <> 'done'"

    def breach(pk: int, run: str, kind: str, index: int, status: str) -> Breach:
        return Breach(
            "shares", "tracker_runpartition", pk, f"share {kind} {index + 1} of finished run {run}: {status}", "done",
            f"Make the run again (reconcile --repeat {run}) and compare its findings_sha256.",
        )  # fmt: skip

    return _looked((f"SELECT count(*) {of}", given), (bad, given), breach)


def counts(since: datetime | None) -> Looked:
    """Finished runs: the findings and discrepancies they counted are there."""
    recent, given = ("", []) if since is None else (" AND r.finished_at >= %s", [since])
    of = f"FROM tracker_reconciliationrun r WHERE r.status = 'finished' AND r.counts ? 'findings'{recent}"
    bad = f"""
        SELECT id, key, said, there FROM (
          SELECT r.id, r.key,
            (r.counts ->> 'findings') || ' findings, ' || (r.counts ->> 'discrepancies') || ' discrepancies' AS said,
            (SELECT count(*) || ' findings, ' || count(*) FILTER (WHERE f.is_discrepancy) || ' discrepancies'
             FROM tracker_finding f WHERE f.run_id = r.id) AS there {of}
        ) c WHERE said <> there
    """

    def breach(pk: int, key: str, said: str, there: str) -> Breach:
        return Breach(
            "counts", "tracker_reconciliationrun", pk, f"run {key} counted {said}", f"what is there: {there}",
            f"Make the run again (reconcile --repeat {key}) and compare its findings_sha256.",
        )  # fmt: skip

    return _looked((f"SELECT count(*) {of}", given), (bad, given), breach)


def links(since: datetime | None) -> Looked:
    """Findings of finished runs: the discrepancy each belongs to has its key, or had it before something was renamed."""
    recent, given = _finished_since(since)
    of = (
        f"FROM tracker_finding f {FINISHED} LEFT JOIN tracker_discrepancy d ON d.id = f.discrepancy_id"
        f" WHERE f.discrepancy_id IS NOT NULL{recent}"
    )
    bad = f"SELECT f.id, coalesce(d.key, 'no such row'), f.key, r.key {of} AND d.key IS DISTINCT FROM f.key"
    bad += (
        " AND NOT EXISTS (SELECT FROM tracker_discrepancyevent n WHERE n.discrepancy_id = d.id AND n.what = 'name'"
        " AND n.before = f.key)"
    )

    def breach(pk: int, stored: str, key: str, run: str) -> Breach:
        return Breach(
            "links", "tracker_finding", pk, f"a discrepancy with key {stored}", f"the one with key {key}",
            f"Make run {run} again (reconcile --repeat {run}): it links its findings anew.",
        )  # fmt: skip

    return _looked((f"SELECT count(*) {of}", given), (bad, given), breach)


def lives(since: datetime | None) -> Looked:
    """Discrepancies: each change of state begins at the state that the one before ended with, and the last ends with today's.

    What lies before ``since`` is needed to tell, and discrepancies are few: all are looked at.
    """
    bad = """
        WITH told AS (
          SELECT discrepancy_id, id, before, after, lag(after) OVER life AS ended, lead(id) OVER life IS NULL AS is_last
          FROM tracker_discrepancyevent WHERE what = 'state' WINDOW life AS (PARTITION BY discrepancy_id ORDER BY id)
        )
        SELECT d.id, d.key, 'state ' || d.state, coalesce('state ' || t.after, 'no event')
        FROM tracker_discrepancy d LEFT JOIN told t ON t.discrepancy_id = d.id AND t.is_last
        WHERE t.after IS DISTINCT FROM d.state
        UNION ALL SELECT d.id, d.key, 'an event from ' || t.before || ' to ' || t.after, 'one that begins at ' || t.ended
        FROM told t JOIN tracker_discrepancy d ON d.id = t.discrepancy_id WHERE t.ended IS NOT NULL AND t.before <> t.ended
    """

    def breach(pk: int, key: str, stored: str, told: str) -> Breach:
        return Breach(
            "lives", "tracker_discrepancy", pk, f"{stored} of {key[:12]}", told,
            "Look who wrote to it past the admin and the runs, and put back the state that its history ends with.",
        )  # fmt: skip

    return _looked(("SELECT count(*) FROM tracker_discrepancy", []), (bad, []), breach)


# --- digests --------------------------------------------------------------------------------------------------------------

EVIDENCE_DIGEST = """
    encode(sha256(convert_to('[' || coalesce((
      SELECT string_agg('[' || to_json(e.role)::text || ',' || to_json(e.model_name)::text || ',' || e.object_id || ','
        || e.version || ']', ',' ORDER BY e."order")
      FROM tracker_evidence e WHERE e.finding_id = coalesce(f.evidence_of_id, f.id)), '') || ']', 'UTF8')), 'hex')
"""
"""The digest of a finding's evidence as ``reconciliation.services`` writes it: SHA-256 of [[role, model, id, version], ...]."""


def evidence_digests(since: datetime | None) -> Looked:
    """Findings of finished runs: the digest of their evidence is that of the evidence that is there."""
    recent, given = _finished_since(since)
    of = f"FROM tracker_finding f {FINISHED} WHERE true{recent}"
    bad = f"""
        SELECT id, stored, there, run FROM (
          SELECT f.id, f.evidence_sha256 AS stored, {EVIDENCE_DIGEST} AS there, r.key AS run {of}
        ) d WHERE stored <> there
    """

    def breach(pk: int, stored: str, there: str, run: str) -> Breach:
        return Breach(
            "evidence digests", "tracker_finding", pk, f"evidence_sha256 {stored}", f"{there}, of the evidence that is there",
            f"Make run {run} again (reconcile --repeat {run}) and compare; restore finding and evidence from a backup.",
        )  # fmt: skip

    return _looked((f"SELECT count(*) {of}", given), (bad, given), breach)


def report_digests(since: datetime | None) -> Looked:
    """Reports: the digest of each file is that of its bytes."""
    recent, given = ("", []) if since is None else (" WHERE p.built_at >= %s", [since])
    files = " UNION ALL ".join(
        f"SELECT p.id, p.title, '{kind}' AS kind, p.{kind}_sha256 AS stored,"
        f" encode(sha256(convert_to(p.{kind}, 'UTF8')), 'hex') AS there FROM tracker_report p{recent}"
        for kind in ("html", "csv")
    )
    bad = f"SELECT id, title, kind, stored, there FROM ({files}) d WHERE stored <> there"

    def breach(pk: int, title: str, kind: str, stored: str, there: str) -> Breach:
        return Breach(
            "report digests", "tracker_report", pk, f"{kind}_sha256 {stored} for '{title}'",
            f"{there}, of the {kind} that is kept",
            "Compare with a copy that was downloaded before, and restore the report from a backup.",
        )  # fmt: skip

    return _looked((f"SELECT 2 * count(*) FROM tracker_report p{recent}", given), (bad, given * 2), breach)


# --- balances -------------------------------------------------------------------------------------------------------------

TOLERANCE = 1e-6
"""Relative difference of two sums of doubles that were added up in another order."""


NEWEST = """
    SELECT * FROM (
      SELECT DISTINCT ON (area_id, scope_id, month) * FROM tracker_balancecell WHERE run_id = ANY(%s)
      ORDER BY area_id, scope_id, month, array_position(%s, run_id) DESC
    ) newest WHERE NOT is_gone
"""
"""The cells of a run: of each month the one of the latest layer."""


def _layers(run_id: int, layers: Sequence[int]) -> list[int]:
    return [*(layer for layer in layers if layer != run_id), run_id]


def balance_chains(run_id: int, layers: Sequence[int]) -> Looked:
    """The books of one run: each cell is its opening, receipts and production less dispatches and exits; each month opens with
    what the one before it closed with, or with zero; and what was not accounted for is the book less the count."""
    bad = f"""
        WITH cell AS ({NEWEST}), chain AS (
          SELECT id, area_id, scope_id, month, opening, book, opening + receipts + production - dispatches - exits AS adds_up,
            coalesce(lag(coalesce(close, book)) OVER months, 0) AS before, close, muf,
            greatest(abs(opening), abs(receipts), abs(dispatches), abs(book), 1) AS size
          FROM cell WINDOW months AS (PARTITION BY area_id, scope_id ORDER BY month)
        )
        SELECT c.id, a.key, s.key, c.month, c.opening, c.book, c.muf, c.before, c.adds_up, c.close
        FROM chain c LEFT JOIN tracker_balancearea a ON a.id = c.area_id LEFT JOIN tracker_balancescope s ON s.id = c.scope_id
        WHERE abs(c.book - c.adds_up) > {TOLERANCE} * c.size OR abs(c.opening - c.before) > {TOLERANCE} * c.size
          OR abs(c.muf - (c.book - c.close)) > {TOLERANCE} * c.size OR a.id IS NULL OR s.id IS NULL
    """
    all_layers = _layers(run_id, layers)

    def breach(
        pk: int, area: str, scope: str, month: Any, opening: float, book: float, muf: float | None, before: float,
        adds_up: float, close: float | None,
    ) -> Breach:  # fmt: skip
        unaccounted = "" if muf is None else f", {muf:,.10g} not accounted for"
        should = "" if muf is None or close is None else f", {book - close:,.10g} not accounted for"
        return Breach(
            "balances", "tracker_balancecell", pk,
            f"{area} {scope} {month:%Y-%m}: opening {opening:,.10g}, book {book:,.10g}{unaccounted}",
            f"opening {before:,.10g}, book {adds_up:,.10g}{should}",
            "Make the run again and compare its books; do not use this one.",
        )  # fmt: skip

    return _looked(
        ("SELECT count(*) FROM tracker_balancecell WHERE run_id = ANY(%s)", [all_layers]),
        (bad, [all_layers, all_layers]),
        breach,
    )


AMOUNTS = (
    "opening", *TERMS, "book", "sigma", "close", "muf", "muf_sigma", "lines", "floors", "at_least", "random", "shared_in",
    "shared_out",
)  # fmt: skip
"""What is compared of a cell: all that a run over changes goes on from. NaN where no inventory was reported."""
_STORED: tuple[Column, ...] = (
    ("id", "i8"), ("area", "i8"), ("scope", "i8"), ("month", "i4"), *((name, "f8") for name in AMOUNTS),
)  # fmt: skip


def stored_cells(run_id: int, layers: Sequence[int], scopes: Sequence[int], kind: int) -> Columns:
    """The cells that are stored of some scopes and one kind of area, named as ``balances.books`` names them, sorted by area,
    scope and month."""
    which = [[scope // 2 for scope in scopes if scope % 2 == place] for place in (0, 1)]
    as_number = {"at_least": "c.at_least::int"}
    amounts = ", ".join(f"coalesce({as_number.get(name, f'c.{name}')}::float8, 'NaN')" for name in AMOUNTS)
    sql = f"""
        SELECT c.id, {area_of(kind, 0)}::bigint + a.object_id, s.object_id * 2 + (s.kind = 'family')::int,
          ((extract(year FROM c.month) - 2000) * 12 + extract(month FROM c.month) - 1)::int, {amounts}
        FROM ({NEWEST}) c JOIN tracker_balancearea a ON a.id = c.area_id JOIN tracker_balancescope s ON s.id = c.scope_id
        WHERE a.kind = %s AND (s.kind = 'chip' AND s.object_id = ANY(%s) OR s.kind = 'family' AND s.object_id = ANY(%s))
        ORDER BY 2, 3, 4
    """
    all_layers = _layers(run_id, layers)
    parts = [
        {name: part[name] for name, _ in _STORED}
        for part in copied(sql, [all_layers, all_layers, KINDS[kind], *which], _STORED)
    ]
    return joined(parts) if parts else none(_STORED)


def area_names(areas: Sequence[int]) -> dict[int, str]:
    """Keys of areas, as readers see them, by their numbers."""
    wanted = [(KINDS[kind], pk) for kind, pk in (kinds_and_objects(area) for area in areas)]
    found = BalanceArea.objects.filter(object_id__in=[pk for _, pk in wanted])
    names = {(row.kind, row.object_id): row.key for row in found}
    return {area: names.get(name, f"{name[0]} {name[1]}") for area, name in zip(areas, wanted, strict=True)}


def scope_names(scopes: Sequence[int]) -> dict[int, str]:
    """Keys of scopes, as readers see them, by their numbers."""
    found = BalanceScope.objects.filter(object_id__in=[scope // 2 for scope in scopes])
    names = {row.object_id * 2 + (row.kind == BalanceScope.Kind.FAMILY): row.key for row in found}
    return {scope: names.get(scope, f"scope {scope}") for scope in scopes}
