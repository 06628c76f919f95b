"""Rule files: every mistake is told with file, rule, field, value and mend; the seed files keep what they were made from."""

import copy
from pathlib import Path

import pytest
import yaml

from tests.rules.conftest import documents, groups
from tracker.core.errors import BadInput
from tracker.rules.schema import rule_files

FACTS = Path(__file__).resolve().parents[3] / "shared" / "facts" / "export_rules.yaml"


def broken(change, **names):
    docs, sets = copy.deepcopy(documents()), copy.deepcopy(groups())
    rules = {rule["id"]: rule for doc in docs.values() for rule in doc.get("rules", ())}
    rows = {row["order"]: row for row in docs["licence_matrix.yaml"]["matrix"]}
    change({"docs": docs, "rules": rules, "rows": rows, "sets": sets})
    with pytest.raises(BadInput) as caught:
        rule_files(docs, sets)
    return str(caught.value)


def test_a_test_that_does_not_parse_names_file_rule_field_and_what_is_allowed():
    def change(f):
        f["rules"]["US-3A090-2023"]["criteria"]["classes"][0]["paragraphs"][0]["when"] = "tpp => 4800"

    text = broken(change)
    assert text.startswith(
        "us_ear.yaml, rule US-3A090-2023, criteria, classes[0], paragraphs[0]: field 'when': 'tpp => 4800'"
    )
    assert "allowed are" in text


def test_an_unknown_parameter_is_told_with_those_there_are():
    def change(f):
        f["rules"]["US-LETTER-2025-04"]["criteria"]["letter"] = "bandwidth > 3"

    assert "speaks of bandwidth; known parameters are chip" in broken(change)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (
            "effective_from",
            "17.11.2023",
            "field 'effective_from' is '17.11.2023'; write a day like 2023-11-17",
        ),
        ("enforcement", "in fource", "choose one of in force, superseded"),
        ("verification", None, "field 'verification' is None; write a text"),
        ("sources", [], "name at least one address"),
        ("citation", 88, "field 'citation' is 88; write a text"),
        ("published_on", 2023, "field 'published_on' is 2023"),
        ("verified_on", "soon", "field 'verified_on' is 'soon'"),
        ("effective_to_inclusive", "2020-01-01", "cannot end"),
    ],
)
def test_a_wrong_field_of_a_rule_is_told(field, value, said):
    text = broken(lambda f: f["rules"]["US-3A090-2023"].update({field: value}))
    assert text.startswith("us_ear.yaml, rule US-3A090-2023")
    assert said in text


def test_a_rule_cannot_supersede_one_that_still_runs():
    text = broken(lambda f: f["rules"]["US-3A090-2023"].update({"supersedes": ["US-GP10-2025"]}))
    assert "it supersedes US-GP10-2025 from 2023-11-17 on, but US-GP10-2025 runs to no end" in text
    text = broken(lambda f: f["rules"]["US-NAC"].update({"supersedes": ["US-NAK"]}))
    assert "field 'supersedes' names 'US-NAK'; no other rule" in text


def test_a_savings_clause_needs_two_days_in_order():
    def clause(**given):
        return broken(lambda f: f["rules"]["US-MACAU-2023"].update({"savings": given}))

    assert "goods under way need a window" in clause(aboard_by="2023-01-17", until_inclusive="2023-01-16")
    assert "goods under way need a window" in clause(aboard_by="2023-01-17")


@pytest.mark.parametrize("level", ["none", "A", "", "a-datacenter"])
def test_a_level_is_a_short_name_and_never_none(level):
    text = broken(lambda f: f["rules"]["US-HBM-2024"]["criteria"]["classes"][0].update({"level": level}))
    assert "us_ear.yaml, rule US-HBM-2024" in text
    assert "field 'level'" in text


@pytest.mark.parametrize(
    ("order", "field", "value", "said"),
    [
        (110, "exception", "US-NAK", "field 'exception' is 'US-NAK'"),
        (110, "presumption", "US-NAC", "field 'presumption' is 'US-NAC'; choose from US-FDD-2025"),
        (110, "footnotes", ["4"], "only rows with party 'listed' speak of lists"),
        (128, "exporter_roles", ["fab"], "choose from front_end_fabricator, osat"),
    ],
)
def test_what_a_row_says_beside_its_place_is_checked(order, field, value, said):
    assert said in broken(lambda f: f["rows"][order].update({field: value}))


def test_a_misspelt_field_is_refused():
    text = broken(lambda f: f["rules"]["US-NAC"].update({"licence_polcy": "x"}))
    assert "us_ear.yaml, rule US-NAC: field 'licence_polcy' is not known here" in text


def test_intervals_of_a_rule_may_not_overlap():
    def change(f):
        f["rules"]["US-AFFILIATES-2025"]["intervals"][1]["from"] = "2025-11-09"

    assert "overlap; a day has one status" in broken(change)


def test_two_versions_of_a_rule_may_not_overlap():
    def change(f):
        twin = dict(f["rules"]["US-NAC"], effective_from="2024-01-01")
        f["docs"]["us_ear.yaml"]["rules"].append(twin)

    assert "rule US-NAC: its versions" in broken(change)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rule", "US-3A090-2032", "no rule has this id"),
        ("letter", "US-NAC", "no rule with a letter test has this id"),
        ("destinations", ["D:9"], "neither a country code nor a country group"),
        ("destinations", [False], "quote the code 'NO' (Norway)"),
        ("items", ["A"], "field 'items' is 'A'; choose from 2022, 2022-datacenter"),
        ("party", "HQ", "choose one of any, hq"),
        ("answer", "maybe", "choose one of required"),
        ("order", "one", "write a whole number"),
    ],
)
def test_a_wrong_field_of_a_matrix_row_is_told(field, value, said):
    assert said in broken(lambda f: f["rows"][110].update({field: value}))


def test_two_rows_of_one_order_are_refused():
    assert "two rows have this order" in broken(lambda f: f["rows"][110].update({"order": 100}))


def test_a_country_that_yaml_read_as_false_is_told():
    def change(f):
        f["sets"]["groups"]["A:5"]["members"][0]["country"] = False

    assert "quote the code 'NO' (Norway)" in broken(change)


def test_a_member_twice_at_the_same_time_is_refused():
    def change(f):
        f["sets"]["groups"]["D:5"]["members"].append({"country": "CN"})

    assert "CN is a member twice" in broken(change)


def test_a_file_that_is_no_rule_file_is_refused():
    assert "x.yaml: not a rule file" in broken(lambda f: f["docs"].update({"x.yaml": ["a"]}))


def test_what_was_not_verified_stays_marked(seed_files):
    marks = {rule.id: rule.verification for rule in seed_files.rules}
    assert marks["JP-SME"] == "from_memory"
    assert marks["US-UAE-2026"].startswith("single_source")
    affiliates = next(rule for rule in seed_files.rules if rule.id == "US-AFFILIATES-2025")
    assert affiliates.intervals[-1].verification.startswith("UNCONFIRMED")


def leaves(value) -> list[str]:
    """Every word and number of a nested value; the names of the fields are not among them."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    return [f"{value:.9g}" if isinstance(value, int | float) else str(value)]


def test_the_seed_files_keep_every_rule_date_mark_and_cap_of_the_reference(seed_files):
    if not FACTS.exists():
        pytest.skip("the reference the seed files were made from is not on this machine")
    ours = {rule.id: rule for rule in seed_files.rules}
    for fact in yaml.safe_load(FACTS.read_text())["rules"]:
        rule = ours.pop(fact["id"])
        assert (fact["effective_from"], fact["effective_to"]) == tuple(
            day and day.isoformat() for day in (rule.period.start, rule.period.last)
        )
        assert (rule.title, rule.citation, rule.verification) == (
            fact["title"],
            fact["citation"],
            fact["verification"],
        )
        ours_say = {leaf for cap in rule.quantity_caps for leaf in leaves(cap.data)}
        for cap in fact["quantity_caps"]:
            name = cap.pop("id", "")
            assert any(own.id.startswith(name) for own in rule.quantity_caps)
            assert set(leaves(cap)) <= ours_say
        assert len(rule.sources) == len(fact["sources"])
    assert not ours
