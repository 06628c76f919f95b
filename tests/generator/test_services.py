"""A synthetic ledger in the database: written whole, marked, versioned as one batch, and taken out again."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from tests import factories
from tracker import models
from tracker.core.errors import BadInput
from tracker.core.models import RecordVersion
from tracker.generator import services
from tracker.generator.plan import Ledger
from tracker.generator.tables import Settings

pytestmark = pytest.mark.django_db
SETTINGS = Settings(lines=1_000, seed=5, leaks=1)


@pytest.fixture
def made() -> services.Generated:
    return services.generate(SETTINGS, "an analyst")


def slugs(model) -> set[str]:
    name = "reference" if model in (models.Shipment, models.Licence) else "slug"
    return set(model.objects.values_list(name, flat=True))


def test_every_planned_row_is_written_and_every_constraint_holds(made):
    planned: dict[str, int] = {}
    for table in Ledger(SETTINGS).tables():
        planned[table.model] = planned.get(table.model, 0) + table.count
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert made.rows == planned
    for name, count in planned.items():
        assert services._model(name).objects.count() == count, name


def test_the_rows_in_the_database_are_those_of_the_plan(made):
    line = models.Shipment.objects.filter(onward_of__isnull=False).order_by("id")[0]
    assert line.shipper == line.onward_of.consignee
    assert line.unit == line.onward_of.unit
    tables = [table for table in Ledger(SETTINGS).tables() if table.model == "Shipment"]
    planned = [int(quantity) for table in tables for quantity in table.columns["quantity"]]
    assert [
        int(q) for q in models.Shipment.objects.order_by("reference").values_list("quantity", flat=True)
    ] == planned


def test_rows_pass_the_checks_of_the_forms_too(made):
    samples = (models.Shipment, models.Claim, models.Licence, models.Chip, models.DataCenter, models.Source)
    for model in samples:
        model.objects.order_by("id")[0].full_clean()


def test_everything_is_recorded_at_one_instant_by_one_actor_in_one_batch(made):
    for model in (models.Source, models.Organization, models.Shipment, models.Claim, models.SitePower):
        written = set(model.objects.values_list("recorded_by", "recorded_reason", "recorded_batch"))
        assert written == {("an analyst", "SYNTHETIC ledger, seed 5", made.key)}
    instants = set(models.Shipment.objects.values_list("recorded_at", flat=True))
    assert instants == set(models.Claim.objects.values_list("recorded_at", flat=True))
    assert len(instants) == 1


def test_the_truth_is_kept_with_its_import_run(made):
    run = models.ImportRun.objects.get(key=made.key)
    assert run.counts["truth"] == json.loads(made.truth)
    assert run.counts["rows"] == made.rows
    assert run.status == "loaded"


def test_records_of_the_truth_are_found_in_the_database(made):
    names = {"shipment": models.Shipment, "claim": models.Claim, "licence": models.Licence}
    for leak in json.loads(made.truth)["leaks"]:
        for kind, records in leak["records"].items():
            if kind in names:
                assert set(records) <= slugs(names[kind]), leak["id"]


def test_the_same_seed_twice_is_refused_and_changes_nothing(made):
    with pytest.raises(BadInput, match="seed 5 is there already"):
        services.generate(SETTINGS, "an analyst")
    assert models.Shipment.objects.count() == 1_000


def test_two_seeds_stand_side_by_side(made):
    services.generate(Settings(lines=1_000, seed=6, leaks=1), "an analyst")
    assert models.Shipment.objects.count() == 2_000


def test_a_ledger_that_cannot_be_planned_to_the_end_leaves_nothing():
    with pytest.raises(BadInput, match="give more lines"):
        services.generate(Settings(lines=2_000, organizations=200, leaks=10), "an analyst")
    assert models.Shipment.objects.count() == 0
    assert models.ImportRun.objects.count() == 0


def test_removal_takes_synthetic_records_alone_and_the_history_keeps_them(made):
    source = factories.source("real-source", kind="press", verification="read")
    firm = factories.organization("real-firm", is_synthetic=False, source=source)
    gone = services.remove("an analyst")
    assert gone["Shipment"] == 1_000
    assert gone == made.rows
    assert slugs(models.Organization) == {firm.slug}
    assert slugs(models.Source) == {source.slug}
    kept = RecordVersion.objects.filter(table_name="tracker_shipment", operation="delete")
    assert kept.count() == 1_000
    assert kept[0].superseded_by == "an analyst"
    assert len(set(kept.values_list("superseded_at", flat=True))) == 1


def test_after_removal_the_same_ledger_can_be_made_again(made):
    services.remove("an analyst")
    assert services.generate(SETTINGS, "an analyst").truth == made.truth


def test_removal_is_refused_whole_when_a_real_record_rests_on_a_synthetic_one(made):
    owner = models.Organization.objects.filter(slug__startswith="synthetic").order_by("id")[0]
    factories.data_center("real-site", operator=owner, is_synthetic=False)
    with pytest.raises(BadInput, match="not synthetic rests on a synthetic one"):
        services.remove("an analyst")
    assert models.Shipment.objects.count() == 1_000


# --- the command --------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_truth_file_the_same_bytes_each_time(tmp_path, capsys):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    call_command("generate", "--lines", "1000", "--seed", "3", "--leaks", "1", "--truth", str(one))
    assert "1,000 Shipment" in capsys.readouterr().out
    call_command("generate", "--remove")
    assert "Removed: 1,000 Shipment" in capsys.readouterr().out
    call_command("generate", "--lines", "1000", "--seed", "3", "--leaks", "1", "--truth", str(two))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Say how large"),
        (["--lines", "5"], "lines is 5; give a whole number"),
        (["--lines", "2000", "--months", "7"], "months is 7"),
        (["--lines", "2000", "--truth", "/nowhere/at/all.json"], "no folder /nowhere/at"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("generate", *arguments)
    assert models.Shipment.objects.count() == 0
