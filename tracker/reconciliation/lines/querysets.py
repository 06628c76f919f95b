"""Reading the lines that changed between two instants, with what they bear on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracker.balances.querysets import changed_lines
from tracker.datacenters.models import DataCenter
from tracker.reconciliation.models import ReconciliationRun
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
    return touched_by(instants, changed_lines(*instants), world)


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
    rows = list(Shipment.objects.known_at(at).filter(world, id__in=ids).order_by("id").values(*_FIELDS))
    named = {row[end] for row in rows for end in ("origin_id", "destination_id")} - {None}
    known = DataCenter.objects.known_at(at).filter(id__in=named).values_list("id", "operator_id", "country")
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
