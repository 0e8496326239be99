//! The rule in somebody else's security group that lets a stage's service connect to an attached database.
//!
//! EC2 has each rule once, and several stages may need the same one, or it may have been there before. So every stage puts
//! a tag of its own on the rule it needs, its claim; a rule that stagedb made goes with its last claim, and any other stays.

use std::collections::BTreeMap;

use crate::{StackName, Stage, StageName};

/// The tag of a rule that stagedb made.
const MADE: &str = "stagedb:made";
/// What the tags begin with that say which stage needs a rule.
const CLAIM: &str = "stagedb:stage/";

/// The key of the tag with which a stage claims a rule. Its value is the identifier of the database.
#[must_use]
pub fn claim_tag(stage: &Stage) -> String {
    format!("{CLAIM}{stage}")
}

/// The stage whose claim a tag is, if it is one.
#[must_use]
pub fn stage_of_claim(key: &str) -> Option<Stage> {
    let (stack, stage) = key.strip_prefix(CLAIM)?.split_once('/')?;
    Some(Stage { stack: StackName::try_from(stack).ok()?, stage: StageName::try_from(stage).ok()? })
}

/// An inbound rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRule {
    /// Its id.
    pub id: String,
    /// The group it is a rule of.
    pub group: String,
    /// The protocol, such as `tcp`.
    pub protocol: String,
    /// The first port.
    pub from_port: i32,
    /// The last port.
    pub to_port: i32,
    /// The group whose members it lets in, if it names a group.
    pub source_group: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The rule that a stage needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The security group of the database.
    pub group: String,
    /// The port of the database.
    pub port: u16,
    /// The security group of the stage's service.
    pub source_group: String,
    /// The identifier of the database.
    pub identifier: String,
}

/// What to do now; after each but `Done` the rules are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessStep {
    /// Make the rule, with these tags.
    Authorize(BTreeMap<String, String>),
    /// Put these tags on a rule that is there.
    Claim {
        /// The rule.
        id: String,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Take the stage's claim off a rule.
    Release {
        /// The rule.
        id: String,
        /// The key of the claim.
        key: String,
    },
    /// Remove a rule that stagedb made and nobody else claims.
    Revoke {
        /// The group it is a rule of.
        group: String,
        /// The rule.
        id: String,
    },
    /// Everything is as it should be.
    Done,
}

/// The next step of a stage towards the one rule it needs, or none. `rules` are those of the wanted group, and all that
/// the stage claims.
#[must_use]
pub fn access_step(stage: &Stage, wanted: Option<&Wanted>, rules: &[IngressRule]) -> AccessStep {
    let key = claim_tag(stage);
    let serves = |rule: &IngressRule, wanted: &Wanted| {
        rule.group == wanted.group
            && rule.protocol == "tcp"
            && rule.from_port == i32::from(wanted.port)
            && rule.to_port == i32::from(wanted.port)
            && rule.source_group.as_ref() == Some(&wanted.source_group)
    };
    if let Some(wanted) = wanted {
        let claim = BTreeMap::from([(key.clone(), wanted.identifier.clone())]);
        match rules.iter().find(|rule| serves(rule, wanted)) {
            None => {
                let made = (MADE.to_owned(), "true".to_owned());
                return AccessStep::Authorize(claim.into_iter().chain([made]).collect());
            }
            Some(rule) if rule.tags.get(&key) != Some(&wanted.identifier) => {
                return AccessStep::Claim { id: rule.id.clone(), tags: claim };
            }
            Some(_) => {}
        }
    }
    let is_needed = |rule: &IngressRule| wanted.is_some_and(|wanted| serves(rule, wanted));
    let Some(rule) = rules.iter().find(|rule| rule.tags.contains_key(&key) && !is_needed(rule)) else {
        return AccessStep::Done;
    };
    let is_shared = rule.tags.keys().any(|other| *other != key && other.starts_with(CLAIM));
    if rule.tags.contains_key(MADE) && !is_shared {
        AccessStep::Revoke { group: rule.group.clone(), id: rule.id.clone() }
    } else {
        AccessStep::Release { id: rule.id.clone(), key }
    }
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

    fn apply(rules: &mut Vec<IngressRule>, wanted: &Wanted, step: &AccessStep) {
        match step {
            AccessStep::Authorize(tags) => rules.push(IngressRule {
                id: format!("sgr-{}", rules.len()),
                group: wanted.group.clone(),
                protocol: "tcp".to_owned(),
                from_port: 5432,
                to_port: 5432,
                source_group: Some(wanted.source_group.clone()),
                tags: tags.clone(),
            }),
            AccessStep::Claim { id, tags } => {
                let rule = rules.iter_mut().find(|rule| rule.id == *id).unwrap();
                rule.tags.extend(tags.clone());
            }
            AccessStep::Release { id, key } => {
                let rule = rules.iter_mut().find(|rule| rule.id == *id).unwrap();
                rule.tags.remove(key);
            }
            AccessStep::Revoke { id, .. } => rules.retain(|rule| rule.id != *id),
            AccessStep::Done => {}
        }
    }

    /// Steps until nothing is left to do, which must be soon.
    fn settle(rules: &mut Vec<IngressRule>, stage: &Stage, target: Option<&Wanted>) {
        for _ in 0..5 {
            let step = access_step(stage, target, rules);
            if step == AccessStep::Done {
                return;
            }
            apply(rules, target.unwrap_or(&wanted("sg-orders")), &step);
        }
        panic!("it never ends: {rules:?}");
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
        apply(&mut rules, &wanted("sg-orders"), &AccessStep::Authorize(BTreeMap::new()));
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
        let step = access_step(&dev, Some(&wanted("sg-bills")), &rules);
        assert!(matches!(step, AccessStep::Authorize(_)), "{step:?}");
        settle(&mut rules, &dev, Some(&wanted("sg-bills")));
        assert_eq!(rules.iter().map(|rule| rule.group.as_str()).collect::<Vec<_>>(), ["sg-bills"]);
    }

    #[test]
    fn a_claim_names_its_stage_and_nothing_else_does() {
        assert_eq!(stage_of_claim(&claim_tag(&stage("dev"))), Some(stage("dev")));
        for other in ["stagedb:made", "stagedb:stage", "stagedb:stage/shop", "stagedb:stage/Shop/dev", "Name"]
        {
            assert_eq!(stage_of_claim(other), None, "{other}");
        }
    }
}
