"""What a proof says: things looked at, and rows that do not hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that does not hold: ``table`` and ``id`` name it, ``stored`` is what it says, ``expected`` what it should say,
    ``mend`` what to do about it."""

    check: str
    table: str
    id: int
    stored: str
    expected: str
    mend: str

    def __str__(self) -> str:
        return f"{self.table} {self.id}: stored is {self.stored}; it should be {self.expected}. {self.mend}"


@dataclass(frozen=True, slots=True)
class Looked:
    """What one check found: rows looked at, rows that do not hold, and the first of these."""

    rows: int
    breached: int = 0
    breaches: tuple[Breach, ...] = ()

    def __add__(self, other: Looked) -> Looked:
        return Looked(
            self.rows + other.rows, self.breached + other.breached, (*self.breaches, *other.breaches)
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check of a proof, as it is kept."""

    code: str
    title: str
    looked_at: int
    breached: int
    seconds: float


@dataclass(slots=True)
class Told:
    """A whole proof, as it is kept: checks in order, the first breaches of each."""

    checks: list[Outcome] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)

    @property
    def looked_at(self) -> int:
        return sum(check.looked_at for check in self.checks)

    @property
    def breached(self) -> int:
        return sum(check.breached for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "looked_at": self.looked_at,
            "breached": self.breached,
            "checks": [asdict(check) for check in self.checks],
            "breaches": [asdict(breach) for breach in self.breaches],
        }
