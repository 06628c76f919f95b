"""What a movement comes to: the five decisions, and what savings, footnotes, presumptions and sleeping law do to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rules.conftest import documents, groups
from tests.rules.test_licensing import BOOK, CHIPS, SINGAPORE, judged
from tracker.rules.classify import classify
from tracker.rules.licensing import DECISIONS, Case, Listing, Notice, Party, common_verdict, verdict
from tracker.rules.schema import rule_files

CHINA = Party("Buyer", hq="CN", parent_hqs=("CN",))


@pytest.mark.parametrize(
    ("chip", "day", "to", "party", "decision", "result"),
    [
        ("h100", "2024-06-01", "CN", CHINA, "LICENCE", "LICENCE"),
        ("h100", "2024-06-01", "SG", SINGAPORE, "NO_LICENCE", "NO_LICENCE_IN_PRACTICE"),
        ("l40", "2024-06-01", "CN", CHINA, "EXCEPTION", "NAC"),
        ("l40", "2024-06-01", "SA", replace(SINGAPORE, hq="SA"), "EXCEPTION", "ACA"),
        ("h100", "2024-06-01", "SG", Party("X", hq="SG"), "UNKNOWN", "UNKNOWN"),
        ("unknown", "2024-06-01", "CN", CHINA, "UNKNOWN", "UNKNOWN"),
        ("ascend", "2025-06-01", "MY", SINGAPORE, "HUMAN_REVIEW", "GENERAL_PROHIBITION_10"),
        ("l40", "2026-08-01", "AE", replace(SINGAPORE, approved=False), "HUMAN_REVIEW", "LICENCE_OR_ACA"),
        ("h100", "2024-06-01", "", CHINA, "UNKNOWN", "UNKNOWN"),
        ("h100", "2024-06-01", "RU", CHINA, "LICENCE", "OTHER_EMBARGO"),
    ],
)
def test_each_decision_has_its_movement(chip, day, to, party, decision, result):
    consignee = replace(party, role="ultimate consignee")
    found = judged(chip, day, "TW", to, consignee, party)
    assert (found.decision, found.result) == (decision, result)


def test_a_notice_that_was_refused_closes_the_exception():
    def noticed(answer):
        return judged("l40", "2024-06-01", "TW", "CN", CHINA, notice=Notice(date(2024, 1, 1), answer))

    assert [(noticed(a).decision, noticed(a).answer) for a in ("", "cleared", "refused")] == [
        ("EXCEPTION", "undetermined"), ("EXCEPTION", "not_required"), ("LICENCE", "required"),
    ]  # fmt: skip


def test_law_that_nobody_confirmed_is_for_a_person_and_an_unknown_owner_is_not():
    affiliate = replace(SINGAPORE, affiliation="affiliate")
    unconfirmed = judged("h20", "2026-11-10", "TW", "SG", affiliate)
    assert (unconfirmed.decision, unconfirmed.for_a_person) == ("HUMAN_REVIEW", unconfirmed.missing)
    unsure = replace(SINGAPORE, affiliation="ownership not known, red flag")
    assert judged("h20", "2025-10-15", "TW", "SG", unsure).decision == "UNKNOWN"


def test_a_screening_match_nobody_decided_is_for_a_person_and_an_entry_without_its_day_is_not():
    undecided = replace(SINGAPORE, screening_question="whether Lion is the listed Lion")
    found = judged("l40", "2024-06-01", "TW", "SG", undecided)
    assert (found.decision, found.for_a_person) == ("HUMAN_REVIEW", ("whether Lion is the listed Lion",))
    undated = replace(SINGAPORE, listing_question="day on which Lion was put on the Entity List")
    assert judged("l40", "2024-06-01", "TW", "SG", undated).decision == "UNKNOWN"


@pytest.mark.parametrize(
    ("footnote", "day", "rule"),
    [
        ("1", "2024-06-01", "US-EL-FN1"),
        ("4", "2024-06-01", "US-EL-FN4"),
        ("4", "2022-10-20", ""),
        ("5", "2024-12-02", "US-EL-FN5"),
        ("5", "2024-12-01", ""),
        ("", "2024-06-01", ""),
    ],
)
def test_a_footnote_is_cited_from_the_day_it_reaches(footnote, day, rule):
    entry = Listing("Entity List", "88 FR 71991", footnote)
    found = judged("h20", day, "TW", "SG", replace(SINGAPORE, listings=(entry,)))
    assert found.decision == "LICENCE"
    assert found.rule_ids == ((rule,) if rule else ())


def test_a_row_of_one_list_passes_over_entries_of_another():
    entry = Listing("MEU List", footnote="4")
    assert judged("h20", "2024-06-01", "TW", "SG", replace(SINGAPORE, listings=(entry,))).rule_ids == ()


def test_goods_aboard_when_macau_was_added_may_finish_their_journey():
    def moved(day, aboard):
        return judged("a100", day, "TW", "MO", CHINA, aboard_on=aboard)

    assert moved("2023-02-15", date(2023, 1, 17)).result == "NO_LICENCE_FOR_CLASS"
    assert moved("2023-02-15", date(2023, 1, 18)).decision == "LICENCE"
    assert moved("2023-02-16", date(2023, 1, 17)).decision == "LICENCE"
    silent = moved("2023-02-15", None)
    assert silent.decision == "LICENCE"
    assert any("savings clause of US-MACAU-2023" in text for text in silent.assumptions)
    assert moved("2023-02-16", None).assumptions == ()


def test_what_sleeping_law_would_say_stays_visible():
    before = judged("h100", "2025-05-14", "TW", "SG", SINGAPORE)
    after = judged("h100", "2025-05-15", "TW", "SG", SINGAPORE)
    assert (before.dormant, after.decision) == ((), "NO_LICENCE")
    assert len(after.dormant) == 1
    assert "US-AIDIFF-2025 is not enforced on 2025-05-15; in force it would say" in after.dormant[0]
    stayed = judged("h20", "2025-11-10", "TW", "SG", replace(SINGAPORE, affiliation="affiliate"))
    assert "US-AFFILIATES-2025 is stayed on 2025-11-10" in stayed.dormant[0]


def test_a_fab_must_presume_and_a_dealer_need_not():
    rules = BOOK.on(date(2025, 6, 1))
    chip = classify(replace(CHIPS["l40"], process_node_nm=5), rules)
    assert [(hit.rule_id, hit.truth) for hit in chip.of_kind("presumption")] == [("US-FDD-2025", True)]

    def shipped(chip, **more):
        return verdict(chip, Case("SG", "TW", (SINGAPORE,), **more), rules)

    assert shipped(chip).decision == "NO_LICENCE"
    fab = shipped(chip, exporter_role="front_end_fabricator")
    assert (fab.decision, fab.result, fab.rule_ids) == ("HUMAN_REVIEW", "PRESUMED_3A090A", ("US-FDD-2025",))
    coarse = classify(replace(CHIPS["l40"], process_node_nm=28), rules)
    assert shipped(coarse, exporter_role="osat").decision == "NO_LICENCE"
    unknown = shipped(classify(CHIPS["l40"], rules), exporter_role="osat")
    assert unknown.decision == "UNKNOWN"
    assert "chip parameter process_node_nm (presumption US-FDD-2025)" in unknown.missing


def test_a_family_decides_only_where_its_members_do():
    day = date(2024, 6, 1)
    members = {name: judged(name, day, "TW", "CN", CHINA) for name in ("h100", "a100", "l40")}
    assert common_verdict({k: members[k] for k in ("h100", "a100")}, day).decision == "LICENCE"
    assert common_verdict(members, day).decision == "UNKNOWN"
    assert common_verdict({}, day).decision == "UNKNOWN"


def test_a_rule_with_a_class_of_its_own_is_only_a_file():
    docs = documents()
    docs["synthetic.yaml"] = {
        "schema": 1,
        "regime": "SYNTHETIC",
        "rules": [
            {
                "id": "SYNTHETIC-BANDWIDTH", "kind": "classification_and_licence", "title": "SYNTHETIC bandwidth class",
                "citation": "SYNTHETIC 1", "effective_from": "2025-01-01", "effective_to_inclusive": None,
                "enforcement": "in force", "sources": ["https://example.org/synthetic"], "verification": "synthetic",
                "criteria": {"classes": [{"level": "d", "eccn": {"ic": "9X999.d"}, "paragraphs": [
                    {"name": "9X999.d", "when": "total_dram_bandwidth_gbs >= 3500"}]}]},
            }
        ],
        "matrix": [
            {
                "order": 9000, "from": "2025-01-01", "to_inclusive": None, "rule": "SYNTHETIC-BANDWIDTH",
                "items": ["d-datacenter"], "destinations": ["SG"], "result": "LICENCE", "answer": "required",
                "words": "SYNTHETIC row", "verification": "synthetic",
            }
        ],
    }  # fmt: skip
    book = rule_files(docs, groups()).book

    def shipped(chip, day):
        rules = book.on(date.fromisoformat(day))
        found = classify(chip, rules)
        return found.level, verdict(found, Case("SG", "TW", (SINGAPORE,)), rules).decision

    h20 = CHIPS["h20"]
    assert shipped(h20, "2024-12-31") == ("none", "NO_LICENCE")
    assert shipped(h20, "2025-01-01") == ("d", "LICENCE")
    assert shipped(replace(h20, marketed_for_datacenters=False), "2025-01-01") == ("d", "NO_LICENCE")
    assert shipped(replace(h20, marketed_for_datacenters=None), "2025-01-01") == ("d", "UNKNOWN")


countries = st.sampled_from(["CN", "HK", "MO", "TW", "SG", "US", "SA", "AE", "RU", "CY", "KH", "DE", ""])


@given(
    st.sampled_from(sorted(CHIPS)), st.dates(date(2022, 6, 1), date(2026, 12, 31)), countries, countries, countries,
    st.sampled_from([(), ("CN",), ("",), None]), st.sampled_from([None, "affiliate", "ownership not known, red flag"]),
)  # fmt: skip
def test_decision_and_answer_never_contradict_one_another(chip, day, origin, to, hq, parents, affiliation):
    found = judged(chip, day, origin, to, Party("X", hq=hq, parent_hqs=parents, affiliation=affiliation))
    assert found.decision in DECISIONS
    allowed = {"required": {"LICENCE"}, "not_required": {"NO_LICENCE", "EXCEPTION", "UNKNOWN"},
               "undetermined": {"EXCEPTION", "UNKNOWN", "HUMAN_REVIEW"}}  # fmt: skip
    assert found.decision in allowed[found.answer]
    assert set(found.for_a_person) <= set(found.missing)
    if found.decision == "HUMAN_REVIEW":
        assert found.for_a_person
