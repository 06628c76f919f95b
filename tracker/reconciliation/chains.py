"""The events of one running balance, from columns of its lines.

What came in and what went out is as ``position.Shelf`` tells of one movement, and a figure is read as ``claims.combine.quantity``
reads it; a test holds both to each other (``checks.running.find`` over the same lines as records).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from tracker.balances.reading import (
    CEILING,
    EPOCH,
    FLOOR,
    IN_TRANSIT,
    NO_DAY,
    RECEIVED,
    REPORTED,
    SEIZED,
    UNCOUNTABLE,
    Array,
    left_on,
    months,
    read,
)
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks.running import Events, in_order


@dataclass(frozen=True, slots=True)
class Chain:
    """Whose balance, of what: an organization or a site, and a scope (all as columns write them).

    ``sites``: those that the organization operates; of a site itself and its parts. ``operator``, ``country``: of the site.
    ``within``: scopes that are surely of the asked one; ``overlapping``: those that may be.
    """

    is_site: bool
    holder: int
    scope: int
    sites: Array
    within: Array
    overlapping: Array
    operator: int = 0
    country: str = ""


def sends(lines: Array, chain: Chain) -> bool:
    """Whether something went out of the place itself under the name of the scope: only then its balance is followed."""
    sender = "origin" if chain.is_site else "shipper"
    gone = np.isin(lines["status"], (REPORTED, IN_TRANSIT, RECEIVED, SEIZED))
    return bool((gone & (lines[sender] == chain.holder) & (lines["scope"] == chain.scope)).any())


def events(
    lines: Array, chain: Chain, houses: Mapping[int, int], parameters: Parameters, as_of: date
) -> Events:
    """The events among CHAIN_LINE records, in order. ``houses``: the number of the house behind each source; what one errs alike
    lasts some months (``bias.key_of_line``)."""
    counted = np.isin(lines["status"], (REPORTED, IN_TRANSIT, RECEIVED))
    came, went = _at_site(lines, chain) if chain.is_site else _with_organization(lines, chain)
    came &= counted
    countable = lines["per_unit"] != UNCOUNTABLE
    incoming = came & np.isin(lines["scope"], chain.overlapping)
    outgoing = (
        ~came & went & (counted | (lines["status"] == SEIZED)) & np.isin(lines["scope"], chain.within)
        & countable & (lines["bound"] != CEILING)
    )  # fmt: skip
    moved = incoming | outgoing
    lines, incoming, countable = lines[moved], incoming[moved], countable[moved]
    # of an unreadable receipt as much as you like may have come in: it reads as at least 0
    told = read(
        lines["quantity"], lines["per_unit"], lines["grade"], lines["exact"] == b"x", lines["bound"], parameters,
        stepped=False,
    )  # fmt: skip
    received = np.where(lines["received"] != NO_DAY, lines["received"], lines["shipped"])
    today = (as_of - EPOCH).days
    left = np.where(lines["shipped"] == NO_DAY, today, left_on(lines))
    return in_order(
        Events(
            ids=lines["id"],
            days=np.where(incoming, received, left).astype(np.int64),
            signs=np.where(incoming, 1, -1),
            mu=told.mu,
            systematic=np.where(countable, told.systematic, 0.0),
            random=np.where(countable, told.random, 0.0),
            open=incoming & (~countable | (lines["bound"] == FLOOR)),
            house=_keys(lines, houses, parameters.bias_key_months),
            grades=lines["grade"].astype("U1"),
        )
    )


def _keys(lines: Array, houses: Mapping[int, int], months_alike: int) -> Array:
    """The number of each line's house and stretch of months; lines of no known day are of a stretch of their own."""
    house = np.array([houses[source] for source in lines["source"].tolist()], np.int64)
    day = np.where(lines["shipped"] == NO_DAY, lines["received"], left_on(lines))
    known = day != NO_DAY
    if not known.any():
        return house
    eras = months(day) // months_alike
    first = eras[known].min()
    most = eras[known].max() - first + 1
    return house * (most + 1) + np.where(known, eras - first, most)


def _with_organization(lines: Array, chain: Chain) -> tuple[Array, Array]:
    """Whether each line may have come in, and whether it surely went out."""
    sent = lines["shipper"] == chain.holder
    named = (lines["consignee"] == chain.holder) | (lines["end_user"] == chain.holder)
    return ~sent & (named | np.isin(lines["destination"], chain.sites)), sent & ~named


def _at_site(lines: Array, chain: Chain) -> tuple[Array, Array]:
    """The same of a site. What its operator received in its country, at no named site, may have come to it."""
    into, out = np.isin(lines["destination"], chain.sites), np.isin(lines["origin"], chain.sites)
    country = lines["destination_country"]
    here = (country == b"  ") | (country == chain.country.encode())
    operators = (lines["consignee"] == chain.operator) | (lines["end_user"] == chain.operator)
    may_be = (lines["destination"] == 0) & here & operators & (chain.operator > 0)
    return np.where(into, ~out, may_be), out & ~into
