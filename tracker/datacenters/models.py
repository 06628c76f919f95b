"""Data centers: where chips end up, how large their power is, what lies inside what."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from tracker.core.models import CountryField, Versioned, country_check
from tracker.sources.models import Confidence, Verification


class DataCenter(Versioned):
    """A site, a phase or plan of one, or a group of several as reports speak of it. Overlapping rows are tied by
    :class:`DataCenterPart`, so that a phase is never added to its site."""

    class Kind(models.TextChoices):
        SITE = "site", "site"
        PHASE = "phase", "phase of a site"
        PLAN = "plan", "earlier plan of a site"
        GROUP = "group", "group of sites"

    class Status(models.TextChoices):
        PLANNED = "planned", "planned"
        CONSTRUCTION = "under construction", "under construction"
        OPERATIONAL = "operational", "operational"
        CLOSED = "closed", "closed"

    slug = models.SlugField(
        max_length=80, unique=True, help_text="Short name used in files and links, e.g. colossus-1."
    )
    name = models.CharField(max_length=250)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.SITE)
    operator = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="operated_data_centers",
        null=True,
        blank=True,
    )
    owner = models.ForeignKey(
        "tracker.Organization",
        on_delete=models.PROTECT,
        related_name="owned_data_centers",
        null=True,
        blank=True,
    )
    users = models.ManyToManyField(
        "tracker.Organization", through="DataCenterUser", related_name="used_data_centers"
    )
    country = CountryField(help_text="Where it stands (not where its operator sits), ISO code.")
    region = models.CharField(max_length=200, blank=True)
    latitude = models.DecimalField(
        max_digits=8,
        decimal_places=5,
        null=True,
        blank=True,
        validators=[MinValueValidator(-90), MaxValueValidator(90)],
    )
    longitude = models.DecimalField(
        max_digits=8,
        decimal_places=5,
        null=True,
        blank=True,
        validators=[MinValueValidator(-180), MaxValueValidator(180)],
    )
    source = models.ForeignKey(
        "tracker.Source", on_delete=models.PROTECT, related_name="data_centers", null=True, blank=True
    )
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            country_check("datacenter_country", "country"),
            models.CheckConstraint(
                name="datacenter_place",
                condition=(Q(latitude__isnull=True) | Q(latitude__gte=-90, latitude__lte=90))
                & (Q(longitude__isnull=True) | Q(longitude__gte=-180, longitude__lte=180)),
                violation_error_message="Latitude is within ±90, longitude within ±180 degrees.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DataCenterUser(Versioned):
    """An organization that uses the chips of a data center without operating it."""

    data_center = models.ForeignKey(DataCenter, on_delete=models.CASCADE, related_name="uses")
    organization = models.ForeignKey(
        "tracker.Organization", on_delete=models.PROTECT, related_name="data_center_uses"
    )
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["data_center", "organization"]
        constraints = [
            models.UniqueConstraint(
                fields=["data_center", "organization", "valid_from"],
                name="datacenteruser_once",
                nulls_distinct=False,
                violation_error_message="This user is recorded already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization} at {self.data_center}"


class DataCenterPart(Versioned):
    """``part`` lies wholly or partly inside ``whole``: figures of the two overlap and are never added."""

    whole = models.ForeignKey(DataCenter, on_delete=models.CASCADE, related_name="parts")
    part = models.ForeignKey(DataCenter, on_delete=models.CASCADE, related_name="wholes")
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["whole", "part"]
        constraints = [
            models.UniqueConstraint(
                fields=["whole", "part"],
                name="datacenterpart_once",
                violation_error_message="This part is recorded already.",
            ),
            models.CheckConstraint(
                name="datacenterpart_not_self",
                condition=~Q(whole=F("part")),
                violation_error_message="A data center cannot be a part of itself.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.part} in {self.whole}"


class DataCenterStatus(Versioned):
    """What a data center was from a day on."""

    data_center = models.ForeignKey(DataCenter, on_delete=models.CASCADE, related_name="statuses")
    status = models.CharField(max_length=20, choices=DataCenter.Status)
    valid_from = models.DateField(
        null=True, blank=True, help_text="First day known to be so; blank if not known."
    )
    source = models.ForeignKey(
        "tracker.Source", on_delete=models.PROTECT, related_name="data_center_statuses"
    )

    class Meta:
        ordering = ["data_center", "valid_from"]
        verbose_name_plural = "data center statuses"
        constraints = [
            models.CheckConstraint(
                name="datacenterstatus_status", condition=Q(status__in=DataCenter.Status.values)
            ),
            models.UniqueConstraint(
                fields=["data_center", "status", "valid_from"],
                name="datacenterstatus_once",
                nulls_distinct=False,
                violation_error_message="This status from this day is recorded already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.data_center}: {self.status} from {self.valid_from or 'unknown'}"


class SitePower(Versioned):
    """What one source says of the power of a data center. Several stand side by side; checks use the highest and say which."""

    class Basis(models.TextChoices):
        INSTALLED = "installed", "installed"
        PLANNED = "planned", "planned"
        PERMITTED = "permitted", "permitted"

    data_center = models.ForeignKey(DataCenter, on_delete=models.CASCADE, related_name="powers")
    megawatts = models.DecimalField(
        max_digits=9,
        decimal_places=2,
        validators=[MinValueValidator(0)],
        help_text="Site power in MW as the source gives it.",
    )
    basis = models.CharField(max_length=10, choices=Basis, default=Basis.INSTALLED)
    as_of = models.DateField(null=True, blank=True)
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="site_powers")
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["data_center", "as_of", "id"]
        constraints = [
            models.CheckConstraint(
                name="sitepower_positive",
                condition=Q(megawatts__gt=0),
                violation_error_message="Power is more than 0 MW.",
            ),
            models.UniqueConstraint(
                fields=["data_center", "source", "as_of", "basis"],
                name="sitepower_once",
                nulls_distinct=False,
                violation_error_message="This source's figure for this day is recorded already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.data_center}: {self.megawatts} MW"
