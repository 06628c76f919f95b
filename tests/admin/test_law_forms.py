"""New law needs a form and no code: it is read like a rule file, and what could not be applied comes back in words."""

from __future__ import annotations

import json
from datetime import date

import pytest
from django.urls import reverse

from tests import factories
from tests.admin.forms import filled_in
from tracker.models import CountryGroup, ExportRule, LicenceRequirement, RuleInterval
from tracker.rules.licensing import Case, Party, verdict
from tracker.rules.services import classification, ruleset

pytestmark = pytest.mark.django_db

CLASSES = {
    "classes": [
        {
            "level": "x9",
            "eccn": {"ic": "3A999", "carrier": "4A999"},
            "paragraphs": [{"name": "3A999.a", "when": "tpp >= 5000 and die_area_mm2 > 0"}],
        }
    ]
}


def url(name, page="add", *args):
    return reverse(f"admin:tracker_{name}_{page}", args=args)


def typed_rule(client, **given):
    return filled_in(client, url("exportrule")) | {
        "source": factories.source().pk,
        "citation": "Synthetic Register 9",
        "sources": '["https://example.org/synthetic-source"]',
        "rule_id": "SYNTHETIC-9",
        "title": "SYNTHETIC rule on fast chips",
        "regime": "SYNTHETIC",
        "kind": "classification_and_licence",
        "in_force_0": "2024-01-01",
        "enforcement": "in force",
        "criteria": json.dumps(CLASSES),
        "verification": "synthetic",
    } | given  # fmt: skip


def typed_row(client, **given):
    return filled_in(client, url("licencerequirement")) | {
        "source": factories.source().pk,
        "rule_id": "SYNTHETIC-9",
        "order": "10",
        "words": "Fast chips to Malaysia",
        "in_force_0": "2024-01-01",
        "items": "x9",
        "destinations": "MY",
        "answer": "required",
        "result": "LICENCE",
        "policy": "presumption of denial",
        "verification": "synthetic",
    } | given  # fmt: skip


def saved(response):
    assert response.status_code == 302, response.context["errors"]


def refused(response):
    """The sentences at the form."""
    assert response.status_code == 200
    context = response.context
    words = [str(error) for error in context["errors"]] + list(context["adminform"].form.non_field_errors())
    for formset in context["inline_admin_formsets"]:
        words += [error for form in formset.formset.forms for error in form.non_field_errors()]
    return " ".join(words)


def answer(chip, day):
    rules = ruleset(day)
    party = Party("SYNTHETIC buyer", hq="MY", parent_hqs=("MY",))
    return verdict(classification(chip.slug, day), Case("MY", "US", (party,)), rules)


@pytest.fixture
def rule(reviewer):
    saved(reviewer.post(url("exportrule"), typed_rule(reviewer)))
    return ExportRule.objects.get(rule_id="SYNTHETIC-9")


def test_a_whole_new_rule_with_a_level_of_its_own_is_made_and_stayed_through_forms_alone(reviewer):
    chip = factories.chip()
    day = date(2025, 6, 1)
    assert classification(chip.slug, day).level == "none"

    saved(reviewer.post(url("exportrule"), typed_rule(reviewer)))
    saved(reviewer.post(url("licencerequirement"), typed_row(reviewer)))

    found = classification(chip.slug, day)
    assert (found.level, found.paragraph) == ("x9", "3A999.a")
    first = answer(chip, day)
    assert (first.answer, first.policy, first.rule_ids) == (
        "required",
        "presumption of denial",
        ("SYNTHETIC-9",),
    )

    rule = ExportRule.objects.get(rule_id="SYNTHETIC-9")
    page = url("exportrule", "change", rule.pk)
    stay = {
        "intervals-TOTAL_FORMS": "1",
        "intervals-0-rule": rule.pk,
        "intervals-0-period_0": "2025-05-01",
        "intervals-0-period_1": "2025-08-01",
        "intervals-0-status": "stayed",
        "change_reason": "The court stayed it.",
    }
    saved(reviewer.post(page, filled_in(reviewer, page) | stay))

    assert answer(chip, day).answer == "not_required"
    assert answer(chip, date(2025, 8, 1)).answer == "required"
    told = reviewer.get(url("exportrule", "history", rule.pk)).content.decode()
    assert "The court stayed it." in told
    assert "the-reviewer" in told


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {
                "criteria": '{"classes": [{"level": "a", "paragraphs": [{"name": "x", "when": "tflops > 1"}]}]}'
            },
            "speaks of tflops; known parameters are",
        ),
        ({"criteria": '{"letter": "tpp >= "}'}, "cannot be read as a test"),
        ({"criteria": '{"letters": "tpp >= 1"}'}, "field 'letters' is not known here"),
        ({"criteria": "[1]"}, "write a mapping of fields"),
        ({"savings": '{"aboard_by": "2024-02-01", "until_inclusive": "2024-01-01"}'}, "give two days"),
        ({"supersedes": "SYNTHETIC-NONE"}, "names 'SYNTHETIC-NONE'; no other rule has this id"),
        ({"sources": '{"a": 1}'}, "write a list of texts"),
        ({"in_force_0": "2024-01-01", "in_force_1": "2024-01-01"}, "in force on at least one day"),
        ({"in_force_0": "2024-01-01", "in_force_1": "2023-01-01"}, "must not exceed the end"),
        ({"in_force_0": "31 June 2024"}, "Enter a valid date"),
        ({"criteria": "{not json"}, "Enter a valid JSON"),
    ],
)
def test_a_rule_that_could_not_be_applied_is_refused_with_field_value_and_mend(reviewer, given, words):
    assert words in refused(reviewer.post(url("exportrule"), typed_rule(reviewer, **given)))
    assert not ExportRule.objects.exists()


def test_what_was_typed_comes_back_with_the_refusal(reviewer):
    response = reviewer.post(url("exportrule"), typed_rule(reviewer, criteria='{"letter": "tpp >= "}'))
    assert "tpp &gt;= " in response.content.decode()
    assert "SYNTHETIC rule on fast chips" in response.content.decode()


def test_two_versions_of_a_rule_may_not_overlap(reviewer, rule):
    words = refused(reviewer.post(url("exportrule"), typed_rule(reviewer, in_force_0="2025-01-01")))
    assert "end that one first" in words
    assert ExportRule.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (("2025-01-01", "2025-06-01"), ("2025-05-01", ""), "another status on some of these days"),
        (("2025-01-01", "2025-01-01"), None, "field 'period' holds no day"),
        (("2025-01-01", "2024-01-01"), None, "must not exceed the end"),
    ],
)
def test_impossible_days_of_a_status_come_back_as_a_sentence(reviewer, rule, first, second, words):
    page = url("exportrule", "change", rule.pk)
    data = filled_in(reviewer, page) | {"change_reason": "Stayed."}
    spans = [span for span in (first, second) if span]
    data["intervals-TOTAL_FORMS"] = str(len(spans))
    for index, (start, end) in enumerate(spans):
        data |= {
            f"intervals-{index}-rule": rule.pk,
            f"intervals-{index}-period_0": start,
            f"intervals-{index}-period_1": end,
            f"intervals-{index}-status": "stayed",
        }
    assert words in refused(reviewer.post(page, data))
    assert not RuleInterval.objects.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"items": "zz"}, "field 'items' is 'zz'; choose from none, x9, x9-datacenter, x9-other"),
        ({"destinations": "D:99"}, "'D:99' is neither a country code nor a country group or set"),
        ({"rule_id": "SYNTHETIC-8"}, "field 'rule' is 'SYNTHETIC-8'; no rule has this id"),
        ({"letter": "SYNTHETIC-9"}, "no rule with a letter test has this id"),
        ({"when": "tpp >>> 3"}, "cannot be read as a test"),
        ({"party": "nobody"}, "field 'party' is 'nobody'; choose one of any, hq"),
        ({"movements": "sideways"}, "'sideways' is not known; choose from"),
        ({"lists": "Entity List"}, "only rows with party 'listed' speak of lists"),
        ({"exporter_roles": "baker"}, "'baker' is not known; choose from front_end_fabricator, osat"),
        ({"exception": "SYNTHETIC-8"}, "field 'exception' is 'SYNTHETIC-8'"),
        ({"conditions": '[{"kind": "notice", "words": "told"}]'}, "number of days before export"),
        ({"in_force_1": "2024-01-01"}, "field 'in_force' holds no day"),
    ],
)
def test_a_row_that_could_not_be_applied_is_refused_with_field_value_and_mend(reviewer, rule, given, words):
    response = reviewer.post(url("licencerequirement"), typed_row(reviewer, **given))
    assert words in refused(response)
    assert not LicenceRequirement.objects.exists()


def test_a_mistake_that_stands_elsewhere_is_not_held_against_a_row(reviewer, rule):
    LicenceRequirement.objects.create(
        order=5, in_force=(date(2024, 1, 1), None), rule_id="SYNTHETIC-GONE", result="LICENCE", answer="required",
        words="Rests on nothing", verification="synthetic", source=rule.source,
    )  # fmt: skip
    saved(reviewer.post(url("licencerequirement"), typed_row(reviewer)))


def test_a_level_that_rows_speak_of_cannot_be_taken_out_of_its_rule(reviewer, rule):
    saved(reviewer.post(url("licencerequirement"), typed_row(reviewer)))
    page = url("exportrule", "change", rule.pk)
    data = filled_in(reviewer, page) | {"criteria": "{}", "change_reason": "No longer classed."}
    assert "licence matrix, row 10: field 'items' is 'x9'" in refused(reviewer.post(page, data))
    rule.refresh_from_db()
    assert rule.criteria == CLASSES


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_rule_that_rows_rest_on_is_not_deleted(reviewer, rule, way):
    saved(reviewer.post(url("licencerequirement"), typed_row(reviewer)))
    sent = {"post": "yes", "change_reason": "Not needed."}
    if way == "page":
        response = reviewer.post(url("exportrule", "delete", rule.pk), sent, follow=True)
    else:
        sent |= {"action": "delete_with_reason", "_selected_action": [rule.pk]}
        response = reviewer.post(url("exportrule", "changelist"), sent, follow=True)
    assert "Nothing was deleted: licence matrix, row 10: field &#x27;rule&#x27;" in response.content.decode()
    assert ExportRule.objects.exists()


def test_a_country_group_that_rows_name_is_not_renamed(reviewer, rule):
    group = CountryGroup.objects.create(
        name="D:5", label="Embargoes", source=rule.source, sources=["https://example.org/synthetic-source"]
    )
    saved(reviewer.post(url("licencerequirement"), typed_row(reviewer, destinations="D:5")))
    page = url("countrygroup", "change", group.pk)
    data = filled_in(reviewer, page) | {"name": "D:6", "change_reason": "Renamed."}
    assert "'D:5' is neither a country code" in refused(reviewer.post(page, data))


def test_a_set_may_not_be_put_together_from_itself(reviewer):
    source = factories.source()
    CountryGroup.objects.create(
        name="inner", label="Inner", is_set=True, union=["outer"], source=source, sources=["x"]
    )
    data = filled_in(reviewer, url("countrygroup")) | {
        "source": source.pk, "name": "outer", "label": "Outer", "is_set": "on", "union": "inner", "sources": '["x"]',
    }  # fmt: skip
    assert "set inner: it is put together from itself" in refused(reviewer.post(url("countrygroup"), data))


def test_structured_fields_stand_on_several_lines_and_an_emptied_one_is_empty_not_missing(reviewer, rule):
    page = url("exportrule", "change", rule.pk)
    assert "&quot;level&quot;: &quot;x9&quot;,\n" in reviewer.get(page).content.decode()
    data = filled_in(reviewer, page) | {"more": "", "exceptions": "", "change_reason": "Emptied."}
    saved(reviewer.post(page, data))
    rule.refresh_from_db()
    assert (rule.more, rule.exceptions) == ({}, [])


def test_the_page_of_a_chip_draws_its_class_over_time(analyst, reviewer, rule):
    chip = factories.chip()
    page = analyst.get(url("chip", "change", chip.pk)).content.decode()
    assert 'class="chart"' in page
    assert "tpp 8,000 &gt;= 5,000 TOPS x bits (by +3,000)" in page
    assert f"/chips/{chip.slug}/" in page
