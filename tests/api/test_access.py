"""Who may read, how often, and what an error looks like."""

from __future__ import annotations

import pytest
from django.db import connection


def test_anybody_may_read_unless_the_operator_says_otherwise(api, settings, django_user_model):
    assert api.response("chips/").status_code == 200
    settings.API_ANONYMOUS_READ = False
    assert api.refused("chips/", 403)["code"] == "not_authenticated"
    api.client.force_authenticate(django_user_model.objects.create_user("synthetic-reader"))
    assert api.response("chips/").status_code == 200


def test_a_reader_who_asks_too_often_is_told_when_to_come_back(api, settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"anon": "2/min"}}
    assert [api.response("chips/").status_code for _ in range(3)] == [200, 200, 429]
    response = api.response("chips/")
    assert response.json()["error"]["code"] == "throttled"
    assert 0 < int(response["Retry-After"]) <= 61


def test_exports_have_a_limit_of_their_own(api, settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"export": "1/hour"}}
    assert [api.response("chips/", format="csv").status_code for _ in range(2)] == [200, 429]
    assert api.response("chips/").status_code == 200


@pytest.mark.parametrize("path", ["nowhere/", "chips/synthetic/parts/", "claims/1/2/3/"])
def test_an_address_that_leads_nowhere_is_told_in_one_shape(api, path):
    error = api.refused(path, 404)
    assert error["code"] == "not_found"
    assert "/api/v1/" in error["message"]


def test_a_surprise_is_logged_and_told_without_details(api, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("api.viewsets.parameters.refuse_unknown", broken)
    error = api.refused("chips/", 500)
    assert error["code"] == "server_error"
    assert "secret" not in str(error)
    assert "secret detail" in caplog.text


def test_a_query_that_takes_too_long_is_told_as_such(api, monkeypatch):
    def slow(view):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20")
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr("api.viewsets.Chips.get_queryset", slow)
    error = api.refused("chips/", 503)
    assert error["code"] == "too_slow"
    assert "narrow the filters" in error["message"]


def test_a_format_nobody_offers_is_told_in_one_shape(api):
    assert api.refused("chips/", 404, format="xml")["code"] == "not_found"


def test_a_head_request_answers_without_a_body(api):
    response = api.client.head("/api/v1/chips/")
    assert (response.status_code, response.content) == (200, b"")
