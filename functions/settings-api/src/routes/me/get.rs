//! `GET /api/me`: who is signed in, and what they may do.

use database::{Role, Stage, may};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    request::Endpoint,
    response::{Problem, Reply},
};

/// The signed-in user.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeWire {
    /// The user's ID in the user pool, which never changes.
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The role on everything: `viewer`, `editor`, or `admin`. Missing if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// The stacks on which the user has a higher role.
    stacks: Vec<RoleOnStackWire>,
    /// The stage in the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<StageAccessWire>,
}

/// A role on one stack.
#[derive(Serialize, ToSchema)]
#[schema(as = RoleOnStack)]
struct RoleOnStackWire {
    stack: String,
    /// `viewer`, `editor`, or `admin`.
    role: &'static str,
}

/// What the user may do to a stage.
#[derive(Serialize, ToSchema)]
#[schema(as = StageAccess)]
struct StageAccessWire {
    stack: String,
    stage: String,
    /// The role on this stage: `viewer`, `editor`, or `admin`. Missing if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Whether only admins can change the stage.
    protected: bool,
    /// Every operation that changes something, by its operationId.
    operations: Vec<AccessWire>,
}

/// Whether the user may do one operation.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationAccess)]
struct AccessWire {
    operation: &'static str,
    allowed: bool,
    /// Why not, and who may.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl SettingsApi {
    pub(crate) async fn get_me(&self, call: &Call) -> Result<Reply, Problem> {
        let roles = &call.caller.roles;
        let stage = match call.stage()? {
            // Users who can't see the stage don't learn whether it's protected.
            Some(stage) if roles.on(&stage.stack).is_none() => Some(access(&stage, call, false)),
            Some(stage) => Some(access(&stage, call, self.protections.is_protected(&stage).await?)),
            None => None,
        };
        let on_stack = |(stack, role): (&database::StackName, Role)| RoleOnStackWire {
            stack: stack.to_string(),
            role: role.name(),
        };
        let wire = MeWire {
            subject: call.caller.who.subject.to_string(),
            email: call.caller.who.email.as_ref().map(ToString::to_string),
            role: roles.everywhere().map(Role::name),
            stacks: roles.on_stacks().map(on_stack).collect(),
            stage,
        };
        Ok(Reply::json(200, &wire))
    }
}

fn access(stage: &Stage, call: &Call, is_protected: bool) -> StageAccessWire {
    let roles = &call.caller.roles;
    let access = |endpoint: Endpoint| {
        let refusal = may(roles, Some(&stage.stack), endpoint.action(), is_protected).err();
        AccessWire {
            operation: endpoint.operation(),
            allowed: refusal.is_none(),
            reason: refusal.map(|refusal| refusal.to_string()),
        }
    };
    StageAccessWire {
        stack: stage.stack.to_string(),
        stage: stage.stage.to_string(),
        role: roles.on(&stage.stack).map(Role::name),
        protected: is_protected,
        operations: Endpoint::CHANGES.into_iter().map(access).collect(),
    }
}
