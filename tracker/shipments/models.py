"""Shipments: what moved, from whom to whom, one line for each chip."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from tracker.core.models import CountryField, Unit, Versioned, country_check
from tracker.core.querysets import VersionedQuerySet
from tracker.sources.models import Confidence, Grade, Verification


class ShipmentQuerySet(VersionedQuerySet):
    def counted(self) -> ShipmentQuerySet:
        """Lines that add to the book of whoever received or is to receive them."""
        return self.filter(
            status__in=[Shipment.Status.REPORTED, Shipment.Status.IN_TRANSIT, Shipment.Status.RECEIVED]
        )


BESIDE_BOOKS = Q(shipped_on=None) | Q(kind="production")
"""Lines that leave no book (it is not known when), or that may enter one they did not leave."""


class Shipment(Versioned):
    """One line of a consignment: one chip (or an unspecified family) in one quantity. Evidence that something moved; the
    absence of a line is evidence of nothing."""

    class Kind(models.TextChoices):
        TRANSFER = "transfer", "transfer from one place or holder to another"
        PRODUCTION = "production", "production: chips made, booked in with the consignee"
        RETIREMENT = "retirement", "retirement: chips taken out of use, booked out of the shipper"

    class Status(models.TextChoices):
        REPORTED = "reported", "reported"
        IN_TRANSIT = "in transit", "in transit"
        RECEIVED = "received", "received"
        SEIZED = "seized", "seized"
        RETURNED = "returned", "returned"
        CANCELLED = "cancelled", "cancelled"

    class Bound(models.TextChoices):
        NONE = "", "the quantity"
        FLOOR = "floor", "at least the quantity"
        CEILING = "ceiling", "at most the quantity"

    reference = models.SlugField(
        max_length=100,
        unique=True,
        help_text="Unique name of this line: consignment and line number, or ours.",
    )
    consignment = models.CharField(
        max_length=100,
        blank=True,
        db_index=True,
        help_text="Waybill or other name shared by the lines that travel together.",
    )
    kind = models.CharField(
        max_length=10,
        choices=Kind,
        default=Kind.TRANSFER,
        db_default=Kind.TRANSFER,
        help_text="Most lines are transfers; making and retiring chips are movements too.",
    )
    chip = models.ForeignKey(
        "tracker.Chip", on_delete=models.PROTECT, related_name="shipments", null=True, blank=True
    )
    family = models.ForeignKey(
        "tracker.ChipFamily",
        on_delete=models.PROTECT,
        related_name="shipments",
        null=True,
        blank=True,
        help_text="Where the model is not named or several are mixed.",
    )
    quantity = models.DecimalField(
        max_digits=20,
        decimal_places=3,
        validators=[MinValueValidator(0)],
        help_text="As reported, in the unit below.",
    )
    bound = models.CharField(max_length=8, choices=Bound, default=Bound.NONE, blank=True)
    is_exact = models.BooleanField(
        default=False, help_text="Counted by serial number or the like, without error."
    )
    unit = models.CharField(max_length=20, choices=Unit, default=Unit.CHIPS)
    chips_per_unit = models.DecimalField(
        max_digits=9,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Where the server or rack model is named; else blank.",
    )
    quantity_by_shipper = models.DecimalField(
        max_digits=20, decimal_places=3, null=True, blank=True, help_text="Shipper's own figure, same unit."
    )
    quantity_by_receiver = models.DecimalField(
        max_digits=20, decimal_places=3, null=True, blank=True, help_text="Receiver's own figure, same unit."
    )
    grade_by_shipper = models.CharField(max_length=1, choices=Grade, default=Grade.B)
    grade_by_receiver = models.CharField(max_length=1, choices=Grade, default=Grade.B)
    shipped_on = models.DateField(null=True, blank=True, help_text="Day of shipping, or first possible day.")
    shipped_on_latest = models.DateField(
        null=True, blank=True, help_text="Last possible day where only a period is known."
    )
    shipped_on_presumed = models.BooleanField(default=False, help_text="The date is presumed, not reported.")
    received_on = models.DateField(
        null=True, blank=True, help_text="Day of receipt; blank: presumed after the usual lead time."
    )
    received_on_latest = models.DateField(
        null=True, blank=True, help_text="Last possible day where only a period is known."
    )
    received_on_presumed = models.BooleanField(default=False, help_text="The date is presumed, not reported.")
    shipper = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="shipments_sent",
        null=True,
        blank=True,
        db_index=False,  # the index by shipper and chip serves
    )
    consignee = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="shipments_received",
        null=True,
        blank=True,
        db_index=False,  # the index by consignee and chip serves
    )
    end_user = models.ForeignKey(
        "tracker.Organization", on_delete=models.PROTECT, related_name="shipments_used", null=True, blank=True
    )
    origin_country = CountryField()
    destination_country = CountryField()
    origin = models.ForeignKey(
        "tracker.DataCenter", on_delete=models.PROTECT, related_name="shipments_out", null=True, blank=True
    )
    destination = models.ForeignKey(
        "tracker.DataCenter", on_delete=models.PROTECT, related_name="shipments_in", null=True, blank=True
    )
    onward_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        related_name="onward",
        null=True,
        blank=True,
        help_text="The earlier line whose goods this one carries on.",
    )
    licence = models.ForeignKey(
        "tracker.Licence", on_delete=models.PROTECT, related_name="shipments", null=True, blank=True
    )
    value_usd = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.REPORTED)
    claims = models.ManyToManyField("tracker.Claim", through="ShipmentClaim", related_name="shipments")
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="shipments")
    grade = models.CharField(max_length=1, choices=Grade, default=Grade.C)
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )
    note = models.TextField(blank=True)

    objects = ShipmentQuerySet.as_manager()  # type: ignore[misc]  # the stubs fix the manager of an abstract base

    class Meta:
        ordering = ["reference"]
        constraints = [
            models.CheckConstraint(
                name="shipment_one_scope",
                condition=Q(chip__isnull=False, family__isnull=True)
                | Q(chip__isnull=True, family__isnull=False),
                violation_error_message="Name a chip or a family, one of the two.",
            ),
            models.CheckConstraint(
                name="shipment_quantity",
                condition=Q(quantity__gt=0),
                violation_error_message="A shipment moves more than nothing.",
            ),
            models.CheckConstraint(
                name="shipment_dates",
                condition=(
                    Q(shipped_on__isnull=True)
                    | Q(received_on_latest__isnull=True)
                    | Q(received_on_latest__gte=F("shipped_on"))
                )
                & (
                    Q(shipped_on__isnull=True)
                    | Q(received_on_latest__isnull=False)
                    | Q(received_on__isnull=True)
                    | Q(received_on__gte=F("shipped_on"))
                )
                & (Q(shipped_on_latest__isnull=True) | Q(shipped_on_latest__gte=F("shipped_on")))
                & (Q(received_on_latest__isnull=True) | Q(received_on_latest__gte=F("received_on"))),
                violation_error_message="Goods are not received before they were shipped, nor is a latest day before its first.",
            ),
            models.CheckConstraint(
                name="shipment_not_own_onward",
                condition=Q(onward_of__isnull=True) | ~Q(onward_of=F("id")),
                violation_error_message="A shipment cannot carry on its own goods.",
            ),
            models.CheckConstraint(name="shipment_unit", condition=Q(unit__in=Unit.values)),
            models.CheckConstraint(
                name="shipment_status",
                condition=Q(
                    status__in=["reported", "in transit", "received", "seized", "returned", "cancelled"]
                ),
            ),
            models.CheckConstraint(
                name="shipment_kind", condition=Q(kind__in=["transfer", "production", "retirement"])
            ),
            models.CheckConstraint(name="shipment_grade", condition=Q(grade__in=Grade.values)),
            country_check("shipment_countries", "origin_country", "destination_country"),
        ]
        indexes = [
            models.Index(fields=["shipped_on", "id"], name="shipment_shipped"),
            models.Index(fields=["destination_country", "shipped_on"], name="shipment_destination"),
            # Lines near the holder of a changed line, of its kind of chip: a holder may have millions of others. Those of a lot
            # left in its quarter.
            models.Index(fields=["consignee", "chip", "shipped_on"], name="shipment_consignee_chip_day"),
            models.Index(fields=["shipper", "chip"], name="shipment_shipper_chip"),
            # Movements that leave no book by its months: few, and asked for wherever a balance is told by them.
            models.Index(fields=["shipper", "chip"], name="shipment_beside_shipper", condition=BESIDE_BOOKS),
            models.Index(fields=["origin", "chip"], name="shipment_beside_origin", condition=BESIDE_BOOKS),
            # What was written since a run: a few pages, at next to no cost for loading.
            BrinIndex(
                fields=["recorded_at"], name="shipment_recorded", pages_per_range=16, autosummarize=True
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class ShipmentClaim(Versioned):
    """The claim that documents a shipment."""

    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="claim_rows")
    claim = models.ForeignKey("tracker.Claim", on_delete=models.PROTECT, related_name="shipment_rows")

    class Meta:
        ordering = ["shipment", "claim"]
        constraints = [
            models.UniqueConstraint(
                fields=["shipment", "claim"],
                name="shipmentclaim_once",
                violation_error_message="Recorded already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.claim} documents {self.shipment}"
