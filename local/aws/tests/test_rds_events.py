"""The events of an instance, in DescribeEvents and in EventBridge."""

import datetime
import json
import time

import pytest
from local_aws import wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")


def messages(aws, identifier: str, **parameters: object) -> list[str]:
    told = aws.client("rds").describe_events(SourceIdentifier=identifier, SourceType="db-instance", **parameters)
    return [event["Message"] for event in told["Events"]]


def test_every_change_of_an_instance_is_an_event_that_outlives_it(aws):
    rds = aws.client("rds")
    arn = aws.create_database("eventful", EngineVersion="16.8")["DBInstanceArn"]
    for changes in (
        {"AllocatedStorage": 40},
        {"DBInstanceClass": "db.t4g.small"},
        {"MultiAZ": True},
        {"EngineVersion": "16.9"},
        {"BackupRetentionPeriod": 0},
        {"MasterUserPassword": "second-password-2"},
    ):
        rds.modify_db_instance(DBInstanceIdentifier="eventful", ApplyImmediately=True, **changes)
        aws.wait_for_status("eventful", "available")
    rds.reboot_db_instance(DBInstanceIdentifier="eventful")
    aws.wait_for_status("eventful", "available")
    rds.stop_db_instance(DBInstanceIdentifier="eventful")
    aws.wait_for_status("eventful", "stopped")
    rds.start_db_instance(DBInstanceIdentifier="eventful")
    aws.wait_for_status("eventful", "available")
    rds.delete_db_instance(DBInstanceIdentifier="eventful", SkipFinalSnapshot=True)
    wait_for(lambda: messages(aws, "Eventful")[-1] == "DB instance deleted.")
    restart = ["DB instance shutdown.", "DB instance restarted."]
    assert messages(aws, "eventful") == [
        "DB instance created.",
        "Applying modification to allocated storage.",
        "Finished applying modification to allocated storage.",
        "Applying modification to database instance class.",
        *restart,
        "Finished applying modification to DB instance class.",
        "Applying modification to convert to a Multi-AZ DB instance.",
        "Finished applying modification to convert to a Multi-AZ DB instance.",
        "The engine version upgrade started.",
        *restart,
        "The engine version upgrade finished.",
        *restart,
        "Disabled automated backups.",
        "Reset master credentials.",
        *restart,
        "DB instance stopped.",
        "DB instance started.",
        "DB instance deleted.",
    ]
    events = rds.describe_events(SourceIdentifier="eventful", SourceType="db-instance")["Events"]
    assert all(event["SourceArn"] == arn and event["SourceType"] == "db-instance" for event in events)
    assert events[0]["EventCategories"] == ["creation"] and events[0]["Date"] < events[-1]["Date"]


def test_events_are_asked_for_by_time(aws):
    aws.create_database("timed")
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    assert messages(aws, "timed", Duration=5) == ["DB instance created."]
    assert messages(aws, "timed", StartTime=now - hour, EndTime=now + hour) == ["DB instance created."]
    assert messages(aws, "timed", StartTime=now - 2 * hour, EndTime=now - hour) == []
    assert messages(aws, "another") == []


def test_a_restored_instance_says_from_what(aws):
    rds = aws.client("rds")
    aws.create_database("source")
    rds.create_db_snapshot(DBInstanceIdentifier="source", DBSnapshotIdentifier="source-1")
    aws.wait_for_status("source", "available")
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="again", DBSnapshotIdentifier="source-1")
    aws.wait_for_status("again", "available")
    assert messages(aws, "again") == ["Restored from snapshot source-1."]


def test_each_event_is_also_one_on_the_default_bus(aws):
    sqs, events = aws.client("sqs"), aws.client("events")
    name = f"rds-{time.time_ns()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    pattern = {"source": ["aws.rds"], "detail-type": ["RDS DB Instance Event"]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:eu-west-1:000000000000:{name}"}])
    arn = aws.create_database("heard")["DBInstanceArn"]
    received: list[dict] = []

    def has_come() -> bool:
        received.extend(sqs.receive_message(QueueUrl=url).get("Messages", []))
        return bool(received)

    wait_for(has_come)
    event = json.loads(received[0]["Body"])
    assert event["resources"] == [arn] and event["region"] == "eu-west-1"
    detail = event["detail"]
    assert detail.pop("Date").endswith("Z")
    assert detail == {
        "EventCategories": ["creation"],
        "SourceType": "DB_INSTANCE",
        "SourceArn": arn,
        "Message": "DB instance created.",
        "SourceIdentifier": "rds:heard",
        "EventID": "RDS-EVENT-0005",
    }
    password = {"MasterUserPassword": "second-password-2"}
    aws.client("rds").modify_db_instance(DBInstanceIdentifier="heard", **password)
    wait_for(lambda: has_come() and "RDS-EVENT-0016" in received[-1]["Body"])
    detail = json.loads(received[-1]["Body"])["detail"]
    assert (detail["EventCategories"], detail["Message"]) == (["configuration change"], "Reset master credentials.")
