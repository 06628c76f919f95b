"""Findings that are carried over from run to run cost less to write: their headline is not indexed again, and their words are not
compressed, which takes longer than to write them."""

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tracker", "0013_lots_by_day"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="finding",
            name="finding_headline_trgm",
        ),
        migrations.AddIndex(
            model_name="finding",
            index=GinIndex(
                condition=models.Q(("evidence_of__isnull", True)),
                fields=["headline"],
                name="finding_headline_trgm",
                opclasses=["gin_trgm_ops"],
            ),
        ),
        migrations.RunSQL(
            "ALTER TABLE tracker_finding ALTER text SET STORAGE EXTERNAL, ALTER sections SET STORAGE EXTERNAL",
            "ALTER TABLE tracker_finding ALTER text SET STORAGE EXTENDED, ALTER sections SET STORAGE EXTENDED",
        ),
    ]
