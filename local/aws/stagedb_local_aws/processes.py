"""Child processes that never outlive this one."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1

# The kernel ties PDEATHSIG to the *thread* that forked, so children must come from a thread
# that lives as long as the process: this pool's only one.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def claim(directory: Path) -> bool:
    """Makes the directory and takes it for this process alone; False if another one has it."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        # Held until the process ends, since nobody closes the descriptor.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def die_with_parent(number: int) -> None:
    """Asks the kernel to send us signal `number` when our parent dies. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def unprivileged() -> dict[str, str]:
    """Popen's arguments for a program that refuses to run as root, as Postgres does."""
    return {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


def spawn(arguments: list[str], death_signal: int, **options: object) -> subprocess.Popen:
    """Starts an unprivileged child that gets `death_signal` if this process dies."""

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            arguments,
            preexec_fn=lambda: die_with_parent(death_signal),
            stdin=subprocess.DEVNULL,
            cwd="/",
            **unprivileged(),
            **options,
        )

    return _spawner.submit(start).result()


def children_of(pid: int) -> list[int]:
    """All descendants of `pid`, nearest first. Empty where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # "pid (name) state parent …"; the name may itself hold spaces and brackets.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(parents.get(pid, []))
    for child in found:
        found.extend(parents.get(child, []))
    return found


def wait_until_stopped(pids: list[int], seconds: float = 1.0) -> None:
    """SIGSTOP takes effect a moment after it was sent; this waits for that moment."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_state(pid) in "RS" for pid in pids):
        time.sleep(0.002)


def _state(pid: int) -> str:
    """One letter as in proc(5); `X` if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"


def kill_descendants(patience_seconds: float = 0.5) -> None:
    """Ends everything this process ever started: Lambda workers and whatever they started."""
    deadline = time.monotonic() + patience_seconds
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in children_of(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while number == signal.SIGTERM and _running_children() and time.monotonic() < deadline:
            time.sleep(0.02)


def _running_children() -> bool:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return False
