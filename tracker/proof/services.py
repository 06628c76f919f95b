"""Proving the ledger: every stored number that can be worked out again is, and must come out as it is stored.

Each check reads in one snapshot of the database and writes nothing. A proof is kept with what it looked at and the first rows
that do not hold; docs/operations.md says what to do about each.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tracker.balances.books import KEYS, Columns, kinds_and_objects, taken
from tracker.balances.models import BalanceCell
from tracker.balances.reading import first_day
from tracker.balances.services import significant
from tracker.core.errors import BadInput
from tracker.proof import querysets
from tracker.proof.breach import Breach, Looked, Outcome, Told
from tracker.proof.models import LedgerProof
from tracker.reconciliation import services as reconciliation
from tracker.reconciliation.closing.services import findings_digest
from tracker.reconciliation.lines.services import replayed_books
from tracker.reconciliation.models import ReconciliationRun
from tracker.rules.services import rulebook
from tracker.runs import services as runs

log = logging.getLogger(__name__)

PROOF_LOCK = 7206
"""First key of the advisory lock that whoever proves the ledger holds."""

LATEST = 50
"""Runs whose digests are worked out again, the latest first; unless ``since`` says otherwise."""

LEASE_PATIENCE = timedelta(minutes=3)
"""The task that looks after runs comes each minute: a lease past by more than this says that it does not come."""

STALE = timedelta(days=2)
"""A last proof older than this proves nothing about today; it is made every night."""


@dataclass(frozen=True, slots=True)
class Check:
    code: str
    title: str
    look: Callable[[datetime | None], Looked]


def _runs(since: datetime | None) -> QuerySet[ReconciliationRun]:
    """Finished runs of the code that runs here: what other code wrote, it alone can write again."""
    finished = ReconciliationRun.objects.filter(
        status=ReconciliationRun.Status.FINISHED, code_version=reconciliation.code_version()
    ).order_by("-finished_at", "-id")
    return finished.filter(finished_at__gte=since) if since else finished[:LATEST]


def _leases(since: datetime | None) -> Looked:
    shares, closing = (
        reconciliation.held_locks(key) for key in (reconciliation.SHARE_LOCK, runs.CLOSING_LOCK)
    )
    held = set(ReconciliationRun.objects.filter(partitions__in=shares).values_list("id", flat=True)) | closing
    return querysets.leases(timezone.now(), runs.lease(), LEASE_PATIENCE, sorted(held))


def _findings_digests(since: datetime | None) -> Looked:
    found = Looked(0)
    for run in _runs(since):
        there = findings_digest(run)
        found += Looked(1) if there == run.findings_sha256 else Looked(1, 1, (
            Breach(
                "findings digests", "tracker_reconciliationrun", run.id,
                f"findings_sha256 {run.findings_sha256} for run {run.key}", f"{there}, of the findings that are there",
                f"Make the run again (reconcile --repeat {run.key}): the digest it ends with says whether the findings or the "
                "stored digest were changed.",
            ),
        ))  # fmt: skip
    return found


def _rule_digests(since: datetime | None) -> Looked:
    found = Looked(0)
    digests: dict[datetime, str] = {}
    for run in _runs(since):
        if run.as_known_at not in digests:
            digests[run.as_known_at] = rulebook(run.as_known_at).digest
        there = digests[run.as_known_at]
        found += Looked(1) if there == run.rule_set_sha256 else Looked(1, 1, (
            Breach(
                "rule digests", "tracker_reconciliationrun", run.id,
                f"rule_set_sha256 {run.rule_set_sha256} for run {run.key}",
                f"{there}, of the rules as known at {run.as_known_at.isoformat()}",
                "Look for versions of rules that were changed past the triggers (checks 'versions' and 'standing'), and restore "
                "them.",
            ),
        ))  # fmt: skip
    return found


def _chains(since: datetime | None) -> Looked:
    """Every cell of every finished run, run by run: a run reads its own layers."""
    found = Looked(0)
    finished = ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED).order_by("id")
    for run in finished.filter(finished_at__gte=since) if since else finished:
        found += querysets.balance_chains(run.id, run.layers)
    return found


def _replayed(since: datetime | None) -> Looked:
    """The books of the latest run of this code, drawn up again from the records as known at its instant."""
    run = _runs(since).first()
    return _replay(run) if run else Looked(0)


def _replay(run: ReconciliationRun) -> Looked:
    found = Looked(0)
    for scopes, drawn in replayed_books(run):
        kinds = np.unique(kinds_and_objects(drawn["area"])[0]).tolist()
        for kind in kinds:
            kept = querysets.stored_cells(run.id, run.layers, scopes, kind)
            found += _compared(run, taken(drawn, kinds_and_objects(drawn["area"])[0] == kind), kept)
    stored = BalanceCell.objects.of_run(run).count()  # also of kinds of chips that no line names any more
    if stored > found.rows:
        found += Looked(
            0, stored - found.rows, (_cell_breach(run, 0, f"{stored:,} cells", f"{found.rows:,} cells"),)
        )
    return Looked(found.rows, found.breached, found.breaches[: querysets.SHOWN])


def _compared(run: ReconciliationRun, drawn: Columns, kept: Columns) -> Looked:
    """Cells of one kind of area drawn up again, against those that are stored; both sorted by area, scope and month."""
    drawn = taken(drawn, np.lexsort([drawn[name] for name in reversed(KEYS)]))
    drawn = {
        **{name: drawn[name].astype(float) for name in querysets.AMOUNTS},
        **{name: significant(drawn[name]) for name in ("sigma", "muf_sigma")}, **{name: drawn[name] for name in KEYS},
    }  # fmt: skip
    names = [(name, "i8") for name in KEYS]
    mine, theirs = (
        np.rec.fromarrays([table[name].astype("i8") for name in KEYS], dtype=names) for table in (drawn, kept)
    )
    _, left, right = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    wrong = np.zeros(len(left), bool)
    for name in querysets.AMOUNTS:
        one, other = drawn[name][left], kept[name][right]
        scale = np.maximum(1.0, np.abs(np.nan_to_num(one)))
        wrong |= ~(np.abs(one - other) <= querysets.TOLERANCE * scale) & ~(np.isnan(one) & np.isnan(other))
    lacking = np.setdiff1d(np.arange(len(mine)), left)
    beyond = np.setdiff1d(np.arange(len(theirs)), right)
    pairs: list[tuple[int | None, int | None]] = [
        *zip(right[wrong].tolist(), left[wrong].tolist(), strict=True),
        *((None, row) for row in lacking.tolist()), *((row, None) for row in beyond.tolist()),
    ]  # fmt: skip
    told = pairs[: querysets.SHOWN]
    areas = querysets.area_names([int(_one(drawn, kept, pair)["area"]) for pair in told])
    scopes = querysets.scope_names([int(_one(drawn, kept, pair)["scope"]) for pair in told])
    breaches = []
    for stored_row, drawn_row in told:
        cell = _one(drawn, kept, (stored_row, drawn_row))
        name = (
            f"{areas[int(cell['area'])]} {scopes[int(cell['scope'])]} {first_day(int(cell['month'])):%Y-%m}"
        )
        breaches.append(_cell_breach(
            run, 0 if stored_row is None else int(kept["id"][stored_row]),
            f"{name}: {_amounts(kept, stored_row)}", f"{name}: {_amounts(drawn, drawn_row)}",
        ))  # fmt: skip
    return Looked(len(left) + len(beyond), len(pairs), tuple(breaches))


def _one(drawn: Columns, kept: Columns, pair: tuple[int | None, int | None]) -> dict[str, Any]:
    stored_row, drawn_row = pair
    table, row = (kept, stored_row) if stored_row is not None else (drawn, drawn_row)
    return {name: table[name][row] for name in KEYS}


def _amounts(table: Columns, row: int | None) -> str:
    if row is None:
        return "no cell"
    return ", ".join(
        f"{name} {table[name][row]:,.10g}" for name in querysets.AMOUNTS if not np.isnan(table[name][row])
    )


def _cell_breach(run: ReconciliationRun, pk: int, stored: str, expected: str) -> Breach:
    return Breach(
        "replay", "tracker_balancecell", pk, stored, expected,
        f"Make run {run.key} again (reconcile --repeat {run.key}) and use its books; look who wrote to this one.",
    )  # fmt: skip


CHECKS = (
    Check("versions", "Earlier versions follow one another without a gap", querysets.version_chains),
    Check("standing", "Rows that stand follow their last earlier version", querysets.standing_versions),
    Check("sources", "Records rest on sources that are there", querysets.sources),
    Check("evidence", "Discrepancies rest on records", querysets.findings_with_evidence),
    Check("evidence records", "The versions that findings rest on are kept", querysets.evidence_records),
    Check("evidence digests", "Digests of evidence are those of what is there", querysets.evidence_digests),
    Check("counts", "Finished runs hold what they counted", querysets.counts),
    Check("shares", "Shares of finished runs are done", querysets.shares),
    Check("lives", "States of discrepancies are those that their history tells", querysets.lives),
    Check("links", "Findings belong to the discrepancy of their key", querysets.links),
    Check("leases", "No run stands past its lease with nobody at work", _leases),
    Check("findings digests", f"Digests of findings (this code, {LATEST} latest runs)", _findings_digests),
    Check("rule digests", f"Digests of rules (this code, {LATEST} latest runs)", _rule_digests),
    Check("report digests", "Digests of reports are those of their bytes", querysets.report_digests),
    Check("balances", "Books add up month by month", _chains),
    Check("replay", "Books of the latest run come out of its entries again", _replayed),
)
"""Everything that is looked at, in this order."""


def prove(
    requested_by: str,
    *,
    since: datetime | None = None,
    only: Collection[str] = (),
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> LedgerProof:
    """Prove the ledger and keep the outcome. ``since``: only what was written at or after it; ``only``: codes of checks; ``tell``
    is called after each.

    Raises:
        BadInput: a code that names no check, an instant that lies ahead, or another proof is under way.
    """
    codes = [check.code for check in CHECKS]
    if unknown := sorted(set(only) - set(codes)):
        raise BadInput(f"There is no check '{unknown[0]}'; there are: {', '.join(codes)}.")
    if since and since > timezone.now():
        raise BadInput(f"since {since.isoformat()} lies ahead: nothing was written since then.")
    with _alone():
        proof = LedgerProof.objects.create(
            started_at=timezone.now(), requested_by=requested_by, since=since, only=sorted(only)
        )
        told = Told()
        try:
            for check in CHECKS:
                if not only or check.code in only:
                    _look(check, since, told)
                    tell(told.checks[-1])
        except (OperationalError, InterfaceError) as error:
            _keep(proof, LedgerProof.Outcome.BROKEN_OFF, told, f"{type(error).__name__}: {error}")
            raise
        held = LedgerProof.Outcome.HELD if not told.breached else LedgerProof.Outcome.BREACHED
        _keep(proof, held, told)
    log.log(
        logging.INFO if not told.breached else logging.ERROR,
        "proof of the ledger: %d rows looked at, %d do not hold", told.looked_at, told.breached,
    )  # fmt: skip
    return proof


def _look(check: Check, since: datetime | None, told: Told) -> None:
    start = time.monotonic()
    try:
        with _snapshot():
            looked = check.look(since)
    except (OperationalError, InterfaceError):
        raise  # the database went away: nothing more can be looked at
    except Exception as error:
        log.exception("check %s of the ledger broke off", check.code)
        looked = Looked(0, 1, (_broken_off(check, error),))
    seconds = round(time.monotonic() - start, 3)
    told.checks.append(Outcome(check.code, check.title, looked.rows, looked.breached, seconds))
    told.breaches += looked.breaches[: querysets.SHOWN]


def _broken_off(check: Check, error: Exception) -> Breach:
    """A row that breaks a check must not keep the others from being looked at."""
    return Breach(
        check.code, "tracker", 0,
        f"something that '{check.title.lower()}' cannot be worked out from: {type(error).__name__}: {error}",
        "rows that it can be worked out from",
        "Mend what the other checks name first, then prove again; the log of this process says where it broke off.",
    )  # fmt: skip


@contextlib.contextmanager
def _snapshot() -> Iterator[None]:
    """One snapshot for all statements of a check: a run that ends meanwhile must not be seen by half of them."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _keep(proof: LedgerProof, outcome: str, told: Told, error: str = "") -> None:
    for name, value in told.as_json().items():
        setattr(proof, name, value)
    proof.outcome, proof.finished_at, proof.error = outcome, timezone.now(), error
    proof.save()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One proof at a time. The lock falls with its holder, so a proof that says it is under way and is not was broken off."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [PROOF_LOCK])
        if not cursor.fetchone()[0]:
            raise BadInput(
                "Another proof of the ledger is under way; wait for its end, it is shown in the admin."
            )
    try:
        LedgerProof.objects.filter(outcome=LedgerProof.Outcome.RUNNING).update(
            outcome=LedgerProof.Outcome.BROKEN_OFF, error="Its process was stopped."
        )
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [PROOF_LOCK])


def latest_proof() -> LedgerProof | None:
    """The last proof of the whole ledger, by all checks, that came to an end; or a later one of a part, if rows did not hold."""
    whole = Q(since__isnull=True, only=[]) & ~Q(outcome=LedgerProof.Outcome.RUNNING)
    told = LedgerProof.objects.filter(whole | Q(outcome=LedgerProof.Outcome.BREACHED))
    return told.order_by("-started_at", "-id").first()


def standing(now: datetime | None = None) -> tuple[bool, str]:
    """Whether the ledger stands proven, and how things are in a sentence."""
    proof = latest_proof()
    if proof is None:
        return False, "The ledger was never proven: run verify_ledger."
    when = f"{proof.started_at:%Y-%m-%d %H:%M} UTC"
    if proof.outcome == LedgerProof.Outcome.BREACHED:
        return False, f"{proof.breached:,} rows do not hold (proof of {when}); the admin names them."
    if proof.outcome == LedgerProof.Outcome.BROKEN_OFF:
        return False, f"The proof of {when} was broken off: {proof.error}"
    if (now or timezone.now()) - proof.started_at > STALE:
        return False, f"The last proof is of {when}: run verify_ledger, and look whether the schedule runs."
    return True, f"All of {proof.looked_at:,} rows hold (proof of {when})."
