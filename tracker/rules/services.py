"""Rule files into rows, and rows into the rule book that the pure core reads."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import yaml
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import models, transaction
from django.db.backends.postgresql.psycopg_any import DateRange
from django.db.models import Count, Max, Value

from tracker.chips.models import Chip, ChipSpecification
from tracker.chips.services import specs_known_at
from tracker.chips.specs import ChipSpec
from tracker.core.errors import BadInput, UnknownName
from tracker.core.period import DAY, Period
from tracker.organizations.models import Alias, Organization
from tracker.rules import catalogue, schema, table
from tracker.rules.answers import DailyLaw, Vendor
from tracker.rules.classify import Classification, classify, compared
from tracker.rules.drafts import Draft, draft
from tracker.rules.models import (
    CountryGroup,
    CountryGroupMember,
    ExportRule,
    LicenceRequirement,
    RuleDraft,
    RuleInterval,
)
from tracker.rules.parameters import CountrySet, Membership, RuleBook, RuleSet
from tracker.rules.timeline import Stretch, comparison_words, deciding, stretches
from tracker.sources.models import Source
from tracker.sources.services import sources_for_urls

log = logging.getLogger(__name__)


@dataclass
class Loaded:
    """How many rows a load made, changed and left alone, over all tables."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


def load_rules(directory: Path, country_groups: Path | None = None) -> Loaded:
    """Load all rule files of ``directory`` and the country groups (default: ``country_groups.yaml`` beside
    it).

    Everything is read and checked first; one mistake and nothing is written. Loading the same files again
    changes nothing. Rows that no file mentions any more stay: law that once held still decides about its own
    days. Intervals of a rule and members of a group are parts of it, so those that vanished from the file are
    deleted (their versions are kept).

    Raises BadInput naming file, rule, field, value and mend.
    """
    files = rule_files(directory, country_groups)
    loaded = Loaded()
    with transaction.atomic():
        sources = sources_for_urls(_references(files))
        _save_rules(files, sources, loaded)
        _save_rows(files, sources, loaded)
        _save_groups(files, sources, loaded)
    log.info(
        "rules loaded: %s created, %s updated, %s unchanged", loaded.created, loaded.updated, loaded.unchanged
    )
    return loaded


def rule_files(directory: Path, country_groups: Path | None = None) -> schema.RuleFiles:
    """All rule files of a directory with the country groups, read and checked; see :func:`load_rules`. No database is asked."""
    groups_path = country_groups or directory.parent / "country_groups.yaml"
    documents = {path.name: _parsed(path) for path in sorted(directory.glob("*.yaml"))}
    if not documents:
        raise BadInput(f"{directory}: no rule files (*.yaml) here; name the directory that holds them")
    return schema.rule_files(documents, _parsed(groups_path), groups_path.name)


def _parsed(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name}: not readable as YAML: {error}") from error


def _references(files: schema.RuleFiles) -> set[str]:
    found = {reference for rule in files.rules for reference in rule.sources}
    found |= {reference for row in files.matrix for reference in row.data.get("sources", ())}
    for group in files.groups:
        found |= set(group.sources) | {reference for _, reference in group.members}
    return found | {reference for _, reference in files.aliases}


def _range(period: Period) -> DateRange:
    return DateRange(period.start, period.end, "[)")


def _saved(
    model: type[models.Model], standing: models.Model | None, values: Mapping[str, Any], loaded: Loaded
) -> Any:
    """The row with these values: made, brought up to date, or left untouched if it says the same already."""
    if standing is None:
        loaded.created += 1
        return model._default_manager.create(**values)
    changed = [name for name, value in values.items() if getattr(standing, name) != value]
    if not changed:
        loaded.unchanged += 1
        return standing
    for name in changed:
        setattr(standing, name, values[name])
    standing.save(update_fields=changed)
    loaded.updated += 1
    return standing


_RULE_TEXTS = (
    "regime",
    "kind",
    "title",
    "summary",
    "citation",
    "enforcement",
    "enforcement_note",
    "licence_policy",
)
_RULE_STRUCTURES: dict[str, type] = {
    "criteria": dict, "destinations": dict, "hq_rule": dict, "more": dict, "savings": dict,
    "addressees": list, "quantity_caps": list, "exceptions": list, "sources": list, "supersedes": list,
}  # fmt: skip
_RULE_DAYS = ("published_on", "released_on", "compliance_from", "verified_on")


def _save_rules(files: schema.RuleFiles, sources: Mapping[str, Source], loaded: Loaded) -> None:
    standing: dict[str, list[ExportRule]] = {}
    for row in ExportRule.objects.select_related("source"):
        standing.setdefault(row.rule_id, []).append(row)
    intervals: dict[int, list[RuleInterval]] = {}
    for interval in RuleInterval.objects.select_related("rule"):
        intervals.setdefault(interval.rule_id, []).append(interval)
    for rule in files.rules:
        versions = standing.get(rule.id, [])
        same = next((row for row in versions if row.in_force.lower == rule.period.start), None)
        for row in versions:
            if row is not same and _period(row.in_force).overlaps(rule.period):
                raise BadInput(
                    f"rule {rule.id}: the file has it from {rule.period}, the database from {_period(row.in_force)}; "
                    "correct the dates of the record that stands, or end it the day before the new version begins"
                )
        row = _saved(ExportRule, same, _rule_values(rule.data, rule.period, sources), loaded)
        wanted = [
            {
                "rule": row, "period": _range(i.period), "status": i.status.value, "note": i.note,
                "citation": i.citation, "verification": i.verification,
            }
            for i in rule.intervals
        ]  # fmt: skip
        _save_parts(RuleInterval, intervals.get(row.pk, []), wanted, ("period",), loaded)


def _rule_values(data: Mapping[str, Any], period: Period, sources: Mapping[str, Source]) -> dict[str, Any]:
    values: dict[str, Any] = {name: data.get(name, "") for name in (*_RULE_TEXTS, "verification", "note")}
    values |= {name: data.get(name, kind()) for name, kind in _RULE_STRUCTURES.items()}
    values |= {name: date.fromisoformat(data[name]) if name in data else None for name in _RULE_DAYS}
    return values | {"rule_id": data["id"], "in_force": _range(period), "source": sources[data["sources"][0]]}


_ROW_TEXTS = (
    "letter",
    "presumption",
    "exception",
    "vendor_hq",
    "when",
    "result",
    "answer",
    "policy",
    "words",
    "citation",
    "verification",
)
_ROW_LISTS = (
    "items", "destinations", "not_destinations", "movements", "conditions", "sources", "lists", "footnotes",
    "exporter_roles",
)  # fmt: skip


def _save_rows(files: schema.RuleFiles, sources: Mapping[str, Source], loaded: Loaded) -> None:
    standing = {row.order: row for row in LicenceRequirement.objects.select_related("source")}
    first_source = {rule.id: rule.sources[0] for rule in files.rules}
    for row in files.matrix:
        values: dict[str, Any] = {name: row.data.get(name, "") for name in _ROW_TEXTS}
        values |= {name: row.data.get(name, []) for name in _ROW_LISTS}
        main = values["sources"][0] if values["sources"] else first_source[row.rule]
        values |= {
            "order": row.order, "in_force": _range(row.period), "rule_id": row.rule, "party": row.party,
            "jurisdiction": row.jurisdiction, "source": sources[main],
        }  # fmt: skip
        _saved(LicenceRequirement, standing.get(row.order), values, loaded)


def _save_groups(files: schema.RuleFiles, sources: Mapping[str, Source], loaded: Loaded) -> None:
    standing = {row.name: row for row in CountryGroup.objects.select_related("source")}
    members: dict[int | None, list[CountryGroupMember]] = {}
    for member in CountryGroupMember.objects.select_related("source", "group"):
        members.setdefault(member.group_id, []).append(member)
    for group in files.groups:
        values = {
            "name": group.name, "label": group.label, "is_set": group.is_set, "note": group.note,
            "union": list(group.definition.union), "minus": list(group.definition.minus),
            "source": sources[group.sources[0]], "sources": list(group.sources),
        }  # fmt: skip
        row = _saved(CountryGroup, standing.get(group.name), values, loaded)
        wanted = [_member_values(member, row, "", sources[url]) for member, url in group.members]
        _save_parts(CountryGroupMember, members.get(row.pk, []), wanted, ("country", "period"), loaded)
    wanted = [_member_values(alias, None, alias.group, sources[url]) for alias, url in files.aliases]
    _save_parts(CountryGroupMember, members.get(None, []), wanted, ("country", "period"), loaded)


def _member_values(
    member: Membership, group: CountryGroup | None, treated_as: str, source: Source
) -> dict[str, Any]:
    return {
        "group": group, "treated_as": treated_as, "country": member.country, "period": _range(member.period),
        "is_contested": member.contested, "note": member.note, "verification": member.verification, "source": source,
    }  # fmt: skip


def _save_parts(
    model: type[models.Model],
    standing: Iterable[models.Model],
    wanted: list[dict[str, Any]],
    key: tuple[str, ...],
    loaded: Loaded,
) -> None:
    """Make the parts of one parent what the file says. A part is the same one if it starts on the same
    day."""

    def name(read: Any) -> tuple[Any, ...]:
        return tuple(value.lower if isinstance(value := read(field), DateRange) else value for field in key)

    kept = {name(lambda field, row=row: getattr(row, field)): row for row in standing}
    named = {name(values.__getitem__): values for values in wanted}
    # what vanished goes first, and what shrinks before what grows would still collide: so the gone are deleted
    # before anything else, and ranges that moved are made anew
    for part, row in list(kept.items()):
        values = named.get(part)
        if values is None or _ranges(row, values):
            row.delete()
            del kept[part]
    for part, values in named.items():
        _saved(model, kept.get(part), values, loaded)


def _ranges(row: models.Model, values: Mapping[str, Any]) -> bool:
    """Whether the date range of a standing part differs from the wanted one."""
    return any(isinstance(value, DateRange) and getattr(row, name) != value for name, value in values.items())


def rulebook(known_at: datetime | None = None) -> RuleBook:
    """All rules, rows and groups as they stand, or as they were known at an instant. Six queries, whatever
    the size."""
    groups = {row.pk: row for row in CountryGroup.objects.known_at(known_at)}
    members = list(CountryGroupMember.objects.known_at(known_at).order_by("country", "period"))
    intervals: dict[int, list[dict[str, Any]]] = {}
    for interval in RuleInterval.objects.known_at(known_at).order_by("period"):
        intervals.setdefault(interval.rule_id, []).append(_interval_data(interval))
    rules = ExportRule.objects.known_at(known_at).order_by("rule_id", "in_force")
    rows = LicenceRequirement.objects.known_at(known_at).order_by("order")
    return RuleBook(
        rules=tuple(schema.rule(_rule_data(r, intervals.get(r.pk, [])), f"rule {r.rule_id}") for r in rules),
        matrix=tuple(schema.matrix_row(_row_data(row), f"licence matrix, row {row.order}") for row in rows),
        memberships=tuple(_membership(m, groups[m.group_id].name) for m in members if m.group_id is not None),
        sets=tuple(CountrySet(g.name, tuple(g.union), tuple(g.minus)) for g in groups.values() if g.is_set),
        aliases=tuple(_membership(m, m.treated_as) for m in members if m.group_id is None),
        group_names=frozenset(group.name for group in groups.values()),
    )


def ruleset(on: date, known_at: datetime | None = None) -> RuleSet:
    """The rules in force on a day, as they stand or as they were known at an instant."""
    return rulebook(known_at).on(on)


def _period(dates: DateRange) -> Period:
    return Period(dates.lower, dates.upper)


def _inclusive(dates: DateRange, first: str, last: str) -> dict[str, Any]:
    """A half-open range in the words of the files, whose last day is inclusive."""
    return {first: dates.lower, last: dates.upper - DAY if dates.upper else None}


def _rule_data(row: ExportRule, intervals: list[dict[str, Any]]) -> dict[str, Any]:
    names = (*_RULE_TEXTS, *_RULE_STRUCTURES, *_RULE_DAYS, "verification", "note")
    data = {name: getattr(row, name) for name in names}
    return (
        data
        | {"id": row.rule_id, "intervals": intervals}
        | _inclusive(row.in_force, "effective_from", "effective_to_inclusive")
    )


def _interval_data(row: RuleInterval) -> dict[str, Any]:
    data = {
        "status": row.status,
        "note": row.note,
        "citation": row.citation,
        "verification": row.verification,
    }
    return data | _inclusive(row.period, "from", "to_inclusive")


def _row_data(row: LicenceRequirement) -> dict[str, Any]:
    data = {name: getattr(row, name) for name in (*_ROW_TEXTS, *_ROW_LISTS, "order", "party", "jurisdiction")}
    data["when"] = data["when"] or None
    return data | {"rule": row.rule_id} | _inclusive(row.in_force, "from", "to_inclusive")


def _membership(row: CountryGroupMember, group: str) -> Membership:
    return Membership(group, row.country, _period(row.period), row.is_contested, row.verification, row.note)


# --- changes by hand ------------------------------------------------------------------------------------------------------

LawRow = ExportRule | RuleInterval | LicenceRequirement | CountryGroup | CountryGroupMember


def refusal_of_law(*rows: LawRow, gone: bool = False) -> str | None:
    """Why the law could not be applied with ``rows`` as they now stand in memory, or without them (``gone``); None: it can.

    The same schema that reads rule files reads the rows, and then all of the law as it would be is checked as a whole, so the
    message names field, value and mend. A mistake that stands in the ledger already, elsewhere, is not held against a row.
    """
    if not gone:
        for row in rows:
            try:
                _read(row)
            except BadInput as error:
                return str(error)
    before = set(_mistakes((), gone=False))
    return next((words for words in _mistakes(rows, gone) if words not in before), None)


def _read(row: LawRow) -> Any:
    """The row in the form that the pure core reads; raises BadInput."""
    match row:
        case ExportRule():
            where = f"rule {row.rule_id}"
            _refuse_no_day(row.in_force, "in_force", where)
            return schema.rule(_rule_data(row, []), where)
        case RuleInterval():
            where = "status of a rule"
            _refuse_no_day(row.period, "period", where)
            return schema.interval(_interval_data(row), where)
        case LicenceRequirement():
            where = f"licence matrix, row {row.order}"
            _refuse_no_day(row.in_force, "in_force", where)
            return schema.matrix_row(_row_data(row), where)
        case CountryGroup():
            return CountrySet(row.name, tuple(row.union), tuple(row.minus))
    _refuse_no_day(row.period, "period", f"membership of {row.country}")
    return None


def _refuse_no_day(dates: DateRange, field: str, where: str) -> None:
    if dates.lower and dates.upper and dates.lower >= dates.upper:
        raise BadInput(
            f"{where}: field {field!r} holds no day: it begins on {dates.lower} and no longer holds from {dates.upper} on; "
            "the end is the first day after the last one, so it lies behind the beginning"
        )


def _mistakes(changed: Collection[LawRow], gone: bool) -> Iterator[str]:
    """What is wrong with the law as a whole if some rows were as given, or gone; rows that cannot be read are passed over."""

    def standing(table: type[models.Model]) -> list[Any]:
        mine = [row for row in changed if isinstance(row, table)]
        kept = table._default_manager.exclude(pk__in=[row.pk for row in mine if row.pk])
        return [*kept, *(() if gone else mine)]

    groups = standing(CountryGroup)
    names = {row.name for row in groups}
    rules, rows, sets = (
        [read for row in found if (read := _readable(row)) is not None]
        for found in (standing(ExportRule), standing(LicenceRequirement), groups)
    )
    for mistake in (
        *schema.rule_mistakes(rules),
        *schema.row_mistakes(rows, rules, names),
        *schema.set_mistakes(sets, names),
    ):
        yield str(mistake)


def _readable(row: LawRow) -> Any:
    try:
        return _read(row)
    except BadInput:
        return None


# --- classes of chips -----------------------------------------------------------------------------------------------------


def classification(chip: str, on: date, known_at: datetime | None = None) -> Classification:
    """The class of a chip (by slug) under the rules of a day, by its preferred specification, with what its other sources
    would lead to.

    Raises UnknownName where there is no such chip.
    """
    return compared(specs_of_chip(chip, known_at), rulebook(known_at).on(on))


def timeline(chip: str, known_at: datetime | None = None) -> list[Stretch]:
    """How the class of a chip (by slug) changed with the law, from the first day of any classification rule on.

    Neighbouring days with the same level, number, letters, presumptions and bands, found by the same rules, are one stretch; the
    last one is open.

    Raises UnknownName where there is no such chip.
    """
    return stretches(specs_of_chip(chip, known_at), rulebook(known_at))


def specs_of_chip(chip: str, known_at: datetime | None) -> Mapping[str, ChipSpec]:
    found = specs_known_at(known_at, slug=chip)
    if not found:
        raise UnknownName(f"there is no chip {chip!r}; the list of chips has all names")
    return next(iter(found.values()))


# --- the law for pages ----------------------------------------------------------------------------------------------------

CACHED_SECONDS = 3600
LAW_TABLES: tuple[type[models.Model], ...] = (
    ExportRule,
    RuleInterval,
    LicenceRequirement,
    CountryGroup,
    CountryGroupMember,
)
CHIP_TABLES: tuple[type[models.Model], ...] = (Chip, ChipSpecification, Organization)


def _stamp(tables: Iterable[type[models.Model]]) -> str:
    """A name for the present contents of some tables: it changes with every row written or deleted. One query."""
    first, *others = (
        table._default_manager.order_by()
        .values(table=Value(table._meta.model_name))
        .annotate(rows=Count("pk"), latest=Max("recorded_at"), last=Max("pk"))
        .values_list("table", "rows", "latest", "last")
        for table in tables
    )
    text = repr(sorted(first.union(*others, all=True)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _kept_book() -> RuleBook:
    """The rule book as it stands, read anew only when a row of the law has changed."""
    key = f"law-book-{_stamp(LAW_TABLES)}"
    book: RuleBook | None = cache.get(key)
    if book is None:
        book = rulebook()
        cache.set(key, book, CACHED_SECONDS)
    return book


def _kept_classes(rules: RuleSet) -> dict[str, Classification]:
    """Every chip (by slug) with its class under ``rules``, by its preferred specification."""
    key = f"law-classes-{rules.digest}-{_stamp(CHIP_TABLES)}"
    found: dict[str, Classification] | None = cache.get(key)
    if found is None:
        first = [next(iter(specs.values())) for specs in specs_known_at().values()]
        found = {spec.slug: classify(spec, rules) for spec in sorted(first, key=lambda spec: spec.slug)}
        cache.set(key, found, CACHED_SECONDS)
    return found


def chip_names() -> dict[str, str]:
    """Slug -> name as sold. One query."""
    return dict(Chip.objects.order_by("slug").values_list("slug", "name"))


def rule_lines(today: date) -> dict[str, list[catalogue.RuleLine]]:
    """All rules by regime, with what each does today."""
    return catalogue.rule_lines(_kept_book(), today)


def rule_page(rule_id: str, today: date, on: date | None = None) -> catalogue.RulePage:
    """A rule for its page, with the chips that it catches ``on`` a day (default: today, or the last day it was in force).

    Raises UnknownName where no rule has this id.
    """
    book = _kept_book()
    versions = [rule for rule in book.rules if rule.id == rule_id]
    if not versions:
        raise UnknownName(f"there is no rule {rule_id!r}; the list of rules has all names")
    day = on or catalogue.day_to_show(versions, today)
    asks = any(catalogue.rule_tests(rule) for rule in versions)
    classes = _kept_classes(book.on(day)) if asks else {}
    return catalogue.rule_page(rule_id, book, classes, day, today)


def open_questions(today: date) -> catalogue.OpenQuestions:
    return catalogue.open_questions(_kept_book(), today)


def chip_classes(on: date) -> dict[str, Classification]:
    """Every chip (by slug) with its class on a day."""
    return _kept_classes(_kept_book().on(on))


@dataclass(frozen=True, slots=True)
class StretchInWords:
    """One line of the table below a timeline. ``comparisons``: those that decided; ``letters``: rule id and whether it certainly
    names the chip; ``rules``: id and citation of every rule that decided."""

    period: Period
    level: str
    eccn: str
    paragraph: str
    comparisons: tuple[str, ...]
    missing: tuple[str, ...]
    letters: tuple[tuple[str, bool], ...]
    rules: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ChipLaw:
    """A chip under the law as it stands: its timeline for a picture and in words, and its class today with what other figures
    for it would lead to."""

    stretches: tuple[Stretch, ...]
    lines: tuple[StretchInWords, ...]
    now: Classification


def chip_law(chip: str, today: date) -> ChipLaw:
    """How the law takes a chip (by slug), then and now.

    Raises UnknownName where there is no such chip.
    """
    specs, book = specs_of_chip(chip, None), _kept_book()
    found = stretches(specs, book)
    lines: list[StretchInWords] = []
    for line in map(_in_words, found):
        if lines and replace(line, period=lines[-1].period) == lines[-1]:
            # what changed between the two, a presumption or a band, is not told here
            lines[-1] = replace(line, period=Period(lines[-1].period.start, line.period.end))
        else:
            lines.append(line)
    return ChipLaw(tuple(found), tuple(lines), compared(specs, book.on(today)))


def _in_words(stretch: Stretch) -> StretchInWords:
    now = stretch.classification
    lines = deciding(now)
    rules = {line.rule_id: line.citation for line in lines}
    return StretchInWords(
        period=stretch.period,
        level=now.shown_level,
        eccn=now.eccn,
        paragraph=now.paragraph,
        comparisons=tuple(comparison_words(line) for line in lines),
        missing=now.open_questions,
        letters=tuple((hit.rule_id, hit.truth is True) for hit in now.letters),
        rules=tuple(rules.items()),
    )


@dataclass(frozen=True, slots=True)
class Classified:
    """A chip under the rules of one day, with how that changed over the days."""

    classification: Classification
    rules: RuleSet
    stretches: list[Stretch]


def classified(chip: str, on: date, known_at: datetime | None = None) -> Classified:
    """Class and timeline of a chip (by slug) from one reading of specifications and rules: seven queries.

    Raises UnknownName where there is no such chip.
    """
    specs, book = specs_of_chip(chip, known_at), rulebook(known_at)
    rules = book.on(on)
    now = compared(specs, rules)
    return Classified(now, rules, stretches(specs, book))


# --- drafts of law --------------------------------------------------------------------------------------------------------

LARGEST_DRAFT = 200_000
"""Characters of a draft; the largest rule file of the seeds has a quarter of it."""
DEEPEST_DRAFT = 30
"""Lists and mappings inside one another; rule files go down to eight."""


def read_draft(text: str, where: str, book: RuleBook) -> Draft:
    """A draft from its YAML, held against the rule book that it changes.

    Raises BadInput naming what is wrong and how it is mended. References inside the YAML (``*name``) are refused too: a few lines
    of them can stand for more text than a machine holds.
    """
    if len(text) > LARGEST_DRAFT:
        raise BadInput(f"{where}: {len(text):,} characters; a draft has at most {LARGEST_DRAFT:,}")
    try:
        _refuse_traps(text, where)
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a day like 2026-02-30 is no YAMLError
        raise BadInput(f"{where}: not readable as YAML: {error}") from error
    return draft(document, book, where)


def _refuse_traps(text: str, where: str) -> None:
    """Refuse YAML that is short to write and long to read. The text is read only as far as the first of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise BadInput(f"{where}: *{event.anchor} refers to another place; write out what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_DRAFT:
            raise BadInput(
                f"{where}: lists and mappings inside one another more than {DEEPEST_DRAFT} deep; no rule needs that"
            )


def save_draft(slug: str, text: str, book: RuleBook, where: str = "", note: str | None = None) -> RuleDraft:
    """Keep a draft under a short name, or bring the one that has it up to date; what says the same already makes no version.

    Actor and reason are those of the :func:`tracker.core.services.recording` around the call. The first of the draft's sources
    becomes its source. Raises BadInput for a name that is none and for whatever :func:`read_draft` refuses.
    """
    return _kept_draft(slug, text, book, where or slug, note, Loaded())


def load_drafts(directory: Path) -> Loaded:
    """Load every draft of ``directory`` (``*.yaml``) under the name of its file, held against the rules that stand.

    All or nothing; the same files twice change nothing, and drafts that no file mentions stay. Raises BadInput.
    """
    loaded, book = Loaded(), rulebook()
    with transaction.atomic():
        for path in sorted(directory.glob("*.yaml")):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise BadInput(f"{path.name}: not readable as text in UTF-8: {error}") from error
            _kept_draft(path.stem, text, book, path.name, None, loaded)
    return loaded


def _kept_draft(
    slug: str, text: str, book: RuleBook, where: str, note: str | None, loaded: Loaded
) -> RuleDraft:
    if not re.fullmatch(r"[-a-zA-Z0-9_]{1,80}", slug):
        raise BadInput(f"{slug!r} is no name of a draft; use letters, digits and hyphens, at most 80")
    found = read_draft(text, where, book)
    values: dict[str, Any] = {"slug": slug, "title": found.title, "document": text}
    values["source"] = sources_for_urls(found.sources)[found.sources[0]] if found.sources else None
    if note is not None:
        values["note"] = note
    kept: RuleDraft = _saved(
        RuleDraft, RuleDraft.objects.select_related("source").filter(slug=slug).first(), values, loaded
    )
    return kept


# --- tables of chips ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Law:
    """The rules that a table is held against, with the firms its vendors may be; ``told`` says where both come from."""

    daily: DailyLaw
    vendors: table.Vendors
    told: str


def law(directory: Path | None, seeds: Path) -> Law:
    """The rules of ``directory`` where one is given; else those of the database; else, where that does not answer or holds no
    rules, those of ``seeds/rules``. Vendors come from the same place (``organizations.csv`` beside the rules, or of ``seeds``).

    Raises BadInput for rule files that cannot be used.
    """
    if directory is not None:
        return _law_of_files(directory, seeds, f"rules: the files of {directory}")
    try:
        book = rulebook()
        if book.rules:
            return Law(DailyLaw(book), _vendors(), "rules: the database")
        why = "the database holds none"
    except DatabaseError:
        why = "no database of the ledger answers"
    return _law_of_files(seeds / "rules", seeds, f"rules: the files of {seeds / 'rules'} ({why})")


def _law_of_files(directory: Path, seeds: Path, told: str) -> Law:
    book = rule_files(directory).book
    beside = directory.parent / "organizations.csv"
    path = beside if beside.exists() else seeds / "organizations.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        firms = [
            (Vendor(row["slug"], row["name"], row["country"]), row["aliases"].split("|"))
            for row in csv.DictReader(file)
        ]
    return Law(DailyLaw(book), table.vendor_names(firms), told)


def _vendors() -> table.Vendors:
    """Organizations with their aliases: two queries."""
    others: dict[int, list[str]] = {}
    for organization, name in Alias.objects.order_by("id").values_list("organization_id", "name"):
        others.setdefault(organization, []).append(name)
    rows = Organization.objects.order_by("id").values_list("id", "slug", "name", "country")
    return table.vendor_names(
        (Vendor(slug, name, country), others.get(pk, ())) for pk, slug, name, country in rows
    )


def classify_table(
    source: Path,
    out: Path,
    rules: Law,
    default_day: date,
    *,
    overwrite: bool = False,
    keep_going: bool = False,
    tell: Callable[[str], object],
) -> table.Tally:
    """Classify every row of the CSV file ``source`` into the file ``out``, in their order; what the columns mean: ``table``.

    One row is held at a time, however long the file. ``out`` is put in place at the end, whole, or not at all. ``default_day``
    serves rows without a date; ``overwrite`` lets columns give way that are called as the added ones. ``tell`` is given every
    remark on the header and every row that cannot be read. Such rows refuse the file, unless ``keep_going``: then they get no
    level and the error as their reason.

    Raises BadInput naming file, row, column, value and mend; then nothing is written.
    """
    try:
        with source.open("rb") as file, _replacing(out) as target:
            lines = table.text_lines(iter(partial(file.readline, table.LONGEST_LINE + 1), b""), source.name)
            found = table.records(lines, source.name)
            mark, header = next(found)
            try:
                columns = table.layout(header, overwrite=overwrite)
            except BadInput as error:
                raise BadInput(f"{source.name}: {error}") from None
            for note in columns.notes:
                tell(f"{source.name}: {note}")

            def wrong(number: int, error: table.Unreadable) -> bool:
                for cell in error.wrong:
                    tell(
                        f"{source.name}, row {number}, {cell}"
                        if cell.column
                        else f"{source.name}, row {number}: {cell.mend}"
                    )
                return keep_going

            tally = table.Tally()
            writer = csv.writer(target, delimiter=mark, lineterminator="\n")
            writer.writerow(columns.out_header)
            rows = (row for _, row in found)
            writer.writerows(
                table.classified(rows, columns, rules.daily, rules.vendors, default_day, tally, wrong)
            )
            if tally.unreadable and not keep_going:
                raise BadInput(
                    f"{source.name}: {tally.unreadable} rows cannot be read, nothing written; mend them, or use --keep-going to "
                    "have the others answered"
                )
    except OSError as error:
        raise BadInput(f"{error.filename or source}: {error.strerror or error}") from error
    return tally


@contextmanager
def _replacing(out: Path) -> Iterator[IO[str]]:
    """A file beside ``out`` that takes its place when all went well, and vanishes when not."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, out.stat().st_mode & 0o777 if out.exists() else 0o666 & ~mask)
        os.replace(name, out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
