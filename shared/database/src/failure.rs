//! What a person can do about a failed rebuild, from the words of who failed.

use serde::Serialize;

/// A next step for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// One sentence.
    pub next_step: &'static str,
    /// Whether the same again may succeed.
    pub retry: bool,
}

/// What AWS's error codes and our own sentences ask a person to do; the first that occurs in the reason counts.
const ADVICE: &[(&str, Advice)] = &[
    (
        "InsufficientDBInstanceCapacity",
        retry("AWS has no room for this instance class here now: save again later, or choose another class."),
    ),
    (
        "insufficient-capacity",
        retry("AWS has no room for this instance class here now: save again later, or choose another class."),
    ),
    (
        "InstanceQuotaExceeded",
        change("Ask AWS for a higher quota of DB instances, or delete one, then save again."),
    ),
    (
        "StorageQuotaExceeded",
        change("Ask AWS for a higher quota of RDS storage, or choose less storage, then save again."),
    ),
    (
        "SnapshotQuotaExceeded",
        change("Delete old DB snapshots, or ask AWS for a higher quota, then save again."),
    ),
    (
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        change("Give the stage's service subnets in two availability zones and register the stage again."),
    ),
    ("InvalidVPCNetworkState", change("Free addresses in the stage's subnets, then save again.")),
    ("incompatible-network", change("Free addresses in the stage's subnets, then save again.")),
    ("KMSKeyNotAccessible", change("Enable the KMS key that RDS encrypts with, then save again.")),
    (
        "AccessDenied",
        change("Give the role that the raw text names the permission it lacks, then save again."),
    ),
    (
        "not authorized to perform",
        change("Give the role that the raw text names the permission it lacks, then save again."),
    ),
    ("Throttling", retry("AWS was too busy: save again in a minute.")),
    ("Rate exceeded", retry("AWS was too busy: save again in a minute.")),
    (
        "could not be worked on",
        retry("Save again; if it fails again, the log of database-progress says why."),
    ),
    ("ran out of time", retry("Save again; what RDS has begun is taken up where it is.")),
    ("did not get done within", retry("Wait until the instance is available in RDS, then save again.")),
    ("is stopped", change("Start the instance in RDS, then save again.")),
    (
        "could not start the containers",
        change("Read ECS's reason and the containers' log, mend the application, then rebuild."),
    ),
    ("without the runtime variables", retry("Rebuild, to give the containers their variables again.")),
    ("did not put there", change("Take the variable out of the task definition, then rebuild.")),
    (
        "did not get their variables",
        retry("Rebuild; if it fails again, the log of publish-variables says why."),
    ),
    ("Resource creation cancelled", retry("Save again.")),
    ("Resource update cancelled", retry("Save again.")),
];

/// For a reason that nobody foresaw.
const OTHERWISE: Advice = retry("Save again; if it fails again, the raw text is what AWS says about it.");

const fn retry(next_step: &'static str) -> Advice {
    Advice { next_step, retry: true }
}

const fn change(next_step: &'static str) -> Advice {
    Advice { next_step, retry: false }
}

/// What a person can do about a failure with this reason.
#[must_use]
pub fn advice(reason: &str) -> Advice {
    ADVICE.iter().find(|(words, _)| reason.contains(words)).map_or(OTHERWISE, |(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_cause_has_a_next_step_of_its_own() {
        for (reason, expected) in [
            (
                "RDS refused: no room (InsufficientDBInstanceCapacity)",
                "AWS has no room for this instance class",
            ),
            ("User: arn:… is not authorized to perform: rds:CreateDBInstance", "Give the role"),
            (
                "The DB instance shop-dev-postgres is stopped. Start it in RDS, then save again.",
                "Start the instance",
            ),
            ("never heard of", "Save again; if it fails again"),
        ] {
            assert!(advice(reason).next_step.starts_with(expected), "{reason}: {:?}", advice(reason));
        }
    }
}
