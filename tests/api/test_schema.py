"""The OpenAPI description: kept in the repository, complete, and shown without asking another host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from api.questions import QUESTIONS
from api.viewsets import RESOURCES

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(path))
    return path.read_text()


def test_the_description_in_the_repository_is_the_one_the_code_gives(described):
    assert KEPT.read_text() == described, (
        "run: manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml"
    )


def test_every_resource_is_described_with_its_parameters(described):
    paths = yaml.safe_load(described)["paths"]
    for name, view in RESOURCES.items():
        names = {parameter["name"] for parameter in paths[f"/api/v1/{name}/"]["get"]["parameters"]}
        read_by_list = set(view.filterset_class.base_filters) | {"cursor", "page_size", "ordering", "count"}
        assert read_by_list <= names, name
        assert ("known_at" in names) == view.summary()["versioned"], name


def test_only_reading_asking_and_starting_runs_is_described(described):
    for path, methods in yaml.safe_load(described)["paths"].items():
        if path.startswith("/api/"):
            name = path.removeprefix("/api/v1/").rstrip("/")
            expected = {"post"} if name in QUESTIONS or name == "runs/{id}/cancel" else {"get"}
            assert set(methods) == (expected | {"post"} if name == "runs" else expected), path


def test_errors_are_described_in_one_shape(described):
    responses = yaml.safe_load(described)["paths"]["/api/v1/claims/"]["get"]["responses"]
    assert "error" in responses["default"]["content"]["application/json"]["schema"]["properties"]


def test_the_page_of_the_description_holds_nothing_inline_and_nothing_from_elsewhere(client, db):
    response = client.get("/api/v1/docs/")
    page = response.content.decode()
    assert response.status_code == 200
    assert re.findall(r"<style|style=|<script>", page) == []
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    (script,) = re.findall(r'<script src="([^"]*script=[^"]*)"', page)
    assert client.get(script.replace("&amp;", "&"))["Content-Type"].startswith("application/javascript")
    assert "'unsafe" not in response["Content-Security-Policy"]


def test_the_description_is_served(client, db):
    response = client.get("/api/v1/schema/")
    assert response.status_code == 200
    assert "/api/v1/claims/" in yaml.safe_load(response.content)["paths"]
