//! `POST /api/me/sign-out`: ends every session of the signed-in user.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
};

/// The response to signing out everywhere.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedOut)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedOutWire {
    /// Sessions that began before this time have ended. Access tokens stay valid until they expire.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    signed_out_at: OffsetDateTime,
}

impl SettingsApi {
    pub(crate) async fn sign_out(&self, call: &Call) -> Result<Reply, Problem> {
        self.users.sign_out_everywhere(&call.caller.username).await?;
        Ok(Reply::json(200, &SignedOutWire { signed_out_at: call.now }))
    }
}
