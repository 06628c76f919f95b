"""How well the matcher tells the same organization from another, on the pairs of tests/screening/labelled.csv.

    python -m benchmarks.screening_accuracy

prints the tables of docs/screening.md. Every query is asked of an index of all listed names of the set, so that candidates are
searched for and not handed over; what counts is the band of the pair that the row is about.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tracker.screening.matching import BANDS, Band, Index, Party, party

LABELLED = Path(__file__).resolve().parents[1] / "tests" / "screening" / "labelled.csv"
NOT_IN_THE_NAME = "other name"
"""Pairs that no comparison of these two names can find: they need an alias. Shown, and left out of the recall."""


@dataclass(frozen=True)
class Pair:
    """A row of the labelled set. ``part``: tuned (looked at while the matcher was made) or held out (written down after)."""

    asked: Party
    listed: Party
    same: bool
    kind: str
    part: str


@dataclass(frozen=True)
class Measured:
    """Each pair with the band it got."""

    outcomes: tuple[tuple[Pair, Band, float], ...]

    def only(self, **wanted: object) -> Measured:
        return Measured(
            tuple(
                o
                for o in self.outcomes
                if all(getattr(o[0], name) == value for name, value in wanted.items())
            )
        )

    @property
    def bands(self) -> Counter[Band]:
        return Counter(band for _, band, _ in self.outcomes)

    @property
    def recall(self) -> float:
        """The share of same organizations that a person gets to see: match or ask."""
        counts = Counter(
            band != Band.NONE for pair, band, _ in self.outcomes if pair.same and pair.kind != NOT_IN_THE_NAME
        )
        return counts[True] / counts.total() if counts else 0.0

    def precision(self, *bands: Band) -> float:
        """The share of pairs in these bands that are the same organization."""
        counts = Counter(pair.same for pair, band, _ in self.outcomes if band in bands)
        return counts[True] / counts.total() if counts else 0.0

    def passed_over(self) -> float:
        """The share of different organizations that nobody has to look at."""
        counts = Counter(band == Band.NONE for pair, band, _ in self.outcomes if not pair.same)
        return counts[True] / counts.total() if counts else 0.0


def pairs(path: Path = LABELLED) -> list[Pair]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    listed = {}
    for row in rows:
        key = (row["listed"], row["listed_country"], row["listed_aliases"])
        aliases = [alias for alias in row["listed_aliases"].split("|") if alias]
        listed.setdefault(key, party(key, row["listed"], aliases, row["listed_country"]))
    return [
        Pair(
            party(number, row["query"], country=row["query_country"]),
            listed[row["listed"], row["listed_country"], row["listed_aliases"]],
            row["label"] == "same",
            row["kind"],
            row["part"],
        )
        for number, row in enumerate(rows)
    ]


@cache
def measured(path: Path = LABELLED) -> Measured:
    found = pairs(path)
    index = Index(list({pair.listed.key: pair.listed for pair in found}.values()))
    answers = index.match([pair.asked for pair in found], limit=len(found))
    return Measured(
        tuple(
            (pair, BANDS.of(score), score)
            for pair, matches in zip(found, answers, strict=True)
            for score in [next((match.score for match in matches if match.listed == pair.listed.key), 0.0)]
        )
    )


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def tables() -> str:
    """Markdown: the figures of the two parts, then each kind of variation."""
    result = measured()
    lines = [
        _line(
            [
                "part",
                "pairs",
                "recall",
                "precision of match",
                "precision of match and ask",
                "others passed over",
            ]
        )
    ]
    lines.append(_line(["---", "--:", "--:", "--:", "--:", "--:"]))
    for name, part in (
        ("tuned", result.only(part="tuned")),
        ("held out", result.only(part="held out")),
        ("all", result),
    ):
        lines.append(
            _line(
                [
                    name, len(part.outcomes), f"{part.recall:.3f}", f"{part.precision(Band.MATCH):.3f}",
                    f"{part.precision(Band.MATCH, Band.ASK):.3f}", f"{part.passed_over():.3f}",
                ]
            )
        )  # fmt: skip
    lines += [
        "",
        _line(["pairs are", "kind", "part", "pairs", "match", "ask", "no match"]),
        _line(["---"] * 3 + ["--:"] * 4),
    ]
    kinds = sorted({(not pair.same, pair.kind, pair.part == "held out") for pair, _, _ in result.outcomes})
    for different, kind, held_out in kinds:
        part = "held out" if held_out else "tuned"
        counts = result.only(same=not different, kind=kind, part=part).bands
        lines.append(
            _line(
                [
                    "different" if different else "same", kind, part, counts.total(), counts[Band.MATCH], counts[Band.ASK],
                    counts[Band.NONE],
                ]
            )
        )  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
