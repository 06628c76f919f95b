"""Loading lists, screening what changed, deciding, and what the rule checks are told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests import factories
from tests.screening.files import csl_csv, csl_row
from tracker.core.errors import BadInput
from tracker.models import (
    ListedName,
    ListedParty,
    ListEntry,
    ListVersion,
    RecordVersion,
    ScreenedParty,
    ScreeningList,
    ScreeningMatch,
)
from tracker.screening.matching import party
from tracker.screening.querysets import open_questions
from tracker.screening.services import BadList, confirm, load_list, match_names, reject, screen

pytestmark = pytest.mark.django_db

LIST = "Synthetic Screening List"
WHY = "Same address in the register."


def load(*rows, as_of=date(2024, 1, 1), **more):
    return load_list(csl_csv(*rows), LIST, "tester", as_of=as_of, **more)


def real(name: str, **given):
    """An organization that is screened: the generator's are not."""
    return factories.organization(name=name, is_synthetic=False, verification="read", **given)


@pytest.fixture
def qoruvex():
    return real("Qoruvex Trading", country="CN")


@pytest.fixture
def match(qoruvex) -> ScreeningMatch:
    load(csl_row("Qoruvex Trading Co., Ltd."))
    screen("tester")
    return ScreeningMatch.objects.get()


# --- loading ------------------------------------------------------------------------------------------------------------------


def test_a_list_is_loaded_with_its_names_and_the_same_file_again_changes_nothing():
    loaded = load(csl_row("Qoruvex", alt_names="Zubafine; Zubafine Trading"))
    assert loaded.counts["created"] == 1
    assert set(ListedName.objects.values_list("name", "kind")) == {
        ("Qoruvex", "primary"), ("Zubafine", "alias"), ("Zubafine Trading", "alias"),
    }  # fmt: skip
    assert load(csl_row("Qoruvex", alt_names="Zubafine; Zubafine Trading")).version is None
    assert ListVersion.objects.count() == 1
    assert RecordVersion.objects.count() == 0


def test_a_newer_file_changes_what_differs_and_ends_what_it_leaves_out():
    load(csl_row("Qoruvex"), csl_row("Zubafine"), csl_row("Stays"))
    newer = load(csl_row("Qoruvex", alt_names="New Name"), csl_row("Stays"), as_of=date(2024, 6, 1))
    assert {name: newer.counts[name] for name in ("created", "changed", "unchanged", "ended")} == {
        "created": 0, "changed": 1, "unchanged": 1, "ended": 1,
    }  # fmt: skip
    ended = ListedParty.objects.get(name="Zubafine")
    assert ended.removed_on == date(2024, 6, 1)
    assert ListedParty.objects.get(name="Stays").version == 1
    assert ListedParty.objects.get(name="Qoruvex").recorded_by == "tester"


def test_a_party_that_comes_back_stands_again():
    load(csl_row("Qoruvex"), csl_row("Stays"))
    load(csl_row("Stays"), as_of=date(2024, 6, 1))
    load(csl_row("Qoruvex"), csl_row("Stays"), as_of=date(2024, 7, 1))
    assert ListedParty.objects.get(name="Qoruvex").removed_on is None


def test_a_bad_file_says_everything_that_is_wrong_and_changes_nothing():
    load(csl_row("Qoruvex"))
    with pytest.raises(BadList) as refused:
        load(
            csl_row("Zubafine"),
            csl_row("", addresses="x"),
            csl_row("A", start_date="soon"),
            file_name="list.csv",
        )
    assert [problem.line for problem in refused.value.problems] == [3, 4]
    assert "list.csv, line 4, start_date: 'soon'" in str(refused.value)
    assert ListedParty.objects.count() == 1
    assert ListVersion.objects.count() == 1


def test_an_older_file_is_refused():
    load(csl_row("Qoruvex"), as_of=date(2024, 6, 1))
    with pytest.raises(BadInput, match="older file"):
        load(csl_row("Zubafine"), as_of=date(2024, 5, 1))


def test_a_file_that_would_end_many_parties_is_refused_unless_asked_for():
    load(*[csl_row(f"Synthetic {n}") for n in range(40)])
    part = [csl_row(f"Synthetic {n}") for n in range(20)]
    with pytest.raises(BadInput, match="20 of 40 standing parties"):
        load(*part, as_of=date(2024, 2, 1))
    assert load(*part, as_of=date(2024, 2, 1), many_removals=True).counts["ended"] == 20


def test_the_command_loads_a_file_and_says_what_is_wrong_with_another(tmp_path):
    path, out = tmp_path / "list.csv", StringIO()
    path.write_bytes(csl_csv(csl_row("Qoruvex")))
    call_command("load_list", path, "--list", LIST, "--as-of", "2024-01-01", stdout=out)
    assert "as of 2024-01-01 (csl-csv)" in out.getvalue()
    assert ListVersion.objects.get().file_name == "list.csv"
    path.write_text("<html>")
    with pytest.raises(CommandError, match="this is a web page"):
        call_command("load_list", path, "--list", LIST)
    with pytest.raises(CommandError, match="name a file that can be read"):
        call_command("load_list", tmp_path / "nowhere", "--list", LIST)


# --- screening ----------------------------------------------------------------------------------------------------------------


def test_screening_opens_a_match_with_its_score_and_reasons(match, qoruvex):
    assert (match.organization, match.state, match.band) == (qoruvex, "open", "match")
    assert match.score > 0.9
    assert {"spelling", "words", "country"} <= {feature["name"] for feature in match.features}
    assert match.recorded_by == "tester"


def test_what_did_not_change_is_not_screened_again(match):
    again = screen("tester")
    assert (again.organizations, again.parties) == (0, 0)
    assert ScreeningMatch.objects.get().version == match.version
    everything = screen("tester", everything=True)
    assert (everything.organizations, everything.parties, everything.kept) == (1, 1, 1)
    assert ScreeningMatch.objects.get().version == match.version


def test_a_changed_organization_is_screened_against_all_and_a_changed_party_against_all(match, qoruvex):
    real("Zubafine Holdings")
    factories.alias(qoruvex, "Qoruvex International")
    assert screen("tester").organizations == 2
    load(csl_row("Qoruvex Trading Co., Ltd."), csl_row("Zubafine Holdings Ltd"), as_of=date(2024, 2, 1))
    counts = screen("tester")
    assert (counts.organizations, counts.parties, counts.opened) == (0, 1, 1)
    assert ScreenedParty.objects.count() == 2


def test_an_alias_in_another_script_finds_the_party(db):
    load(csl_row("Huawei Technologies Co., Ltd."))
    other = real("Synthetic Name", country="CN")
    factories.alias(other, "华为技术有限公司")
    screen("tester")
    assert ScreeningMatch.objects.get().asked_name == "华为技术有限公司"


def test_aggregates_and_what_the_generator_made_are_not_screened():
    load(csl_row("Qoruvex Trading"))
    factories.organization(name="Qoruvex Trading")
    real("Qoruvex Trading", is_aggregate=True)
    assert screen("tester").organizations == 0
    assert not ScreeningMatch.objects.exists()


def test_a_rejected_pair_comes_back_only_when_one_of_its_sides_changed(match, qoruvex):
    reject(match, "reviewer", "Another firm of that name.")
    screen("tester", everything=True)
    assert ScreeningMatch.objects.get().state == "rejected"
    factories.alias(qoruvex, "Qoruvex Trading Company of Shenzhen")
    assert screen("tester").reopened == 1
    again = ScreeningMatch.objects.get()
    assert (again.state, again.reason, again.decided_by) == ("open", "", "")


def test_a_pair_that_is_no_longer_alike_is_superseded_and_opens_again_if_it_is(match, qoruvex):
    qoruvex.name = "Zubafine"
    qoruvex.save()
    assert screen("tester").superseded == 1
    qoruvex.name = "Qoruvex Trading"
    qoruvex.save()
    screen("tester")
    assert ScreeningMatch.objects.get().state == "open"


def test_a_confirmed_match_stays_confirmed_whatever_is_screened_again(match, qoruvex):
    confirm(match, "reviewer", WHY)
    qoruvex.name = "Zubafine"
    qoruvex.save()
    screen("tester", everything=True)
    assert ScreeningMatch.objects.get().state == "confirmed"


def test_another_engine_screens_again_and_keeps_decisions(match, monkeypatch):
    reject(match, "reviewer", "Another firm of that name.")
    monkeypatch.setattr("tracker.screening.matching.ENGINE", "next")
    assert screen("tester").organizations == 1
    row = ScreeningMatch.objects.get()
    assert (row.engine, row.state) == ("next", "rejected")


def test_the_command_screens_and_counts(match):
    out = StringIO()
    call_command("screen", "--all", stdout=out)
    assert "organizations            1" in out.getvalue()


def test_queries_of_a_screening_do_not_grow_with_the_organizations(django_assert_max_num_queries):
    load(*[csl_row(f"Qoruvex {n} Trading {chr(97 + n)}") for n in range(10)])
    for n in range(30):
        real(f"Qoruvex {n} Trading")
    with django_assert_max_num_queries(40):
        screen("tester")


# --- deciding -----------------------------------------------------------------------------------------------------------------


def test_confirming_writes_a_list_entry_with_day_citation_source_and_who(match, qoruvex):
    confirm(match, "reviewer", WHY)
    entry = ListEntry.objects.get(organization=qoruvex)
    assert (entry.list_name, entry.citation, entry.listed_on, entry.removed_on) == (
        "Entity List", "99 FR 1", date(2023, 10, 17), None,
    )  # fmt: skip
    assert entry.source.url == "https://example.org/list"
    assert f"Screening match {match.pk}" in entry.note
    assert (entry.recorded_by, entry.recorded_reason) == ("reviewer", WHY)
    assert ScreeningMatch.objects.get().list_entry == entry


def test_a_listing_without_a_day_gives_an_entry_without_one(qoruvex):
    load(csl_row("Qoruvex Trading", start_date=""))
    screen("tester")
    confirm(ScreeningMatch.objects.get(), "reviewer", WHY)
    assert ListEntry.objects.get().listed_on is None


def test_an_entry_that_stands_already_is_kept_and_tied_to_the_match(match, qoruvex):
    entry = factories.list_entry(
        qoruvex, list_name="Entity List", listed_on=date(2023, 10, 17), note="by hand"
    )
    row = confirm(match, "reviewer", WHY)
    assert (row.list_entry, row.wrote_entry) == (entry, False)
    assert ListEntry.objects.get().note == "by hand"


def test_when_a_newer_file_ends_the_listing_its_entry_ends_that_day(match, qoruvex):
    confirm(match, "reviewer", WHY)
    load(csl_row("Somebody Else"), as_of=date(2024, 6, 1))
    assert ListEntry.objects.get().removed_on == date(2024, 6, 1)


def test_a_corrected_day_of_the_listing_reaches_the_entry(match):
    confirm(match, "reviewer", WHY)
    load(csl_row("Qoruvex Trading Co., Ltd.", start_date="2023-10-19"), as_of=date(2024, 6, 1))
    assert ListEntry.objects.get().listed_on == date(2023, 10, 19)


@pytest.mark.parametrize("decide", [confirm, reject])
def test_a_decision_needs_a_sentence(match, decide):
    with pytest.raises(BadInput, match="sentence"):
        decide(match, "reviewer", "yes")
    assert ScreeningMatch.objects.get().state == "open"
    assert not ListEntry.objects.exists()


def test_deciding_twice_is_refused_and_a_wrong_confirmation_can_be_taken_back(match):
    confirm(match, "reviewer", WHY)
    with pytest.raises(BadInput, match="confirmed by reviewer already"):
        confirm(match, "second", WHY)
    reject(match, "second", "The register shows another address.")
    assert not ListEntry.objects.exists()
    assert RecordVersion.objects.filter(table_name="tracker_listentry", operation="delete").exists()
    with pytest.raises(BadInput, match="rejected by second already"):
        reject(match, "third", WHY + " Again.")


# --- what the rules are told --------------------------------------------------------------------------------------------------


def test_an_undecided_match_is_a_question_until_it_is_decided_and_as_known_then(match, qoruvex):
    before = timezone.now()
    assert open_questions() == {
        qoruvex.pk: (
            "whether Qoruvex Trading is Qoruvex Trading Co., Ltd. of the Entity List (screening score "
            f"{match.score:.2f}, undecided)"
        )
    }
    reject(match, "reviewer", "Another firm of that name.")
    assert open_questions() == {}
    assert qoruvex.pk in open_questions(before)
    assert open_questions(datetime(2020, 1, 1, tzinfo=UTC)) == {}


def test_names_are_matched_without_keeping_anything_and_for_a_day(match):
    load(csl_row("Stays"), as_of=date(2024, 6, 1))
    asked = [party(0, "Qoruvex Trading"), party(1, "Nobody Whatsoever")]
    found, nothing = match_names(asked)
    assert nothing == []
    assert (found[0].band, found[0].listing["list"], found[0].listing["removed_on"]) == (
        "match", "Entity List", date(2024, 6, 1),
    )  # fmt: skip
    assert match_names(asked, on=date(2024, 1, 1))[0]
    assert match_names(asked, on=date(2020, 1, 1))[0] == []
    assert match_names(asked, on=date(2024, 6, 1))[0] == []
    assert ScreeningMatch.objects.count() == 1


def test_a_list_that_changed_is_asked_anew():
    load(csl_row("Qoruvex Trading"))
    assert match_names([party(0, "Zubafine Holdings")]) == [[]]
    load(csl_row("Qoruvex Trading"), csl_row("Zubafine Holdings"), as_of=date(2024, 2, 1))
    assert match_names([party(0, "Zubafine Holdings")])[0]
    assert ScreeningList.objects.get().name == LIST
