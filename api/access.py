"""Who may read, and how much of it in an hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import AnonRateThrottle, SimpleRateThrottle, UserRateThrottle


class MayRead(BasePermission):
    """Everybody, or with API_ANONYMOUS_READ = False those who have signed in. Starting runs is the one thing that
    writes, and asks for :class:`MayStartRuns`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return getattr(settings, "API_ANONYMOUS_READ", True) or bool(
            request.user and request.user.is_authenticated
        )


class MayStartRuns(BasePermission):
    """Users who may start runs in the admin as well."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.has_perm("tracker.add_reconciliationrun"))


class _Rated(SimpleRateThrottle):
    """Rates as settings have them when asked, ``{"anon": "60/min", ...}``; a scope without a rate is not limited."""

    def get_rate(self) -> str | None:
        return cast("Mapping[str | None, str | None]", api_settings.DEFAULT_THROTTLE_RATES).get(self.scope)


class AnonymousThrottle(_Rated, AnonRateThrottle):
    pass


class UserThrottle(_Rated, UserRateThrottle):
    pass


class AskThrottle(_Rated, UserRateThrottle):
    """Questions asked by POST: one may hold hundreds of names."""

    scope = "ask"


class StartThrottle(_Rated, UserRateThrottle):
    """Runs started and stopped."""

    scope = "start"


class ExportThrottle(_Rated, UserRateThrottle):
    """Whole lists and report files: they cost as much as hundreds of pages."""

    scope = "export"
