"""Changes to an instance: what happens immediately, what takes time, what waits, and what is rejected."""

import time

import psycopg2
import pytest
from local_aws import wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_change_is_pending_while_modifying_and_then_applied(aws):
    aws.create_database("changed")
    aws.query("changed", "CREATE TABLE kept AS SELECT 42 AS answer")
    aws.client("rds").modify_db_instance(
        DBInstanceIdentifier="changed", DBInstanceClass="db.t4g.medium", ApplyImmediately=True
    )
    meanwhile = aws.describe("changed")
    assert meanwhile["DBInstanceStatus"] == "modifying"
    assert meanwhile["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.medium"}
    assert meanwhile["DBInstanceClass"] == "db.t4g.micro"
    after = aws.wait_for_status("changed", "available")
    assert after["DBInstanceClass"] == "db.t4g.medium" and after["PendingModifiedValues"] == {}
    assert aws.query("changed", "SELECT answer FROM kept") == [(42,)]


def test_a_growth_of_the_storage_is_optimized_afterwards(aws, expect_error):
    aws.create_database("grown")
    rds = aws.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="grown", AllocatedStorage=40, ApplyImmediately=True)
    assert aws.describe("grown")["AllocatedStorage"] == 20
    optimizing = aws.wait_for_status("grown", "storage-optimization")
    assert optimizing["AllocatedStorage"] == 40 and optimizing["PendingModifiedValues"] == {}
    code, message = expect_error(
        rds.modify_db_instance, DBInstanceIdentifier="grown", AllocatedStorage=80, ApplyImmediately=True
    )
    assert code == "InvalidParameterCombination" and "previous storage change is being optimized" in message
    assert aws.statuses_until("grown", "available")[-1] == "available"


def test_storage_neither_decreases_nor_increases_by_less_than_a_tenth(aws, expect_error):
    aws.create_database("sized", AllocatedStorage=100)
    for wanted in (50, 105):
        modify = aws.client("rds").modify_db_instance
        code, _ = expect_error(modify, DBInstanceIdentifier="sized", AllocatedStorage=wanted, ApplyImmediately=True)
        assert code == "InvalidParameterCombination"
    assert aws.describe("sized")["DBInstanceStatus"] == "available"


def test_storage_rests_between_two_changes(aws, expect_error):
    aws.create_database("rested")
    modify = aws.client("rds").modify_db_instance
    aws.http("PUT", "/_local/timings", {"rds_storage_cooldown_seconds": 60})
    try:
        modify(DBInstanceIdentifier="rested", AllocatedStorage=30, ApplyImmediately=True)
        aws.wait_for_status("rested", "available")
        code, _ = expect_error(modify, DBInstanceIdentifier="rested", AllocatedStorage=60, ApplyImmediately=True)
        assert code == "InvalidParameterCombination"
        modify(DBInstanceIdentifier="rested", DBInstanceClass="db.t4g.small", ApplyImmediately=True)
        aws.wait_for_status("rested", "available")
    finally:
        aws.http("PUT", "/_local/timings", {"rds_storage_cooldown_seconds": 0})


def test_a_change_that_is_not_to_be_applied_immediately_stays_pending(aws):
    aws.create_database("patient")
    rds = aws.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="patient", DBInstanceClass="db.t4g.small")
    waiting = aws.describe("patient")
    assert waiting["DBInstanceStatus"] == "available"
    assert waiting["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.small"}
    # The next change with ApplyImmediately also applies the waiting one.
    rds.modify_db_instance(DBInstanceIdentifier="patient", BackupRetentionPeriod=3, ApplyImmediately=True)
    after = aws.wait_for_status("patient", "available")
    assert (after["DBInstanceClass"], after["BackupRetentionPeriod"]) == ("db.t4g.small", 3)


def test_settings_that_need_no_waiting_change_at_once(aws):
    aws.create_database("settled")
    aws.client("rds").modify_db_instance(
        DBInstanceIdentifier="settled", DeletionProtection=True, CopyTagsToSnapshot=True, MaxAllocatedStorage=50
    )
    after = aws.describe("settled")
    assert after["DBInstanceStatus"] == "available" and after["PendingModifiedValues"] == {}
    assert after["DeletionProtection"] and after["CopyTagsToSnapshot"] and after["MaxAllocatedStorage"] == 50


@pytest.mark.parametrize("immediately", [True, False])
def test_a_new_password_replaces_the_old_one_and_ends_no_session(aws, immediately):
    aws.create_database("rotated")
    connection = aws.connect("rotated")
    password = {"MasterUserPassword": "second-password-2"}
    changing = modify(aws, "rotated", **password, ApplyImmediately=immediately)
    assert "second-password-2" not in str(changing)
    pending = aws.describe("rotated")
    assert pending["DBInstanceStatus"] == "resetting-master-credentials"
    assert pending["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    assert aws.statuses_until("rotated", "available") == ["resetting-master-credentials", "available"]
    assert aws.query("rotated", "SELECT 1", "second-password-2") == [(1,)]
    assert aws.describe("rotated")["PendingModifiedValues"] == {}
    with pytest.raises(psycopg2.OperationalError):
        aws.connect("rotated")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_a_new_password_leaves_what_waits_for_the_window(aws):
    aws.create_database("half")
    modify(aws, "half", DBInstanceClass="db.t4g.small", MasterUserPassword="second-password-2", ApplyImmediately=False)
    both = {"DBInstanceClass": "db.t4g.small", "MasterUserPassword": "****"}
    assert aws.describe("half")["PendingModifiedValues"] == both
    aws.wait_for_status("half", "available")
    assert aws.describe("half")["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.small"}
    assert aws.query("half", "SELECT 1", "second-password-2") == [(1,)]


def test_a_new_password_is_refused_unless_the_instance_is_available(aws, expect_error):
    aws.create_database("refused")
    call = aws.client("rds").modify_db_instance
    password = {"DBInstanceIdentifier": "refused", "MasterUserPassword": "second-password-2"}
    assert expect_error(call, **{**password, "MasterUserPassword": "short"})[0] == "InvalidParameterValue"
    statuses = ("backing-up", "failed", "modifying", "rebooting", "resetting-master-credentials", "stopped", "upgrading")
    for status in statuses:
        assert aws.http("PUT", "/_local/rds/instances/refused", {"status": status})[0] == 200
        assert expect_error(call, **password)[0] == "InvalidDBInstanceState"
    aws.http("PUT", "/_local/rds/instances/refused", {"status": "available"})
    assert aws.describe("refused")["PendingModifiedValues"] == {}
    assert aws.query("refused", "SELECT 1") == [(1,)]


def test_what_is_being_modified_cannot_be_modified_again(aws, expect_error):
    aws.create_database("busy")
    modify = aws.client("rds").modify_db_instance
    modify(DBInstanceIdentifier="busy", DBInstanceClass="db.t4g.small", ApplyImmediately=True)
    code, _ = expect_error(modify, DBInstanceIdentifier="busy", DBInstanceClass="db.t4g.large", ApplyImmediately=True)
    assert code == "InvalidDBInstanceState"


def modify(aws, identifier: str, **changes: object) -> dict:
    """Starts a change immediately."""
    call = aws.client("rds").modify_db_instance
    return call(DBInstanceIdentifier=identifier, **{"ApplyImmediately": True, **changes})["DBInstance"]


def test_a_minor_upgrade_is_seen_as_upgrading_and_keeps_the_data(aws):
    aws.create_database("patched", EngineVersion="16.8")
    aws.query("patched", "CREATE TABLE kept AS SELECT 42 AS answer")
    connection = aws.connect("patched")
    modify(aws, "patched", EngineVersion="16.9")
    meanwhile = aws.describe("patched")
    assert meanwhile["DBInstanceStatus"] == "upgrading" and meanwhile["EngineVersion"] == "16.8"
    assert meanwhile["PendingModifiedValues"] == {"EngineVersion": "16.9"}
    after = aws.wait_for_status("patched", "available")
    assert after["EngineVersion"] == "16.9" and after["PendingModifiedValues"] == {}
    assert aws.query("patched", "SELECT answer FROM kept") == [(42,)]
    with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_a_major_upgrade_needs_the_flag_and_takes_the_default_groups_along(aws, expect_error):
    aws.create_database("major", EngineVersion="16")
    call = aws.client("rds").modify_db_instance
    assert expect_error(call, DBInstanceIdentifier="major", EngineVersion="17", ApplyImmediately=True) == (
        "InvalidParameterCombination",
        "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.",
    )
    assert expect_error(call, DBInstanceIdentifier="major", EngineVersion="16.8", ApplyImmediately=True) == (
        "InvalidParameterCombination",
        "Cannot upgrade postgres from 16.9 to 16.8",
    )
    before = aws.describe("major")
    assert before["DBInstanceStatus"] == "available" and before["PendingModifiedValues"] == {}
    assert before["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres16"
    modify(aws, "major", EngineVersion="17", AllowMajorVersionUpgrade=True)
    after = aws.wait_for_status("major", "available")
    assert after["EngineVersion"] == "17.5"
    assert after["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres17"
    assert after["OptionGroupMemberships"][0]["OptionGroupName"] == "default:postgres-17"


def test_what_waits_for_the_maintenance_window_is_pending(aws):
    aws.create_database("waiting", EngineVersion="16.8", BackupRetentionPeriod=1)
    changes = {
        "DBInstanceClass": "db.t4g.small",
        "EngineVersion": "16.9",
        "MultiAZ": True,
        "AllocatedStorage": 30,
        "BackupRetentionPeriod": 0,
    }
    modify(aws, "waiting", **changes, ApplyImmediately=False)
    waiting = aws.describe("waiting")
    assert waiting["DBInstanceStatus"] == "available" and waiting["PendingModifiedValues"] == changes
    assert (waiting["EngineVersion"], waiting["MultiAZ"], waiting["AllocatedStorage"]) == ("16.8", False, 20)
    # Requesting the current value cancels the waiting change.
    modify(aws, "waiting", DBInstanceClass="db.t4g.micro", AllocatedStorage=20, ApplyImmediately=False)
    left = {"EngineVersion": "16.9", "MultiAZ": True, "BackupRetentionPeriod": 0}
    assert aws.describe("waiting")["PendingModifiedValues"] == left


def test_a_standby_is_in_another_zone(aws):
    assert "SecondaryAvailabilityZone" not in aws.create_database("spread")
    modify(aws, "spread", MultiAZ=True)
    assert aws.describe("spread")["DBInstanceStatus"] == "modifying"
    spread = aws.wait_for_status("spread", "available")
    assert spread["MultiAZ"] and spread["SecondaryAvailabilityZone"] != spread["AvailabilityZone"]
    modify(aws, "spread", MultiAZ=False)
    single = aws.wait_for_status("spread", "available")
    assert not single["MultiAZ"] and "SecondaryAvailabilityZone" not in single


def test_another_retention_of_backups_is_immediate_but_turning_them_off_is_an_outage(aws):
    aws.create_database("retained", BackupRetentionPeriod=7)
    modify(aws, "retained", BackupRetentionPeriod=14, ApplyImmediately=False)
    changed = aws.describe("retained")
    assert changed["BackupRetentionPeriod"] == 14 and changed["DBInstanceStatus"] == "available"
    assert changed["PendingModifiedValues"] == {}
    for days in (0, 3):
        connection = aws.connect("retained")
        modify(aws, "retained", BackupRetentionPeriod=days)
        assert aws.describe("retained")["DBInstanceStatus"] == "modifying"
        after = aws.wait_for_status("retained", "available")
        assert after["BackupRetentionPeriod"] == days and ("LatestRestorableTime" in after) == bool(days)
        with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_the_windows_change_at_once_and_are_checked(aws, expect_error):
    aws.create_database("windows")
    modify(aws, "windows", PreferredMaintenanceWindow="Mon:01:00-Mon:01:30", ApplyImmediately=False)
    assert aws.describe("windows")["PreferredMaintenanceWindow"] == "mon:01:00-mon:01:30"
    call = aws.client("rds").modify_db_instance
    code, _ = expect_error(call, DBInstanceIdentifier="windows", PreferredMaintenanceWindow="mon:03:30-mon:04:30")
    assert code == "InvalidParameterCombination"
    code, _ = expect_error(call, DBInstanceIdentifier="windows", PreferredMaintenanceWindow="whenever")
    assert code == "InvalidParameterValue"


def test_storage_autoscaling_is_turned_on_bounded_and_turned_off_at_once(aws, expect_error):
    aws.create_database("scaling")
    call = aws.client("rds").modify_db_instance
    code, _ = expect_error(call, DBInstanceIdentifier="scaling", MaxAllocatedStorage=21)
    assert code == "InvalidParameterCombination"
    call(DBInstanceIdentifier="scaling", MaxAllocatedStorage=60)
    assert aws.describe("scaling")["MaxAllocatedStorage"] == 60
    call(DBInstanceIdentifier="scaling", MaxAllocatedStorage=20)
    off = aws.describe("scaling")
    assert "MaxAllocatedStorage" not in off and off["DBInstanceStatus"] == "available"


def test_another_change_during_the_optimization_of_the_storage_does_not_prolong_it(aws):
    aws.create_database("optimized")
    modify(aws, "optimized", AllocatedStorage=40)
    aws.wait_for_status("optimized", "storage-optimization")
    modify(aws, "optimized", DBInstanceClass="db.t4g.small")
    assert aws.statuses_until("optimized", "available") == ["modifying", "available"]
    assert aws.describe("optimized")["DBInstanceClass"] == "db.t4g.small"


def is_refused(aws, identifier: str) -> bool:
    try:
        aws.connect(identifier).close()
    except psycopg2.OperationalError as error:
        return "Connection refused" in str(error)
    return False


@pytest.fixture
def long_interruptions(aws):
    aws.http("PUT", "/_local/timings", {"rds_interruption_seconds": 1.5})
    yield
    aws.http("PUT", "/_local/timings", {"rds_interruption_seconds": 0})


@pytest.mark.usefixtures("long_interruptions")
@pytest.mark.parametrize("how", ["class", "version", "reboot"])
def test_an_interruption_lasts_and_refuses_connections(aws, how):
    name = f"interrupted-{how}"
    aws.create_database(name, EngineVersion="16.8")
    before = aws.connect(name)
    if how == "reboot":
        aws.client("rds").reboot_db_instance(DBInstanceIdentifier=name)
    else:
        modify(aws, name, **{"class": {"DBInstanceClass": "db.t4g.small"}, "version": {"EngineVersion": "16.9"}}[how])
    wait_for(lambda: is_refused(aws, name), pause=0.02)
    began = time.monotonic()
    wait_for(lambda: not is_refused(aws, name), pause=0.02)
    assert time.monotonic() - began > 1.2
    assert aws.wait_for_status(name, "available")
    assert aws.query(name, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError), before.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.usefixtures("long_interruptions")
def test_some_changes_interrupt_nothing(aws):
    aws.create_database("steady")
    connection = aws.connect("steady")
    for change in ({"MultiAZ": True}, {"AllocatedStorage": 40}, {"MasterUserPassword": "second-password-2"}):
        modify(aws, "steady", **change)
        assert aws.statuses_until("steady", "available")[-1] == "available"
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


@pytest.mark.usefixtures("long_interruptions")
def test_an_instance_can_be_deleted_during_an_interruption(aws, expect_error):
    aws.create_database("given-up")
    modify(aws, "given-up", DBInstanceClass="db.t4g.small")
    wait_for(lambda: is_refused(aws, "given-up"), pause=0.02)
    aws.client("rds").delete_db_instance(DBInstanceIdentifier="given-up", SkipFinalSnapshot=True)
    time.sleep(2)
    code, _ = expect_error(aws.client("rds").describe_db_instances, DBInstanceIdentifier="given-up")
    assert code == "DBInstanceNotFound"
    log = aws.log.read_text()
    assert "modify given-up failed" not in log and "delete given-up failed" not in log
