import json
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from ecs_tasks import Jobs  # noqa: E402
from local_aws import REGION, LocalAws, wait_for  # noqa: E402


@pytest.fixture(scope="session")
def aws():
    """One local AWS for all tests. Each test uses its own names."""
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="module")
def jobs(aws):
    """A cluster to run tasks in. Its AWS is empty afterward."""
    yield Jobs(aws)
    aws.reset()


@pytest.fixture
def nothing_left(aws):
    """Empties the AWS after each test, because dozens of servers would slow the others down."""
    yield
    aws.reset()


@pytest.fixture
def expect_error():
    """Makes a call that must fail, and returns the error code and message."""
    from botocore.exceptions import ClientError

    def call(operation, **parameters):
        with pytest.raises(ClientError) as raised:
            operation(**parameters)
        error = raised.value.response["Error"]
        return error["Code"], error["Message"]

    return call


@pytest.fixture
def status_events(aws):
    """The 'Stack Status Change' events that the default bus delivers to a queue."""
    sqs, events = aws.client("sqs"), aws.client("events")
    name = f"status-{time.time_ns()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    pattern = {"source": ["aws.cloudformation"], "detail-type": ["CloudFormation Stack Status Change"]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    arn = f"arn:aws:sqs:{REGION}:000000000000:{name}"
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])

    def received(stack_id: str, until: str) -> list[dict]:
        found: list[dict] = []

        def complete() -> bool:
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                event = json.loads(message["Body"])
                if event["resources"] == [stack_id]:
                    found.append(event)
            return any(event["detail"]["status-details"]["status"] == until for event in found)

        wait_for(complete)
        return found

    yield received
    events.remove_targets(Rule=name, Ids=["1"])
    events.delete_rule(Name=name)
