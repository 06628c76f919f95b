"""Seed files into the ledger: all of them or nothing, and the same files twice change nothing."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import models
from django.db.utils import DataError, IntegrityError
from django.utils import timezone

from tracker.chips.models import Chip, ChipFamily, ChipFamilyMember, ChipSpecification
from tracker.claims.models import Claim, ClaimConflict
from tracker.core.errors import BadInput
from tracker.core.models import Versioned
from tracker.core.services import recording
from tracker.datacenters.models import DataCenter, DataCenterPart, DataCenterStatus, DataCenterUser, SitePower
from tracker.imports import seedfiles
from tracker.imports.columns import Problem, near
from tracker.imports.models import ImportProblem, ImportRun
from tracker.imports.parse import LARGEST_FILE, FileSpec, Row, Values, parse
from tracker.imports.references import endless_chains, layers, named, second_first_ranks, unknown_names
from tracker.licences.models import Licence, LicenceItem
from tracker.organizations.models import Alias, ListEntry, Organization, OwnershipStake
from tracker.rules.services import load_drafts, load_rules
from tracker.shipments.models import Shipment, ShipmentClaim
from tracker.sources.models import Source

log = logging.getLogger(__name__)

BATCH = 1_000
"""Rows of one INSERT: large enough to be set-wise, small enough for the 65,535 parameters of a statement."""

SUGGESTED = 20_000
"""Names looked through for near matches of an unknown one."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A record named by its slug; becomes an id when the record it names is written."""

    kind: str
    slug: str


Record = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """How rows of one file become rows of one table.

    ``key``: the fields that tell one row from another; ``records``: the rows that one row of the file gives; ``kind``: what other
    rows call them, if any do; ``follows``: the field by which a row names another of the same table; ``owner``: the path to the
    slug that says whether a row is synthetic; ``first``: rows with the smallest of it are written first.
    """

    name: str
    model: type[Versioned]
    spec: FileSpec
    key: tuple[str, ...]
    records: Callable[[Values], Iterable[Record]]
    owner: str
    kind: str = ""
    follows: str = ""
    first: Callable[[Record], Any] | None = None


@dataclass
class Loaded:
    """Counts of one table."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    not_in_files: int = 0

    def as_counts(self) -> dict[str, int]:
        return {
            "created": self.created,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "not in files": self.not_in_files,
        }


def _columns(spec: FileSpec, *without: str) -> Callable[[Values], list[Record]]:
    """One record with a field for every column of the file but ``without``."""
    columns = [column for column in spec.columns if column.name not in without]

    def records(values: Values) -> list[Record]:
        record: Record = {}
        for column in columns:
            value = values[column.name]
            if column.refers_to:
                record[f"{column.name}_id"] = Ref(column.refers_to, value) if value else None
            else:
                record[column.name] = list(value) if isinstance(value, tuple) else value
        return [record]

    return records


def _each(
    column: str, own: str, kind: str, other: str, other_kind: str = ""
) -> Callable[[Values], list[Record]]:
    """One record for each part of a list cell: ``own`` is the row itself, ``other`` the part (named, or as written)."""

    def records(values: Values) -> list[Record]:
        this = Ref(kind, values["slug"] if "slug" in values else values["reference"])
        return [{own: this, other: Ref(other_kind, part) if other_kind else part} for part in values[column]]

    return records


def _status(values: Values) -> list[Record]:
    if not values["status"]:
        return []
    return [
        {
            "data_center_id": Ref("data_center", values["slug"]),
            "status": values["status"],
            "valid_from": values["status_from"],
            "source_id": Ref("source", values["source"]),
        }
    ]


def _user(values: Values) -> list[Record]:
    this = Ref("data_center", values["slug"])
    return [
        {"data_center_id": this, "organization_id": Ref("organization", user), "valid_from": None}
        for user in values["users"]
    ]


_S = seedfiles
TABLES: tuple[Table, ...] = (
    Table("sources", Source, _S.SOURCES, ("slug",), _columns(_S.SOURCES), "slug", "source"),
    Table(
        "organizations",
        Organization,
        _S.ORGANIZATIONS,
        ("slug",),
        _columns(_S.ORGANIZATIONS, "aliases"),
        "slug",
        "organization",
    ),
    Table(
        "aliases",
        Alias,
        _S.ORGANIZATIONS,
        ("organization_id", "name"),
        _each("aliases", "organization_id", "organization", "name"),
        "organization__slug",
    ),
    Table(
        "stakes",
        OwnershipStake,
        _S.STAKES,
        ("owner_id", "owned_id", "valid_from"),
        _columns(_S.STAKES),
        "owned__slug",
    ),
    Table(
        "list entries",
        ListEntry,
        _S.LIST_ENTRIES,
        ("organization_id", "list_name", "listed_on"),
        _columns(_S.LIST_ENTRIES),
        "organization__slug",
    ),
    Table("chips", Chip, _S.CHIPS, ("slug",), _columns(_S.CHIPS), "slug", "chip"),
    Table(
        "chip specifications",
        ChipSpecification,
        _S.CHIP_SPECIFICATIONS,
        ("chip_id", "source_id"),
        _columns(_S.CHIP_SPECIFICATIONS),
        "chip__slug",
        # A specification leaves rank 1 before another takes it.
        first=lambda record: -record["rank"],
    ),
    Table(
        "chip families",
        ChipFamily,
        _S.CHIP_FAMILIES,
        ("slug",),
        _columns(_S.CHIP_FAMILIES, "members"),
        "slug",
        "family",
    ),
    Table(
        "family members",
        ChipFamilyMember,
        _S.CHIP_FAMILIES,
        ("family_id", "chip_id"),
        _each("members", "family_id", "family", "chip_id", "chip"),
        "family__slug",
    ),
    Table(
        "data centers",
        DataCenter,
        _S.DATA_CENTERS,
        ("slug",),
        _columns(_S.DATA_CENTERS, "users", "status", "status_from"),
        "slug",
        "data_center",
    ),
    Table(
        "data center users",
        DataCenterUser,
        _S.DATA_CENTERS,
        ("data_center_id", "organization_id", "valid_from"),
        _user,
        "data_center__slug",
    ),
    Table(
        "data center statuses",
        DataCenterStatus,
        _S.DATA_CENTERS,
        ("data_center_id", "status", "valid_from"),
        _status,
        "data_center__slug",
    ),
    Table(
        "data center parts",
        DataCenterPart,
        _S.DATA_CENTER_PARTS,
        ("whole_id", "part_id"),
        _columns(_S.DATA_CENTER_PARTS),
        "whole__slug",
    ),
    Table(
        "site powers",
        SitePower,
        _S.SITE_POWERS,
        ("data_center_id", "source_id", "as_of", "basis"),
        _columns(_S.SITE_POWERS),
        "data_center__slug",
    ),
    Table("licences", Licence, _S.LICENCES, ("reference",), _columns(_S.LICENCES), "reference", "licence"),
    Table(
        "licence items",
        LicenceItem,
        _S.LICENCE_ITEMS,
        ("licence_id", "chip_id", "family_id"),
        _columns(_S.LICENCE_ITEMS),
        "licence__reference",
    ),
    Table(
        "claims",
        Claim,
        _S.CLAIMS,
        ("slug",),
        _columns(_S.CLAIMS, "conflicts_with"),
        "slug",
        "claim",
        follows="echo_of_id",
    ),
    Table(
        "claim conflicts",
        ClaimConflict,
        _S.CLAIMS,
        ("claim_id", "other_id"),
        _each("conflicts_with", "claim_id", "claim", "other_id", "claim"),
        "claim__slug",
    ),
    Table(
        "shipments",
        Shipment,
        _S.SHIPMENTS,
        ("reference",),
        _columns(_S.SHIPMENTS, "claims"),
        "reference",
        "shipment",
        follows="onward_of_id",
    ),
    Table(
        "shipment claims",
        ShipmentClaim,
        _S.SHIPMENTS,
        ("shipment_id", "claim_id"),
        _each("claims", "shipment_id", "shipment", "claim_id", "claim"),
        "shipment__reference",
    ),
)
"""All tables in the order in which they are written: nothing before what it names."""

KINDS = {table.kind: table for table in TABLES if table.kind}


@dataclass
class Reading:
    """What was found in a folder: rows by file, digests, and all that is wrong."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    sha256: str = ""


def load_seeds(directory: Path, actor: str, reason: str = "") -> ImportRun:
    """Load the seed files of ``directory`` (those of :data:`tracker.imports.seedfiles.FILES` that are there, ``rules/`` and
    ``drafts/``).

    Everything is read and checked before anything is written, and written in one transaction whose changes carry ``actor``,
    ``reason`` and the key of the run as their batch. One problem and nothing is written: the run is ``refused`` and keeps every
    problem as a row. Rows of the ledger that the files do not name (any more) are left alone and counted as ``not in files``.
    Loading what the ledger says already makes no versions; the run is then ``unchanged``.

    Raises BadInput when the folder is not there or holds no seed file.
    """
    reading = _read(Path(directory))
    run = _begin(f"seed files of {Path(directory).resolve().name}", reading.sha256, actor)
    counts: dict[str, dict[str, int]] = {}
    try:
        reading.problems += _cross_problems(reading)
        if not reading.problems:
            counts = _written(reading, Path(directory), actor, reason or f"load of {run.what}", run)
    except (BadInput, IntegrityError, DataError) as error:
        reading.problems.append(_as_problem(error))
    except BaseException:
        _finish(
            run,
            counts,
            [Problem("", None, "", "", "the load broke off; nothing was written. Start it again.")],
        )
        raise
    return _finish(run, counts, reading.problems)


def _read(directory: Path) -> Reading:
    if not directory.is_dir():
        raise BadInput(f"{directory}: there is no such folder; name the one that holds the seed files")
    reading, digest = Reading(), hashlib.sha256()
    paths = sorted(directory.glob("*.csv"))
    if not paths:
        raise BadInput(f"{directory}: no seed file (*.csv) here; name the folder that holds them")
    for path in paths:
        if path.name not in seedfiles.FILES:
            message = (
                f"no seed file has this name; rename it or take it away.{near(path.name, seedfiles.FILES)}"
            )
            reading.problems.append(Problem(path.name, None, "", "", message))
            continue
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(data).digest())
        rows, problems = parse(seedfiles.FILES[path.name], data)
        reading.rows[path.name] = rows
        reading.problems += problems
    folders = ("rules/*.yaml", "country_groups.yaml", "drafts/*.yaml")
    for path in sorted(path for pattern in folders for path in directory.glob(pattern)):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    reading.sha256 = digest.hexdigest()
    return reading


def _begin(what: str, sha256: str, actor: str) -> ImportRun:
    now = timezone.now()
    run = ImportRun.objects.create(
        key=f"load-{now:%Y%m%dT%H%M%S%f}-{sha256[:8]}",
        what=what[:200],
        sha256=sha256,
        actor=actor[:150],
        status=ImportRun.Status.RUNNING,
        started_at=now,
    )
    log.info("load %s of %s begins", run.key, run.what)
    return run


def _finish(run: ImportRun, counts: dict[str, dict[str, int]], problems: Sequence[Problem]) -> ImportRun:
    if problems:
        run.status, run.counts = ImportRun.Status.REFUSED, {}
        ImportProblem.objects.bulk_create(
            ImportProblem(
                run=run,
                file=problem.file,
                row=problem.row,
                column=problem.column[:80].replace("\0", ""),
                value=problem.value.replace("\0", ""),
                message=problem.message.replace("\0", ""),
            )
            for problem in problems
        )
    else:
        written = sum(count["created"] + count["changed"] for count in counts.values())
        run.status = ImportRun.Status.LOADED if written else ImportRun.Status.UNCHANGED
        run.counts = counts
    run.finished_at = timezone.now()
    run.save()
    log.info("load %s ends: %s, %s problems", run.key, run.status, len(problems))
    return run


def _as_problem(error: Exception) -> Problem:
    """What the rules or the database refused, as a problem that names the rule broken."""
    if isinstance(error, BadInput):
        return Problem("rules", None, "", "", str(error))
    diagnosis = getattr(error.__cause__, "diag", None)
    name = getattr(diagnosis, "constraint_name", None) or ""
    for table in TABLES:
        for constraint in table.model._meta.constraints:
            if constraint.name == name:
                detail = getattr(diagnosis, "message_detail", None) or ""
                return Problem(
                    table.spec.name,
                    None,
                    name,
                    "",
                    f"{constraint.get_violation_error_message()} {detail}".strip(),
                )
    return Problem("", None, name, "", f"the database refused the rows: {str(error).strip()}")


def _cross_problems(reading: Reading) -> list[Problem]:
    """What rows say of each other: unknown names, circles, two preferred specifications of a chip."""
    specs = {name: seedfiles.FILES[name] for name in reading.rows}
    used: dict[str, set[str]] = {}
    for name, spec in specs.items():
        for row in reading.rows[name]:
            for _, kind, slug in named(spec, row):
                used.setdefault(kind, set()).add(slug)
    damaged = {problem.file for problem in reading.problems}
    # Names whose own row was refused are no further problem, so kinds with a damaged file are not checked.
    known = {
        kind: _names_in_files(reading, kind) | set(_ids(kind, slugs))
        for kind, slugs in used.items()
        if KINDS[kind].spec.name not in damaged
    }

    def suggestions(kind: str) -> Collection[str]:
        return _names_in_files(reading, kind) | _names_in_ledger(kind)

    problems = []
    for name, spec in specs.items():
        problems += unknown_names(spec, reading.rows[name], known, suggestions)
    problems += endless_chains(_S.CLAIMS, reading.rows.get(_S.CLAIMS.name, []), "echo_of")
    problems += endless_chains(_S.SHIPMENTS, reading.rows.get(_S.SHIPMENTS.name, []), "onward_of")
    return problems + second_first_ranks(
        _S.CHIP_SPECIFICATIONS, reading.rows.get(_S.CHIP_SPECIFICATIONS.name, [])
    )


def _names_in_files(reading: Reading, kind: str) -> set[str]:
    table = KINDS[kind]
    return {row.values[table.key[0]] for row in reading.rows.get(table.spec.name, [])}


def _names_in_ledger(kind: str) -> set[str]:
    table = KINDS[kind]
    rows = table.model._default_manager.exclude(**{f"{table.owner}__startswith": "synthetic"})
    return set(rows.values_list(table.key[0], flat=True)[:SUGGESTED])


def _ids(kind: str, slugs: Iterable[str]) -> dict[str, int]:
    """Ids by slug of the records of a kind that stand in the ledger; one query."""
    table = KINDS[kind]
    rows = table.model._default_manager.filter(**{f"{table.key[0]}__in": list(slugs)})
    return dict(rows.values_list(table.key[0], "id"))


def _written(
    reading: Reading, directory: Path, actor: str, reason: str, run: ImportRun
) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    ids: dict[str, dict[str, int]] = {}
    with recording(actor, reason, run.key):
        for table in TABLES:
            if table.spec.name in reading.rows:
                loaded = _write(table, reading.rows[table.spec.name], ids)
                counts[table.name] = loaded.as_counts()
            if table.model is Source and (directory / "rules").is_dir():
                # Rules cite pages; where the files describe such a page, that description is the one to keep.
                rules = load_rules(directory / "rules")
                counts["rules"] = Loaded(rules.created, rules.updated, rules.unchanged).as_counts()
                drafts = load_drafts(directory / "drafts")
                counts["drafts of rules"] = Loaded(
                    drafts.created, drafts.updated, drafts.unchanged
                ).as_counts()
    return counts


def _write(table: Table, rows: Sequence[Row], ids: dict[str, dict[str, int]]) -> Loaded:
    """Bring one table in line with its rows; only what differs is written."""
    loaded = Loaded()
    records = [record for row in rows for record in table.records(row.values)]
    _look_up(records, ids, besides=table.kind)
    if table.kind:
        own = [record[table.key[0]] for record in records]
        own += [ref.slug for record in records if (ref := record.get(table.follows))]
        ids[table.kind] = _ids(table.kind, own)
    for layer in _layers(table, records):
        resolved = [
            {
                name: ids[value.kind][value.slug] if isinstance(value, Ref) else value
                for name, value in record.items()
            }
            for record in layer
        ]
        for made in _upsert(table, resolved, loaded):
            if table.kind:
                ids[table.kind][getattr(made, table.key[0])] = made.pk
    ours = table.model._default_manager.exclude(**{f"{table.owner}__startswith": "synthetic"})
    loaded.not_in_files = max(0, ours.count() - len(records))
    return loaded


def _layers(table: Table, records: list[Record]) -> Iterator[list[Record]]:
    if not table.follows:
        return iter([records])

    def parent(record: Record) -> str | None:
        ref = record[table.follows]
        return ref.slug if ref else None

    return layers(records, lambda record: record[table.key[0]], parent)


def _look_up(records: Sequence[Record], ids: dict[str, dict[str, int]], besides: str) -> None:
    """Complete ``ids`` with the records that these name and no file of this load has brought."""
    missing: dict[str, set[str]] = {}
    for record in records:
        for value in record.values():
            if isinstance(value, Ref) and value.kind != besides and value.slug not in ids.get(value.kind, {}):
                missing.setdefault(value.kind, set()).add(value.slug)
    for kind, slugs in missing.items():
        ids.setdefault(kind, {}).update(_ids(kind, slugs))


def _upsert(table: Table, records: Sequence[Record], loaded: Loaded) -> list[Versioned]:
    """Write the records that are new or differ; the rows written, with their ids."""
    if not records:
        return []
    standing = _standing(table, records)
    tally: Counter[str] = Counter()
    wanted = []
    for record in records:
        before = standing.get(_key(table, record))
        if before is not None and all(before[name] == value for name, value in record.items()):
            tally["unchanged"] += 1
            continue
        tally["created" if before is None else "changed"] += 1
        wanted.append(record)
    loaded.created += tally["created"]
    loaded.changed += tally["changed"]
    loaded.unchanged += tally["unchanged"]
    wanted.sort(key=table.first or (lambda record: 0))
    changing = [name for name in records[0] if name not in table.key]
    rows = [table.model(**record) for record in wanted]
    if not changing:  # the key is all there is: such rows are only ever new
        return table.model._default_manager.bulk_create(rows, batch_size=BATCH)
    return table.model._default_manager.bulk_create(
        rows, batch_size=BATCH, update_conflicts=True, unique_fields=table.key, update_fields=changing
    )


def _key(table: Table, record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in table.key)


def _standing(table: Table, records: Sequence[Record]) -> dict[tuple[Any, ...], Record]:
    """The rows of the ledger that may be the same as one of ``records``, by key; one query."""
    wanted = {record[table.key[0]] for record in records}
    rows: models.QuerySet[Any] = table.model._default_manager.filter(**{f"{table.key[0]}__in": wanted})
    return {_key(table, row): row for row in rows.values(*records[0])}
