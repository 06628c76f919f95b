"""What every view of the API has in common: nothing is written, throttled, JSON, and one shape for errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import orjson
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from api import access, errors, parameters
from api.renderers import CsvRenderer, OrjsonRenderer


class Reading(APIView):
    """Set here rather than in settings: an API that writes nothing must not depend on a line elsewhere."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (access.MayRead,)
    throttle_classes: Sequence[type[BaseThrottle]] = (access.AnonymousThrottle, access.UserThrottle)
    renderer_classes: Sequence[type[BaseRenderer]] = (OrjsonRenderer, CsvRenderer)
    http_method_names: tuple[str, ...] = ("get", "head", "options")

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.as_response


LARGEST_QUESTION = 1024 * 1024
"""Bytes of the body of a question."""


class QuestionParser(BaseParser):
    """JSON of bounded size, read by the same library that writes the answers."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        data = stream.read(LARGEST_QUESTION + 1)
        if len(data) > LARGEST_QUESTION:
            raise errors.TooLarge(f"A question has at most {LARGEST_QUESTION:,} bytes; ask in parts.")
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error}.") from error


class StatelessSession(SessionAuthentication):
    """A signed-in asker needs no CSRF token: a question changes nothing, and only the asker's own page can read the answer."""

    def enforce_csrf(self, request: Request) -> None:
        """Nothing to protect."""


class QuestionSerializer(serializers.Serializer):
    """The body of a question, or a part of it: a field that nobody reads is refused, as a parameter of a list is."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, Mapping) else set()
        if unknown:
            known = ", ".join(self.fields)
            raise ValidationError(
                {str(name): [f"Unknown field; there are: {known}."] for name in sorted(unknown)}
            )
        return super().to_internal_value(data)


class Asking(Reading):
    """A question too long for an address, asked by POST. It is answered from what is known and leaves nothing behind.

    A view names its ``question_class`` and reads the body with :meth:`question`.
    """

    question_class: ClassVar[type[QuestionSerializer]]

    authentication_classes = (StatelessSession,)
    throttle_classes = (access.AnonymousThrottle, access.UserThrottle, access.AskThrottle)
    parser_classes = (QuestionParser,)
    renderer_classes: Sequence[type[BaseRenderer]] = (OrjsonRenderer,)
    http_method_names = ("post", "options")

    def question(self, request: Request) -> dict[str, Any]:
        """The body, checked; what is wrong with it is refused field by field."""
        parameters.refuse_unknown(request, ["format"], versioned=False)
        serializer = self.question_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        return cast("dict[str, Any]", serializer.validated_data)
