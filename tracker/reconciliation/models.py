"""Runs of the reconciliation, balance cells, findings with their evidence, and the life of a discrepancy."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q


class ReconciliationRun(models.Model):
    """One reconciliation: everything needed to make it again. Same ``as_known_at``, parameters and code: same findings."""

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        FINISHED = "finished", "finished"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    key = models.CharField(max_length=40, unique=True, help_text="Name of the run, e.g. 2026-11-23-1.")
    as_known_at = models.DateTimeField(help_text="Only record versions alive at this instant are read.")
    as_of = models.DateField(help_text="The day the books are drawn up for.")
    parameters = models.JSONField()
    rule_set_sha256 = models.CharField(max_length=64)
    code_version = models.CharField(max_length=80)
    signature = models.CharField(
        max_length=16,
        db_index=True,
        help_text="Digest of instant, day, parameters, rules and code: runs of equal signature have equal findings.",
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    requested_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)
    findings_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="Digest over all findings in order: equal runs have equal digests.",
    )
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.key


class RunPartition(models.Model):
    """One unit of work of a run. A worker holds it by an advisory lock of its database session, so that a worker that dies
    lets go of it at once; its findings and its status ``done`` are written in one transaction."""

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    run = models.ForeignKey(ReconciliationRun, on_delete=models.CASCADE, related_name="partitions")
    kind = models.CharField(max_length=20)
    index = models.PositiveIntegerField()
    count = models.PositiveIntegerField()
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    findings = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "kind", "index"]
        constraints = [models.UniqueConstraint(fields=["run", "kind", "index"], name="runpartition_once")]

    def __str__(self) -> str:
        return f"{self.run} {self.kind} {self.index + 1}/{self.count}"


class BalanceCell(models.Model):
    """The book of one area for one scope and calendar month, in chips, as one run computed it.

    BOOK = OPEN + R + P - D - X. ``mdg`` is the smallest gap a test of this cell could have seen (3.29 sigma).
    """

    class Coverage(models.TextChoices):
        CLOSED = "closed", "closed: somebody declared the whole book"
        PARTIAL = "partial", "partial"
        NONE = "none", "no record"

    run = models.ForeignKey(ReconciliationRun, on_delete=models.CASCADE, related_name="cells")
    area = models.CharField(max_length=100, help_text="E.g. site:colossus-1, org:nvidia, country:CN.")
    scope = models.CharField(max_length=100, help_text="E.g. chip:h20-96gb, family:h100-any.")
    month = models.DateField(help_text="First day of the calendar month.")
    opening = models.FloatField()
    receipts = models.FloatField()
    production = models.FloatField(default=0)
    dispatches = models.FloatField()
    exits = models.FloatField(default=0)
    book = models.FloatField()
    sigma = models.FloatField()
    mdg = models.FloatField()
    at_least = models.BooleanField(
        default=False, help_text="Some of it was reported only as 'at least': the book is a lower bound."
    )
    coverage = models.CharField(max_length=8, choices=Coverage, default=Coverage.PARTIAL)

    class Meta:
        ordering = ["run", "area", "scope", "month"]
        constraints = [
            models.UniqueConstraint(fields=["run", "area", "scope", "month"], name="balancecell_once")
        ]

    def __str__(self) -> str:
        return f"{self.area} {self.scope} {self.month}"


class Discrepancy(models.Model):
    """One thing that does not add up, with one identity over all runs that see it."""

    class State(models.TextChoices):
        NEW = "new", "new"
        PERSISTING = "persisting", "persisting"
        CHANGED = "changed", "changed"
        BELOW = "below threshold", "below threshold"
        RESOLVED = "resolved", "resolved"
        REOPENED = "reopened", "reopened: a record it rests on changed"

    class Reason(models.TextChoices):
        CORRECTED = "record corrected", "a record was wrong and is corrected"
        TIMING = "timing", "timing: the chips were under way"
        SCOPE = "scope", "the figures count different things"
        ECHO = "echo", "one figure only repeats another"
        SOURCE = "source withdrawn", "a source was withdrawn or corrected"
        EXPLAINED = "explained", "explained by evidence not in the ledger"
        NOT_MATERIAL = "not material", "looked at, not material"

    key = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of check, area, scope, period and counterpart."
    )
    check_code = models.CharField(max_length=20, db_index=True)
    area = models.CharField(max_length=100, db_index=True)
    scope = models.CharField(max_length=100, db_index=True)
    period = models.CharField(max_length=60)
    counterpart = models.CharField(max_length=200)
    state = models.CharField(max_length=16, choices=State, default=State.NEW)
    first_run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="+")
    last_run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="+")
    latest = models.ForeignKey("Finding", on_delete=models.SET_NULL, related_name="+", null=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    resolution = models.TextField(
        blank=True, help_text="Why it is closed, in a sentence a reader can follow."
    )
    resolved_by = models.CharField(max_length=150, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_evidence_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "discrepancies"
        permissions = [("resolve_discrepancy", "Can resolve discrepancies")]
        constraints = [
            models.CheckConstraint(
                name="discrepancy_resolution",
                condition=~Q(state="resolved")
                | (~Q(reason="") & ~Q(resolution="") & Q(resolved_at__isnull=False)),
                violation_error_message="A discrepancy is resolved with a reason and a sentence, never without.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.check_code} {self.area} {self.scope}"


class Finding(models.Model):
    """What one run found for one discrepancy. Written once, never changed."""

    class Severity(models.TextChoices):
        CRITICAL = "critical", "critical"
        HIGH = "high", "high"
        MEDIUM = "medium", "medium"
        LOW = "low", "low"
        INFO = "info", "information"

    run = models.ForeignKey(ReconciliationRun, on_delete=models.CASCADE, related_name="findings")
    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="findings", null=True)
    key = models.CharField(max_length=64)
    check_code = models.CharField(max_length=20)
    area = models.CharField(max_length=100)
    scope = models.CharField(max_length=100)
    period = models.CharField(max_length=60)
    counterpart = models.CharField(max_length=200)
    verdict = models.CharField(max_length=60)
    headline = models.CharField(max_length=240)
    expected = models.FloatField(null=True)
    reported = models.FloatField(null=True)
    gap = models.FloatField(null=True, help_text="Positive: more is claimed than the other side explains.")
    unit = models.CharField(max_length=20, default="chips")
    sigma = models.FloatField(null=True)
    statistic = models.FloatField(null=True)
    p = models.FloatField(null=True)
    q = models.FloatField(
        null=True, help_text="p adjusted for the number of tests in its family (Benjamini-Hochberg)."
    )
    threshold = models.FloatField(null=True)
    family = models.CharField(max_length=20, blank=True)
    is_discrepancy = models.BooleanField(default=False, db_index=True)
    gap_h100e = models.FloatField(null=True)
    sq = models.FloatField(null=True, help_text="Gap in significant quantities (1,000 H100-equivalents).")
    mdg = models.FloatField(null=True, help_text="Smallest gap this test could have seen, in its unit.")
    severity = models.CharField(max_length=8, choices=Severity)
    severity_rank = models.PositiveSmallIntegerField(help_text="0 critical to 4 information, for sorting.")
    strength = models.CharField(max_length=12, blank=True)
    weakest_grade = models.CharField(max_length=1, blank=True)
    formula = models.TextField(blank=True)
    sections = models.JSONField(default=list)
    text = models.TextField()
    numbers = models.JSONField(default=dict)
    evidence_sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["run", "severity_rank", "-sq", "id"]
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="finding_once_per_run")]
        indexes = [
            models.Index(fields=["run", "is_discrepancy", "severity_rank"], name="finding_worst_first"),
            GinIndex(fields=["headline"], name="finding_headline_trgm", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.headline


class Evidence(models.Model):
    """A record version that a finding rests on, its role and its share of the difference and of the variance."""

    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="evidence")
    order = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=24)
    model_name = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    label = models.TextField()
    contribution = models.FloatField(null=True)
    variance_share = models.FloatField(null=True)

    class Meta:
        ordering = ["finding", "order"]
        verbose_name_plural = "evidence"
        constraints = [models.UniqueConstraint(fields=["finding", "order"], name="evidence_order")]
        indexes = [models.Index(fields=["model_name", "object_id"], name="evidence_record")]

    def __str__(self) -> str:
        return self.label
