"""CloudWatch Logs: writing to a stream, and reading it in the order of time."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

numbers = count(1)
HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture(scope="module")
def logs(aws):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="history")
    return logs


@pytest.fixture
def stream(logs):
    """The parameters that name a new stream."""
    named = {"logGroupName": "history", "logStreamName": f"stream/{next(numbers)}"}
    logs.create_log_stream(**named)
    return named


def now() -> int:
    return int(time.time() * 1000)


def events(*timestamps: int) -> list[dict]:
    return [{"timestamp": timestamp, "message": str(timestamp)} for timestamp in timestamps]


def timestamps(answer: dict) -> list[int]:
    return [event["timestamp"] for event in answer["events"]]


def test_a_time_range_contains_its_start_and_not_its_end(logs, stream):
    start = now() - 100
    logs.put_log_events(**stream, logEvents=events(*range(start, start + 5)))
    found = logs.get_log_events(**stream, startTime=start + 1, endTime=start + 3, startFromHead=True)
    assert timestamps(found) == [start + 1, start + 2]
    assert timestamps(logs.get_log_events(**stream, startTime=start + 4)) == [start + 4]
    assert timestamps(logs.get_log_events(**stream, endTime=start + 1)) == [start]


def test_the_newest_events_come_first_in_ascending_order_unless_reading_starts_from_the_head(logs, stream):
    start = now() - 100
    every = list(range(start, start + 5))
    logs.put_log_events(**stream, logEvents=events(*every))
    newest = logs.get_log_events(**stream, limit=2)
    assert timestamps(newest) == every[3:]
    older = logs.get_log_events(**stream, limit=2, nextToken=newest["nextBackwardToken"])
    assert timestamps(older) == every[1:3]
    oldest = logs.get_log_events(**stream, limit=2, nextToken=older["nextBackwardToken"])
    assert timestamps(oldest) == every[:1]
    end = logs.get_log_events(**stream, limit=2, nextToken=oldest["nextBackwardToken"])
    assert (timestamps(end), end["nextBackwardToken"]) == ([], oldest["nextBackwardToken"])
    first = logs.get_log_events(**stream, limit=2, startFromHead=True)
    assert timestamps(first) == every[:2]
    following = logs.get_log_events(**stream, limit=9, startFromHead=True, nextToken=first["nextForwardToken"])
    assert timestamps(following) == every[2:]
    end = logs.get_log_events(**stream, startFromHead=True, nextToken=following["nextForwardToken"])
    assert (timestamps(end), end["nextForwardToken"]) == ([], following["nextForwardToken"])


@pytest.mark.parametrize("from_head", [True, False])
def test_a_page_has_at_most_a_megabyte(logs, stream, from_head):
    start = now() - 100
    for number in range(3):
        logs.put_log_events(**stream, logEvents=[{"timestamp": start + number, "message": "é" * 200_000}])
    token, seen, pages = {}, [], []
    while True:
        page = logs.get_log_events(**stream, startFromHead=from_head, **token)
        if not page["events"]:
            break
        pages.append(len(page["events"]))
        seen += timestamps(page)
        token = {"nextToken": page["nextForwardToken" if from_head else "nextBackwardToken"]}
    assert (sorted(seen), pages) == ([start, start + 1, start + 2], [2, 1])


def test_nothing_is_written_to_what_does_not_exist(logs, stream, expect_error):
    for missing in ({**stream, "logStreamName": "missing"}, {**stream, "logGroupName": "missing"}):
        for call, more in ((logs.put_log_events, {"logEvents": events(now())}), (logs.get_log_events, {})):
            assert expect_error(call, **missing, **more)[0] == "ResourceNotFoundException"
    assert expect_error(logs.create_log_stream, **stream)[0] == "ResourceAlreadyExistsException"
    missing = {"logGroupName": "missing", "logStreamName": "s"}
    assert expect_error(logs.create_log_stream, **missing)[0] == "ResourceNotFoundException"
    for name in ("a:b", "a*"):
        wrong = {"logGroupName": "history", "logStreamName": name}
        assert expect_error(logs.create_log_stream, **wrong)[0] == "InvalidParameterException"


def test_events_that_come_late_are_read_in_the_order_of_time(logs, stream):
    start = now() - 100
    for batch in ((start + 5, start + 9), (start + 7,), (start, start + 20), (start + 5,)):
        logs.put_log_events(**stream, logEvents=events(*batch))
    found = logs.get_log_events(**stream, startFromHead=True)
    assert [at - start for at in timestamps(found)] == [0, 5, 5, 7, 9, 20]


def test_writers_at_the_same_time_lose_nothing(aws, logs, stream):
    start = now() - 1000

    def write(writer: int) -> None:
        client = aws.client("logs")
        for number in range(20):
            event = {"timestamp": start + (number * 7 + writer) % 50, "message": f"{writer}-{number}"}
            client.put_log_events(**stream, logEvents=[event])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    found = logs.get_log_events(**stream, startFromHead=True)
    assert sorted(event["message"] for event in found["events"]) == sorted(
        f"{writer}-{number}" for writer in range(8) for number in range(20)
    )
    assert timestamps(found) == sorted(timestamps(found))


def test_a_batch_that_is_not_in_order_or_too_large_is_refused_as_a_whole(logs, stream, expect_error):
    time_ = now()
    large = [{"timestamp": time_, "message": "x" * 1023 * 1024}] * 2
    for batch in (events(time_, time_ - 1), large, events(time_ - 2 * DAY, time_)):
        assert expect_error(logs.put_log_events, **stream, logEvents=batch)[0] == "InvalidParameterException"
    assert timestamps(logs.get_log_events(**stream)) == []
    _, message = expect_error(logs.put_log_events, **stream, logEvents=events(time_, time_ - 1))
    assert message == "Log events in a single PutLogEvents request must be in chronological order."


def test_events_that_are_too_old_or_too_new_are_rejected_and_the_others_stored(logs, stream):
    time_ = now()
    batch = events(time_ - 15 * DAY, time_ - 14 * DAY - HOUR, time_, time_ + HOUR, time_ + 3 * HOUR)
    answer = logs.put_log_events(**stream, logEvents=batch)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    assert timestamps(logs.get_log_events(**stream)) == [time_, time_ + HOUR]
    assert "rejectedLogEventsInfo" not in logs.put_log_events(**stream, logEvents=events(time_))


def test_events_from_before_the_retention_period_are_rejected(logs):
    named = {"logGroupName": "short", "logStreamName": "s"}
    logs.create_log_group(logGroupName="short")
    logs.put_retention_policy(logGroupName="short", retentionInDays=1)
    logs.create_log_stream(**named)
    time_ = now()
    answer = logs.put_log_events(**named, logEvents=events(time_ - DAY - HOUR, time_))
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert timestamps(logs.get_log_events(**named)) == [time_]
