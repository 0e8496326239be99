"""RDS for PostgreSQL: an instance is a real server, and passes through AWS's statuses over time."""

from __future__ import annotations

import time

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import rds

from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws.postgres import Cluster
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import (
    Answer,
    Record,
    Request,
    Store,
    answers_refusals,
    default_security_group,
    in_background,
    instance_answer,
    instance_xml,
    must_be_new,
    now,
    security_groups,
    subnet_group,
)

# What AWS changes at once, whatever ApplyImmediately says: parameter -> member of the instance.
_IMMEDIATE_FLAGS = {
    "DeletionProtection": "DeletionProtection",
    "CopyTagsToSnapshot": "CopyTagsToSnapshot",
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "PubliclyAccessible": "PubliclyAccessible",
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
}
_IMMEDIATE_TEXTS = ("PreferredBackupWindow", "PreferredMaintenanceWindow", "CACertificateIdentifier")
# What goes through PendingModifiedValues.
_PENDING_TEXTS = ("DBInstanceClass", "StorageType")
_PENDING_NUMBERS = ("AllocatedStorage", "BackupRetentionPeriod", "Iops", "StorageThroughput")


def new_record(request: Request, engine_version: str, storage_type: str) -> Record:
    """The members that creating and restoring have in common. No Endpoint yet, as on AWS."""
    identifier = rules.check_identifier(request.required("DBInstanceIdentifier"))
    group = subnet_group(request)
    region, account = get_region(), get_account_id()
    return {
        "DBInstanceIdentifier": identifier,
        "DBInstanceArn": f"arn:aws:rds:{region}:{account}:db:{identifier}",
        "DbiResourceId": f"db-{new_uuid().replace('-', '')[:26].upper()}",
        "DBInstanceStatus": "creating",
        "Engine": "postgres",
        "EngineVersion": engine_version,
        "LicenseModel": "postgresql-license",
        "StorageType": storage_type,
        "StorageThroughput": 125 if storage_type == "gp3" else None,
        "Iops": 3000 if storage_type == "gp3" else None,
        "MultiAZ": request.flag("MultiAZ"),
        "AvailabilityZone": request.text("AvailabilityZone", f"{region}a"),
        "DBSubnetGroup": group,
        "VpcSecurityGroups": security_groups(request, str(group["VpcId"]))
        or default_security_group(str(group["VpcId"])),
        "DBSecurityGroups": [],
        "DBParameterGroups": [
            {
                "DBParameterGroupName": request.text(
                    "DBParameterGroupName", f"default.postgres{engine_version.split('.')[0]}"
                ),
                "ParameterApplyStatus": "in-sync",
            }
        ],
        "OptionGroupMemberships": [
            {"OptionGroupName": f"default:postgres-{engine_version.split('.')[0]}", "Status": "in-sync"}
        ],
        "PubliclyAccessible": request.flag("PubliclyAccessible"),
        "DeletionProtection": request.flag("DeletionProtection"),
        "AutoMinorVersionUpgrade": request.flag("AutoMinorVersionUpgrade", True),
        "CopyTagsToSnapshot": request.flag("CopyTagsToSnapshot"),
        "EngineLifecycleSupport": request.text("EngineLifecycleSupport", "open-source-rds-extended-support"),
        "IAMDatabaseAuthenticationEnabled": request.flag("EnableIAMDatabaseAuthentication"),
        "PreferredBackupWindow": request.text("PreferredBackupWindow", "03:00-04:00"),
        "PreferredMaintenanceWindow": request.text("PreferredMaintenanceWindow", "sun:05:00-sun:06:00"),
        "MaxAllocatedStorage": request.number("MaxAllocatedStorage"),
        "MonitoringInterval": request.number("MonitoringInterval", 0),
        "PerformanceInsightsEnabled": request.flag("EnablePerformanceInsights"),
        "CACertificateIdentifier": request.text("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
        "ReadReplicaDBInstanceIdentifiers": [],
        "PendingModifiedValues": {},
        "NetworkType": "IPV4",
        "BackupTarget": "region",
        "CustomerOwnedIpEnabled": False,
        "DedicatedLogVolume": False,
        "TagList": request.tags(),
    }


def check_creation(request: Request) -> None:
    """Everything about the parameters that can be said without looking at anything else."""
    for required in ("DBInstanceIdentifier", "DBInstanceClass", "Engine"):
        request.required(required)
    if request.flag("ManageMasterUserPassword"):
        raise Refusal("InvalidParameterCombination", "The local AWS does not model ManageMasterUserPassword.")
    for needed in ("AllocatedStorage", "MasterUsername", "MasterUserPassword"):
        if not request.given(needed):
            raise Refusal("InvalidParameterValue", f"The parameter {needed} must be provided and must not be blank.")
    storage_type, storage = request.text("StorageType", "gp3"), request.number("AllocatedStorage")
    rules.check_class(request.text("DBInstanceClass"))
    rules.check_storage_type(storage_type)
    rules.check_storage(storage, storage_type)
    rules.check_user(request.text("MasterUsername"))
    rules.check_password(request.text("MasterUserPassword"))
    rules.check_retention(request.number("BackupRetentionPeriod", 1))
    if request.given("DBName"):
        rules.check_database_name(request.text("DBName"))
    if limit := request.number("MaxAllocatedStorage"):
        rules.check_autoscaling_limit(limit, storage, storage_type)
    if port := request.number("Port"):
        rules.check_port(port)


class Instances:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._timings = store.timings
        self._last_storage_change: dict[str, float] = {}

    def create(self, request: Request) -> Answer:
        check_creation(request)
        storage_type = request.text("StorageType", "gp3")
        user, password, database = (request.text(n) for n in ("MasterUsername", "MasterUserPassword", "DBName"))
        record = new_record(request, rules.full_version(request.text("EngineVersion")), storage_type)
        record |= {
            "DBInstanceClass": request.text("DBInstanceClass"),
            "AllocatedStorage": request.number("AllocatedStorage"),
            "MasterUsername": user,
            "DBName": database or None,
            "BackupRetentionPeriod": request.number("BackupRetentionPeriod", 1),
            "StorageEncrypted": request.flag("StorageEncrypted"),
            "KmsKeyId": request.text("KmsKeyId") or None,
        }
        self.add(record)
        answer = instance_answer("CreateDBInstance", record)

        def make() -> None:
            cluster = self._store.installation.new_cluster(str(record["DbiResourceId"]))
            self.bring_up(cluster)
            cluster.create_master_user(user, password, database)
            self.finish_creation(record, cluster)

        in_background(f"create {record['DBInstanceIdentifier']}", make, record)
        return answer

    def add(self, record: Record) -> None:
        with self._store.lock:
            must_be_new(str(record["DBInstanceIdentifier"]))
            self._store.clusters[str(record["DbiResourceId"])] = None
            rds._instances[record["DBInstanceIdentifier"]] = record
            rds._tags[record["DBInstanceArn"]] = list(record["TagList"])

    def bring_up(self, cluster: Cluster) -> None:
        cluster.use_certificate(*rds._pg_server_material(["localhost"], ["127.0.0.1"]))
        cluster.start()

    def finish_creation(self, record: Record, cluster: Cluster) -> None:
        time.sleep(self._timings.rds_create_seconds)
        with self._store.lock:
            if not self._store.is_current(record) or record["DBInstanceStatus"] != "creating":
                cluster.remove()  # It was deleted meanwhile.
                return
            self._store.clusters[str(record["DbiResourceId"])] = cluster
            record["Endpoint"] = {"Address": "localhost", "Port": cluster.port, "HostedZoneId": "Z2R2ITUGPM61AM"}
            record["InstanceCreateTime"] = now()
            if record["BackupRetentionPeriod"]:
                record["LatestRestorableTime"] = now()
            record["DBInstanceStatus"] = "available"

    def modify(self, record: Record, request: Request) -> Answer:
        with self._store.lock:
            rules.check_state(record, rules.USABLE)
            wanted, password = self._wanted_changes(record, request)
            self._change_at_once(record, request)
            pending = {**record["PendingModifiedValues"], **wanted}
            pending = {name: value for name, value in pending.items() if value != record.get(name)}
            if password:
                pending["MasterUserPassword"] = "****"
            record["PendingModifiedValues"] = pending
            # A new password never waits for the maintenance window.
            applies = {"MasterUserPassword": "****"} if password else {}
            if request.flag("ApplyImmediately"):
                applies = dict(pending)
            if applies:
                before = record["DBInstanceStatus"]
                only_password = list(applies) == ["MasterUserPassword"]
                record["DBInstanceStatus"] = "resetting-master-credentials" if only_password else "modifying"
                in_background(
                    f"modify {record['DBInstanceIdentifier']}",
                    lambda: self._apply(record, applies, password, str(before)),
                    record,
                )
            return instance_answer("ModifyDBInstance", record)

    def _wanted_changes(self, record: Record, request: Request) -> tuple[Record, str]:
        """Checks the whole request before anything changes."""
        if request.given("NewDBInstanceIdentifier") or request.flag("ManageMasterUserPassword"):
            raise Refusal("InvalidParameterCombination", "The local AWS models neither renaming nor managed passwords.")
        password = request.text("MasterUserPassword")
        if password:
            rules.check_password(password)
        wanted: Record = {name: request.text(name) for name in _PENDING_TEXTS if request.given(name)}
        wanted |= {name: request.number(name) for name in _PENDING_NUMBERS if request.given(name)}
        if request.given("MultiAZ"):
            wanted["MultiAZ"] = request.flag("MultiAZ")
        if request.given("EngineVersion"):
            wanted["EngineVersion"] = rules.full_version(request.text("EngineVersion"))
            if int(wanted["EngineVersion"].split(".")[0]) < int(str(record["EngineVersion"]).split(".")[0]):
                raise Refusal(
                    "InvalidParameterCombination",
                    f"Cannot upgrade postgres from {record['EngineVersion']} to {wanted['EngineVersion']}",
                )
        if "DBInstanceClass" in wanted:
            rules.check_class(str(wanted["DBInstanceClass"]))
        if "BackupRetentionPeriod" in wanted:
            rules.check_retention(wanted["BackupRetentionPeriod"])
        storage_type = str(wanted.get("StorageType", record["StorageType"]))
        rules.check_storage_type(storage_type)
        storage = wanted.get("AllocatedStorage", record["AllocatedStorage"])
        if storage != record["AllocatedStorage"] or storage_type != record["StorageType"]:
            rules.check_growth(record["AllocatedStorage"], storage)
            rules.check_storage(storage, storage_type)
            self._check_storage_may_change(record)
        if limit := request.number("MaxAllocatedStorage"):
            rules.check_autoscaling_limit(limit, storage, storage_type)
        return wanted, password

    def _check_storage_may_change(self, record: Record) -> None:
        changed = self._last_storage_change.get(str(record["DbiResourceId"]))
        cooldown = self._timings.rds_storage_cooldown_seconds
        cooling = changed is not None and time.monotonic() - changed < cooldown
        if cooling or record["DBInstanceStatus"] == "storage-optimization":
            raise Refusal(
                "InvalidParameterCombination",
                "You can't currently modify the storage of this DB instance because the previous storage change "
                "is being optimized.",
            )

    def _change_at_once(self, record: Record, request: Request) -> None:
        groups = security_groups(request, str(record["DBSubnetGroup"]["VpcId"]))
        if groups:
            record["VpcSecurityGroups"] = groups
        record |= {member: request.flag(name) for name, member in _IMMEDIATE_FLAGS.items() if request.given(name)}
        record |= {name: request.text(name) for name in _IMMEDIATE_TEXTS if request.given(name)}
        if limit := request.number("MaxAllocatedStorage"):
            storage = request.number("AllocatedStorage", record["AllocatedStorage"])
            record["MaxAllocatedStorage"] = None if limit == storage else limit

    def _apply(self, record: Record, changes: Record, password: str, before: str) -> None:
        time.sleep(self._timings.rds_modify_seconds)
        cluster = self._store.cluster(record)
        if password:
            cluster.set_password(str(record["MasterUsername"]), password)
        if "DBInstanceClass" in changes and cluster.is_running:
            cluster.restart()  # On AWS, too, connections end when the class changes.
        grows = "AllocatedStorage" in changes
        with self._store.lock:
            if not self._store.is_current(record) or record["DBInstanceStatus"] == "deleting":
                return
            record |= {name: value for name, value in changes.items() if name != "MasterUserPassword"}
            left = record["PendingModifiedValues"].items()
            record["PendingModifiedValues"] = {name: value for name, value in left if name not in changes}
            if grows:
                self._last_storage_change[str(record["DbiResourceId"])] = time.monotonic()
            record["DBInstanceStatus"] = "storage-optimization" if grows else before
        if grows:
            time.sleep(self._timings.rds_optimization_seconds)
            self.leave(record, "storage-optimization", "available")

    def leave(self, record: Record, status: str, following: str) -> None:
        """To the following status, unless something else happened meanwhile."""
        with self._store.lock:
            if record["DBInstanceStatus"] == status:
                record["DBInstanceStatus"] = following

    def reboot(self, record: Record, _request: Request) -> Answer:
        return self._pass(record, "RebootDBInstance", rules.USABLE, "rebooting", Cluster.restart, "available")

    def stop(self, record: Record, _request: Request) -> Answer:
        return self._pass(record, "StopDBInstance", ("available",), "stopping", Cluster.stop, "stopped")

    def start(self, record: Record, _request: Request) -> Answer:
        return self._pass(record, "StartDBInstance", ("stopped",), "starting", Cluster.start, "available")

    def _pass(self, record: Record, action: str, allowed: tuple[str, ...], status: str, work, following: str) -> Answer:
        with self._store.lock:
            rules.check_state(record, allowed)
            record["DBInstanceStatus"] = status

        def run() -> None:
            work(self._store.cluster(record))
            self.leave(record, status, following)

        answer = instance_answer(action, record)
        in_background(f"{action} {record['DBInstanceIdentifier']}", run, record)
        return answer


def install(store: Store) -> Instances:
    """Takes over the instance actions of MiniStack, for PostgreSQL only."""
    instances = Instances(store)
    _create_elsewhere = rds._ACTION_MAP["CreateDBInstance"]
    create = answers_refusals(instances.create)

    def create_db_instance(params):
        request = Request(params)
        ours = request.text("Engine", "postgres") == "postgres" and not request.given("DBClusterIdentifier")
        return create(params) if ours else _create_elsewhere(params)

    rds._ACTION_MAP["CreateDBInstance"] = create_db_instance
    for action, method in {
        "ModifyDBInstance": instances.modify,
        "RebootDBInstance": instances.reboot,
        "StopDBInstance": instances.stop,
        "StartDBInstance": instances.start,
    }.items():
        take_over(store, action, method)

    _describe_elsewhere = rds._ACTION_MAP["DescribeDBInstances"]

    def describe_db_instances(params):
        record = store.instance(Request(params).text("DBInstanceIdentifier"))
        exact = {"DBInstanceIdentifier": [record["DBInstanceIdentifier"]]} if record else {}
        return _describe_elsewhere({**params, **exact})

    rds._ACTION_MAP["DescribeDBInstances"] = describe_db_instances

    _xml_elsewhere, _reset_elsewhere = rds._instance_xml, rds.reset
    rds._instance_xml = lambda record: instance_xml(record) if store.owns(record) else _xml_elsewhere(record)

    def reset() -> None:
        store.forget_everything()
        _reset_elsewhere()

    rds.reset = reset
    return instances


def take_over(store: Store, action: str, method) -> None:
    """Our method for our instances; MiniStack's for all others, and for unknown ones."""
    elsewhere = rds._ACTION_MAP[action]

    def handle(params):
        record = store.instance(Request(params).text("DBInstanceIdentifier"))
        if record is None:
            return elsewhere(params)
        return answers_refusals(lambda request: method(record, request))(params)

    rds._ACTION_MAP[action] = handle
