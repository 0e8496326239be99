"""The PostgreSQL versions: which exist, what a major version means, and the upgrade targets."""

import pytest

from stagedb_local_aws import rds_versions as versions
from stagedb_local_aws.rds_rules import Refusal


def described(aws, **parameters) -> list[dict]:
    return aws.client("rds").describe_db_engine_versions(Engine="postgres", **parameters)["DBEngineVersions"]


@pytest.mark.parametrize(
    ("given", "full"), [("17", "17.5"), ("16", "16.9"), ("15", "15.13"), ("16.4", "16.4"), ("", "17.5")]
)
def test_a_major_version_stands_for_its_newest_minor_version(given, full):
    assert versions.full_version(given) == full


@pytest.mark.parametrize("version", ["9", "99", "17.x", "abc", "16.11"])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(Refusal) as refused:
        versions.full_version(version)
    assert (refused.value.code, refused.value.message) == (
        "InvalidParameterCombination",
        f"Cannot find version {version} for postgres",
    )


@pytest.mark.parametrize(
    ("version", "targets"),
    [
        ("18.3", []),
        ("17.5", ["18.3"]),
        ("17.4", ["17.5", "18.3"]),
        ("16.9", ["17.5", "18.3"]),
        ("16.8", ["16.9", "17.4", "17.5", "18.3"]),
        ("15.3", ["15.12", "15.13", "16.4", "16.8", "16.9", "17.4", "17.5", "18.3"]),
    ],
)
def test_an_upgrade_leads_to_no_version_that_was_released_before(version, targets):
    assert versions.upgrade_targets(version) == targets


@pytest.mark.parametrize(
    ("current", "given", "after"),
    [
        ("16.8", "16.9", "16.9"),
        ("16.8", "16", "16.9"),
        ("16.9", "16", "16.9"),
        ("16.9", "16.9", "16.9"),
        ("16.8", "17", "17.5"),
        ("15.12", "18.3", "18.3"),
    ],
)
def test_an_upgrade_with_the_flag_leads_to(current, given, after):
    assert versions.upgraded(current, given, allow_major=True) == after


@pytest.mark.parametrize(
    ("current", "given", "message"),
    [
        ("16.9", "16.8", "Cannot upgrade postgres from 16.9 to 16.8"),
        ("16.9", "17.4", "Cannot upgrade postgres from 16.9 to 17.4"),
        ("17.5", "16", "Cannot upgrade postgres from 17.5 to 16.9"),
        ("16.9", "16.99", "Cannot find version 16.99 for postgres"),
        (
            "16.9",
            "17.5",
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.",
        ),
    ],
)
def test_an_upgrade_is_refused(current, given, message):
    with pytest.raises(Refusal) as refused:
        versions.upgraded(current, given, allow_major=False)
    assert (refused.value.code, refused.value.message) == ("InvalidParameterCombination", message)


def test_a_version_is_described_with_its_upgrades(aws):
    (version,) = described(aws, EngineVersion="16.8")
    assert (version["EngineVersion"], version["DBParameterGroupFamily"]) == ("16.8", "postgres16")
    assert (version["MajorEngineVersion"], version["Status"]) == ("16", "available")
    shown = ("Engine", "EngineVersion", "Description", "AutoUpgrade", "IsMajorVersionUpgrade")
    assert [tuple(target[name] for name in shown) for target in version["ValidUpgradeTarget"]] == [
        ("postgres", "16.9", "PostgreSQL 16.9-R1", True, False),
        ("postgres", "17.4", "PostgreSQL 17.4-R1", False, True),
        ("postgres", "17.5", "PostgreSQL 17.5-R1", False, True),
        ("postgres", "18.3", "PostgreSQL 18.3-R1", False, True),
    ]


@pytest.mark.parametrize(
    ("parameters", "listed"),
    [
        ({"EngineVersion": "17"}, ["17.4", "17.5"]),
        ({"EngineVersion": "17", "DefaultOnly": True}, ["17.5"]),
        ({"EngineVersion": "16", "DefaultOnly": True}, ["16.9"]),
        ({"EngineVersion": "16.8", "DefaultOnly": True}, []),
        ({"DefaultOnly": True}, ["17.5"]),
        ({"EngineVersion": "16.99"}, []),
        ({"EngineVersion": "99"}, []),
        ({}, list(versions.VERSIONS)),
    ],
)
def test_versions_are_listed(aws, parameters, listed):
    assert [version["EngineVersion"] for version in described(aws, **parameters)] == listed
