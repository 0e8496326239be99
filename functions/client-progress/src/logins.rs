//! What the master user's client reads to give a login its password.

use aws::{LoginsValue, SecretValue};
use postgres_protocol::password::scram_sha_256;

use crate::{
    ClientProgress,
    request::{ClientRequest, LoginSetup},
    resource::ClientError,
};

impl ClientProgress {
    /// Stores the master user's credentials, with the login and the verifier of its password. The password itself stays where it
    /// is, so that no statement, and no log of Postgres, can contain it.
    pub(crate) async fn put_aside_for_logins(
        &self,
        wanted: &ClientRequest,
        setup: &LoginSetup,
        token: &str,
    ) -> Result<(), ClientError> {
        let LoginSetup { login, is_first, takes_objects, master_secret_arn, .. } = setup;
        let none = || "none".to_owned();
        let (user, verifier) = if login.is_master {
            (none(), none())
        } else {
            let own = self.secrets.labelled(&wanted.secret_arn, &login.staging_label()).await?;
            let own = own.ok_or(ClientError::NoCredentials)?.value.credentials;
            (own.username, scram_sha_256(own.password.expose().as_bytes()))
        };
        let master = self.secrets.labelled(master_secret_arn, &wanted.generation.staging_label()).await?;
        let master = master.ok_or(ClientError::NoCredentials)?.value.credentials;
        let value = LoginsValue {
            user: SecretValue::of(master, &wanted.connection),
            login: user,
            verifier,
            since: login.since.to_string(),
            obsolete: if *is_first { "all".to_owned() } else { none() },
            master: if *takes_objects { "published before".to_owned() } else { none() },
            // Its earlier password may be the one that has leaked.
            sessions: if login.is_immediate { "of the login".to_owned() } else { none() },
            next_password: self.next_password(master_secret_arn).await?,
        };
        Ok(self.secrets.put_for_logins(master_secret_arn, token, &value).await?)
    }
}
