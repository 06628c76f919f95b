"""Who the parties of a movement were on its day: headquarters, ultimate parents, lists, owners on lists, approvals.

Everything about a party that the rules ask follows from dated records: stakes, list entries, open questions of screening. A
:class:`PartyBook` holds them and answers for any organization and day; what it works out once for a stretch of days on which
no record changes, it keeps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from tracker.core.period import Period
from tracker.organizations.ownership import (
    OrgKey,
    Stake,
    affiliations,
    owners_on,
    restricted,
    stakes_above,
    tops,
)
from tracker.rules.licensing import AFFILIATES_RULE, Listing, Party
from tracker.rules.parameters import Rule, RuleBook, Status


@dataclass(frozen=True, slots=True)
class Body:
    """An organization as far as the rules ask: where its headquarters is, and what it is to the trade.

    ``exporter_role``: ``front_end_fabricator``, ``osat`` or empty. ``is_aggregate``: stands for several unnamed parties.
    """

    id: int
    name: str
    country: str
    is_aggregate: bool = False
    exporter_role: str = ""


@dataclass(frozen=True, slots=True)
class ListingRow:
    """One list entry of one organization over the days it stood; ``approves``: the list authorises instead of restricting."""

    organization_id: int
    period: Period
    listing: Listing
    approves: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything about a party but its name and role. Two parties of one profile are judged alike."""

    hq: str = ""
    parent_hqs: tuple[str, ...] | None = None
    listings: tuple[Listing, ...] = ()
    undated: str = ""  # list it stands on since a day nobody recorded
    screening_question: str = ""
    affiliation: str | None = None
    approved: bool | None = None

    def as_party(self, name: str, role: str) -> Party:
        return Party(
            name=name,
            role=role,
            hq=self.hq,
            parent_hqs=self.parent_hqs,
            listings=self.listings,
            listing_question=f"day on which {name} was put on the {self.undated}" if self.undated else "",
            screening_question=self.screening_question,
            affiliation=self.affiliation,
            approved=self.approved,
        )


NOBODY = Profile()
"""A party that is not recorded: nothing about it is known."""


@dataclass
class PartyBook:
    """The parties of a ledger with their dated records. ``questions``: organization id -> an open match of screening."""

    bodies: Mapping[int, Body]
    stakes: Sequence[Stake] = ()
    listings: Sequence[ListingRow] = ()
    questions: Mapping[int, str] = field(default_factory=dict)
    affiliates: Rule | None = None

    def __post_init__(self) -> None:
        periods = [row.period for row in self.listings] + [stake.period for stake in self.stakes]
        intervals = self.affiliates.intervals if self.affiliates else ()
        periods += [interval.period for interval in intervals]
        self.days: tuple[date, ...] = tuple(
            sorted({day for period in periods for day in (period.start, period.end) if day})
        )
        """Days on which a record of any party begins or ends; between two of them nobody's profile changes."""
        self._active = [i.period for i in intervals if i.status == Status.ACTIVE]
        self._unconfirmed = [i.period for i in intervals if i.status == Status.UNCONFIRMED]
        self._moments: dict[int, _Moment] = {}
        self._profiles: dict[tuple[int, int], Profile] = {}

    @property
    def dated(self) -> frozenset[int]:
        """Organizations whose profile rests on more than their own country, so that it may change from day to day."""
        owned = {int(stake.owned) for stake in self.stakes}
        return frozenset(owned | {row.organization_id for row in self.listings} | set(self.questions))

    def party(self, organization_id: int | None, role: str, day: date) -> Party:
        body = self.bodies.get(organization_id or 0)
        name = body.name if body else f"the {role}, who is not known"
        return self.profile(organization_id, day).as_party(name, role)

    def profile(self, organization_id: int | None, day: date) -> Profile:
        body = self.bodies.get(organization_id or 0)
        if body is None:
            return NOBODY
        index = bisect_right(self.days, day)
        key = body.id, index
        if key not in self._profiles:
            if index not in self._moments:
                self._moments[index] = self._moment(day)
            self._profiles[key] = self._profile(body, self._moments[index])
        return self._profiles[key]

    def _moment(self, day: date) -> _Moment:
        on_lists: dict[int, list[Listing]] = {}
        undated: dict[int, str] = {}
        approved: set[OrgKey] = set()
        for row in self.listings:
            if not row.period.holds(day):
                continue
            if row.approves:
                approved.add(row.organization_id)
            elif row.period.start is None:
                undated.setdefault(row.organization_id, row.listing.list_name)
            else:
                on_lists.setdefault(row.organization_id, []).append(row.listing)
        owners = owners_on(self.stakes, day)
        return _Moment(
            listings={pk: tuple(found) for pk, found in on_lists.items()},
            undated=undated,
            affiliations=affiliations(day, on_lists, owners, self._active, self._unconfirmed),
            above=stakes_above(self.stakes, day),
            approved=restricted(approved, owners),  # the same sum: subsidiaries of the approved are approved
            asks_approval=bool(approved),
        )

    def _profile(self, body: Body, at: _Moment) -> Profile:
        # No recorded owner: the ultimate parents are not known, not absent.
        is_open = body.is_aggregate or not at.above.get(body.id)
        parents = None if is_open else tops(body.id, at.above)
        known = parents.parents if parents is not None and parents.are_known else None
        heads = [self.bodies.get(int(parent)) for parent in known or ()]
        return Profile(
            hq=body.country,
            parent_hqs=None if known is None else tuple(head.country if head else "" for head in heads),
            listings=at.listings.get(body.id, ()),
            undated=at.undated.get(body.id, ""),
            screening_question=self.questions.get(body.id, ""),
            affiliation=at.affiliations.get(body.id),
            approved=self._approved(body, at, known),
        )

    def _approved(self, body: Body, at: _Moment, parents: Sequence[OrgKey] | None) -> bool | None:
        """The list of the approved is published, so who is not on it, nor belongs to one that is, is not approved; a firm
        whose owners nobody recorded may belong to one."""
        if not at.asks_approval:
            return None
        if body.id in at.approved or any(parent in at.approved for parent in parents or ()):
            return True
        return None if parents is None else False


@dataclass(frozen=True, slots=True)
class _Moment:
    listings: Mapping[int, tuple[Listing, ...]]
    undated: Mapping[int, str]
    affiliations: Mapping[OrgKey, str]
    above: Mapping[OrgKey, Sequence[Stake]]
    approved: frozenset[OrgKey]
    asks_approval: bool


def affiliates_rule(book: RuleBook) -> Rule | None:
    """The latest version of the affiliates rule: its intervals say when listed owners count."""
    found = [rule for rule in book.rules if rule.id == AFFILIATES_RULE]
    return max(found, key=lambda rule: rule.period.start or date.min) if found else None
