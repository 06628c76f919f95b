"""Record versions are kept by the database, whatever the path of writing."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tests import factories
from tracker.core.errors import BadInput
from tracker.core.services import changed_since, recording, settled_instant
from tracker.models import Claim, Organization, RecordVersion, Shipment, Source, Versioned

pytestmark = pytest.mark.django_db


def versions(row) -> list[tuple[int, str]]:
    rows = RecordVersion.objects.filter(table_name=row._meta.db_table, object_id=row.pk).order_by("version")
    return list(rows.values_list("version", "operation"))


def test_a_fresh_row_is_its_own_first_version_and_leaves_no_other():
    row = factories.source("synthetic-fresh")
    row.refresh_from_db()
    assert (row.version, versions(row)) == (1, [])
    assert row.recorded_at <= timezone.now()
    assert row.recorded_by.startswith("database role ")


def test_raw_sql_keeps_the_version_it_replaces():
    row = factories.source("synthetic-raw", title="Before")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tracker_source SET title = 'After' WHERE id = %s", [row.pk])
    row.refresh_from_db()
    old = RecordVersion.objects.get(table_name="tracker_source", object_id=row.pk)
    assert (row.title, row.version) == ("After", 2)
    assert (old.row["title"], old.version, old.operation) == ("Before", 1, "update")
    assert old.superseded_at == row.recorded_at


def test_copy_starts_a_version_like_any_other_insert():
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY tracker_source (slug, title, publisher, original_publisher, url, published_on_basis, kind, grade,"
            " archive_sha256, verification, licence_note, note) FROM STDIN"
        ) as copy,
    ):
        copy.write_row(
            ("synthetic-copied", "T", "", "", "", "unknown", "synthetic", "C", "", "synthetic", "", "")
        )
    row = Source.objects.get(slug="synthetic-copied")
    assert row.version == 1
    assert row.recorded_at <= timezone.now()


def test_bulk_changes_keep_one_version_for_each_row():
    rows = [factories.source(f"synthetic-bulk-{i}") for i in range(3)]
    Source.objects.filter(slug__startswith="synthetic-bulk").update(grade="D")
    assert [versions(row) for row in rows] == [[(1, "update")]] * 3


def test_an_update_that_changes_nothing_leaves_no_trace():
    row = factories.source("synthetic-same")
    Source.objects.filter(pk=row.pk).update(title=row.title)
    Source.objects.bulk_create(
        [Source(slug=row.slug, title=row.title, publisher=row.publisher)],
        update_conflicts=True, unique_fields=["slug"], update_fields=["title"],
    )  # fmt: skip
    row.refresh_from_db()
    assert (row.version, versions(row)) == (1, [])


def test_who_when_why_and_batch_cannot_be_written_by_hand():
    row = factories.source("synthetic-forged")
    Source.objects.filter(pk=row.pk).update(title="New", recorded_by="nobody", version=99)
    row.refresh_from_db()
    assert row.version == 2
    assert row.recorded_by.startswith("database role ")


def test_a_recorded_change_carries_actor_reason_and_batch_and_one_instant():
    first, second = factories.source("synthetic-one"), factories.source("synthetic-two")
    with recording("Analyst of this test", "the date was wrong", "batch-7"):
        Source.objects.filter(pk=first.pk).update(title="x")
        Source.objects.filter(pk=second.pk).update(title="y")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.recorded_by, first.recorded_reason, first.recorded_batch) == (
        "Analyst of this test", "the date was wrong", "batch-7",
    )  # fmt: skip
    assert first.recorded_at == second.recorded_at
    old = RecordVersion.objects.get(object_id=first.pk, table_name="tracker_source")
    assert (old.superseded_by, old.superseded_reason) == ("Analyst of this test", "the date was wrong")


def test_after_a_recorded_change_later_writers_do_not_inherit_its_name():
    with recording("somebody", "something"):
        pass
    row = factories.source("synthetic-after")
    row.refresh_from_db()
    assert (row.recorded_by.startswith("database role "), row.recorded_reason) == (True, "")


def test_a_deleted_record_is_still_known_at_an_earlier_instant():
    claim = factories.claim("synthetic-gone")
    before = timezone.now()
    claim_id = claim.pk
    claim.delete()
    assert not Claim.objects.filter(pk=claim_id).exists()
    assert Claim.objects.known_at(before).get(pk=claim_id).slug == "synthetic-gone"
    assert not Claim.objects.known_at(timezone.now()).filter(pk=claim_id).exists()


def test_emptying_a_table_keeps_its_rows_as_versions():
    row = factories.source("synthetic-emptied")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tracker_source CASCADE")
    assert versions(row) == [(1, "truncate")]


def test_kept_versions_cannot_be_changed_or_deleted():
    row = factories.source("synthetic-fixed")
    Source.objects.filter(pk=row.pk).update(title="x")
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        RecordVersion.objects.update(superseded_reason="another story")
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        RecordVersion.objects.all().delete()


def test_every_versioned_table_has_both_triggers():
    tables = {m._meta.db_table for m in apps.get_models() if issubclass(m, Versioned) and not m._meta.proxy}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname IN ('keep_version', 'keep_all_versions')"
            " GROUP BY 1 HAVING count(*) = 2"
        )
        assert {row[0] for row in cursor.fetchall()} == tables


# --- reading as known at -------------------------------------------------------------------------------------------------


def test_joined_records_are_read_as_known_at_the_same_instant():
    organization = factories.organization("synthetic-renamed", name="Old name")
    claim = factories.claim("synthetic-joined", subject=organization)
    then = timezone.now()
    Organization.objects.filter(pk=organization.pk).update(name="New name")
    known = Claim.objects.known_at(then).select_related("subject")
    assert known.get(subject__name="Old name").subject.name == "Old name"
    assert not known.filter(subject__name="New name").exists()
    assert Claim.objects.filter(subject__name="New name").known_at(timezone.now()).get().pk == claim.pk


def test_known_at_can_be_asked_after_filters_and_before_aggregates():
    shipment = factories.shipment("synthetic-counted", quantity=10)
    then = timezone.now()
    Shipment.objects.filter(pk=shipment.pk).update(quantity=7)
    rows = Shipment.objects.filter(reference="synthetic-counted").order_by("source__slug")
    assert rows.known_at(then).values_list("quantity", "source__slug").get()[0] == 10
    assert rows.known_at(then).count() == 1
    assert Shipment.objects.known_at(timezone.now()).get(pk=shipment.pk).quantity == 7


def test_superseded_is_exclusive_and_recorded_inclusive():
    row = factories.source("synthetic-edge", title="one")
    row.refresh_from_db()
    Source.objects.filter(pk=row.pk).update(title="two")
    edge = RecordVersion.objects.get(object_id=row.pk, table_name="tracker_source").superseded_at
    assert Source.objects.known_at(edge).get(pk=row.pk).title == "two"
    assert Source.objects.known_at(edge - timedelta(microseconds=1)).get(pk=row.pk).title == "one"
    assert Source.objects.known_at(row.recorded_at).get(pk=row.pk).title == "one"


def test_the_past_is_read_only():
    factories.source("synthetic-past")
    with pytest.raises(BadInput, match="read only"):
        Source.objects.known_at(timezone.now()).update(title="x")
    with pytest.raises(BadInput, match="read only"):
        Source.objects.known_at(timezone.now()).filter(slug="synthetic-past").delete()


def test_an_instant_without_time_zone_is_refused():
    with pytest.raises(BadInput, match="no time zone"):
        Source.objects.known_at(timezone.now().replace(tzinfo=None))


def test_changed_since_sees_updates_inserts_and_deletes():
    row = factories.source("synthetic-changed")
    at = timezone.now()
    assert not changed_since(at)
    row.delete()
    assert changed_since(at)


@pytest.mark.django_db(transaction=True)
def test_an_instant_is_settled_only_after_writers_under_way_have_committed():
    """What a run reads at its instant must not change when a slow writer commits afterwards."""
    factories.source("synthetic-slow", title="before")
    started, times = threading.Event(), {}

    def slow_writer() -> None:
        with transaction.atomic():
            Source.objects.filter(slug="synthetic-slow").update(title="after")
            started.set()
            time.sleep(0.5)
        times["committed"] = timezone.now()
        connection.close()

    writer = threading.Thread(target=slow_writer)
    writer.start()
    started.wait()
    at = settled_instant()
    seen = Source.objects.known_at(at).get(slug="synthetic-slow").title
    writer.join()
    assert at >= times["committed"] - timedelta(milliseconds=50)
    assert seen == "after"
    assert Source.objects.known_at(at).get(slug="synthetic-slow").title == seen
