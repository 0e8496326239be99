"""What can be ordered, and the rules about subnet groups."""

from __future__ import annotations

import re

from ministack.core.responses import get_region
from ministack.services import rds

from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_xml
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import Answer, Request, answers_refusals


def orderable_options(request: Request) -> Answer:
    wanted_class = request.text("DBInstanceClass")
    size = request.number("MaxRecords", 100)
    if not 20 <= size <= 1000:
        raise Refusal("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 1000.")
    # AWS lists every version unless one is named.
    versions = [request.text("EngineVersion")] if request.text("EngineVersion") else rules.ENGINE_VERSIONS.values()
    options = []
    if request.flag("Vpc", True):
        options = [
            _option(name, rules.full_version(version), storage_type)
            for name in rules.ORDERABLE_CLASSES
            if wanted_class in ("", name)
            for version in versions
            for storage_type in rules.STORAGE_TYPES
        ]
    start = request.number("Marker", 0)
    page = {"OrderableDBInstanceOptions": options[start : start + size]}
    if start + size < len(options):
        page["Marker"] = start + size
    action = "DescribeOrderableDBInstanceOptions"
    return rds._xml(200, f"{action}Response", f"<{action}Result>{rds_xml.fields(page)}</{action}Result>")


def _option(name: str, version: str, storage_type: str) -> dict[str, object]:
    gp3 = storage_type == "gp3"
    return {
        "Engine": "postgres",
        "EngineVersion": version,
        "DBInstanceClass": name,
        "LicenseModel": "postgresql-license",
        "AvailabilityZones": [{"Name": get_region() + letter} for letter in "abc"],
        "MultiAZCapable": True,
        "ReadReplicaCapable": True,
        "Vpc": True,
        "SupportsStorageEncryption": True,
        "StorageType": storage_type,
        "SupportsIops": gp3,
        "SupportsEnhancedMonitoring": True,
        "SupportsIAMDatabaseAuthentication": True,
        "SupportsPerformanceInsights": True,
        "MinStorageSize": rules.MIN_STORAGE_GIB,
        "MaxStorageSize": rules.MAX_STORAGE_GIB,
        "SupportedEngineModes": [],
        "SupportsStorageAutoscaling": True,
        "SupportsKerberosAuthentication": True,
        "OutpostCapable": False,
        "SupportedNetworkTypes": ["IPV4"],
        "SupportsGlobalDatabases": False,
        "SupportsClusters": False,
        "SupportsStorageThroughput": gp3,
    }


def check_zones(request: Request) -> None:
    """A subnet group must reach over two availability zones."""
    members = rds._resolve_subnet_group_members(request.many("SubnetIds"))
    if members is None:
        return  # MiniStack has AWS's answer for that.
    zones = sorted({subnet["SubnetAvailabilityZone"]["Name"] for subnet in members[0]})
    if len(zones) < 2:
        raise Refusal(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: "
            f"{', '.join(zones)}. Add subnets to cover at least 2 AZs.",
        )


def check_unused(request: Request) -> None:
    name = request.text("DBSubnetGroupName")
    for record in rds._instances.values():
        if record.get("DBSubnetGroup", {}).get("DBSubnetGroupName") == name:
            raise Refusal(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database instance: "
                f"{record['DBInstanceIdentifier']} is still using it.",
            )


def install() -> None:
    _options_elsewhere = rds._ACTION_MAP["DescribeOrderableDBInstanceOptions"]
    _versions_elsewhere = rds._ACTION_MAP["DescribeDBEngineVersions"]
    ours = answers_refusals(orderable_options)

    def describe_orderable(params):
        return ours(params) if Request(params).text("Engine") == "postgres" else _options_elsewhere(params)

    def describe_versions(params):
        request = Request(params)
        if request.text("Engine") != "postgres":
            return _versions_elsewhere(params)
        wanted = {**params}
        if request.text("EngineVersion") in rules.ENGINE_VERSIONS:
            # A major version alone: here each has one minor version, which is then also its default.
            wanted["EngineVersion"] = [rules.ENGINE_VERSIONS[request.text("EngineVersion")]]
            wanted.pop("DefaultOnly", None)
        status, headers, body = _versions_elsewhere(wanted)
        family = rb"<DBParameterGroupFamily>postgres\1"
        return status, headers, re.sub(rb"<DBParameterGroupFamily>(\d)", family, body)

    rds._ACTION_MAP["DescribeOrderableDBInstanceOptions"] = describe_orderable
    rds._ACTION_MAP["DescribeDBEngineVersions"] = describe_versions
    # CloudFormation calls these two by name, the API through the map.
    for action, function, check in (
        ("CreateDBSubnetGroup", "_create_subnet_group", check_zones),
        ("DeleteDBSubnetGroup", "_delete_subnet_group", check_unused),
    ):
        checked = _checked(getattr(rds, function), check)
        setattr(rds, function, checked)
        rds._ACTION_MAP[action] = checked


def _checked(handler, check):
    def handle(request: Request) -> Answer:
        check(request)
        return handler(request.params)

    return answers_refusals(handle)
