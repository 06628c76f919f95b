"""The admin's front door in a real browser: the strict policy must not break what the theme needs."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_login_page_works_under_its_content_security_policy(browser_page: Any, live_server: Any) -> None:
    browser_page.goto(f"{live_server.url}/admin/")

    assert browser_page.locator("[name=username]").is_visible()
    assert browser_page.evaluate("typeof Alpine") == "object"  # the theme's scripts ran
