//! Planning a save that attaches an existing database, and its credentials.

use std::collections::BTreeSet;

use aws::{
    AwsError, Credentials, FoundDatabase, PutError, SecretError, SecretValue, StageStack, TAG_ATTACHABLE,
};
use database::{
    AttachedKind, AttachedSettings, AttachmentTarget, Connection, Generation, IngressRule, SecretArn,
    Settings, Stage, Status, place, stage_of_claim,
};

use super::{
    plan::{Aside, Plan, parameters},
    wish::{AttachedWish, CredentialsWish},
};
use crate::{
    api::{Call, SettingsApi},
    hash::hash,
    record::Recorded,
    response::Problem,
    stage_stack::{begun_by, generation, settings},
};

impl SettingsApi {
    /// What attaching a database changes, or why it's refused.
    pub(super) async fn plan_attachment(
        &self,
        stack: &StageStack,
        wish: AttachedWish,
        call: &Call,
    ) -> Result<Plan, Problem> {
        let before = attached_before(stack)?;
        let found = self.attachable(stack, &wish).await?;
        let AttachedWish { identifier, database_name, .. } = wish;
        let target = AttachmentTarget { kind: found.kind, identifier, database_name };
        let mut desired = AttachedSettings { target, secret_arn: None };
        let same = before.as_ref().filter(|before| is_same(before, &desired));
        let mut warnings = Vec::new();
        let mut typed = None;
        match wish.credentials {
            None => match same {
                Some(same) => desired.secret_arn.clone_from(&same.secret_arn),
                None => return Err(Problem::field("/credentials", "is required")),
            },
            Some(CredentialsWish::Secret(arn)) => {
                warnings.extend(self.check_secret(stack, &arn, &found).await?);
                desired.secret_arn = Some(arn);
            }
            Some(CredentialsWish::Typed { username, password }) => {
                let credentials = Credentials { username: username.into(), password };
                if !self.has_credentials(stack, same, &credentials).await? {
                    typed = Some(credentials);
                }
            }
        }
        if found.database.security_groups.is_empty() {
            warnings.push(format!(
                "The database {} has no VPC security group, so stagedb can't add a rule that lets the service connect.",
                found.identifier
            ));
        }
        // Credentials get their own generation, so that a rollback finds the earlier ones.
        let stays = typed.is_none() && same.is_some_and(|same| same.secret_arn == desired.secret_arn);
        let generation = match generation(stack).filter(|_| stays) {
            Some(generation) => generation,
            None => begun_by(call)?,
        };
        let aside = match typed {
            None => None,
            Some(credentials) => Some(aside(stack, credentials, &generation)?),
        };
        let needed = aside.is_some() || before.as_ref() != Some(&desired);
        Ok(Plan {
            parameters: parameters(
                stack,
                &Settings::Attached(desired.clone()),
                Some(&generation),
                stack.login().as_ref(),
            ),
            changes: attachment(before.as_ref(), &desired, aside.is_some()),
            settings: Settings::Attached(desired),
            warnings,
            aside,
            seen: None,
            needed,
        })
    }

    /// The credentials that a test uses, and the database that it connects to.
    pub(crate) async fn to_test(
        &self,
        stack: &StageStack,
        wish: AttachedWish,
    ) -> Result<(Credentials, Connection, FoundDatabase), Problem> {
        let before = attached_before(stack)?;
        let found = self.attachable(stack, &wish).await?;
        let credentials = match wish.credentials {
            Some(CredentialsWish::Typed { username, password }) => {
                Credentials { username: username.into(), password }
            }
            Some(CredentialsWish::Secret(arn)) => {
                self.check_secret(stack, &arn, &found).await?;
                match self.secrets.foreign(arn.as_ref()).await {
                    Ok(secret) => secret.credentials,
                    Err(SecretError::Aws(error)) => return Err(error.into()),
                    Err(error) => return Err(Problem::field("/credentials/secretArn", error.to_string())),
                }
            }
            None => {
                let is_same = |before: &AttachedSettings| {
                    before.target.kind == found.kind && before.target.identifier == wish.identifier
                };
                let stored = match (stack.outputs.get("SecretArn"), generation(stack)) {
                    (Some(arn), Some(generation)) if before.as_ref().is_some_and(is_same) => {
                        self.secrets.labelled(arn, &generation.staging_label()).await?
                    }
                    _ => None,
                };
                let stored = stored.ok_or_else(|| Problem::field("/credentials", "is required"))?;
                stored.value.credentials
            }
        };
        let Some(endpoint) = &found.database.endpoint else {
            return Err(Problem::field("/identifier", "must be a database with an endpoint"));
        };
        let connection = Connection {
            identifier: found.identifier.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            database_name: wish.database_name,
        };
        Ok((credentials, connection, found))
    }

    /// The database that a request names, if the stage may use it.
    async fn attachable(&self, stack: &StageStack, wish: &AttachedWish) -> Result<FoundDatabase, Problem> {
        let found = self.found(wish).await?;
        let refuse = |reason: String| {
            Err(Problem::field("/identifier", format!("can't be attached, because {reason}")))
        };
        if let Some(reason) = self.why_not(stack, &found).await? {
            return refuse(reason);
        }
        let groups: Vec<&str> = found.database.security_groups.iter().map(String::as_str).collect();
        let open = self.security_groups.tagged(&groups, TAG_ATTACHABLE, "true").await?;
        match closed(&found, &open) {
            Some(reason) => refuse(reason),
            None => Ok(found),
        }
    }

    /// The database that a request names.
    async fn found(&self, wish: &AttachedWish) -> Result<FoundDatabase, Problem> {
        let identifier = wish.identifier.as_ref();
        let find = |kind| self.databases.find(kind, identifier);
        let (instance, cluster) = match wish.settings.kind {
            Some(AttachedKind::Instance) => (find(AttachedKind::Instance).await?, None),
            Some(AttachedKind::Cluster) => (None, find(AttachedKind::Cluster).await?),
            None => (find(AttachedKind::Instance).await?, find(AttachedKind::Cluster).await?),
        };
        match (instance, cluster) {
            (Some(found), None) | (None, Some(found)) => Ok(found),
            (Some(_), Some(_)) => {
                let detail = "is required, because a DB instance and a DB cluster have this identifier. It must be \
                              instance or cluster";
                Err(Problem::field("/kind", detail))
            }
            (None, None) => Err(Problem::field(
                "/identifier",
                "must be an RDS for PostgreSQL DB instance, an Aurora PostgreSQL DB cluster, or a Multi-AZ DB cluster in this \
                 account and Region. There is none with this identifier. GET /api/databases lists them",
            )),
        }
    }

    /// Why a database can't be attached to a stage. `None` if it can.
    pub(crate) async fn why_not(
        &self,
        stack: &StageStack,
        found: &FoundDatabase,
    ) -> Result<Option<String>, AwsError> {
        if let Some(reason) = why_never(found) {
            return Ok(Some(reason));
        }
        let vpc = match (&found.vpc_id, &found.subnet_group) {
            (Some(vpc), _) => Some(vpc.clone()),
            (None, Some(group)) => self.databases.vpc_of(group).await?,
            (None, None) => None,
        };
        let of_stage = stack.parameters.get("VpcId");
        Ok(match (vpc, of_stage) {
            (Some(vpc), Some(of_stage)) if vpc != *of_stage => {
                Some(format!("it's in the VPC {vpc}, but the stage's services are in {of_stage}"))
            }
            _ => None,
        })
    }

    /// Checks that credentials can be copied from a secret. Returns warnings for the user.
    async fn check_secret(
        &self,
        stack: &StageStack,
        arn: &SecretArn,
        found: &FoundDatabase,
    ) -> Result<Vec<String>, Problem> {
        let refuse = |detail: &str| Err(Problem::field("/credentials/secretArn", detail));
        if arn.place() != place(&stack.id) {
            return refuse("must be the ARN of a secret in this account and Region");
        }
        let secret = match self.secrets.foreign(arn.as_ref()).await {
            Ok(secret) => secret,
            Err(SecretError::Missing) => {
                return refuse(&format!(
                    "must be a secret that exists and that stagedb can read. It can read a secret that has the tag \
                     {TAG_ATTACHABLE}=true, or whose name matches the parameter AttachableSecrets of the stagedb stack. It must \
                     also be allowed to use the KMS key that the secret is encrypted with"
                ));
            }
            Err(SecretError::NoCredentials) => {
                return refuse(
                    "must be a secret whose value is a JSON object with the string keys username and password",
                );
            }
            Err(SecretError::Aws(error)) => return Err(error.into()),
        };
        let mut warnings = Vec::new();
        let host = found.database.endpoint.as_ref().map(|endpoint| endpoint.host.as_str());
        if let (Some(named), Some(host)) = (&secret.host, host)
            && named != host
        {
            warnings.push(format!("The secret is for the host {named}, but the database's host is {host}."));
        }
        let about = self.secrets.about(arn.as_ref()).await?;
        if about.is_a_stages {
            return refuse("can't be the secret of a stage");
        }
        if about.is_rotated {
            warnings.push(
                "The secret is rotated. stagedb notices a new password within 15 minutes, and rebuilds the stage. Until its containers \
                 are replaced, new connections with the old password fail. To avoid this, use credentials that aren't rotated, or a \
                 rotation that alternates between two users."
                    .to_owned(),
            );
        }
        Ok(warnings)
    }

    /// Whether the stage already has these credentials for the same database.
    async fn has_credentials(
        &self,
        stack: &StageStack,
        same: Option<&AttachedSettings>,
        credentials: &Credentials,
    ) -> Result<bool, Problem> {
        let (Some(arn), Some(generation)) = (stack.outputs.get("SecretArn"), generation(stack)) else {
            return Ok(false);
        };
        if same.is_none_or(|same| same.secret_arn.is_some()) {
            return Ok(false);
        }
        let version = self.secrets.labelled(arn, &generation.staging_label()).await?;
        Ok(version.is_some_and(|version| version.value.credentials == *credentials))
    }

    /// Stores typed credentials in the stage's secret, under the label of their generation.
    pub(crate) async fn put_aside(&self, aside: &Aside, call: &Call, _: &Recorded) -> Result<(), Problem> {
        self.secrets.forget_old_generations(&aside.arn, &aside.in_use).await?;
        let token = hash(&[call.token().as_bytes(), &[0], aside.label.as_bytes()]);
        match self.secrets.put_aside(&aside.arn, &token, &aside.value, &[&aside.label]).await {
            Ok(()) => Ok(()),
            Err(PutError::PutBefore) => Err(Problem::reused_key()),
            Err(PutError::Aws(error)) => Err(error.into()),
        }
    }
}

/// What the stage is attached to.
fn attached_before(stack: &StageStack) -> Result<Option<AttachedSettings>, Problem> {
    match settings(stack)? {
        Settings::Attached(before) => Ok(Some(before)),
        Settings::None => Ok(None),
        Settings::Created(_) => Err(Problem::conflict(format!(
            "The stage has a database that stagedb created. Remove it first with DELETE \
             /api/stacks/{}/stages/{}/database, which takes a final snapshot. Then attach another database.",
            stack.stage.stack, stack.stage.stage
        ))),
    }
}

/// The value to store in the stage's secret, next to its current value.
fn aside(stack: &StageStack, credentials: Credentials, generation: &Generation) -> Result<Aside, Problem> {
    let Some(arn) = stack.outputs.get("SecretArn").cloned() else {
        return Err(Problem::conflict("The stage stack has no secret. Rebuild the stage, then save again."));
    };
    // A rollback needs it.
    let in_use = self::generation(stack).map(|generation| generation.staging_label());
    Ok(Aside {
        arn,
        value: SecretValue::without_database(credentials),
        label: generation.staging_label(),
        in_use: in_use.into_iter().collect(),
    })
}

/// Why a database can't be attached to any stage. `None` if it can.
pub(crate) fn why_never(found: &FoundDatabase) -> Option<String> {
    if let Some(stage) = &found.stage {
        return Some(format!("stagedb created it for the stage {stage}"));
    }
    if found.is_replica {
        return Some("it's a read replica".to_owned());
    }
    match Status::from(found.status.as_str()) {
        Status::Usable { .. } | Status::InProgress(_) if found.database.endpoint.is_some() => None,
        _ => Some(format!("it has the status {}", found.status)),
    }
}

/// Why stagedb may not add rules to a database's security group. `None` if it may, or if there is none.
pub(crate) fn closed(found: &FoundDatabase, open: &BTreeSet<String>) -> Option<String> {
    let group = found.database.security_groups.first().filter(|group| !open.contains(*group))?;
    Some(format!(
        "stagedb may not add rules to its security group {group}. Allow it with this tag: aws ec2 create-tags --resources \
         {group} --tags Key={TAG_ATTACHABLE},Value=true"
    ))
}

/// The stages that use a database, by their claims on the rules of its security groups.
pub(crate) fn used_by(found: &FoundDatabase, rules: &[IngressRule]) -> Vec<Stage> {
    let of_database = |rule: &&IngressRule| found.database.security_groups.contains(&rule.group);
    let claims = rules.iter().filter(of_database).flat_map(|rule| &rule.tags);
    let mut stages: Vec<_> = claims
        .filter(|(_, identifier)| **identifier == found.identifier)
        .filter_map(|(key, _)| stage_of_claim(key))
        .collect();
    stages.sort();
    stages.dedup();
    stages
}

/// Whether two settings name the same database.
fn is_same(one: &AttachedSettings, other: &AttachedSettings) -> bool {
    one.target.kind == other.target.kind && one.target.identifier == other.target.identifier
}

/// What attaching a database changes.
fn attachment(
    before: Option<&AttachedSettings>,
    desired: &AttachedSettings,
    has_new_credentials: bool,
) -> Vec<database::Change> {
    let change = |field, before: Option<String>, after: String, detail| database::Change {
        field,
        effect: if before.is_some() { database::Effect::InPlace } else { database::Effect::New },
        before,
        after,
        can_be_undone: true,
        when: database::Apply::Now,
        detail,
        last_downtime: None,
    };
    let mut changes = Vec::new();
    if before.is_none_or(|before| !is_same(before, desired)) {
        let detail = "The containers get the endpoint of this database. stagedb doesn't change the database itself. It adds a rule \
                      to the database's security group, so that the stage's service can connect.";
        let before = before.map(|before| before.target.identifier.to_string());
        changes.push(change("identifier", before, desired.target.identifier.to_string(), detail));
    }
    if before.is_none_or(|before| before.target.database_name != desired.target.database_name) {
        let before = before.map(|before| before.target.database_name.to_string());
        let after = desired.target.database_name.to_string();
        changes.push(change("databaseName", before, after, "The containers connect to this database."));
    }
    if has_new_credentials || before.is_none_or(|before| before.secret_arn != desired.secret_arn) {
        let words = |settings: &AttachedSettings| {
            settings.secret_arn.as_ref().map_or_else(|| "typed".to_owned(), ToString::to_string)
        };
        let detail = "stagedb copies them into the stage's secret. If they come from another secret, every rebuild copies \
                      them again.";
        changes.push(change("credentials", before.map(words), words(desired), detail));
    }
    changes
}
