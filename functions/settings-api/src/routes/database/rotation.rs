//! `POST …/database/rotation`: the other app login gets a new password, and the containers are redeployed with it.

use database::{Changed, Settings, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::rebuild::RebuildingWire,
    stage_stack::{begun_by, refuse_unless_at_rest, settings},
};

/// How a login is rotated. You can leave the body out.
#[derive(Serialize, ToSchema)]
#[schema(as = Rotation)]
pub(crate) struct RotationWire {
    /// Whether the login from before is disabled as soon as the new one is published, and its sessions are ended, as after a
    /// leak. Containers that aren't replaced yet can't connect then. By default, it's disabled when the last of them has
    /// stopped.
    #[schema(required = false, default = false)]
    immediately: bool,
}

impl RotationWire {
    fn read(call: &Call) -> Result<Self, Problem> {
        if call.body.bytes().is_empty() {
            return Ok(Self { immediately: false });
        }
        let fields = call.body.object()?;
        let immediately = fields.optional("immediately").unwrap_or_default();
        let errors = fields.end();
        if errors.is_empty() { Ok(Self { immediately }) } else { Err(Problem::fields(errors)) }
    }
}

impl SettingsApi {
    pub(crate) async fn rotate_login(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let RotationWire { immediately } = RotationWire::read(call)?;
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(RebuildingWire::reply(stage));
        }
        refuse_unless_at_rest(&stack)?;
        let current = match settings(&stack)? {
            Settings::Created(_) => stack.login().filter(|login| !login.is_master),
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
        // A leaked password can't wait for containers. What they leave behind is disabled with it.
        if !immediately {
            self.refuse_unless_settled(&stack).await?;
        }
        let next = current.rotated(begun_by(call)?, immediately);
        let mut parameters = stack.parameters.clone();
        parameters.insert("Login".to_owned(), next.to_string());
        let users = [&current, &next].map(|login| login.app.user());
        let changes = vec![Changed::new("login", Some(users[0]), Some(users[1]))];
        let recorded = self.record(stage, changes, call).await?;
        self.update(&stack, parameters, None, call, &recorded).await?;
        Ok(RebuildingWire::reply(stage))
    }
}
