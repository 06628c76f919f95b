"""Running a reconciliation: fix the instant, share out the work, judge each share, close the run.

Arguments of every step are ids, and every step may run twice. A share's findings and its mark ``done`` are written in one
transaction under a lock that dies with its holder, so a killed worker leaves nothing behind and a second one starts afresh.
Whoever finishes the last share closes the run; closing twice is refused by the run's own row.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, F
from django.utils import timezone

from tracker.balances.querysets import changed_lines
from tracker.balances.services import begin_cells, drop_cells, register_areas
from tracker.claims.models import Claim
from tracker.core.errors import BadInput, CannotReconcile
from tracker.core.memory import peak_mb
from tracker.core.services import Changes, changed_since, changes_between, settled_instant
from tracker.core.version import VERSION
from tracker.datacenters.models import DataCenter
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.closing.services import close_if_complete
from tracker.reconciliation.findings.services import carry_over, save_estimates, save_findings
from tracker.reconciliation.forward.services import brought_forward
from tracker.reconciliation.lines.querysets import touched_since
from tracker.reconciliation.lines.services import LINES_PER_SHARE, ON_LINES, line_shares, swept_lines
from tracker.reconciliation.models import (
    GOING,
    MethodParameter,
    ReconciliationRun,
    RunPartition,
)
from tracker.reconciliation.narrow.querysets import NARROWED, standing
from tracker.reconciliation.parameters import CHOSEN_BY_RUN, SETTINGS, Setting, defaults, with_settings
from tracker.reconciliation.querysets import KINDS, LINES, Ledger, RunOver, ledger_of, stop_if_over
from tracker.reconciliation.registry import checks
from tracker.reconciliation.scratch import packed
from tracker.rules.services import rulebook
from tracker.shipments.models import Shipment

log = logging.getLogger(__name__)

SHARE_LOCK = 7203  # first key of the advisory locks that workers hold on shares; the second is the share's id
ATTEMPTS = 5
"""How often a share is tried before its run is given up: a share that kills its worker must not go round for ever."""
CANCEL_PATIENCE_MS = 5000
"""How long who stops a run waits for its row, which is held for moments, or by who closes it."""
ROWS_PER_SHARE = 20_000

_JUDGING = (
    "core", "sources", "chips", "organizations", "datacenters", "screening", "rules", "claims", "licences", "shipments",
    "judgement", "balances", "reconciliation",
)  # fmt: skip
"""Packages whose code a finding depends on: all that this one imports, in one step or several."""


# --- starting -----------------------------------------------------------------------------------------------------------


def start_run(
    requested_by: str,
    *,
    as_known_at: datetime | None = None,
    as_of: date | None = None,
    parameters: Parameters | None = None,
    request_key: str = "",
    records: str = "real",
    mode: str = ReconciliationRun.Mode.FULL,
) -> ReconciliationRun:
    """Write down a new run and its shares; queueing them is the caller's.

    ``mode`` incremental: the books go on from those of the latest finished run, if it read the same day with the same code, rules
    and parameters, and nothing changed since but what those books can take in (:func:`base_of`); else the run is full.

    ``as_known_at``: the instant to read at; now, settled, if not given. ``as_of``: the day books are drawn up for (the instant's
    day if not given). ``parameters``: those in force on that day, over ``records`` (real or synthetic), if not given.

    Raises:
        BadInput: an instant that lies ahead, or a parameter set past its range. CannotReconcile: no instant could be fixed.
    """
    if as_known_at and as_known_at > timezone.now():
        raise BadInput(
            f"as_known_at {as_known_at.isoformat()} lies ahead: what will be known is not known yet."
        )
    # an instant of the past too waits for writers under way: what they have written may bear an earlier one
    settled = settled_instant()
    at = as_known_at or settled
    day = as_of or at.date()
    parameters = parameters or parameters_on(day, at, records)
    run = ReconciliationRun(
        as_known_at=at,
        as_of=day,
        parameters=parameters.as_dict(),
        code_version=code_version(),
        requested_by=requested_by,
        request_key=request_key,
    )
    changes: Changes | None = None
    if mode == ReconciliationRun.Mode.INCREMENTAL:
        run.base, changes = base_of(run)
    if run.base is not None:
        run.mode, run.rule_set_sha256 = mode, run.base.rule_set_sha256  # no rule was written since
    else:
        run.rule_set_sha256 = rulebook(at).digest
    run.signature = _signature(run)
    if changes is None or changes.tables & ADDED_TO:
        register_areas()
    shares = _shares_of(run, changes)
    with transaction.atomic():
        run.key = _next_key(at)
        run.save()
        run.layers = [*(run.base.layers if run.base else []), run.id]
        run.save(update_fields=["layers"])
        RunPartition.objects.bulk_create(shares)
        begin_cells(run.id, sum(share.rows for share in shares))
    log.info("run %s written down, as known at %s, %d shares", run.key, at.isoformat(), len(shares))
    return run


def _shares_of(run: ReconciliationRun, changes: Changes | None) -> list[RunPartition]:
    """The shares of a new run. One that goes on from another has a single share of lines, and none for checks that read nothing
    of what changed: what they found stands (``closing.services``)."""
    if changes is None:
        lines = line_shares(run)
        found = [
            RunPartition(
                run=run, kind=LINES, index=index, count=len(lines), rows=share.rows, scratch=packed({"scopes": share.scopes})
            )
            for index, share in enumerate(lines)
        ]  # fmt: skip
        counts, narrow = _share_counts(run), frozenset[str]()
    else:
        assert run.base is not None  # changes are those since the base
        scratch = packed({"changed": np.array(sorted(changes.tables), np.str_)})
        found = [RunPartition(run=run, kind=LINES, index=0, count=1, scratch=scratch)]
        before = RunPartition.objects.filter(run_id=run.base.layers[0]).order_by().values_list("kind")
        earlier = dict(before.annotate(shares=Count("id")))
        left = {kind for kind in KINDS if changes.tables <= UNREAD_BY.get(kind, frozenset())}
        narrow = frozenset(NARROWED if changes.tables <= _UNASKED | {Shipment._meta.db_table} else ())
        counts = {kind: 1 if kind in narrow else earlier.get(kind, 2) for kind in KINDS if kind not in left}
    return found + [
        RunPartition(
            run=run,
            kind=kind,
            index=index,
            count=count,
            scratch=packed({"narrow": np.ones(1)}) if kind in narrow else b"",
        )
        for kind, count in sorted(counts.items())
        for index in range(count)
    ]


def parameters_on(as_of: date, known_at: datetime, records: str = "real") -> Parameters:
    """The numbers of the method for books of a day: of each parameter the latest value begun by then, as known at ``known_at``.

    Raises:
        BadInput: a value that its parameter does not take, written past the form that refuses it.
    """
    return with_settings({name: row.value for name, row in _set_by(as_of, known_at).items()}, records)


def _set_by(as_of: date, known_at: datetime) -> dict[str, MethodParameter]:
    rows = MethodParameter.objects.known_at(known_at).filter(valid_from__lte=as_of)
    return {
        row.name: row for row in rows.order_by("name", "valid_from")
    }  # of each name the latest comes last


@dataclass(frozen=True, slots=True)
class ParameterLine:
    """A parameter as a run used it, and where its value comes from."""

    name: str
    value: Any
    setting: Setting | None  # None: chosen by the run, or no longer a parameter of the method
    origin: str


def parameter_lines(run: ReconciliationRun) -> list[ParameterLine]:
    """Every parameter of a run by name, with who set it when and why, as known at the run's instant."""
    standing, plain = _set_by(run.as_of, run.as_known_at), defaults()
    lines = []
    for name, value in sorted(run.parameters.items()):
        row = standing.get(name)
        if row is not None and row.value == value:
            words = (
                f"since {row.valid_from}, set {row.recorded_at:%Y-%m-%d} by {row.recorded_by}: {row.reason}"
            )
        elif name in CHOSEN_BY_RUN:
            words = "chosen for this run"
        else:
            words = "default of the method" if plain.get(name) == value else "given with this run"
        lines.append(ParameterLine(name, value, SETTINGS.get(name), words))
    return lines


LAYERS = 20
"""How many runs in a row may go on from one another before the books are drawn up afresh: readers look through each."""
MOST_CHANGED, LEAST_CHANGES = 0.002, 1000
"""Share of the lines that may have changed for a run to go on from another, and how many may in any case: beyond, reading
everything is quicker (docs/operations.md tells what was measured)."""
TAKEN_IN = frozenset(
    f"tracker_{name}"
    for name in (
        "shipment", "shipmentclaim", "claim", "claimconflict", "licence", "licenceitem", "sitepower", "datacenterstatus",
        "datacenteruser", "balanceplug", "alias", "methodparameter", "ruledraft",
    )
)  # fmt: skip
"""Tables whose changes books can take in: lines by their cells, the others because no book reads them (parameters that bear on a
run stand among its own). A change of a chip, owner, place or declaration may move any book, and is met by a full run."""
ADDED_TO = frozenset({"tracker_source", "tracker_organization", "tracker_datacenter"})
"""Tables to which books can take in new records: nothing that stands was about them. A record that changed is another matter."""


_UNASKED = frozenset(
    f"tracker_{name}"
    for name in ("source", "organization", "shipmentclaim", "balanceplug", "methodparameter", "ruledraft")
)
"""Of the tables that books can take in, those whose changes no check reads: sources and organizations are new ones, of which no
other record that stands can speak."""
UNREAD_BY = {kind: _UNASKED | {Shipment._meta.db_table} for kind in ("route", "scope", "site")}
"""Of each kind of shares, tables whose changes its checks read nothing of."""


def base_of(run: ReconciliationRun) -> tuple[ReconciliationRun | None, Changes | None]:
    """The finished run that a new run may go on from, with what changed since; or None."""
    base = (
        ReconciliationRun.objects.filter(
            status=ReconciliationRun.Status.FINISHED, as_of=run.as_of, parameters=run.parameters, code_version=run.code_version,
            as_known_at__lte=run.as_known_at,
        )
        .order_by("-as_known_at", "-id")
        .first()
    )  # fmt: skip
    if base is None or len(base.layers) >= LAYERS:
        return None, None
    changes = changes_between(base.as_known_at, run.as_known_at)
    if not (changes.tables <= TAKEN_IN | ADDED_TO and changes.rewritten <= TAKEN_IN):
        return None, None
    most = max(LEAST_CHANGES, MOST_CHANGED * base.counts["shipments"])
    if (
        Shipment._meta.db_table in changes.tables
        and len(changed_lines(base.as_known_at, run.as_known_at)) > most
    ):
        return None, None
    return base, changes


def repeat_run(run: ReconciliationRun, requested_by: str) -> ReconciliationRun:
    """The same run once more: same instant, day and parameters. Equal code and rules give equal findings."""
    return start_run(
        requested_by, as_known_at=run.as_known_at, as_of=run.as_of, parameters=Parameters(**run.parameters)
    )


def code_digest() -> str:
    """Digest of the code that judges: what a run's findings depend on beside data and parameters."""
    root = Path(settings.BASE_DIR) / "tracker"
    digest = hashlib.sha256()
    for package in _JUDGING:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def code_version() -> str:
    """Version and digest of the code that judges here, as runs and findings carry it: that which this process loaded."""
    return f"{VERSION}+{code_digest()[:12]}"


def _signature(run: ReconciliationRun) -> str:
    parts = [run.as_known_at, run.as_of, run.parameters, run.rule_set_sha256, run.code_version]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _next_key(at: datetime) -> str:
    """Runs of one day are numbered; the lock keeps two that start at once from taking the same number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [SHARE_LOCK, 0])
    day = f"{at:%Y-%m-%d}"
    taken = ReconciliationRun.objects.filter(key__startswith=f"{day}-").values_list("key", flat=True)
    return f"{day}-{max((int(key.rpartition('-')[2]) for key in taken), default=0) + 1}"


def _share_counts(run: ReconciliationRun) -> dict[str, int]:
    claims, lines, sites = (run.records(model).count() for model in (Claim, Shipment, DataCenter))
    named = run.records(Shipment).filter(licence__isnull=False).count()
    rows = {
        "claim_subject": claims, "scope": claims, "site": sites + claims,
        # lines that draw on a licence without naming it are about as many again, and all are few values; limits read sums of what
        # left while they held (of a million lines half a million, 80,000 in a share: 289 MB)
        "licence": named // 2, "limit": lines // 12,
        "network": 0, "hub": 0, "route": claims,  # hubs: sums of the whole ledger, whoever asks, so the fewest shares
        "verdict": lines * ROWS_PER_SHARE // LINES_PER_SHARE,  # added up by the database: no line is read
    }  # fmt: skip
    return {kind: max(2, -(-rows[kind] // ROWS_PER_SHARE)) for kind in KINDS}


# --- one share ------------------------------------------------------------------------------------------------------------


def run_share(partition_id: int) -> str:
    """Judge one share of a run; returns what came of it: done, taken, over, failed.

    ``taken``: another worker is on it, or it is done; ``over``: its run is no longer going.
    """
    try:
        with transaction.atomic():
            return _locked_share(partition_id)
    except RunOver:
        return _let_go(partition_id)
    except (OperationalError, InterfaceError) as error:
        share = RunPartition.objects.select_related("run").get(
            id=partition_id
        )  # raises while the database is away
        if share.run.status not in GOING:
            return _let_go(partition_id)
        # The database broke off: it is no fault of the share, and whoever looks for lost work takes it up again, ATTEMPTS times.
        RunPartition.objects.filter(id=partition_id).update(error=f"{type(error).__name__}: {error}".strip())
        raise
    except Exception as error:
        _give_up(partition_id, error)
        raise


def _let_go(partition_id: int) -> str:
    """A share whose run is over is nobody's any more."""
    RunPartition.objects.filter(id=partition_id, status=RunPartition.Status.RUNNING).update(
        status=RunPartition.Status.WAITING
    )
    return "over"


def _locked_share(partition_id: int) -> str:
    if not _hold(partition_id):
        return "taken"
    share = RunPartition.objects.select_related("run__base").get(id=partition_id)
    run = share.run
    if run.status not in GOING:
        raise RunOver(f"run {run.key} goes on no longer")
    if share.status == RunPartition.Status.DONE:
        return "taken"
    ledger = ledger_of(run)
    began = perf_counter()
    number, tests = 0, dict[str, int]()
    if share.kind == LINES:
        found, tests = (brought_forward if run.base_id else swept_lines)(run, share, ledger)
        number = _written(run, found)
    else:
        with closing(_checked(share, ledger)) as pieces:
            for found in pieces:  # written piece by piece, so that memory holds one
                number += _written(run, found)
    RunPartition.objects.filter(id=share.id).update(
        status=RunPartition.Status.DONE, finished_at=timezone.now(), findings=number, error="", tests=tests,
        seconds=round(perf_counter() - began, 3), peak_mb=peak_mb(),
    )  # fmt: skip
    return "done"


def _written(run: ReconciliationRun, found: list[Found]) -> int:
    save_findings(run, found)
    save_estimates(run, found)
    stop_if_over(run.id)
    return len(found)


def _checked(share: RunPartition, ledger: Ledger) -> Generator[list[Found]]:
    """What the checks of a kind of share find in its books, piece after piece. Where only lines changed since another run, in the
    books of what such lines bear on; and what the other found of all else stands."""
    if share.scratch and share.run.base is not None:
        ledger.only = touched_since(share.run, ledger.of_world())
        carry_over(share.run, share.run.base, standing(share.kind, ledger, share.run.base))
    asked = [check for check in checks() if check.partition == share.kind]
    with closing(ledger.pieces(share.kind, share.index, share.count)) as pieces:
        for books in pieces:
            for check in asked:
                stop_if_over(share.run_id)
                yield ledger.named(check.find(books, ledger.parameters))


def _hold(partition_id: int) -> bool:
    """Take the share's lock until the transaction ends, unless somebody has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [SHARE_LOCK, partition_id])
        return bool(cursor.fetchone()[0])


def begin_share(partition_id: int) -> bool:
    """Mark a share as begun, in a transaction of its own so that progress shows; False if it need not be begun."""
    open_share = RunPartition.objects.filter(id=partition_id, run__status__in=GOING).exclude(
        status=RunPartition.Status.DONE
    )
    with transaction.atomic():
        # A second message for a share that somebody is at work on must not count as another attempt at it.
        if not _hold(partition_id) or not open_share.update(
            status=RunPartition.Status.RUNNING,
            attempts=F("attempts") + 1,
            started_at=timezone.now(),
        ):
            return False
    share = RunPartition.objects.get(id=partition_id)
    run = ReconciliationRun.objects.filter(id=share.run_id)
    run.filter(status=ReconciliationRun.Status.QUEUED).update(
        status=ReconciliationRun.Status.RUNNING,
        started_at=timezone.now(),
        stage=ReconciliationRun.Stage.BOOKS,
    )
    if share.kind != LINES:  # lines are queued first: from here on the books are drawn up, or soon will be
        run.filter(stage=ReconciliationRun.Stage.BOOKS).update(stage=ReconciliationRun.Stage.CHECKS)
    if share.attempts > ATTEMPTS:
        last = f"; the last time: {share.error}" if share.error else ""
        _give_up(
            partition_id,
            CannotReconcile(f"share {share} was begun {ATTEMPTS} times and never finished{last}"),
        )
        return False
    return True


def _give_up(partition_id: int, error: Exception) -> None:
    """A share that cannot be judged fails its run, with a message that says where and what an operator does next."""
    message = f"{type(error).__name__}: {error}"
    RunPartition.objects.filter(id=partition_id).update(status=RunPartition.Status.FAILED, error=message)
    share = RunPartition.objects.get(id=partition_id)
    ReconciliationRun.objects.filter(id=share.run_id, status__in=GOING).update(
        status=ReconciliationRun.Status.FAILED,
        finished_at=timezone.now(),
        error=f"Share {share.kind} {share.index + 1} of {share.count} failed. {message}. "
        "Mend the cause and start a new run; this one has published nothing.",
    )
    log.error("share %s failed: %s", share, message)


def unfinished_shares(run_id: int) -> list[int]:
    """Shares of a going run that nobody is at work on: waiting ones, and those whose worker died.

    A worker at work holds the share's advisory lock; PostgreSQL drops it when the worker's connection ends.
    """
    left = RunPartition.objects.filter(
        run_id=run_id,
        run__status__in=GOING,
        status__in=[RunPartition.Status.WAITING, RunPartition.Status.RUNNING],
    )
    held = held_locks(SHARE_LOCK)
    return [pk for pk in left.order_by("id").values_list("id", flat=True) if pk not in held]


def held_locks(first_key: int) -> set[int]:
    """Second keys of the advisory locks with this first key that somebody holds in this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [first_key],
        )
        return {row[0] for row in cursor.fetchall()}


def cancel_run(run_id: int) -> bool:
    """Stop a run that has not finished; shares under way end without effect. False if it was over already.

    Raises:
        CannotReconcile: it is being closed: whoever closes it holds its row to the end.
    """
    going = ReconciliationRun.objects.filter(id=run_id, status__in=GOING)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{CANCEL_PATIENCE_MS}ms"])
            return bool(going.update(status=ReconciliationRun.Status.CANCELLED, finished_at=timezone.now()))
    except OperationalError as error:
        raise CannotReconcile(
            "The run is just being closed and can no longer be stopped; look again in a minute."
        ) from error


def forget_unfinished(ended_before: datetime) -> int:
    """Drop the cells of runs that were given up or stopped before an instant; returns how many had any.

    Their shares of lines count as not done from then on, so that a run that is resumed all the same draws its books up again.
    """
    over = ReconciliationRun.objects.filter(
        status__in=[ReconciliationRun.Status.FAILED, ReconciliationRun.Status.CANCELLED], finished_at__lt=ended_before,
        partitions__kind=LINES, partitions__status=RunPartition.Status.DONE,
    ).distinct()  # fmt: skip
    for run in over:
        with transaction.atomic():
            run.partitions.filter(kind=LINES).update(status=RunPartition.Status.WAITING)
            run.findings.filter(check_code__in=ON_LINES).delete()
            drop_cells(run.id)
    return len(over)


def run_of(partition_id: int) -> int:
    """Id of the run that a share belongs to."""
    return RunPartition.objects.values_list("run_id", flat=True).get(id=partition_id)


def finish_here(run_id: int) -> None:
    """Do in this process all that is left of a run, one share after the other."""
    for partition_id in unfinished_shares(run_id):
        if begin_share(partition_id):
            run_share(partition_id)
    close_if_complete(run_id)


def run_under_way() -> ReconciliationRun | None:
    """A run of today's books that is not over: what was recorded since it began is for the next one."""
    going = ReconciliationRun.objects.filter(status__in=GOING, parameters__records="real")
    return going.filter(as_of=timezone.now().date()).order_by("-as_known_at").first()


def standing_run() -> ReconciliationRun | None:
    """The latest finished run, if one of today would read the same records with the same code and parameters."""
    run = (
        ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED, parameters__records="real")
        .order_by("-as_known_at")
        .first()
    )
    if run is None or run.as_of != timezone.now().date() or changed_since(run.as_known_at):
        return None
    now = ReconciliationRun(
        as_known_at=run.as_known_at, as_of=run.as_of, parameters=parameters_on(run.as_of, run.as_known_at).as_dict(),
        rule_set_sha256=run.rule_set_sha256, code_version=code_version(),
    )  # fmt: skip
    return run if _signature(now) == run.signature else None
