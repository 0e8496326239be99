//! What a Save would do: the one way that `PUT …/database` and its preview share.

use std::collections::BTreeMap;

use aws::{SecretValue, StageStack};
use database::{
    Apply, BackupRetention, Change, CreatedSettings, EngineVersion, Generation, Instance, Objection,
    Settings, Situation, SnapshotId, Status, check_change, check_creation, check_restoration, creation,
};

use crate::{
    Call, SettingsApi,
    containers::{conflict_in_words, conflicts},
    problem::{FieldError, Problem},
    stage::{begun_by, generation, settings},
    wish::{CreatedWish, Wish},
};

/// What a Save does.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The settings afterwards.
    pub(crate) settings: Settings,
    /// What happens, setting by setting.
    pub(crate) changes: Vec<Change>,
    /// What a person should know although nothing is wrong.
    pub(crate) warnings: Vec<String>,
    /// The parameters of the stage stack afterwards.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The typed credentials, to be put where the rebuild finds them.
    pub(crate) aside: Option<Aside>,
    /// Whether the settings change at all.
    pub(crate) needed: bool,
}

/// A value for a stage's secret that no client reads yet.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) arn: String,
    pub(crate) value: SecretValue,
    /// The staging label of the generation that begins.
    pub(crate) label: String,
    /// The labels that stay, whatever their age.
    pub(crate) in_use: Vec<String>,
}

impl SettingsApi {
    /// What a Save would do, or why it is refused.
    pub(crate) async fn plan(&self, stack: &StageStack, wish: Wish, call: &Call) -> Result<Plan, Problem> {
        let plan = match wish {
            Wish::Created(wish) => self.plan_created(stack, wish, call).await?,
            Wish::Attached(wish) => self.plan_attachment(stack, wish, call).await?,
        };
        if !plan.needed {
            return Ok(plan);
        }
        match self.observe_containers(stack).await? {
            Err(words) => Err(Problem::conflict(words)),
            Ok(observed) => match conflicts(stack, &observed.variables).as_slice() {
                [] => Ok(plan),
                conflicts => Err(Problem::conflict(conflict_in_words(conflicts))),
            },
        }
    }

    async fn plan_created(
        &self,
        stack: &StageStack,
        wish: CreatedWish,
        call: &Call,
    ) -> Result<Plan, Problem> {
        match settings(stack) {
            Settings::Created(current) => self.plan_change(stack, current, wish, call).await,
            Settings::None => self.plan_creation(stack, wish, call).await,
            Settings::Attached(attached) => Err(Problem::conflict(format!(
                "The stage has the database {} attached. Remove it from the stage first, with DELETE \
                 /api/stacks/{}/stages/{}/database, which leaves it as it is; then create a new one.",
                attached.identifier, stack.stage.stack, stack.stage.stage
            ))),
        }
    }

    /// The stage's own instance. One of its identifier that is somebody else's is in the way.
    async fn own_instance(&self, stack: &StageStack) -> Result<Option<Instance>, Problem> {
        let identifier = stack.stage.identifier();
        let instance = self.databases.instance(&identifier).await?;
        let is_foreign = |i: &Instance| i.owner.as_ref().is_none_or(|owner| owner.stage_stack_id != stack.id);
        if instance.as_ref().is_some_and(is_foreign) {
            return Err(Problem::conflict(format!(
                "The DB instance {identifier} already exists and was not made by this stage. Rename or remove it in RDS, or \
                 choose another name for the stack or the stage."
            )));
        }
        Ok(instance)
    }

    async fn plan_creation(
        &self,
        stack: &StageStack,
        wish: CreatedWish,
        call: &Call,
    ) -> Result<Plan, Problem> {
        let identifier = stack.stage.identifier();
        if let Some(instance) = self.own_instance(stack).await?
            && instance.status != Status::Deleting
        {
            return Err(Problem::conflict(format!(
                "The DB instance {identifier} of an earlier creation is still there, in the status {}. GET /api/leftovers shows \
                 it. Delete it in RDS, with a final snapshot if its data is needed, then save again.",
                instance.status
            )));
        }
        let snapshot = match &wish.from_snapshot {
            None => None,
            Some(id) => Some(self.snapshot_of(stack, id).await?),
        };
        let in_snapshot = snapshot.as_ref();
        let Some(database_name) =
            wish.database_name.or_else(|| in_snapshot.and_then(|s| s.database_name.clone()))
        else {
            return Err(Problem::field("/databaseName", "is required, as the snapshot does not say it"));
        };
        let default_version = self.configuration.engine_version;
        let engine_version = wish.engine_version.or_else(|| in_snapshot.and_then(|s| s.engine_version));
        let desired = CreatedSettings {
            instance_class: wish.instance_class,
            storage: wish.storage,
            max_storage: wish.max_storage.or(None),
            multi_az: wish.multi_az.unwrap_or(false),
            backup_retention: wish.backup_retention.unwrap_or(BackupRetention::DEFAULT),
            engine_version: engine_version.unwrap_or(default_version),
            database_name,
            apply: wish.apply.unwrap_or_default(),
            from_snapshot: wish.from_snapshot,
        };
        let orderable = self.databases.orderable(&desired.instance_class, desired.engine_version).await?;
        if orderable.is_none() && !self.databases.offers(desired.engine_version).await? {
            return Err(Problem::field(
                "/engineVersion",
                "must be a PostgreSQL version that RDS offers here",
            ));
        }
        let mut objections = check_creation(&desired, orderable);
        objections.extend(in_snapshot.map(|s| check_restoration(&desired, s)).unwrap_or_default());
        refuse(objections)?;
        let generation = begun_by(call)?;
        let parameters = parameters(stack, &Settings::Created(desired.clone()), Some(&generation));
        let changes = creation(&desired);
        let (settings, warnings) = (Settings::Created(desired), Vec::new());
        Ok(Plan { settings, changes, warnings, parameters, aside: None, needed: true })
    }

    /// A snapshot of the stage, whichever registration of it made it.
    async fn snapshot_of(&self, stack: &StageStack, id: &SnapshotId) -> Result<database::Snapshot, Problem> {
        let snapshots = self.databases.snapshots(&stack.stage.identifier()).await?;
        let mut of_stage = snapshots.into_iter().filter(|s| s.stage.as_ref() == Some(&stack.stage));
        of_stage.find(|snapshot| snapshot.id == *id).ok_or_else(|| {
            let detail = format!(
                "must be a snapshot of this stage; GET /api/stacks/{}/stages/{}/snapshots lists them",
                stack.stage.stack, stack.stage.stage
            );
            Problem::field("/fromSnapshot", detail)
        })
    }

    async fn plan_change(
        &self,
        stack: &StageStack,
        current: CreatedSettings,
        wish: CreatedWish,
        call: &Call,
    ) -> Result<Plan, Problem> {
        let identifier = stack.stage.identifier();
        let mut desired = CreatedSettings {
            instance_class: wish.instance_class,
            storage: wish.storage,
            max_storage: wish.max_storage.or(current.max_storage),
            multi_az: wish.multi_az.unwrap_or(current.multi_az),
            backup_retention: wish.backup_retention.unwrap_or(current.backup_retention),
            engine_version: wish.engine_version.unwrap_or(current.engine_version),
            database_name: wish.database_name.unwrap_or_else(|| current.database_name.clone()),
            apply: wish.apply.unwrap_or(current.apply),
            from_snapshot: wish.from_snapshot.or_else(|| current.from_snapshot.clone()),
        };
        let mut changes = Vec::new();
        let mut warnings = Vec::new();
        if desired != current {
            let live = self.own_instance(stack).await?;
            let version = live.as_ref().and_then(|live| live.engine_version);
            let grows = live.as_ref().is_some_and(|live| desired.storage.get() > live.storage_gib);
            let storage_changed_at =
                if grows { self.databases.storage_changed_at(&identifier).await? } else { None };
            let upgrades = match version {
                Some(live) if !desired.engine_version.is_reached_by(live) => {
                    self.databases.upgrades(live).await?
                }
                _ => Vec::new(),
            };
            // The class must be there in the version to come, too.
            let to_come = exact(desired.engine_version, current.engine_version, version, &upgrades);
            let to_come = version.map_or(to_come, |live| live.max(to_come));
            let orderable = self.databases.orderable(&desired.instance_class, to_come).await?;
            let situation = Situation {
                identifier: &identifier,
                live: live.as_ref(),
                storage_changed_at,
                now: call.now,
                orderable,
                upgrades: &upgrades,
                confirm: wish.confirm.as_deref(),
            };
            changes = check_change(&current, &desired, situation)
                .map_err(|objections| refuse(objections).err().unwrap_or_else(Problem::changed_meanwhile))?;
            desired.engine_version =
                exact(desired.engine_version, current.engine_version, version, &upgrades);
            warnings = warnings_of(&current, &desired, live.as_ref());
        }
        Ok(Plan {
            parameters: parameters(stack, &Settings::Created(desired.clone()), generation(stack).as_ref()),
            needed: desired != current,
            settings: Settings::Created(desired),
            changes,
            warnings,
            aside: None,
        })
    }
}

/// The version to ask RDS for: a major version alone means the newest of it that the live one can be upgraded to, or
/// nothing new.
fn exact(
    wanted: EngineVersion,
    current: EngineVersion,
    live: Option<EngineVersion>,
    upgrades: &[EngineVersion],
) -> EngineVersion {
    let Some(live) = live else { return current };
    if wanted.is_reached_by(live) {
        // Nothing new; or less than what waits for the maintenance window, which is then cancelled.
        return if current.is_reached_by(live) { current } else { wanted };
    }
    let is_major = wanted.to_string() == wanted.major().to_string();
    let newest = upgrades.iter().filter(|offered| offered.major() == wanted.major()).max();
    newest.filter(|_| is_major).copied().unwrap_or(wanted)
}

fn warnings_of(current: &CreatedSettings, desired: &CreatedSettings, live: Option<&Instance>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(live) = live.filter(|live| live.storage_gib > desired.storage.get()) {
        warnings.push(format!(
            "The storage has grown to {} GiB by itself, and stays so: storage never shrinks.",
            live.storage_gib
        ));
    }
    let waits = live.is_some_and(|live| live.pending != database::Pending::default());
    if waits && desired.apply == Apply::Now {
        warnings.push("Changes that wait for the maintenance window are made now as well.".to_owned());
    }
    if current.multi_az && !desired.multi_az {
        warnings.push("Without a standby the database is away whenever its availability zone is.".to_owned());
    }
    warnings
}

/// All objections as one problem. What the state of the database forbids comes first: no other field would help.
fn refuse(objections: Vec<Objection>) -> Result<(), Problem> {
    if let Some(state) = objections.iter().find(|objection| objection.pointer.is_none()) {
        return Err(Problem::conflict(state.detail.clone()));
    }
    let error = |objection: Objection| {
        Some(FieldError { pointer: objection.pointer?.to_owned(), detail: objection.detail })
    };
    let errors: Vec<_> = objections.into_iter().filter_map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(errors)) }
}

/// The parameters of a stage stack with these settings.
pub(crate) fn parameters(
    stack: &StageStack,
    settings: &Settings,
    generation: Option<&Generation>,
) -> BTreeMap<String, String> {
    let mut parameters = stack.parameters.clone();
    let none = || "none".to_owned();
    let mut set = |name: &str, value: String| parameters.insert(name.to_owned(), value);
    set("Source", settings.source().to_owned());
    set("Generation", generation.map_or_else(none, ToString::to_string));
    match settings {
        Settings::None => {}
        Settings::Created(created) => {
            set("InstanceClass", created.instance_class.to_string());
            set("StorageGiB", created.storage.get().to_string());
            set("MaxStorageGiB", created.max_storage.map_or(0, |max| max.get()).to_string());
            set("MultiAz", created.multi_az.to_string());
            set("BackupRetentionDays", created.backup_retention.days().to_string());
            set("EngineVersion", created.engine_version.to_string());
            set("DatabaseName", created.database_name.to_string());
            set("Apply", created.apply.to_string());
            set("FromSnapshot", created.from_snapshot.as_ref().map_or_else(none, ToString::to_string));
        }
        Settings::Attached(attached) => {
            set("AttachedKind", attached.kind.as_str().to_owned());
            set("AttachedIdentifier", attached.identifier.to_string());
            set("DatabaseName", attached.database_name.to_string());
            set("CredentialsSecretArn", attached.secret_arn.as_ref().map_or_else(none, ToString::to_string));
        }
    }
    parameters
}
