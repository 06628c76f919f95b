"""Licences used up by the movements they cover, in the order of shipping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tracker.core.period import Period
from tracker.core.quantity import Quantity
from tracker.licences.account import Terms, Use, accounts

NO_LICENCE_NEEDED = "no licence needed"
COVERED = "covered"
MISSING = "licence missing"


@dataclass(frozen=True, slots=True)
class Licence:
    """Permission to ship ``quantity`` chips while valid. Empty ``chips``, ``consignee``, ``end_user`` or
    ``country``: any."""

    id: str
    quantity: float
    valid: Period
    consignee: str = ""
    chips: frozenset[str] = frozenset()
    end_user: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """So many chips to a consignee on the day they left."""

    id: str
    to: str
    chip: str
    quantity: float
    shipped: date
    end_user: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class DrawDown:
    """``by_movement``: ``covered``, ``over licence by n``, ``licence missing`` or ``no licence needed``, in
    shipping order.

    ``used``: units drawn per licence, with what went beyond its quantity; licences never drawn on are absent.
    ``drawn``: per movement the licences it drew on, with units.
    """

    by_movement: Mapping[str, str]
    used: Mapping[str, float]
    drawn: Mapping[str, tuple[tuple[str, float], ...]]


def draw_down(
    movements: Iterable[Movement], licences: Sequence[Licence], in_force: Sequence[Period]
) -> DrawDown:
    """Match movements to licences in (shipped, id) order.

    As :mod:`tracker.licences.account` draws; outside ``in_force`` (the periods in which the rule asks for a
    licence) nothing is drawn. What is left over is booked on the last licence as ``over licence by n``.
    """
    rows = sorted(movements, key=lambda m: (m.shipped, m.id))
    asked = {m.id for m in rows if any(period.holds(m.shipped) for period in in_force)}
    found = accounts(
        [
            Terms(
                one.id, one.id, one.id, one.valid, one.quantity, scopes=one.chips, consignee=one.consignee or None,
                end_user=one.end_user or None, country=one.country,
            )
            for one in licences
        ],
        [
            Use(
                m.id, m.chip, Quantity(m.quantity), Period.inclusive(m.shipped, m.shipped), m.to or None,
                m.end_user or None, m.country, required=m.id in asked,
            )
            for m in rows
        ],
        {},
        counts_all=True,
    )  # fmt: skip
    drawn: dict[str, tuple[tuple[str, float], ...]] = {}
    over: dict[str, float] = {}
    used = {key: account.drawn for key, account in found.of.items() if account.entries}
    expiring = sorted(found.of.items(), key=lambda pair: (pair[1].terms.valid.end or date.max, pair[0]))
    for key, account in expiring:
        for entry in account.entries:
            drawn[entry.use.id] = (*drawn.get(entry.use.id, ()), (key, entry.chips))
            beyond = max(0.0, -(entry.remaining or 0.0))
            if beyond <= 1e-12 * abs(account.drawn):  # sums of decimals
                beyond = 0.0
            over[entry.use.id] = over.get(entry.use.id, 0.0) + min(entry.chips, beyond)
    by_movement = {m.id: _answer(m.id, asked, drawn, over) for m in rows}
    return DrawDown(by_movement, used, drawn)


def _answer(movement: str, asked: set[str], drawn: Mapping[str, object], over: Mapping[str, float]) -> str:
    if movement not in asked:
        return NO_LICENCE_NEEDED
    if movement not in drawn:
        return MISSING
    return f"over licence by {_plain(over[movement])}" if over[movement] > 0 else COVERED


def _plain(units: float) -> str:
    """Units as written by hand: 100, not 100.0, and never 1e+06."""
    return f"{units:.10f}".rstrip("0").rstrip(".")
