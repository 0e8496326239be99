//! `PUT /api/stacks/{stack}/stages/{stage}`: registers a stage, which makes its stack, without a database.

use std::collections::BTreeMap;

use aws::{ChangeError, Lookup};
use database::{Settings, StackStatus, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    fields::Body,
    problem::Problem,
    rebuild_post::Update,
    reply::Reply,
    stage::{
        generation, has_database, is_failed_registration, rebuild_path, refuse_unless_at_rest, settings,
    },
};

/// The template of every stage's stack.
pub(crate) const STAGE_TEMPLATE: &str = include_str!("../../../stage.yaml");

/// What a person says of a stage.
#[derive(Debug, PartialEq)]
struct Registration {
    vpc_id: String,
    cluster: String,
    service: String,
    container: String,
}

/// What is said of a registration.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegisteredWire {
    stack: String,
    stage: String,
    /// Where to see how far it is.
    rebuild: String,
}

impl SettingsApi {
    pub(crate) async fn put_stage(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let registration = registration(&call.body)?;
        let found = match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Missing => None,
            Lookup::Foreign => {
                return Err(Problem::conflict(format!(
                    "There is a CloudFormation stack {} already, which is not a stage's. Choose another name for the stack or \
                 the stage.",
                    stage.stage_stack_name()
                )));
            }
            Lookup::Found(stack) if stack.stage == *stage => Some(stack),
            Lookup::Found(stack) => {
                return Err(Problem::conflict(format!(
                    "The stage {} has the stack name {} already, which {stage} would have too. Choose another name for the stack or \
                 the stage.",
                    stack.stage,
                    stage.stage_stack_name()
                )));
            }
        };
        if let Some(stack) = found.as_ref().filter(|stack| is_failed_registration(stack)) {
            // Another token than that of the registration, which a repeat of this request may begin.
            let token = format!("clear-{}", call.token());
            self.stacks.delete(&stack.id, &self.configuration.stage_stack_role_arn, &token).await?;
            return Err(Problem::conflict(
                "The registration before this one failed, and what is left of it is being deleted. Register the stage again \
                 in a minute.",
            )
            .retry_after_seconds(20));
        }
        if found.is_none() && call.conditions.expects_something() {
            return Err(Problem::changed_meanwhile());
        }
        if let Some(stack) = &found
            && self.was_done(stack, call).await?
        {
            return Ok(registered(stage, Update::Begun));
        }
        let network = self.network(stage, &registration).await?;
        let mut parameters = match &found {
            None => self.parameters_without_database(stage),
            Some(stack) => stack.parameters.clone(),
        };
        if let Some(stack) = &found {
            refuse_unless_at_rest(stack)?;
            let had_database = settings(stack) != Settings::None || generation(stack).is_some();
            if had_database && stack.parameters.get("VpcId") != Some(&registration.vpc_id) {
                return Err(Problem::field("/vpcId", "cannot be changed once the stage has had a database"));
            }
            let has = |name, value: &String| stack.parameters.get(name) == Some(value);
            let same_container = has("Cluster", &registration.cluster)
                && has("Service", &registration.service)
                && has("Container", &registration.container);
            if has_database(stack) && !same_container {
                let detail = "cannot be changed while the stage has a database, as the service would keep its variables";
                return Err(Problem::field("/service", detail));
            }
        }
        parameters.extend(network);

        let changed = match &found {
            None => self.create(stage, parameters, call).await?,
            // Nothing is rebuilt if nothing differs; CloudFormation tells whether today's template does.
            Some(stack) if self.complete(parameters.clone()) == stack.parameters => {
                self.update_to(stack, &stack.parameters, call).await?
            }
            Some(stack) => self.update(stack, parameters, call).await?,
        };
        Ok(registered(stage, changed))
    }

    async fn create(
        &self,
        stage: &Stage,
        mut parameters: BTreeMap<String, String>,
        call: &Call,
    ) -> Result<Update, Problem> {
        parameters.extend(self.functions());
        let role = &self.configuration.stage_stack_role_arn;
        match self.stacks.create(stage, STAGE_TEMPLATE, &parameters, role, &call.token()).await {
            Ok(()) => Ok(Update::Begun),
            Err(ChangeError::NoChange) => Ok(Update::NotNeeded),
            // Somebody else registered it a moment ago.
            Err(ChangeError::WrongState(_) | ChangeError::Exists(_)) => {
                Err(Problem::busy(rebuild_path(stage)))
            }
            Err(ChangeError::Aws(error)) => Err(error.into()),
        }
    }

    /// The parameters that follow from the service: where its tasks run, and who starts them.
    async fn network(
        &self,
        stage: &Stage,
        registration: &Registration,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let Registration { vpc_id, cluster, service: name, container } = registration;
        let Some(service) = self.services.service(cluster, name).await? else {
            let detail =
                "must be the name of an active ECS service in the cluster; there is none of that name";
            return Err(Problem::field("/service/name", detail));
        };
        let refuse = |detail: &str| Err(Problem::field("/service/name", detail));
        if !service.is_deployed_by_ecs {
            return refuse(
                "must be a service with the deployment controller ECS, as another one would undo a redeployment",
            );
        }
        if !service.has_long_arn() {
            return refuse("must be a service whose ARN has the long format, as others cannot be tagged");
        }
        if service.subnets.len() < 2 {
            return refuse(
                "must be a service with awsvpc networking in at least two subnets, as RDS places a database in two availability \
                 zones",
            );
        }
        let Some(security_group) = service.security_groups.first() else {
            return refuse(
                "must be a service with a security group, as only its members may connect to the database",
            );
        };
        let definition = self.services.task_definition(&service.task_definition_arn).await?;
        if definition.container(container).is_none() {
            let known = definition.containers().join(", ");
            return Err(Problem::field(
                "/service/container",
                format!("must be a container of the service's task definition, one of {known}"),
            ));
        }
        let Some(execution_role) = definition.execution_role_arn() else {
            return refuse("must have a task definition with an execution role, which reads the credentials");
        };
        if let Some(rebuilt) = &service.rebuilt
            && rebuilt.stage != stage.to_string()
            && self.is_registered(&rebuilt.stage).await?
        {
            return Err(Problem::field(
                "/service/name",
                format!("must be a service of no other stage; this one is of {}", rebuilt.stage),
            ));
        }
        Ok([
            ("VpcId", vpc_id.clone()),
            ("SubnetIds", service.subnets.join(",")),
            ("ServiceSecurityGroupId", security_group.clone()),
            ("ExecutionRoleArn", execution_role.to_owned()),
            ("Cluster", cluster.clone()),
            ("Service", name.clone()),
            ("Container", container.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }

    /// Whether there is such a stage, given as `{stack}/{stage}`.
    async fn is_registered(&self, stage: &str) -> Result<bool, Problem> {
        let Some((stack, stage)) = stage.split_once('/') else { return Ok(false) };
        let (Ok(stack), Ok(stage)) = (stack.try_into(), stage.try_into()) else { return Ok(false) };
        let stage = Stage { stack, stage };
        let found = self.stacks.stack(&stage.stage_stack_name()).await?;
        Ok(
            matches!(found, Lookup::Found(stack) if stack.stage == stage && stack.status != StackStatus::Deleted),
        )
    }

    fn parameters_without_database(&self, stage: &Stage) -> BTreeMap<String, String> {
        [
            ("Stack", stage.stack.to_string()),
            ("Stage", stage.stage.to_string()),
            ("Rebuild", "none".to_owned()),
            ("Lookup", "none".to_owned()),
            ("Source", "none".to_owned()),
            ("Generation", "none".to_owned()),
            ("InstanceClass", "none".to_owned()),
            ("StorageGiB", "20".to_owned()),
            ("DatabaseName", "none".to_owned()),
            ("EngineVersion", self.configuration.engine_version.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The functions behind the custom resources.
    pub(crate) fn functions(&self) -> [(String, String); 3] {
        let configuration = &self.configuration;
        [
            ("CredentialsFunctionArn".to_owned(), configuration.credentials_function_arn.clone()),
            ("DatabaseFunctionArn".to_owned(), configuration.database_function_arn.clone()),
            ("AccessFunctionArn".to_owned(), configuration.access_function_arn.clone()),
        ]
    }
}

fn registered(stage: &Stage, changed: Update) -> Reply {
    let rebuild = rebuild_path(stage);
    let (stack, stage) = (stage.stack.to_string(), stage.stage.to_string());
    let wire = RegisteredWire { stack, stage, rebuild: rebuild.clone() };
    match changed {
        Update::Begun => Reply::json(202, &wire).with_location(rebuild),
        Update::NotNeeded => Reply::json(200, &wire),
    }
}

fn registration(body: &Body) -> Result<Registration, Problem> {
    let fields = body.object()?;
    let vpc_id = fields.text("vpcId");
    if vpc_id.as_ref().is_some_and(|id| !id.starts_with("vpc-")) {
        fields.error("vpcId", "must be the id of a VPC, such as vpc-0123456789abcdef0");
    }
    let service = fields.object("service");
    let of_service = |name| service.as_ref().and_then(|service| service.text(name));
    let (cluster, name, container) = (of_service("cluster"), of_service("name"), of_service("container"));
    let mut errors = fields.end();
    errors.extend(service.map(|service| service.end()).unwrap_or_default());
    match (vpc_id, cluster, name, container) {
        (Some(vpc_id), Some(cluster), Some(service), Some(container)) if errors.is_empty() => {
            Ok(Registration { vpc_id, cluster, service, container })
        }
        _ => Err(Problem::fields(errors)),
    }
}
