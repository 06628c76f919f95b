"""The shipment lines of a synthetic ledger, made chunk by chunk as numpy arrays.

Vendors sell to operators, and to resellers whose goods travel on to operators in open countries. Every line has a true number
of units that nobody writes down; shipper and receiver each report it with an error drawn from their grade: half of its variance
from the reporter's own lasting bias, half from the line. Errors are cut at about two standard deviations, so that an honest line
agrees with itself, or left as they fall (``Settings.errors``). :class:`Totals` adds up what the claims, licences and powers made
afterwards must agree with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tracker.generator.tables import Ref, Settings, Table, as_date, dice, drawn, zipf
from tracker.generator.world import CHIPS, COUNTRIES, GRADE_SD, VENDORS, World, errors, reported

CHUNK = 50_000
"""Lines made at once: what bounds the memory. It is part of what a seed means."""
SERVER = 8
PRICE_USD_PER_TPP = 1.6
QUARTERS = 4
STALE_DAYS = 90
"""What was told to be in transit so long before the last day should have come in: it is so by plan only."""
LEAD_DAYS = 30
"""After so many days the method presumes that a line has come in."""
CHINA, HOME = COUNTRIES.index("CN"), COUNTRIES.index("US")


@dataclass(slots=True)
class Lines:
    """One chunk of lines, an array for each property. Places as in :class:`~tracker.generator.world.World`; -1: none.

    ``units`` (shipper's figure), ``by_receiver``: in servers of eight where ``server``, else in chips; ``by_receiver`` and
    ``received`` are NaN where not reported. ``shipped``, ``shipped_latest``, ``received``: days since the first day.
    ``onward``: place among the ledger's lines of the line whose goods this one carries on. ``lot``: number of its consignment.
    ``excess``: chips that the line really moved beyond its figure.
    """

    first: int
    shipper: np.ndarray
    consignee: np.ndarray
    site: np.ndarray
    chip: np.ndarray
    family: np.ndarray
    origin: np.ndarray
    destination: np.ndarray
    shipped: np.ndarray
    shipped_latest: np.ndarray
    received: np.ndarray
    units: np.ndarray
    by_shipper: np.ndarray
    by_receiver: np.ndarray
    server: np.ndarray
    exact: np.ndarray
    cancelled: np.ndarray
    user_known: np.ndarray
    licence: np.ndarray
    onward: np.ndarray
    lot: np.ndarray
    excess: np.ndarray

    def __len__(self) -> int:
        return len(self.shipper)

    @property
    def chips(self) -> np.ndarray:
        """The line's figure in chips."""
        return self.units * np.where(self.server, SERVER, 1)


@dataclass(slots=True)
class Totals:
    """Sums over the lines, in chips; scope: a chip, or CHIPS + a family for lines that name only the family.

    ``operators``, ``sites``, ``countries``: received between one claim day and the next (axis 0), by place and scope.
    ``licensed``: shipped under each operator's licence. ``stock``: received less dispatched by resellers, by scope.
    ``to_china`` and ``in_us``: shipped to operators there, by chip, as far as the line names it. ``excess_...``: chips really
    received beyond the figures, for claims that are drawn around the truth. ``systematic``, ``random``: of the operators' books
    on the first claim day, the sum of the errors that one house makes alike, and the variance of the others.
    ``year``: chips received or presumed so in the last twelve months by country
    and scope, with both errors in the same way, and the chips that are told to have been received.
    """

    operators: np.ndarray
    sites: np.ndarray
    countries: np.ndarray
    licensed: np.ndarray
    stock: np.ndarray
    to_china: np.ndarray
    in_us: np.ndarray
    excess_operators: np.ndarray
    excess_sites: np.ndarray
    excess_countries: np.ndarray
    systematic: np.ndarray
    random: np.ndarray
    year: np.ndarray
    lines: int = 0
    chips: int = field(default=0)

    @classmethod
    def empty(cls, world: World) -> Totals:
        scopes = CHIPS + world.families
        return cls(
            operators=np.zeros((QUARTERS, world.operators, scopes)),
            sites=np.zeros((QUARTERS, world.sites, scopes)),
            countries=np.zeros((QUARTERS, len(COUNTRIES), scopes)),
            licensed=np.zeros(world.operators),
            stock=np.zeros((world.resellers, scopes)),
            to_china=np.zeros(CHIPS),
            in_us=np.zeros(CHIPS),
            excess_operators=np.zeros((QUARTERS, world.operators, scopes)),
            excess_sites=np.zeros((QUARTERS, world.sites, scopes)),
            excess_countries=np.zeros((QUARTERS, len(COUNTRIES), scopes)),
            systematic=np.zeros((world.operators, scopes)),
            random=np.zeros((world.operators, scopes)),
            year=np.zeros((4, len(COUNTRIES), scopes)),
        )

    def add(self, world: World, lines: Lines) -> None:
        """Add a chunk. Cancelled lines count nothing; receipts after the last claim day enter no book."""
        self.lines += len(lines)
        counts = ~lines.cancelled
        self.chips += int(lines.chips[counts].sum())
        scope = np.where(lines.family >= 0, CHIPS + lines.family, lines.chip)
        quarter = np.searchsorted(world.settings.claim_days, lines.received)  # NaN sorts behind the last day
        operator = lines.consignee - world.first_operator
        booked = counts & (quarter < QUARTERS)
        for to, excess, which, place in (
            (self.operators, self.excess_operators, operator >= 0, operator),
            (self.sites, self.excess_sites, lines.site >= 0, lines.site),
            (self.countries, self.excess_countries, np.ones(len(lines), bool), lines.destination),
        ):
            _add(to, booked & which, lines.chips, quarter, place, scope)
            _add(excess, booked & which, lines.excess, quarter, place, scope)
        early = counts & (quarter == 0) & (operator >= 0)
        shared, own = stated_errors(world, lines)
        _add(self.systematic, early, shared, operator, scope)
        _add(self.random, early, own, operator, scope)
        came = np.where(np.isnan(lines.received), lines.shipped + LEAD_DAYS, lines.received)
        late = counts & (came >= world.settings.months_start[-13]) & (came < world.settings.days)
        for at, amount in enumerate((lines.chips, shared, own, lines.chips * np.isfinite(lines.received))):
            _add(self.year[at], late, amount, lines.destination, scope)
        named = counts & (operator >= 0) & (lines.family < 0)
        _add(self.to_china, named & (lines.destination == CHINA), lines.chips, lines.chip)
        _add(self.in_us, named & (lines.destination == HOME), lines.chips, lines.chip)
        _add(self.licensed, counts & (lines.licence >= 0), lines.chips, lines.licence)
        reseller, seller = lines.consignee - VENDORS, lines.shipper - VENDORS
        _add(self.stock, counts & (operator < 0), lines.chips, reseller, scope)
        _add(self.stock, counts & (seller >= 0), -lines.chips, seller, scope)


def _add(total: np.ndarray, chosen: np.ndarray, amount: np.ndarray, *axes: np.ndarray) -> None:
    where = np.ravel_multi_index(tuple(axis[chosen] for axis in axes), total.shape)
    total += np.bincount(where, weights=amount[chosen], minlength=total.size).reshape(total.shape)


def stated_errors(world: World, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
    """Of each line's figure, as the method reads it: the systematic standard deviation, and the variance of its own."""
    spread = np.where(lines.exact, 0.0, _sd(world, lines.shipper) * lines.chips)
    written, half = lines.units, np.full(len(lines), 0.5)
    for zeros in range(1, 6):  # trailing zeros are not believed beyond two digits
        half = np.where((written % 10**zeros == 0) & (written >= 10 ** (zeros + 1)), 0.5 * 10**zeros, half)
    rounding = np.where(lines.exact, 0.0, (half * np.where(lines.server, SERVER, 1)) ** 2 / 3)
    return np.sqrt(0.5) * spread, 0.5 * spread**2 + rounding


def _sd(world: World, reporter: np.ndarray) -> np.ndarray:
    """Relative standard deviation of what organizations report."""
    return np.array([GRADE_SD[letter] for letter in "ABC"])[
        np.searchsorted(["A", "B", "C"], world.grade[reporter])
    ]


def chunks(world: World, count: int) -> Iterator[Lines]:
    """``count`` honest lines, roughly in the order of shipping, at most CHUNK at a time."""
    for number, first in enumerate(range(0, count, CHUNK)):
        yield _chunk(world, number, first, min(CHUNK, count - first), count)


def _chunk(world: World, number: int, first: int, size: int, count: int) -> Lines:
    """Inbound lines to resellers, then lines straight to operators, then the resellers' onward lines."""
    random = dice(world.settings, 1, number)
    onward = size * 15 // 100
    inbound = onward + size * 5 // 100
    kind = np.repeat([0, 1, 2], [inbound, size - inbound - onward, onward])
    shipped = _days(world.settings, (first + random.random(size) * size) / count, random)
    shipped = np.where(kind == 0, np.minimum(shipped, world.settings.days - 75), shipped)
    consignee = _consignees(world, random, kind)
    operator = np.where(kind == 0, -1, consignee - world.first_operator)
    chip, licence = _chip_of(world, random, shipped, operator)
    travel = random.integers(3, 20, size)  # with ten vague days still under the presumed thirty
    late = np.where((kind == 1) & (random.random(size) < 0.03), random.integers(1, 11, size), 0)
    received = shipped + late + travel
    units, server = _sizes(random, size)
    carried = np.full(size, -1)
    tail = slice(size - onward, size)
    carried[tail] = random.permutation(inbound)[:onward]
    parent = carried[tail]
    chip[tail], server[tail] = chip[parent], server[parent]
    shipped[tail] = received[parent] + random.integers(1, 40, onward)
    received[tail] = shipped[tail] + travel[tail]
    shipper = world.chip_vendor[chip]
    shipper[tail] = consignee[parent]
    units[tail] = np.maximum(1, np.floor(units[parent] * random.uniform(0.3, 0.9, onward)))
    return _reported(
        world,
        random,
        first,
        kind,
        shipper,
        consignee,
        operator,
        chip,
        licence,
        shipped,
        late,
        received,
        units,
        server,
        carried,
    )


def _days(settings: Settings, position: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shipping days of lines by their position in the ledger (0 to 1): trade grows about sevenfold from end to end."""
    grown = np.log1p(position * (np.e**2 - 1)) / 2
    return np.minimum((grown * settings.days).astype(np.int64), settings.days - 1)


def _consignees(world: World, random: np.random.Generator, kind: np.ndarray) -> np.ndarray:
    size = len(kind)
    share = np.where(world.reserved, 0.0, zipf(world.operators, 0.9))
    share /= share.sum()
    open_share = np.where(world.watched, 0.0, share)
    operator = drawn(random, share, size)
    onward_to = drawn(random, open_share / open_share.sum(), size)
    reseller = drawn(random, zipf(world.resellers), size)
    first = world.first_operator
    return np.choose(kind, [VENDORS + reseller, first + operator, first + onward_to])


def _chip_of(
    world: World, random: np.random.Generator, shipped: np.ndarray, operator: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The chip of each line among those launched by its month, and the licence it travels under (an operator, or -1)."""
    month = np.searchsorted(world.settings.months_start, shipped, side="right") - 1
    age = np.arange(world.settings.months)[:, None] - world.launch_month
    weight = np.where(age >= 0, zipf(CHIPS) * np.exp(-np.maximum(age, 0) / 18.0), 0.0)
    free = _by_month(random, weight, month)
    below = _by_month(random, np.where(world.controlled, 0.0, weight), month)
    watched = (operator >= 0) & world.watched[operator]
    under = watched & world.licensed[operator] & (random.random(len(month)) < 0.5)
    chip = np.where(under, world.licensed_chip[operator], np.where(watched, below, free))
    return chip, np.where(under, operator, -1)


def _by_month(random: np.random.Generator, weight: np.ndarray, month: np.ndarray) -> np.ndarray:
    reach = np.cumsum(weight, axis=1)
    return (reach[month] < (random.random(len(month)) * reach[month, -1])[:, None]).sum(axis=1)


def _sizes(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """True units of each line and whether they are servers: many small lines, a few very large."""
    chips = SERVER * np.clip(np.rint(np.exp(random.normal(2.8, 1.2, size))), 1, 2_500)
    server = random.random(size) < 0.12
    return np.where(server, chips / SERVER, chips), server


def figure(world: World, random: np.random.Generator, units: np.ndarray, reporter: np.ndarray) -> np.ndarray:
    """What the reporters (organizations) say of true ``units``: whole units, at least one."""
    own = errors(world.settings, random, len(units), 1.2)
    relative = _sd(world, reporter) * np.sqrt(0.5) * (world.bias[reporter] + own)
    return np.maximum(1, np.rint(reported(world.settings, units, relative)))


def _reported(
    world: World, random: np.random.Generator, first: int, kind: np.ndarray, shipper: np.ndarray, consignee: np.ndarray,
    operator: np.ndarray, chip: np.ndarray, licence: np.ndarray, shipped: np.ndarray, late: np.ndarray, received: np.ndarray,
    units: np.ndarray, server: np.ndarray, carried: np.ndarray,
) -> Lines:  # fmt: skip
    size, direct = len(kind), kind == 1
    exact = random.random(size) < 0.02
    sent = np.where(exact, units, figure(world, random, units, shipper))
    got = np.where(exact, sent, figure(world, random, units, consignee))
    parent = carried[kind == 2]
    # a reseller never reports to have sent on more than came in
    sent[kind == 2] = np.minimum(sent[kind == 2], sent[parent])
    got[exact] = sent[exact]
    open_to = direct & (licence < 0) & ~((operator >= 0) & world.watched[operator])
    site = _site_of(world, random, operator)
    home = world.country[consignee]
    vendor_origin = random.choice([COUNTRIES.index("US"), COUNTRIES.index("TW")], size)
    return Lines(
        first=first, shipper=shipper, consignee=consignee, site=site, chip=chip,
        family=np.where(open_to & (random.random(size) < 0.04), world.family[chip], -1),
        origin=np.where(shipper < VENDORS, vendor_origin, world.country[shipper]),
        destination=np.where(site >= 0, world.site_country[site], home),
        shipped=shipped, shipped_latest=np.where(late > 0, shipped + late, np.nan),
        received=np.where(received < world.settings.days, received, np.nan),
        units=sent, by_shipper=np.where(random.random(size) < 0.9, sent, np.nan),
        by_receiver=np.where((random.random(size) < 0.7) & (received < world.settings.days), got, np.nan),
        server=server, exact=exact, cancelled=direct & (random.random(size) < 0.005),
        user_known=~direct | (random.random(size) < 0.95) | (licence >= 0), licence=licence,
        onward=np.where(carried >= 0, first + carried, -1), lot=np.full(size, -1),
        excess=(units - sent) * np.where(server, SERVER, 1),
    )  # fmt: skip


def _site_of(world: World, random: np.random.Generator, operator: np.ndarray) -> np.ndarray:
    """A site of the operator, its first ones more often; -1 for resellers and for one line in ten."""
    start = world.site_start[np.maximum(operator, 0)]
    count = world.site_start[np.maximum(operator, 0) + 1] - start
    site = start + (random.random(len(operator)) ** 2 * count).astype(np.int64)
    return np.where((operator >= 0) & (random.random(len(operator)) < 0.9), site, -1)


def table(world: World, lines: Lines) -> Table:
    """The chunk as rows of shipments; references to earlier lines are places in the whole ledger."""
    s, size = world.settings, len(lines)
    prefix = s.slug("line-")
    chips_per_unit = np.where(lines.server, float(SERVER), np.nan)
    family_named = lines.family >= 0
    arrived = np.isfinite(lines.received)
    # A ledger ends on its last day and is read on later ones: what was under way then came in since, on a day not told.
    stale = ~arrived & (lines.shipped < s.days - STALE_DAYS)
    worth = lines.chips * world.tpp[lines.chip] * PRICE_USD_PER_TPP
    return Table(
        "Shipment",
        size,
        {
            "reference": [f"{prefix}{i:08d}" for i in range(lines.first + 1, lines.first + size + 1)],
            "consignment": [s.slug(f"lot-{lot + 1:04d}") if lot >= 0 else "" for lot in lines.lot.tolist()],
            "chip": Ref("Chip", np.where(family_named, -1, lines.chip)),
            "family": Ref("ChipFamily", lines.family),
            "quantity": lines.units.astype(np.int64),
            "is_exact": lines.exact,
            "unit": np.array(["chips", "servers"])[lines.server.astype(int)],
            "chips_per_unit": chips_per_unit,
            "quantity_by_shipper": lines.by_shipper,
            "quantity_by_receiver": lines.by_receiver,
            "grade_by_shipper": world.grade[lines.shipper],
            "grade_by_receiver": world.grade[lines.consignee],
            "shipped_on": as_date(lines.shipped),
            "shipped_on_latest": as_date(lines.shipped_latest),
            "received_on": as_date(lines.received),
            "shipper": Ref("Organization", lines.shipper),
            "consignee": Ref("Organization", lines.consignee),
            "end_user": Ref("Organization", np.where(lines.user_known, lines.consignee, -1)),
            "origin_country": np.array(COUNTRIES)[lines.origin],
            "destination_country": np.array(COUNTRIES)[lines.destination],
            "destination": Ref("DataCenter", lines.site),
            "onward_of": Ref("Shipment", lines.onward),
            "licence": Ref("Licence", licence_place(world, lines.licence)),
            "value_usd": np.rint(worth).astype(np.int64),
            "status": np.where(lines.cancelled, "cancelled", np.where(stale, "in transit", "received")),
            "source": Ref("Source", np.zeros(size, int)),
            "grade": world.grade[lines.shipper],
            "verification": "synthetic",
            "is_synthetic": True,
        },
    )


def licence_place(world: World, operator: np.ndarray) -> np.ndarray:
    """The licence of each operator as its place among the licences; -1 stays -1."""
    return np.where(operator >= 0, (np.cumsum(world.licensed) - 1)[operator], -1)
