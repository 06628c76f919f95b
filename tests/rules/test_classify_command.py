"""``manage.py classify``: whole files in, whole files out, and the tables it can be held against."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from io import StringIO
from itertools import islice
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from tests import factories
from tests.rules.conftest import SEEDS
from tracker.rules import table
from tracker.rules.answers import DailyLaw
from tracker.rules.services import load_rules, rule_files

HERE = Path(__file__).parent
FACTS = SEEDS.parents[1] / "shared" / "facts"


@pytest.fixture
def classify(tmp_path):
    """Run the command on a text, bytes or a path; gives the rows it wrote."""

    def run(content, *options, rules=True):
        path = content if isinstance(content, Path) else tmp_path / "in.csv"
        if not isinstance(content, Path):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        run.out, run.stderr, run.stdout = tmp_path / "out.csv", StringIO(), StringIO()
        given = ("--rules", str(SEEDS / "rules")) if rules else ()
        try:
            call_command(
                "classify",
                str(path),
                "--out",
                str(run.out),
                *given,
                *options,
                stdout=run.stdout,
                stderr=run.stderr,
            )
        finally:
            run.left = sorted(path.name for path in tmp_path.iterdir())
        return _rows(run.out)

    return run


def _rows(path: Path) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(StringIO(text), delimiter=table.delimiter(text.splitlines()[0])))


def test_every_boundary_has_its_level_number_and_licence(classify):
    found = classify(HERE / "boundaries.csv")
    assert len(found) > 60
    for row in found:
        answered = (row["level"], row["eccn"], row["licence_to_CN"])
        assert answered == (row["want_level"], row["want_eccn"], row["want_licence"]), (
            row["chip"],
            row["why"],
            row["reason"],
        )


def test_the_chips_worked_by_hand_have_their_levels_through_the_command(classify):
    cases = yaml.safe_load((HERE / "worked_classifications.yaml").read_text())["chips"]
    figures = (*table.RATES, "tpp_published", "die_area_mm2", "memory_bandwidth_gbs", "io_bandwidth_gbs")
    flags = {None: "", True: "yes", False: "no"}
    lines = [",".join((*figures, "datacenter", "item_form", "vendor", "date"))]
    for case in cases:
        spec = case["spec"]
        if spec.get("is_hbm_stack"):
            spec = spec | {"die_area_mm2": spec["package_area_mm2"], "form": "hbm"}
        told = [spec.get(name) for name in figures]
        told += [flags[spec.get("marketed_for_datacenters")], spec.get("form"), case["vendor"], case["day"]]
        lines.append(",".join("" if cell is None else str(cell) for cell in told))
    found = classify("\n".join(lines))
    assert [row["level"] for row in found] == [case["expect"]["level"] for case in cases]


def test_the_thresholds_of_the_classes_hold_through_the_command(classify):
    cases = yaml.safe_load((HERE / "thresholds.yaml").read_text())
    words = {None: "", True: "yes", False: "no"}
    lines = ["chip,tpp,die_area_mm2,datacenter,io_bandwidth_gbs,date"]
    for index, case in enumerate(cases):
        cells = (index, case["tpp"], case.get("area"), words[case["dc"]], case.get("io"), case["day"])
        lines.append(",".join("" if cell is None else str(cell) for cell in cells))
    found = classify("\n".join(lines))
    assert [row["level"] for row in found] == [case["level"] for case in cases]
    columns = {"datacenter_marketed": "datacenter"}
    for row, case in zip(found, cases, strict=True):
        for name in case.get("missing", []):
            assert columns.get(name, name) in row["reason"]


def test_the_vectors_of_the_reference_hold_through_the_command(classify):
    if not FACTS.exists():
        pytest.skip("the reference with the boundary vectors is not on this machine")
    vectors = yaml.safe_load((FACTS / "export_rules.yaml").read_text())["boundary_vectors"]
    lines = ["chip,tpp,die_area_mm2,datacenter,item_form"]
    lines += [
        f"{index},{v['tpp']},{'' if v['die_area_mm2'] is None else v['die_area_mm2']},{'yes' if v['datacenter'] else 'no'},ic"
        for index, v in enumerate(vectors)
    ]
    expected = {None: ("none", ""), "UNKNOWN": ("undetermined", "")}
    found = classify("\n".join(lines), "--date", "2024-06-01")
    assert [(row["level"], row["eccn"]) for row in found] == [
        expected.get(v["eccn"], (str(v["eccn"])[-1], v["eccn"])) for v in vectors
    ]


def test_a_published_table_of_chips_is_read_as_it_stands(classify):
    if not FACTS.exists():
        pytest.skip("the table of chips is not on this machine")
    found = classify(FACTS / "chips.csv", "--date", "2025-06-01")
    with (FACTS / "chips.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["slug"] for row in found] == [row["slug"] for row in csv.DictReader(file)]
    levels = {row["slug"]: row["level"] for row in found}
    print(Counter(levels.values()))
    assert [levels[name] for name in ("h100-sxm5-80gb", "h20-96gb", "l40", "t4", "l4")] == [
        "a",
        "letter",
        "b",
        "none",
        "a",
    ]


def test_columns_are_carried_through_and_rows_keep_their_order(classify):
    found = classify('\ufeffNote;TPP;Chip\r\n"a;""b""";4800;z\r\n\r\nc;100;\r\n;?;=x\r\n')
    assert [list(row.values())[:3] for row in found] == [
        ['a;"b"', "4800", "z"],
        ["c", "100", ""],
        ["", "?", "=x"],
    ]
    assert list(found[0]) == ["Note", "TPP", "Chip", "level", "eccn", "licence_to_CN", "reason"]
    assert [row["level"] for row in found] == ["a", "none", "undetermined"]
    assert "3 rows: a 1, none 1, undetermined 1" in classify.stdout.getvalue()


BAD = "chip,tpp,die_area_mm2,date\nx,4800,0,2024-01-01\ny,4800,814,2024-02-30\nz,100,,\nw,many,-1,\n"


def test_a_file_with_rows_that_cannot_be_read_is_refused_whole_with_all_of_them_listed(classify):
    with pytest.raises(CommandError, match=r"in\.csv: 3 rows cannot be read, nothing written.*--keep-going"):
        classify(BAD)
    said = classify.stderr.getvalue()
    for line in (
        "in.csv, row 2, die_area_mm2: '0' cannot be zero; leave the cell blank",
        "in.csv, row 3, date: '2024-02-30' is a day that does not exist",
        "in.csv, row 5, tpp: 'many' is no number",
        "in.csv, row 5, die_area_mm2: '-1' is negative",
    ):
        assert line in said
    assert classify.left == ["in.csv"]


def test_with_keep_going_the_other_rows_are_answered_and_the_command_ends_badly_all_the_same(classify):
    with pytest.raises(CommandError, match="3 rows could not be read"):
        classify(BAD, "--keep-going")
    found = _rows(classify.out)
    assert [row["level"] for row in found] == ["", "", "none", ""]
    assert found[0]["reason"].startswith("Not read: die_area_mm2: '0' cannot be zero")
    assert found[3]["reason"].count(";") >= 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        ("chip,tpp\nü,1\n".encode("latin-1"), "line 2: byte 0xfc is not UTF-8"),
        ("chip,tpp\nx,1\n".encode("utf-16"), "encoded as UTF-16"),
        (b"chip,tpp\nx,1\x00\n", "line 2: holds a NUL"),
        (b'chip,tpp\n"x,1\n', "check the quotes"),
        (b"chip,vendor\nx,nvidia\n", "no column tells what a chip can do"),
        (b"chip,tpp,level\nx,1,a\n", "--overwrite-columns"),
    ],
)
def test_a_file_that_is_no_table_is_refused_and_nothing_is_written(classify, content, message):
    with pytest.raises(CommandError, match=message):
        classify(content)
    assert classify.left == ["in.csv"]


def test_a_standing_file_is_kept_when_the_new_one_is_refused_and_replaced_whole_when_not(classify, tmp_path):
    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(CommandError):
        classify(BAD)
    assert (tmp_path / "out.csv").read_text() == "before"
    assert len(classify("chip,tpp\nx,1\n")) == 1
    assert classify.left == ["in.csv", "out.csv"]


def test_a_table_may_be_replaced_by_its_answers(classify, tmp_path):
    source = tmp_path / "out.csv"
    source.write_text("chip,tpp,Reason\nx,4800,mine\n")
    found = classify(source, "--overwrite-columns")
    assert list(found[0]) == ["chip", "tpp", "level", "eccn", "licence_to_CN", "reason"]
    assert found[0]["reason"].startswith("Level a")


def test_what_cannot_be_opened_is_told_by_name(classify, tmp_path):
    with pytest.raises(CommandError, match=r"nowhere\.csv: No such file"):
        classify(tmp_path / "nowhere.csv")
    with pytest.raises(CommandError, match="no rule files"):
        classify("tpp\n1\n", "--rules", str(tmp_path))


@pytest.mark.django_db
def test_the_rules_of_the_database_are_used_where_it_holds_some(classify):
    assert classify("chip,tpp,vendor\nx,4800,\n", rules=False)[0]["level"] == "a"
    assert "the database holds none" in classify.stderr.getvalue()
    load_rules(SEEDS / "rules")
    factories.alias(factories.vendor("nvidia", name="NVIDIA Corporation"), "Synthetic Green")
    row = "chip,tpp,memory_bandwidth_gbs,vendor,date\nx,1000,4000,synthetic green,2025-06-01\n"
    assert classify(row, rules=False)[0]["level"] == "letter"
    assert "rules: the database" in classify.stderr.getvalue()


def test_without_any_server_the_files_of_the_checkout_serve(tmp_path):
    (tmp_path / "in.csv").write_text("chip,tpp,vendor\nx,4800,nvidia\n")
    nowhere = {
        "DATABASE_URL": f"postgresql://nobody@/none?host={tmp_path}",
        "REDIS_URL": "redis://localhost:1/0",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "classify", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")],
        cwd=SEEDS.parent, env=os.environ | nowhere | {"TRACKER_NO_BOOTSTRAP": "1"}, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no database of the ledger answers" in done.stderr
    assert _rows(tmp_path / "out.csv")[0]["level"] == "a"


def test_one_row_is_held_at_a_time():
    """An endless table is answered as far as somebody reads it."""
    given = 0

    def lines():
        nonlocal given
        yield "chip,tpp\n"
        while True:
            given += 1
            yield "x,4800\n"

    rows = (row for _, row in table.records(lines(), "t.csv"))
    columns = table.layout(next(rows))
    law = DailyLaw(rule_files(SEEDS / "rules").book)
    answered = table.classified(rows, columns, law, {}, date(2024, 6, 1), table.Tally(), lambda *_: False)
    assert [row[2] for row in islice(answered, 50)] == ["a"] * 50
    assert given <= 51
