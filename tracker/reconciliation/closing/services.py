"""Closing a run: false alarms controlled over all its tests, findings published, the life of each discrepancy carried on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import orjson
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from tracker.balances.reading import Array
from tracker.balances.services import finish_cells
from tracker.claims.models import Claim
from tracker.core.period import quarter
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks import srd
from tracker.reconciliation.findings.services import (
    as_found,
    carry_estimates,
    carry_over,
    closing_section,
    learn_findings,
    save_findings,
    tell,
)
from tracker.reconciliation.lines.services import told_below_zero, wider_chains
from tracker.reconciliation.lives.services import carry_on
from tracker.reconciliation.models import (
    GOING,
    Evidence,
    Finding,
    ReconciliationRun,
    RunPartition,
)
from tracker.reconciliation.querysets import LINES, Ledger, ledger_of
from tracker.reconciliation.records.querysets import LotNumber
from tracker.reconciliation.registry import checks
from tracker.reconciliation.scratch import unpacked
from tracker.reconciliation.significance import CONTROLS, SEVERITY_RANK, judge, judged
from tracker.reconciliation.sweep import LOT, PAIR
from tracker.shipments.models import Shipment

log = logging.getLogger(__name__)

FEW = 1_000
"""Findings up to which it does not matter what the planner takes their number for."""
BATCH = 2_000
"""Movements whose findings are written at a time."""
NETWORK = "network"
"""Kind of the shares that solve networks."""


def close_if_complete(run_id: int) -> bool:
    """Close a run whose shares are all done: control false alarms over all its tests, then publish. True if it was closed now."""
    with transaction.atomic():
        run = ReconciliationRun.objects.select_for_update(of=["self"]).select_related("base").get(id=run_id)
        if run.status not in GOING or run.partitions.exclude(status=RunPartition.Status.DONE).exists():
            return False
        shares = list(run.partitions.filter(kind=LINES).order_by("index"))
        if run.base is not None:
            _carry_unread(run, run.base)
        else:
            _tell_wider_chains(run, shares)
        tests = _control_false_alarms(run, shares)
        if run.findings.count() > FEW:
            learn_findings()
        finish_cells(run.id)
        run.findings_sha256 = findings_digest(run)
        carry_on(run)
        run.status, run.stage = ReconciliationRun.Status.FINISHED, ReconciliationRun.Stage.CLOSED
        run.finished_at = timezone.now()
        run.counts = _counts(run, shares, tests)
        run.save()
    log.info("run %s finished: %s", run.key, run.counts)
    return True


def _carry_unread(run: ReconciliationRun, base: ReconciliationRun) -> None:
    """Carry over what the base found by checks that this run has no share for: nothing that they read changed."""
    kinds = set(run.partitions.order_by().values_list("kind", flat=True).distinct())
    codes = [check.code for check in checks() if check.partition not in kinds]
    carry_over(
        run, base, list(base.findings.filter(check_code__in=codes).order_by().values_list("id", flat=True))
    )
    if NETWORK not in kinds:
        carry_estimates(run, base)


def _tell_wider_chains(run: ReconciliationRun, shares: Sequence[RunPartition]) -> None:
    """Write the findings on balances that take in chains of several shares, of which each saw its own."""
    low = [unpacked(share.scratch)["chains"] for share in shares]
    if low:
        ledger = ledger_of(run)
        for found in told_below_zero(ledger, wider_chains(ledger, np.concatenate(low))):
            save_findings(run, found)


# --- false alarms -----------------------------------------------------------------------------------------------------


def _control_false_alarms(run: ReconciliationRun, shares: Sequence[RunPartition]) -> dict[str, int]:
    """Control false alarms over every evaluated test of each family of checks, write the texts of what was found by looking over
    columns, and return the number of tests per family."""
    parameters = Parameters(**run.parameters)
    tests = sum(share.tests.get(srd.FAMILY, 0) for share in shares)
    _tell_pairs(run, parameters, tests, [unpacked(share.scratch) for share in shares])
    rows = list(
        run.findings.exclude(check_code=srd.CODE).exclude(family="").filter(p__isnull=False).order_by("key")
    )
    verdicts = judge([as_found(row) for row in rows], parameters)
    _retell(run, zip(rows, verdicts, strict=True))
    counts: dict[str, int] = {srd.FAMILY: tests} if tests else {}
    for row in rows:
        counts[row.family] = counts.get(row.family, 0) + 1
    return counts


_JUDGED = ("q", "is_discrepancy", "severity", "severity_rank", "sections", "text")


def _retell(run: ReconciliationRun, pairs: Iterable[tuple[Finding, Found]]) -> None:
    """Put what the control of false alarms says of findings into their rows; arithmetic stands as it was written."""
    closing, changed = closing_section(run), []
    for row, verdict in pairs:
        before = (row.q, row.is_discrepancy, row.text)
        row.q, row.is_discrepancy = verdict.q, verdict.accepted
        row.severity, row.severity_rank = verdict.severity, SEVERITY_RANK[verdict.severity]
        tell(row, (*verdict.sections, closing))
        if before != (row.q, row.is_discrepancy, row.text):
            changed.append(row)
    Finding.objects.bulk_update(changed, _JUDGED, batch_size=500)


@dataclass(frozen=True, slots=True)
class _Believed:
    """Movements and lots whose differences survive the control of false alarms, with their adjusted p (None: certain)."""

    lines: Mapping[int, float | None]
    lots: Mapping[LotNumber, float | None]


def _believed(parameters: Parameters, tests: int, pairs: Array, lots: Array) -> _Believed:
    pairs, lots = (
        np.sort(pairs, order=["line"]),
        np.sort(lots, order=["shipper", "consignee", "scope", "quarter"]),
    )
    chance = np.concatenate(
        [pairs["p"][pairs["p"] > 0], lots["p"][lots["p"] > 0]]
    )  # 0: certain, no matter of chance
    limit = parameters.false_discovery_rate
    alarms = CONTROLS[parameters.control](chance.tolist(), limit, tests)
    q = dict(zip(chance.tolist(), alarms.adjusted, strict=True))  # equal p, equal q
    lines = {
        int(row["line"]): q.get(float(row["p"])) for row in pairs if q.get(float(row["p"]), 0.0) <= limit
    }
    told = {
        tuple(row.tolist()[1:]): q[float(row["p"])]
        for row in lots
        if row["p"] > 0 and q[float(row["p"])] <= limit
    }
    told |= {tuple(row.tolist()[1:]): None for row in lots if row["p"] == 0}
    return _Believed(lines, told)


def _tell_pairs(
    run: ReconciliationRun, parameters: Parameters, tests: int, carried: Sequence[Mapping[str, Array]]
) -> None:
    """Write the findings on shippers and receivers that survive the control of false alarms over all their tests.

    Those of the run that this one goes on from are carried over where no line of them changed; of them only what is said of the
    other tests is told anew.
    """
    pairs = np.concatenate([share["pairs"] for share in carried]) if carried else np.empty(0, PAIR)
    lots = np.concatenate([share["lots"] for share in carried]) if carried else np.empty(0, LOT)
    believed = _believed(parameters, tests, pairs, lots)
    ledger = ledger_of(run)
    names = {key: _lot_name(key, ledger) for key in believed.lots}
    standing = _Standing({}, {})
    if run.base is not None:
        standing = _standing(run, ledger, carried[0], believed, names)
        _carry_pairs(run, standing, believed, tests, parameters)
    lines = {pk: q for pk, q in believed.lines.items() if pk not in standing.lines}
    told = {key: q for key, q in believed.lots.items() if key not in standing.lots}
    lot_names = {names[key]: q for key, q in told.items()}
    # a lot is read whole, a line alone; batches keep the books small
    batches: list[tuple[list[int], list[LotNumber]]] = [(some, []) for some in _batches(sorted(lines), BATCH)]
    batches += [([], some) for some in _batches(sorted(told), BATCH // 20)]
    for some_lines, some_lots in batches:
        books = ledger.lots_books(some_lines, some_lots)
        found = srd.kept(
            srd.find(books, parameters), set(some_lines), {names[key] for key in some_lots}, books
        )
        rows = {row.ref.id: row for row in books.movements}
        out = []
        for one in found:
            first = rows[one.evidence[0].ref.id]
            adjusted = lot_names[srd.lot_key(first)] if one.numbers["movements"] > 1 else lines[first.ref.id]
            out.append(
                replace(one, accepted=one.is_finding)
                if adjusted is None
                else judged(one, adjusted, tests, parameters)
            )
        save_findings(run, [one for one in out if one.accepted])


@dataclass(frozen=True, slots=True)
class _Standing:
    """Findings of the base, by the movement or lot they are about, of which no line changed."""

    lines: Mapping[int, int]
    lots: Mapping[LotNumber, int]


def _standing(
    run: ReconciliationRun,
    ledger: Ledger,
    carried: Mapping[str, Array],
    believed: _Believed,
    names: Mapping[LotNumber, srd.LotKey],
) -> _Standing:
    """The base's findings on shippers and receivers that are still believed, and rest on no line or lot that changed."""
    assert run.base is not None  # asked by the caller
    first = Evidence.objects.filter(finding_id=Coalesce(OuterRef("evidence_of_id"), OuterRef("id")), order=0)
    rows = (
        run.base.findings.filter(check_code=srd.CODE)
        .order_by()
        .annotate(line=Subquery(first.values("object_id")))
    )
    single: dict[int, int] = {}
    several: dict[int, int] = {}
    for pk, line, movements in rows.values_list("id", "line", "numbers__movements"):
        (several if movements > 1 else single)[line] = pk
    moved = set(carried["moved"].tolist())
    lines = {line: pk for line, pk in single.items() if line in believed.lines and line not in moved}
    touched = {tuple(row.tolist()[1:]) for row in carried["touched"]}
    asked = {name: key for key, name in names.items() if key not in touched}
    lots: dict[LotNumber, int] = {}
    if several:
        # the first line of a lot tells which lot it is; it did not change, or the lot were touched
        fields = ("id", "shipper_id", "consignee_id", "chip_id", "family_id", "shipped_on")
        for pk, shipper, consignee, chip, family, day in (
            ledger.known(Shipment).filter(id__in=several).values_list(*fields)
        ):
            scope = ledger.scope(chip, family)
            assert scope is not None  # the table holds every line to a chip or a family
            name = (
                shipper or 0,
                consignee or 0,
                f"{scope.kind}:{scope.slug}",
                quarter(day) if day else "undated",
            )
            if key := asked.get(name):
                lots[key] = several[pk]
    return _Standing(lines, lots)


def _carry_pairs(
    run: ReconciliationRun, standing: _Standing, believed: _Believed, tests: int, parameters: Parameters
) -> None:
    """Carry findings over, and tell anew what is said of the number of tests where that, or the place among them, changed."""
    assert run.base is not None  # asked by the caller
    wanted = {pk: believed.lines[line] for line, pk in standing.lines.items()}
    wanted |= {pk: believed.lots[lot] for lot, pk in standing.lots.items()}
    carry_over(run, run.base, sorted(wanted))
    by_key = dict(run.base.findings.filter(id__in=wanted).order_by().values_list("key", "id"))
    same = run.base.counts["tests"].get(srd.FAMILY, 0) == tests
    rows = run.findings.filter(check_code=srd.CODE, key__in=by_key).order_by("key")
    if same:
        moved = [
            key
            for key, q in rows.values_list("key", "q")
            if q != (None if (now := wanted[by_key[key]]) is None else float(f"{now:.9g}"))
        ]
        rows = rows.filter(key__in=moved)
    told = []
    for row in rows:
        q = wanted[by_key[row.key]]
        if q is not None:
            told.append((row, judged(as_found(row), q, tests, parameters)))
    _retell(run, told)


def _batches(items: Sequence[Any], size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _lot_name(key: LotNumber, ledger: Ledger) -> srd.LotKey:
    shipper, consignee, scope, number = key
    asked = ledger.numbered_scopes[scope]
    when = quarter(date(2000 + number // 4, number % 4 * 3 + 1, 1)) if number >= 0 else "undated"
    return shipper, consignee, f"{asked.kind}:{asked.slug}", when


# --- digest -----------------------------------------------------------------------------------------------------------

_DIGESTED = (
    "key", "verdict", "headline", "expected", "reported", "gap", "unit", "sigma", "statistic", "p", "q", "threshold", "family",
    "is_discrepancy", "gap_h100e", "sq", "mdg", "severity", "strength", "weakest_grade", "formula", "text", "numbers",
    "evidence_sha256",
)  # fmt: skip


def findings_digest(run: ReconciliationRun) -> str:
    """SHA-256 over all findings of a run in the order of their keys: runs of equal signature have equal digests."""
    digest = hashlib.sha256()
    for row in run.findings.order_by("key").values(*_DIGESTED).iterator():
        digest.update(orjson.dumps(row, option=orjson.OPT_SORT_KEYS) + b"\n")
    return digest.hexdigest()


# --- counts -----------------------------------------------------------------------------------------------------------


def _counts(
    run: ReconciliationRun, shares: Sequence[RunPartition], tests: Mapping[str, int]
) -> dict[str, Any]:
    """What the run read and found; what a run goes on from was counted by the other, and is not counted again."""
    severities = run.findings.filter(is_discrepancy=True).order_by().values_list("severity", flat=True)
    by_severity: dict[str, int] = dict.fromkeys(SEVERITY_RANK, 0)
    for severity in severities:
        by_severity[severity] += 1
    base = run.base
    if base is None:
        claims, lines, cells = run.records(Claim).count(), run.records(Shipment).count(), run.cells.count()
    else:
        carried = unpacked(shares[0].scratch)
        same = Claim._meta.db_table not in carried["changed"]
        claims = base.counts["claims"] if same else run.records(Claim).count()
        lines = base.counts["shipments"] + int(carried["more"][0])
        cells = base.counts["cells"] + int(carried["more_cells"][0])
    return {
        "claims": claims,
        "shipments": lines,
        "records": run.parameters["records"],
        "findings": run.findings.count(),
        "discrepancies": sum(by_severity.values()),
        "by_severity": by_severity,
        "tests": dict(sorted(tests.items())),
        "cells": cells,
    }
