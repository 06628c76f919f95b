"""Questions about chips and shipments that need not be in the ledger: answers, refusals and limits."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from api.base import LARGEST_QUESTION
from tests import factories
from tracker import models

H100 = {
    "tpp": 15832,
    "die_area_mm2": 814,
    "datacenter": True,
    "memory_bandwidth_gbs": 3350,
    "vendor_hq": "US",
    "item_form": "sxm",
}
L40 = {"fp8_tflops": 362, "die_area_mm2": 608, "datacenter": True, "vendor_hq": "US", "item_form": "card"}


@pytest.fixture
def ask(api, rules):
    def post(question: Any, expect: int = 200, query: str = "", **headers: Any) -> Any:
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        answer = api.client.post(
            f"/api/v1/rules/evaluate/{query}", body, content_type="application/json", **headers
        )
        assert answer.status_code == expect, answer.content[:2000]
        return answer.json()

    return post


def party(**given: Any) -> dict[str, Any]:
    return {"name": "SYNTHETIC buyer", "role": "end user"} | given


def test_a_described_chip_and_shipment_get_class_and_verdict(ask):
    found = ask({"chip": H100, "on": "2024-06-01", "origin": "US", "destination": "CN", "quantity": 1000})
    assert (found["classification"]["level"], found["classification"]["eccn"]) == ("a", "4A090.a")
    verdict = found["verdict"]
    assert (verdict["answer"], verdict["decision"], verdict["result"]) == ("required", "LICENCE", "LICENCE")
    assert verdict["policy"] == "presumption of denial"
    assert verdict["rule_ids"] == ["US-3A090-2023"]
    assert "Level" not in verdict["reasons"][0]
    assert "tpp >= 4800" in verdict["reasons"][0]
    assert (found["total"]["tpp"], found["total"]["h100_equivalents"]) == (15_832_000, 1000)
    assert len(found["rule_set"]) == 64


def test_headquarters_nobody_gave_leave_the_answer_open_and_are_named(ask):
    question = {"chip": H100, "on": "2025-06-01", "origin": "US", "destination": "DE"}
    verdict = ask(question | {"parties": [party(hq="DE")]})["verdict"]
    assert (verdict["answer"], verdict["decision"]) == ("undetermined", "UNKNOWN")
    assert any("ultimate parent of SYNTHETIC buyer" in missing for missing in verdict["missing"])
    assert len(verdict["outcomes"]) == 2
    owned = ask(question | {"parties": [party(hq="DE", parent_hqs=["CN"])]})["verdict"]
    assert owned["decision"] == "LICENCE"
    free = ask(question | {"parties": [party(hq="DE", parent_hqs=["DE"])]})["verdict"]
    assert free["decision"] == "NO_LICENCE"
    assert "US-AIDIFF-2025 is not enforced on 2025-06-01" in free["dormant"][0]


def test_lists_notices_roles_and_days_aboard_reach_the_rules(ask):
    question = {"chip": L40, "on": "2024-06-01", "origin": "US", "destination": "CN"}
    assert ask(question)["verdict"]["result"] == "NAC"
    cleared = ask(question | {"notice": {"made_on": "2024-05-07", "answer": "cleared"}})["verdict"]
    assert (cleared["answer"], cleared["decision"]) == ("not_required", "EXCEPTION")
    assert (
        ask(question | {"notice": {"made_on": "2024-05-08", "answer": "cleared"}})["verdict"]["answer"]
        == "required"
    )
    listed = {"list_name": "Entity List", "citation": "SYNTHETIC FR 1", "footnote": "4"}
    verdict = ask(question | {"parties": [party(listings=[listed])]})["verdict"]
    assert verdict["rule_ids"] == ["US-EL-FN4"]
    assert "Entity List: SYNTHETIC FR 1" in verdict["citations"]
    macau = {
        "chip": {"tpp": 4992, "io_bandwidth_gbs": 600, "vendor_hq": "US"},
        "on": "2023-02-01",
        "origin": "US",
        "destination": "MO",
    }
    assert ask(macau)["verdict"]["answer"] == "required"
    assert ask(macau | {"aboard_on": "2023-01-16"})["verdict"]["answer"] == "not_required"
    maker = {
        "chip": {"tpp": 100, "process_node_nm": 7, "vendor": "synthetic-vendor", "vendor_hq": "US"},
        "on": "2025-06-01",
        "origin": "TW",
        "destination": "DE",
    }
    assert ask(maker)["verdict"]["answer"] == "not_required"
    assert ask(maker | {"exporter_role": "osat"})["verdict"]["decision"] == "HUMAN_REVIEW"


def test_chips_and_organizations_of_the_ledger_are_named_by_slug(ask):
    vendor = factories.vendor("nvidia", name="NVIDIA Corporation", country="US")
    factories.chip("synthetic-h100", vendor=vendor)
    factories.organization("synthetic-buyer", country="CN")
    question = {
        "chip": "synthetic-h100",
        "on": "2024-06-01",
        "origin": "US",
        "destination": "AE",
        "parties": ["synthetic-buyer"],
    }
    found = ask(question)
    assert found["classification"]["level"] == "a"
    assert (found["verdict"]["decision"], found["verdict"]["policy"]) == ("LICENCE", "presumption of denial")
    letter = {
        "chip": {
            "tpp": 1000,
            "die_area_mm2": 900,
            "datacenter": True,
            "memory_bandwidth_gbs": 4000,
            "vendor": "nvidia",
        }
    }
    assert (
        ask(letter | {"on": "2025-06-01", "origin": "TW", "destination": "CN"})["classification"][
            "shown_level"
        ]
        == "letter"
    )
    assert "no vendor 'who'" in ask({"chip": {"tpp": 1, "vendor": "who"}, "destination": "CN"})["remarks"][0]


def test_a_range_is_carried_through(ask):
    found = ask(
        {
            "chip": {"tpp": {"low": 4700, "high": 4900}, "die_area_mm2": 900, "datacenter": True},
            "on": "2024-06-01",
            "quantity": 2,
        }
    )
    assert (found["classification"]["level"], found["classification"]["missing"]) == ("undetermined", ["tpp"])
    assert found["classification"]["values"]["tpp"] == {"low": 4700, "high": 4900}
    assert found["total"]["tpp"] == {"low": 9400, "high": 9800}
    limit = ask({"chip": {"tpp": {"low": 4800}}, "on": "2024-06-01"})["classification"]
    assert (limit["level"], limit["values"]["tpp"]) == ("a", {"low": 4800, "high": None})


WRONG = {
    "chip": {"tpp": -1, "datacenter": "yes", "speed": 3, "die_area_mm2": 0, "item_form": "thing"},
    "on": "2024-02-30",
    "destination": "cn",
    "parties": [{"role": "friend", "parent_hqs": ["XX"], "listings": [{}]}, 7, "synthetic-nobody"],
    "notice": {"answer": "perhaps"},
    "subject_to_ear": "no",
    "exporter_role": "fab",
    "quantity": "many",
    "purpose": "x",
}


def test_every_wrong_field_is_told_by_name_with_the_mend(ask):
    error = ask(WRONG, 400)["error"]
    assert error["code"] == "bad_parameter"
    assert set(error["fields"]) == {
        "chip.tpp", "chip.datacenter", "chip.speed", "chip.die_area_mm2", "chip.item_form", "on", "destination",
        "parties.0.role", "parties.0.parent_hqs", "parties.0.listings.0.list_name", "parties.1", "notice.answer",
        "subject_to_ear", "exporter_role", "quantity", "purpose",
    }  # fmt: skip
    assert "ISO 3166 code of two capital letters" in error["fields"]["destination"][0]
    assert "there are name, " in error["fields"]["chip.speed"][0]


def test_names_that_the_ledger_does_not_have_are_told_by_field(ask):
    error = ask({"chip": "nothing", "parties": ["nobody"]}, 400)["error"]
    assert set(error["fields"]) == {"chip", "parties.0.organization"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"7",
        b"null",
        b'"x"',
        b'{"chip": NaN}',
        b"\xff",
        b"[" * 5000,
        b'{"chip": {"tpp": 1e999}}',
    ],
)
def test_a_body_that_is_no_question_is_refused_in_the_one_shape(ask, body):
    error = ask(body, 400)["error"]
    assert error["code"] in ("bad_parameter", "parse_error")
    assert error["message"]


def test_a_question_beyond_the_limit_is_refused_unread(ask, api):
    big = b'{"chip": "' + b"x" * LARGEST_QUESTION + b'"}'
    assert ask(big, 413)["error"]["code"] == "too_large"
    assert ask({"chip": "x", "parties": [party()] * 51}, 400)["error"]["fields"]["parties"]


def test_only_json_by_post_is_taken(api):
    assert api.refused("rules/evaluate/", 405)["code"] == "method_not_allowed"
    answer = api.client.post("/api/v1/rules/evaluate/", {"chip": "x"}, format="multipart")
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    for method in ("put", "patch", "delete"):
        assert getattr(api.client, method)("/api/v1/rules/evaluate/").status_code == 405


def test_questions_are_throttled_like_reading(api, ask, settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"anon": "1/min"}}
    ask({"chip": {"tpp": 1}})
    assert ask({"chip": {"tpp": 1}}, 429)["error"]["code"] == "throttled"


def test_an_api_that_is_closed_answers_nobody_but_those_who_signed_in(api, ask, settings, django_user_model):
    settings.API_ANONYMOUS_READ = False
    ask({"chip": {"tpp": 1}}, 403)
    api.client.handler.enforce_csrf_checks = True
    api.client.force_login(django_user_model.objects.create_user("synthetic-reader"))
    ask({"chip": {"tpp": 1}})


def test_organizations_are_the_parties_they_were_on_the_day(ask):
    buyer, parent = (
        factories.organization("synthetic-buyer", country="SG"),
        factories.organization(country="CN"),
    )
    factories.stake(factories.organization(country="SG"), buyer, 100, valid_until=date(2024, 6, 1))
    factories.stake(parent, buyer, 100, valid_from=date(2024, 6, 1))
    question = {"chip": H100, "destination": "SG", "parties": ["synthetic-buyer"]}
    before = ask(question | {"on": "2024-05-31"})["verdict"]
    after = ask(question | {"on": "2024-06-01"})["verdict"]
    assert (before["decision"], after["decision"]) == ("NO_LICENCE", "LICENCE")
    factories.list_entry(buyer, listed_on=date(2024, 5, 1), citation="89 FR 1")
    assert "Entity List: 89 FR 1" in ask(question | {"on": "2024-05-31"})["verdict"]["citations"]


def test_an_open_match_of_screening_is_for_a_person_while_its_listing_stands(ask):
    buyer = factories.organization("synthetic-asked", country="SG")
    factories.stake(factories.organization(country="SG"), buyer, 100)
    factories.screening_match(buyer, factories.listed_party("Synthetic Asked", listed_on=date(2024, 6, 1)))
    question = {"chip": {"tpp": 1000, "die_area_mm2": 500, "datacenter": True, "vendor_hq": "US"}, "destination": "SG",
                "parties": ["synthetic-asked"]}  # fmt: skip
    assert ask(question | {"on": "2024-05-31"})["verdict"]["decision"] == "NO_LICENCE"
    found = ask(question | {"on": "2024-06-01"})["verdict"]
    assert (found["decision"], len(found["for_a_person"])) == ("HUMAN_REVIEW", 1)
    assert "screening score 0.83, undecided" in found["for_a_person"][0]


def test_a_licence_that_is_named_is_held_against_the_shipment(ask):
    chip, other = (
        factories.chip("synthetic-licensed"),
        factories.organization("synthetic-other", country="MY"),
    )
    buyer = factories.organization("synthetic-licensee", country="MY")
    factories.licence("synthetic-licence", ((chip, 500),), consignee=buyer)
    question = {"chip": chip.slug, "destination": "MY", "on": "2025-06-01", "licence": "synthetic-licence"}
    party = {"organization": "synthetic-licensee", "role": "ultimate consignee"}
    found = ask(question | {"parties": [party]})["licence"]
    assert found == {
        "reference": "synthetic-licence", "covers": True, "faults": [], "authorised": 500, "unit": "chips",
    }  # fmt: skip
    wrong = ask(question | {"on": "2026-06-01", "parties": [party | {"organization": other.slug}]})["licence"]
    assert (wrong["covers"], wrong["faults"]) == (False, ["by another party", "after it ended"])
    assert (
        "There is no licence 'nothing'"
        in ask(question | {"licence": "nothing"}, 400)["error"]["fields"]["licence"][0]
    )


def test_a_question_leaves_nothing_behind(ask):
    before = {
        model: model._base_manager.count()
        for model in (models.Chip, models.Organization, models.RecordVersion, models.Shipment)
    }
    ask({"chip": H100, "destination": "CN", "quantity": 10})
    assert {model: model._base_manager.count() for model in before} == before


def test_queries_do_not_grow_with_the_parties(ask):
    for number in range(12):
        factories.organization(f"synthetic-party-{number}", country="DE")

    def count(parties: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            ask(
                {
                    "chip": H100,
                    "destination": "DE",
                    "parties": [f"synthetic-party-{number}" for number in range(parties)],
                }
            )
        return len(queries)

    assert count(12) == count(1) <= 12


def test_a_question_is_answered_by_the_law_as_it_was_known(ask):
    error = ask({"chip": {"tpp": 1}}, 400, "?known_at=2099-01-01")["error"]
    assert "future" in error["fields"]["known_at"][0]
    then = ask({"chip": {"tpp": 1}, "destination": "CN"}, query="?known_at=2020-01-01")
    assert then["known_at"].startswith("2020-01-01")
    assert then["classification"]["derivation"] == []


def test_a_shipment_of_the_ledger_explains_itself_on_its_day_and_on_another(api, rules):
    buyer = factories.organization("synthetic-cn-buyer", country="CN")
    chip = factories.chip("synthetic-moved", vendor=factories.vendor("synthetic-us-vendor", country="US"))
    factories.shipment(
        "synthetic-moved-1", chip=chip, consignee=buyer, origin_country="TW", destination_country="CN",
        shipped_on=date(2024, 6, 1),
    )  # fmt: skip
    found = api.read("shipments/synthetic-moved-1/verdict/")
    assert (found["as_if"], found["verdict"]["decision"], found["verdict"]["rule_ids"]) == (
        None,
        "LICENCE",
        ["US-3A090-2023"],
    )
    assert (
        api.read("shipments/synthetic-moved-1/verdict/", as_if="2022-06-01")["verdict"]["decision"]
        == "NO_LICENCE"
    )
    assert "is no day" in api.refused("shipments/synthetic-moved-1/verdict/", as_if="soon")["message"]
