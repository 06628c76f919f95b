"""Sources: the documents and data sets that facts rest on."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from tracker.core.models import Versioned, web_address_check


class Grade(models.TextChoices):
    """How exact a figure from this source can be taken to be: the floor of its relative standard deviation."""

    A = "A", "A: official or serial-level record (1 %)"
    B = "B", "B: disclosed by a party that knows (3 %)"
    C = "C", "C: careful report or estimate (10 %)"
    D = "D", "D: loose estimate or single unnamed source (25 %)"
    E = "E", "E: hearsay, or not checked (50 %)"


class Confidence(models.TextChoices):
    CONFIRMED = "confirmed", "confirmed"
    LIKELY = "likely", "likely"
    SPECULATIVE = "speculative", "speculative"


class Verification(models.TextChoices):
    READ = "read", "the page that carries it was read"
    MEMORY = "memory", "UNVERIFIED: from memory, not checked against a page"
    SYNTHETIC = "synthetic", "SYNTHETIC: made by the generator, says nothing about the world"


class Source(Versioned):
    """A document or data set that facts rest on. It knows nothing of what it says; records cite it."""

    class Kind(models.TextChoices):
        FILING = "filing", "company filing or statement"
        COURT = "court", "court or prosecution document"
        GOVERNMENT = "government", "law, regulation or government statement"
        CUSTOMS = "customs", "customs records"
        DATASET = "dataset", "data set"
        DATASHEET = "datasheet", "vendor datasheet or product page"
        RESEARCH = "research", "research report"
        PRESS = "press", "press report"
        OTHER = "other", "other"
        SYNTHETIC = "synthetic", "synthetic (made by the generator)"

    class DateBasis(models.TextChoices):
        PAGE = "page", "on the page, in its address or in the data set"
        INFERRED = "inferred", "inferred from the event; the page shows no date"
        PACKAGE = "package", "month of the data package's version"
        UNKNOWN = "unknown", "not known"

    slug = models.SlugField(
        max_length=120, unique=True, help_text="Short name used in files and links, e.g. rcr-2025-07-14."
    )
    title = models.CharField(max_length=400, help_text="Title as printed.")
    publisher = models.CharField(
        max_length=200,
        blank=True,
        help_text="Who published the page that was read, e.g. RCR Wireless (reports Bloomberg).",
    )
    original_publisher = models.CharField(
        max_length=200,
        blank=True,
        help_text="Who said it first, if the page repeats somebody: e.g. Bloomberg.",
    )
    url = models.URLField(max_length=600, blank=True, help_text="Address of the page that was read.")
    published_on = models.DateField(null=True, blank=True)
    published_on_basis = models.CharField(
        max_length=8,
        choices=DateBasis,
        default=DateBasis.UNKNOWN,
        help_text="How the publication date is known.",
    )
    retrieved_on = models.DateField(null=True, blank=True, help_text="Day on which the page was last read.")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.OTHER)
    grade = models.CharField(
        max_length=1,
        choices=Grade,
        default=Grade.C,
        help_text="Taken for a figure from it that has no grade of its own.",
    )
    archive_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="SHA-256 of the archived copy, 64 hexadecimal digits; blank if none is kept.",
    )
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    licence_note = models.CharField(
        max_length=200,
        blank=True,
        help_text="Licence and credit of a data set, e.g. CC BY 4.0, credit Epoch AI.",
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            web_address_check("source_url", "url"),
            models.CheckConstraint(name="source_grade", condition=Q(grade__in=Grade.values)),
            models.CheckConstraint(
                name="source_digest",
                condition=Q(archive_sha256__regex=r"^([0-9a-f]{64})?$"),
                violation_error_message="A SHA-256 digest is 64 lower-case hexadecimal digits.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.publisher or self.title} ({self.published_on or 'undated'})"
