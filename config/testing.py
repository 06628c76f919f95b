"""A pytest plug-in (``-p config.testing``): a throw-away PostgreSQL and Valkey for the session.

It must be a plug-in of the command line: pytest-django reads the settings before any conftest.py is loaded.
"""

import fcntl
import itertools
import os
from collections.abc import Iterator
from typing import IO

import pytest

from config import embedded

_held: IO[str] | None = None


def _take_a_folder() -> IO[str]:
    """Point TRACKER_STATE at a folder that no other session uses. Its lock ends with this process, however that ends."""
    base = embedded.state_dir() / "test"
    base.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        handle = open(base / f"{number}.lock", "w")  # noqa: SIM115 - held until the session ends
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            continue
        os.environ["TRACKER_STATE"] = str(base / str(number))
        return handle
    raise AssertionError("counting has no end")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """A wrapper runs before pytest-django's hook of the same name. Workers of xdist use what their parent has started."""
    global _held
    # Of several test processes each has a database of its own, and so a queue of its own on the broker that they share:
    # the workers of one must not take the messages of another.
    os.environ["TRACKER_QUEUE"] = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _held = _take_a_folder()
        embedded.up(fast=True)
    return (yield)


def pytest_unconfigure() -> None:
    global _held
    if _held:
        embedded.down()
        _held.close()
        _held = None
