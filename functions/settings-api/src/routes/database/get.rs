//! `GET …/database`: the settings, the live state, and the changes that are possible.

use aws::StageStack;
use database::{
    AppLogin, AttachedSettings, CreatedSettings, EngineVersion, Instance, MASTER, RotationDays, Rule,
    Settings, Stage, Status, StorageGiB, earliest_storage_change, minimum_growth,
};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::endpoint::EndpointWire,
    save::{SettingsWire, used_by},
    schema,
    stage_stack::{etag, settings},
};

/// A stage's database.
#[derive(Serialize, ToSchema)]
#[schema(as = Database)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabaseWire {
    /// `none`, `removing`, `missing`, or the status in RDS's own words.
    state: String,
    settings: SettingsWire,
    /// The database as RDS shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveWire>,
    changeable: ChangeableWire,
    /// Which user the containers log in as. Missing if that was always the master user.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginWire>,
    /// Other stages that use the same attached database, as `{stack}/{stage}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    used_by: Vec<String>,
}

/// Which user the containers log in as.
#[derive(Serialize, ToSchema)]
#[schema(as = Login)]
#[serde(rename_all = "camelCase")]
struct LoginWire {
    /// The user: `app_1`, `app_2`, or `postgres`, the master user.
    user: &'static str,
    /// Whether it's the only one that is enabled. Until the last container from before has stopped, its login is enabled, too.
    is_settled: bool,
    /// When it got its password.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<OffsetDateTime>,
    /// When stagedb rotates it next. Missing if only users rotate it.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_rotation_at: Option<OffsetDateTime>,
}

/// A database as RDS shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = LiveDatabase)]
#[serde(rename_all = "camelCase")]
struct LiveWire {
    identifier: String,
    /// The status in RDS's own words.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_class: Option<String>,
    /// The allocated storage in GiB. It can be more than in the settings.
    #[serde(rename = "storageGiB", skip_serializing_if = "Option::is_none")]
    storage_gib: Option<u32>,
    #[serde(rename = "maxStorageGiB", skip_serializing_if = "Option::is_none")]
    max_storage_gib: Option<u32>,
    #[serde(flatten)]
    #[schema(ignore)]
    shown: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_protection: Option<bool>,
    /// The weekly maintenance window in UTC, such as `sun:05:00-sun:06:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance_window: Option<String>,
    /// Changes that wait for the maintenance window, or are about to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<PendingWire>,
}

/// Changes that RDS has accepted but not made yet.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingChanges)]
#[serde(rename_all = "camelCase")]
struct PendingWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_class: Option<String>,
    #[serde(rename = "storageGiB", skip_serializing_if = "Option::is_none")]
    storage_gib: Option<u32>,
    #[serde(flatten)]
    #[schema(ignore)]
    shown: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
}

/// Adds the settings that RDS changes in place to the description of what RDS shows.
pub(crate) fn describe_shown(schemas: &mut [(String, RefOr<Schema>)]) {
    for (name, schema) in schemas {
        if let RefOr::T(Schema::Object(object)) = schema
            && (*name == LiveWire::name() || *name == PendingWire::name())
        {
            let in_place = CreatedSettings::ALL.iter().filter(|s| matches!(s.rule, Rule::InPlace(_)));
            let shown = in_place.map(|setting| (setting.name.to_owned(), schema::shown(setting)));
            object.properties.extend(shown);
        }
    }
}

/// What a save can change now.
#[derive(Serialize, ToSchema)]
#[schema(as = Changeable)]
#[serde(rename_all = "camelCase")]
struct ChangeableWire {
    /// The sources that the next save can have.
    sources: Vec<&'static str>,
    /// Whether you can change the instance class. You can't while a rebuild is running, or while the instance isn't
    /// available.
    instance_class: bool,
    /// Whether you can increase the storage.
    storage: bool,
    /// When you can increase the storage again. Missing if RDS doesn't make you wait after the last change.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    storage_earliest: Option<OffsetDateTime>,
    /// The least storage that you can increase to, in GiB.
    #[serde(rename = "minStorageGiB")]
    min_storage_gib: u32,
    #[serde(rename = "maxStorageGiB")]
    max_storage_gib: u32,
    /// The versions that the database can be upgraded to.
    engine_versions: Vec<String>,
    database_name: bool,
}

impl SettingsApi {
    pub(crate) async fn get_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let settings = settings(&stack)?;
        let at_rest = stack.is_at_rest();
        let tag = etag(&stack);
        let wire = if let Settings::Attached(attached) = settings {
            self.attached(stage, attached, at_rest).await?
        } else {
            let instance = self.databases.instance(&stage.identifier()).await?;
            // An instance with this identifier that another stack created isn't this stage's.
            let own = instance.filter(|instance| instance.is_of_stack(&stack.id));
            let login = match &settings {
                Settings::Created(created) => self.login_of(&stack, created.rotation).await?,
                Settings::None | Settings::Attached(_) => None,
            };
            let wire = self.own(stage, settings, own, at_rest, call.now).await?;
            DatabaseWire { login, ..wire }
        };
        Ok(Reply::json(200, &wire).with_etag(tag))
    }

    async fn login_of(
        &self,
        stack: &StageStack,
        rotation: RotationDays,
    ) -> Result<Option<LoginWire>, Problem> {
        let Some(login) = stack.login() else { return Ok(None) };
        Ok(Some(LoginWire {
            user: login.published().map_or(MASTER, AppLogin::user),
            is_settled: self.is_settled(stack).await?,
            since: login.published().and_then(|_| login.since.time()),
            next_rotation_at: login.next_rotation(rotation),
        }))
    }

    async fn own(
        &self,
        of: &Stage,
        settings: Settings,
        live: Option<Instance>,
        at_rest: bool,
        now: OffsetDateTime,
    ) -> Result<DatabaseWire, Problem> {
        let is_created = matches!(settings, Settings::Created(_));
        let usable = live.as_ref().is_none_or(|i| matches!(i.status, Status::Usable { .. }));
        let optimizing =
            live.as_ref().is_some_and(|i| matches!(i.status, Status::Usable { optimizing: true }));
        let mut earliest = None;
        let mut upgrades = Vec::new();
        if let Some(live) = live.as_ref().filter(|_| is_created) {
            let changed_at = self.databases.storage_changed_at(&of.identifier()).await?;
            earliest = earliest_storage_change(changed_at, now);
            if let Some(version) = live.engine_version {
                upgrades = self.databases.upgrades(version).await?;
            }
        }
        let state = match (&live, is_created) {
            (None, true) => "missing".to_owned(),
            (None, false) => "none".to_owned(),
            (Some(live), false) if live.status == Status::Deleting => "removing".to_owned(),
            (Some(live), _) => live.status.to_string(),
        };
        Ok(DatabaseWire {
            state,
            settings: settings.into(),
            changeable: ChangeableWire {
                sources: if is_created { vec!["created"] } else { vec!["created", "attached"] },
                instance_class: at_rest && usable,
                storage: at_rest && usable && !optimizing && earliest.is_none(),
                storage_earliest: earliest,
                min_storage_gib: live
                    .as_ref()
                    .map_or(StorageGiB::MIN.get(), |i| minimum_growth(i.storage_gib)),
                max_storage_gib: StorageGiB::MAX.get(),
                engine_versions: upgrades.iter().map(EngineVersion::to_string).collect(),
                database_name: at_rest && !is_created,
            },
            live: live.map(|live| own_live(of.identifier(), live)),
            login: None,
            used_by: Vec::new(),
        })
    }

    async fn attached(
        &self,
        stage: &Stage,
        attached: AttachedSettings,
        at_rest: bool,
    ) -> Result<DatabaseWire, Problem> {
        let found = self.databases.find(attached.target.kind, attached.target.identifier.as_ref()).await?;
        let mut others = Vec::new();
        if let Some(found) = &found {
            let groups: Vec<&str> = found.database.security_groups.iter().map(String::as_str).collect();
            others = used_by(found, &self.security_groups.rules_of(&groups).await?);
        }
        Ok(DatabaseWire {
            state: found.as_ref().map_or_else(|| "missing".to_owned(), |found| found.status.clone()),
            settings: Settings::Attached(attached).into(),
            live: found.map(|found| LiveWire {
                identifier: found.identifier,
                status: found.status,
                endpoint: found.database.endpoint.map(EndpointWire::from),
                engine_version: Some(found.engine_version),
                instance_class: found.instance_class,
                storage_gib: None,
                max_storage_gib: None,
                shown: Map::new(),
                deletion_protection: None,
                maintenance_window: None,
                pending: None,
            }),
            changeable: ChangeableWire {
                sources: vec!["attached"],
                instance_class: false,
                storage: false,
                storage_earliest: None,
                min_storage_gib: StorageGiB::MIN.get(),
                max_storage_gib: StorageGiB::MAX.get(),
                engine_versions: Vec::new(),
                database_name: at_rest,
            },
            login: None,
            used_by: others.iter().filter(|other| *other != stage).map(ToString::to_string).collect(),
        })
    }
}

fn own_live(identifier: String, instance: Instance) -> LiveWire {
    let pending = instance.pending;
    let is_pending = pending != database::Pending::default();
    LiveWire {
        identifier,
        status: instance.status.to_string(),
        endpoint: instance.endpoint.map(EndpointWire::from),
        engine_version: instance.engine_version.map(|version| version.to_string()),
        instance_class: Some(instance.instance_class),
        storage_gib: Some(instance.storage_gib),
        max_storage_gib: instance.max_storage_gib,
        shown: instance.shown.into_json(),
        deletion_protection: Some(instance.deletion_protection),
        maintenance_window: instance.maintenance_window,
        pending: is_pending.then(|| PendingWire {
            instance_class: pending.instance_class,
            storage_gib: pending.storage_gib,
            shown: pending.shown.into_json(),
            engine_version: pending.engine_version.map(|version| version.to_string()),
        }),
    }
}
