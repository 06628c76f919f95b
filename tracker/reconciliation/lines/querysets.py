"""Reading the lines that changed between two instants, with what they bear on; and those of one running balance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np

from tracker.balances.querysets import changed_lines, line_chunks
from tracker.balances.reading import CHAIN_LINE, Array
from tracker.datacenters.models import DataCenter, DataCenterPart
from tracker.reconciliation import scopes
from tracker.reconciliation.books import Scope
from tracker.reconciliation.chains import Chain
from tracker.reconciliation.models import ReconciliationRun
from tracker.reconciliation.position import Area
from tracker.reconciliation.querysets import Ledger
from tracker.reconciliation.touched import Touched, TouchedLine
from tracker.shipments.models import Shipment

_FIELDS = (
    "id", "chip_id", "family_id", "shipper_id", "consignee_id", "end_user_id", "origin_id", "destination_id", "origin_country",
    "destination_country", "licence_id", "onward_of_id",
)  # fmt: skip


def touched_since(run: ReconciliationRun, world: Any) -> Touched:
    """What changed since the run that this one goes on from."""
    assert run.base is not None  # asked by the caller
    instants = (run.base.as_known_at, run.as_known_at)
    ids = changed_lines(*instants)
    goods = touched_by(instants, of_same_goods(instants, ids, world), world)
    return replace(touched_by(instants, ids, world), goods=goods.lines)


def of_same_goods(instants: Sequence[datetime], ids: Sequence[int], world: Any) -> list[int]:
    """Some lines with those tied to them by consignments and by goods that one carries on for another, in any number of steps, at
    any of some instants: what one of them draws on a licence bears on the others.

    ``world``: the condition that keeps real and synthetic records apart.
    """
    found, fresh = set(ids), set(ids)
    while fresh:
        near: set[int] = set()
        for at in instants:
            lines = Shipment.objects.known_at(at).filter(world)
            told = list(lines.filter(id__any=fresh).values_list("onward_of_id", "consignment"))
            near |= {earlier for earlier, _ in told if earlier}
            near |= set(lines.filter(onward_of__in=fresh).values_list("id", flat=True))
            if names := {consignment for _, consignment in told if consignment}:
                near |= set(lines.filter(consignment__in=names).values_list("id", flat=True))
        fresh = near - found
        found |= near
    return sorted(found)


def touched_by(instants: Sequence[datetime], ids: Sequence[int], world: Any) -> Touched:
    """Some lines as known at each of some instants, with those whose goods they carry on, which count or not because of it.

    ``world``: the condition that keeps real and synthetic records apart.
    """
    found = [row for at in instants for row in _rows(at, ids, world)]
    earlier = {row["onward_of_id"] for _, row in found if row["onward_of_id"]} - set(ids)
    if earlier:
        found += [row for at in instants for row in _rows(at, sorted(earlier), world)]
    return Touched(tuple(_line(row, sites) for sites, row in found))


Sites = dict[int, tuple[int, str]]
"""Operator (0: not known) and country of sites by id."""


def _rows(at: datetime, ids: Sequence[int], world: Any) -> list[tuple[Sites, dict[str, Any]]]:
    rows = list(Shipment.objects.known_at(at).filter(world, id__any=ids).order_by("id").values(*_FIELDS))
    named = {row[end] for row in rows for end in ("origin_id", "destination_id")} - {None}
    known = DataCenter.objects.known_at(at).filter(id__any=named).values_list("id", "operator_id", "country")
    sites: Sites = {pk: (operator or 0, country) for pk, operator, country in (known if named else ())}
    return [(sites, row) for row in rows]


def _line(row: dict[str, Any], sites: Sites) -> TouchedLine:
    (sender, left_in), (receiver, came_in) = (
        sites.get(row[end] or 0, (0, "")) for end in ("origin_id", "destination_id")
    )
    return TouchedLine(
        id=row["id"], scope=row["chip_id"] * 2 if row["chip_id"] else row["family_id"] * 2 + 1, shipper=row["shipper_id"] or 0,
        consignee=row["consignee_id"] or 0, end_user=row["end_user_id"] or 0, origin=row["origin_id"] or 0,
        destination=row["destination_id"] or 0, origin_operator=sender, destination_operator=receiver,
        origin_country=row["origin_country"], destination_country=row["destination_country"], origin_site_country=left_in,
        destination_site_country=came_in, licence=row["licence_id"] or 0,
    )  # fmt: skip


def followed_chains(ledger: Ledger, rows: Array) -> list[tuple[Area, Scope, Chain]]:
    """The balances that CHAIN rows (``sweep``) are about, in their order, without those that nobody follows: of groups of unnamed
    buyers and of the vendors of the chips."""
    organizations = ledger.organizations(rows["holder"][~rows["site"]].tolist())
    sites = ledger.sites(rows["holder"][rows["site"]].tolist())
    operated: dict[int, list[int]] = defaultdict(list)
    known = ledger.known(DataCenter).filter(operator_id__in=organizations)
    for pk, operator in known.order_by("id").values_list("id", "operator_id") if organizations else ():
        operated[operator].append(pk)

    @cache
    def near(number: int) -> tuple[Array, Array]:
        asked, every = ledger.numbered_scopes[number], ledger.numbered_scopes.items()
        within = [other for other, scope in every if scopes.is_within(scope, asked)]
        overlapping = [other for other, scope in every if scopes.may_overlap(scope, asked, ledger.chips)]
        return np.array(within, np.int64), np.array(overlapping, np.int64)

    found = []
    for is_site, holder, number in rows.tolist():
        scope = ledger.numbered_scopes[number]
        if is_site and (site := sites.get(holder)):
            inside = np.array(sorted({holder, *site.parts}), np.int64)
            chain = Chain(True, holder, number, inside, *near(number), site.operator_id or 0, site.country)
            found.append((Area("site", holder, site.slug, site.name), scope, chain))
        elif not is_site and (row := organizations.get(holder)):
            if row.is_aggregate or row.slug in scopes.vendors(scope, ledger.chips):
                continue
            chain = Chain(False, holder, number, np.array(operated[holder], np.int64), *near(number))
            found.append((Area("org", holder, row.slug, row.name), scope, chain))
    return found


def sites_around(
    ledger: Ledger, sites: set[int], operators: set[int]
) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """The wholes that each of some sites is a part of, and the sites that each of some organizations operates."""
    wholes: dict[int, set[int]] = defaultdict(set)
    operated: dict[int, set[int]] = defaultdict(set)
    parts = ledger.known(DataCenterPart).filter(part_id__in=sites).values_list("part_id", "whole_id")
    for part, whole in parts if sites else ():
        wholes[part].add(whole)
    run = ledger.known(DataCenter).filter(operator_id__in=operators).values_list("operator_id", "id")
    for operator, site in run if operators else ():
        operated[operator].add(site)
    return wholes, operated


def chain_lines(ledger: Ledger, chain: Chain) -> Array:
    """CHAIN_LINE records of all that may have moved a balance."""
    sites, holder = chain.sites.tolist(), [chain.holder]
    if chain.is_site:  # what its operator received at no named site may have come to it
        operator, unplaced = [chain.operator] if chain.operator else [], " AND destination_id IS NULL"
        ends = [
            ("destination_id", sites, ""), ("origin_id", sites, ""), ("consignee_id", operator, unplaced),
            ("end_user_id", operator, unplaced),
        ]  # fmt: skip
    else:
        ends = [
            ("consignee_id", holder, ""), ("end_user_id", holder, ""), ("shipper_id", holder, ""), ("destination_id", sites, ""),
        ]  # fmt: skip
    of = {
        "chip_id": (chain.overlapping[chain.overlapping % 2 == 0] // 2).tolist(),
        "family_id": (chain.overlapping[chain.overlapping % 2 == 1] // 2).tolist(),
    }
    # each pair by itself, so that each can be found by the index on both
    pairs = [(*end, what, some) for end in ends for what, some in of.items() if end[1] and some]
    where = " OR ".join(f"({end} = ANY(%s) AND {what} = ANY(%s){also})" for end, _, also, what, _ in pairs)
    given = [values for _, ids, _, _, some in pairs for values in (ids, some)]
    synthetic = ledger.parameters.records == "synthetic"
    chunks = list(line_chunks(ledger.at, synthetic, where, given, CHAIN_LINE))
    return np.concatenate(chunks) if chunks else np.empty(0, CHAIN_LINE)
