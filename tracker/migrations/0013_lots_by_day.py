"""Lines of a lot are found by the day they left."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tracker", "0012_lines_beside_books"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="shipment",
            name="shipment_consignee_chip",
        ),
        migrations.AddIndex(
            model_name="shipment",
            index=models.Index(
                fields=["consignee", "chip", "shipped_on"], name="shipment_consignee_chip_day"
            ),
        ),
    ]
