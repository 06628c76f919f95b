"""Chips as their datasheets say, families of chips, and who says what about them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from tracker.core.models import Versioned, web_address_check
from tracker.sources.models import Confidence, Verification


class Chip(Versioned):
    """An accelerator model as sold. What it can do stands in its specifications, one for each source."""

    class Form(models.TextChoices):
        IC = "ic", "packaged integrated circuit"
        CARD = "card", "card"
        BOARD = "board", "board"
        SYSTEM = "system", "system"
        STACK = "stack", "stack of high-bandwidth memory"

    slug = models.SlugField(
        max_length=80, unique=True, help_text="Short name used in files and links, e.g. h100-sxm5-80gb."
    )
    name = models.CharField(max_length=200)
    vendor = models.ForeignKey("tracker.Organization", on_delete=models.PROTECT, related_name="chips")
    form = models.CharField(
        max_length=8, choices=Form, default=Form.IC, help_text="Form in which it is sold and counted."
    )
    ics_per_item = models.PositiveSmallIntegerField(
        "ICs per item",
        default=1,
        validators=[MinValueValidator(1)],
        help_text="Packaged ICs in one item: 1 for an IC, 8 for an 8-GPU board.",
    )
    first_shipped_on = models.DateField(
        null=True,
        blank=True,
        help_text="First day on which it can have shipped (release or launch date); blank if not known.",
    )
    marketed_for_datacenters = models.BooleanField(
        null=True,
        blank=True,
        help_text="Designed or marketed for data centers (Note 2 to ECCN 3A090); unknown if left open.",
    )
    marketing_evidence = models.CharField(max_length=300, blank=True, help_text="Where that can be read.")
    foundry = models.CharField(max_length=80, blank=True)
    process_node_nm = models.DecimalField(max_digits=5, decimal_places=1, null=True, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="chip_ics_per_item",
                condition=Q(ics_per_item__gte=1),
                violation_error_message="An item holds at least one IC.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


def _rate(text: str) -> models.DecimalField:
    return models.DecimalField(
        text,
        max_digits=12,
        decimal_places=3,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=f"Dense peak rate (no sparsity) of one item in {text}; blank if the source does not give it.",
    )


class ChipSpecification(Versioned):
    """What one source says of one chip. Two sources that differ are two rows; total processing performance, performance
    density and H100-equivalents are derived from a row, never typed in."""

    chip = models.ForeignKey(Chip, on_delete=models.CASCADE, related_name="specifications")
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="specifications")
    rank = models.PositiveSmallIntegerField(
        default=1, help_text="1 is the specification calculations use; others stand beside it."
    )
    int4_tops = _rate("int4 TOPS")
    int8_tops = _rate("int8 TOPS")
    fp4_tflops = _rate("FP4 TFLOPS")
    fp8_tflops = _rate("FP8 TFLOPS")
    fp16_tflops = _rate("FP16 TFLOPS")
    bf16_tflops = _rate("BF16 TFLOPS")
    tf32_tflops = _rate("TF32 TFLOPS")
    fp32_tflops = _rate("FP32 TFLOPS")
    tpp_published = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="TPP as this source states it, kept beside the derived one.",
    )
    dies = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Logic dies in the package.")
    die_area_mm2 = models.DecimalField(
        max_digits=9,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Applicable die area: sum of logic dies on non-planar nodes in the package, memory excluded, in mm². "
        "Of a memory stack: the area of its package, or of the stack if it has none.",
    )
    transistors_bn = models.DecimalField(
        max_digits=9, decimal_places=2, null=True, blank=True, help_text="Billions, whole package."
    )
    memory_gb = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    memory_type = models.CharField(max_length=40, blank=True)
    memory_bandwidth_gbs = models.DecimalField(
        max_digits=10,
        decimal_places=1,
        null=True,
        blank=True,
        help_text="GB/s between the IC and all its DRAM.",
    )
    io_bandwidth_gbs = models.DecimalField(
        max_digits=10,
        decimal_places=1,
        null=True,
        blank=True,
        help_text="Aggregate bidirectional GB/s over all I/O, memory excluded.",
    )
    tdp_w = models.DecimalField(
        max_digits=8, decimal_places=1, null=True, blank=True, help_text="Thermal design power in watts."
    )
    datasheet_url = models.URLField(max_length=600, blank=True)
    confidence = models.CharField(max_length=11, choices=Confidence, default=Confidence.LIKELY)
    verification = models.CharField(max_length=9, choices=Verification, default=Verification.READ)
    note = models.TextField(
        blank=True, help_text="Which single cells are from memory or from elsewhere, and other remarks."
    )

    class Meta:
        ordering = ["chip", "rank", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["chip", "source"],
                name="chipspecification_one_per_source",
                violation_error_message="This source already has a specification of this chip: correct that one.",
            ),
            models.UniqueConstraint(
                fields=["chip"],
                condition=Q(rank=1),
                name="chipspecification_one_preferred",
                violation_error_message="Another specification of this chip has rank 1; give it a lower rank first.",
            ),
            web_address_check("chipspecification_datasheet", "datasheet_url"),
        ]

    def __str__(self) -> str:
        return f"{self.chip} according to {self.source}"


class ChipFamily(Versioned):
    """A name that reports use for an unspecified mix of chips: "Hopper", "H100 or H200", dies, memory stacks."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    vendor = models.ForeignKey(
        "tracker.Organization", on_delete=models.PROTECT, related_name="chip_families", null=True, blank=True
    )
    members = models.ManyToManyField(Chip, through="ChipFamilyMember", related_name="families")
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "chip families"

    def __str__(self) -> str:
        return self.name


class ChipFamilyMember(Versioned):
    """One chip that the name of a family may stand for."""

    family = models.ForeignKey(ChipFamily, on_delete=models.CASCADE, related_name="memberships")
    chip = models.ForeignKey(Chip, on_delete=models.PROTECT, related_name="memberships")

    class Meta:
        ordering = ["family", "chip"]
        constraints = [
            models.UniqueConstraint(
                fields=["family", "chip"],
                name="chipfamilymember_once",
                violation_error_message="The chip is in the family already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.chip} in {self.family}"
