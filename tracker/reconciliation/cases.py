"""Worked cases: what goes in, what must come out, and whether it does. The same functions answer as in a run.

A document is a mapping with ``cases`` and optionally ``parameters``. A case has ``id``, ``title``,
``check`` (its kind), ``input``, ``expect``, optionally ``tol`` (a relative tolerance of 1e-4 unless
given), ``say`` and ``never_say``. Kinds are those below and those that the checks bring. An expected key
that is not computed is passed over; a case of which nothing was computed does not pass, unless it expects nothing: then it
passes if it can be computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from tracker.core.errors import BadInput, TrackerError
from tracker.reconciliation import dirty, network_cases, sequence_cases, significance
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.case_input import case_date, case_instant, case_quantity
from tracker.reconciliation.checks.dates import date_case
from tracker.reconciliation.checks.power import power_case
from tracker.reconciliation.checks.production import production_case
from tracker.reconciliation.checks.running import running_case
from tracker.reconciliation.registry import CaseFunction, checks

REL_TOLERANCE = 1e-4
ABS_TOLERANCE = 1e-9
TEXT = "text"
"""Key under which a kind hands back the explanation, for ``say`` and ``never_say``."""


@dataclass(frozen=True, slots=True)
class Line:
    """One number (or word): where in ``expect``, what was expected, what came out."""

    key: str
    expected: Any
    got: Any
    ok: bool


@dataclass(frozen=True, slots=True)
class CaseResult:
    """``not_run``: the kind is not known. ``error``: why the input could not be used, else empty. ``computed``: all that came
    out."""

    id: str
    title: str
    check: str
    passed: bool
    not_run: bool = False
    lines: tuple[Line, ...] = ()
    error: str = ""
    computed: Mapping[str, Any] = field(default_factory=dict)


def run(document: Any) -> list[CaseResult]:
    """Compute every case of a parsed document, in its order. One that is malformed fails and says why; the others are computed.

    Raises: BadInput: the document or its parameters are malformed.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("cases"), list):
        raise BadInput("The file needs a list under the key 'cases'.")
    parameters = case_parameters(document.get("parameters"))
    kinds = case_kinds()
    return [
        _result(case, number, kinds, parameters) for number, case in enumerate(document["cases"], start=1)
    ]


def case_kinds() -> dict[str, CaseFunction]:
    """All kinds of cases that can be computed, by name."""
    return {**_OWN_KINDS, **{name: function for check in checks() for name, function in check.cases.items()}}


def case_parameters(given: Any) -> Parameters:
    """The default parameters with those of the document put in; names that are no parameter are passed over.

    Raises:
        BadInput: not a mapping, or a value of the wrong type.
    """
    if given is None:
        return Parameters()
    if not isinstance(given, Mapping):
        raise BadInput("'parameters' must be a mapping of names to values.")
    defaults = Parameters()
    known = {item.name for item in fields(Parameters)} & set(given)
    for name in sorted(known):
        default, value = getattr(defaults, name), given[name]
        fits = isinstance(value, type(default)) if isinstance(default, (str, Mapping)) else _is_number(value)
        if not fits:
            raise BadInput(f"parameters: {name} cannot be {value!r}; the default is {default!r}.")
    return replace(defaults, **{name: given[name] for name in known})


def _malformed(case: Mapping[str, Any]) -> str:
    """What is wrong with the frame of a case; empty if nothing is."""
    for key in ("input", "expect"):
        if not isinstance(case[key], Mapping):
            return f"the key '{key}' must hold a mapping."
    for key in ("say", "never_say"):
        if not isinstance(case[key], list):
            return f"the key '{key}' must hold a list of words."
    tolerance = case["tol"]
    if not _is_number(tolerance) and not (
        isinstance(tolerance, Mapping) and all(map(_is_number, tolerance.values()))
    ):
        return "the key 'tol' must hold a number, or 'rel' and 'abs'."
    return ""


def _framed(case: Mapping[str, Any]) -> dict[str, Any]:
    """A case with what it leaves out: it expects nothing, in the usual tolerance."""
    empty: dict[str, Any] = {"expect": {}, "say": [], "never_say": [], "tol": {}}
    return {
        **{key: empty.get(key) for key in ("input", *empty)},
        **{k: v for k, v in case.items() if v is not None},
    }


def _result(given: Any, number: int, kinds: Mapping[str, CaseFunction], parameters: Parameters) -> CaseResult:
    if not isinstance(given, Mapping):
        return CaseResult(f"number {number}", "", "", passed=False, error=f"case {number} is not a mapping.")
    case = _framed(given)
    name, title, kind = (
        str(case.get("id", f"number {number}")),
        str(case.get("title", "")),
        str(case.get("check", "")),
    )
    function = kinds.get(kind)
    if function is None:
        return CaseResult(name, title, kind, passed=False, not_run=True)
    if wrong := _malformed(case):
        return CaseResult(name, title, kind, passed=False, error=f"case {name}: {wrong}")
    try:
        got = dict(function(_without_blanks(case["input"]), parameters, case))
    except KeyError as error:
        return CaseResult(
            name, title, kind, passed=False, error=f"case {name}: the input lacks the key {error}."
        )
    except (
        TrackerError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        return CaseResult(
            name, title, kind, passed=False, error=f"case {name}: the input cannot be used: {error}"
        )
    text = got.pop(TEXT, None)
    lines = (*_compared(case["expect"], got, _tolerance(case.get("tol"))), *_words(case, text))
    passed = all(line.ok for line in lines) and bool(lines or not case["expect"])
    return CaseResult(name, title, kind, passed=passed, lines=lines, computed=got)


def _without_blanks(given: Any) -> Any:
    """What a case gives, without names that are given nothing: a blank says as much as a name that is left out."""
    if isinstance(given, Mapping):
        return {name: _without_blanks(value) for name, value in given.items() if value is not None}
    return [_without_blanks(one) for one in given] if isinstance(given, list) else given


# --- comparing -------------------------------------------------------------------------------------------------------


def _tolerance(given: Any) -> tuple[float, float]:
    if given is None:
        return REL_TOLERANCE, ABS_TOLERANCE
    if _is_number(given):
        return float(given), ABS_TOLERANCE
    return float(given.get("rel", REL_TOLERANCE)), float(given.get("abs", ABS_TOLERANCE))


def _compared(
    expected: Mapping[Any, Any], got: Mapping[Any, Any], tolerance: tuple[float, float]
) -> list[Line]:
    """The lines of a record of named numbers: what was not computed is passed over."""
    found = {str(key): value for key, value in got.items()}
    return [
        line
        for key, value in expected.items()
        if str(key) in found
        for line in _lines(str(key), value, found[str(key)], tolerance)
    ]


def _lines(key: str, expected: Any, got: Any, tolerance: tuple[float, float]) -> list[Line]:
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        found = {str(name): value for name, value in got.items()}
        return [
            line
            for name, value in expected.items()
            for line in (
                _lines(f"{key}.{name}", value, found[str(name)], tolerance)
                if str(name) in found
                else [Line(f"{key}.{name}", value, None, False)]
            )
        ]
    if isinstance(expected, list) and isinstance(got, Sequence) and not isinstance(got, str):
        if len(expected) != len(got) or not expected:
            return [Line(key, expected, list(got), len(expected) == len(got))]
        pairs = enumerate(zip(expected, got, strict=True))
        return [line for index, (e, g) in pairs for line in _item(f"{key}[{index}]", e, g, tolerance)]
    return [Line(key, expected, _plain(got), _is_equal(expected, got, tolerance))]


def _item(key: str, expected: Any, got: Any, tolerance: tuple[float, float]) -> list[Line]:
    """An element of a list: records are compared like the case itself, and must have something in common."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        lines = [replace(line, key=f"{key}.{line.key}") for line in _compared(expected, got, tolerance)]
        return lines or [Line(key, expected, dict(got), not expected)]
    return _lines(key, expected, got, tolerance)


def _is_equal(expected: Any, got: Any, tolerance: tuple[float, float]) -> bool:
    if _is_number(expected) and _is_number(got):
        if math.isinf(expected) or math.isinf(got):
            return float(expected) == float(got)
        return abs(expected - got) <= max(tolerance[1], tolerance[0] * abs(expected))
    return bool(_plain(expected) == _plain(got)) and isinstance(expected, bool) == isinstance(got, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _words(case: Mapping[str, Any], text: str | None) -> list[Line]:
    """``say`` and ``never_say`` against the explanation, without regard to case."""
    said = (text or "").casefold()
    lines = [Line("say", str(w), "said" if str(w).casefold() in said else "not said", str(w).casefold() in said)
             for w in case.get("say", ())]  # fmt: skip
    if text is None:
        return lines
    for word in case.get("never_say", ()):
        there = str(word).casefold() in said
        lines.append(Line("never_say", str(word), "said" if there else "not said", not there))
    return lines


# --- kinds that belong to no one check -------------------------------------------------------------------------------


def _claim_distribution(
    given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]
) -> dict[str, Any]:
    rows = []
    for claim in given["claims"]:
        read = case_quantity(claim, parameters)
        row = {"mu": read.mu, "sb": read.sb, "ss": read.ss, "sr": read.sr, "s": read.s}
        rows.append(row | ({"bound": read.bound} if read.bound else {}))
    return {"claims": rows}


def _physical(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    tests = {
        "power": power_case,
        "production": lambda row: production_case(row, parameters),
        "date": date_case,
        "running": lambda row: running_case(row, parameters),
    }
    for row in given["tests"]:
        if row["test"] not in tests:
            raise BadInput(f"the test {row['test']!r} is not one of {', '.join(tests)}")
    return {"results": [tests[row["test"]](row) for row in given["tests"]]}


def _false_alarms(
    given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]
) -> dict[str, Any]:
    q = float(given.get("q", parameters.false_discovery_rate))
    values = [float(value) for value in given["p"]]
    control = str(given.get("method", given.get("control", parameters.control))).upper()
    if control not in significance.CONTROLS:
        raise BadInput(f"the method {control!r} is not one of {', '.join(significance.CONTROLS)}")
    found = significance.CONTROLS[control](values, q, len(values))
    return {
        "rejected": found.rejected, "threshold": found.threshold, "adjusted": list(found.adjusted),
        "bonferroni": sum(1 for value in values if value <= q / len(values)),
        "naive": sum(1 for value in values if value < q),
    }  # fmt: skip


def _as_known_at(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    """Versions alive at each instant: recorded by then, and not yet superseded (the day of superseding is the successor's). What
    is known on a day is what is known at its end."""
    out = {}
    for at in given["known_at"]:
        instant = case_instant(at, ends=True)
        alive = [
            row
            for row in given["versions"]
            if case_instant(row["recorded"]) <= instant
            and not (row.get("superseded") and case_instant(row["superseded"]) <= instant)
        ]
        alive.sort(key=lambda row: (str(row["id"]), row["v"]))
        rows = [f"{row['id']}.{row['v']}" for row in alive]
        name = at.isoformat() if isinstance(at, date) else str(at)
        out[name] = {"rows": rows, "total": math.fsum(float(row["q"]) for row in alive)}
    return {"out": out}


def _dirty_cells(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    """``anchors`` are named ``area|scope``; ``last_period`` and the cells that come out end in a month, as 2026-03."""
    anchors: dict[tuple[str, str], list[date]] = {}
    for name, counts in (given.get("anchors") or {}).items():
        area, _, scope = str(name).rpartition("|")
        anchors[area, scope] = [case_date(one) for one in counts]
    legs = [_leg(given[side], given, parameters) for side in ("before", "after") if given.get(side)]
    found = dirty.dirty(legs, anchors, case_date(f"{str(given['last_period'])[:7]}-01"))
    flow, balance = (
        sorted(f"{area}|{scope}|{month:%Y-%m}" for area, scope, month in cells)
        for cells in (found.flow, found.balance)
    )
    return {"flow": flow, "flow_count": len(flow), "balance": balance, "balance_count": len(balance)}


def _leg(row: Mapping[str, Any], given: Mapping[str, Any], parameters: Parameters) -> dirty.Leg:
    """A version of a movement; an end that lies in no area (production, retirement) is a name without areas."""
    areas = given["areas"]
    origin, destination = (frozenset(areas.get(row.get(end), ())) for end in ("from", "to"))
    shipped = case_date(row["shipped"]) if row.get("shipped") else None
    received = case_date(row["received"]) if row.get("received") else None
    if received is None and shipped:
        received = shipped + timedelta(days=int(given.get("lead_time_days", parameters.lead_time_days)))
    scopes = dict.fromkeys([str(row["chip"]), *map(str, given["scopes"].get(row["chip"], ()))])
    return dirty.Leg(tuple(scopes), origin, destination, shipped, received)


_OWN_KINDS: dict[str, CaseFunction] = {
    **network_cases.KINDS,
    **sequence_cases.KINDS,
    "dirty_cells": _dirty_cells,
    "claim_distribution": _claim_distribution,
    "physical": _physical,
    "false_alarms": _false_alarms,
    "as_known_at": _as_known_at,
}
