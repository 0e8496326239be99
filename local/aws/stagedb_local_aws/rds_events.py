"""The events of an instance: DescribeEvents returns them for 14 days, and EventBridge receives them.

Identifiers, categories and messages: user guide, "Amazon RDS event categories and event messages".
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ministack.core.responses import new_uuid
from ministack.services import rds

from stagedb_local_aws import cloudformation
from stagedb_local_aws.rds_store import Record


@dataclass(frozen=True)
class Kind:
    id: str
    category: str
    message: str


_CHANGE = "configuration change"
SHUT_DOWN = Kind("RDS-EVENT-0004", "availability", "DB instance shutdown.")
RESTARTED = Kind("RDS-EVENT-0006", "availability", "DB instance restarted.")
CREATED = Kind("RDS-EVENT-0005", "creation", "DB instance created.")
DELETED = Kind("RDS-EVENT-0003", "deletion", "DB instance deleted.")
RESTORED = Kind("RDS-EVENT-0043", "restoration", "Restored from snapshot {}.")
STOPPED = Kind("RDS-EVENT-0087", "notification", "DB instance stopped.")
STARTED = Kind("RDS-EVENT-0088", "notification", "DB instance started.")
PASSWORD_CHANGED = Kind("RDS-EVENT-0016", _CHANGE, "Reset master credentials.")
CLASS_CHANGES = Kind("RDS-EVENT-0012", _CHANGE, "Applying modification to database instance class.")
CLASS_CHANGED = Kind("RDS-EVENT-0014", _CHANGE, "Finished applying modification to DB instance class.")
STORAGE_CHANGES = Kind("RDS-EVENT-0018", _CHANGE, "Applying modification to allocated storage.")
STORAGE_CHANGED = Kind("RDS-EVENT-0017", _CHANGE, "Finished applying modification to allocated storage.")
STORAGE_SCALES = Kind("RDS-EVENT-0217", _CHANGE, "Applying autoscaling-initiated modification to allocated storage.")
STORAGE_SCALED = Kind(
    "RDS-EVENT-0218", _CHANGE, "Finished applying autoscaling-initiated modification to allocated storage."
)
MULTI_AZ_BEGINS = Kind("RDS-EVENT-0024", _CHANGE, "Applying modification to convert to a Multi-AZ DB instance.")
MULTI_AZ_BEGUN = Kind("RDS-EVENT-0025", _CHANGE, "Finished applying modification to convert to a Multi-AZ DB instance.")
MULTI_AZ_ENDS = Kind(
    "RDS-EVENT-0030", _CHANGE, "Applying modification to convert to a standard (Single-AZ) DB instance."
)
MULTI_AZ_ENDED = Kind(
    "RDS-EVENT-0029", _CHANGE, "Finished applying modification to convert to a standard (Single-AZ) DB instance."
)
BACKUPS_OFF = Kind("RDS-EVENT-0028", _CHANGE, "Disabled automated backups.")
BACKUPS_ON = Kind("RDS-EVENT-0032", _CHANGE, "Enabled automated backups.")
UPGRADES = Kind("RDS-EVENT-0267", "maintenance", "The engine version upgrade started.")
UPGRADED = Kind("RDS-EVENT-0268", "maintenance", "The engine version upgrade finished.")
PATCHED = Kind("RDS-EVENT-0047", "maintenance", "Database instance patched.")
CREATION_FAILED = Kind("RDS-EVENT-0278", "failure", "The DB instance creation failed.")
NOTICE = Kind("RDS-EVENT-0044", "notification", "")
ENTERED = {
    "failed": Kind(
        "RDS-EVENT-0031",
        "failure",
        "DB instance put into failed state. RDS recommends that you initiate a point-in-time-restore.",
    ),
    "incompatible-parameters": Kind("RDS-EVENT-0035", "failure", "Database instance put into incompatible-parameters."),
    "incompatible-network": Kind("RDS-EVENT-0036", "failure", "Database instance in incompatible-network."),
    "storage-full": Kind("RDS-EVENT-0007", "low storage", "Allocated storage has been exhausted."),
}
"""The events when an instance enters a status on its own."""


def record(instance: Record, kind: Kind, message: str = "") -> None:
    """Records an event now. `message` replaces the message of its kind."""
    identifier, arn, text = instance["DBInstanceIdentifier"], str(instance["DBInstanceArn"]), message or kind.message
    now = time.time()
    rds._events[new_uuid()] = {
        "SourceIdentifier": identifier,
        "SourceType": "db-instance",
        "SourceArn": arn,
        "Message": text,
        "Date": now,
        "EventCategories": [kind.category],
    }
    detail = {
        "EventCategories": [kind.category],
        "SourceType": "DB_INSTANCE",
        "SourceArn": arn,
        "Date": rds._format_time(now),
        "Message": text,
        # As in the user guide's examples. The API's format, without `rds:`, is correct too.
        "SourceIdentifier": f"rds:{identifier}",
        "EventID": kind.id,
    }
    cloudformation.publish("aws.rds", "RDS DB Instance Event", [arn], detail)
