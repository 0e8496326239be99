"""Instances: a real server behind AWS's statuses, attributes, and errors."""


import psycopg2
import pytest
from local_aws import PASSWORD, postgres_has_ssl

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_new_instance_has_no_endpoint_until_it_is_available(aws):
    aws.http("PUT", "/_local/timings", {"rds_create_seconds": 0.5})
    try:
        aws.client("rds").create_db_instance(
            DBInstanceIdentifier="fresh",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="app",
            MasterUserPassword=PASSWORD,
        )
        creating = aws.describe("fresh")
        assert creating["DBInstanceStatus"] == "creating"
        assert "Endpoint" not in creating and "InstanceCreateTime" not in creating
        assert aws.statuses_until("fresh", "available") == ["creating", "available"]
        assert aws.describe("fresh")["Endpoint"]["Port"] > 1024
    finally:
        aws.http("PUT", "/_local/timings", {"rds_create_seconds": 0})


def test_an_available_instance_can_be_connected_to(aws):
    aws.create_database("quick")
    assert aws.query("quick", "SELECT 1") == [(1,)]


def test_a_wrong_password_is_refused(aws):
    aws.create_database("guarded")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        aws.connect("guarded", password="not-the-password")


@pytest.mark.skipif(not postgres_has_ssl(), reason="this Postgres was built without TLS")
def test_connections_are_encrypted_with_a_certificate_of_the_served_authority(aws):
    aws.create_database("encrypted")
    authority = aws.directory / "ca.pem"
    authority.write_bytes(aws.http("GET", "/_ministack/rds/ca.pem")[2])
    connection = aws.connect("encrypted", sslmode="verify-full", sslrootcert=str(authority))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == (True,)
    connection.close()


def test_the_master_user_is_strong_but_no_superuser(aws):
    aws.create_database("strong")
    assert aws.query("strong", "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'app'") == [
        (False, True, True)
    ]
    aws.query("strong", "CREATE ROLE other LOGIN")
    aws.query("strong", "CREATE TABLE mine (id int)")


def test_the_master_user_may_end_the_sessions_of_another_login(aws):
    aws.create_database("ended")
    aws.query("ended", "CREATE ROLE clerk LOGIN PASSWORD 'clerk-password'")
    clerk = aws.connect("ended", "clerk-password", user="clerk")
    with clerk.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    assert aws.query("ended", "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'") == [(False,)]
    ending = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'clerk'"
    assert aws.query("ended", ending) == [(pid, True)]
    with pytest.raises(psycopg2.OperationalError), clerk.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_all_attributes_of_a_creation_are_described_back(aws):
    ec2 = aws.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"172.31.{200 + i}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for i, zone in enumerate("ab")
    ]
    aws.client("rds").create_db_subnet_group(
        DBSubnetGroupName="two-zones", DBSubnetGroupDescription="x", SubnetIds=subnets
    )
    given = {
        "StorageEncrypted": True,
        "PubliclyAccessible": False,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 7,
        "StorageType": "gp3",
        "MultiAZ": False,
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "AutoMinorVersionUpgrade": True,
        "CopyTagsToSnapshot": True,
        "MaxAllocatedStorage": 100,
        "DBInstanceClass": "db.t4g.small",
        "AllocatedStorage": 25,
    }
    instance = aws.create_database(
        "described",
        **given,
        EngineVersion="17",
        DBSubnetGroupName="two-zones",
        VpcSecurityGroupIds=[group],
        Tags=[{"Key": "stagedb:stack", "Value": "a<&>b"}],
    )
    assert {name: instance[name] for name in given} == given
    assert instance["EngineVersion"] == "17.5"
    assert instance["DBSubnetGroup"]["DBSubnetGroupName"] == "two-zones"
    assert {subnet["SubnetIdentifier"] for subnet in instance["DBSubnetGroup"]["Subnets"]} == set(subnets)
    assert instance["VpcSecurityGroups"] == [{"VpcSecurityGroupId": group, "Status": "active"}]
    assert instance["TagList"] == [{"Key": "stagedb:stack", "Value": "a<&>b"}]
    assert instance["MasterUsername"] == instance["DBName"] == "app"
    assert "LatestRestorableTime" in instance and "InstanceCreateTime" in instance
    assert instance["PendingModifiedValues"] == {}
    # Resources in use can't be deleted.
    rds = aws.client("rds")
    with pytest.raises(rds.exceptions.InvalidDBSubnetGroupStateFault):
        rds.delete_db_subnet_group(DBSubnetGroupName="two-zones")
    with pytest.raises(ec2.exceptions.ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=group)


def test_a_subnet_group_needs_two_zones(aws, expect_error):
    subnet = aws.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    code, _ = expect_error(
        aws.client("rds").create_db_subnet_group,
        DBSubnetGroupName="one-zone",
        DBSubnetGroupDescription="x",
        SubnetIds=[subnet],
    )
    assert code == "DBSubnetGroupDoesNotCoverEnoughAZs"


def test_identifiers_have_no_case_and_can_be_arns(aws):
    created = aws.create_database("Mixed-Case")
    assert created["DBInstanceIdentifier"] == "mixed-case"
    assert aws.describe("MIXED-case")["DbiResourceId"] == created["DbiResourceId"]
    assert aws.describe(created["DBInstanceArn"])["DbiResourceId"] == created["DbiResourceId"]


REFUSED_CREATIONS = [
    ({"DBInstanceIdentifier": "no--good"}, "InvalidParameterValue"),
    ({"DBInstanceClass": "db.z9.huge"}, "InvalidParameterValue"),
    ({"AllocatedStorage": 19}, "InvalidParameterCombination"),
    ({"AllocatedStorage": 70000}, "InvalidParameterCombination"),
    ({"AllocatedStorage": None}, "InvalidParameterValue"),
    ({"MaxAllocatedStorage": 21}, "InvalidParameterCombination"),
    ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
    ({"MasterUserPassword": "with space1"}, "InvalidParameterValue"),
    ({"MasterUsername": "admin"}, "InvalidParameterValue"),
    ({"DBName": "no-hyphens"}, "InvalidParameterValue"),
    ({"EngineVersion": "99"}, "InvalidParameterCombination"),
    ({"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
    ({"VpcSecurityGroupIds": ["sg-12345678"]}, "InvalidParameterValue"),
    ({"EngineVersion": "16.99"}, "InvalidParameterCombination"),
    ({"BackupRetentionPeriod": 36}, "InvalidParameterValue"),
    ({"PreferredMaintenanceWindow": "sunday"}, "InvalidParameterValue"),
    (
        {"PreferredMaintenanceWindow": "sun:03:30-sun:04:30", "PreferredBackupWindow": "04:00-05:00"},
        "InvalidParameterCombination",
    ),
    ({"Port": 80}, "InvalidParameterValue"),
]


@pytest.mark.parametrize(("change", "code"), REFUSED_CREATIONS)
def test_a_creation_is_refused(aws, expect_error, change, code):
    identifier = change.get("DBInstanceIdentifier", "refused")
    others = {name: value for name, value in change.items() if name != "DBInstanceIdentifier"}
    assert expect_error(aws.create_database, identifier=identifier, **others)[0] == code


def test_an_identifier_in_use_is_refused(aws, expect_error):
    aws.create_database("taken")
    assert expect_error(aws.create_database, identifier="TAKEN")[0] == "DBInstanceAlreadyExists"


def test_a_reboot_keeps_the_data_and_the_endpoint(aws):
    before = aws.create_database("rebooted")
    aws.query("rebooted", "CREATE TABLE kept (id int)")
    aws.client("rds").reboot_db_instance(DBInstanceIdentifier="rebooted")
    assert aws.statuses_until("rebooted", "available")[-1] == "available"
    assert aws.describe("rebooted")["Endpoint"] == before["Endpoint"]
    assert aws.query("rebooted", "SELECT count(*) FROM kept") == [(0,)]


def test_a_stopped_instance_refuses_connections_until_it_is_started(aws):
    aws.create_database("paused")
    rds = aws.client("rds")
    rds.stop_db_instance(DBInstanceIdentifier="paused")
    aws.wait_for_status("paused", "stopped")
    with pytest.raises(psycopg2.OperationalError):
        aws.connect("paused")
    rds.start_db_instance(DBInstanceIdentifier="paused")
    aws.wait_for_status("paused", "available")
    assert aws.query("paused", "SELECT 1") == [(1,)]


def test_tags_can_be_changed(aws):
    rds = aws.client("rds")
    arn = aws.create_database("tagged", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "c", "Value": "3"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["a"])
    tags = [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == tags
    assert aws.describe("tagged")["TagList"] == tags


def test_the_orderable_classes_are_paged(aws):
    pages = (
        aws.client("rds")
        .get_paginator("describe_orderable_db_instance_options")
        .paginate(Engine="postgres", EngineVersion="17", PaginationConfig={"PageSize": 20})
    )
    options = [option for page in pages for option in page["OrderableDBInstanceOptions"]]
    assert len(options) > 60
    gp3 = {option["DBInstanceClass"]: option for option in options if option["StorageType"] == "gp3"}
    assert {"db.t4g.micro", "db.t3.2xlarge", "db.m7g.8xlarge"} <= gp3.keys()
    micro = gp3["db.t4g.micro"]
    assert (micro["MinStorageSize"], micro["MaxStorageSize"]) == (20, 65536)
    assert micro["SupportsStorageAutoscaling"] and micro["MultiAZCapable"] and len(micro["AvailabilityZones"]) > 1


def test_a_class_that_cannot_be_ordered_has_no_options(aws):
    options = aws.client("rds").describe_orderable_db_instance_options(Engine="postgres", DBInstanceClass="db.z9.huge")
    assert options["OrderableDBInstanceOptions"] == []


def test_without_a_version_the_classes_of_every_version_are_listed(aws):
    options = aws.client("rds").describe_orderable_db_instance_options(
        Engine="postgres", DBInstanceClass="db.t4g.micro"
    )
    versions = {option["EngineVersion"] for option in options["OrderableDBInstanceOptions"]}
    assert {"17.5", "17.4", "16.9", "15.3"} <= versions


def test_instances_are_listed_in_pages(aws):
    rds = aws.client("rds")
    for number in range(21):
        rds.create_db_instance(
            DBInstanceIdentifier=f"mysql-{number}",
            DBInstanceClass="db.t3.micro",
            Engine="mysql",
            AllocatedStorage=20,
            MasterUsername="app",
            MasterUserPassword="a-password-1",
        )
    only = [{"Name": "engine", "Values": ["mysql"]}]
    first = rds.describe_db_instances(Filters=only, MaxRecords=20)
    second = rds.describe_db_instances(Filters=only, MaxRecords=20, Marker=first["Marker"])
    assert (len(first["DBInstances"]), len(second["DBInstances"])) == (20, 1) and "Marker" not in second
