//! The parameters of the application's stack in the local AWS.

/// The roles of the demo's services, and those of other teams' services.
const TASK_ROLES: &str = "arn:aws:iam::000000000000:role/demo-*,arn:aws:iam::000000000000:role/team-*";
/// Each with its value.
pub(crate) const PARAMETERS: [(&str, &str); 4] = [
    ("TaskRoles", TASK_ROLES),
    ("AttachableSecrets", "databases/*"),
    // Tests and demos take longer than the default.
    ("AccessTokenMinutes", "60"),
    // So that tests can see what users without a role can't do.
    ("RoleWithoutGroup", "none"),
];
