"""Aurora PostgreSQL: a cluster with a real server, and its instances."""

import psycopg2
import pytest
from local_aws import PASSWORD, wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")


def describe(aws, identifier: str) -> dict:
    return aws.client("rds").describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]


def create(aws, identifier: str, **changes: object) -> dict:
    settings = {
        "Engine": "aurora-postgresql",
        "MasterUsername": "app",
        "MasterUserPassword": PASSWORD,
        "DatabaseName": "orders",
        **changes,
    }
    aws.client("rds").create_db_cluster(DBClusterIdentifier=identifier, **settings)
    wait_for(lambda: describe(aws, identifier)["Status"] == "available")
    return describe(aws, identifier)


def add_member(aws, cluster: str, identifier: str, **changes: object) -> dict:
    settings = {"DBInstanceClass": "db.t4g.medium", "Engine": "aurora-postgresql", **changes}
    aws.client("rds").create_db_instance(DBInstanceIdentifier=identifier, DBClusterIdentifier=cluster, **settings)
    return aws.wait_for_status(identifier, "available")


def query(cluster: dict, statement: str, password: str = PASSWORD) -> list[tuple]:
    connection = psycopg2.connect(
        host=cluster["Endpoint"], port=cluster["Port"], user="app", password=password, dbname="orders"
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def is_gone(aws, identifier: str) -> bool:
    rds = aws.client("rds")
    try:
        describe(aws, identifier)
    except rds.exceptions.DBClusterNotFoundFault:
        return True
    return False


def test_a_cluster_comes_up_with_a_server_and_says_all_about_itself(aws):
    ec2, rds = aws.client("ec2"), aws.client("rds")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="aurora", Description="x", VpcId=vpc)["GroupId"]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"] if subnet["DefaultForAz"]]
    rds.create_db_subnet_group(DBSubnetGroupName="aurora", DBSubnetGroupDescription="x", SubnetIds=subnets)
    tags = [{"Key": "team", "Value": "orders"}]
    created = rds.create_db_cluster(
        DBClusterIdentifier="Orders",
        Engine="aurora-postgresql",
        EngineVersion="16",
        MasterUsername="app",
        MasterUserPassword=PASSWORD,
        DatabaseName="orders",
        DBSubnetGroupName="aurora",
        VpcSecurityGroupIds=[group],
        Port=5433,
        DeletionProtection=True,
        Tags=tags,
    )["DBCluster"]
    assert created["Status"] == "creating" and "Endpoint" not in created
    wait_for(lambda: describe(aws, "orders")["Status"] == "available")
    cluster = describe(aws, created["DBClusterArn"])
    assert cluster["Endpoint"] == cluster["ReaderEndpoint"] == "localhost"
    assert (cluster["Engine"], cluster["EngineMode"]) == ("aurora-postgresql", "provisioned")
    assert cluster["EngineVersion"].startswith("16.") and cluster["DBClusterMembers"] == []
    assert (cluster["DBClusterIdentifier"], cluster["DatabaseName"]) == ("orders", "orders")
    assert cluster["MasterUsername"] == "app" and cluster["DBSubnetGroup"] == "aurora"
    assert cluster["VpcSecurityGroups"] == [{"VpcSecurityGroupId": group, "Status": "active"}]
    assert cluster["TagList"] == tags == rds.list_tags_for_resource(ResourceName=cluster["DBClusterArn"])["TagList"]
    assert cluster["DbClusterResourceId"].startswith("cluster-") and cluster["DeletionProtection"]
    assert query(cluster, "SELECT current_database()") == [("orders",)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(cluster, "SELECT 1", "not-the-password")
    # Resources in use can't be deleted.
    with pytest.raises(rds.exceptions.InvalidDBSubnetGroupStateFault):
        rds.delete_db_subnet_group(DBSubnetGroupName="aurora")
    with pytest.raises(ec2.exceptions.ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=group)


def test_the_instances_of_a_cluster_share_its_server_and_one_writes(aws):
    rds = aws.client("rds")
    cluster = create(aws, "shared")
    rds.create_db_instance(
        DBInstanceIdentifier="shared-1",
        DBClusterIdentifier="shared",
        DBInstanceClass="db.t4g.medium",
        Engine="aurora-postgresql",
    )
    assert aws.statuses_until("shared-1", "available") == ["creating", "available"]
    second = add_member(aws, "shared", "shared-2")
    first = aws.describe("SHARED-1")
    assert first["DBClusterIdentifier"] == "shared" and first["Engine"] == "aurora-postgresql"
    assert first["Endpoint"]["Port"] == second["Endpoint"]["Port"] == cluster["Port"]
    assert first["DBSubnetGroup"]["VpcId"].startswith("vpc-") and first["StorageType"] == "aurora"
    assert first["VpcSecurityGroups"] == cluster["VpcSecurityGroups"]
    members = describe(aws, "shared")["DBClusterMembers"]
    assert [(member["DBInstanceIdentifier"], member["IsClusterWriter"]) for member in members] == [
        ("shared-1", True),
        ("shared-2", False),
    ]
    query(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert aws.query("shared-2", "SELECT 1", dbname="orders") == [(1,)]
    rds.reboot_db_instance(DBInstanceIdentifier="shared-1")
    aws.wait_for_status("shared-1", "available")
    assert query(cluster, "SELECT answer FROM kept") == [(42,)]
    # When the writer is deleted, the other instance becomes the writer.
    rds.delete_db_instance(DBInstanceIdentifier="shared-1")
    wait_for(lambda: len(describe(aws, "shared")["DBClusterMembers"]) == 1)
    assert describe(aws, "shared")["DBClusterMembers"][0]["IsClusterWriter"]
    only = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": ["shared"]}])["DBInstances"]
    assert [instance["DBInstanceIdentifier"] for instance in only] == ["shared-2"]


def test_a_member_may_be_asked_for_while_the_cluster_is_being_created(aws):
    aws.client("rds").create_db_cluster(
        DBClusterIdentifier="hasty", Engine="aurora-postgresql", MasterUsername="app", MasterUserPassword=PASSWORD
    )
    member = add_member(aws, "hasty", "hasty-1")
    assert member["Endpoint"]["Port"] == describe(aws, "hasty")["Port"]


def test_a_cluster_is_deleted_after_its_instances(aws, expect_error):
    rds = aws.client("rds")
    cluster = create(aws, "leaving", DeletionProtection=True)
    add_member(aws, "leaving", "leaving-1")
    delete = {"DBClusterIdentifier": "leaving", "SkipFinalSnapshot": True}
    assert expect_error(rds.delete_db_cluster, **delete) == (
        "InvalidParameterCombination",
        "Cannot delete protected Cluster, please disable deletion protection and try again.",
    )
    rds.modify_db_cluster(DBClusterIdentifier="leaving", DeletionProtection=False)
    assert expect_error(rds.delete_db_cluster, **delete) == (
        "InvalidDBClusterStateFault",
        "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
    )
    final = {"DBInstanceIdentifier": "leaving-1", "FinalDBSnapshotIdentifier": "x"}
    assert expect_error(rds.delete_db_instance, **final)[0] == "InvalidParameterCombination"
    rds.delete_db_instance(DBInstanceIdentifier="leaving-1")
    again = {"DBInstanceIdentifier": "leaving-1"}
    assert expect_error(rds.delete_db_instance, **again)[0] == "InvalidDBInstanceState"
    undecided = {"DBClusterIdentifier": "leaving"}
    assert expect_error(rds.delete_db_cluster, **undecided)[0] == "InvalidParameterCombination"
    rds.delete_db_cluster(DBClusterIdentifier="leaving", FinalDBSnapshotIdentifier="leaving-final")
    assert describe(aws, "leaving")["Status"] == "deleting"
    assert expect_error(rds.delete_db_cluster, **delete)[0] == "InvalidDBClusterStateFault"
    wait_for(lambda: is_gone(aws, "leaving"))
    with pytest.raises(psycopg2.OperationalError):
        query(cluster, "SELECT 1")
    snapshots = rds.describe_db_cluster_snapshots(DBClusterIdentifier="leaving")["DBClusterSnapshots"]
    assert [snapshot["DBClusterSnapshotIdentifier"] for snapshot in snapshots] == ["leaving-final"]


def test_a_new_password_of_a_cluster_replaces_the_old_one(aws):
    cluster = create(aws, "rotated")
    aws.client("rds").modify_db_cluster(DBClusterIdentifier="rotated", MasterUserPassword="second-password-2")
    assert query(cluster, "SELECT 1", "second-password-2") == [(1,)]
    with pytest.raises(psycopg2.OperationalError):
        query(cluster, "SELECT 1")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DBClusterIdentifier": "no--good"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"MasterUsername": "admin"}, "InvalidParameterValue"),
        ({"DatabaseName": "no-hyphens"}, "InvalidParameterValue"),
        ({"EngineVersion": "99"}, "InvalidParameterCombination"),
        ({"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
        ({"VpcSecurityGroupIds": ["sg-12345678"]}, "InvalidParameterValue"),
    ],
)
def test_the_creation_of_a_cluster_is_refused(aws, expect_error, change, code):
    given = {"Engine": "aurora-postgresql", "MasterUsername": "app", "MasterUserPassword": PASSWORD}
    call = aws.client("rds").create_db_cluster
    assert expect_error(call, **{"DBClusterIdentifier": "refused", **given, **change})[0] == code


def test_what_does_not_fit_a_cluster_is_refused(aws, expect_error):
    rds = aws.client("rds")
    create(aws, "strict")
    code, _ = expect_error(create, aws=aws, identifier="STRICT")
    assert code == "DBClusterAlreadyExistsFault"
    assert expect_error(rds.describe_db_clusters, DBClusterIdentifier="none")[0] == "DBClusterNotFoundFault"
    assert expect_error(rds.delete_db_cluster, DBClusterIdentifier="none")[0] == "DBClusterNotFoundFault"
    for change, code in (
        ({"DBClusterIdentifier": "none"}, "DBClusterNotFoundFault"),
        ({"DBInstanceClass": "db.t4g.micro"}, "InvalidParameterCombination"),
        ({"Engine": "postgres"}, "InvalidParameterCombination"),
        ({"MasterUsername": "app"}, "InvalidParameterCombination"),
        ({"AllocatedStorage": 20}, "InvalidParameterCombination"),
    ):
        given = {
            "DBInstanceIdentifier": "strict-1",
            "DBClusterIdentifier": "strict",
            "DBInstanceClass": "db.t4g.medium",
            "Engine": "aurora-postgresql",
        }
        assert expect_error(rds.create_db_instance, **{**given, **change})[0] == code
    add_member(aws, "strict", "strict-1")
    for call in (rds.stop_db_instance, rds.start_db_instance):
        assert expect_error(call, DBInstanceIdentifier="strict-1")[0] == "InvalidParameterCombination"


def test_clusters_are_listed_with_those_that_have_no_server(aws):
    create(aws, "real")
    aws.client("rds").create_db_cluster(
        DBClusterIdentifier="described", Engine="aurora-mysql", MasterUsername="app", MasterUserPassword=PASSWORD
    )
    rds = aws.client("rds")
    assert {cluster["DBClusterIdentifier"] for cluster in rds.describe_db_clusters()["DBClusters"]} == {
        "real",
        "described",
    }
    only = rds.describe_db_clusters(Filters=[{"Name": "engine", "Values": ["aurora-postgresql"]}])["DBClusters"]
    assert [cluster["DBClusterIdentifier"] for cluster in only] == ["real"]
