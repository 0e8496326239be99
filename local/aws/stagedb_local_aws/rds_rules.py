"""What RDS accepts for PostgreSQL: pure functions, so that each rule can be tested separately.

Sources: the RDS API model (boto/botocore) and the user guide. Where AWS documents a rule without its
message, the wording is ours. The error codes are AWS's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# The sizes of the families that RDS for PostgreSQL offers everywhere. Not AWS's full list.
_SMALL = ("micro", "small", "medium", "large", "xlarge", "2xlarge")
_LARGE = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge")
ORDERABLE_CLASSES = [f"db.{family}.{size}" for family in ("t3", "t4g") for size in _SMALL] + [
    f"db.{family}.{size}" for family in ("m5", "m6g", "m7g", "r5", "r6g", "r7g") for size in _LARGE
]
STORAGE_TYPES = ("gp3", "gp2")
MIN_STORAGE_GIB, MAX_STORAGE_GIB = 20, 65_536
USABLE = ("available", "storage-optimization")
MODIFIABLE = (*USABLE, "storage-full")
"""Includes storage-full, because such an instance needs more storage."""
STATUSES = (
    *("available", "backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth"),
    *("configuring-log-exports", "converting-to-vpc", "creating", "delete-precheck", "deleting", "failed"),
    *("inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable"),
    *("incompatible-create", "incompatible-network", "incompatible-option-group", "incompatible-parameters"),
    *("incompatible-restore", "insufficient-capacity", "maintenance", "modifying", "moving-to-vpc", "rebooting"),
    *("resetting-master-credentials", "renaming", "restore-error", "starting", "stopped", "stopping"),
    *("storage-config-upgrade", "storage-full", "storage-initialization", "storage-optimization", "upgrading"),
)
"""User guide, "Viewing DB instance status"."""
RESERVED_USERS = ("admin", "rdsadmin", "rdsrepladmin", "rds_superuser")


class Refusal(Exception):
    """A request that AWS would reject: the error code, message, and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def check_identifier(value: str, parameter: str = "DBInstanceIdentifier", longest: int = 63) -> str:
    """Returns the identifier as AWS stores it: in lowercase."""
    valid = re.fullmatch(r"[A-Za-z](-?[A-Za-z0-9])*", value) and len(value) <= longest
    if not valid:
        raise Refusal(
            "InvalidParameterValue",
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must "
            "contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two "
            "consecutive hyphens.",
        )
    return value.lower()


def check_class(value: str) -> None:
    if value not in ORDERABLE_CLASSES:
        raise Refusal("InvalidParameterValue", f"Invalid DB Instance class: {value}")


def check_storage_type(value: str) -> None:
    if value not in STORAGE_TYPES:
        raise Refusal("InvalidParameterValue", f"Invalid storage type: {value} (the local AWS has gp2 and gp3)")


def check_storage(gib: int, storage_type: str) -> None:
    if not MIN_STORAGE_GIB <= gib <= MAX_STORAGE_GIB:
        raise Refusal(
            "InvalidParameterCombination",
            f"Invalid storage size for engine name postgres and storage type {storage_type}: {gib}",
        )


def check_growth(current: int, wanted: int) -> None:
    if wanted < current:
        raise Refusal(
            "InvalidParameterCombination",
            f"Requested storage size ({wanted} GiB) cannot be less than the current storage size ({current} GiB).",
        )
    if current < wanted and wanted * 10 < current * 11:
        raise Refusal(
            "InvalidParameterCombination",
            f"Invalid storage size for engine name postgres: {wanted}. The allocated storage must be "
            f"at least 10 percent greater than the current storage size ({current} GiB).",
        )


def check_autoscaling_limit(limit: int, storage: int, storage_type: str) -> None:
    # A limit equal to the storage turns autoscaling off.
    if limit != storage and limit * 10 < storage * 11:
        raise Refusal(
            "InvalidParameterCombination",
            f"Invalid max storage size for engine name postgres and storage type {storage_type}: {limit}",
        )


def check_password(value: str) -> None:
    def refuse(why: str) -> Refusal:
        return Refusal(
            "InvalidParameterValue", f"The parameter MasterUserPassword is not a valid password because it {why}."
        )

    if len(value) < 8:
        raise refuse("is shorter than 8 characters")
    if len(value) > 128:
        raise refuse("is longer than 128 characters")
    if re.search(r"[^!-~]|[/@\"]", value):
        raise refuse("contains characters besides printable ASCII, or one of '/', '@', '\"', ' '")


def check_user(value: str) -> None:
    if not value:
        raise Refusal("InvalidParameterValue", "The parameter MasterUsername must be provided and must not be blank.")
    if value.lower() in RESERVED_USERS or value.lower().startswith("pg_"):
        raise Refusal(
            "InvalidParameterValue",
            f"MasterUsername {value} cannot be used as it is a reserved word used by the engine",
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,15}", value):
        raise Refusal(
            "InvalidParameterValue",
            "The parameter MasterUsername is not a valid identifier: it must be 1 to 16 letters, digits or "
            "underscores, and begin with a letter.",
        )


def check_database_name(value: str) -> None:
    if value.lower() in ("template0", "template1", "rdsadmin") or not re.fullmatch(
        r"[A-Za-z][A-Za-z0-9_]{0,62}", value
    ):
        raise Refusal(
            "InvalidParameterValue",
            "DBName must begin with a letter and contain only alphanumeric characters and underscores, at most 63, "
            "and not be a word reserved by the engine.",
        )


def check_port(value: int) -> None:
    if not 1150 <= value <= 65_535:
        raise Refusal("InvalidParameterValue", "Invalid database port. It must be from 1150 to 65535.")


def check_retention(days: int) -> None:
    if not 0 <= days <= 35:
        raise Refusal("InvalidParameterValue", f"Invalid backup retention period: {days}. Must be between 0 and 35.")


def check_final_snapshot(skip_snapshot: bool, snapshot: str) -> None:
    if skip_snapshot and snapshot:
        raise Refusal(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot enabled.",
        )
    if not skip_snapshot and not snapshot:
        raise Refusal(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
        )
    if snapshot:
        check_identifier(snapshot, "FinalDBSnapshotIdentifier", 255)


def check_deletion(instance: Mapping[str, object], skip_snapshot: bool, snapshot: str) -> None:
    name, status = instance["DBInstanceIdentifier"], instance["DBInstanceStatus"]
    if status == "deleting":
        raise Refusal("InvalidDBInstanceState", f"Instance {name} is already being deleted.")
    if instance["DeletionProtection"]:
        raise Refusal(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        )
    check_final_snapshot(skip_snapshot, snapshot)
    if snapshot and status not in (*USABLE, "stopped"):
        raise Refusal(
            "InvalidDBInstanceState", f"Instance {name} is currently {status} - a final snapshot cannot be taken."
        )


def check_state(instance: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    if instance["DBInstanceStatus"] not in allowed:
        raise Refusal(
            "InvalidDBInstanceState",
            f"Instance {instance['DBInstanceIdentifier']} is currently {instance['DBInstanceStatus']}, "
            f"but must be {' or '.join(allowed)} for this operation.",
        )
