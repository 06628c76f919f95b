"""Licences and approvals: what an authority allowed, for whom, how many, how long."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from tracker.core.models import CountryField, Unit, Versioned, country_check
from tracker.sources.models import Confidence, Grade, Verification


class Licence(Versioned):
    """An export licence, import approval or authorisation, as far as it is publicly known."""

    reference = models.SlugField(
        max_length=80, unique=True, help_text="Its number if public, else a short name of ours."
    )
    authority = models.CharField(max_length=80, help_text="Who granted it, e.g. US BIS.")
    kind = models.CharField(
        max_length=40, default="export licence", help_text="Export licence, import approval, authorisation..."
    )
    exporter = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="licences_as_exporter",
        null=True,
        blank=True,
    )
    consignee = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="licences_as_consignee",
        null=True,
        blank=True,
    )
    end_user = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="licences_as_end_user",
        null=True,
        blank=True,
    )
    destination_country = CountryField()
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(
        null=True, blank=True, help_text="First day on which it can no longer be used; blank if not known."
    )
    conditions = models.TextField(blank=True)
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="licences")
    grade = models.CharField(max_length=1, choices=Grade, default=Grade.B)
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["reference"]
        constraints = [
            models.CheckConstraint(
                name="licence_dates",
                condition=Q(valid_until__isnull=True)
                | Q(valid_from__isnull=True)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message="A licence must end after it begins.",
            ),
            country_check("licence_country", "destination_country"),
        ]

    def __str__(self) -> str:
        return self.reference


class LicenceItem(Versioned):
    """So many of one chip or family under a licence."""

    licence = models.ForeignKey(Licence, on_delete=models.CASCADE, related_name="items")
    chip = models.ForeignKey(
        "tracker.Chip", on_delete=models.PROTECT, related_name="licence_items", null=True, blank=True
    )
    family = models.ForeignKey(
        "tracker.ChipFamily", on_delete=models.PROTECT, related_name="licence_items", null=True, blank=True
    )
    quantity = models.DecimalField(max_digits=20, decimal_places=3, validators=[MinValueValidator(0)])
    bound = models.CharField(
        max_length=8, blank=True, choices=[("", "exactly"), ("floor", "at least"), ("ceiling", "at most")]
    )
    unit = models.CharField(max_length=20, choices=Unit, default=Unit.CHIPS)

    class Meta:
        ordering = ["licence", "id"]
        constraints = [
            models.CheckConstraint(
                name="licenceitem_one_scope",
                condition=Q(chip__isnull=False, family__isnull=True)
                | Q(chip__isnull=True, family__isnull=False),
                violation_error_message="Name a chip or a family, one of the two.",
            ),
            models.UniqueConstraint(
                fields=["licence", "chip", "family"],
                name="licenceitem_once",
                nulls_distinct=False,
                violation_error_message="The licence has this item already.",
            ),
            models.CheckConstraint(name="licenceitem_quantity", condition=Q(quantity__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.unit} under {self.licence_id}"
