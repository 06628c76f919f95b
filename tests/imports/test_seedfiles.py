"""The columns say the same as the tables, and a row obeys what the tables demand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import models

from tracker.imports.columns import Refused
from tracker.imports.seedfiles import FILES, ROLES
from tracker.imports.services import TABLES
from tracker.models import Organization

FLAT = [
    (table.spec.name, column, table.model._meta.get_field(column.name))
    for table in TABLES
    if len({field.name for field in table.model._meta.fields} & {c.name for c in table.spec.columns}) > 3
    for column in table.spec.columns
    if column.name in {field.name for field in table.model._meta.fields}
]
IDS = [f"{name}-{column.name}" for name, column, _ in FLAT]


def accepts(column, cell: str) -> bool:
    try:
        column.parser(cell)
    except Refused:
        return False
    return True


def test_every_column_reaches_a_field():
    reached = {(name, column.name) for name, column, _ in FLAT}
    children = {"aliases", "members", "users", "status", "status_from", "conflicts_with", "claims"}
    for name, spec in FILES.items():
        for column in spec.columns:
            if name not in ("data_center_parts.csv", "licence_items.csv", "stakes.csv"):
                assert (name, column.name) in reached or column.name in children, (name, column.name)


@pytest.mark.parametrize(("name", "column", "field"), FLAT, ids=IDS)
def test_a_column_takes_what_its_field_takes_and_no_more(name, column, field):
    if isinstance(field, models.DecimalField):
        places, whole = field.decimal_places, field.max_digits - field.decimal_places
        limit = {"latitude": "89", "longitude": "179", "share_percent": "99"}.get(field.name, "9" * whole)
        assert accepts(column, f"{limit}.{'9' * places}")
        assert not accepts(column, f"1.{'0' * places}1")
        assert not accepts(column, "9" * (whole + 1))
    elif field.name == "roles":
        assert set(ROLES) == set(Organization.Role.values)
    elif field.choices and len(field.choices) < 60:  # countries have a test of their own
        given = {value for value, _ in field.choices if value} - {"synthetic"}
        with pytest.raises(Refused) as refusal:
            column.parser("no such choice")
        assert set(str(refusal.value).removeprefix("write one of: ").split(", ")) == given
    elif isinstance(field, models.CharField) and field.max_length and field.name not in ("archive_sha256",):
        if field.name.endswith("country"):
            return
        longest = (
            "https://a.b/".ljust(field.max_length, "c")
            if isinstance(field, models.URLField)
            else "a" * field.max_length
        )
        assert accepts(column, longest)
        assert not accepts(column, longest + "a")


def checks(file: str, **values) -> list[tuple[str, str]]:
    spec = FILES[file]
    row = {column.name: column.blank for column in spec.columns} | values
    return [found for check in spec.checks if (found := check(row))]


CLAIM = {"slug": "a", "subject": "nvidia", "best": Decimal(5)}


def test_a_claim_of_one_figure_stands():
    assert checks("claims.csv", **CLAIM) == []


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"subject": None}, "subject"),
        ({"chip": "h100", "family": "hopper"}, "family"),
        ({"best": None}, "bound"),
        ({"bound": "words"}, "bound"),
        ({"bound": "floor"}, "low"),
        ({"bound": "ceiling"}, "high"),
        ({"low": Decimal(6)}, "best"),
        ({"low": Decimal(6), "best": None, "high": Decimal(5)}, "high"),
        ({"period_start": date(2025, 1, 2), "period_end": date(2025, 1, 1)}, "period_end"),
        ({"echo_of": "a"}, "echo_of"),
        ({"conflicts_with": ("b", "a")}, "conflicts_with"),
    ],
)
def test_a_claim_that_the_table_would_refuse_is_a_problem_of_its_column(change, column):
    assert [name for name, _ in checks("claims.csv", **(CLAIM | change))] == [column]


SHIPMENT = {"reference": "a", "chip": "h100", "quantity": Decimal(5), "shipped_on": date(2025, 3, 1)}


def test_a_shipment_of_one_chip_stands():
    assert checks("shipments.csv", **SHIPMENT) == []


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"chip": None}, "chip"),
        ({"family": "hopper"}, "chip"),
        ({"quantity": Decimal(0)}, "quantity"),
        ({"onward_of": "a"}, "onward_of"),
        ({"shipped_on_latest": date(2025, 2, 28)}, "shipped_on_latest"),
        ({"received_on": date(2025, 2, 28)}, "received_on"),
        ({"received_on_latest": date(2025, 2, 28)}, "received_on_latest"),
        ({"received_on": date(2025, 3, 9), "received_on_latest": date(2025, 3, 8)}, "received_on_latest"),
    ],
)
def test_a_shipment_that_the_table_would_refuse_is_a_problem_of_its_column(change, column):
    assert [name for name, _ in checks("shipments.csv", **(SHIPMENT | change))] == [column]


@pytest.mark.parametrize(
    ("file", "values", "column"),
    [
        ("stakes.csv", {"owner": "a", "owned": "a"}, "owned"),
        ("stakes.csv", {"valid_from": date(2025, 1, 1), "valid_until": date(2025, 1, 1)}, "valid_until"),
        ("list_entries.csv", {"listed_on": date(2025, 1, 2), "removed_on": date(2025, 1, 1)}, "removed_on"),
        ("licences.csv", {"valid_from": date(2025, 1, 2), "valid_until": date(2025, 1, 1)}, "valid_until"),
        ("licence_items.csv", {}, "chip"),
        ("data_center_parts.csv", {"whole": "a", "part": "a"}, "part"),
        ("site_powers.csv", {"megawatts": Decimal(0)}, "megawatts"),
        ("data_centers.csv", {"status": "planned"}, "source"),
    ],
)
def test_other_rows_that_their_tables_would_refuse_are_problems(file, values, column):
    assert [name for name, _ in checks(file, **values)] == [column]
