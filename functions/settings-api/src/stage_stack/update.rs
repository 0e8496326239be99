//! Updating a stage stack.

use std::collections::BTreeMap;

use aws::{ChangeError, SeenService, StageStack};
use database::{Outcome, migrate};

use super::rebuild_path;
use crate::{
    api::{Call, SettingsApi},
    record::Recorded,
    response::Problem,
};

/// Whether an update was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    Begun,
    NotNeeded,
}

impl SettingsApi {
    /// The parameters that say how stagedb is deployed: the functions behind the custom resources, and the client.
    pub(crate) fn deployment(&self) -> [(String, String); 6] {
        let configuration = &self.configuration;
        [
            ("ClientImage".to_owned(), configuration.client_image.clone()),
            ("ClientLogGroup".to_owned(), configuration.client_log_group.clone()),
            ("LoginsRoleArn".to_owned(), configuration.logins_role_arn.clone()),
            ("CredentialsFunctionArn".to_owned(), configuration.credentials_function_arn.clone()),
            ("DatabaseFunctionArn".to_owned(), configuration.database_function_arn.clone()),
            ("AccessFunctionArn".to_owned(), configuration.access_function_arn.clone()),
        ]
    }

    /// Adds the parameters that the current template needs, and removes those that it doesn't have.
    pub(crate) fn complete(&self, mut parameters: BTreeMap<String, String>) -> BTreeMap<String, String> {
        migrate(&mut parameters);
        parameters.extend(self.deployment());
        // A stack from an earlier version doesn't have every parameter.
        for name in ["Rebuild", "Lookup", "Login"] {
            parameters.entry(name.to_owned()).or_insert_with(|| "none".to_owned());
        }
        parameters
    }

    /// Rebuilds the stage: updates its stack to the current template, the current functions, and these parameters.
    ///
    /// CloudFormation updates only resources whose properties changed. So every rebuild has its own token, which is a
    /// property of each resource that has to look again: at the secret that credentials are copied from, at the rules,
    /// and at what clients read. `seen` is what the caller has just seen of the services.
    pub(crate) async fn update(
        &self,
        stack: &StageStack,
        parameters: BTreeMap<String, String>,
        seen: Option<Vec<SeenService>>,
        call: &Call,
        recorded: &Recorded,
    ) -> Result<Update, Problem> {
        let mut parameters = self.complete(parameters);
        self.refresh(stack, &mut parameters, seen).await?;
        parameters.insert("Rebuild".to_owned(), call.token());
        // A created database doesn't look again. It would undo changes that someone made in RDS.
        if parameters.get("Source").is_some_and(|source| source == "attached") {
            parameters.insert("Lookup".to_owned(), call.token());
        }
        self.update_to(stack, &parameters, call, recorded).await
    }

    /// Starts to delete a stage stack without a database.
    pub(crate) async fn delete_stack(
        &self,
        stack: &StageStack,
        token: &str,
        _: &Recorded,
    ) -> Result<(), Problem> {
        Ok(self.stacks.delete(&stack.id, &self.configuration.stage_stack_role_arn, token).await?)
    }

    /// Updates the stage stack to the current template and exactly these parameters.
    pub(crate) async fn update_to(
        &self,
        stack: &StageStack,
        parameters: &BTreeMap<String, String>,
        call: &Call,
        _: &Recorded,
    ) -> Result<Update, Problem> {
        if !stack.is_protected {
            self.stacks.protect(&stack.id, true).await?;
        }
        let role = &self.configuration.stage_stack_role_arn;
        match self.stacks.update(&stack.id, &self.template.body, parameters, role, &call.token()).await {
            Ok(()) => Ok(Update::Begun),
            Err(ChangeError::NoChange) => {
                self.record_end(Outcome::Complete, call).await;
                Ok(Update::NotNeeded)
            }
            // Another request has just started an update, or this same request did before.
            Err(ChangeError::WrongState(_) | ChangeError::Exists(_)) => {
                if self.has_begun(stack, call).await? {
                    return Ok(Update::Begun);
                }
                Err(Problem::busy(rebuild_path(&stack.stage)))
            }
            Err(ChangeError::Aws(error)) => Err(error.into()),
        }
    }
}
