"""What the rules make of chips and shipments, as it leaves: classes with their derivation, verdicts with their reasons."""

from __future__ import annotations

import math
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from api import errors, parameters
from api.base import Asking
from api.schema import QuestionSchema
from tracker.chips.specs import h100_equivalents
from tracker.core.interval import Interval
from tracker.judgement.services import Evaluated, evaluate
from tracker.rules.question import CHIP_FIELDS, PARTY_FIELDS, ROLES, WrongFields, read_question
from tracker.rules.services import Classified
from tracker.rules.timeline import Stretch

FIGURE = {
    "nullable": True,
    "oneOf": [
        {"type": "number"},
        {"type": "string"},
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {"low": {"type": "number"}, "high": {"type": "number", "nullable": True}},
            "description": "A range; high is null where only a lower limit is known.",
        },
    ],
}


def figure(value: Any) -> Any:
    """A value as JSON has it: a range as its two ends, an end that is not known as null."""
    if isinstance(value, Interval):
        return {"low": value.low, "high": None if math.isinf(value.high) else value.high}
    return None if isinstance(value, float) and math.isinf(value) else value


@extend_schema_field(FIGURE)
class Figure(drf.Field):
    def __init__(self, **kwargs: Any):
        super().__init__(read_only=True, **kwargs)

    def get_attribute(self, instance: Any) -> Any:
        return figure(super().get_attribute(instance))

    def to_representation(self, value: Any) -> Any:
        return value


class Texts(drf.ListField):
    def __init__(self, **kwargs: Any):
        super().__init__(child=drf.CharField(), **kwargs)


class Line(drf.Serializer):
    """One comparison of a test."""

    text = drf.CharField()
    value = Figure()
    unit = drf.CharField()
    operator = drf.CharField()
    threshold = Figure()
    margin = drf.FloatField(
        allow_null=True, help_text="Value minus threshold; null where one is not a plain number."
    )
    truth = drf.BooleanField(allow_null=True, help_text="Null: not known.")
    paragraph = drf.CharField()
    rule = drf.CharField(source="rule_id")
    citation = drf.CharField()
    sources = Texts()
    verification = drf.CharField()


class HitRow(drf.Serializer):
    """A letter, presumption or band that names the chip (true) or may (null; ``missing`` says for want of what)."""

    rule = drf.CharField(source="rule_id")
    name = drf.CharField()
    truth = drf.BooleanField(allow_null=True)
    missing = Texts()


class HitDetail(HitRow):
    derivation = Line(many=True)


class TppRow(drf.Serializer):
    """Total processing performance of one packaged IC (15 CFR 774 Supp. 1, ECCN 3A090, technical notes)."""

    low = drf.FloatField()
    high = Figure(help_text="Null: only a lower limit is known.")
    basis = drf.CharField(help_text="rates or published")
    number_format = drf.CharField()
    rate_tops = Figure()
    bits = drf.IntegerField(allow_null=True)
    published = Figure()
    computed = Figure()
    derivation = drf.CharField()


class DifferenceRow(drf.Serializer):
    """What another figure for the same chip leads to."""

    who = drf.CharField()
    tpp = TppRow(allow_null=True)
    level = drf.CharField()
    flips = drf.BooleanField()
    words = drf.CharField()


class Level(drf.Serializer):
    """What a chip is under the rules of one day."""

    level = drf.CharField(help_text="a, b, c, 2022, none or undetermined.")
    eccn = drf.CharField()
    eccn_else = Texts(help_text="Numbers of the same level for other carriers.")
    paragraph = drf.CharField()
    possible = Texts()
    missing = Texts()
    open_questions = Texts()
    tpp = TppRow(allow_null=True)
    values = drf.SerializerMethodField()
    derivation = Line(many=True)
    letters = HitDetail(many=True)
    presumptions = drf.SerializerMethodField()
    bands = drf.SerializerMethodField()
    differences = DifferenceRow(many=True)

    @extend_schema_field({"type": "object", "additionalProperties": FIGURE})
    def get_values(self, found: Any) -> dict[str, Any]:
        return {name: figure(value) for name, value in found.values.items()}

    @extend_schema_field(HitDetail(many=True))
    def get_presumptions(self, found: Any) -> Any:
        return HitDetail(found.of_kind("presumption"), many=True).data

    @extend_schema_field(HitDetail(many=True))
    def get_bands(self, found: Any) -> Any:
        return HitDetail(found.of_kind("band"), many=True).data


class StretchRow(drf.Serializer):
    """Days on which the chip has one and the same class; ``until`` is the first day of the next."""

    since = drf.DateField(source="period.start")
    until = drf.DateField(source="period.end", allow_null=True)
    level = drf.CharField(source="classification.level")
    shown_level = drf.CharField(source="classification.shown_level")
    eccn = drf.CharField(source="classification.eccn")
    paragraph = drf.CharField(source="classification.paragraph")
    possible = Texts(source="classification.possible")
    missing = Texts(source="classification.missing")
    letters = HitRow(source="classification.letters", many=True)
    presumptions = drf.SerializerMethodField()
    bands = drf.SerializerMethodField()

    @extend_schema_field(HitRow(many=True))
    def get_presumptions(self, stretch: Stretch) -> Any:
        return HitRow(stretch.classification.of_kind("presumption"), many=True).data

    @extend_schema_field(HitRow(many=True))
    def get_bands(self, stretch: Stretch) -> Any:
        return HitRow(stretch.classification.of_kind("band"), many=True).data


class ChipClassification(Level):
    """The class of a chip of the ledger on a day, and how it changed with the law."""

    chip = drf.CharField(read_only=True)
    on = drf.DateField(read_only=True)
    known_at = drf.DateTimeField(read_only=True, allow_null=True)
    rule_set = drf.CharField(
        read_only=True, help_text="SHA-256 of the rules of that day: equal digests, equal law."
    )
    shown_level = drf.CharField(
        read_only=True, help_text="As tables print it: letter where only a letter catches it."
    )
    timeline = StretchRow(many=True, read_only=True)


def classification_body(chip: str, found: Classified, known_at: Any) -> dict[str, Any]:
    """A chip of the ledger under the rules of a day."""
    return {
        "chip": chip,
        "on": found.rules.on,
        "known_at": known_at,
        "rule_set": found.rules.digest,
        "shown_level": found.classification.shown_level,
        **Level(found.classification).data,
        "timeline": StretchRow(found.stretches, many=True).data,
    }


# --- questions ----------------------------------------------------------------------------------------------------------


class OutcomeRow(drf.Serializer):
    """One end of the reading of the licence matrix, given what was supposed of the facts that are not known."""

    answer = drf.CharField()
    decision = drf.CharField()
    result = drf.CharField()
    policy = drf.CharField()
    reason = drf.CharField()
    rule_ids = Texts()
    citations = Texts()
    sources = Texts()
    supposing = Texts()
    missing = Texts()


class VerdictRow(drf.Serializer):
    """What the licence matrix says of the movement on its day."""

    answer = drf.CharField(help_text="required, not_required or undetermined.")
    decision = drf.CharField(help_text="NO_LICENCE, EXCEPTION, LICENCE, UNKNOWN or HUMAN_REVIEW.")
    result = drf.CharField()
    policy = drf.CharField()
    level = drf.CharField()
    missing = Texts()
    for_a_person = Texts(help_text="Those of the missing facts that no record settles.")
    reasons = Texts()
    rule_ids = Texts()
    citations = Texts()
    sources = Texts()
    assumptions = Texts()
    dormant = Texts(help_text="Law that is stayed or not enforced, and what it would say.")
    outcomes = OutcomeRow(many=True)


class TotalRow(drf.Serializer):
    """The quantity counted in performance."""

    quantity = drf.FloatField()
    tpp = Figure()
    h100_equivalents = Figure()


class EvaluatedClass(Level):
    shown_level = drf.CharField()


class NamedLicence(drf.Serializer):
    """Whether the licence named speaks of the shipment; its use by other lines is another question (check LICENCE)."""

    reference = drf.CharField()
    covers = drf.BooleanField()
    faults = Texts(help_text="In what it does not speak of it, of the item that comes nearest.")
    authorised = drf.FloatField(allow_null=True)
    unit = drf.CharField()


class Answered(drf.Serializer):
    """Class of the chip and verdict on the shipment, under the rules of its day."""

    on = drf.DateField()
    known_at = drf.DateTimeField(allow_null=True)
    rule_set = drf.CharField()
    classification = EvaluatedClass()
    verdict = VerdictRow()
    licence = NamedLicence(allow_null=True)
    total = TotalRow(allow_null=True)
    remarks = Texts()


class ShipmentVerdict(drf.Serializer):
    """What the rules of its day, or of another, say of a shipment of the ledger."""

    reference = drf.CharField()
    as_if = drf.DateField(
        allow_null=True, help_text="The day it was judged as if it had left on; null: its own."
    )
    known_at = drf.DateTimeField(allow_null=True)
    verdict = VerdictRow()


def answered_body(found: Evaluated, known_at: Any) -> dict[str, Any]:
    """The answer to a question."""
    level = {"shown_level": found.classification.shown_level, **Level(found.classification).data}
    return {
        "on": found.on,
        "known_at": known_at,
        "rule_set": found.rules.digest,
        "classification": level,
        "verdict": VerdictRow(found.verdict).data,
        "licence": NamedLicence(found.licence).data if found.licence else None,
        "total": _total(found),
        "remarks": list(found.remarks),
    }


def _total(found: Evaluated) -> dict[str, Any] | None:
    """TPP of all items, and the same in H100s; None where no quantity was given or no TPP is known."""
    quantity, tpp = found.question.quantity, found.classification.tpp
    if quantity is None or tpp is None:
        return None
    span = tpp.interval
    return {
        "quantity": quantity,
        "tpp": figure(span.times(quantity)) if not span.is_point else span.low * quantity,
        "h100_equivalents": figure(
            Interval(*(h100_equivalents(end, quantity) for end in (span.low, span.high)))
        )
        if not span.is_point
        else h100_equivalents(span.low, quantity),
    }


_ENDS = {"low": {"type": "number"}, "high": {"type": "number", "nullable": True}}
_NUMBER = {
    "oneOf": [{"type": "number", "minimum": 0}, {"type": "object", "properties": _ENDS}],
    "nullable": True,
}
_TEXT, _FLAG, _DAY = (
    {"type": "string"},
    {"type": "boolean", "nullable": True},
    {"type": "string", "format": "date"},
)
_KINDS: dict[str, Any] = {
    "name": _TEXT, "item_form": _TEXT, "vendor": _TEXT, "vendor_hq": _TEXT, "datacenter": _FLAG,
    "copackaged_with_dominant_logic": _FLAG,
}  # fmt: skip
_LISTING = {
    "type": "object",
    "required": ["list_name"],
    "properties": {"list_name": _TEXT, "citation": _TEXT, "footnote": _TEXT},
}
_PARTY_KINDS: dict[str, Any] = {
    "role": {"type": "string", "enum": list(ROLES)},
    "parent_hqs": {"type": "array", "nullable": True, "items": _TEXT},
    "listings": {"type": "array", "items": _LISTING},
    "approved": _FLAG,
}
QUESTION = {
    "type": "object",
    "required": ["chip"],
    "additionalProperties": False,
    "properties": {
        "chip": {
            "oneOf": [
                {"type": "string", "description": "Slug of a chip of the ledger."},
                {
                    "type": "object",
                    "description": "A chip as described: figures of one packaged IC, dense rates.",
                    "properties": {name: _KINDS.get(name, _NUMBER) for name in CHIP_FIELDS},
                    "additionalProperties": False,
                },
            ]
        },
        "on": _DAY | {"description": "Day it left; today (UTC) unless given."},
        "origin": _TEXT,
        "destination": _TEXT,
        "parties": {
            "type": "array",
            "items": {
                "oneOf": [
                    {"type": "string", "description": "Slug of an organization."},
                    {
                        "type": "object",
                        "properties": {name: _PARTY_KINDS.get(name, _TEXT) for name in PARTY_FIELDS},
                        "additionalProperties": False,
                    },
                ]
            },
        },
        "notice": {
            "type": "object",
            "nullable": True,
            "properties": {"made_on": _DAY, "answer": {"type": "string", "enum": ["cleared", "refused"]}},
        },
        "subject_to_ear": _FLAG,
        "exporter_role": {"type": "string", "enum": ["front_end_fabricator", "osat"]},
        "aboard_on": _DAY,
        "quantity": {"type": "number", "minimum": 0},
        "licence": _TEXT,
    },
}


class EvaluateSchema(QuestionSchema):
    """Of a question that may be asked as known at an instant."""

    def get_override_parameters(self) -> Any:
        return self.known_at_parameters()


class Evaluate(Asking):
    """What the rules say of a chip and a shipment that need not be in the ledger. Nothing is kept; nothing is legal advice."""

    schema = EvaluateSchema()

    @extend_schema(request={"application/json": QUESTION}, responses=Answered, operation_id="rules_evaluate")
    def post(self, request: Request) -> Response:
        parameters.refuse_unknown(request, ["format", "known_at"], versioned=True)
        known_at = parameters.known_at(request)
        try:
            found = evaluate(read_question(request.data), parameters.today(), known_at)
        except WrongFields as error:
            raise errors.BadParameters(error.fields) from error
        return Response(answered_body(found, known_at))
