import django.db.models.deletion
from django.db import migrations, models

STATES = [
    ("new", "new"),
    ("persisting", "persisting"),
    ("changed", "changed"),
    ("below threshold", "below threshold"),
    ("back", "back: found again after it was below the threshold"),
    ("resolved", "resolved"),
    ("reopened", "reopened: a record it rests on changed"),
]
REASONS = [
    ("record corrected", "a record was wrong and is corrected"),
    ("timing", "timing: the chips were under way"),
    ("scope", "the figures count different things"),
    ("echo", "one figure only repeats another"),
    ("source withdrawn", "a source was withdrawn or corrected"),
    ("explained", "explained by evidence not in the ledger"),
    ("not material", "looked at, not material"),
]

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tracker_discrepancyevent
  FOR EACH ROW EXECUTE FUNCTION tracker_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tracker_discrepancynote
  FOR EACH ROW EXECUTE FUNCTION tracker_refuse_change();
"""
CHANGEABLE = """
DROP TRIGGER append_only ON tracker_discrepancynote;
DROP TRIGGER append_only ON tracker_discrepancyevent;
"""

# Ages and days of what was found before: the last day that a period names, else the day of the first run, and 90 days.
DATES = """
UPDATE tracker_discrepancy d SET
  opened_at = r.as_known_at,
  period_end = CASE
    WHEN d.period ~ '(^| to )\\d{4}-\\d{2}-\\d{2}$' AND d.period NOT LIKE 'from %' THEN right(d.period, 10)::date
    WHEN d.period ~ '^\\d{4}Q[1-4]$'
      THEN (make_date(left(d.period, 4)::int, 3 * right(d.period, 1)::int, 1) + interval '1 month - 1 day')::date
    WHEN d.period ~ '^\\d{4}$' THEN make_date(d.period::int, 12, 31)
  END
FROM tracker_reconciliationrun r WHERE r.id = d.first_run_id AND d.opened_at IS NULL;
UPDATE tracker_discrepancy SET due_on = COALESCE(period_end, (opened_at AT TIME ZONE 'UTC')::date) + 90 WHERE due_on IS NULL;
"""

# Decisions that stood in the log of the admin site, if this ledger has one.
DECISIONS = """
DO $$ BEGIN
  IF to_regclass('django_admin_log') IS NOT NULL THEN
    INSERT INTO tracker_discrepancyevent (discrepancy_id, at, made_by, run_key, what, before, after, reason, words)
    SELECT d.id, l.action_time, u.username, '',
      CASE WHEN l.change_message LIKE 'Assigned%' THEN 'assignee' ELSE 'state' END, '',
      CASE WHEN l.change_message LIKE 'Resolved%' THEN 'resolved' WHEN l.change_message LIKE 'Reopened%' THEN 'reopened'
        WHEN l.change_message = 'Assigned to nobody' THEN '' ELSE left(substr(l.change_message, 13), 150) END,
      '', l.change_message
    FROM django_admin_log l
      JOIN django_content_type c ON c.id = l.content_type_id AND c.app_label = 'tracker' AND c.model = 'discrepancy'
      JOIN auth_user u ON u.id = l.user_id
      JOIN tracker_discrepancy d ON d.id::text = l.object_id
    WHERE l.change_message ~ '^(Resolved|Reopened|Assigned)'
    ORDER BY l.action_time, l.id;
  END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tracker", "0009_ledger_proof")]

    operations = [
        migrations.AlterField(
            model_name="discrepancy",
            name="state",
            field=models.CharField(choices=STATES, default="new", max_length=16),
        ),
        migrations.CreateModel(
            name="DiscrepancyEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("made_by", models.CharField(blank=True, help_text="Who; blank: a run.", max_length=150)),
                (
                    "run_key",
                    models.CharField(
                        blank=True, help_text="The run that made it; blank: a person.", max_length=40
                    ),
                ),
                (
                    "what",
                    models.CharField(choices=[("state", "state"), ("assignee", "assignee")], max_length=8),
                ),
                ("before", models.CharField(blank=True, max_length=150)),
                ("after", models.CharField(blank=True, max_length=150)),
                ("reason", models.CharField(blank=True, choices=REASONS, max_length=20)),
                ("words", models.TextField(blank=True, help_text="Why, in a sentence a reader can follow.")),
                (
                    "discrepancy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="tracker.discrepancy",
                    ),
                ),
            ],
            options={"ordering": ["discrepancy", "id"]},
        ),
        migrations.RunSQL(DATES, migrations.RunSQL.noop),
        migrations.RunSQL(DECISIONS, migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
    ]
