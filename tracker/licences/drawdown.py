"""Licences used up by the movements they cover, in the order of shipping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tracker.core.period import Period

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

    A movement draws on the covering licence that expires first, then on the next, as far as their
    quantities go. What is left over is booked on the last of them as ``over licence by n``. Outside
    ``in_force`` (the periods in which the rule asks for a licence) nothing is drawn. A licence expires at
    the end of ``valid``; one without an end expires last; ties go by id.
    """
    by_movement: dict[str, str] = {}
    used: dict[str, float] = {}
    drawn: dict[str, tuple[tuple[str, float], ...]] = {}
    ordered = sorted(licences, key=lambda licence: (licence.valid.end or date.max, licence.id))
    for movement in sorted(movements, key=lambda m: (m.shipped, m.id)):
        if not any(period.holds(movement.shipped) for period in in_force):
            by_movement[movement.id] = NO_LICENCE_NEEDED
            continue
        covering = [licence for licence in ordered if covers(licence, movement)]
        if not covering:
            by_movement[movement.id] = MISSING
            continue
        drawn[movement.id], over = _drawn(movement.quantity, covering, used)
        by_movement[movement.id] = f"over licence by {_plain(over)}" if over > 0 else COVERED
    return DrawDown(by_movement, used, drawn)


def covers(licence: Licence, movement: Movement) -> bool:
    """Whether the licence speaks of this movement's day, chip and parties; how much of it is left is
    another question."""
    return (
        licence.valid.holds(movement.shipped)
        and (not licence.chips or movement.chip in licence.chips)
        and licence.consignee in ("", movement.to)
        and licence.end_user in ("", movement.end_user)
        and licence.country in ("", movement.country)
    )


def _drawn(
    quantity: float, covering: Sequence[Licence], used: dict[str, float]
) -> tuple[tuple[tuple[str, float], ...], float]:
    """Units taken from each licence (``used`` is brought up to date) and how many of them went beyond what
    was left."""
    taken: dict[str, float] = {}
    rest = quantity
    for licence in covering:
        share = min(rest, max(0.0, licence.quantity - used.get(licence.id, 0)))
        if share > 0:
            taken[licence.id] = share
            rest -= share
    if rest > 0:
        last = list(taken)[-1] if taken else covering[-1].id
        taken[last] = taken.get(last, 0) + rest
    for licence_id, share in taken.items():
        used[licence_id] = used.get(licence_id, 0) + share
    return tuple(taken.items()), rest


def _plain(units: float) -> str:
    """Units as written by hand: 100, not 100.0, and never 1e+06."""
    return f"{units:.10f}".rstrip("0").rstrip(".")
