"""When a run was let go on; which checks a proof was asked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tracker", "0014_carried_rows"),
    ]

    operations = [
        migrations.AddField(
            model_name="ledgerproof",
            name="only",
            field=models.JSONField(
                blank=True, default=list, help_text="Codes of the checks that were asked for; empty: all."
            ),
        ),
        migrations.AddField(
            model_name="reconciliationrun",
            name="resumed_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When it was last let go on after it had failed or been stopped.",
                null=True,
            ),
        ),
    ]
