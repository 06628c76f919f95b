"""The lives of discrepancies over runs: opened, moved on and opened again by what a run found, under one identity."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from tracker.core.models import Versioned
from tracker.reconciliation import explain, lifecycle
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.identity.services import follow_renames, relink_renamed
from tracker.reconciliation.models import Discrepancy, DiscrepancyEvent, Finding, ReconciliationRun
from tracker.reconciliation.registry import checks

LIVES_LOCK = 7_203_118
"""Who carries on the lives of discrepancies holds it to the end of the closing."""
NAMED_CHANGES = 10
"""How many changed records the reopening of a discrepancy names."""


def carry_on(run: ReconciliationRun) -> None:
    """Carry each discrepancy's life on. A run of the past (one known later, or of a later day, was published already) changes no
    state.

    Most discrepancies stay what they were from one run to the next; the database tells those of which something is new.
    """
    records = run.parameters["records"]
    # one closing after the other from here on: each goes on from what the one before left
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LIVES_LOCK])
    present = Q(as_known_at__gt=run.as_known_at) | Q(as_of__gt=run.as_of, as_of__lte=timezone.now().date())
    finished = ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED)
    later = finished.filter(present, parameters__records=records).exists()
    if not later:
        follow_renames(run, records)
        _open_new(run, records)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tracker_finding f SET discrepancy_id = CASE WHEN f.is_discrepancy THEN d.id END FROM tracker_finding g"
            " LEFT JOIN tracker_discrepancy d ON d.key = g.key WHERE g.id = f.id AND f.run_id = %s"
            " AND f.discrepancy_id IS DISTINCT FROM CASE WHEN f.is_discrepancy THEN d.id END",
            [run.id],
        )
    if later:
        relink_renamed(run)
        return
    _move_on(run, records)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tracker_discrepancy d SET latest_id = f.id, last_run_id = f.run_id, period_end = f.period_end"
            " FROM tracker_finding f WHERE f.run_id = %s AND f.discrepancy_id = d.id",
            [run.id],
        )


def _open_new(run: ReconciliationRun, records: str) -> None:
    """Discrepancies that no run found before."""
    opened_on, days = run.as_known_at.date(), Parameters(**run.parameters).timeliness_days
    unknown = run.findings.filter(is_discrepancy=True).exclude(key__in=Discrepancy.objects.values("key"))
    created = Discrepancy.objects.bulk_create(
        (
            Discrepancy(
                key=row.key, check_code=row.check_code, area=row.area, scope=row.scope, period=row.period,
                counterpart=row.counterpart, first_run=run, last_run=run, latest=row, opened_at=run.as_known_at,
                period_end=row.period_end, due_on=lifecycle.due_on(row.period_end, opened_on, days),
            )
            for row in unknown.defer("sections", "text", "numbers").order_by("key")
        ),
        batch_size=1000,
    )  # fmt: skip
    DiscrepancyEvent.objects.bulk_create(
        (_event(run, item, "", item.state) for item in created), batch_size=1000
    )


_SOURCED = ("claim", "shipment", "sitepower", "chipspecification", "closedbook")
"""Models of evidence that name their source; a licence's item has that of its licence."""
_SOURCE = "".join(
    f" WHEN '{name}' THEN (SELECT source_id FROM tracker_{name} t WHERE t.id = e.object_id)"
    for name in _SOURCED
)
_CORRECTED = f"""
SELECT s.slug, s.version FROM tracker_evidence e JOIN tracker_source s ON s.id = CASE e.model_name{_SOURCE}
    WHEN 'licenceitem' THEN (
      SELECT l.source_id FROM tracker_licenceitem i JOIN tracker_licence l ON l.id = i.licence_id WHERE i.id = e.object_id
    ) END
WHERE e.finding_id = coalesce(f.evidence_of_id, f.id) AND s.version > 1 AND s.recorded_at > d.resolved_at
  AND s.recorded_at <= (SELECT as_known_at FROM tracker_reconciliationrun WHERE id = f.run_id)
"""
"""The sources behind a finding ``f`` that were corrected since its discrepancy ``d`` was resolved, as known to the run."""

_VERSIONED = [
    str(model._meta.model_name)
    for model in apps.get_app_config("tracker").get_models()
    if issubclass(model, Versioned) and not model._meta.proxy
]
_STANDS_SINCE = "".join(
    f" WHEN '{name}' THEN (SELECT recorded_at FROM tracker_{name} t WHERE t.id = e.object_id AND t.version = e.version)"
    for name in _VERSIONED
)
_VERSION = "v.table_name = 'tracker_' || e.model_name AND v.object_id = e.object_id AND v.version = e.version"
_WRITTEN = f"""
(f.evidence_sha256 <> l.evidence_sha256 AND (
  EXISTS (
    SELECT FROM tracker_evidence e JOIN tracker_recordversion v ON {_VERSION}
    WHERE e.finding_id = coalesce(l.evidence_of_id, l.id) AND v.superseded_at <= fr.as_known_at)
  OR EXISTS (
    SELECT FROM tracker_evidence e WHERE e.finding_id = coalesce(f.evidence_of_id, f.id) AND lr.as_known_at < coalesce(
      CASE e.model_name{_STANDS_SINCE} END, (SELECT v.recorded_at FROM tracker_recordversion v WHERE {_VERSION})))
)
OR EXISTS ({_CORRECTED})
OR (f.expected, f.reported, f.gap, f.sigma) IS DISTINCT FROM (l.expected, l.reported, l.gap, l.sigma)
  AND (fr.parameters, fr.rule_set_sha256, fr.code_version) = (lr.parameters, lr.rule_set_sha256, lr.code_version)
  AND (fr.as_of = lr.as_of OR f.check_code <> ALL(%(daily)s)))
"""
"""Whether a record that the finding ``f`` of the run ``fr``, or the finding ``l`` before it, rests on was entered, corrected or
withdrawn between the two: one that they name, or one behind their sums (``lifecycle.rests_on_another_ledger``)."""

_SEEN = """
FROM tracker_discrepancy d
JOIN tracker_reconciliationrun r ON r.id = d.first_run_id AND r.parameters ->> 'records' = %(records)s
LEFT JOIN tracker_finding l ON l.id = d.latest_id
LEFT JOIN tracker_finding f ON f.run_id = %(run)s AND f.discrepancy_id = d.id
"""
"""What a run found of each discrepancy (``f``), and what was found of it before (``l``)."""

_NEXT = f"""
SELECT d.id AS discrepancy_id, d.key, d.state AS before, CASE
    WHEN f.id IS NULL THEN 'below threshold'
    WHEN d.state = 'below threshold' THEN 'back'
    WHEN l.id IS NOT NULL AND (f.evidence_sha256, f.verdict) = (l.evidence_sha256, l.verdict)
      AND f.gap IS NOT DISTINCT FROM l.gap THEN 'persisting'
    ELSE 'changed' END AS after
{_SEEN} WHERE d.first_run_id <> %(run)s AND d.state <> 'resolved'
"""
"""The state that each open discrepancy has because of a run: ``lifecycle.next_state`` in SQL, because there may be very many; a
test holds the two to each other."""

_REOPENS = f"""
SELECT d.id, f.id {_SEEN}
LEFT JOIN tracker_reconciliationrun lr ON lr.id = l.run_id
JOIN tracker_reconciliationrun fr ON fr.id = f.run_id
WHERE d.first_run_id <> %(run)s AND d.state = 'resolved'
  AND coalesce({_WRITTEN}, f.evidence_sha256 <> d.resolved_evidence_sha256)
"""
"""Resolved discrepancies that a run opens again, and what it found of them."""

_MOVE = f"""
WITH news AS MATERIALIZED (SELECT * FROM ({_NEXT}) n WHERE after <> before),
  moved AS (
    UPDATE tracker_discrepancy d SET state = n.after FROM news n WHERE d.id = n.discrepancy_id AND d.state = n.before
    RETURNING n.*
  )
INSERT INTO tracker_discrepancyevent (discrepancy_id, at, made_by, run_key, what, before, after, reason, words)
SELECT discrepancy_id, %(at)s, '', %(key)s, '{DiscrepancyEvent.What.STATE}', before, after, '', '' FROM moved ORDER BY key
"""
"""Whoever resolves a discrepancy meanwhile has the last word: what is no longer in the state it was read in is left alone."""


def _move_on(run: ReconciliationRun, records: str) -> None:
    """The next state of the discrepancies of which this run says something new."""
    daily = [check.code for check in checks() if check.moves_with_the_day]
    given: dict[str, Any] = {
        "run": run.id, "records": records, "key": run.key, "at": timezone.now(), "daily": daily,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, given)
        cursor.execute("SELECT EXISTS (SELECT FROM tracker_discrepancy WHERE state = 'resolved')")
        if not cursor.fetchone()[0]:
            return
        cursor.execute(_REOPENS, given)
        news = dict(cursor.fetchall())
    # few, and each is told which of the records that it rests on changed
    seen_now = Finding.objects.defer("sections", "text", "numbers").in_bulk(list(news.values()))
    events, moved = [], []
    for item in Discrepancy.objects.filter(id__in=news).select_related("latest").order_by("key"):
        events.append(_reopened(run, item, seen_now[news[item.pk]]))
        item.state = Discrepancy.State.REOPENED
        item.reason = item.resolution = item.resolved_by = item.resolved_evidence_sha256 = ""
        item.resolved_at = None
        moved.append(item)
    Discrepancy.objects.bulk_update(moved, _REOPENED, batch_size=1000)
    DiscrepancyEvent.objects.bulk_create(events, batch_size=1000)


_REOPENED = ("state", "reason", "resolution", "resolved_by", "resolved_at", "resolved_evidence_sha256")


def _event(
    run: ReconciliationRun, item: Discrepancy, before: str, after: str, words: str = ""
) -> DiscrepancyEvent:
    return DiscrepancyEvent(
        discrepancy=item,
        run_key=run.key,
        what=DiscrepancyEvent.What.STATE,
        before=before,
        after=after,
        words=words,
    )


def _reopened(run: ReconciliationRun, item: Discrepancy, now: Finding) -> DiscrepancyEvent:
    changes = lifecycle.record_changes(_records(item.latest), _records(now))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT c.slug, c.version FROM tracker_finding f, tracker_discrepancy d, LATERAL ({_CORRECTED}) c"
            " WHERE f.id = %s AND d.id = %s ORDER BY 1",
            [now.pk, item.pk],
        )
        changes += [f"source {slug}: corrected, now version {version}" for slug, version in cursor.fetchall()]
    named = "; ".join(changes[:NAMED_CHANGES]) or _figures_moved(item.latest, now)
    words = f"A record it rests on changed since it was resolved ({item.resolution}). Changed: {named}."
    return _event(run, item, item.state, Discrepancy.State.REOPENED, words)


def _figures_moved(before: Finding | None, now: Finding) -> str:
    """What is left to say where the record that changed stands behind a sum, and is not named."""
    if before is None:
        return "versions changed between the last run and the closing"
    was, is_now = (explain.chips(row.gap or 0.0, row.unit) for row in (before, now))
    sides = [explain.number(row.expected) for row in (before, now)]
    moved = f"the difference was {was} and is {is_now}" if was != is_now else f"{sides[0]} is now {sides[1]}"
    return f"records behind a sum that are not named one by one ({moved})"


def _records(row: Finding | None) -> list[lifecycle.RecordVersionKey]:
    return [] if row is None else list(row.evidence.values_list("model_name", "object_id", "version"))
