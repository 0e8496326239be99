"""The PostgreSQL versions of RDS, and what each can be upgraded to: data and pure functions.

This is a small part of AWS's list. Here, the default of a major version is its newest minor version
(on AWS, it's often the previous one).
"""

from __future__ import annotations

from stagedb_local_aws.rds_rules import Refusal

_RELEASED = {
    "12.15": (2023, 5),
    "13.11": (2023, 5),
    "14.8": (2023, 5),
    "15.3": (2023, 5),
    "15.12": (2025, 2),
    "15.13": (2025, 5),
    "16.4": (2024, 8),
    "16.8": (2025, 2),
    "16.9": (2025, 5),
    "17.4": (2025, 2),
    "17.5": (2025, 5),
    "18.3": (2026, 2),
}
"""The year and month when PostgreSQL released each version."""
VERSIONS = tuple(_RELEASED)
"""Oldest first, as AWS lists them."""


def major(version: str) -> str:
    return version.partition(".")[0]


DEFAULTS = {major(version): version for version in VERSIONS}
"""The default minor version of each major version."""
DEFAULT = DEFAULTS["17"]
"""The version of an instance if the request doesn't name one."""


def full_version(given: str) -> str:
    """Resolves `17` to its default minor version. Rejects unknown versions."""
    version = DEFAULTS.get(given, given) or DEFAULT
    if version not in _RELEASED:
        raise Refusal("InvalidParameterCombination", f"Cannot find version {given} for postgres")
    return version


def listed(given: str, default_only: bool) -> list[str]:
    """What DescribeDBEngineVersions lists for a version, a major version, or none. Empty if it's unknown."""
    versions = [version for version in VERSIONS if given in ("", version, major(version))]
    if not default_only:
        return versions
    defaults = [DEFAULT] if given == "" else DEFAULTS.values()
    return [version for version in versions if version in defaults]


def upgrade_targets(version: str) -> list[str]:
    """Every newer version that wasn't released before this one: 16.9 can be upgraded to 17.5, not to 17.4.

    This matches the lists in the user guide, "Choosing a major version upgrade for PostgreSQL".
    """
    newer = VERSIONS[VERSIONS.index(version) + 1 :]
    return [target for target in newer if _RELEASED[target] >= _RELEASED[version]]


def upgraded(current: str, given: str, allow_major: bool) -> str:
    """The version after ModifyDBInstance. This is the current one if there is nothing to do.

    A major version alone means its default minor version, unless the current one is newer (RDS API
    model, ModifyDBInstance).
    """
    wanted = full_version(given)
    if wanted == current or (given == major(current) and wanted not in upgrade_targets(current)):
        return current
    if wanted not in upgrade_targets(current):
        raise Refusal("InvalidParameterCombination", f"Cannot upgrade postgres from {current} to {wanted}")
    if major(wanted) != major(current) and not allow_major:
        raise Refusal(
            "InvalidParameterCombination",
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.",
        )
    return wanted


def described(version: str) -> dict[str, object]:
    """A version as described by DescribeDBEngineVersions."""
    targets = [
        {
            "Engine": "postgres",
            "EngineVersion": target,
            "Description": _description(target),
            "AutoUpgrade": target == DEFAULTS[major(version)],
            "IsMajorVersionUpgrade": major(target) != major(version),
            "SupportsParallelQuery": False,
            "SupportsGlobalDatabases": False,
            "SupportsBabelfish": False,
        }
        for target in upgrade_targets(version)
    ]
    return {
        "Engine": "postgres",
        "MajorEngineVersion": major(version),
        "EngineVersion": version,
        "DBParameterGroupFamily": f"postgres{major(version)}",
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": _description(version),
        "ValidUpgradeTarget": targets,
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportsReadReplica": True,
        "Status": "available",
        "SupportsParallelQuery": False,
        "SupportsGlobalDatabases": False,
        "SupportsBabelfish": False,
        "SupportsCertificateRotationWithoutRestart": True,
        "SupportedCACertificateIdentifiers": ["rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"],
    }


def _description(version: str) -> str:
    return f"PostgreSQL {version}-R1"
