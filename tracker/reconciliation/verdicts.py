"""What the export rules in force on its shipping date say of each movement.

Each distinct case (scope, stretch of days, countries, parties) is judged once in the pure core of ``tracker.rules``; movements
that share a case share the verdict. A vague shipping date is judged on its first day, its last day and every day between on
which the rules change; a family is judged for each member. Where the answers part, the verdict is *undetermined* and says why.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from tracker.chips.specs import ChipSpec
from tracker.core.period import Period
from tracker.organizations.ownership import Stake, affiliation, owners_on, ultimate_parents
from tracker.reconciliation.books import MovementRow, OrganizationRow, Scope, VerdictRow
from tracker.rules.classify import Classification, classify
from tracker.rules.licensing import UNDETERMINED, Case, Listing, Party, Verdict, common_verdict, verdict
from tracker.rules.parameters import RuleBook, RuleSet, Status

AFFILIATES_RULE = "US-AFFILIATES-2025"


@dataclass(frozen=True, slots=True)
class ListingRow:
    """One list entry of one organization over the days it stood."""

    organization_id: int
    period: Period
    listing: Listing


def verdicts(
    movements: Iterable[MovementRow],
    specs: Mapping[int, ChipSpec],
    organizations: Mapping[int, OrganizationRow],
    stakes: Iterable[Stake],
    listings: Iterable[ListingRow],
    rules: RuleBook,
) -> dict[int, VerdictRow]:
    """Movement id -> verdict. Movements that are no longer meant to happen (returned, cancelled) are not judged."""
    bench = _Bench(specs, organizations, tuple(stakes), tuple(listings), rules)
    return {
        row.ref.id: bench.judged(row)
        for row in sorted(movements, key=lambda row: row.ref.id)
        if row.status not in ("returned", "cancelled")
    }


@dataclass
class _Bench:
    specs: Mapping[int, ChipSpec]
    organizations: Mapping[int, OrganizationRow]
    stakes: tuple[Stake, ...]
    listings: tuple[ListingRow, ...]
    rules: RuleBook
    seen: dict[tuple[object, ...], VerdictRow] = field(default_factory=dict)
    rulesets: dict[date, RuleSet] = field(default_factory=dict)
    classes: dict[tuple[str, date], Classification] = field(default_factory=dict)
    parties: dict[tuple[int | None, str, int], Party] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.change_days = self.rules.change_days()
        affiliates = next((rule for rule in self.rules.rules if rule.id == AFFILIATES_RULE), None)
        intervals = affiliates.intervals if affiliates else ()
        # Between two of these days no list, no stake and no rule changes, so a party is the same on every day between them.
        dated = [row.period for row in self.listings] + [stake.period for stake in self.stakes]
        bounds = {day for period in dated for day in (period.start, period.end) if day}
        self.stretches = sorted(bounds | set(self.change_days))
        self.affiliates_active = [i.period for i in intervals if i.status == Status.ACTIVE]
        self.affiliates_unconfirmed = [i.period for i in intervals if i.status == Status.UNCONFIRMED]

    def judged(self, row: MovementRow) -> VerdictRow:
        key = (
            row.scope.kind, row.scope.id, row.shipped, row.origin_country, row.destination_country, row.consignee_id,
            row.end_user_id,
        )  # fmt: skip
        if key not in self.seen:
            self.seen[key] = self._judge(row)
        return self.seen[key]

    def _judge(self, row: MovementRow) -> VerdictRow:
        if row.shipped is None or row.shipped.start is None or row.shipped.last is None:
            return VerdictRow(UNDETERMINED, "UNKNOWN", "", "undetermined", ("shipping date",), (), (), ())
        changes = {day for day in self.change_days if row.shipped.holds(day)}
        stretches: dict[date, Verdict] = {}
        last: Verdict | None = None
        for day in sorted({row.shipped.start, row.shipped.last} | changes):
            found = self._on(day, row)
            if last is None or _said(found) != _said(
                last
            ):  # a day on which nothing changes for this case is no new stretch
                stretches[day] = found
            last = found
        one = next(iter(stretches.values()))
        if len(stretches) > 1:
            labelled = {f"from {day.isoformat()}": found for day, found in stretches.items()}
            one = common_verdict(labelled, row.shipped.start, "the day it left")
        return VerdictRow(
            one.answer,
            one.result,
            one.policy,
            one.level,
            one.missing,
            (*one.reasons, *one.assumptions),
            one.rule_ids,
            one.citations,
        )

    def _on(self, day: date, row: MovementRow) -> Verdict:
        """The verdict of one day: of the chip, or what all members of the family share."""
        if day not in self.rulesets:
            self.rulesets[day] = self.rules.on(day)
        rules = self.rulesets[day]
        parties = (
            self._party(row.consignee_id, "ultimate consignee", day),
            self._party(row.end_user_id, "end user", day),
        )
        case = Case(destination=row.destination_country, origin=row.origin_country, parties=parties)
        found = {
            spec.slug: verdict(self._classified(spec, day), case, rules)
            for spec in self._candidates(row.scope)
        }
        return next(iter(found.values())) if len(found) == 1 else common_verdict(found, day)

    def _candidates(self, scope: Scope) -> list[ChipSpec]:
        """The chips a movement may consist of; for a family whose members are not known, a chip of which only the vendor is."""
        members = [self.specs[chip] for chip in sorted(scope.members) if chip in self.specs]
        return members or [ChipSpec(slug=scope.slug, vendor=scope.vendor, vendor_hq=scope.vendor_country)]

    def _classified(self, spec: ChipSpec, day: date) -> Classification:
        key = spec.slug, day
        if key not in self.classes:
            self.classes[key] = classify(spec, self.rulesets[day])
        return self.classes[key]

    def _party(self, organization_id: int | None, role: str, day: date) -> Party:
        key = organization_id, role, bisect_right(self.stretches, day)
        if key not in self.parties:
            self.parties[key] = self._described(organization_id, role, day)
        return self.parties[key]

    def _described(self, organization_id: int | None, role: str, day: date) -> Party:
        organization = self.organizations.get(organization_id or 0)
        if organization is None:
            return Party(name=f"the {role}, who is not known", role=role)
        listed = {
            row.organization_id: row.listing
            for row in self.listings
            if row.period.start is not None and row.period.holds(day)
        }
        undated = [
            row.listing.list_name
            for row in self.listings
            if row.organization_id == organization.ref.id
            and row.period.start is None
            and row.period.holds(day)
        ]
        known = owners_on(self.stakes, day)
        return Party(
            name=organization.name,
            role=role,
            hq=organization.country,
            parent_hqs=self._parent_hqs(organization, day, bool(known.get(organization.ref.id))),
            listings=tuple(
                row.listing
                for row in self.listings
                if row.organization_id == organization.ref.id
                and row.period.start is not None
                and row.period.holds(day)
            ),
            listing_question=f"day on which {organization.name} was put on the {undated[0]}"
            if undated
            else "",
            affiliation=affiliation(
                organization.ref.id, day, listed, known, self.affiliates_active, self.affiliates_unconfirmed
            ),
        )

    def _parent_hqs(
        self, organization: OrganizationRow, day: date, has_owners: bool
    ) -> tuple[str, ...] | None:
        """Headquarters of the ultimate parents. No recorded owner: the parents are not known, not absent."""
        if organization.is_aggregate or not has_owners:
            return None
        parents = ultimate_parents(organization.ref.id, self.stakes, day)
        if not parents.are_known:
            return None
        found = (self.organizations.get(int(parent)) for parent in parents.parents)
        return tuple(row.country if row else "" for row in found)


def _said(found: Verdict) -> tuple[object, ...]:
    return found.answer, found.result, found.policy, found.level
