//! `DELETE …/database`: removes the database once a person has typed its identifier: a created one with a final snapshot,
//! an attached one only from the stage.

use database::{Settings, Stage};

use crate::{
    Call, SettingsApi,
    fields::Body,
    problem::Problem,
    rebuild_post::rebuilding,
    reply::Reply,
    save::parameters,
    stage::{generation, refuse_unless_at_rest, settings},
};

impl SettingsApi {
    pub(crate) async fn delete_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let confirmed = confirmed(&call.body)?;
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(rebuilding(stage));
        }
        refuse_unless_at_rest(&stack)?;
        let identifier = match settings(&stack) {
            Settings::None => return Err(Problem::conflict("The stage has no database.")),
            Settings::Created(_) => stage.identifier(),
            Settings::Attached(attached) => attached.identifier.to_string(),
        };
        if confirmed != identifier {
            let detail = format!("must be {identifier}, the identifier of what is removed");
            return Err(Problem::field("/confirm", detail));
        }
        // The generation stays, so that a rollback finds the data in the final snapshot.
        let parameters = parameters(&stack, &Settings::None, generation(&stack).as_ref());
        self.update(&stack, parameters, call).await?;
        Ok(rebuilding(stage))
    }
}

fn confirmed(body: &Body) -> Result<String, Problem> {
    let fields = body.object()?;
    let confirm = fields.text("confirm");
    let errors = fields.end();
    match confirm {
        Some(confirm) if errors.is_empty() => Ok(confirm),
        _ => Err(Problem::fields(errors)),
    }
}
