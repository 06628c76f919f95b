"""Runs of the reconciliation and their parameters, findings with their evidence, and the life of a discrepancy."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from tracker.core.models import Versioned, web_address_check
from tracker.reconciliation.parameters import SETTINGS, problem


class ReconciliationRun(models.Model):
    """One reconciliation: everything needed to make it again. Same ``as_known_at``, parameters and code: same findings."""

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        FINISHED = "finished", "finished"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    class Mode(models.TextChoices):
        FULL = "full", "full: everything is read"
        INCREMENTAL = "incremental", "incremental: goes on from an earlier run, reads what changed since"

    class Stage(models.TextChoices):
        """What a run is at, in the order of docs/method.md, section 8."""

        SNAPSHOT = "snapshot", "fixing the instant"
        BOOKS = "books", "drawing up the books"
        CHECKS = "checks", "judging"
        FALSE_ALARMS = "false alarms", "controlling false alarms"
        TEXTS = "texts", "writing findings"
        CLOSED = "closed", "closed"

    key = models.CharField(max_length=40, unique=True, help_text="Name of the run, e.g. 2026-11-23-1.")
    mode = models.CharField(max_length=11, choices=Mode, default=Mode.FULL)
    base = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="The run that an incremental run goes on from.",
    )
    layers = ArrayField(
        models.BigIntegerField(),
        default=list,
        help_text="Ids of the runs whose balance cells make up this run's books, the earliest first.",
    )
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.SNAPSHOT)
    lease_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Until when the run may stand still; whoever works on it moves this on. Past it, it is taken up or given up.",
    )
    take_ups = models.PositiveSmallIntegerField(
        default=0, help_text="How often it was taken up again after its lease had passed."
    )
    resumed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last let go on after it had failed or been stopped."
    )
    request_key = models.CharField(
        max_length=100,
        blank=True,
        help_text="Key that the asker gave to the request: asking again with it starts no second run.",
    )
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
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by", "request_key"],
                name="reconciliationrun_once_per_request",
                condition=~Q(request_key=""),
            )
        ]

    def __str__(self) -> str:
        return self.key

    def records(self, model: Any) -> Any:
        """The records of one kind that this run reads: as known at its instant, real or synthetic."""
        synthetic = self.parameters["records"] == "synthetic"
        return model.objects.known_at(self.as_known_at).filter(is_synthetic=synthetic)


GOING = (ReconciliationRun.Status.QUEUED, ReconciliationRun.Status.RUNNING)
"""Statuses of runs that are not over."""


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
    rows = models.PositiveBigIntegerField(default=0, help_text="Shipment lines read.")
    seconds = models.FloatField(default=0, help_text="Time the share took to judge.")
    peak_mb = models.PositiveIntegerField(default=0, help_text="Most memory its worker held, in MB.")
    tests = models.JSONField(default=dict, help_text="Tests evaluated, by family.")
    scratch = models.BinaryField(
        default=b"", help_text="Tests kept for the control of false alarms until the run is closed."
    )
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "kind", "index"]
        constraints = [models.UniqueConstraint(fields=["run", "kind", "index"], name="runpartition_once")]

    def __str__(self) -> str:
        return f"{self.run} {self.kind} {self.index + 1}/{self.count}"


class Discrepancy(models.Model):
    """One thing that does not add up, with one identity over all runs that see it."""

    class State(models.TextChoices):
        NEW = "new", "new"
        PERSISTING = "persisting", "persisting"
        CHANGED = "changed", "changed"
        BELOW = "below threshold", "below threshold"
        BACK = "back", "back: found again after it was below the threshold"
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
    period_end = models.DateField(
        null=True, blank=True, help_text="Last day of what it speaks of; it is overdue some days after."
    )
    due_on = models.DateField(
        null=True,
        blank=True,
        db_index=True,
        help_text="Day by which it should be resolved: the end of its period and the timeliness of the method.",
    )
    opened_at = models.DateTimeField(
        null=True, blank=True, help_text="When its first run was as known at: what its age is counted from."
    )
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


class DiscrepancyNote(models.Model):
    """What somebody wrote or laid beside a discrepancy while looking into it. Added, never changed."""

    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.CASCADE, related_name="notes")
    written_at = models.DateTimeField(auto_now_add=True)
    written_by = models.CharField(max_length=150)
    text = models.TextField(help_text="A sentence a reader can follow.")
    url = models.URLField(max_length=500, blank=True, help_text="Where the evidence can be read, if public.")
    source = models.ForeignKey(
        "tracker.Source",
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="The source that the note rests on, if it is in the ledger.",
    )

    class Meta:
        ordering = ["discrepancy", "id"]
        constraints = [web_address_check("discrepancynote_url", "url")]

    def __str__(self) -> str:
        return f"{self.written_by}: {self.text[:60]}"


class DiscrepancyEvent(models.Model):
    """A change in the life of a discrepancy: of its state, of who looks into it, or of the names in its identity. Written once,
    by a run or a person."""

    class What(models.TextChoices):
        STATE = "state", "state"
        ASSIGNEE = "assignee", "assignee"
        NAME = "name", "name (key of its identity)"

    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=150, blank=True, help_text="Who; blank: a run.")
    run_key = models.CharField(max_length=40, blank=True, help_text="The run that made it; blank: a person.")
    what = models.CharField(max_length=8, choices=What)
    before = models.CharField(max_length=150, blank=True)
    after = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=20, choices=Discrepancy.Reason, blank=True)
    words = models.TextField(blank=True, help_text="Why, in a sentence a reader can follow.")

    class Meta:
        ordering = ["discrepancy", "id"]

    def __str__(self) -> str:
        return f"{self.what}: {self.before or 'none'} to {self.after or 'none'}"


class MethodParameter(Versioned):
    """A number of the method from a day on. A run takes the latest that had begun by its as-of day, and records all it used."""

    name = models.CharField(max_length=40, help_text="Name of the parameter, as docs/method.md lists them.")
    value = models.JSONField(help_text='A number; for tables of numbers an object, e.g. {"A": 0.01}.')
    valid_from = models.DateField(help_text="First day for which books are drawn up with it.")
    reason = models.TextField(help_text="Why it was set so, in a sentence a reader can follow.")

    class Meta:
        ordering = ["name", "valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "valid_from"],
                name="methodparameter_once",
                violation_error_message="This parameter has a value from that day already; correct that one.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.valid_from}"

    def clean(self) -> None:
        super().clean()
        if told := problem(self.name, self.value):
            raise ValidationError({"value" if self.name in SETTINGS else "name": told})


class NetworkEstimate(models.Model):
    """The most likely true flow or stock given all reports, as one run's network reconciliation found it.

    An estimate, kept apart from the reports and never fed back as evidence. Empty where the reports do not determine it.
    """

    class Status(models.TextChoices):
        MEASURED = "measured", "reported, and adjusted"
        OBSERVABLE = "observable", "not reported, but determined by the others"
        UNOBSERVABLE = "unobservable", "not reported, and not determined by the others"
        PINNED = "pinned", "held at zero: a flow is not negative"
        LEFT_OUT = "left out", "reported, and left out as most likely wrong"

    run = models.ForeignKey(ReconciliationRun, on_delete=models.CASCADE, related_name="network_estimates")
    component = models.CharField(max_length=120, help_text="The network it was solved in.")
    order = models.PositiveIntegerField(help_text="Place within the component.")
    kind = models.CharField(max_length=12, help_text="flow, stock, production or unrecorded.")
    from_node = models.CharField(max_length=120)
    to_node = models.CharField(max_length=120)
    scope = models.CharField(max_length=100)
    reported = models.FloatField(null=True, blank=True)
    reported_sd = models.FloatField(null=True, blank=True)
    estimate = models.FloatField(null=True, blank=True, help_text="Empty where it cannot be estimated.")
    sd = models.FloatField(null=True, blank=True)
    status = models.CharField(max_length=12, choices=Status)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "component", "order"]
        constraints = [
            models.UniqueConstraint(fields=["run", "component", "order"], name="networkestimate_once")
        ]

    def __str__(self) -> str:
        return f"{self.from_node} to {self.to_node}, {self.scope}"


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
    period_end = models.DateField(null=True, help_text="Last day of what it speaks of.")
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
    evidence_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, related_name="+", null=True, db_index=False,
        help_text="The finding of an earlier run that says the same of the same records: its evidence is this one's.",
    )  # fmt: skip
    is_own_finding = models.BooleanField(
        default=False,
        help_text="Beyond its threshold and large enough to report, before false alarms are controlled.",
    )
    own_severity = models.CharField(
        max_length=8,
        choices=Severity,
        default=Severity.INFO,
        help_text="Severity before false alarms are controlled.",
    )

    class Meta:
        ordering = ["run", "severity_rank", "-sq", "id"]
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="finding_once_per_run")]
        indexes = [
            models.Index(fields=["run", "is_discrepancy", "severity_rank"], name="finding_worst_first"),
            # what is carried over has the headline of the finding that it is carried over from
            GinIndex(
                fields=["headline"],
                name="finding_headline_trgm",
                opclasses=["gin_trgm_ops"],
                condition=Q(evidence_of__isnull=True),
            ),
            # asked by the database when a finding is to go
            models.Index(
                fields=["evidence_of"], name="finding_evidence_of", condition=Q(evidence_of__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.headline

    @property
    def evidence(self) -> models.QuerySet[Evidence]:
        """The records it rests on, in order. A run that goes on from another writes what did not change once only."""
        return Evidence.objects.filter(finding_id=self.evidence_of_id or self.pk)


class Evidence(models.Model):
    """A record version that a finding rests on, its role and its share of the difference and of the variance."""

    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="own_evidence")
    order = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=24)
    model_name = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    label = models.TextField()
    contribution = models.FloatField(null=True)
    variance_share = models.FloatField(null=True)
    own_share = models.FloatField(
        null=True,
        help_text="Of the variance, what the record bears alone, where the row stands for a sum of which it is the largest line.",
    )

    class Meta:
        ordering = ["finding", "order"]
        verbose_name_plural = "evidence"
        constraints = [models.UniqueConstraint(fields=["finding", "order"], name="evidence_order")]
        indexes = [models.Index(fields=["model_name", "object_id"], name="evidence_record")]

    def __str__(self) -> str:
        return self.label
