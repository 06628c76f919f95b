"""Published reports."""

from __future__ import annotations

from django.db import models


class Report(models.Model):
    """A run as published: one self-contained HTML page and one CSV, kept byte for byte."""

    run = models.OneToOneField("tracker.ReconciliationRun", on_delete=models.PROTECT, related_name="report")
    title = models.CharField(max_length=200)
    built_at = models.DateTimeField()
    html = models.TextField()
    csv = models.TextField()
    html_sha256 = models.CharField(max_length=64)
    csv_sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["-built_at", "-id"]

    def __str__(self) -> str:
        return self.title
