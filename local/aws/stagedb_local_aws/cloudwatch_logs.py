"""CloudWatch Logs: what it rejects, and pages of at most 1 MB.

Source: the API reference of PutLogEvents, GetLogEvents, and CreateLogStream. MiniStack accepts any batch of events.
"""

from __future__ import annotations

import json
import time

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch_logs as logs

Answer = tuple[int, dict, bytes]

BATCH_BYTES = PAGE_BYTES = 1_048_576
BATCH_EVENTS = 10_000
EVENT_OVERHEAD = 26
HOUR, DAY = 3_600_000, 86_400_000


def create_stream(data: dict) -> Answer:
    name = data.get("logStreamName") or ""
    if ":" in name or "*" in name or len(name) > 512:
        return _invalid(
            f"1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [^:*]*"
        )
    return _create_stream_elsewhere(data)


def put_events(data: dict) -> Answer:
    """Events that are too old or too new are rejected; the others are stored."""
    events = data.get("logEvents") or []
    if reason := _reason_to_refuse(events):
        return _invalid(reason)
    group = logs._log_groups.get(data.get("logGroupName")) or {}
    now = int(time.time() * 1000)
    kept_from = now - group["retentionInDays"] * DAY if group.get("retentionInDays") else 0
    timestamps = [event["timestamp"] for event in events]
    expired = sum(timestamp < kept_from for timestamp in timestamps)
    too_old = sum(timestamp < now - 14 * DAY for timestamp in timestamps)
    too_new = sum(timestamp > now + 2 * HOUR for timestamp in timestamps)
    first, end = max(expired, too_old), len(events) - too_new
    if first < end and timestamps[end - 1] - timestamps[first] > DAY:
        return _invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    status, headers, body = _put_events_elsewhere({**data, "logEvents": events[first:end]})
    rejected = {
        **({"tooNewLogEventStartIndex": end} if too_new else {}),
        **({"tooOldLogEventEndIndex": too_old} if too_old else {}),
        **({"expiredLogEventEndIndex": expired} if expired else {}),
    }
    if status == 200 and rejected:
        body = json.dumps({**json.loads(body), "rejectedLogEventsInfo": rejected}).encode()
    return status, headers, body


def _reason_to_refuse(events: list[dict]) -> str:
    if not 1 <= len(events) <= BATCH_EVENTS:
        return f"1 validation error detected: 'logEvents' must have 1 to {BATCH_EVENTS} members"
    for number, event in enumerate(events, 1):
        if not event.get("message") or not isinstance(event.get("timestamp"), int) or event["timestamp"] < 0:
            return f"1 validation error detected: 'logEvents.{number}' needs a 'message' and a 'timestamp'"
    timestamps = [event["timestamp"] for event in events]
    if timestamps != sorted(timestamps):
        return "Log events in a single PutLogEvents request must be in chronological order."
    size = sum(map(_size, events))
    if size > BATCH_BYTES:
        return f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES}"
    return ""


def get_events(data: dict) -> Answer:
    """A page ends before it has more than 1 MB."""
    answer = _get_events_elsewhere(data)
    if answer[0] != 200:
        return answer
    events = json.loads(answer[2])["events"]
    token = data.get("nextToken") or ("f" if data.get("startFromHead") else "b")
    fitting, size = 0, 0
    for event in events if token.startswith("f") else reversed(events):
        size += _size(event)
        if size > PAGE_BYTES:
            break
        fitting += 1
    return answer if fitting == len(events) else _get_events_elsewhere({**data, "limit": max(fitting, 1)})


def _size(event: dict) -> int:
    return len(event["message"].encode()) + EVENT_OVERHEAD


def _invalid(message: str) -> Answer:
    return error_response_json("InvalidParameterException", message, 400)


_create_stream_elsewhere = logs._create_log_stream
_put_events_elsewhere = logs._put_log_events
_get_events_elsewhere = logs._get_log_events


def install() -> None:
    logs._create_log_stream = create_stream
    logs._put_log_events = put_events
    logs._get_log_events = get_events
