"""The local servers, started for real in folders of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from config import embedded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of this test, with no servers but those the test starts."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("TRACKER_STATE", str(tmp_path / "state"))
    yield tmp_path / "state"
    monkeypatch.setenv("TRACKER_STATE", str(tmp_path / "state"))
    embedded.reset()


def add_row() -> int:
    """Write one row and one key; how many rows there are now."""
    with psycopg.connect(embedded.database_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        counted = connection.execute("SELECT count(*) FROM kept").fetchone()
    with contextlib.closing(redis.Redis.from_url(embedded.redis_url())) as client:
        client.incr("kept")
    assert counted is not None
    return int(counted[0])


def keys() -> int:
    with contextlib.closing(redis.Redis.from_url(embedded.redis_url())) as client:
        return int(client.get("kept") or 0)


def assert_private() -> None:
    """No port is open, and the folder of the sockets is closed to other accounts."""
    assert stat.S_IMODE(embedded.run_dir().stat().st_mode) == 0o700
    with psycopg.connect(embedded.database_url()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    with contextlib.closing(redis.Redis.from_url(embedded.redis_url())) as client:
        assert client.config_get("port") == {"port": "0"}


def postgres_pid() -> int:
    return int((embedded._pg_home() / "pgdata/postmaster.pid").read_text().splitlines()[0])


def valkey_pid() -> int:
    return int((embedded.state_dir() / "valkey/valkey.pid").read_text())


def test_rows_and_keys_outlive_a_kill_of_both_servers(state: Path) -> None:
    embedded.up()
    add_row()
    time.sleep(1.1)  # the append-only file is written to disk once a second
    os.kill(postgres_pid(), signal.SIGKILL)
    os.kill(valkey_pid(), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (embedded.pg_ready() or embedded.valkey_ready()) and time.monotonic() < deadline:
        time.sleep(0.05)

    embedded.up()

    assert keys() == 1
    assert add_row() == 2


def test_a_lock_that_names_another_live_process_does_not_block_a_start(state: Path) -> None:
    embedded.up(fast=True)
    embedded.down()
    data = embedded._pg_home() / "pgdata"
    (data / "postmaster.pid").write_text(
        f"{os.getpid()}\n{data}\n1700000000\n5432\n/nowhere\n\n 1 2\nready   \n"
    )

    embedded.up(fast=True)

    assert add_row() == 1


def test_reset_stops_what_a_killed_test_session_left_behind(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_STATE", str(state / "test/1"))
    embedded.up(fast=True)
    pids = postgres_pid(), valkey_pid()
    monkeypatch.setenv("TRACKER_STATE", str(state))

    embedded.reset()

    assert [embedded._command_line(pid) for pid in pids] == ["", ""]
    assert not state.exists()


def test_an_initialisation_that_was_cut_off_is_done_again(state: Path) -> None:
    data = state / "pgdata"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")

    embedded.up(fast=True)

    assert embedded.pg_ready()


def test_two_checkouts_run_side_by_side_in_private_and_reset_leaves_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = state.with_name("it's the other one")
    embedded.up(fast=True)
    first = embedded.database_url(), embedded.redis_url()
    assert_private()
    add_row()
    monkeypatch.setenv("TRACKER_STATE", str(other))
    embedded.up(fast=True)

    assert {embedded.database_url(), embedded.redis_url()}.isdisjoint(first)
    assert add_row() == 1

    sockets, home, pids = embedded.run_dir(), embedded._pg_home(), (postgres_pid(), valkey_pid())
    embedded.reset()
    assert [path for path in (other, sockets, home) if path.exists()] == []
    assert [embedded._command_line(pid) for pid in pids] == ["", ""]
    monkeypatch.setenv("TRACKER_STATE", str(state))
    assert add_row() == 2


def test_four_starts_at_once_make_one_server(state: Path) -> None:
    start = [sys.executable, "-m", "config.embedded", "up"]
    together = [subprocess.Popen(start, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(4)]

    assert [process.wait(timeout=60) for process in together] == [0, 0, 0, 0]
    assert add_row() == 1


def test_addresses_given_by_the_environment_are_used_and_nothing_is_started(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/ledger")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere:6379/0")

    embedded.up()

    assert embedded.database_url() == "postgresql://somewhere/ledger"
    assert embedded.redis_url() == embedded.broker_url() == "redis://somewhere:6379/0"
    assert not state.exists()


def test_a_path_too_long_for_a_socket_leads_to_a_short_one(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_STATE", str(state / ("long" * 30)))

    assert len(str(embedded.run_dir() / embedded.PG_SOCKET)) <= embedded.SOCKET_MAX
    assert not state.exists()  # asking for an address makes nothing


def test_a_full_disk_is_said_in_one_sentence(state: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full, the file that is always full")
    embedded.up(fast=True)
    embedded.down()
    settings = embedded._pg_home() / "pgdata/tracker.conf"
    settings.unlink()
    settings.symlink_to("/dev/full")

    with pytest.raises(
        embedded.ServicesError, match=r"^The disk that holds .* is full: free some space and try again\.$"
    ):
        embedded.up(fast=True)


def test_a_socket_folder_of_somebody_else_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = state.with_name("strange")
    strange.mkdir()
    link = state.with_name("link")
    link.symlink_to(strange)
    monkeypatch.setattr(embedded, "run_dir", lambda: link)

    with pytest.raises(embedded.ServicesError, match=r"is somebody else's: remove it, or set TRACKER_STATE"):
        embedded.up(fast=True)
    assert list(strange.iterdir()) == []


def test_a_server_that_cannot_start_says_why(state: Path) -> None:
    embedded.up(fast=True)
    embedded.down()
    (embedded._pg_home() / "pgdata/postgresql.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(embedded.ServicesError, match=r"(?s)^PostgreSQL did not start: .*no_such_setting"):
        embedded.up(fast=True)


def test_a_socket_that_another_program_holds_is_named(state: Path) -> None:
    embedded.run_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(embedded.run_dir() / embedded.PG_SOCKET))
        taken.listen(1)

        with pytest.raises(embedded.ServicesError, match=r"held by another program"):
            embedded.up(fast=True)
