"""Health checks for containers: ``python -m config.probe web | worker | beat`` ends with 0 where that process is well."""

import os
import socket
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PORT = 8000
SILENCE = 60  # seconds without a turn after which the clock counts as stopped


def sign_of_life() -> Path:
    """The file that the clock touches at each turn, at least every few seconds."""
    return Path(tempfile.gettempdir()) / "tracker-beat"


def web() -> bool:
    """The web server answers, asked by the first of its own names (it refuses any other)."""
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".")
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/healthz", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - the address is fixed above
        return bool(response.status == 200)


def worker() -> bool:
    """The worker of this machine answers over the queue."""
    from config.celery import app

    app.conf.broker_transport_options |= {"max_retries": 1}  # an answer now, not after the queue is back
    return bool(app.control.ping([f"celery@{socket.gethostname()}"], timeout=5))


def beat() -> bool:
    """The clock has turned within the last minute."""
    return time.time() - sign_of_life().stat().st_mtime < SILENCE


def main(argv: list[str]) -> int:
    """0 where the named process is well, 1 where it is not, 2 for an unknown name."""
    probes = {"web": web, "worker": worker, "beat": beat}
    if len(argv) != 1 or argv[0] not in probes:
        print(f"Say one of: {', '.join(probes)}.", file=sys.stderr)
        return 2
    try:
        return 0 if probes[argv[0]]() else 1
    except Exception as error:  # whatever failed, the process is not well
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
