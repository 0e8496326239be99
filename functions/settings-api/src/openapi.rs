//! The API's description (OpenAPI 3.1), made from the types that the verbs answer with and the routes they have.
//!
//! `openapi.json` at the root of the repository is what is made here, and what is served; a test compares the two.

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
    bodies::{Registration, Removal, Save},
    classes_get::ClassesWire,
    database_get::DatabaseWire,
    database_preview::PreviewWire,
    database_put::SavedWire,
    databases_get::DatabasesWire,
    leftovers_get::LeftoversWire,
    metrics_get::MetricsWire,
    problem::ProblemWire,
    rebuild_get::RebuildWire,
    rebuild_post::RebuildingWire,
    reply::Reply,
    snapshots_get::SnapshotsWire,
    stacks_get::StacksWire,
    stage_delete::DeletionWire,
    stage_put::RegisteredWire,
    variables_get::VariablesWire,
};

/// What is served: the committed description.
const COMMITTED: &str = include_str!("../../../openapi.json");

/// `GET /api/openapi.json`
pub(crate) fn reply() -> Reply {
    Reply::text(200, COMMITTED.to_owned())
}

/// One verb of the API.
struct Verb {
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<RefOr<Schema>>,
    /// Whether it changes something, and so has conditions.
    changes: bool,
    /// Status, meaning and body of each success.
    successes: Vec<(u16, &'static str, RefOr<Schema>)>,
    refusals: &'static [u16],
}

fn schema<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

const TOKEN: (&str, &str) = ("nextToken", "The nextToken of the page before.");
/// What every verb of a stage may answer.
const READING: &[u16] = &[400, 404];
const CHANGING: &[u16] = &[400, 404, 409, 412, 413, 415, 422];

fn reading() -> Vec<Verb> {
    let get = |path, id, summary, query, success: RefOr<Schema>| Verb {
        method: Method::GET,
        path,
        id,
        summary,
        query,
        body: None,
        changes: false,
        successes: vec![(200, "What there is.", success)],
        refusals: READING,
    };
    vec![
        get(
            "/api/stacks",
            "getStacks",
            "Stacks, their stages, and each stage's state",
            &[TOKEN],
            schema::<StacksWire>(),
        ),
        get(
            "/api/databases",
            "getDatabases",
            "RDS for PostgreSQL and Aurora PostgreSQL that stages can be attached to",
            &[
                ("stack", "With stage: the stage to be attached."),
                ("stage", "With stack: the stage to be attached."),
                TOKEN,
            ],
            schema::<DatabasesWire>(),
        ),
        get(
            "/api/instance-classes",
            "getInstanceClasses",
            "DB instance classes that can be ordered here, the smallest first",
            &[
                ("engineVersion", "A PostgreSQL version, major or full; without it, that of new databases."),
                TOKEN,
            ],
            schema::<ClassesWire>(),
        ),
        get(
            "/api/leftovers",
            "getLeftovers",
            "Instances and snapshots that stagedb made and no stage claims",
            &[TOKEN],
            schema::<LeftoversWire>(),
        ),
        get(
            "/api/openapi.json",
            "getOpenApi",
            "This description",
            &[],
            ObjectBuilder::new().schema_type(SchemaType::new(Type::Object)).into(),
        ),
        get(
            DATABASE,
            "getDatabase",
            "The settings, the live state, and what may be changed",
            &[],
            schema::<DatabaseWire>(),
        ),
        Verb {
            refusals: &[400, 404, 409],
            ..get(
                METRICS,
                "getMetrics",
                "What CloudWatch has measured of the database in the last 24 hours",
                &[],
                schema::<MetricsWire>(),
            )
        },
        get(
            SNAPSHOTS,
            "getSnapshots",
            "Snapshots that the stage's database can begin with",
            &[],
            schema::<SnapshotsWire>(),
        ),
        get(REBUILD, "getRebuild", "How far the current or last rebuild is", &[], schema::<RebuildWire>()),
        Verb {
            refusals: &[400, 404, 409],
            ..get(
                VARIABLES,
                "getRuntimeVariables",
                "Each runtime variable and the secret key it comes from, never a value",
                &[],
                schema::<VariablesWire>(),
            )
        },
    ]
}

fn changing() -> Vec<Verb> {
    let begun = "A rebuild has begun; Location leads to it.";
    let nothing = "Nothing would change, so nothing was begun.";
    vec![
        Verb {
            method: Method::PUT,
            path: STAGE,
            id: "putStage",
            summary: "Register a stage, or change its registration",
            query: &[],
            body: Some(schema::<Registration>()),
            changes: true,
            successes: vec![
                (200, nothing, schema::<RegisteredWire>()),
                (202, begun, schema::<RegisteredWire>()),
            ],
            refusals: CHANGING,
        },
        Verb {
            method: Method::DELETE,
            path: STAGE,
            id: "deleteStage",
            summary: "Forget a stage that has no database",
            query: &[],
            body: None,
            changes: true,
            successes: vec![(202, "The deletion of the stage stack has begun.", schema::<DeletionWire>())],
            refusals: &[400, 404, 409, 412, 422],
        },
        Verb {
            method: Method::PUT,
            path: DATABASE,
            id: "putDatabase",
            summary: "Save: rebuilds the stage with these settings",
            query: &[],
            body: Some(schema::<Save>()),
            changes: true,
            successes: vec![(200, nothing, schema::<SavedWire>()), (202, begun, schema::<SavedWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::DELETE,
            path: DATABASE,
            id: "deleteDatabase",
            summary: "Remove the database: a created one with a final snapshot, an attached one only from the stage",
            query: &[],
            body: Some(schema::<Removal>()),
            changes: true,
            successes: vec![(202, begun, schema::<RebuildingWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::POST,
            path: PREVIEW,
            id: "previewDatabase",
            summary: "What a Save would do, or the refusal that it would get",
            query: &[],
            body: Some(schema::<Save>()),
            changes: true,
            successes: vec![(200, "What a Save would do.", schema::<PreviewWire>())],
            refusals: CHANGING,
        },
        Verb {
            method: Method::POST,
            path: REBUILD,
            id: "postRebuild",
            summary: "Rebuild with the settings as they are, or go on with a rollback that failed",
            query: &[],
            body: None,
            changes: true,
            successes: vec![(202, begun, schema::<RebuildingWire>())],
            refusals: &[400, 404, 409, 412, 422],
        },
    ]
}

const STAGE: &str = "/api/stacks/{stack}/stages/{stage}";
const DATABASE: &str = "/api/stacks/{stack}/stages/{stage}/database";
const PREVIEW: &str = "/api/stacks/{stack}/stages/{stage}/database/preview";
const METRICS: &str = "/api/stacks/{stack}/stages/{stage}/database/metrics";
const SNAPSHOTS: &str = "/api/stacks/{stack}/stages/{stage}/snapshots";
const REBUILD: &str = "/api/stacks/{stack}/stages/{stage}/rebuild";
const VARIABLES: &str = "/api/stacks/{stack}/stages/{stage}/runtime-variables";

/// The API's description.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut schemas = Vec::new();
    collect::<StacksWire>(&mut schemas);
    collect::<DatabasesWire>(&mut schemas);
    collect::<ClassesWire>(&mut schemas);
    collect::<LeftoversWire>(&mut schemas);
    collect::<Registration>(&mut schemas);
    collect::<RegisteredWire>(&mut schemas);
    collect::<DeletionWire>(&mut schemas);
    collect::<DatabaseWire>(&mut schemas);
    collect::<Save>(&mut schemas);
    collect::<SavedWire>(&mut schemas);
    collect::<Removal>(&mut schemas);
    collect::<PreviewWire>(&mut schemas);
    collect::<MetricsWire>(&mut schemas);
    collect::<SnapshotsWire>(&mut schemas);
    collect::<RebuildWire>(&mut schemas);
    collect::<RebuildingWire>(&mut schemas);
    collect::<VariablesWire>(&mut schemas);
    collect::<ProblemWire<'_>>(&mut schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .build();
    let mut paths = PathsBuilder::new();
    for verb in reading().into_iter().chain(changing()) {
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
                .description(Some("A Postgres for every stage of an application stack."))
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
        let key = "Makes a repeat of this request begin nothing more, while the stack remembers it (its newest 100 events): 16 to 128 printable ASCII characters, such as a UUID.";
        let tag = "The ETag of the settings that were read: refused with 412 if they were changed since.";
        operation = operation.parameter(header("Idempotency-Key", key, "^[!-~]{16,128}$")).parameter(header(
            "If-Match",
            tag,
            "^(\\*|(W/)?\"[!#-+.-~-]*\"( *, *(W/)?\"[!#-+.-~-]*\")*)$",
        ));
    }
    if let Some(body) = verb.body {
        let content = ContentBuilder::new().schema(Some(body)).build();
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    let mut responses = ResponsesBuilder::new();
    for (status, description, schema) in verb.successes {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let mut response =
            ResponseBuilder::new().description(description).content("application/json", content);
        if status == 202 && verb.id != "deleteStage" {
            response = response.header("Location", HeaderBuilder::new().schema(plain_text()).build());
        }
        if verb.id == "getDatabase" {
            response = response.header("ETag", HeaderBuilder::new().schema(plain_text()).build());
        }
        responses = responses.response(status.to_string(), response.build());
    }
    for status in verb.refusals.iter().chain(&[500, 503]) {
        responses = responses.response(status.to_string(), refusal(*status));
    }
    let unauthorized = "There is no valid token. API Gateway answers this itself.";
    responses = responses.response("401", ResponseBuilder::new().description(unauthorized).build());
    operation.responses(responses.build()).build()
}

fn refusal(status: u16) -> Response {
    let description = match status {
        400 => "The address, a header or the body cannot be read.",
        404 => "There is no such stage.",
        409 => "The state of the stage does not allow it, or a rebuild runs.",
        412 => "The settings were changed since they were read.",
        413 => "The body is too large.",
        415 => "The body is not JSON.",
        422 => "The body is not valid.",
        503 => "AWS did not reply in time.",
        _ => "Something went wrong on our side.",
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
