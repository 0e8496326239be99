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

# The kernel ties PDEATHSIG to the *thread* that forked, so children must be started by a thread
# that lives as long as the process: the only thread in this pool.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def claim(directory: Path) -> bool:
    """Creates and claims the directory for this process. False if another process uses it."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        # Held until the process ends, because nothing closes the descriptor.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def die_with_parent(number: int) -> None:
    """Makes the kernel send us the signal `number` when our parent dies. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def unprivileged() -> dict[str, str]:
    """Popen's arguments for a program that refuses to run as root, as Postgres does."""
    return {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


def spawn(arguments: list[str], death_signal: int, **options: object) -> subprocess.Popen:
    """Starts an unprivileged child that receives `death_signal` if this process dies."""

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            arguments,
            preexec_fn=lambda: die_with_parent(death_signal),
            cwd="/",
            **unprivileged(),
            **{"stdin": subprocess.DEVNULL, **options},
        )

    return _spawner.submit(start).result()


def end_group_with_us(group: int) -> subprocess.Popen:
    """Kills a process group when this process ends, however it ends. Kill the returned guard once the group has ended.

    The death signal isn't enough: it reaches only our child, and not what the child has started.
    """
    guard = ["/bin/sh", "-c", f"read -r _; kill -KILL -{group}"]
    # It notices that its input ends, so it must survive us for a moment.
    ignored = signal.SIGCONT
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return spawn(guard, ignored, stdin=subprocess.PIPE, start_new_session=True, **quiet)


def children_of(pid: int) -> list[int]:
    """All descendants of `pid`, nearest first. Empty where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # "pid (name) state parent …"; the name may contain spaces and parentheses.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(parents.get(pid, []))
    for child in found:
        found.extend(parents.get(child, []))
    return found


def wait_until_stopped(pids: list[int], seconds: float = 1.0) -> None:
    """Waits until SIGSTOP takes effect, which is a moment after it's sent."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_state(pid) in "RS" for pid in pids):
        time.sleep(0.002)


def _state(pid: int) -> str:
    """The state letter from proc(5), or `X` if the process doesn't exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"


def kill_descendants(patience_seconds: float = 0.5) -> None:
    """Kills everything that this process started: Lambda workers and whatever they started."""
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
