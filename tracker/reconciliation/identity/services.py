"""Discrepancies keep their identity when what they are about is called by another name: the key is made of names (slugs)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from tracker.chips.models import Chip, ChipFamily
from tracker.claims.models import Claim
from tracker.datacenters.models import DataCenter
from tracker.organizations.models import Organization
from tracker.reconciliation.findings.services import key_of
from tracker.reconciliation.lifecycle import Renames, renamed, renamed_in
from tracker.reconciliation.models import Discrepancy, DiscrepancyEvent, ReconciliationRun

_NAMED: dict[str, Any] = {
    "site": DataCenter, "org": Organization, "chip": Chip, "family": ChipFamily, "claim": Claim,
}  # fmt: skip


def follow_renames(run: ReconciliationRun, records: str) -> int:
    """Call what was renamed since the run before by its new name in the identity of its discrepancies; returns how many changed.

    Findings of earlier runs keep the names that they were told under; an event keeps the old key. Where the new name has a
    discrepancy of its own already, the old one stays as it is.
    """
    finished = ReconciliationRun.objects.filter(
        status=ReconciliationRun.Status.FINISHED, parameters__records=records, as_known_at__lt=run.as_known_at
    )
    before = finished.order_by("-as_known_at").values_list("as_known_at", flat=True).first()
    if before is None or not (renames := _renames(before, run.as_known_at)):
        return 0
    moved, told = [], {}
    for row in _called(renames, records):
        told[row.pk] = DiscrepancyEvent(
            discrepancy=row, run_key=run.key, what=DiscrepancyEvent.What.NAME, before=row.key,
            words=f"Called {row.area}, {row.scope}, {row.counterpart or 'no counterpart'} until then.",
        )  # fmt: skip
        row.area, row.scope = renamed(row.area, renames), renamed(row.scope, renames)
        row.counterpart = renamed_in(row.counterpart, renames)
        row.key = key_of((row.check_code, row.area, row.scope, row.period, row.counterpart), records)
        told[row.pk].after = row.key
        moved.append(row)
    others = Discrepancy.objects.exclude(pk__in=list(told))
    taken = set(others.filter(key__in=[row.key for row in moved]).values_list("key", flat=True))
    moved = [row for row in moved if row.key not in taken and row.key != told[row.pk].before]
    # no two rows may have one key, not even while names are exchanged
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tracker_discrepancy SET key = md5(id::text) || md5(key) WHERE id = ANY(%s)",
            [[row.pk for row in moved]],
        )
    Discrepancy.objects.bulk_update(moved, ("key", "area", "scope", "counterpart"), batch_size=1000)
    DiscrepancyEvent.objects.bulk_create((told[row.pk] for row in moved), batch_size=1000)
    return len(moved)


def relink_renamed(run: ReconciliationRun) -> None:
    """Findings of a run of the past belong to the discrepancies that have been called otherwise since."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tracker_finding f SET discrepancy_id = n.discrepancy_id FROM tracker_discrepancyevent n"
            " WHERE n.what = 'name' AND n.before = f.key AND f.run_id = %s AND f.is_discrepancy"
            " AND f.discrepancy_id IS NULL",
            [run.id],
        )


_THEN = """
SELECT table_name, object_id, row ->> 'slug' FROM tracker_recordversion
WHERE table_name = ANY(%s) AND recorded_at <= %s AND superseded_at > %s AND superseded_at <= %s
"""
"""The names that those records had at an instant which have another version since."""


def _renames(before: datetime, now: datetime) -> Renames:
    """What is called otherwise as known at one instant than at an earlier one."""
    tables = {model._meta.db_table: kind for kind, model in _NAMED.items()}
    with connection.cursor() as cursor:
        cursor.execute(_THEN, [list(tables), before, before, now])
        names: dict[str, dict[int, str]] = {}
        for table, pk, slug in cursor.fetchall():
            names.setdefault(tables[table], {})[pk] = slug
    found = {}
    for kind, old in names.items():
        standing = _NAMED[kind].objects.known_at(now).filter(pk__in=list(old)).values_list("pk", "slug")
        if changed := {old[pk]: slug for pk, slug in standing if slug != old[pk]}:
            found[kind] = changed
    return found


def _called(renames: Renames, records: str) -> list[Discrepancy]:
    """Discrepancies of one world that are called by one of the old names."""
    keys = [f"{kind}:{old}" for kind, names in renames.items() for old in names]
    keys += [f"group:{old}" for old in renames.get("org", {})]
    words = "|".join(re.escape(old) for names in renames.values() for old in names)
    named = rf"(^|[^[:alnum:]_-])({words})($|[^[:alnum:]_-])"
    asked = Q(area__in=keys) | Q(scope__in=keys) | Q(counterpart__regex=named)
    rows = Discrepancy.objects.filter(asked, first_run__parameters__records=records)
    return list(rows.select_for_update(of=("self",)).order_by("key"))
