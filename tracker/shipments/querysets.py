"""Shipment lines added up by the database: how many chips, with what error, without reading the lines.

The reading of a figure is that of ``claims.combine.quantity`` (docs/method.md, section 2), written in SQL so that sums may
grow with the ledger and memory does not; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, CharField, Count, F, FloatField, Func, Max, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Cast, Coalesce, NullIf, Power, Sqrt

from tracker.core.quantity import AS_CHIPS, CARRIERS, DEFAULT_FITS, ReadingParameters

EXAMPLES = 3
"""Lines named for each sum, the largest first."""

_NUMBER = FloatField()
_UNNAMED = Q(unit__in=DEFAULT_FITS, chips_per_unit__isnull=True)


class _RoundingHalfWidth(Func):
    """``core.quantity.rounding_half_width`` of a positive number."""

    output_field = FloatField()
    template = (
        "(CASE WHEN scale(trim_scale(%(expressions)s)) > 0"
        " THEN 0.5 * power(10.0, -scale(trim_scale(%(expressions)s)))"
        " ELSE 0.5 * power(10.0, greatest(0, least("
        "length(trim_scale(%(expressions)s)::text) - length(rtrim(trim_scale(%(expressions)s)::text, '0')),"
        " length(trim_scale(%(expressions)s)::text) - 2))) END)::float8"
    )


class _First(Func):
    """The first entries of an array."""

    template = f"(%(expressions)s)[1:{EXAMPLES}]"


def counted(lines: QuerySet, known: QuerySet) -> QuerySet:
    """Lines that still stand and whose goods were not carried on by another line: those count where they went in the end.

    ``known``: all lines at the same instant, among which the others are looked for.
    """
    carried_on = known.filter(onward_of__isnull=False).exclude(status__in=["cancelled", "returned"])
    return lines.exclude(status__in=["cancelled", "returned"]).exclude(
        id__in=carried_on.values("onward_of_id")
    )


def in_chips(lines: QuerySet, parameters: ReadingParameters) -> QuerySet:
    """The lines with ``chips`` (None where they cannot be told) and the systematic and random parts of their error.

    "At most" so many counts nothing, "at least" so many that number.
    """
    return read(lines.exclude(bound="ceiling"), parameters)


def read(lines: QuerySet, parameters: ReadingParameters) -> QuerySet:
    """The same where "at most" so many is read as that number: of single lines, not of sums."""
    share = parameters.systematic_share
    grades = [When(grade=grade, then=Value(sd)) for grade, sd in sorted(parameters.grade_rel_sd.items())]
    per_unit = Case(
        When(unit__in=AS_CHIPS, then=Value(1.0)),
        When(unit__in=CARRIERS, chips_per_unit__isnull=False, then=Cast("chips_per_unit", _NUMBER)),
        When(_UNNAMED, then=Value(float(parameters.chips_per_unnamed_server))),
        default=None,
        output_field=_NUMBER,
    )
    point = Q(is_exact=False, bound="")
    return (
        lines.annotate(
            per_unit=per_unit,
            grade_sd=Case(
                When(is_exact=True, then=Value(0.0)), *grades, default=Value(1.0), output_field=_NUMBER
            ),
            unit_sd=Case(
                When(_UNNAMED, then=Value(parameters.rel_sd_unnamed_server)),
                default=Value(0.0),
                output_field=_NUMBER,
            ),
        )
        .annotate(
            chips=Cast("quantity", _NUMBER) * F("per_unit"),
            base=Power(Cast("quantity", _NUMBER) * F("per_unit"), 2)
            * (Power(F("grade_sd"), 2) + Power(F("unit_sd"), 2)),
            half=Case(
                When(point, then=_RoundingHalfWidth("quantity") * F("per_unit")),
                default=Value(0.0),
                output_field=_NUMBER,
            ),
        )
        .annotate(
            systematic=Sqrt(Value(share) * F("base")),
            random=Value(1 - share) * F("base") + Power(F("half"), 2) / Value(3.0),
        )
    )


def house() -> Any:
    """Who published the line: the bias key of its own figure."""
    return Coalesce(NullIf("source__publisher", Value("")), "source__slug", output_field=CharField())


def sums(lines: QuerySet, by: Sequence[str], parameters: ReadingParameters) -> Iterator[Mapping[str, Any]]:
    """One row for each combination of the columns ``by`` and each house, sorted by them.

    ``chips``, ``systematic`` (sum), ``random`` (variance), ``usd``, ``lines``, ``uncounted``, ``unpriced``, ``at_least``, the
    weakest ``grade``, the ``largest`` number of chips, and ``examples``, the ids of the largest lines.
    """
    read = in_chips(lines, parameters).annotate(house=house())
    grouped = read.order_by().values(*by, "house")
    found = grouped.annotate(
        total=Coalesce(Sum("chips"), Value(0.0)),
        total_systematic=Coalesce(Sum("systematic"), Value(0.0)),
        total_random=Coalesce(Sum("random"), Value(0.0)),
        usd=Coalesce(Sum(Cast("value_usd", _NUMBER)), Value(0.0)),
        lines=Count("id"),
        uncounted=Count("id", filter=Q(per_unit__isnull=True)),
        unpriced=Count("id", filter=Q(value_usd__isnull=True)),
        at_least=Count("id", filter=Q(bound="floor")),
        weakest=Max("grade"),
        largest=Coalesce(Max("chips"), Value(0.0)),
        examples=_First(ArrayAgg("id", order_by=[F("chips").desc(nulls_last=True), "id"])),
    ).order_by(*by, "house")
    return _rows(found)


def _rows(found: QuerySet, at_once: int = 2000) -> Iterator[Mapping[str, Any]]:
    """The rows of ``values()`` as the driver hands them out, some at a time: there may be millions, and converters of fields,
    which sums and counts do not need, would take as long as reading them."""
    try:
        sql, params = found.query.sql_with_params()
    except EmptyResultSet:  # a condition that nothing can meet
        return
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        names: list[str] = []
        while rows := cursor.fetchmany(at_once):
            names = names or [column[0] for column in cursor.description]
            for row in rows:
                yield dict(zip(names, row, strict=True))
