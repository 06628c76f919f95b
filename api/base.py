"""What every view of the API has in common: throttled, JSON, one shape for errors, and nothing is ever changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import orjson
from rest_framework import status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from api import access, errors
from api.renderers import CsvRenderer, OrjsonRenderer

LARGEST_QUESTION = 2**20
"""Bytes of the body of a question."""


class Reading(APIView):
    """Set here rather than in settings: an API that lets nobody write must not depend on a line elsewhere."""

    authentication_classes: Sequence[type[SessionAuthentication]] = (SessionAuthentication,)
    permission_classes = (access.MayRead,)
    throttle_classes = (access.AnonymousThrottle, access.UserThrottle)
    renderer_classes: Sequence[type[BaseRenderer]] = (OrjsonRenderer, CsvRenderer)
    http_method_names: Sequence[str] = ("get", "head", "options")

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.as_response


class SessionThatOnlyAsks(SessionAuthentication):
    """A session without the check for forged requests: a question changes nothing, so there is nothing to forge."""

    def enforce_csrf(self, request: Any) -> None:
        pass


class QuestionTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"A question may have {LARGEST_QUESTION:,} bytes: ask in parts."
    default_code = "too_large"


class QuestionParser(BaseParser):
    """JSON in UTF-8, of bounded size; no more than that is read, whatever length a client announces."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(LARGEST_QUESTION + 1)
        if len(body) > LARGEST_QUESTION:
            raise QuestionTooLarge
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}.") from error


class Asking(Reading):
    """A question put by POST, because it does not fit an address: JSON in, JSON out, and nothing is kept."""

    authentication_classes = (SessionThatOnlyAsks,)
    parser_classes = (QuestionParser,)
    renderer_classes = (OrjsonRenderer,)
    http_method_names = ("post", "options")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body by its announced length, before any of it is read."""
        super().initial(request, *args, **kwargs)
        announced = str(request.META.get("CONTENT_LENGTH") or "0")
        if announced.isdigit() and int(announced) > LARGEST_QUESTION:
            raise QuestionTooLarge
