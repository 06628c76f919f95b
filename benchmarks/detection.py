"""How many planted differences the engine finds, and how many of its findings are true, by kind and size, on SYNTHETIC ledgers.

    .venv/bin/python -m benchmarks.detection [--lines 4000] [--leaks 6] [--seeds 2] [--sizes 1,2,3,4,6,10] [--errors cut full]

For each seed a ledger is generated, reconciled by a whole run under the real rules, and the findings are held against its truth
file, in a database of its own ("benchmark_detection") that is dropped at the end. Differences between reports are planted by
turns in the sizes given, in standard errors of the comparison that should see them; kinds that rest on arithmetic have no size.

- *Errors cut*: honest errors end at about two standard deviations, and a planted difference is exactly as large as said.
- *Errors in full*: every figure errs as the method reads it, and planted differences have honest errors on top: of those of size
  k the reports differ by a normal amount around k. Here the control of false alarms does its work.

Recall: planted differences that a reported finding names (check, area, scope). Precision: reported findings that name one. Both
with 95 % intervals (Clopper and Pearson 1934). The aims are a recall above 0.95 and a precision above 0.9 for sizes above 3.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter
from typing import Any

from scipy.stats import binomtest

ABOVE = 3.0
AIMS = {"recall": 0.95, "precision": 0.9}
VERDICTS = {
    "over licence": "over licence", "licence before validity": "used before it was valid",
    "licence by another party": "used by another party", "licence drawn twice": "drawn twice", "ratio exceeded": "over ratio",
}  # fmt: skip
"""How a finding names a leak, for the checks that tell several things of one area and scope apart."""

Name = tuple[str, str, str, str]
"""What a finding and a leak must share: check, area, scope, and the verdict where one check tells several things apart."""


def named(check: str, area: str, scope: str, verdict: str) -> Name:
    """The name of a finding."""
    return check, area, scope, next((words for words in VERDICTS.values() if verdict.startswith(words)), "")


def name_of(leak: Mapping[str, Any]) -> Name:
    """The name under which a leak of a truth file is to be found."""
    return leak["check"], leak["area"], leak["scope"], VERDICTS.get(leak["kind"], "")


@dataclass
class Tally:
    """Hits among trials."""

    hits: int = 0
    trials: int = 0

    def add(self, hit: bool) -> None:
        self.hits += hit
        self.trials += 1

    @property
    def rate(self) -> float:
        return self.hits / self.trials if self.trials else float("nan")

    def __str__(self) -> str:
        if not self.trials:
            return "-"
        low, high = binomtest(self.hits, self.trials).proportion_ci(0.95)
        return f"{self.rate:.3f} ({low:.2f}-{high:.2f}, {self.hits}/{self.trials})"


@dataclass
class Detection:
    """What was found of what was planted. ``recall`` by kind and size (None: no size), ``precision`` by check; ``beyond``: of
    findings more than 3 standard errors large, and of arithmetic."""

    recall: dict[tuple[str, float | None], Tally] = field(default_factory=lambda: defaultdict(Tally))
    precision: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    beyond: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def add(self, truth: Mapping[str, Any], reported: Iterable[tuple[Name, float | None, str]]) -> None:
        """Count one run: its truth, and its discrepancies as (name, statistic, headline)."""
        found = list(reported)
        names, planted = {name for name, _, _ in found}, {name_of(leak) for leak in truth["leaks"]}
        for leak in truth["leaks"]:
            if leak["standing"] or leak["follows_from"]:
                continue
            hit = name_of(leak) in names
            self.recall[leak["kind"], leak["sigma"]].add(hit)
            if not hit:
                self.missed.append(f"{leak['kind']} of {leak['sigma']} at {leak['area']}, {leak['scope']}")
        for name, statistic, headline in found:
            self.precision[name[0]].add(name in planted)
            if statistic is None or abs(statistic) > ABOVE:
                self.beyond[name[0]].add(name in planted)
            if name not in planted:
                self.false.append(f"{name[0]}: {headline}")

    def overall_recall(self, above: float = ABOVE) -> Tally:
        """Over all kinds, of sizes above so many standard errors or without a size."""
        return _sum(tally for (_, size), tally in self.recall.items() if size is None or size > above)

    def overall_precision(self) -> Tally:
        """Of everything reported."""
        return _sum(self.precision.values())


def _sum(tallies: Iterable[Tally]) -> Tally:
    rows = list(tallies)
    return Tally(sum(one.hits for one in rows), sum(one.trials for one in rows))


def reconciled(
    settings: Any, actor: str = "benchmark"
) -> tuple[dict[str, Any], list[tuple[Name, float | None, str]]]:
    """Generate a ledger in the database at hand and reconcile it as of its last day: its truth and its discrepancies."""
    from tracker.generator.services import generate
    from tracker.models import Finding
    from tracker.reconciliation import services
    from tracker.reconciliation.books import Parameters

    truth = json.loads(generate(settings, actor).truth)
    as_of = date.fromisoformat(truth["last_day"])
    run = services.start_run(actor, as_of=as_of, parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    rows = Finding.objects.filter(run=run, is_discrepancy=True).order_by("id")
    return truth, [(named(f.check_code, f.area, f.scope, f.verdict), f.statistic, f.headline) for f in rows]


def told(detection: Detection, sizes: Sequence[float]) -> str:
    """The tables as text."""
    lines = ["Recall by kind and size in standard errors"]
    kinds = sorted(
        {kind for kind, _ in detection.recall}, key=lambda kind: (("", None) in detection.recall, kind)
    )
    for kind in kinds:
        for size in (None, *sizes):
            if (kind, size) in detection.recall:
                label = "arithmetic" if size is None else f"{size:g}"
                lines.append(f"  {kind:32} {label:>10}  {detection.recall[kind, size]}")
    lines.append("Precision by check: of all findings; of those beyond 3 standard errors and of arithmetic")
    for check in sorted(detection.precision):
        lines.append(f"  {check:12} {detection.precision[check]!s:36} {detection.beyond[check]}")
    recall, precision = detection.overall_recall(), _sum(detection.beyond.values())
    lines.append(
        f"Above 3: recall {recall} (aim {AIMS['recall']}), precision {precision} (aim {AIMS['precision']})"
    )
    lines.append(f"Precision of everything reported: {detection.overall_precision()}")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=4_000)
    parser.add_argument("--leaks", type=int, default=6, help="planted differences of each kind and ledger")
    parser.add_argument("--seeds", type=int, default=2, help="ledgers of each sort of errors")
    parser.add_argument("--sizes", default="1,2,3,4,6,10")
    parser.add_argument("--errors", nargs="+", default=["cut", "full"], choices=["cut", "full"])
    parser.add_argument("--show", action="store_true", help="list what was missed and what is false")
    options = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import embedded

    embedded.up()
    import django

    django.setup()
    from pathlib import Path

    from django.conf import settings
    from django.db import connection

    from tracker.core.services import recording
    from tracker.generator.services import remove
    from tracker.generator.tables import Settings
    from tracker.rules.services import load_rules

    sizes = tuple(float(one) for one in options.sizes.split(","))
    connection.settings_dict["TEST"]["NAME"] = "benchmark_detection"
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        with recording("benchmark", "rules"):
            load_rules(Path(settings.BASE_DIR) / "seeds/rules")
        for errors in options.errors:
            detection, began = Detection(), perf_counter()
            for seed in range(1, options.seeds + 1):
                wanted = Settings(
                    lines=options.lines, seed=seed, leaks=options.leaks, sizes=sizes, errors=errors
                )
                detection.add(*reconciled(wanted))
                remove("benchmark")
            seconds = perf_counter() - began
            print(
                f"\n== Errors {errors}: {options.seeds} ledgers of {options.lines:,} lines, {seconds:.0f} s =="
            )
            print(told(detection, sizes))
            if options.show:
                print("\n".join(("Missed:", *detection.missed, "False:", *detection.false)))
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


if __name__ == "__main__":
    main(sys.argv[1:])
