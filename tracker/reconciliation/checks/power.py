"""Power: could the site feed the chips that are said to run there?

``floor = sum n x TDP`` (chips alone, no overhead, PUE 1) above the site's power is *impossible*;
``typical = sum n x TDP x overhead x PUE`` above it is *implausible* (overhead: watts of a server per chip
/ TDP; PUE: power of the site / power of its servers). ``max_chips_floor`` is how many chips the power
could feed at most.

How to read it. Installed and operational claims are held against the highest power that any source gives
for what is installed, planned claims against the highest that is planned or permitted. A name that covers
several chips counts with their lowest TDP; if one is not known nothing is computed. Claims of different
chips for one and the same day are added when they share no chip; else the largest single claim counts.
Both verdicts must hold with the claim lowered by 1.96 of its standard errors. *Implausible* is a judgement
aid, never above medium, and asked only of chips whose server's watts are among the parameters: superchips
and racks differ too much for one factor.

What it does not say. Which of the two is wrong: power figures often cover a part of a site, or are older
than the chips.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracker.core.quantity import Quantity, weakest
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import (
    Books,
    ChipRow,
    ClaimRow,
    Evidence,
    Finding,
    Parameters,
    PowerRow,
    RecordRef,
    SiteRow,
)
from tracker.reconciliation.position import claim_label
from tracker.reconciliation.result import finding

CODE = "POWER"
TITLE = "Power of the site"
FAMILY = None
PARTITION = "site"

FORMULA = "floor = n x TDP; typical = n x TDP x overhead x PUE; both against site power"
MEGA = 1e6

BASES = {
    "installed": ("installed", "operational"),
    "planned": ("announced", "planned", "ordered", "contracted"),
}
"""What is said to run, and what is planned: statuses that are held against power of the same standing."""
POWER_BASES = {"installed": ("installed",), "planned": ("planned", "permitted")}


_LAST_BITS = 1e-12


@dataclass(frozen=True, slots=True)
class Load:
    """``n`` chips of ``tdp_w`` watts each; ``overhead``: watts of a server per chip / TDP, None if not known."""

    n: float
    tdp_w: float
    overhead: float | None


@dataclass(frozen=True, slots=True)
class Feed:
    """Megawatts the chips need at least and usually, and the chips that the site could feed at the very most."""

    floor_mw: float
    typical_mw: float | None
    verdict: str
    max_chips_floor: int


def feed(loads: Sequence[Load], site_mw: float, pue: float, n_low: float | None = None) -> Feed:
    """Hold loads against a site's power. ``n_low``: chips in all that are claimed at the very least (default: as claimed).

    A load without overhead leaves ``typical_mw`` None, and nothing is implausible.
    """
    floor = math.fsum(load.n * load.tdp_w for load in loads) / MEGA
    typical = None
    if all(load.overhead is not None for load in loads):
        typical = math.fsum(load.n * load.tdp_w * (load.overhead or 0) for load in loads) * pue / MEGA
    n = math.fsum(load.n for load in loads)
    sure = 1.0 if n_low is None or not n else max(0.0, n_low) / n
    met = site_mw * (1 + _LAST_BITS)  # what is equal but for the last bits is equal
    beyond = typical is not None and typical * sure > met
    verdict = "impossible" if floor * sure > met else "implausible" if beyond else "possible"
    mean_tdp = floor * MEGA / n if n else math.inf
    return Feed(floor, typical, verdict, int(met * MEGA / mean_tdp) if mean_tdp else 0)


# --- the check -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    claim: ClaimRow
    amount: Quantity
    lowest: ChipRow
    tdp_w: float


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One result per site and standing with a power and a claim that can be held against it; sorted by site id."""
    found = []
    for _, site in sorted(books.sites.items()):
        for basis in BASES:
            powers = [row for row in site.powers if row.basis in POWER_BASES[basis]]
            parts = _parts(site, basis, books, parameters)
            if powers and parts:
                highest = max(powers, key=lambda row: (row.megawatts, -row.ref.id))
                found.append(_judged(site, basis, highest, _heaviest(parts), parameters))
    return found


def _parts(site: SiteRow, basis: str, books: Books, parameters: Parameters) -> list[_Part]:
    found = []
    for claim in sorted(books.claims, key=lambda row: row.slug):
        if claim.site_id != site.ref.id or claim.status not in BASES[basis] or claim.scope is None:
            continue
        amount = in_chips(claim, parameters)
        members = scopes.member_rows(claim.scope, books.chips)
        if not isinstance(amount, Quantity) or amount.bound == "upper" or not members:
            continue
        watts = [(member.tdp_w, member.ref.id, member) for member in members if member.tdp_w is not None]
        if len(watts) == len(members):
            lowest = min(watts, key=lambda row: row[:2])
            found.append(_Part(claim, amount, lowest[2], float(lowest[0])))
    return found


def _heaviest(parts: Sequence[_Part]) -> list[_Part]:
    """The heaviest load that the claims support without counting a chip twice."""
    days: dict[str, dict[str, _Part]] = defaultdict(dict)
    for part in parts:
        scope = scopes.key(part.claim.scope)
        other = days[explain.when(part.claim.period)].get(scope)
        if other is None or (part.amount.mu, part.claim.slug) < (other.amount.mu, other.claim.slug):
            days[explain.when(part.claim.period)][scope] = part  # of several reports of one thing, the least
    candidates = [[part] for part in parts]
    for day in sorted(days):
        group = [days[day][scope] for scope in sorted(days[day])]
        members = [
            member for part in group for member in (part.claim.scope.members if part.claim.scope else ())
        ]
        if len(group) > 1 and len(members) == len(set(members)):
            candidates.append(group)
    return max(
        candidates, key=lambda group: (_watts(group), -len(group), [part.claim.slug for part in group])
    )


def _watts(group: Sequence[_Part]) -> float:
    return math.fsum(part.amount.mu * part.tdp_w for part in group)


def _judged(
    site: SiteRow, basis: str, power: PowerRow, group: Sequence[_Part], parameters: Parameters
) -> Finding:
    loads = [Load(part.amount.mu, part.tdp_w, _overhead(part, parameters)) for part in group]
    n = math.fsum(load.n for load in loads)
    sigma = math.sqrt(math.fsum(part.amount.variance for part in group))
    found = feed(loads, power.megawatts, parameters.pue, n - significance.Z_TWO_SIDED * sigma)
    usual = found.typical_mw if found.verdict == "implausible" and found.typical_mw else found.floor_mw
    fed = power.megawatts * n / usual if usual else math.inf
    gap = n - fed
    scale = [scopes.h100e(part.amount.mu, part.claim.scope) for part in group]
    known = [pair[0] for pair in scale if pair]
    h100e = gap / n * math.fsum(known) if n and len(known) == len(group) else None
    sq = significance.in_sq(h100e, parameters)
    weak = weakest([*(part.amount.grade for part in group), power.source.grade])
    is_finding = found.verdict != "possible"
    cap = "critical" if found.verdict == "impossible" else "medium"
    evidence = _evidence(power, group)
    return finding(
        check=CODE, area=f"site:{site.slug}", scope="+".join(sorted({scopes.key(part.claim.scope) for part in group})),
        period=explain.when(group[0].claim.period), counterpart=f"{basis} power", verdict=found.verdict,
        headline=f"{site.name}: {explain.chips(n)} need {'usually' if found.verdict == 'implausible' else 'at least'} "
        f"{explain.number(usual)} MW, site has {explain.number(power.megawatts)} MW ({found.verdict})",
        expected=fed, reported=n, gap=gap, sigma=sigma, is_finding=is_finding, gap_h100e=h100e, sq=sq,
        severity=significance.severity(sq, weak, cap=cap) if is_finding else "info",
        strength="certain" if found.verdict == "impossible" else "", weakest_grade=weak, formula=FORMULA,
        sections=explain.sections(_story(site, power, group, found, gap, h100e, sq, parameters)), evidence=evidence,
        numbers={
            "floor_mw": found.floor_mw, "typical_mw": found.typical_mw, "site_mw": power.megawatts,
            "max_chips_floor": found.max_chips_floor, "pue": parameters.pue,
        },
    )  # fmt: skip


def _overhead(part: _Part, parameters: Parameters) -> float | None:
    """Watts of a server per chip / TDP, where a source gives the server's."""
    watts = parameters.server_watts_per_chip.get(part.lowest.slug)
    return watts / part.tdp_w if watts else None


def _power_label(power: PowerRow) -> str:
    when = f" as of {power.as_of.isoformat()}" if power.as_of else ""
    return f"{explain.number(power.megawatts)} MW {power.basis}{when}; {explain.cited(power.source)}"


def _evidence(power: PowerRow, group: Sequence[_Part]) -> tuple[Evidence, ...]:
    chips: dict[RecordRef, ChipRow] = {part.lowest.spec or part.lowest.ref: part.lowest for part in group}
    return (
        Evidence(power.ref, "power", _power_label(power)),
        *(
            Evidence(part.claim.ref, "claim", claim_label(part.claim, part.amount), part.amount.mu)
            for part in group
        ),
        *(
            Evidence(ref, "specification", f"{row.name}: TDP {explain.number(row.tdp_w)} W")
            for ref, row in chips.items()
        ),
    )


def _story(
    site: SiteRow,
    power: PowerRow,
    group: Sequence[_Part],
    found: Feed,
    gap: float,
    h100e: float | None,
    sq: float | None,
    parameters: Parameters,
) -> explain.Story:
    pair = None if h100e is None else (h100e, h100e)
    older = power.as_of and (last := group[0].claim.period.last) and power.as_of < last
    beyond = {
        "impossible": f"The chips alone need more than the site has: {explain.magnitude(gap, pair, sq)} too many.",
        "implausible": f"Usual servers and cooling for them need more than the site has, by {explain.magnitude(gap, pair, sq)}.",
        "possible": "None: the site can feed them.",
    }
    judgement = "This is a judgement aid: overhead and PUE differ from site to site, and the chips alone could be fed."
    return explain.Story(
        compared=f"The power that the chips claimed for {site.name} need, with the highest power that a source gives for it.",
        sides=(
            *(
                f"Claim: {claim_label(part.claim, part.amount)}; "
                f"{part.lowest.name} needs {explain.number(part.tdp_w)} W."
                for part in group
            ),
            f"Site: {_power_label(power)}.",
            f"Needed: at least {explain.number(found.floor_mw)} MW"
            + (f", usually {explain.number(found.typical_mw)} MW" if found.typical_mw is not None else "")
            + f"; the site could feed at most {explain.number(found.max_chips_floor)} of these chips.",
        ),
        difference=beyond[found.verdict],
        surprise={"impossible": explain.CERTAIN, "implausible": judgement, "possible": "Nothing surprising."}[found.verdict],
        open=(explain.POWER_LOW, *((explain.DATES,) if older else ()), explain.STATUS) if found.verdict != "possible" else (),
        settle=f"A utility contract or permit that gives the power of the whole of {site.name} for the day of the claim.",
        assumptions=(
            *((f"for the usual need PUE {parameters.pue:g}, and the server's watts per chip in the run's parameters; "
               "neither for the least",) if found.typical_mw is not None else
              ("what servers of these chips need is not known, so only the least need was asked",)),
            *(("a name that covers several chips counts with the lowest TDP among them",) if any(
                len(part.claim.scope.members) > 1 for part in group if part.claim.scope) else ()),
            *(text for part in group for text in part.amount.assumptions),
        ),
    )  # fmt: skip


def power_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """One test of a worked case: ``chips`` (n, tdp_w, overhead) against ``site_mw`` at ``pue``."""
    loads = [
        Load(float(one["n"]), float(one["tdp_w"]), float(one.get("overhead", 1))) for one in row["chips"]
    ]
    found = feed(loads, float(row["site_mw"]), float(row.get("pue", 1)))
    return {
        "floor_mw": found.floor_mw, "typical_mw": found.typical_mw, "verdict": found.verdict,
        "max_chips_floor": found.max_chips_floor,
    }  # fmt: skip
