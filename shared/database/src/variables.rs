//! The runtime variables of a stage's container.

use serde::Serialize;

/// A runtime variable and the key of the secret that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeVariable {
    /// The environment variable's name.
    pub name: &'static str,
    /// The JSON key in the secret's value.
    pub secret_key: &'static str,
}

/// Every runtime variable. `PG_CREDENTIALS_SECRET` is the password.
pub const RUNTIME_VARIABLES: [RuntimeVariable; 5] = [
    RuntimeVariable { name: "PG_HOST", secret_key: "host" },
    RuntimeVariable { name: "PG_PORT", secret_key: "port" },
    RuntimeVariable { name: "PG_DATABASE", secret_key: "dbname" },
    RuntimeVariable { name: "PG_USER", secret_key: "username" },
    RuntimeVariable { name: "PG_CREDENTIALS_SECRET", secret_key: "password" },
];

/// An environment variable that ECS takes from a secret when it starts the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    /// The environment variable's name.
    pub name: String,
    /// A secret's ARN, or `{arn}:{json key}:{version stage}:{version id}` for a part of its value.
    pub value_from: String,
}

/// The environment in a container definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerVariables {
    /// The names of the variables with a plain value.
    pub environment: Vec<String>,
    /// The variables that come from secrets.
    pub secrets: Vec<SecretReference>,
}

/// The desired state of a container's variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every runtime variable comes from this secret.
    Published {
        /// The secret's ARN.
        secret_arn: String,
    },
    /// None of the variables that stagedb added is left.
    Removed,
}

/// A variable with the name of a runtime variable that stagedb didn't add. It's never overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableConflict {
    /// The environment variable's name.
    pub name: String,
}

/// What publishing means for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// The container has the desired variables.
    UpToDate,
    /// The container needs these `secrets`.
    Change(Vec<SecretReference>),
    /// Nothing is changed, because a mix of variables from two sources would break the application.
    Conflict(Vec<VariableConflict>),
}

/// What has to change so that a container has the desired variables. The order of the existing ones is kept, and
/// references to the right key stay as they are, in whatever form a team wrote them.
#[must_use]
pub fn publication(container: &ContainerVariables, secret_name: &str, target: &Target) -> Publication {
    let is_ours = |reference: &SecretReference| {
        is_runtime_variable(&reference.name) && refers_to(&reference.value_from, secret_name)
    };
    let Target::Published { secret_arn } = target else {
        let others: Vec<_> = container.secrets.iter().filter(|r| !is_ours(r)).cloned().collect();
        let same = others.len() == container.secrets.len();
        return if same { Publication::UpToDate } else { Publication::Change(others) };
    };
    let conflicts = conflicts(container, secret_name);
    if !conflicts.is_empty() {
        return Publication::Conflict(conflicts);
    }
    let is_right = |reference: &SecretReference, variable: &RuntimeVariable| {
        let Some((arn, rest)) = split_reference(&reference.value_from) else { return false };
        let is_secret = arn == secret_arn || arn.ends_with(&format!(":secret:{secret_name}"));
        let key = variable.secret_key;
        reference.name == variable.name
            && is_secret
            && (rest == format!("{key}::") || rest == format!("{key}:AWSCURRENT:"))
    };
    let right = |r: &SecretReference| RUNTIME_VARIABLES.iter().any(|v| is_right(r, v));
    let mut secrets: Vec<_> = container.secrets.iter().filter(|r| !is_ours(r) || right(r)).cloned().collect();
    let missing = RUNTIME_VARIABLES.iter().filter(|v| !secrets.iter().any(|r| is_right(r, v)));
    let missing: Vec<_> = missing
        .map(|v| SecretReference {
            name: v.name.to_owned(),
            value_from: format!("{secret_arn}:{}::", v.secret_key),
        })
        .collect();
    secrets.extend(missing);
    if secrets == container.secrets { Publication::UpToDate } else { Publication::Change(secrets) }
}

/// The variables of a container that have the name of a runtime variable, but don't come from the stage's secret.
fn conflicts(container: &ContainerVariables, secret_name: &str) -> Vec<VariableConflict> {
    let foreign = |name: &str| {
        container.environment.iter().any(|n| n == name)
            || container.secrets.iter().any(|r| r.name == name && !refers_to(&r.value_from, secret_name))
    };
    let conflict =
        |v: &RuntimeVariable| foreign(v.name).then(|| VariableConflict { name: v.name.to_owned() });
    RUNTIME_VARIABLES.iter().filter_map(conflict).collect()
}

/// Which runtime variables a container has from the stage's secret.
#[must_use]
pub fn runtime_variables(container: &ContainerVariables, secret_name: &str) -> Vec<RuntimeVariable> {
    let has = |v: &RuntimeVariable| {
        container.secrets.iter().any(|r| {
            let key = split_reference(&r.value_from).map(|(_, rest)| rest.split(':').next());
            r.name == v.name && refers_to(&r.value_from, secret_name) && key == Some(Some(v.secret_key))
        })
    };
    RUNTIME_VARIABLES.into_iter().filter(has).collect()
}

/// The names of the runtime variables that a container doesn't have from the stage's secret.
#[must_use]
pub fn missing_variables(container: &ContainerVariables, secret_name: &str) -> Vec<&'static str> {
    let has = runtime_variables(container, secret_name);
    RUNTIME_VARIABLES.into_iter().filter(|v| !has.contains(v)).map(|v| v.name).collect()
}

/// What a container lacks that should have references but doesn't have the right ones. None may be missing.
#[must_use]
pub fn lacks_in_words(missing: &[&str]) -> String {
    if missing.is_empty() { "the current references".to_owned() } else { missing.join(", ") }
}

/// The ARN of a secret, and what a reference says after it: the JSON key, the version stage, and the version ID.
fn split_reference(value_from: &str) -> Option<(&str, &str)> {
    let (end, _) = value_from.match_indices(':').nth(6)?;
    Some((value_from.get(..end)?, value_from.get(end + 1..)?))
}

fn is_runtime_variable(name: &str) -> bool {
    RUNTIME_VARIABLES.iter().any(|v| v.name == name)
}

/// Whether a reference is to the secret with this name, with or without the six random characters at the end of its
/// ARN. Which characters doesn't matter, because a stage that is registered again has a new secret with the same name.
fn refers_to(value_from: &str, secret_name: &str) -> bool {
    let mut parts = value_from.split(':').skip(5);
    parts.next() == Some("secret")
        && parts.next().and_then(|resource| resource.strip_prefix(secret_name)).is_some_and(|rest| {
            let suffix = rest.strip_prefix('-');
            rest.is_empty() || suffix.is_some_and(|suffix| suffix.len() == 6 && !suffix.contains('-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "dev-shop-postgres";
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:dev-shop-postgres-AbCdEf";

    fn published() -> Target {
        Target::Published { secret_arn: ARN.to_owned() }
    }

    fn reference(name: &str, value_from: &str) -> SecretReference {
        SecretReference { name: name.to_owned(), value_from: value_from.to_owned() }
    }

    fn after(container: &ContainerVariables, target: &Target) -> ContainerVariables {
        match publication(container, SECRET, target) {
            Publication::Change(secrets) => ContainerVariables { secrets, ..container.clone() },
            Publication::UpToDate | Publication::Conflict(_) => container.clone(),
        }
    }

    fn with_own() -> ContainerVariables {
        ContainerVariables {
            environment: vec!["DEBUG".to_owned()],
            secrets: vec![reference("API_KEY", "arn:aws:ssm:us-east-1:000000000000:parameter/key")],
        }
    }

    #[test]
    fn published_variables_refer_to_the_keys_of_the_secret() {
        let container = after(&ContainerVariables::default(), &published());
        let expected: Vec<_> = [
            ("PG_HOST", "host"),
            ("PG_PORT", "port"),
            ("PG_DATABASE", "dbname"),
            ("PG_USER", "username"),
            ("PG_CREDENTIALS_SECRET", "password"),
        ]
        .map(|(name, key)| reference(name, &format!("{ARN}:{key}::")))
        .into();
        assert_eq!(container.secrets, expected);
        assert_eq!(runtime_variables(&container, SECRET), RUNTIME_VARIABLES);
    }

    #[test]
    fn publishing_twice_changes_nothing_the_second_time() {
        let once = after(&with_own(), &published());
        assert_eq!(publication(&once, SECRET, &published()), Publication::UpToDate);
    }

    #[test]
    fn references_that_a_team_wrote_itself_stay_as_they_are() {
        let by_name = ARN.replace("-AbCdEf", "");
        for form in [format!("{ARN}:KEY::"), format!("{by_name}:KEY::"), format!("{ARN}:KEY:AWSCURRENT:")] {
            let theirs = |v: &RuntimeVariable| reference(v.name, &form.replace("KEY", v.secret_key));
            let secrets: Vec<_> = RUNTIME_VARIABLES.iter().rev().map(theirs).collect();
            let container = ContainerVariables { secrets, ..with_own() };
            assert_eq!(publication(&container, SECRET, &published()), Publication::UpToDate, "{form}");
            assert_eq!(missing_variables(&container, SECRET), [""; 0], "{form}");
        }
    }

    #[test]
    fn a_reference_to_the_wrong_key_or_to_a_fixed_version_is_replaced() {
        for wrong in [format!("{ARN}:port::"), format!("{ARN}:host:AWSPREVIOUS:"), ARN.to_owned()] {
            let mut container = after(&with_own(), &published());
            container.secrets[1] = reference("PG_HOST", &wrong);
            let secrets = after(&container, &published()).secrets;
            assert!(secrets.contains(&reference("PG_HOST", &format!("{ARN}:host::"))), "{secrets:?}");
            assert_eq!(secrets.iter().filter(|r| r.name == "PG_HOST").count(), 1);
        }
    }

    #[test]
    fn removing_leaves_exactly_what_was_there_before() {
        let container = with_own();
        assert_eq!(after(&after(&container, &published()), &Target::Removed), container);
        assert_eq!(publication(&container, SECRET, &Target::Removed), Publication::UpToDate);
    }

    #[test]
    fn a_recreated_secret_replaces_the_old_one() {
        let old = Target::Published { secret_arn: ARN.replace("AbCdEf", "GhIjKl") };
        let container = after(&after(&with_own(), &old), &published());
        assert_eq!(container, after(&with_own(), &published()));
    }

    #[test]
    fn a_variable_that_stagedb_did_not_set_is_never_overwritten_or_removed() {
        let theirs = [
            ContainerVariables { environment: vec!["PG_HOST".to_owned()], ..with_own() },
            ContainerVariables {
                secrets: vec![reference("PG_HOST", "arn:aws:ssm:us-east-1:000000000000:parameter/host")],
                ..with_own()
            },
            ContainerVariables {
                secrets: vec![reference("PG_HOST", &ARN.replace("dev-shop", "dev-other"))],
                ..with_own()
            },
            ContainerVariables {
                secrets: vec![reference("PG_HOST", &ARN.replace("shop-postgres", "shop-postgres-old"))],
                ..with_own()
            },
        ];
        for container in theirs {
            let conflicts = vec![VariableConflict { name: "PG_HOST".to_owned() }];
            assert_eq!(publication(&container, SECRET, &published()), Publication::Conflict(conflicts));
            assert_eq!(publication(&container, SECRET, &Target::Removed), Publication::UpToDate);
            assert_eq!(runtime_variables(&container, SECRET), []);
        }
    }
}
