//! The logins of a created database, as the statements of the clients change them.

use serde_json::Value;

use super::{AppLogin, Instance, Owner};
use crate::base::scram;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Whether someone can log in as this user with this password.
pub(crate) fn accepts(instance: &Instance, user: &str, password: &str) -> bool {
    match instance.logins.get(user) {
        Some(login) => scram::accepts(&login.verifier, password),
        None => instance.username == user && instance.password == password,
    }
}

/// Enables a login, unless a later request has done so.
pub(crate) fn set_up(instance: &mut Instance, value: &Value) -> Result<(), &'static str> {
    let (login, since, verifier) = (text(value, "login"), text(value, "since"), text(value, "verifier"));
    let is_late = instance.logins.get(login).is_some_and(|found| found.since.as_str() > since);
    if is_late || !verifier.starts_with("SCRAM-SHA-256$") {
        return Err("ERROR:  a later request has changed the login");
    }
    if text(value, "obsolete") == "all" {
        instance.logins.retain(|name, _| name == login);
    }
    let enabled = AppLogin { verifier: verifier.to_owned(), since: since.to_owned() };
    instance.logins.insert(login.to_owned(), enabled);
    instance.owner = Owner::App;
    Ok(())
}

/// Disables the logins whose passwords are obsolete.
pub(crate) fn settle(instance: &mut Instance, value: &Value) {
    let obsolete: Vec<_> = text(value, "obsolete").split(',').collect();
    let is_kept = |login: &AppLogin| obsolete != ["all"] && !obsolete.contains(&login.since.as_str());
    instance.logins.retain(|_, login| is_kept(login));
    if text(value, "login") == "none" && instance.logins.is_empty() {
        instance.owner = Owner::Master;
    }
}
