"""PostgreSQL's binary COPY format as numpy records: whole tables in and out without a Python object for each value.

Every value must have a fixed width: numbers, dates, and texts cut to a length. Layout: PostgreSQL documentation, COPY, "Binary
Format". A row is a 16-bit count of fields, then for each field a 32-bit length and the value, all big-endian.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NULL = -1

Column = tuple[str, str]
"""Name and numpy type (``i8``, ``f8``, ``i4``, ``i2``, ``?``, ``S3``)."""


def layout(columns: Sequence[Column], null: frozenset[str] = frozenset()) -> np.dtype:
    """The record of one row; columns in ``null`` carry no value."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        fields.append((f"{name} length", ">i4"))
        if name not in null:
            fields.append((name, kind if kind[0] in "S?" else f">{kind}"))
    return np.dtype(fields)


def packed(
    rows: Mapping[str, np.ndarray], columns: Sequence[Column], null: frozenset[str] = frozenset()
) -> bytes:
    """Columns as the body of a COPY, without header and trailer; those in ``null`` are written as NULL."""
    shape = layout(columns, null)
    out = np.zeros(len(rows[columns[0][0]]), shape)
    out["fields"] = len(columns)
    for name, kind in columns:
        out[f"{name} length"] = NULL if name in null else np.dtype(kind).itemsize
        if name not in null:
            out[name] = rows[name]
    return out.tobytes()


def unpacked(data: bytes | bytearray | memoryview, columns: Sequence[Column]) -> np.ndarray:
    """The rows of a body of COPY (no header, no trailer).

    Raises:
        ValueError: a value is NULL or has not the width of its column.
    """
    shape = layout(columns)
    if len(data) % shape.itemsize:
        raise ValueError("a value of the copied rows is NULL or has not the width of its column")
    rows = np.frombuffer(data, shape)
    for name, kind in columns:
        if len(rows) and not (rows[f"{name} length"] == np.dtype(kind).itemsize).all():
            raise ValueError(f"column {name}: a value is NULL or is not {np.dtype(kind).itemsize} bytes wide")
    return rows
