//! `GET …/database`: the settings, the live state, and what may be changed to what.

use database::{CreatedSettings, Instance, Stage, Status, minimum_growth};
use serde::Serialize;

use crate::{
    SettingsApi,
    problem::Problem,
    reply::Reply,
    stage::{is_at_rest, settings},
};

/// The settings as a person chose them.
#[derive(Debug, Serialize)]
#[serde(tag = "source", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum SettingsWire {
    None,
    Created {
        instance_class: String,
        #[serde(rename = "storageGiB")]
        storage_gib: u32,
        database_name: String,
    },
}

impl From<Option<CreatedSettings>> for SettingsWire {
    fn from(settings: Option<CreatedSettings>) -> Self {
        match settings {
            None => Self::None,
            Some(created) => Self::Created {
                instance_class: created.instance_class.into(),
                storage_gib: created.storage.get(),
                database_name: created.database_name.into(),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    settings: SettingsWire,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveWire>,
    changeable: ChangeableWire,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LiveWire {
    identifier: String,
    status: String,
    instance_class: String,
    #[serde(rename = "storageGiB")]
    storage_gib: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointWire>,
    deletion_protection: bool,
}

#[derive(Serialize)]
struct EndpointWire {
    host: String,
    port: u16,
}

/// What a Save may change now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeableWire {
    /// Nothing may be changed while a rebuild runs, or the instance is not available.
    instance_class: bool,
    /// Whether storage may grow.
    storage: bool,
    /// The least that storage may grow to; staying as it is is always possible.
    #[serde(rename = "minStorageGiB")]
    min_storage_gib: u32,
    #[serde(rename = "maxStorageGiB")]
    max_storage_gib: u32,
    database_name: bool,
}

impl SettingsApi {
    pub(crate) async fn get_database(&self, stage: &Stage) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let settings = settings(&stack);
        let identifier = stage.identifier();
        let instance = self.databases.instance(&identifier).await?;
        // An instance of that name which another stack made is none of this stage's.
        let instance = instance.filter(|i| i.owner.as_ref().is_some_and(|o| o.stage_stack_id == stack.id));
        let at_rest = is_at_rest(&stack);
        let is_usable = instance.as_ref().is_none_or(|i| matches!(i.status, Status::Usable { .. }));
        let at_rest = at_rest && is_usable;
        let optimizing =
            instance.as_ref().is_some_and(|i| matches!(i.status, Status::Usable { optimizing: true }));
        let changeable = ChangeableWire {
            instance_class: at_rest,
            storage: at_rest && !optimizing,
            min_storage_gib: instance.as_ref().map_or(20, |i| minimum_growth(i.storage_gib)),
            max_storage_gib: 65_536,
            database_name: at_rest && settings.is_none(),
        };
        let live = instance.map(|instance| live(identifier, instance));
        Ok(Reply::json(200, &Wire { settings: settings.into(), live, changeable }))
    }
}

fn live(identifier: String, instance: Instance) -> LiveWire {
    LiveWire {
        identifier,
        status: instance.status.to_string(),
        instance_class: instance.instance_class,
        storage_gib: instance.storage_gib,
        endpoint: instance.endpoint.map(|e| EndpointWire { host: e.host, port: e.port }),
        deletion_protection: instance.deletion_protection,
    }
}
