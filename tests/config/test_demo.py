"""The first command of the README, as a user runs it: real servers, a real worker, the site; at its end nothing is left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(state: Path) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "PYTEST_XDIST_WORKER")
    }
    return kept | {"TRACKER_STATE": str(state), "TRACKER_NO_BOOTSTRAP": "1"}


def text_of(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.read().decode()


def test_the_demo_serves_what_it_found_and_stops_all_it_started(tmp_path):
    port, command = free_port(), [sys.executable, "manage.py"]
    options = {"cwd": settings.BASE_DIR, "env": environment(tmp_path / "state")}
    with open(tmp_path / "out", "wb") as out:
        demo = subprocess.Popen(
            [*command, "demo", "--serve", "--port", str(port)], stdout=out, stderr=out, **options
        )
    try:
        until = time.monotonic() + 150
        while "Serving until Ctrl-C" not in (said := (tmp_path / "out").read_text()):
            assert demo.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.3)
        time.sleep(0.5)
        said = (tmp_path / "out").read_text()
        assert "10 discrepancies" in said
        assert re.search(r"user admin, password \S{12,}", said)
        report = Path(re.search(r"The report: +(\S+)", said)[1])
        assert "115,000" in report.read_text()
        site = f"http://127.0.0.1:{port}"
        assert "Where do AI chips go" in text_of(f"{site}/")
        assert '"mega-136k"' in text_of(f"{site}/api/v1/claims/mega-136k/")
        again = subprocess.run(
            [*command, "demo"], capture_output=True, text=True, check=True, timeout=60, **options
        )
        assert "Nothing has changed since run" in again.stdout
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)
        subprocess.run([*command, "services", "down"], capture_output=True, check=False, **options)
    assert demo.returncode == 0
    assert "Stopping." in (tmp_path / "out").read_text()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"127.0.0.1:{port}" not in left
