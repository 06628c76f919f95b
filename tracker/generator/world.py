"""The standing cast of a synthetic ledger: vendors and chips, resellers, operators with their sites, owners, houses that report.

A few take most: vendors, operators and chips are numbered by size. Destinations are of two kinds. To *open* countries any chip
goes. To *watched* ones (Country Groups D:1, D:4 or D:5 of 15 CFR 740 Supp. 1) honest vendors send either chips below every
threshold of ECCN 3A090 or, to operators that hold a licence, one controlled chip within its quantity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.generator.tables import FIRST_DAY, Ref, Settings, Table, as_date, dice, zipf

VENDORS, CHIPS, FAMILY_SIZE, HOUSES, PRESS = 6, 24, 2, 6, 2
FAMILY_VENDOR = (0, 0, 1, 0, 1, 2, 0, 3, 1, 4, 2, 5)
"""The vendor of each family of chips: the first vendors have the most, and the most sold."""
TPP_H100 = 15_832.0
BOOKS_EACH = 4
"""Books declared whole of one reserved operator."""
OPEN = ("US", "JP", "DE", "FR", "GB", "CA", "SE", "NO", "AU", "FI", "ES", "IT")
WATCHED = ("CN", "AE", "SA", "VN", "KZ")
HUBS = ("SG", "NL", "TW")
COUNTRIES = OPEN + WATCHED + HUBS
ORIGINS = ("US", *HUBS)
"""Countries that goods also leave: their books are no plain sums of receipts, so no claims are made of them."""

GRADE_SD = {"A": 0.01, "B": 0.03, "C": 0.10, "D": 0.25}
"""Relative standard deviation by grade, from docs/method.md."""


@dataclass(frozen=True, slots=True)
class World:
    """Arrays by place. Organizations are one table: vendors, resellers, operators, then owners (``holdings``)."""

    settings: Settings
    resellers: int
    operators: int
    country: np.ndarray  # of organizations, places in COUNTRIES
    owner: np.ndarray  # of resellers and operators, places among organizations
    grade: np.ndarray  # of organizations as reporters, letters
    bias: np.ndarray  # of organizations as reporters, in units of their systematic standard deviation
    licensed: np.ndarray  # of operators: holds a licence for one controlled chip
    licensed_chip: np.ndarray  # of operators, chip
    site_start: np.ndarray  # of operators, first site; one more at the end
    site_country: np.ndarray
    chip_vendor: np.ndarray
    tpp: np.ndarray
    tdp_w: np.ndarray
    launch_month: np.ndarray  # months after FIRST_DAY, negative before
    controlled: np.ndarray  # of chips
    family: np.ndarray  # of chips
    house_grade: np.ndarray
    house_bias: np.ndarray
    reserved: np.ndarray  # of operators: no honest line goes there, so that what is planted is all there is

    @property
    def first_operator(self) -> int:
        """Place of the first operator among the organizations."""
        return VENDORS + self.resellers

    @property
    def watched(self) -> np.ndarray:
        """Of operators: whether they stand in a watched country."""
        places = self.country[self.first_operator : self.first_operator + self.operators]
        return (places >= len(OPEN)) & (places < len(OPEN) + len(WATCHED))

    @property
    def sites(self) -> int:
        return int(self.site_start[-1])

    @property
    def families(self) -> int:
        return int(self.family.max()) + 1

    @property
    def launch_day(self) -> np.ndarray:
        """First shipping day of each chip, as days since FIRST_DAY."""
        first = np.datetime64(FIRST_DAY, "M")
        starts = (first + self.launch_month).astype("datetime64[D]")
        return (starts - np.datetime64(FIRST_DAY, "D")).astype(np.int64)

    def organization_slug(self, place: int) -> str:
        return self.settings.slug(self._stem(place))

    def _stem(self, place: int) -> str:
        for stem, first in (
            ("holding", self.first_operator + self.operators),
            ("operator", self.first_operator),
            ("reseller", VENDORS),
            ("vendor", 0),
        ):
            if place >= first:
                return f"{stem}-{place - first + 1:04d}"
        raise IndexError(place)

    def chip_slug(self, place: int) -> str:
        return self.settings.slug(f"chip-{place + 1:02d}")

    def family_slug(self, place: int) -> str:
        return self.settings.slug(f"family-{place + 1:02d}")

    def site_slug(self, place: int) -> str:
        return self.settings.slug(f"site-{place + 1:05d}")


def build(settings: Settings) -> World:
    """The cast for these settings: the same for the same settings."""
    random = dice(settings, 0)
    operators = settings.organizations
    resellers = max(12, operators // 10)
    holders = resellers + operators
    place = np.arange(operators)
    watched = place % 5 == 4
    reserved = _reserved(settings, watched)
    country = np.concatenate(
        [
            np.zeros(VENDORS, int),
            len(OPEN) + len(WATCHED) + np.arange(resellers) % len(HUBS),
            np.where(
                watched,
                len(OPEN) + place // 5 % len(WATCHED),
                np.where(reserved, 1 + place % (len(OPEN) - 1), _by_share(random, len(OPEN), operators)),
            ),
        ]
    )
    owner, owner_country = _owners(country[VENDORS:], VENDORS + holders)
    country = np.concatenate([country, owner_country])
    grade = np.full(len(country), "B")
    grade[VENDORS + resellers :] = random.choice(["B", "C"], len(country) - VENDORS - resellers)
    grade[:VENDORS:2] = "A"
    chips = _chips(settings)
    openly_old = np.flatnonzero(chips["controlled"] & (chips["launch_month"] < 0))
    counts = 1 + np.minimum(random.poisson(1.0, operators), 3)
    start = np.concatenate([[0], np.cumsum(counts)])
    home = np.repeat(country[VENDORS + resellers : VENDORS + holders], counts)
    abroad = (random.random(len(home)) < 0.15) & (home < len(OPEN))
    return World(
        settings=settings, resellers=resellers, operators=operators, country=country, owner=owner, grade=grade,
        bias=errors(settings, random, len(country), 1.2),
        licensed=watched & (place // 5 % 2 == 0), licensed_chip=openly_old[place % len(openly_old)],
        site_start=start, site_country=np.where(abroad, random.integers(0, len(OPEN), len(home)), home),
        house_grade=np.array(["B", "C", "B", "D", "C", "B"]), house_bias=errors(settings, random, HOUSES, 1.0),
        reserved=reserved, **chips,
    )  # fmt: skip


def _reserved(settings: Settings, watched: np.ndarray) -> np.ndarray:
    """The last operators in open countries: one for every few books that are declared whole, each of another chip."""
    needed = math.ceil(settings.closed_books / BOOKS_EACH)
    return np.isin(np.arange(len(watched)), np.flatnonzero(~watched)[-needed:])


def _by_share(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    return random.choice(count, size, p=zipf(count, 0.8))


def errors(settings: Settings, random: np.random.Generator, count: int, limit: float) -> np.ndarray:
    """Standard normal numbers; where errors are cut, at ``limit``: an honest reporter then stays within its stated error."""
    drawn = random.standard_normal(count)
    return drawn if settings.errors == "full" else np.clip(drawn, -limit, limit)


def reported(settings: Settings, truth: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Figures that are wrong by ``relative``: as a share of the figure, as the method reads it, where errors are full. A figure
    beyond a tenth or ten times the truth is no honest one."""
    if settings.errors == "full":
        return truth / np.clip(1 - relative, 0.1, 10)
    return truth * (1 + relative)


def _owners(country: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Up to five companies of one country share an owner in it, so that every ultimate parent is known."""
    owner = np.empty(len(country), int)
    owners: list[int] = []
    for place in np.unique(country):
        members = np.flatnonzero(country == place)
        owner[members] = first + len(owners) + np.arange(len(members)) // 5
        owners += [int(place)] * (-(-len(members) // 5))
    return owner, np.array(owners)


def _chips(settings: Settings) -> dict[str, np.ndarray]:
    """Every third chip lies below all thresholds; every second launches while the ledger runs."""
    place = np.arange(CHIPS)
    controlled = place % 3 != 2
    step = np.linspace(0, 1, CHIPS)
    tpp = np.where(controlled, 6_400 + 25_600 * step, 480 + 800 * step) // 160 * 160
    late = 3 + place // 2 * (settings.months - 12) // (CHIPS // 2)
    return {
        "chip_vendor": np.array(FAMILY_VENDOR)[place // FAMILY_SIZE],
        "tpp": tpp,
        "tdp_w": np.minimum(60 + tpp * 0.04, 1_200) // 5 * 5,
        "launch_month": np.where((place % 2 == 0) | (place < 5), -3 - place, late),
        "controlled": controlled,
        "family": place // FAMILY_SIZE,
    }


def tables(world: World) -> list[Table]:
    """The rows of the cast, in an order in which every reference points backwards."""
    return [
        _sources(world), _organizations(world), _stakes(world), _chip_rows(world), _specifications(world),
        _family_rows(world), _members(world), _site_rows(world), _statuses(world),
    ]  # fmt: skip


SPEAKING = (HOUSES + PRESS) * 4
"""Sources of houses and press, one for each quarter."""


def auditor_place(book: int) -> int:
    """Place of the source that counts what is there of a book that is declared whole: a house of its own."""
    return 1 + SPEAKING + book


def customs_place(settings: Settings, country: int) -> int:
    """Place of the source of a country's trade statistics."""
    return 1 + SPEAKING + settings.closed_books + country


def source_place(house: np.ndarray, quarter: np.ndarray) -> np.ndarray:
    """Places of the sources in which a house speaks of one of the four quarters; the ledger itself is at 0."""
    return 1 + house * 4 + quarter


def _sources(world: World) -> Table:
    s = world.settings
    house, quarter = np.divmod(np.arange(SPEAKING), 4)
    days = s.claim_days[quarter] + 20 + 3 * house + np.where(house >= HOUSES, 25, 0)
    names = [f"house {h + 1}" if h < HOUSES else f"press {h - HOUSES + 1}" for h in house]
    counters = [f"auditor {i + 1}" for i in range(s.closed_books)]
    counters += [f"customs {country}" for country in COUNTRIES]
    grades = ["A"] * s.closed_books + ["B"] * len(COUNTRIES)
    return Table(
        "Source",
        len(house) + 1 + len(counters),
        {
            "slug": [
                s.slug("ledger"),
                *(s.slug(f"{n.replace(' ', '-')}-q{q + 1}") for n, q in zip(names, quarter, strict=True)),
                *(s.slug(n.replace(" ", "-").lower()) for n in counters),
            ],
            "title": [
                s.title,
                *(f"{s.title}: {n}, quarter {q + 1} of 4" for n, q in zip(names, quarter, strict=True)),
                *(f"{s.title}: {n}" for n in counters),
            ],
            "publisher": ["Synthetic generator", *(s.name(n) for n in (*names, *counters))],
            "published_on": as_date(
                np.concatenate([[np.nan], days, np.full(len(counters), s.claim_days[-1] + 20)])
            ),
            "published_on_basis": "inferred",
            "kind": "synthetic",
            "grade": ["B", *(str(world.house_grade[h]) if h < HOUSES else "D" for h in house), *grades],
            "verification": "synthetic",
        },
    )


def _organizations(world: World) -> Table:
    s, count = world.settings, len(world.country)
    roles = ["{chip vendor}"] * VENDORS + ["{server maker}"] * world.resellers
    roles += ["{data-center operator}"] * world.operators + ["{investor}"] * (
        count - len(roles) - world.operators
    )
    return Table(
        "Organization",
        count,
        {
            "slug": [world.organization_slug(i) for i in range(count)],
            "name": [s.name(world._stem(i).replace("-", " ")) for i in range(count)],
            "country": [COUNTRIES[c] for c in world.country],
            "roles": roles,
            "source": Ref("Source", np.zeros(count, int)),
            "confidence": "likely",
            "verification": "synthetic",
            "is_synthetic": True,
        },
    )


def _stakes(world: World) -> Table:
    count = len(world.owner)
    return Table(
        "OwnershipStake",
        count,
        {
            "owner": Ref("Organization", world.owner),
            "owned": Ref("Organization", VENDORS + np.arange(count)),
            "share_percent": 100,
            "source": Ref("Source", np.zeros(count, int)),
            "verification": "synthetic",
        },
    )


def _chip_rows(world: World) -> Table:
    s = world.settings
    return Table(
        "Chip",
        CHIPS,
        {
            "slug": [world.chip_slug(i) for i in range(CHIPS)],
            "name": [s.name(f"chip {i + 1:02d}") for i in range(CHIPS)],
            "vendor": Ref("Organization", world.chip_vendor),
            "first_shipped_on": as_date(world.launch_day),
            "marketed_for_datacenters": True,
            "marketing_evidence": "Synthetic: set by the generator.",
        },
    )


def _specifications(world: World) -> Table:
    """TPP is rate x bits in every format alike: 16-bit rates are TPP / 16, 8-bit rates TPP / 8."""
    return Table(
        "ChipSpecification",
        CHIPS,
        {
            "chip": Ref("Chip", np.arange(CHIPS)),
            "source": Ref("Source", np.zeros(CHIPS, int)),
            "int8_tops": world.tpp / 8,
            "fp8_tflops": world.tpp / 8,
            "fp16_tflops": world.tpp / 16,
            "bf16_tflops": world.tpp / 16,
            "dies": 1,
            "die_area_mm2": np.where(world.controlled, 800.0, 640.0),
            "memory_gb": 96,
            "memory_bandwidth_gbs": np.where(world.controlled, 3_200.0, 600.0),
            "io_bandwidth_gbs": 400,
            "tdp_w": world.tdp_w,
            "verification": "synthetic",
        },
    )


def _family_rows(world: World) -> Table:
    s, count = world.settings, world.families
    return Table(
        "ChipFamily",
        count,
        {
            "slug": [world.family_slug(i) for i in range(count)],
            "name": [s.name(f"family {i + 1:02d}") for i in range(count)],
            "vendor": Ref("Organization", world.chip_vendor[::FAMILY_SIZE]),
        },
    )


def _members(world: World) -> Table:
    columns = {"family": Ref("ChipFamily", world.family), "chip": Ref("Chip", np.arange(CHIPS))}
    return Table("ChipFamilyMember", CHIPS, columns)


def operator_of_site(world: World) -> np.ndarray:
    """Of sites: their operator, among operators."""
    return np.repeat(np.arange(world.operators), np.diff(world.site_start))


def _site_rows(world: World) -> Table:
    count = world.sites
    return Table(
        "DataCenter",
        count,
        {
            "slug": [world.site_slug(i) for i in range(count)],
            "name": [world.settings.name(f"site {i + 1:05d}") for i in range(count)],
            "operator": Ref("Organization", world.first_operator + operator_of_site(world)),
            "country": [COUNTRIES[c] for c in world.site_country],
            "source": Ref("Source", np.zeros(count, int)),
            "verification": "synthetic",
            "is_synthetic": True,
        },
    )


def _statuses(world: World) -> Table:
    count = world.sites
    return Table(
        "DataCenterStatus",
        count,
        {
            "data_center": Ref("DataCenter", np.arange(count)),
            "status": "operational",
            "valid_from": as_date(np.zeros(count)),
            "source": Ref("Source", np.zeros(count, int)),
        },
    )
