"""Which claims of the books only repeat another one: confirmed echoes, and proposed ones until a person says otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from tracker.claims.combine import Report, Statement, measure, wire, with_proposed_echoes
from tracker.core.quantity import NotComparable
from tracker.reconciliation import scopes
from tracker.reconciliation.bias import as_counted
from tracker.reconciliation.books import ClaimRow, Parameters


def origins(claims: Iterable[ClaimRow], parameters: Parameters) -> dict[str, str]:
    """Claim slug -> slug of its origin, proposed echoes included."""
    rows = sorted(claims, key=lambda row: row.ref.id)
    found = {row.slug: row.origin for row in rows}
    alike: dict[tuple[str, str, str], list[Statement]] = defaultdict(list)
    for row in rows:
        read = as_counted(row, parameters)
        if isinstance(read, NotComparable):
            continue
        subject = "/".join(
            str(part)
            for part in (row.kind, row.site_id, row.subject_id, row.counterparty_id, row.destination_country)
        )
        report = Report(row.slug, read, row.origin, row.published_on)
        counts = f"{measure(row.reported)} of {scopes.key(row.scope)}"
        statement = Statement(report, subject, counts, row.status, row.period, wire(row.source.publisher))
        alike[subject, counts, row.status].append(statement)
    for key in sorted(alike):
        found |= {report.id: report.origin for report in with_proposed_echoes(alike[key])}
    return found


def echo_groups(
    claims: Iterable[ClaimRow], parameters: Parameters
) -> list[tuple[ClaimRow, tuple[ClaimRow, ...]]]:
    """(primary, its echoes) for every origin, sorted by slug.

    The claim that the origin is named after stands for the group; if it is not in the books, the
    earliest published, ties by slug.
    """
    rows = list(claims)
    origin = origins(rows, parameters)
    groups: dict[str, list[ClaimRow]] = defaultdict(list)
    for row in sorted(
        rows, key=lambda row: (row.slug != origin[row.slug], row.published_on or date.max, row.slug)
    ):
        groups[origin[row.slug]].append(row)
    return sorted(((group[0], tuple(group[1:])) for group in groups.values()), key=lambda pair: pair[0].slug)
