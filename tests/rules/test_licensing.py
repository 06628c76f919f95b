"""Licence verdicts: a table of movements, and what unknown facts, lists, notices and families do to them."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.rules.conftest import documents, groups
from tracker.chips.specs import ChipSpec
from tracker.rules.classify import classify
from tracker.rules.licensing import Case, Listing, Notice, Party, common_verdict, item_codes, verdict
from tracker.rules.schema import rule_files

TABLE = yaml.safe_load((Path(__file__).parent / "licensing.yaml").read_text())
BOOK = rule_files(documents(), groups()).book
NVIDIA = ChipSpec(vendor="nvidia", vendor_hq="US", marketed_for_datacenters=True)
CHIPS = {
    "h100": replace(
        NVIDIA, fp8_tflops=1979, die_area_mm2=814, memory_bandwidth_gbs=3350, io_bandwidth_gbs=900
    ),
    "a100": replace(
        NVIDIA, fp16_tflops=312, die_area_mm2=826, memory_bandwidth_gbs=2039, io_bandwidth_gbs=600
    ),
    "a800": replace(
        NVIDIA, fp16_tflops=312, die_area_mm2=826, memory_bandwidth_gbs=2039, io_bandwidth_gbs=400
    ),
    "h20": replace(NVIDIA, fp8_tflops=296, die_area_mm2=814, memory_bandwidth_gbs=4000, io_bandwidth_gbs=900),
    "l40": replace(NVIDIA, fp8_tflops=362, die_area_mm2=608, memory_bandwidth_gbs=864, io_bandwidth_gbs=64),
    "gaming": replace(
        NVIDIA,
        fp8_tflops=660.6,
        die_area_mm2=608,
        memory_bandwidth_gbs=1008,
        io_bandwidth_gbs=64,
        marketed_for_datacenters=False,
    ),
    "unknown": replace(NVIDIA, io_bandwidth_gbs=64, memory_bandwidth_gbs=800),
    "ascend": ChipSpec(vendor="huawei", vendor_hq="CN", fp16_tflops=376, marketed_for_datacenters=True),
    "foreign": ChipSpec(vendor="elsewhere", vendor_hq="GB", fp16_tflops=376, marketed_for_datacenters=True),
}
SINGAPORE = Party("Lion", hq="SG", parent_hqs=("SG",))


def judged(chip, day, origin, destination, *parties, **more):
    rules = BOOK.on(date.fromisoformat(str(day)))
    return verdict(classify(CHIPS[chip], rules), Case(destination, origin, parties, **more), rules)


def people(rows):
    return [
        Party(f"party {i}", hq=hq, parent_hqs=None if parent is None else (parent,))
        for i, (hq, parent) in enumerate(rows, start=1)
    ]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: f"{case['title']} {case['day']}")
def test_a_movement_has_the_answer_of_its_day(case):
    found = judged(
        case["chip"], case["day"], case["from"], case["to"], *people(case.get("parties", [["CN", "CN"]]))
    )
    assert found.answer == case["answer"], found
    assert found.result == case.get("result", found.result)
    assert case.get("policy", "") in found.policy
    assert case.get("missing", "") in "; ".join(found.missing)
    assert bool(found.missing) == (found.answer == "undetermined")


def test_a_verdict_cites_rule_day_and_source():
    found = judged("h100", "2024-06-01", "TW", "CN")
    assert found.rule_ids == ("US-3A090-2023",)
    assert "88 FR 73458" in found.citations[0]
    assert any("in force since 2023-11-17" in reason for reason in found.reasons)
    assert any("15,832.0" in reason for reason in found.reasons)
    assert "https://www.ecfr.gov/current/title-15/part-774" in found.sources


def test_a_listed_end_user_needs_a_licence_for_any_chip_and_the_entry_is_cited():
    entry = Listing("Entity List", "88 FR 71991", "4")
    found = judged("l40", "2024-06-01", "TW", "SG", replace(SINGAPORE, listings=(entry,)))
    assert (found.answer, found.result) == ("required", "LICENCE")
    assert "Entity List: 88 FR 71991" in found.citations
    assert judged("l40", "2024-06-01", "TW", "SG", SINGAPORE).answer == "not_required"


def test_a_list_entry_without_its_day_leaves_the_answer_open():
    unsure = replace(SINGAPORE, listing_question="day on which Lion was put on the Entity List")
    found = judged("l40", "2024-06-01", "TW", "SG", unsure)
    assert (found.answer, found.missing) == (
        "undetermined",
        ("day on which Lion was put on the Entity List",),
    )
    assert judged("h100", "2024-06-01", "TW", "CN", unsure).answer == "required"


def test_class_a_of_unknown_marketing_may_be_either_item():
    rules = BOOK.on(date(2024, 6, 1))
    chip = classify(replace(CHIPS["gaming"], marketed_for_datacenters=None), rules)
    found = verdict(chip, Case("CN", "TW", (), Notice(date(2024, 1, 1), "cleared")), rules)
    assert (chip.level, item_codes(chip, rules.matrix)) == ("a", ("a-datacenter", "a-other"))
    assert (found.answer, found.missing) == ("undetermined", ("chip parameter datacenter_marketed",))


def test_no_day_since_the_first_letters_is_without_its_row():
    for change in BOOK.change_days():
        for day in (change - timedelta(days=1), change):
            if day >= date(2022, 8, 26):
                assert judged("a100", day, "TW", "CN").answer == "required", day


@pytest.mark.parametrize(
    ("day", "answer"),
    [("2025-09-28", "not_required"), ("2025-09-29", "required"), ("2025-11-09", "required"), ("2025-11-10", "not_required"),
     ("2026-11-09", "not_required"), ("2026-11-10", "undetermined")],
)  # fmt: skip
def test_an_affiliate_of_a_listed_party_is_judged_by_the_interval_of_the_day(day, answer):
    found = judged("h20", day, "TW", "SG", replace(SINGAPORE, affiliation="affiliate"))
    assert found.answer == answer
    assert any("Lion: affiliate (US-AFFILIATES-2025 is" in reason for reason in found.reasons)
    if answer == "undetermined":
        assert found.missing == (f"confirmation that US-AFFILIATES-2025 applies on {day}",)


def test_an_unknown_listed_share_matters_only_while_the_rule_does():
    unsure = replace(SINGAPORE, affiliation="ownership not known, red flag")
    assert judged("h20", "2025-10-15", "TW", "SG", unsure).missing == ("shares of listed owners in Lion",)
    assert judged("h20", "2026-03-01", "TW", "SG", unsure).answer == "not_required"


def test_a_notice_in_time_and_cleared_settles_nac():
    def noticed(made_on, answer):
        return judged(
            "gaming", "2024-06-01", "TW", "CN", notice=Notice(made_on and date.fromisoformat(made_on), answer)
        )

    assert noticed("2024-05-07", "cleared").answer == "not_required"
    assert noticed("2024-05-08", "cleared").answer == "required"
    assert noticed("2024-05-07", "").missing == ("answer to the notification of 2024-05-07",)
    assert noticed("2024-05-07", "refused").answer == "required"
    assert "on or before 2024-05-07" in noticed(None, "").missing[0]


def test_approved_entities_in_the_uae_need_none_and_others_do():
    consignee = Party("Consignee", "ultimate consignee", "AE", ("AE",), approved=True)
    user = Party("User", "end user", "US", ("US",), approved=True)
    assert judged("h100", "2026-08-01", "US", "AE", consignee, user).result == "NO_LICENCE"
    assert (
        judged("h100", "2026-08-01", "US", "AE", consignee, replace(user, approved=False)).answer
        == "required"
    )
    assert judged("h100", "2026-08-01", "US", "AE", consignee).answer == "undetermined"
    nac_type = judged("l40", "2026-08-01", "US", "AE", replace(consignee, approved=False), user)
    assert nac_type.missing == ("whether License Exception ACA is open to the UAE since 2026-07-10",)


def test_somebody_who_knows_may_settle_jurisdiction():
    assert judged("foreign", "2025-06-01", "TW", "CN", subject_to_ear=True).answer == "required"
    assert judged("foreign", "2025-06-01", "TW", "CN", subject_to_ear=False).result == "NOT_SUBJECT"


def test_an_origin_that_is_not_recorded_is_an_assumption_and_said_so():
    found = judged("h100", "2024-06-01", "", "CN")
    assert (found.answer, found.assumptions) == (
        "required", ("The country of origin is not recorded; read as a movement across a border.",),
    )  # fmt: skip


def test_every_end_of_an_undetermined_reading_is_shown():
    found = judged("h100", "2024-06-01", "TW", "SG", Party("X", hq="SG"))
    assert {(o.answer, o.supposing[-1]) for o in found.outcomes} == {
        ("required", "hq: yes"),
        ("not_required", "hq: no"),
    }


def test_a_family_has_the_answer_its_members_share():
    members = {name: judged(name, "2024-06-01", "TW", "CN") for name in ("h100", "a100")}
    assert common_verdict(members, date(2024, 6, 1)).answer == "required"


def test_a_family_whose_members_part_names_them():
    members = {name: judged(name, "2024-06-01", "TW", "CN") for name in ("h100", "h20")}
    found = common_verdict(members, date(2024, 6, 1))
    assert (found.answer, found.result, found.level) == ("undetermined", "UNKNOWN", "undetermined")
    assert found.missing == ("which member of the family it is (h100: required; h20: not_required)",)


def test_a_family_without_known_members_is_undetermined():
    found = common_verdict({}, date(2024, 6, 1))
    assert (found.answer, found.missing) == (
        "undetermined",
        ("which member of the family it is (members not known)",),
    )


countries = st.sampled_from(["CN", "HK", "MO", "TW", "SG", "US", "SA", "AE", "RU", "CY", "KH", "DE"])
days = st.dates(date(2022, 6, 1), date(2026, 12, 31))


@given(st.sampled_from(sorted(CHIPS)), days, countries, countries, countries, countries)
def test_hiding_a_headquarters_never_gives_the_opposite_answer(chip, day, origin, destination, hq, parent):
    known = judged(chip, day, origin, destination, Party("X", hq=hq, parent_hqs=(parent,)))
    for party in (Party("X", hq=hq), Party("X", parent_hqs=(parent,)), Party("X")):
        blind = judged(chip, day, origin, destination, party)
        assert blind.answer in ("undetermined", known.answer)
        assert bool(blind.missing) == (blind.answer == "undetermined")


@given(st.sampled_from(sorted(CHIPS)), days, countries, countries)
def test_hiding_the_chip_never_gives_the_opposite_answer(chip, day, origin, destination):
    rules = BOOK.on(day)
    case = Case(destination, origin, (SINGAPORE,))
    blank = ChipSpec(vendor=CHIPS[chip].vendor, vendor_hq=CHIPS[chip].vendor_hq)
    blind = verdict(classify(blank, rules), case, rules)
    assert blind.answer in ("undetermined", verdict(classify(CHIPS[chip], rules), case, rules).answer)
