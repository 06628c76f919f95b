"""Quantity limits as dated data: the entries of a rule's ``quantity_caps``, read into :class:`Cap`.

What a cap counts, for whom, over which days and up to where is stated in fields of a fixed vocabulary; the
words of the legal text stay beside them in ``in_words``. A limit that this ledger cannot check says so:
``evaluated: false`` with ``why``. The schema is described in docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from typing import Any, Protocol, Self

from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.rules.expressions import Expression

KINDS = (
    "quantity", "ratio", "value", "allocation", "installed", "share", "notice", "certificate", "expiry",
    "transistor_count",
)  # fmt: skip
METRICS = ("tpp", "units", "h100e", "gb300e", "a100e", "usd", "days", "share", "transistors")
PER = (
    "ultimate consignee", "ultimate parent", "country", "licence", "commodity", "party", "shipment",
    "company and country", "item",
)  # fmt: skip
WINDOWS = (
    "calendar year", "period", "cumulative", "quarter end", "licence life", "licence application date",
    "shipment",
)  # fmt: skip
SUMMED = ("quantity", "value", "allocation", "installed")
"""Kinds that are a sum held against a limit."""
COUNTED = ("tpp", "units", "h100e", "usd")
"""Metrics that this ledger can add up over movements."""
ADDED_PER = ("ultimate consignee", "ultimate parent", "country", "company and country")
ADDED_OVER = ("calendar year", "period", "cumulative", "quarter end")

FIELDS = (
    "id", "kind", "metric", "limit", "schedule", "limit_ratio", "of", "per", "window", "from", "to_inclusive",
    "scope", "report_only", "evaluated", "why", "in_words", "citation", "note", "verification",
)  # fmt: skip
SCOPE_FIELDS = (
    "destinations", "not_destinations", "origins", "not_hq", "items", "chips", "who", "when", "in_country",
)  # fmt: skip
WORD_FIELDS = ("metric", "limit", "of", "per", "window", "formula")
OLD_FIELDS = frozenset(
    {"id", "metric", "limit", "limit_ratio", "limits", "limit_by_quarter", "of", "per", "window", "formula",
     "citation", "note"}
)  # fmt: skip


class Reader(Protocol):
    """What is needed of ``schema.Reader``: a mapping with the place it stands at."""

    @property
    def data(self) -> Mapping[str, Any]: ...
    @property
    def where(self) -> str: ...
    def wrong(self, field: str, mend: str) -> BadInput: ...
    def only(self, allowed: Collection[str]) -> None: ...
    def text(self, field: str, *, required: bool = False) -> str: ...
    def choice(self, field: str, choices: Collection[str], default: str = "") -> str: ...
    def period(self, first: str, last: str) -> Period: ...
    def texts(self, field: str, choices: Collection[str] | None = None) -> tuple[str, ...]: ...
    def parts(self, field: str) -> Iterator[Self]: ...
    def mapping(self, field: str) -> Self: ...
    def test(self, field: str, *, required: bool = False) -> Expression | None: ...


@dataclass(frozen=True, slots=True)
class CapScope:
    """Which movements a cap counts. Empty fields: any.

    ``destinations``, ``not_destinations``, ``origins`` and ``not_hq`` (headquarters of the consignee and of
    its known ultimate parents): country codes, groups or sets. ``items``: codes of ``classify``. ``chips``:
    slugs. ``who``: slugs of the parties or firms it binds. ``when``: test over chip parameters.
    ``in_country``: whether a movement that stays in one country counts.
    """

    destinations: tuple[str, ...] = ()
    not_destinations: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    not_hq: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    who: tuple[str, ...] = ()
    when: Expression | None = None
    in_country: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The limit of some days of a schedule."""

    period: Period
    limit: float


@dataclass(frozen=True, slots=True)
class Cap:
    """One limit of a rule.

    ``limit`` in the units of ``metric`` (a ``share`` as a fraction), or dated ``schedule``; a ratio has
    ``limit_ratio`` and ``of``, what its denominator counts. ``per``: whose sum it is. ``window`` with ``days``
    (for ``period`` and ``cumulative``): over which days. ``report_only``: passing it calls for a report, no
    more. ``evaluated`` False: not checked here, ``why`` says the reason. ``data``: the entry as its file states
    it.
    """

    kind: str
    id: str = ""
    metric: str = ""
    limit: float | None = None
    schedule: tuple[Step, ...] = ()
    limit_ratio: float | None = None
    of: CapScope | None = None
    per: str = ""
    window: str = ""
    days: Period = field(default_factory=lambda: Period(None, None))
    scope: CapScope = field(default_factory=CapScope)
    report_only: bool = False
    evaluated: bool = True
    why: str = ""
    in_words: Mapping[str, str] = field(default_factory=dict)
    citation: str = ""
    note: str = ""
    verification: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_unconfirmed(self) -> bool:
        return self.verification.upper().startswith("UNCONFIRMED")

    def limit_on(self, day: date) -> float | None:
        """The limit that holds on a day; None where the schedule says nothing of it."""
        if self.schedule:
            return next((step.limit for step in self.schedule if step.period.holds(day)), None)
        return self.limit

    def period_of(self, day: date, since: date | None) -> Period | None:
        """The days over which a movement of ``day`` is added up; None where the cap does not count it.

        ``since``: first day of the rule, where a cumulative cap without a day of its own begins.
        """
        if self.window == "calendar year":
            found = Period(date(day.year, 1, 1), date(day.year + 1, 1, 1))
        elif self.window == "period":
            found = self.days
        elif self.window in ("cumulative", "quarter end"):
            found = Period(self.days.start or since, self.days.end)
        else:
            return None
        return found if found.holds(day) else None


def caps(read: Reader, keep: Callable[[Any], Any]) -> tuple[Cap, ...]:
    """The caps of a rule, in the order of its file. ``keep``: the form in which an entry is kept as data.

    Raises BadInput with file, rule, field, value and mend for what does not fit the schema.
    """
    found = tuple(_cap(part, keep) for part in read.parts("quantity_caps"))
    names = [cap.id for cap in found if cap.id]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise read.wrong("quantity_caps", f"two caps have the id {twice[0]!r}; give each its own")
    return found


def _cap(read: Reader, keep: Callable[[Any], Any]) -> Cap:
    if "kind" not in read.data and set(read.data) <= OLD_FIELDS and read.data.get("metric") not in METRICS:
        return _words_only(read, keep)
    read.only(FIELDS)
    kind = read.choice("kind", KINDS)
    ratio = _number(read, "limit_ratio")
    evaluated = _flag(read, "evaluated", True)
    window = read.choice("window", WINDOWS)
    words = read.mapping("in_words")
    words.only(WORD_FIELDS)
    of = read.mapping("of")
    made = Cap(
        kind=kind,
        id=read.text("id", required=True),
        metric=read.choice("metric", METRICS),
        limit=None if kind == "expiry" else _number(read, "limit"),
        schedule=tuple(_step(part) for part in read.parts("schedule")),
        limit_ratio=ratio,
        of=_scope(of) if of.data else None,
        per=read.choice("per", PER),
        window=window,
        days=read.period("from", "to_inclusive"),
        scope=_scope(read.mapping("scope")),
        report_only=_flag(read, "report_only", False),
        evaluated=evaluated,
        why=read.text("why", required=not evaluated),
        in_words={name: words.text(name, required=True) for name in words.data},
        citation=read.text("citation"),
        note=read.text("note"),
        verification=read.text("verification"),
        data=keep(read.data),
    )
    _whole(read, made)
    if evaluated:
        _can_be_evaluated(read, made)
    return made


def _words_only(read: Reader, keep: Callable[[Any], Any]) -> Cap:
    """An entry of earlier rule records, whose fields are free words: kept and shown, never evaluated."""
    metric = read.data.get("metric")
    return Cap(
        kind="words",
        id=str(read.data.get("id") or metric or ""),
        evaluated=False,
        why="written in words only",
        in_words={name: str(read.data[name]) for name in WORD_FIELDS if name in read.data},
        note=str(read.data.get("note") or ""),
        citation=str(read.data.get("citation") or ""),
        data=keep(read.data),
    )


def _whole(read: Reader, cap: Cap) -> None:
    """What must fit together whether or not the cap is evaluated."""
    if cap.schedule and cap.limit is not None:
        raise read.wrong("schedule", "give either a limit or a schedule of limits")
    for earlier, later in zip(cap.schedule, cap.schedule[1:], strict=False):
        if earlier.period.overlaps(later.period):
            raise read.wrong("schedule", f"{earlier.period} and {later.period} overlap; a day has one limit")
    if cap.window == "period" and (cap.days.start is None or cap.days.end is None):
        raise read.wrong("window", "a period needs both 'from' and 'to_inclusive'")
    if cap.window not in ("period", "cumulative", "quarter end") and cap.days != Period(None, None):
        raise read.wrong("from", f"days belong to the windows period and cumulative, not to {cap.window!r}")
    if cap.kind == "ratio" and (cap.limit_ratio is None or cap.of is None):
        raise read.wrong("limit_ratio", "a ratio needs 'limit_ratio' and 'of', what its denominator counts")
    if cap.kind != "ratio" and cap.of is not None:
        raise read.wrong("of", "only a ratio has a denominator")


def _can_be_evaluated(read: Reader, cap: Cap) -> None:
    mend = "or write 'evaluated: false' with 'why'"
    if cap.kind == "ratio" and (cap.metric not in COUNTED or cap.per != "commodity"):
        raise read.wrong("per", f"a ratio is evaluated per commodity in {', '.join(COUNTED)}; {mend}")
    if cap.scope.not_hq and cap.per not in ("ultimate consignee", "ultimate parent"):
        raise read.wrong("scope", f"headquarters are known per consignee only; leave out 'not_hq', {mend}")
    if cap.kind == "ratio":
        return
    if cap.kind not in SUMMED:
        raise read.wrong("kind", f"kinds that are evaluated are ratio, {', '.join(SUMMED)}; {mend}")
    if cap.limit is None and not cap.schedule:
        raise read.wrong("limit", f"write the number, or a schedule of numbers, {mend}")
    for name, allowed in (("metric", COUNTED), ("per", ADDED_PER), ("window", ADDED_OVER)):
        if read.data.get(name) not in allowed:
            raise read.wrong(name, f"{name} that can be evaluated: {', '.join(allowed)}; {mend}")
    if cap.per == "company and country" and not cap.scope.who:
        raise read.wrong("scope", f"name the companies under 'who', {mend}")


def _step(read: Reader) -> Step:
    read.only(("from", "to_inclusive", "limit"))
    limit = _number(read, "limit")
    if limit is None:
        raise read.wrong("limit", "write the number that holds on these days")
    return Step(read.period("from", "to_inclusive"), limit)


def _scope(read: Reader) -> CapScope:
    read.only(SCOPE_FIELDS)
    texts = {
        name: read.texts(name)
        for name in ("destinations", "not_destinations", "origins", "not_hq", "items", "chips", "who")
    }
    return CapScope(**texts, when=read.test("when"), in_country=_flag(read, "in_country", False))


def _number(read: Reader, name: str) -> float | None:
    value = read.data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise read.wrong(name, "write a number that is not negative, without quotes or separators")
    return float(value)


def _flag(read: Reader, name: str, default: bool) -> bool:
    value = read.data.get(name, default)
    if not isinstance(value, bool):
        raise read.wrong(name, "write true or false")
    return value
