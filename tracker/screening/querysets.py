"""Reads of the screening that other packages need."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q

from tracker.core.period import Period
from tracker.organizations.models import Alias, Organization
from tracker.screening import matching
from tracker.screening.models import ListedName, ListedParty, ScreeningMatch


def open_matches(at: datetime | None = None) -> dict[int, list[tuple[Period, str]]]:
    """What nobody has decided about whom: by id of the organization the days on which the listed party stands on its list, and
    a clause such as "whether X is Y of the Entity List (screening score 0.83, undecided)", the likeliest first.

    As known at ``at``; None: as it stands now. A confirmed match is no question: it has become a list entry.
    """
    rows = (
        ScreeningMatch.objects.known_at(at)
        .filter(state=ScreeningMatch.State.OPEN)
        .order_by("organization_id", "-score", "id")
        .values_list(
            "organization_id", "organization__name", "party__name", "party__list_name", "party__screening_list__name",
            "party__listed_on", "party__removed_on", "score",
        )
    )  # fmt: skip
    found: dict[int, list[tuple[Period, str]]] = {}
    for organization, name, party, list_name, whole, listed_on, removed_on, score in rows:
        ended = f", listed until {removed_on}" if removed_on else ""
        said = f"whether {name} is {party} of the {list_name or whole}{ended} (screening score {score:.2f}, undecided)"
        found.setdefault(organization, []).append((Period(listed_on, removed_on), said))
    return found


def open_questions(at: datetime | None = None) -> dict[int, str]:
    """The clauses of :func:`open_matches`, those of one organization joined."""
    return {pk: "; ".join(said for _, said in matches) for pk, matches in open_matches(at).items()}


PART = 5_000
"""Organizations read at a time, so that memory does not grow with their number."""


def organizations_in_parts() -> Iterator[list[matching.Party]]:
    """The organizations that are screened, with all their names, a few thousand at a time in the order of their ids.

    Not screened: stand-ins for several unnamed parties, and what the generator made.
    """
    last = 0
    while True:
        rows = list(
            Organization.objects.filter(id__gt=last, is_aggregate=False, is_synthetic=False)
            .order_by("id")
            .values_list("id", "name", "country")[:PART]
        )
        if not rows:
            return
        last = rows[-1][0]
        aliases: dict[int, list[str]] = {}
        named = Alias.objects.filter(organization_id__gte=rows[0][0], organization_id__lte=last).order_by(
            "id"
        )
        for organization, name in named.values_list("organization_id", "name"):
            aliases.setdefault(organization, []).append(name)
        yield [matching.party(pk, name, aliases.get(pk, ()), country) for pk, name, country in rows]


def listed_parties(only: Q | None = None) -> list[matching.Party]:
    """Listed parties as the matcher reads them, ended ones too: whether one was listed matters for the days it was."""
    parties = ListedParty.objects.filter(only or Q()).order_by("id")
    names: dict[int, list[tuple[str, str]]] = {}
    rows = ListedName.objects.filter(party__in=parties).order_by("id")
    for party, name, kind in rows.values_list("party_id", "name", "kind").iterator():
        names.setdefault(party, []).append((name, kind))
    return [
        matching.party(
            pk,
            name,
            [alias for alias, kind in names.get(pk, ()) if kind == ListedName.Kind.ALIAS],
            weak=[alias for alias, kind in names.get(pk, ()) if kind == ListedName.Kind.WEAK],
            countries=countries,
            identifiers=identifiers,
            cities=cities,
        )
        for pk, name, countries, identifiers, cities in parties.values_list(
            "id", "name", "countries", "identifiers", "cities"
        ).iterator()
    ]
