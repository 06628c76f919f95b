"""Organizations, the names they go by, who owns whom and which lists name them, each with its dates."""

from __future__ import annotations

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from tracker.core.models import CountryField, Versioned, country_check
from tracker.core.querysets import VersionedQuerySet
from tracker.sources.models import Confidence, Verification


class OrganizationQuerySet(VersionedQuerySet):
    def vendors(self) -> OrganizationQuerySet:
        """Organizations that design and sell chips."""
        return self.filter(roles__contains=[Organization.Role.VENDOR])

    def named(self, text: str) -> OrganizationQuerySet:
        """Organizations whose name, slug or any alias contains ``text``, case ignored."""
        return self.filter(
            Q(name__icontains=text) | Q(slug__icontains=text) | Q(aliases__name__icontains=text)
        ).distinct()


class Organization(Versioned):
    """A company, agency, laboratory or a stand-in for several unnamed ones (an aggregate)."""

    class Role(models.TextChoices):
        VENDOR = "chip vendor", "chip vendor"
        FOUNDRY = "foundry", "foundry"
        MEMORY = "memory maker", "memory maker"
        OSAT = "OSAT", "assembly and test (OSAT)"
        EQUIPMENT = "equipment maker", "equipment maker"
        OEM = "server maker", "server maker"
        CLOUD = "cloud operator", "cloud operator"
        OPERATOR = "data-center operator", "data-center operator"
        DEVELOPER = "data-center developer", "data-center developer"
        LAB = "AI lab", "AI lab"
        INTERMEDIARY = "intermediary", "intermediary (as reported)"
        CASE_PARTY = "case party", "party of a court case"
        TRADER = "trading company", "trading company"
        TELECOM = "telecom operator", "telecom operator"
        GOVERNMENT = "government body", "government body"
        UNIVERSITY = "university", "university"
        INVESTOR = "investor", "investor"
        OTHER = "other", "other"

    slug = models.SlugField(
        max_length=80, unique=True, help_text="Short name used in files and links, e.g. nvidia."
    )
    name = models.CharField(
        max_length=250, help_text="Registered or usual name in Latin script; other names are aliases."
    )
    country = CountryField(help_text="Headquarters, ISO code; blank if not known.")
    roles = ArrayField(
        models.CharField(max_length=24, choices=Role),
        default=list,
        blank=True,
        help_text="What it does in this trade; several are usual.",
    )
    is_aggregate = models.BooleanField(
        default=False,
        help_text="Stands for several or unnamed parties, e.g. Chinese buyers; owns no books of its own.",
    )
    source = models.ForeignKey(
        "tracker.Source",
        on_delete=models.PROTECT,
        related_name="organizations",
        null=True,
        blank=True,
        help_text="Where these particulars were read; may be blank for a well-known body.",
    )
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )
    note = models.TextField(
        blank=True,
        help_text="Parties of cases are named as public reports state; allegations are allegations.",
    )

    objects = OrganizationQuerySet.as_manager()  # type: ignore[misc]  # the stubs fix the manager of an abstract base

    class Meta:
        ordering = ["slug"]
        constraints = [country_check("organization_country", "country")]
        indexes = [
            GinIndex(fields=["name"], name="organization_name_trgm", opclasses=["gin_trgm_ops"]),
            GinIndex(fields=["roles"], name="organization_roles"),
            # what was written since a run
            BrinIndex(
                fields=["recorded_at"], name="organization_recorded", pages_per_range=16, autosummarize=True
            ),
        ]

    def __str__(self) -> str:
        return self.name


OrganizationManager = models.Manager.from_queryset(OrganizationQuerySet)


class VendorManager(OrganizationManager):
    def get_queryset(self) -> OrganizationQuerySet:
        return super().get_queryset().vendors()  # type: ignore[attr-defined]  # lost in the stubs' from_queryset


class Vendor(Organization):
    """The organizations that design and sell chips, as a table of their own to work in."""

    objects = VendorManager()  # type: ignore[misc]  # as above

    class Meta:
        proxy = True
        ordering = ["slug"]


class Alias(Versioned):
    """Another name of an organization: translation, abbreviation, former or trading name."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=250, help_text="As written, in its own script.")
    language = models.CharField(max_length=12, blank=True, help_text="BCP 47 tag if known, e.g. zh-Hans.")
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["organization", "name"]
        verbose_name_plural = "aliases"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                name="alias_once",
                violation_error_message="The organization has this alias already.",
            )
        ]
        indexes = [GinIndex(fields=["name"], name="alias_name_trgm", opclasses=["gin_trgm_ops"])]

    def __str__(self) -> str:
        return self.name


class OwnershipStake(Versioned):
    """A share of one organization held by another over some time. An unknown share is a question, not zero."""

    owner = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="stakes_held")
    owned = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="owners")
    share_percent = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
        help_text="Percent of the owned organization, 0 to 100; blank if control is reported but the share is not known.",
    )
    valid_from = models.DateField(
        null=True, blank=True, help_text="First day; blank: as far back as this ledger reaches."
    )
    valid_until = models.DateField(
        null=True, blank=True, help_text="First day on which it no longer held; blank: still held."
    )
    source = models.ForeignKey(
        "tracker.Source", on_delete=models.PROTECT, related_name="stakes", null=True, blank=True
    )
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["owned", "owner", "valid_from"]
        constraints = [
            models.CheckConstraint(
                name="stake_not_self",
                condition=~Q(owner=F("owned")),
                violation_error_message="An organization cannot own itself.",
            ),
            models.CheckConstraint(
                name="stake_dates",
                condition=Q(valid_until__isnull=True)
                | Q(valid_from__isnull=True)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message="A stake must end after it begins.",
            ),
            models.CheckConstraint(
                name="stake_share",
                condition=Q(share_percent__isnull=True) | Q(share_percent__gte=0, share_percent__lte=100),
                violation_error_message="A share is between 0 and 100 percent.",
            ),
            models.UniqueConstraint(
                fields=["owner", "owned", "valid_from"],
                name="stake_once",
                nulls_distinct=False,
                violation_error_message="This stake from this day is recorded already.",
            ),
        ]

    def __str__(self) -> str:
        share = "unknown share" if self.share_percent is None else f"{self.share_percent} %"
        return f"{self.owner} holds {share} of {self.owned}"


class ListEntry(Versioned):
    """An organization's place on a government list over some time, e.g. the Entity List of 15 CFR 744, Supplement No. 4."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="list_entries")

    class Effect(models.TextChoices):
        RESTRICTED = "restricted", "restricted: a licence is asked for"
        APPROVED = "approved", "approved: an authorisation names it"

    effect = models.CharField(
        max_length=10,
        choices=Effect,
        default=Effect.RESTRICTED,
        db_default=Effect.RESTRICTED,
        help_text="What the list does to those on it; Supp. No. 8 to part 740 approves.",
    )
    list_name = models.CharField(
        max_length=80, default="Entity List", help_text="E.g. Entity List, MEU List."
    )
    citation = models.CharField(max_length=80, blank=True, help_text="E.g. 84 FR 22961.")
    footnote = models.CharField(
        max_length=80, blank=True, help_text="Footnote of the Entity List that applies, e.g. 1, 4 or 5."
    )
    listed_on = models.DateField(
        null=True, blank=True, help_text="First day on the list; blank if not known."
    )
    removed_on = models.DateField(
        null=True, blank=True, help_text="First day no longer on it; blank: still listed."
    )
    source = models.ForeignKey(
        "tracker.Source", on_delete=models.PROTECT, related_name="list_entries", null=True, blank=True
    )
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["organization", "list_name"]
        verbose_name_plural = "list entries"
        constraints = [
            models.CheckConstraint(
                name="listentry_effect",
                condition=Q(effect__in=["restricted", "approved"]),
                violation_error_message="A list restricts or approves.",
            ),
            models.UniqueConstraint(
                fields=["organization", "list_name", "listed_on"],
                name="listentry_once",
                nulls_distinct=False,
                violation_error_message="This listing is recorded already.",
            ),
            models.CheckConstraint(
                name="listentry_dates",
                condition=Q(removed_on__isnull=True)
                | Q(listed_on__isnull=True)
                | Q(removed_on__gt=F("listed_on")),
                violation_error_message="A listing must end after it begins.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization} on {self.list_name}"
