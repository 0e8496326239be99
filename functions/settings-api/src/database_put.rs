//! `PUT …/database`: saves the settings, which rebuilds the stage.

use aws::StageStack;
use database::{
    Containers, CreatedSettings, DatabaseName, Generation, Instance, InstanceClass, Stage, Status,
    StorageGiB, minimum_growth,
};
use serde::Serialize;

use crate::{
    Call, SettingsApi,
    containers::{conflict_in_words, conflicts},
    database_get::SettingsWire,
    fields::Body,
    problem::Problem,
    rebuild_post::{Update, again},
    reply::Reply,
    stage::{generation, rebuild_path, refuse_unless_at_rest, settings},
};

/// What is said of a Save.
#[derive(Serialize)]
struct Wire {
    settings: SettingsWire,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<String>,
}

impl SettingsApi {
    pub(crate) async fn put_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let desired = desired(&call.body)?;
        let stack = self.stage_stack(stage).await?;
        refuse_unless_at_rest(&stack)?;
        let current = settings(&stack);
        if current.as_ref() == Some(&desired) {
            // The settings are as they should be; the containers need not be, after a failure.
            return match self.containers(&stack).await? {
                Containers::Failed(_) => {
                    let update = self.update(&stack, again(&stack, call), call).await?;
                    Ok(saved(stage, desired, update))
                }
                Containers::Waiting | Containers::Redeploying { .. } | Containers::Complete { .. } => {
                    Ok(saved(stage, desired, Update::NotNeeded))
                }
            };
        }
        self.check(&stack, current.as_ref(), &desired).await?;

        let mut parameters = stack.parameters.clone();
        let known = generation(&stack).filter(|_| current.is_some());
        let generation = if let Some(generation) = known {
            generation
        } else {
            // A creation by a person: new data, with the version that is new today.
            let engine_version = self.configuration.engine_version.clone();
            parameters.insert("EngineVersion".to_owned(), engine_version);
            Generation::at(call.now).map_err(|error| Problem::conflict(error.to_string()))?
        };
        parameters.extend(
            [
                ("Source", "created".to_owned()),
                ("Generation", generation.to_string()),
                ("InstanceClass", desired.instance_class.to_string()),
                ("StorageGiB", desired.storage.get().to_string()),
                ("DatabaseName", desired.database_name.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let update = self.update(&stack, parameters, call).await?;
        Ok(saved(stage, desired, update))
    }

    /// Refuses what would fail, before anything is begun.
    async fn check(
        &self,
        stack: &StageStack,
        current: Option<&CreatedSettings>,
        desired: &CreatedSettings,
    ) -> Result<(), Problem> {
        let identifier = stack.stage.identifier();
        let instance = self.databases.instance(&identifier).await?;
        if let Some(instance) = &instance
            && instance.owner.as_ref().is_none_or(|owner| owner.stage_stack_id != stack.id)
        {
            return Err(Problem::conflict(format!(
                "The DB instance {identifier} already exists and was not made by this stage. Rename or remove it in RDS, or \
                 choose another name for the stack or the stage."
            )));
        }
        if let Some(current) = current {
            check_change(&identifier, current, instance.as_ref(), desired)?;
        }
        if current.is_none_or(|current| current.instance_class != desired.instance_class) {
            self.check_orderable(stack, current.is_none(), desired).await?;
        }
        match self.observe_containers(stack).await? {
            Err(words) => Err(Problem::conflict(words)),
            Ok(observed) => match conflicts(stack, &observed.variables).as_slice() {
                [] => Ok(()),
                conflicts => Err(Problem::conflict(conflict_in_words(conflicts))),
            },
        }
    }

    async fn check_orderable(
        &self,
        stack: &StageStack,
        is_new: bool,
        desired: &CreatedSettings,
    ) -> Result<(), Problem> {
        let version = if is_new { None } else { stack.parameters.get("EngineVersion") };
        let version = version.unwrap_or(&self.configuration.engine_version);
        let Some(orderable) = self.databases.orderable(&desired.instance_class, version).await? else {
            let detail = format!(
                "must be a DB instance class that can be ordered here for PostgreSQL {version} with gp3 storage"
            );
            return Err(Problem::field("/instanceClass", detail));
        };
        let (min, max) = (orderable.min_storage_gib, orderable.max_storage_gib);
        if !(min..=max).contains(&desired.storage.get()) {
            let detail = format!("must be {min} to {max} GiB for the class {}", desired.instance_class);
            return Err(Problem::field("/storageGiB", detail));
        }
        Ok(())
    }
}

/// The rules of a change of a database that is there.
fn check_change(
    identifier: &str,
    current: &CreatedSettings,
    instance: Option<&Instance>,
    desired: &CreatedSettings,
) -> Result<(), Problem> {
    if current.database_name != desired.database_name {
        let detail = format!("cannot be changed; the database was created as {}", current.database_name);
        return Err(Problem::field("/databaseName", detail));
    }
    let Some(instance) = instance else {
        return Err(Problem::conflict(format!(
            "The DB instance {identifier} is gone. It was deleted outside of stagedb, so there is nothing to change."
        )));
    };
    let optimizing = match &instance.status {
        Status::Usable { optimizing } => *optimizing,
        other => {
            return Err(Problem::conflict(format!(
                "The DB instance {identifier} is in the status {other}. It can be changed when it is available."
            )));
        }
    };
    let (live, wanted) = (instance.storage_gib, desired.storage.get());
    if wanted < live && desired.storage != current.storage {
        return Err(Problem::field("/storageGiB", format!("cannot shrink; it is {live} GiB now")));
    }
    if wanted > live {
        if optimizing {
            return Err(Problem::conflict(format!(
                "The storage of {identifier} is still being optimised after its last change, which takes at least six \
                 hours. The instance class can be changed meanwhile."
            )));
        }
        let least = minimum_growth(live);
        if wanted < least {
            let detail = format!("must grow by at least 10 %, to {least} GiB or more; it is {live} GiB now");
            return Err(Problem::field("/storageGiB", detail));
        }
    }
    Ok(())
}

fn saved(stage: &Stage, settings: CreatedSettings, update: Update) -> Reply {
    let settings = Some(settings).into();
    match update {
        Update::NotNeeded => Reply::json(200, &Wire { settings, rebuild: None }),
        Update::Begun => {
            let rebuild = rebuild_path(stage);
            Reply::json(202, &Wire { settings, rebuild: Some(rebuild.clone()) }).with_location(rebuild)
        }
    }
}

fn desired(body: &Body) -> Result<CreatedSettings, Problem> {
    let fields = body.object()?;
    if let Some(source) = fields.text("source")
        && source != "created"
    {
        fields.error("source", "must be created");
    }
    let instance_class = fields.parse::<InstanceClass>("instanceClass");
    let storage = fields.number::<StorageGiB>("storageGiB");
    let database_name = fields.parse::<DatabaseName>("databaseName");
    let errors = fields.end();
    match (instance_class, storage, database_name) {
        (Some(instance_class), Some(storage), Some(database_name)) if errors.is_empty() => {
            Ok(CreatedSettings { instance_class, storage, database_name })
        }
        _ => Err(Problem::fields(errors)),
    }
}
