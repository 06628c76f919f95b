"""Rule files into rows and back: what was loaded is what is applied, and loading twice changes nothing."""

import shutil
from datetime import date

import pytest
import yaml
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateRange

from tests.rules.conftest import SEEDS
from tracker.core.errors import BadInput
from tracker.models import CountryGroupMember, ExportRule, LicenceRequirement, RuleInterval, Source
from tracker.rules.services import load_rules, rulebook, ruleset

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path):
    shutil.copytree(SEEDS / "rules", tmp_path / "rules")
    shutil.copy(SEEDS / "country_groups.yaml", tmp_path)
    return tmp_path / "rules"


def rewrite(path, change):
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def test_what_is_read_back_is_what_the_files_state(book, files):
    load_rules(files)
    for day in (date(2022, 9, 1), date(2024, 6, 1), date(2026, 11, 10)):
        assert ruleset(day).digest == book.on(day).digest
    assert rulebook().change_days() == book.change_days()


def test_loading_twice_changes_nothing(files):
    first = load_rules(files)
    versions = set(ExportRule.objects.values_list("id", "version", "recorded_at"))
    second = load_rules(files)
    assert (second.created, second.updated, second.unchanged) == (0, 0, first.created)
    assert set(ExportRule.objects.values_list("id", "version", "recorded_at")) == versions


def test_a_corrected_rule_is_the_only_row_that_changes(files):
    load_rules(files)
    rewrite(files / "my.yaml", lambda content: content["rules"][0].update(licence_policy="permit"))
    again = load_rules(files)
    assert (again.created, again.updated) == (0, 1)
    rule = ExportRule.objects.get(rule_id="MY-STA-2025")
    assert (rule.licence_policy, rule.version) == ("permit", 2)


def test_the_rules_can_be_read_as_they_were_known_before_a_correction(files):
    load_rules(files)
    before = ExportRule.objects.get(rule_id="US-NAC").recorded_at
    row = LicenceRequirement.objects.order_by("-recorded_at").first()
    settled = max(
        before, row.recorded_at, CountryGroupMember.objects.order_by("-recorded_at").first().recorded_at
    )
    rewrite(
        files / "us_ear.yaml",
        lambda content: next(r for r in content["rules"] if r["id"] == "US-NAC").update(
            title="Corrected title"
        ),
    )
    load_rules(files)
    assert ruleset(date(2024, 6, 1)).rule("US-NAC").title == "Corrected title"
    assert ruleset(date(2024, 6, 1), known_at=settled).rule("US-NAC").title != "Corrected title"


def test_one_mistake_and_nothing_is_written(files):
    rewrite(files / "us_ear.yaml", lambda content: content["rules"][-1].update(enforcement="perhaps"))
    with pytest.raises(BadInput, match=r"us_ear\.yaml, rule US-FDP-AIMW: field 'enforcement' is 'perhaps'"):
        load_rules(files)
    assert not ExportRule.objects.exists()
    assert not Source.objects.exists()


def test_a_file_that_is_not_yaml_is_told_by_name(files):
    (files / "tw.yaml").write_text("rules: [")
    with pytest.raises(BadInput, match=r"tw\.yaml: not readable as YAML"):
        load_rules(files)


def test_an_empty_directory_is_told(tmp_path):
    with pytest.raises(BadInput, match="no rule files"):
        load_rules(tmp_path)


def test_a_rule_that_a_file_dates_into_a_standing_version_is_refused(files):
    load_rules(files)
    rewrite(files / "my.yaml", lambda content: content["rules"][0].update(effective_from=date(2025, 8, 1)))
    with pytest.raises(BadInput, match="rule MY-STA-2025: the file has it from 2025-08-01"):
        load_rules(files)


def test_a_new_version_after_the_end_of_the_old_stands_beside_it(files):
    load_rules(files)

    def change(content):
        old = content["rules"][0]
        new = dict(old, effective_from=date(2026, 1, 1), title="Second version")
        old["effective_to_inclusive"] = date(2025, 12, 31)
        content["rules"].append(new)

    rewrite(files / "my.yaml", change)
    load_rules(files)
    titles = [ruleset(day).rule("MY-STA-2025").title for day in (date(2025, 12, 31), date(2026, 1, 1))]
    assert titles[0] != titles[1] == "Second version"


def test_the_database_refuses_two_versions_of_a_rule_on_one_day(files):
    load_rules(files)
    twin = ExportRule.objects.get(rule_id="US-NAC")
    twin.pk, twin.in_force = None, DateRange(date(2025, 1, 1), None)
    with pytest.raises(IntegrityError, match="exportrule_versions_apart"), transaction.atomic():
        twin.save(force_insert=True)


def test_an_interval_that_moved_in_the_file_moves_in_the_rows(files):
    load_rules(files)

    def change(content):
        rule = next(r for r in content["rules"] if r["id"] == "US-AFFILIATES-2025")
        rule["intervals"][1]["to_inclusive"] = date(2026, 12, 31)
        rule["intervals"][2]["from"] = date(2027, 1, 1)

    rewrite(files / "us_ear.yaml", change)
    load_rules(files)
    rows = RuleInterval.objects.filter(rule__rule_id="US-AFFILIATES-2025")
    assert [(row.period.lower, row.period.upper) for row in rows.order_by("period")][1:] == [
        (date(2025, 11, 10), date(2027, 1, 1)),
        (date(2027, 1, 1), None),
    ]


def test_every_rule_row_and_member_leads_to_a_source(files):
    load_rules(files)
    assert ExportRule.objects.get(rule_id="US-HBM-2024").source.url.startswith("https://www.govinfo.gov/")
    assert ExportRule.objects.get(rule_id="JP-SME").source.verification == "memory"
    assert (
        LicenceRequirement.objects.get(order=110).source
        == ExportRule.objects.get(rule_id="US-3A090-2023").source
    )
    nicaragua = CountryGroupMember.objects.get(group__name="D:5", country="NI")
    assert "2024-05696" in nicaragua.source.url


def test_a_rule_book_takes_five_queries(files, django_assert_num_queries):
    load_rules(files)
    with django_assert_num_queries(5):
        rulebook()
