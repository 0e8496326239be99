"""Unit tests of an instance's windows, as data."""

import pytest

from stagedb_local_aws import rds_windows as windows
from stagedb_local_aws.rds_rules import Refusal


@pytest.mark.parametrize(
    ("maintenance", "backup"),
    [
        ("sun:05:00-sun:06:00", "03:00-04:00"),
        ("sun:04:00-sun:04:30", "03:00-04:00"),
        ("sun:23:45-mon:00:15", "00:15-00:45"),
        ("mon:01:00-mon:02:00", "23:30-01:00"),
    ],
)
def test_windows_may_be(maintenance, backup):
    windows.check(maintenance, backup)


@pytest.mark.parametrize(
    ("maintenance", "backup", "code"),
    [
        ("sun:05:00", "03:00-04:00", "InvalidParameterValue"),
        ("sun:25:00-sun:26:00", "03:00-04:00", "InvalidParameterValue"),
        ("son:05:00-son:06:00", "03:00-04:00", "InvalidParameterValue"),
        ("sun:05:00-sun:05:29", "03:00-04:00", "InvalidParameterValue"),
        ("sun:05:00-tue:05:00", "03:00-04:00", "InvalidParameterValue"),
        ("sun:05:00-sun:06:00", "03:00-03:10", "InvalidParameterValue"),
        ("sun:05:00-sun:06:00", "5", "InvalidParameterValue"),
        ("sun:03:30-sun:04:30", "03:00-04:00", "InvalidParameterCombination"),
        ("sun:23:45-mon:00:15", "00:00-00:30", "InvalidParameterCombination"),
        ("mon:00:00-mon:00:30", "23:30-00:10", "InvalidParameterCombination"),
    ],
)
def test_windows_may_not_be(maintenance, backup, code):
    with pytest.raises(Refusal) as refused:
        windows.check(maintenance, backup)
    assert refused.value.code == code


@pytest.mark.parametrize("maintenance", ["sun:05:00-sun:06:00", "sun:03:15-sun:03:45", "mon:22:00-tue:21:00"])
def test_a_backup_window_that_nobody_chose_lies_beside_the_maintenance_window(maintenance):
    windows.check(maintenance, windows.backup_beside(maintenance))
