//! The core: what happens to a database next.
//!
//! Every call observes and decides from scratch. So a repeat, a crash after any call, and a lost reply all lead to the
//! same result. Nothing is remembered between two calls except what RDS itself shows.

use crate::{
    Apply, AttachmentTarget, Attributes, Changes, Clock, Created, DatabaseAttributes, Desired, EngineVersion,
    GIVE_UP_AFTER, Instance, Observed, Operation, Refusal, Request, Snapshot, SnapshotId, SnapshotStatus,
    Status, Step,
    differences::{Differences, differences, is_as_desired},
    step::{QUICK_LOOK, SLOW_LOOK},
};

/// The next step toward what a request asks for.
#[must_use]
pub fn next_step(request: &Request, observed: &Observed, clock: Clock) -> Step {
    let step = match (&request.desired, request.operation) {
        (_, Operation::Delete) | (Desired::None, Operation::Create | Operation::Update) => {
            towards_none(request, observed, clock)
        }
        (Desired::Created(created), Operation::Create | Operation::Update) => {
            towards_created(request, created, observed, clock)
        }
        (Desired::Attached(attached), Operation::Create | Operation::Update) => {
            towards_attached(request, attached, observed)
        }
    };
    match step {
        Step::Finish(_) | Step::Refuse(_) => step,
        // Nothing starts once CloudFormation would no longer wait for it.
        _ if clock.elapsed >= GIVE_UP_AFTER => Step::Refuse(Refusal::GaveUp(request.stage.identifier())),
        step => step,
    }
}

fn towards_none(request: &Request, observed: &Observed, clock: Clock) -> Step {
    let gone = Step::Finish(Attributes { database: None });
    let identifier = request.stage.identifier();
    let Some((instance, generation)) = observed
        .instance
        .as_ref()
        .filter(|instance| instance.is_of(&request.owner))
        .and_then(|instance| Some((instance, instance.generation.as_ref()?)))
    else {
        // There is no instance, or it isn't ours. Either way, nothing of ours is left.
        return gone;
    };
    match &instance.status {
        // RDS has accepted the deletion. The final snapshot of a large database takes hours, so only the deletion of
        // the whole stage stack waits: its subnet group and security group are in use until the end.
        Status::Deleting if request.operation == Operation::Delete => wait(clock),
        Status::Deleting => gone,
        Status::Creating | Status::InProgress(_) => wait(clock),
        Status::Stopped => Step::Refuse(Refusal::Stopped(identifier)),
        Status::Failed(status) if instance.was_available => {
            Step::Refuse(Refusal::NoFinalSnapshot { identifier, status: status.clone() })
        }
        Status::Failed(_) | Status::Usable { .. } if instance.deletion_protection => {
            // RDS removes the protection immediately anyway, and other changes keep waiting for the maintenance window.
            let apply = Apply::MaintenanceWindow;
            Step::Modify(Changes { deletion_protection: Some(false), apply, ..Changes::default() })
        }
        Status::Failed(_) => Step::Delete { final_snapshot: None },
        Status::Usable { .. } => {
            let Some(snapshots) = &observed.snapshots else { return Step::ObserveSnapshots };
            let number_of = |snapshot: &Snapshot| snapshot.id.number_of(&identifier, generation);
            let last = snapshots.iter().filter_map(number_of).max().unwrap_or(0);
            let next = SnapshotId::final_of(&identifier, generation, last.saturating_add(1));
            Step::Delete { final_snapshot: Some(next) }
        }
    }
}

/// An attached database is only looked at: its endpoint is the same in every status.
fn towards_attached(request: &Request, attached: &AttachmentTarget, observed: &Observed) -> Step {
    let is_ours = |i: &&Instance| i.is_of(&request.owner) && i.status != Status::Deleting;
    if observed.instance.as_ref().is_some_and(|i| is_ours(&i)) {
        return Step::Refuse(Refusal::RemoveFirst(request.stage.identifier()));
    }
    let found = observed.attached.as_ref();
    let Some((database, endpoint)) = found.and_then(|database| Some((database, database.endpoint.clone()?)))
    else {
        let (kind, identifier) = (attached.kind, attached.identifier.clone());
        return Step::Refuse(Refusal::AttachedMissing { kind, identifier });
    };
    Step::Finish(Attributes {
        database: Some(DatabaseAttributes {
            identifier: attached.identifier.to_string(),
            endpoint,
            database_name: attached.database_name.to_string(),
            access_group: database.security_groups.first().cloned(),
        }),
    })
}

fn towards_created(request: &Request, created: &Created, observed: &Observed, clock: Clock) -> Step {
    let identifier = request.stage.identifier();
    let Some(instance) = &observed.instance else {
        return towards_first_instance(request, created, observed, clock);
    };
    if !instance.is_of(&request.owner) {
        return Step::Refuse(Refusal::Foreign(identifier));
    }
    if instance.status == Status::Deleting {
        return wait(clock);
    }
    if instance.generation.as_ref() != Some(&created.generation) {
        return Step::Refuse(Refusal::EarlierGeneration(identifier));
    }
    match &instance.status {
        Status::Usable { .. }
            if instance.database_name.is_some() && !instance.holds(&created.settings.database_name) =>
        {
            Step::Refuse(Refusal::DatabaseName(identifier))
        }
        // Restored from a snapshot of another generation, whose password it still has.
        Status::Usable { .. } if instance.pending.password => wait(clock),
        Status::Usable { .. } if instance.credentials.as_ref() != Some(&created.generation) => {
            Step::SetPassword(created.generation.clone())
        }
        Status::Usable { optimizing } => match differences(request, instance, created, clock) {
            Differences::Changes(changes) if changes.storage_gib.is_some() && *optimizing => {
                Step::Refuse(Refusal::Optimizing(identifier))
            }
            Differences::Changes(changes) => Step::Modify(changes),
            Differences::Upgrade(version) => upgrade(request, instance, created, version, observed, clock),
            Differences::ToCome => wait(clock),
            Differences::None => finish(identifier, instance, created, clock),
        },
        Status::Creating | Status::InProgress(_) | Status::Deleting => wait(clock),
        // Nothing has to change, as in a rollback. Then the bad status isn't this request's failure.
        Status::Stopped | Status::Failed(_) if is_as_desired(request, instance, created, clock) => {
            finish(identifier, instance, created, clock)
        }
        Status::Stopped => Step::Refuse(Refusal::Stopped(identifier)),
        Status::Failed(status) => Step::Refuse(Refusal::Failed { identifier, status: status.clone() }),
    }
}

/// There is no instance. Existing data is restored. Only a new generation starts empty, or with the snapshot that the
/// user chose.
fn towards_first_instance(request: &Request, created: &Created, observed: &Observed, clock: Clock) -> Step {
    let Some(snapshots) = &observed.snapshots else { return Step::ObserveSnapshots };
    let identifier = request.stage.identifier();
    let number = |s: &Snapshot| s.id.number_of(&identifier, &created.generation);
    let is_ours = |s: &&Snapshot| {
        s.owner.as_ref() == Some(&request.owner) && s.generation.as_ref() == Some(&created.generation)
    };
    let finals = snapshots.iter().filter(is_ours).filter_map(|s| Some((number(s)?, s)));
    if let Some((_, newest)) = finals.max_by_key(|(number, _)| *number) {
        return restore(created, newest, Refusal::DataMissing(identifier), clock);
    }
    if request.previous.generation.as_ref() == Some(&created.generation) {
        return Step::Refuse(Refusal::DataMissing(identifier));
    }
    if request.previous.is_attached {
        return Step::Refuse(Refusal::DetachFirst);
    }
    let Some(id) = &created.settings.from_snapshot else {
        return Step::Create(created.clone());
    };
    let chosen = snapshots.iter().find(|s| s.id == *id && s.stage.as_ref() == Some(&request.stage));
    match chosen {
        Some(chosen) => restore(created, chosen, Refusal::SnapshotMissing(id.clone()), clock),
        None => Step::Refuse(Refusal::SnapshotMissing(id.clone())),
    }
}

fn restore(created: &Created, snapshot: &Snapshot, otherwise: Refusal, clock: Clock) -> Step {
    match snapshot.status {
        SnapshotStatus::Available => Step::Restore {
            created: created.clone(),
            snapshot: snapshot.id.clone(),
            has_credentials: snapshot.credentials.as_ref() == Some(&created.generation),
        },
        SnapshotStatus::Creating => wait(clock),
        SnapshotStatus::Failed => Step::Refuse(otherwise),
    }
}

/// A major version can't be downgraded, so a snapshot is taken first.
fn upgrade(
    request: &Request,
    instance: &Instance,
    created: &Created,
    version: EngineVersion,
    observed: &Observed,
    clock: Clock,
) -> Step {
    let modify = Step::Modify(Changes {
        engine_version: Some(version),
        apply: created.settings.apply,
        ..Changes::default()
    });
    if instance.engine_version.is_some_and(|live| live.major() == version.major()) {
        return modify;
    }
    let Some(snapshots) = &observed.snapshots else { return Step::ObserveSnapshots };
    let identifier = request.stage.identifier();
    let id = SnapshotId::before_upgrade(&identifier, &created.generation, version, &request.token);
    match snapshots.iter().find(|s| s.id == id).map(|s| s.status) {
        None => Step::Snapshot(id),
        Some(SnapshotStatus::Creating) => wait(clock),
        Some(SnapshotStatus::Available) => modify,
        Some(SnapshotStatus::Failed) => Step::Refuse(Refusal::SnapshotFailed(id)),
    }
}

fn finish(identifier: String, instance: &Instance, created: &Created, clock: Clock) -> Step {
    let Some(endpoint) = instance.endpoint.clone() else {
        return wait(clock);
    };
    let database_name = created.settings.database_name.to_string();
    Step::Finish(Attributes {
        database: Some(DatabaseAttributes { identifier, endpoint, database_name, access_group: None }),
    })
}

/// Waits a quarter of the time that has passed. So a quick change is seen soon, and no change takes much longer because
/// of the wait.
fn wait(clock: Clock) -> Step {
    Step::Wait((clock.elapsed / 4).clamp(QUICK_LOOK, SLOW_LOOK))
}
