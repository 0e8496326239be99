//! `POST …/database/connection-test`: tries to connect to a database before it's attached, from everywhere the stage's
//! services and jobs run. `GET` says what was found.

use aws::{ExecutionState, PutError, SecretValue, TEST_LABEL};
use database::{Attempt, AttemptOutcome, ConnectionTest, GROUPS, Outcome, Registration, Stage, advice};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{OffsetDateTime, serde::rfc3339};
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    hash::hash,
    response::{Problem, Reply},
    save::Wish,
    stage_stack::refuse_unless_at_rest,
};

/// The longest ID of a test.
const ID_MAX: usize = 64;

/// A test that was started.
#[derive(Serialize, ToSchema)]
#[schema(as = TestStarted)]
pub(crate) struct StartedWire {
    /// The ID of the test.
    id: String,
}

/// A test of a connection.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionTest)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestWire {
    id: String,
    /// `running`, `connected` from everywhere, or `failed`.
    status: &'static str,
    /// When it started.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    started_at: OffsetDateTime,
    /// Whether the clients check that the server's certificate is RDS's own. They can't in a Region whose root certificates
    /// stagedb doesn't know. Then connections are only encrypted.
    certificate_is_verified: bool,
    /// Why the test as a whole couldn't be finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// A connection from each security group and execution role. Empty while the test is being started.
    results: Vec<ResultWire>,
}

/// A connection from one place.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionResult)]
#[serde(rename_all = "camelCase")]
struct ResultWire {
    /// The service or the job whose tasks run there, such as `service demo/web`.
    from: String,
    /// The security groups of its tasks.
    security_groups: Vec<String>,
    /// The ARN of its execution role.
    execution_role_arn: String,
    /// `connected` or `failed`.
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What you can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

impl SettingsApi {
    pub(crate) async fn post_connection_test(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let Wish::Attached(wish) = Wish::from_body(&call.body)? else {
            let detail =
                "must be attached. A database that stagedb creates is tested by the rebuild that creates it";
            return Err(Problem::field("/source", detail));
        };
        let stack = self.stage_stack(stage).await?;
        if !call.conditions.accept(&crate::stage_stack::etag(&stack)) {
            return Err(Problem::changed_meanwhile());
        }
        refuse_unless_at_rest(&stack)?;
        let (Some(secret_arn), Some(task_definition_arn), Some(groups)) = (
            stack.outputs.get("SecretArn"),
            stack.outputs.get("TestTaskDefinitionArn"),
            stack.parameters.get(GROUPS),
        ) else {
            return Err(Problem::conflict(
                "The stage's stack is from an earlier version of stagedb, which didn't test connections. Rebuild the stage \
                 once, then test again.",
            ));
        };
        let (credentials, connection, found) = self.to_test(&stack, wish).await?;
        let registration = Registration::from_parameters(&stack.parameters)?.parameters();
        let token = hash(&[call.token().as_bytes(), b"\0connection-test"]);
        let test = ConnectionTest {
            stack: stage.stack.to_string(),
            stage: stage.stage.to_string(),
            registration: registration.map(|(name, value)| (name.to_owned(), value)).into(),
            identifier: connection.identifier.clone(),
            port: connection.port,
            security_group: found.database.security_groups.first().cloned(),
            source_groups: groups.split(',').map(str::to_owned).collect(),
            task_definition_arn: task_definition_arn.clone(),
            log_group: self.configuration.client_log_group.clone(),
            version: token.clone(),
            secret_arn: secret_arn.clone(),
        };
        // It opens the database's security group for a moment.
        self.record(stage, Vec::new(), call).await?;
        let value = SecretValue::of(credentials, &connection);
        match self.secrets.put_aside(secret_arn, &token, &value, &[TEST_LABEL]).await {
            Ok(()) => {}
            Err(PutError::PutBefore) => return Err(Problem::reused_key()),
            Err(PutError::Aws(error)) => return Err(error.into()),
        }
        let function = &self.configuration.client_progress_arn;
        let input = json!({ "request": null, "function": function, "test": test });
        self.executions.start(&execution(&token), &input).await?;
        self.record_end(Outcome::Complete, call).await;
        let location =
            format!("/api/stacks/{}/stages/{}/database/connection-test?id={token}", stage.stack, stage.stage);
        Ok(Reply::json(202, &StartedWire { id: token }).with_location(location))
    }

    pub(crate) async fn get_connection_test(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let id = call.query("id").unwrap_or_default();
        let is_id = (1..=ID_MAX).contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit());
        if !is_id {
            return Err(Problem::address("The query must have the id of a connection test."));
        }
        let missing = || Problem::not_found("The stage has no connection test with this ID.");
        let found = self.executions.get(&execution(&id)).await?.ok_or_else(missing)?;
        let of = |name| found.input.pointer(name).and_then(Value::as_str);
        if of("/test/stack") != Some(stage.stack.as_ref()) || of("/test/stage") != Some(stage.stage.as_ref())
        {
            return Err(missing());
        }
        let (status, reason, attempts) = match &found.state {
            ExecutionState::Running => ("running", None, Vec::new()),
            ExecutionState::Failed => ("failed", Some(NOT_FINISHED.to_owned()), Vec::new()),
            ExecutionState::Succeeded(output) => {
                let attempts = output.pointer("/result/progress/attempts").cloned().unwrap_or_default();
                let attempts = Vec::<Attempt>::deserialize(attempts).unwrap_or_default();
                let connected = |attempt: &Attempt| attempt.outcome == AttemptOutcome::Connected;
                if attempts.is_empty() {
                    ("failed", Some(NO_SERVICE.to_owned()), attempts)
                } else if attempts.iter().all(connected) {
                    ("connected", None, attempts)
                } else {
                    ("failed", None, attempts)
                }
            }
        };
        let wire = TestWire {
            id,
            status,
            started_at: found.started_at,
            certificate_is_verified: self.template.verifies,
            reason,
            results: attempts.into_iter().map(result).collect(),
        };
        Ok(Reply::json(200, &wire))
    }
}

const NOT_FINISHED: &str =
    "The test couldn't be finished. See the log of the function client-progress for the cause.";
const NO_SERVICE: &str = "None of the stage's services is active, so nothing can connect.";

/// The name of the execution that runs a test.
fn execution(id: &str) -> String {
    format!("test-{id}")
}

fn result(attempt: Attempt) -> ResultWire {
    let reason = match attempt.outcome {
        AttemptOutcome::Failed { reason, .. } => Some(reason),
        AttemptOutcome::Connected | AttemptOutcome::Waiting { .. } | AttemptOutcome::Running { .. } => None,
    };
    ResultWire {
        from: attempt.of,
        security_groups: attempt.security_groups,
        execution_role_arn: attempt.execution_role_arn,
        status: if reason.is_none() { "connected" } else { "failed" },
        next_step: reason.as_deref().map(|reason| advice(reason).next_step),
        reason,
    }
}
