"""What changed lines bear on: their parties, sites, countries and kinds of chips, as they were told before and as they are now.

A run that goes on from another looks again at what these touch, and at nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TouchedLine:
    """One line at one instant; ids are 0 and countries empty where it names none. ``scope``: as columns write it."""

    id: int
    scope: int
    shipper: int
    consignee: int
    end_user: int
    origin: int
    destination: int
    origin_operator: int
    destination_operator: int
    origin_country: str
    destination_country: str
    origin_site_country: str
    destination_site_country: str
    licence: int


@dataclass(frozen=True, slots=True)
class Touched:
    """The lines that changed between two instants, at both of them. ``goods``: with all lines of the same goods (as
    ``lines.querysets.of_same_goods`` finds them)."""

    lines: tuple[TouchedLine, ...]
    goods: tuple[TouchedLine, ...] = ()

    @property
    def ids(self) -> set[int]:
        return {line.id for line in self.lines}

    @property
    def scopes(self) -> set[int]:
        return {line.scope for line in self.lines}

    @property
    def parties(self) -> set[int]:
        """Organizations that a line names, or that operate a site it names."""
        return {pk for line in self.lines for pk in _parties(line) if pk}

    @property
    def receivers(self) -> set[int]:
        """Consignees and end users; 0 where a line names neither."""
        return {pk for line in self.lines for pk in _receivers(line)}

    @property
    def sites(self) -> set[int]:
        return {pk for line in self.lines for pk in (line.origin, line.destination) if pk}

    @property
    def countries(self) -> set[str]:
        """Countries that a line names, or in which a site lies that it names."""
        return {code for line in self.lines for code in _countries(line) if code}

    @property
    def destinations(self) -> set[str]:
        """Countries of destination; empty where a line names none."""
        return {line.destination_country for line in self.lines}

    @property
    def licences(self) -> set[int]:
        return {line.licence for line in self.lines if line.licence}


def _parties(line: TouchedLine) -> Iterator[int]:
    yield from (line.shipper, line.consignee, line.end_user, line.origin_operator, line.destination_operator)


def _receivers(line: TouchedLine) -> Iterator[int]:
    named = [pk for pk in (line.consignee, line.end_user) if pk]
    yield from named or [0]


def _countries(line: TouchedLine) -> Iterator[str]:
    yield from (
        line.origin_country,
        line.destination_country,
        line.origin_site_country,
        line.destination_site_country,
    )
