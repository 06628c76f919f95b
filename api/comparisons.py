"""What flips between two sides of the law, as it leaves: ``rules/diff/?from=&to=``, worked out while the asker waits."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from api import access, errors, parameters
from api.base import Reading
from api.judgements import Texts
from api.renderers import OrjsonRenderer
from api.rows import ROOT
from api.schema import DiffSchema
from tracker.core.errors import BadInput, UnknownName
from tracker.judgement.comparison import TABLES, Amount, Comparison, Flip, Side
from tracker.judgement.services import AskedSide, compare_sides
from tracker.judgement.telling import NOT_LAW, is_known, sentences, side
from tracker.models import RuleComparison

PATIENCE_SECONDS: float = 25
"""How long one statement of a comparison may take while somebody waits for it."""

UNITS = {"chips": "chips", "tpp": "TOPS x bits", "h100e": "H100-equivalents"}


class AmountRow(drf.Serializer):
    """A sum with its 90 percent interval; null where none of the lines could be counted."""

    low = drf.FloatField(allow_null=True)
    best = drf.FloatField(allow_null=True)
    high = drf.FloatField(allow_null=True)
    unit = drf.CharField()


class FlipRow(drf.Serializer):
    """Lines that come to something else on the other side; ``uncounted`` and ``bounds`` are counted among ``lines``."""

    who = drf.CharField(help_text="Slug of the chip, family or organization, or country; blank for all.")
    name = drf.CharField()
    before = drf.CharField(help_text="Decision, and policy behind a colon.")
    after = drf.CharField()
    lines = drf.IntegerField()
    uncounted = drf.IntegerField(
        help_text="Lines in no amount: no number of chips, or no TPP known (these are in chips)."
    )
    bounds = drf.IntegerField(help_text="Lines that say at least or at most; summed as they stand.")
    chips = AmountRow()
    tpp = AmountRow()
    h100e = AmountRow()


class ChipFlipRow(drf.Serializer):
    """A chip of another level on the other side."""

    chip = drf.CharField()
    first = drf.DateField(allow_null=True, help_text="Null: on the days of the sides.")
    last = drf.DateField(allow_null=True, help_text="Null: open, or on the days of the sides.")
    before = drf.CharField()
    after = drf.CharField()
    why = drf.CharField(help_text="Paragraph before; paragraph or letter after.")
    classification_url = drf.CharField()


class SideRow(drf.Serializer):
    """One side of the comparison."""

    name = drf.CharField(help_text="As it may be asked for again.")
    words = drf.CharField()
    day = drf.DateField(allow_null=True, help_text="Null: each line on the day it left.")
    digest = drf.CharField(help_text="SHA-256 of all rules of this side: equal digests, equal law.")
    rules_url = drf.CharField()
    draft_url = drf.CharField(allow_null=True)


class DiffRow(drf.Serializer):
    """What flips between two sides of the law over the whole ledger."""

    before = SideRow()
    after = SideRow()
    known_at = drf.DateTimeField(allow_null=True)
    records = drf.CharField(help_text="real or synthetic.")
    judged = drf.IntegerField()
    changed = drf.IntegerField()
    text = drf.CharField(help_text="All of it in sentences.")
    chips = ChipFlipRow(many=True)
    by_decision = FlipRow(many=True)
    by_chip = FlipRow(many=True)
    by_consignee = FlipRow(many=True)
    by_destination = FlipRow(many=True)
    left_off = drf.DictField(child=drf.IntegerField(), help_text="Smaller rows that each table leaves off.")
    remarks = Texts()


def diff_body(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON has it."""
    at = found.as_known_at
    plain = found.as_dict()
    return {
        "before": _side(found.before, found.before_digest, at),
        "after": _side(found.after, found.after_digest, at),
        "known_at": at,
        "records": found.records,
        "judged": found.judged,
        "changed": found.changed,
        "text": " ".join(sentences(found)),
        "chips": [
            row | {"classification_url": f"{ROOT}chips/{row['chip']}/classification/"}
            for row in plain["chips"]
        ],
        **{name: [_flip(row) for row in getattr(found, name)] for name in TABLES},
        "left_off": found.left_off,
        "remarks": [NOT_LAW],
    }


def _side(of: Side, digest: str, at: datetime | None) -> dict[str, Any]:
    draft = of.label.removeprefix("draft:").partition("@")[0] if of.label.startswith("draft:") else ""
    return {
        "name": of.label,
        "words": side(of),
        "day": of.day,
        "digest": digest,
        "rules_url": f"{ROOT}rules/?on={of.day.isoformat()}" if of.day else f"{ROOT}rules/",
        "draft_url": f"{ROOT}rule-drafts/{draft}/" if draft else None,
    }


def _flip(row: Flip) -> dict[str, Any]:
    return asdict(row) | {name: _amount(row, getattr(row, name), unit) for name, unit in UNITS.items()}


def _amount(row: Flip, value: Amount, unit: str) -> dict[str, Any]:
    ends: dict[str, Any] = asdict(value) if is_known(row, value) else dict.fromkeys(("low", "best", "high"))
    return ends | {"unit": unit}


class Diff(Reading):
    """What flips between two days of law, or between the law and a draft of it: chips, lines, TPP and H100-equivalents.

    A side is a day (every line judged as if it had left on it), ``law`` (each line on the day it left), ``draft:NAME`` or
    ``draft:NAME@DAY``. The ledger is judged while you wait; where that takes too long, an analyst can have it done in the
    background (``rule-comparisons/``).
    """

    schema = DiffSchema()
    throttle_classes = (access.AnonymousThrottle, access.UserThrottle, access.ExportThrottle)
    renderer_classes = (OrjsonRenderer,)

    @extend_schema(responses=DiffRow, operation_id="rules_diff")
    def get(self, request: Request) -> Response:
        parameters.refuse_unknown(request, ["format", "from", "to", "records", "known_at"], versioned=True)
        at = parameters.known_at(request)
        before, after = asked_side(request, "from", "law"), asked_side(request, "to")
        records = request.query_params.get("records", "real")
        if records not in RuleComparison.Records.values:
            raise errors.BadParameters(
                {
                    "records": f"records {records!r} is none; write {' or '.join(RuleComparison.Records.values)}."
                }
            )
        try:
            found = compare_sides(before, after, at=at, records=records, seconds=PATIENCE_SECONDS)
        except UnknownName as error:
            wrong = "to" if after.draft and f"'{after.draft}'" in str(error) else "from"
            raise errors.BadParameters({wrong: f"{str(error)[:1].upper()}{str(error)[1:]}."}) from error
        return Response(diff_body(found))


def asked_side(request: Request, name: str, default: str = "") -> AskedSide:
    """A side as the address names it."""
    text = request.query_params.get(name, default)
    if not text:
        raise errors.BadParameters(
            {
                name: f"{name} is missing: name a day like 2023-11-17, law, draft:NAME or draft:NAME@2026-01-01."
            }
        )
    try:
        return AskedSide.parse(text)
    except BadInput as error:
        raise errors.BadParameters({name: f"{error}."}) from error
