"""Deleting, snapshots that hold the data, and bringing it back."""

from __future__ import annotations

import time

from ministack.core.responses import get_account_id, get_region
from ministack.services import rds

from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws.rds import Instances, new_record, take_over
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
    snapshot_answer,
)

# What an instance restored from a snapshot has from the instance the snapshot was made of.
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
        assert record is not None, "the caller looked"
        with self._store.lock:
            self._must_be_new(name)
            rules.check_state(record, (*rules.USABLE, "stopped"))
            before = str(record["DBInstanceStatus"])
            record["DBInstanceStatus"] = "backing-up"
            snapshot = self._add(name, record, request.tags())
            answer = snapshot_answer("CreateDBSnapshot", snapshot)

        def make() -> None:
            try:
                self._fill(snapshot, record)
            finally:
                self._instances.leave(record, "backing-up", before)

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
            cluster = self._store.clusters[str(record["DbiResourceId"])]
            if cluster is not None:
                cluster.stop()
            if snapshot is not None:
                self._fill(snapshot, record)
            time.sleep(self._timings.rds_delete_seconds)
            if cluster is not None:
                cluster.remove()
            with self._store.lock:
                rds._tags.pop(record["DBInstanceArn"], None)
                if self._store.is_current(record):
                    del rds._instances[record["DBInstanceIdentifier"]]
                self._store.clusters.pop(str(record["DbiResourceId"]), None)

        in_background(f"delete {record['DBInstanceIdentifier']}", remove, record)
        return answer

    def restore(self, request: Request) -> Answer:
        name = request.required("DBSnapshotIdentifier")
        snapshot = _find(name)
        if snapshot is None or snapshot["DBSnapshotArn"] not in self._store.snapshot_files:
            raise Refusal("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)
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

        def make() -> None:
            cluster = self._store.installation.restored_cluster(files, str(record["DbiResourceId"]))
            self._instances.bring_up(cluster)
            self._instances.finish_creation(record, cluster)

        in_background(f"restore {record['DBInstanceIdentifier']}", make, record)
        return answer

    def discard_files(self, snapshot: Record) -> None:
        files = self._store.snapshot_files.pop(str(snapshot["DBSnapshotArn"]), None)
        if files is not None:
            self._store.installation.discard(files)

    def _must_be_new(self, name: str) -> None:
        if name in rds._snapshots:
            raise Refusal(
                "DBSnapshotAlreadyExists",
                f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
            )

    def _add(self, name: str, record: Record, tags: list[dict[str, str]]) -> Record:
        """The row of a snapshot that is being made."""
        if not tags and record["CopyTagsToSnapshot"]:
            tags = [dict(tag) for tag in record["TagList"]]
        arn = f"arn:aws:rds:{get_region()}:{get_account_id()}:snapshot:{name}"
        copied = ("DBInstanceIdentifier", "DBInstanceClass", "Engine", "EngineVersion", "LicenseModel", "StorageType")
        copied += ("AllocatedStorage", "MasterUsername", "AvailabilityZone", "StorageEncrypted", "DbiResourceId")
        snapshot: Record = {
            **{member: record[member] for member in copied},
            "DBSnapshotIdentifier": name,
            "DBSnapshotArn": arn,
            "SnapshotCreateTime": now(),
            "OriginalSnapshotCreateTime": now(),
            "SnapshotDatabaseTime": now(),
            "InstanceCreateTime": record.get("InstanceCreateTime") or now(),
            "Status": "creating",
            "PercentProgress": 0,
            "SnapshotType": "manual",
            "SnapshotTarget": "region",
            "VpcId": record["DBSubnetGroup"]["VpcId"],
            "Port": record["Endpoint"]["Port"] if "Endpoint" in record else 5432,
            "DBName": record.get("DBName") or "",
            "Encrypted": record["StorageEncrypted"],
            "KmsKeyId": record.get("KmsKeyId") or "",
            "IAMDatabaseAuthenticationEnabled": record["IAMDatabaseAuthenticationEnabled"],
            "TagList": tags,
            "_instance": {key: value for key, value in record.items() if not isinstance(value, (dict, list))},
        }
        rds._snapshots[name] = snapshot
        rds._tags[arn] = list(tags)
        return snapshot

    def _fill(self, snapshot: Record, record: Record) -> None:
        files = self._store.cluster(record).copy_files(f"snapshot-{snapshot['DbiResourceId']}-{time.time_ns()}")
        time.sleep(self._timings.rds_snapshot_seconds)
        with self._store.lock:
            self._store.snapshot_files[str(snapshot["DBSnapshotArn"])] = files
            snapshot["PercentProgress"] = 100
            snapshot["Status"] = "available"


def _find(name: str) -> Record | None:
    """A snapshot by name or ARN."""
    return rds._snapshots.get(name.rpartition(":snapshot:")[2].lower())


def install(store: Store, instances: Instances) -> None:
    snapshots = Snapshots(store, instances)
    take_over(store, "CreateDBSnapshot", lambda _record, request: snapshots.create(request))
    take_over(store, "DeleteDBInstance", snapshots.delete_instance)

    _restore_elsewhere = rds._ACTION_MAP["RestoreDBInstanceFromDBSnapshot"]
    _delete_elsewhere = rds._ACTION_MAP["DeleteDBSnapshot"]

    def is_ours(params) -> bool:
        snapshot = _find(Request(params).text("DBSnapshotIdentifier"))
        return snapshot is None or "_instance" in snapshot

    def restore(params):
        return answers_refusals(snapshots.restore)(params) if is_ours(params) else _restore_elsewhere(params)

    def delete_snapshot(params):
        snapshot = _find(Request(params).text("DBSnapshotIdentifier"))
        answer = _delete_elsewhere(params)
        if snapshot is not None and answer[0] == 200:
            snapshots.discard_files(snapshot)
        return answer

    rds._ACTION_MAP["RestoreDBInstanceFromDBSnapshot"] = restore
    rds._ACTION_MAP["DeleteDBSnapshot"] = delete_snapshot
