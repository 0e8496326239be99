"""The weekly maintenance window and the daily backup window of an instance: pure functions.

For formats and limits, see CreateDBInstance in the RDS API model. Times are in UTC.
"""

from __future__ import annotations

import re

from stagedb_local_aws.rds_rules import Refusal

DEFAULT_MAINTENANCE = "sun:05:00-sun:06:00"
_DAY = 24 * 60
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_WEEK_TIME = rf"({'|'.join(_WEEKDAYS)}):{_TIME}"


def check(maintenance: str, backup: str) -> None:
    """Each lasts at least half an hour, and they must not overlap. In lowercase, as AWS stores them."""
    weekly, daily = _weekly(maintenance), _daily(backup)
    # From the previous day to the next day, because both may extend past midnight or the end of the week.
    for day in range(-1, 9):
        start = daily.start + day * _DAY
        if max(weekly.start, start) < min(weekly.stop, start + len(daily)):
            raise Refusal("InvalidParameterCombination", "The backup window and maintenance window must not overlap.")


def backup_beside(maintenance: str) -> str:
    """The default backup window: AWS chooses one that doesn't overlap."""
    halves = [f"{hour:02}:00-{hour:02}:30" for hour in range(24)]
    return next((window for window in ("03:00-04:00", *halves) if _apart(maintenance, window)), "03:00-04:00")


def _apart(maintenance: str, backup: str) -> bool:
    try:
        check(maintenance, backup)
    except Refusal:
        return False
    return True


def _weekly(text: str) -> range:
    """Minutes since the start of Monday. The end may be in the next week."""
    found = re.fullmatch(f"{_WEEK_TIME}-{_WEEK_TIME}", text)
    if found is None:
        raise Refusal(
            "InvalidParameterValue",
            f"Invalid maintenance window format: {text}. Should be specified as a range ddd:hh24:mi-ddd:hh24:mi "
            "(24H Clock UTC). Example: Sun:23:45-Mon:00:15",
        )
    parts = found.groups()
    first, last = (
        _WEEKDAYS.index(day) * _DAY + int(hour) * 60 + int(minute) for day, hour, minute in (parts[:3], parts[3:])
    )
    return _lasting(first, (last - first) % (7 * _DAY), "maintenance")


def _daily(text: str) -> range:
    """Minutes since midnight. The end may be on the next day."""
    found = re.fullmatch(f"{_TIME}-{_TIME}", text)
    if found is None:
        raise Refusal(
            "InvalidParameterValue",
            f"Invalid backup window format: {text}. Should be specified as a range hh24:mi-hh24:mi "
            "(24H Clock UTC). Example: 04:30-05:30",
        )
    first, last = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    return _lasting(first, (last - first) % _DAY, "backup")


def _lasting(first: int, minutes: int, which: str) -> range:
    if not 30 <= minutes <= _DAY:
        raise Refusal("InvalidParameterValue", f"The {which} window must be from 30 minutes to 24 hours long.")
    return range(first, first + minutes)
