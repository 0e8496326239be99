"""Simulates what AWS does to an instance on its own, at a test's request: `/_local/rds/…`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from ministack.core.responses import request_scope
from ministack.services import rds

from stagedb_local_aws import rds_events as events
from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws.rds_modify import Modifications
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import Ending, Record, Store

_CHANGES = ("status", "event", "allocated_storage", "engine_version", "creation_status")


class _NotFound(Exception):
    pass


class RdsControl:
    def __init__(self, store: Store, modifications: Modifications) -> None:
        self._store = store
        self._modifications = modifications

    def answer(self, method: str, path: list[str], data: object) -> tuple[int, object] | None:
        """Returns None for an unknown method and path. Raises ValueError and the like for invalid data."""
        try:
            match method, path:
                case (("GET" | "PUT" | "DELETE"), ["next-creations"]):
                    if method != "GET":
                        self._replace_next_creations(data if method == "PUT" else {})
                    return 200, {name: asdict(ending) for name, ending in self._store.next_creations.items()}
                case (("GET" | "PUT"), ["instances", identifier]):
                    with self._instance(identifier) as record:
                        if method == "PUT":
                            self._change(record, data)
                        return 200, _shown(record)
                case "POST", ["instances", identifier, "maintenance"]:
                    with self._instance(identifier) as record:
                        return 200, {**_shown(record), "applying": self._modifications.maintain(record)}
        except _NotFound as unknown:
            return 404, {"message": str(unknown)}
        except Refusal as refusal:
            return 400, {"message": f"{refusal.code}: {refusal.message}"}
        return None

    def _replace_next_creations(self, wanted: object) -> None:
        endings = {name.lower(): Ending(**entry) for name, entry in dict(wanted).items()}
        for ending in endings.values():
            _check_status(ending.status)
        self._store.next_creations = endings

    @contextmanager
    def _instance(self, identifier: str) -> Iterator[Record]:
        """Yields the instance, in its account and Region, which aren't in the request."""
        found = [key for key, record in rds._instances.all_items() if key[2] == identifier.lower()]
        found = [key for key in found if self._store.owns(rds._instances.get_scoped(*key))]
        if not found:
            raise _NotFound(f"there is no DB instance {identifier} with a server")
        if len(found) > 1:
            raise ValueError(f"{identifier} exists in several accounts or Regions")
        account, region, name = found[0]
        with request_scope(account, region):
            yield rds._instances[name]

    def _change(self, record: Record, data: object) -> None:
        changes = dict(data)
        if unknown := changes.keys() - set(_CHANGES):
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}; use {', '.join(_CHANGES)}")
        status, creation_status = changes.get("status"), changes.get("creation_status")
        event = str(changes.get("event", ""))
        with self._store.lock:
            for name in filter(None, (status, creation_status)):
                _check_status(name)
            if status in (*rules.USABLE, "stopped") and self._store.servers[str(record["DbiResourceId"])] is None:
                raise ValueError(f"status: the instance has no server, so it can't be {status}")
            if creation_status:
                if record["DBInstanceStatus"] != "creating":
                    raise ValueError(f"creation_status: the instance is {record['DBInstanceStatus']}, not creating")
                record["_ending"] = Ending(creation_status, event)
                return
            if "allocated_storage" in changes:
                self._modifications.scale_storage(record, int(changes["allocated_storage"]))
            if "engine_version" in changes:
                self._modifications.upgrade_minor_version(record, str(changes["engine_version"]))
            if status:
                record["DBInstanceStatus"] = status
            kind = events.ENTERED.get(status, events.NOTICE)
            if event or kind.message:
                events.record(record, kind, event)


def _check_status(status: str) -> None:
    if status not in rules.STATUSES:
        raise ValueError(f"{status} isn't an instance status; use one of {', '.join(rules.STATUSES)}")


def _shown(record: Record) -> dict[str, object]:
    return {
        "identifier": record["DBInstanceIdentifier"],
        "status": record["DBInstanceStatus"],
        "allocated_storage": record["AllocatedStorage"],
        "engine_version": record["EngineVersion"],
        "pending": record["PendingModifiedValues"],
    }
