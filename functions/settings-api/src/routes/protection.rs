//! `PUT …/protection`: protects a stage, so that only admins can change it, or ends its protection.

use std::borrow::Cow;

use database::{Changed, SettingValue, Stage};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    api::{Call, SettingsApi},
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
pub(crate) struct ProtectionBody;

impl SettingsApi {
    pub(crate) async fn put_protection(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let protected = call.body.only(PROTECTED)?;
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

const PROTECTED: &str = "protected";

impl ToSchema for ProtectionBody {
    fn name() -> Cow<'static, str> {
        "ProtectionChange".into()
    }
}

impl PartialSchema for ProtectionBody {
    fn schema() -> RefOr<Schema> {
        let about = "Whether only admins can change the stage.";
        schema::only(PROTECTED, &bool::FORM, about, "The body of a change of a stage's protection.")
    }
}
