//! Planning a save of a database that stagedb creates and owns.

use aws::StageStack;
use database::{
    Apply, CreatedSettings, EngineVersion, Instance, Login, Objection, Settings, Situation, SnapshotId,
    Status, check_change, check_creation, check_restoration, creation,
};

use super::{
    plan::{Plan, parameters},
    wish::CreatedWish,
};
use crate::{
    api::{Call, SettingsApi},
    response::{FieldError, Problem},
    stage_stack::{begun_by, generation, settings},
};

impl SettingsApi {
    /// What a save of a database that stagedb owns does, or why it's refused.
    pub(super) async fn plan_created(
        &self,
        stack: &StageStack,
        wish: CreatedWish,
        call: &Call,
    ) -> Result<Plan, Problem> {
        match settings(stack)? {
            Settings::Created(current) => self.plan_change(stack, current, wish, call).await,
            Settings::None => self.plan_creation(stack, wish, call).await,
            Settings::Attached(attached) => Err(Problem::conflict(format!(
                "The database {} is attached to the stage. Remove it from the stage first with DELETE \
                 /api/stacks/{}/stages/{}/database, which doesn't change the database itself. Then create a new database.",
                attached.target.identifier, stack.stage.stack, stack.stage.stage
            ))),
        }
    }

    /// The stage's own instance. Another instance with the same identifier is an error.
    async fn own_instance(&self, stack: &StageStack) -> Result<Option<Instance>, Problem> {
        let identifier = stack.stage.identifier();
        let instance = self.databases.instance(&identifier).await?;
        if instance.as_ref().is_some_and(|instance| !instance.is_of_stack(&stack.id)) {
            return Err(Problem::conflict(format!(
                "The DB instance {identifier} already exists, and this stage didn't create it. Rename or delete it in RDS, or \
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
                "The DB instance {identifier} from an earlier creation still exists. It has the status {}, and GET \
                 /api/leftovers lists it. Delete it in RDS, with a final snapshot if you need its data, then save again.",
                instance.status
            )));
        }
        let snapshot = match wish.settings.from_snapshot.as_ref().and_then(Option::as_ref) {
            None => None,
            Some(id) => Some(self.snapshot_of(stack, id).await?),
        };
        let mut settings = wish.settings;
        let in_snapshot = snapshot.as_ref();
        settings.database_name =
            settings.database_name.or_else(|| in_snapshot.and_then(|s| s.database_name.clone()));
        if settings.database_name.is_none() {
            return Err(Problem::field(
                "/databaseName",
                "is required, because the snapshot doesn't say what it is",
            ));
        }
        settings.engine_version =
            settings.engine_version.or_else(|| in_snapshot.and_then(|s| s.engine_version));
        settings.engine_version.get_or_insert(self.configuration.engine_version);
        let desired = settings
            .complete()
            .map_err(|missing| Problem::field(&format!("/{}", missing.name), "is required"))?;
        let orderable = self.databases.orderable(&desired.instance_class, desired.engine_version).await?;
        if orderable.is_none() && !self.databases.offers(desired.engine_version).await? {
            return Err(Problem::field(
                "/engineVersion",
                "must be a PostgreSQL version that RDS offers in this Region",
            ));
        }
        let mut objections = check_creation(&desired, orderable);
        objections.extend(in_snapshot.map(|s| check_restoration(&desired, s)).unwrap_or_default());
        refuse(objections)?;
        let generation = begun_by(call)?;
        // A snapshot may have earlier passwords.
        let login = Login::after(stack.login().as_ref(), desired.app_login, false, &generation);
        let created = Settings::Created(desired.clone());
        let parameters = parameters(stack, &created, Some(&generation), login.as_ref());
        let changes = creation(&desired);
        let (settings, warnings) = (Settings::Created(desired), Vec::new());
        Ok(Plan { settings, changes, warnings, parameters, aside: None, seen: None, needed: true })
    }

    /// A snapshot of the stage, from any of its registrations.
    async fn snapshot_of(&self, stack: &StageStack, id: &SnapshotId) -> Result<database::Snapshot, Problem> {
        let snapshots = self.databases.snapshots(&stack.stage.identifier()).await?;
        let mut of_stage = snapshots.into_iter().filter(|s| s.stage.as_ref() == Some(&stack.stage));
        of_stage.find(|snapshot| snapshot.id == *id).ok_or_else(|| {
            let detail = format!(
                "must be a snapshot of this stage. GET /api/stacks/{}/stages/{}/snapshots lists them",
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
        let mut desired = wish.settings.over(&current);
        // Before the instance's status, which says less while a password is being changed.
        if desired.app_login != current.app_login {
            self.refuse_unless_settled(stack).await?;
            if current.app_login {
                self.refuse_while_master_changes(stack).await?;
            }
        }
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
            // RDS must offer the class for the new version, too.
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
                confirm: wish.confirm.as_ref().map(AsRef::as_ref),
            };
            changes = check_change(&current, &desired, situation)
                .map_err(|objections| refuse(objections).err().unwrap_or_else(Problem::changed_meanwhile))?;
            desired.engine_version =
                exact(desired.engine_version, current.engine_version, version, &upgrades);
            warnings = warnings_of(&current, &desired, live.as_ref());
        }
        let login = Login::after(stack.login().as_ref(), desired.app_login, true, &begun_by(call)?);
        let created = Settings::Created(desired.clone());
        Ok(Plan {
            parameters: parameters(stack, &created, generation(stack).as_ref(), login.as_ref()),
            needed: desired != current,
            settings: Settings::Created(desired),
            changes,
            warnings,
            aside: None,
            seen: None,
        })
    }
}

/// The version to request from RDS. A major version alone means the newest minor version that the live one can be
/// upgraded to, or no upgrade.
fn exact(
    wanted: EngineVersion,
    current: EngineVersion,
    live: Option<EngineVersion>,
    upgrades: &[EngineVersion],
) -> EngineVersion {
    let Some(live) = live else { return current };
    if wanted.is_reached_by(live) {
        // No upgrade. If it's lower than the one that waits for the maintenance window, that upgrade is canceled.
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
            "RDS has increased the storage to {} GiB. You can't decrease it.",
            live.storage_gib
        ));
    }
    let waits = live.is_some_and(|live| live.pending != database::Pending::default());
    if waits && desired.apply == Apply::Now {
        warnings.push("Changes that wait for the maintenance window are also made now.".to_owned());
    }
    if current.multi_az && !desired.multi_az {
        warnings.push(
            "Without a standby, the database is unavailable whenever its Availability Zone is.".to_owned(),
        );
    }
    warnings
}

/// All objections as one problem. An objection about the state of the database comes first, because changing a field
/// wouldn't help.
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
