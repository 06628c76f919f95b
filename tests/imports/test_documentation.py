"""The pages that explain the files name every file and every column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracker.imports.seedfiles import FILES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", FILES)
def test_the_data_model_lists_the_columns_of_each_file_as_they_are(name):
    page = (ROOT / "docs" / "data-model.md").read_text(encoding="utf-8")
    section = page.split(f"### {name}\n")[1].split("\n### ")[0]
    listed = re.findall(r"^\| `(\w+)`( \*)? \| (.+) \|$", section, re.MULTILINE)
    columns = FILES[name].columns
    assert listed == [(c.name, " *" * c.required, c.meaning.replace("|", "\\|")) for c in columns]


def test_the_readme_of_the_seeds_names_every_file_and_no_other():
    page = (ROOT / "seeds" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\b(\w+\.csv)\b", page)) == set(FILES)
    assert set(FILES) == {path.name for path in (ROOT / "seeds").glob("*.csv")}
