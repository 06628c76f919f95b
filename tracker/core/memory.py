"""What memory a process took, and giving back what it no longer needs."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage


def peak_mb() -> int:
    """The most memory this process has held, in MB.

    From Linux's own account where there is one: ``getrusage`` also counts what the parent held before it started this process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        told = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), "")
        if told:
            return int(told.split()[1]) // 1024
    return int(getrusage(RUSAGE_SELF).ru_maxrss // 1024)


def give_back() -> None:
    """Give freed memory back to the system: glibc keeps what large arrays left between small ones, and a worker lives for days.

    Does nothing where the C library has no such call.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
