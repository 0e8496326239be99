//! `POST …/database/rotation`: the other app login gets a new password, and the containers are redeployed with it.

use database::{Changed, Settings, Stage};

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::rebuild::RebuildingWire,
    stage_stack::{begun_by, login, refuse_unless_at_rest, settings},
};

impl SettingsApi {
    pub(crate) async fn rotate_login(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(RebuildingWire::reply(stage));
        }
        refuse_unless_at_rest(&stack)?;
        let current = match settings(&stack)? {
            Settings::Created(_) => login(&stack).filter(|login| !login.is_master),
            Settings::None => {
                return Err(Problem::conflict("The stage has no database, so there is no login to rotate."));
            }
            Settings::Attached(_) => {
                return Err(Problem::conflict(
                    "stagedb never changes an attached database, so it can't rotate its login. Change the password in the database \
                     and in its secret, or save the new one. Then rebuild the stage, which publishes it.",
                ));
            }
        };
        let Some(current) = current else {
            return Err(Problem::conflict(
                "The containers log in as the master user, which can't be rotated without failed logins. Turn on the app login \
                 first: save the settings with appLogin true.",
            ));
        };
        self.refuse_unless_settled(&stack).await?;
        let next = current.rotated(begun_by(call)?);
        let mut parameters = stack.parameters.clone();
        parameters.insert("Login".to_owned(), next.to_string());
        let users = [&current, &next].map(|login| login.app.user());
        let changes = vec![Changed::new("login", Some(users[0]), Some(users[1]))];
        let recorded = self.record(stage, changes, call).await?;
        self.update(&stack, parameters, None, call, &recorded).await?;
        Ok(RebuildingWire::reply(stage))
    }
}
