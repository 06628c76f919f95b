"""Make ``python3 manage.py ...`` work on a machine that has only Python with venv: standard library only.

``.venv`` is filled from one of three lists, each holding all of the one before: ``requirements/app.txt`` runs
the ledger, ``test.txt`` adds the tests, ``dev.txt`` the linters and the browser. The stamp in ``.venv`` names
the list that is installed and its hash; it is removed before anything changes and written last, so an
installation that was cut off is done again.

Does nothing with TRACKER_NO_BOOTSTRAP set, or where Django can be imported outside ``.venv`` (a container
image).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
LISTS = ("app", "test", "dev")
WANTED = {"test": "test", "check_all": "dev"}  # by command; every other command needs the first list
OLDEST = (3, 11)
# What pip and uv print without a network; with every version locked, "no matching" means that no index answered.
UNREACHABLE = (
    "Failed to establish a new connection",
    "NameResolutionError",
    "ConnectTimeout",
    "ProxyError",
    "No matching distribution found",
    "error sending request",
)


class SetupError(RuntimeError):
    """.venv could not be made or filled; the text is one sentence that says what to do."""


def ensure(argv: list[str]) -> None:
    """Return when this process can import what its command needs; otherwise set that up and start again inside ``.venv``."""
    venv = BASE / ".venv"
    inside = Path(sys.prefix).resolve() == venv.resolve()
    if os.environ.get("TRACKER_NO_BOOTSTRAP") or (not inside and importlib.util.find_spec("django")):
        return
    try:
        changed = set_up(venv, WANTED.get("".join(argv[1:2]), LISTS[0]))
    except SetupError as error:
        sys.exit(f"setup: {error}")
    if changed or not inside:
        os.execv(venv / "bin/python", [str(venv / "bin/python"), *argv])  # noqa: S606


def set_up(venv: Path, wanted: str) -> bool:
    """Bring ``venv`` to at least the list ``wanted``; whether anything was installed. One process at a time."""
    if is_complete(venv, wanted):
        return False
    check_python()
    try:
        with open(BASE / ".venv.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_complete(venv, wanted):  # another process has just done it
                return False
            wanted = max(
                wanted, installed_list(venv), key=LISTS.index
            )  # never take away what a developer has
            stamp_path(venv).unlink(missing_ok=True)
            install(venv, wanted)
            stamp_path(venv).write_text(f"{wanted} {digest(wanted)}\n")
    except OSError as error:
        raise SetupError(
            f"{error.strerror or error} ({error.filename or venv}); free or open it and start again."
        ) from error
    return True


def check_python() -> None:
    """Refuse a Python that is too old, or one without the venv module (some systems package it apart)."""
    if sys.version_info < OLDEST:
        have, need = (".".join(str(part) for part in version[:2]) for version in (sys.version_info, OLDEST))
        raise SetupError(
            f"this is Python {have}, and the project needs {need} or newer: start it with python{need}."
        )
    if not importlib.util.find_spec("ensurepip"):
        raise SetupError(
            "this Python cannot make virtual environments: install the system's python3-venv package."
        )


# --- the stamp ------------------------------------------------------------------------------------


def stamp_path(venv: Path) -> Path:
    return venv / ".installed"


def requirements(name: str) -> Path:
    return BASE / "requirements" / f"{name}.txt"


def digest(name: str) -> str:
    return hashlib.sha256(requirements(name).read_bytes()).hexdigest()


def installed_list(venv: Path) -> str:
    """The list that was installed last, be it out of date; the smallest where nothing is known."""
    stamp = stamp_path(venv)
    words = stamp.read_text().split() if stamp.exists() else []
    return words[0] if words and words[0] in LISTS else LISTS[0]


def is_complete(venv: Path, wanted: str) -> bool:
    """Whether ``venv`` holds at least the list ``wanted``, as it reads today."""
    stamp = stamp_path(venv)
    if not stamp.exists() or not (venv / "bin/python").exists():
        return False
    name = installed_list(venv)
    return LISTS.index(name) >= LISTS.index(wanted) and stamp.read_text().split()[1:] == [digest(name)]


# --- the installation -----------------------------------------------------------------------------


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def install(venv: Path, name: str) -> None:
    """Make ``venv`` where it is absent or broken, and install one list with its hashes, wheels only."""
    python = venv / "bin/python"
    if not works(python):
        say("making .venv")
        run([sys.executable, "-m", "venv", "--clear", str(venv)], "the virtual environment could not be made")
    say(f"installing requirements/{name}.txt (the first time takes about half a minute)")
    uv = shutil.which("uv")
    installer = (
        [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    )
    options = ["-q", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements(name))]
    run([*installer, *options], "the packages could not be installed")


def works(python: Path) -> bool:
    """Whether the environment's Python starts and has its installer: an interrupted venv may have neither."""
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def run(command: list[str], failure: str) -> None:
    done = subprocess.run(
        command,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
        check=False,
    )
    if done.returncode:
        raise SetupError(f"{failure}: {cause(done.stdout)}")


def cause(output: str) -> str:
    """One sentence for what an installer has printed."""
    if "No space left on device" in output:
        return "the disk is full; free some space and start again."
    if any(sign in output for sign in UNREACHABLE):
        return "the package index cannot be reached; check the network and start again."
    if "DO NOT MATCH THE HASHES" in output or "Hash mismatch" in output:
        return "a package is not the one that was locked; nothing was trusted, see requirements/."
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "the installer gave no reason."
