"""``manage.py what_if``: a draft held against the ledger at the terminal."""

from __future__ import annotations

import csv
import json
from datetime import date
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests import factories
from tests.api.conftest import rules  # noqa: F401 - a fixture
from tests.rules.conftest import SEEDS
from tracker.core.errors import BadInput
from tracker.models import ExportRule, Organization, RuleDraft
from tracker.rules.services import load_drafts, read_draft, rulebook

ENFORCED = """schema: 1
title: "SYNTHETIC supposition: the framework enforced"
change_rules:
  US-AIDIFF-2025: {enforcement: in force}
"""


def accelerator(slug, **figures):
    maker = Organization.objects.filter(slug="nvidia").first() or factories.vendor("nvidia", country="US")
    chip = factories.chip(slug, vendor=maker, marketed_for_datacenters=True, specified=False)
    fast = {"fp8_tflops": 1979, "fp16_tflops": None, "die_area_mm2": 814, "io_bandwidth_gbs": 900}
    factories.specification(chip, **fast | figures)
    return chip


@pytest.fixture
def ledger(db, rules):  # noqa: F811
    """A line of a fast chip to Singapore, under the rules of the seeds."""
    chip = accelerator("synthetic-h")
    buyer = factories.organization("synthetic-buyer", name="=SYNTHETIC(buyer)", country="SG")
    factories.stake(factories.organization("synthetic-parent", country="SG"), buyer, 100)
    factories.shipment(
        chip=chip, quantity=10, is_exact=True, origin_country="TW", destination_country="SG", consignee=buyer,
        end_user=buyer, shipped_on=date(2025, 6, 1),
    )  # fmt: skip


@pytest.fixture
def what_if(tmp_path, ledger):
    """Run the command on the text of a draft (or none); gives what it printed."""

    def run(text, *options):
        out = StringIO()
        files = []
        if text is not None:
            (tmp_path / "enforced.yaml").write_text(text)
            files = [str(tmp_path / "enforced.yaml")]
        call_command("what_if", *files, "--records", "synthetic", *options, stdout=out)
        return out.getvalue()

    return run


def test_a_file_is_held_against_the_law_and_every_table_is_printed(what_if):
    said = what_if(ENFORCED)
    assert "SYNTHETIC records: the law as it stands against draft enforced.yaml." in said
    assert "1 line from NO_LICENCE: since January 2025" in said
    assert "10 chips, 10 H100-equivalents." in said
    for heading in ("By decision", "By chip", "By consignee", "By destination"):
        assert f"\n{heading}\n" in said
    assert "not law, not a forecast, not legal advice" in said
    assert not RuleDraft.objects.exists(), "nothing is kept unless asked"
    assert ExportRule.objects.get(rule_id="US-AIDIFF-2025").enforcement == "not enforced"


def test_a_day_puts_the_draft_on_it(what_if):
    assert "none comes to another decision" in what_if(ENFORCED, "--from", "2025-04-01", "--to", "2025-04-01")
    assert "1 come to another" in what_if(ENFORCED, "--from", "2025-06-01", "--to", "2025-06-01")


def test_two_days_need_no_draft_and_chips_that_flip_are_printed(what_if):
    said = what_if(None, "--from", "2022-08-25", "--to", "2023-11-17")
    assert "Chips of another level" in said
    assert "synthetic-h" in said


def test_a_draft_is_kept_under_a_name_with_its_history_and_twice_changes_nothing(what_if):
    assert "kept as draft:enforced (version 1)" in what_if(ENFORCED, "--save", "enforced")
    assert "(version 1)" in what_if(ENFORCED, "--save", "enforced")
    row = RuleDraft.objects.get(slug="enforced")
    assert (row.title, row.document) == ("SYNTHETIC supposition: the framework enforced", ENFORCED)
    assert row.recorded_reason == "what_if --save from enforced.yaml"
    assert "draft enforced." in what_if(None, "--draft", "enforced")


def test_files_are_written_whole_and_safe_in_a_spreadsheet(what_if, tmp_path):
    what_if(ENFORCED, "--csv", str(tmp_path / "flips.csv"), "--json", str(tmp_path / "flips.json"))
    with (tmp_path / "flips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (buyer,) = [row for row in rows if row["table"] == "by_consignee"]
    assert buyer["name"] == "'=SYNTHETIC(buyer)"
    assert (float(buyer["h100e_low"]), buyer["lines"], buyer["records"]) == (10, "1", "synthetic")
    kept = json.loads((tmp_path / "flips.json").read_text())
    assert (kept["judged"], kept["changed"], kept["after"]["label"]) == (1, 1, "draft:enforced.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["enforced.yaml", "flips.csv", "flips.json"]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("schema: 1\ntitle: x\nchange_rules: {US-NAC: {enforcement: maybe}}\n", (),
         "enforced.yaml, rule US-NAC: field 'enforcement' is 'maybe'; choose one of"),
        ("schema: 1\ntitle: [\n", (), "enforced.yaml: not readable as YAML"),
        ("schema: 1\ntitle: &a x\nsummary: *a\n", (), "*a refers to another place; write out what it stands for"),
        ("schema: 1\ntitle: x\nrules: " + "[" * 5000 + "]" * 5000, (), "inside one another more than 30 deep"),
        ("schema: 1\ntitle: x\nleave: 2026-02-30\n", (), "not readable as YAML: day is out of range"),
        ("#" * 200_001, (), "200,001 characters; a draft has at most 200,000"),
        (f"schema: 1\ntitle: {'x' * 201}\n", (), "field 'title' has 201 characters"),
        (ENFORCED, ("--to", "law"), "it names the day the draft is asked for"),
        (ENFORCED, ("--to", "someday"), "'someday' is no side of a comparison"),
        (ENFORCED, ("--save", "a name"), "'a name' is no name of a draft"),
        (None, (), "name a draft (FILE or --draft NAME) or the second side"),
        (None, ("--draft", "none"), "there is no draft of rules 'none'"),
        (None, ("--to", "law"), "nothing can flip"),
        (None, ("--to", "2024-01-01", "--save", "x"), "--save keeps the draft of a file"),
        (None, ("--to", "2024-01-01", "--csv", "/nowhere/flips.csv"), "No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told_with_place_and_mend(what_if, text, options, words):
    with pytest.raises(CommandError) as caught:
        what_if(text, *options)
    assert words in str(caught.value)
    assert caught.value.returncode == 1
    assert not RuleDraft.objects.exists()


def test_the_drafts_of_the_seeds_say_that_they_are_no_law_and_load_twice_without_a_change(ledger):
    first = load_drafts(SEEDS / "drafts")
    assert first.created == len(list((SEEDS / "drafts").glob("*.yaml"))) == 4
    second = load_drafts(SEEDS / "drafts")
    assert (second.created, second.updated, second.unchanged) == (0, 0, 4)
    book = rulebook()
    for row in RuleDraft.objects.select_related("source"):
        assert "not law" in row.title
        assert row.source.url.startswith("https://")
        assert read_draft(row.document, row.slug, book).book.digest != book.digest, row.slug
    assert "Introduced, not law" in RuleDraft.objects.get(slug="safe-chips-act-s3374").title


def test_a_broken_draft_among_the_seeds_keeps_all_of_them_out(ledger, tmp_path):
    (tmp_path / "a.yaml").write_text(ENFORCED)
    (tmp_path / "b.yaml").write_text("schema: 2\n")
    with pytest.raises(BadInput, match=r"b\.yaml: not a draft of rules"):
        load_drafts(tmp_path)
    assert not RuleDraft.objects.exists()


@pytest.fixture
def cases(ledger):
    """Beside the line to Singapore: a chip with much bandwidth to China, and a buyer half owned by a listed firm."""
    wide = accelerator("synthetic-wide", memory_bandwidth_gbs=4800)
    factories.shipment(
        chip=wide,
        quantity=20,
        is_exact=True,
        origin_country="TW",
        destination_country="CN",
        shipped_on=date(2026, 1, 1),
    )
    listed = factories.organization("synthetic-listed", country="SG")
    factories.list_entry(listed, listed_on=date(2023, 6, 1))
    affiliate = factories.organization("synthetic-affiliate", country="SG")
    factories.stake(listed, affiliate, 50)
    factories.stake(factories.organization("synthetic-other-half", country="SG"), affiliate, 50)
    slow = accelerator(
        "synthetic-slow", fp8_tflops=50, fp16_tflops=25, io_bandwidth_gbs=32, memory_bandwidth_gbs=300
    )
    factories.shipment(
        chip=slow, quantity=30, is_exact=True, origin_country="TW", destination_country="SG", consignee=affiliate,
        end_user=affiliate, shipped_on=date(2026, 1, 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("draft", "day", "words"),
    [
        ("ai-diffusion-enforced", "2025-06-01", "1 line from NO_LICENCE: since January 2025"),
        ("safe-chips-act-s3374", "2026-01-01", "to LICENCE: denial (S. 3374, introduced, not law): 20 chips"),
        ("affiliates-confirmed", "2026-11-20", "1 line from HUMAN_REVIEW to LICENCE: policy of the listed owner: 30 chips"),
        ("affiliates-stay-extended", "2026-11-20", "1 line from HUMAN_REVIEW to NO_LICENCE: 30 chips"),
    ],
)  # fmt: skip
def test_a_draft_of_the_seeds_does_what_its_title_says(what_if, cases, draft, day, words):
    load_drafts(SEEDS / "drafts")
    said = what_if(None, "--draft", draft, "--from", day, "--to", day)
    assert "Of 3 lines judged" in said
    assert words in said
