"""Transit: what left and has not come in after twice the usual lead time.

A line is *overdue* if it is told to be in transit and its last possible day of shipping lies more than twice the lead time (30
days, parameter ``lead_time_days``) before the day of the run. One finding per consignee and kind of chip, severity at most
medium: this is a judgement aid.

How to read it. The vague end of the shipping days counts; lines without a day are not asked. Nor are lines that are only
reported, without a day of receipt: that is how most movements become known, and books presume that they came in after the lead
time. The largest fifty lines are named, and all are counted.

What it does not say. That the goods are not there: as a rule nobody entered the receipt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

from tracker.claims.combine import quantity
from tracker.core.countries import COUNTRIES
from tracker.core.quantity import Quantity, total
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import key_of_line
from tracker.reconciliation.books import Books, Evidence, Finding, MovementRow, Parameters
from tracker.reconciliation.position import dispatch_days, movement_label
from tracker.reconciliation.result import MOST_EVIDENCE, finding

CODE = "TRANSIT"
TITLE = "In transit for too long"
FAMILY = None
PARTITION = "lines"
MOVES_WITH_THE_DAY = True

FORMULA = "last possible day of shipping + 2 x lead time < day of the run"
IN_TRANSIT = "in transit"


def is_overdue(last_shipped: date, as_of: date, lead_time_days: int) -> bool:
    """Whether more than twice the lead time has passed since the last day on which goods can have left.

    >>> is_overdue(date(2026, 1, 1), date(2026, 3, 2), 30), is_overdue(date(2026, 1, 1), date(2026, 3, 3), 30)
    (False, True)
    """
    return last_shipped + timedelta(days=2 * lead_time_days) < as_of


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per consignee (else destination country) and kind of chip with an overdue line; sorted by these."""
    groups: dict[tuple[str, str], list[MovementRow]] = defaultdict(list)
    for row in sorted(books.movements, key=lambda row: row.ref.id):
        last = dispatch_days(row)[1]
        waiting = row.kind == "transfer" and row.status == IN_TRANSIT
        if waiting and last and is_overdue(last, books.as_of, parameters.lead_time_days):
            groups[_area(row, books), scopes.key(row.scope)].append(row)
    return [_told(area, groups[area, scope], books, parameters) for area, scope in sorted(groups)]


def _area(row: MovementRow, books: Books) -> str:
    who = books.organizations.get(row.consignee_id or 0)
    return f"org:{who.slug}" if who else f"country:{row.destination_country or 'unknown'}"


def _told(area: str, rows: Sequence[MovementRow], books: Books, parameters: Parameters) -> Finding:
    read = [(row, quantity(row.reported, parameters, key_of_line(row, parameters))) for row in rows]
    counted = [(row, amount) for row, amount in read if isinstance(amount, Quantity)]
    found = total([(1.0, amount) for _, amount in counted])
    scope = rows[0].scope
    h100e = scopes.h100e(found.mu, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    evidence = [
        Evidence(row.ref, "movement", movement_label(row, amount), amount.mu, share)
        for (row, amount), share in zip(counted, found.shares, strict=True)
    ]
    weakest = significance.weakest_indispensable(evidence, [amount.grade for _, amount in counted], found.mu)
    evidence += [Evidence(row.ref, "movement", f"{row.reference}: not counted in chips") for row, amount in read
                 if not isinstance(amount, Quantity)]  # fmt: skip
    evidence.sort(key=lambda one: (-(one.contribution or 0.0), one.ref.id))
    days = [day for row in rows if (day := dispatch_days(row)[1])]
    who = books.organizations.get(rows[0].consignee_id or 0)
    country = rows[0].destination_country
    name = who.name if who else COUNTRIES.get(country, country or "a place not named")
    limit = 2 * parameters.lead_time_days
    size = explain.magnitude(found.mu, h100e, sq)
    largest = [f"{one.label}." for one in evidence[: explain.FEW]]
    more = len(evidence) - len(largest)
    story = explain.Story(
        compared=f"What left for {name} of {scope.name} by {max(days)}, with receipts recorded by {books.as_of}.",
        sides=(f"{explain.counted(len(rows), 'line')}, told to be in transit; the oldest left by {min(days)}.", *largest,
               *((f"Smaller ones beside these: {explain.counted(more, 'line')}.",) if more else ())),
        difference=f"{size}, more than {limit} days after they left.",
        surprise="This is a judgement aid: goods take longer at times, and receipts are seldom published.",
        open=(explain.UNRECORDED, explain.IN_TRANSIT, explain.STATUS, explain.DATES),
        settle=f"A receiving report or delivery note of {name} for these lines.",
        assumptions=(f"goods usually arrive within {parameters.lead_time_days} days", *(
            text for _, amount in counted for text in amount.assumptions)),
    )  # fmt: skip
    return finding(
        check=CODE, area=area, scope=scopes.key(scope), period="whole record", counterpart=IN_TRANSIT,
        verdict="transit overdue",
        headline=f"{name}: {explain.chips(found.mu)} ({scope.name}) in {explain.counted(len(rows), 'line')}, "
        f"no receipt after {limit} days",
        reported=found.mu, gap=found.mu, sigma=found.s, is_finding=True, gap_h100e=h100e[0] if h100e else None, sq=sq,
        severity=significance.severity(sq, weakest, cap="medium"), weakest_grade=weakest,
        formula=FORMULA, sections=explain.sections(story), evidence=tuple(evidence[:MOST_EVIDENCE]),
        numbers={"lines": len(rows), "oldest": min(days).isoformat(), "latest": max(days).isoformat(), "days": limit},
    )  # fmt: skip
