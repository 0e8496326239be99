//! Answering exactly once, whatever happens.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::{Method, Request as HttpRequest, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use thiserror::Error;
use tracing::{info, warn};

use crate::{Addressee, Answer, InvalidRequest, Outcome, Request, Unanswerable};

/// How often an answer is sent before it counts as not deliverable.
const TRIES: u32 = 5;
/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// What is kept of a function's time to answer that it ran out of time.
const TIME_TO_ANSWER: Duration = Duration::from_secs(6);

/// Sends answers to CloudFormation.
#[derive(Debug, Default)]
pub struct Responder {
    // Made at the first answer: reading the certificates is not a start-up cost of every function.
    client: OnceLock<HttpsClient>,
}

type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// An answer that did not arrive. The URL is not repeated.
#[derive(Debug, Error)]
#[error("the answer did not arrive after {TRIES} tries")]
pub struct SendError(#[source] SendErrorKind);

/// Why one try failed.
#[derive(Debug, Error)]
pub enum SendErrorKind {
    /// The response URL is no URL.
    #[error("the response URL is not valid")]
    Url,
    /// The system's certificates cannot be read.
    #[error("the system's certificates cannot be read")]
    Certificates(#[source] std::io::Error),
    /// No connection, or a broken one.
    #[error("the connection failed")]
    Connection(#[source] hyper_util::client::legacy::Error),
    /// Too slow.
    #[error("no reply within {} s", TRY_TIMEOUT.as_secs())]
    Timeout,
    /// A status other than 2xx.
    #[error("the reply was {0}")]
    Status(http::StatusCode),
}

impl Responder {
    /// Answers; a repeat of the same answer is harmless, as CloudFormation reads the first.
    ///
    /// # Errors
    /// The answer could not be delivered after several tries.
    pub async fn send(&self, addressee: &Addressee, answer: &Answer) -> Result<(), SendError> {
        let uri: Uri = addressee.response_url.expose().parse().map_err(|_| SendError(SendErrorKind::Url))?;
        let body = Bytes::from(answer.body(addressee));
        let mut pause = Duration::from_millis(200);
        for tries_left in (0..TRIES).rev() {
            match self.try_send(uri.clone(), body.clone()).await {
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
                    warn!(cloudformation_request_id = addressee.request_id, %error, "answer not sent yet");
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    fn client(&self) -> Result<&HttpsClient, SendErrorKind> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let tls = HttpsConnectorBuilder::new().with_native_roots().map_err(SendErrorKind::Certificates)?;
        // Plain HTTP too: whoever sends the request chooses the URL, and CloudFormation's is always HTTPS.
        let connector = tls.https_or_http().enable_http1().build();
        Ok(self.client.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector)))
    }

    async fn try_send(&self, uri: Uri, body: Bytes) -> Result<(), SendErrorKind> {
        let client = self.client()?;
        // No Content-Type: the URL is signed without one, and S3 would refuse it.
        let request = HttpRequest::builder().method(Method::PUT).uri(uri).body(Full::new(body));
        let request = request.map_err(|_| SendErrorKind::Url)?;
        let reply = tokio::time::timeout(TRY_TIMEOUT, client.request(request))
            .await
            .map_err(|_| SendErrorKind::Timeout)?
            .map_err(SendErrorKind::Connection)?;
        let status = reply.status();
        // Read to the end, so that the connection can be used again.
        let _ = reply.into_body().collect().await;
        if status.is_success() { Ok(()) } else { Err(SendErrorKind::Status(status)) }
    }
}

/// An event that got no answer. Lambda invokes the function again, and the error is alarmed on.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// There is nobody to answer.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
    /// The answer did not arrive.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Handles a custom resource's event, and answers it whatever happens: an invalid request, a failure, a panic, and a
/// handler that is still at work shortly before the function's time is over all end in a FAILED answer.
///
/// `physical_id` derives the resource's id from its properties. `handle` returns what to answer, or `None` if somebody
/// else has taken that over.
///
/// # Errors
/// There is nobody to answer, or the answer could not be delivered.
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
    // A task of its own, so that a panic in it ends here.
    let work = tokio::spawn(handle(addressee.clone(), request));
    let stop = work.abort_handle();
    let outcome = match tokio::time::timeout(time_left.saturating_sub(TIME_TO_ANSWER), work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => {
            Some(Outcome::Failed("The function failed unexpectedly; its log says why.".to_owned()))
        }
        Err(_timeout) => {
            stop.abort();
            Some(Outcome::Failed("The function ran out of time; AWS did not reply.".to_owned()))
        }
    };
    if let Some(outcome) = outcome {
        responder.send(&addressee, &Answer::new(&addressee, &derived_id, outcome)).await?;
    }
    Ok(())
}
