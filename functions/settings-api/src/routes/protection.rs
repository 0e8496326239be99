//! `PUT …/protection`: protects a stage, so that only admins can change it, or ends its protection.

use std::borrow::Cow;

use database::{Changed, SettingValue, Stage};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, Schema},
    },
};

use crate::{
    api::{Call, SettingsApi},
    request::Body,
    response::{Problem, Reply},
    schema,
};

/// Whether a stage is protected.
#[derive(Serialize, ToSchema)]
#[schema(as = Protection)]
pub(crate) struct ProtectionWire {
    /// Whether only admins can change the stage.
    protected: bool,
}

/// The body of a change of a stage's protection.
#[derive(Debug)]
pub(crate) struct ProtectionBody(bool);

impl SettingsApi {
    pub(crate) async fn put_protection(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let ProtectionBody(protected) = ProtectionBody::from_body(&call.body)?;
        // It must exist, but it can be in any state: protection is also for a stage that is being changed.
        self.stage_stack(stage).await?;
        let before = self.protections.is_protected(stage).await?;
        if before != protected {
            self.record(stage, vec![Changed::protection(before, protected)], call).await?;
            self.protections.protect(stage, protected, &call.token()).await?;
        }
        Ok(Reply::json(200, &ProtectionWire { protected }))
    }
}

impl ProtectionBody {
    fn from_body(body: &Body) -> Result<Self, Problem> {
        let fields = body.object()?;
        let protected = fields.read(PROTECTED);
        let errors = fields.end();
        match protected {
            Some(protected) if errors.is_empty() => Ok(Self(protected)),
            _ => Err(Problem::fields(errors)),
        }
    }
}

const PROTECTED: &str = "protected";

impl ToSchema for ProtectionBody {
    fn name() -> Cow<'static, str> {
        "ProtectionChange".into()
    }
}

impl PartialSchema for ProtectionBody {
    fn schema() -> RefOr<Schema> {
        let about = "Whether only admins can change the stage.";
        schema::object(&[], schema::in_request)
            .property(PROTECTED, schema::required(&bool::FORM, about))
            .required(PROTECTED)
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("The body of a change of a stage's protection."))
            .into()
    }
}
