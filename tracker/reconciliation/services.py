"""Running a reconciliation: fix the instant, share out the work, judge each share, close the run.

Arguments of every step are ids, and every step may run twice. A share's findings and its mark ``done`` are written in one
transaction under a lock that dies with its holder, so a killed worker leaves nothing behind and a second one starts afresh.
Whoever finishes the last share closes the run; closing twice is refused by the run's own row.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from tracker.balances.books import KINDS as AREA_KINDS
from tracker.balances.books import ORG, Columns, Ends, Places, cells, changes, ends, flows, kinds_and_objects
from tracker.balances.querysets import changed_lines, line_chunks, line_counts, of_scopes, places
from tracker.balances.reading import LINE, Array, amounts
from tracker.balances.services import (
    begin_cells,
    bring_forward,
    cell_count,
    drop_cells,
    finish_cells,
    learn_cells,
    register_areas,
    write_cells,
)
from tracker.claims.models import Claim
from tracker.core.errors import BadInput, CannotReconcile
from tracker.core.memory import peak_mb
from tracker.core.period import quarter
from tracker.core.quantity import stored
from tracker.core.services import changed_since, settled_instant, tables_changed, tables_rewritten
from tracker.core.version import VERSION
from tracker.datacenters.models import DataCenter
from tracker.judgement.querysets import stakes
from tracker.reconciliation import lifecycle
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.books import Parameters, Section
from tracker.reconciliation.checks import dates, running, srd, transit
from tracker.reconciliation.explain import full_text, record_section
from tracker.reconciliation.inventories import anchors, whole_months
from tracker.reconciliation.models import (
    Discrepancy,
    DiscrepancyEvent,
    Evidence,
    Finding,
    MethodParameter,
    NetworkEstimate,
    ReconciliationRun,
    RunPartition,
)
from tracker.reconciliation.parameters import CHOSEN_BY_RUN, SETTINGS, Setting, defaults, with_settings
from tracker.reconciliation.querysets import KINDS, Ledger
from tracker.reconciliation.records.querysets import LotNumber
from tracker.reconciliation.registry import checks
from tracker.reconciliation.scopes import may_overlap
from tracker.reconciliation.significance import CONTROLS, judge, judged
from tracker.reconciliation.sweep import CHAIN, LOT, PAIR, Sweep, without
from tracker.rules.services import rulebook
from tracker.shipments.models import Shipment

log = logging.getLogger(__name__)

SHARE_LOCK = 7203  # first key of the advisory locks that workers hold on shares; the second is the share's id
ATTEMPTS = 5
"""How often a share is tried before its run is given up: a share that kills its worker must not go round for ever."""
GOING = (ReconciliationRun.Status.QUEUED, ReconciliationRun.Status.RUNNING)
CANCEL_PATIENCE_MS = 5000
"""How long who stops a run waits for its row, which is held for moments, or by who closes it."""
ROWS_PER_SHARE = 20_000
NAMED_CHANGES = 10
"""How many changed records the reopening of a discrepancy names."""
LINES = "lines"
"""Kind of the shares that read lines as columns."""
LINES_PER_SHARE = 1_000_000
"""Lines that one worker reads as columns at a time: what bounds its memory (about 400 MB)."""
BATCH = 2_000
"""Movements whose findings are written at a time."""
SEVERITY_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}

_JUDGING = (
    "core", "chips", "organizations", "screening", "rules", "claims", "licences", "shipments", "judgement", "balances",
    "reconciliation",
)  # fmt: skip


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
    at = as_known_at or settled_instant()
    day = as_of or at.date()
    parameters = parameters or parameters_on(day, at, records)
    run = ReconciliationRun(
        as_known_at=at,
        as_of=day,
        parameters=parameters.as_dict(),
        rule_set_sha256=rulebook(at).digest,
        code_version=code_version(),
        requested_by=requested_by,
        request_key=request_key,
    )
    run.signature = _signature(run)
    if mode == ReconciliationRun.Mode.INCREMENTAL and (base := base_of(run)):
        run.mode, run.base = mode, base
    if not run.base or tables_changed(run.base.as_known_at, at) & ADDED_TO:
        register_areas()
    shares = [_LineShare(np.empty(0, np.int64), 0)] if run.base else _line_shares(run)
    with transaction.atomic():
        run.key = _next_key(at)
        run.save()
        run.layers = [*(run.base.layers if run.base else []), run.id]
        run.save(update_fields=["layers"])
        RunPartition.objects.bulk_create(
            RunPartition(
                run=run,
                kind=LINES,
                index=index,
                count=len(shares),
                rows=share.rows,
                scratch=_kept(scopes=share.scopes),
            )
            for index, share in enumerate(shares)
        )
        RunPartition.objects.bulk_create(
            RunPartition(run=run, kind=kind, index=index, count=count)
            for kind, count in sorted(_share_counts(run).items())
            for index in range(count)
        )
        begin_cells(run.id, sum(share.rows for share in shares))
    log.info(
        "run %s written down, as known at %s, %d shares", run.key, at.isoformat(), run.partitions.count()
    )
    return run


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


def base_of(run: ReconciliationRun) -> ReconciliationRun | None:
    """The finished run that a new run may go on from, or None."""
    base = (
        ReconciliationRun.objects.filter(
            status=ReconciliationRun.Status.FINISHED, as_of=run.as_of, parameters=run.parameters, code_version=run.code_version,
            rule_set_sha256=run.rule_set_sha256, as_known_at__lte=run.as_known_at,
        )
        .order_by("-as_known_at", "-id")
        .first()
    )  # fmt: skip
    if base is None or len(base.layers) >= LAYERS:
        return None
    since, at = base.as_known_at, run.as_known_at
    if len(changed_lines(since, at)) > max(LEAST_CHANGES, MOST_CHANGED * base.counts["shipments"]):
        return None
    fits = tables_changed(since, at) <= TAKEN_IN | ADDED_TO and tables_rewritten(since, at) <= TAKEN_IN
    return base if fits else None


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


def code_version() -> str:
    """Version and digest of the code that judges here and now, as runs and findings carry it."""
    return f"{VERSION}+{code_digest()[:12]}"


def _signature(run: ReconciliationRun) -> str:
    parts = [run.as_known_at, run.as_of, run.parameters, run.rule_set_sha256, run.code_version]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _next_key(at: datetime) -> str:
    """Runs of one day are numbered; the lock keeps two that start at once from taking the same number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [SHARE_LOCK, 0])
    day = f"{at:%Y-%m-%d}"
    return f"{day}-{ReconciliationRun.objects.filter(key__startswith=f'{day}-').count() + 1}"


@dataclass(frozen=True, slots=True)
class _LineShare:
    """Scopes (as columns write them) whose lines one worker reads."""

    scopes: Array
    rows: int


def _line_shares(run: ReconciliationRun) -> list[_LineShare]:
    """All lines, cut by scope into shares of about equal size: a chain lies in one of them, whole."""
    counts = line_counts(run.as_known_at, run.parameters["records"] == "synthetic")
    shares: list[tuple[int, list[int]]] = [
        (0, []) for _ in range(max(2, -(-sum(counts.values()) // LINES_PER_SHARE)))
    ]
    for scope, lines in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        smallest = min(range(len(shares)), key=lambda i: (shares[i][0], i))
        rows, scopes = shares[smallest]
        shares[smallest] = (rows + lines, [*scopes, scope])
    return [_LineShare(np.array(sorted(scopes), np.int64), rows) for rows, scopes in shares]


def _kept(**arrays: Array) -> bytes:
    """Arrays as the bytes that a share carries from one stage to the next."""
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _carried(share: RunPartition) -> dict[str, Array]:
    with np.load(BytesIO(bytes(share.scratch)), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _share_counts(run: ReconciliationRun) -> dict[str, int]:
    claims, lines, sites = (_read(run, model).count() for model in (Claim, Shipment, DataCenter))
    named = _read(run, Shipment).filter(licence__isnull=False).count()
    rows = {
        "claim_subject": claims, "consignee": lines, "scope": claims, "site": sites + claims,
        # lines that draw on a licence without naming it are about as many again; limits read sums, about four lines to each
        "licence": 2 * named, "limit": lines // 4,
        "network": 0, "hub": 0, "route": claims,  # hubs: sums of the whole ledger, whoever asks, so the fewest shares
    }  # fmt: skip
    return {kind: max(2, -(-rows[kind] // ROWS_PER_SHARE)) for kind in KINDS}


def _read(run: ReconciliationRun, model: type[Claim | Shipment | DataCenter]) -> QuerySet:
    """The records of one kind that a run reads."""
    return model.objects.known_at(run.as_known_at).filter(
        is_synthetic=run.parameters["records"] == "synthetic"
    )


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


class RunOver(CannotReconcile):
    """The run of a share was cancelled or given up while the share was judged."""


def stop_if_over(run_id: int) -> None:
    """Between the steps of a share: end it, without effect, if its run goes on no longer.

    Raises:
        RunOver: it was cancelled or given up.
    """
    if not ReconciliationRun.objects.filter(id=run_id, status__in=GOING).exists():
        raise RunOver(f"run {run_id} goes on no longer")


def _let_go(partition_id: int) -> str:
    """A share whose run is over is nobody's any more."""
    RunPartition.objects.filter(id=partition_id, status=RunPartition.Status.RUNNING).update(
        status=RunPartition.Status.WAITING
    )
    return "over"


def _locked_share(partition_id: int) -> str:
    if not _hold(partition_id):
        return "taken"
    share = RunPartition.objects.select_related("run").get(id=partition_id)
    run = share.run
    if run.status not in GOING:
        raise RunOver(f"run {run.key} goes on no longer")
    if share.status == RunPartition.Status.DONE:
        return "taken"
    ledger = Ledger(run.as_known_at, run.as_of, rulebook(run.as_known_at), Parameters(**run.parameters))
    began = perf_counter()
    found, tests = _swept_lines(run, share, ledger) if share.kind == LINES else (_checked(share, ledger), {})
    _save_findings(run, found)
    _save_estimates(run, found)
    stop_if_over(run.id)
    RunPartition.objects.filter(id=share.id).update(
        status=RunPartition.Status.DONE, finished_at=timezone.now(), findings=len(found), error="", tests=tests,
        seconds=round(perf_counter() - began, 3), peak_mb=peak_mb(),
    )  # fmt: skip
    return "done"


def _checked(share: RunPartition, ledger: Ledger) -> list[Found]:
    """What the checks of a kind of share find in its books."""
    books = ledger.books(share.kind, share.index, share.count)
    found: list[Found] = []
    for check in checks():
        if check.partition == share.kind:
            stop_if_over(share.run_id)
            found += check.find(books, ledger.parameters)
    return found


def _swept_lines(
    run: ReconciliationRun, share: RunPartition, ledger: Ledger
) -> tuple[list[Found], dict[str, int]]:
    """Read the lines of a share as columns: draw up its books, and look for what the checks on lines have to judge.

    Returns what was found by arithmetic, and the tests made by family; suspected differences between shipper and receiver wait
    in the share's ``scratch`` for the control of false alarms.
    """
    parameters, synthetic = ledger.parameters, run.parameters["records"] == "synthetic"
    if run.base_id:
        return _brought_forward(run, share, ledger)
    where = places(run.as_known_at, stakes(run.as_known_at), ledger.of_world())
    sweep = _sweep(run, ledger)
    scopes = _carried(share)["scopes"].tolist()
    blocks = []
    for lines in line_chunks(run.as_known_at, synthetic, *of_scopes(scopes)):
        read = amounts(lines, parameters)
        sweep.add(lines, read)
        blocks.append(ends(lines, read, where, parameters.lead_time_days))
    stop_if_over(run.id)  # not between the blocks: the connection is busy handing them out
    if blocks:
        _draw_up(run, ledger, blocks, where, scopes)
    stop_if_over(run.id)
    (tests, pairs), (more, lots) = sweep.pairs_found(), sweep.lots_found()
    suspects = {
        "early": np.array(sweep.early, np.int64),
        "stale": np.array(sweep.stale, np.int64),
        "chains": sweep.overdrawn(),
    }
    RunPartition.objects.filter(id=share.id).update(
        rows=sweep.lines, scratch=_kept(scopes=np.array(scopes, np.int64), pairs=pairs, lots=lots, **suspects)
    )
    return _suspected(ledger, suspects), {srd.FAMILY: tests + more}


def _sweep(run: ReconciliationRun, ledger: Ledger) -> Sweep:
    parameters = ledger.parameters
    return Sweep(
        parameters, run.as_of, parameters.lead_time_days, ledger.material, ledger.first_shipped, ledger.makers,
    )  # fmt: skip


def _brought_forward(
    run: ReconciliationRun, share: RunPartition, ledger: Ledger
) -> tuple[list[Found], dict[str, int]]:
    """The same for a run that goes on from another: only lines that changed since are read, with what shares a lot or a running
    balance with them.

    What such a line said is taken out of its cells, lots and balances, and what it says now is put in. All that is not touched
    stands as the earlier run left it.
    """
    base = run.base
    assert base is not None  # asked by the caller
    parameters, synthetic = ledger.parameters, run.parameters["records"] == "synthetic"
    ids = changed_lines(base.as_known_at, run.as_known_at)
    instants = (base.as_known_at, run.as_known_at)
    old, new = (_read_lines(at, synthetic, "id = ANY(%s)", [ids]) for at in instants)
    moved = {
        int(pk) for side in (old, new) for name in ("shipper", "consignee") for pk in np.unique(side[name])
    }
    where = places(run.as_known_at, stakes(run.as_known_at), ledger.of_world(), moved)
    _bring_cells_forward(run, base, ledger, old, new, where)
    stop_if_over(run.id)

    before, now = _sweep(run, ledger), _sweep(run, ledger)
    before.add(old, amounts(old, parameters))
    now.add(new, amounts(new, parameters))
    carried = [_carried(part) for part in base.partitions.filter(kind=LINES).order_by("index")]
    held = {
        name: np.concatenate([part[name] for part in carried])
        for name in ("pairs", "lots", "early", "stale", "chains")
    }
    lots = np.unique(np.concatenate([before.lots_touched(), now.lots_touched()]))
    lot_lines = ("consignee_id = ANY(%s) AND coalesce(shipper_id, 0) = ANY(%s)"
                 " OR consignee_id IS NULL AND coalesce(shipper_id, 0) = ANY(%s)")  # fmt: skip
    senders = np.unique(lots["shipper"]).tolist()
    read = [np.unique(lots["consignee"]).tolist(), senders, senders if (lots["consignee"] == 0).any() else []]
    of_lots = [_lots_at(run, ledger, at, lot_lines, read, lots) for at in instants]
    tests = sum(part.tests.get(srd.FAMILY, 0) for part in base.partitions.filter(kind=LINES))
    tests += now.pairs_found()[0] - before.pairs_found()[0] + of_lots[1][0] - of_lots[0][0]

    moved_by = (before.chains_touched(), now.chains_touched(), *(_bystanders(at, ids) for at in instants))
    chains = _overlapping(np.unique(np.concatenate(moved_by)), ledger)
    suspects = {
        "early": np.append(held["early"][~np.isin(held["early"], ids)], np.array(now.early, np.int64)),
        "stale": np.append(held["stale"][~np.isin(held["stale"], ids)], np.array(now.stale, np.int64)),
        "chains": np.concatenate([without(held["chains"], chains), _overdrawn_now(run, ledger, chains)]),
    }
    kept_pairs = held["pairs"][~np.isin(held["pairs"]["line"], ids)]
    RunPartition.objects.filter(id=share.id).update(
        rows=len(new),
        scratch=_kept(
            scopes=np.empty(0, np.int64), pairs=np.concatenate([kept_pairs, now.pairs_found()[1]]),
            lots=np.concatenate([without(held["lots"], lots), of_lots[1][1]]), **suspects,
        ),
    )  # fmt: skip
    overdue = bool(before.stale or now.stale)  # their findings tell of all lines of a consignee together
    again = {
        "early": np.array(now.early, np.int64), "stale": suspects["stale"] if overdue else np.empty(0, np.int64),
        "chains": suspects["chains"][np.isin(suspects["chains"], chains)],
    }  # fmt: skip
    told = _named_chains(chains, ledger)
    dated = set(ids)

    def stands(row: Finding) -> bool:
        if row.check_code == running.CODE:
            return (row.area, row.scope) not in told
        return not overdue if row.check_code == transit.CODE else row.evidence.all()[0].object_id not in dated

    _carry_over(run, base, stands)
    return _suspected(ledger, again), {srd.FAMILY: tests}


def _bystanders(at: datetime, ids: list[int]) -> Array:
    """CHAIN rows of organizations that lines came to without naming them as consignee: end users, and operators of the sites."""
    fields = ("chip_id", "family_id", "end_user_id", "destination__operator_id", "origin__operator_id")
    rows = Shipment.objects.known_at(at).filter(id__in=ids).values_list(*fields)
    found = {
        (False, org, chip * 2 if chip else family * 2 + 1)
        for chip, family, *orgs in rows
        for org in orgs
        if org
    }
    return np.array(sorted(found), CHAIN)


def _named_chains(chains: Array, ledger: Ledger) -> set[tuple[str, str]]:
    """The chains by area and scope, as findings name them."""
    orgs = ledger.organizations(chains["holder"][~chains["site"]].tolist())
    sites = ledger.sites(chains["holder"][chains["site"]].tolist())
    names = {(False, pk): f"org:{row.slug}" for pk, row in orgs.items()}
    names |= {(True, pk): f"site:{row.slug}" for pk, row in sites.items()}
    scoped = {number: f"{scope.kind}:{scope.slug}" for number, scope in ledger.numbered_scopes.items()}
    return {(names.get((site, pk), ""), scoped[scope]) for site, pk, scope in chains.tolist()}


def _carry_over(run: ReconciliationRun, base: ReconciliationRun, stands: Callable[[Finding], bool]) -> None:
    """Write the base's findings on lines and chains that nothing touched, as of this run: only the run they name differs."""
    rows = base.findings.filter(check_code__in=[dates.CODE, transit.CODE, running.CODE]).prefetch_related(
        "evidence"
    )
    closing = record_section(run.signature, run.as_known_at, run.code_version)
    copies, pieces = [], []
    for row in rows.order_by("key"):
        if not stands(row):
            continue
        evidence = list(row.evidence.all())
        sections = [Section(**part) for part in row.sections[:-1]]
        row.pk, row.run, row.discrepancy = None, run, None
        row._state.adding = True
        _tell(row, (*sections, closing))
        copies.append(row)
        for piece in evidence:
            piece.pk, piece.finding = None, row
            piece._state.adding = True
            pieces.append(piece)
    Finding.objects.bulk_create(copies)
    for piece in pieces:
        piece.finding_id = piece.finding.pk
    Evidence.objects.bulk_create(pieces)


def _read_lines(at: datetime, synthetic: bool, where: str, params: list[Any]) -> Array:
    chunks = list(line_chunks(at, synthetic, where, params))
    return np.concatenate(chunks) if chunks else np.empty(0, LINE)


def _bring_cells_forward(
    run: ReconciliationRun, base: ReconciliationRun, ledger: Ledger, old: Array, new: Array, where: Places
) -> None:
    """Write the cells that changed lines, or changed inventories of declared books, make differ from those of the base."""
    lead = ledger.parameters.lead_time_days
    sides = [ends(lines, amounts(lines, ledger.parameters), where, lead) for lines in (old, new)]
    names = {number: f"{scope.kind}:{scope.slug}" for number, scope in ledger.numbered_scopes.items()}
    inventories = anchors(ledger.inventories(list(names)), ledger.closed_books, ledger.parameters)
    if ledger.closed_books:  # an inventory that is no longer reported must open its chain no longer
        then = Ledger(base.as_known_at, base.as_of, ledger.rules, ledger.parameters)
        earlier = anchors(then.inventories(list(names)), then.closed_books, then.parameters)
        inventories = {key: inventories.get(key, {}) for key in {*inventories, *earlier}}
    written = 0
    for kind in range(len(AREA_KINDS)):
        mine = {key: found for key, found in inventories.items() if kinds_and_objects(key[0])[0] == kind}
        delta = changes(sides[0], sides[1], kind, where.groups)
        drawn, gone = bring_forward(run.id, base.layers, delta, mine, names)
        whole = whole_months(drawn, ledger.closed_books, ledger.numbered_scopes)
        written += write_cells(run.id, drawn, names, closed=whole, gone=gone)
    if written > 1000:
        learn_cells()


def _lots_at(
    run: ReconciliationRun, ledger: Ledger, at: datetime, where: str, params: list[Any], lots: Array
) -> tuple[int, Array]:
    """Tests of some lots as known at an instant, and those that are suspicious."""
    sweep = _sweep(run, ledger)
    if len(lots):
        for lines in line_chunks(at, run.parameters["records"] == "synthetic", where, params):
            sweep.add(lines, amounts(lines, ledger.parameters))
    return sweep.lots_found(lots)


def _overlapping(chains: Array, ledger: Ledger) -> Array:
    """The chains, and those of the same holders whose scope may be of the same chips."""
    near: dict[int, list[int]] = {}
    for number in np.unique(chains["scope"]).tolist():
        asked = ledger.numbered_scopes[number]
        near[number] = [
            other
            for other, scope in ledger.numbered_scopes.items()
            if may_overlap(scope, asked, ledger.chips)
        ]
    rows = [(site, holder, other) for site, holder, scope in chains.tolist() for other in near[scope]]
    return np.unique(np.array(rows, CHAIN))


def _overdrawn_now(run: ReconciliationRun, ledger: Ledger, chains: Array) -> Array:
    """Those of some chains whose balance falls below zero."""
    sweep = _sweep(run, ledger)
    makers = ledger.makers
    mine = [row for row in chains.tolist() if row[0] or makers.get(row[2]) != row[1]]
    orgs, sites = (sorted({holder for site, holder, _ in mine if site == kind}) for kind in (False, True))
    if mine:
        where = ("(shipper_id = ANY(%s) OR consignee_id = ANY(%s) OR origin_id = ANY(%s) OR destination_id = ANY(%s)) AND "
                 "coalesce(chip_id * 2, family_id * 2 + 1) = ANY(%s)")  # fmt: skip
        params = [orgs, orgs, sites, sites, sorted({scope for _, _, scope in mine})]
        for lines in line_chunks(run.as_known_at, run.parameters["records"] == "synthetic", where, params):
            sweep.add(lines, amounts(lines, ledger.parameters))
    found = sweep.overdrawn()
    return found[np.isin(found, chains)]


def _draw_up(
    run: ReconciliationRun, ledger: Ledger, blocks: list[Ends], where: Places, scopes: list[int]
) -> None:
    """Write the cells of some scopes."""
    names = {number: f"{scope.kind}:{scope.slug}" for number, scope in ledger.numbered_scopes.items()}
    for drawn, whole in _drawn(ledger, blocks, where, scopes):
        write_cells(run.id, drawn, names, closed=whole)


def _drawn(
    ledger: Ledger, blocks: list[Ends], where: Places, scopes: list[int]
) -> Iterator[tuple[Columns, Array | None]]:
    """The cells of some scopes, and which of them are of declared whole books: one kind of area after the other, so that memory
    holds one at a time."""
    # column by column, each let go as soon as it is joined: both at once would be twice the memory
    found = {name: np.concatenate([block.pop(name) for block in blocks]) for name in list(blocks[0])}
    blocks.clear()
    inventories = anchors(ledger.inventories(scopes), ledger.closed_books, ledger.parameters)
    for kind in range(len(AREA_KINDS)):
        mine = {
            key: by_month for key, by_month in inventories.items() if kinds_and_objects(key[0])[0] == kind
        }
        drawn = cells(flows(found, kind, where.groups), mine)
        whole = (
            whole_months(drawn, ledger.closed_books, ledger.numbered_scopes) if ledger.closed_books else None
        )
        yield drawn, whole
        for way in ("from", "to"):
            if kind != ORG:  # groups are made from what organizations moved
                del found[f"{way} {AREA_KINDS[kind]}"]


def replayed_books(run: ReconciliationRun) -> Iterator[tuple[list[int], Columns]]:
    """The books of a run drawn up again from the lines as known at its instant, without a look at what is stored: scopes after
    scopes, and of these one kind of area after the other."""
    parameters = Parameters(**run.parameters)
    ledger = Ledger(run.as_known_at, run.as_of, rulebook(run.as_known_at), parameters)
    where = places(run.as_known_at, ledger.parties.stakes, ledger.of_world())
    for share in _line_shares(run):
        scopes = share.scopes.tolist()
        chunks = line_chunks(run.as_known_at, run.parameters["records"] == "synthetic", *of_scopes(scopes))
        blocks = [
            ends(lines, amounts(lines, parameters), where, parameters.lead_time_days) for lines in chunks
        ]
        for drawn, _ in _drawn(ledger, blocks, where, scopes) if blocks else ():
            yield scopes, drawn


def _suspected(ledger: Ledger, suspects: Mapping[str, Array]) -> list[Found]:
    """The findings of the checks on lines and chains, from the records that are suspected; SRD waits for all its tests."""
    found: list[Found] = []
    for name, check in (("early", dates), ("stale", transit)):
        if len(suspects[name]):
            found += check.find(ledger.lines_books(suspects[name].tolist()), ledger.parameters)
    for site, holder, scope in sorted(suspects["chains"].tolist()):
        kind = "site" if site else "org"
        books = ledger.chain_books(kind, holder, scope)
        rows = books.sites if site else books.organizations
        asked = ledger.numbered_scopes[scope]
        if row := rows.get(holder):  # groups of unnamed buyers keep no book
            wanted = (f"{kind}:{row.slug}", f"{asked.kind}:{asked.slug}")
            found += [
                one for one in running.find(books, ledger.parameters) if (one.area, one.scope) == wanted
            ]
    return found


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
    ReconciliationRun.objects.filter(id=share.run_id).exclude(
        status=ReconciliationRun.Status.FINISHED
    ).update(
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


# --- writing ----------------------------------------------------------------------------------------------------------------


def finding_key(found: Found, records: str) -> str:
    """The identity of a discrepancy over all runs; one of synthetic records is never one of real ones."""
    return hashlib.sha256("|".join((*found.key, records)).encode()).hexdigest()


def _save_findings(run: ReconciliationRun, found: Iterable[Found]) -> None:
    closing = record_section(run.signature, run.as_known_at, run.code_version)
    pairs = sorted(
        ((finding_key(item, run.parameters["records"]), item) for item in found), key=lambda pair: pair[0]
    )
    rows = Finding.objects.bulk_create([_finding_row(run, key, item, closing) for key, item in pairs])
    Evidence.objects.bulk_create(
        Evidence(
            finding=row,
            order=order,
            role=piece.role,
            model_name=piece.ref.model,
            object_id=piece.ref.id,
            version=piece.ref.version,
            label=piece.label,
            contribution=piece.contribution,
            variance_share=piece.variance_share,
        )
        for row, (_, item) in zip(rows, pairs, strict=True)
        for order, piece in enumerate(item.evidence)
    )


def _save_estimates(run: ReconciliationRun, found: Iterable[Found]) -> None:
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
        severity=item.severity,
        severity_rank=SEVERITY_RANK[item.severity],
        strength=item.strength,
        weakest_grade=item.weakest_grade,
        formula=item.formula,
        numbers=dict(item.numbers),
        evidence_sha256=hashlib.sha256(orjson.dumps(evidence)).hexdigest(),
    )
    _tell(row, (*item.sections, closing))
    return row


def _tell(row: Finding, sections: Sequence[Section]) -> None:
    """Put the words of a finding into its row."""
    row.sections = [{"heading": part.heading, "body": part.body} for part in sections]
    row.text = full_text(sections)


# --- closing ----------------------------------------------------------------------------------------------------------------


def close_if_complete(run_id: int) -> bool:
    """Close a run whose shares are all done: control false alarms over all its tests, then publish. True if it was closed now."""
    with transaction.atomic():
        run = ReconciliationRun.objects.select_for_update().get(id=run_id)
        if run.status not in GOING or run.partitions.exclude(status=RunPartition.Status.DONE).exists():
            return False
        tests = _control_false_alarms(run)
        finish_cells(run.id)
        run.findings_sha256 = findings_digest(run)
        _advance_discrepancies(run)
        run.status, run.stage = ReconciliationRun.Status.FINISHED, ReconciliationRun.Stage.CLOSED
        run.finished_at = timezone.now()
        run.counts = _counts(run, tests)
        run.save()
    log.info("run %s finished: %s", run.key, run.counts)
    return True


def _control_false_alarms(run: ReconciliationRun) -> dict[str, int]:
    """Control false alarms over every evaluated test of each family of checks, write the texts of what was found by looking over
    columns, and return the number of tests per family."""
    parameters = Parameters(**run.parameters)
    carried = [_carried(share) for share in run.partitions.filter(kind=LINES).order_by("index")]
    pairs = np.concatenate([share["pairs"] for share in carried]) if carried else np.empty(0, PAIR)
    lots = np.concatenate([share["lots"] for share in carried]) if carried else np.empty(0, LOT)
    tests = sum(share.tests.get(srd.FAMILY, 0) for share in run.partitions.filter(kind=LINES))
    _tell_pairs(run, parameters, tests, pairs, lots)
    rows = {row.key: row for row in run.findings.exclude(check_code=srd.CODE).order_by("key")}
    judged_rows = judge([_as_found(row) for row in rows.values()], parameters)
    changed = []
    for row, verdict in zip(rows.values(), judged_rows, strict=True):
        if row.family and row.p is not None:  # arithmetic stands as it was written
            row.q = verdict.q
            row.is_discrepancy = verdict.accepted
            row.severity, row.severity_rank = verdict.severity, SEVERITY_RANK[verdict.severity]
            _tell(row, verdict.sections)
            changed.append(row)
    Finding.objects.bulk_update(
        changed, ["q", "is_discrepancy", "severity", "severity_rank", "sections", "text"], batch_size=500
    )
    counts: dict[str, int] = {srd.FAMILY: tests} if tests else {}
    for row in rows.values():
        if row.family and row.p is not None:
            counts[row.family] = counts.get(row.family, 0) + 1
    return counts


def _tell_pairs(
    run: ReconciliationRun, parameters: Parameters, tests: int, pairs: Array, lots: Array
) -> None:
    """Write the findings on shippers and receivers that survive the control of false alarms over all their tests."""
    pairs, lots = (
        np.sort(pairs, order=["line"]),
        np.sort(lots, order=["shipper", "consignee", "scope", "quarter"]),
    )
    chance = np.concatenate(
        [pairs["p"][pairs["p"] > 0], lots["p"][lots["p"] > 0]]
    )  # 0: certain, no matter of chance
    alarms = CONTROLS[parameters.control](chance.tolist(), parameters.false_discovery_rate, tests)
    q = dict(zip(chance.tolist(), alarms.adjusted, strict=True))  # equal p, equal q
    limit = parameters.false_discovery_rate
    lines = {
        int(row["line"]): q.get(float(row["p"])) for row in pairs if q.get(float(row["p"]), 0.0) <= limit
    }
    told = {
        tuple(row.tolist()[1:]): q[float(row["p"])]
        for row in lots
        if row["p"] > 0 and q[float(row["p"])] <= limit
    }
    told |= {tuple(row.tolist()[1:]): None for row in lots if row["p"] == 0}
    ledger = Ledger(run.as_known_at, run.as_of, rulebook(run.as_known_at), parameters)
    lot_names = {_lot_name(key, ledger): value for key, value in told.items()}
    # a lot is read whole, a line alone; batches keep the books small
    batches: list[tuple[list[int], list[LotNumber]]] = [(some, []) for some in _batches(sorted(lines), BATCH)]
    batches += [([], some) for some in _batches(sorted(told), BATCH // 20)]
    for some_lines, some_lots in batches:
        books = ledger.lots_books(some_lines, some_lots)
        names = {_lot_name(key, ledger) for key in some_lots}
        found = srd.kept(srd.find(books, parameters), set(some_lines), names, books)
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
        _save_findings(run, [one for one in out if one.accepted])


def _batches(items: Sequence[Any], size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _lot_name(key: LotNumber, ledger: Ledger) -> srd.LotKey:
    shipper, consignee, scope, number = key
    asked = ledger.numbered_scopes[scope]
    when = quarter(date(2000 + number // 4, number % 4 * 3 + 1, 1)) if number >= 0 else "undated"
    return shipper, consignee, f"{asked.kind}:{asked.slug}", when


def _as_found(row: Finding) -> Found:
    return Found(
        check=row.check_code, area=row.area, scope=row.scope, period=row.period, counterpart=row.counterpart,
        verdict=row.verdict, headline=row.headline, gap=row.gap, statistic=row.statistic, p=row.p, family=row.family or None,
        is_finding=row.is_discrepancy, gap_h100e=row.gap_h100e, sq=row.sq, mdg=row.mdg, severity=row.severity,
        strength=row.strength, weakest_grade=row.weakest_grade,
        sections=tuple(Section(**part) for part in row.sections),
    )  # fmt: skip


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


def _advance_discrepancies(run: ReconciliationRun) -> None:
    """Carry each discrepancy's life on. A run of the past (something later was published already) changes no state."""
    world = {"parameters__records": run.parameters["records"]}
    later = ReconciliationRun.objects.filter(
        status=ReconciliationRun.Status.FINISHED, as_known_at__gt=run.as_known_at, **world
    ).exists()
    found = {row.key: row for row in run.findings.filter(is_discrepancy=True)}
    mine = Discrepancy.objects.filter(**{f"first_run__{name}": value for name, value in world.items()})
    known = {item.key: item for item in mine.select_related("latest")}
    if later:
        linked = [row for key, row in found.items() if key in known]
        for row in linked:
            row.discrepancy = known[row.key]
        Finding.objects.bulk_update(linked, ["discrepancy"], batch_size=1000)
        return
    opened_on, days = run.as_known_at.date(), Parameters(**run.parameters).timeliness_days
    created = Discrepancy.objects.bulk_create(
        Discrepancy(
            key=key, check_code=row.check_code, area=row.area, scope=row.scope, period=row.period,
            counterpart=row.counterpart, first_run=run, last_run=run, latest=row, opened_at=run.as_known_at,
            period_end=row.period_end, due_on=lifecycle.due_on(row.period_end, opened_on, days),
        )
        for key, row in found.items()
        if key not in known
    )  # fmt: skip
    events = [_event(run, item, "", item.state) for item in created]
    for key, item in known.items():
        seen, before = found.get(key), item.state
        item.state = lifecycle.next_state(
            before, _seen(item.latest), _seen(seen), item.resolved_evidence_sha256
        )
        if item.state != before:
            events.append(_event(run, item, before, item.state, seen))
        if item.state == Discrepancy.State.REOPENED:
            item.reason = item.resolution = item.resolved_by = item.resolved_evidence_sha256 = ""
            item.resolved_at = None
        if seen is not None:
            item.latest, item.last_run = seen, run
            item.period_end = seen.period_end
    Discrepancy.objects.bulk_update(known.values(), _MOVED_ON, batch_size=1000)
    DiscrepancyEvent.objects.bulk_create(events, batch_size=1000)
    owners = {**known, **{item.key: item for item in created}}
    for key, row in found.items():
        row.discrepancy = owners[key]
    Finding.objects.bulk_update(found.values(), ["discrepancy"], batch_size=1000)


_MOVED_ON = (
    "state", "latest", "last_run", "period_end", "reason", "resolution", "resolved_by", "resolved_at", "resolved_evidence_sha256",
)  # fmt: skip


def _seen(row: Finding | None) -> lifecycle.Seen | None:
    return None if row is None else lifecycle.Seen(row.evidence_sha256, row.verdict, row.gap)


def _event(
    run: ReconciliationRun, item: Discrepancy, before: str, after: str, row: Finding | None = None
) -> DiscrepancyEvent:
    words = ""
    if after == Discrepancy.State.REOPENED:
        changes = lifecycle.record_changes(_records(item.latest), _records(row))
        named = "; ".join(changes[:NAMED_CHANGES]) or "versions changed between the last run and the closing"
        words = f"A record it rests on changed since it was resolved ({item.resolution}). Changed: {named}."
    return DiscrepancyEvent(
        discrepancy=item,
        run_key=run.key,
        what=DiscrepancyEvent.What.STATE,
        before=before,
        after=after,
        words=words,
    )


def _records(row: Finding | None) -> list[lifecycle.RecordVersionKey]:
    return [] if row is None else list(row.evidence.values_list("model_name", "object_id", "version"))


def _counts(run: ReconciliationRun, tests: Mapping[str, int]) -> dict[str, Any]:
    severities = run.findings.filter(is_discrepancy=True).values_list("severity", flat=True)
    by_severity: dict[str, int] = dict.fromkeys(SEVERITY_RANK, 0)
    for severity in severities:
        by_severity[severity] += 1
    return {
        "claims": _read(run, Claim).count(),
        "shipments": _read(run, Shipment).count(),
        "records": run.parameters["records"],
        "findings": run.findings.count(),
        "discrepancies": sum(by_severity.values()),
        "by_severity": by_severity,
        "tests": dict(sorted(tests.items())),
        "cells": cell_count(run.id, run.base.layers, run.base.counts["cells"])
        if run.base
        else run.cells.count(),
    }


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
            run.findings.filter(check_code__in=[dates.CODE, transit.CODE, running.CODE]).delete()
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


def standing_run() -> ReconciliationRun | None:
    """The latest finished run, if a new one would read the same records with the same code and parameters."""
    run = (
        ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED, parameters__records="real")
        .order_by("-as_known_at")
        .first()
    )
    if run is None or changed_since(run.as_known_at):
        return None
    now = ReconciliationRun(
        as_known_at=run.as_known_at, as_of=run.as_of, parameters=parameters_on(run.as_of, run.as_known_at).as_dict(),
        rule_set_sha256=run.rule_set_sha256, code_version=code_version(),
    )  # fmt: skip
    return run if _signature(now) == run.signature else None
