"""Starting runs by API, and watching them."""

from __future__ import annotations

import base64

import pytest
from rest_framework.test import APIClient

from tests import factories
from tests.admin.conftest import person
from tracker.models import Claim, Evidence, ReconciliationRun
from tracker.reconciliation import services

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(person("Operator"))
    return client


def ask(client, body=None, key: str | None = None, path="/api/v1/runs/"):
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, body or {}, format="json", headers=headers)


def test_an_operator_starts_a_run_and_is_told_where_to_watch_it(operator, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as queued:
        response = ask(operator)
    run = ReconciliationRun.objects.get()
    assert response.status_code == 202
    assert response["Location"] == f"/api/v1/runs/{run.key}/" == response.json()["api_url"]
    assert (run.requested_by, run.status, len(queued)) == ("the-operator", "queued", 1)

    services.finish_here(run.id)
    told = operator.get(response["Location"]).json()
    shares = run.partitions.count()
    assert told["status"] == "finished"
    assert (told["progress"]["shares_done"], told["progress"]["shares"]) == (shares, shares)
    assert {"stage", "rows", "worked_seconds", "seconds"} <= told["progress"].keys()


def test_a_request_sent_again_with_its_key_starts_one_run(operator, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as queued:
        keys = [ask(operator, key=key).json()["key"] for key in ("first", "first", "second")]
    assert keys[0] == keys[1] != keys[2]
    assert ReconciliationRun.objects.count() == len(queued) == 2
    assert ask(operator, key="no spaces").status_code == 400
    assert ask(operator, key="x" * 101).status_code == 400


def test_the_instant_is_chosen_and_a_wrong_one_is_refused(operator):
    at = factories.run().as_known_at.isoformat()
    assert ask(operator, {"as_known_at": at}).json()["as_known_at"] == at.replace("+00:00", "Z")
    assert "lies ahead" in ask(operator, {"as_known_at": "2999-01-01T00:00:00Z"}).json()["error"]["message"]
    assert "as_known_at" in ask(operator, {"as_known_at": "yesterday"}).json()["error"]["fields"]
    assert "as_of" in ask(operator, {"as_of": "2026-01-01"}).json()["error"]["fields"]


@pytest.mark.parametrize("role", ["Reader", "Analyst", None])
def test_who_may_not_start_runs_is_refused(role):
    client = APIClient()
    if role:
        client.force_authenticate(person(role))
    assert ask(client).status_code == 403
    run = factories.run(status="running")
    assert ask(client, path=f"/api/v1/runs/{run.key}/cancel/").status_code == 403
    assert ReconciliationRun.objects.count() == 1


def test_a_page_of_another_site_starts_no_run_in_the_name_of_who_is_signed_in():
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(person("Operator"), backend="django.contrib.auth.backends.ModelBackend")
    assert ask(client).status_code == 403
    assert not ReconciliationRun.objects.exists()


def test_a_program_gives_name_and_password():
    user = person("Operator")
    user.set_password("a synthetic password")
    user.save()
    client = APIClient(enforce_csrf_checks=True)
    given = base64.b64encode(b"the-operator:a synthetic password").decode()
    client.credentials(HTTP_AUTHORIZATION=f"Basic {given}")
    assert ask(client).status_code == 202


def test_runs_are_started_so_often_and_no_oftener(operator, settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"start": "1/hour"}}
    assert [ask(operator).status_code for _ in range(2)] == [202, 429]
    assert operator.get("/api/v1/runs/").status_code == 200


def test_a_run_is_stopped(operator):
    run = factories.run(status="running")
    response = ask(operator, path=f"/api/v1/runs/{run.key}/cancel/")
    assert (response.status_code, response.json()["status"]) == (202, "cancelled")


def test_a_ledger_that_is_being_written_answers_that_it_is_busy(operator, monkeypatch):
    def busy():
        raise services.CannotReconcile("Another session has been writing; start the run again later.")

    monkeypatch.setattr(services, "settled_instant", busy)
    response = ask(operator)
    assert response.status_code == 503
    assert response.json()["error"] == {
        "code": "busy",
        "message": "Another session has been writing; start the run again later.",
    }


def test_a_run_tells_where_to_look_next(api, world):
    run = factories.run("look-next")
    claim = Claim.objects.get(slug="synthetic-claim")
    row = factories.finding(run, (claim,), sq=0.4, counterpart="look next")
    Evidence.objects.filter(finding=row).update(variance_share=0.5)

    body = api.read("runs/look-next/priorities/")

    (line,) = body["priorities"]
    assert (body["run"], line["kind"], line["variance"]) == ("look-next", "record", 0.005)
    assert line["record_url"].startswith(f"/api/v1/claims/{claim.pk}/?known_at=")
    assert line["reasons"][0]["finding"] == f"/api/v1/findings/{row.pk}/"
    assert api.refused("runs/look-next/priorities/", limit="0")["code"] == "bad_parameter"


def test_a_run_that_has_not_finished_tells_nothing_yet(api, world):
    factories.run("going", status="running", finished_at=None)
    assert "has not finished" in api.refused("runs/going/priorities/", expect=404)["message"]
