"""The share of lines of a run that goes on from another: what changed lines make differ, and what stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from tracker.balances.books import KINDS as AREA_KINDS
from tracker.balances.books import (
    ORG,
    SITE,
    Columns,
    Places,
    always_enough,
    changes,
    ends,
    kinds_and_objects,
    merged,
)
from tracker.balances.querysets import (
    changed_lines,
    line_chunks,
    lines_of,
    of_scopes,
    places,
)
from tracker.balances.reading import LINE, Array, amounts
from tracker.balances.services import Forward, bring_forward, learn_cells, write_cells
from tracker.datacenters.models import DataCenter
from tracker.judgement.querysets import stakes_near
from tracker.organizations.models import Organization
from tracker.reconciliation.books import Finding as Found
from tracker.reconciliation.checks import running, srd, transit
from tracker.reconciliation.findings.services import carry_over
from tracker.reconciliation.inventories import anchors, whole_months
from tracker.reconciliation.lines.querysets import sites_around, touched_by
from tracker.reconciliation.lines.services import (
    ON_LINES,
    beside,
    have_sent,
    suspected,
    sweep_of,
    wider_chains,
)
from tracker.reconciliation.models import Evidence, ReconciliationRun, RunPartition
from tracker.reconciliation.querysets import LINES, Ledger, ledger_of, stop_if_over
from tracker.reconciliation.scopes import may_overlap
from tracker.reconciliation.scratch import packed, unpacked
from tracker.reconciliation.sweep import CHAIN, LOT, Sweep, without
from tracker.reconciliation.touched import Touched
from tracker.shipments.models import Shipment


def brought_forward(
    run: ReconciliationRun, share: RunPartition, ledger: Ledger
) -> tuple[list[Found], dict[str, int]]:
    """``lines.services.swept_lines`` for a run that goes on from another: only lines that changed since are read, with what
    shares a lot or a running balance with them.

    What such a line said is taken out of its cells, lots and balances, and what it says now is put in. All that is not touched
    stands as the earlier run left it.
    """
    base = run.base
    assert base is not None  # asked by the caller
    parameters, synthetic = ledger.parameters, run.parameters["records"] == "synthetic"
    ids = changed_lines(base.as_known_at, run.as_known_at)
    if not ids:
        return _left_alone(run, share, base)
    instants = (base.as_known_at, run.as_known_at)
    old, new = (_read_lines(at, synthetic, "id = ANY(%s)", [ids]) for at in instants)
    touched = touched_by(instants, ids, ledger.of_world())
    near = stakes_near(ledger.unchanged_since or run.as_known_at, touched.parties)
    where = places(run.as_known_at, near, ledger.of_world(), touched.parties, touched.sites)
    forward = _bring_cells_forward(run, base, ledger, old, new, where)
    stop_if_over(run.id)

    before, now = sweep_of(run, ledger), sweep_of(run, ledger)
    before.add(old, amounts(old, parameters))
    now.add(new, amounts(new, parameters))
    held, tests = _held(base)
    lots = np.unique(np.concatenate([before.lots_touched(), now.lots_touched()]))
    others = _others_of(run, ledger, lots, ids)
    of_lots = [side.lots_found(lots, others) for side in (before, now)]
    tests += now.pairs_found()[0] - before.pairs_found()[0] + of_lots[1][0] - of_lots[0][0]

    moved = np.union1d(before.chains_touched(), now.chains_touched())
    chains = _overlapping(np.union1d(moved, _borne_on(touched, ledger)), ledger)
    # a balance that was suspected stays so: it is judged again where it is touched, and where in vain nothing is told
    fallen = _overdrawn_now(run, ledger, without(moved, held["chains"]), _always_enough(forward.drawn))
    suspects = {
        "early": np.append(held["early"][~np.isin(held["early"], ids)], np.array(now.early, np.int64)),
        "stale": np.append(held["stale"][~np.isin(held["stale"], ids)], np.array(now.stale, np.int64)),
        "chains": np.unique(np.concatenate([held["chains"], now.crossed(), fallen])),
    }
    kept_pairs = held["pairs"][~np.isin(held["pairs"]["line"], ids)]
    RunPartition.objects.filter(id=share.id).update(
        rows=len(new),
        scratch=packed(
            {
                "pairs": np.concatenate([kept_pairs, now.pairs_found()[1]]),
                "lots": np.concatenate([without(held["lots"], lots), of_lots[1][1]]),
                "moved": np.array(ids, np.int64), "touched": lots, "more": np.array([len(new) - len(old)]),
                "more_cells": np.array([forward.more]),
                "changed": unpacked(share.scratch)["changed"], **suspects,
            }
        ),
    )  # fmt: skip
    overdue = (
        before.stale + now.stale
    )  # a finding tells of all such lines of a consignee and kind of chip together
    again = {
        "early": np.array(now.early, np.int64),
        "stale": _together(ledger, instants, overdue, suspects["stale"]),
        "chains": np.intersect1d(
            np.concatenate([suspects["chains"], wider_chains(ledger, suspects["chains"])]), chains
        ),
    }
    _carry_what_stands(run, base, ledger, ids, chains, _waited_for(ledger, instants, overdue))
    return suspected(ledger, again), {srd.FAMILY: tests}


def _left_alone(
    run: ReconciliationRun, share: RunPartition, base: ReconciliationRun
) -> tuple[list[Found], dict[str, int]]:
    """No line changed: everything on lines stands, unless a declared book got another count."""
    ledger = ledger_of(run)
    none, more_cells = np.empty(0, LINE), 0
    if ledger.closed_books:
        where = places(run.as_known_at, (), ledger.of_world(), set(), set())
        more_cells = _bring_cells_forward(run, base, ledger, none, none, where).more
    held, tests = _held(base)
    untouched = {
        "moved": np.empty(0, np.int64), "touched": np.empty(0, LOT), "more": np.zeros(1, np.int64),
        "more_cells": np.array([more_cells]),
        "changed": unpacked(share.scratch)["changed"],
    }  # fmt: skip
    RunPartition.objects.filter(id=share.id).update(rows=0, scratch=packed({**held, **untouched}))
    rows = base.findings.filter(check_code__in=ON_LINES).order_by()
    carry_over(run, base, list(rows.values_list("id", flat=True)))
    return [], {srd.FAMILY: tests}


def _held(base: ReconciliationRun) -> tuple[dict[str, Array], int]:
    """What the shares of an earlier run carry, put together, and how many tests of shipper against receiver it made."""
    shares = list(base.partitions.filter(kind=LINES).order_by("index"))
    carried = [unpacked(share.scratch) for share in shares]
    names = ("pairs", "lots", "early", "stale", "chains")
    held = {name: np.concatenate([part[name] for part in carried]) for name in names}
    return held, sum(share.tests.get(srd.FAMILY, 0) for share in shares)


def _borne_on(touched: Touched, ledger: Ledger) -> Array:
    """CHAIN rows of all that lines bear on, also without moving it or naming it: both ends, end users, operators of the sites,
    wholes of which a site is a part, and the sites of whoever received at none that is named."""
    receivers = {
        org
        for line in touched.lines
        if not line.destination
        for org in (line.consignee, line.end_user)
        if org
    }
    wholes, operated = sites_around(ledger, touched.sites, receivers)
    found = {
        (False, org, line.scope)
        for line in touched.lines
        for org in (
            line.shipper, line.consignee, line.end_user, line.origin_operator, line.destination_operator,
        )
        if org
    }  # fmt: skip
    for line in touched.lines:
        ends = {line.origin, line.destination} - {0}
        near = ends | {whole for site in ends for whole in wholes.get(site, ())}
        if not line.destination:
            near |= {site for org in (line.consignee, line.end_user) for site in operated.get(org, ())}
        found |= {(True, site, line.scope) for site in near}
    return np.array(sorted(found), CHAIN)


def _named_chains(chains: Array, ledger: Ledger) -> set[tuple[str, str]]:
    """The chains by area and scope, as findings name them."""
    names: dict[tuple[bool, int], str] = {}
    for site, kind, model in ((False, "org", Organization), (True, "site", DataCenter)):
        holders = chains["holder"][chains["site"] == site].tolist()
        rows = ledger.known(model).filter(id__any=holders).values_list("id", "slug") if holders else ()
        names |= {(site, pk): f"{kind}:{slug}" for pk, slug in rows}
    scoped = {number: f"{scope.kind}:{scope.slug}" for number, scope in ledger.numbered_scopes.items()}
    return {(names.get((site, pk), ""), scoped[scope]) for site, pk, scope in chains.tolist()}


Waited = tuple[int, str, int]
"""Consignee (0: not named), country of destination (empty where a consignee is named) and scope of a line in transit."""


def _waited_for(ledger: Ledger, instants: Sequence[datetime], lines: Sequence[int]) -> set[Waited]:
    """Whom some lines in transit were for, then and now."""
    found: set[Waited] = set()
    for at in instants if lines else ():
        rows = Shipment.objects.known_at(at).filter(ledger.of_world(), id__any=lines)
        found |= {
            (consignee or 0, "" if consignee else country, chip * 2 if chip else (family or 0) * 2 + 1)
            for consignee, country, chip, family in rows.values_list(
                "consignee_id", "destination_country", "chip_id", "family_id"
            )
        }
    return found


def _together(ledger: Ledger, instants: Sequence[datetime], changed: Sequence[int], stale: Array) -> Array:
    """Of the overdue lines those that a finding tells of together with one that changed."""
    asked = _waited_for(ledger, instants, changed)
    if not asked:
        return np.empty(0, np.int64)
    near = Q(consignee_id__in=[pk for pk, _, _ in asked if pk])
    near |= Q(consignee_id=None, destination_country__in=[country for pk, country, _ in asked if not pk])
    rows = ledger.known(Shipment).filter(near, ledger.of_world(), id__any=stale.tolist()).order_by("id")
    return np.array(list(rows.values_list("id", flat=True)), np.int64)


def _carry_what_stands(
    run: ReconciliationRun,
    base: ReconciliationRun,
    ledger: Ledger,
    ids: Sequence[int],
    chains: Array,
    waited: set[Waited],
) -> None:
    """Carry over the base's findings on lines and chains that nothing touched."""
    told = _named_chains(chains, ledger)
    consignees = ledger.organizations([pk for pk, _, _ in waited])
    areas = {
        f"org:{consignees[pk].slug}" if pk in consignees else f"country:{country or 'unknown'}"
        for pk, country, _ in waited
    }
    dated = set(ids)
    rows = (
        base.findings.filter(check_code__in=ON_LINES)
        .order_by()
        .annotate(
            line=Subquery(
                Evidence.objects.filter(
                    finding_id=Coalesce(OuterRef("evidence_of_id"), OuterRef("id")), order=0
                ).values("object_id")
            )
        )
    )

    def stands(code: str, area: str, scope: str, line: int) -> bool:
        if code == running.CODE:
            return (area, scope) not in told
        return area not in areas if code == transit.CODE else line not in dated

    values = rows.values_list("id", "check_code", "area", "scope", "line")
    carry_over(run, base, [pk for pk, *named in values if stands(*named)])


def _read_lines(at: datetime, synthetic: bool, where: str, params: list[Any]) -> Array:
    chunks = list(line_chunks(at, synthetic, where, params))
    return np.concatenate(chunks) if chunks else np.empty(0, LINE)


def _bring_cells_forward(
    run: ReconciliationRun, base: ReconciliationRun, ledger: Ledger, old: Array, new: Array, where: Places
) -> Forward:
    """Write the cells that changed lines, or changed inventories of declared books, make differ from those of the base."""
    lead = ledger.parameters.lead_time_days
    sides = [ends(lines, amounts(lines, ledger.parameters), where, lead) for lines in (old, new)]
    names = {number: f"{scope.kind}:{scope.slug}" for number, scope in ledger.numbered_scopes.items()}
    inventories = anchors(ledger.inventories(list(names)), ledger.closed_books, ledger.parameters)
    if ledger.closed_books:  # an inventory that is no longer reported must open its chain no longer
        then = Ledger(base.as_known_at, base.as_of, ledger.parameters)
        earlier = anchors(then.inventories(list(names)), then.closed_books, then.parameters)
        inventories = {key: inventories.get(key, {}) for key in {*inventories, *earlier}}
    # all kinds of areas at once: changes are few, and each look into the books that stand costs more than they do
    delta = merged(
        [changes(sides[0], sides[1], kind, where.groups) for kind in range(len(AREA_KINDS))], keep_empty=True
    )
    forward = bring_forward(run.id, base.layers, delta, inventories, names)
    whole = whole_months(forward.cells, ledger.closed_books, ledger.numbered_scopes)
    if write_cells(run.id, forward.cells, names, closed=whole, gone=forward.gone) > 1000:
        learn_cells()
    return forward


def _others_of(run: ReconciliationRun, ledger: Ledger, lots: Array, changed: Sequence[int]) -> Sweep:
    """A look over the lines of some lots that did not change."""
    sweep = sweep_of(run, ledger)
    for lines in _both_told(ledger, lots):
        same = lines[~np.isin(lines["id"], changed)]
        sweep.add(same, amounts(same, ledger.parameters))
    return sweep


def _both_told(ledger: Ledger, lots: Array) -> Iterator[Array]:
    """Every line of some lots that both ends report, each once, and few others; by one of the parties, so that they are found by
    key."""
    at, synthetic = ledger.at, ledger.parameters.records == "synthetic"
    told = "quantity_by_shipper IS NOT NULL AND quantity_by_receiver IS NOT NULL"
    received, sent = lots["consignee"] > 0, (lots["consignee"] == 0) & (lots["shipper"] > 0)
    dated = lots["quarter"] >= 0
    for named, end, among in (
        (received, "consignee", told),
        (sent, "shipper", f"consignee_id IS NULL AND {told}"),
    ):
        pairs, place = np.unique(lots[named & dated][[end, "scope"]], return_inverse=True)
        first, last = np.full(len(pairs), 2**30), np.zeros(len(pairs), int)
        np.minimum.at(first, place, lots[named & dated]["quarter"])
        np.maximum.at(last, place, lots[named & dated]["quarter"])
        yield lines_of(at, synthetic, f"{end}_id", pairs[end], pairs["scope"], among, (first, last))
        pairs = np.unique(lots[named & ~dated][[end, "scope"]])
        among = f"{among} AND shipped_on IS NULL"
        yield lines_of(at, synthetic, f"{end}_id", pairs[end], pairs["scope"], among)
    of_nobody = np.unique(lots["scope"][~received & ~sent]).tolist()
    if of_nobody:
        where, given = of_scopes(of_nobody)
        yield from line_chunks(
            at, synthetic, f"{where} AND shipper_id IS NULL AND consignee_id IS NULL AND {told}", given
        )


def _overlapping(chains: Array, ledger: Ledger) -> Array:
    """The chains, and those of the same holders whose scope may be of the same chips."""
    found = [chains]
    for number in np.unique(chains["scope"]).tolist():
        asked, mine = ledger.numbered_scopes[number], chains[chains["scope"] == number]
        for other, scope in beside(ledger, number):
            if may_overlap(scope, asked, ledger.chips):
                found.append(mine.copy())
                found[-1]["scope"] = other
    return np.unique(np.concatenate(found))


def _always_enough(drawn: Columns) -> Array:
    """CHAIN rows of the balances of sites and organizations that cannot fall below zero by their cells.

    A cell counts a receipt from its last possible day on, and the check from the first; so the balance that is asked for is
    never lower than the book (a test holds both to each other). What cells don't tell of is :data:`_BESIDE_BOOKS`.
    """
    areas, scopes = always_enough(drawn)
    kinds, holders = kinds_and_objects(areas)
    mine = (kinds == SITE) | (kinds == ORG)
    out = np.empty(int(mine.sum()), CHAIN)
    out["site"], out["holder"], out["scope"] = kinds[mine] == SITE, holders[mine], scopes[mine]
    return out


_BESIDE_BOOKS = "shipped_on IS NULL OR kind = 'production'"
"""``shipments.models.BESIDE_BOOKS``: a balance that sent such lines is not told by its cells."""


def _overdrawn_now(run: ReconciliationRun, ledger: Ledger, chains: Array, enough: Array) -> Array:
    """Those of some chains whose balance falls below zero. Not read is what came into chains from which nothing went, nor any
    line of those that have ``enough``."""
    at, synthetic = ledger.at, ledger.parameters.records == "synthetic"
    maker = np.array([ledger.makers.get(scope, 0) for scope in chains["scope"].tolist()], np.int64)
    followed = chains[chains["site"] | (chains["holder"] != maker)]
    followed = followed[~np.isin(followed, enough) | have_sent(ledger, followed, _BESIDE_BOOKS)]
    found = []
    for at_site, (sender, receiver) in ((False, ("shipper", "consignee")), (True, ("origin", "destination"))):
        mine = followed[followed["site"] == at_site]
        sent = lines_of(at, synthetic, f"{sender}_id", mine["holder"], mine["scope"])
        sending = np.unique(sent[[sender, "scope"]])
        came = lines_of(at, synthetic, f"{receiver}_id", sending[sender].astype(np.int64), sending["scope"])
        lines = np.concatenate([sent, came])
        lines = lines[np.unique(lines["id"], return_index=True)[1]]  # between two of them: read twice
        sweep = sweep_of(run, ledger)
        sweep.add(lines, amounts(lines, ledger.parameters))
        low = sweep.overdrawn()
        found.append(low[low["site"] == at_site])
    below = np.concatenate(found)
    return below[np.isin(below, chains)]
