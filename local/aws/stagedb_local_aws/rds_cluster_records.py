"""What creating an Aurora PostgreSQL cluster, or an instance of one, takes, and the records that it makes."""

from __future__ import annotations

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import rds

from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_windows as windows
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import Record, Request, default_security_group, now, security_groups, subnet_group

ENGINE = "aurora-postgresql"
CLASSES = (
    "db.serverless",
    *(f"db.{family}.{size}" for family in ("t3", "t4g") for size in ("medium", "large")),
) + tuple(
    f"db.{family}.{size}" for family in ("r5", "r6g", "r7g") for size in ("large", "xlarge", "2xlarge", "4xlarge")
)
"""Not AWS's full list."""
# These belong to the cluster, and are rejected for an instance.
_OF_THE_CLUSTER = (
    "AllocatedStorage",
    "BackupRetentionPeriod",
    "DBName",
    "MasterUsername",
    "MasterUserPassword",
    "Port",
)


def check_cluster(request: Request) -> None:
    if request.flag("ManageMasterUserPassword"):
        raise Refusal("InvalidParameterCombination", "The local AWS doesn't model ManageMasterUserPassword.")
    for needed in ("MasterUsername", "MasterUserPassword"):
        if not request.given(needed):
            raise Refusal("InvalidParameterValue", f"The parameter {needed} must be provided and must not be blank.")
    rules.check_user(request.text("MasterUsername"))
    rules.check_password(request.text("MasterUserPassword"))
    if request.given("DatabaseName"):
        rules.check_database_name(request.text("DatabaseName"))
    if port := request.number("Port"):
        rules.check_port(port)
    if (mode := request.text("EngineMode", "provisioned")) != "provisioned":
        raise Refusal("InvalidParameterValue", f"The engine mode {mode} you requested is currently unavailable.")


def new_cluster(identifier: str, request: Request) -> Record:
    group = subnet_group(request)
    vpc, region, version = str(group["VpcId"]), get_region(), _full_version(request.text("EngineVersion"))
    maintenance = request.text("PreferredMaintenanceWindow", windows.DEFAULT_MAINTENANCE).lower()
    backup = request.text("PreferredBackupWindow", windows.backup_beside(maintenance)).lower()
    windows.check(maintenance, backup)
    return {
        "DBClusterIdentifier": identifier,
        "DBClusterArn": f"arn:aws:rds:{region}:{get_account_id()}:cluster:{identifier}",
        "DbClusterResourceId": f"cluster-{new_uuid().replace('-', '')[:26].upper()}",
        "Status": "creating",
        "Engine": ENGINE,
        "EngineVersion": version,
        "EngineMode": "provisioned",
        "EngineLifecycleSupport": request.text("EngineLifecycleSupport", "open-source-rds-extended-support"),
        "AllocatedStorage": 1,
        "AvailabilityZones": [region + letter for letter in "abc"],
        "MultiAZ": False,
        "DatabaseName": request.text("DatabaseName") or None,
        "MasterUsername": request.text("MasterUsername"),
        "DBSubnetGroup": group["DBSubnetGroupName"],
        "_subnet_group": group,
        "VpcSecurityGroups": security_groups(request, vpc) or default_security_group(vpc),
        "DBClusterParameterGroup": request.text(
            "DBClusterParameterGroupName", f"default.{ENGINE}{version.partition('.')[0]}"
        ),
        "DBClusterMembers": [],
        "AssociatedRoles": [],
        "ReadReplicaIdentifiers": [],
        "BackupRetentionPeriod": request.number("BackupRetentionPeriod", 1),
        "PreferredBackupWindow": backup,
        "PreferredMaintenanceWindow": maintenance,
        "ClusterCreateTime": now(),
        "StorageEncrypted": request.flag("StorageEncrypted"),
        "KmsKeyId": request.text("KmsKeyId") or None,
        "DeletionProtection": request.flag("DeletionProtection"),
        "IAMDatabaseAuthenticationEnabled": request.flag("EnableIAMDatabaseAuthentication"),
        "HttpEndpointEnabled": False,
        "CopyTagsToSnapshot": request.flag("CopyTagsToSnapshot"),
        "CrossAccountClone": False,
        "AutoMinorVersionUpgrade": True,
        "ActivityStreamStatus": "stopped",
        "NetworkType": "IPV4",
        "HostedZoneId": "Z2R2ITUGPM61AM",
        "TagList": request.tags(),
    }


def check_member(cluster: Record, request: Request) -> None:
    if (engine := request.required("Engine")) != ENGINE:
        raise Refusal(
            "InvalidParameterCombination",
            f"The engine name requested for your DB instance ({engine}) doesn't match the engine name of your DB "
            f"cluster ({ENGINE}).",
        )
    for name in _OF_THE_CLUSTER:
        if request.given(name):
            raise Refusal(
                "InvalidParameterCombination",
                f"The requested DB Instance will be a member of a DB Cluster. Set {name} for the DB Cluster.",
            )
    if (wanted := request.required("DBInstanceClass")) not in CLASSES:
        raise Refusal(
            "InvalidParameterCombination",
            "RDS does not support creating a DB instance with the following combination: "
            f"DBInstanceClass={wanted}, Engine={ENGINE}, EngineVersion={cluster['EngineVersion']}, "
            "LicenseModel=postgresql-license. For supported combinations of instance class and database engine "
            "version, see the documentation.",
        )
    if cluster["Status"] not in ("creating", "available"):
        raise wrong_state(cluster)


def new_member(identifier: str, cluster: Record, request: Request) -> Record:
    region, major = get_region(), str(cluster["EngineVersion"]).partition(".")[0]
    zone = region + "abc"[len(cluster["DBClusterMembers"]) % 3]
    copied = ("Engine", "EngineVersion", "MasterUsername", "VpcSecurityGroups", "StorageEncrypted", "KmsKeyId")
    copied += ("BackupRetentionPeriod", "PreferredBackupWindow", "EngineLifecycleSupport", "NetworkType")
    return {
        **{name: cluster[name] for name in copied},
        "DBInstanceIdentifier": identifier,
        "DBInstanceArn": f"arn:aws:rds:{region}:{get_account_id()}:db:{identifier}",
        "DbiResourceId": f"db-{new_uuid().replace('-', '')[:26].upper()}",
        "DBClusterIdentifier": cluster["DBClusterIdentifier"],
        "_member_of": cluster["DbClusterResourceId"],
        "DBInstanceClass": request.text("DBInstanceClass"),
        "DBInstanceStatus": "creating",
        "DBName": cluster["DatabaseName"],
        "AllocatedStorage": 1,
        "StorageType": "aurora",
        "LicenseModel": "postgresql-license",
        "MultiAZ": False,
        "AvailabilityZone": request.text("AvailabilityZone", zone),
        "DBSubnetGroup": cluster["_subnet_group"],
        "DBSecurityGroups": [],
        "DBParameterGroups": [{"DBParameterGroupName": f"default.{ENGINE}{major}", "ParameterApplyStatus": "in-sync"}],
        "OptionGroupMemberships": [{"OptionGroupName": f"default:{ENGINE}-{major}", "Status": "in-sync"}],
        "PubliclyAccessible": request.flag("PubliclyAccessible"),
        "AutoMinorVersionUpgrade": request.flag("AutoMinorVersionUpgrade", True),
        "PreferredMaintenanceWindow": cluster["PreferredMaintenanceWindow"],
        "PromotionTier": request.number("PromotionTier", 1),
        "DeletionProtection": False,
        "CopyTagsToSnapshot": False,
        "IAMDatabaseAuthenticationEnabled": cluster["IAMDatabaseAuthenticationEnabled"],
        "MonitoringInterval": 0,
        "PerformanceInsightsEnabled": False,
        "CACertificateIdentifier": "rds-ca-rsa2048-g1",
        "ReadReplicaDBInstanceIdentifiers": [],
        "PendingModifiedValues": {},
        "CustomerOwnedIpEnabled": False,
        "TagList": request.tags(),
    }


def wrong_state(cluster: Record) -> Refusal:
    return Refusal(
        "InvalidDBClusterStateFault",
        f"DB Cluster {cluster['DBClusterIdentifier']} is in {cluster['Status']} state, not available.",
    )


def _full_version(given: str) -> str:
    known = [version for version, _ in rds.AURORA_POSTGRESQL_ENGINE_VERSIONS]
    if not given:
        return rds._default_engine_version(ENGINE)
    of_major = [version for version in known if version.startswith(f"{given}.") and "-" not in version]
    if given.isdigit() and of_major:
        return rds.AURORA_POSTGRESQL_DEFAULT_ENGINE_VERSIONS.get(given, of_major[-1])
    if given not in known:
        raise Refusal("InvalidParameterCombination", f"Cannot find version {given} for {ENGINE}")
    return given
