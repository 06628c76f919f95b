"""What the export rules in force on its shipping date say of each movement of a partition.

The judging is ``judgement.bench``; here movements become its lines, and its verdicts the rows that checks read. Movements that
share a case share the verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tracker.chips.specs import ChipSpec
from tracker.judgement.bench import Bench, Line
from tracker.reconciliation.books import MovementRow, VerdictRow
from tracker.rules.licensing import Verdict


def verdicts(
    movements: Iterable[MovementRow], specs: Mapping[int, ChipSpec], bench: Bench
) -> dict[int, VerdictRow]:
    """Movement id -> verdict. Movements that are no longer meant to happen (returned, cancelled) are not judged."""
    seen: dict[Line, VerdictRow] = {}
    found = {}
    for row in sorted(movements, key=lambda row: row.ref.id):
        if row.status in ("returned", "cancelled"):
            continue
        line = _line(row, specs)
        if line not in seen:
            one = bench.verdict(line)
            seen[line] = _row(one, bench.verdict(line, named=False) if one.missing else one)
        found[row.ref.id] = seen[line]
    return found


def _line(row: MovementRow, specs: Mapping[int, ChipSpec]) -> Line:
    scope = row.scope
    return Line(
        chips=tuple(specs[chip].slug for chip in sorted(scope.members) if chip in specs),
        stand_in=ChipSpec(slug=scope.slug, vendor=scope.vendor, vendor_hq=scope.vendor_country),
        shipped=row.shipped,
        origin=row.origin_country,
        destination=row.destination_country,
        shipper_id=row.shipper_id,
        consignee_id=row.consignee_id,
        end_user_id=row.end_user_id,
    )


def _row(found: Verdict, unnamed: Verdict) -> VerdictRow:
    """Reasons name the parties; facts that are not recorded call them by their roles, as movements to others want the same."""
    return VerdictRow(
        answer=found.answer,
        decision=found.decision,
        result=found.result,
        policy=found.policy,
        level=found.level,
        missing=unnamed.missing,
        reasons=(*found.reasons, *found.assumptions, *found.dormant),
        rule_ids=found.rule_ids,
        citations=found.citations,
        for_a_person=unnamed.for_a_person,
    )
