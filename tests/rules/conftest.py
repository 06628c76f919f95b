"""The rule book of the seed files, read once; pure tests need no database for it."""

from pathlib import Path

import pytest
import yaml

from tracker.rules.parameters import RuleBook
from tracker.rules.schema import RuleFiles, rule_files

SEEDS = Path(__file__).resolve().parents[2] / "seeds"


def documents() -> dict:
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted((SEEDS / "rules").glob("*.yaml"))}


def groups() -> dict:
    return yaml.safe_load((SEEDS / "country_groups.yaml").read_text())


@pytest.fixture(scope="session")
def seed_files() -> RuleFiles:
    return rule_files(documents(), groups())


@pytest.fixture(scope="session")
def book(seed_files: RuleFiles) -> RuleBook:
    return seed_files.book
