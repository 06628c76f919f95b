"""Date: did a chip move before it was first shipped by its vendor?

A movement is *impossible* if the last day on which it can have left lies before the first day on which
the chip was shipped at all.

How to read it. Vague days count for the movement (its last possible day is taken); a family is impossible
only if every member came later, and is not judged while the members, or the first day of one of them, are
not known. Where no day of shipping is recorded, the last possible day of receipt is taken.

What it does not say. Whether the movement, the model name or the first shipping date is wrong; samples
may travel before a launch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from tracker.claims.combine import quantity
from tracker.core.period import Period
from tracker.core.quantity import NotComparable, Quantity
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.books import Books, ChipRow, Evidence, Finding, MovementRow, Parameters
from tracker.reconciliation.case_input import case_date
from tracker.reconciliation.position import movement_label
from tracker.reconciliation.result import finding

CODE = "DATE"
TITLE = "Shipped before the chip existed"
FAMILY = None
PARTITION = "lines"

FORMULA = "last possible day of shipping < first shipping day of every chip it may be"


def is_impossible(last_possible: date, first_shipped: date) -> bool:
    return last_possible < first_shipped


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per movement that cannot have been; sorted by movement id. Movements in order yield nothing."""
    found = (_judged(row, books, parameters) for row in sorted(books.movements, key=lambda row: row.ref.id))
    return [finding for finding in found if finding is not None]


def _last_day(row: MovementRow) -> date | None:
    if row.shipped:
        return row.shipped.last
    return row.received.last if row.received and not row.received_presumed else None


def _judged(row: MovementRow, books: Books, parameters: Parameters) -> Finding | None:
    last, members = _last_day(row), scopes.member_rows(row.scope, books.chips)
    if row.status == "cancelled" or last is None or not members:
        return None
    if any(member.first_shipped_on is None for member in members):
        return None
    earliest = min(members, key=lambda member: (member.first_shipped_on or date.max, member.ref.id))
    first = earliest.first_shipped_on
    if first is None or not is_impossible(last, first):
        return None
    return _impossible(
        row, last, first, earliest, members, quantity(row.reported, parameters), books, parameters
    )


def _impossible(
    row: MovementRow,
    last: date,
    first: date,
    earliest: ChipRow,
    members: list[ChipRow],
    amount: Quantity | NotComparable,
    books: Books,
    parameters: Parameters,
) -> Finding:
    units = amount.mu if isinstance(amount, Quantity) else None
    h100e = scopes.h100e(units, row.scope) if units is not None else None
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    who = books.organizations.get(row.consignee_id or 0)
    label = (
        movement_label(row, amount) if isinstance(amount, Quantity) else f"{row.reference}: {amount.reason}"
    )
    said = f"{earliest.name}, first shipped {first.isoformat()}"
    citation = f"; {explain.cited(earliest.source)}" if earliest.source else ""
    family = "" if len(members) == 1 else f", the earliest of the {len(members)} chips that the name covers"
    story = explain.Story(
        compared=f"The last day on which {row.reference} can have been shipped, with the first shipping day of {row.scope.name}.",
        sides=(f"Movement: {label}.", f"Chip: {said}{citation}{family}."),
        difference=f"The movement is dated {explain.counted((first - last).days, 'day')} too early"
        + (f", for {explain.magnitude(units, h100e, sq)}." if units is not None else "."),
        surprise=explain.CERTAIN, open=("dates: the day, the model name or the first shipping day may be mistaken",),
        settle="The shipping document with its date and the model name as written on it.",
        assumptions=amount.assumptions if isinstance(amount, Quantity) else (),
    )  # fmt: skip
    grade = row.reported.grade
    specification = Evidence(earliest.spec or earliest.ref, "specification", said + citation)
    return finding(
        check=CODE, area=f"org:{who.slug}" if who else f"country:{row.destination_country or 'unknown'}",
        scope=scopes.key(row.scope), period=explain.when(row.shipped or row.received or Period(None, None)),
        counterpart=row.reference, verdict="impossible",
        headline=f"{row.reference}: {row.scope.name} shipped by {last.isoformat()}, but first shipped {first.isoformat()}",
        reported=units, gap=units, is_finding=True, gap_h100e=h100e[0] if h100e else None, sq=sq,
        severity=significance.severity(sq, grade), strength="certain", weakest_grade=grade, formula=FORMULA,
        sections=explain.sections(story), evidence=(Evidence(row.ref, "movement", label, units), specification),
        numbers={"last_possible": last.isoformat(), "first_shipped": first.isoformat(), "days": (first - last).days},
    )  # fmt: skip


def date_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """One test of a worked case: ``event`` against ``first_ship``."""
    impossible = is_impossible(case_date(row["event"]), case_date(row["first_ship"]))
    return {"verdict": "impossible" if impossible else "possible"}
