"""Orderable instance classes and versions, and the rules for subnet groups."""

from __future__ import annotations

from ministack.core.responses import get_region
from ministack.services import rds

from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_versions as versions
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import Answer, Request, answer, answers_refusals, page


def orderable_options(request: Request) -> Answer:
    wanted_class, wanted_version = request.text("DBInstanceClass"), request.text("EngineVersion")
    # AWS lists every version unless the request names one.
    named = [versions.full_version(wanted_version)] if wanted_version else versions.VERSIONS
    options = []
    if request.flag("Vpc", True):
        options = [
            _option(name, version, storage_type)
            for name in rules.ORDERABLE_CLASSES
            if wanted_class in ("", name)
            for version in named
            for storage_type in rules.STORAGE_TYPES
        ]
    shown, marker = page(request, options, most=1000)
    return answer("DescribeOrderableDBInstanceOptions", {"OrderableDBInstanceOptions": shown, **marker})


def engine_versions(request: Request) -> Answer:
    found = versions.listed(request.text("EngineVersion"), request.flag("DefaultOnly"))
    shown, marker = page(request, found)
    described = [versions.described(version) for version in shown]
    return answer("DescribeDBEngineVersions", {"DBEngineVersions": described, **marker})


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
    """A subnet group must cover two Availability Zones."""
    members = rds._resolve_subnet_group_members(request.many("SubnetIds"))
    if members is None:
        return  # MiniStack returns AWS's error for that.
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
    for cluster in rds._clusters.values():
        if cluster.get("DBSubnetGroup") == name:
            raise Refusal(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database cluster: "
                f"{cluster['DBClusterIdentifier']} is still using it.",
            )


def install() -> None:
    for action, ours in (
        ("DescribeOrderableDBInstanceOptions", orderable_options),
        ("DescribeDBEngineVersions", engine_versions),
    ):
        rds._ACTION_MAP[action] = _for_postgres(answers_refusals(ours), rds._ACTION_MAP[action])
    # CloudFormation calls these two by name, the API calls them through the map.
    for action, function, check in (
        ("CreateDBSubnetGroup", "_create_subnet_group", check_zones),
        ("DeleteDBSubnetGroup", "_delete_subnet_group", check_unused),
    ):
        checked = _checked(getattr(rds, function), check)
        setattr(rds, function, checked)
        rds._ACTION_MAP[action] = checked


def _for_postgres(ours, elsewhere):
    return lambda params: (ours if Request(params).text("Engine") == "postgres" else elsewhere)(params)


def _checked(handler, check):
    def handle(request: Request) -> Answer:
        check(request)
        return handler(request.params)

    return answers_refusals(handle)
