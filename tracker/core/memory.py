"""What memory a process took."""

from __future__ import annotations

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
