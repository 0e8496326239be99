//! CloudFormation's custom resource protocol.
//!
//! A request is parsed in two phases. The first phase leniently parses where to send the answer, so that any other
//! error can be reported in a FAILED answer. The second phase strictly parses the rest. Only a request that doesn't say
//! where to send the answer gets none.
//!
//! Source: CloudFormation user guide, "Custom resource request and response reference".

mod answer;
mod request;
mod respond;

pub use answer::{Answer, Outcome};
pub use request::{Addressee, InvalidRequest, Properties, Request, RequestType, ResponseUrl, Unanswerable};
pub use respond::{AnswerError, Responder, SendError, SendErrorKind, answer};
