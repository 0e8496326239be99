//! What the run's resources are called. An interrupted run is found by these names.

/// The stack of stagedb, the cluster, and the family.
pub(super) const NAME: &str = "stagedb-acceptance";
/// The stack with what the run needs besides.
pub(super) const APP: &str = "stagedb-acceptance-app";
/// The DB instance that stagedb doesn't manage.
pub(super) const THEIRS: &str = "stagedb-acceptance-orders";
/// The stack and the stage that are registered. No team's stack has this name: what has it is deleted.
pub(super) const STACK: &str = "stagedb-acceptance";
pub(super) const STAGE: &str = "test";
/// The stack of the stage.
pub(super) const STAGE_STACK: &str = "stagedb-acceptance-test";
/// The DB instance of the stage.
pub(super) const INSTANCE: &str = "stagedb-acceptance-test-postgres";
/// Who signs in.
pub(super) const USERNAME: &str = "acceptance@example.com";
