"""The checks there are: every module of ``tracker.reconciliation.checks`` is one, found by looking.

A module brings ``CODE``, ``TITLE``, ``FAMILY`` (name of its group of tests for the control of false
alarms, or None), ``PARTITION`` and ``find(books, parameters)``; optionally ``CASES``, kinds of worked
cases it can compute, and ``MOVES_WITH_THE_DAY``, whether the day of the run enters its figures. Its
docstring is its page in the documentation. To add a check, add a module.

``PARTITION`` says what the books handed to ``find`` must hold together:

- ``claim_subject``: claims about one area, or tied by declared conflict or echo, with all movements into and out of their
  areas, added up where they are many (``bundles``), and what the rules answer for each;
- ``consignee``: all movements to a consignee, with their verdicts, and the licences;
- ``hub``: what came into and left the countries that chips pass through, added up by route and month, with the claims about
  those countries;
- ``network``: what went into and out of the areas whose book is declared whole, added up between the days of counts (``flows``),
  with the claims about those areas, of chips that families tie together;
- ``licence``: licences tied by lines, consignments and onward goods, with every line that may draw on them, judged;
- ``limit``: what movements add up to against the quantity limits of rules, for the keys that reach one (``flows``);
- ``lines``: single movements and the running balances of places: not whole books, but the lines that a first look over all of
  them (``sweep``) suspects, each with all that belongs to it;
- ``route``: what exporting and importing countries report of the trade between two countries;
- ``scope``: all claims whose scopes could be of the same chips (one chip and the families that hold it);
- ``site``: a site with its powers and all claims about it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tracker.reconciliation import checks as package
from tracker.reconciliation.books import Books, Finding, Parameters

PARTITIONS = (
    "claim_subject",
    "hub",
    "licence",
    "limit",
    "lines",
    "network",
    "route",
    "scope",
    "site",
    "verdict",
)

CaseFunction = Callable[[Any, Parameters, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``documentation`` is the module's docstring: title, formula, reading, what it does not say."""

    code: str
    title: str
    family: str | None
    partition: str
    find: Callable[[Books, Parameters], list[Finding]]
    cases: Mapping[str, CaseFunction]
    documentation: str
    moves_with_the_day: bool


@cache
def checks() -> tuple[Check, ...]:
    """All checks, sorted by code.

    Raises:
        TypeError: a module of the package is no check, or two share a code or a kind of case.
    """
    found = sorted(
        (_check(info.name) for info in pkgutil.iter_modules(package.__path__)), key=lambda check: check.code
    )
    for kind, names in {
        "code": [check.code for check in found],
        "kind of case": [name for check in found for name in check.cases],
    }.items():
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TypeError(f"two checks share the {kind} {', '.join(twice)}")
    return tuple(found)


def _check(name: str) -> Check:
    module = importlib.import_module(f"{package.__name__}.{name}")
    lacking = [attr for attr in ("CODE", "TITLE", "FAMILY", "PARTITION", "find") if not hasattr(module, attr)]
    if lacking or not module.__doc__:
        raise TypeError(f"{module.__name__} is no check: it lacks {', '.join(lacking) or 'a docstring'}")
    if module.PARTITION not in PARTITIONS:
        raise TypeError(
            f"{module.__name__}: PARTITION is {module.PARTITION!r}, not one of {', '.join(PARTITIONS)}"
        )
    cases = dict(getattr(module, "CASES", {}))
    moves = getattr(module, "MOVES_WITH_THE_DAY", False)
    return Check(
        module.CODE, module.TITLE, module.FAMILY, module.PARTITION, module.find, cases, module.__doc__, moves
    )
