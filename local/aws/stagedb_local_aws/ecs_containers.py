"""A container as a process on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path

from stagedb_local_aws import processes

logger = logging.getLogger("ecs")

Environment = dict[str, str]
DRAIN_SECONDS = 2.0
"""How long output is awaited after the end of a container."""


class Machine:
    """Where containers run."""

    def __init__(self, folder: Path, postgres_bin: Path) -> None:
        self._folder = folder
        self._path = f"{postgres_bin}:/usr/bin:/bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def start(
        self, task_id: str, name: str, command: list[str], environment: Environment, output: Callable[[str], None]
    ) -> Process:
        """Starts a command with nothing but its own environment and directories. Raises OSError if it can't."""
        home = self._folder / f"{task_id}-{name}"
        temporary = home / "tmp"
        temporary.mkdir(parents=True)
        for folder in (home, temporary):
            folder.chmod(0o700)
            if user := processes.unprivileged():
                shutil.chown(folder, **user)
        own = {"PATH": self._path, "HOME": str(home), "TMPDIR": str(temporary)}
        try:
            return Process(command, {**own, **environment}, home, output)
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise


class Process:
    def __init__(self, command: list[str], environment: Environment, home: Path, output: Callable[[str], None]) -> None:
        self._home = home
        self._process = processes.spawn(
            command,
            signal.SIGKILL,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._guard = processes.end_group_with_us(self._process.pid)
        context = copy_context()
        self._reader = threading.Thread(target=context.run, args=(self._read, output), daemon=True)
        self._reader.start()

    def _read(self, output: Callable[[str], None]) -> None:
        for line in self._process.stdout:
            try:
                output(line.decode(errors="replace").rstrip("\r\n"))
            except Exception:
                logger.exception("ECS: a line of output is lost")

    def exit_code(self) -> int | None:
        """None while it's running. After a signal: 128 and its number, as shells and Docker do it."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def send(self, number: int) -> None:
        """An init process passes signals on to the command only, not to what it has started. SIGKILL ends the container."""
        if number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)

    def close(self) -> None:
        """Ends whatever the command has left, waits for the output, and removes the directories."""
        self.send(signal.SIGKILL)
        self._process.wait()
        self._reader.join(DRAIN_SECONDS)
        self._guard.kill()
        self._guard.wait()
        self._guard.stdin.close()
        shutil.rmtree(self._home, ignore_errors=True)


class Placeholder:
    """A container whose command isn't run: it only has a state."""

    def __init__(self, exit_code: int | None = None, ignored: int | None = None) -> None:
        self._exit_code = exit_code
        self._ignored = ignored

    def exit_code(self) -> int | None:
        return self._exit_code

    def send(self, number: int) -> None:
        if self._exit_code is None and number != self._ignored:
            self._exit_code = 128 + number

    def close(self) -> None:
        pass
