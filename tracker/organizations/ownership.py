"""Who owns whom on a day: ultimate parents, and what the lists of restricted parties mean for the companies
below them.

Shares are percent. A share that nobody states stays unknown: it raises a question, never an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import fsum

from tracker.core.period import Period

THRESHOLD = 50.0
"""Percent from which an owner counts as parent, and listed owners together restrict what they own (90 FR
47201)."""

OrgKey = str | int
"""What stands for an organization: its slug or its primary key, the same kind throughout one call."""

_ROUNDING = 1e-9  # 16.7 + 33.3 must reach 50 whatever binary fractions make of it

LISTED = "listed"
AFFILIATE = "affiliate"
AFFILIATE_NOT_IN_FORCE = "affiliate, rule not in force"
AFFILIATE_UNCONFIRMED = "affiliate, rule not confirmed"
MINORITY = "minority owned, red flag"
NOT_KNOWN = "ownership not known, red flag"


@dataclass(frozen=True, slots=True)
class Stake:
    """``owner`` holds ``share`` percent of ``owned`` during ``period``; None: the share is not known.

    ``is_parent``: the source names the owner as parent without a share; enough for an ultimate parent, not
    for the 50 percent sum.
    """

    owner: OrgKey
    owned: OrgKey
    share: float | None
    period: Period
    is_parent: bool = False


@dataclass(frozen=True, slots=True)
class Parents:
    """Ultimate parents, sorted; ``questions`` are sentences that say why the answer may not be the whole
    of it."""

    parents: tuple[OrgKey, ...]
    questions: tuple[str, ...] = ()

    @property
    def are_known(self) -> bool:
        return not self.questions


def ultimate_parents(org: OrgKey, stakes: Iterable[Stake], on: date, threshold: float = THRESHOLD) -> Parents:
    """The tops of the chains of owners with at least ``threshold`` percent above ``org`` on a day.

    An organization in which nobody recorded reaches the threshold is its own ultimate parent; two owners
    with half each are both followed. Raises questions, and no parent for that branch, where a share is not
    known and could reach the threshold, and where a chain of owners runs in a ring.
    """
    return tops(org, stakes_above(stakes, on), threshold)


def stakes_above(stakes: Iterable[Stake], on: date) -> dict[OrgKey, list[Stake]]:
    """The stakes of one day by what they are stakes in."""
    above: dict[OrgKey, list[Stake]] = {}
    for stake in stakes:
        if stake.period.holds(on):
            above.setdefault(stake.owned, []).append(stake)
    return above


def tops(org: OrgKey, above: Mapping[OrgKey, Sequence[Stake]], threshold: float = THRESHOLD) -> Parents:
    """:func:`ultimate_parents` over the stakes of one day (:func:`stakes_above`), for many organizations in turn."""
    tops: set[OrgKey] = set()
    questions: set[str] = set()
    _climb(org, above, threshold, (), tops, questions)
    return Parents(tuple(sorted(tops)), tuple(sorted(questions)))


def _climb(
    org: OrgKey,
    above: Mapping[OrgKey, Sequence[Stake]],
    threshold: float,
    path: tuple[OrgKey, ...],
    tops: set[OrgKey],
    questions: set[str],
) -> None:
    if org in path:
        ring = sorted(path[path.index(org) :])
        questions.add(
            f"{', '.join(map(str, ring))} own one another in a ring; who stands above them is not recorded"
        )
        return
    held = above.get(org, ())
    followed = sorted({stake.owner for stake in held if _is_parent(stake, threshold)})
    doubtful = [] if followed else _doubtful(held, threshold)
    questions.update(f"the share of {owner} in {org} is not known" for owner in doubtful)
    for owner in followed:
        _climb(owner, above, threshold, (*path, org), tops, questions)
    if not followed and not doubtful:
        tops.add(org)


def _is_parent(stake: Stake, threshold: float) -> bool:
    if stake.share is None:
        return stake.is_parent
    return stake.share >= threshold - _ROUNDING


def _doubtful(held: Sequence[Stake], threshold: float) -> list[OrgKey]:
    """Owners of unknown share who could reach the threshold beside the shares that are known."""
    left = 100 - fsum(stake.share for stake in held if stake.share is not None)
    return sorted({s.owner for s in held if s.share is None}) if left >= threshold - _ROUNDING else []


Owners = Mapping[OrgKey, Mapping[OrgKey, float | None]]
"""Direct owners per organization with their percent; None: the share is not known."""


def owners_on(stakes: Iterable[Stake], on: date) -> dict[OrgKey, dict[OrgKey, float | None]]:
    """The stakes of one day as the mapping that the functions below read."""
    owners: dict[OrgKey, dict[OrgKey, float | None]] = {}
    for stake in stakes:
        if stake.period.holds(on):
            owners.setdefault(stake.owned, {})[stake.owner] = stake.share
    return owners


def restricted(listed: Collection[OrgKey], owners: Owners, threshold: float = THRESHOLD) -> frozenset[OrgKey]:
    """The listed, and whatever restricted direct owners together hold at least ``threshold`` percent of: the
    least fixpoint.

    Shares are added up, not multiplied along chains, as the 50 percent rules are read; rings come to rest.
    Unknown shares count nothing here (see :func:`affiliation` for what is then said).
    """
    return _fixpoint(listed, owners, threshold, unknown_share=0.0)


def _fixpoint(
    listed: Collection[OrgKey], owners: Owners, threshold: float, unknown_share: float
) -> frozenset[OrgKey]:
    found = set(listed)
    while True:
        new = {
            org
            for org, shares in owners.items()
            if org not in found and _held(shares, found, unknown_share) >= threshold - _ROUNDING
        }
        if not new:
            return frozenset(found)
        found |= new


def _held(shares: Mapping[OrgKey, float | None], by: Collection[OrgKey], unknown_share: float) -> float:
    """Percent held by ``by`` together; unknown shares count as ``unknown_share`` each."""
    return fsum(unknown_share if share is None else share for owner, share in shares.items() if owner in by)


def affiliation(
    org: OrgKey,
    on: date,
    listed: Collection[OrgKey],
    owners: Owners,
    in_force: Sequence[Period],
    unconfirmed: Sequence[Period] = (),
    threshold: float = THRESHOLD,
) -> str | None:
    """What list entries mean for ``org`` on a day: one of the six texts of this module, or None.

    ``in_force`` and ``unconfirmed`` are the periods of the affiliates rule. Outside them an affiliate
    stays visible as ``affiliate, rule not in force``. A restricted owner below the threshold is a red
    flag, one of unknown share another.
    """
    return affiliations(on, listed, owners, in_force, unconfirmed, threshold).get(org)


def affiliations(
    on: date,
    listed: Collection[OrgKey],
    owners: Owners,
    in_force: Sequence[Period],
    unconfirmed: Sequence[Period] = (),
    threshold: float = THRESHOLD,
) -> dict[OrgKey, str]:
    """:func:`affiliation` of every organization of which there is something to say."""
    sure = restricted(listed, owners, threshold)
    # an unknown share may be anything up to the whole, so it is tried as the whole
    perhaps = _fixpoint(listed, owners, threshold, unknown_share=100.0)
    if any(period.holds(on) for period in in_force):
        word = AFFILIATE
    else:
        word = AFFILIATE_UNCONFIRMED if any(p.holds(on) for p in unconfirmed) else AFFILIATE_NOT_IN_FORCE
    found: dict[OrgKey, str] = {
        org: MINORITY for org, shares in owners.items() if _held(shares, sure, 0.0) > 0
    }
    found |= dict.fromkeys(perhaps, NOT_KNOWN)
    found |= dict.fromkeys(sure, word)
    return found | dict.fromkeys(listed, LISTED)


def tied(stakes: Sequence[Stake]) -> list[list[Stake]]:
    """The stakes, apart by who is tied to whom by any of them on any day."""
    above: dict[int, int] = {}

    def top(org: int) -> int:
        while above.setdefault(org, org) != org:
            above[org] = org = above[above[org]]
        return org

    for stake in stakes:
        above[top(int(stake.owner))] = top(int(stake.owned))
    found: dict[int, list[Stake]] = {}
    for stake in stakes:
        found.setdefault(top(int(stake.owner)), []).append(stake)
    return list(found.values())
