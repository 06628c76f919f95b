"""What a process says of its memory."""

from __future__ import annotations

import ctypes

from tracker.core import memory


def test_a_process_holds_some_megabytes():
    assert 5 < memory.peak_mb() < 10_000


def test_giving_back_does_nothing_where_the_c_library_cannot(monkeypatch):
    memory.give_back()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.give_back()
