"""Record versions: who knew what, when, kept by the database itself.

Every table of the ledger inherits :class:`Versioned`. A row in the table is the version that stands now; what an UPDATE, a
DELETE or a TRUNCATE replaces is written by a trigger to :class:`RecordVersion`, whatever the path of writing (form, COPY, raw
SQL). The interval of a version is half-open: ``[recorded_at, superseded_at)``. Why it is built so, and what it costs:
docs/adr/0001-record-versions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from tracker.core.countries import COUNTRIES
from tracker.core.querysets import VersionedQuerySet


class RecordedAt(models.Func):
    """The instant a change is recorded at: one for a whole recorded batch, else the clock."""

    function = "tracker_now"
    arity = 0
    output_field = models.DateTimeField()


class RecordedBy(models.Func):
    """Who makes the change: the actor named by the door, else the database role."""

    function = "tracker_actor"
    arity = 0
    output_field = models.TextField()


class RecordedReason(models.Func):
    function = "tracker_reason"
    arity = 0
    output_field = models.TextField()


class RecordedBatch(models.Func):
    function = "tracker_batch"
    arity = 0
    output_field = models.TextField()


class Versioned(models.Model):
    """A row whose earlier versions are kept. The database writes the five columns."""

    keeps_versions = True

    version = models.PositiveIntegerField(db_default=1, editable=False)
    recorded_at = models.DateTimeField(db_default=RecordedAt(), editable=False)
    recorded_by = models.TextField(db_default=RecordedBy(), editable=False)
    recorded_reason = models.TextField(db_default=RecordedReason(), editable=False)
    recorded_batch = models.TextField(db_default=RecordedBatch(), editable=False)

    objects = VersionedQuerySet.as_manager()

    class Meta:
        abstract = True


class RecordVersion(models.Model):
    """One version of one record that no longer stands: the row as it was, and who replaced it, when and why."""

    class Operation(models.TextChoices):
        UPDATE = "update", "replaced by a later version"
        DELETE = "delete", "deleted"
        TRUNCATE = "truncate", "table emptied"

    table_name = models.TextField()
    object_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    recorded_at = models.DateTimeField()
    superseded_at = models.DateTimeField()
    superseded_by = models.TextField()
    superseded_reason = models.TextField()
    superseded_batch = models.TextField()
    operation = models.CharField(max_length=8, choices=Operation)
    row = models.JSONField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="recordversion_interval",
                condition=models.Q(superseded_at__gte=models.F("recorded_at")),
                violation_error_message="A version cannot be superseded before it was recorded.",
            ),
        ]
        indexes = [
            models.Index(fields=["table_name", "object_id", "version"], name="recordversion_object"),
            # A read 'as known at' asks for what was superseded after that instant: the recent end of the table.
            models.Index(fields=["table_name", "superseded_at"], name="recordversion_superseded"),
            BrinIndex(fields=["recorded_at"], name="recordversion_recorded"),
        ]

    def __str__(self) -> str:
        return f"{self.table_name} {self.object_id} v{self.version}"


class Unit(models.TextChoices):
    """What a reported number counts. Only chips, cards and countable carriers of chips are ever converted to chips."""

    CHIPS = "chips", "chips (accelerator packages as sold)"
    CARDS = "cards", "cards"
    UNITS = "units", "units as the source says (may be dies)"
    SERVERS = "servers", "servers"
    SYSTEMS = "systems", "systems"
    RACKS = "racks", "racks"
    DIES = "dies", "dies"
    STACKS = "stacks", "memory stacks"
    GPU_EQUIVALENTS = "GPU-equivalents", "GPU-equivalents"
    A100_EQUIVALENTS = "A100-equivalents", "A100-equivalents"
    H100_EQUIVALENTS = "H100-equivalents", "H100-equivalents"
    GB300_EQUIVALENTS = "GB300-equivalents", "GB300-equivalents"
    CHIPS_PER_YEAR = "chips per year", "chips per year"
    CHIPS_PER_MONTH = "chips per month", "chips per month"
    DATA_CENTERS = "data centers", "data centers"
    SHIPMENTS = "shipments", "shipments"
    LISTINGS = "listings", "online listings"
    USD = "USD", "US dollars"


class CountryField(models.CharField):
    """An ISO 3166-1 alpha-2 code; blank where the country is not known."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 2)
        kwargs.setdefault("blank", True)
        kwargs.setdefault("choices", sorted(COUNTRIES.items(), key=lambda item: item[1]))
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("choices", None)  # a new country code is no migration
        return name, path, args, kwargs


def country_check(name: str, *fields: str) -> models.CheckConstraint:
    """A constraint that holds country columns to blank or two capital letters."""
    condition = models.Q()
    for field in fields:
        condition &= models.Q(**{f"{field}__regex": r"^([A-Z]{2})?$"})
    return models.CheckConstraint(
        name=name,
        condition=condition,
        violation_error_message="A country is a two-letter ISO code, such as MY, or blank.",
    )


def web_address_check(name: str, field: str) -> models.CheckConstraint:
    """A constraint that keeps other schemes than http and https out of what pages turn into links."""
    return models.CheckConstraint(
        name=name,
        condition=models.Q(**{f"{field}__regex": r"^(https?://.*)?$"}),
        violation_error_message="A web address starts with http:// or https://, or is blank.",
    )
