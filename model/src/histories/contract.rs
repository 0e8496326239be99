//! What both the model and the local AWS must do, written once and checked through the project's own adapters. If the
//! two differ from each other or from AWS, AWS is right, and the difference is documented in this crate's README.md.

mod rds;

use std::{collections::BTreeMap, sync::Arc};

use aws::{
    ChangeError, Credentials, Executions, Lookup, Note, PutError, Rebuilt, SdkConfig, SecretValue, Secrets,
    Services, Stacks, Started, TaskDefinitions,
};
use database::Stage;
pub use rds::{RULES, databases};
use serde_json::json;
use settings_api::StageTemplate;

use crate::{
    base::kind::Kind,
    engine::{begin::begin, connector::Seat, functions},
    histories::history,
    plans::plan::Plan,
    services::{ecs, states::MACHINE},
    world::{
        model::{Model, World},
        process::Process,
    },
};

/// An AWS with a registered stage that has no database.
#[derive(Debug, Clone)]
pub struct Ground {
    /// How to connect to it.
    pub config: SdkConfig,
    /// The stage.
    pub stage: Stage,
    /// Its secret's ARN or name.
    pub secret: String,
    /// The DB subnet group of its stack.
    pub subnet_group: String,
    /// The security group of its stack.
    pub security_group: String,
    /// The cluster, service, and container of its stack.
    pub service: (String, String, String),
    /// The state machine.
    pub state_machine: String,
}

/// Runs a check against the model.
///
/// # Panics
/// If the check fails.
pub fn in_the_model<F: Future<Output = ()>>(check: impl FnOnce(Ground) -> F) {
    fastrand::seed(0);
    let runtime = history::timeless();
    runtime.block_on(async {
        let plan = Plan::calm();
        let model = Model::within(World::new(), plan, None, u64::MAX, begin);
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
        functions::end();
        drop(Arc::clone(&model));
    });
}

/// Checks the versions, labels, and tokens of a secret.
///
/// # Panics
/// If they don't behave as expected.
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
    secrets.put_aside(arn, &token("1"), &first, &["generation-1"]).await.unwrap();
    secrets.put_aside(arn, &token("1"), &first, &["generation-1"]).await.expect("repeating it succeeds");
    assert_eq!(value("generation-1").await, Some(first.clone()));
    let second = SecretValue { host: Some("db".to_owned()), ..first.clone() };
    let again = secrets.put_aside(arn, &token("1"), &second, &["generation-1"]).await;
    assert!(matches!(again, Err(PutError::PutBefore)), "another value under the same token");

    assert_eq!(secrets.publish(arn, &token("2"), &second).await.unwrap(), token("2"), "its version");
    assert_eq!(
        secrets.publish(arn, &token("2"), &second).await.unwrap(),
        token("2"),
        "repeating it returns the same version"
    );
    let current = secrets.current(arn).await.unwrap().expect("there is a current version");
    assert_eq!((current.id, current.value), (token("2"), second.clone()), "the newest version is current");
    assert_eq!(value("generation-1").await, Some(first.clone()), "a label stays with its version");

    secrets.put_aside(arn, &token("3"), &first, &["generation-2"]).await.unwrap();
    assert_eq!(
        value("AWSCURRENT").await,
        Some(second.clone()),
        "clients don't read a value that is put aside"
    );
    secrets.publish(arn, &token("4"), &first).await.unwrap();
    assert_eq!(value("AWSCURRENT").await, Some(first.clone()));
    assert_eq!(value("AWSPREVIOUS").await, Some(second.clone()), "the version before is the previous one");

    // A label can move from version to version.
    secrets.put_aside(arn, &token("5"), &second, &["generation-1"]).await.unwrap();
    assert_eq!(value("generation-1").await, Some(second.clone()));

    let in_use = ["generation-1".to_owned()];
    for number in 10..24 {
        secrets.forget_old_generations(arn, &in_use).await.unwrap();
        let label = format!("generation-{number}");
        let put = secrets.put_aside(arn, &format!("{number:064}"), &second, &[&label]).await;
        put.expect("room for one more label");
    }
    assert_eq!(value("generation-1").await, Some(second), "a label in use stays");
    assert_eq!(value("generation-10").await, None, "an old label is removed");
}

/// Checks how stacks are found, and how an update without changes is rejected.
///
/// # Panics
/// If they don't behave as expected.
pub async fn stacks(ground: &Ground) {
    let stacks = Stacks::new(&ground.config);
    assert_eq!(stacks.stack("there-is-none").await.unwrap(), Lookup::Missing);
    let name = ground.stage.stage_stack_name();
    let Lookup::Found(stack) = stacks.stack(&name).await.unwrap() else {
        unreachable!("the stage is registered")
    };
    assert_eq!(stack.stage, ground.stage);
    assert_eq!(stack.status_text, "CREATE_COMPLETE");
    assert_eq!(stacks.stack(&stack.id).await.unwrap(), Lookup::Found(stack.clone()), "also by its ARN");
    let page = stacks.page(None).await.unwrap();
    assert!(page.stacks.iter().any(|found| found.id == stack.id));
    let events = stacks.events(&stack.id, Some("Connection")).await.unwrap();
    assert!(
        events.first().is_some_and(|event| event.is_stack && event.status == "CREATE_COMPLETE"),
        "newest first"
    );

    let region = ground.config.region().map(AsRef::as_ref).unwrap_or_default();
    let template = &StageTemplate::new(region).body;
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

/// Checks a service, its task definition, a new revision, and its tag.
///
/// # Panics
/// If they don't behave as expected.
pub async fn services(ground: &Ground) {
    let (services, definitions) = (Services::new(&ground.config), TaskDefinitions::new(&ground.config));
    let (cluster, name, container) = &ground.service;
    assert_eq!(services.service("there-is-none", name).await.unwrap(), None, "no such cluster");
    assert_eq!(services.service(cluster, "there-is-none").await.unwrap(), None, "no such service");
    let before = services.service(cluster, name).await.unwrap().expect("the service of the stage");
    assert!(before.subnets.len() >= 2 && before.controller == "ECS" && before.has_long_arn());
    assert_eq!((before.cluster(), before.owner().as_ref()), (cluster.as_str(), Some(&ground.stage)));
    assert!(definitions.get("there-is-none:1").await.unwrap_err().refused);
    assert!(definitions.latest("there-is-none").await.unwrap().is_none());

    let definition = definitions.get(&before.task_definition_arn).await.unwrap();
    let variables = definition.container(container).expect("the container of the stage");
    let mut secrets = variables.secrets.clone();
    secrets
        .push(database::SecretReference { name: "CONTRACT".to_owned(), value_from: ground.secret.clone() });
    let copy = definitions.register(definition.clone(), container, &secrets).await.unwrap();
    let revision = copy.arn().to_owned();
    assert_ne!(revision, before.task_definition_arn);
    assert!(copy.is_same_except_for_secrets(&definition, container));
    let latest = definitions.latest(copy.family()).await.unwrap().expect("the new revision");
    assert_eq!((latest.arn(), latest.revision()), (revision.as_str(), definition.revision() + 1));
    let registered = definitions.get(&revision).await.unwrap();
    let registered = registered.container(container).unwrap();
    assert_eq!(
        (registered.environment, registered.secrets),
        (variables.environment, secrets),
        "nothing else changed"
    );

    let deployments = services.deploy(&before, &revision).await.unwrap();
    let primary = deployments.iter().find(|deployment| deployment.is_primary).expect("the new deployment");
    assert_eq!(primary.task_definition_arn, revision);
    let replaced = before.primary().expect("a deployment");
    assert!(
        deployments.iter().any(|d| d.id == replaced.id && !d.is_primary),
        "the replaced one is still listed"
    );
    let rebuilt = Rebuilt {
        stage: ground.stage.to_string(),
        operation: "2026-11-22T12:00:00Z".to_owned(),
        secret_version: "1".repeat(64),
        token: "request-1".to_owned(),
    };
    services.note(&before.arn, &[Note::Rebuilt(rebuilt.clone())]).await.unwrap();
    let after = services.service(cluster, name).await.unwrap().unwrap();
    assert_eq!(after.task_definition_arn, revision);
    assert_eq!(after.rebuilt(), Some(rebuilt));
    // Restore the previous state, because the stage has no database.
    services.deploy(&before, &before.task_definition_arn).await.unwrap();
}

/// Checks that execution names can be used only once.
///
/// # Panics
/// If they can be used more often.
pub async fn executions(ground: &Ground) {
    let executions = Executions::new(&ground.config, ground.state_machine.clone());
    // There is no one to answer, so it retries for a while and fails.
    let input = json!({"request": {}});
    let (first, second) = ("contract-1", "contract-2");
    assert_eq!(executions.start(first, &input).await.unwrap(), Started::Now);
    assert_eq!(
        executions.start(first, &input).await.unwrap(),
        Started::Now,
        "it is running, so repeating it succeeds"
    );
    let other = json!({"request": {"RequestId": "another"}});
    assert_eq!(executions.start(first, &other).await.unwrap(), Started::Before, "its name is used");
    assert_eq!(executions.start(second, &other).await.unwrap(), Started::Now);
}
