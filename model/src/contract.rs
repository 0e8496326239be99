//! What both the model and the local AWS must do, said once, over the project's own adapters. Where the two differ from each
//! other or from AWS, AWS wins, and the difference stands in the crate's documentation.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws::{
    ChangeError, Credentials, Databases, Executions, Lookup, PutError, Rebuilt, SdkConfig, SecretValue,
    Secrets, Services, Stacks, Started, WriteError,
};
use database::{
    Apply, BackupRetention, Changes, Created, Generation, Instance, Owner, SnapshotId, SnapshotStatus, Stage,
    Status,
};
use serde_json::json;

use crate::{
    connector::Seat,
    functions::{self, Kind, Process},
    history,
    plan::Plan,
    services::{ecs, states::MACHINE},
    world::Model,
};

/// An AWS, and what is there already: a stage that was registered and has no database.
#[derive(Debug, Clone)]
pub struct Ground {
    /// How to reach it.
    pub config: SdkConfig,
    /// The stage.
    pub stage: Stage,
    /// Its secret's ARN or name.
    pub secret: String,
    /// The DB subnet group of its stack.
    pub subnet_group: String,
    /// The security group of its stack.
    pub security_group: String,
    /// The cluster, the service and the container of its stack.
    pub service: (String, String, String),
    /// The state machine.
    pub state_machine: String,
}

/// Runs a check against the model.
///
/// # Panics
/// The check fails.
pub fn in_the_model<F: Future<Output = ()>>(check: impl FnOnce(Ground) -> F) {
    fastrand::seed(0);
    let runtime = history::timeless();
    runtime.block_on(async {
        let plan = Plan::calm();
        let model = Model::new(plan, None, false);
        history::register_at_rest(&model, 1).await;
        let (name, physical) = {
            let world = model.world();
            let stack = world.stacks.all.values().next().unwrap();
            let ids =
                stack.resources.iter().map(|(name, resource)| (name.clone(), resource.physical_id.clone()));
            (stack.name.clone(), ids.collect::<BTreeMap<_, _>>())
        };
        let config = functions::config(&Seat::of(&model, &Process::new(Kind::SettingsApi)));
        check(Ground {
            config,
            stage: Stage { stack: "shop".try_into().unwrap(), stage: "dev".try_into().unwrap() },
            secret: physical["Secret"].clone(),
            subnet_group: physical["SubnetGroup"].clone(),
            security_group: physical["DatabaseSecurityGroup"].clone(),
            service: (ecs::CLUSTER.to_owned(), name, ecs::CONTAINER.to_owned()),
            state_machine: MACHINE.to_owned(),
        })
        .await;
        model.world().warm.clear();
        drop(Arc::clone(&model));
    });
}

/// Versions, labels and tokens of a secret.
///
/// # Panics
/// They are not as they should be.
pub async fn secrets(ground: &Ground) {
    let secrets = Secrets::new(&ground.config);
    let arn = &ground.secret;
    assert_eq!(secrets.labelled(arn, "generation-none").await.unwrap(), None, "a label that no version has");

    let password = secrets.random_password().await.unwrap();
    assert_eq!(password.expose().len(), 32);
    assert!(!password.expose().contains(['/', '"', '@', ' ']));
    let first = SecretValue::without_database(Credentials { username: "postgres".to_owned(), password });
    let token = |digit: &str| digit.repeat(64);
    let value = async |label: &str| secrets.labelled(arn, label).await.unwrap().map(|version| version.value);
    secrets.put_aside(arn, &token("1"), &first, "generation-1").await.unwrap();
    secrets.put_aside(arn, &token("1"), &first, "generation-1").await.expect("the same again is a success");
    assert_eq!(value("generation-1").await, Some(first.clone()));
    let second = SecretValue { host: Some("db".to_owned()), ..first.clone() };
    let again = secrets.put_aside(arn, &token("1"), &second, "generation-1").await;
    assert!(matches!(again, Err(PutError::PutBefore)), "another value under the same token");

    assert_eq!(secrets.publish(arn, &token("2"), &second).await.unwrap(), token("2"), "its version");
    assert_eq!(secrets.publish(arn, &token("2"), &second).await.unwrap(), token("2"), "a repeat");
    let current = secrets.current(arn).await.unwrap().expect("what clients read");
    assert_eq!((current.id, current.value), (token("2"), second.clone()), "the newest is current");
    assert_eq!(value("generation-1").await, Some(first.clone()), "a label stays with its version");

    secrets.put_aside(arn, &token("3"), &first, "generation-2").await.unwrap();
    assert_eq!(value("AWSCURRENT").await, Some(second.clone()), "what is put aside is not what clients read");
    secrets.publish(arn, &token("4"), &first).await.unwrap();
    assert_eq!(value("AWSCURRENT").await, Some(first.clone()));
    assert_eq!(value("AWSPREVIOUS").await, Some(second.clone()), "the one before is previous");

    // A label moves from version to version.
    secrets.put_aside(arn, &token("5"), &second, "generation-1").await.unwrap();
    assert_eq!(value("generation-1").await, Some(second.clone()));

    let in_use = ["generation-1".to_owned()];
    for number in 10..24 {
        secrets.forget_old_generations(arn, &in_use).await.unwrap();
        let label = format!("generation-{number}");
        let put = secrets.put_aside(arn, &format!("{number:064}"), &second, &label).await;
        put.expect("room for one more label");
    }
    assert_eq!(value("generation-1").await, Some(second), "what is in use stays");
    assert_eq!(value("generation-10").await, None, "what is old goes");
}

/// The life of an instance, and what RDS refuses in it.
///
/// # Panics
/// It is not as it should be.
pub async fn databases(ground: &Ground) {
    let databases = Databases::new(&ground.config);
    let stage = Stage { stage: "contract".try_into().unwrap(), ..ground.stage.clone() };
    let identifier = stage.identifier();
    let owner = Owner { stage_stack_id: "arn:stage-stack".to_owned(), logical_id: "Database".to_owned() };
    let created = created(ground);
    let credentials =
        Credentials { username: "postgres".to_owned(), password: "Password-1".to_owned().into() };
    let observe = async || databases.instance(&identifier).await.unwrap();
    assert!(observe().await.is_none(), "no instance of that identifier");
    let missing = databases.modify(&identifier, &protection(true)).await;
    assert!(
        matches!(missing, Err(WriteError::ObserveAgain(_))),
        "a change of what is not there: {missing:?}"
    );

    databases.create(&stage, &owner, &created, &credentials).await.unwrap();
    let half_made = observe().await.expect("it is there at once");
    assert_eq!(half_made.status, Status::Creating);
    assert!(!half_made.was_available);
    assert_eq!(half_made.owner.as_ref(), Some(&owner));
    assert_eq!(half_made.generation.as_ref(), Some(&created.generation));
    let twice = databases.create(&stage, &owner, &created, &credentials).await;
    assert!(matches!(twice, Err(WriteError::ObserveAgain(_))), "the identifier exists once: {twice:?}");
    let last = SnapshotId::final_of(&identifier, &created.generation, 1);
    let early = databases.delete(&identifier, Some(&last)).await;
    assert!(matches!(early, Err(WriteError::ObserveAgain(_))), "no final snapshot while creating: {early:?}");

    let made = usable(&databases, &identifier).await;
    assert!(made.was_available && made.endpoint.is_some() && !made.deletion_protection);
    assert_eq!((made.instance_class.as_str(), made.storage_gib), ("db.t4g.micro", 20));
    assert_eq!(made.database_name.as_deref(), Some("app"));

    databases.modify(&identifier, &protection(true)).await.unwrap();
    let protected = usable(&databases, &identifier).await;
    assert!(protected.deletion_protection);
    let refused = databases.delete(&identifier, Some(&last)).await;
    assert!(matches!(refused, Err(WriteError::Refused(_))), "protected: {refused:?}");
    let shrunk =
        databases.modify(&identifier, &Changes { storage_gib: Some(10), ..Changes::default() }).await;
    assert!(matches!(shrunk, Err(WriteError::Refused(_))), "storage does not shrink: {shrunk:?}");

    let class = Some("db.t4g.small".to_owned().try_into().unwrap());
    let changes = Changes { instance_class: class, storage_gib: Some(40), ..Changes::default() };
    databases.modify(&identifier, &changes).await.unwrap();
    until(&databases, &identifier, |instance| {
        instance.is_some_and(|i| i.storage_gib == 40 && i.instance_class == "db.t4g.small" && is_usable(i))
    })
    .await;

    databases.modify(&identifier, &protection(false)).await.unwrap();
    usable(&databases, &identifier).await;
    databases.delete(&identifier, Some(&last)).await.unwrap();
    let again = databases.delete(&identifier, Some(&last)).await;
    assert!(matches!(again, Err(WriteError::ObserveAgain(_))), "a repeat: {again:?}");
    until(&databases, &identifier, |instance| instance.is_none()).await;
    let snapshots = databases.snapshots(&identifier).await.unwrap();
    let snapshot = snapshots.iter().find(|snapshot| snapshot.id == last).expect("the final snapshot");
    assert_eq!(snapshot.status, SnapshotStatus::Available, "before the instance is gone");
    assert_eq!(
        (snapshot.owner.as_ref(), snapshot.generation.as_ref()),
        (Some(&owner), Some(&created.generation))
    );

    let none = SnapshotId::final_of(&identifier, &created.generation, 9);
    let missing = databases.restore(&stage, &owner, &created, &none, true).await;
    assert!(matches!(missing, Err(WriteError::Refused(_))), "no such snapshot: {missing:?}");
    databases.restore(&stage, &owner, &created, &last, true).await.unwrap();
    let restored = usable(&databases, &identifier).await;
    assert_eq!(restored.storage_gib, 40, "the storage of the snapshot");
    assert_eq!(restored.instance_class, "db.t4g.micro", "the class of the call");
    assert_eq!(restored.database_name.as_deref(), Some("app"));

    let taken = databases.delete(&identifier, Some(&last)).await;
    assert!(matches!(taken, Err(WriteError::ObserveAgain(_))), "a snapshot of that name exists: {taken:?}");
    databases.delete(&identifier, None).await.unwrap();
    until(&databases, &identifier, |instance| instance.is_none()).await;
}

fn created(ground: &Ground) -> Created {
    Created {
        generation: Generation::try_from("20261122-135501".to_owned()).unwrap(),
        instance_class: "db.t4g.micro".to_owned().try_into().unwrap(),
        storage: 20.try_into().unwrap(),
        database_name: "app".to_owned().try_into().unwrap(),
        engine_version: "17".to_owned().try_into().unwrap(),
        max_storage: None,
        multi_az: false,
        backup_retention: BackupRetention::DEFAULT,
        apply: Apply::Now,
        from_snapshot: None,
        subnet_group: ground.subnet_group.clone(),
        security_group: ground.security_group.clone(),
    }
}

fn protection(on: bool) -> Changes {
    Changes { deletion_protection: Some(on), ..Changes::default() }
}

fn is_usable(instance: &Instance) -> bool {
    matches!(instance.status, Status::Usable { .. }) && instance.endpoint.is_some()
}

async fn usable(databases: &Databases, identifier: &str) -> Instance {
    until(databases, identifier, |instance| instance.is_some_and(is_usable)).await.unwrap()
}

/// Waits until the instance is as wanted, which it must be after some minutes.
async fn until(
    databases: &Databases,
    identifier: &str,
    wanted: impl Fn(Option<&Instance>) -> bool,
) -> Option<Instance> {
    for _ in 0..3000 {
        let instance = databases.instance(identifier).await.unwrap();
        if wanted(instance.as_ref()) {
            return instance;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(wanted(None), "{identifier} did not get where it should be");
    None
}

/// What is found of stacks, and what an update says that changes nothing.
///
/// # Panics
/// It is not as it should be.
pub async fn stacks(ground: &Ground) {
    let stacks = Stacks::new(&ground.config);
    assert_eq!(stacks.stack("there-is-none").await.unwrap(), Lookup::Missing);
    let name = ground.stage.stage_stack_name();
    let Lookup::Found(stack) = stacks.stack(&name).await.unwrap() else {
        unreachable!("the stage is registered")
    };
    assert_eq!(stack.stage, ground.stage);
    assert_eq!(stack.status_text, "CREATE_COMPLETE");
    assert_eq!(stacks.stack(&stack.id).await.unwrap(), Lookup::Found(stack.clone()), "by its ARN, too");
    let page = stacks.page(None).await.unwrap();
    assert!(page.stacks.iter().any(|found| found.id == stack.id));
    let events = stacks.events(&stack.id, Some("Connection")).await.unwrap();
    assert!(
        events.first().is_some_and(|event| event.is_stack && event.status == "CREATE_COMPLETE"),
        "newest first"
    );

    let template = include_str!("../../stage.yaml");
    let update = async |parameters| {
        stacks.update(&stack.id, template, parameters, "arn:aws:iam::000000000000:role/none", "token-1").await
    };
    let same = update(&stack.parameters).await;
    assert!(matches!(same, Err(ChangeError::NoChange)), "{same:?}");
    let exists = stacks
        .create(&ground.stage, template, &stack.parameters, "arn:aws:iam::000000000000:role/none", "token-2")
        .await;
    assert!(matches!(exists, Err(ChangeError::Exists(_))), "{exists:?}");
}

/// A service, its task definition, a new revision and the note on it.
///
/// # Panics
/// They are not as they should be.
pub async fn services(ground: &Ground) {
    let services = Services::new(&ground.config);
    let (cluster, name, container) = &ground.service;
    assert_eq!(services.service("there-is-none", name).await.unwrap(), None, "no such cluster");
    assert_eq!(services.service(cluster, "there-is-none").await.unwrap(), None, "no such service");
    let before = services.service(cluster, name).await.unwrap().expect("the service of the stage");
    assert!(before.subnets.len() >= 2 && before.is_deployed_by_ecs && before.has_long_arn());
    assert!(services.task_definition("there-is-none:1").await.unwrap_err().refused);

    let definition = services.task_definition(&before.task_definition_arn).await.unwrap();
    let variables = definition.container(container).expect("the container of the stage");
    let mut secrets = variables.secrets.clone();
    secrets
        .push(database::SecretReference { name: "CONTRACT".to_owned(), value_from: ground.secret.clone() });
    let revision = services.register(definition, container, &secrets).await.unwrap();
    assert_ne!(revision, before.task_definition_arn);
    let registered = services.task_definition(&revision).await.unwrap();
    let registered = registered.container(container).unwrap();
    assert_eq!(
        (registered.environment, registered.secrets),
        (variables.environment, secrets),
        "nothing else changed"
    );

    services.redeploy(cluster, name, Some(revision.clone())).await.unwrap();
    let rebuilt = Rebuilt {
        stage: ground.stage.to_string(),
        operation: "2026-11-22T12:00:00Z".to_owned(),
        secret_version: "1".repeat(64),
    };
    services.mark_rebuilt(&before.arn, &rebuilt).await.unwrap();
    let after = services.service(cluster, name).await.unwrap().unwrap();
    assert_eq!((after.task_definition_arn, after.rebuilt), (revision, Some(rebuilt)));
    // As it was: the stage has no database.
    services.redeploy(cluster, name, Some(before.task_definition_arn)).await.unwrap();
}

/// Executions have names that are used once.
///
/// # Panics
/// They have not.
pub async fn executions(ground: &Ground) {
    let executions = Executions::new(&ground.config, ground.state_machine.clone());
    // Without anybody to answer, it is tried for a while and fails.
    let input = json!({"request": {}});
    let (first, second) = ("contract-1", "contract-2");
    assert_eq!(executions.start(first, &input).await.unwrap(), Started::Now);
    assert_eq!(executions.start(first, &input).await.unwrap(), Started::Now, "it runs, so this is a repeat");
    let other = json!({"request": {"RequestId": "another"}});
    assert_eq!(executions.start(first, &other).await.unwrap(), Started::Before, "its name is used");
    assert_eq!(executions.start(second, &other).await.unwrap(), Started::Now);
}
