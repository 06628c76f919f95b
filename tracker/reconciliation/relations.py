"""Whether two claims count the same thing, or one counts a part of what the other counts, or neither.

Only the first two can contradict: equal quantities must agree, and a part cannot exceed its whole. Everything else (another
place, another rung of the status ladder, dates that cross) is shown side by side and not tested, whoever says that it conflicts.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from tracker.claims.combine import measure
from tracker.core.period import Period
from tracker.reconciliation import scopes
from tracker.reconciliation.books import Books, ClaimRow, Scope
from tracker.reconciliation.position import area_of


class Relation(StrEnum):
    """What the first claim counts, seen from the second."""

    SAME = "same"
    PART = "part"
    WHOLE = "whole"
    APART = "apart"


def relation(one: ClaimRow, other: ClaimRow, books: Books) -> Relation:
    """``same``: equal place, status, scope, measure and dates. ``part``: nothing wider than the other, and something narrower."""
    if one.status != other.status or one.kind != other.kind or one.is_flow != other.is_flow:
        return Relation.APART
    if measure(one.reported) != measure(other.reported):
        return Relation.APART
    if one.reporter != other.reporter and one.reporter and other.reporter:
        return Relation.APART  # the two sides of trade statistics have a test of their own
    return _combined([_places(one, other, books), _scopes(one.scope, other.scope), _dates(one, other)])


def _combined(found: Iterable[Relation]) -> Relation:
    kinds = set(found) - {Relation.SAME}
    if not kinds:
        return Relation.SAME
    return kinds.pop() if len(kinds) == 1 else Relation.APART


def _places(one: ClaimRow, other: ClaimRow, books: Books) -> Relation:
    here, there = area_of(one, books), area_of(other, books)
    if here is None and there is None:
        return Relation.SAME if one.subject_id == other.subject_id else Relation.APART
    if here is None or there is None:
        return Relation.APART
    if here == there:
        # In one country two sellers are two quantities; the buyers of a country taken together are one.
        unnamed = {c.subject_id for c in (one, other)} == {one.subject_id}
        return (
            Relation.SAME if here.kind != "country" or unnamed or _same_seller(one, other) else Relation.APART
        )
    if one.site_id and other.site_id:
        if one.site_id in books.sites[other.site_id].parts:
            return Relation.PART
        if other.site_id in books.sites[one.site_id].parts:
            return Relation.WHOLE
    return Relation.APART


def _same_seller(one: ClaimRow, other: ClaimRow) -> bool:
    """The same two parties, told from either side."""
    return {one.subject_id, one.counterparty_id} == {other.subject_id, other.counterparty_id}


def _scopes(one: Scope | None, other: Scope | None) -> Relation:
    if one is None or other is None:
        return Relation.SAME if one is other else Relation.APART
    within, holds = scopes.is_within(one, other), scopes.is_within(other, one)
    return _nested(within, holds)


def _dates(one: ClaimRow, other: ClaimRow) -> Relation:
    if not one.is_flow:
        return Relation.SAME if one.period.overlaps(other.period) else Relation.APART
    return _nested(_inside(one.period, other.period), _inside(other.period, one.period))


def _nested(within: bool, holds: bool) -> Relation:
    if within and holds:
        return Relation.SAME
    return Relation.PART if within else Relation.WHOLE if holds else Relation.APART


def _inside(inner: Period, outer: Period) -> bool:
    if inner.start is None or inner.end is None or outer.start is None or outer.end is None:
        return inner == outer
    return outer.start <= inner.start and inner.end <= outer.end
