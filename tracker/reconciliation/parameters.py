"""The numbers of the method that may be set from a day on: what each means, in what unit, within what range.

A person sets one with a reason (``MethodParameter``); a run takes, of each name, the latest that had begun by its as-of day, and
the default where none had. docs/method.md, section 7, lists them; a test holds that list to this one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from tracker.core.errors import BadInput
from tracker.reconciliation.books import Parameters

NUMBER, WHOLE, TABLE, CHOICE, NAME = "number", "whole number", "table", "choice", "name"


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter: its ``kind``, its ``unit``, its range (ends included), and what it is in a sentence.

    Of a table every value lies in the range; ``choices`` are its names if these are fixed, else the values that a choice allows.
    """

    kind: str
    unit: str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    @property
    def range_words(self) -> str:
        if self.kind == CHOICE:
            return " or ".join(self.choices)
        return f"{self.low:g} to {self.high:g}" if math.isfinite(self.low) else "any"


SETTINGS: Mapping[str, Setting] = {
    "alpha": Setting(NUMBER, "probability", "p below which conflicting reports are called incompatible", 0.0001, 0.5),
    "bias_key_months": Setting(WHOLE, "months", "for which the error of one house is taken to last", 1, 600),
    "chips_per_unnamed_server": Setting(WHOLE, "chips", "chips in a server whose model is not named", 1, 72),
    "cif_fob": Setting(NUMBER, "share", "freight and insurance within the values that importers report", 0, 0.5),
    "control": Setting(
        CHOICE, "", "how false alarms are controlled: Benjamini-Hochberg, or Benjamini-Yekutieli", choices=("BH", "BY")
    ),
    "cumuf_z": Setting(NUMBER, "standard deviations", "beyond which a cumulated balance is a finding", 1, 10),
    "false_discovery_rate": Setting(NUMBER, "share", "of false alarms among the findings of a family", 0.0001, 0.5),
    "grade_rel_sd": Setting(
        TABLE, "share", "relative standard deviation below which no figure of a grade is believed", 0.0001, 5,
        ("A", "B", "C", "D", "E"),
    ),
    "lead_time_days": Setting(WHOLE, "days", "presumed from shipping to receipt where no receipt is recorded", 0, 365),
    "least_coverage": Setting(NUMBER, "share", "of a claim that the ledger must hold before the two are compared", 0, 1),
    "materiality_sq": Setting(NUMBER, "significant quantities", "from which a tested difference is a finding", 0, 10),
    "page_h": Setting(NUMBER, "standard deviations", "of a running sum (Page's test) that raise an alarm", 0.5, 50),
    "page_k": Setting(NUMBER, "standard deviations", "that each period takes off that running sum", 0, 3),
    "pue": Setting(NUMBER, "ratio", "power of a whole site to that of its servers", 1, 3),
    "rel_sd_unnamed_server": Setting(NUMBER, "share", "extra relative standard deviation of servers of no named model", 0, 2),
    "restricted_destinations": Setting(NAME, "", "country group or set whose trade through hubs is told apart"),
    "server_watts_per_chip": Setting(TABLE, "watts", "that a server needs for each chip, by chip", 1, 20000),
    "significant_quantity_h100e": Setting(NUMBER, "H100-equivalents", "in one significant quantity", 1, 1_000_000),
    "systematic_share": Setting(NUMBER, "share", "of a figure's variance that its house's other figures have with it", 0, 1),
    "timeliness_days": Setting(WHOLE, "days", "from the end of its period to the day a discrepancy is overdue", 1, 3650),
}  # fmt: skip

CHOSEN_BY_RUN = {"records": "is chosen when a run is started, for that run alone"}
"""Parameters that no day brings into force."""


def problem(name: str, value: Any) -> str:
    """What is wrong with setting ``name`` to ``value``, with the mend, in a sentence; empty if nothing is.

    >>> problem("pue", 1.2)
    ''
    >>> problem("pue", 0.8)
    'pue 0.8 lies outside its range: give a number from 1 to 3 (ratio).'
    >>> problem("significant_quantity", 500)[:75]
    "'significant_quantity' is no parameter of the method; did you mean signific"
    """
    if name in CHOSEN_BY_RUN:
        return f"{name} {CHOSEN_BY_RUN[name]}; it cannot be set from a day on."
    setting = SETTINGS.get(name)
    if setting is None:
        near = get_close_matches(name, SETTINGS, 1)
        mend = f"did you mean {near[0]}?" if near else f"choose one of: {', '.join(SETTINGS)}."
        return f"'{name}' is no parameter of the method; {mend}"
    match setting.kind:
        case "table":
            return _table_problem(name, setting, value)
        case "choice":
            mend = f"give {setting.range_words}, in quotation marks."
            return "" if value in setting.choices else f"{name} {value!r} is none of its choices: {mend}"
        case "name":
            given = isinstance(value, str) and value.strip() == value != ""
            return "" if given else f"{name} {value!r} is no name: give one in quotation marks."
    return _number_problem(name, setting, value)


def _number_problem(name: str, setting: Setting, value: Any) -> str:
    mend = f"give a {setting.kind} from {setting.range_words} ({setting.unit})."
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"{name} {value!r} is no number: {mend}"
    if setting.kind == WHOLE and value != int(value):
        return f"{name} {value:g} is no whole number: {mend}"
    return "" if setting.low <= value <= setting.high else f"{name} {value:g} lies outside its range: {mend}"


def _table_problem(name: str, setting: Setting, value: Any) -> str:
    keys = setting.choices or ("h100-sxm5-80gb",)
    example = f'give an object such as {{"{keys[0]}": {setting.low:g}}}, each value from {setting.range_words} ({setting.unit}).'
    if not isinstance(value, dict) or not value:
        return f"{name} is a table of numbers: {example}"
    if setting.choices and (odd := set(value) ^ set(setting.choices)):
        return f"{name} must name each of {', '.join(setting.choices)} once; {', '.join(sorted(odd))} is missing or odd."
    wrong = (_number_problem(f"{name} of {key}", setting, value[key]) for key in sorted(value))
    return next((text.replace("a table", "a number") for text in wrong if text), "")


def with_settings(values: Mapping[str, Any], records: str = "real") -> Parameters:
    """The defaults of the method with ``values`` in place of some.

    Numbers are kept as the method keeps them (500 as 500.0), so that equal settings make equal runs.

    Raises:
        BadInput: a value that :func:`problem` refuses.
    """
    for name in sorted(values):
        if told := problem(name, values[name]):
            raise BadInput(told)
    return Parameters(
        records=records, **{name: _plain(SETTINGS[name].kind, value) for name, value in values.items()}
    )


def _plain(kind: str, value: Any) -> Any:
    match kind:
        case "number":
            return float(value)
        case "whole number":
            return int(value)
        case "table":
            return {key: float(value[key]) for key in sorted(value)}
    return value


def defaults() -> dict[str, Any]:
    """The value of every parameter where nobody set another."""
    plain = Parameters()
    return {field.name: getattr(plain, field.name) for field in fields(plain)}
