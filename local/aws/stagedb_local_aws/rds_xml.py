"""How RDS writes an instance and a snapshot down (query protocol, XML)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

# The query protocol names each item of a list; the API model of RDS has these names.
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
    """The members of a structure. What is None is left out, and so is what begins with `_`."""
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
