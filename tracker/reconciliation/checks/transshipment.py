"""Transshipment: chips that reached a hub country and are neither installed there, nor stocked, nor shipped on.

Per country and kind of chip, over the twelve months to the day of the run: ``orphan = inflow - outflow - growth of installed
claims - growth of stock claims``, z = orphan / its standard deviation, p one-sided. Also told: pass-through (outflow / inflow),
the orphan's share of the inflow, and the median dwell, taking what came in first to leave first. Found are an orphan of at
least one significant quantity with z >= 2, and, apart from it, outflow to destinations that the rules restrict where a line
needed a licence, names none, and no recorded licence could cover it (severity at most medium: RULE judges each line).

How to read it. A hub is a country that both received and sent on chips of the scope, and is not the country of their vendor;
sums are taken in the database and no line is read. Installed chips are claims about the country as a whole at both ends of the
months (within a quarter of a year), or one at their end if the chips were first shipped later than their start. Without such
claims, or where a claim or an outflow is only a bound, the orphan is *inconclusive*. Doubts count for the hub: lines of family
names that may be these chips count as outflow and not as inflow. Of hubs that received less than one significant quantity only
outflow to restricted destinations is told.

What it does not say. That chips went anywhere: chips that are in use without being reported as installed look the same, and so do
exports that nobody has entered here. A hub's trade is as a rule ordinary trade.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker.chips.specs import ChipSpec
from tracker.core.countries import COUNTRIES
from tracker.core.period import twelve_months
from tracker.core.quantity import Quantity, total
from tracker.judgement.bench import Bench, Line
from tracker.judgement.parties import PartyBook
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import (
    Books,
    ClaimRow,
    Evidence,
    Finding,
    FlowRow,
    Parameters,
    RecordRef,
    Scope,
    unread,
)
from tracker.reconciliation.case_input import case_date, case_quantity
from tracker.reconciliation.echoes import echo_groups
from tracker.reconciliation.position import STOCK_STATUSES, area_of, claim_label
from tracker.reconciliation.result import MOST_EVIDENCE, finding

CODE = "TRANS"
TITLE = "Transshipment"
FAMILY = "TRANS"
PERIOD = "last twelve months"
"""Moves with the day of the run; a period with dates would make another discrepancy of it each day."""
PARTITION = "hub"
MOVES_WITH_THE_DAY = True

FORMULA = "orphan = inflow - outflow - growth of installed claims - growth of stock claims; z = orphan / s"
Z_ORPHAN = 2.0
SLACK_DAYS = 92
"""How far a claim's day may lie from either end of the months: claims are made by the quarter."""
STOCKED = ("stocked",)


@dataclass(frozen=True, slots=True)
class Orphan:
    """What came into a hub and is not told to be anywhere, in chips. ``grown`` is None where no installed claim says it."""

    inflow: float
    outflow: float
    to_restricted: float
    grown: float | None
    stocked: float
    orphan: float
    sigma: float
    shares: tuple[float, ...]

    @property
    def z(self) -> float:
        return significance.z_score(self.orphan, self.sigma)

    @property
    def p(self) -> float:
        return significance.one_sided_p(self.z)

    @property
    def pass_through(self) -> float | None:
        return self.outflow / self.inflow if self.inflow else None

    @property
    def share(self) -> float | None:
        return self.orphan / self.inflow if self.inflow else None


def orphan(
    inflow: Sequence[Quantity],
    outflow: Sequence[Quantity],
    restricted: Sequence[Quantity],
    installed: Sequence[tuple[float, Quantity]],
    stock: Sequence[tuple[float, Quantity]],
) -> Orphan:
    """The balance of a hub. ``installed`` and ``stock``: signed claims whose sum is the growth; no installed claim: it is not
    known. ``shares`` runs over inflow, outflow, restricted, installed, stock.
    """
    minus = [
        *((1.0, one) for one in outflow),
        *((1.0, one) for one in restricted),
        *installed,
        *stock,
    ]
    found = total([*((1.0, one) for one in inflow), *((-sign, one) for sign, one in minus)])
    sums = [math.fsum(one.mu for one in part) for part in (inflow, outflow, restricted)]
    grown, stocked = (math.fsum(sign * one.mu for sign, one in part) for part in (installed, stock))
    return Orphan(
        inflow=sums[0], outflow=sums[1] + sums[2], to_restricted=sums[2], grown=grown if installed else None, stocked=stocked,
        orphan=found.mu, sigma=found.s, shares=found.shares,
    )  # fmt: skip


def is_orphan(found: Orphan, sq: float | None) -> bool:
    """Whether at least one significant quantity is left over beyond error; never without an installed claim."""
    return found.grown is not None and sq is not None and sq >= 1 and found.z >= Z_ORPHAN


def median_dwell(came: Iterable[tuple[date, float]], left: Iterable[tuple[date, float]]) -> float | None:
    """Days that half of the chips which left had been in the hub, if what came first left first; None if none can be matched.

    >>> median_dwell([(date(2026, 1, 1), 10)], [(date(2026, 1, 31), 4), (date(2026, 3, 2), 6)])
    60.0
    """
    queue = sorted((day, units) for day, units in came if units > 0)
    stays: list[tuple[int, float]] = []
    for day, units in sorted(left):
        while units > 0 and queue and queue[0][0] <= day:
            arrived, waiting = queue[0]
            taken = min(units, waiting)
            stays.append(((day - arrived).days, taken))
            units -= taken
            queue[0:1] = [(arrived, waiting - taken)] if waiting > taken else []
    half, passed = math.fsum(units for _, units in stays) / 2, 0.0
    for days, units in sorted(stays):
        passed += units
        if passed >= half:
            return float(days)
    return None


# --- the check -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Flow:
    row: FlowRow
    amount: Quantity


@dataclass(frozen=True, slots=True)
class _Growth:
    """Signed claims about the whole country: the end of the months, less their start. ``why``: what is lacking, or empty."""

    claims: tuple[tuple[float, ClaimRow, Quantity], ...] = ()
    why: str = ""


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """Up to two results per hub and scope, the orphan first; sorted by country, then scope."""
    hub = _Hub(books, parameters)
    return [result for country, scope in hub.pairs() for result in hub.judged(country, scope)]


class _Hub:
    """The sums of one share of the hubs, with the claims and the law that they are held against."""

    def __init__(self, books: Books, parameters: Parameters) -> None:
        self.books, self.parameters = books, parameters
        self.window = twelve_months(books.as_of)
        law = books.law
        self.bench = (
            Bench(law.classes, {one.slug: one for one in law.specs.values()}, PartyBook({})) if law else None
        )
        self.groups = law.rules.groups_on(books.as_of) if law else None
        self.into: dict[str, list[_Flow]] = defaultdict(list)
        self.out: dict[str, list[_Flow]] = defaultdict(list)
        for row in sorted(books.flows, key=_order):
            amount = Quantity(
                row.chips, ss=row.systematic, sr=math.sqrt(row.random), key=row.house, grade=row.grade
            )
            if row.use == "hub inflow":
                self.into[row.destination].append(_Flow(row, amount))
            elif row.use == "hub outflow":
                self.out[row.origin].append(_Flow(row, amount))
        self.claims: dict[str, list[ClaimRow]] = defaultdict(list)
        for claim, _ in echo_groups(books.claims, parameters):
            area = area_of(claim, books)
            if area and area.kind == "country" and not claim.is_flow and claim.scope is not None:
                self.claims[str(area.id)].append(claim)

    def pairs(self) -> list[tuple[str, Scope]]:
        """Hubs with the scopes that came into them and may have left them."""
        found: dict[tuple[str, str], tuple[str, Scope]] = {}
        for country in sorted(self.into.keys() & self.out.keys()):
            for flow in self.into[country]:
                scope = flow.row.scope
                left = any(
                    scopes.may_overlap(one.row.scope, scope, self.books.chips) for one in self.out[country]
                )
                if left and country != scope.vendor_country:
                    found[country, scopes.key(scope)] = country, scope
        return [found[key] for key in sorted(found)]

    def judged(self, country: str, scope: Scope) -> list[Finding]:
        into = [one for one in self.into[country] if scopes.is_within(one.row.scope, scope)]
        out = [one for one in self.out[country] if scopes.may_overlap(one.row.scope, scope, self.books.chips)]
        restricted = [one for one in out if self._is_restricted(country, one.row)]
        results = [self._orphan(country, scope, into, out, restricted)]
        own = [one for one in restricted if scopes.key(one.row.scope) == scopes.key(scope)]
        unlicensed = [one for one in own if not self._may_be_licensed(country, one.row)]
        results.append(self._unlicensed(country, scope, unlicensed) if unlicensed else None)
        return [one for one in results if one is not None]

    # --- restricted destinations --------------------------------------------------------------------------------------

    def _is_restricted(self, country: str, row: FlowRow) -> bool:
        """Whether the destination is in the restricted set, the hub is not, and chips like these needed a licence for it."""
        name = self.parameters.restricted_destinations
        if self.groups is None or self.bench is None or name not in {*self.groups.groups, *self.groups.sets}:
            return False
        if (
            self.groups.holds(row.destination, name) is not True
            or self.groups.holds(country, name) is not False
        ):
            return False
        scope = row.scope
        line = Line(
            chips=tuple(self.books.chips[pk].slug for pk in sorted(scope.members) if pk in self.books.chips),
            stand_in=ChipSpec(slug=scope.slug, vendor=scope.vendor, vendor_hq=scope.vendor_country),
            shipped=row.shipped, origin=country, destination=row.destination,
        )  # fmt: skip
        return self.bench.verdict(line).answer == "required"

    def _may_be_licensed(self, country: str, row: FlowRow) -> bool:
        """Lines that name a licence, and lines that a recorded one could cover whoever they went to."""
        shipped = row.shipped or self.window
        return row.licensed or any(
            (item.scope is None or scopes.may_overlap(item.scope, row.scope, self.books.chips))
            and item.country in ("", row.destination)
            and item.valid.overlaps(shipped)
            for item in self.books.licences
        )

    def _unlicensed(self, country: str, scope: Scope, flows: Sequence[_Flow]) -> Finding:
        found = total([(1.0, one.amount) for one in flows])
        h100e = scopes.h100e(found.mu, scope)
        sq = significance.in_sq(h100e[0] if h100e else None, self.parameters)
        evidence, weakest = _evidence([(1, "outflow", flows)], found.shares, found.mu)
        where = explain.listed(
            dict.fromkeys(COUNTRIES.get(one.row.destination, one.row.destination) for one in flows)
        )
        name, lines = COUNTRIES.get(country, country), sum(one.row.lines for one in flows)
        story = explain.Story(
            compared=f"What left {name} for destinations that the rules restrict, of {scope.name}, {self.window}, "
            "with the licences in this database.",
            sides=(f"Shipped to {where}: {explain.chips(found.mu)} in {explain.counted(lines, 'line')}.",
                   "Licences: the lines name none, and none recorded here could cover them."),
            difference=f"{explain.magnitude(found.mu, h100e, sq)} for which no licence is recorded in this database.",
            surprise="This is a judgement aid: the rules of the day were asked without the parties. RULE judges each line.",
            open=(explain.LICENCE_UNSEEN, explain.DATES),
            settle=f"The licence, or the exception claimed, for the exports from {name} to {where}.",
        )  # fmt: skip
        return finding(
            check=CODE, area=f"country:{country}", scope=scopes.key(scope), period=PERIOD, period_end=self.window.last,
            counterpart="restricted destinations", verdict="no licence recorded",
            headline=f"{name}: {explain.chips(found.mu)} ({scope.name}) left for {where}, no licence recorded",
            reported=found.mu, gap=found.mu, sigma=found.s, is_finding=True, gap_h100e=h100e[0] if h100e else None, sq=sq,
            severity=significance.severity(sq, weakest, cap="medium"), weakest_grade=weakest, formula="sum of the lines",
            sections=explain.sections(story), evidence=tuple(evidence),
            numbers={"destinations": sorted({one.row.destination for one in flows}), "lines": lines},
        )  # fmt: skip

    # --- what is left over --------------------------------------------------------------------------------------------

    def _orphan(
        self, country: str, scope: Scope, into: list[_Flow], out: list[_Flow], restricted: list[_Flow]
    ) -> Finding | None:
        parameters = self.parameters
        inflow = math.fsum(one.amount.mu for one in into)
        equivalents = scopes.h100e(inflow, scope)
        reached = significance.in_sq(equivalents[1] if equivalents else None, parameters)
        if reached is None or reached < 1:
            return None
        grown = self._growth(country, scope, STOCK_STATUSES)
        stock = self._growth(country, scope, STOCKED)
        others = [one for one in out if one not in restricted]
        found = orphan(
            [one.amount for one in into], [one.amount for one in others], [one.amount for one in restricted],
            [(sign, amount) for sign, _, amount in grown.claims], [(sign, amount) for sign, _, amount in stock.claims],
        )  # fmt: skip
        limit = any(one.row.at_least or one.row.uncounted for one in out)
        h100e = scopes.h100e(found.orphan, scope)
        sq = significance.in_sq(h100e[0] if h100e else None, parameters)
        mdg = significance.MDG_FACTOR * found.sigma
        mdg_sq = scopes.could_hide(mdg, scope, parameters)
        why = grown.why or (
            "part of what left is told only as a bound, or cannot be counted" if limit else ""
        )
        flagged = not why and is_orphan(found, sq)
        open_end = bool(why) or (not flagged and significance.is_inconclusive(mdg_sq))
        verdict = "not accounted for" if flagged else "inconclusive" if open_end else "consistent"
        evidence, weakest = _evidence(
            [(1, "inflow", into), (-1, "outflow", others), (-1, "outflow", restricted)], found.shares, found.orphan,
            [*grown.claims, *stock.claims],
        )  # fmt: skip
        dwell = median_dwell(_dated(into), _dated(out))
        words = Words(
            place=COUNTRIES.get(country, country), scope=scope.name, when=explain.when(self.window), h100e=h100e,
            lines=(sum(one.row.lines for one in into), sum(one.row.lines for one in out)), dwell=dwell, why=why,
            claims=tuple(claim_label(row, amount) for _, row, amount in (*grown.claims, *stock.claims)),
            is_family=scope.kind == "family", stocked=bool(stock.claims),
        )  # fmt: skip
        numbers = {
            "inflow": found.inflow, "outflow": found.outflow, "outflow_restricted": found.to_restricted,
            "installed_growth": found.grown, "stock_growth": found.stocked, "pass_through": found.pass_through,
            "orphan_share": found.share, "median_dwell_days": dwell, "mdg_sq": mdg_sq,
        }  # fmt: skip
        return finding(
            check=CODE, area=f"country:{country}", scope=scopes.key(scope), period=PERIOD, counterpart="orphan",
            period_end=self.window.last,
            verdict=verdict, headline=_headline(found, verdict, words), expected=found.inflow - found.orphan,
            reported=found.inflow, gap=found.orphan, sigma=found.sigma, statistic=found.z, p=None if why else found.p,
            threshold=Z_ORPHAN, family=None if why else FAMILY, is_finding=flagged,
            gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=mdg,
            severity=significance.severity(sq, weakest) if flagged else "info",
            strength="" if why else significance.strength(found.z), weakest_grade=weakest, formula=FORMULA,
            sections=explain.sections(story(found, verdict, sq, mdg_sq, words)),
            evidence=(*evidence, *scopes.specification(scope, self.books.chips)), numbers=numbers,
        )  # fmt: skip

    def _growth(self, country: str, scope: Scope, statuses: Sequence[str]) -> _Growth:
        """What claims about the whole country say was added in the months: of the scope, else of the narrowest wider one."""
        read = [
            (claim, amount)
            for claim in self.claims[country]
            if claim.status in statuses and claim.scope and scopes.is_within(scope, claim.scope)
            and isinstance(amount := in_chips(claim, self.parameters), Quantity)
        ]  # fmt: skip
        if not read:
            return _Growth(
                why=f"no claim tells what is installed in the whole of {COUNTRIES.get(country, country)}"
            )
        narrowest = min(
            (len(claim.scope.members), scopes.key(claim.scope)) for claim, _ in read if claim.scope
        )
        same = [one for one in read if one[0].scope and scopes.key(one[0].scope) == narrowest[1]]
        assert self.window.start is not None
        last = _nearest(same, self.books.as_of)
        first = _nearest(same, self.window.start)
        if last is None:
            return _Growth(why="no claim of what is installed lies near the end of the months")
        if last[1].bound == "lower" or (first and first[1].bound == "upper"):
            return _Growth(why="what was installed is told only as a bound")
        if first is None or first[0].slug == last[0].slug:
            if not self._is_new(scope):
                return _Growth(why="no claim of what was installed lies near the start of the months")
            return _Growth(((1.0, *last),))
        return _Growth(((1.0, *last), (-1.0, *first)))

    def _is_new(self, scope: Scope) -> bool:
        """Whether the chips were first shipped after the start of the months, so that nothing was installed then."""
        members = scopes.member_rows(scope, self.books.chips) or []
        start = self.window.start or date.min
        return bool(members) and all(
            one.first_shipped_on and one.first_shipped_on >= start for one in members
        )


def _order(row: FlowRow) -> tuple[Any, ...]:
    day = row.shipped.start if row.shipped else None
    return (
        row.use,
        row.origin,
        row.destination,
        scopes.key(row.scope),
        day or date.min,
        row.licensed,
        row.house,
    )


def _nearest(read: Sequence[tuple[ClaimRow, Quantity]], day: date) -> tuple[ClaimRow, Quantity] | None:
    """The claim nearest to a day, no further than a quarter of a year; of equally near ones the more exact, then by slug."""
    near = [
        (abs((claim.period.last - day).days), amount.s, claim.slug, (claim, amount))
        for claim, amount in read
        if claim.period.last and abs((claim.period.last - day).days) <= SLACK_DAYS
    ]
    return min(near, key=lambda one: one[:3])[3] if near else None


def _dated(flows: Iterable[_Flow]) -> list[tuple[date, float]]:
    """Flows on the middle of their months."""
    return [
        (one.row.shipped.start + (one.row.shipped.end - one.row.shipped.start) / 2, one.amount.mu)
        for one in flows
        if one.row.shipped and one.row.shipped.start and one.row.shipped.end
    ]


def _evidence(
    parts: Sequence[tuple[int, str, Sequence[_Flow]]],
    shares: Sequence[float],
    gap: float,
    claims: Sequence[tuple[float, ClaimRow, Quantity]] = (),
) -> tuple[list[Evidence], str]:
    """The largest lines of each sum and the claims, with the weakest grade that the difference cannot do without.

    A sum's part in difference and variance stands at the first of its lines, with what that one bears alone of it at least.
    """
    rows: list[tuple[float, list[Evidence]]] = []
    judged: list[Evidence] = []
    grades: list[str] = []
    flows = [(sign, role, one) for sign, role, part in parts for one in part]
    for (sign, role, one), share in zip(flows, shares, strict=False):
        route = f"; {one.row.origin} to {one.row.destination}, {one.row.shipped}" if one.row.shipped else "; "
        part = {"contribution": sign * one.amount.mu, "variance_share": share}
        if (
            one.row.lines > 1 and one.row.chips
        ):  # what its house errs alike grows with it, its own error faster
            part["own_share"] = share * one.row.largest / one.row.chips
        named = [
            unread(pk, role, route, **({} if place else part)) for place, pk in enumerate(one.row.examples)
        ]
        rows.append((-one.amount.mu, named))
        judged.append(Evidence(RecordRef("shipment", 0, 0), role, "", one.amount.mu, share))
        grades.append(one.amount.grade)
    kept = [one for _, named in sorted(rows, key=lambda row: row[0]) for one in named][:MOST_EVIDENCE]
    for (counted, claim, amount), share in zip(claims, shares[len(flows) :], strict=False):
        row = Evidence(claim.ref, "claim", claim_label(claim, amount), -counted * amount.mu, share)
        kept.append(row)
        judged.append(row)
        grades.append(amount.grade)
    return kept, significance.weakest_indispensable(judged, grades, gap)


# --- words -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """What the text needs beside the numbers. ``lines``: in and out. ``why``: why nothing can be concluded, or empty."""

    place: str
    scope: str
    when: str
    h100e: tuple[float, float] | None
    lines: tuple[int, int]
    dwell: float | None = None
    why: str = ""
    claims: tuple[str, ...] = ()
    is_family: bool = False
    stocked: bool = False


def _headline(found: Orphan, verdict: str, words: Words) -> str:
    came = f"{words.place}: {explain.chips(found.inflow)} ({words.scope}) came in"
    if verdict == "not accounted for":
        return f"{came}, {explain.number(found.orphan)} neither installed, stocked nor shipped on"
    return f"{came}, {explain.number(found.outflow)} left: {verdict}"


def story(found: Orphan, verdict: str, sq: float | None, mdg_sq: float | None, words: Words) -> explain.Story:
    """The balance of a hub in plain words."""
    known = found.grown is not None
    told = found.outflow + (found.grown or 0.0) + found.stocked
    restricted = (
        f", {explain.number(found.to_restricted)} of them to restricted destinations"
        if found.to_restricted
        else ""
    )
    through = (
        f" ({explain.share(found.pass_through)} of what came in)" if found.pass_through is not None else ""
    )
    dwell = (
        (f" Half of what left had been there {explain.number(words.dwell)} days or less.",)
        if words.dwell is not None
        else ()
    )
    size = explain.magnitude(found.orphan, words.h100e, sq)
    share = f" ({explain.share(found.share)} of what came in)" if found.share is not None else ""
    of_all = (
        f"Of {explain.chips(found.inflow)} that came in, "
        f"{explain.number(told)} are told to have left, to be installed or to be in stock."
    )
    if words.why:
        difference = f"What is left over cannot be told: {words.why}."
    elif verdict == "not accounted for":
        difference = f"{size}{share}: not accounted for in this database. {of_all}"
    elif found.orphan > 0:
        difference = (
            f"{size}{share}: within the stated errors, or less than one significant quantity. {of_all}"
        )
    else:
        difference = "None: all that came in is told to have left, to be installed or to be in stock."
    mdg = significance.MDG_FACTOR * found.sigma
    if words.why:
        surprise = f"No test was made: {words.why}."
    elif verdict == "not accounted for":
        surprise = explain.surprise(found.p, found.z)
    else:
        surprise = explain.no_surprise(mdg, mdg_sq, significance.is_inconclusive(mdg_sq))
    applicable = {
        explain.UNRECORDED_EXPORTS: True, explain.UNREPORTED_USE: True, explain.TIMING: True, explain.IN_TRANSIT: True,
        explain.FAMILY: words.is_family, explain.STATUS: known,
    }  # fmt: skip
    return explain.Story(
        compared=f"What came into {words.place} of {words.scope} ({words.when}), with what left it, is installed or in stock.",
        sides=(
            f"Came in: {explain.chips(found.inflow)} in {explain.counted(words.lines[0], 'line')}.",
            f"Left: {explain.chips(found.outflow)} in {explain.counted(words.lines[1], 'line')}"
            f"{restricted}{through}.{''.join(dwell)}",
            f"Installed: {explain.number(found.grown)} more than before." if known else "Installed: not known.",
            f"Stock: {explain.number(found.stocked)} more than before." if words.stocked else "Stock: no claim.",
            *(f"Claim: {label}." for label in words.claims),
        ),
        difference=difference, surprise=surprise,
        open=tuple(phrase for phrase, applies in applicable.items() if applies),
        settle=f"A count of {words.scope} in {words.place} at both ends of the months, or its customs records of exports.",
        assumptions=() if words.stocked else ("no claim tells of stock: its growth counts as 0",),
    )  # fmt: skip


# --- worked cases ----------------------------------------------------------------------------------------------------


def _transshipment_case(
    given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]
) -> dict[str, Any]:
    read = {
        name: [case_quantity(row, parameters) for row in given.get(name) or ()]
        for name in ("inflow", "out_open", "out_restricted", "installed_growth", "stock_growth")
    }
    # "at least" so many installed is no growth that could be summed
    grown, stock = (
        [(1.0, one) for one in read[name] if not one.bound] for name in ("installed_growth", "stock_growth")
    )
    if any(one.bound for one in read["installed_growth"]):
        grown = []
    found = orphan(read["inflow"], read["out_open"], read["out_restricted"], grown, stock)
    per_chip = float(given.get("h100e_per_chip", 1.0))
    equivalents = found.orphan * per_chip
    sq = significance.in_sq(equivalents, parameters)
    mdg_sq = significance.in_sq(significance.MDG_FACTOR * found.sigma * per_chip, parameters)
    licensed = given.get("licensed", False)
    allowed: float = math.inf if licensed is True else float(licensed or 0)
    allowed += math.fsum(float(row["quantity"]) for row in given.get("licences") or ())
    beyond = found.to_restricted > allowed
    flagged = is_orphan(found, sq)
    why = "" if found.grown is not None else "no claim tells what is installed"
    verdict = (
        "not accounted for"
        if flagged
        else "inconclusive"
        if why or significance.is_inconclusive(mdg_sq)
        else "consistent"
    )
    came, left = (
        [(case_date(row[day]), amount.mu) for name in names
         for row, amount in zip(given.get(name) or (), read[name], strict=True) if row.get(day)]
        for names, day in ((("inflow",), "received"), (("out_open", "out_restricted"), "shipped"))
    )  # fmt: skip
    dwell = median_dwell(came, left)
    words = Words(
        place=str(given.get("area", "the hub")), scope=str(given.get("scope", "the chips")), when="the months given",
        h100e=(equivalents, equivalents), lines=(len(read["inflow"]), len(read["out_open"]) + len(read["out_restricted"])),
        dwell=dwell, why=why, stocked=bool(stock),
    )  # fmt: skip
    parts = explain.sections(story(found, verdict, sq, mdg_sq, words))
    return {
        "orphan": found.orphan, "sigma": found.sigma, "z": found.z, "p": found.p, "pass_through": found.pass_through,
        "orphan_share": found.share, "orphan_h100e": equivalents, "sq": sq, "flagged": flagged or beyond, "verdict": verdict,
        "median_dwell": dwell, "median_dwell_days": dwell,
        "text": f"{_headline(found, verdict, words)}\n{explain.full_text(parts)}",
    }  # fmt: skip


CASES = {"transshipment": _transshipment_case}
