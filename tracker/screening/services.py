"""Loading lists, screening what changed, and what people decide about the pairs that were found."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.text import slugify

from tracker.core.errors import BadInput
from tracker.core.services import recording
from tracker.organizations.models import ListEntry
from tracker.screening import lists, matching
from tracker.screening.models import (
    ListedName,
    ListedParty,
    ListVersion,
    ScreenedOrganization,
    ScreenedParty,
    ScreeningList,
    ScreeningMatch,
)
from tracker.screening.querysets import listed_parties, organizations_in_parts
from tracker.sources.models import Source
from tracker.sources.services import source_for_url

log = logging.getLogger(__name__)

BATCH = 1_000
MOST_OF_ONE = 20
"""Matches kept of one organization; more are a sign of a name that says nothing."""
SHOWN_PROBLEMS = 20
SENTENCE_WORDS = 3

# --- loading ------------------------------------------------------------------------------------------------------------------


class BadList(BadInput):
    """A list file that cannot be used; nothing of it was applied. ``problems`` are all that were found."""

    def __init__(self, file_name: str, problems: Sequence[lists.Problem]):
        self.problems = tuple(problems)
        shown = "\n".join(
            f"{file_name}, {problem}" if problem.line else f"{file_name}: {problem}"
            for problem in problems[:SHOWN_PROBLEMS]
        )
        more = len(problems) - SHOWN_PROBLEMS
        super().__init__(shown + (f"\n... and {more} more" if more > 0 else ""))


@dataclass(frozen=True)
class LoadedList:
    """What a file changed. ``version`` is None where it is the file loaded last."""

    list: ScreeningList
    version: ListVersion | None
    counts: dict[str, int] = field(default_factory=dict)


_FIELDS = (
    "name", "list_name", "kind", "countries", "programs", "citation", "footnote", "listed_on", "removed_on",
    "licence_requirement", "licence_policy", "addresses", "cities", "identifiers", "source_url", "remarks", "content_digest",
    "match_digest",
)  # fmt: skip


def load_list(
    data: bytes,
    name: str,
    actor: str,
    *,
    format: str = lists.AUTO,
    as_of: date | None = None,
    file_name: str = "file",
    reason: str = "",
    many_removals: bool = False,
) -> LoadedList:
    """Bring a list in line with a file of it: all of the file or nothing.

    ``as_of`` is the day of the file (else: today). Parties it brings are added, changed ones get a new version, those it no
    longer names end on that day, and the list entries of confirmed matches end with them. The file loaded last
    changes nothing.
    ``many_removals`` lets a file end more than a fifth of the standing parties; without it such a file is refused, for it is more
    often a part of a list than a list cut down.

    Raises:
        BadList: the file is not understood; every problem with line, column, value and mend.
        BadInput: the file is older than the one loaded last, or would end many parties.
    """
    as_of = as_of or timezone.now().date()
    digest = hashlib.sha256(data).hexdigest()
    screening_list = ScreeningList.objects.filter(Q(name__iexact=name.strip()) | Q(slug=name.strip())).first()
    last = screening_list.versions.first() if screening_list else None
    if screening_list and last and last.sha256 == digest:
        return LoadedList(screening_list, None)
    if last and as_of < last.as_of:
        raise BadInput(
            f"{file_name}: the file is of {as_of}, but {screening_list} was loaded as of {last.as_of}; an older file would take "
            "back what is known. Load a newer one, or give its real day with --as-of."
        )
    parsed = lists.parse(data, format)
    if parsed.problems:
        raise BadList(file_name, parsed.problems)
    with recording(actor, reason or f"load of {file_name} as of {as_of}", f"list-{digest[:12]}"):
        if screening_list is None:
            screening_list = ScreeningList.objects.create(slug=_free_slug(name), name=name.strip()[:120])
        _locked_list(screening_list)
        counts = _brought_in_line(screening_list, parsed.parties, as_of, file_name, many_removals)
        counts |= {f"passed over: {kind}": count for kind, count in parsed.passed_over.items()}
        version = ListVersion.objects.create(
            screening_list=screening_list,
            sha256=digest,
            format=parsed.format,
            file_name=file_name[:200],
            as_of=as_of,
            loaded_at=timezone.now(),
            loaded_by=actor[:150],
            counts=counts,
        )
        _entries_brought_in_line(screening_list)
    log.info("list %s loaded as of %s: %s", screening_list.slug, as_of, counts)
    return LoadedList(screening_list, version, counts)


def _free_slug(name: str) -> str:
    base = slugify(name)[:70] or "list"
    taken = set(ScreeningList.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, 1000))) if slug not in taken)


def _locked_list(screening_list: ScreeningList) -> None:
    """One file of a list at a time."""
    ScreeningList.objects.select_for_update().get(pk=screening_list.pk)


def _columns(party: lists.ListedParty) -> dict[str, Any]:
    return {
        "name": party.name,
        "list_name": party.list_name[:80],
        "kind": party.kind[:40],
        "countries": list(party.countries),
        "programs": list(party.programs),
        "citation": party.citation[:200],
        "footnote": party.footnote[:80],
        "listed_on": party.listed_on,
        "removed_on": party.removed_on,
        "licence_requirement": party.licence_requirement,
        "licence_policy": party.licence_policy,
        "addresses": list(party.addresses),
        "cities": list(party.cities),
        "identifiers": list(party.identifiers),
        "source_url": party.source_url,
        "remarks": party.remarks,
        "content_digest": party.digest,
        "match_digest": _digest(
            sorted((name.kind, name.name) for name in party.names),
            sorted(party.countries),
            sorted(party.identifiers),
            sorted(party.cities),
        ),
    }


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _brought_in_line(
    screening_list: ScreeningList,
    parties: Sequence[lists.ListedParty],
    as_of: date,
    file_name: str,
    many_removals: bool,
) -> dict[str, int]:
    standing = {
        key: (pk, digest, removed_on)
        for pk, key, digest, removed_on in ListedParty.objects.filter(
            screening_list=screening_list
        ).values_list("id", "key", "content_digest", "removed_on")
    }
    told = {party.key for party in parties}
    gone = [pk for key, (pk, _, removed_on) in standing.items() if key not in told and removed_on is None]
    active = sum(1 for _, _, removed_on in standing.values() if removed_on is None)
    if not many_removals and len(gone) > max(10, active // 5):
        raise BadInput(
            f"{file_name}: {len(gone):,} of {active:,} standing parties of {screening_list} are not in the file, which looks "
            "like a part of the list; nothing was loaded. If they were really removed, load it with --many-removals."
        )
    # A party that an earlier file left out and this one names again has the same digest, but an end that is no longer so.
    differing = [
        party
        for party in parties
        if party.key not in standing
        or standing[party.key][1] != party.digest
        or standing[party.key][2] != party.removed_on
    ]
    rows = [
        ListedParty(screening_list=screening_list, key=party.key, **_columns(party)) for party in differing
    ]
    ListedParty.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["screening_list", "key"],
        update_fields=list(_FIELDS),
    )
    ids = dict(ListedParty.objects.filter(screening_list=screening_list).values_list("key", "id"))
    _names_brought_in_line({ids[party.key]: party.names for party in differing})
    ended = 0
    for start in range(0, len(gone), BATCH):
        part = ListedParty.objects.filter(pk__in=gone[start : start + BATCH])
        # A day after it began at the least: a listing that ends before it begins never was.
        ended += part.exclude(listed_on__gte=as_of).update(removed_on=as_of)
        for pk, listed_on in part.filter(removed_on__isnull=True).values_list("id", "listed_on"):
            after = (listed_on or as_of) + timedelta(days=1)
            ended += ListedParty.objects.filter(pk=pk).update(removed_on=after)
    created = sum(party.key not in standing for party in differing)
    return {
        "created": created,
        "changed": len(differing) - created,
        "unchanged": len(parties) - len(differing),
        "ended": ended,
    }


def _names_brought_in_line(wanted: dict[int, tuple[lists.ListedName, ...]]) -> None:
    """Names of new and changed parties; what stays the same keeps its version."""
    ids = list(wanted)
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        standing = {
            (party, name): (pk, kind)
            for pk, party, name, kind in ListedName.objects.filter(party_id__in=part).values_list(
                "id", "party_id", "name", "kind"
            )
        }
        told = {(pk, name.name): name.kind for pk in part for name in wanted[pk]}
        ListedName.objects.filter(
            pk__in=[pk for key, (pk, _) in standing.items() if key not in told]
        ).delete()
        ListedName.objects.bulk_create(
            [
                ListedName(party_id=party, name=name, kind=kind)
                for (party, name), kind in told.items()
                if (party, name) not in standing or standing[party, name][1] != kind
            ],
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["party", "name"],
            update_fields=["kind"],
        )


def _entries_brought_in_line(screening_list: ScreeningList) -> int:
    """List entries of confirmed matches follow their listing: an end, and where the match wrote the entry, days and citation."""
    changed = 0
    confirmed = ScreeningMatch.objects.filter(
        party__screening_list=screening_list, state=ScreeningMatch.State.CONFIRMED, list_entry__isnull=False
    ).select_related("party__screening_list", "list_entry")
    for match in confirmed:
        entry = match.list_entry
        assert entry is not None
        wanted = (
            _entry_fields(match)
            if match.wrote_entry
            else {"removed_on": entry.removed_on or match.party.removed_on}
        )
        if any(getattr(entry, name) != value for name, value in wanted.items()):
            for name, value in wanted.items():
                setattr(entry, name, value)
            entry.save(update_fields=list(wanted))
            changed += 1
    return changed


# --- screening ----------------------------------------------------------------------------------------------------------------


@dataclass
class Screened:
    """Counts of one screening."""

    organizations: int = 0  # changed, compared with all parties
    parties: int = 0  # changed, compared with all other organizations
    opened: int = 0
    reopened: int = 0
    changed: int = 0
    superseded: int = 0
    kept: int = 0

    def as_counts(self) -> dict[str, int]:
        return dict(vars(self))


SCREENING_LOCK = 7_203_115_001
"""Any fixed number that nothing else in this database uses: one screening at a time."""


def organization_digest(party: matching.Party) -> str:
    """Of what a comparison reads of an organization: its names and its country."""
    return _digest(sorted(name.written for name in party.names), sorted(party.countries))


def screen(actor: str, *, everything: bool = False, said: Callable[[str], None] | None = None) -> Screened:
    """Screen organizations that changed against all listed parties, and all others against listed parties that changed.

    Changed is what differs from the state that was screened last, or was screened by another engine; ``everything`` takes all.
    Each few thousand organizations are written in one transaction, so a screening that breaks off is taken up where it stood.

    Raises:
        BadInput: another screening is under way.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [SCREENING_LOCK])
        if not cursor.fetchone()[0]:
            raise BadInput("Another screening is under way; wait until it has ended.")
        try:
            return _screen(actor, everything, said or (lambda text: None))
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [SCREENING_LOCK])


def _screen(actor: str, everything: bool, said: Callable[[str], None]) -> Screened:
    now, counts = timezone.now(), Screened()
    digests = dict(ListedParty.objects.values_list("id", "match_digest"))
    seen = {} if everything else _seen(ScreenedParty)
    changed = [pk for pk, digest in digests.items() if seen.get(pk) != digest]
    counts.parties = len(changed)
    against_changed = (
        matching.Index(listed_parties(Q(pk__in=changed) if len(changed) < len(digests) else None))
        if changed
        else None
    )
    against_all: matching.Index | None = against_changed if changed and len(changed) == len(digests) else None
    for part in organizations_in_parts():
        known = (
            {}
            if everything
            else _seen(ScreenedOrganization, organization_id__in=[party.key for party in part])
        )
        own = {party.key: organization_digest(party) for party in part}
        new = [party for party in part if known.get(party.key) != own[party.key]]
        rest = [party for party in part if known.get(party.key) == own[party.key]] if against_changed else []
        if new and against_all is None:
            against_all = matching.Index(listed_parties())
        found = against_all.match(new, MOST_OF_ONE) if new and against_all else []
        found_rest = against_changed.match(rest, MOST_OF_ONE) if rest and against_changed else []
        with recording(actor, "screening against the lists", f"screening-{now:%Y%m%dT%H%M%S}"):
            write = partial(_write, counts=counts, own=own, digests=digests, now=now)
            write(new, found, scope=None)
            if rest:
                write(rest, found_rest, scope=changed)
            _mark(ScreenedOrganization, "organization_id", {party.key: own[party.key] for party in new}, now)
        counts.organizations += len(new)
        if new or rest:
            said(f"{counts.organizations:,} organizations screened, {counts.opened:,} matches opened")
    _mark(ScreenedParty, "party_id", {pk: digests[pk] for pk in changed}, now)
    log.info("screening ended: %s", counts.as_counts())
    return counts


def _seen(model: type[ScreenedOrganization] | type[ScreenedParty], **only: Any) -> dict[int, str]:
    rows: Any = model._default_manager.filter(engine=matching.ENGINE, **only)
    return dict(rows.values_list("pk", "digest"))


def _mark(
    model: type[ScreenedOrganization] | type[ScreenedParty], key: str, digests: dict[int, str], now: datetime
) -> None:
    rows: list[Any] = [
        model(**{key: pk, "digest": digest, "engine": matching.ENGINE, "screened_at": now})
        for pk, digest in digests.items()
    ]
    manager: Any = model._default_manager
    manager.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=[key.removesuffix("_id")],
        update_fields=["digest", "engine", "screened_at"],
    )


def _write(
    asked: Sequence[matching.Party],
    found: Sequence[Sequence[matching.Match]],
    *,
    scope: Sequence[int] | None,
    counts: Screened,
    own: dict[int, str],
    digests: dict[int, str],
    now: datetime,
) -> None:
    """Bring the matches of some organizations in line with what was found; ``scope``: only pairs with these parties."""
    if not asked:
        return
    pairs = ScreeningMatch.objects.filter(organization_id__in=[party.key for party in asked])
    if scope is not None:
        pairs = pairs.filter(party_id__in=scope)
    standing = {(match.organization_id, match.party_id): match for match in pairs}
    new: list[ScreeningMatch] = []
    differing: list[ScreeningMatch] = []
    for party, matches in zip(asked, found, strict=True):
        for result in matches:
            values = _values(result, own[party.key], digests[result.listed], now)
            match = standing.pop((party.key, result.listed), None)
            if match is None:
                new.append(ScreeningMatch(organization_id=party.key, party_id=result.listed, **values))
            elif outcome := _rescored(match, values):
                differing.append(match)
                counts.reopened += outcome == "reopened"
            else:
                counts.kept += 1
    for match in standing.values():  # was alike once, is no longer
        match.organization_digest = own[match.organization_id]
        match.party_digest = digests[match.party_id]
        if match.state in (ScreeningMatch.State.OPEN, ScreeningMatch.State.REJECTED):
            match.state = ScreeningMatch.State.SUPERSEDED
            match.screened_at = now
            counts.superseded += 1
            differing.append(match)
    ScreeningMatch.objects.bulk_create(new, batch_size=BATCH)
    ScreeningMatch.objects.bulk_update(differing, _RESCORED, batch_size=BATCH)
    counts.opened += len(new)
    counts.changed += len(differing)


_RESCORED = (
    "score", "band", "asked_name", "listed_name", "features", "engine", "organization_digest", "party_digest", "screened_at",
    "state", "decided_by", "decided_at", "reason",
)  # fmt: skip


def _values(result: matching.Match, own: str, listed: str, now: datetime) -> dict[str, Any]:
    return {
        "score": Decimal(f"{result.score:.4f}"),
        "band": result.band.value,
        "asked_name": result.asked_name[:250],
        "listed_name": result.listed_name[:400],
        "features": [feature.as_json() for feature in result.features],
        "engine": matching.ENGINE,
        "organization_digest": own,
        "party_digest": listed,
        "screened_at": now,
    }


def _rescored(match: ScreeningMatch, values: dict[str, Any]) -> str:
    """Put the new score on a pair: "changed", "reopened" or blank for neither.

    What was rejected is asked again only if one of its two sides changed.
    """
    sides_changed = (
        match.organization_digest != values["organization_digest"]
        or match.party_digest != values["party_digest"]
    )
    same = all(getattr(match, name) == value for name, value in values.items() if name != "screened_at")
    asks_again = match.state == ScreeningMatch.State.SUPERSEDED or (
        match.state == ScreeningMatch.State.REJECTED and sides_changed
    )
    if same and not asks_again:
        return ""
    for name, value in values.items():
        setattr(match, name, value)
    if not asks_again:
        return "changed"
    match.state = ScreeningMatch.State.OPEN
    match.decided_by = match.reason = ""
    match.decided_at = None
    return "reopened"


# --- deciding -----------------------------------------------------------------------------------------------------------------


def confirm(match: ScreeningMatch, actor: str, reason: str) -> ScreeningMatch:
    """Say that the two are the same organization, with a sentence why; its listing becomes a list entry for the rule checks.

    An entry that stands already (same list, same day) is kept and tied to the match. A listing without a day gives an entry
    without one: the checks then say that the day is not known.

    Raises:
        BadInput: no sentence, or the match is confirmed already.
    """
    with _deciding(match, actor, reason) as row:
        if row.state == ScreeningMatch.State.CONFIRMED:
            raise BadInput(f"{row} was confirmed by {row.decided_by} already.")
        _decided(row, ScreeningMatch.State.CONFIRMED, actor, reason)
        wanted = _entry_fields(row)
        found = ListEntry.objects.filter(
            organization_id=row.organization_id, list_name=wanted["list_name"], listed_on=wanted["listed_on"]
        ).first()
        row.wrote_entry = found is None
        row.list_entry = found or ListEntry.objects.create(organization_id=row.organization_id, **wanted)
        if found and found.removed_on is None and row.party.removed_on:
            found.removed_on = row.party.removed_on
            found.save(update_fields=["removed_on"])
        row.save()
    return row


def reject(match: ScreeningMatch, actor: str, reason: str) -> ScreeningMatch:
    """Say that the two are different organizations, with a sentence why. It is not asked again unless one of them changes.

    A match that was confirmed in error is rejected the same way: the list entry it wrote is taken back, its history is kept.

    Raises:
        BadInput: no sentence, or the match is rejected already.
    """
    with _deciding(match, actor, reason) as row:
        if row.state == ScreeningMatch.State.REJECTED:
            raise BadInput(f"{row} was rejected by {row.decided_by} already.")
        entry = row.list_entry if row.wrote_entry else None
        row.list_entry, row.wrote_entry = None, False
        _decided(row, ScreeningMatch.State.REJECTED, actor, reason)
        row.save()
        if entry is not None:
            entry.delete()
    return row


@contextmanager
def _deciding(match: ScreeningMatch, actor: str, reason: str) -> Iterator[ScreeningMatch]:
    """The pair as it stands now, held until the decision is written: two people may decide at once."""
    if len(reason.split()) < SENTENCE_WORDS:
        raise BadInput(
            "Say in a sentence what the decision rests on, so that a reader a year from now can follow."
        )
    with recording(actor, reason.strip()):
        yield (
            ScreeningMatch.objects.select_for_update(of=("self",))
            .select_related("organization", "party__screening_list__source", "list_entry")
            .get(pk=match.pk)
        )


def _decided(row: ScreeningMatch, state: ScreeningMatch.State, actor: str, reason: str) -> None:
    row.state, row.reason = state, reason.strip()
    row.decided_by, row.decided_at = actor[:150], timezone.now()


def _entry_fields(match: ScreeningMatch) -> dict[str, Any]:
    """What a list entry says of the listing of a confirmed match."""
    party = match.party
    return {
        "list_name": party.which_list[:80],
        "citation": party.citation[:80],
        "footnote": party.footnote[:80],
        "listed_on": party.listed_on,
        "removed_on": party.removed_on,
        "source": _source_of(party),
        "note": (
            f"Screening match {match.pk}: {party.name} (party {party.key} of {party.screening_list}), confirmed by"
            f" {match.decided_by} with score {match.score:.2f}."
        ),
    }


def _source_of(party: ListedParty) -> Source | None:
    if party.source_url:
        return source_for_url(
            party.source_url, title=party.which_list, publisher=party.screening_list.publisher
        )
    return party.screening_list.source


# --- asking without keeping ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A listed party that a name asked about may be. ``listing`` holds its list, days, citation and source."""

    score: float
    band: str
    asked_name: str
    listed_name: str
    features: tuple[matching.Feature, ...]
    listing: dict[str, Any]


MOST_CANDIDATES = 50

_index_lock = threading.Lock()
_index: tuple[Any, matching.Index] | None = None


def _current_index() -> matching.Index:
    """All listed parties as they stand, kept in this process until a list changes: building takes a second for 20,000."""
    global _index
    stamp = tuple(ListedParty.objects.aggregate(last=Max("recorded_at"), count=Count("id")).values())
    stamp = (*stamp, *ListedName.objects.aggregate(last=Max("recorded_at"), count=Count("id")).values())
    with _index_lock:
        if _index is None or _index[0] != stamp:
            _index = (stamp, matching.Index(listed_parties()))
        return _index[1]


def match_names(
    asked: Sequence[matching.Party], limit: int = 5, on: date | None = None
) -> list[list[Candidate]]:
    """For each party asked the listed ones it may be, best first, at most ``limit`` (50 at most); nothing is kept.

    ``on``: only listings of that day; a listing whose first day is not known counts as one.
    """
    found = _current_index().match(asked, MOST_CANDIDATES)
    rows = ListedParty.objects.filter(pk__in={match.listed for matches in found for match in matches})
    listings = {
        row.pk: {
            "id": row.pk,
            "key": row.key,
            "name": row.name,
            "list": row.which_list,
            "countries": row.countries,
            "listed_on": row.listed_on,
            "removed_on": row.removed_on,
            "citation": row.citation,
            "footnote": row.footnote,
            "source_url": row.source_url
            or (row.screening_list.source.url if row.screening_list.source else row.screening_list.url),
        }
        for row in rows.select_related("screening_list__source")
    }
    return [
        [
            Candidate(
                match.score,
                match.band.value,
                match.asked_name,
                match.listed_name,
                match.features,
                listings[match.listed],
            )
            for match in matches
            if match.listed in listings and _stands(listings[match.listed], on)
        ][: min(limit, MOST_CANDIDATES)]
        for matches in found
    ]


def _stands(listing: dict[str, Any], on: date | None) -> bool:
    begins, ends = listing["listed_on"], listing["removed_on"]
    return on is None or ((begins is None or begins <= on) and (ends is None or on < ends))
