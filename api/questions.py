"""Questions asked by POST, which are answered and forgotten."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Asking, QuestionSerializer
from api.judgements import Evaluate
from api.schema import QuestionSchema
from tracker.core.countries import COUNTRIES
from tracker.screening.matching import ENGINE, party
from tracker.screening.services import MOST_CANDIDATES, match_names

MOST_NAMES = 500
MOST_ALIASES = 20


def _known_country(code: str) -> None:
    if code and code not in COUNTRIES:
        raise serializers.ValidationError(
            "A country is a two-letter ISO code in capitals, such as MY; leave it out if not known."
        )


class AskedName(QuestionSerializer):
    name = serializers.CharField(max_length=250, help_text="In any script.")
    aliases = serializers.ListField(
        child=serializers.CharField(max_length=250),
        max_length=MOST_ALIASES,
        required=False,
        help_text="Other names.",
    )
    country = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2,
        validators=[_known_country],
        help_text="ISO 3166-1 alpha-2 code.",
    )
    identifiers = serializers.ListField(
        child=serializers.CharField(max_length=80),
        max_length=MOST_ALIASES,
        required=False,
        help_text="Registration numbers.",
    )


class NamesQuestion(QuestionSerializer):
    names = AskedName(
        many=True,
        min_length=1,  # type: ignore[call-arg]  # of the list, to which many=True hands it on
        max_length=MOST_NAMES,
        help_text=f"At most {MOST_NAMES}.",
    )
    on = serializers.DateField(
        required=False, allow_null=True, help_text="Only listings of this day; all, if left out."
    )
    limit = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_CANDIDATES,
        default=5,
        help_text="Candidates for each name.",
    )


class FeatureAnswer(serializers.Serializer):
    name = serializers.CharField()
    value = serializers.FloatField(allow_null=True, help_text="0 differs, 1 agrees; null: not known.")
    weight = serializers.FloatField()
    effect = serializers.FloatField(help_text="What it did to the score.")
    words = serializers.CharField()


class ListingAnswer(serializers.Serializer):
    id = serializers.IntegerField()
    key = serializers.CharField()
    name = serializers.CharField()
    list = serializers.CharField()
    countries = serializers.ListField(child=serializers.CharField())
    listed_on = serializers.DateField(allow_null=True)
    removed_on = serializers.DateField(allow_null=True)
    citation = serializers.CharField()
    footnote = serializers.CharField()
    source_url = serializers.CharField()
    api_url = serializers.CharField()


class CandidateAnswer(serializers.Serializer):
    score = serializers.FloatField()
    band = serializers.CharField(help_text="match, or ask: a person should look.")
    asked_name = serializers.CharField()
    listed_name = serializers.CharField()
    features = FeatureAnswer(many=True)
    listing = ListingAnswer()


class NameAnswer(serializers.Serializer):
    name = serializers.CharField()
    candidates = CandidateAnswer(many=True)


class NamesAnswer(serializers.Serializer):
    results = NameAnswer(many=True)
    engine = serializers.CharField(help_text="Version of the matcher; another one may score otherwise.")


class MatchNames(Asking):
    """Names against the lists of restricted parties: for each the listed parties it may be, with score, band and reasons.

    At most 500 names at a time. Nothing is kept. That there is no candidate clears nobody: see docs/screening.md.
    """

    question_class = NamesQuestion
    schema = QuestionSchema()

    @extend_schema(request=NamesQuestion, responses=NamesAnswer, operation_id="screening_match")
    def post(self, request: Request) -> Response:
        question = self.question(request)
        asked = [
            party(
                number,
                item["name"],
                item.get("aliases", ()),
                item.get("country", ""),
                identifiers=item.get("identifiers", ()),
            )
            for number, item in enumerate(question["names"])
        ]
        found = match_names(asked, question["limit"], question.get("on"))
        return Response(
            {
                "results": [
                    {"name": item["name"], "candidates": [_told(candidate) for candidate in candidates]}
                    for item, candidates in zip(question["names"], found, strict=True)
                ],
                "engine": ENGINE,
            }
        )


def _told(candidate: Any) -> dict[str, Any]:
    return {
        "score": candidate.score,
        "band": candidate.band,
        "asked_name": candidate.asked_name,
        "listed_name": candidate.listed_name,
        "features": [feature.as_json() for feature in candidate.features],
        "listing": candidate.listing | {"api_url": f"/api/v1/listed-parties/{candidate.listing['id']}/"},
    }


QUESTIONS: dict[str, type[Asking]] = {"rules/evaluate": Evaluate, "screening/match": MatchNames}
"""Every question by its address under the root of the API."""
