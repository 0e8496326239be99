"""RDS's XML format for instances and snapshots (Query protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

# The Query protocol names the items of each list. These names are from the RDS API model.
_ITEM_NAMES = {
    "VpcSecurityGroups": "VpcSecurityGroupMembership",
    "DBParameterGroups": "DBParameterGroup",
    "OptionGroupMemberships": "OptionGroupMembership",
    "Subnets": "Subnet",
    "TagList": "Tag",
    "AvailabilityZones": "AvailabilityZone",
    "OrderableDBInstanceOptions": "OrderableDBInstanceOption",
    "DBEngineVersions": "DBEngineVersion",
    "ValidUpgradeTarget": "UpgradeTarget",
    "DBSnapshots": "DBSnapshot",
    "DBClusterMembers": "DBClusterMember",
    "AssociatedRoles": "DBClusterRole",
    "ReadReplicaIdentifiers": "ReadReplicaIdentifier",
    "DBSecurityGroups": "DBSecurityGroup",
    "ReadReplicaDBInstanceIdentifiers": "ReadReplicaDBInstanceIdentifier",
}


def fields(record: Mapping[str, object]) -> str:
    """The members of a structure, without those that are None or start with `_`."""
    return "".join(
        f"<{name}>{_value(name, value)}</{name}>"
        for name, value in record.items()
        if value is not None and not name.startswith("_")
    )


def _value(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return fields(value)
    if isinstance(value, (list, tuple)):
        item = _ITEM_NAMES.get(name, "member")
        return "".join(f"<{item}>{_value(item, entry)}</{item}>" for entry in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
