"""One small ledger, taken once: its tables joined by model, and its truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tracker.generator.plan import Ledger
from tracker.generator.tables import Ref, Settings

SETTINGS = Settings(lines=2_000, seed=7)


@dataclass
class Taken:
    """A ledger as columns by model: ``column("Shipment", "chip")`` gives places, values or dates, row by row."""

    ledger: Ledger
    columns: dict[str, dict[str, list[Any]]]
    truth: dict[str, Any]

    def column(self, model: str, name: str) -> np.ndarray:
        return np.array(self.columns[model][name])

    def slugs(self, model: str) -> set[str]:
        return set(self.columns[model]["reference" if model in ("Shipment", "Licence") else "slug"])


def take(settings: Settings) -> Taken:
    ledger, columns = Ledger(settings), {}
    for table in ledger.tables():
        rows = columns.setdefault(table.model, {})
        for name, value in table.columns.items():
            value = value.places if isinstance(value, Ref) else value
            rows.setdefault(name, []).extend(
                value if isinstance(value, (np.ndarray, list)) else [value] * table.count
            )
    return Taken(ledger, columns, ledger.truth())


@pytest.fixture(scope="session")
def taken() -> Taken:
    return take(SETTINGS)
