"""What a report shows, as plain rows: the words for figures, the order of the lines, the totals, and the CSV
file.

Nothing here judges anything: severity, strength and text of a discrepancy come from the run. This module
orders, counts and words them, the same way for every reader:

>>> figure_words(low=115000, best=None, high=None, bound="floor", unit="chips")
'at least 115,000 chips'
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tracker.core.addresses import instant
from tracker.reconciliation.priorities import Priority

SEVERITIES = ("critical", "high", "medium", "low", "info")
"""From the gravest down; ``info`` lines are shown but are no discrepancies."""

CSV_COLUMNS = (
    "run",
    "as_known_at",
    "is_discrepancy",
    "key",
    "check",
    "area",
    "area_name",
    "scope",
    "scope_name",
    "period",
    "counterpart",
    "verdict",
    "headline",
    "severity",
    "strength",
    "weakest_grade",
    "expected",
    "reported",
    "gap",
    "unit",
    "sigma",
    "statistic",
    "p",
    "q",
    "threshold",
    "family",
    "gap_h100e",
    "sq",
    "smallest_gap_testable",
    "formula",
    "first_seen_in_run",
    "evidence_rows",
    "unverified_evidence_rows",
    "synthetic",
    "source_urls",
)
"""Columns of the CSV file, in order. ``sq``: gap in significant quantities; docs/report.md says what each one
means."""

URLS_PER_CSV_ROW = 20


def unverified(mark: str) -> bool:
    """Whether a verification mark (a word, or words for a rule) says that nobody has checked all of it
    against a page.

    >>> [unverified(mark) for mark in ("read", "memory", "partly_from_memory", "UNCONFIRMED after 2026",
    "verified")] [False, True, True, True, False]
    """
    words = mark.lower()
    return "memory" in words or "unconfirmed" in words


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source as a report cites it. ``verification``: ``read``, ``memory`` (not checked against a page),
    ``synthetic``."""

    slug: str
    title: str
    publisher: str
    url: str
    published_on: date | None
    published_on_basis: str
    retrieved_on: date | None
    kind: str
    grade: str
    verification: str
    licence_note: str
    page: str

    @property
    def link(self) -> str:
        """The address, if it is one that a browser may safely follow (http or https); else empty."""
        return self.url if self.url.lower().startswith(("http://", "https://")) else ""


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One record version that a finding rests on.

    ``contribution`` is in the finding's unit, ``variance_share`` from 0 to 1; ``figure`` is empty for records
    that report no quantity (rules, ownership); ``source`` is None where the record has none or its version
    could not be found again.
    """

    role: str
    record: str
    version: int
    label: str
    figure: str
    grade: str
    verification: str
    allegation: str
    page: str
    source: SourceLine | None
    contribution: float | None = None
    variance_share: float | None = None
    synthetic: bool = False
    bounds: tuple[float | None, float | None, float | None] | None = (
        None  # low, best, high of a claim, as written
    )
    bound: str = ""
    unit: str = ""

    @property
    def is_unverified(self) -> bool:
        return unverified(self.verification) or (
            self.source is not None and unverified(self.source.verification)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One finding of a run, ready to be shown. Gap is positive when more is claimed than the other side
    explains."""

    key: str
    check: str
    area: str
    area_name: str
    scope: str
    scope_name: str
    period: str
    counterpart: str
    verdict: str
    headline: str
    severity: str
    strength: str
    weakest_grade: str
    is_discrepancy: bool
    unit: str = "chips"
    expected: float | None = None
    reported: float | None = None
    gap: float | None = None
    sigma: float | None = None
    statistic: float | None = None
    p: float | None = None
    q: float | None = None
    threshold: float | None = None
    family: str = ""
    gap_h100e: float | None = None
    sq: float | None = None
    mdg: float | None = None
    formula: str = ""
    sections: tuple[tuple[str, str], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    first_run: str = ""
    due_on: date | None = None
    is_resolved: bool = False  # by a person, when the run was closed
    evidence: tuple[EvidenceLine, ...] = ()
    page: str = ""  # where its text stands with the tree of what it rests on

    @property
    def anchor(self) -> str:
        """Name of the line in the page; the same in every report that shows the same discrepancy."""
        return f"d-{self.key[:12]}"


@dataclass(frozen=True, slots=True)
class PlanClaim:
    """A published figure beside which the ledger is set: a plan, or a claim of chips installed."""

    slug: str
    figure: str
    status: str
    said: str
    note: str
    grade: str
    verification: str
    allegation: str
    page: str
    source: SourceLine
    size: float  # chips, for ordering; the largest number the claim names


@dataclass(frozen=True, slots=True)
class Trace:
    """What the ledger holds for a plan's sites or parties: movement lines into them, installed claims,
    licences.

    ``sites`` and ``parties``: their names. ``chips`` adds only lines counted in chips or cards or in carriers with a named
    number of chips; ``uncounted`` is the number of other lines. ``at_least``: some line was reported only as a lower bound.
    """

    sites: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()
    lines: int = 0
    chips: float = 0.0
    uncounted: int = 0
    at_least: bool = False
    installed: tuple[PlanClaim, ...] = ()
    licences_naming: tuple[str, ...] = ()
    licences_country: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Published plans for one site, group of sites or party, and what the ledger traces there."""

    slug: str
    name: str
    kind: str  # group, site, phase, plan, organization
    place: str
    parts: tuple[str, ...]
    note: str
    claims: tuple[PlanClaim, ...]
    trace: Trace

    @property
    def size(self) -> float:
        return max(claim.size for claim in self.claims)


@dataclass(frozen=True, slots=True)
class PlugLine:
    """An entry made up to let a displayed chain close: chips put into a book (negative: taken out). No evidence."""

    area: str
    scope: str
    month: date
    quantity: float
    why: str
    page: str


@dataclass(frozen=True, slots=True)
class MonthLine:
    """Documented movements of a calendar month: lines, and chips of the lines that can be counted in chips."""

    month: date
    lines: int
    chips: float


@dataclass(frozen=True, slots=True)
class RuleDate:
    """The day from which an export rule applied."""

    day: date
    rule: str
    title: str
    citation: str
    verification: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What identifies a run, and what is needed to make it again."""

    key: str
    as_known_at: datetime
    as_of: date
    parameters: Mapping[str, Any]
    rule_set_sha256: str
    code_version: str
    findings_sha256: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything a report is made of. Equal data give equal bytes."""

    run: RunFacts
    counts: Mapping[str, int]
    lines: tuple[Line, ...]
    plans: tuple[Plan, ...] = ()
    months: tuple[MonthLine, ...] = ()
    undated_lines: int = 0
    rules: tuple[RuleDate, ...] = ()
    destinations: Mapping[str, float] = field(default_factory=dict)  # chips by ISO country
    sources: tuple[SourceLine, ...] = ()
    synthetic_records: int = 0
    priorities: tuple[Priority, ...] = ()
    plugs: tuple[PlugLine, ...] = ()


@dataclass(frozen=True, slots=True)
class FamilyLine:
    """Tests evaluated together: ``m`` of them, of which ``reported`` were accepted, ``inconclusive`` could
    not have seen enough."""

    family: str
    m: int
    reported: int
    inconclusive: int


def overdue(lines: Iterable[Line], on: date) -> tuple[Line, ...]:
    """Discrepancies that nobody resolved and that were due before a day, the longest overdue first, ties by key."""
    late = [
        line
        for line in lines
        if line.is_discrepancy and not line.is_resolved and line.due_on and line.due_on < on
    ]
    return tuple(sorted(late, key=lambda line: (line.due_on or on, line.key)))


def ordered(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Discrepancies first, the gravest and largest first, ties by check, area, scope and key: no order of a
    database."""
    return tuple(
        sorted(
            lines,
            key=lambda line: (
                not line.is_discrepancy,
                SEVERITIES.index(line.severity),
                -abs(line.sq or 0.0),
                line.check,
                line.area,
                line.scope,
                line.key,
            ),
        )
    )


def discrepancies(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.is_discrepancy)


def severity_by_check(lines: Iterable[Line]) -> list[tuple[str, dict[str, int]]]:
    """For each check with discrepancies its count by severity (absent severities are 0), sorted by check."""
    table: dict[str, Counter[str]] = {}
    for line in lines:
        if line.is_discrepancy:
            table.setdefault(line.check, Counter())[line.severity] += 1
    return [(check, {severity: table[check][severity] for severity in SEVERITIES}) for check in sorted(table)]


def families(lines: Iterable[Line]) -> tuple[FamilyLine, ...]:
    """Tests evaluated, by family, sorted by name. Findings without a p-value belong to none and are not
    counted."""
    tested = [line for line in lines if line.family and line.p is not None]
    return tuple(
        FamilyLine(
            family=name,
            m=sum(line.family == name for line in tested),
            reported=sum(line.family == name and line.is_discrepancy for line in tested),
            inconclusive=sum(line.family == name and line.verdict == "inconclusive" for line in tested),
        )
        for name in sorted({line.family for line in tested})
    )


def largest_gap(lines: Iterable[Line]) -> Line | None:
    """The discrepancy with the largest gap in H100-equivalents, ties by key; None where no gap has one."""
    sized = [line for line in lines if line.is_discrepancy and line.gap_h100e is not None]
    return min(sized, key=lambda line: (-abs(line.gap_h100e or 0.0), line.key), default=None)


def cited_sources(lines: Iterable[Line], plans: Iterable[Plan]) -> tuple[SourceLine, ...]:
    """Every source that a line or a plan rests on, once, by slug."""
    found: dict[str, SourceLine] = {}
    for line in lines:
        found.update({row.source.slug: row.source for row in line.evidence if row.source})
    for plan in plans:
        found.update({claim.source.slug: claim.source for claim in (*plan.claims, *plan.trace.installed)})
    return tuple(found[slug] for slug in sorted(found))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 3) -> str:
    """A number as people read it: thousands separators; whole numbers whole, others to ``digits`` significant
    digits.

    >>> number(115000.0), number(0.04567), number(-1234.5), number(None)
    ('115,000', '0.0457', '−1,234', '–')
    """
    if value is None or not _finite(value):
        return "–"
    if abs(value) >= 1000 or value == int(value):
        text = f"{value:,.0f}"
    else:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:.{places}f}".rstrip("0").rstrip(".") if places else f"{value:,.0f}"
    return text.replace("-", "−")


def probability(value: float | None) -> str:
    """A p- or q-value; below one in a million only that is said.

    >>> probability(3e-9), probability(0.0412), probability(None)
    ('below 0.000001', '0.0412', '–')
    """
    if value is None:
        return "–"
    return (
        "below 0.000001" if value < 1e-6 else f"{value:.3g}" if value >= 1e-4 else f"{value:.6f}".rstrip("0")
    )


def percent(part: float, whole: float) -> str:
    """A share in per cent, whole numbers; a dash where there is no whole."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def figure_words(
    *, low: float | None, best: float | None, high: float | None, bound: str, unit: str, exact: bool = False
) -> str:
    """A reported figure as it was said: bounds stay bounds, ranges stay ranges."""
    if bound == "words":
        return f"no number ({unit})"
    known = [value for value in (low, best, high) if value is not None]
    if not known:
        return "no number"
    if bound == "floor":
        return f"at least {number(low if low is not None else known[0])} {unit}"
    if bound == "ceiling":
        return f"at most {number(high if high is not None else known[-1])} {unit}"
    head = f"{number(best)} {unit}" if best is not None else ""
    low_end, high_end = low if low is not None else known[0], high if high is not None else known[-1]
    span = "" if low_end == high_end else f"{number(low_end)} to {number(high_end)}"
    if best is None:
        return f"{span or number(low_end)} {unit}"
    return f"{head} ({span})" if span else f"{head}, counted" if exact else head


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: text that starts like one gets a leading apostrophe.

    Numbers stay numbers (a negative number is no formula); None and numbers that are not finite become empty.

    >>> safe_cell("=1+1"), safe_cell(-3.5), safe_cell(None), safe_cell(True)
    ("'=1+1", '-3.5', '', 'yes')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return (
            (f"{value:.9g}" if not float(value).is_integer() else f"{value:.0f}")
            if math.isfinite(value)
            else ""
        )
    text = str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def csv_row(run: RunFacts, line: Line) -> tuple[Any, ...]:
    """The values of one line, in the order of :data:`CSV_COLUMNS`; evidence urls once each, at most twenty."""
    urls = dict.fromkeys(row.source.link for row in line.evidence if row.source and row.source.link)
    return (
        run.key,
        instant(run.as_known_at),
        line.is_discrepancy,
        line.key,
        line.check,
        line.area,
        line.area_name,
        line.scope,
        line.scope_name,
        line.period,
        line.counterpart,
        line.verdict,
        line.headline,
        line.severity,
        line.strength,
        line.weakest_grade,
        line.expected,
        line.reported,
        line.gap,
        line.unit,
        line.sigma,
        line.statistic,
        line.p,
        line.q,
        line.threshold,
        line.family,
        line.gap_h100e,
        line.sq,
        line.mdg,
        line.formula,
        line.first_run,
        len(line.evidence),
        sum(row.is_unverified for row in line.evidence),
        any(row.synthetic for row in line.evidence),
        " ".join(list(urls)[:URLS_PER_CSV_ROW]),
    )


def csv_text(run: RunFacts, lines: Sequence[Line]) -> str:
    """The CSV file: one row for each line in the order given, RFC 4180, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        writer.writerow([safe_cell(value) for value in csv_row(run, line)])
    return out.getvalue()
