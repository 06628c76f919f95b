"""The account of each licence: authorised, drawn, remaining, line by line, and uses that it does not speak of.

Lines draw in the order of shipping. A line that names a licence draws on that one, whether or not it covers
the line; what it does not cover is then a *fault*. Other lines that needed a licence draw on the covering one
that expires first, then on the next. Quantities are distributions, so what is drawn has a standard deviation
and the limit is exceeded with a probability.

Licences in equivalents of a chip are drawn at TPP of the line's chip over TPP of that chip, as an interval
where the line may be of several chips. On which basis authorities convert is not public.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from tracker.core.period import Period
from tracker.core.quantity import Quantity
from tracker.rules.quantities import exceeds

PARTY, CHIPS, COUNTRY = "by another party", "for chips it does not cover", "to another country"
BEFORE, AFTER = "before it was valid", "after it ended"
FAULTS = (PARTY, CHIPS, COUNTRY, BEFORE, AFTER)
"""What a use of a licence may lack, the first that applies naming it."""

PartyKey = int | str
"""What stands for a party: its primary key or its name, the same kind throughout one call."""

ONWARD, CONSIGNMENT, REPEATED = "carried on", "one consignment", "one line twice"


@dataclass(frozen=True, slots=True)
class Terms:
    """One item of a licence.

    ``authorised`` in ``unit``; None: not counted (no number, or "at least" so many). ``scopes``: what it
    covers, in the keys of :class:`Use`; empty: anything. Parties and ``country``: blank or None for any.
    ``is_named_only``: only lines that name it draw on it (an import approval allows the buying, not the export).
    """

    id: str
    licence: str
    reference: str
    valid: Period
    authorised: float | None
    unit: str = "chips"
    scopes: frozenset[str] = frozenset()
    consignee: PartyKey | None = None
    end_user: PartyKey | None = None
    country: str = ""
    is_named_only: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A line that may draw on a licence. ``amount`` in chips; ``licence`` the one it names; ``required``: it
    needed one on its day."""

    id: str
    scope: str
    amount: Quantity
    shipped: Period | None
    consignee: PartyKey | None = None
    end_user: PartyKey | None = None
    country: str = ""
    licence: str = ""
    required: bool = True
    onward_of: str = ""
    consignment: str = ""

    @property
    def order(self) -> tuple[date, str]:
        return ((self.shipped and self.shipped.start) or date.min, self.id)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account. ``chips`` drawn by it; ``low`` and ``high`` the same in the unit of the licence.

    ``drawn_low``, ``drawn_high``: with all lines before; ``remaining`` = authorised - drawn_low (negative:
    beyond it); ``sd`` of drawn_low; ``p`` that more than authorised is drawn, on the low reading. ``remaining``
    and ``p`` are None where the licence is not counted; ``low`` and ``high`` are 0 where the line's chips
    cannot be told in the licence's unit (``unconverted``).
    """

    use: Use
    chips: float
    low: float
    high: float
    drawn_low: float
    drawn_high: float
    remaining: float | None
    sd: float
    p: float | None
    faults: tuple[str, ...] = ()
    unconverted: bool = False


@dataclass(slots=True)
class Account:
    """All that was drawn on one item, in the order of shipping."""

    terms: Terms
    entries: list[Entry] = field(default_factory=list)

    @property
    def drawn(self) -> float:
        """In the unit of the licence, on the low reading."""
        return self.entries[-1].drawn_low if self.entries else 0.0

    @property
    def drawn_high(self) -> float:
        return self.entries[-1].drawn_high if self.entries else 0.0

    @property
    def sd(self) -> float:
        return self.entries[-1].sd if self.entries else 0.0

    @property
    def remaining(self) -> float | None:
        return None if self.terms.authorised is None else self.terms.authorised - self.drawn

    @property
    def level(self) -> tuple[float, str]:
        """Probability that more than authorised is drawn, and its name (``rules.quantities.exceeds``)."""
        return (0.0, "within") if self.remaining is None else exceeds(-self.remaining, self.sd)

    @property
    def level_high(self) -> tuple[float, str]:
        """The same on the high reading."""
        if self.terms.authorised is None:
            return 0.0, "within"
        return exceeds(self.drawn_high - self.terms.authorised, self.sd)


@dataclass(frozen=True, slots=True)
class Double:
    """The same goods drawn more than once: ``uses`` in the order of shipping, ``units`` chips drawn again."""

    kind: str
    uses: tuple[Use, ...]
    licences: tuple[str, ...]
    units: float


@dataclass(frozen=True, slots=True)
class Accounts:
    """``of``: by id of the terms, in that order, also where nothing was drawn."""

    of: Mapping[str, Account]
    doubles: tuple[Double, ...]


Rates = Mapping[tuple[str, str], tuple[float, float] | None]
"""(unit, scope) -> low and high equivalents of one chip; a pair that is absent is one for one in chips."""


def accounts(
    terms: Iterable[Terms], uses: Iterable[Use], rates: Rates, *, counts_all: bool = False
) -> Accounts:
    """Draw every line on its licence and keep the running balance of each. Input order does not matter.

    ``counts_all``: count the use of a licence for everybody also by lines that do not name it.
    """
    ledger = _Ledger(sorted(terms, key=lambda t: t.id), rates, counts_all)
    ordered = sorted(uses, key=lambda use: use.order)
    for use in ordered:
        ledger.draw(use)
    return Accounts(ledger.accounts, tuple(_doubles(ordered, ledger)))


def faults(terms: Terms, use: Use) -> tuple[str, ...]:
    """In what the licence does not speak of the line; what is not recorded of the line is no fault."""
    parties = {use.consignee, use.end_user} - {None}
    day = use.shipped or Period(None, None)
    last = day.last
    found = {
        PARTY: bool(parties and terms.consignee is not None and terms.consignee not in parties)
        or (terms.end_user is not None and use.end_user is not None and terms.end_user not in parties),
        CHIPS: bool(terms.scopes) and use.scope not in terms.scopes,
        COUNTRY: bool(terms.country and use.country and terms.country != use.country),
        BEFORE: bool(terms.valid.start and last and last < terms.valid.start),
        AFTER: bool(terms.valid.end and day.start and day.start >= terms.valid.end),
    }
    return tuple(name for name in FAULTS if found[name])


def covers(terms: Terms, use: Use) -> bool:
    """Whether a line that names no licence may draw on it: it must be known to go to the licensed party."""
    known = terms.consignee is None or terms.consignee in (use.consignee, use.end_user)
    return known and not terms.is_named_only and not faults(terms, use)


class _Ledger:
    def __init__(self, terms: Sequence[Terms], rates: Rates, counts_all: bool) -> None:
        self.rates, self.counts_all = rates, counts_all
        self.terms = sorted(terms, key=lambda t: (t.valid.end or date.max, t.id))
        self.accounts = {t.id: Account(t) for t in terms}
        self.named: dict[str, list[Terms]] = defaultdict(list)
        for t in self.terms:
            self.named[t.licence].append(t)
        self.by_party: dict[PartyKey | None, list[Terms]] = defaultdict(list)
        for t in self.terms:
            for party in {t.consignee, t.end_user} - {None} or {None}:
                self.by_party[party].append(t)
        self.spread: dict[str, tuple[float, dict[str, float]]] = defaultdict(lambda: (0.0, {}))
        self.drawn: dict[str, list[tuple[Terms, float]]] = defaultdict(list)  # by line, in chips

    def draw(self, use: Use) -> None:
        targets = self._targets(use)
        rest = use.amount.mu
        for terms in targets[:-1]:
            taken = min(rest, self._left(terms, use))
            if taken > 0:
                self._enter(terms, use, taken)
                rest -= taken
        if targets and (rest > 0 or use.id not in self.drawn):
            self._enter(targets[-1], use, rest)

    def _targets(self, use: Use) -> list[Terms]:
        if use.licence and (items := self.named.get(use.licence)):
            fitting = [t for t in items if CHIPS not in faults(t, use)]
            return fitting or items[:1]
        if use.licence or not use.required:
            return []
        # of a licence for everybody only what lines name it for is counted, unless all is: who else used it is not known
        parties = {use.consignee, use.end_user} - {None} | ({None} if self.counts_all else set())
        near = {t.id: t for party in parties for t in self.by_party[party]}
        ordered = sorted(near.values(), key=lambda t: (t.valid.end or date.max, t.id))
        covering = [t for t in ordered if covers(t, use)]
        # what is left over is booked on the last that still had something, else on the last
        open_ones = [t for t in covering if self._left(t, use) > 0]
        return open_ones or covering[-1:]

    def _rate(self, terms: Terms, use: Use) -> tuple[float, float] | None:
        if terms.unit == "chips":
            return 1.0, 1.0
        return self.rates.get((terms.unit, use.scope))

    def _left(self, terms: Terms, use: Use) -> float:
        """Chips of this kind that the item still has room for."""
        remaining, rate = self.accounts[terms.id].remaining, self._rate(terms, use)
        if remaining is None or rate is None or not rate[0]:
            return math.inf
        return max(0.0, remaining / rate[0])

    def _enter(self, terms: Terms, use: Use, chips: float) -> None:
        self.drawn[use.id].append((terms, chips))
        account, rate = self.accounts[terms.id], self._rate(terms, use)
        low, high = (rate[0] * chips, rate[1] * chips) if rate else (0.0, 0.0)
        if use.amount.bound == "upper":  # "at most" so many: possibly none
            low = 0.0
        part = chips / use.amount.mu if use.amount.mu else 0.0
        sd = self._spread(terms.id, use.amount, part * (rate[0] if rate else 0.0))
        drawn_low, drawn_high = account.drawn + low, account.drawn_high + high
        remaining = None if terms.authorised is None else terms.authorised - drawn_low
        p = None if remaining is None else exceeds(-remaining, sd)[0]
        account.entries.append(
            Entry(use, chips, low, high, drawn_low, drawn_high, remaining, sd, p, faults(terms, use), rate is None)
        )  # fmt: skip

    def _spread(self, account: str, amount: Quantity, factor: float) -> float:
        """Standard deviation of all drawn so far; systematic parts of one key are added before they are squared."""
        random, shared = self.spread[account]
        random += (amount.sr * factor) ** 2
        if amount.key:
            shared[amount.key] = shared.get(amount.key, 0.0) + amount.ss * factor
        else:
            random += (amount.ss * factor) ** 2
        self.spread[account] = random, shared
        return math.sqrt(random + math.fsum(value**2 for _, value in sorted(shared.items())))


# --- the same goods twice ----------------------------------------------------------------------------------------------


def _doubles(ordered: Sequence[Use], ledger: _Ledger) -> Iterable[Double]:
    by_id = {use.id: use for use in ordered}
    drawing = [use for use in ordered if ledger.drawn.get(use.id)]
    told: set[frozenset[str]] = set()
    for use in drawing:
        if (first := _earlier_leg(use, by_id, ledger)) and _clash(first, use, ledger):
            told.add(frozenset({first.id, use.id}))
            yield _double(ONWARD, (first, use), ledger)
    groups: dict[tuple[str, str], list[Use]] = defaultdict(list)
    for use in drawing:
        if use.consignment:
            groups[use.consignment, use.scope].append(use)
    for key in sorted(groups):
        yield from _within_consignment(groups[key], told, ledger)


def _within_consignment(group: Sequence[Use], told: set[frozenset[str]], ledger: _Ledger) -> Iterable[Double]:
    for number, use in enumerate(group):
        for first in group[:number]:
            pair = frozenset({first.id, use.id})
            mine, other = _licences(use, ledger), _licences(first, ledger)
            same_line = _figures(use) == _figures(first)
            if pair in told or not (mine != other or same_line) or not _clash(first, use, ledger):
                continue
            told.add(pair)
            yield _double(CONSIGNMENT if mine != other else REPEATED, (first, use), ledger)
            break


def _figures(use: Use) -> tuple[object, ...]:
    return use.amount.mu, use.shipped, use.consignee, use.end_user, use.country


def _earlier_leg(use: Use, by_id: Mapping[str, Use], ledger: _Ledger) -> Use | None:
    """The nearest earlier line whose goods this one carries on and that drew on a licence."""
    seen, at = {use.id}, by_id.get(use.onward_of)
    while at is not None and at.id not in seen:
        if ledger.drawn.get(at.id):
            return at
        seen.add(at.id)
        at = by_id.get(at.onward_of)
    return None


def _clash(first: Use, second: Use, ledger: _Ledger) -> bool:
    """Whether two draws are on one licence, or on two that are not for different countries (a licence for each leg)."""
    return any(
        one.licence == other.licence or not one.country or not other.country or one.country == other.country
        for one, _ in ledger.drawn[first.id]
        for other, _ in ledger.drawn[second.id]
    )


def _licences(use: Use, ledger: _Ledger) -> frozenset[str]:
    return frozenset(terms.licence for terms, _ in ledger.drawn[use.id])


def _double(kind: str, uses: tuple[Use, Use], ledger: _Ledger) -> Double:
    names = dict.fromkeys(terms.reference for use in uses for terms, _ in ledger.drawn[use.id])
    return Double(kind, uses, tuple(names), min(use.amount.mu for use in uses))
