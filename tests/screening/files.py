"""Small SYNTHETIC files of lists, in the formats of their publishers."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tracker.screening.lists import HEADER


def csl_row(name: str, **given: str) -> dict[str, str]:
    """A row of the CSV of today."""
    row = dict.fromkeys(HEADER, "") | {
        "source": "Entity List (EL) - Bureau of Industry and Security",
        "name": name,
        "addresses": "1 Synthetic Road, Shenzhen, CN",
        "federal_register_notice": "99 FR 1",
        "start_date": "2023-10-17",
        "license_requirement": "For all items subject to the EAR (See §744.11 of the EAR)",
        "source_list_url": "https://example.org/list",
    }
    return row | given


def csl_csv(*rows: dict[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def ftm(*entities: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(entity, ensure_ascii=False) for entity in entities).encode()


def company(key: str, *names: str, **properties: Any) -> dict[str, Any]:
    return {
        "id": key,
        "caption": names[0],
        "schema": "Company",
        "properties": {"name": list(names)} | properties,
        "target": True,
    }


def sanction(key: str, of: str, **properties: list[str]) -> dict[str, Any]:
    return {"id": key, "schema": "Sanction", "properties": {"entity": [of]} | properties, "target": False}
