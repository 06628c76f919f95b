"""The one shape of every error of the API.

``{"error": {"code": "bad_parameter", "message": "a sentence", "fields": {"name": ["a sentence"]}, "detail": {...}}}``; ``fields``
and ``detail`` only where there is something to say.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.utils import OperationalError
from django.http import Http404
from psycopg.errors import QueryCanceled
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from api.renderers import OrjsonRenderer
from tracker.core.errors import BadInput, CannotReconcile

logger = logging.getLogger(__name__)


class BadParameters(exceptions.APIException):
    """Query parameters that cannot be used, each with a sentence; ``known`` are the names that would be understood."""

    status_code = status.HTTP_400_BAD_REQUEST

    def __init__(
        self, fields: dict[str, str], *, code: str = "bad_parameter", known: list[str] | None = None
    ):
        super().__init__(" ".join(fields.values()), code)
        self.fields = {name: [message] for name, message in fields.items()}
        self.known = known


class TooLarge(exceptions.APIException):
    """A body beyond the bound."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


def flat(detail: Any, place: str = "") -> dict[str, list[str]]:
    """What is wrong with the fields of a body, by their place: ``names.3.country``."""
    if isinstance(detail, dict):
        parts = detail.items()
    elif isinstance(detail, list) and any(isinstance(item, dict) for item in detail):
        parts = enumerate(detail)  # type: ignore[assignment]
    else:
        return {place: [str(text) for text in (detail if isinstance(detail, list) else [detail])]}
    found: dict[str, list[str]] = {}
    for name, part in parts:
        if part:
            found |= flat(part, f"{place}.{name}" if place else str(name))
    return found


def body(code: str, message: str, fields: dict[str, Any] | None = None, detail: Any = None) -> dict[str, Any]:
    """The shape itself."""
    error: dict[str, Any] = {"code": code, "message": message}
    if fields:
        error["fields"] = fields
    if detail:
        error["detail"] = detail
    return {"error": error}


def as_response(error: Exception, context: dict[str, Any]) -> Response:
    """Turn whatever a view raised into the one shape; a surprise is logged with its traceback and told without details."""
    request = context.get("request")
    if request is not None:  # a CSV was asked for, perhaps; an error is JSON all the same
        request.accepted_renderer, request.accepted_media_type = OrjsonRenderer(), OrjsonRenderer.media_type
    set_rollback()
    code, content, headers = _told(error)
    return Response(content, status=code, headers=headers)


def _told(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    match error:
        case BadParameters():
            detail = {"known_parameters": error.known} if error.known is not None else None
            return 400, body(str(error.get_codes()), str(error.detail), error.fields, detail), {}
        case exceptions.ValidationError():
            fields = flat(error.detail)
            sentences = [f"{name}: {text}" for name, texts in fields.items() for text in texts]
            return 400, body("bad_parameter", " ".join(sentences), fields), {}
        case BadInput():
            return 400, body("bad_parameter", str(error)), {}
        case CannotReconcile():
            return 503, body("busy", str(error)), {}
        case Http404() | exceptions.NotFound():
            return 404, body("not_found", str(error) or "There is nothing here."), {}
        case PermissionDenied():
            return 403, body("permission_denied", "You may not do this."), {}
        case exceptions.Throttled():
            seconds: float | None = error.wait  # type: ignore[attr-defined]  # the stubs leave it out
            wait = {"Retry-After": str(int(seconds) + 1)} if seconds else {}
            return 429, body("throttled", str(error.detail)), wait
        case exceptions.APIException():
            return error.status_code, body(str(error.get_codes()), str(error.detail)), {}
        case OperationalError() if isinstance(error.__cause__, QueryCanceled):
            return (
                503,
                body(
                    "too_slow", "The answer took too long to find: narrow the filters, or ask for fewer rows."
                ),
                {},
            )
    logger.error("unhandled error in the API", exc_info=error)
    return 500, body("server_error", "Something went wrong on our side; it has been logged."), {}
