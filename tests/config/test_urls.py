"""The addresses of the project itself: health, and the content security policy of each kind of page."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client, override_settings


def directives(client: Client, path: str) -> dict[str, str]:
    """The content security policy of a page, by directive."""
    header = client.get(path)["Content-Security-Policy"]
    return {name: rest for name, _, rest in (part.strip().partition(" ") for part in header.split(";"))}


def test_the_site_is_alive_without_asking_any_server(client: Client) -> None:
    with override_settings(
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "unix:///none"}
        }
    ):
        response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db(transaction=True)
def test_the_site_is_ready_while_database_and_cache_answer(client: Client) -> None:
    response = client.get("/readyz?format=json")

    assert response.status_code == 200
    assert set(response.json().values()) == {"OK"}


@pytest.mark.django_db(transaction=True)
def test_the_site_is_not_ready_without_its_cache(client: Client) -> None:
    gone = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///none/there.sock",
        }
    }

    with override_settings(CACHES=gone):
        response = client.get("/readyz?format=json")

    assert response.status_code == 500


def test_pages_may_run_only_our_own_scripts(client: Client) -> None:
    policy = directives(client, "/healthz")

    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["default-src"] == policy["object-src"] == "'none'"


@pytest.mark.django_db
def test_the_admin_alone_may_evaluate_and_style_inline(client: Client) -> None:
    policy = directives(client, "/admin/login/")

    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["style-src"] == "'self' 'unsafe-inline'"
    assert directives(client, "/administration/")["script-src"] == "'self'"


@pytest.mark.django_db
def test_the_cache_is_shared_between_processes() -> None:
    cache.set("greeting", {"number": 1})

    assert cache.get("greeting") == {"number": 1}
    assert type(cache).__module__ != "django.core.cache.backends.locmem"
