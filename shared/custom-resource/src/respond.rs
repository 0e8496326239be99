//! Answering CloudFormation exactly once, no matter what happens.

use std::{error::Error, time::Duration};

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::{
    http::SharedHttpClient,
    orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
    result::SdkError,
};
use aws_smithy_types::{body::SdkBody, timeout::TimeoutConfig};
use serde_json::Value;
use thiserror::Error;
use tracing::{info, warn};

use crate::{Addressee, Answer, InvalidRequest, Outcome, Request, Unanswerable};

/// How many attempts to make to send an answer.
const TRIES: u32 = 5;
/// How long one attempt may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that the function keeps to answer that it ran out of time.
const TIME_TO_ANSWER: Duration = Duration::from_secs(6);

/// Sends answers to CloudFormation with the SDK's HTTP client, so that the function has only one TLS stack.
#[derive(Debug)]
pub struct Responder {
    client: Option<SharedHttpClient>,
}

/// An answer that couldn't be delivered. The message doesn't repeat the URL, which is a secret.
#[derive(Debug, Error)]
#[error("the answer couldn't be delivered in {TRIES} attempts")]
pub struct SendError(#[source] SendErrorKind);

/// Why one attempt failed.
#[derive(Debug, Error)]
pub enum SendErrorKind {
    /// The response URL isn't a URL.
    #[error("the response URL isn't valid")]
    Url,
    /// No connection, or a broken one.
    #[error("the connection failed")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// Too slow.
    #[error("no reply within {} s", TRY_TIMEOUT.as_secs())]
    Timeout,
    /// A status other than 2xx.
    #[error("the reply was {0}")]
    Status(u16),
}

/// The reply wasn't a success.
#[derive(Debug, Error)]
#[error("the reply was {0}")]
struct NotAccepted(u16);

impl Responder {
    /// Sends with this client. Without one, nothing can be sent.
    #[must_use]
    pub fn new(client: Option<SharedHttpClient>) -> Self {
        Self { client }
    }

    /// Sends an answer. A repeat of the same answer is harmless, because CloudFormation reads the first one.
    ///
    /// # Errors
    /// The answer couldn't be delivered in several attempts.
    pub async fn send(&self, addressee: &Addressee, answer: &Answer) -> Result<(), SendError> {
        let put = self.put(addressee.response_url.expose()).ok_or(SendError(SendErrorKind::Url))?;
        let body = answer.body(addressee);
        let mut pause = Duration::from_millis(200);
        for tries_left in (0..TRIES).rev() {
            match put.invoke(body.clone()).await.map_err(kind) {
                Ok(()) => {
                    let (outcome, reason) = match &answer.outcome {
                        Outcome::Success(_) => ("SUCCESS", ""),
                        Outcome::Failed(reason) => ("FAILED", reason.as_str()),
                    };
                    info!(
                        cloudformation_request_id = addressee.request_id,
                        logical_id = addressee.logical_id,
                        outcome,
                        reason,
                        "answered CloudFormation"
                    );
                    return Ok(());
                }
                Err(error) if tries_left == 0 => return Err(SendError(error)),
                Err(error) => {
                    warn!(cloudformation_request_id = addressee.request_id, %error, "sending the answer failed");
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// One attempt to PUT a body to this URL. `None` if it isn't a URL.
    fn put(&self, url: &str) -> Option<Operation<Vec<u8>, (), NotAccepted>> {
        // The URL is presigned, so everything after the host is sent verbatim.
        let path = url.find("://").map(|scheme| scheme + 3)?;
        let path = url.get(path..)?.find('/').map(|slash| path + slash)?;
        let (endpoint, target) = url.split_at_checked(path)?;
        endpoint.parse::<http::Uri>().ok()?;
        let target = target.parse::<http::Uri>().ok()?.to_string();
        let put = move |body: Vec<u8>| {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("PUT")?;
            request.set_uri(target.as_str())?;
            // No Content-Type: the URL is signed without one, and S3 would refuse it.
            Ok(request)
        };
        let accepted = |reply: &HttpResponse| match reply.status() {
            status if status.is_success() => Ok(()),
            status => Err(OrchestratorError::operation(NotAccepted(status.as_u16()))),
        };
        let operation = Operation::builder()
            .service_name("cloudformation")
            .operation_name("answer")
            .endpoint_url(endpoint)
            .no_auth()
            .no_retry()
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(TRY_TIMEOUT).build())
            .serializer(put)
            .deserializer(accepted);
        Some(match self.client.clone() {
            Some(client) => operation.http_client(client).build(),
            None => operation.build(),
        })
    }
}

fn kind(error: SdkError<NotAccepted, HttpResponse>) -> SendErrorKind {
    match error {
        SdkError::TimeoutError(_) => SendErrorKind::Timeout,
        SdkError::ServiceError(refused) => SendErrorKind::Status(refused.err().0),
        error => SendErrorKind::Connection(error.into_source().unwrap_or_else(Into::into)),
    }
}

/// An event that got no answer. Lambda retries it, and the error raises an alarm.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The event doesn't say where to send the answer.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
    /// The answer couldn't be delivered.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Handles a custom resource's event, and answers it no matter what happens. An invalid request, a failure, a panic,
/// and a handler that's still running shortly before the function times out all end in a FAILED answer.
///
/// `physical_id` derives the resource's physical ID from its properties. `handle` returns what to answer, or `None` if
/// something else answers.
///
/// # Errors
/// The event doesn't say where to send the answer, or the answer couldn't be delivered.
pub async fn answer<H, F>(
    event: &Value,
    time_left: Duration,
    responder: &Responder,
    physical_id: impl FnOnce(&Request) -> Result<String, InvalidRequest>,
    handle: H,
) -> Result<(), AnswerError>
where
    H: FnOnce(Addressee, Request) -> F,
    F: Future<Output = Option<Outcome>> + Send + 'static,
{
    let addressee = Addressee::from_event(event)?;
    let parsed = Request::from_event(event).and_then(|request| Ok((physical_id(&request)?, request)));
    let (derived_id, request) = match parsed {
        Ok(parsed) => parsed,
        Err(invalid) => {
            let answer = Answer::invalid(&addressee, event, &invalid);
            return Ok(responder.send(&addressee, &answer).await?);
        }
    };
    // In a separate task, so that a panic ends here.
    let work = tokio::spawn(handle(addressee.clone(), request));
    let stop = work.abort_handle();
    let outcome = match tokio::time::timeout(time_left.saturating_sub(TIME_TO_ANSWER), work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => {
            Some(Outcome::Failed("The function failed unexpectedly. See its log for the cause.".to_owned()))
        }
        Err(_timeout) => {
            stop.abort();
            Some(Outcome::Failed("The function ran out of time, because AWS didn't reply.".to_owned()))
        }
    };
    if let Some(outcome) = outcome {
        responder.send(&addressee, &Answer::new(&addressee, &derived_id, outcome)).await?;
    }
    Ok(())
}
