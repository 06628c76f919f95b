"""Who the parties of a movement were on its day: headquarters, ultimate parents, lists, owners on lists, approvals.

Everything about a party that the rules ask follows from dated records: stakes, list entries, open questions of screening. A
:class:`PartyBook` holds them and answers for any organization and day; what it works out once for a stretch of days on which
no record changes, it keeps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tracker.core.period import Period
from tracker.organizations.ownership import (
    THRESHOLD,
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


class PartyBook:
    """The parties of a ledger with their dated records. ``questions``: organization id -> open matches of screening, each with
    the days on which the listed party stands on its list.

    What a party is on a day follows from the records of itself and of whoever stands above it, at any depth; so each is worked
    out from that small circle, once for every stretch of days on which no record in it changes.
    """

    def __init__(
        self,
        bodies: Mapping[int, Body],
        stakes: Iterable[Stake] = (),
        listings: Iterable[ListingRow] = (),
        questions: Mapping[int, Sequence[tuple[Period, str]]] | None = None,
        affiliates: Rule | None = None,
    ) -> None:
        self.bodies, self.questions = bodies, questions or {}
        self.stakes, self.listings = tuple(stakes), tuple(listings)
        self._above: dict[OrgKey, list[Stake]] = {}
        for stake in self.stakes:
            self._above.setdefault(stake.owned, []).append(stake)
        self._on_lists: dict[OrgKey, list[ListingRow]] = {}
        for row in self.listings:
            self._on_lists.setdefault(row.organization_id, []).append(row)
        intervals = affiliates.intervals if affiliates else ()
        self._active = [i.period for i in intervals if i.status == Status.ACTIVE]
        self._unconfirmed = [i.period for i in intervals if i.status == Status.UNCONFIRMED]
        self._affiliates_days = _bounds(i.period for i in intervals)
        self._threshold = _threshold(affiliates)
        self._approving = [row.period for row in self.listings if row.approves]
        self._circles: dict[int, _Circle] = {}
        self._profiles: dict[tuple[int, int], Profile] = {}

    @property
    def dated(self) -> frozenset[int]:
        """Organizations whose profile rests on more than their own country, so that it may change from day to day."""
        owned = {int(stake.owned) for stake in self.stakes}
        return frozenset(owned | {row.organization_id for row in self.listings} | set(self.questions))

    def party(self, organization_id: int | None, role: str, day: date, named: bool = True) -> Party:
        """The party that an organization was on a day. Not ``named``: it is called by its role, for words that stand for many."""
        found = self.profile(organization_id, day)
        if not named:
            told = found.as_party(f"the {role}", role)
            return replace(
                told, screening_question=told.screening_question and f"an open match of the {role}'s name"
            )
        body = self.bodies.get(organization_id or 0)
        return found.as_party(body.name if body else f"the {role}, who is not known", role)

    def days(self, organization_id: int | None) -> tuple[date, ...]:
        """Days on which the profile of an organization may change; between two of them it does not."""
        return self._circle(organization_id).days if organization_id in self.bodies else ()

    def profile(self, organization_id: int | None, day: date) -> Profile:
        """What the organization was on a day; of one that is not recorded nothing is known."""
        body = self.bodies.get(organization_id or 0)
        if body is None:
            return NOBODY
        circle = self._circle(body.id)
        key = body.id, bisect_right(circle.days, day)
        if key not in self._profiles:
            self._profiles[key] = self._profile(body, circle, day)
        return self._profiles[key]

    def _circle(self, organization_id: int | None) -> _Circle:
        """The organization and whoever ever stood above it, with the days on which anything about them changes."""
        pk = organization_id or 0
        if pk not in self._circles:
            found: dict[OrgKey, None] = {pk: None}
            for member in (waiting := [pk]):
                for stake in self._above.get(member, ()):
                    if stake.owner not in found:
                        found[stake.owner] = None
                        waiting.append(int(stake.owner))
            rows = [row for member in found for row in self._on_lists.get(member, ())]
            stakes = [stake for member in found for stake in self._above.get(member, ())]
            asked = [period for period, _ in self.questions.get(pk, ())]
            days = _bounds([*(r.period for r in rows), *(s.period for s in stakes), *self._approving, *asked])
            if rows:
                days |= self._affiliates_days
            self._circles[pk] = _Circle(tuple(rows), tuple(stakes), tuple(sorted(days)))
        return self._circles[pk]

    def _profile(self, body: Body, circle: _Circle, day: date) -> Profile:
        standing = [row for row in circle.listings if row.period.holds(day)]
        dated = [row for row in standing if not row.approves and row.period.start is not None]
        undated = [
            r for r in standing if not r.approves and r.period.start is None and r.organization_id == body.id
        ]
        owners, above = owners_on(circle.stakes, day), stakes_above(circle.stakes, day)
        listed = {row.organization_id for row in dated}
        found = (
            affiliations(day, listed, owners, self._active, self._unconfirmed, self._threshold)
            if listed
            else {}
        )
        # No recorded owner: the ultimate parents are not known, not absent.
        parents = None if body.is_aggregate or not above.get(body.id) else tops(body.id, above)
        known = parents.parents if parents is not None and parents.are_known else None
        heads = [self.bodies.get(int(parent)) for parent in known or ()]
        return Profile(
            hq=body.country,
            parent_hqs=None if known is None else tuple(head.country if head else "" for head in heads),
            listings=tuple(row.listing for row in dated if row.organization_id == body.id),
            undated=undated[0].listing.list_name if undated else "",
            screening_question="; ".join(
                said for period, said in self.questions.get(body.id, ()) if period.holds(day)
            ),
            affiliation=found.get(body.id),
            approved=self._approved(body, standing, owners, known, day),
        )

    def _approved(
        self,
        body: Body,
        standing: Sequence[ListingRow],
        owners: Mapping[OrgKey, Mapping[OrgKey, float | None]],
        parents: Sequence[OrgKey] | None,
        day: date,
    ) -> bool | None:
        """The list of the approved is published, so who is not on it, nor belongs to one that is, is not approved; a firm
        whose owners nobody recorded may belong to one. None as well on days without any such list."""
        if not any(period.holds(day) for period in self._approving):
            return None
        # the same sum as for the restricted: subsidiaries of the approved are approved
        approved = restricted({row.organization_id for row in standing if row.approves}, owners)
        if body.id in approved or any(parent in approved for parent in parents or ()):
            return True
        return None if parents is None else False


@dataclass(frozen=True, slots=True)
class _Circle:
    """The records that a party's profile rests on, and the days on which any of them begins or ends."""

    listings: tuple[ListingRow, ...]
    stakes: tuple[Stake, ...]
    days: tuple[date, ...]


def _bounds(periods: Iterable[Period]) -> set[date]:
    return {day for period in periods for day in (period.start, period.end) if day}


def _threshold(affiliates: Rule | None) -> float:
    """Percent from which listed owners together restrict what they own: the share that the affiliates rule names."""
    shares = [cap.limit for cap in affiliates.quantity_caps if cap.metric == "share"] if affiliates else []
    return next((100 * share for share in shares if share is not None), THRESHOLD)


def affiliates_rule(book: RuleBook) -> Rule | None:
    """The latest version of the affiliates rule: its intervals say when listed owners count."""
    found = [rule for rule in book.rules if rule.id == AFFILIATES_RULE]
    return max(found, key=lambda rule: rule.period.start or date.min) if found else None
