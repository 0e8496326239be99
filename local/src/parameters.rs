//! The parameters of the application's stack in the local AWS.

/// The roles of the demo's services, and those of other teams' services.
const TASK_ROLES: &str = "arn:aws:iam::000000000000:role/demo-*,arn:aws:iam::000000000000:role/team-*";
/// Each with its value.
pub(crate) const PARAMETERS: [(&str, &str); 3] =
    // Tests and demos take longer than the default.
    [("TaskRoles", TASK_ROLES), ("AttachableSecrets", "databases/*"), ("AccessTokenMinutes", "60")];
