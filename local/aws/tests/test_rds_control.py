"""What AWS does to an instance on its own, simulated at a test's request."""

import json

import pytest
from local_aws import PASSWORD, wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")

NEW = {
    "DBInstanceClass": "db.t4g.micro",
    "Engine": "postgres",
    "AllocatedStorage": 20,
    "MasterUsername": "app",
    "MasterUserPassword": PASSWORD,
}


def put(aws, path: str, data: object, expected: int = 200) -> dict:
    status, _, body = aws.http("PUT", f"/_local/rds/{path}", data)
    assert status == expected, body
    return json.loads(body)


def messages(aws, identifier: str) -> list[str]:
    told = aws.client("rds").describe_events(SourceIdentifier=identifier, SourceType="db-instance")
    return [event["Message"] for event in told["Events"]]


def test_an_instance_is_put_into_a_status_with_an_event(aws, expect_error):
    aws.create_database("broken")
    shown = put(aws, "instances/broken", {"status": "failed", "event": "The host was lost."})
    assert shown == {
        "identifier": "broken",
        "status": "failed",
        "allocated_storage": 20,
        "engine_version": "17.5",
        "pending": {},
    }
    assert aws.describe("broken")["DBInstanceStatus"] == "failed"
    assert messages(aws, "broken")[-1] == "The host was lost."
    final = {"DBInstanceIdentifier": "broken", "FinalDBSnapshotIdentifier": "broken-final"}
    rds = aws.client("rds")
    assert expect_error(rds.delete_db_instance, **final)[0] == "InvalidDBInstanceState"
    put(aws, "instances/broken", {"status": "available"})
    assert aws.query("broken", "SELECT 1") == [(1,)]


def test_without_words_of_its_own_a_bad_status_has_those_of_aws(aws):
    aws.create_database("full")
    put(aws, "instances/full", {"status": "storage-full"})
    assert messages(aws, "full")[-1] == "Allocated storage has been exhausted."
    # Such an instance needs more storage.
    aws.client("rds").modify_db_instance(DBInstanceIdentifier="full", AllocatedStorage=40, ApplyImmediately=True)
    aws.wait_for_status("full", "available")


def test_a_change_that_is_under_way_does_not_undo_the_status(aws):
    aws.create_database("struck")
    rds = aws.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="struck", DBInstanceClass="db.t4g.small", ApplyImmediately=True)
    put(aws, "instances/struck", {"status": "incompatible-parameters"})
    wait_for(lambda: aws.describe("struck")["DBInstanceClass"] == "db.t4g.small")
    assert aws.describe("struck")["DBInstanceStatus"] == "incompatible-parameters"


def test_storage_grows_as_by_autoscaling_and_then_rests(aws, expect_error):
    aws.create_database("scaled", MaxAllocatedStorage=50)
    aws.http("PUT", "/_local/timings", {"rds_storage_cooldown_seconds": 60})
    try:
        assert put(aws, "instances/scaled", {"allocated_storage": 40})["status"] == "storage-optimization"
        assert aws.describe("scaled")["AllocatedStorage"] == 40
        aws.wait_for_status("scaled", "available")
        assert messages(aws, "scaled")[-2:] == [
            "Applying autoscaling-initiated modification to allocated storage.",
            "Finished applying autoscaling-initiated modification to allocated storage.",
        ]
        modify = aws.client("rds").modify_db_instance
        code, _ = expect_error(modify, DBInstanceIdentifier="scaled", AllocatedStorage=50, ApplyImmediately=True)
        assert code == "InvalidParameterCombination"
    finally:
        aws.http("PUT", "/_local/timings", {"rds_storage_cooldown_seconds": 0})
    for wrong in (30, 60):
        put(aws, "instances/scaled", {"allocated_storage": wrong}, 400)


def test_the_maintenance_window_applies_what_waits(aws):
    aws.create_database("maintained", EngineVersion="16.8")
    changes = {"DBInstanceClass": "db.t4g.small", "EngineVersion": "16.9"}
    aws.client("rds").modify_db_instance(DBInstanceIdentifier="maintained", **changes)
    status, _, body = aws.http("POST", "/_local/rds/instances/maintained/maintenance")
    assert status == 200 and sorted(json.loads(body)["applying"]) == ["DBInstanceClass", "EngineVersion"]
    assert aws.describe("maintained")["DBInstanceStatus"] == "upgrading"
    assert aws.http("POST", "/_local/rds/instances/maintained/maintenance")[0] == 400
    after = aws.wait_for_status("maintained", "available")
    assert {name: after[name] for name in changes} == changes and after["PendingModifiedValues"] == {}
    status, _, body = aws.http("POST", "/_local/rds/instances/maintained/maintenance")
    assert status == 200 and json.loads(body)["applying"] == []
    assert aws.describe("maintained")["DBInstanceStatus"] == "available"


def test_a_minor_version_changes_as_by_an_automatic_upgrade(aws):
    aws.create_database("upgraded", EngineVersion="16.8")
    put(aws, "instances/upgraded", {"engine_version": "17.5"}, 400)
    assert put(aws, "instances/upgraded", {"engine_version": "16.9"})["status"] == "upgrading"
    assert aws.wait_for_status("upgraded", "available")["EngineVersion"] == "16.9"


def test_the_next_creation_ends_once_as_it_was_set(aws):
    rds = aws.client("rds")
    ending = {"status": "incompatible-network", "event": "The subnets have no free addresses."}
    assert put(aws, "next-creations", {"Doomed": ending}) == {"doomed": ending}
    rds.create_db_instance(DBInstanceIdentifier="doomed", **NEW)
    assert json.loads(aws.http("GET", "/_local/rds/next-creations")[2]) == {}
    assert aws.statuses_until("doomed", "incompatible-network")[-1] == "incompatible-network"
    doomed = aws.describe("doomed")
    assert "Endpoint" not in doomed and "InstanceCreateTime" not in doomed
    assert messages(aws, "doomed") == ["The subnets have no free addresses."]
    put(aws, "instances/doomed", {"status": "available"}, 400)
    rds.delete_db_instance(DBInstanceIdentifier="doomed", SkipFinalSnapshot=True)
    wait_for(lambda: messages(aws, "doomed")[-1] == "DB instance deleted.")
    aws.create_database("doomed")


def test_a_restored_instance_may_end_so_too_and_a_plan_can_be_taken_back(aws):
    rds = aws.client("rds")
    aws.create_database("origin")
    rds.create_db_snapshot(DBInstanceIdentifier="origin", DBSnapshotIdentifier="origin-1")
    aws.wait_for_status("origin", "available")
    put(aws, "next-creations", {"copy": {"status": "restore-error"}, "other": {"status": "failed"}})
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="copy", DBSnapshotIdentifier="origin-1")
    aws.wait_for_status("copy", "restore-error")
    assert messages(aws, "copy") == ["The DB instance creation failed."]
    assert aws.http("DELETE", "/_local/rds/next-creations")[0] == 200
    aws.create_database("other")


def test_a_creation_that_is_under_way_can_still_fail(aws):
    aws.http("PUT", "/_local/timings", {"rds_create_seconds": 0.7})
    try:
        aws.client("rds").create_db_instance(DBInstanceIdentifier="late", **NEW)
        put(aws, "instances/late", {"creation_status": "failed", "event": "The volume was lost."})
        assert aws.describe("late")["DBInstanceStatus"] == "creating"
        aws.wait_for_status("late", "failed")
        assert messages(aws, "late") == ["The volume was lost."]
    finally:
        aws.http("PUT", "/_local/timings", {"rds_create_seconds": 0})


def test_wrong_commands_are_refused(aws):
    aws.create_database("steady")
    for wrong in (
        {"status": "happy"},
        {"typo": 1},
        {"creation_status": "failed"},
        {"allocated_storage": "much"},
        ["x"],
    ):
        put(aws, "instances/steady", wrong, 400)
    for wrong in ({"x": {"status": "happy"}}, {"x": {"typo": 1}}, {"x": "failed"}, ["x"]):
        put(aws, "next-creations", wrong, 400)
    put(aws, "instances/nobody", {"status": "failed"}, 404)
    assert aws.http("POST", "/_local/rds/instances/nobody/maintenance")[0] == 404
    assert aws.http("GET", "/_local/rds/nothing")[0] == 404
    assert aws.describe("steady")["DBInstanceStatus"] == "available"
