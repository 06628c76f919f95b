"""The report page: from the rows of a report to everything its template prints, in the order in which it
prints it.

The template only places words; what is said, counted and drawn is decided here. No clock and no settings:
equal data, equal page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from tracker.core.addresses import (
    book_page,
    finding_page,
    findings_data,
    instant,
    lines_page,
    record_page,
    records_data,
)
from tracker.core.countries import COUNTRIES
from tracker.reconciliation.priorities import Priority
from tracker.reports import charts, tables
from tracker.reports.tables import (
    EvidenceLine,
    Line,
    Plan,
    ReportData,
    RunFacts,
    number,
    percent,
    probability,
)

MAX_CARDS = 150
MAX_EVIDENCE_ROWS = 40
MAX_RUNNING_ROWS = 40
MAX_TABLE_ROWS = 300
MAX_PAIRS = 24
MAX_FORESTS = 8
MAX_DESTINATIONS = 20
Z90 = 1.644854  # half of a central 90 % interval in standard deviations

NUMBER_NAMES = {
    "book_at_least": "the book is a lower limit",
    "chips_held_by": "chips that each fact holds up",
    "for_a_person": "facts that only a person can tell",
    "kind_of_chip": "kind of chip",
    "floor_mw": "least power needed, MW",
    "gap_h100e_high": "in H100-equivalents, high reading",
    "larger_book": "book, larger reading",
    "licensed": "chips that recorded licences allow",
    "max_chips_floor": "chips the site can feed at most",
    "mdg_sq": "smallest gap this test could see, in SQ",
    "min_balance": "lowest balance",
    "over_licence": "chips above recorded licences",
    "site_mw": "power of the site, MW",
    "sure_book": "book, sure reading",
    "typical_mw": "usual power needed, MW",
    "unexplained_share": "share of the claim not explained",
}
"""Numbers that checks keep under names of the trade, in words; any other is told by its own name."""

CONTROL_NAMES = {"BH": "Benjamini-Hochberg", "BY": "Benjamini-Yekutieli"}
"""Ways to control false alarms, by the parameter ``control``."""
VERIFICATION_WORDS = {"read": "read", "memory": "UNVERIFIED", "synthetic": "SYNTHETIC"}


def title(data: ReportData) -> str:
    return f"AI chip supply-chain ledger: what does not add up, as known at {data.run.as_known_at:%-d %B %Y}"


def context(data: ReportData) -> dict[str, Any]:
    """Everything the template of a report prints. Values are text or numbers; ``charts`` and ``forests`` hold
    SVG."""
    lines = tables.ordered(data.lines)
    found = tables.discrepancies(lines)
    cards = found[:MAX_CARDS]
    anchors = frozenset(line.anchor for line in cards)
    quiet = [line for line in lines if not line.is_discrepancy]
    undetermined = [line for line in quiet if "undetermined" in line.verdict]
    unrecorded = [line for line in quiet if is_unrecorded(line)]
    told = {line.key for line in (*undetermined, *unrecorded)}
    context_lines = [line for line in quiet if line.key not in told and line.verdict != "consistent"]
    return {
        "title": title(data),
        "run": data.run,
        "known_at": instant(data.run.as_known_at),
        "synthetic": data.synthetic_records,
        "synthetic_words": number(data.synthetic_records),
        "headline": headline(data, lines),
        "families": [
            {
                "family": row,
                "tests": findings_data(data.run.key, family=row.family),
                "reported": findings_data(data.run.key, family=row.family, is_discrepancy="true"),
                "inconclusive": findings_data(data.run.key, family=row.family, verdict="inconclusive"),
            }
            for row in tables.families(lines)
        ],
        "severities": [
            {
                "name": name,
                "words": severity_words(data)[name],
                "count": sum(line.severity == name for line in found),
                "href": _discrepancies_data(data.run, severity=name),
            }
            for name in tables.SEVERITIES[:-1]
        ],
        "panels": [panel(plan, data.run.key) for plan in data.plans if plan.kind == "group"],
        "plans": [panel(plan, data.run.key) for plan in data.plans if plan.kind != "group"],
        "by_check": severity_table(data.run, lines),
        "charts": drawn(data, found, anchors),
        "rule_marks": rule_marks(data),
        "undated": data.undated_lines,
        "forests": forests(lines),
        "found": len(found),
        "overview": [summary(line, anchors) for line in found[:MAX_TABLE_ROWS]],
        "overdue": [
            (summary(line, anchors), line.due_on)
            for line in tables.overdue(lines, data.run.as_of)[:MAX_TABLE_ROWS]
        ],
        "priorities": [look_next(line, data) for line in data.priorities],
        "control": CONTROL_NAMES[data.run.parameters.get("control", "BH")],
        "timeliness_days": data.run.parameters.get("timeliness_days", 90),
        "cards": [card(line, data) for line in cards],
        "cards_left_out": len(found) - len(cards),
        "consistent": sum(line.verdict == "consistent" for line in quiet),
        "undetermined": table_of(undetermined),
        "unrecorded": table_of(unrecorded),
        "others": table_of(context_lines),
        "parameters": parameter_rows(data.run.parameters),
        "plugs": [(plug, signed(plug.quantity)) for plug in data.plugs],
        "books": book_page(data.run.key),
        "sources": data.sources,
        "unverified_sources": sum(source.verification == "memory" for source in data.sources),
        "credits": sorted({source.licence_note for source in data.sources if source.licence_note}),
    }


def severity_words(data: ReportData) -> dict[str, str]:
    """What each severity means in H100-equivalents, by the run's own significant quantity (SQ)."""
    size = float(data.run.parameters.get("significant_quantity_h100e", 1000))
    least = float(data.run.parameters.get("materiality_sq", 0.1)) * size
    return {
        "critical": f"{number(10 * size)} H100-equivalents or more",
        "high": f"{number(size)} or more",
        "medium": f"{number(least)} or more, and larger gaps that weak evidence or a test by judgement holds at medium",
        "low": "less, or a question of a rule without a size",
    }


def is_unrecorded(line: Line) -> bool:
    """Whether the ledger has no movement at all to hold the line's claim against."""
    return line.verdict == "no record"


def headline(data: ReportData, lines: Sequence[Line]) -> list[dict[str, str]]:
    """The figures at the head of the page, each with the caution that belongs to it and where it leads."""
    counts, run = data.counts, data.run
    found = tables.discrepancies(lines)
    tests = tables.families(lines)
    largest = tables.largest_gap(lines)
    unverified = counts.get("sources_unverified", 0)
    figures = [
        (
            number(counts.get("claims", 0)),
            "claims",
            f"reported quantities from {number(counts.get('sources', 0))} sources",
            records_data("claim", run.as_known_at),
        ),
        (
            number(counts.get("shipments", 0)),
            "shipment lines",
            "evidence that something moved; their absence is evidence of nothing",
            lines_page(run.key),
        ),
        (
            number(sum(family.m for family in tests)),
            "tests evaluated",
            "by family: " + (", ".join(f"{family.family} {number(family.m)}" for family in tests) or "none"),
            findings_data(run.key),
        ),
        (
            number(len(found)),
            "discrepancies",
            ", ".join(
                f"{n} {name}"
                for name in tables.SEVERITIES
                if (n := sum(line.severity == name for line in found))
            )
            or "none reported by this run",
            "#overview",
        ),
        (
            number(abs(largest.gap_h100e), 3) if largest and largest.gap_h100e is not None else "–",
            "H100-equivalents in the largest gap",
            "gaps overlap where claims speak of the same chips, so they are not added up",
            largest.page if largest else "",
        ),
        (
            percent(unverified, counts.get("sources", 0)),
            "of sources unverified",
            f"{number(unverified)} of {number(counts.get('sources', 0))} entered from memory, not yet "
            "checked against a page; marked wherever they are used",
            records_data("source", run.as_known_at, verification="memory"),
        ),
    ]
    return [
        {"value": value, "label": label, "note": note, "href": href} for value, label, note, href in figures
    ]


def severity_table(run: RunFacts, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Discrepancies by check and severity, each count with the list of those it counts."""
    return [
        {
            "check": check,
            "counts": [
                (counts[name] or "", _discrepancies_data(run, check_code=check, severity=name))
                for name in tables.SEVERITIES[:-1]
            ],
            "total": sum(counts.values()),
            "href": _discrepancies_data(run, check_code=check),
        }
        for check, counts in tables.severity_by_check(lines)
    ]


def _discrepancies_data(run: RunFacts, **filters: str) -> str:
    return findings_data(run.key, is_discrepancy="true", **filters)


def drawn(data: ReportData, found: Sequence[Line], anchors: frozenset[str]) -> dict[str, str]:
    """The charts of the page by name; an empty text where the run has nothing to draw."""
    comparable = [
        line
        for line in found
        if line.expected is not None
        and line.reported is not None
        and line.unit == "chips"
        and line.anchor in anchors
    ]
    pairs = [
        charts.Pair(
            label=line.area_name,
            detail=f"{line.check} · {line.scope_name} · {line.period}",
            expected=line.expected or 0.0,
            reported=line.reported or 0.0,
            half_width=Z90 * (line.sigma or 0.0),
            severity=line.severity,
            href=f"#{line.anchor}",
        )
        for line in comparable[:MAX_PAIRS]
    ]
    destinations = sorted(data.destinations.items(), key=lambda item: (-item[1], item[0]))[:MAX_DESTINATIONS]
    months = [
        charts.Month(
            month.month, month.chips, month.lines, lines_page(data.run.key, month=f"{month.month:%Y-%m}")
        )
        for month in data.months
    ]
    marks = [charts.Mark(rule["day"], rule["number"], rule["words"]) for rule in rule_marks(data)]
    return {
        "pairs": charts.reported_against_expected(pairs, "chips"),
        "severity": charts.severity_bars(tables.severity_by_check(found)),
        "timeline": charts.timeline(months, marks),
        "destinations": charts.destination_bars(
            [
                (COUNTRIES.get(code, code or "not known"), n, lines_page(data.run.key, to=code or "none"))
                for code, n in destinations
            ]
        ),
    }


def rule_marks(data: ReportData) -> list[dict[str, Any]]:
    """The days on which rules took effect within the years drawn, numbered; rules of one day share a number."""
    months = [month.month for month in data.months if month.chips > 0]
    if not months:
        return []
    first, last = min(months).year, max(months).year
    days = sorted({rule.day for rule in data.rules if first <= rule.day.year <= last})
    marks = []
    for index, day in enumerate(days, start=1):
        rules = sorted((rule for rule in data.rules if rule.day == day), key=lambda rule: rule.rule)
        marks.append(
            {
                "number": index,
                "day": day,
                "rules": [
                    {"rule": rule, "unverified": tables.unverified(rule.verification)} for rule in rules
                ],
                "words": "; ".join(f"{rule.title} ({rule.rule})" for rule in rules),
            }
        )
    return marks


def forests(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """One plot for each set of conflicting claims that are figures of one unit, the gravest first."""
    plots: list[dict[str, Any]] = []
    for line in lines:
        if line.check != "CONFLICT" or not line.is_discrepancy or len(plots) == MAX_FORESTS:
            continue
        rows = [row for row in line.evidence if row.bounds is not None]
        if len({row.unit for row in rows}) != 1 or len(rows) < 2:
            continue
        intervals = [
            charts.Interval(row.record, _said(row), *row.bounds, bound=row.bound)
            for row in rows
            if row.bounds
        ]
        drawing = charts.forest(f"forest-{line.key[:12]}", line.headline, intervals, rows[0].unit)
        plots.append({"line": summary(line, frozenset({line.anchor})), "svg": drawing})
    return plots


def _said(row: EvidenceLine) -> str:
    if row.source is None:
        return f"grade {row.grade}"
    mark = " · UNVERIFIED" if row.is_unverified else ""
    said_by = row.source.publisher or row.source.title
    return f"grade {row.grade}{mark} · {row.source.published_on or 'undated'} · {said_by}"


def panel(plan: Plan, run: str = "") -> dict[str, Any]:
    """A plan as published beside what the ledger traces at the same place or party."""
    trace = plan.trace
    if trace.lines:
        bound = "at least " if trace.at_least or trace.uncounted else ""
        moved = f"{bound}{number(trace.chips)} chips on {number(trace.lines)} line{'s' if trace.lines > 1 else ''}"
        if trace.uncounted:
            moved += f" ({number(trace.uncounted)} of them not counted in chips)"
    else:
        moved = "no shipment line"
    # Of equally large figures the one published first: later pages mostly repeat it.
    main = min(
        plan.claims, key=lambda claim: (-claim.size, claim.source.published_on or date.max, claim.slug)
    )
    return {
        "plan": plan,
        "figure": main.figure,
        "main": main,
        "moved": moved,
        "lines": lines_page(run, sites=",".join(trace.sites), parties=",".join(trace.parties))
        if trace.lines
        else "",
        "nothing": not trace.lines and not trace.installed and not trace.licences_naming,
        "licences_naming": trace.licences_naming,
        "licences_country": trace.licences_country,
        "installed": trace.installed,
    }


def summary(line: Line, anchors: frozenset[str]) -> dict[str, Any]:
    """One row of the overview; ``href`` is empty where the line has no card on the page."""
    return {
        "line": line,
        "href": f"#{line.anchor}" if line.anchor in anchors else "",
        "gap": signed(line.gap),
        "reported": _with_unit(line.reported, line.unit),
        "gap_h100e": signed(line.gap_h100e),
    }


def table_of(lines: Sequence[Line]) -> dict[str, Any]:
    """At most 300 rows of lines that are no discrepancies, and how many more the CSV file has."""
    return {
        "rows": [summary(line, frozenset()) for line in lines[:MAX_TABLE_ROWS]],
        "total": len(lines),
        "left_out": max(0, len(lines) - MAX_TABLE_ROWS),
    }


def signed(value: float | None) -> str:
    """A difference with its sign: + when more is claimed than the other side explains."""
    if value is None:
        return "–"
    return f"+{number(value)}" if value > 0 else number(value)


def look_next(line: Priority, data: ReportData) -> dict[str, Any]:
    """One thing to verify, with the pages of the record and of what it would settle."""
    href = record_page(line.model, line.id, data.run.as_known_at) if line.id is not None else ""
    reasons = [(reason, finding_page(reason.finding)) for reason in line.reasons]
    return {
        "line": line,
        "variance": number(line.variance),
        "href": href,
        "leads": href or next((page for _, page in reasons), ""),
        "reasons": reasons,
        "more": line.count - len(line.reasons),
    }


def card(line: Line, data: ReportData) -> dict[str, Any]:
    """A discrepancy in full: marks, numbers, the parts of its text, its evidence and how to cite it."""
    run = data.run
    return {
        "line": line,
        "numbers": [(name, value) for name, value in number_rows(line) if value != "–"],
        "kept": kept_numbers(line.numbers),
        "running": running_table(line.numbers, MAX_RUNNING_ROWS),
        "evidence": [evidence_row(row, line.unit) for row in line.evidence[:MAX_EVIDENCE_ROWS]],
        "evidence_left_out": max(0, len(line.evidence) - MAX_EVIDENCE_ROWS),
        "unverified": sum(row.is_unverified for row in line.evidence),
        "synthetic": any(row.synthetic for row in line.evidence),
        "citation": (
            f"AI chip supply-chain ledger, report of run {run.key}, as known at {instant(run.as_known_at)}, findings "
            f"digest sha256:{run.findings_sha256[:16]}, line {line.anchor}."
        ),
    }


def number_rows(line: Any) -> list[tuple[str, str]]:
    """The numbers of a finding (a :class:`Line`, or the row itself) with their names, in order; a dash where there is none."""
    return [
        ("reported", _with_unit(line.reported, line.unit)),
        ("the other side explains", _with_unit(line.expected, line.unit)),
        ("difference", "–" if line.gap is None else f"{signed(line.gap)} {line.unit}"),
        ("in H100-equivalents", signed(line.gap_h100e)),
        ("in significant quantities (SQ)", signed(line.sq)),
        ("standard deviation of the difference", _with_unit(line.sigma, line.unit)),
        ("test statistic", number(line.statistic)),
        ("threshold", number(line.threshold)),
        ("p", probability(line.p)),
        ("q (p adjusted within its family)", probability(line.q)),
        ("smallest gap this test could see", _with_unit(line.mdg, line.unit)),
    ]


def kept_numbers(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The further numbers that a check kept with its finding, by name; those it could not compute are left out."""
    rows = []
    for name in sorted(numbers):
        value = numbers[name]
        if isinstance(value, bool | str):
            words = ("yes" if value else "no") if isinstance(value, bool) else value
            rows.append((NUMBER_NAMES.get(name, name.replace("_", " ")), words))
        elif isinstance(value, int | float):
            rows.append((NUMBER_NAMES.get(name, name.replace("_", " ")), _figure(name, value)))
    return rows


def running_table(numbers: Mapping[str, Any], most: int | None = None) -> dict[str, Any] | None:
    """The running table that a check kept under ``running``, its cells as text; None without one.

    ``rows`` are lists of (text, is a number); of more than ``most`` only the last are given, ``left_out`` counts the others.
    """
    kept = numbers.get("running")
    if not isinstance(kept, Mapping) or not kept.get("rows"):
        return None
    rows = kept["rows"] if most is None else kept["rows"][-most:]
    return {
        "columns": [
            (name, any(isinstance(row[place], int | float) for row in rows))
            for place, name in enumerate(kept["columns"])
        ],
        "rows": [
            [
                (cell, False) if isinstance(cell, str) else (_figure(name, cell, 4), True)
                for name, cell in zip(kept["columns"], row, strict=True)
            ]
            for row in rows
        ],
        "left_out": len(kept["rows"]) - len(rows),
    }


def _figure(name: str, value: float | None, digits: int = 3) -> str:
    """A kept number as text. A probability between 0 and 1 is rounded to neither of them."""
    if (
        value is not None
        and name.startswith(("p ", "probability"))
        and (0 < value < 0.001 or 0.999 < value < 1)
    ):
        return "< 0.001" if value < 0.5 else "> 0.999"
    return number(value, digits)


def _with_unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{number(value)} {unit}"


def evidence_row(row: EvidenceLine, unit: str) -> dict[str, Any]:
    return {
        "row": row,
        "share": "" if row.variance_share is None else f"{100 * row.variance_share:.0f} %",
        "contribution": "" if row.contribution is None else f"{signed(row.contribution)} {unit}",
        "mark": VERIFICATION_WORDS.get(row.verification, row.verification.replace("_", " ")),
        "flagged": tables.unverified(row.verification) or row.verification == "synthetic",
        "allegation": row.allegation if row.allegation in ("alleged", "denied", "admitted") else "",
    }


def parameter_rows(parameters: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The parameters of a run, one row each, nested names joined by dots, sorted by name."""
    rows: list[tuple[str, str]] = []
    for name in sorted(parameters):
        value = parameters[name]
        if isinstance(value, Mapping):
            rows += parameter_rows(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return rows
