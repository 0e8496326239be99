"""The configuration: read once from the environment. Errors name the variable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

PREFIX = "STAGEDB_LOCAL_"


@dataclass
class Timings:
    """How long operations take, in seconds. The real AWS takes minutes; tests need less.

    Tests can change them while the server is running (`PUT /_local/timings`), so they're read when
    they're needed and never copied.
    """

    rds_create_seconds: float = 0.0
    """In addition to the time the database needs to start."""
    rds_modify_seconds: float = 1.0
    rds_delete_seconds: float = 1.0
    rds_optimization_seconds: float = 1.0
    """`storage-optimization` after the storage has grown."""
    rds_snapshot_seconds: float = 0.5
    rds_interruption_seconds: float = 0.0
    """How long the server is down when a change or a reboot restarts it, in addition to the time it needs."""
    rds_storage_cooldown_seconds: float = 0.0
    """How long after a storage change another one is rejected. On AWS: six hours. 0 means off."""
    ecs_steady_seconds: float = 2.0
    ecs_task_start_seconds: float = 0.2
    """From RunTask until the containers run."""
    ecs_drain_seconds: float = 0.5
    """How long a service's task still drains its connections once it's told to stop."""
    cloudformation_change_set_seconds: float = 0.5
    """How long it takes to create a change set."""

    def update(self, changes: Mapping[str, object]) -> None:
        """Changes some timings. If a name or value is invalid, raises ValueError and changes none."""
        known = {field.name for field in fields(self)}
        parsed: dict[str, float] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown timing {name}; use one of {', '.join(sorted(known))}")
            parsed[name] = _seconds(name, value)
        for name, seconds in parsed.items():
            setattr(self, name, seconds)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Settings:
    port: int
    directory: Path
    postgres_bin: Path
    timings: Timings
    decisions: Path
    """Every decision about a permission is added to this file."""

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> Settings:
        """Raises ValueError with the name of the variable."""
        given = {
            field.name: _seconds(variable, environment[variable])
            for field in fields(Timings)
            if environment.get(variable := PREFIX + field.name.upper())
        }
        directory = Path(_required(environment, PREFIX + "DIR")).absolute()
        return Settings(
            port=_port(_required(environment, "GATEWAY_PORT")),
            directory=directory,
            postgres_bin=_postgres_bin(_required(environment, PREFIX + "POSTGRES_BIN")),
            timings=Timings(**given),
            decisions=Path(environment.get(PREFIX + "DECISIONS") or directory / "decisions.jsonl"),
        )


def prepare_ministack(settings: Settings, environment: dict[str, str]) -> None:
    """Sets the environment variables for MiniStack. Call this before importing it.

    It must listen only on this computer, must write only to our directory, and must find nothing
    from an earlier run there.
    """
    environment["GATEWAY_PORT"] = str(settings.port)
    environment.setdefault("BIND_HOST", "127.0.0.1")
    environment["AUTH"] = "true"
    environment.setdefault("IOT_MTLS_ENABLED", "0")
    environment.setdefault("SFTP_ENABLED", "0")
    for variable, name in (("STATE_DIR", "state"), ("S3_DATA_DIR", "s3"), ("TMPDIR", "tmp")):
        folder = settings.directory / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment[variable] = str(folder)


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise ValueError(f"{name} is not set")
    return value


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ValueError(f"GATEWAY_PORT is {text!r}, but must be a port from 1 to 65535")
    return int(text)


def _postgres_bin(text: str) -> Path:
    folder = Path(text)
    for program in ("postgres", "initdb"):
        if not os.access(folder / program, os.X_OK):
            raise ValueError(f"{PREFIX}POSTGRES_BIN is {text!r}, which contains no executable {program}")
    return folder


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86_400:
        raise ValueError(f"{name} is {value!r}, but must be a number of seconds")
    return seconds
