"""Snapshots: how they're listed, what they contain, and what is restored from them."""

import pytest
from local_aws import wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")


def take(aws, instance: str, name: str) -> None:
    rds = aws.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=name)
    aws.wait_for_status(instance, "available")


def test_a_snapshot_says_what_it_holds_and_its_time_once_it_is_there(aws):
    rds = aws.client("rds")
    aws.create_database("told", EngineVersion="16.8", StorageEncrypted=True)
    rds.create_db_snapshot(DBInstanceIdentifier="told", DBSnapshotIdentifier="Told-1")
    (making,) = rds.describe_db_snapshots(DBSnapshotIdentifier="told-1")["DBSnapshots"]
    assert making["Status"] == "creating" and "SnapshotCreateTime" not in making
    assert aws.describe("told")["DBInstanceStatus"] == "backing-up"
    aws.wait_for_status("told", "available")
    (made,) = rds.describe_db_snapshots(DBSnapshotIdentifier=making["DBSnapshotArn"])["DBSnapshots"]
    assert made["Status"] == "available" and made["PercentProgress"] == 100
    assert made["SnapshotCreateTime"] > made["InstanceCreateTime"]
    assert (made["AllocatedStorage"], made["EngineVersion"], made["MasterUsername"]) == (20, "16.8", "app")
    assert made["Encrypted"] and made["SnapshotType"] == "manual" and made["OptionGroupName"] == "default:postgres-16"


def test_snapshots_are_listed_by_instance_by_type_and_all_in_pages(aws, expect_error):
    rds = aws.client("rds")
    for instance in ("one", "two"):
        aws.create_database(instance)
    aws.http("PUT", "/_local/timings", {"rds_snapshot_seconds": 0})
    try:
        for number in range(21):
            take(aws, "one", f"one-{number}")
        take(aws, "two", "two-0")
    finally:
        aws.http("PUT", "/_local/timings", {"rds_snapshot_seconds": 0.3})

    def names(**parameters: object) -> list[str]:
        return [found["DBSnapshotIdentifier"] for found in rds.describe_db_snapshots(**parameters)["DBSnapshots"]]

    assert names(DBInstanceIdentifier="two") == names(DBInstanceIdentifier="TWO") == ["two-0"]
    assert names(DBInstanceIdentifier="two", SnapshotType="manual") == ["two-0"]
    assert names(DBInstanceIdentifier="two", SnapshotType="automated") == []
    assert names(DBInstanceIdentifier="nobody") == []
    assert len(names()) == 22
    first = rds.describe_db_snapshots(MaxRecords=20)
    second = rds.describe_db_snapshots(MaxRecords=20, Marker=first["Marker"])
    assert (len(first["DBSnapshots"]), len(second["DBSnapshots"])) == (20, 2) and "Marker" not in second
    assert expect_error(rds.describe_db_snapshots, DBSnapshotIdentifier="none")[0] == "DBSnapshotNotFound"
    assert expect_error(rds.describe_db_snapshots, MaxRecords=5)[0] == "InvalidParameterValue"


def test_a_restored_instance_has_what_the_snapshot_has_and_what_the_call_changes(aws):
    rds = aws.client("rds")
    aws.create_database("origin", EngineVersion="16.8", AllocatedStorage=25, Tags=[{"Key": "a", "Value": "1"}])
    aws.query("origin", "CREATE TABLE kept AS SELECT 7 AS answer")
    take(aws, "origin", "origin-1")
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="copy",
        DBSnapshotIdentifier="origin-1",
        DBInstanceClass="db.t4g.medium",
        MultiAZ=True,
        StorageType="gp2",
        Tags=[{"Key": "b", "Value": "2"}],
    )
    copy = aws.wait_for_status("copy", "available")
    assert (copy["EngineVersion"], copy["AllocatedStorage"], copy["StorageType"]) == ("16.8", 25, "gp2")
    assert copy["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres16"
    assert copy["MultiAZ"] and copy["SecondaryAvailabilityZone"] and copy["DBInstanceClass"] == "db.t4g.medium"
    assert copy["TagList"] == [{"Key": "b", "Value": "2"}]
    assert aws.query("copy", "SELECT answer FROM kept") == [(7,)]


def test_a_snapshot_that_is_being_made_cannot_be_deleted_yet(aws, expect_error):
    rds = aws.client("rds")
    aws.create_database("young")
    rds.create_db_snapshot(DBInstanceIdentifier="young", DBSnapshotIdentifier="young-1")
    assert expect_error(rds.delete_db_snapshot, DBSnapshotIdentifier="young-1")[0] == "InvalidDBSnapshotState"
    restore = {"DBInstanceIdentifier": "x", "DBSnapshotIdentifier": "young-1"}
    assert expect_error(rds.restore_db_instance_from_db_snapshot, **restore)[0] == "InvalidDBSnapshotState"
    aws.wait_for_status("young", "available")
    assert rds.delete_db_snapshot(DBSnapshotIdentifier="young-1")["DBSnapshot"]["Status"] == "deleted"
    assert expect_error(rds.delete_db_snapshot, DBSnapshotIdentifier="young-1")[0] == "DBSnapshotNotFound"


def test_a_stopped_instance_is_stopped_again_after_its_snapshot(aws):
    rds = aws.client("rds")
    aws.create_database("asleep")
    rds.stop_db_instance(DBInstanceIdentifier="asleep")
    aws.wait_for_status("asleep", "stopped")
    rds.create_db_snapshot(DBInstanceIdentifier="asleep", DBSnapshotIdentifier="asleep-1")
    wait_for(lambda: aws.describe("asleep")["DBInstanceStatus"] == "stopped")
