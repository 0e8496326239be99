"""Deleting instances, snapshots, and restoring the data."""

import psycopg2
import pytest
from local_aws import PASSWORD, wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")


def is_gone(aws, identifier: str) -> bool:
    rds = aws.client("rds")
    try:
        aws.describe(identifier)
    except rds.exceptions.DBInstanceNotFoundFault:
        return True
    return False


def snapshot(aws, name: str) -> dict:
    return aws.client("rds").describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]


def test_a_deletion_takes_a_while_and_its_final_snapshot_keeps_the_data(aws):
    rds = aws.client("rds")
    tags = [{"Key": "stagedb:generation", "Value": "g1"}]
    endpoint = aws.create_database("leaving", CopyTagsToSnapshot=True, Tags=tags, StorageEncrypted=True)["Endpoint"]
    aws.query("leaving", "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id")
    rds.delete_db_instance(DBInstanceIdentifier="leaving", FinalDBSnapshotIdentifier="leaving-final")
    assert aws.describe("leaving")["DBInstanceStatus"] == "deleting"
    assert snapshot(aws, "leaving-final")["Status"] == "creating"
    wait_for(lambda: snapshot(aws, "leaving-final")["Status"] == "available")
    wait_for(lambda: is_gone(aws, "leaving"))
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(host=endpoint["Address"], port=endpoint["Port"], user="app", password=PASSWORD, dbname="app")
    row = snapshot(aws, "leaving-final")
    assert row["TagList"] == tags and row["Encrypted"] and row["PercentProgress"] == 100
    assert (row["DBInstanceIdentifier"], row["MasterUsername"], row["AllocatedStorage"]) == ("leaving", "app", 20)
    assert (row["Engine"], row["EngineVersion"]) == ("postgres", "17.5") and row["SnapshotCreateTime"]
    # The identifier is available again.
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="leaving",
        DBSnapshotIdentifier="leaving-final",
        DBInstanceClass="db.t4g.medium",
        DeletionProtection=True,
        Tags=[{"Key": "stagedb:generation", "Value": "g2"}],
    )
    assert aws.describe("leaving")["DBInstanceStatus"] == "creating"
    restored = aws.wait_for_status("leaving", "available")
    assert restored["DBInstanceClass"] == "db.t4g.medium" and restored["DeletionProtection"]
    assert restored["StorageEncrypted"] and restored["TagList"] == [{"Key": "stagedb:generation", "Value": "g2"}]
    assert aws.query("leaving", "SELECT count(*) FROM kept") == [(1000,)]
    rds.modify_db_instance(DBInstanceIdentifier="leaving", MasterUserPassword="third-password-3", ApplyImmediately=True)
    aws.wait_for_status("leaving", "available")
    assert aws.query("leaving", "SELECT count(*) FROM kept", "third-password-3") == [(1000,)]


def test_a_manual_snapshot_is_taken_while_the_database_is_written_to(aws):
    rds = aws.client("rds")
    aws.create_database("written")
    aws.query("written", "CREATE TABLE counted (id int)")
    connection = aws.connect("written")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO counted SELECT generate_series(1, 5000)")
        rds.create_db_snapshot(
            DBInstanceIdentifier="written", DBSnapshotIdentifier="manual", Tags=[{"Key": "why", "Value": "test"}]
        )
        for _ in range(50):
            cursor.execute("INSERT INTO counted VALUES (0)")
    connection.close()
    wait_for(lambda: snapshot(aws, "manual")["Status"] == "available")
    assert snapshot(aws, "manual")["TagList"] == [{"Key": "why", "Value": "test"}]
    aws.wait_for_status("written", "available")
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="copied", DBSnapshotIdentifier="manual")
    aws.wait_for_status("copied", "available")
    assert 5000 <= aws.query("copied", "SELECT count(*) FROM counted")[0][0] <= 5050
    assert aws.query("written", "SELECT count(*) FROM counted") == [(5050,)]


def test_a_snapshot_name_is_used_once(aws, expect_error):
    rds = aws.client("rds")
    aws.create_database("snapped")
    rds.create_db_snapshot(DBInstanceIdentifier="snapped", DBSnapshotIdentifier="once")
    aws.wait_for_status("snapped", "available")
    again = {"DBInstanceIdentifier": "snapped", "DBSnapshotIdentifier": "once"}
    assert expect_error(rds.create_db_snapshot, **again)[0] == "DBSnapshotAlreadyExists"
    final = {"DBInstanceIdentifier": "snapped", "FinalDBSnapshotIdentifier": "once"}
    assert expect_error(rds.delete_db_instance, **final)[0] == "DBSnapshotAlreadyExists"
    rds.delete_db_snapshot(DBSnapshotIdentifier="once")
    restore = {"DBInstanceIdentifier": "x", "DBSnapshotIdentifier": "once"}
    assert expect_error(rds.restore_db_instance_from_db_snapshot, **restore)[0] == "DBSnapshotNotFound"


def test_a_protected_instance_is_not_deleted(aws, expect_error):
    aws.create_database("protected", DeletionProtection=True)
    code, message = expect_error(
        aws.client("rds").delete_db_instance, DBInstanceIdentifier="protected", SkipFinalSnapshot=True
    )
    assert code == "InvalidParameterCombination"
    assert message == "Cannot delete protected DB Instance, please disable deletion protection and try again."


def test_a_deletion_says_what_becomes_of_the_data(aws, expect_error):
    aws.create_database("undecided")
    delete = aws.client("rds").delete_db_instance
    for options in ({}, {"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "both"}, {"SkipFinalSnapshot": False}):
        code, _ = expect_error(delete, DBInstanceIdentifier="undecided", **options)
        assert code == "InvalidParameterCombination"
    assert aws.describe("undecided")["DBInstanceStatus"] == "available"


def test_an_instance_that_is_being_created_is_deleted_only_without_a_final_snapshot(aws, expect_error):
    aws.http("PUT", "/_local/timings", {"rds_create_seconds": 1})
    rds = aws.client("rds")
    try:
        rds.create_db_instance(
            DBInstanceIdentifier="unborn",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="app",
            MasterUserPassword=PASSWORD,
        )
        final = {"DBInstanceIdentifier": "unborn", "FinalDBSnapshotIdentifier": "unborn-final"}
        assert expect_error(rds.delete_db_instance, **final)[0] == "InvalidDBInstanceState"
        rds.delete_db_instance(DBInstanceIdentifier="unborn", SkipFinalSnapshot=True)
        again = {"DBInstanceIdentifier": "unborn", "SkipFinalSnapshot": True}
        assert expect_error(rds.delete_db_instance, **again)[0] == "InvalidDBInstanceState"
        wait_for(lambda: is_gone(aws, "unborn"))
    finally:
        aws.http("PUT", "/_local/timings", {"rds_create_seconds": 0})
