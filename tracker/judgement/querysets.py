"""Reading what judging needs: the parties with their dated records, and the chips behind chips and families."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracker.chips.models import ChipFamily, ChipFamilyMember
from tracker.chips.services import specs_known_at
from tracker.chips.specs import ChipSpec
from tracker.core.period import Period
from tracker.judgement.parties import Body, ListingRow, PartyBook, affiliates_rule
from tracker.organizations.models import ListEntry, Organization, OwnershipStake
from tracker.organizations.ownership import Stake
from tracker.rules.licensing import Listing
from tracker.rules.parameters import RuleBook

MAKERS = {
    Organization.Role.FOUNDRY.value: "front_end_fabricator",
    Organization.Role.OSAT.value: "osat",
}
"""Organizations that make chips for others, by role, and what the regulations call them as exporters."""


def party_book(rules: RuleBook, at: datetime | None = None, **which: Any) -> PartyBook:
    """All parties with their dated records, as known at an instant (None: as they stand). Three queries.

    ``which`` narrows the organizations read, e.g. ``id__in=[...]``; then those tied to them by stakes must be among them.
    """
    fields = ("id", "name", "country", "is_aggregate", "roles")
    bodies = {
        pk: Body(pk, name, country, aggregate, next((MAKERS[role] for role in roles if role in MAKERS), ""))
        for pk, name, country, aggregate, roles in Organization.objects.known_at(at)
        .filter(**which)
        .order_by("id")
        .values_list(*fields)
    }
    return PartyBook(bodies, stakes(at), listings(at), {}, affiliates_rule(rules))


def stakes(at: datetime | None = None) -> tuple[Stake, ...]:
    fields = ("owner_id", "owned_id", "share_percent", "valid_from", "valid_until")
    rows = OwnershipStake.objects.known_at(at).order_by("id").values_list(*fields)
    return tuple(
        # A stake is recorded without a share where a source names the owner as parent and says no more.
        Stake(
            owner, owned, None if share is None else float(share), Period(start, end), is_parent=share is None
        )
        for owner, owned, share, start, end in rows
    )


def listings(at: datetime | None = None) -> tuple[ListingRow, ...]:
    fields = ("organization_id", "list_name", "citation", "footnote", "listed_on", "removed_on", "effect")
    rows = ListEntry.objects.known_at(at).order_by("id").values_list(*fields)
    return tuple(
        ListingRow(
            organization,
            Period(start, end),
            Listing(name, citation, footnote),
            approves=effect == ListEntry.Effect.APPROVED,
        )
        for organization, name, citation, footnote, start, end, effect in rows
    )


@dataclass(frozen=True, slots=True)
class Scope:
    """What a line may consist of: one chip, or the members of a family; none: ``stand_in`` says what is known."""

    chips: tuple[str, ...]
    stand_in: ChipSpec


def scopes(at: datetime | None = None) -> tuple[dict[tuple[str, int], Scope], dict[str, ChipSpec]]:
    """(``chip`` or ``family``, id) -> scope; and the preferred specification of every chip by slug. Four queries."""
    specs = {pk: next(iter(found.values())) for pk, found in specs_known_at(at).items()}
    found = {("chip", pk): Scope((spec.slug,), spec) for pk, spec in specs.items()}
    members: dict[int, list[int]] = defaultdict(list)
    for family, chip in ChipFamilyMember.objects.known_at(at).values_list("family_id", "chip_id"):
        members[family].append(chip)
    fields = ("id", "slug", "vendor__slug", "vendor__country")
    for pk, slug, vendor, country in ChipFamily.objects.known_at(at).order_by("id").values_list(*fields):
        chips = tuple(specs[chip].slug for chip in sorted(members[pk]) if chip in specs)
        found["family", pk] = Scope(chips, ChipSpec(slug=slug, vendor=vendor or "", vendor_hq=country or ""))
    return found, {spec.slug: spec for spec in specs.values()}
