"""JSON by orjson. CSV is streamed past the renderers; its class here only lets a client ask for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from rest_framework.renderers import BaseRenderer


def as_number(value: Any) -> int | float:
    """Decimals of the ledger as JSON numbers: whole ones without a fraction."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def dumps(data: Any) -> bytes:
    return orjson.dumps(data, default=as_number, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # bytes already; JSON is UTF-8 by definition

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else dumps(data)


class CsvRenderer(OrjsonRenderer):
    """Chosen by ``?format=csv`` or ``Accept: text/csv``; lists then answer with a stream (api.export) of their own."""

    media_type = "text/csv"
    format = "csv"
