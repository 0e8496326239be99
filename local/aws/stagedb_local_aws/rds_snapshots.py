"""Deleting instances, snapshots that hold the data, and restoring it."""

from __future__ import annotations

import time

from ministack.core.responses import get_account_id, get_region
from ministack.services import rds

from stagedb_local_aws import rds_events as events
from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_xml
from stagedb_local_aws.postgres import Cluster
from stagedb_local_aws.rds import Instances, bring_up, new_record, take_over
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import (
    Answer,
    Record,
    Request,
    Store,
    answers_refusals,
    in_background,
    instance_answer,
    now,
    page,
    snapshot_answer,
)

# What a restored instance inherits from the instance that the snapshot was taken of.
_INHERITED = (
    "AllocatedStorage",
    "MasterUsername",
    "DBName",
    "BackupRetentionPeriod",
    "StorageEncrypted",
    "KmsKeyId",
)


class Snapshots:
    def __init__(self, store: Store, instances: Instances) -> None:
        self._store = store
        self._instances = instances
        self._timings = store.timings

    def create(self, request: Request) -> Answer:
        name = rules.check_identifier(request.required("DBSnapshotIdentifier"), "DBSnapshotIdentifier", 255)
        record = self._store.instance(request.required("DBInstanceIdentifier"))
        assert record is not None, "the caller checked this"
        with self._store.lock:
            self._must_be_new(name)
            rules.check_state(record, (*rules.USABLE, "stopped"))
            was_stopped = record["DBInstanceStatus"] == "stopped"
            record["DBInstanceStatus"] = "backing-up"
            snapshot = self._add(name, record, request.tags())
            answer = snapshot_answer("CreateDBSnapshot", snapshot)

        def make() -> None:
            try:
                self._fill(snapshot, record)
            finally:
                following = "stopped" if was_stopped else self._store.settled_status(record)
                self._store.leave(record, "backing-up", following)

        in_background(f"snapshot {name}", make, snapshot)
        return answer

    def delete_instance(self, record: Record, request: Request) -> Answer:
        final = request.text("FinalDBSnapshotIdentifier").lower()
        with self._store.lock:
            rules.check_deletion(record, request.flag("SkipFinalSnapshot"), final)
            if final:
                self._must_be_new(final)
            record["DBInstanceStatus"] = "deleting"
            snapshot = self._add(final, record, []) if final else None
            answer = instance_answer("DeleteDBInstance", record)

        def remove() -> None:
            server = self._store.servers[str(record["DbiResourceId"])]
            if server is not None:
                server.stop()
            if snapshot is not None:
                self._fill(snapshot, record)
            time.sleep(self._timings.rds_delete_seconds)
            if server is not None:
                server.remove()
            with self._store.lock:
                rds._tags.pop(record["DBInstanceArn"], None)
                if self._store.is_current(record):
                    del rds._instances[record["DBInstanceIdentifier"]]
                self._store.servers.pop(str(record["DbiResourceId"]), None)
            events.record(record, events.DELETED)

        in_background(f"delete {record['DBInstanceIdentifier']}", remove, record)
        return answer

    def restore(self, request: Request) -> Answer:
        name = request.required("DBSnapshotIdentifier")
        snapshot = _find(name)
        if snapshot is None:
            raise _not_found(name)
        if snapshot["Status"] != "available":
            raise Refusal("InvalidDBSnapshotState", f"The snapshot {name} is {snapshot['Status']}, not available.")
        source: Record = snapshot["_instance"]
        storage_type = request.text("StorageType", str(source["StorageType"]))
        instance_class = request.text("DBInstanceClass", str(source["DBInstanceClass"]))
        storage = request.number("AllocatedStorage", source["AllocatedStorage"])
        rules.check_class(instance_class)
        rules.check_storage_type(storage_type)
        rules.check_storage(storage, storage_type)
        rules.check_growth(source["AllocatedStorage"], storage)
        record = new_record(request, str(source["EngineVersion"]), storage_type)
        record |= {member: source[member] for member in _INHERITED}
        record |= {"DBInstanceClass": instance_class, "AllocatedStorage": storage}
        if request.given("BackupRetentionPeriod"):
            record["BackupRetentionPeriod"] = request.number("BackupRetentionPeriod")
        self._instances.add(record)
        answer = instance_answer("RestoreDBInstanceFromDBSnapshot", record)
        files = self._store.snapshot_files[str(snapshot["DBSnapshotArn"])]
        snapshot_name = snapshot["DBSnapshotIdentifier"]

        def make() -> Cluster:
            server = self._store.installation.restored_cluster(files, str(record["DbiResourceId"]))
            bring_up(server)
            return server

        self._instances.complete(record, make, events.RESTORED, events.RESTORED.message.format(snapshot_name))
        return answer

    def describe(self, request: Request) -> Answer:
        """Finds snapshots of one type: by name, of one instance, or all."""
        name = request.text("DBSnapshotIdentifier")
        if name and _find(name) is None:
            raise _not_found(name)
        identifier = request.text("DBInstanceIdentifier").rpartition(":db:")[2].lower()
        found = [_find(name)] if name else list(rds._snapshots.values())
        found = [
            snapshot
            for snapshot in found
            if identifier in ("", snapshot["DBInstanceIdentifier"])
            and request.text("DbiResourceId") in ("", snapshot.get("DbiResourceId"))
            and request.text("SnapshotType") in ("", snapshot["SnapshotType"])
        ]
        shown, marker = page(request, found)
        snapshots = "".join(f"<DBSnapshot>{rds._snapshot_xml(snapshot)}</DBSnapshot>" for snapshot in shown)
        body = f"<DBSnapshots>{snapshots}</DBSnapshots>{rds_xml.fields(marker)}"
        action = "DescribeDBSnapshots"
        return rds._xml(200, f"{action}Response", f"<{action}Result>{body}</{action}Result>")

    def delete(self, request: Request) -> Answer:
        name = request.required("DBSnapshotIdentifier")
        with self._store.lock:
            snapshot = _find(name)
            if snapshot is None:
                raise _not_found(name)
            if snapshot["Status"] not in ("available", "failed"):
                raise Refusal(
                    "InvalidDBSnapshotState",
                    "Cannot delete the snapshot because it is not currently in the available or failed state.",
                )
            del rds._snapshots[snapshot["DBSnapshotIdentifier"]]
            arn = str(snapshot["DBSnapshotArn"])
            rds._tags.pop(arn, None)
            files = self._store.snapshot_files.pop(arn, None)
        snapshot["Status"] = "deleted"
        if files is not None:
            self._store.installation.discard(files)
        return snapshot_answer("DeleteDBSnapshot", snapshot)

    def _must_be_new(self, name: str) -> None:
        if name in rds._snapshots:
            raise Refusal(
                "DBSnapshotAlreadyExists",
                f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
            )

    def _add(self, name: str, record: Record, tags: list[dict[str, str]]) -> Record:
        """The record of a snapshot that is being created."""
        if not tags and record["CopyTagsToSnapshot"]:
            tags = [dict(tag) for tag in record["TagList"]]
        arn = f"arn:aws:rds:{get_region()}:{get_account_id()}:snapshot:{name}"
        copied = ("DBInstanceIdentifier", "Engine", "EngineVersion", "LicenseModel", "StorageType", "Iops")
        copied += ("StorageThroughput", "AllocatedStorage", "MasterUsername", "AvailabilityZone", "DbiResourceId")
        copied += ("KmsKeyId", "IAMDatabaseAuthenticationEnabled")
        snapshot: Record = {
            **{member: record[member] for member in copied},
            "DBSnapshotIdentifier": name,
            "DBSnapshotArn": arn,
            # As on AWS, only when it's complete.
            "SnapshotCreateTime": None,
            "OriginalSnapshotCreateTime": None,
            "SnapshotDatabaseTime": None,
            "InstanceCreateTime": record["InstanceCreateTime"],
            "Status": "creating",
            "PercentProgress": 0,
            "SnapshotType": "manual",
            "SnapshotTarget": "region",
            "VpcId": record["DBSubnetGroup"]["VpcId"],
            "Port": record["Endpoint"]["Port"],
            "OptionGroupName": record["OptionGroupMemberships"][0]["OptionGroupName"],
            "Encrypted": record["StorageEncrypted"],
            "TagList": tags,
            "_instance": {key: value for key, value in record.items() if not isinstance(value, (dict, list))},
        }
        rds._snapshots[name] = snapshot
        rds._tags[arn] = list(tags)
        return snapshot

    def _fill(self, snapshot: Record, record: Record) -> None:
        files = self._store.server(record).copy_files(f"snapshot-{snapshot['DbiResourceId']}-{time.time_ns()}")
        taken = now()
        time.sleep(self._timings.rds_snapshot_seconds)
        with self._store.lock:
            for member in ("SnapshotCreateTime", "OriginalSnapshotCreateTime", "SnapshotDatabaseTime"):
                snapshot[member] = taken
            self._store.snapshot_files[str(snapshot["DBSnapshotArn"])] = files
            snapshot["PercentProgress"] = 100
            snapshot["Status"] = "available"


def _find(name: str) -> Record | None:
    """Finds a snapshot by name or ARN."""
    return rds._snapshots.get(name.rpartition(":snapshot:")[2].lower())


def _not_found(name: str) -> Refusal:
    return Refusal("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)


def _is_ours(snapshot: Record) -> bool:
    return "_instance" in snapshot


def install(store: Store, instances: Instances) -> None:
    snapshots = Snapshots(store, instances)
    take_over(store, "CreateDBSnapshot", lambda _record, request: snapshots.create(request))
    take_over(store, "DeleteDBInstance", snapshots.delete_instance)
    for action, ours in (
        ("RestoreDBInstanceFromDBSnapshot", snapshots.restore),
        ("DeleteDBSnapshot", snapshots.delete),
    ):
        rds._ACTION_MAP[action] = _unless_elsewhere(answers_refusals(ours), rds._ACTION_MAP[action])
    rds._ACTION_MAP["DescribeDBSnapshots"] = answers_refusals(snapshots.describe)
    _xml_elsewhere = rds._snapshot_xml
    rds._snapshot_xml = lambda record: rds_xml.fields(record) if _is_ours(record) else _xml_elsewhere(record)


def _unless_elsewhere(ours, elsewhere):
    """Uses our method for our snapshots and unknown ones, and MiniStack's for those of its own instances."""

    def handle(params):
        snapshot = _find(Request(params).text("DBSnapshotIdentifier"))
        return (ours if snapshot is None or _is_ours(snapshot) else elsewhere)(params)

    return handle
