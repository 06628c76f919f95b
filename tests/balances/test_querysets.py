"""Lines come out of the database as columns, in pieces, and leave the connection as it was."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from tests import factories
from tracker.balances import querysets
from tracker.balances.querysets import copied, line_chunks, line_counts, of_scopes
from tracker.balances.reading import LINE, NO_DAY, UNNAMED
from tracker.core.services import recording

pytestmark = pytest.mark.django_db


def lines(at=None, *where) -> np.ndarray:
    found = list(line_chunks(at or timezone.now(), True, *where))
    return np.sort(np.concatenate(found), order="id") if found else np.empty(0, LINE)


def test_a_line_is_read_as_it_is_recorded():
    chip = factories.chip("synthetic-c")
    row = factories.shipment(
        "synthetic-line", chip=chip, quantity=12.5, unit="servers", shipped_on=date(2024, 3, 1), received_on=None, grade="D",
        is_exact=True, bound="", status="in transit", quantity_by_receiver=11, grade_by_receiver="A", destination_country="",
    )  # fmt: skip
    (read,) = lines()
    assert (read["id"], read["scope"], read["quantity"], read["per_unit"]) == (
        row.id,
        chip.id * 2,
        12.5,
        UNNAMED,
    )
    assert (read["by_shipper"], read["by_receiver"], read["grade_by_receiver"]) == (-1, 11, b"A")
    assert (read["shipped"], read["received"]) == ((date(2024, 3, 1) - date(2000, 1, 1)).days, NO_DAY)
    assert (read["origin_country"], read["destination_country"].strip()) == (b"US", b"")
    assert (read["grade"], read["status"], read["kind"], read["bound"], read["exact"]) == (
        b"D",
        b"in ",
        b"t",
        b"-",
        b"x",
    )


def test_lines_come_in_pieces_and_each_once(monkeypatch):
    monkeypatch.setattr(querysets, "CHUNK", 3)
    rows = [factories.shipment(f"synthetic-line-{i}") for i in range(10)]
    pieces = list(line_chunks(timezone.now(), True))
    assert [len(piece) for piece in pieces] == [3, 3, 3, 1]
    assert sorted(np.concatenate(pieces)["id"].tolist()) == [row.id for row in rows]


def test_the_past_is_read_as_it_was_known():
    row = factories.shipment("synthetic-line", quantity=100)
    before = timezone.now()
    with recording("synthetic analyst", "a mend"):
        row.quantity = 90
        row.save()
    assert lines(before)["quantity"].tolist() == [100]
    assert lines()["quantity"].tolist() == [90]
    row.delete()
    assert lines(before)["quantity"].tolist() == [100]
    assert len(lines()) == 0


def test_versions_from_before_lines_had_kinds_are_transfers():
    row = factories.shipment("synthetic-line")
    before = timezone.now()
    row.quantity = 90
    row.save()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE tracker_recordversion SET row = row - 'kind' WHERE table_name = 'tracker_shipment'"
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert lines(before)["kind"].tolist() == [b"t"]


def test_scopes_are_counted_and_chosen():
    one, other = factories.chip("synthetic-a"), factories.chip("synthetic-b")
    family = factories.chip_family("synthetic-f", members=[one])
    for what in ({"chip": one}, {"chip": one}, {"chip": other}, {"chip": None, "family": family}):
        factories.shipment(**what)
    assert line_counts(timezone.now(), True) == {one.id * 2: 2, other.id * 2: 1, family.id * 2 + 1: 1}
    assert len(lines(None, *of_scopes([one.id * 2, family.id * 2 + 1]))) == 3


def test_whoever_gives_up_in_the_middle_leaves_a_connection_that_works(monkeypatch):
    monkeypatch.setattr(querysets, "CHUNK", 2)
    for i in range(9):
        factories.shipment(f"synthetic-line-{i}")
    reading = line_chunks(timezone.now(), True)
    assert len(next(reading)) == 2
    reading.close()
    assert len(lines()) == 9


def test_an_error_of_the_database_is_told():
    factories.chip()
    with transaction.atomic():
        point = transaction.savepoint()
        with pytest.raises(DatabaseError, match="division by zero"):
            list(copied("SELECT 1 / (id - id) FROM tracker_chip", [], (("x", "i8"),)))
        transaction.savepoint_rollback(point)
    assert len(lines()) == 0


def test_a_value_that_has_not_its_width_is_refused():
    with pytest.raises(ValueError, match="NULL or"):
        list(copied("SELECT NULL::bigint", [], (("x", "i8"),)))
