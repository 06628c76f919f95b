"""What the OpenAPI description says of every resource beyond its serializer and filters."""

from __future__ import annotations

from datetime import date
from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse
from rest_framework.serializers import Serializer

from api.pagination import COUNT_CAP, DEFAULT_SIZE, LARGEST_SIZE
from tracker.provenance.querysets import MOST_ROWS, ROWS

Parameters = list[OpenApiParameter | Serializer | type[Serializer]]

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "fields": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
                "detail": {"type": "object"},
            },
        }
    },
}


def _query(name: str, text: str, kind: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text, **more)


VERSION_PARAMETER = _query("version", "Only this version.", int)


class LedgerSchema(AutoSchema):
    """Adds the parameters that the view itself reads and the shape of errors."""

    def get_override_parameters(self) -> Parameters:
        view: Any = self.view  # a resource, with more to it than any APIView
        parameters: Parameters = []
        if view.versioned and view.action in ("list", "retrieve", "classification"):
            parameters += self.known_at_parameters()
        if view.action == "list":
            offered = [
                name
                for key in view.orderings
                for name in (key.removeprefix("-"), f"-{key.removeprefix('-')}")
            ]
            parameters += [
                _query("cursor", "Position from 'next' of the page before."),
                _query(
                    "page_size", f"Rows of a page, 1 to {LARGEST_SIZE}; {DEFAULT_SIZE} unless given.", int
                ),
                _query("ordering", f"Order of rows; {view.orderings[0]} unless given.", enum=offered),
                _query(
                    "count", f"'capped' counts the rows of the filter, up to {COUNT_CAP:,}.", enum=["capped"]
                ),
            ]
        if view.action == "classification":
            parameters.append(_query("on", "Under the rules of this day; today (UTC) unless given.", date))
        if view.action == "verdict":
            parameters.append(
                _query("as_if", "Judged as if it had left on this day; its own unless given.", date)
            )
        if view.action == "tree":
            parameters += [
                _query(
                    "after", "Show the rows of evidence after this place; from the first unless given.", int
                ),
                _query("limit", f"Rows of evidence shown, 1 to {MOST_ROWS}; {ROWS} unless given.", int),
            ]
        return [*parameters, VERSION_PARAMETER] if view.action == "versions" else parameters

    @staticmethod
    def known_at_parameters() -> Parameters:
        return [
            _query(
                "known_at",
                "Read as known at this instant (2026-03-01T00:00:00Z), or at the end of this day in UTC.",
            )
        ]

    def get_description(self) -> str:  # type: ignore[override]  # as AutoSchema itself overrides it
        return self.view.describe() if hasattr(self.view, "describe") else super().get_description()

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        wrong = OpenApiResponse(ERROR, "Anything that went wrong, in one shape.")
        told = self._get_response_for_code(wrong, "default", ["application/json"])
        return super()._get_response_bodies(direction) | {"default": told}


class StatelessSessionScheme(SessionScheme):
    """The cookie of the session, as for reading."""

    target_class = "api.base.StatelessSession"
    name = "cookieAuthOfQuestions"


class QuestionSchema(LedgerSchema):
    """Of a question asked by POST: its body says all."""

    def get_override_parameters(self) -> Parameters:
        return []


class DiffSchema(LedgerSchema):
    """Of what flips between two sides of the law."""

    def get_override_parameters(self) -> Parameters:
        side = "A day, law, draft:NAME or draft:NAME@DAY"
        return [
            _query("from", f"{side}; law unless given."),
            _query("to", f"{side}.", required=True),
            _query("records", "Which records are judged; real unless given.", enum=["real", "synthetic"]),
            *self.known_at_parameters(),
        ]


class HistorySchema(LedgerSchema):
    """Of the history of any record."""

    def get_override_parameters(self) -> Parameters:
        return [VERSION_PARAMETER]
