//! CloudFormation's custom resource protocol.
//!
//! A request is parsed in two phases: first whom to answer, leniently, so that whatever else is wrong can be said in a
//! FAILED answer; then the rest, strictly. A request that has nobody to answer is the only one without an answer.
//!
//! The facts are from the CloudFormation user guide, "Custom resource request and response reference".

mod answer;
mod request;
mod respond;

pub use answer::{Answer, Outcome};
pub use request::{Addressee, InvalidRequest, Properties, Request, RequestType, ResponseUrl, Unanswerable};
pub use respond::{AnswerError, Responder, SendError, SendErrorKind, answer};
