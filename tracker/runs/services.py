"""Keeping runs going: the lease of a run, what died taken up again, the closing done once, one run for one request.

A run has a lease (``ReconciliationRun.lease_until``). Whoever works on the run moves it on: when a share or the closing begins
and ends, and every so often in between. Work itself is held by advisory locks of database sessions, which fall with their
holders. So:

- a lock is held: somebody is at work, however long it takes, until the run's deadline;
- no lock is held and the lease has passed: nobody is; what is left is queued again, and the run is failed, with a sentence, when
  that has happened too often.

No run is *running* for ever. Leases, patience and deadline are settings (docs/operations.md).
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from tracker.core.errors import BadInput
from tracker.reconciliation import services
from tracker.reconciliation.closing.services import close_if_complete
from tracker.reconciliation.models import GOING, ReconciliationRun, RunPartition

log = logging.getLogger(__name__)

CLOSING_LOCK = 7205
"""First key of the advisory lock that whoever closes a run holds; the second is the run's id."""

BEAT_SECONDS = 2.0
"""How often whoever works on a share looks whether its run was cancelled; shorter work is never looked at."""

STARTING = timedelta(seconds=3)
"""A share begun less than this ago may not have taken its lock yet: it is not taken for dead."""


# --- the lease ------------------------------------------------------------------------------------------------------------


def lease() -> timedelta:
    """How long a run may stand still before it is taken up again."""
    return timedelta(minutes=settings.RUN_LEASE_MINUTES)


def renew(run_id: int) -> None:
    """Move the lease of a run on. Passed over where the row is locked: whoever holds it is at work on the run."""
    with transaction.atomic():
        row = ReconciliationRun.objects.select_for_update(skip_locked=True, no_key=True)
        if row.filter(id=run_id, status__in=GOING).first():
            ReconciliationRun.objects.filter(id=run_id).update(lease_until=timezone.now() + lease())


@contextlib.contextmanager
def at_work(run_id: int) -> Iterator[None]:
    """Around work on a run: its lease is renewed at both ends and, by a thread, in between.

    The thread also looks whether the run is over (cancelled, or given up), and then has the database break off the statement that
    the work is waiting for: it ends in OperationalError. Between statements the work looks itself
    (``reconciliation.services.stop_if_over``).
    """
    renew(run_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    done = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(run_id, backend, done), name=f"keeper of run {run_id}", daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
    renew(run_id)


def _keep(run_id: int, backend: int, done: threading.Event) -> None:
    renewed = timezone.now()
    try:
        while not done.wait(BEAT_SECONDS):
            try:
                if is_over(run_id):
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_cancel_backend(%s)", [backend])
                elif timezone.now() - renewed > lease() / 4:
                    renew(run_id)
                    renewed = timezone.now()
            except DatabaseError as error:  # the work meets it as well and says so; the next turn tries again
                log.warning("the lease of run %s could not be looked after: %s", run_id, error)
                connection.close()
    finally:
        connection.close()  # this thread's own


def is_over(run_id: int) -> bool:
    """Whether a run that was begun goes on no longer."""
    return ReconciliationRun.objects.filter(id=run_id).exclude(status__in=GOING).exists()


# --- work -----------------------------------------------------------------------------------------------------------------


CODE = services.code_version()
"""The code that this process loaded. A worker that was not restarted after an upgrade, or a host that was left out of it, must
not judge part of a run that other code began."""


def carry_out(partition_id: int) -> str:
    """Judge one share of a run; returns what came of it: done, taken, over, failed (``reconciliation.services.run_share``).

    ``over`` as well for a share that need not be begun, and ``other code`` where it is left to workers of the run's own code.
    """
    code = ReconciliationRun.objects.values_list("code_version", flat=True).get(partitions=partition_id)
    if code != CODE:
        words = f"A worker of other code ({CODE}) passed it by, for the run was begun by {code}: restart all workers."
        RunPartition.objects.filter(id=partition_id, status=RunPartition.Status.WAITING).update(error=words)
        log.warning("share %s: %s", partition_id, words)
        return "other code"
    if not services.begin_share(partition_id):
        return "over"
    with at_work(services.run_of(partition_id)):
        return services.run_share(partition_id)


def close(run_id: int) -> bool:
    """Close a run if all its shares are done; True if it was closed now. While one process closes it, others pass by.

    Raises whatever went wrong; the run is failed by it, with what an operator does next, unless the database went away.
    """
    run = ReconciliationRun.objects.get(id=run_id)
    if run.status not in GOING or run.code_version != CODE or not _is_complete(run):
        return False
    with _closing(run_id) as mine:
        if not mine:
            return False
        ReconciliationRun.objects.filter(id=run_id, status__in=GOING).update(
            stage=ReconciliationRun.Stage.FALSE_ALARMS
        )
        try:
            with at_work(run_id):
                return close_if_complete(run_id)
        except (OperationalError, InterfaceError):
            if is_over(run_id):
                return False  # cancelled in the middle: the statement was broken off
            raise
        except Exception as error:
            _fail(
                run_id,
                f"Closing the run failed. {type(error).__name__}: {error}. "
                "Mend the cause and start a new run; this one has published nothing.",
            )
            raise


@contextlib.contextmanager
def _closing(run_id: int) -> Iterator[bool]:
    """The closing lock of a run, held by this database session until the end; False if somebody else has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [CLOSING_LOCK, run_id])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [CLOSING_LOCK, run_id])


# --- taking up again ------------------------------------------------------------------------------------------------------


@dataclass
class TakenUp:
    """What is to be queued: ``shares`` that nobody is at work on, ``complete`` runs that nobody closes; ``failed`` runs."""

    shares: list[int] = field(default_factory=list)
    complete: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


def take_up() -> TakenUp:
    """Look after every going run once; queueing what is returned is the caller's.

    A share whose worker died is taken up at once. Shares that wait are left to the queue until the run's lease has passed: they
    may stand in it behind others. Then the queue is taken for lost and all of them are taken up.
    """
    found = TakenUp()
    now = timezone.now()
    held, closing = services.held_locks(services.SHARE_LOCK), services.held_locks(CLOSING_LOCK)
    for run in ReconciliationRun.objects.filter(status__in=GOING).order_by("id"):
        left = services.unfinished_shares(run.id)
        if now > (run.resumed_at or run.created_at) + timedelta(hours=settings.RUN_DEADLINE_HOURS):
            _fail(
                run.id,
                f"The run was not finished within {settings.RUN_DEADLINE_HOURS} hours of being asked for, and is given up. "
                f"{_standing(run)} Look at the workers and their logs, then start a new run; this one has published nothing.",
            )
            found.failed.append(run.id)
        elif _shares_of(run) & held or run.id in closing:
            found.shares += _dead(left, now)
        elif now <= (run.lease_until or run.created_at + lease()):
            found.shares += _dead(left, now)
            found.complete += [run.id] if _is_complete(run) else []
        elif run.take_ups >= settings.RUN_TAKE_UPS:
            _fail(
                run.id,
                f"The run stood still and was taken up {run.take_ups} times, and nobody finished it. {_standing(run)} "
                "Look at the workers and their logs, then start a new run; this one has published nothing.",
            )
            found.failed.append(run.id)
        elif _taken(run, now):
            log.warning("run %s stood still; taken up again with %d shares left", run.key, len(left))
            found.shares += left
            found.complete += [run.id] if _is_complete(run) else []
    return found


def _taken(run: ReconciliationRun, now: datetime) -> bool:
    """Note that a run was taken up; False where another process did that just now."""
    same = ReconciliationRun.objects.filter(id=run.id, status__in=GOING, take_ups=run.take_ups)
    return bool(same.update(take_ups=F("take_ups") + 1, lease_until=now + lease()))


def _shares_of(run: ReconciliationRun) -> set[int]:
    return set(run.partitions.values_list("id", flat=True))


def _dead(left: list[int], now: datetime) -> list[int]:
    """Of shares that nobody holds, those that somebody had begun."""
    begun = RunPartition.objects.filter(
        id__in=left, status=RunPartition.Status.RUNNING, started_at__lt=now - STARTING
    )
    return list(begun.order_by("id").values_list("id", flat=True))


def _is_complete(run: ReconciliationRun) -> bool:
    return not run.partitions.exclude(status=RunPartition.Status.DONE).exists()


def _standing(run: ReconciliationRun) -> str:
    """How far a run got, and what went wrong last."""
    total = run.partitions.count()
    done = run.partitions.filter(status=RunPartition.Status.DONE).count()
    last = run.partitions.exclude(error="").order_by("-started_at", "-id").first()
    words = f"{done} of {total} shares were done."
    return f"{words} The last trouble, in share {last.kind} {last.index + 1}: {last.error}" if last else words


def _fail(run_id: int, message: str) -> None:
    going = ReconciliationRun.objects.filter(id=run_id, status__in=GOING)
    if going.update(status=ReconciliationRun.Status.FAILED, finished_at=timezone.now(), error=message):
        log.error("run %s failed: %s", run_id, message)


# --- asking for runs ------------------------------------------------------------------------------------------------------


def run_for(requested_by: str, request_key: str) -> ReconciliationRun | None:
    """The run that this asker got for this key before."""
    return ReconciliationRun.objects.filter(requested_by=requested_by, request_key=request_key).first()


def start_once(
    requested_by: str,
    request_key: str = "",
    *,
    as_known_at: datetime | None = None,
    mode: str = ReconciliationRun.Mode.FULL,
) -> tuple[ReconciliationRun, bool]:
    """A new run and True, or, where this asker gave this key before, the run of then and False.

    Two requests with one key that come at the same time start one run: the database refuses the second its row.

    Raises:
        BadInput: the key was given for another instant before, or ``services.start_run`` refuses.
    """
    if request_key and (before := run_for(requested_by, request_key)):
        return _same(before, as_known_at), False
    try:
        run = services.start_run(requested_by, as_known_at=as_known_at, request_key=request_key, mode=mode)
    except IntegrityError:
        if request_key and (before := run_for(requested_by, request_key)):
            return _same(before, as_known_at), False
        raise
    return run, True


def _same(before: ReconciliationRun, as_known_at: datetime | None) -> ReconciliationRun:
    if as_known_at is not None and as_known_at != before.as_known_at:
        raise BadInput(
            f"This key was given before, for run {before.key}, which reads at {before.as_known_at.isoformat()}: "
            "give another key for another run."
        )
    return before


def resume(run: ReconciliationRun) -> bool:
    """Let a run that failed or was cancelled go on from where it stood; True if it goes on now, False if it was going already.

    Shares that are done are kept, so nothing is judged twice.

    Raises:
        BadInput: it has finished, or the code that judges has changed since: its findings would come from two versions.
    """
    if run.status == ReconciliationRun.Status.FINISHED:
        raise BadInput(f"Run {run.key} has finished; make it again with --repeat {run.key}.")
    if run.code_version != CODE:
        raise BadInput(
            f"Run {run.key} was begun by {run.code_version}, and this is {CODE}: its findings would come from two versions of "
            f"the code. Make it again with --repeat {run.key}."
        )
    if run.status in GOING:
        renew(run.id)
        return False
    with transaction.atomic():
        RunPartition.objects.filter(run=run).exclude(status=RunPartition.Status.DONE).update(
            status=RunPartition.Status.WAITING, attempts=0, error=""
        )
        ReconciliationRun.objects.filter(id=run.id).update(
            status=ReconciliationRun.Status.QUEUED, finished_at=None, error="", take_ups=0, resumed_at=timezone.now(),
            lease_until=timezone.now() + lease(),
        )  # fmt: skip
    run.refresh_from_db()
    return True


# --- how far a run is -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: its stage, its shares, lines read and time taken by the shares that are done (seconds of work, summed
    over workers), and how long it has been going in all."""

    stage: str
    shares_done: int
    shares: int
    rows: int
    worked_seconds: float
    seconds: float


def progress(run: ReconciliationRun, now: datetime | None = None) -> Progress:
    """How far a run is; ``seconds`` from its start to its end, or to ``now``."""
    shares = list(run.partitions.order_by("id").values("status", "rows", "seconds"))
    until = run.finished_at or now or timezone.now()
    return Progress(
        stage=run.stage,
        shares_done=sum(share["status"] == RunPartition.Status.DONE for share in shares),
        shares=len(shares),
        rows=sum(share["rows"] for share in shares),
        worked_seconds=round(sum(share["seconds"] for share in shares), 1),
        seconds=round(max(0.0, (until - (run.started_at or until)).total_seconds()), 1),
    )
