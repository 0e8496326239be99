//! `DELETE …/database`: removes the database from the stage, if the body confirms its identifier. A database that
//! stagedb created is deleted with a final snapshot. An attached database isn't deleted.

use std::borrow::Cow;

use database::{Changed, PlainText, SettingValue, Settings, Stage};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::rebuild::RebuildingWire,
    save::{in_history, parameters},
    schema,
    stage_stack::{generation, refuse_unless_at_rest, settings},
};

/// The body of a removal: the identifier of the database to remove.
#[derive(Debug)]
pub(crate) struct Removal;

impl SettingsApi {
    pub(crate) async fn delete_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let confirmed: PlainText = call.body.only(CONFIRM)?;
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(RebuildingWire::reply(stage));
        }
        refuse_unless_at_rest(&stack)?;
        let before = settings(&stack)?;
        let identifier = match &before {
            Settings::None => return Err(Problem::conflict("The stage has no database.")),
            Settings::Created(_) => stage.identifier(),
            Settings::Attached(attached) => attached.target.identifier.to_string(),
        };
        if confirmed.as_ref() != identifier {
            let detail = format!("must be {identifier}, the identifier of the database to remove");
            return Err(Problem::field("/confirm", detail));
        }
        // The generation stays, so that a rollback finds the data in the final snapshot.
        let parameters =
            parameters(&stack, &Settings::None, generation(&stack).as_ref(), stack.login().as_ref());
        let changes = Changed::between(in_history(&before), in_history(&Settings::None));
        let recorded = self.record(stage, changes, call).await?;
        self.update(&stack, parameters, None, call, &recorded).await?;
        Ok(RebuildingWire::reply(stage))
    }
}

const CONFIRM: &str = "confirm";

impl ToSchema for Removal {
    fn name() -> Cow<'static, str> {
        "Removal".into()
    }
}

impl PartialSchema for Removal {
    fn schema() -> RefOr<Schema> {
        let confirm = "The identifier of the DB instance or DB cluster to remove.";
        schema::only(CONFIRM, &PlainText::FORM, confirm, "The body of a removal.")
    }
}
