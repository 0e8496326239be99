//! `DELETE …/database`: removes the database, with a final snapshot, once a person has typed its identifier.

use database::Stage;

use crate::{
    Call, SettingsApi,
    fields::Body,
    problem::Problem,
    rebuild_post::rebuilding,
    reply::Reply,
    stage::{refuse_unless_at_rest, settings},
};

impl SettingsApi {
    pub(crate) async fn delete_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let confirmed = confirmed(&call.body)?;
        let stack = self.stage_stack(stage).await?;
        refuse_unless_at_rest(&stack)?;
        if settings(&stack).is_none() {
            return Err(Problem::conflict("The stage has no database."));
        }
        if confirmed != stage.identifier() {
            let detail = format!("must be {}, the identifier of what is removed", stage.identifier());
            return Err(Problem::field("/confirm", detail));
        }
        // The generation stays, so that a rollback finds the data in the final snapshot.
        let mut parameters = stack.parameters.clone();
        parameters.insert("Source".to_owned(), "none".to_owned());
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
