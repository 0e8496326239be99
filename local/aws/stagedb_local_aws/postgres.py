"""A real PostgreSQL server behind each RDS instance.

As on RDS, the superuser (`rdsadmin`) belongs to the service, and the customer's master user isn't a
superuser. So anything that needs a superuser already fails here, not only after a deployment.
Durability is off (`fsync`), because all data is disposable.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2 import sql

from stagedb_local_aws import processes

ADMIN = "rdsadmin"
START_SECONDS = 30.0

_SERVER_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "jit": "off",
    "shared_buffers": "16MB",
    "min_wal_size": "4MB",
    "max_wal_size": "64MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_HBA = (
    "# Everyone needs a password, including the service's own superuser.\nhost all all 127.0.0.1/32 scram-sha-256\n"
)


class PostgresError(Exception):
    """The server couldn't be created or started. The text contains the reason."""


class Installation:
    """The binaries, and the directory for clusters and copies of them."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.has_ssl = b"SSL_CTX_new" in (binaries / "postgres").read_bytes()
        self._template = folder / "template"
        self._template_lock = threading.Lock()
        self._running: set[Cluster] = set()

    def prepare(self) -> None:
        """Empties the directory. Nothing in it outlives the process."""
        self._stop_orphans()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        _own(self.folder)
        if os.geteuid() == 0:
            _require_traversable(self.folder)

    def new_cluster(self, name: str) -> Cluster:
        """An empty, stopped cluster. The first one needs an initdb, the others only a copy."""
        return Cluster(self, self.copy(self._initialized_template(), name))

    def restored_cluster(self, files: Path, name: str) -> Cluster:
        return Cluster(self, self.copy(files, name))

    def copy(self, files: Path, name: str) -> Path:
        target = self.folder / name
        shutil.rmtree(target, ignore_errors=True)
        # `cp -a` keeps the owner, and is many times faster than Python code.
        _run(["cp", "-a", str(files), str(target)], privileged=True)
        (target / "postmaster.pid").unlink(missing_ok=True)
        return target

    def discard(self, files: Path) -> None:
        shutil.rmtree(files, ignore_errors=True)

    def stop_all(self, seconds: float = 2.0) -> None:
        clusters = list(self._running)
        for cluster in clusters:
            cluster.signal(signal.SIGINT)
        deadline = time.monotonic() + seconds
        for cluster in clusters:
            cluster.stop(max(0.05, deadline - time.monotonic()))

    def _initialized_template(self) -> Path:
        with self._template_lock:
            if not (self._template / "PG_VERSION").exists():
                password = secrets.token_hex(16)
                password_file = self.folder / "initdb-password"
                _write_private(password_file, password)
                _run(
                    [str(self.binaries / "initdb"), "--pgdata", str(self._template)]
                    + ["--username", ADMIN, "--pwfile", str(password_file)]
                    + ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
                    # Small segments keep clusters and their snapshots small.
                    + ["--wal-segsize", "1", "--no-sync", "--no-instructions"]
                )
                password_file.unlink()
                _write_private(self._template / "admin-password", password)
                (self._template / "pg_hba.conf").write_text(_HBA)
            return self._template

    def _stop_orphans(self) -> None:
        """Stops servers of an earlier process that died without stopping them."""
        for pid_file in self.folder.glob("*/postmaster.pid"):
            with contextlib.suppress(OSError, ValueError):
                pid = int(pid_file.read_text().split("\n", 1)[0])
                if str(pid_file.parent) in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGQUIT)


class Cluster:
    """A server with its data directory."""

    def __init__(self, installation: Installation, directory: Path) -> None:
        self._installation = installation
        self.directory = directory
        self.port = 0
        self._process: subprocess.Popen | None = None

    def use_certificate(self, certificate: str, key: str) -> None:
        _write_private(self.directory / "server.crt", certificate)
        _write_private(self.directory / "server.key", key)

    def start(self) -> None:
        """Returns when the server accepts connections. It keeps its port after a restart."""
        for port in [self.port] if self.port else [_free_port() for _ in range(3)]:
            self.port = port
            self._launch()
            if self._wait_until_it_accepts():
                return
        raise PostgresError(f"Postgres didn't start; see {self._log}")

    def stop(self, seconds: float = 5.0) -> None:
        """Ends connections and stops: first in "fast" mode, then in "immediate" mode."""
        if self._process is None:
            return
        for number, patience in ((signal.SIGINT, seconds), (signal.SIGQUIT, 1.0)):
            self.signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        else:
            self._process.kill()
        self._installation._running.discard(self)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        self.stop(1.0)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    def signal(self, number: int) -> None:
        if self.is_running:
            self._process.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def copy_files(self, name: str) -> Path:
        """Copies the current data, even while the server is running.

        All processes are paused meanwhile, so the copy is like the data after a power failure:
        starting it replays the write-ahead log.
        """
        with self._frozen():
            return self._installation.copy(self.directory, name)

    def create_master_user(self, user: str, password: str, database: str) -> None:
        """Creates what RDS creates for the customer: a powerful role, but not a superuser."""
        role = sql.Identifier(user)
        with self._admin_connection() as cursor:
            cursor.execute("CREATE ROLE rds_superuser NOLOGIN")
            cursor.execute("GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION")
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE IN ROLE rds_superuser PASSWORD %s").format(role),
                (password,),
            )
            cursor.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(role))
            if database and database != "postgres":
                cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), role))

    def set_password(self, user: str, password: str) -> None:
        with self._admin_connection() as cursor:
            cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD %s").format(sql.Identifier(user)), (password,))

    @property
    def _log(self) -> Path:
        return self.directory.with_suffix(".log")

    def _launch(self) -> None:
        options = dict(_SERVER_OPTIONS, port=str(self.port))
        if self._installation.has_ssl and (self.directory / "server.key").exists():
            options["ssl"] = "on"
        arguments = [str(self._installation.binaries / "postgres"), "-D", str(self.directory)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        with open(self._log, "ab") as log:
            self._process = processes.spawn(arguments, signal.SIGINT, stdout=log, stderr=log)
        self._installation._running.add(self)

    def _wait_until_it_accepts(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.is_running and time.monotonic() < deadline:
            try:
                with self._admin_connection():
                    return True
            except psycopg2.OperationalError:
                time.sleep(0.05)
        self.stop(0.5)
        return False

    @contextlib.contextmanager
    def _admin_connection(self) -> Iterator[psycopg2.extensions.cursor]:
        password = (self.directory / "admin-password").read_text()
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=ADMIN, password=password, dbname="postgres", connect_timeout=5
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        if not self.is_running:
            yield
            return
        # The postmaster first: after that, no new process can appear.
        self.signal(signal.SIGSTOP)
        frozen = processes.children_of(self._process.pid)
        try:
            _send(frozen, signal.SIGSTOP)
            processes.wait_until_stopped([self._process.pid, *frozen])
            yield
        finally:
            _send(frozen, signal.SIGCONT)
            self.signal(signal.SIGCONT)


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _run(arguments: list[str], privileged: bool = False) -> None:
    user = {} if privileged else processes.unprivileged()
    done = subprocess.run(arguments, cwd="/", capture_output=True, text=True, check=False, **user)
    if done.returncode != 0:
        raise PostgresError(f"{Path(arguments[0]).name} failed: {done.stderr.strip()[-500:]}")


def _write_private(path: Path, text: str) -> None:
    """Postgres rejects a key that others can read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    _own(path)


def _own(path: Path) -> None:
    if user := processes.unprivileged():
        shutil.chown(path, **user)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _require_traversable(folder: Path) -> None:
    """As root, Postgres runs as `nobody`, who must be able to access the data."""
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            raise PostgresError(
                f"Postgres can't run as root, and the user nobody can't enter {parent}: "
                "set STAGEDB_LOCAL_DIR to a directory that everyone can enter"
            )
