"""What was found when two days of law, or the law and a draft of it, were held against the ledger."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class RuleComparison(models.Model):
    """One comparison of the whole ledger under two sides (see ``judgement.comparison``), asked for by somebody and kept.

    A side is a day (``before_day``, ``after_day``: all lines judged as if they had left on it) or, without one, each line's own
    shipping date; and the rules that stand, or a version of a draft.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        FINISHED = "finished", "finished"
        FAILED = "failed", "failed"

    class Records(models.TextChoices):
        REAL = "real", "real records"
        SYNTHETIC = "synthetic", "SYNTHETIC records"

    key = models.CharField(max_length=40, unique=True, help_text="Day and number, e.g. 2026-11-25-1.")
    before_draft = models.ForeignKey(
        "tracker.RuleDraft",
        on_delete=models.PROTECT,
        related_name="comparisons_before",
        null=True,
        blank=True,
    )
    after_draft = models.ForeignKey(
        "tracker.RuleDraft", on_delete=models.PROTECT, related_name="comparisons_after", null=True, blank=True
    )
    before_day = models.DateField(null=True, blank=True)
    after_day = models.DateField(null=True, blank=True)
    records = models.CharField(max_length=9, choices=Records, default=Records.REAL)
    as_known_at = models.DateTimeField(
        help_text="The ledger, the rules and the drafts are read as known at this instant."
    )
    requested_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.QUEUED)
    error = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="rulecomparison_two_sides",
                condition=~Q(
                    before_draft__isnull=True,
                    after_draft__isnull=True,
                    before_day__isnull=True,
                    after_day__isnull=True,
                ),
                violation_error_message="The two sides are the same: name a day for each, or a draft.",
            ),
            models.CheckConstraint(
                name="rulecomparison_status",
                condition=Q(status__in=["queued", "finished", "failed"]),
            ),
        ]

    def __str__(self) -> str:
        return self.key
