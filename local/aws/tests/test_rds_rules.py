"""Unit tests of the RDS rules, as data."""

import pytest

from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws.rds_rules import Refusal


def refused(check, *values) -> str | None:
    try:
        check(*values)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize("name", ["a", "A-b-1", "stack-dev-postgres", "a" * 63])
def test_an_identifier_may_be(name):
    assert rules.check_identifier(name) == name.lower()


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "a--b", "a_b", "ä", "a" * 64])
def test_an_identifier_may_not_be(name):
    assert refused(rules.check_identifier, name) == "InvalidParameterValue"


@pytest.mark.parametrize("password", ["12345678", "~" * 128, "a'b\\c;d%e"])
def test_a_password_may_be(password):
    assert refused(rules.check_password, password) is None


@pytest.mark.parametrize(
    "password", ["1234567", "x" * 129, "1234567/", "1234567@", '1234567"', "1234 5678", "pässword1"]
)
def test_a_password_may_not_be(password):
    assert refused(rules.check_password, password) == "InvalidParameterValue"


@pytest.mark.parametrize("user", ["", "admin", "Admin", "rdsadmin", "pg_x", "1a", "a-b", "a" * 17])
def test_a_master_user_may_not_be(user):
    assert refused(rules.check_user, user) == "InvalidParameterValue"


@pytest.mark.parametrize("name", ["1a", "a-b", "template1", "a" * 64, "_a"])
def test_a_database_name_may_not_be(name):
    assert refused(rules.check_database_name, name) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("gib", "code"),
    [(19, "InvalidParameterCombination"), (20, None), (65_536, None), (65_537, "InvalidParameterCombination")],
)
def test_storage_is_from_20_to_65536_gib(gib, code):
    assert refused(rules.check_storage, gib, "gp3") == code


@pytest.mark.parametrize(("wanted", "allowed"), [(99, False), (100, True), (101, False), (109, False), (110, True)])
def test_storage_never_decreases_and_increases_by_at_least_a_tenth(wanted, allowed):
    assert (refused(rules.check_growth, 100, wanted) is None) == allowed
