"""Proofs of the ledger: when it was held against itself, what was looked at, and which rows did not hold."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class LedgerProof(models.Model):
    """One proof of the whole ledger (``manage.py verify_ledger``): every stored number that can be worked out again was.

    ``checks``: one object for each thing looked at, with rows looked at, rows that do not hold and seconds. ``breaches``: the
    first of those rows, each with table, id, what is stored, what it should be and how to mend it.
    """

    class Outcome(models.TextChoices):
        RUNNING = "running", "under way"
        HELD = "held", "everything holds"
        BREACHED = "breached", "rows do not hold"
        BROKEN_OFF = "broken off", "broken off"

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    requested_by = models.CharField(max_length=150)
    since = models.DateTimeField(
        null=True, blank=True, help_text="Only what was written since then was looked at; blank: everything."
    )
    only = models.JSONField(
        default=list, blank=True, help_text="Codes of the checks that were asked for; empty: all."
    )
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.RUNNING)
    looked_at = models.PositiveBigIntegerField(default=0, help_text="Rows looked at.")
    breached = models.PositiveBigIntegerField(default=0, help_text="Rows that do not hold.")
    checks = models.JSONField(default=list)
    breaches = models.JSONField(default=list, help_text="The first rows that do not hold.")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        permissions = [("run_ledgerproof", "Can start proofs of the ledger")]
        constraints = [
            models.CheckConstraint(
                name="ledgerproof_outcome",
                condition=Q(outcome__in=["running", "held", "breached", "broken off"]),
            )
        ]

    def __str__(self) -> str:
        return f"proof of {self.started_at:%Y-%m-%d %H:%M}"
