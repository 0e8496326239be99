//! What a proof's clients read.

use aws::{PROOF_LABEL, PutError, SecretValue};
use database::credentials_label;

use crate::{ClientProgress, request::ClientRequest, resource::ClientError};

impl ClientProgress {
    /// Stores what's about to be published where only the client reads it.
    pub(crate) async fn put_aside_for_proof(
        &self,
        wanted: &ClientRequest,
        token: &str,
    ) -> Result<(), ClientError> {
        let label = credentials_label(&wanted.generation, wanted.login.as_ref());
        let version = self.secrets.labelled(&wanted.secret_arn, &label).await?;
        let credentials = version.ok_or(ClientError::NoCredentials)?.value.credentials;
        let value = SecretValue::of(credentials, &wanted.connection);
        match self.secrets.put_aside(&wanted.secret_arn, token, &value, &[PROOF_LABEL]).await {
            Ok(()) => Ok(()),
            Err(PutError::PutBefore) => Err(ClientError::ChangedMeanwhile),
            Err(PutError::Aws(error)) => Err(error.into()),
        }
    }
}
