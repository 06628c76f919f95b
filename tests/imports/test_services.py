"""Loading: all or nothing, twice is once, and every refusal says what to mend."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tracker.core.errors import BadInput
from tracker.imports import services
from tracker.imports.services import TABLES, load_seeds
from tracker.models import (
    Alias,
    Chip,
    ChipSpecification,
    Claim,
    ClaimConflict,
    DataCenterStatus,
    ExportRule,
    ImportRun,
    Organization,
    RecordVersion,
    Shipment,
    Source,
)

SEEDS = Path(settings.BASE_DIR) / "seeds"

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the real seed files without the rules, to spoil and to mend."""
    for path in SEEDS.glob("*.csv"):
        shutil.copy(path, tmp_path)
    return tmp_path


def edit(folder: Path, file: str, change: Callable[[list[dict[str, str]]], object]) -> None:
    """Rewrite ``file`` after ``change`` has had its rows."""
    path = folder / file
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    columns = list(rows[0])
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def put(folder: Path, file: str, name: str, **cells: str) -> None:
    """Write ``cells`` into the row that ``name`` names."""

    def change(rows: list[dict[str, str]]) -> None:
        (row,) = [row for row in rows if name in (row.get("slug"), row.get("reference"))]
        row.update(cells)

    edit(folder, file, change)


def nothing_is_written() -> bool:
    return (
        not any(table.model._default_manager.exists() for table in TABLES)
        and not RecordVersion.objects.exists()
    )


def test_loading_the_real_seeds_twice_changes_nothing_the_second_time():
    first = load_seeds(SEEDS, "analyst")
    assert first.status == ImportRun.Status.LOADED, list(map(str, first.problems.all()))
    assert ExportRule.objects.exists()
    assert not RecordVersion.objects.exists(), "a first load replaces nothing"
    second = load_seeds(SEEDS, "analyst")
    assert second.status == ImportRun.Status.UNCHANGED
    assert not RecordVersion.objects.exists()
    for table, counts in second.counts.items():
        assert (counts["created"], counts["changed"]) == (0, 0), table
        if table != "rules":
            assert counts["unchanged"] == first.counts[table]["created"], table


def test_every_row_carries_actor_reason_and_batch_and_one_instant(folder):
    run = load_seeds(folder, "analyst", "first load")
    for table in TABLES:
        rows = table.model._default_manager.values_list("recorded_by", "recorded_reason", "recorded_batch")
        assert set(rows) == {("analyst", "first load", run.key)}, table.name
    assert len(set(Claim.objects.values_list("recorded_at", flat=True))) == 1


def test_correcting_one_cell_makes_exactly_one_version_with_batch_and_reason(folder):
    load_seeds(folder, "analyst")
    put(folder, "claims.csv", "gatekeeper-7000", best="7100")
    run = load_seeds(folder, "second analyst", "the page was read again")
    assert run.status == ImportRun.Status.LOADED
    assert run.counts["claims"]["changed"] == 1
    (version,) = RecordVersion.objects.all()
    assert version.row["slug"] == "gatekeeper-7000"
    assert float(version.row["best"]) == 7000
    assert version.superseded_by == "second analyst"
    assert version.superseded_reason == "the page was read again"
    assert version.superseded_batch == run.key
    claim = Claim.objects.get(slug="gatekeeper-7000")
    assert (claim.best, claim.version, claim.recorded_batch) == (7100, 2, run.key)


@pytest.mark.parametrize(
    ("file", "name", "column", "cell", "words"),
    [
        ("claims.csv", "mega-136k", "low", "136,000", "nothing between thousands"),
        ("claims.csv", "mega-136k", "best", "12-15", "low and high"),
        ("claims.csv", "mega-136k", "best", "1e5", "exponent"),
        ("claims.csv", "mega-136k", "best", "1", "is less than low"),
        ("claims.csv", "mega-136k", "unit", "pieces", "write one of: chips"),
        ("claims.csv", "mega-136k", "destination_country", "UK", "ISO 3166-1"),
        ("claims.csv", "mega-136k", "period_end", "31.12.2025", "year-month-day"),
        ("claims.csv", "mega-136k", "period_end", "2020-01-01", "is less than period_start"),
        ("claims.csv", "mega-136k", "grade", "", "the cell is empty"),
        ("claims.csv", "mega-136k", "is_exact", "maybe", "yes or no"),
        ("claims.csv", "mega-136k", "echo_of", "mega-136k", "cannot repeat itself"),
        ("shipments.csv", "mega-136k", "chip", "b200", "exactly one of the two"),
        ("shipments.csv", "mega-136k", "shipped_on_latest", "2022-12-31", "latest day"),
        ("sources.csv", "ciol-2024-10-29", "url", "ciol.com/news", "http://"),
        ("sources.csv", "ciol-2024-10-29", "archive_sha256", "ABC", "64 lower-case"),
        ("data_centers.csv", "colossus-1", "latitude", "135.05972", "more than 90"),
        ("organizations.csv", "huawei", "aliases", "华为|华为", "twice"),
        ("chips.csv", "t4", "ics_per_item", "0", "whole number from 1"),
    ],
)
def test_one_bad_cell_is_named_with_its_mend_and_nothing_is_written(folder, file, name, column, cell, words):
    put(folder, file, name, **{column: cell})
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.REFUSED
    (problem,) = run.problems.all()
    assert (problem.file, problem.column, problem.value) == (file, column, cell)
    assert words in problem.message
    line = (folder / file).read_text(encoding="utf-8").splitlines()[problem.row - 1]
    assert line.startswith(name)
    assert nothing_is_written()


@pytest.mark.parametrize(
    ("file", "name", "column", "cell", "words"),
    [
        ("claims.csv", "mega-136k", "subject", "megasped", "Near matches: megaspeed"),
        ("claims.csv", "mega-136k", "source", "rssgate-2025-12-2", "Near matches: rssgate-2025-12-22"),
        ("claims.csv", "mega-136k", "data_center", "megaspeed-site", "Near matches: megaspeed-sites"),
        ("claims.csv", "mega-86k", "conflicts_with", "mega-136", "Near matches: mega-136k"),
        ("chip_families.csv", "maia-any", "members", "maia-100|maia-20", "Near matches: maia-200"),
        ("shipments.csv", "shreya-1111", "onward_of", "shreya-import", "Near matches: shreya-import-my"),
    ],
)
def test_an_unknown_name_is_refused_with_near_matches(folder, file, name, column, cell, words):
    put(folder, file, name, **{column: cell})
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.REFUSED
    problem = run.problems.get(column=column)
    assert problem.value == cell.split("|")[-1]
    assert words in problem.message
    assert nothing_is_written()


def test_all_problems_of_all_files_are_listed_together(folder):
    put(folder, "claims.csv", "mega-136k", best="many")
    put(folder, "chips.csv", "t4", vendor="nvidai")
    put(folder, "sources.csv", "ciol-2024-10-29", url="nowhere")
    run = load_seeds(folder, "analyst")
    assert {problem.file for problem in run.problems.all()} == {"claims.csv", "chips.csv", "sources.csv"}


def test_a_refused_row_does_not_make_its_name_unknown_to_others(folder):
    put(folder, "organizations.csv", "megaspeed", country="Singapur")
    run = load_seeds(folder, "analyst")
    assert [problem.file for problem in run.problems.all()] == ["organizations.csv"]


def test_a_name_that_stands_twice_is_refused(folder):
    edit(folder, "organizations.csv", lambda rows: rows.append(rows[0] | {"name": "Somebody else"}))
    run = load_seeds(folder, "analyst")
    (problem,) = run.problems.all()
    assert "'nvidia'" in str(problem) or problem.value == "nvidia"
    assert "stands in row 2 already" in problem.message
    assert nothing_is_written()


def test_two_preferred_specifications_of_a_chip_are_refused(folder):
    def second(rows: list[dict[str, str]]) -> None:
        rows.append(rows[0] | {"source": "eto-supply-chain-2026-08"})

    edit(folder, "chip_specifications.csv", second)
    (problem,) = load_seeds(folder, "analyst").problems.all()
    assert problem.column == "rank"


def test_claims_that_echo_each_other_in_a_circle_are_refused(folder):
    put(folder, "claims.csv", "deepseek-50k", echo_of="dc-deepseek-fleet")
    run = load_seeds(folder, "analyst")
    assert {problem.column for problem in run.problems.all()} == {"echo_of"}
    assert nothing_is_written()


def test_what_the_database_alone_can_see_undoes_the_whole_load(folder):
    load_seeds(folder, "analyst")
    versions = RecordVersion.objects.count()
    put(folder, "sources.csv", "ciol-2024-10-29", title="Changed in the same load")

    def another_preferred(rows: list[dict[str, str]]) -> None:
        rows[:] = [rows[0] | {"source": "eto-supply-chain-2026-08"}]

    edit(folder, "chip_specifications.csv", another_preferred)
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.REFUSED
    (problem,) = run.problems.all()
    assert problem.file == "chip_specifications.csv"
    assert "rank 1" in problem.message
    assert not Source.objects.filter(title="Changed in the same load").exists()
    assert RecordVersion.objects.count() == versions


def test_a_load_that_breaks_off_leaves_nothing_half_written(folder, monkeypatch):
    write = services._write

    def break_at_claims(table, rows, ids):
        if table.model is Claim:
            raise RuntimeError("the power went")
        return write(table, rows, ids)

    monkeypatch.setattr(services, "_write", break_at_claims)
    with pytest.raises(RuntimeError, match="the power went"):
        load_seeds(folder, "analyst")
    assert nothing_is_written()
    run = ImportRun.objects.get()
    assert run.status == ImportRun.Status.REFUSED
    assert run.finished_at is not None


def test_wrong_rules_refuse_the_whole_load(folder):
    (folder / "rules").mkdir()
    (folder / "rules" / "broken.yaml").write_text("rules: [", encoding="utf-8")
    (folder / "country_groups.yaml").write_text("{}", encoding="utf-8")
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.REFUSED
    assert run.problems.get().file == "rules"
    assert nothing_is_written()


def test_rows_that_vanish_from_the_files_are_left_alone_and_counted(folder):
    load_seeds(folder, "analyst")
    edit(folder, "shipments.csv", lambda rows: rows.pop())
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.UNCHANGED
    assert run.counts["shipments"]["not in files"] == 1
    assert run.counts["shipment claims"]["not in files"] == 1
    assert Shipment.objects.count() == 9


def test_a_single_file_may_name_what_the_ledger_holds(folder, tmp_path):
    load_seeds(folder, "analyst")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(folder / "claims.csv", alone)
    put(alone, "claims.csv", "gatekeeper-7000", best="7100")
    run = load_seeds(alone, "analyst")
    assert run.status == ImportRun.Status.LOADED
    assert set(run.counts) == {"claims", "claim conflicts"}
    assert RecordVersion.objects.count() == 1


def test_children_are_told_apart_by_their_names(folder):
    load_seeds(folder, "analyst")
    put(folder, "organizations.csv", "huawei", aliases="华为|Huawei Cloud|华为技术有限公司|HUAWEI")
    put(folder, "data_centers.csv", "stargate-uae", status="operational", status_from="2026-06-01")
    run = load_seeds(folder, "analyst")
    assert run.counts["aliases"]["created"] == 1
    assert Alias.objects.filter(organization__slug="huawei").count() == 4
    statuses = DataCenterStatus.objects.filter(data_center__slug="stargate-uae").order_by("valid_from")
    assert [status.status for status in statuses] == ["under construction", "operational"]
    assert not RecordVersion.objects.exists()


def test_an_echo_is_written_after_its_primary_wherever_it_stands(folder):
    edit(folder, "claims.csv", lambda rows: rows.reverse())
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.LOADED
    assert Claim.objects.get(slug="dc-nyocor-yiwu").echo_of.slug == "xj-nyocor-2000"
    assert set(Claim.objects.values_list("version", flat=True)) == {1}


def test_two_specifications_of_a_chip_may_exchange_their_ranks(folder):
    def both(ranks: tuple[str, str]) -> Callable[[list[dict[str, str]]], None]:
        def change(rows: list[dict[str, str]]) -> None:
            rows[:] = [
                rows[0] | {"rank": ranks[0]},
                rows[0] | {"source": "eto-supply-chain-2026-08", "rank": ranks[1]},
            ]

        return change

    edit(folder, "chip_specifications.csv", both(("1", "2")))
    load_seeds(folder, "analyst")
    edit(folder, "chip_specifications.csv", both(("2", "1")))
    run = load_seeds(folder, "analyst")
    assert run.status == ImportRun.Status.LOADED, list(map(str, run.problems.all()))
    preferred = ChipSpecification.objects.get(rank=1)
    assert preferred.source.slug == "eto-supply-chain-2026-08"


def test_a_cell_that_looks_like_a_formula_is_kept_as_text(folder):
    put(folder, "organizations.csv", "nvidia", note="=1+1")
    load_seeds(folder, "analyst")
    assert Organization.objects.get(slug="nvidia").note == "=1+1"


def test_the_queries_do_not_grow_with_the_rows(folder, django_assert_max_num_queries):
    load_seeds(folder, "analyst")
    with django_assert_max_num_queries(5 * len(TABLES)):
        load_seeds(folder, "analyst")


def test_a_file_with_a_name_of_no_seed_file_is_refused(folder):
    (folder / "claim.csv").write_text("slug\n", encoding="utf-8")
    (problem,) = load_seeds(folder, "analyst").problems.all()
    assert problem.file == "claim.csv"
    assert "Near matches: claims.csv" in problem.message


def test_a_folder_without_seed_files_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no seed file"):
        load_seeds(tmp_path, "analyst")
    with pytest.raises(BadInput, match="no such folder"):
        load_seeds(tmp_path / "nowhere", "analyst")


def test_synthetic_rows_are_not_counted_as_missing_from_the_files(folder):
    load_seeds(folder, "analyst")
    Organization.objects.create(slug="synthetic-one", name="Synthetic One", is_synthetic=True)
    assert load_seeds(folder, "analyst").counts["organizations"]["not in files"] == 0


def test_the_command_prints_the_counts(folder, capsys):
    call_command("load_seeds", folder, actor="analyst")
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("claims ")]
    assert line.split()[1:] == [str(Claim.objects.count()), "0", "0", "0"]
    assert ImportRun.objects.get().key in out


def test_the_command_lists_the_problems_and_fails(folder, capsys):
    put(folder, "claims.csv", "mega-136k", best="many")
    with pytest.raises(CommandError, match="1 problems, nothing written"):
        call_command("load_seeds", folder)
    assert "claims.csv row" in capsys.readouterr().err


def test_conflicts_and_references_point_where_the_file_says(folder):
    load_seeds(folder, "analyst")
    assert ClaimConflict.objects.filter(claim__slug="mega-86k", other__slug="mega-136k").exists()
    shipment = Shipment.objects.get(reference="shreya-1111")
    assert shipment.onward_of.reference == "shreya-import-my"
    assert {claim.slug for claim in shipment.claims.all()} == {"shreya-1111", "shreya-998", "shreya-300m"}
    assert Chip.objects.get(slug="h100-sxm5-80gb").vendor.slug == "nvidia"
