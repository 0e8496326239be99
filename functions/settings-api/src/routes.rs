//! Which verb answers which method and path.

use database::{NameError, StackName, Stage, StageName};
use http::Method;

use crate::problem::Problem;

/// A known address with its method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /api/stacks`
    Stacks,
    /// Something of one stage.
    Stage(Stage, Endpoint),
}

/// What of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    PutStage,
    DeleteStage,
    GetDatabase,
    PutDatabase,
    DeleteDatabase,
    GetRebuild,
    PostRebuild,
    GetRuntimeVariables,
}

impl Route {
    /// The route of a request.
    pub(crate) fn find(method: &Method, path: &str) -> Result<Self, Problem> {
        let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            ["api", "stacks"] => match *method {
                Method::GET => Ok(Self::Stacks),
                _ => Err(Problem::method("GET")),
            },
            ["api", "stacks", stack, "stages", stage, rest @ ..] => {
                let stage = Stage { stack: name("stack", stack)?, stage: name_of_stage(stage)? };
                let endpoint = match (rest, method) {
                    ([], &Method::PUT) => Endpoint::PutStage,
                    ([], &Method::DELETE) => Endpoint::DeleteStage,
                    (["database"], &Method::GET) => Endpoint::GetDatabase,
                    (["database"], &Method::PUT) => Endpoint::PutDatabase,
                    (["database"], &Method::DELETE) => Endpoint::DeleteDatabase,
                    (["rebuild"], &Method::GET) => Endpoint::GetRebuild,
                    (["rebuild"], &Method::POST) => Endpoint::PostRebuild,
                    (["runtime-variables"], &Method::GET) => Endpoint::GetRuntimeVariables,
                    ([], _) => return Err(Problem::method("PUT and DELETE")),
                    (["database"], _) => return Err(Problem::method("GET, PUT and DELETE")),
                    (["rebuild"], _) => return Err(Problem::method("GET and POST")),
                    (["runtime-variables"], _) => return Err(Problem::method("GET")),
                    _ => return Err(no_such_address()),
                };
                Ok(Self::Stage(stage, endpoint))
            }
            _ => Err(no_such_address()),
        }
    }
}

fn no_such_address() -> Problem {
    Problem::not_found("There is no such address. Addresses begin with /api/stacks.")
}

fn name(what: &str, text: &str) -> Result<StackName, Problem> {
    StackName::try_from(text).map_err(|error| not_a_name(what, &error))
}

fn name_of_stage(text: &str) -> Result<StageName, Problem> {
    StageName::try_from(text).map_err(|error| not_a_name("stage", &error))
}

fn not_a_name(what: &str, error: &NameError) -> Problem {
    Problem::address(format!("The name of a {what} {error}."))
}
