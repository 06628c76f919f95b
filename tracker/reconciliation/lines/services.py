"""The shares that read lines as columns: the books of all areas, and what the checks on lines and chains have to judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from tracker.balances.books import KINDS as AREA_KINDS
from tracker.balances.books import (
    ORG,
    Columns,
    Ends,
    Places,
    cells,
    ends,
    joined,
    stretches,
)
from tracker.balances.querysets import (
    have_lines,
    line_chunks,
    line_counts,
    of_scopes,
    places,
)
from tracker.balances.reading import Array, amounts
from tracker.balances.services import write_cells
from tracker.core.memory import give_back
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.books import Scope
from tracker.reconciliation.chains import Chain, events, sends
from tracker.reconciliation.checks import dates, running, srd, transit
from tracker.reconciliation.inventories import anchors, whole_months
from tracker.reconciliation.lines.querysets import chain_lines, followed_chains, sites_around
from tracker.reconciliation.models import ReconciliationRun, RunPartition
from tracker.reconciliation.position import Area
from tracker.reconciliation.querysets import Ledger, ledger_of, stop_if_over
from tracker.reconciliation.scopes import is_within
from tracker.reconciliation.scratch import packed, unpacked
from tracker.reconciliation.sweep import Sweep, wider, without

LINES_PER_SHARE = 1_000_000
"""Lines that one worker reads as columns at a time: what bounds its memory. Measured (``benchmarks.memory``): 173 MB that any
worker has, and 180 bytes a line; a chip with more lines than this makes a larger share, for a chain lies in one."""


ON_LINES = (dates.CODE, transit.CODE, running.CODE)
"""Checks whose findings the shares of lines write; SRD waits for all its tests."""


@dataclass(frozen=True, slots=True)
class LineShare:
    """Scopes (as columns write them) whose lines one worker reads."""

    scopes: Array
    rows: int


def line_shares(run: ReconciliationRun) -> list[LineShare]:
    """All lines, cut by scope into shares of about equal size: a chain lies in one of them, whole."""
    counts = line_counts(run.as_known_at, run.parameters["records"] == "synthetic")
    shares: list[tuple[int, list[int]]] = [
        (0, []) for _ in range(max(2, -(-sum(counts.values()) // LINES_PER_SHARE)))
    ]
    for scope, lines in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        smallest = min(range(len(shares)), key=lambda i: (shares[i][0], i))
        rows, scopes = shares[smallest]
        shares[smallest] = (rows + lines, [*scopes, scope])
    return [LineShare(np.array(sorted(scopes), np.int64), rows) for rows, scopes in shares]


def swept_lines(
    run: ReconciliationRun, share: RunPartition, ledger: Ledger
) -> tuple[list[Found], dict[str, int]]:
    """Read the lines of a share as columns: draw up its books, and look for what the checks on lines have to judge.

    Returns what was found by arithmetic, and the tests made by family; suspected differences between shipper and receiver wait
    in the share's ``scratch`` for the control of false alarms.
    """
    parameters, synthetic = ledger.parameters, run.parameters["records"] == "synthetic"
    where = places(run.as_known_at, ledger.stakes, ledger.of_world())
    sweep = sweep_of(run, ledger)
    scopes = unpacked(share.scratch)["scopes"].tolist()
    blocks = []
    for lines in line_chunks(run.as_known_at, synthetic, *of_scopes(scopes)):
        read = amounts(lines, parameters)
        sweep.add(lines, read)
        blocks.append(ends(lines, read, where, parameters.lead_time_days))
    stop_if_over(run.id)  # not between the blocks: the connection is busy handing them out
    suspects = {
        "early": np.array(sweep.early, np.int64),
        "stale": np.array(sweep.stale, np.int64),
        "chains": sweep.overdrawn(),
    }
    give_back()
    (tests, pairs), (more, lots) = sweep.pairs_found(), sweep.lots_found()
    read_lines = sweep.lines
    del sweep  # what it holds of every line is done with, and the books need the room
    give_back()
    if blocks:
        _draw_up(run, ledger, blocks, where, scopes)
    give_back()
    stop_if_over(run.id)
    RunPartition.objects.filter(id=share.id).update(
        rows=read_lines,
        scratch=packed({"scopes": np.array(scopes, np.int64), "pairs": pairs, "lots": lots, **suspects}),
    )
    return suspected(ledger, suspects), {srd.FAMILY: tests + more}


def sweep_of(run: ReconciliationRun, ledger: Ledger) -> Sweep:
    """A look over lines, with what a run asks of them."""
    parameters = ledger.parameters
    return Sweep(
        parameters, run.as_of, parameters.lead_time_days, ledger.material, ledger.first_shipped, ledger.makers,
    )  # fmt: skip


def beside(ledger: Ledger, number: int) -> list[tuple[int, Scope]]:
    """The other scopes that one may share chips with: two chips share none."""
    every = ledger.numbered_scopes
    is_chip = every[number].kind == "chip"
    return [
        (other, scope)
        for other, scope in every.items()
        if other != number and not (is_chip and scope.kind == "chip")
    ]


def wider_chains(ledger: Ledger, low: Array) -> Array:
    """CHAIN rows of the balances that sent something and take in some of those given, all of which fall below zero: these may
    do so although their own lines alone do not."""
    scoped = ledger.numbered_scopes
    outer = {
        number: [
            number,
            *(other for other, scope in beside(ledger, number) if is_within(scoped[number], scope)),
        ]
        for number in np.unique(low["scope"]).tolist()
    }
    wholes, _ = sites_around(ledger, set(low["holder"][low["site"]].tolist()), set())
    wide = without(wider(low, outer, wholes), low)
    return wide[have_sent(ledger, wide, "status NOT IN ('returned', 'cancelled')")]


def have_sent(ledger: Ledger, chains: Array, where: str) -> Array:
    """Whether something of the kind went out of each chain."""
    found = np.zeros(len(chains), bool)
    for at_site, sender in ((False, "shipper_id"), (True, "origin_id")):
        mine = np.flatnonzero(chains["site"] == at_site)
        if len(mine):
            holders, scopes = chains["holder"][mine], chains["scope"][mine]
            found[mine] = have_lines(
                ledger.at, ledger.parameters.records == "synthetic", sender, holders, scopes, where
            )
    return found


def _draw_up(
    run: ReconciliationRun, ledger: Ledger, blocks: list[Ends], where: Places, scopes: list[int]
) -> None:
    """Write the cells of some scopes."""
    names = {number: f"{scope.kind}:{scope.slug}" for number, scope in ledger.numbered_scopes.items()}
    for _, drawn, whole in _drawn(ledger, blocks, where, scopes):
        write_cells(run.id, drawn, names, closed=whole)


def _drawn(
    ledger: Ledger, blocks: list[Ends], where: Places, scopes: list[int]
) -> Iterator[tuple[int, Columns, Array | None]]:
    """The cells of some scopes, and which of them are of declared whole books: one kind of area after the other, and of each some
    areas after the others, so that memory holds few at a time."""
    # column by column, each let go as soon as it is joined: both at once would be twice the memory
    found = {name: np.concatenate([block.pop(name) for block in blocks]) for name in list(blocks[0])}
    blocks.clear()
    give_back()
    inventories = anchors(ledger.inventories(scopes), ledger.closed_books, ledger.parameters)
    for kind in range(len(AREA_KINDS)):
        for about, moved in stretches(found, kind, where.groups):
            mine = {key: by_month for key, by_month in inventories.items() if key[0] in about}
            drawn = cells(moved, mine)
            whole = (
                whole_months(drawn, ledger.closed_books, ledger.numbered_scopes)
                if ledger.closed_books
                else None
            )
            yield kind, drawn, whole
        for way in ("from", "to"):
            if kind != ORG:  # groups are made from what organizations moved
                del found[f"{way} {AREA_KINDS[kind]}"]
        give_back()


def replayed_books(run: ReconciliationRun) -> Iterator[tuple[list[int], Columns]]:
    """The books of a run drawn up again from the lines as known at its instant, without a look at what is stored: scopes after
    scopes, and of these one kind of area after the other."""
    ledger = ledger_of(run)
    parameters = ledger.parameters
    where = places(run.as_known_at, ledger.stakes, ledger.of_world())
    for share in line_shares(run):
        scopes = share.scopes.tolist()
        chunks = line_chunks(run.as_known_at, run.parameters["records"] == "synthetic", *of_scopes(scopes))
        blocks = [
            ends(lines, amounts(lines, parameters), where, parameters.lead_time_days) for lines in chunks
        ]
        if blocks:
            for _, parts in groupby(_drawn(ledger, blocks, where, scopes), key=itemgetter(0)):
                yield scopes, joined([drawn for _, drawn, _ in parts])


def suspected(ledger: Ledger, suspects: Mapping[str, Array]) -> list[Found]:
    """The findings of the checks on lines and chains, from the records that are suspected; SRD waits for all its tests."""
    found: list[Found] = []
    for name, check in (("early", dates), ("stale", transit)):
        if len(suspects[name]):
            found += check.find(ledger.lines_books(suspects[name].tolist()), ledger.parameters)
    for some in told_below_zero(ledger, suspects["chains"]):
        found += some
    return found


def told_below_zero(ledger: Ledger, suspects: Array) -> Iterator[list[Found]]:
    """The findings on running balances, some at a time, from CHAIN rows of those that are suspected."""
    chains = followed_chains(ledger, np.sort(suspects)) if len(suspects) else []
    for start in range(0, len(chains), _CHAINS):
        yield below_zero(ledger, chains[start : start + _CHAINS])


_CHAINS = 20
"""Running balances explained at a time: each shows some hundred records."""


def below_zero(ledger: Ledger, chains: Sequence[tuple[Area, Scope, Chain]]) -> list[Found]:
    """The findings on some running balances. Their lines are read as columns, and only those that a finding names as records."""
    parameters, below = ledger.parameters, []
    for area, scope, chain in chains:
        lines = chain_lines(ledger, chain)
        if not sends(lines, chain):
            continue
        told = ledger.sources(np.unique(lines["source"]).tolist())
        numbers: dict[str, int] = {}
        houses = {
            pk: numbers.setdefault(row.publisher or row.slug, len(numbers))
            for pk, row in sorted(told.items())
        }
        if low := running.impossible(events(lines, chain, houses, parameters, ledger.as_of)):
            below.append((area, scope, low))
    rows = ledger.named_lines({pk for _, _, low in below for pk in low.shown()})
    return [running.explained(area, scope, low, rows, parameters) for area, scope, low in below]
