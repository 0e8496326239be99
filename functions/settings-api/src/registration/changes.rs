//! What a registration changes, for the history.

use database::{Changed, Registration, proof_in_words};

/// The services and jobs that come and go, one by one, and the switches. `None`: the stage isn't registered.
pub(crate) fn registration_changes(
    before: Option<&Registration>,
    after: Option<&Registration>,
) -> Vec<Changed> {
    let (before, after) = (Parts::of(before), Parts::of(after));
    let mut changes = Vec::new();
    for (name, before, after) in
        [("services", &before.services, &after.services), ("jobs", &before.jobs, &after.jobs)]
    {
        let gone = before.iter().filter(|item| !after.contains(item));
        changes.extend(gone.map(|item| Changed::new(name, Some(item), None)));
        let new = after.iter().filter(|item| !before.contains(item));
        changes.extend(new.map(|item| Changed::new(name, None, Some(item))));
    }
    if before.restores != after.restores {
        changes.push(Changed::new("restoreVariables", before.restores.as_deref(), after.restores.as_deref()));
    }
    if before.proof != after.proof {
        changes.push(Changed::new("connectionProof", before.proof, after.proof));
    }
    changes
}

#[derive(Default)]
struct Parts {
    services: Vec<String>,
    jobs: Vec<String>,
    restores: Option<String>,
    proof: Option<&'static str>,
}

impl Parts {
    fn of(registration: Option<&Registration>) -> Self {
        let Some(registration) = registration else { return Self::default() };
        let [(_, services), (_, jobs), (_, restores), _] = registration.parameters();
        let proof = Some(proof_in_words(registration.proves));
        let items =
            |text: String| text.split(',').filter(|item| *item != "none").map(str::to_owned).collect();
        Self { services: items(services), jobs: items(jobs), restores: Some(restores), proof }
    }
}
