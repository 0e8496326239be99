"""RDS for PostgreSQL: each instance is a real server, and goes through AWS's statuses over time."""

from __future__ import annotations

import time
from collections.abc import Callable

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import documentdb, rds

from stagedb_local_aws import rds_events as events
from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_versions as versions
from stagedb_local_aws import rds_windows as windows
from stagedb_local_aws import rds_xml
from stagedb_local_aws.postgres import Cluster, PostgresError
from stagedb_local_aws.rds_modify import Modifications, default_groups, interrupt, secondary_zone
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
    page,
    security_groups,
    subnet_group,
)


def new_record(request: Request, engine_version: str, storage_type: str) -> Record:
    """The members that created and restored instances have in common. No Endpoint yet, as on AWS."""
    identifier = rules.check_identifier(request.required("DBInstanceIdentifier"))
    group = subnet_group(request)
    region, account = get_region(), get_account_id()
    maintenance = request.text("PreferredMaintenanceWindow", windows.DEFAULT_MAINTENANCE).lower()
    record: Record = {
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
        "SecondaryAvailabilityZone": None,
        "DBSubnetGroup": group,
        "VpcSecurityGroups": security_groups(request, str(group["VpcId"]))
        or default_security_group(str(group["VpcId"])),
        "DBSecurityGroups": [],
        "PubliclyAccessible": request.flag("PubliclyAccessible"),
        "DeletionProtection": request.flag("DeletionProtection"),
        "AutoMinorVersionUpgrade": request.flag("AutoMinorVersionUpgrade", True),
        "CopyTagsToSnapshot": request.flag("CopyTagsToSnapshot"),
        "EngineLifecycleSupport": request.text("EngineLifecycleSupport", "open-source-rds-extended-support"),
        "IAMDatabaseAuthenticationEnabled": request.flag("EnableIAMDatabaseAuthentication"),
        "PreferredBackupWindow": request.text("PreferredBackupWindow", windows.backup_beside(maintenance)).lower(),
        "PreferredMaintenanceWindow": maintenance,
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
    } | default_groups(engine_version)
    windows.check(maintenance, str(record["PreferredBackupWindow"]))
    record["SecondaryAvailabilityZone"] = secondary_zone(record)
    if request.given("DBParameterGroupName"):
        record["DBParameterGroups"][0]["DBParameterGroupName"] = request.text("DBParameterGroupName")
    return record


def check_creation(request: Request) -> None:
    """Checks everything about the parameters that doesn't depend on anything else."""
    for required in ("DBInstanceIdentifier", "DBInstanceClass", "Engine"):
        request.required(required)
    if request.flag("ManageMasterUserPassword"):
        raise Refusal("InvalidParameterCombination", "The local AWS doesn't model ManageMasterUserPassword.")
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


def bring_up(server: Cluster) -> None:
    """Starts a server that can prove to be `localhost`."""
    server.use_certificate(*rds._pg_server_material(["localhost"], ["127.0.0.1"]))
    server.start()


class Instances:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._timings = store.timings

    def create(self, request: Request) -> Answer:
        check_creation(request)
        storage_type = request.text("StorageType", "gp3")
        user, password, database = (request.text(n) for n in ("MasterUsername", "MasterUserPassword", "DBName"))
        record = new_record(request, versions.full_version(request.text("EngineVersion")), storage_type)
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

        def make() -> Cluster:
            server = self._store.installation.new_cluster(str(record["DbiResourceId"]))
            bring_up(server)
            server.create_master_user(user, password, database)
            return server

        self.complete(record, make, events.CREATED)
        return answer

    def add(self, record: Record) -> None:
        identifier = str(record["DBInstanceIdentifier"])
        with self._store.lock:
            must_be_new(identifier)
            record["_ending"] = self._store.next_creations.pop(identifier, None)
            self._store.servers[str(record["DbiResourceId"])] = None
            rds._instances[identifier] = record
            rds._tags[record["DBInstanceArn"]] = list(record["TagList"])

    def complete(self, record: Record, make: Callable[[], Cluster], kind: events.Kind, message: str = "") -> None:
        """Creates the server in the background, unless the creation is planned to fail."""

        def run() -> None:
            server = None if record["_ending"] else make()
            time.sleep(self._timings.rds_create_seconds)
            if server is not None and not server.is_running and self._store.is_current(record):
                raise PostgresError("the server stopped while its instance was being created")
            with self._store.lock:
                is_wanted = self._store.is_current(record) and record["DBInstanceStatus"] == "creating"
                if server is not None and is_wanted and not record["_ending"]:
                    self._open(record, server)
                    events.record(record, kind, message)
                    return
                if is_wanted:
                    record["DBInstanceStatus"] = record["_ending"].status
                    events.record(record, events.CREATION_FAILED, record["_ending"].event)
            if server is not None:
                server.remove()

        in_background(f"create {record['DBInstanceIdentifier']}", run, record)

    def _open(self, record: Record, server: Cluster) -> None:
        self._store.servers[str(record["DbiResourceId"])] = server
        record["Endpoint"] = {"Address": "localhost", "Port": server.port, "HostedZoneId": "Z2R2ITUGPM61AM"}
        record["InstanceCreateTime"] = now()
        if record["BackupRetentionPeriod"]:
            record["LatestRestorableTime"] = now()
        record["DBInstanceStatus"] = "available"

    def reboot(self, record: Record, _request: Request) -> Answer:
        def restart(_server: Cluster) -> None:
            interrupt(self._store, record)

        return self._pass(record, "RebootDBInstance", rules.USABLE, "rebooting", restart)

    def stop(self, record: Record, _request: Request) -> Answer:
        def stop(server: Cluster) -> None:
            server.stop()
            events.record(record, events.STOPPED)

        return self._pass(record, "StopDBInstance", ("available",), "stopping", stop, "stopped")

    def start(self, record: Record, _request: Request) -> Answer:
        def start(server: Cluster) -> None:
            server.start()
            events.record(record, events.STARTED)

        return self._pass(record, "StartDBInstance", ("stopped",), "starting", start)

    def _pass(
        self,
        record: Record,
        action: str,
        allowed: tuple[str, ...],
        status: str,
        work: Callable[[Cluster], None],
        following: str = "",
    ) -> Answer:
        """Goes through a status to the next one, by default the status without changes in progress."""
        with self._store.lock:
            rules.check_state(record, allowed)
            record["DBInstanceStatus"] = status

        def run() -> None:
            work(self._store.server(record))
            self._store.leave(record, status, following or self._store.settled_status(record))

        answer = instance_answer(action, record)
        in_background(f"{action} {record['DBInstanceIdentifier']}", run, record)
        return answer


def install(store: Store, modifications: Modifications) -> Instances:
    """Replaces MiniStack's instance actions, for PostgreSQL only."""
    instances = Instances(store)
    _create_elsewhere = rds._ACTION_MAP["CreateDBInstance"]
    create = answers_refusals(instances.create)

    def create_db_instance(params):
        request = Request(params)
        ours = request.text("Engine", "postgres") == "postgres" and not request.given("DBClusterIdentifier")
        return create(params) if ours else _create_elsewhere(params)

    rds._ACTION_MAP["CreateDBInstance"] = create_db_instance
    for action, method in {
        "ModifyDBInstance": modifications.modify,
        "RebootDBInstance": instances.reboot,
        "StopDBInstance": instances.stop,
        "StartDBInstance": instances.start,
    }.items():
        take_over(store, action, method)

    _events_elsewhere = rds._ACTION_MAP["DescribeEvents"]

    def describe_events(params):
        # Identifiers are case-insensitive.
        return _events_elsewhere({**params, "SourceIdentifier": [Request(params).text("SourceIdentifier").lower()]})

    rds._ACTION_MAP["DescribeEvents"] = describe_events
    rds._ACTION_MAP["DescribeDBInstances"] = answers_refusals(describe_instances(store))
    _xml_elsewhere, _reset_elsewhere = rds._instance_xml, rds.reset

    def xml(record: Record) -> str:
        ours = store.owns(record) or "_member_of" in record
        return instance_xml(record) if ours else _xml_elsewhere(record)

    rds._instance_xml = xml

    def reset() -> None:
        store.forget_everything()
        _reset_elsewhere()

    rds.reset = reset
    return instances


def describe_instances(store: Store) -> Callable[[Request], Answer]:
    """Finds our instances by case-insensitive identifier. Lists all instances in pages, unlike MiniStack."""
    _describe_elsewhere = rds._ACTION_MAP["DescribeDBInstances"]

    def describe(request: Request) -> Answer:
        if request.given("DBInstanceIdentifier"):
            record = store.find(request.text("DBInstanceIdentifier"))
            exact = {"DBInstanceIdentifier": [record["DBInstanceIdentifier"]]} if record else {}
            return _describe_elsewhere({**request.params, **exact})
        filters = rds._parse_filters(request.params)
        found = rds._apply_instance_filters(rds._instances.values(), filters)
        shown, marker = page(request, sorted(found, key=lambda record: record["DBInstanceIdentifier"]))
        instances = "".join(f"<DBInstance>{rds._instance_xml(record)}</DBInstance>" for record in shown)
        if not marker:
            instances += documentdb.instance_members_xml(filters)
        body = f"<DBInstances>{instances}</DBInstances>{rds_xml.fields(marker)}"
        action = "DescribeDBInstances"
        return rds._xml(200, f"{action}Response", f"<{action}Result>{body}</{action}Result>")

    return describe


def take_over(store: Store, action: str, method) -> None:
    """Uses our method for our instances, and MiniStack's for all others and for unknown ones."""
    elsewhere = rds._ACTION_MAP[action]

    def handle(params):
        record = store.instance(Request(params).text("DBInstanceIdentifier"))
        if record is None:
            return elsewhere(params)
        return answers_refusals(lambda request: method(record, request))(params)

    rds._ACTION_MAP[action] = handle
