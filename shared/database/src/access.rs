//! The inbound rules that let a stage's services and jobs connect to its database. They are in the database's security
//! group, which stagedb doesn't manage if the database is attached.
//!
//! EC2 has each rule only once. Several stages may need the same rule, or it may have existed before. So every stage
//! puts its own tag on the rule it needs: its claim. A rule that stagedb created is removed with its last claim. Any
//! other rule stays.
//!
//! EC2 has no conditional writes. So a stage that gives up a rule, and a stage that claims it, both announce what
//! they're about to do, look again, and only then act. A stage that gives up a rule marks it, and removes it only if it
//! sees no other claim after that. A stage that claims a rule also looks after that. If it finds such a mark, it waits
//! until the rule is removed, or until it's clear that it won't be.

use std::{collections::BTreeMap, fmt};

use crate::{StackName, Stage, StageName};

/// The tag of a rule that stagedb created.
const MADE: &str = "stagedb:made";
/// The prefix of the tags that say which stages need a rule.
const CLAIM: &str = "stagedb:stage/";
/// The prefix of the tags that say which stages are about to give up a rule. Their claims no longer count.
const LEAVING: &str = "stagedb:leaving/";

/// Who needs a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimant<'a> {
    /// A stage with the database.
    Stage(&'a Stage),
    /// A test of a connection, before the stage has the database. It ends without taking anything from a stage, or from
    /// another test.
    Test(&'a Stage, &'a str),
}

impl fmt::Display for Claimant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(stage) => write!(f, "{stage}"),
            // Sixteen characters of its ID tell it from others. EC2 allows 128 for a key.
            Self::Test(stage, id) => write!(f, "{stage}/test-{}", id.get(..16).unwrap_or(id)),
        }
    }
}

/// The key of the tag that claims a rule. Its value is the identifier of the database.
#[must_use]
pub fn claim_tag(claimant: Claimant<'_>) -> String {
    format!("{CLAIM}{claimant}")
}

/// The key of the tag that says that a claimant is about to give up a rule.
fn leaving_tag(claimant: &str) -> String {
    format!("{LEAVING}{claimant}")
}

/// The stage that a tag claims a rule for, if the tag is a claim.
#[must_use]
pub fn stage_of_claim(key: &str) -> Option<Stage> {
    let (stack, stage) = key.strip_prefix(CLAIM)?.split_once('/')?;
    Some(Stage { stack: StackName::try_from(stack).ok()?, stage: StageName::try_from(stage).ok()? })
}

/// An inbound rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRule {
    /// Its ID.
    pub id: String,
    /// The ID of its security group.
    pub group: String,
    /// The protocol, such as `tcp`.
    pub protocol: String,
    /// The first port.
    pub from_port: i32,
    /// The last port.
    pub to_port: i32,
    /// The security group that it allows traffic from, if it names one.
    pub source_group: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A rule that a stage needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The security group of the database.
    pub group: String,
    /// The port of the database.
    pub port: u16,
    /// The security group of a service or a job of the stage.
    pub source_group: String,
    /// The identifier of the database.
    pub identifier: String,
}

/// What to do now about one rule. After each step, the rules are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessStep {
    /// Create the rule.
    Authorize {
        /// The rule.
        wanted: Wanted,
        /// Its tags.
        tags: BTreeMap<String, String>,
    },
    /// Add these tags to an existing rule: a claim, or the mark of a stage that's about to give it up.
    Tag {
        /// The rule.
        id: String,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Remove tags from a rule.
    Untag {
        /// The rule.
        id: String,
        /// Their keys.
        keys: Vec<String>,
    },
    /// Remove a rule that stagedb created and no other stage claims.
    Revoke {
        /// Its security group.
        group: String,
        /// The rule.
        id: String,
    },
    /// Another stage is about to give up the rule. It may remove it, because it may have looked before this stage's
    /// claim.
    Wait,
}

/// The next steps of a stage toward the rules it needs, one for each rule that isn't right yet. Empty if everything is as
/// it should be. A rule that isn't needed anymore stays until all needed ones are there. `rules` are the rules of the
/// wanted groups, and all rules that the stage claims. `is_left`: the last [`AccessStep::Wait`] took so long that the
/// stage that was about to remove the rule must have failed.
#[must_use]
pub fn access_steps(
    claimant: Claimant<'_>,
    wanted: &[Wanted],
    rules: &[IngressRule],
    is_left: bool,
) -> Vec<AccessStep> {
    let needed: Vec<_> =
        wanted.iter().filter_map(|wanted| step_toward(claimant, wanted, rules, is_left)).collect();
    if !needed.is_empty() {
        return needed;
    }
    let claim = claim_tag(claimant);
    let is_needed = |rule: &IngressRule| wanted.iter().any(|wanted| serves(rule, wanted));
    let leaves = |rule: &&IngressRule| rule.tags.contains_key(&claim) && !is_needed(rule);
    rules.iter().filter(leaves).map(|rule| step_away(claimant, rule)).collect()
}

fn serves(rule: &IngressRule, wanted: &Wanted) -> bool {
    rule.group == wanted.group
        && rule.protocol == "tcp"
        && rule.from_port == i32::from(wanted.port)
        && rule.to_port == i32::from(wanted.port)
        && rule.source_group.as_ref() == Some(&wanted.source_group)
}

/// The next step toward a rule that is needed, if it isn't right yet.
fn step_toward(
    claimant: Claimant<'_>,
    wanted: &Wanted,
    rules: &[IngressRule],
    is_left: bool,
) -> Option<AccessStep> {
    let (claim, leaving) = (claim_tag(claimant), leaving_tag(&claimant.to_string()));
    let tags = BTreeMap::from([(claim.clone(), wanted.identifier.clone())]);
    let Some(rule) = rules.iter().find(|rule| serves(rule, wanted)) else {
        let made = (MADE.to_owned(), "true".to_owned());
        let (wanted, tags) = (wanted.clone(), tags.into_iter().chain([made]).collect());
        return Some(AccessStep::Authorize { wanted, tags });
    };
    if rule.tags.contains_key(&leaving) {
        return Some(AccessStep::Untag { id: rule.id.clone(), keys: vec![leaving] });
    }
    if rule.tags.get(&claim) != Some(&wanted.identifier) {
        return Some(AccessStep::Tag { id: rule.id.clone(), tags });
    }
    let marks: Vec<_> = rule.tags.keys().filter(|key| key.starts_with(LEAVING)).cloned().collect();
    match (marks.is_empty(), is_left) {
        (true, _) => None,
        (false, false) => Some(AccessStep::Wait),
        (false, true) => Some(AccessStep::Untag { id: rule.id.clone(), keys: marks }),
    }
}

/// The next step away from a rule that the stage claims and doesn't need anymore.
fn step_away(claimant: Claimant<'_>, rule: &IngressRule) -> AccessStep {
    let (claim, leaving) = (claim_tag(claimant), leaving_tag(&claimant.to_string()));
    let id = rule.id.clone();
    let counts = |key: &String| {
        let other = key.strip_prefix(CLAIM).filter(|_| *key != claim);
        other.is_some_and(|other| !rule.tags.contains_key(&leaving_tag(other)))
    };
    let is_made = rule.tags.contains_key(MADE);
    if is_made && !rule.tags.contains_key(&leaving) {
        return AccessStep::Tag { id, tags: BTreeMap::from([(leaving, "true".to_owned())]) };
    }
    if !is_made || rule.tags.keys().any(counts) {
        return AccessStep::Untag { id, keys: vec![claim, leaving] };
    }
    AccessStep::Revoke { group: rule.group.clone(), id }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str) -> Stage {
        Stage { stack: "shop".try_into().unwrap(), stage: name.try_into().unwrap() }
    }

    fn wanted(group: &str) -> Wanted {
        let text = str::to_owned;
        Wanted {
            group: text(group),
            port: 5432,
            source_group: text("sg-service"),
            identifier: text("orders"),
        }
    }

    fn apply(rules: &mut Vec<IngressRule>, step: &AccessStep) {
        match step {
            AccessStep::Authorize { wanted, tags } => rules.push(IngressRule {
                id: format!("sgr-{}", rules.len()),
                group: wanted.group.clone(),
                protocol: "tcp".to_owned(),
                from_port: 5432,
                to_port: 5432,
                source_group: Some(wanted.source_group.clone()),
                tags: tags.clone(),
            }),
            AccessStep::Tag { id, tags } => {
                let rule = rules.iter_mut().find(|rule| rule.id == *id).unwrap();
                rule.tags.extend(tags.clone());
            }
            AccessStep::Untag { id, keys } => {
                let rule = rules.iter_mut().find(|rule| rule.id == *id).unwrap();
                rule.tags.retain(|key, _| !keys.contains(key));
            }
            AccessStep::Revoke { id, .. } => rules.retain(|rule| rule.id != *id),
            AccessStep::Wait => {}
        }
    }

    /// Takes steps until nothing is left to do, which mustn't take many.
    fn settle_all(rules: &mut Vec<IngressRule>, stage: &Stage, targets: &[Wanted]) {
        for _ in 0..5 {
            let steps = access_steps(Claimant::Stage(stage), targets, rules, false);
            if steps.is_empty() {
                return;
            }
            for step in &steps {
                apply(rules, step);
            }
        }
        panic!("it never ends: {rules:?}");
    }

    fn settle(rules: &mut Vec<IngressRule>, stage: &Stage, target: Option<&Wanted>) {
        settle_all(rules, stage, target.map_or(&[], std::slice::from_ref));
    }

    /// The only step toward at most one rule.
    fn access_step(
        stage: &Stage,
        wanted: Option<&Wanted>,
        rules: &[IngressRule],
        is_left: bool,
    ) -> Option<AccessStep> {
        let steps =
            access_steps(Claimant::Stage(stage), wanted.map_or(&[], std::slice::from_ref), rules, is_left);
        assert!(steps.len() < 2, "{steps:?}");
        steps.into_iter().next()
    }

    #[test]
    fn each_service_keeps_its_own_rule_when_others_come_and_go() {
        let from = |source: &str| Wanted { source_group: source.to_owned(), ..wanted("sg-orders") };
        let sources = |rules: &[IngressRule]| {
            rules.iter().map(|rule| rule.source_group.clone().unwrap()).collect::<Vec<_>>()
        };
        let dev = stage("dev");
        let mut rules = Vec::new();
        settle_all(&mut rules, &dev, &[from("sg-web"), from("sg-worker")]);
        assert_eq!(sources(&rules), ["sg-web", "sg-worker"]);
        let web = rules[0].clone();
        let steps = access_steps(Claimant::Stage(&dev), &[from("sg-web"), from("sg-jobs")], &rules, false);
        assert!(matches!(steps.as_slice(), [AccessStep::Authorize { .. }]), "the new one first: {steps:?}");
        settle_all(&mut rules, &dev, &[from("sg-web"), from("sg-jobs")]);
        assert_eq!(sources(&rules), ["sg-web", "sg-jobs"]);
        assert_eq!(rules[0], web);
    }

    #[test]
    fn a_rule_that_two_stages_need_goes_with_the_second_of_them() {
        let (dev, prod) = (stage("dev"), stage("prod"));
        let mut rules = Vec::new();
        settle(&mut rules, &dev, Some(&wanted("sg-orders")));
        settle(&mut rules, &prod, Some(&wanted("sg-orders")));
        assert_eq!(rules.len(), 1, "EC2 has a rule once");
        settle(&mut rules, &dev, None);
        assert_eq!(rules.len(), 1);
        assert_eq!(
            rules[0].tags.keys().filter_map(|key| stage_of_claim(key)).collect::<Vec<_>>(),
            std::slice::from_ref(&prod)
        );
        settle(&mut rules, &prod, None);
        assert_eq!(rules, []);
    }

    #[test]
    fn a_rule_that_was_there_before_stays_as_it_was() {
        let mut rules = Vec::new();
        apply(&mut rules, &AccessStep::Authorize { wanted: wanted("sg-orders"), tags: BTreeMap::new() });
        let before = rules.clone();
        settle(&mut rules, &stage("dev"), Some(&wanted("sg-orders")));
        assert_eq!(rules.len(), 1);
        settle(&mut rules, &stage("dev"), None);
        assert_eq!(rules, before);
    }

    #[test]
    fn the_new_rule_is_there_before_the_old_one_goes() {
        let dev = stage("dev");
        let mut rules = Vec::new();
        settle(&mut rules, &dev, Some(&wanted("sg-orders")));
        let step = access_step(&dev, Some(&wanted("sg-bills")), &rules, false);
        assert!(matches!(step, Some(AccessStep::Authorize { .. })), "{step:?}");
        settle(&mut rules, &dev, Some(&wanted("sg-bills")));
        assert_eq!(rules.iter().map(|rule| rule.group.as_str()).collect::<Vec<_>>(), ["sg-bills"]);
    }

    #[test]
    fn a_claim_names_its_stage_and_nothing_else_does() {
        assert_eq!(stage_of_claim(&claim_tag(Claimant::Stage(&stage("dev")))), Some(stage("dev")));
        for other in ["stagedb:made", "stagedb:stage", "stagedb:stage/shop", "stagedb:stage/Shop/dev", "Name"]
        {
            assert_eq!(stage_of_claim(other), None, "{other}");
        }
    }

    /// A stage at work: what it has seen and not yet done.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct Worker {
        stage: &'static str,
        wants: bool,
        /// How many looks showed the mark of a stage that's about to give up the rule.
        waited: u8,
        /// Decided, but not done yet.
        step: Option<String>,
        is_done: bool,
    }

    /// Looks at the rules, or does what it decided at its last look.
    fn works(worker: &mut Worker, decided: &mut Option<AccessStep>, rules: &mut Vec<IngressRule>) {
        let orders = wanted("sg-orders");
        let target = worker.wants.then_some(&orders);
        if let Some(step) = decided.take() {
            // A removed rule doesn't come back, and EC2 has each rule only once.
            let is_there = |id: &String| rules.iter().any(|rule| rule.id == *id);
            match &step {
                AccessStep::Authorize { .. } if !rules.is_empty() => {}
                AccessStep::Authorize { .. } => {
                    apply(rules, &step);
                    // EC2 never reuses an ID.
                    for rule in rules.iter_mut() {
                        "sgr-new".clone_into(&mut rule.id);
                    }
                }
                AccessStep::Tag { id, .. } | AccessStep::Untag { id, .. } if !is_there(id) => {}
                step => apply(rules, step),
            }
            worker.step = None;
            return;
        }
        let step = access_step(&stage(worker.stage), target, rules, false);
        worker.waited = if step == Some(AccessStep::Wait) { worker.waited + 1 } else { 0 };
        worker.is_done = step.is_none();
        if let Some(step) = step.filter(|step| *step != AccessStep::Wait) {
            worker.step = Some(format!("{step:?}"));
            *decided = Some(step);
        }
    }

    /// Goes through every order in which the stages can look and act, and checks the end of each.
    fn every_order(
        rules: &[IngressRule],
        workers: &[(Worker, Option<AccessStep>)],
        seen: &mut std::collections::BTreeSet<(String, Vec<Worker>)>,
        at_the_end: &impl Fn(&[IngressRule]),
    ) {
        let state = (format!("{rules:?}"), workers.iter().map(|(worker, _)| worker.clone()).collect());
        if !seen.insert(state) {
            return;
        }
        if workers.iter().all(|(worker, _)| worker.is_done) {
            return at_the_end(rules);
        }
        // A stage that waits for another one continues once that one has done something.
        let can_work = |(worker, _): &(Worker, _)| !worker.is_done && worker.waited <= 1;
        assert!(workers.iter().any(can_work), "they wait for each other: {rules:?}");
        for index in (0..workers.len()).filter(|index| can_work(&workers[*index])) {
            let (mut rules, mut workers) = (rules.to_vec(), workers.to_vec());
            let (worker, decided) = &mut workers[index];
            works(worker, decided, &mut rules);
            let did_something = worker.waited == 0;
            for (other, _) in workers.iter_mut().filter(|_| did_something) {
                other.waited = 0;
            }
            every_order(&rules, &workers, seen, at_the_end);
        }
    }

    fn worker(stage: &'static str, wants: bool) -> (Worker, Option<AccessStep>) {
        (Worker { stage, wants, waited: 0, step: None, is_done: false }, None)
    }

    #[test]
    fn a_stage_that_claims_a_rule_while_others_leave_it_has_it_in_the_end_in_every_order() {
        let mut rules = Vec::new();
        settle(&mut rules, &stage("dev"), Some(&wanted("sg-orders")));
        settle(&mut rules, &stage("prod"), Some(&wanted("sg-orders")));
        let mut seen = std::collections::BTreeSet::new();
        let workers = [worker("dev", false), worker("prod", false), worker("test", true)];
        every_order(&rules, &workers, &mut seen, &|rules| {
            let keys: Vec<_> = rules.iter().flat_map(|rule| rule.tags.keys()).collect();
            assert_eq!(keys, ["stagedb:made", "stagedb:stage/shop/test"]);
        });
        assert!(seen.len() > 100, "{}", seen.len());
    }

    #[test]
    fn a_test_that_ends_takes_nothing_from_a_stage_or_from_another_test_of_the_same_stage() {
        let (dev, target) = (stage("dev"), [wanted("sg-orders")]);
        let tests =
            ["0123456789abcdef-1", "fedcba9876543210-2"].map(|id| claim_tag(Claimant::Test(&dev, id)));
        assert_eq!(tests[0], "stagedb:stage/shop/dev/test-0123456789abcdef");
        assert_eq!(
            tests.each_ref().map(|tag| stage_of_claim(tag)),
            [None, None],
            "no stage uses the database yet"
        );
        let claimants = [
            Claimant::Test(&dev, "0123456789abcdef-1"),
            Claimant::Test(&dev, "fedcba9876543210-2"),
            Claimant::Stage(&dev),
        ];
        let settle = |rules: &mut Vec<IngressRule>, claimant, targets: &[Wanted]| {
            for _ in 0..5 {
                for step in access_steps(claimant, targets, &rules.clone(), false) {
                    apply(rules, &step);
                }
            }
            assert_eq!(access_steps(claimant, targets, rules, false), []);
        };
        let mut rules = Vec::new();
        for claimant in claimants {
            settle(&mut rules, claimant, &target);
        }
        assert_eq!((rules.len(), rules[0].tags.len()), (1, 4));
        for (left, claimant) in [(3, claimants[1]), (2, claimants[0])] {
            settle(&mut rules, claimant, &[]);
            assert_eq!((rules.len(), rules[0].tags.len()), (1, left), "{rules:?}");
        }
        settle(&mut rules, claimants[2], &[]);
        assert_eq!(rules, []);
    }

    #[test]
    fn a_rule_that_all_leave_at_the_same_time_goes_in_every_order() {
        let mut rules = Vec::new();
        settle(&mut rules, &stage("dev"), Some(&wanted("sg-orders")));
        settle(&mut rules, &stage("prod"), Some(&wanted("sg-orders")));
        let mut seen = std::collections::BTreeSet::new();
        every_order(&rules, &[worker("dev", false), worker("prod", false)], &mut seen, &|rules| {
            assert_eq!(rules, []);
        });
        assert!(seen.len() > 10, "{}", seen.len());
    }

    #[test]
    fn the_mark_of_a_stage_that_stopped_leaving_is_removed() {
        let (dev, prod) = (stage("dev"), stage("prod"));
        let mut rules = Vec::new();
        settle(&mut rules, &dev, Some(&wanted("sg-orders")));
        let step = access_step(&dev, None, &rules, false).unwrap();
        apply(&mut rules, &step);
        let revoke = AccessStep::Revoke { group: "sg-orders".to_owned(), id: "sgr-0".to_owned() };
        assert_eq!(access_step(&dev, None, &rules, false), Some(revoke));
        let step = access_step(&prod, Some(&wanted("sg-orders")), &rules, false).unwrap();
        apply(&mut rules, &step);
        assert_eq!(access_step(&prod, Some(&wanted("sg-orders")), &rules, false), Some(AccessStep::Wait));
        let step = access_step(&prod, Some(&wanted("sg-orders")), &rules, true).unwrap();
        let keys = vec!["stagedb:leaving/shop/dev".to_owned()];
        assert_eq!(step, AccessStep::Untag { id: "sgr-0".to_owned(), keys });
        apply(&mut rules, &step);
        // The claim of the stage that failed to give up the rule counts again, because it may have been rolled back.
        settle(&mut rules, &prod, Some(&wanted("sg-orders")));
        settle(&mut rules, &dev, Some(&wanted("sg-orders")));
        assert_eq!(
            rules[0].tags.keys().filter_map(|key| stage_of_claim(key)).collect::<Vec<_>>(),
            [dev, prod]
        );
    }
}
