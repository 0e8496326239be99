//! The API description (OpenAPI 3.1), generated from the types of the requests and responses.
//!
//! `openapi.json` at the root of the repository is generated from this, and the API serves it. A test compares the two.

use http::Method;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
        Ref, RefOr, Required, Response, ResponseBuilder, ResponsesBuilder,
        header::HeaderBuilder,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    registration::RegistrationBody,
    response::{ProblemWire, Reply},
    routes::{
        database::{
            connection_test::{StartedWire, TestWire},
            delete::Removal,
            get::{DatabaseWire, describe_shown},
            metrics::MetricsWire,
            preview::PreviewWire,
            put::SavedWire,
            rotation::RotationWire,
        },
        databases::DatabasesWire,
        history::HistoryWire,
        instance_classes::ClassesWire,
        leftovers::LeftoversWire,
        me::{get::MeWire, sign_out::SignedOutWire},
        protection::{ProtectionBody, ProtectionWire},
        rebuild::{RebuildingWire, get::RebuildWire},
        runtime_variables::{get::VariablesWire, post::RestoringWire, snippets::SnippetsWire},
        services::ServicesWire,
        snapshots::SnapshotsWire,
        stacks::StacksWire,
        stage::{delete::DeletionWire, get::StageDetailsWire, put::RegisteredWire},
    },
    save::Wish,
};

/// The committed description, which the API serves.
const COMMITTED: &str = include_str!("../../../openapi.json");

/// `GET /api/openapi.json`
pub(crate) fn reply() -> Reply {
    Reply::text(200, COMMITTED.to_owned())
}

/// One operation of the API.
struct Verb {
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// Whether it must have a body, and which.
    body: Option<(Required, RefOr<Schema>)>,
    /// Whether it changes something, and so accepts conditions.
    changes: bool,
    /// Status, description, and body of each success.
    successes: Vec<(u16, &'static str, RefOr<Schema>)>,
    refusals: &'static [u16],
}

fn schema<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

const TOKEN: (&str, &str) = ("nextToken", "The nextToken of the previous page.");
/// The errors of an operation that reads a stage.
const READING: &[u16] = &[400, 404];
/// The errors of an operation that changes a stage.
const CHANGING: &[u16] = &[400, 404, 409, 412, 413, 415, 422];

fn get(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    success: RefOr<Schema>,
) -> Verb {
    Verb {
        method: Method::GET,
        path,
        id,
        summary,
        query,
        body: None,
        changes: false,
        successes: vec![(200, "Success.", success)],
        refusals: READING,
    }
}

/// The operations that read what the account has.
fn lists() -> Vec<Verb> {
    vec![
        get(
            "/api/stacks",
            "getStacks",
            "List the stacks, their stages, and the state of each stage",
            &[TOKEN],
            schema::<StacksWire>(),
        ),
        get(
            "/api/services",
            "getServices",
            "List the ECS services that you can register with stages",
            &[TOKEN],
            schema::<ServicesWire>(),
        ),
        get(
            "/api/databases",
            "getDatabases",
            "List the RDS for PostgreSQL and Aurora PostgreSQL databases that you can attach to stages",
            &[
                ("stack", "Together with stage: the stage to attach a database to."),
                ("stage", "Together with stack: the stage to attach a database to."),
                TOKEN,
            ],
            schema::<DatabasesWire>(),
        ),
        get(
            "/api/instance-classes",
            "getInstanceClasses",
            "List the DB instance classes that RDS offers in this Region, smallest first",
            &[
                (
                    "engineVersion",
                    "A PostgreSQL version, major or full. If you leave it out, the version of new databases.",
                ),
                TOKEN,
            ],
            schema::<ClassesWire>(),
        ),
        get(
            "/api/leftovers",
            "getLeftovers",
            "List the instances and snapshots that stagedb created and that no stage uses",
            &[TOKEN],
            schema::<LeftoversWire>(),
        ),
        get(
            "/api/me",
            "getMe",
            "Get who is signed in, and what they may do",
            &[
                ("stack", "Together with stage: the stage to get every operation for."),
                ("stage", "Together with stack: the stage to get every operation for."),
            ],
            schema::<MeWire>(),
        ),
        get(
            "/api/openapi.json",
            "getOpenApi",
            "Get this description",
            &[],
            ObjectBuilder::new().schema_type(SchemaType::new(Type::Object)).into(),
        ),
    ]
}

/// The operations that read a stage.
fn reading() -> Vec<Verb> {
    vec![
        get(
            STAGE,
            "getStage",
            "Get the services and jobs that a stage is registered with",
            &[],
            schema::<StageDetailsWire>(),
        ),
        get(
            DATABASE,
            "getDatabase",
            "Get the settings, the live state, and the changes that are possible",
            &[],
            schema::<DatabaseWire>(),
        ),
        Verb {
            refusals: &[400, 404, 409],
            ..get(
                METRICS,
                "getMetrics",
                "Get the CloudWatch metrics of the database for the last 24 hours",
                &[],
                schema::<MetricsWire>(),
            )
        },
        get(
            TEST,
            "getConnectionTest",
            "Get what a test of a connection has found, usually within a minute",
            &[("id", "The ID of the test.")],
            schema::<TestWire>(),
        ),
        get(
            HISTORY,
            "getHistory",
            "List who changed the stage, when, and how it ended, newest first",
            &[
                ("kind", "Only records of this kind: change, denied, or outside."),
                ("operation", "Only records of requests with this operationId."),
                ("who", "Only records of the user with this email address or subject."),
                ("limit", "The most records of a page: 1 to 100. Default: 25."),
                TOKEN,
            ],
            schema::<HistoryWire>(),
        ),
        get(
            SNAPSHOTS,
            "getSnapshots",
            "List the snapshots that the stage's new database can be restored from",
            &[],
            schema::<SnapshotsWire>(),
        ),
        get(
            REBUILD,
            "getRebuild",
            "Get the progress of the current or the last rebuild",
            &[],
            schema::<RebuildWire>(),
        ),
        Verb {
            refusals: &[400, 404, 409],
            ..get(
                VARIABLES,
                "getRuntimeVariables",
                "List the runtime variables of the services and jobs and the secret keys that they come from, but no values",
                &[],
                schema::<VariablesWire>(),
            )
        },
        Verb {
            refusals: &[400, 404, 409],
            ..get(
                SNIPPETS,
                "getSnippets",
                "Get the references to the secret for your own task definitions",
                &[],
                schema::<SnippetsWire>(),
            )
        },
    ]
}

fn changing() -> Vec<Verb> {
    vec![
        Verb {
            method: Method::PUT,
            path: STAGE,
            id: "putStage",
            summary: "Register a stage, or change its services and jobs",
            query: &[],
            body: Some((Required::True, schema::<RegistrationBody>())),
            changes: true,
            successes: vec![
                (200, UNCHANGED, schema::<RegisteredWire>()),
                (202, BEGUN, schema::<RegisteredWire>()),
            ],
            refusals: CHANGING,
        },
        Verb {
            method: Method::DELETE,
            path: STAGE,
            id: "deleteStage",
            summary: "Delete a stage that has no database",
            query: &[],
            body: None,
            changes: true,
            successes: vec![(202, "The deletion of the stage stack has started.", schema::<DeletionWire>())],
            refusals: &[400, 404, 409, 412, 422],
        },
        Verb {
            method: Method::POST,
            path: VARIABLES,
            id: "postRuntimeVariables",
            summary: "Restore the variables that services and jobs lack, without a rebuild",
            query: &[],
            body: None,
            changes: true,
            successes: vec![
                (200, "No service and no job lacks variables.", schema::<RestoringWire>()),
                (202, "The variables of these are being restored.", schema::<RestoringWire>()),
            ],
            refusals: &[400, 404, 409, 412, 422],
        },
        Verb {
            method: Method::POST,
            path: REBUILD,
            id: "postRebuild",
            summary: "Rebuild the stage with its current settings, or continue a rollback that failed",
            query: &[],
            body: None,
            changes: true,
            successes: vec![(202, BEGUN, schema::<RebuildingWire>())],
            refusals: &[400, 404, 409, 412, 422],
        },
    ]
}

const BEGUN: &str = "A rebuild has started. See Location for its path.";
const UNCHANGED: &str = "Nothing changes, so no rebuild was started.";

/// The operations that change a database, or show what a change would do.
fn changing_databases() -> Vec<Verb> {
    vec![
        Verb {
            method: Method::PUT,
            path: DATABASE,
            id: "putDatabase",
            summary: "Save the settings, which rebuilds the stage",
            query: &[],
            body: Some((Required::True, schema::<Wish>())),
            changes: true,
            successes: vec![(200, UNCHANGED, schema::<SavedWire>()), (202, BEGUN, schema::<SavedWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::DELETE,
            path: DATABASE,
            id: "deleteDatabase",
            summary: "Remove the database: delete a created one with a final snapshot, or detach an attached one",
            query: &[],
            body: Some((Required::True, schema::<Removal>())),
            changes: true,
            successes: vec![(202, BEGUN, schema::<RebuildingWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::POST,
            path: PREVIEW,
            id: "previewDatabase",
            summary: "Preview a save: what it would do, or why it would be refused",
            query: &[],
            body: Some((Required::True, schema::<Wish>())),
            changes: true,
            successes: vec![(200, "What a save would do.", schema::<PreviewWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::POST,
            path: ROTATION,
            id: "rotateLogin",
            summary: "Rotate the app login: the other login gets a new password, and the containers are redeployed with it",
            query: &[],
            body: Some((Required::False, schema::<RotationWire>())),
            changes: true,
            successes: vec![(202, BEGUN, schema::<RebuildingWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::POST,
            path: TEST,
            id: "testConnection",
            summary: "Test a connection to a database before it's attached, from everywhere the services and jobs run",
            query: &[],
            body: Some((Required::True, schema::<Wish>())),
            changes: true,
            successes: vec![(202, "The test has started.", schema::<StartedWire>())],
            refusals: CHANGING,
        },
    ]
}

/// The operations that decide who can do what.
fn access() -> Vec<Verb> {
    vec![
        Verb {
            method: Method::PUT,
            path: PROTECTION,
            id: "putProtection",
            summary: "Protect a stage, so that only admins can change it, or end its protection",
            query: &[],
            body: Some((Required::True, schema::<ProtectionBody>())),
            changes: false,
            successes: vec![(200, "The stage is protected, or it isn't.", schema::<ProtectionWire>())],
            refusals: &[400, 404, 413, 415, 422],
        },
        Verb {
            method: Method::POST,
            path: "/api/me/sign-out",
            id: "signOut",
            summary: "End every session of the signed-in user",
            query: &[],
            body: None,
            changes: false,
            successes: vec![(200, "The sessions have ended.", schema::<SignedOutWire>())],
            refusals: &[],
        },
    ]
}

const STAGE: &str = "/api/stacks/{stack}/stages/{stage}";
const DATABASE: &str = "/api/stacks/{stack}/stages/{stage}/database";
const PREVIEW: &str = "/api/stacks/{stack}/stages/{stage}/database/preview";
const ROTATION: &str = "/api/stacks/{stack}/stages/{stage}/database/rotation";
const TEST: &str = "/api/stacks/{stack}/stages/{stage}/database/connection-test";
const METRICS: &str = "/api/stacks/{stack}/stages/{stage}/database/metrics";
const SNAPSHOTS: &str = "/api/stacks/{stack}/stages/{stage}/snapshots";
const HISTORY: &str = "/api/stacks/{stack}/stages/{stage}/history";
const PROTECTION: &str = "/api/stacks/{stack}/stages/{stage}/protection";
const REBUILD: &str = "/api/stacks/{stack}/stages/{stage}/rebuild";
const VARIABLES: &str = "/api/stacks/{stack}/stages/{stage}/runtime-variables";
const SNIPPETS: &str = "/api/stacks/{stack}/stages/{stage}/runtime-variables/snippets";

/// The API description.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut schemas = Vec::new();
    collect::<StacksWire>(&mut schemas);
    collect::<DatabasesWire>(&mut schemas);
    collect::<ClassesWire>(&mut schemas);
    collect::<LeftoversWire>(&mut schemas);
    collect::<RegistrationBody>(&mut schemas);
    collect::<RegisteredWire>(&mut schemas);
    collect::<DeletionWire>(&mut schemas);
    collect::<DatabaseWire>(&mut schemas);
    collect::<Wish>(&mut schemas);
    collect::<SavedWire>(&mut schemas);
    collect::<Removal>(&mut schemas);
    collect::<RotationWire>(&mut schemas);
    collect::<PreviewWire>(&mut schemas);
    collect::<StartedWire>(&mut schemas);
    collect::<TestWire>(&mut schemas);
    collect::<MetricsWire>(&mut schemas);
    collect::<SnapshotsWire>(&mut schemas);
    collect::<RebuildWire>(&mut schemas);
    collect::<RebuildingWire>(&mut schemas);
    collect::<VariablesWire>(&mut schemas);
    collect::<RestoringWire>(&mut schemas);
    collect::<SnippetsWire>(&mut schemas);
    collect::<MeWire>(&mut schemas);
    collect::<SignedOutWire>(&mut schemas);
    collect::<HistoryWire>(&mut schemas);
    collect::<ProtectionWire>(&mut schemas);
    collect::<ProtectionBody>(&mut schemas);
    collect::<ServicesWire>(&mut schemas);
    collect::<StageDetailsWire>(&mut schemas);
    collect::<ProblemWire<'_>>(&mut schemas);
    describe_shown(&mut schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .build();
    let mut paths = PathsBuilder::new();
    for verb in
        lists().into_iter().chain(reading()).chain(changing()).chain(changing_databases()).chain(access())
    {
        let method = match verb.method {
            Method::PUT => HttpMethod::Put,
            Method::POST => HttpMethod::Post,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        paths = paths.path(verb.path, PathItem::new(method, operation(verb)));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("stagedb")
                .description(Some("Give every stage of your application its own Postgres."))
                .version(env!("CARGO_PKG_VERSION"))
                .license(Some(
                    utoipa::openapi::LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        .paths(paths.build())
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

fn collect<T: ToSchema + PartialSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn operation(verb: Verb) -> utoipa::openapi::path::Operation {
    let mut operation = OperationBuilder::new().operation_id(Some(verb.id)).summary(Some(verb.summary));
    if verb.path.contains("{stack}") {
        operation = operation
            .parameter(name("stack", ParameterIn::Path, 32, "test-django2"))
            .parameter(name("stage", ParameterIn::Path, 16, "dev"));
    }
    for (query, description) in verb.query {
        operation = operation.parameter(match *query {
            "stack" => name("stack", ParameterIn::Query, 32, "test-django2"),
            "stage" => name("stage", ParameterIn::Query, 16, "dev"),
            _ => text(query, ParameterIn::Query, description),
        });
    }
    if verb.changes {
        let key = "A key for this request: 16 to 128 printable ASCII characters without spaces, such as a UUID. If you repeat the \
                   request with the same key, nothing is started again, as long as the latest 100 events of the stage stack show \
                   the first request.";
        let tag = "The ETag of the settings that you read. If the settings have changed since, the request fails with 412.";
        operation = operation.parameter(header("Idempotency-Key", key, "^[!-~]{16,128}$")).parameter(header(
            "If-Match",
            tag,
            "^(\\*|(W/)?\"[!#-+.-~-]*\"( *, *(W/)?\"[!#-+.-~-]*\")*)$",
        ));
    }
    if let Some((required, body)) = verb.body {
        let content = ContentBuilder::new().schema(Some(body)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(required));
        operation = operation.request_body(Some(body.build()));
    }
    let mut responses = ResponsesBuilder::new();
    for (status, description, schema) in verb.successes {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let mut response =
            ResponseBuilder::new().description(description).content("application/json", content);
        if status == 202 && !matches!(verb.id, "deleteStage" | "postRuntimeVariables") {
            response = response.header("Location", HeaderBuilder::new().schema(plain_text()).build());
        }
        if matches!(verb.id, "getDatabase" | "getStage") {
            response = response.header("ETag", HeaderBuilder::new().schema(plain_text()).build());
        }
        responses = responses.response(status.to_string(), response.build());
    }
    let forbidden: &[u16] = if matches!(verb.id, "getMe" | "getOpenApi" | "signOut") { &[] } else { &[403] };
    for status in forbidden.iter().chain(verb.refusals).chain(&[500, 503]) {
        responses = responses.response(status.to_string(), refusal(*status));
    }
    let unauthorized = "The token is missing or isn't valid. This response comes from API Gateway.";
    responses = responses.response("401", ResponseBuilder::new().description(unauthorized).build());
    operation.responses(responses.build()).build()
}

fn refusal(status: u16) -> Response {
    let description = match status {
        400 => "The URL, a header, or the body can't be read.",
        403 => "Your role doesn't allow this. The detail says who may.",
        404 => "The stage isn't registered.",
        409 => "The stage's current state doesn't allow this, or a rebuild is running.",
        412 => "The settings have changed since you read them.",
        413 => "The body is too large.",
        415 => "The Content-Type isn't application/json.",
        422 => "The body isn't valid.",
        503 => "AWS didn't respond in time, or the history can't be written.",
        _ => "Something went wrong.",
    };
    let content = ContentBuilder::new().schema(Some(schema::<ProblemWire<'_>>())).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

fn name(name: &str, place: ParameterIn, max: usize, example: &str) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(Some("^[a-z][a-z0-9]*(-[a-z0-9]+)*$"))
        .min_length(Some(1))
        .max_length(Some(max));
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}

fn text(name: &str, place: ParameterIn, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(plain_text()))
        .build()
}

fn header(name: &str, description: &str, pattern: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).pattern(Some(pattern));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn plain_text() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build().into()
}
