"""Changes to an instance: immediate, over time, in the maintenance window, or by AWS itself.

For which changes wait and which cause an interruption, see "Available settings" in the user guide.
"""

from __future__ import annotations

import time

from stagedb_local_aws import rds_events as events
from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_versions as versions
from stagedb_local_aws import rds_windows as windows
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import (
    Answer,
    Record,
    Request,
    Store,
    in_background,
    instance_answer,
    now,
    security_groups,
)

# What AWS changes immediately, regardless of ApplyImmediately: parameter -> member of the instance.
_IMMEDIATE_FLAGS = {
    "DeletionProtection": "DeletionProtection",
    "CopyTagsToSnapshot": "CopyTagsToSnapshot",
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "PubliclyAccessible": "PubliclyAccessible",
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
}
_WINDOWS = ("PreferredBackupWindow", "PreferredMaintenanceWindow")
# What appears in PendingModifiedValues.
_PENDING_TEXTS = ("DBInstanceClass", "StorageType")
_PENDING_NUMBERS = ("AllocatedStorage", "BackupRetentionPeriod", "Iops", "StorageThroughput")
_STORAGE = {"AllocatedStorage", "StorageType", "Iops", "StorageThroughput"}
_INTERRUPTING = {"DBInstanceClass", "EngineVersion", "BackupRetentionPeriod"}
"""These changes end connections. (Retention only if backups are turned on or off.)"""
_PASSWORD = "MasterUserPassword"


class Modifications:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._timings = store.timings
        self._last_storage_change: dict[str, float] = {}

    def modify(self, record: Record, request: Request) -> Answer:
        with self._store.lock:
            rules.check_state(record, rules.MODIFIABLE)
            wanted, password = self._wanted_changes(record, request)
            self._change_at_once(record, request)
            pending = {**record["PendingModifiedValues"], **wanted}
            if record["BackupRetentionPeriod"] and pending.get("BackupRetentionPeriod"):
                record["BackupRetentionPeriod"] = pending["BackupRetentionPeriod"]
            pending = {name: value for name, value in pending.items() if value != record.get(name)}
            if password:
                pending[_PASSWORD] = "****"
            record["PendingModifiedValues"] = pending
            # A new password never waits for the maintenance window.
            applies = {_PASSWORD: "****"} if password else {}
            if request.flag("ApplyImmediately"):
                applies = dict(pending)
            if applies:
                self._begin(record, applies, password)
            return instance_answer("ModifyDBInstance", record)

    def maintain(self, record: Record) -> list[str]:
        """Opens the maintenance window. Returns the changes that are now applied."""
        with self._store.lock:
            rules.check_state(record, rules.USABLE)
            changes = dict(record["PendingModifiedValues"])
            if changes:
                self._begin(record, changes)
            return list(changes)

    def scale_storage(self, record: Record, gib: int) -> None:
        """What storage autoscaling does. Everything except the optimization happens immediately."""
        with self._store.lock:
            rules.check_state(record, rules.MODIFIABLE)
            limit = record["MaxAllocatedStorage"]
            if gib <= record["AllocatedStorage"] or (limit and gib > limit):
                raise Refusal(
                    "InvalidParameterValue",
                    f"Storage autoscaling must increase the storage from {record['AllocatedStorage']} GiB"
                    + (f" to at most {limit} GiB." if limit else "."),
                )
            self._check_storage_may_change(record)
            events.record(record, events.STORAGE_SCALES)
            record["AllocatedStorage"] = gib
            events.record(record, events.STORAGE_SCALED)
            self._optimize(record)
            record["DBInstanceStatus"] = self._store.settled_status(record)

    def upgrade_minor_version(self, record: Record, version: str) -> None:
        """What RDS does in a maintenance window when AutoMinorVersionUpgrade is on."""
        with self._store.lock:
            rules.check_state(record, rules.USABLE)
            wanted = versions.upgraded(str(record["EngineVersion"]), version, allow_major=False)
            if wanted != record["EngineVersion"]:
                self._begin(record, {"EngineVersion": wanted})

    def _wanted_changes(self, record: Record, request: Request) -> tuple[Record, str]:
        """Checks the whole request before anything changes."""
        if request.given("NewDBInstanceIdentifier") or request.flag("ManageMasterUserPassword"):
            raise Refusal("InvalidParameterCombination", "The local AWS doesn't model renaming or managed passwords.")
        password = request.text(_PASSWORD)
        if password:
            rules.check_password(password)
        if any(request.given(name) for name in _WINDOWS):
            backup, maintenance = (request.text(name, str(record[name])).lower() for name in _WINDOWS)
            windows.check(maintenance, backup)
        wanted: Record = {name: request.text(name) for name in _PENDING_TEXTS if request.given(name)}
        wanted |= {name: request.number(name) for name in _PENDING_NUMBERS if request.given(name)}
        if request.given("MultiAZ"):
            wanted["MultiAZ"] = request.flag("MultiAZ")
        if request.given("EngineVersion"):
            wanted["EngineVersion"] = versions.upgraded(
                str(record["EngineVersion"]), request.text("EngineVersion"), request.flag("AllowMajorVersionUpgrade")
            )
        if "DBInstanceClass" in wanted:
            rules.check_class(str(wanted["DBInstanceClass"]))
        if "BackupRetentionPeriod" in wanted:
            rules.check_retention(wanted["BackupRetentionPeriod"])
        storage_type = str(wanted.get("StorageType", record["StorageType"]))
        rules.check_storage_type(storage_type)
        storage = wanted.get("AllocatedStorage", record["AllocatedStorage"])
        if any(wanted[name] != record[name] for name in _STORAGE & wanted.keys()):
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
        if cooling or self._store.is_optimizing(record):
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
        record |= {name: request.text(name).lower() for name in _WINDOWS if request.given(name)}
        if request.given("CACertificateIdentifier"):
            record["CACertificateIdentifier"] = request.text("CACertificateIdentifier")
        if limit := request.number("MaxAllocatedStorage"):
            storage = request.number("AllocatedStorage", record["AllocatedStorage"])
            record["MaxAllocatedStorage"] = None if limit == storage else limit

    def _begin(self, record: Record, changes: Record, password: str = "") -> None:
        status = "upgrading" if "EngineVersion" in changes else "modifying"
        if list(changes) == [_PASSWORD]:
            status = "resetting-master-credentials"
        record["DBInstanceStatus"] = status
        told = _events_of(changes)
        for begins, _ in told:
            if begins is not None:
                events.record(record, begins)

        def apply() -> None:
            time.sleep(self._timings.rds_modify_seconds)
            self._change_server(record, changes, password)
            with self._store.lock:
                if not self._store.is_current(record) or record["DBInstanceStatus"] == "deleting":
                    return
                self._change_record(record, changes)
                for _, ended in told:
                    events.record(record, ended)
                self._store.leave(record, status, self._store.settled_status(record))

        in_background(f"modify {record['DBInstanceIdentifier']}", apply, record)

    def _change_server(self, record: Record, changes: Record, password: str) -> None:
        server = self._store.server(record)
        if password:
            server.set_password(str(record["MasterUsername"]), password)
        if _INTERRUPTING & changes.keys() and server.is_running:
            interrupt(self._store, record)

    def _change_record(self, record: Record, changes: Record) -> None:
        record |= {name: value for name, value in changes.items() if name != _PASSWORD}
        left = record["PendingModifiedValues"].items()
        record["PendingModifiedValues"] = {name: value for name, value in left if name not in changes}
        if "EngineVersion" in changes:
            record |= default_groups(str(record["EngineVersion"]), record)
        if "MultiAZ" in changes:
            record["SecondaryAvailabilityZone"] = secondary_zone(record)
        if "BackupRetentionPeriod" in changes:
            record["LatestRestorableTime"] = now() if changes["BackupRetentionPeriod"] else None
        if _STORAGE & changes.keys():
            self._optimize(record)

    def _optimize(self, record: Record) -> None:
        self._last_storage_change[str(record["DbiResourceId"])] = time.monotonic()
        seconds = self._timings.rds_optimization_seconds
        self._store.optimize(record, seconds)

        def end() -> None:
            time.sleep(seconds)
            self._store.leave(record, "storage-optimization", self._store.settled_status(record))

        in_background(f"optimize {record['DBInstanceIdentifier']}", end, record)


def interrupt(store: Store, record: Record) -> None:
    """Restarts the server. Connections end, and new ones are refused for as long as an interruption lasts."""
    server = store.server(record)
    events.record(record, events.SHUT_DOWN)
    server.stop()
    time.sleep(store.timings.rds_interruption_seconds)
    if store.is_current(record) and record["DBInstanceStatus"] != "deleting":
        server.start()
        events.record(record, events.RESTARTED)


def default_groups(version: str, record: Record | None = None) -> Record:
    """The default parameter and option groups of a version. Custom groups stay."""
    family = f"default.postgres{versions.major(version)}"
    given = record["DBParameterGroups"] if record else []
    own = [group for group in given if not group["DBParameterGroupName"].startswith("default.")]
    option_group = f"default:postgres-{versions.major(version)}"
    return {
        "DBParameterGroups": own or [{"DBParameterGroupName": family, "ParameterApplyStatus": "in-sync"}],
        "OptionGroupMemberships": [{"OptionGroupName": option_group, "Status": "in-sync"}],
    }


def secondary_zone(record: Record) -> str | None:
    """The Availability Zone of a Multi-AZ instance's standby."""
    zone = str(record["AvailabilityZone"])
    return (zone[:-1] + ("a" if zone.endswith("b") else "b")) if record["MultiAZ"] else None


def _events_of(changes: Record) -> list[tuple[events.Kind | None, events.Kind]]:
    """The events when the changes begin, and when they have finished."""
    told: list[tuple[events.Kind | None, events.Kind]] = []
    if "EngineVersion" in changes:
        told.append((events.UPGRADES, events.UPGRADED))
    if "DBInstanceClass" in changes:
        told.append((events.CLASS_CHANGES, events.CLASS_CHANGED))
    if _STORAGE & changes.keys():
        told.append((events.STORAGE_CHANGES, events.STORAGE_CHANGED))
    if "MultiAZ" in changes:
        begins = (events.MULTI_AZ_BEGINS, events.MULTI_AZ_BEGUN)
        told.append(begins if changes["MultiAZ"] else (events.MULTI_AZ_ENDS, events.MULTI_AZ_ENDED))
    if "BackupRetentionPeriod" in changes:
        told.append((None, events.BACKUPS_ON if changes["BackupRetentionPeriod"] else events.BACKUPS_OFF))
    if _PASSWORD in changes:
        told.append((None, events.PASSWORD_CHANGED))
    return told
