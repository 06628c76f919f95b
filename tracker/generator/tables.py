"""What the generator is asked for, and the plain tables it answers with.

A :class:`Table` is a model's name and its columns as numpy arrays, lists or single values (the same in every row). It knows no
database: rows are told apart by their place in the table, and :class:`Ref` points at places in another. Missing numbers are NaN,
missing days NaT, missing references -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from tracker.core.errors import BadInput

ERRORS = ("cut", "full")
HONEST_BOOKS = 4
LARGEST_SIZE = 12.0
"""Beyond it, twice the error of a grade B report is more than the report: no figure lies so far below another."""
FIRST_DAY = date(2024, 1, 1)
"""First day of every synthetic ledger: a constant, so that the same seed gives the same rows on any day."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Places in the table of ``model``; -1: no reference."""

    model: str
    places: np.ndarray


@dataclass(frozen=True, slots=True)
class Table:
    """``count`` rows of ``model`` (its Django name); columns not named take the model's defaults."""

    model: str
    count: int
    columns: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settings:
    """How large a ledger, from which seed. ``organizations``: operators, among whom the lines are spread.

    ``sizes``: differences between reports are planted as large as so many standard errors of their comparison, by turns; empty:
    large against every stated error. ``errors``: ``cut``, honest errors end at about two standard deviations, so that an honest
    record agrees with every other and a planted difference is exactly as large as said; ``full``: they are normal, as the method
    reads them, and planted differences have honest errors on top.

    Raises:
        BadInput: a number out of range, or numbers that do not fit together.
    """

    lines: int
    seed: int = 1
    organizations: int = 0
    months: int = 30
    leaks: int = 3
    sizes: tuple[float, ...] = ()
    errors: str = "cut"

    def __post_init__(self) -> None:
        if not self.organizations:
            usual = min(4000, max(60, int(2 * self.lines**0.5)))
            object.__setattr__(self, "organizations", max(usual, 20 * self.leaks))
        _within("lines", self.lines, 1_000, 50_000_000)
        _within("seed", self.seed, 0, 999_999_999)
        _within("organizations", self.organizations, 40, 20_000)
        _within("months", self.months, 12, 36)
        _within("leaks", self.leaks, 0, 60)
        if self.errors not in ERRORS:
            raise BadInput(f"errors is {self.errors!r}; give one of {', '.join(ERRORS)}.")
        if any(not 0 < size <= LARGEST_SIZE for size in self.sizes):
            raise BadInput(
                f"sizes are {self.sizes}; give standard errors above 0 and up to {LARGEST_SIZE:g}."
            )
        if self.months % 3:
            raise BadInput(
                f"months is {self.months}; give a multiple of 3, because claims are made for whole quarters."
            )
        if self.lines < 10 * self.organizations:
            raise BadInput(
                f"{self.lines} lines are too few for {self.organizations} organizations; give at least ten lines for each."
            )
        if self.organizations < 20 * self.leaks:
            raise BadInput(
                f"{self.leaks} leaks of each kind need at least {20 * self.leaks} organizations to hide among,"
                f" not {self.organizations}."
            )

    @property
    def certain_leaks(self) -> int:
        """How many of each kind that rests on arithmetic, and so has no size in standard errors."""
        return min(self.leaks, 3) if self.sizes else self.leaks

    @property
    def closed_books(self) -> int:
        """Books that are declared whole: two kinds of losses, and honest ones."""
        return 2 * self.leaks + HONEST_BOOKS

    @property
    def months_start(self) -> np.ndarray:
        """First days of the months and the day after the last, as days since :data:`FIRST_DAY`; months + 1 numbers."""
        first = np.datetime64(FIRST_DAY, "M")
        starts = np.arange(first, first + self.months + 1).astype("datetime64[D]")
        return (starts - np.datetime64(FIRST_DAY, "D")).astype(np.int64)

    @property
    def days(self) -> int:
        """Days the ledger spans."""
        return int(self.months_start[-1])

    @property
    def claim_days(self) -> np.ndarray:
        """Last days of the last four quarters, as days since :data:`FIRST_DAY`: what claims speak of."""
        return self.months_start[[-10, -7, -4, -1]] - 1

    def slug(self, stem: str) -> str:
        """The name of a record, which tells anybody that it is synthetic, and from which seed."""
        return f"synthetic-{self.seed}-{stem}"

    def name(self, stem: str) -> str:
        return f"Synthetic {stem} (seed {self.seed})"

    @property
    def title(self) -> str:
        """Title of every source of this ledger."""
        return f"SYNTHETIC ledger, seed {self.seed}"


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadInput(f"{name} is {value}; give a whole number from {low:,} to {high:,}.")


def dice(settings: Settings, *stream: int) -> np.random.Generator:
    """A random generator for one purpose (``stream``), so that no purpose disturbs another."""
    return np.random.Generator(
        np.random.PCG64([settings.seed, settings.lines, settings.organizations, *stream])
    )


def as_date(days: np.ndarray) -> np.ndarray:
    """Days since :data:`FIRST_DAY` as dates; NaN becomes NaT."""
    counts = np.asarray(days, dtype=float)
    known = np.isfinite(counts)
    dates = np.datetime64(FIRST_DAY, "D") + np.where(known, counts, 0).astype("timedelta64[D]")
    return np.where(known, dates, np.datetime64("NaT", "D"))


def zipf(count: int, steepness: float = 1.0) -> np.ndarray:
    """Shares that sum to 1: the first takes most, the r-th in proportion to 1 / r**steepness."""
    weights = 1.0 / np.arange(1, count + 1) ** steepness
    return weights / weights.sum()


def drawn(random: np.random.Generator, shares: np.ndarray, count: int) -> np.ndarray:
    """``count`` places drawn with the given shares."""
    return np.minimum(np.searchsorted(np.cumsum(shares), random.random(count), side="right"), len(shares) - 1)
