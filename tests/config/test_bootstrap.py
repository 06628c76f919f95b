"""The set-up of a bare machine, without a network: the installer is replaced by a small program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv as standard_venv
from pathlib import Path
from types import SimpleNamespace

import pytest

from config import bootstrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with three lists of packages and no .venv; the environment is made without its installer, in no time."""
    (tmp_path / "requirements").mkdir()
    for name in bootstrap.LISTS:
        (tmp_path / f"requirements/{name}.txt").write_text(f"# {name}\n")
    monkeypatch.setattr(bootstrap, "BASE", tmp_path)
    monkeypatch.setattr(bootstrap, "works", lambda python: python.exists())
    return tmp_path


@pytest.fixture
def commands(base: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the set-up has run; making the environment works, installing does nothing."""
    seen: list[list[str]] = []

    def run(command: list[str], failure: str) -> None:
        seen.append(command)
        if "venv" in command:
            standard_venv.create(base / ".venv", with_pip=False)

    monkeypatch.setattr(bootstrap, "run", run)
    return seen


def installed(commands: list[list[str]]) -> list[str]:
    return [Path(command[-1]).stem for command in commands if "install" in command]


def test_an_old_python_is_told_which_one_to_use(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "sys", SimpleNamespace(version_info=(3, 10, 4)))

    with pytest.raises(bootstrap.SetupError) as refused:
        bootstrap.set_up(base / ".venv", "app")

    assert (
        str(refused.value)
        == "this is Python 3.10, and the project needs 3.11 or newer: start it with python3.11."
    )
    assert not (base / ".venv").exists()


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        (
            "WARNING: Retrying ... Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
            "the package index cannot be reached; check the network and start again.",
        ),
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "the disk is full; free some space and start again.",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "a package is not the one that was locked; nothing was trusted, see requirements/.",
        ),
    ],
)
def test_a_failed_installation_says_why_in_one_sentence(printed: str, sentence: str) -> None:
    fail = [sys.executable, "-c", f"print({printed!r}); raise SystemExit(1)"]

    with pytest.raises(bootstrap.SetupError) as failed:
        bootstrap.run(fail, "the packages could not be installed")

    assert str(failed.value) == f"the packages could not be installed: {sentence}"


def test_a_failed_installation_leaves_no_stamp_and_the_next_start_repairs_it(
    base: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = base / ".venv"
    bootstrap.set_up(venv, "app")
    (base / "requirements/app.txt").write_text("# app, changed\n")
    working = bootstrap.run

    def broken(command: list[str], failure: str) -> None:
        raise bootstrap.SetupError("no network")

    monkeypatch.setattr(bootstrap, "run", broken)
    with pytest.raises(bootstrap.SetupError):
        bootstrap.set_up(venv, "app")
    assert not bootstrap.is_complete(venv, "app")
    assert not bootstrap.stamp_path(venv).exists()

    monkeypatch.setattr(bootstrap, "run", working)
    assert bootstrap.set_up(venv, "app") is True
    assert bootstrap.is_complete(venv, "app")


def test_a_larger_list_serves_for_a_smaller_and_is_never_taken_away(
    base: Path, commands: list[list[str]]
) -> None:
    venv = base / ".venv"

    assert bootstrap.set_up(venv, "dev") is True
    assert bootstrap.set_up(venv, "app") is False
    (base / "requirements/dev.txt").write_text("# dev, changed\n")
    assert bootstrap.set_up(venv, "app") is True

    assert installed(commands) == ["dev", "dev"]


def test_an_environment_without_a_working_python_is_made_anew(base: Path, commands: list[list[str]]) -> None:
    venv = base / ".venv"
    bootstrap.set_up(venv, "app")
    (venv / "bin/python").unlink()

    bootstrap.set_up(venv, "app")

    assert [command[2] for command in commands if "venv" in command] == ["venv", "venv"]
    assert bootstrap.is_complete(venv, "app")


def test_every_installation_checks_hashes_and_compiles_nothing(base: Path, commands: list[list[str]]) -> None:
    bootstrap.set_up(base / ".venv", "app")

    command = commands[-1]
    assert "--require-hashes" in command
    assert command[command.index("--only-binary") + 1] == ":all:"


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(
    base: Path, commands: list[list[str]]
) -> None:
    (base / ".venv.lock").mkdir()  # stands for any refusal of the system: root may write everywhere

    with pytest.raises(
        bootstrap.SetupError, match=r"^Is a directory \(.*\.venv\.lock\); free or open it and start again\.$"
    ):
        bootstrap.set_up(base / ".venv", "app")


def test_where_the_packages_are_already_there_nothing_is_set_up(tmp_path: Path) -> None:
    """As in a container: this Python has Django and is not the checkout's .venv."""
    shutil.copy(ROOT / "manage.py", tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    environment = os.environ | {"TRACKER_STATE": str(tmp_path / "state")}

    done = subprocess.run(
        [sys.executable, "manage.py", "services", "status"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / ".venv").exists()
