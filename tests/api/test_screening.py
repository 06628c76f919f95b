"""Asking by POST whether names are on the lists; the base of such questions."""

from __future__ import annotations

from datetime import date

import pytest

from api import base
from tests import factories

ADDRESS = "/api/v1/screening/match"


@pytest.fixture
def listed(db):
    return factories.listed_party(
        "Qoruvex Trading Co., Ltd.",
        "Zubafine",
        source_url="https://example.org/notice",
        removed_on=date(2025, 1, 1),
    )


def ask(api, expect: int = 200, address: str = ADDRESS, **body):
    response = api.client.post(address, body, format="json")
    assert response.status_code == expect, response.content[:800]
    return response.json()


def test_a_name_is_answered_with_candidates_their_score_reasons_and_listing(api, listed):
    answer = ask(api, names=[{"name": "Qoruvex Trading", "country": "CN"}, {"name": "Nobody Whatsoever"}])
    (found,), nothing = (result["candidates"] for result in answer["results"])
    assert nothing == []
    assert (found["band"], found["listing"]["list"], found["listing"]["citation"]) == (
        "match", "Synthetic Entity List", "99 FR 1",
    )  # fmt: skip
    assert found["listing"]["listed_on"] == "2023-10-17"
    assert found["listing"]["source_url"] == "https://example.org/notice"
    assert any(feature["words"] == "both in CN" for feature in found["features"])
    assert api.read(found["listing"]["api_url"].removeprefix("/api/v1/"))["names"][1]["name"] == "Zubafine"
    assert answer["engine"]


def test_an_alias_that_is_asked_counts_and_an_address_with_a_stroke_at_its_end_too(api, listed):
    answer = ask(api, address=f"{ADDRESS}/", names=[{"name": "Other", "aliases": ["zubafine"]}])
    assert answer["results"][0]["candidates"][0]["asked_name"] == "zubafine"


def test_only_listings_of_the_day_are_answered_and_no_more_than_the_limit(api, listed):
    factories.listed_party("Qoruvex Trading Hong Kong")
    names = [{"name": "Qoruvex Trading"}]
    assert len(ask(api, names=names)["results"][0]["candidates"]) == 2
    assert len(ask(api, names=names, limit=1)["results"][0]["candidates"]) == 1
    assert len(ask(api, names=names, on="2026-01-01")["results"][0]["candidates"]) == 1
    assert ask(api, names=names, on="2020-01-01")["results"][0]["candidates"] == []


def test_asking_keeps_nothing(api, listed):
    before = factories.models.ScreeningMatch.objects.count(), factories.models.RecordVersion.objects.count()
    ask(api, names=[{"name": "Qoruvex Trading"}])
    assert (
        factories.models.ScreeningMatch.objects.count(),
        factories.models.RecordVersion.objects.count(),
    ) == before


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({}, "names", "required"),
        ({"names": []}, "names", "at least 1"),
        ({"names": [{"name": "A"}] * 501}, "names", "no more than 500"),
        ({"names": [{"name": "A"}, {"country": "CN"}]}, "names.1.name", "required"),
        ({"names": [{"name": "A", "country": "XX"}]}, "names.0.country", "two-letter ISO code"),
        ({"names": [{"name": "A", "nmae": "B"}]}, "names.0.nmae", "Unknown field; there are: name, aliases"),
        ({"names": [{"name": "A" * 300}]}, "names.0.name", "250"),
        ({"names": [{"name": "A"}], "on": "soon"}, "on", "Date"),
        ({"names": [{"name": "A"}], "limit": 51}, "limit", "50"),
        ({"names": [{"name": "A"}], "colour": 1}, "colour", "Unknown field"),
        ({"names": ["A"]}, "names.0", "Invalid data"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_by_place(api, body, place, said):
    fields = ask(api, 400, **body)["error"]["fields"]
    (told,) = [text for name, texts in fields.items() if name.startswith(place) for text in texts]
    assert said in told


def test_a_body_that_is_no_json_or_too_large_or_of_another_kind_is_refused_in_the_one_shape(api, monkeypatch):
    def code(data: str, kind: str = "application/json") -> tuple[int, str]:
        response = api.client.post(ADDRESS, data, content_type=kind)
        return response.status_code, response.json()["error"]["code"]

    assert code("{") == (400, "parse_error")
    assert code("[]") == (400, "bad_parameter")
    assert code("names=A", "application/x-www-form-urlencoded") == (415, "unsupported_media_type")
    monkeypatch.setattr(base, "LARGEST_QUESTION", 10)
    assert code('{"names": [{"name": "A"}]}') == (413, "too_large")


def test_a_question_is_asked_by_post_alone_and_knows_no_parameters(api):
    for method in ("get", "put", "patch", "delete"):
        assert getattr(api.client, method)(ADDRESS).status_code == 405
    assert api.client.post(f"{ADDRESS}?colour=blue", {"names": []}, format="json").status_code == 400


def test_who_may_read_may_ask_and_a_signed_in_asker_needs_no_token(settings, listed, django_user_model):
    from rest_framework.test import APIClient

    client = APIClient(enforce_csrf_checks=True)
    body = {"names": [{"name": "Qoruvex Trading"}]}
    assert client.post(ADDRESS, body, format="json").status_code == 200
    settings.API_ANONYMOUS_READ = False
    assert client.post(ADDRESS, body, format="json").status_code == 403
    client.force_login(django_user_model.objects.create_user("synthetic-reader"))
    assert client.post(ADDRESS, body, format="json").status_code == 200


def test_questions_have_a_limit_of_their_own(api, settings, listed):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"ask": "1/hour"}}
    ask(api, names=[{"name": "A"}])
    assert ask(api, 429, names=[{"name": "A"}])["error"]["code"] == "throttled"


def test_the_root_names_the_questions(api):
    assert api.read("")["questions"]["screening/match"]["api_url"] == ADDRESS


def test_listed_parties_are_found_by_an_alias_and_filtered_by_list_country_and_day(api, listed):
    factories.listed_party("Somebody Else", countries=["RU"], listed_on=None)
    assert [row["name"] for row in api.rows("listed-parties/", search="zubafine")] == [
        "Qoruvex Trading Co., Ltd."
    ]
    assert [row["name"] for row in api.rows("listed-parties/", countries="RU")] == ["Somebody Else"]
    assert [row["name"] for row in api.rows("listed-parties/", listed_on__isnull="true")] == ["Somebody Else"]
    assert len(api.rows("listed-parties/", screening_list="synthetic-list")) == 2


def test_matches_show_both_sides_their_reasons_and_the_decision_but_no_name_of_staff(api, listed):
    match = factories.screening_match(factories.organization("synthetic-asked"), listed)
    row = api.read(f"screening-matches/{match.pk}/")
    assert (row["organization"]["slug"], row["party"]["name"], row["score"]) == (
        "synthetic-asked", "Qoruvex Trading Co., Ltd.", 0.83,
    )  # fmt: skip
    assert row["features"][0]["words"]
    assert "decided_by" not in row
    assert [found["id"] for found in api.rows("screening-matches/", state="open", score__gte="0.8")] == [
        match.pk
    ]
    assert api.response("screening-matches/", format="csv").status_code == 200
