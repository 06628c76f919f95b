"""Arrays as the bytes that a share of a run carries from one stage to the next."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np

Array = np.ndarray


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Arrays by name as bytes; nothing in them can be run when they are read.

    >>> {name: found.tolist() for name, found in unpacked(packed({"lines": np.array([3, 5])})).items()}
    {'lines': [3, 5]}
    """
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpacked(scratch: bytes | memoryview) -> dict[str, Array]:
    """The arrays again."""
    with np.load(BytesIO(bytes(scratch)), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
