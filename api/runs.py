"""Asking for a run by API: the body, and the key that makes a repeated request harmless."""

from __future__ import annotations

import re
from datetime import datetime
from typing import cast

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from api.base import QuestionSerializer
from api.errors import BadParameters

HEADER = "Idempotency-Key"
KEY = re.compile(r"[!-~]{1,100}")

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Any text of 1 to 100 printable characters without spaces, new for each run that is wanted. The same key from "
    "the same user answers with the run that was started the first time.",
)


class RunRequest(QuestionSerializer):
    """What a run is to read. An empty body asks for a run of everything as it is known now."""

    as_known_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="Read the ledger as known at this instant; now, unless given.",
    )


def asked_instant(request: Request) -> datetime | None:
    """The instant that the body asks for; refused field by field where it is none."""
    serializer = RunRequest(data=request.data or {})
    serializer.is_valid(raise_exception=True)
    return cast("datetime | None", serializer.validated_data.get("as_known_at"))


def idempotency_key(request: Request) -> str:
    """The key of the request; blank where none was given."""
    key = request.headers.get(HEADER, "")
    if key and not KEY.fullmatch(key):
        raise BadParameters({HEADER: f"{HEADER} has 1 to 100 printable characters without spaces."})
    return key
