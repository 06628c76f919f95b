"""What every view of the API has in common: reading only, throttled, JSON, and one shape for errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.renderers import BaseRenderer
from rest_framework.views import APIView

from api import access, errors
from api.renderers import CsvRenderer, OrjsonRenderer


class Reading(APIView):
    """Set here rather than in settings: an API that lets nobody write must not depend on a line elsewhere."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (access.MayRead,)
    throttle_classes = (access.AnonymousThrottle, access.UserThrottle)
    renderer_classes: Sequence[type[BaseRenderer]] = (OrjsonRenderer, CsvRenderer)
    http_method_names = ("get", "head", "options")

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.as_response
