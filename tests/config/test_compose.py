"""docker-compose.yml and the Dockerfile held against the project: no container is started here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from celery.bin.celery import celery as celery_group
from django.core.management import get_commands

from config import probe
from config.beat import Scheduler

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
GIVEN = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "ledger.example.org",
    "POSTGRES_PASSWORD": "0a1b",
    "VALKEY_PASSWORD": "2c3d",
}


def filled_in(text: str) -> str:
    """A value of the compose file as docker compose reads it with the variables of GIVEN."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.group(1), match.group(2), match.group(3) or ""
        if operator == ":-":
            return GIVEN.get(name, rest)
        return GIVEN[name]

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


def environment(service: str) -> dict[str, str]:
    given = {name: filled_in(str(value)) for name, value in SERVICES[service]["environment"].items()}
    return {"PATH": os.environ["PATH"], "TRACKER_NO_BOOTSTRAP": "1"} | given


@pytest.mark.parametrize("service", OURS)
def test_a_service_gets_every_variable_that_production_settings_require(service: str) -> None:
    given = environment(service)
    assert given["TRACKER_ENV"] == "production"

    done = subprocess.run(
        [sys.executable, "-c", "from config.settings import PRODUCTION; print(PRODUCTION)"],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == "True", done.stderr


def test_every_secret_is_demanded_and_none_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if re.match(r"[A-Z]", line)
    )

    for name in GIVEN:
        assert f"${{{name}:?" in text
        assert f"${{{name}}}" not in text
        assert f"${{{name}:-" not in text
        assert example[name] == ""


def test_every_service_that_stays_up_restarts_and_has_a_health_check() -> None:
    staying = {name for name, service in SERVICES.items() if service.get("restart") == "unless-stopped"}

    assert set(SERVICES) - staying == {"migrate"}
    assert {name for name, service in SERVICES.items() if "healthcheck" in service} == staying


def test_only_the_web_is_published_and_only_to_this_host() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"web"}
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["web"]["ports"])
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_the_database_keeps_its_rows_where_this_version_of_the_image_wants_them() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("service", OURS)
def test_our_own_containers_can_write_nothing_but_their_data(service: str) -> None:
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]


def test_every_command_of_celery_and_of_manage_py_is_real() -> None:
    celery_commands: dict[str, Any] = celery_group.commands
    for service in OURS:
        match SERVICES[service]["command"]:
            case ["celery", "--app", "config.celery", name, *options]:
                command = celery_commands[name]
                command.make_parser(click.Context(command)).parse_args(list(options))
            case ["python", "manage.py", name, *_]:
                assert name in get_commands()
            case ["gunicorn", *_]:
                pass  # the next test starts it
            case other:
                pytest.fail(f"unknown command {other}")


def test_gunicorn_accepts_its_options_and_finds_the_application() -> None:
    options = SERVICES["web"]["command"][1:]
    check = [sys.executable, "-m", "gunicorn", "--check-config", *options]

    done = subprocess.run(
        check, cwd=ROOT, env=environment("web"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", ["web", "worker", "beat"])
def test_a_health_check_fails_while_its_process_is_down(service: str) -> None:
    check = SERVICES[service]["healthcheck"]["test"]
    assert check == ["CMD", "python", "-m", "config.probe", service]
    given = environment(service) | {
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "TMPDIR": str(ROOT / "requirements"),
    }

    done = subprocess.run(
        [sys.executable, *check[2:]],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert re.match(r"(URLError|OperationalError|FileNotFoundError): ", done.stderr)


def test_the_clock_is_well_while_it_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probe.tempfile, "tempdir", str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django_celery_beat.schedulers.DatabaseScheduler.tick", lambda self: 5.0)
        Scheduler.tick(object.__new__(Scheduler))

    assert probe.main(["beat"]) == 0
    long_ago = time.time() - 2 * probe.SILENCE
    os.utime(probe.sign_of_life(), (long_ago, long_ago))
    assert probe.main(["beat"]) == 1


def test_the_image_installs_locked_packages_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()

    assert any("--require-hashes" in line and "/requirements.txt" in line for line in lines)
    assert [line for line in lines if line.startswith("USER ")] == ["USER tracker"]
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source.split("/")[0] for source in copied} <= kept
