"""What a quantity counts: whether one scope lies in another, and what its units are worth in H100-equivalents.

A family stays a name for an unspecified mix: it is never split. So a movement of one chip lies *surely* in a claim's scope if all
its members do, and *possibly* if some may.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tracker.chips.specs import h100_equivalents
from tracker.core.quantity import EQUIVALENTS
from tracker.reconciliation import explain
from tracker.reconciliation.books import ChipRow, Evidence, Parameters, Scope


def key(scope: Scope | None) -> str:
    return f"{scope.kind}:{scope.slug}" if scope else "any"


def is_within(inner: Scope, outer: Scope) -> bool:
    """Whether every unit of ``inner`` is surely one of ``outer``; never sure when a family's members are not known."""
    if (inner.kind, inner.id) == (outer.kind, outer.id):
        return True
    return bool(inner.members) and inner.members <= outer.members


def may_overlap(one: Scope, other: Scope, chips: Mapping[int, ChipRow]) -> bool:
    """Whether one unit could be of both. A family without known members may hold any chip of its vendor."""
    if (one.kind, one.id) == (other.kind, other.id):
        return True
    if one.members and other.members:
        return bool(one.members & other.members)
    mine, theirs = vendors(one, chips), vendors(other, chips)
    return not mine or not theirs or bool(mine & theirs)


def vendors(scope: Scope, chips: Mapping[int, ChipRow]) -> frozenset[str]:
    """Slugs of the vendors; empty when any vendor is meant or none is known."""
    if scope.vendor:
        return frozenset({scope.vendor})
    return frozenset(
        chips[member].vendor for member in scope.members if member in chips and chips[member].vendor
    )


def h100e(gap: float, scope: Scope | None) -> tuple[float, float] | None:
    """Low and high reading of a number of units in H100-equivalents; None when no member's performance is known."""
    if scope is None or scope.h100e_low is None or scope.h100e_high is None:
        return None
    return gap * scope.h100e_low, gap * scope.h100e_high


def measured(scope: Scope, measure: str) -> Scope:
    """The scope as figures of a measure count it: of one that counts in H100-equivalents each unit is one."""
    if measure != EQUIVALENTS:
        return scope
    return replace(
        scope, name=f"{EQUIVALENTS} of {scope.name}", h100e_low=1.0, h100e_high=1.0, lowest_chip=None
    )


def worth(one: Scope, of: Scope, chips: Mapping[int, ChipRow]) -> tuple[float, float] | None:
    """Least and most H100-equivalents of a unit of ``one`` that is of ``of`` as well; None where it cannot be told, since a
    family's members or the performance of one of them is not known."""
    members = one.members & of.members if of.members else one.members
    rated = [chips[pk].tpp if pk in chips else None for pk in members]
    known = [tpp for tpp in rated if tpp]
    if not known or len(known) < len(rated):
        return None
    return h100_equivalents(min(known)), h100_equivalents(max(known))


def could_hide(units: float, scope: Scope | None, parameters: Parameters) -> float:
    """Significant quantities that so many units may be worth, were they all of the strongest chip meant: what a test may have
    overlooked that could not see fewer units. Infinite where no performance is known, unless there are no units."""
    if units == 0:
        return 0.0
    found = h100e(units, scope)
    return found[1] / parameters.significant_quantity_h100e if found else math.inf


def member_rows(scope: Scope, chips: Mapping[int, ChipRow]) -> list[ChipRow] | None:
    """The chips of a scope, sorted by id; None when the members, or one of them, are not known."""
    if not scope.members or any(member not in chips for member in scope.members):
        return None
    return [chips[member] for member in sorted(scope.members)]


def specification(scope: Scope | None, chips: Mapping[int, ChipRow]) -> list[Evidence]:
    """The specification that a number of H100-equivalents, and with it the severity, rests on: the lowest chip it may mean."""
    if scope is None:
        return []
    possible = [chips[pk] for pk in scope.members or {scope.lowest_chip or 0} if pk in chips]
    rated = [(row.tpp, row.ref.id, row) for row in possible if row.tpp and row.spec]
    if not rated:
        return []
    return [_specified(min(rated, key=lambda entry: entry[:2])[2])]


def specifications(
    scope: Scope, measure: str, counted: Iterable[Scope], chips: Mapping[int, ChipRow]
) -> list[Evidence]:
    """The specifications that a comparison rests on: of what ``scope`` may mean least, for its size; where H100-equivalents were
    compared, of all kinds of chips ``counted``."""
    if measure != EQUIVALENTS:
        return specification(scope, chips)
    members = {member for one in counted for member in one.members or {one.lowest_chip or 0}}
    rated = (chips[pk] for pk in sorted(members) if pk in chips)
    return [_specified(row) for row in rated if row.tpp and row.spec]


def _specified(row: ChipRow) -> Evidence:
    assert row.spec is not None  # its callers ask only those that have one
    label = f"{row.name}: TPP {explain.number(row.tpp)}, H100e = TPP / 15,832"
    return Evidence(row.spec, "specification", label)
