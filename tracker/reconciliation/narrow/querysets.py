"""Which findings of an earlier run stand, where only lines changed since: those about what no changed line bears on.

Checks that add lines up look again at the areas that changed lines touch, then or now (``touched.Touched``), and at no others
(``Ledger.only``). What they found of the others is carried over.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef
from django.db.models.functions import Coalesce

from tracker.licences.models import LicenceItem
from tracker.reconciliation import scopes
from tracker.reconciliation.models import Evidence, ReconciliationRun
from tracker.reconciliation.querysets import Ledger
from tracker.reconciliation.registry import checks
from tracker.reconciliation.touched import Touched

NARROWED = ("claim_subject", "hub", "licence", "limit", "verdict")
"""Kinds of shares whose checks can look at touched areas alone."""


def standing(kind: str, ledger: Ledger, base: ReconciliationRun) -> list[int]:
    """Ids of the base's findings by the checks of a kind of shares that this ledger, narrowed, does not look at again."""
    codes = [check.code for check in checks() if check.partition == kind]
    if kind == "licence":
        items = ledger.known(LicenceItem).filter(licence_id__in=ledger.licences_asked)
        return _without(base, codes, "licenceitem", items.values_list("id", flat=True))
    if kind == "claim_subject":
        return _without(base, codes, "claim", ledger.claims_asked)
    areas = _areas(kind, ledger)
    rows = base.findings.filter(check_code__in=codes).order_by().values_list("id", "area", "scope")
    if kind == "verdict":  # sums of one scope each
        told = {scopes.key(ledger.numbered_scopes[number]) for number in _only(ledger).scopes}
        return [pk for pk, area, scope in rows if area not in areas or scope not in told]
    ratios = {
        f"chip:{ledger.chips[pk].slug}" for name in ledger.commodities_near for pk in ledger.commodities[name]
    } if kind == "limit" else set()  # fmt: skip
    return [
        pk
        for pk, area, scope in rows
        if (area not in areas if scope == "any" or kind != "limit" else scope not in ratios)
    ]


def _without(base: ReconciliationRun, codes: list[str], model: str, asked: Iterable[int]) -> list[int]:
    """Findings that name no record that is looked at again: every finding of these checks names one."""
    named = Evidence.objects.filter(
        finding_id=Coalesce(OuterRef("evidence_of_id"), OuterRef("id")),
        model_name=model,
        object_id__in=list(asked),
    )
    rows = base.findings.filter(~Exists(named), check_code__in=codes).order_by()
    return list(rows.values_list("id", flat=True))


def _areas(kind: str, ledger: Ledger) -> set[str]:
    """The areas, as findings name them, that are looked at again."""
    only = _only(ledger)
    if kind == "verdict":
        people, found = only.receivers, {f"country:{code or 'unknown'}" for code in only.destinations}
    else:
        people = ledger.limited_owners(only.parties) if kind == "limit" else set()
        found = {f"country:{code}" for code in ledger.limited_countries(only.countries)}
    return found | {f"org:{row.slug}" for row in ledger.organizations(people).values()}


def _only(ledger: Ledger) -> Touched:
    assert ledger.only is not None  # it is narrowed
    return ledger.only
