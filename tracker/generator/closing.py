"""What is written once the lines are known: site powers, licence quantities, claims; and the planted discrepancies.

Honest claims are drawn around the book they speak of, within their stated grade; echoes repeat one of them later. A planted
discrepancy stands where nothing else is claimed, is large against every stated error or as many standard errors as asked for
(``Settings.sizes``), and is written down as a :class:`Leak`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import numpy as np

from tracker.core.errors import BadInput
from tracker.generator.lines import CHINA, HOME, QUARTERS, SERVER, STALE_DAYS, Lines, Totals, licence_place
from tracker.generator.tables import FIRST_DAY, Ref, Table, as_date, dice
from tracker.generator.world import (
    CHIPS,
    COUNTRIES,
    GRADE_SD,
    HOUSES,
    ORIGINS,
    TPP_H100,
    VENDORS,
    World,
    errors,
    reported,
    source_place,
)  # fmt: skip

KINDS = (
    "shipper-receiver difference", "claim above ledger", "claim below ledger", "conflict of claims", "negative balance",
    "date before first shipping", "power impossible", "licence missing", "over licence", "licence before validity",
    "licence by another party", "licence drawn twice", "yearly cap exceeded", "ratio exceeded", "transit overdue",
    "loss in a closed book", "steady loss", "mirror gap", "delivered above contract",
    "orphan at a hub",
)  # fmt: skip
GAPS = (KINDS[1], KINDS[2])
"""A claim above, and one below its book."""
LPP_TPP, CAP_DAY = 26_900_000.0, date(2025, 6, 1)
"""Limit per consignee and calendar year of License Exception LPP (15 CFR 740.29), and about when it is exceeded."""
RATIO, RATIO_DAY = 0.5, date(2026, 1, 15)
"""Exports of a commodity to China over deliveries in the United States: what 91 FR 1684 allows, and since when."""
INFORMATION = "information"
"""Standing of a leak that a reconciliation should find and tell as information only: the rule is not enforced."""
POSSIBLE = "possible"
"""Standing of the other side of a leak of a size in standard errors: no false alarm if found, no miss if not."""
SRD_LINES, TWICE = 4, 2
LOT_LINE = 4_099.0
"""Units of each line of a lot whose difference is planted by size: a figure that is no round one, and a material lot."""
LEAST_H100E = 500.0
"""A book too small to hide a material discrepancy in is not used for one."""
LEAST_SIZED = 750.0
"""Of a smaller book even four standard errors are no material discrepancy."""
TYPICAL_POWER = 1.82 * 1.1
"""Watts of a running site per watt of thermal design power, generously: what honest sites are built for."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One planted discrepancy: what a reconciliation should report, and on which records it rests.

    ``kind`` is one of :data:`KINDS`; ``check`` the code of the check that reads it; ``units`` its size in chips, positive.
    ``follows_from``: id of another leak of which this is only the other side; else empty. ``standing``: empty,
    :data:`INFORMATION` or :data:`POSSIBLE`. ``sigma``: its size in standard errors of the comparison, if it was planted by size;
    with full errors the reports differ by this and an honest error.
    """

    id: str
    kind: str
    check: str
    area: str
    scope: str
    period: str
    units: float
    h100e: float
    records: dict[str, list[str]]
    follows_from: str = ""
    standing: str = ""
    sigma: float | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(slots=True)
class Claims:
    """Claims being collected, a list for each column."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, **row: object) -> int:
        """Add a claim and return its place."""
        self.rows.append(row)
        return len(self.rows) - 1


@dataclass(frozen=True, slots=True)
class Slot:
    """A book that somebody may speak of: area kind, place, scope, last quarter, chips, H100-equivalents."""

    kind: str  # org | site | country
    place: int
    scope: int
    book: float
    h100e: float


@dataclass(slots=True)
class Closing:
    """The rows that follow from the lines, and the truth."""

    world: World
    totals: Totals
    leaks: list[Leak] = field(default_factory=list)
    claims: Claims = field(default_factory=Claims)
    short_power: dict[int, float] = field(default_factory=dict)
    spoken_for: set[int] = field(default_factory=set)  # licensed operators whose licences are misused
    hubs: list[tuple[int, int]] = field(default_factory=list)  # countries and chips that leave them again
    taken: set[tuple[int, int]] = field(
        default_factory=set
    )  # operators and chips that only planted lines bring together
    random: np.random.Generator = field(init=False)  # of the honest errors on top of planted differences

    def __post_init__(self) -> None:
        self.random = dice(self.world.settings, 4)

    def size(self, number: int) -> float | None:
        """Size in standard errors of the ``number``-th difference of each kind; None where they are planted gross."""
        sizes = self.world.settings.sizes
        return float(sizes[number % len(sizes)]) if sizes else None

    def surprise(self, size: float) -> float:
        """By how many standard errors the reports differ: the size, with an honest error on top where errors are full."""
        full = self.world.settings.errors == "full"
        return size + (float(self.random.standard_normal()) if full else 0.0)

    def leak(
        self,
        kind: str,
        check: str,
        area: str,
        scope: int,
        period: str,
        units: float,
        follows_from: str = "",
        standing: str = "",
        any_scope: bool = False,
        sigma: float | None = None,
        **records: list[str],
    ) -> str:
        """Write down a planted discrepancy; returns its id. ``any_scope``: it is told of all chips together."""
        name = f"leak-{len(self.leaks) + 1:03d}"
        equivalents = round(units * float(scope_tpp(self.world)[scope]) / TPP_H100, 1)
        self.leaks.append(
            Leak(
                name,
                kind,
                check,
                area,
                "any" if any_scope else scope_name(self.world, scope),
                period,
                float(units),
                equivalents,
                records,
                follows_from,
                standing,
                sigma,
            )
        )
        return name


def scope_name(world: World, scope: int) -> str:
    return f"chip:{world.chip_slug(scope)}" if scope < CHIPS else f"family:{world.family_slug(scope - CHIPS)}"


def scope_tpp(world: World) -> np.ndarray:
    """TPP of one unit of each scope; for a family that of its weakest member."""
    return np.concatenate(
        [world.tpp, np.minimum.reduceat(world.tpp, np.flatnonzero(np.diff(world.family, prepend=-1)))]
    )


def day_text(world: World, day: float) -> str:
    return str(as_date(np.array([day]))[0])


def line_slug(world: World, place: int) -> str:
    return world.settings.slug(f"line-{place + 1:08d}")


# --- planted lines ----------------------------------------------------------------------------------------------------


def planted_count(world: World) -> int:
    """Lines that :func:`planted` makes: the discrepancies, and deliveries that keep honest exports within their ratio."""
    certain, caps = world.settings.certain_leaks, int(_lasts_until(world, CAP_DAY))
    return world.settings.leaks * SRD_LINES + certain * (4 + 2 + TWICE + caps) + len(_china_chips(world))


def planted(closing: Closing, first: int) -> Lines:
    """The planted lines, after ``first`` honest ones: differences, an overdrawn reseller, early dates, missing licences, wrong
    and double uses of licences, a year beyond a cap, a ratio exceeded; and what keeps the other ratios."""
    world, count = closing.world, closing.world.settings.certain_leaks
    rows: list[dict[str, float]] = []
    for number in range(world.settings.leaks):
        rows += _difference(closing, first + len(rows), number)
        if number >= count:
            continue
        rows.append(_overdrawn(closing, first + len(rows), number))
        rows.append(_early(closing, first + len(rows), number))
        rows.append(_unlicensed(closing, first + len(rows), number))
        rows.append(_never_arrived(closing, first + len(rows), number))
        rows.append(_before_validity(closing, first + len(rows), number))
        rows.append(_by_another(closing, first + len(rows), number))
        rows += _twice(closing, first + len(rows), number)
        if _lasts_until(world, CAP_DAY):
            rows.append(_beyond_cap(closing, first + len(rows), number))
    late = _lasts_until(world, RATIO_DAY)
    for place, chip in enumerate(_china_chips(world)):
        exceeds = _exceeded_ratio if count and late and place == 0 else _kept_ratio
        rows.append(exceeds(closing, first + len(rows), chip, rows))
    return as_lines(world, rows, first)


def as_lines(world: World, rows: list[dict[str, float]], first: int) -> Lines:
    """Rows of :func:`line_row` as a chunk of lines, after ``first`` others."""
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    whole = {
        name: column[name].astype(np.int64)
        for name in ("shipper", "consignee", "chip", "shipped", "licence", "lot")
    }
    size, none = len(rows), np.full(len(rows), -1)
    off = np.zeros(size, bool)
    return Lines(
        first=first, **whole, site=none, family=none, origin=column["origin"].astype(np.int64),
        destination=world.country[whole["consignee"]], shipped_latest=np.full(size, np.nan), received=column["received"],
        units=column["units"], by_shipper=column["units"], by_receiver=column["by_receiver"], server=off, exact=off,
        cancelled=off, user_known=~off, onward=none, excess=np.zeros(size),
    )  # fmt: skip


def line_row(
    world: World,
    chip: int,
    consignee: int,
    shipped: int,
    units: float,
    shipper: int = -1,
    got: float | None = None,
    licence: int = -1,
    lot: int = -1,
) -> dict[str, float]:
    """A planted line of whole chips, fifteen days under way; ``got``: what the receiver reports, if something else."""
    shipper = shipper if shipper >= 0 else int(world.chip_vendor[chip])
    received = shipped + 15
    return {
        "shipper": shipper, "consignee": consignee, "chip": chip, "shipped": shipped, "units": units,
        "origin": int(world.country[shipper]), "received": received if received < world.settings.days else np.nan,
        "by_receiver": units if got is None else got, "licence": licence, "lot": lot,
    }  # fmt: skip


def _open_operator(world: World, number: int) -> int:
    """The ``number``-th operator of middling size in an open country, as a place among organizations."""
    places = np.flatnonzero(~world.watched & ~world.reserved)
    return world.first_operator + int(places[(len(places) // 4 + number) % len(places)])


def _without(closing: Closing, number: int, chip: int) -> int:
    """The first operator from the ``number``-th on to whom no honest line brings the chip, nor its family: what is planted there
    is all there is."""
    totals, family = closing.totals, CHIPS + int(closing.world.family[chip])
    for step in range(closing.world.operators):
        place = _open_operator(closing.world, number + step)
        books = totals.operators[:, place - closing.world.first_operator]
        if not books[:, [chip, family]].any() and (place, chip) not in closing.taken:
            closing.taken.add((place, chip))
            return place
    raise BadInput(
        f"In the ledger of {closing.world.settings.lines:,} lines every operator has every chip: give more organizations or"
        " fewer lines."
    )


def old_chip(world: World, number: int) -> int:
    """A controlled chip that shipped before the ledger begins."""
    places = np.flatnonzero(world.controlled & (world.launch_month < 0))
    return int(places[number % len(places)])


def _difference(closing: Closing, first: int, number: int) -> list[dict[str, float]]:
    """A lot of four lines of which the receiver counts six units in ten, or fewer by a size in standard errors of the lot."""
    world, size = closing.world, closing.size(number)
    chip, consignee = old_chip(world, number), _open_operator(world, number)
    units, got, lost = 1_024.0, 614.0, SRD_LINES * (1_024.0 - 614.0)
    if size is not None:
        units, consignee = LOT_LINE, _without(closing, number, chip)
        sds = [GRADE_SD[str(world.grade[party])] for party in (int(world.chip_vendor[chip]), consignee)]
        surprise = closing.surprise(size)

        def error(received: float) -> float:
            return _lot_error(sds[0] * units, sds[1] * received)

        got = solved(units, lambda received: -surprise * error(received) / SRD_LINES)
        lost = size * error(got)
    start = int(world.settings.months_start[3 + number % (world.settings.months // 3 - 2) * 3])
    rows = [line_row(world, chip, consignee, start + 5 + 15 * i, units, got=got) for i in range(SRD_LINES)]
    month = as_date(np.array([start]))[0].astype("datetime64[M]").astype(int)
    closing.leak(
        KINDS[0], "SRD", f"org:{world.organization_slug(consignee)}", chip, f"{1970 + month // 12}-Q{month % 12 // 3 + 1}",
        lost, sigma=size, shipment=[line_slug(world, first + i) for i in range(SRD_LINES)],
        shipper=[world.organization_slug(int(world.chip_vendor[chip]))],
    )  # fmt: skip
    return rows


def _lot_error(*spreads: float) -> float:
    """Standard error of the difference of a lot of equal lines, from the standard deviation of a line's figure at each end."""
    variances = (0.5 * (SRD_LINES**2 + SRD_LINES) * spread**2 + SRD_LINES / 12 for spread in spreads)
    return math.sqrt(sum(variances))


def _overdrawn(closing: Closing, place: int, number: int) -> dict[str, float]:
    """On the last day a reseller sends 3,000 units more than ever came in."""
    world = closing.world
    chip = old_chip(world, 0)
    stock, short = float(closing.totals.stock[number, chip]), 3_000.0
    day = world.settings.days - 1
    row = line_row(
        world, chip, _open_operator(world, 20 + number), day, stock + short, shipper=VENDORS + number
    )
    area = f"org:{world.organization_slug(VENDORS + number)}"
    closing.leak(
        KINDS[4], "RUNNING", area, chip, day_text(world, day), short, shipment=[line_slug(world, place)]
    )
    return row


def _early(closing: Closing, place: int, number: int) -> dict[str, float]:
    """A line that left forty-five days before its chip first shipped."""
    world = closing.world
    places = np.flatnonzero(world.launch_month > 1)
    chip = int(places[number % len(places)])
    day = int(world.launch_day[chip]) - 45
    consignee = _open_operator(world, 40 + number)
    units = 640.0
    area = f"org:{world.organization_slug(consignee)}"
    closing.leak(
        KINDS[5], "DATE", area, chip, day_text(world, day), units, shipment=[line_slug(world, place)]
    )
    return line_row(world, chip, consignee, day, units)


def _unlicensed(closing: Closing, place: int, number: int) -> dict[str, float]:
    """A controlled chip sent to an operator in a watched country that holds no licence."""
    world = closing.world
    places = np.flatnonzero(world.watched & ~world.licensed)
    consignee = world.first_operator + int(places[number % len(places)])
    chip, units, day = old_chip(world, number + 1), 1_600.0, 100 + 11 * number
    area = f"org:{world.organization_slug(consignee)}"
    closing.leak(
        KINDS[7], "RULE", area, chip, day_text(world, day), units, shipment=[line_slug(world, place)]
    )
    return line_row(world, chip, consignee, day, units)


def _never_arrived(closing: Closing, place: int, number: int) -> dict[str, float]:
    """A line told to be in transit long after it left."""
    world = closing.world
    chip, consignee, units = old_chip(world, number), _open_operator(world, 60 + number), 768.0
    day = world.settings.days - 2 * STALE_DAYS - number
    area = f"org:{world.organization_slug(consignee)}"
    closing.leak(KINDS[14], "TRANSIT", area, chip, "whole record", units, shipment=[line_slug(world, place)])
    return line_row(world, chip, consignee, day, units, got=np.nan) | {"received": np.nan}


def _licensed(closing: Closing, number: int) -> int:
    """The licensed operator with the ``number``-th smallest use; its licence hides no excess besides."""
    world, used = closing.world, closing.totals.licensed
    operators = sorted((int(i) for i in np.flatnonzero(world.licensed)), key=lambda i: (used[i], i))
    chosen = operators[number % len(operators)]
    closing.spoken_for.add(chosen)
    return chosen


def _before_validity(closing: Closing, place: int, number: int) -> dict[str, float]:
    """A line under a licence, shipped before the first day of it and of the ledger."""
    world, holder = closing.world, _licensed(closing, number)
    chip, units, day = int(world.licensed_chip[holder]), 512.0, -20 + number
    area = f"org:{world.organization_slug(world.first_operator + holder)}"
    closing.leak(
        KINDS[9], "LICENCE", area, chip, day_text(world, day), units,
        shipment=[line_slug(world, place)], licence=[_licence_slug(world, holder)],
    )  # fmt: skip
    return line_row(world, chip, world.first_operator + holder, day, units, licence=holder)


def _by_another(closing: Closing, place: int, number: int) -> dict[str, float]:
    """A line to an operator without a licence under the licence of another one."""
    world, holder = closing.world, _licensed(closing, number)
    without = np.flatnonzero(world.watched & ~world.licensed)
    consignee = world.first_operator + int(without[-1 - number % len(without)])
    chip, units, day = int(world.licensed_chip[holder]), 512.0, 150 + 11 * number
    area = f"org:{world.organization_slug(consignee)}"
    closing.leak(
        KINDS[10], "LICENCE", area, chip, day_text(world, day), units,
        shipment=[line_slug(world, place)], licence=[_licence_slug(world, holder)],
    )  # fmt: skip
    return line_row(world, chip, consignee, day, units, licence=holder)


def _twice(closing: Closing, first: int, number: int) -> list[dict[str, float]]:
    """One line of a consignment, written down twice under one licence."""
    world, holder = closing.world, _licensed(closing, number)
    chip, units, day = int(world.licensed_chip[holder]), 256.0, 200 + 11 * number
    area = f"org:{world.organization_slug(world.first_operator + holder)}"
    closing.leak(
        KINDS[11], "LICENCE", area, chip, day_text(world, day), units,
        shipment=[line_slug(world, first + i) for i in range(TWICE)], licence=[_licence_slug(world, holder)],
    )  # fmt: skip
    row = line_row(world, chip, world.first_operator + holder, day, units, licence=holder, lot=number)
    return [row] * TWICE


def _beyond_cap(closing: Closing, place: int, number: int) -> dict[str, float]:
    """More to one operator in one year than the low-processing-performance exception would allow, were it enforced."""
    world = closing.world
    abroad = np.flatnonzero(
        ~world.watched & ~world.reserved & (world.country[world.first_operator :][: world.operators] != HOME)
    )
    consignee = world.first_operator + int(abroad[-1 - number % len(abroad)])
    chip = old_chip(world, number)
    units = float(np.ceil(LPP_TPP * 1.25 / world.tpp[chip]))
    day = (CAP_DAY - FIRST_DAY).days + number
    area = f"org:{world.organization_slug(consignee)}"
    closing.leak(
        KINDS[12], "CAP", area, chip, str(CAP_DAY.year), float(np.floor(units - LPP_TPP / world.tpp[chip])),
        standing=INFORMATION, any_scope=True, shipment=[line_slug(world, place)],
    )  # fmt: skip
    return line_row(world, chip, consignee, day, units)


def _lasts_until(world: World, day: date) -> bool:
    """Whether the ledger goes on for two months after a day; a shorter one cannot break a rule of that day."""
    return world.settings.days > (day - FIRST_DAY).days + 60


def _china_chips(world: World) -> list[int]:
    """Chips for which operators in China hold licences: what the ratio is about."""
    return sorted({int(chip) for chip in world.licensed_chip[_china_operators(world)]})


def _china_operators(world: World) -> np.ndarray:
    country = world.country[world.first_operator :][: world.operators]
    return np.flatnonzero(world.licensed & (country == CHINA))


def _to_china(closing: Closing, chip: int, rows: list[dict[str, float]]) -> float:
    """Units of a chip sent to China by the honest and the planted lines."""
    sent = sum(
        row["units"]
        for row in rows
        if row["chip"] == chip and closing.world.country[int(row["consignee"])] == CHINA
    )
    return float(closing.totals.to_china[chip]) + sent


def _at_home(closing: Closing, chip: int, rows: list[dict[str, float]]) -> float:
    """Units of a chip delivered in the United States by the honest and the planted lines."""
    country = closing.world.country
    got = sum(row["units"] for row in rows if row["chip"] == chip and country[int(row["consignee"])] == HOME)
    return float(closing.totals.in_us[chip]) + got


def _kept_ratio(closing: Closing, place: int, chip: int, rows: list[dict[str, float]]) -> dict[str, float]:
    """An early delivery in the United States, four times what goes to China."""
    world = closing.world
    at_home = np.flatnonzero(world.country[world.first_operator :][: world.operators] == HOME)
    consignee = world.first_operator + int(at_home[len(at_home) // 2])
    units = float(np.ceil(4 * _to_china(closing, chip, rows)) + SERVER)
    return line_row(world, chip, consignee, 20, units)


def _exceeded_ratio(
    closing: Closing, place: int, chip: int, rows: list[dict[str, float]]
) -> dict[str, float]:
    """A late export to China under a licence, which makes it as much as was delivered in the United States."""
    world = closing.world
    operators = _china_operators(world)
    free = [int(i) for i in operators if world.licensed_chip[i] == chip and int(i) not in closing.spoken_for]
    holder = free[0] if free else int(operators[0])
    before, at_home = _to_china(closing, chip, rows), _at_home(closing, chip, rows)
    units = float(np.ceil(max(2_048.0, at_home - before)))
    day = world.settings.days - 40
    closing.leak(
        KINDS[13], "CAP", "country:CN", chip, day_text(world, day), float(np.floor(before + units - RATIO * at_home)),
        shipment=[line_slug(world, place)],
    )  # fmt: skip
    return line_row(world, chip, world.first_operator + holder, day, units, licence=holder)


# --- licences ---------------------------------------------------------------------------------------------------------


def licences(world: World) -> Table:
    """One licence for each licensed operator, valid all along."""
    operator = np.flatnonzero(world.licensed)
    s = world.settings
    party = Ref("Organization", world.first_operator + operator)
    return Table(
        "Licence",
        len(operator),
        {
            "reference": [_licence_slug(world, int(i)) for i in operator],
            "authority": "Synthetic licensing authority",
            "exporter": Ref("Organization", world.chip_vendor[world.licensed_chip[operator]]),
            "consignee": party,
            "end_user": party,
            "destination_country": [COUNTRIES[world.country[world.first_operator + i]] for i in operator],
            "valid_from": as_date(np.zeros(len(operator))),
            "valid_until": as_date(np.full(len(operator), s.days + 90)),
            "source": Ref("Source", np.zeros(len(operator), int)),
            "grade": "A",
            "verification": "synthetic",
            "is_synthetic": True,
        },
    )


def _licence_slug(world: World, operator: int) -> str:
    return world.settings.slug(f"licence-{operator + 1:04d}")


def licence_items(closing: Closing) -> Table:
    """Licensed quantities: a seventh above what was shipped; three tenths below for the planted ones."""
    world, used = closing.world, closing.totals.licensed
    operator = np.flatnonzero(world.licensed)
    quantity = np.ceil(used * 1.15) + 64
    largest = [
        place
        for place in operator[np.argsort(-used[operator], kind="stable")]
        if int(place) not in closing.spoken_for
    ]
    for place in largest[: world.settings.certain_leaks]:
        over, chip = np.floor(used[place] * 0.3), int(world.licensed_chip[place])
        _large_enough(closing, over, chip, "over a licence")
        quantity[place] = used[place] - over
        area = f"org:{world.organization_slug(world.first_operator + int(place))}"
        period = f"{FIRST_DAY.isoformat()}..{day_text(world, world.settings.days - 1)}"
        closing.leak(
            KINDS[8], "LICENCE", area, chip, period, float(over), licence=[_licence_slug(world, int(place))]
        )
    columns = {
        "licence": Ref("Licence", licence_place(world, operator)),
        "chip": Ref("Chip", world.licensed_chip[operator]),
        "quantity": quantity[operator].astype(np.int64),
    }
    return Table("LicenceItem", len(operator), columns)


def _large_enough(closing: Closing, units: float, scope: int, what: str) -> None:
    if units * scope_tpp(closing.world)[scope] / TPP_H100 < LEAST_H100E * 0.3:
        raise BadInput(
            f"The ledger of {closing.world.settings.lines:,} lines has too little to plant a quantity {what}: give more lines,"
            " fewer organizations or fewer leaks."
        )


# --- claims -----------------------------------------------------------------------------------------------------------


def claims(closing: Closing) -> None:
    """Gather honest claims of operators, sites and countries, echoes of some, and the planted ones."""
    random = dice(closing.world.settings, 2)
    orgs, sites = list(_org_slots(closing)), list(_site_slots(closing))
    planted = _planted_claims(closing, orgs, sites)
    for slot in (*orgs, *sites, *_country_slots(closing)):
        if slot not in planted and (slot.kind != "country" or (slot.place, slot.scope) not in closing.hubs):
            _honest(closing, random, slot)
    _echoes(closing, random)


def _slots(closing: Closing, kind: str, books: np.ndarray, least: float) -> Iterator[Slot]:
    """The largest scope of each place, if it holds at least ``least`` chips. Every fifth place is spoken of by family."""
    world = closing.world
    family = (
        np.add.reduceat(books[:, :CHIPS], np.flatnonzero(np.diff(world.family, prepend=-1)), axis=1)
        + books[:, CHIPS:]
    )
    tpp = scope_tpp(world)
    for place in range(len(books)):
        by_family = place % 5 == 3 and kind == "org"
        choice = family[place] if by_family else books[place, :CHIPS]
        top = int(choice.argmax())
        scope = CHIPS + top if by_family else top
        if choice[top] >= least:
            yield Slot(kind, place, scope, float(choice[top]), float(choice[top] * tpp[scope] / TPP_H100))


def _org_slots(closing: Closing) -> Iterator[Slot]:
    free = ~closing.world.reserved[:, None]
    return _slots(closing, "org", closing.totals.operators.sum(axis=0) * free, 256)


def _site_slots(closing: Closing) -> Iterator[Slot]:
    return (s for s in _slots(closing, "site", closing.totals.sites.sum(axis=0), 256) if s.place % 3)


def _country_slots(closing: Closing) -> Iterator[Slot]:
    without_exports = np.array([country not in ORIGINS for country in COUNTRIES])
    return _slots(closing, "country", closing.totals.countries.sum(axis=0) * without_exports[:, None], 256)


def _planted_claims(closing: Closing, orgs: list[Slot], sites: list[Slot]) -> set[Slot]:
    """Claims above and below the ledger and in conflict, of large operators in open countries; sites short of power."""
    world, count = closing.world, closing.world.settings.leaks
    sites_short, sized = world.settings.certain_leaks, bool(world.settings.sizes)
    eligible = [
        s
        for s in (_early_slots(closing) if sized else orgs)
        if s.scope < CHIPS and not world.watched[s.place]
    ]
    eligible.sort(key=lambda s: (-s.h100e, s.place))
    large = sorted((s for s in sites if s.scope < CHIPS), key=lambda s: (-s.h100e, s.place))
    chosen, powerless = eligible[: 4 * count], large[:sites_short]
    if (
        len(chosen) < 4 * count
        or (not sized and any(s.h100e < LEAST_H100E for s in chosen))
        or len(powerless) < sites_short
        or any(s.h100e < LEAST_H100E for s in powerless)
    ):
        raise BadInput(
            f"The ledger of {world.settings.lines:,} lines has too few large books for {count} leaks of each kind: give more"
            " lines, fewer organizations or fewer leaks."
        )
    for number in range(count):
        size = closing.size(number)
        # neighbours in size of book, so that every kind meets large and small ones
        above, below, conflict, agreed = (
            chosen[4 * number : 4 * number + 4] if sized else chosen[number::count]
        )
        _beyond_contract(closing, agreed, size)
        if size is None:
            _above(closing, above)
            _below(closing, below)
            _conflict(closing, conflict)
        else:
            _departs(closing, above, 1, size)
            _departs(closing, below, -1, size)
            _disagree(closing, conflict, size)
    for slot in powerless:
        _power(closing, slot, 0.4, KINDS[6])
    named = {(slot.kind, slot.place) for slot in (*chosen, *powerless)}
    return {slot for slot in (*orgs, *sites) if (slot.kind, slot.place) in named}


def _early_slots(closing: Closing) -> list[Slot]:
    """Operators' books of single chips on the first claim day: by then all that was shipped has also come in, so that a size in
    standard errors is exactly that."""
    book = closing.totals.operators[0][:, :CHIPS] * ~closing.world.reserved[:, None]
    h100e = book * closing.world.tpp / TPP_H100
    return [
        Slot("org", int(place), int(chip), float(book[place, chip]), float(h100e[place, chip]))
        for place, chip in np.argwhere(h100e >= LEAST_SIZED)
    ]


def said(
    closing: Closing, slot: Slot, best: float, house: int = 0, quarter: int = QUARTERS - 1, **more: object
) -> int:
    """Gather a claim, and return its place. ``day``, ``start`` and ``source`` stand before what house and quarter would give."""
    row = {"slot": slot, "house": house, "quarter": quarter, "low": np.nan, "best": best, "high": np.nan, "bound": "",
           "grade": "B", "flow": False, "echo_of": -1, "kind": "", "status": "", "unit": "chips", "origin": "",
           "destination": "", "reporter": "", "day": -1, "start": -1, "source": -1}  # fmt: skip
    return closing.claims.add(**(row | more))


def area_name(world: World, slot: Slot) -> str:
    """The balance area a slot speaks of, e.g. ``org:synthetic-1-operator-0007``."""
    if slot.kind == "country":
        return f"country:{COUNTRIES[slot.place]}"
    return (
        f"site:{world.site_slug(slot.place)}"
        if slot.kind == "site"
        else f"org:{world.organization_slug(world.first_operator + slot.place)}"
    )


def claim_slug(world: World, place: int) -> str:
    return world.settings.slug(f"claim-{place + 1:06d}")


def _against(
    closing: Closing,
    slot: Slot,
    kind: str,
    check: str,
    units: float,
    places: list[int],
    follows_from: str = "",
    standing: str = "",
    sigma: float | None = None,
) -> str:
    world = closing.world
    period = day_text(world, world.settings.claim_days[0 if sigma else -1])
    slugs = [claim_slug(world, place) for place in places]
    return closing.leak(
        kind,
        check,
        area_name(world, slot),
        slot.scope,
        period,
        units,
        follows_from,
        standing,
        sigma=sigma,
        claim=slugs,
    )


def _above(closing: Closing, slot: Slot) -> None:
    best = float(np.rint(slot.book * 2.1))
    place = said(closing, slot, best)
    _against(closing, slot, KINDS[1], "GAP", best - slot.book, [place])


def _below(closing: Closing, slot: Slot) -> None:
    best = float(np.rint(slot.book * 0.4))
    place = said(closing, slot, best)
    _against(closing, slot, KINDS[2], "GAP", slot.book - best, [place])


def _conflict(closing: Closing, slot: Slot) -> None:
    """Two houses that share nothing: one says what the ledger says, one says twice as much."""
    one = said(closing, slot, float(slot.book), house=0)
    other = said(closing, slot, float(np.rint(slot.book * 2.2)), house=2)
    size = float(np.rint(slot.book * 2.2)) - slot.book
    name = _against(closing, slot, KINDS[3], "CONFLICT", size, [one, other])
    _against(closing, slot, KINDS[1], "GAP", size, [other], follows_from=name)


def _departs(closing: Closing, slot: Slot, sign: int, size: float) -> None:
    """A claim of the first claim day above all that the ledger may hold, or below what it surely holds, by a size."""
    totals, at = closing.totals, (slot.place, slot.scope)
    family = CHIPS + int(closing.world.family[slot.scope])
    also = (slot.place, family)
    book, systematic, own = slot.book, float(totals.systematic[at]), float(totals.random[at])
    if sign > 0:
        book += float(totals.operators[0][also])
        systematic, own = systematic + float(totals.systematic[also]), own + float(totals.random[also])
    spread = math.sqrt(systematic**2 + own)
    surprise = closing.surprise(size)
    best = solved(book, lambda best: sign * surprise * math.hypot(GRADE_SD["B"] * best, spread))
    units = size * math.hypot(GRADE_SD["B"] * best, spread)
    place = said(closing, slot, best, quarter=0)
    _against(closing, slot, KINDS[1 if sign > 0 else 2], "GAP", units, [place], sigma=size)


def solved(start: float, change: Callable[[float], float]) -> float:
    """The whole number x = start + change(x) nearest to the fixed point."""
    x = start
    for _ in range(60):
        x = max(1.0, start + change(x))
    return float(np.rint(x))


def _beyond_contract(closing: Closing, slot: Slot, size: float | None) -> None:
    """As many installed as the ledger holds, and fewer contracted: half as many, or fewer by a size."""
    quarter, installed, sd = QUARTERS - 1 if size is None else 0, float(np.rint(slot.book)), GRADE_SD["B"]
    contracted = float(np.rint(installed / 2))
    if size is not None:
        surprise = closing.surprise(size)
        contracted = solved(installed, lambda x: -surprise * sd * math.hypot(installed, x))
    units = installed - contracted if size is None else size * sd * math.hypot(installed, contracted)
    places = [
        said(closing, slot, installed, 0, quarter),
        said(closing, slot, contracted, 2, quarter, kind="order", status="contracted"),
    ]
    _against(closing, slot, KINDS[18], "3WAY", units, places, sigma=size)


def _disagree(closing: Closing, slot: Slot, size: float) -> None:
    """Two houses that share nothing differ by a size; each may also be seen to depart from the book."""
    surprise, sd = closing.surprise(size), GRADE_SD["B"]
    one = float(np.rint(slot.book))
    other = solved(one, lambda x: surprise * sd * math.hypot(one, x))
    places = [said(closing, slot, best, house, 0) for best, house in ((one, 0), (other, 2))]
    units = size * sd * math.hypot(one, other)
    name = _against(closing, slot, KINDS[3], "CONFLICT", units, places, sigma=size)
    _against(closing, slot, KINDS[1], "GAP", units, places, follows_from=name, sigma=size, standing=POSSIBLE)


def _power(closing: Closing, slot: Slot, share: float, kind: str) -> None:
    """A site whose power is ``share`` of the bare draw of the chips claimed there: too little even at the claim's low end."""
    world = closing.world
    place = said(closing, slot, float(slot.book))
    megawatts = max(0.01, round(slot.book * world.tdp_w[slot.scope] * share / 1e6, 2))
    closing.short_power[slot.place] = megawatts
    fed = megawatts * 1e6 / world.tdp_w[slot.scope]
    _against(closing, slot, kind, "POWER", round(slot.book - fed, 1), [place])


def _honest(closing: Closing, random: np.random.Generator, slot: Slot) -> None:
    """One to three houses speak of a slot; some operators are also said to have received so many in the last quarter."""
    settings = closing.world.settings
    truth = slot.book + (_excess(closing, slot) if settings.errors == "full" else 0.0)
    houses = random.permutation(HOUSES)[: random.integers(1, 4 if slot.kind == "org" else 2)]
    for house in sorted(int(h) for h in houses):
        grade = str(closing.world.house_grade[house])
        own = float(errors(settings, random, 1, 1.3)[0])
        relative = GRADE_SD[grade] * np.sqrt(0.5) * (closing.world.house_bias[house] + own)
        said(
            closing,
            slot,
            house=house,
            grade=grade,
            **_form(random, truth, float(reported(settings, np.array(truth), relative)), GRADE_SD[grade]),
        )
    if slot.kind == "org" and slot.scope < CHIPS and random.random() < 0.3:
        flow = float(closing.totals.operators[-1, slot.place, slot.scope])
        if flow >= 64:
            grade = str(closing.world.house_grade[houses[0]])
            if settings.errors == "full":
                flow += float(closing.totals.excess_operators[-1, slot.place, slot.scope])
                relative = (
                    GRADE_SD[grade]
                    * np.sqrt(0.5)
                    * (closing.world.house_bias[houses[0]] + random.standard_normal())
                )
                flow = float(np.rint(reported(settings, np.array(flow), relative)))
            said(
                closing,
                slot,
                flow,
                house=int(houses[0]),
                grade=grade,
                flow=True,
            )


def _excess(closing: Closing, slot: Slot) -> float:
    """Chips that were really received at a slot beyond what the lines say."""
    totals, world = closing.totals, closing.world
    found = {"org": totals.excess_operators, "site": totals.excess_sites, "country": totals.excess_countries}[
        slot.kind
    ]
    here = found.sum(axis=0)[slot.place]
    if slot.scope < CHIPS:
        return float(here[slot.scope])
    return float(here[slot.scope] + here[:CHIPS][world.family == slot.scope - CHIPS].sum())


def _form(random: np.random.Generator, book: float, figure: float, sd: float) -> dict[str, Any]:
    """A point, a range, or a bound on the honest side of the book."""
    best, dice_roll = float(np.rint(figure)), random.random()
    if dice_roll < 0.6:
        return {"best": best}
    if dice_roll < 0.9:
        spread = 1.645 * sd * best
        return {"low": float(np.floor(best - spread)), "best": best, "high": float(np.ceil(best + spread))}
    if dice_roll < 0.96:
        return {"best": np.nan, "low": float(np.floor(book * 0.8)), "bound": "floor"}
    return {"best": np.nan, "high": float(np.ceil(book * 1.3)), "bound": "ceiling"}


def _echoes(closing: Closing, random: np.random.Generator) -> None:
    """One claim in six is repeated by the press, later and with the same figure."""
    for place, row in enumerate(list(closing.claims.rows)):
        if random.random() < 1 / 6:
            closing.claims.add(**(row | {"house": HOUSES + place % 2, "grade": "D", "echo_of": place}))


def claim_table(closing: Closing) -> Table:
    """All claims gathered."""
    world, rows = closing.world, closing.claims.rows
    slots: list[Slot] = [row["slot"] for row in rows]  # type: ignore[misc]  # rows hold values of mixed kinds
    column = {name: [row[name] for row in rows] for name in rows[0] if name != "slot"}
    place, scope = np.array([s.place for s in slots]), np.array([s.scope for s in slots])
    kind, flow = np.array([s.kind for s in slots]), np.array(column["flow"])
    own_day, own_start, own_source = (np.array(column[name]) for name in ("day", "start", "source"))
    day = np.where(own_day >= 0, own_day, world.settings.claim_days[np.array(column["quarter"])])
    start = np.where(own_start >= 0, own_start, world.settings.months_start[-4])
    source = source_place(np.array(column["house"]), np.array(column["quarter"]))
    own_kind, own_status = np.array(column["kind"]), np.array(column["status"])
    return Table(
        "Claim",
        len(rows),
        {
            "slug": [claim_slug(world, i) for i in range(len(rows))],
            "kind": np.where(own_kind != "", own_kind, np.where(flow, "purchase", "installed")),
            "status": np.where(own_status != "", own_status, np.where(flow, "delivered", "installed")),
            "subject": Ref("Organization", np.where(kind == "org", world.first_operator + place, -1)),
            "data_center": Ref("DataCenter", np.where(kind == "site", place, -1)),
            "destination_country": np.where(
                kind == "country",
                np.array(COUNTRIES)[np.minimum(place, len(COUNTRIES) - 1)],
                np.array(column["destination"]),
            ),
            "origin_country": column["origin"],
            "reporter": column["reporter"],
            "unit": column["unit"],
            "chip": Ref("Chip", np.where(scope < CHIPS, scope, -1)),
            "family": Ref("ChipFamily", np.where(scope >= CHIPS, scope - CHIPS, -1)),
            "low": np.array(column["low"], float),
            "best": np.array(column["best"], float),
            "high": np.array(column["high"], float),
            "bound": column["bound"],
            "period_start": as_date(np.where(flow, start, np.nan)),
            "period_end": as_date(day),
            "original_text": "Synthetic claim made by the generator; nobody said this.",
            "source": Ref("Source", np.where(own_source >= 0, own_source, source)),
            "grade": column["grade"],
            "method": "synthetic survey",
            "verification": "synthetic",
            "echo_of": Ref("Claim", np.array(column["echo_of"])),
            "is_synthetic": True,
        },
    )


# --- powers -----------------------------------------------------------------------------------------------------------


def powers(closing: Closing) -> Table:
    """One figure for each site: enough for all that was delivered there, except at the sites planted short of power."""
    world = closing.world
    random = dice(world.settings, 3)
    tdp = np.concatenate(
        [world.tdp_w, np.maximum.reduceat(world.tdp_w, np.flatnonzero(np.diff(world.family, prepend=-1)))]
    )
    draw = closing.totals.sites.sum(axis=0) @ tdp * TYPICAL_POWER / 1e6
    megawatts = np.round(draw * random.uniform(1.8, 3.0, world.sites) + 0.5, 2)
    for place, short in closing.short_power.items():
        megawatts[place] = short
    columns = {
        "data_center": Ref("DataCenter", np.arange(world.sites)),
        "megawatts": megawatts,
        "basis": "installed",
        "as_of": as_date(np.zeros(world.sites)),
        "source": Ref("Source", np.zeros(world.sites, int)),
    }
    return Table("SitePower", world.sites, columns)
