//! The route for each method and path.

use database::{NameError, StackName, Stage, StageName};
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
    /// An endpoint of one stage.
    Stage(Stage, Endpoint),
}

/// The endpoints of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    GetStage,
    PutStage,
    DeleteStage,
    GetDatabase,
    GetMetrics,
    PutDatabase,
    DeleteDatabase,
    PostPreview,
    GetSnapshots,
    GetRebuild,
    PostRebuild,
    GetRuntimeVariables,
    PostRuntimeVariables,
    GetSnippets,
}

impl Route {
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
                    (["snapshots"], &Method::GET) => Endpoint::GetSnapshots,
                    (["rebuild"], &Method::GET) => Endpoint::GetRebuild,
                    (["rebuild"], &Method::POST) => Endpoint::PostRebuild,
                    (["runtime-variables"], &Method::GET) => Endpoint::GetRuntimeVariables,
                    (["runtime-variables"], &Method::POST) => Endpoint::PostRuntimeVariables,
                    (["runtime-variables", "snippets"], &Method::GET) => Endpoint::GetSnippets,
                    ([] | ["database"], _) => return Err(Problem::method(&["GET", "PUT", "DELETE"])),
                    (["rebuild" | "runtime-variables"], _) => return Err(Problem::method(&["GET", "POST"])),
                    (["database", "preview"], _) => return Err(Problem::method(&["POST"])),
                    (["database", "metrics"] | ["runtime-variables", "snippets"] | ["snapshots"], _) => {
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
