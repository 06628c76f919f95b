"""The law as dated data: rules, rows of the licence matrix, country groups, and the set of them in force on a
day.

A :class:`RuleBook` holds everything, for all dates; :meth:`RuleBook.on` cuts out the :class:`RuleSet` of
one day, which is all that classification and licensing read. All periods here are half-open; the inclusive
days of legal papers are converted where rule files are read (``schema``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Any

from tracker.core.period import Period
from tracker.rules.caps import Cap
from tracker.rules.expressions import Expression

PARAMETERS: dict[str, tuple[str, str]] = {
    "tpp": ("TOPS x bits", "total processing performance of the packaged IC, dense"),
    "perf_bits_tops": (
        "TOPS x bits",
        "bit length times TOPS over all processing units, as the 2022 text counts it",
    ),
    "performance_density": ("TPP/mm2", "TPP over the applicable die area"),
    "datacenter_marketed": ("", "designed or marketed for data centers"),
    "total_dram_bandwidth_gbs": ("GB/s", "between the IC and all its DRAM"),
    "io_bandwidth_gbs": ("GB/s", "aggregate bidirectional input and output, memory excluded"),
    "memory_bandwidth_density": ("GB/s/mm2", "bandwidth of a memory stack over its area"),
    "is_hbm": ("", "is a stack of high-bandwidth memory"),
    "copackaged_with_dominant_logic": (
        "",
        "memory in one package with a logic IC whose processing dominates",
    ),
    "die_area_mm2": ("mm2", "applicable die area: logic dies on non-planar processes, memory excluded"),
    "package_area_mm2": ("mm2", "area of a memory package, or of the stack where it is not packaged"),
    "process_node_nm": ("nm", "process node of the logic dies, as its maker calls it"),
    "transistors_bn": ("billion", "transistors of the whole package"),
    "tdp_w": ("W", "thermal design power"),
    "vendor": ("", "slug of the vendor"),
    "vendor_hq": ("", "country of the vendor's headquarters"),
    "chip": ("", "slug of the chip"),
}
"""Names that tests in rule files may use: unit and meaning. ``classify.parameters`` computes them from a
chip's specification."""


MARKETED, NOT_MARKETED = "-datacenter", "-other"
"""Endings of item codes, where rows tell chips that are designed or marketed for data centers from others (Note 2 to 3A090)."""


class Status(StrEnum):
    """What a rule does on a day."""

    ACTIVE = "active"
    STAYED = "stayed"
    NOT_ENFORCED = "not enforced"
    UNCONFIRMED = "unconfirmed"
    ANNOUNCED = "announced"
    NOT_IN_FORCE = "not in force"


@dataclass(frozen=True, slots=True)
class RuleInterval:
    """A stretch in which a rule is active, stayed or of unconfirmed status."""

    period: Period
    status: Status
    note: str = ""
    citation: str = ""
    verification: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One lettered test of a classification entry, e.g. 3A090.a.2."""

    name: str
    when: Expression


@dataclass(frozen=True, slots=True)
class ClassTest:
    """A level of control: any of its paragraphs, and its ``scope`` (Note 2 of ECCN 3A090) where it has one.

    ``eccn``: by carrier, keys ``ic`` and ``carrier`` (card, board, system).
    """

    level: str
    eccn: Mapping[str, str]
    paragraphs: tuple[Paragraph, ...]
    scope: Expression | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of chip parameters in which a rule reviews applications in its own way, or sets a duty."""

    name: str
    when: Expression


@dataclass(frozen=True, slots=True)
class Savings:
    """Goods already under way when a rule began: on dock or aboard by ``aboard_by``, they may finish their journey
    until ``until`` (the last day) as if it had not begun."""

    aboard_by: date
    until: date
    words: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One export rule with its dates, tests and citation. ``data`` is the rule exactly as its file states
    it."""

    id: str
    regime: str
    kind: str
    title: str
    citation: str
    period: Period
    published_on: date | None = None
    enforcement: str = "in force"
    enforcement_note: str = ""
    addressees: tuple[str, ...] = ()
    classes: tuple[ClassTest, ...] = ()
    letter: Expression | None = None
    presumption: Expression | None = None
    bands: tuple[Band, ...] = ()
    supersedes: tuple[str, ...] = ()
    savings: Savings | None = None
    intervals: tuple[RuleInterval, ...] = ()
    quantity_caps: tuple[Cap, ...] = ()
    licence_policy: str = ""
    note: str = ""
    verification: str = ""
    sources: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def interval_on(self, day: date) -> RuleInterval | None:
        return next((interval for interval in self.intervals if interval.period.holds(day)), None)

    def status_on(self, day: date) -> Status:
        """What the rule does on ``day``: its dates first, then its intervals, then whether it is enforced
        at all."""
        if not self.period.holds(day):
            return Status.NOT_IN_FORCE
        if interval := self.interval_on(day):
            return interval.status
        return Status.NOT_ENFORCED if self.enforcement == "not enforced" else Status.ACTIVE

    def saves_on(self, day: date) -> bool:
        """Whether its savings clause still lets goods under way finish their journey on ``day``."""
        return self.savings is not None and day <= self.savings.until


@dataclass(frozen=True, slots=True)
class Condition:
    """What a notice or certificate must satisfy before a row's answer holds.

    ``kind`` ``notice``: a notification made at least ``days`` before export and cleared. ``words``:
    something this ledger does not record; the answer stays undetermined and names it.
    """

    kind: str
    words: str
    days: int = 0


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One row of the licence matrix: for these items, places and parties, this result. First matching row
    wins.

    ``items``: levels (``b``, ``c``, ``2022``, ``none``), also with an ending that tells whether the chip is marketed for
    data centers (``a-datacenter``, ``a-other``); empty means any. ``letter``: id of the letter whose addressees' chips the
    row is about; ``presumption``: id of the rule whose presumption about chips it is about. ``exporter_roles``: only where the
    exporter has one of these roles. ``lists``, ``footnotes``: of a row with ``party: listed``, which lists and
    footnotes it speaks of. ``exception``: id of the licence exception that the row opens.
    ``destinations`` and ``not_destinations``: country codes or names of country sets; empty means any.
    ``movements``: ``inside us``, ``to us``, ``in-country``, ``export`` (from the US), ``reexport``; empty
    means any. ``party``: see ``licensing``. ``rule`` decides by its status whether the row lives.
    """

    order: int
    period: Period
    rule: str
    result: str
    answer: str
    words: str
    items: tuple[str, ...] = ()
    letter: str = ""
    destinations: tuple[str, ...] = ()
    not_destinations: tuple[str, ...] = ()
    movements: tuple[str, ...] = ()
    party: str = "any"
    lists: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    exporter_roles: tuple[str, ...] = ()
    presumption: str = ""
    exception: str = ""
    vendor_hq: str = ""
    jurisdiction: str = "subject"
    when: Expression | None = None
    conditions: tuple[Condition, ...] = ()
    policy: str = ""
    citation: str = ""
    verification: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Membership:
    """One country in one group for a while. ``contested``: sources disagree, so the answer there is
    unknown."""

    group: str
    country: str
    period: Period
    contested: bool = False
    verification: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CountrySet:
    """A named set: the union of groups, minus others, plus countries named one by one (memberships of the
    set itself)."""

    name: str
    union: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CountryGroups:
    """Who is in which country group on one day.

    ``aliases``: destinations the rules treat as another one (Hong Kong as China). Membership answers are
    True, False or None: None where sources disagree, and for a country that is not known.
    """

    on: date
    groups: Mapping[str, Mapping[str, bool]]  # name -> country -> contested
    sets: Mapping[str, CountrySet]
    aliases: Mapping[str, str]
    _told: dict[tuple[str, str], bool | None] = field(default_factory=dict, repr=False, compare=False)

    def knows(self, name: str) -> bool:
        """Whether there is a group or set of this name on any day."""
        return name in self.groups or name in self.sets

    def effective(self, country: str) -> str:
        """The destination as the rules count it, e.g. CN for HK."""
        return self.aliases.get(country, country)

    def holds(self, country: str, name: str) -> bool | None:
        """Whether ``country`` is in group or set ``name``, or is the country ``name`` itself."""
        key = country, name
        if key not in self._told:
            self._told[key] = self._holds(country, name)
        return self._told[key]

    def _holds(self, country: str, name: str) -> bool | None:
        if not country:
            return None
        country = self.effective(country)
        if len(name) == 2 and name.isalpha():
            return country == self.effective(name)
        if self._listed(country, name):
            return True
        contested = self._listed(country, name) is None
        composed = self.sets.get(name)
        if composed is None:
            if name not in self.groups:
                raise KeyError(f"no country group is called {name!r}")
            return None if contested else False
        inside = _any(self.holds(country, part) for part in composed.union)
        outside = _any(self.holds(country, part) for part in composed.minus)
        answer = _both(inside, None if outside is None else not outside)
        return _any([answer, None if contested else False])

    def holds_any(self, country: str, names: Iterable[str]) -> bool | None:
        return _any(self.holds(country, name) for name in names)

    def _listed(self, country: str, name: str) -> bool | None:
        contested = self.groups.get(name, {}).get(country)
        if contested is None:
            return False
        return None if contested else True


def _any(answers: Iterable[bool | None]) -> bool | None:
    seen = list(answers)
    return True if True in seen else None if None in seen else False


def _both(first: bool | None, second: bool | None) -> bool | None:
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


@dataclass(frozen=True)
class RuleSet:
    """Everything in force on one day."""

    on: date
    rules: tuple[Rule, ...]
    matrix: tuple[MatrixRow, ...]
    groups: CountryGroups

    @cached_property
    def digest(self) -> str:
        """Names the contents: equal digests, equal law."""
        return _digest(self.rules, self.matrix, self.groups, self.on)

    @cached_property
    def _by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def _statuses(self) -> dict[str, Status]:
        return {rule.id: rule.status_on(self.on) for rule in self.rules}

    def rule(self, rule_id: str) -> Rule | None:
        return self._by_id.get(rule_id)

    def status(self, rule_id: str) -> Status:
        """Status on this day; a rule that is not in force (or unknown) says so."""
        return self._statuses.get(rule_id, Status.NOT_IN_FORCE)


@dataclass(frozen=True)
class RuleBook:
    """All rules, rows and groups for all dates."""

    rules: tuple[Rule, ...]
    matrix: tuple[MatrixRow, ...]
    memberships: tuple[Membership, ...]
    sets: tuple[CountrySet, ...]
    aliases: tuple[Membership, ...]  # group = the destination it is treated as
    group_names: frozenset[str] = frozenset()

    def on(self, day: date) -> RuleSet:
        """The rule set of one day: rules and rows whose period holds it, in a fixed order."""
        rules = tuple(
            sorted(
                (r for r in self.rules if r.period.holds(day)),
                key=lambda r: (r.period.start or date.min, r.id),
            )
        )
        matrix = tuple(sorted((r for r in self.matrix if r.period.holds(day)), key=lambda r: r.order))
        return RuleSet(day, rules, matrix, self.groups_on(day))

    @cached_property
    def digest(self) -> str:
        """Names the whole book: equal digests, equal law on every day."""
        days = (date.min, *self.change_days())
        return hashlib.sha256("".join(self.on(day).digest for day in days).encode()).hexdigest()

    def groups_on(self, day: date) -> CountryGroups:
        names = self.group_names | {m.group for m in self.memberships} | {s.name for s in self.sets}
        groups: dict[str, dict[str, bool]] = {name: {} for name in sorted(names)}
        for member in self.memberships:
            if member.period.holds(day):
                groups[member.group][member.country] = member.contested
        aliases = {alias.country: alias.group for alias in self.aliases if alias.period.holds(day)}
        return CountryGroups(day, groups, {s.name: s for s in self.sets}, aliases)

    def change_days(self) -> tuple[date, ...]:
        """Every day on which something begins or ceases to hold, sorted; between two of them the law does
        not change."""
        periods = [rule.period for rule in self.rules]
        periods += [interval.period for rule in self.rules for interval in rule.intervals]
        periods += [row.period for row in self.matrix]
        periods += [member.period for member in (*self.memberships, *self.aliases)]
        periods += [
            Period.inclusive(rule.savings.aboard_by, rule.savings.until)
            for rule in self.rules
            if rule.savings
        ]
        return tuple(sorted({day for period in periods for day in (period.start, period.end) if day}))


def _digest(rules: tuple[Rule, ...], matrix: tuple[MatrixRow, ...], groups: CountryGroups, day: date) -> str:
    """SHA-256 over the contents. The day itself stays outside, but each rule's status on it counts, and its savings clause."""
    content = {
        "rules": [[rule.data or rule.id, rule.status_on(day), rule.saves_on(day)] for rule in rules],
        "matrix": [row.data or row.order for row in matrix],
        "groups": {name: dict(sorted(members.items())) for name, members in sorted(groups.groups.items())},
        "sets": {name: [s.union, s.minus] for name, s in sorted(groups.sets.items())},
        "aliases": dict(sorted(groups.aliases.items())),
    }
    text = json.dumps(content, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
