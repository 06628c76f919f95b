"""Lists of restricted parties as their publishers give them, and what came of screening organizations against them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from tracker.core.models import Versioned, web_address_check
from tracker.organizations.models import ListEntry, Organization


class ScreeningList(Versioned):
    """A list that a publisher keeps, or a file in which one puts several together. What stands on it: its parties."""

    slug = models.SlugField(max_length=80, unique=True, help_text="Short name used in links, e.g. csl.")
    name = models.CharField(max_length=120, unique=True, help_text="E.g. Consolidated Screening List.")
    publisher = models.CharField(
        max_length=200, blank=True, help_text="E.g. US International Trade Administration."
    )
    licence_terms = models.TextField(
        blank=True, help_text="On which terms it may be used and shown, e.g. US public domain; CC BY-NC 4.0."
    )
    url = models.URLField(max_length=600, blank=True, help_text="Where its publisher offers the file.")
    source = models.ForeignKey(
        "tracker.Source",
        on_delete=models.PROTECT,
        related_name="screening_lists",
        null=True,
        blank=True,
        help_text="Cited by the list entries that confirmed matches write, where a party has no address of its own.",
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [web_address_check("screeninglist_url", "url")]
        permissions = [("load_screeninglist", "Can load the file of a screening list")]

    def __str__(self) -> str:
        return self.name


class ListVersion(models.Model):
    """One file of a list that was loaded: which, when, by whom and what it changed."""

    screening_list = models.ForeignKey(ScreeningList, on_delete=models.PROTECT, related_name="versions")
    sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=10)
    file_name = models.CharField(max_length=200, blank=True)
    as_of = models.DateField(help_text="Day of the file: parties it no longer names ended then, unless told.")
    loaded_at = models.DateTimeField()
    loaded_by = models.CharField(max_length=150)
    counts = models.JSONField(default=dict)

    class Meta:
        ordering = ["screening_list", "-as_of", "-id"]

    def __str__(self) -> str:
        return f"{self.screening_list} of {self.as_of}"


class ListedParty(Versioned):
    """A party as a list names it. One that a newer file leaves out is ended, never deleted."""

    screening_list = models.ForeignKey(ScreeningList, on_delete=models.PROTECT, related_name="parties")
    key = models.CharField(
        max_length=120, help_text="What the list calls it; the same in each file of the list."
    )
    name = models.CharField(max_length=400)
    list_name = models.CharField(
        max_length=80, blank=True, help_text="The list within a consolidated one, e.g. Entity List."
    )
    kind = models.CharField(max_length=40, blank=True)
    countries = ArrayField(models.CharField(max_length=2), default=list, blank=True)
    programs = ArrayField(models.TextField(), default=list, blank=True)
    citation = models.CharField(
        max_length=200, blank=True, help_text="Federal Register notice or number of the act."
    )
    footnote = models.CharField(max_length=80, blank=True)
    listed_on = models.DateField(
        null=True, blank=True, help_text="First day on the list; blank if it does not tell."
    )
    removed_on = models.DateField(
        null=True,
        blank=True,
        help_text="First day no longer on it: as told, else the day of the first file without it.",
    )
    licence_requirement = models.TextField(blank=True)
    licence_policy = models.TextField(blank=True)
    addresses = ArrayField(models.TextField(), default=list, blank=True)
    cities = ArrayField(models.TextField(), default=list, blank=True)
    identifiers = ArrayField(models.TextField(), default=list, blank=True)
    source_url = models.URLField(max_length=600, blank=True)
    remarks = models.TextField(blank=True)
    content_digest = models.CharField(max_length=64, help_text="Of all that the file says of it.")
    match_digest = models.CharField(
        max_length=64, help_text="Of what a comparison reads: names, countries, numbers, cities."
    )

    class Meta:
        ordering = ["screening_list", "name", "id"]
        verbose_name_plural = "listed parties"
        constraints = [
            models.UniqueConstraint(
                fields=["screening_list", "key"],
                name="listedparty_once",
                violation_error_message="The list has a party of this key already.",
            ),
            models.CheckConstraint(
                name="listedparty_dates",
                condition=Q(removed_on__isnull=True)
                | Q(listed_on__isnull=True)
                | Q(removed_on__gt=F("listed_on")),
                violation_error_message="A listing must end after it begins.",
            ),
            web_address_check("listedparty_source_url", "source_url"),
        ]
        indexes = [
            GinIndex(fields=["name"], name="listedparty_name_trgm", opclasses=["gin_trgm_ops"]),
            GinIndex(fields=["countries"], name="listedparty_countries"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def which_list(self) -> str:
        """The list as a reader calls it: the one within a consolidated list, else the list itself."""
        return self.list_name or self.screening_list.name


class ListedName(Versioned):
    """A name of a listed party. Aliases rank like the name; weak ones, as the list marks them, lower."""

    class Kind(models.TextChoices):
        PRIMARY = "primary", "name"
        ALIAS = "alias", "alias"
        WEAK = "weak", "weak alias"

    party = models.ForeignKey(ListedParty, on_delete=models.CASCADE, related_name="names")
    name = models.CharField(max_length=400)
    kind = models.CharField(max_length=7, choices=Kind, default=Kind.ALIAS)

    class Meta:
        ordering = ["party", "-kind", "name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["party", "name"],
                name="listedname_once",
                violation_error_message="The party has this name already.",
            )
        ]
        indexes = [GinIndex(fields=["name"], name="listedname_name_trgm", opclasses=["gin_trgm_ops"])]

    def __str__(self) -> str:
        return self.name


class ScreeningMatch(Versioned):
    """An organization and a listed party that may be the same, with the score, why, and what a person decided.

    Not a statement that they are the same: only a confirmed one is, and that writes a list entry, which the rule checks read.
    """

    class Band(models.TextChoices):
        MATCH = "match", "match"
        ASK = "ask", "ask a person"

    class State(models.TextChoices):
        OPEN = "open", "open: nobody has decided"
        CONFIRMED = "confirmed", "confirmed: the same organization"
        REJECTED = "rejected", "rejected: another organization"
        SUPERSEDED = "superseded", "superseded: no longer alike after a change"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="screening_matches")
    party = models.ForeignKey(ListedParty, on_delete=models.CASCADE, related_name="matches")
    score = models.DecimalField(
        max_digits=5, decimal_places=4, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    band = models.CharField(max_length=5, choices=Band)
    asked_name = models.CharField(max_length=250, help_text="The organization's name that came closest.")
    listed_name = models.CharField(max_length=400, help_text="The listed name it came closest to.")
    features = models.JSONField(default=list)
    engine = models.CharField(max_length=20)
    organization_digest = models.CharField(max_length=64)
    party_digest = models.CharField(max_length=64)
    screened_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)
    list_entry = models.ForeignKey(
        ListEntry, on_delete=models.SET_NULL, related_name="screening_matches", null=True, blank=True
    )
    wrote_entry = models.BooleanField(default=False, help_text="The list entry was written by this match.")

    class Meta:
        ordering = ["-score", "id"]
        verbose_name_plural = "screening matches"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "party"],
                name="screeningmatch_once",
                violation_error_message="This pair was screened already.",
            ),
            models.CheckConstraint(
                name="screeningmatch_score",
                condition=Q(score__gte=0, score__lte=1),
                violation_error_message="A score is between 0 and 1.",
            ),
            models.CheckConstraint(
                name="screeningmatch_decided",
                condition=~Q(state__in=["confirmed", "rejected"])
                | (Q(decided_at__isnull=False) & ~Q(decided_by="") & ~Q(reason="")),
                violation_error_message="A decision carries who made it, when and why.",
            ),
        ]
        indexes = [models.Index(fields=["state", "-score"], name="screeningmatch_queue")]
        permissions = [
            ("decide_screeningmatch", "Can confirm and reject screening matches"),
            ("run_screening", "Can screen organizations against the lists"),
        ]

    def __str__(self) -> str:
        return f"{self.organization} ~ {self.party}"


class ScreenedOrganization(models.Model):
    """Which state of an organization has been screened against all lists as they stood."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, related_name="screened", primary_key=True
    )
    digest = models.CharField(max_length=64)
    engine = models.CharField(max_length=20)
    screened_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.organization} screened {self.screened_at:%Y-%m-%d}"


class ScreenedParty(models.Model):
    """Which state of a listed party all organizations have been screened against."""

    party = models.OneToOneField(
        ListedParty, on_delete=models.CASCADE, related_name="screened", primary_key=True
    )
    digest = models.CharField(max_length=64)
    engine = models.CharField(max_length=20)
    screened_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.party} screened {self.screened_at:%Y-%m-%d}"
