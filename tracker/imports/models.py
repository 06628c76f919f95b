"""Loads of files: what was read, when, with which digest and outcome."""

from __future__ import annotations

from django.db import models


class ImportRun(models.Model):
    """One load of a folder or file. Its key is the batch that every record version written by it carries."""

    class Status(models.TextChoices):
        RUNNING = "running", "running"
        LOADED = "loaded", "loaded"
        UNCHANGED = "unchanged", "nothing to change"
        REFUSED = "refused", "refused: bad rows"

    key = models.CharField(max_length=80, unique=True)
    what = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    actor = models.CharField(max_length=150)
    status = models.CharField(max_length=10, choices=Status)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return self.key


class ImportProblem(models.Model):
    """One thing wrong with one cell or row: file, row, column, value, and how to mend it."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="problems")
    file = models.CharField(max_length=200)
    row = models.PositiveIntegerField(null=True, blank=True)
    column = models.CharField(max_length=80, blank=True)
    value = models.TextField(blank=True)
    message = models.TextField()

    class Meta:
        ordering = ["run", "file", "row", "id"]

    def __str__(self) -> str:
        return f"{self.file} row {self.row} {self.column}: {self.message}"
