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
    "destination_country", "licence_id",
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
    lines: list[TouchedLine] = []
    earlier: set[int] = set()
    for at in instants:
        carried_on = Shipment.objects.known_at(at).filter(world, id__in=ids, onward_of__isnull=False)
        earlier.update(carried_on.values_list("onward_of_id", flat=True))
    ids = sorted({*ids, *earlier})
    for at in instants:
        rows = list(
            Shipment.objects.known_at(at).filter(world, id__in=ids).order_by("id").values_list(*_FIELDS)
        )
        sites = {pk for row in rows for pk in row[6:8] if pk}
        found = (
            DataCenter.objects.known_at(at).filter(id__in=sites).values_list("id", "operator_id", "country")
            if sites
            else ()
        )
        told = {pk: (operator or 0, country) for pk, operator, country in found}
        for pk, chip, family, shipper, consignee, user, origin, destination, left, came, licence in rows:
            (sender, left_in), (receiver, came_in) = (
                told.get(site, (0, "")) for site in (origin, destination)
            )
            lines.append(
                TouchedLine(
                    id=pk, scope=chip * 2 if chip else family * 2 + 1, shipper=shipper or 0, consignee=consignee or 0,
                    end_user=user or 0, origin=origin or 0, destination=destination or 0, origin_operator=sender,
                    destination_operator=receiver, origin_country=left, destination_country=came, origin_site_country=left_in,
                    destination_site_country=came_in, licence=licence or 0,
                )
            )  # fmt: skip
    return Touched(tuple(lines))
