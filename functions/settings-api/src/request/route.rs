//! The route for each method and path.

use database::{Action, NameError, StackName, Stage, StageName};
use http::Method;

use crate::response::Problem;

/// A known path and method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /api/stacks`
    Stacks,
    /// `GET /api/services`
    Services,
    /// `GET /api/databases`
    Databases,
    /// `GET /api/instance-classes`
    InstanceClasses,
    /// `GET /api/leftovers`
    Leftovers,
    /// `GET /api/openapi.json`
    OpenApi,
    /// `GET /api/me`
    Me,
    /// `POST /api/me/sign-out`
    SignOut,
    /// An endpoint of one stage.
    Stage(Stage, Endpoint),
}

/// The endpoints of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    GetHistory,
    PutProtection,
    GetStage,
    PutStage,
    DeleteStage,
    GetDatabase,
    GetMetrics,
    PutDatabase,
    DeleteDatabase,
    PostPreview,
    PostRotation,
    PostConnectionTest,
    GetConnectionTest,
    GetSnapshots,
    GetRebuild,
    PostRebuild,
    GetRuntimeVariables,
    PostRuntimeVariables,
    GetSnippets,
}

impl Endpoint {
    /// The endpoints that change a stage.
    pub(crate) const CHANGES: [Self; 10] = [
        Self::PutStage,
        Self::DeleteStage,
        Self::PutDatabase,
        Self::DeleteDatabase,
        Self::PostPreview,
        Self::PostRotation,
        Self::PostConnectionTest,
        Self::PostRebuild,
        Self::PostRuntimeVariables,
        Self::PutProtection,
    ];

    /// The operation in the API's description.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::GetStage => "getStage",
            Self::PutStage => "putStage",
            Self::DeleteStage => "deleteStage",
            Self::GetDatabase => "getDatabase",
            Self::GetMetrics => "getMetrics",
            Self::PutDatabase => "putDatabase",
            Self::DeleteDatabase => "deleteDatabase",
            Self::PostPreview => "previewDatabase",
            Self::PostRotation => "rotateLogin",
            Self::PostConnectionTest => "testConnection",
            Self::GetConnectionTest => "getConnectionTest",
            Self::GetSnapshots => "getSnapshots",
            Self::GetRebuild => "getRebuild",
            Self::PostRebuild => "postRebuild",
            Self::GetRuntimeVariables => "getRuntimeVariables",
            Self::PostRuntimeVariables => "postRuntimeVariables",
            Self::GetSnippets => "getSnippets",
            Self::GetHistory => "getHistory",
            Self::PutProtection => "putProtection",
        }
    }

    /// What it does, as far as roles are concerned.
    pub(crate) const fn action(self) -> Action {
        match self {
            Self::GetStage
            | Self::GetDatabase
            | Self::GetMetrics
            | Self::GetSnapshots
            | Self::GetRebuild
            | Self::GetRuntimeVariables
            | Self::GetSnippets
            | Self::GetConnectionTest
            | Self::GetHistory => Action::Read,
            Self::PutStage
            | Self::PutDatabase
            | Self::PostPreview
            | Self::PostRotation
            | Self::PostConnectionTest
            | Self::PostRebuild
            | Self::PostRuntimeVariables => Action::Change,
            Self::DeleteStage | Self::DeleteDatabase => Action::Remove,
            Self::PutProtection => Action::Protect,
        }
    }
}

impl Route {
    /// The operation in the API's description.
    pub(crate) const fn operation(&self) -> &'static str {
        match self {
            Self::Stacks => "getStacks",
            Self::Services => "getServices",
            Self::Databases => "getDatabases",
            Self::InstanceClasses => "getInstanceClasses",
            Self::Leftovers => "getLeftovers",
            Self::OpenApi => "getOpenApi",
            Self::Me => "getMe",
            Self::SignOut => "signOut",
            Self::Stage(_, endpoint) => endpoint.operation(),
        }
    }

    /// What it does, as far as roles are concerned. `None`: everyone who has signed in may do it.
    pub(crate) const fn action(&self) -> Option<Action> {
        match self {
            Self::OpenApi | Self::Me | Self::SignOut => None,
            Self::Stacks | Self::Services | Self::Databases | Self::InstanceClasses | Self::Leftovers => {
                Some(Action::Read)
            }
            Self::Stage(_, endpoint) => Some(endpoint.action()),
        }
    }

    /// The stage that it's about.
    pub(crate) const fn stage(&self) -> Option<&Stage> {
        match self {
            Self::Stage(stage, _) => Some(stage),
            Self::Stacks
            | Self::Services
            | Self::Databases
            | Self::InstanceClasses
            | Self::Leftovers
            | Self::OpenApi
            | Self::Me
            | Self::SignOut => None,
        }
    }

    /// The route of a request.
    pub(crate) fn find(method: &Method, path: &str) -> Result<Self, Problem> {
        let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            [
                "api",
                list @ ("stacks" | "services" | "databases" | "instance-classes" | "leftovers"
                | "openapi.json"),
            ] => match (*list, method) {
                ("stacks", &Method::GET) => Ok(Self::Stacks),
                ("services", &Method::GET) => Ok(Self::Services),
                ("databases", &Method::GET) => Ok(Self::Databases),
                ("instance-classes", &Method::GET) => Ok(Self::InstanceClasses),
                ("leftovers", &Method::GET) => Ok(Self::Leftovers),
                ("openapi.json", &Method::GET) => Ok(Self::OpenApi),
                _ => Err(Problem::method(&["GET"])),
            },
            ["api", "me"] => match *method {
                Method::GET => Ok(Self::Me),
                _ => Err(Problem::method(&["GET"])),
            },
            ["api", "me", "sign-out"] => match *method {
                Method::POST => Ok(Self::SignOut),
                _ => Err(Problem::method(&["POST"])),
            },
            ["api", "stacks", stack, "stages", stage, rest @ ..] => {
                let stage = Stage { stack: name("stack", stack)?, stage: name_of_stage(stage)? };
                let endpoint = match (rest, method) {
                    ([], &Method::GET) => Endpoint::GetStage,
                    ([], &Method::PUT) => Endpoint::PutStage,
                    ([], &Method::DELETE) => Endpoint::DeleteStage,
                    (["database"], &Method::GET) => Endpoint::GetDatabase,
                    (["database"], &Method::PUT) => Endpoint::PutDatabase,
                    (["database"], &Method::DELETE) => Endpoint::DeleteDatabase,
                    (["database", "metrics"], &Method::GET) => Endpoint::GetMetrics,
                    (["database", "preview"], &Method::POST) => Endpoint::PostPreview,
                    (["database", "rotation"], &Method::POST) => Endpoint::PostRotation,
                    (["database", "connection-test"], &Method::POST) => Endpoint::PostConnectionTest,
                    (["database", "connection-test"], &Method::GET) => Endpoint::GetConnectionTest,
                    (["history"], &Method::GET) => Endpoint::GetHistory,
                    (["protection"], &Method::PUT) => Endpoint::PutProtection,
                    (["snapshots"], &Method::GET) => Endpoint::GetSnapshots,
                    (["rebuild"], &Method::GET) => Endpoint::GetRebuild,
                    (["rebuild"], &Method::POST) => Endpoint::PostRebuild,
                    (["runtime-variables"], &Method::GET) => Endpoint::GetRuntimeVariables,
                    (["runtime-variables"], &Method::POST) => Endpoint::PostRuntimeVariables,
                    (["runtime-variables", "snippets"], &Method::GET) => Endpoint::GetSnippets,
                    ([] | ["database"], _) => return Err(Problem::method(&["GET", "PUT", "DELETE"])),
                    (["rebuild" | "runtime-variables"] | ["database", "connection-test"], _) => {
                        return Err(Problem::method(&["GET", "POST"]));
                    }
                    (["database", "preview"], _) => return Err(Problem::method(&["POST"])),
                    (["protection"], _) => return Err(Problem::method(&["PUT"])),
                    (
                        ["database", "metrics"]
                        | ["runtime-variables", "snippets"]
                        | ["snapshots" | "history"],
                        _,
                    ) => {
                        return Err(Problem::method(&["GET"]));
                    }
                    _ => return Err(no_such_address()),
                };
                Ok(Self::Stage(stage, endpoint))
            }
            _ => Err(no_such_address()),
        }
    }
}

fn no_such_address() -> Problem {
    Problem::not_found("There is nothing at this URL. See GET /api/openapi.json for the API.")
}

fn name(what: &str, text: &str) -> Result<StackName, Problem> {
    StackName::try_from(text).map_err(|error| not_a_name(what, &error))
}

fn name_of_stage(text: &str) -> Result<StageName, Problem> {
    StageName::try_from(text).map_err(|error| not_a_name("stage", &error))
}

fn not_a_name(what: &str, error: &NameError) -> Problem {
    Problem::address(format!("The {what} name {error}."))
}
