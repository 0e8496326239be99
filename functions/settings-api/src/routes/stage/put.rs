//! `PUT /api/stacks/{stack}/stages/{stage}`: registers a stage, which creates its stack without a database.

use std::{borrow::Cow, collections::BTreeMap};

use aws::{ChangeError, Lookup};
use database::{
    Registration, RegistrationPart, Service as ServiceOfStage, ServicePart, Settings, StackStatus, Stage,
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AdditionalProperties, Schema},
    },
};

use crate::{
    api::{Call, SettingsApi},
    request::Body,
    response::{Problem, Reply},
    schema,
    stage_stack::{
        STAGE_TEMPLATE, Update, generation, has_database, is_failed_registration, rebuild_path,
        refuse_unless_at_rest, settings,
    },
};

/// The body of a registration.
#[derive(Debug)]
pub(crate) struct RegistrationBody {
    stage: Registration,
    service: ServiceOfStage,
}

/// The response to a registration.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegisteredWire {
    stack: String,
    stage: String,
    /// The path where you can follow the progress.
    rebuild: String,
}

impl SettingsApi {
    pub(crate) async fn put_stage(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let registration = registration(&call.body)?;
        let found = match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Missing => None,
            Lookup::Foreign => {
                return Err(Problem::conflict(format!(
                    "There is already a CloudFormation stack {} that isn't a stage stack. Choose another name for the stack or the \
                     stage.",
                    stage.stage_stack_name()
                )));
            }
            Lookup::Found(stack) if stack.stage == *stage => Some(stack),
            Lookup::Found(stack) => {
                return Err(Problem::conflict(format!(
                    "The stage {} already uses the CloudFormation stack name {}, which {stage} would need, too. Choose another \
                     name for the stack or the stage.",
                    stack.stage,
                    stage.stage_stack_name()
                )));
            }
        };
        if let Some(stack) = found.as_ref().filter(|stack| is_failed_registration(stack)) {
            // Not the token for the registration, which a repeat of this request may start.
            let token = format!("clear-{}", call.token());
            self.stacks.delete(&stack.id, &self.configuration.stage_stack_role_arn, &token).await?;
            return Err(Problem::conflict(
                "An earlier registration of this stage failed, and its stage stack is being deleted. Register the stage again in a \
                 minute.",
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
            if had_database
                && stack.parameters.get("VpcId").map(String::as_str)
                    != Some(registration.stage.vpc_id.as_ref())
            {
                return Err(Problem::field("/vpcId", "can't be changed once the stage has had a database"));
            }
            let has = |(name, value): (&str, String)| stack.parameters.get(name) == Some(&value);
            let same_container = registration.service.parameters().into_iter().all(has);
            if has_database(stack) && !same_container {
                let detail = "can't be changed while the stage has a database, because the old service would keep its \
                              variables";
                return Err(Problem::field("/service", detail));
            }
        }
        parameters.extend(network);

        let changed = match &found {
            None => self.create(stage, parameters, call).await?,
            // Nothing is rebuilt if nothing changes. CloudFormation knows whether the current template is different.
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
            // Another request has just registered it.
            Err(ChangeError::WrongState(_) | ChangeError::Exists(_)) => {
                Err(Problem::busy(rebuild_path(stage)))
            }
            Err(ChangeError::Aws(error)) => Err(error.into()),
        }
    }

    /// The parameters that follow from the service: its network, and the role that starts its tasks.
    async fn network(
        &self,
        stage: &Stage,
        registration: &RegistrationBody,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let ServiceOfStage { cluster, name, container } = &registration.service;
        let Some(service) = self.services.service(cluster.as_ref(), name.as_ref()).await? else {
            let detail = "must be the name of an active ECS service in the cluster. There is no service with \
                          this name";
            return Err(Problem::field("/service/name", detail));
        };
        let refuse = |detail: &str| Err(Problem::field("/service/name", detail));
        if !service.is_deployed_by_ecs {
            return refuse(
                "must be a service with the deployment controller ECS, because other controllers undo a redeployment",
            );
        }
        if !service.has_long_arn() {
            return refuse(
                "must be a service whose ARN has the long format, because other services can't be tagged",
            );
        }
        if service.subnets.len() < 2 {
            return refuse(
                "must be a service with the awsvpc network mode in at least two subnets, because RDS needs subnets in two \
                 Availability Zones",
            );
        }
        let Some(security_group) = service.security_groups.first() else {
            return refuse(
                "must be a service with a security group, which stagedb allows to connect to the database",
            );
        };
        let definition = self.services.task_definition(&service.task_definition_arn).await?;
        if definition.container(container.as_ref()).is_none() {
            let known = definition.containers().join(", ");
            return Err(Problem::field(
                "/service/container",
                format!("must be a container in the service's task definition: {known}"),
            ));
        }
        let Some(execution_role) = definition.execution_role_arn() else {
            return refuse("must have a task definition with an execution role, which reads the secret");
        };
        if let Some(rebuilt) = &service.rebuilt
            && rebuilt.stage != stage.to_string()
            && self.is_registered(&rebuilt.stage).await?
        {
            return Err(Problem::field(
                "/service/name",
                format!("must be a service that no other stage uses. The stage {} uses it", rebuilt.stage),
            ));
        }
        let of_service = [
            ("SubnetIds", service.subnets.join(",")),
            ("ServiceSecurityGroupId", security_group.clone()),
            ("ExecutionRoleArn", execution_role.to_owned()),
        ];
        let typed = [registration.stage.parameters(), registration.service.parameters()].concat();
        Ok(of_service.into_iter().chain(typed).map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Whether a stage is registered, given as `{stack}/{stage}`.
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

fn registration(body: &Body) -> Result<RegistrationBody, Problem> {
    let fields = body.object()?;
    let stage = fields.settings(Registration::ALL, RegistrationPart::from_body);
    let inner = fields.object(SERVICE);
    let service = inner.as_ref().map(|inner| inner.settings(ServiceOfStage::ALL, ServicePart::from_body));
    let mut errors = fields.end();
    errors.extend(inner.map(|inner| inner.end()).unwrap_or_default());
    match (stage.complete(), service.map(ServicePart::complete)) {
        (Ok(stage), Some(Ok(service))) if errors.is_empty() => Ok(RegistrationBody { stage, service }),
        _ => Err(Problem::fields(errors)),
    }
}

const SERVICE: &str = "service";

impl ToSchema for RegistrationBody {
    fn name() -> Cow<'static, str> {
        "Registration".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let service = schema::object(ServiceOfStage::ALL, schema::in_request)
            .description(Some("The ECS service that runs the stage."))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        schemas.push((SERVICE_SCHEMA.to_owned(), service.into()));
    }
}

impl PartialSchema for RegistrationBody {
    fn schema() -> RefOr<Schema> {
        schema::object(Registration::ALL, schema::in_request)
            .property(SERVICE, Ref::from_schema_name(SERVICE_SCHEMA))
            .required(SERVICE)
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("The body of a registration."))
            .into()
    }
}

const SERVICE_SCHEMA: &str = "ServiceOfRegistration";
