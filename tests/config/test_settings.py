"""The settings as a fresh clone and as a server read them. Each is a new process: settings are read once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tracker.core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "TRACKER_ENV": "production",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "ledger.example.org, www.example.org",
    "DATABASE_URL": "postgresql://tracker:secret@db.example.org/tracker",
    "REDIS_URL": "redis://valkey.example.org:6379/0",
}
OURS = {*PRODUCTION, "DEBUG", "TRACKER_STATEMENT_TIMEOUT_MS", "TRACKER_STATE", "DJANGO_SETTINGS_MODULE"}


def run(arguments: list[str], given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | given
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def read(expression: str, given: dict[str, str]) -> object:
    """The value of an expression over the settings ``s``, as a process with this environment sees it."""
    code = f"import json; from django.conf import settings as s; print(json.dumps({expression}))"
    done = run(["-c", code], {"DJANGO_SETTINGS_MODULE": "config.settings"} | given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_production_settings_pass_every_deployment_check() -> None:
    deploy = ["-W", "error::DeprecationWarning", "manage.py", "check", "--deploy", "--fail-level", "INFO"]

    done = run(deploy, PRODUCTION)

    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL"])
def test_production_names_the_variable_it_lacks(name: str) -> None:
    done = run(["-c", "import config.settings"], PRODUCTION | {name: ""})

    assert done.stderr.splitlines()[-1].startswith(
        f"django.core.exceptions.ImproperlyConfigured: {name} is not set: "
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"DEBUG": "true"}, "DEBUG shows settings"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS names '*'"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter than 50 characters"),
        ({"TRACKER_RUN_LEASE_MINUTES": "0"}, "TRACKER_RUN_LEASE_MINUTES is 0: it must be 1 or more"),
        ({"TRACKER_ENV": "prod"}, "TRACKER_ENV is 'development' or 'production', not 'prod'"),
    ],
)
def test_production_refuses_what_would_be_unsafe(wrong: dict[str, str], sentence: str) -> None:
    done = run(["-c", "import config.settings"], PRODUCTION | wrong)

    assert sentence in done.stderr.splitlines()[-1]


def test_a_fresh_clone_starts_without_any_variable_and_keeps_its_own_key(tmp_path: Path) -> None:
    state = {"TRACKER_STATE": str(tmp_path / "state")}

    first, second = (read("[s.SECRET_KEY, s.DEBUG]", state) for _ in range(2))
    other = read("[s.SECRET_KEY, s.DEBUG]", {"TRACKER_STATE": str(tmp_path / "other")})

    assert first == second
    assert first != other
    assert first[1] is False  # type: ignore[index]
    assert (tmp_path / "state/secret_key").stat().st_mode & 0o077 == 0


def test_only_the_web_limits_the_time_of_a_query() -> None:
    options = "s.DATABASES['default'].get('OPTIONS', {}).get('options')"

    assert read(f"[__import__('config.wsgi') and {options}][0]", {}) == "-c statement_timeout=30000"
    assert read(options, {}) is None


def test_every_shared_task_binds_to_the_project_s_own_queue() -> None:
    from celery import current_app

    from config import embedded

    assert current_app.conf.broker_url == embedded.broker_url()
    assert current_app.conf.task_acks_late is True
    assert current_app.conf.worker_prefetch_multiplier == 1


def test_one_version_is_told_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION


def test_the_lists_of_packages_name_no_host_and_no_folder_and_every_package_has_a_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        assert "://" not in text, path.name
        assert "--index-url" not in text, path.name
        assert "--find-links" not in text, path.name
        packages = [block for block in text.split("\n") if "==" in block and not block.startswith(" ")]
        assert packages, path.name
        assert all(line.endswith("\\") for line in packages), path.name  # a hash follows
