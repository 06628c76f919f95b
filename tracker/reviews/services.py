"""What people do about records and findings: look at the history of a record, close and open discrepancies, hold roles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.auth.models import AbstractUser, Group, Permission, User
from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.utils import timezone

from tracker.core.errors import BadInput
from tracker.core.models import RecordVersion, Versioned
from tracker.reconciliation.lifecycle import is_overdue
from tracker.reconciliation.models import Discrepancy, DiscrepancyEvent, DiscrepancyNote, ReconciliationRun
from tracker.reviews.history import Change, changes, content
from tracker.sources.models import Source

# --- discrepancies --------------------------------------------------------------------------------------------------------

SENTENCE_WORDS = 3
"""Fewer words than this explain nothing to a later reader."""


def resolve(
    discrepancy: Discrepancy, actor: AbstractUser, reason: str, resolution: str, *, shown: int | None = None
) -> Discrepancy:
    """Close a discrepancy for one of the reasons of :class:`Discrepancy.Reason`, with a sentence that a reader can follow.

    It stays closed until a record it rests on changes. The decision is kept in its history. ``shown``: the finding that whoever
    decides was looking at, if that is known.

    Raises:
        BadInput: an unknown reason, no sentence, a discrepancy that is closed already, or one that a run found anew since.
    """
    resolution = resolution.strip()
    if reason not in Discrepancy.Reason.values:
        raise BadInput(
            f"'{reason}' is no reason for closing; choose one of: {', '.join(Discrepancy.Reason.values)}."
        )
    if len(resolution.split()) < SENTENCE_WORDS:
        raise BadInput("Say in a sentence why it is closed, so that a reader a year from now can follow.")
    with transaction.atomic():
        row = _locked(discrepancy)
        if row.state == Discrepancy.State.RESOLVED:
            raise BadInput(f"{row} was resolved by {row.resolved_by} already; reopen it first.")
        if shown is not None and row.latest_id != shown:
            run = f"by run {row.latest.run.key}" if row.latest else "otherwise"
            raise BadInput(
                f"{row} was found anew {run} since it was shown; look at it again and decide then."
            )
        before = row.state
        row.state, row.reason, row.resolution = Discrepancy.State.RESOLVED, reason, resolution
        row.resolved_by, row.resolved_at = actor.get_username(), timezone.now()
        row.resolved_evidence_sha256 = row.latest.evidence_sha256 if row.latest else ""
        row.save()
        _record(row, actor, "state", before, row.state, reason=reason, words=resolution)
    return row


def reopen(discrepancy: Discrepancy, actor: AbstractUser, reason: str) -> Discrepancy:
    """Open a resolved discrepancy again, with a sentence; the closing and its words stay in its history.

    Raises:
        BadInput: no sentence, or a discrepancy that is not resolved.
    """
    reason = reason.strip()
    if len(reason.split()) < SENTENCE_WORDS:
        raise BadInput("Say in a sentence why it is opened again.")
    with transaction.atomic():
        row = _locked(discrepancy)
        if row.state != Discrepancy.State.RESOLVED:
            raise BadInput(f"{row} is not resolved, so there is nothing to open again.")
        row.state = Discrepancy.State.REOPENED
        row.reason = row.resolution = row.resolved_by = row.resolved_evidence_sha256 = ""
        row.resolved_at = None
        row.save()
        _record(row, actor, "state", Discrepancy.State.RESOLVED, row.state, words=reason)
    return row


def assign(discrepancy: Discrepancy, actor: AbstractUser, assignee: User | None) -> Discrepancy:
    """Give a discrepancy to somebody to look into, or to nobody (None).

    Raises:
        BadInput: an account that is closed.
    """
    if assignee is not None and not assignee.is_active:
        raise BadInput(f"{assignee.get_username()} can no longer sign in; choose somebody who can.")
    with transaction.atomic():
        row = _locked(discrepancy)
        before, row.assignee = row.assignee, assignee
        row.save(update_fields=["assignee"])
        names = [person.get_username() if person else "" for person in (before, assignee)]
        if names[0] != names[1]:
            _record(row, actor, "assignee", *names)
    return row


def note(
    discrepancy: Discrepancy, actor: AbstractUser, text: str, url: str = "", source: Source | None = None
) -> DiscrepancyNote:
    """Write a sentence beside a discrepancy, with the address or the source of the evidence it tells of. Notes are never changed.

    Raises:
        BadInput: no sentence, or an address that is not one of the web.
    """
    row = DiscrepancyNote(
        discrepancy=discrepancy,
        written_by=actor.get_username(),
        text=text.strip(),
        url=url.strip(),
        source=source,
    )
    if len(row.text.split()) < SENTENCE_WORDS:
        raise BadInput("Say in a sentence what you found, so that a reader a year from now can follow.")
    try:
        row.full_clean()
    except ValidationError as error:
        raise BadInput(" ".join(error.messages)) from error
    row.save()
    return row


def events(discrepancy: Discrepancy) -> models.QuerySet[DiscrepancyEvent]:
    """What became of a discrepancy, by runs and people, newest first."""
    return discrepancy.events.order_by("-at", "-id")


def life_of(discrepancy_id: int) -> dict[str, Any]:
    """What readers of the data may know of a discrepancy's life, by the day of the last run that looked for it: ``age_days``,
    ``is_overdue`` and ``history``, changes of its state with names of runs but not of people, the latest first."""
    row = Discrepancy.objects.select_related("first_run").get(pk=discrepancy_id)
    # Below the threshold the last run that saw it is not the last that looked for it.
    looked = ReconciliationRun.objects.filter(
        status=ReconciliationRun.Status.FINISHED,
        parameters__records=row.first_run.parameters.get("records", "real"),
    ).order_by("-as_known_at")
    on = looked.values_list("as_of", flat=True).first() or row.first_run.as_of
    return {
        "age_days": max(0, (on - row.opened_at.date()).days) if row.opened_at else None,
        "is_overdue": is_overdue(row.due_on, row.state, on),
        "history": [
            {
                "at": event.at.isoformat(), "run": event.run_key or None, "before": event.before, "after": event.after,
                "reason": event.reason, "words": event.words,
            }
            for event in events(row).filter(what=DiscrepancyEvent.What.STATE)
        ],
    }  # fmt: skip


def _locked(discrepancy: Discrepancy) -> Discrepancy:
    """The row as it stands now, held until the end of the transaction: two people may decide at once."""
    rows = Discrepancy.objects.select_for_update(of=("self",)).select_related("latest__run", "assignee")
    return rows.get(pk=discrepancy.pk)


def _record(row: Discrepancy, actor: AbstractUser, what: str, before: str, after: str, **told: str) -> None:
    DiscrepancyEvent.objects.create(
        discrepancy=row, made_by=actor.get_username(), what=what, before=before, after=after, **told
    )


# --- the history of a record ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """One version of one record coming to be, or the deletion of one.

    ``row``: all columns of the version (of the last one, for a deletion). ``changes``: against the version before; empty for
    the first.
    """

    model: type[models.Model]
    object_id: int
    version: int
    kind: str  # recorded | changed | deleted
    at: datetime
    by: str
    reason: str
    batch: str
    row: dict[str, Any] = field(repr=False)
    changes: tuple[Change, ...] = ()

    def content(self) -> dict[str, Any]:
        return content(self.row)


def history(record: Versioned, parts: Iterable[tuple[type[Versioned], str]] = ()) -> list[Event]:
    """Every version of a record and of its parts, newest first.

    ``parts``: (model, name of its foreign key to the record), e.g. ``(Alias, "organization")``. A part that was taken away is
    still found, by the foreign key that its last version carried.
    """
    events = _events(type(record), "id", record.pk)
    for model, foreign_key in parts:
        events += _events(model, _column(model, foreign_key), record.pk)
    return sorted(events, key=lambda event: (event.at, event.version, event.object_id), reverse=True)


def _column(model: type[Versioned], foreign_key: str) -> str:
    field = model._meta.get_field(foreign_key)
    assert isinstance(field, models.ForeignKey)
    return field.column


def _events(model: type[models.Model], column: str, pk: int) -> list[Event]:
    table = model._meta.db_table
    kept = RecordVersion.objects.filter(table_name=table)
    kept = kept.filter(object_id=pk) if column == "id" else kept.filter(**{f"row__{column}": pk})
    by_object: dict[int, list[RecordVersion]] = {}
    for version in kept.order_by("object_id", "version"):
        by_object.setdefault(version.object_id, []).append(version)
    standing = {row["id"]: row for row in _standing_rows(table, column, pk)}
    events: list[Event] = []
    for object_id in sorted(by_object.keys() | standing.keys()):
        versions = by_object.get(object_id, [])
        rows = [version.row for version in versions]
        if object_id in standing:
            rows.append(standing[object_id])
        events += _recordings(model, rows)
        if versions and versions[-1].operation != RecordVersion.Operation.UPDATE:
            events.append(_deletion(model, versions[-1]))
    return events


def _standing_rows(table: str, column: str, pk: int) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        name, key = connection.ops.quote_name(table), connection.ops.quote_name(column)
        cursor.execute(f"SELECT to_jsonb(t)::text FROM {name} t WHERE t.{key} = %s", [pk])  # noqa: S608 - our own names
        return [json.loads(text) for (text,) in cursor.fetchall()]


def _recordings(model: type[models.Model], rows: list[dict[str, Any]]) -> list[Event]:
    pairs = zip([None, *rows], rows, strict=False)
    return [
        Event(
            model=model,
            object_id=row["id"],
            version=row["version"],
            kind="recorded" if before is None else "changed",
            at=datetime.fromisoformat(row["recorded_at"]),
            by=row["recorded_by"],
            reason=row["recorded_reason"],
            batch=row["recorded_batch"],
            row=row,
            changes=() if before is None else changes(before, row),
        )
        for before, row in pairs
    ]


def _deletion(model: type[models.Model], last: RecordVersion) -> Event:
    return Event(
        model=model,
        object_id=last.object_id,
        version=last.version,
        kind="deleted",
        at=last.superseded_at,
        by=last.superseded_by,
        reason=last.superseded_reason,
        batch=last.superseded_batch,
        row=last.row,
    )


# --- roles ----------------------------------------------------------------------------------------------------------------

LAW = (
    "exportrule", "licencerequirement", "ruleinterval", "countrygroup", "countrygroupmember", "methodparameter",
)  # fmt: skip
"""Changed by reviewers only, like the numbers of the method: one wrong threshold would judge every shipment wrongly."""

LISTS = ("screeninglist", "listedparty", "listedname", "screeningmatch")
"""Lists are loaded by reviewers; their parties and the matches are written by the machinery and decided, never typed in."""

PARTS = (
    "alias", "chipfamilymember", "claimconflict", "datacenterpart", "datacenterstatus", "datacenteruser", "licenceitem",
    "shipmentclaim", "sitepower", "ownershipstake", "listentry",
)  # fmt: skip
"""Rows that hang on a record; an analyst may take one away, its history is kept."""


def role_permissions() -> dict[str, set[str]]:
    """What each role may do, as ``app.codename``; each role holds only what its work needs.

    Reader looks. Analyst records and corrects, writes notes beside discrepancies, starts screenings, drafts law and asks what it
    would do. Reviewer also deletes, changes the law that stands and the numbers of the method, loads screening lists, closes
    discrepancies and decides screening matches. Operator looks, starts runs, screenings and proofs, and keeps the schedule
    and the record of sign-ins; accounts are kept by superusers alone.
    """
    ours = [model._meta.model_name for model in apps.get_app_config("tracker").get_models()]
    ledger = [
        m._meta.model_name
        for m in apps.get_app_config("tracker").get_models()
        if issubclass(m, Versioned) and m._meta.model_name not in LISTS
    ]
    reader = {f"tracker.view_{name}" for name in ours}
    analyst = reader | {
        f"tracker.{verb}_{name}" for name in ledger if name not in LAW for verb in ("add", "change")
    }
    analyst |= {f"tracker.delete_{name}" for name in PARTS}
    analyst |= {"tracker.run_screening", "tracker.add_rulecomparison", "tracker.add_discrepancynote"}
    reviewer = analyst | {f"tracker.{verb}_{name}" for name in ledger for verb in ("add", "change", "delete")}
    reviewer |= {
        "tracker.resolve_discrepancy",
        "tracker.add_reconciliationrun",
        "tracker.decide_screeningmatch",
    }
    reviewer |= {f"tracker.{verb}_screeninglist" for verb in ("add", "change", "load")}
    reviewer |= {"tracker.run_ledgerproof"}
    operator = reader | {"tracker.add_reconciliationrun", "tracker.run_screening", "tracker.run_ledgerproof"}
    operator |= {"axes.view_accessattempt", "axes.view_accesslog"}
    operator |= {"axes.view_accessfailurelog", "axes.delete_accessattempt"}
    for name in ("periodictask", "intervalschedule", "crontabschedule", "clockedschedule"):
        operator |= {f"django_celery_beat.{verb}_{name}" for verb in ("view", "add", "change")}
    return {"Reader": reader, "Analyst": analyst, "Reviewer": reviewer, "Operator": operator}


def ensure_roles(**_signal: Any) -> dict[str, int]:
    """Make the four groups, or set them back to what :func:`role_permissions` says; returns permissions per role.

    Safe to run after every migration; permissions of apps that are not installed are passed over. For other needs make groups of
    other names: these four belong to the code.
    """
    wanted = role_permissions()
    names = set().union(*wanted.values())
    found = {
        f"{row.content_type.app_label}.{row.codename}": row
        for row in Permission.objects.select_related("content_type")
        if f"{row.content_type.app_label}.{row.codename}" in names
    }
    counts = {}
    for role, permissions in wanted.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([found[name] for name in permissions if name in found])
        counts[role] = group.permissions.count()
    return counts
