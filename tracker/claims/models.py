"""Claims: reported quantities, as somebody said them."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from tracker.core.models import CountryField, Unit, Versioned, country_check
from tracker.sources.models import Confidence, Grade, Verification


class Claim(Versioned):
    """Somebody said how many of what, where, when. Conflicting claims stand side by side; none is overwritten."""

    class Kind(models.TextChoices):
        PRODUCTION = "production", "production"
        SALE = "sale", "sale"
        PURCHASE = "purchase", "purchase"
        SHIPMENT = "shipment", "shipment"
        ORDER = "order", "order"
        LICENCE = "licence", "licence or approval"
        INSTALLED = "installed", "installed base"
        INVENTORY = "inventory", "stock held"
        PLANNED = "planned", "plan"
        DIVERTED = "diverted", "diversion as the source words it"
        SEIZED = "seized", "seizure"
        CHARGE = "charge", "accounting charge"

    class Status(models.TextChoices):
        """The ladder of docs/method.md; the last five stand beside it."""

        ANNOUNCED = "announced", "announced"
        PLANNED = "planned", "planned"
        ORDERED = "ordered", "ordered"
        CONTRACTED = "contracted", "contracted"
        SHIPPED = "shipped", "shipped"
        DELIVERED = "delivered", "delivered"
        INSTALLED = "installed", "installed"
        OPERATIONAL = "operational", "operational"
        LICENSED = "licensed", "licensed (apart from the ladder)"
        PRODUCED = "produced", "produced (apart from the ladder)"
        STOCKED = "stocked", "in stock (apart from the ladder)"
        SEIZED = "seized", "seized (apart from the ladder)"
        NONE = "none", "not a quantity of chips"

    class Allegation(models.TextChoices):
        DISCLOSED = "disclosed", "disclosed by a party"
        ADMITTED = "admitted", "admitted"
        ALLEGED = "alleged", "alleged, not proven"
        ESTIMATED = "estimated", "estimated"
        REPORTED = "reported", "reported"
        DENIED = "denied", "denied by a party"

    class Reporter(models.TextChoices):
        NONE = "", "neither, or not trade statistics"
        EXPORTER = "exporter", "the exporting country's statistics"
        IMPORTER = "importer", "the importing country's statistics"

    class Bound(models.TextChoices):
        NONE = "", "a figure or a range"
        FLOOR = "floor", "at least, more than"
        CEILING = "ceiling", "at most, up to"
        WORDS = "words", "words only, no number"

    slug = models.SlugField(
        max_length=80, unique=True, help_text="Short name used in files and links, e.g. mega-136k."
    )
    kind = models.CharField(max_length=12, choices=Kind, help_text="What kind of quantity is reported.")
    status = models.CharField(
        max_length=12, choices=Status, help_text="How far the chips are said to have come."
    )
    allegation = models.CharField(max_length=10, choices=Allegation, default=Allegation.REPORTED)
    subject = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="claims",
        null=True,
        blank=True,
        help_text="Whose quantity it is: seller of a sale, buyer of a purchase, holder of an installed base.",
    )
    counterparty = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="claims_as_counterparty",
        null=True,
        blank=True,
    )
    data_center = models.ForeignKey(
        "tracker.DataCenter", on_delete=models.PROTECT, related_name="claims", null=True, blank=True
    )
    origin_country = CountryField()
    destination_country = CountryField()
    reporter = models.CharField(
        max_length=8,
        choices=Reporter,
        default=Reporter.NONE,
        blank=True,
        help_text="Of trade statistics: which country counted. The same flow as the other country counted it is its mirror.",
    )
    chip = models.ForeignKey(
        "tracker.Chip", on_delete=models.PROTECT, related_name="claims", null=True, blank=True
    )
    family = models.ForeignKey(
        "tracker.ChipFamily",
        on_delete=models.PROTECT,
        related_name="claims",
        null=True,
        blank=True,
        help_text="Where the model is not named or several are mixed.",
    )
    low = models.DecimalField(
        max_digits=20, decimal_places=3, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    best = models.DecimalField(
        max_digits=20, decimal_places=3, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    high = models.DecimalField(
        max_digits=20, decimal_places=3, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    bound = models.CharField(max_length=8, choices=Bound, default=Bound.NONE, blank=True)
    is_exact = models.BooleanField(
        default=False, help_text="A serial-level count or the like, without error."
    )
    unit = models.CharField(max_length=20, choices=Unit, default=Unit.CHIPS)
    chips_per_unit = models.DecimalField(
        max_digits=9,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Where the source names the server or rack model; else blank.",
    )
    period_start = models.DateField(
        null=True, blank=True, help_text="First day of the period the figure is for; blank: as of period_end."
    )
    period_end = models.DateField(
        null=True, blank=True, help_text="Last day of the period, or the as-of date."
    )
    original_text = models.TextField(blank=True, help_text="The words as written in the source.")
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="claims")
    grade = models.CharField(
        max_length=1, choices=Grade, help_text="How exact this figure can be taken to be."
    )
    method = models.CharField(
        max_length=80,
        blank=True,
        help_text="How the figure was made, e.g. revenue model; with the source it forms the bias key.",
    )
    bias_key = models.CharField(
        max_length=160,
        blank=True,
        help_text="House and method whose error it shares with others; blank: the source's original publisher and the method.",
    )
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    echo_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        related_name="echoes",
        null=True,
        blank=True,
        help_text="The primary claim that this one only repeats.",
    )
    conflicts = models.ManyToManyField("self", through="ClaimConflict", symmetrical=False)
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="claim_order",
                condition=(Q(low__isnull=True) | Q(best__isnull=True) | Q(low__lte=F("best")))
                & (Q(best__isnull=True) | Q(high__isnull=True) | Q(best__lte=F("high")))
                & (Q(low__isnull=True) | Q(high__isnull=True) | Q(low__lte=F("high"))),
                violation_error_message="Low, best and high must not decrease.",
            ),
            models.CheckConstraint(
                name="claim_not_negative",
                condition=(Q(low__isnull=True) | Q(low__gte=0))
                & (Q(best__isnull=True) | Q(best__gte=0))
                & (Q(high__isnull=True) | Q(high__gte=0)),
                violation_error_message="A reported quantity is not negative.",
            ),
            models.CheckConstraint(
                name="claim_figure_or_words",
                condition=Q(bound="words", low__isnull=True, best__isnull=True, high__isnull=True)
                | (
                    ~Q(bound="words") & (Q(low__isnull=False) | Q(best__isnull=False) | Q(high__isnull=False))
                ),
                violation_error_message="Give a figure, or mark the claim as words only.",
            ),
            models.CheckConstraint(
                name="claim_one_scope",
                condition=Q(chip__isnull=True) | Q(family__isnull=True),
                violation_error_message="Name a chip or a family, not both.",
            ),
            models.CheckConstraint(
                name="claim_subject",
                condition=Q(subject__isnull=False)
                | Q(data_center__isnull=False)
                | ~Q(destination_country=""),
                violation_error_message="Say of whom, of which data center or of which country the quantity is.",
            ),
            models.CheckConstraint(
                name="claim_dates",
                condition=Q(period_start__isnull=True)
                | Q(period_end__isnull=True)
                | Q(period_end__gte=F("period_start")),
                violation_error_message="A period must not end before it starts.",
            ),
            models.CheckConstraint(
                name="claim_not_own_echo",
                condition=Q(echo_of__isnull=True) | ~Q(echo_of=F("id")),
                violation_error_message="A claim cannot be an echo of itself.",
            ),
            models.CheckConstraint(name="claim_grade", condition=Q(grade__in=Grade.values)),
            models.CheckConstraint(name="claim_unit", condition=Q(unit__in=Unit.values)),
            country_check("claim_countries", "origin_country", "destination_country"),
        ]
        indexes = [
            models.Index(fields=["status", "period_end"], name="claim_status_period"),
            # what was written since a run
            BrinIndex(fields=["recorded_at"], name="claim_recorded", pages_per_range=16, autosummarize=True),
        ]

    def __str__(self) -> str:
        return self.slug


class ClaimConflict(Versioned):
    """An analyst says that two claims cannot both be right (or are worth holding against each other)."""

    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="conflict_rows")
    other = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="conflict_rows_as_other")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["claim", "other"]
        constraints = [
            models.UniqueConstraint(
                fields=["claim", "other"],
                name="claimconflict_once",
                violation_error_message="This conflict is recorded already.",
            ),
            models.CheckConstraint(
                name="claimconflict_not_self",
                condition=~Q(claim=F("other")),
                violation_error_message="A claim does not conflict with itself.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claim} against {self.other}"


class ClosedBook(Versioned):
    """Somebody declares that the ledger holds every movement of an area over some days.

    Only under such a declaration can a difference between book and inventory be read as a loss; without one, a record that is
    not there is evidence of nothing.
    """

    slug = models.SlugField(max_length=80, unique=True, help_text="Short name, e.g. colossus-1-2025.")
    organization = models.ForeignKey(
        "tracker.Organization", on_delete=models.PROTECT, related_name="closed_books", null=True, blank=True
    )
    data_center = models.ForeignKey(
        "tracker.DataCenter", on_delete=models.PROTECT, related_name="closed_books", null=True, blank=True
    )
    country = CountryField()
    chip = models.ForeignKey(
        "tracker.Chip",
        on_delete=models.PROTECT,
        related_name="closed_books",
        null=True,
        blank=True,
        help_text="Blank, with the family blank as well: all chips.",
    )
    family = models.ForeignKey(
        "tracker.ChipFamily", on_delete=models.PROTECT, related_name="closed_books", null=True, blank=True
    )
    valid_from = models.DateField(null=True, blank=True, help_text="First day; blank: from the beginning.")
    valid_until = models.DateField(
        null=True, blank=True, help_text="First day no longer covered; blank: still complete."
    )
    original_text = models.TextField(blank=True, help_text="The words of the declaration.")
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="closed_books")
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="closedbook_one_area",
                condition=Q(organization__isnull=False, data_center__isnull=True, country="")
                | Q(organization__isnull=True, data_center__isnull=False, country="")
                | (Q(organization__isnull=True, data_center__isnull=True) & ~Q(country="")),
                violation_error_message="Name an organization, a data center or a country, one of the three.",
            ),
            models.CheckConstraint(
                name="closedbook_one_scope",
                condition=Q(chip__isnull=True) | Q(family__isnull=True),
                violation_error_message="Name a chip or a family, not both.",
            ),
            models.CheckConstraint(
                name="closedbook_dates",
                condition=Q(valid_from__isnull=True)
                | Q(valid_until__isnull=True)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message="A declaration ends after it begins.",
            ),
            country_check("closedbook_country", "country"),
        ]

    def __str__(self) -> str:
        return self.slug
