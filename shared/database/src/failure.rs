//! What the user can do about a failed rebuild, from the reason that the failed service gave.

use serde::Serialize;

/// A next step for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// One sentence.
    pub next_step: &'static str,
    /// Whether the same request may succeed if it's repeated.
    pub retry: bool,
}

/// The next step for each AWS error code and each of our own messages. The first one that occurs in the reason counts.
const ADVICE: &[(&str, Advice)] = &[
    (
        "InsufficientDBInstanceCapacity",
        retry(
            "AWS has no capacity for this instance class right now. Save again later, or choose another class.",
        ),
    ),
    (
        "insufficient-capacity",
        retry(
            "AWS has no capacity for this instance class right now. Save again later, or choose another class.",
        ),
    ),
    (
        "InstanceQuotaExceeded",
        change("Request a higher quota for DB instances from AWS, or delete one, then save again."),
    ),
    (
        "StorageQuotaExceeded",
        change("Request a higher quota for RDS storage from AWS, or choose less storage, then save again."),
    ),
    (
        "SnapshotQuotaExceeded",
        change("Delete old DB snapshots, or request a higher quota from AWS, then save again."),
    ),
    (
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        change("Give the stage's services subnets in two Availability Zones, then register the stage again."),
    ),
    ("InvalidVPCNetworkState", change("Free up IP addresses in the stage's subnets, then save again.")),
    ("incompatible-network", change("Free up IP addresses in the stage's subnets, then save again.")),
    ("KMSKeyNotAccessible", change("Enable the KMS key that RDS uses for encryption, then save again.")),
    (
        "The app login couldn't be set up",
        change(
            "Do what the message says is missing, so that a client can run and log in as the master user. Or turn off the app login. \
             Then save again.",
        ),
    ),
    (
        "The logins in the snapshot couldn't be disabled",
        change(
            "Do what the message says is missing, so that a client can run and log in as the master user. Then save again.",
        ),
    ),
    (
        "password authentication failed",
        change("Correct the username or the password of the database, then save again."),
    ),
    (
        "the database name is wrong",
        change("Correct the name of the database, or create it in the DB instance, then save again."),
    ),
    (
        "may not read the secret",
        change(
            "Remove what denies secretsmanager:GetSecretValue to the service's execution role, then save again.",
        ),
    ),
    (
        "can't get the credentials from the secret",
        change(
            "Give the service's subnets a route to Secrets Manager: a NAT gateway, or a VPC endpoint. Then save again.",
        ),
    ),
    (
        "the host name can't be resolved",
        change("Turn on DNS resolution and DNS hostnames in the VPC, then save again."),
    ),
    (
        "no route: the database",
        change(
            "Let the service's security group send traffic to the database's port, and check the network ACLs and route tables \
             between them. Then save again.",
        ),
    ),
    ("the database refuses connections", retry("Check that the database is running, then save again.")),
    (
        "TLS failed",
        change("Connect to the database at its own endpoint, with a certificate from RDS, then save again."),
    ),
    (
        "can't pull the client's image",
        change(
            "Give the service's subnets a route to the image's registry, set the parameter ClientImage of the stagedb stack to an \
             image that they can pull, or skip the connection test in the stage's details. Then save again.",
        ),
    ),
    (
        "no capacity for the client task",
        retry(
            "Save again when the cluster has room for 256 CPU units and 512 MiB of memory, or skip the connection test in the \
             stage's details.",
        ),
    ),
    (
        "can't write to the client's log",
        change(
            "Allow the service's execution role logs:CreateLogStream and logs:PutLogEvents, which AmazonECSTaskExecutionRolePolicy \
             has, or skip the connection test in the stage's details. Then save again.",
        ),
    ),
    (
        "couldn't run the client task",
        change(
            "Give stagedb what the AWS message says is missing, or skip the connection test in the stage's details. Then save \
             again.",
        ),
    ),
    ("the client task didn't finish", LOOK_AT_THE_TASK),
    ("the client was killed", LOOK_AT_THE_TASK),
    (
        "no longer shows the client task",
        retry("Save again. If it happens again, look at the client's log, or skip the connection test."),
    ),
    ("its log is empty", LOOK_AT_THE_TASK),
    (
        "the client's image has no",
        change(
            "Set the parameter ClientImage of the stagedb stack to an image with a shell, psql, and timeout, or skip the connection \
             test in the stage's details. Then save again.",
        ),
    ),
    (
        "the client took longer than",
        retry("Check whether the database is overloaded or has no connection left, then save again."),
    ),
    ("AccessDenied", change("Give the role in the AWS message the missing permission, then save again.")),
    (
        "not authorized to perform",
        change("Give the role in the AWS message the missing permission, then save again."),
    ),
    ("Throttling", retry("AWS throttled the request. Save again in a minute.")),
    ("Rate exceeded", retry("AWS throttled the request. Save again in a minute.")),
    (
        "couldn't be processed",
        retry("Save again. If it fails again, see the log of database-progress for the cause."),
    ),
    ("ran out of time", retry("Save again. stagedb picks up whatever RDS has already started.")),
    ("didn't finish within", retry("Wait until the instance is available in RDS, then save again.")),
    ("is stopped", change("Start the instance in RDS, then save again.")),
    (
        "couldn't start the containers",
        change("Read the ECS error and the containers' logs, fix the application, then rebuild."),
    ),
    ("without the runtime variables", retry("Rebuild to give the containers their variables again.")),
    ("has lost its tags", retry("Rebuild to tag the service again.")),
    ("no active service", change("Create the service again, or remove it from the stage.")),
    ("has no container", change("Register the stage again with a container of the task definition.")),
    ("belongs to the stage", change("Remove the service from one of the two stages.")),
    ("stagedb didn't add", change("Remove the variable from the task definition, then rebuild.")),
    (
        "didn't get their variables",
        retry("Rebuild. If it fails again, see the log of publish-variables for the cause."),
    ),
    ("Resource creation cancelled", retry("Save again.")),
    ("Resource update cancelled", retry("Save again.")),
];

/// For a client that ended without a word about the connection.
const LOOK_AT_THE_TASK: Advice =
    retry("Save again. If it happens again, look at the stopped task in ECS, or skip the connection test.");

/// For any other reason.
const OTHERWISE: Advice = retry("Save again. If it fails again, read the AWS message for the cause.");

const fn retry(next_step: &'static str) -> Advice {
    Advice { next_step, retry: true }
}

const fn change(next_step: &'static str) -> Advice {
    Advice { next_step, retry: false }
}

/// What the user can do about a failure with this reason.
#[must_use]
pub fn advice(reason: &str) -> Advice {
    ADVICE.iter().find(|(words, _)| reason.contains(words)).map_or(OTHERWISE, |(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientFailure;

    #[test]
    fn each_known_cause_has_its_own_next_step() {
        for (reason, expected) in [
            (
                "RDS refused: no room (InsufficientDBInstanceCapacity)",
                "AWS has no capacity for this instance class",
            ),
            ("User: arn:… is not authorized to perform: rds:CreateDBInstance", "Give the role in"),
            (
                "The DB instance shop-dev-postgres is stopped. Start it in RDS, then save again.",
                "Start the instance",
            ),
            (
                "The connection test failed. From the service demo/web (security group sg-1, execution role web): password \
                 authentication failed for user \"orders\".",
                "Correct the username or the password",
            ),
            (
                "… the execution role may not read the secret (… AccessDeniedException …)",
                "Remove what denies",
            ),
            (
                "The logins in the snapshot couldn't be disabled. From the service demo/web (…): ECS can't pull the client's image (…).",
                "Do what the message says is missing, so that a client can run and log in as the master user. Then",
            ),
            (
                "From the service demo/web (…): the client took longer than 30 s.",
                "Check whether the database is",
            ),
            ("never heard of", "Save again. If it fails again"),
        ] {
            assert!(advice(reason).next_step.starts_with(expected), "{reason}: {:?}", advice(reason));
        }
    }

    #[test]
    fn who_has_no_client_is_told_that_the_connection_test_can_be_skipped() {
        let words = || "words of AWS".to_owned();
        for failure in [
            ClientFailure::Image(words()),
            ClientFailure::Capacity(words()),
            ClientFailure::Log(words()),
            ClientFailure::NotRun(words()),
            ClientFailure::TimedOut { minutes: 5, status: "PENDING".to_owned() },
            ClientFailure::Killed(String::new()),
            ClientFailure::NoProgram { program: "psql or timeout", code: 127 },
            ClientFailure::NoOutput(1),
            ClientFailure::Gone,
        ] {
            assert!(failure.is_of_the_client(), "{failure}");
            let advice =
                advice(&format!("The connection test failed. From the service demo/web: {failure}."));
            assert!(advice.next_step.contains("skip the connection test"), "{failure}: {advice:?}");
        }
    }
}
