"""Writing findings: the rows, their evidence and their words; and carrying over those of an earlier run that still stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import orjson
from django.db import connection

from tracker.core.copying.services import copy_in, copy_into
from tracker.core.quantity import stored
from tracker.reconciliation import lifecycle
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.books import Section
from tracker.reconciliation.explain import full_text, record_section
from tracker.reconciliation.models import Evidence, Finding, NetworkEstimate, ReconciliationRun
from tracker.reconciliation.significance import SEVERITY_RANK, unjudged


def key_of(named: Sequence[str], records: str) -> str:
    """The identity of a discrepancy over all runs, by check, area, scope, period and counterpart (:attr:`Found.key`); one of
    synthetic records is never one of real ones."""
    return hashlib.sha256("|".join((*named, records)).encode()).hexdigest()


def closing_section(run: ReconciliationRun) -> Section:
    """The last part of the words of every finding of a run."""
    return record_section(run.signature, run.as_known_at, run.code_version)


def save_findings(run: ReconciliationRun, found: Iterable[Found]) -> None:
    """Write findings with their evidence; in the order of their keys, so that equal findings make equal rows."""
    closing = closing_section(run)
    pairs = sorted(
        ((key_of(item.key, run.parameters["records"]), item) for item in found), key=lambda pair: pair[0]
    )
    rows = [_finding_row(run, key, item, closing) for key, item in pairs]
    copy_in(rows)
    evidence = (
        (
            row.pk, order, piece.role, piece.ref.model, piece.ref.id, piece.ref.version, piece.label, piece.contribution,
            piece.variance_share, piece.own_share,
        )
        for row, (_, item) in zip(rows, pairs, strict=True)
        for order, piece in enumerate(item.evidence)
    )  # fmt: skip
    copy_into(Evidence._meta.db_table, evidence, _EVIDENCE)


_EVIDENCE = (
    "finding_id", "order", "role", "model_name", "object_id", "version", "label", "contribution", "variance_share",
    "own_share",
)  # fmt: skip


def learn_findings() -> None:
    """Let the planner learn how many findings the latest run has. It takes a run that it does not know for one without any, and
    would then read all of them again for every discrepancy."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tracker_finding (run_id, discrepancy_id, key)")


def save_estimates(run: ReconciliationRun, found: Iterable[Found]) -> None:
    """The estimates of networks, beside the findings and never among the evidence."""
    NetworkEstimate.objects.bulk_create(
        (
            NetworkEstimate(
                run=run, component=row.component, order=order, kind=row.kind, from_node=row.from_node[:120],
                to_node=row.to_node[:120], scope=row.scope[:100], reported=stored(row.reported),
                reported_sd=stored(row.reported_sd), estimate=stored(row.estimate), sd=stored(row.sd), status=row.status,
                note=row.note,
            )
            for item in found
            for order, row in enumerate(item.estimates)
        ),
        batch_size=2000,
    )  # fmt: skip


def _finding_row(run: ReconciliationRun, key: str, item: Found, closing: Section) -> Finding:
    evidence = [[e.role, e.ref.model, e.ref.id, e.ref.version] for e in item.evidence]
    row = Finding(
        run=run,
        key=key,
        check_code=item.check,
        area=item.area,
        scope=item.scope,
        period=item.period,
        period_end=item.period_end or lifecycle.last_day(item.period),
        counterpart=item.counterpart,
        verdict=item.verdict,
        headline=item.headline,
        expected=item.expected,
        reported=item.reported,
        gap=item.gap,
        unit=item.unit,
        sigma=item.sigma,
        statistic=item.statistic,
        p=item.p,
        q=item.q,
        threshold=item.threshold,
        family=item.family or "",
        is_discrepancy=item.is_finding,
        gap_h100e=item.gap_h100e,
        sq=item.sq,
        mdg=item.mdg,
        is_own_finding=item.is_finding,
        own_severity=item.severity,
        severity=item.severity,
        severity_rank=SEVERITY_RANK[item.severity],
        strength=item.strength,
        weakest_grade=item.weakest_grade,
        formula=item.formula,
        numbers=dict(item.numbers),
        evidence_sha256=hashlib.sha256(orjson.dumps(evidence)).hexdigest(),
    )
    tell(row, (*item.sections, closing))
    return row


_COPIED = tuple(
    str(field.column)
    for field in Finding._meta.concrete_fields
    if field.column not in ("id", "run_id", "evidence_of_id", "sections", "text")
)


def carry_over(run: ReconciliationRun, base: ReconciliationRun, ids: Sequence[int]) -> None:
    """Write findings of the run that another goes on from as that one's own: of the words only the last part differs, which names
    the run. Their evidence is not written again (``Finding.evidence``)."""
    if not ids:
        return
    before, after = closing_section(base), closing_section(run)
    names = ", ".join(_COPIED)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tracker_finding (run_id, evidence_of_id, sections, text, {names})"
            " SELECT %s, coalesce(evidence_of_id, id), (sections - -1) || %s::jsonb, left(text, %s) || %s,"
            f" {names} FROM tracker_finding WHERE run_id = %s AND id = ANY(%s) ORDER BY key",
            [
                run.id, orjson.dumps([{"heading": after.heading, "body": after.body}]).decode(), -len(before.body),
                after.body, base.id, list(ids),
            ],
        )  # fmt: skip


def carry_estimates(run: ReconciliationRun, base: ReconciliationRun) -> None:
    """Write the estimates of another run's networks as this one's own."""
    columns = [
        field.column
        for field in NetworkEstimate._meta.concrete_fields
        if field.column not in ("id", "run_id")
    ]
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tracker_networkestimate (run_id, {names}) SELECT %s, {names} FROM tracker_networkestimate"
            " WHERE run_id = %s ORDER BY id",
            [run.id, base.id],
        )


def as_found(row: Finding) -> Found:
    """A stored finding as it was before false alarms were controlled, without its closing part; its evidence is left out."""
    return Found(
        check=row.check_code, area=row.area, scope=row.scope, period=row.period, counterpart=row.counterpart,
        verdict=row.verdict, headline=row.headline, gap=row.gap, statistic=row.statistic, p=row.p, family=row.family or None,
        is_finding=row.is_own_finding, gap_h100e=row.gap_h100e, sq=row.sq, mdg=row.mdg, severity=row.own_severity,
        strength=row.strength, weakest_grade=row.weakest_grade,
        sections=unjudged([Section(**part) for part in row.sections[:-1]]),
    )  # fmt: skip


def tell(row: Finding, sections: Sequence[Section]) -> None:
    """Put the words of a finding into its row."""
    row.sections = [{"heading": part.heading, "body": part.body} for part in sections]
    row.text = full_text(sections)
