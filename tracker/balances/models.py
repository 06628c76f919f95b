"""Balance areas, scopes and cells: what each area's book holds at the end of each month, as one run drew it up."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from tracker.core.models import CountryField, Versioned, country_check
from tracker.core.quantity import MDG_FACTOR


class BalanceArea(models.Model):
    """Something that keeps a book: a site, an organization, an ownership group, a country, the world. Made by runs."""

    class Kind(models.TextChoices):
        SITE = "site", "site"
        ORGANIZATION = "org", "organization"
        GROUP = "group", "ownership group"
        COUNTRY = "country", "country"
        WORLD = "world", "world"

    kind = models.CharField(max_length=8, choices=Kind)
    object_id = models.BigIntegerField(
        help_text="Key of the site or organization (a group is known by its ultimate parent); of a country its two letters "
        "read as a number to base 36; 0 for the world."
    )
    key = models.CharField(
        max_length=100, db_index=True, help_text="E.g. site:colossus-1, org:nvidia, country:CN."
    )

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id"],
                name="balancearea_once",
                violation_error_message="Known already.",
            )
        ]

    def __str__(self) -> str:
        return self.key


class BalanceScope(models.Model):
    """What a book counts: a chip, or a family where lines name no chip. Made by runs."""

    class Kind(models.TextChoices):
        CHIP = "chip", "chip"
        FAMILY = "family", "family (an unspecified mix)"

    kind = models.CharField(max_length=6, choices=Kind)
    object_id = models.BigIntegerField(help_text="Key of the chip or family.")
    key = models.CharField(max_length=100, db_index=True, help_text="E.g. chip:h20-96gb, family:h100-any.")

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id"],
                name="balancescope_once",
                violation_error_message="Known already.",
            )
        ]

    def __str__(self) -> str:
        return self.key


class BalanceCellQuerySet(models.QuerySet):
    def of_run(self, run: Any) -> BalanceCellQuerySet:
        """The books of a run: its own cells, and those of the runs it goes on from where it has none of its own."""
        if len(run.layers) <= 1:
            return self.filter(run=run)
        later = BalanceCell.objects.filter(
            run_id__in=run.layers, run_id__gt=OuterRef("run_id"), area_id=OuterRef("area_id"), scope_id=OuterRef("scope_id"),
            month=OuterRef("month"),
        )  # fmt: skip
        return self.filter(~Exists(later), run_id__in=run.layers, is_gone=False)


class BalanceCell(models.Model):
    """The book of one area for one scope and calendar month, in chips, as one run computed it.

    ``BOOK = OPEN + R + P - D - X``; ``MUF = BOOK - CLOSE`` where a closing inventory was reported, and the next month then opens
    with that inventory. Months in which nothing moved have no cell: the book before stands. Cells are written once. A run that
    went on from an earlier one (``ReconciliationRun.layers``) holds only the cells that differ; ``is_gone`` marks one that the
    earlier run had and this one has not.

    The table is partitioned by run (docs/adr/0005-columnar-books.md): rows are written by COPY and dropped with their run.
    """

    class Coverage(models.TextChoices):
        CLOSED = "closed", "closed: somebody declared the whole book"
        PARTIAL = "partial", "partial"

    run = models.ForeignKey(
        "tracker.ReconciliationRun",
        on_delete=models.CASCADE,
        related_name="cells",
        db_index=False,
        db_constraint=False,  # as below: checked keys would cost more than the rows
    )
    area = models.ForeignKey(
        BalanceArea, on_delete=models.PROTECT, related_name="cells", db_index=False, db_constraint=False
    )
    scope = models.ForeignKey(
        BalanceScope, on_delete=models.PROTECT, related_name="cells", db_index=False, db_constraint=False
    )
    month = models.DateField(help_text="First day of the calendar month.")
    opening = models.FloatField()
    receipts = models.FloatField()
    production = models.FloatField(default=0)
    dispatches = models.FloatField()
    exits = models.FloatField(default=0)
    book = models.FloatField()
    sigma = models.FloatField(help_text="Standard deviation of the book, an upper bound.")
    close = models.FloatField(null=True, help_text="Inventory reported for the end of the month.")
    muf = models.FloatField(null=True, help_text="Book less reported inventory.")
    muf_sigma = models.FloatField(null=True, help_text="Standard deviation of that difference.")
    lines = models.IntegerField(default=0, help_text="Shipment lines that move this month's book.")
    floors = models.IntegerField(default=0, help_text="Lines of the month that say 'at least'.")
    at_least = models.BooleanField(
        default=False, help_text="Some of it was reported only as 'at least': the book is a lower bound."
    )
    is_closed = models.BooleanField(
        default=False, help_text="Somebody declared this area's whole book for the month."
    )
    is_gone = models.BooleanField(
        default=False, help_text="An earlier layer had this cell; this run has none."
    )
    random = models.FloatField(
        default=0, help_text="Sum of the random variances of the month's lines (chips squared)."
    )
    shared_in = models.FloatField(
        default=0, help_text="Sum of the errors that the month's incoming lines share with others, in chips."
    )
    shared_out = models.FloatField(default=0, help_text="The same of outgoing lines.")

    objects = BalanceCellQuerySet.as_manager()

    class Meta:
        ordering = ["run", "area", "scope", "month"]
        constraints = [
            models.UniqueConstraint(fields=["run", "area", "scope", "month"], name="balancecell_once")
        ]

    def __str__(self) -> str:
        return f"{self.area} {self.scope} {self.month}"

    @property
    def mdg(self) -> float:
        """Smallest gap that a test of this cell could have seen, in chips (5 % of either error)."""
        return MDG_FACTOR * self.sigma

    @property
    def coverage(self) -> str:
        return self.Coverage.CLOSED if self.is_closed else self.Coverage.PARTIAL


class BalancePlug(Versioned):
    """A made-up movement from or to nowhere that makes a displayed chain close, like a pad in bookkeeping.

    It is no evidence, enters no statistic and no test, and is listed wherever its area is shown.
    """

    organization = models.ForeignKey(
        "tracker.Organization", on_delete=models.PROTECT, related_name="plugs", null=True, blank=True
    )
    data_center = models.ForeignKey(
        "tracker.DataCenter", on_delete=models.PROTECT, related_name="plugs", null=True, blank=True
    )
    country = CountryField()
    chip = models.ForeignKey(
        "tracker.Chip", on_delete=models.PROTECT, related_name="plugs", null=True, blank=True
    )
    family = models.ForeignKey(
        "tracker.ChipFamily", on_delete=models.PROTECT, related_name="plugs", null=True, blank=True
    )
    month = models.DateField(help_text="First day of the month whose book it closes.")
    quantity = models.DecimalField(
        max_digits=20, decimal_places=3, help_text="Chips; negative: taken out of the book."
    )
    why = models.TextField(help_text="Why the chain does not close by records alone.")
    is_synthetic = models.BooleanField(
        default=False, help_text="Made by the generator; says nothing about the world."
    )

    class Meta:
        ordering = ["month", "id"]
        constraints = [
            models.CheckConstraint(
                name="balanceplug_one_area",
                condition=Q(organization__isnull=False, data_center__isnull=True, country="")
                | Q(organization__isnull=True, data_center__isnull=False, country="")
                | (Q(organization__isnull=True, data_center__isnull=True) & ~Q(country="")),
                violation_error_message="Name an organization, a data center or a country, one of the three.",
            ),
            models.CheckConstraint(
                name="balanceplug_one_scope",
                condition=Q(chip__isnull=False, family__isnull=True)
                | Q(chip__isnull=True, family__isnull=False),
                violation_error_message="Name a chip or a family, one of the two.",
            ),
            country_check("balanceplug_country", "country"),
        ]

    def __str__(self) -> str:
        return f"plug {self.month} {self.quantity}"
