import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import tracker.core.models
from tracker.migrations._versions import forget_versions, keep_versions

TABLES = [
    "tracker_screeninglist",
    "tracker_listedparty",
    "tracker_listedname",
    "tracker_screeningmatch",
]


class Migration(migrations.Migration):
    dependencies = [
        ("tracker", "0005_rule_drafts"),
    ]

    operations = [
        migrations.CreateModel(
            name="ListedParty",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, editable=False)),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=tracker.core.models.RecordedAt(), editable=False),
                ),
                (
                    "recorded_by",
                    models.TextField(db_default=tracker.core.models.RecordedBy(), editable=False),
                ),
                (
                    "recorded_reason",
                    models.TextField(db_default=tracker.core.models.RecordedReason(), editable=False),
                ),
                (
                    "recorded_batch",
                    models.TextField(db_default=tracker.core.models.RecordedBatch(), editable=False),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="What the list calls it; the same in each file of the list.", max_length=120
                    ),
                ),
                ("name", models.CharField(max_length=400)),
                (
                    "list_name",
                    models.CharField(
                        blank=True,
                        help_text="The list within a consolidated one, e.g. Entity List.",
                        max_length=80,
                    ),
                ),
                ("kind", models.CharField(blank=True, max_length=40)),
                (
                    "countries",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=2), blank=True, default=list, size=None
                    ),
                ),
                (
                    "programs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "citation",
                    models.CharField(
                        blank=True, help_text="Federal Register notice or number of the act.", max_length=200
                    ),
                ),
                ("footnote", models.CharField(blank=True, max_length=80)),
                (
                    "listed_on",
                    models.DateField(
                        blank=True, help_text="First day on the list; blank if it does not tell.", null=True
                    ),
                ),
                (
                    "removed_on",
                    models.DateField(
                        blank=True,
                        help_text="First day no longer on it: as told, else the day of the first file without it.",
                        null=True,
                    ),
                ),
                ("licence_requirement", models.TextField(blank=True)),
                ("licence_policy", models.TextField(blank=True)),
                (
                    "addresses",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "cities",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "identifiers",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("source_url", models.URLField(blank=True, max_length=600)),
                ("remarks", models.TextField(blank=True)),
                (
                    "content_digest",
                    models.CharField(help_text="Of all that the file says of it.", max_length=64),
                ),
                (
                    "match_digest",
                    models.CharField(
                        help_text="Of what a comparison reads: names, countries, numbers, cities.",
                        max_length=64,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "listed parties",
                "ordering": ["screening_list", "name", "id"],
            },
        ),
        migrations.CreateModel(
            name="ScreenedOrganization",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="screened",
                        serialize=False,
                        to="tracker.organization",
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("engine", models.CharField(max_length=20)),
                ("screened_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ScreenedParty",
            fields=[
                (
                    "party",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="screened",
                        serialize=False,
                        to="tracker.listedparty",
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("engine", models.CharField(max_length=20)),
                ("screened_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ScreeningList",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, editable=False)),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=tracker.core.models.RecordedAt(), editable=False),
                ),
                (
                    "recorded_by",
                    models.TextField(db_default=tracker.core.models.RecordedBy(), editable=False),
                ),
                (
                    "recorded_reason",
                    models.TextField(db_default=tracker.core.models.RecordedReason(), editable=False),
                ),
                (
                    "recorded_batch",
                    models.TextField(db_default=tracker.core.models.RecordedBatch(), editable=False),
                ),
                (
                    "slug",
                    models.SlugField(
                        help_text="Short name used in links, e.g. csl.", max_length=80, unique=True
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="E.g. Consolidated Screening List.", max_length=120, unique=True
                    ),
                ),
                (
                    "publisher",
                    models.CharField(
                        blank=True, help_text="E.g. US International Trade Administration.", max_length=200
                    ),
                ),
                (
                    "licence_terms",
                    models.TextField(
                        blank=True,
                        help_text="On which terms it may be used and shown, e.g. US public domain; CC BY-NC 4.0.",
                    ),
                ),
                (
                    "url",
                    models.URLField(
                        blank=True, help_text="Where its publisher offers the file.", max_length=600
                    ),
                ),
                ("note", models.TextField(blank=True)),
                (
                    "source",
                    models.ForeignKey(
                        blank=True,
                        help_text="Cited by the list entries that confirmed matches write, where a party has no address of its own.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="screening_lists",
                        to="tracker.source",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "permissions": [("load_screeninglist", "Can load the file of a screening list")],
            },
        ),
        migrations.CreateModel(
            name="ListVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sha256", models.CharField(max_length=64)),
                ("format", models.CharField(max_length=10)),
                ("file_name", models.CharField(blank=True, max_length=200)),
                (
                    "as_of",
                    models.DateField(
                        help_text="Day of the file: parties it no longer names ended then, unless told."
                    ),
                ),
                ("loaded_at", models.DateTimeField()),
                ("loaded_by", models.CharField(max_length=150)),
                ("counts", models.JSONField(default=dict)),
                (
                    "screening_list",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="tracker.screeninglist",
                    ),
                ),
            ],
            options={
                "ordering": ["screening_list", "-as_of", "-id"],
            },
        ),
        migrations.AddField(
            model_name="listedparty",
            name="screening_list",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="parties",
                to="tracker.screeninglist",
            ),
        ),
        migrations.CreateModel(
            name="ScreeningMatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, editable=False)),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=tracker.core.models.RecordedAt(), editable=False),
                ),
                (
                    "recorded_by",
                    models.TextField(db_default=tracker.core.models.RecordedBy(), editable=False),
                ),
                (
                    "recorded_reason",
                    models.TextField(db_default=tracker.core.models.RecordedReason(), editable=False),
                ),
                (
                    "recorded_batch",
                    models.TextField(db_default=tracker.core.models.RecordedBatch(), editable=False),
                ),
                (
                    "score",
                    models.DecimalField(
                        decimal_places=4,
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(1),
                        ],
                    ),
                ),
                (
                    "band",
                    models.CharField(choices=[("match", "match"), ("ask", "ask a person")], max_length=5),
                ),
                (
                    "asked_name",
                    models.CharField(help_text="The organization's name that came closest.", max_length=250),
                ),
                (
                    "listed_name",
                    models.CharField(help_text="The listed name it came closest to.", max_length=400),
                ),
                ("features", models.JSONField(default=list)),
                ("engine", models.CharField(max_length=20)),
                ("organization_digest", models.CharField(max_length=64)),
                ("party_digest", models.CharField(max_length=64)),
                ("screened_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open: nobody has decided"),
                            ("confirmed", "confirmed: the same organization"),
                            ("rejected", "rejected: another organization"),
                            ("superseded", "superseded: no longer alike after a change"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("decided_by", models.CharField(blank=True, max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.TextField(blank=True)),
                (
                    "wrote_entry",
                    models.BooleanField(default=False, help_text="The list entry was written by this match."),
                ),
                (
                    "list_entry",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="screening_matches",
                        to="tracker.listentry",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="screening_matches",
                        to="tracker.organization",
                    ),
                ),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="matches",
                        to="tracker.listedparty",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "screening matches",
                "ordering": ["-score", "id"],
                "permissions": [
                    ("decide_screeningmatch", "Can confirm and reject screening matches"),
                    ("run_screening", "Can screen organizations against the lists"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ListedName",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, editable=False)),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=tracker.core.models.RecordedAt(), editable=False),
                ),
                (
                    "recorded_by",
                    models.TextField(db_default=tracker.core.models.RecordedBy(), editable=False),
                ),
                (
                    "recorded_reason",
                    models.TextField(db_default=tracker.core.models.RecordedReason(), editable=False),
                ),
                (
                    "recorded_batch",
                    models.TextField(db_default=tracker.core.models.RecordedBatch(), editable=False),
                ),
                ("name", models.CharField(max_length=400)),
                (
                    "kind",
                    models.CharField(
                        choices=[("primary", "name"), ("alias", "alias"), ("weak", "weak alias")],
                        default="alias",
                        max_length=7,
                    ),
                ),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="names",
                        to="tracker.listedparty",
                    ),
                ),
            ],
            options={
                "ordering": ["party", "-kind", "name", "id"],
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["name"], name="listedname_name_trgm", opclasses=["gin_trgm_ops"]
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("party", "name"),
                        name="listedname_once",
                        violation_error_message="The party has this name already.",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="screeninglist",
            constraint=models.CheckConstraint(
                condition=models.Q(("url__regex", "^(https?://.*)?$")),
                name="screeninglist_url",
                violation_error_message="A web address starts with http:// or https://, or is blank.",
            ),
        ),
        migrations.AddIndex(
            model_name="listedparty",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["name"], name="listedparty_name_trgm", opclasses=["gin_trgm_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="listedparty",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["countries"], name="listedparty_countries"
            ),
        ),
        migrations.AddConstraint(
            model_name="listedparty",
            constraint=models.UniqueConstraint(
                fields=("screening_list", "key"),
                name="listedparty_once",
                violation_error_message="The list has a party of this key already.",
            ),
        ),
        migrations.AddConstraint(
            model_name="listedparty",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("removed_on__isnull", True),
                    ("listed_on__isnull", True),
                    ("removed_on__gt", models.F("listed_on")),
                    _connector="OR",
                ),
                name="listedparty_dates",
                violation_error_message="A listing must end after it begins.",
            ),
        ),
        migrations.AddConstraint(
            model_name="listedparty",
            constraint=models.CheckConstraint(
                condition=models.Q(("source_url__regex", "^(https?://.*)?$")),
                name="listedparty_source_url",
                violation_error_message="A web address starts with http:// or https://, or is blank.",
            ),
        ),
        migrations.AddIndex(
            model_name="screeningmatch",
            index=models.Index(fields=["state", "-score"], name="screeningmatch_queue"),
        ),
        migrations.AddConstraint(
            model_name="screeningmatch",
            constraint=models.UniqueConstraint(
                fields=("organization", "party"),
                name="screeningmatch_once",
                violation_error_message="This pair was screened already.",
            ),
        ),
        migrations.AddConstraint(
            model_name="screeningmatch",
            constraint=models.CheckConstraint(
                condition=models.Q(("score__gte", 0), ("score__lte", 1)),
                name="screeningmatch_score",
                violation_error_message="A score is between 0 and 1.",
            ),
        ),
        migrations.AddConstraint(
            model_name="screeningmatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["confirmed", "rejected"]), _negated=True),
                    models.Q(
                        ("decided_at__isnull", False),
                        models.Q(("decided_by", ""), _negated=True),
                        models.Q(("reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="screeningmatch_decided",
                violation_error_message="A decision carries who made it, when and why.",
            ),
        ),
        *(migrations.RunSQL(keep_versions(table), forget_versions(table)) for table in TABLES),
    ]
