"""Rule files read into the dataclasses of ``parameters``, each mistake told with file, rule, field, value and
mend.

The same functions read the YAML files of ``seeds/rules`` and the JSON kept in the database, so that what
was loaded is what is applied. Dates in files are inclusive where their name says so
(``effective_to_inclusive``, ``to_inclusive``); they become half-open periods here and nowhere else. The
schema is described in docs/rules.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.rules.caps import caps
from tracker.rules.expressions import BadExpression, Expression
from tracker.rules.parameters import (
    MARKETED,
    NOT_MARKETED,
    PARAMETERS,
    Band,
    ClassTest,
    Condition,
    CountrySet,
    MatrixRow,
    Membership,
    Paragraph,
    Rule,
    RuleBook,
    RuleInterval,
    Savings,
    Status,
)

ENFORCEMENTS = ("in force", "superseded", "not enforced", "reported", "licence specific", "note")
ANSWERS = ("required", "not_required", "undetermined")
NO_CLASS = "none"
_RENAMED_ITEMS = {
    "3A090-2022": "2022"
}  # as rows of the matrix were written before levels were items; their versions are kept
MOVEMENTS = ("inside us", "to us", "in-country", "export", "reexport")
PARTIES = ("any", "hq", "not hq", "listed", "affiliate", "approved", "not approved")
JURISDICTIONS = ("subject", "any")
CONDITIONS = ("notice", "words")
EXPORTER_ROLES = ("front_end_fabricator", "osat")
LEVEL = re.compile(r"[a-z0-9]{1,12}")

RULE_FIELDS = (
    *(
        "id",
        "regime",
        "kind",
        "title",
        "summary",
        "citation",
        "published_on",
        "released_on",
        "effective_from",
    ),
    *(
        "effective_to_inclusive",
        "compliance_from",
        "enforcement",
        "enforcement_note",
        "addressees",
        "criteria",
    ),
    *("destinations", "hq_rule", "quantity_caps", "exceptions", "licence_policy", "intervals", "sources"),
    *("verification", "verified_on", "note", "more", "supersedes", "savings"),
)
ROW_FIELDS = (
    *(
        "order",
        "from",
        "to_inclusive",
        "rule",
        "items",
        "letter",
        "destinations",
        "not_destinations",
        "movements",
    ),
    *(
        "party",
        "lists",
        "footnotes",
        "exporter_roles",
        "presumption",
        "exception",
        "vendor_hq",
        "jurisdiction",
        "when",
        "conditions",
        "result",
        "answer",
        "policy",
        "words",
        "citation",
    ),
    *("verification", "sources"),
)
ROW_DEFAULTS = {"party": "any", "jurisdiction": "subject"}
COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Reader:
    """A mapping from a file with the place it stands at, e.g. ``us_ear.yaml, rule US-NAC``."""

    data: Mapping[str, Any]
    where: str

    def wrong(self, field: str, mend: str) -> BadInput:
        return BadInput(f"{self.where}: field {field!r} is {self.data.get(field)!r}; {mend}")

    def only(self, allowed: Collection[str]) -> None:
        if unknown := sorted(set(self.data) - set(allowed)):
            raise BadInput(
                f"{self.where}: field {unknown[0]!r} is not known here; known fields are {', '.join(sorted(allowed))}"
            )

    def text(self, field: str, *, required: bool = False) -> str:
        value = self.data.get(field)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value.strip()):
            raise self.wrong(field, "write a text, in quotes if it looks like a number or a date")
        return value

    def choice(self, field: str, choices: Collection[str], default: str = "") -> str:
        value = self.data.get(field, default)
        if value not in choices:
            raise self.wrong(field, f"choose one of {', '.join(choices)}")
        return str(value)

    def day(self, field: str) -> date | None:
        value = self.data.get(field)
        if value is None or (isinstance(value, date) and not hasattr(value, "hour")):
            return value
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            raise self.wrong(field, "write a day like 2023-11-17, or null when open or not known") from None

    def period(self, first: str, last: str) -> Period:
        try:
            return Period.inclusive(self.day(first), self.day(last))
        except ValueError as error:
            raise self.wrong(last, str(error)) from None

    def texts(self, field: str, choices: Collection[str] | None = None) -> tuple[str, ...]:
        value = self.data.get(field, ())
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            # YAML 1.1 reads an unquoted NO (Norway) as false
            raise self.wrong(field, "write a list of texts; quote the code 'NO' (Norway)")
        if choices is not None and (unknown := [item for item in value if item not in choices]):
            raise self.wrong(field, f"{unknown[0]!r} is not known; choose from {', '.join(choices)}")
        return tuple(value)

    def parts(self, field: str) -> Iterator[Reader]:
        value = self.data.get(field) or ()
        if not isinstance(value, list | tuple):
            raise self.wrong(field, "write a list")
        for index, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise self.wrong(f"{field}", f"entry {index + 1} must be a mapping of fields")
            yield Reader(item, f"{self.where}, {field}[{index}]")

    def mapping(self, field: str) -> Reader:
        value = self.data.get(field) or {}
        if not isinstance(value, Mapping):
            raise self.wrong(field, "write a mapping of fields")
        return Reader(value, f"{self.where}, {field}")

    def test(self, field: str, *, required: bool = False) -> Expression | None:
        if self.data.get(field) is None and not required:
            return None
        try:
            return Expression.parse(self.text(field, required=required), PARAMETERS)
        except BadExpression as error:
            raise BadExpression(f"{self.where}: field {field!r}: {error}") from None


def canonical(data: Any) -> Any:
    """The same content in one form: days as text, blanks left out. What a file states and what the
    database keeps are equal so."""
    if isinstance(data, Mapping):
        return {key: canonical(data[key]) for key in sorted(data) if data[key] not in (None, "", [], (), {})}
    if isinstance(data, list | tuple):
        return [canonical(item) for item in data]
    return data.isoformat() if isinstance(data, date) else data


def rule(data: Mapping[str, Any], where: str) -> Rule:
    """One rule of a file or of the database; raises BadInput for anything that does not fit the schema."""
    read = Reader(data, where)
    read.only(RULE_FIELDS)
    criteria = read.mapping("criteria")
    criteria.only(
        ("classes", "letter", "presumption", "bands", "in_words", "definitions", "note", "reading", "named")
    )
    if not read.texts("sources"):
        raise read.wrong("sources", "name at least one address or document the rule was read from")
    for field in ("released_on", "compliance_from", "verified_on"):
        read.day(field)
    return Rule(
        id=read.text("id", required=True),
        regime=read.text("regime", required=True),
        kind=read.text("kind", required=True),
        title=read.text("title", required=True),
        citation=read.text("citation", required=True),
        period=read.period("effective_from", "effective_to_inclusive"),
        published_on=read.day("published_on"),
        enforcement=read.choice("enforcement", ENFORCEMENTS),
        enforcement_note=read.text("enforcement_note"),
        addressees=read.texts("addressees"),
        classes=tuple(_class_test(part) for part in criteria.parts("classes")),
        letter=criteria.test("letter"),
        presumption=criteria.test("presumption"),
        bands=tuple(_band(part) for part in criteria.parts("bands")),
        supersedes=read.texts("supersedes"),
        savings=_savings(read),
        intervals=_intervals(read),
        quantity_caps=caps(read, canonical),
        licence_policy=read.text("licence_policy"),
        note=read.text("note"),
        verification=read.text("verification", required=True),
        sources=read.texts("sources"),
        data=canonical(data),
    )


def _band(read: Reader) -> Band:
    read.only(("name", "when", "words"))
    when = read.test("when", required=True)
    assert when is not None
    return Band(read.text("name", required=True), when)


def _savings(read: Reader) -> Savings | None:
    if not read.data.get("savings"):
        return None
    part = read.mapping("savings")
    part.only(("aboard_by", "until_inclusive", "words"))
    by, until = part.day("aboard_by"), part.day("until_inclusive")
    if by is None or until is None or until < by:
        raise part.wrong(
            "until_inclusive",
            f"give two days, the last one not before aboard_by ({by}); goods under way need a window",
        )
    return Savings(by, until, part.text("words"))


def _class_test(read: Reader) -> ClassTest:
    read.only(("level", "eccn", "paragraphs", "scope"))
    paragraphs = []
    for part in read.parts("paragraphs"):
        part.only(("name", "when"))
        when = part.test("when", required=True)
        assert when is not None
        paragraphs.append(Paragraph(part.text("name", required=True), when))
    if not paragraphs:
        raise read.wrong("paragraphs", "give at least one paragraph with a test")
    eccn = read.mapping("eccn")
    level = read.text("level", required=True)
    if not LEVEL.fullmatch(level) or level == NO_CLASS:
        raise read.wrong("level", "write a short name of small letters and digits, such as a, b, c or 2022")
    return ClassTest(
        level=level,
        eccn={key: eccn.text(key, required=True) for key in eccn.data},
        paragraphs=tuple(paragraphs),
        scope=read.test("scope"),
    )


def _intervals(read: Reader) -> tuple[RuleInterval, ...]:
    found = []
    for part in read.parts("intervals"):
        part.only(("from", "to_inclusive", "status", "note", "citation", "verification"))
        found.append(
            RuleInterval(
                period=part.period("from", "to_inclusive"),
                status=Status(part.choice("status", [s.value for s in Status])),
                note=part.text("note"),
                citation=part.text("citation"),
                verification=part.text("verification"),
            )
        )
    for earlier, later in pairwise(found):
        if earlier.period.overlaps(later.period):
            raise read.wrong(
                "intervals", f"{earlier.period} and {later.period} overlap; a day has one status"
            )
    return tuple(found)


def matrix_row(data: Mapping[str, Any], where: str) -> MatrixRow:
    """One row of the licence matrix. ``answer`` and ``result`` are the row's own; nothing is derived from
    words."""
    read = Reader(data, where)
    read.only(ROW_FIELDS)
    order = data.get("order")
    if not isinstance(order, int):
        raise read.wrong("order", "write a whole number; rows are read from the smallest")
    return MatrixRow(
        order=order,
        period=read.period("from", "to_inclusive"),
        rule=read.text("rule"),
        result=read.text("result", required=True),
        answer=read.choice("answer", ANSWERS),
        words=read.text("words", required=True),
        items=tuple(_RENAMED_ITEMS.get(item, item) for item in read.texts("items")),
        lists=read.texts("lists"),
        footnotes=read.texts("footnotes"),
        exporter_roles=read.texts("exporter_roles", EXPORTER_ROLES),
        presumption=read.text("presumption"),
        exception=read.text("exception"),
        letter=read.text("letter"),
        destinations=read.texts("destinations"),
        not_destinations=read.texts("not_destinations"),
        movements=read.texts("movements", MOVEMENTS),
        party=read.choice("party", PARTIES, "any"),
        vendor_hq=read.text("vendor_hq"),
        jurisdiction=read.choice("jurisdiction", JURISDICTIONS, "subject"),
        when=read.test("when"),
        conditions=tuple(_condition(part) for part in read.parts("conditions")),
        policy=read.text("policy"),
        citation=read.text("citation"),
        verification=read.text("verification", required=True),
        data=canonical({k: v for k, v in data.items() if ROW_DEFAULTS.get(k) != v}),
    )


def _condition(read: Reader) -> Condition:
    read.only(("kind", "words", "days"))
    kind = read.choice("kind", CONDITIONS)
    days = read.data.get("days", 0)
    if not isinstance(days, int) or (kind == "notice" and days <= 0):
        raise read.wrong("days", "write the number of days before export by which the notice must be made")
    return Condition(kind, read.text("words", required=True), days)


def country(read: Reader, field: str = "country") -> str:
    value = read.data.get(field)
    if not isinstance(value, str) or not COUNTRY.fullmatch(value):
        raise read.wrong(field, "write a two-letter ISO 3166 code in capitals; quote the code 'NO' (Norway)")
    return value


def membership(data: Mapping[str, Any], group: str, where: str) -> Membership:
    """One member of a group or of a country set, or an alias (``group`` is then the destination it counts
    as)."""
    read = Reader(data, where)
    read.only(
        ("country", "from", "to_inclusive", "contested", "verification", "note", "source", "treated_as")
    )
    contested = data.get("contested", False)
    if not isinstance(contested, bool):
        raise read.wrong("contested", "write true where sources disagree, else leave it out")
    return Membership(
        group,
        country(read),
        read.period("from", "to_inclusive"),
        contested,
        read.text("verification"),
        read.text("note"),
    )


def country_set(name: str, data: Mapping[str, Any], where: str) -> CountrySet:
    """A named set put together from groups; its own members are read as memberships."""
    read = Reader(data, where)
    return CountrySet(name, read.texts("union"), read.texts("minus"))


@dataclass(frozen=True, slots=True)
class Group:
    """One country group or set as its file states it; ``data`` without the members."""

    name: str
    label: str
    is_set: bool
    sources: tuple[str, ...]
    note: str
    definition: CountrySet
    members: tuple[tuple[Membership, str], ...]  # with the address each was read from


def country_groups(data: Mapping[str, Any], where: str) -> tuple[list[Group], list[tuple[Membership, str]]]:
    """Groups with their members, and the aliases (``group`` of an alias is the destination it counts as)."""
    read = Reader(data, where)
    read.only(("schema", "verified_on", "aliases", "remarks", "groups", "sets"))
    groups = [
        _group(read.mapping(kind).mapping(name), name, kind == "sets")
        for kind in ("groups", "sets")
        for name in data.get(kind, {})
    ]
    known = {group.name for group in groups}
    for group in groups:
        for part in (*group.definition.union, *group.definition.minus):
            if part not in known:
                raise BadInput(f"{where}, set {group.name}: {part!r} is not a group of this file")
    aliases = []
    for alias in read.parts("aliases"):
        treated_as = country(alias, "treated_as")
        aliases.append((membership(alias.data, treated_as, alias.where), alias.text("source", required=True)))
    return groups, aliases


def _group(read: Reader, name: str, is_set: bool) -> Group:
    read.only(("label", "sources", "citations", "note", "members", "union", "minus"))
    sources = read.texts("sources")
    if not sources:
        raise read.wrong("sources", "name at least one address the members were read from")
    members = tuple(
        (membership(p.data, name, p.where), p.text("source") or sources[0]) for p in read.parts("members")
    )
    for earlier, later in pairwise(
        sorted((m for m, _ in members), key=lambda m: (m.country, m.period.start or date.min))
    ):
        if earlier.country == later.country and earlier.period.overlaps(later.period):
            raise read.wrong("members", f"{later.country} is a member twice at the same time")
    definition = country_set(
        name, {k: read.data[k] for k in ("union", "minus") if k in read.data}, read.where
    )
    return Group(
        name, read.text("label", required=True), is_set, sources, read.text("note"), definition, members
    )


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """Everything the rule files state, read and checked as a whole."""

    rules: tuple[Rule, ...]
    matrix: tuple[MatrixRow, ...]
    groups: tuple[Group, ...]
    aliases: tuple[tuple[Membership, str], ...]

    @property
    def book(self) -> RuleBook:
        return RuleBook(
            rules=self.rules,
            matrix=self.matrix,
            memberships=tuple(member for group in self.groups for member, _ in group.members),
            sets=tuple(group.definition for group in self.groups if group.is_set),
            aliases=tuple(alias for alias, _ in self.aliases),
            group_names=frozenset(group.name for group in self.groups),
        )


def rule_files(
    documents: Mapping[str, Any], groups: Any, groups_name: str = "country_groups.yaml"
) -> RuleFiles:
    """Read all files together. ``documents``: parsed content by file name; raises BadInput at the first
    mistake.

    Besides each field it checks what only the whole can show: versions of one rule that overlap, two rows
    with one order, and rows that name a rule, letter or country set that does not exist.
    """
    rules: list[Rule] = []
    rows: list[MatrixRow] = []
    for name, document in sorted(documents.items()):
        read = Reader(_mapping(document, name), name)
        read.only(("schema", "regime", "rules", "matrix"))
        for part in read.parts("rules"):
            where = f"{name}, rule {part.data.get('id', '(without id)')}"
            rules.append(rule({"regime": document.get("regime"), **part.data}, where))
        for part in read.parts("matrix"):
            rows.append(matrix_row(part.data, f"{name}, row {part.data.get('order', '(without order)')}"))
    found, aliases = country_groups(_mapping(groups, groups_name), groups_name)
    names = {group.name for group in found}
    for mistake in (*rule_mistakes(rules), *row_mistakes(rows, rules, names)):
        raise mistake
    return RuleFiles(tuple(rules), tuple(rows), tuple(found), tuple(aliases))


def _mapping(document: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping) or document.get("schema") != 1:
        raise BadInput(f"{name}: not a rule file; it must begin with 'schema: 1'")
    return document


def rule_mistakes(rules: Collection[Rule]) -> Iterator[BadInput]:
    """What only all rules together show: versions of one rule that overlap, and a rule that supersedes one which is unknown or
    goes on."""
    for earlier, later in pairwise(sorted(rules, key=lambda r: (r.id, r.period.start or date.min))):
        if earlier.id == later.id and earlier.period.overlaps(later.period):
            yield BadInput(
                f"rule {later.id}: its versions {earlier.period} and {later.period} overlap; "
                "end the first the day before the second begins"
            )
    known = {rule.id: rule for rule in rules}
    for rule in rules:
        for name in rule.supersedes:
            older = known.get(name)
            if older is None or older is rule:
                yield BadInput(
                    f"rule {rule.id}: field 'supersedes' names {name!r}; no other rule has this id"
                )
                continue
            if rule.period.start and (older.period.end is None or older.period.end > rule.period.start):
                yield BadInput(
                    f"rule {rule.id}: it supersedes {name} from {rule.period.start} on, but {name} runs to "
                    f"{older.period.last or 'no end'}; end {name} the day before, or leave it out of 'supersedes'"
                )


def row_mistakes(
    rows: Iterable[MatrixRow], rules: Collection[Rule], groups: Collection[str]
) -> Iterator[BadInput]:
    """What only the whole law shows of rows of the licence matrix: two with one order, and rows that name a rule, letter, level
    or country set that does not exist."""
    ids = {rule.id for rule in rules}
    letters = {rule.id for rule in rules if rule.letter is not None}
    presumptions = {rule.id for rule in rules if rule.presumption is not None}
    levels = {test.level for rule in rules for test in rule.classes}
    items = {NO_CLASS, *levels, *(level + end for level in levels for end in (MARKETED, NOT_MARKETED))}
    orders: set[int] = set()
    for row in rows:
        where = f"licence matrix, row {row.order}"
        if row.order in orders:
            yield BadInput(f"{where}: two rows have this order; give each its own")
        orders.add(row.order)
        if row.rule and row.rule not in ids:
            yield BadInput(f"{where}: field 'rule' is {row.rule!r}; no rule has this id")
        if row.letter and row.letter not in letters:
            yield BadInput(
                f"{where}: field 'letter' is {row.letter!r}; no rule with a letter test has this id"
            )
        for name, value, choices in (
            ("presumption", row.presumption, presumptions),
            ("exception", row.exception, ids),
            *(("items", item, items) for item in row.items),
        ):
            if value and value not in choices:
                yield BadInput(
                    f"{where}: field {name!r} is {value!r}; choose from {', '.join(sorted(choices)) or 'nothing yet'}"
                )
        if (row.lists or row.footnotes) and row.party != "listed":
            yield BadInput(
                f"{where}: field 'lists' or 'footnotes' is given, but party is {row.party!r}; "
                "only rows with party 'listed' speak of lists"
            )
        if not row.rule and not row.data.get("sources"):
            yield BadInput(
                f"{where}: field 'sources' is missing; a row without a rule needs a source of its own"
            )
        for place in (*row.destinations, *row.not_destinations, row.vendor_hq):
            if place and place not in groups and not COUNTRY.fullmatch(place):
                yield BadInput(f"{where}: {place!r} is neither a country code nor a country group or set")


def set_mistakes(sets: Iterable[CountrySet], groups: Collection[str]) -> Iterator[BadInput]:
    """Country sets that are put together from a group that does not exist, or in a circle from themselves."""
    parts = {one.name: (*one.union, *one.minus) for one in sets}
    for name, direct in parts.items():
        for part in direct:
            if part not in groups:
                yield BadInput(f"set {name}: {part!r} is not a group or set; add it first or leave it out")
        reached, ahead = set(), list(direct)
        while ahead:
            part = ahead.pop()
            if part not in reached:
                reached.add(part)
                ahead += parts.get(part, ())
        if name in reached:
            yield BadInput(f"set {name}: it is put together from itself; take it out of 'union' or 'minus'")


def interval(data: Mapping[str, Any], where: str) -> RuleInterval:
    """One stretch of days of a rule; raises BadInput for anything that does not fit the schema."""
    (found,) = _intervals(Reader({"intervals": [data]}, where))
    return found
