"""Which findings of an earlier run stand, where only lines changed since: those about what no changed line bears on.

Checks that add lines up look again at the areas that changed lines touch, then or now (``touched.Touched``), and at no others
(``Ledger.only``). What they found of the others is carried over.
"""

from __future__ import annotations

from tracker.reconciliation.models import ReconciliationRun
from tracker.reconciliation.querysets import Ledger
from tracker.reconciliation.registry import checks

NARROWED = ("hub", "limit")
"""Kinds of shares whose checks can look at touched areas alone."""


def standing(kind: str, ledger: Ledger, base: ReconciliationRun) -> list[int]:
    """Ids of the base's findings by the checks of a kind of shares that this ledger, narrowed, does not look at again."""
    codes = [check.code for check in checks() if check.partition == kind]
    areas = _areas(kind, ledger)
    rows = base.findings.filter(check_code__in=codes).order_by().values_list("id", "area", "scope")
    # limits on a ratio hold all exports of a commodity against all of its deliveries elsewhere: they are looked at whole
    return [pk for pk, area, scope in rows if area not in areas and (kind != "limit" or scope == "any")]


def _areas(kind: str, ledger: Ledger) -> set[str]:
    """The areas, as findings name them, that are looked at again."""
    assert ledger.only is not None  # it is narrowed
    found = {f"country:{code}" for code in ledger.limited_countries(ledger.only.countries)}
    if kind == "limit":
        rows = ledger.organizations(ledger.limited_owners(ledger.only.parties))
        found |= {f"org:{row.slug}" for row in rows.values()}
    return found
