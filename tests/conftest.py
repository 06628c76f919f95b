"""What every test may use. The servers are started by config.testing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test.utils import override_settings
from hypothesis import HealthCheck
from hypothesis import settings as drawing

from config import embedded

# How fast examples are drawn says something of the machine and what else it does, and nothing of the code.
drawing.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
drawing.load_profile("unhurried")

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
]


def no_browser() -> str:
    """Why the browser tests cannot run here; empty where they can."""
    if not shutil.which("chromium"):
        return "there is no chromium on this machine"
    if not importlib.util.find_spec("playwright"):
        return "playwright is not installed (python3 manage.py check_all installs it)"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: their event loop stays in this thread, and Django would take other tests for asynchronous."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if reason := no_browser():
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _cheap_logins() -> Iterator[None]:
    """Passwords hash fast, and no login is locked out. Of several test processes each has a cache of its own to empty."""
    changed: dict[str, Any] = {
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "AXES_ENABLED": False,
    }
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and not os.environ.get("REDIS_URL"):
        place = {"LOCATION": embedded.redis_url(2 + int(worker.removeprefix("gw")))}
        changed["CACHES"] = {"default": settings.CACHES["default"] | place}
    with override_settings(**changed):
        yield


@pytest.fixture(autouse=True)
def _empty_cache(request: pytest.FixtureRequest) -> None:
    """Tests that may use the database start with an empty cache, so that no rate limit is carried over."""
    if request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & set(request.fixturenames):
        from django.core.cache import cache

        cache.clear()


@pytest.fixture(scope="session")
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv(
            "DJANGO_ALLOW_ASYNC_UNSAFE", "1"
        )  # playwright runs an event loop; the tests are synchronous all the same
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browser_page(_browser: Any) -> Iterator[Any]:
    """A fresh browser page. The test fails if the page asked another host or wrote an error to its console."""
    context = _browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    outside: list[str] = []
    errors: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith(("http://localhost:", "http://127.0.0.1:", "data:", "blob:")):
            outside.append(request.url)

    page.on("request", note_request)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert outside == [], "the page asked other hosts"
    assert errors == [], "the page wrote errors to its console"
