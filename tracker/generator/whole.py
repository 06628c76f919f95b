"""Books that are declared whole, with a count at the end of every month; hubs; and both sides' statistics of trade.

A book belongs to a reserved operator, to whom no honest line goes, and to one chip: a line each month, a declaration that no
other moved, and an auditor's counts. Of some books chips are lost between counts: all in one month, or a little in each, so that
only the tests of the whole sequence can see it. The others are honest. Of some countries that chips also leave, less is said to
be installed at the end of the year than came in and stayed. Trade statistics are values of routes for the last year,
by the exporting and by the importing country's customs; of some the importer's lies too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.claims.combine import quantity
from tracker.core.quantity import Quantity, Reported
from tracker.generator.closing import (
    GAPS,
    KINDS,
    POSSIBLE,
    Closing,
    Slot,
    as_lines,
    claim_slug,
    day_text,
    line_row,
    old_chip,
    said,
    solved,
)
from tracker.generator.lines import PRICE_USD_PER_TPP, Lines
from tracker.generator.tables import HONEST_BOOKS, Ref, Settings, Table, as_date, dice
from tracker.generator.world import (
    BOOKS_EACH,
    CHIPS,
    COUNTRIES,
    GRADE_SD,
    OPEN,
    TPP_H100,
    World,
    auditor_place,
    customs_place,
    reported,
)
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.sequence import Balances, Entry, balances

FIRST_MONTH = 1
PERIODS = {"loss": 3, "steady": 10, "honest": 6}
"""Months between the first count and the last one of a book."""
GROSS = 12.0
"""Size, in standard errors, of what is lost, and of mirror gaps, where differences are planted gross."""
LOST_IN = 2
HONEST_HUBS, SENT_ON = 2, 65.0
LEAST_ORPHAN = 1_050.0
"""H100-equivalents below which an orphan is not told: one significant quantity, and what the rounding of claims may take off."""
HONEST_ROUTES, EXPORTERS = 20, ("US", "TW")
READING = Parameters()


@dataclass(frozen=True, slots=True)
class Book:
    """The ``number``-th book: operator and chip as places, and what happens to it."""

    number: int
    operator: int
    chip: int
    fate: str  # loss | steady | honest

    @property
    def receipts(self) -> list[float]:
        """Chips on each line: the first one before the first count. Odd numbers, so that none is taken for a round one."""
        return [12_007.0, *(3_001.0 + 14 * month for month in range(1, PERIODS[self.fate] + 1))]


def books(world: World) -> list[Book]:
    """All books declared whole: losses, then steady losses, then honest ones."""
    leaks, places = world.settings.leaks, np.flatnonzero(world.reserved)
    fates = ["loss"] * leaks + ["steady"] * leaks + ["honest"] * HONEST_BOOKS
    return [
        Book(number, int(places[number // BOOKS_EACH]), old_chip(world, number % BOOKS_EACH), fate)
        for number, fate in enumerate(fates)
    ]


def line_count(settings: Settings) -> int:
    """Lines that :func:`lines` makes."""
    lost = settings.leaks * (PERIODS["loss"] + PERIODS["steady"] + 2)
    return lost + HONEST_BOOKS * (PERIODS["honest"] + 1)


def lines(closing: Closing, first: int) -> Lines:
    """The receipts of all books, after ``first`` other lines: each within its month."""
    world = closing.world
    rows = [
        line_row(world, book.chip, world.first_operator + book.operator, _month(world, at) + 2, units)
        for book in books(world)
        for at, units in enumerate(book.receipts)
    ]
    return as_lines(world, rows, first)


def hub_count(settings: Settings) -> int:
    """Countries and chips that are followed through a hub; none in a ledger that is not longer than the year asked about."""
    return settings.leaks + HONEST_HUBS if settings.months > 12 else 0


def hub_lines(closing: Closing, first: int) -> Lines:
    """A small line on from each hub: which makes it one."""
    world, totals = closing.world, closing.totals
    abroad = np.arange(1, len(OPEN))
    before = (totals.countries.sum(axis=0) - totals.year[3])[abroad, :CHIPS]
    h100e = (
        totals.year[0][abroad, :CHIPS] * world.tpp * (before >= 256)
    )  # there is something to count at both ends
    order = np.argsort(-h100e, axis=None, kind="stable")[: hub_count(world.settings)]
    closing.hubs += [(int(abroad[at // CHIPS]), int(at % CHIPS)) for at in order]
    everywhere = world.country[world.first_operator :][: world.operators]
    rows = []
    for country, chip in closing.hubs:
        others = np.flatnonzero(
            ~world.watched & ~world.reserved & (everywhere != country) & (everywhere != 0)
        )
        consignee = world.first_operator + int(others[len(others) // 2])
        day = int(world.settings.months_start[-6])
        rows.append(line_row(world, chip, consignee, day, SENT_ON) | {"origin": country})
    return as_lines(world, rows, first)


def hubs(closing: Closing) -> None:
    """What two houses say is installed in each hub, before the year and at its end; of some, less than came in and stayed."""
    world, totals, s = closing.world, closing.totals, closing.world.settings
    days = int(s.months_start[-13]) - 1, s.days - 1
    for number, (country, chip) in enumerate(closing.hubs):
        came, shared, own, told_in = (float(part[country, chip]) for part in totals.year)
        before = float(np.rint(totals.countries[:, country, chip].sum() - told_in))
        stayed = before + came - SENT_ON
        planted = number < s.leaks
        size = (closing.size(number) or GROSS) if planted else 0.0
        surprise = closing.surprise(size)
        fixed = math.sqrt((GRADE_SD["B"] * before) ** 2 + shared**2 + own)
        after = _short_of(stayed, surprise, fixed)
        slot = Slot("country", country, chip, 0.0, 0.0)
        places = [said(closing, slot, figure, house, day=day)
                  for figure, house, day in ((before, 0, days[0]), (after, 2, days[1]))]  # fmt: skip
        if not planted:
            continue
        lost = size * math.hypot(fixed, GRADE_SD["B"] * after)
        area = f"country:{COUNTRIES[country]}"
        slugs, period = [claim_slug(world, place) for place in places], day_text(world, days[1])
        told = "" if lost * float(world.tpp[chip]) / TPP_H100 >= LEAST_ORPHAN else POSSIBLE
        name = closing.leak(
            KINDS[19], "TRANS", area, chip, period, lost, "", told, sigma=closing.size(number), claim=slugs
        )
        closing.leak(
            GAPS[1], "GAP", area, chip, period, lost, name, POSSIBLE, sigma=closing.size(number), claim=slugs
        )


def _short_of(stayed: float, size: float, fixed: float) -> float:
    """The grade B figure that lies so many standard errors below; ``fixed``: the error of all the rest."""
    return solved(stayed, lambda figure: -size * math.hypot(fixed, GRADE_SD["B"] * figure))


def _month(world: World, at: int) -> int:
    return int(world.settings.months_start[FIRST_MONTH + at])


def _counted_on(world: World, at: int) -> int:
    return _month(world, at + 1) - 1


def closed_books(world: World) -> Table:
    """A declaration for each book, from its first count's month to the end of the ledger."""
    s, rows = world.settings, books(world)
    return Table(
        "ClosedBook",
        len(rows),
        {
            "slug": [s.slug(f"book-{book.number + 1:03d}") for book in rows],
            "organization": Ref(
                "Organization", np.array([world.first_operator + book.operator for book in rows])
            ),
            "chip": Ref("Chip", np.array([book.chip for book in rows])),
            "valid_from": as_date(np.full(len(rows), _month(world, 0))),
            "original_text": "Synthetic declaration made by the generator; nobody said this.",
            "source": Ref("Source", np.array([auditor_place(book.number) for book in rows])),
            "verification": "synthetic",
            "is_synthetic": True,
        },
    )


# --- counts -----------------------------------------------------------------------------------------------------------


def count(closing: Closing) -> None:
    """Add the auditors' counts to the claims, and what was lost to the truth."""
    for book in books(closing.world):
        size = closing.size(book.number % max(1, closing.world.settings.leaks)) or GROSS
        counts, lost = _counts(closing.world, book, size if book.fate != "honest" else 0.0)
        slot = Slot("org", book.operator, book.chip, 0.0, 0.0)
        places = [
            said(closing, slot, figure, day=_counted_on(closing.world, at), grade="A", source=auditor_place(book.number))
            for at, figure in enumerate(counts)
        ]  # fmt: skip
        if book.fate != "honest":
            _write_down(closing, book, lost, closing.size(book.number % closing.world.settings.leaks), places)


def _write_down(closing: Closing, book: Book, lost: float, size: float | None, places: list[int]) -> None:
    """The loss, and that whoever holds a count against the book, or all reports together, may see it too."""
    world = closing.world
    area = f"org:{world.organization_slug(world.first_operator + book.operator)}"
    steady = book.fate == "steady"
    kind = KINDS[16] if steady else KINDS[15]
    slugs = [claim_slug(world, place) for place in places]
    period = day_text(world, _counted_on(world, PERIODS[book.fate] if steady else LOST_IN))
    name = closing.leak(kind, "MUF", area, book.chip, period, lost, sigma=size, claim=slugs)
    for check in ("GAP", "NET"):
        closing.leak(GAPS[1], check, area, book.chip, period, lost, name, POSSIBLE, sigma=size, claim=slugs)


def _counts(world: World, book: Book, size: float) -> tuple[list[float], float]:
    """The figures of the counts, and how much was lost: so many standard errors of the period, or of the whole span."""
    settings, random = world.settings, dice(world.settings, 5, book.number)
    vendor = int(world.chip_vendor[book.chip])
    grade = str(world.grade[vendor])
    full = settings.errors == "full"
    draws = random.standard_normal(2 * len(book.receipts) + 1) * full
    own, audit, bias = draws[: len(book.receipts)], draws[len(book.receipts) : -1], float(draws[-1])
    error = GRADE_SD[grade] * math.sqrt(0.5) * (float(world.bias[vendor]) * full + own)
    stock = np.cumsum(np.array(book.receipts) * (1 - error))
    wrong = GRADE_SD["A"] * math.sqrt(0.5) * (bias + audit)
    periods, lost = PERIODS[book.fate], 0.0
    figures = np.rint(reported(settings, stock, wrong))
    for _ in range(
        5 if size else 0
    ):  # the errors of the counts go by what is counted, and so by what was lost
        found = _balanced(book, figures.tolist(), grade)
        lost = size * (found.sigma[LOST_IN - 1] if book.fate == "loss" else found.sigma_cumuf[-1])
        months = np.arange(periods + 1)
        gone = lost * ((months >= LOST_IN) if book.fate == "loss" else months / periods)
        figures = np.rint(reported(settings, stock - gone, wrong))
    return figures.tolist(), lost


def _balanced(book: Book, counts: list[float], grade: str) -> Balances:
    """The book as the method balances it."""
    records = {f"in {at}": _read(units, grade, "ledger") for at, units in enumerate(book.receipts)}
    records |= {f"count {at}": _read(figure, "A", "auditor") for at, figure in enumerate(counts)}
    return balances(
        records,
        [
            [Entry(f"count {at - 1}", "open"), Entry(f"in {at}", "receipt"), Entry(f"count {at}", "close")]
            for at in range(1, len(counts))
        ],
    )


def _read(figure: float, grade: str, key: str) -> Quantity:
    read = quantity(Reported(best=figure, grade=grade), READING, key)
    assert isinstance(read, Quantity)  # a number of chips always reads
    return read


# --- trade statistics -------------------------------------------------------------------------------------------------


def trade(closing: Closing) -> None:
    """Add what both customs say of routes, in dollars of the last twelve months, and the gaps to the truth."""
    world, s = closing.world, closing.world.settings
    random = dice(s, 6)
    full = s.errors == "full"
    bias = random.standard_normal(len(COUNTRIES)) * full
    routes = [(origin, place) for place in range(len(OPEN)) for origin in EXPORTERS if OPEN[place] != origin]
    for number in range(s.leaks + HONEST_ROUTES):
        origin, importer = routes[number % len(routes)]
        exporter = COUNTRIES.index(origin)
        chip = (2 * (number // len(routes)) + EXPORTERS.index(origin)) % CHIPS
        size = (closing.size(number) or GROSS) if number < s.leaks else 0.0
        sigma = GRADE_SD["B"] * math.sqrt(2)
        worth = float(np.exp(random.normal(18, 0.5)))
        came = worth * math.exp(-size * sigma)
        own = random.standard_normal(2) * full
        sides = []
        for side, (who, value) in enumerate(((exporter, worth), (importer, came * (1 + READING.cif_fob)))):
            relative = GRADE_SD["B"] * math.sqrt(0.5) * (bias[who] + own[side])
            figure = float(np.rint(reported(s, np.array(value), relative)))
            sides.append(
                said(
                    closing, Slot("route", importer, chip, 0.0, 0.0), figure, kind="shipment", status="shipped", unit="USD",
                    start=int(s.months_start[-13]), origin=origin, destination=COUNTRIES[importer], flow=True,
                    reporter=("exporter", "importer")[side], source=customs_place(s, who),
                )
            )  # fmt: skip
        if size:
            lost = (worth - came) / (float(world.tpp[chip]) * PRICE_USD_PER_TPP)
            closing.leak(
                KINDS[17], "MIRROR", f"country:{COUNTRIES[importer]}", chip, day_text(world, s.days - 1), lost,
                sigma=closing.size(number), claim=[claim_slug(world, place) for place in sides],
            )  # fmt: skip
