//! Which stack and stage an ECS service probably belongs to, from its tags.

use std::collections::BTreeMap;

use crate::{StackName, StageName};

/// The tags that name the stack, most telling first.
const STACK_TAGS: [&str; 4] =
    ["copilot-application", "stack", "application", "aws:cloudformation:stack-name"];
/// The tags that name the stage.
const STAGE_TAGS: [&str; 3] = ["copilot-environment", "stage", "environment"];
/// What stages are often called.
const STAGES: [&str; 13] = [
    "dev",
    "development",
    "test",
    "testing",
    "qa",
    "staging",
    "stage",
    "preview",
    "demo",
    "sandbox",
    "uat",
    "prod",
    "production",
];

/// The names of a stack and a stage that a service's tags suggest. The keys of tags are compared without case. If no tag
/// names the stage, the last word of a CloudFormation stack's name may: `shop-dev` suggests `shop` and `dev`.
#[must_use]
pub fn suggested_stage(tags: &BTreeMap<String, String>) -> Option<(StackName, Option<StageName>)> {
    let find = |key: &&str| {
        let found = tags.iter().find(|(name, value)| name.eq_ignore_ascii_case(key) && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let stage = STAGE_TAGS.iter().find_map(find).and_then(|text| StageName::try_from(named(text, 16)).ok());
    let stack = named(STACK_TAGS.iter().find_map(find)?, 32);
    if let Some(stage) = stage {
        // The stage isn't repeated in the stack's name.
        let ending = format!("-{stage}");
        let stack = stack.strip_suffix(&ending).map_or(stack.clone(), str::to_owned);
        return Some((StackName::try_from(stack).ok()?, Some(stage)));
    }
    let (start, end) = stack.rsplit_once('-').unwrap_or((&stack, ""));
    if STAGES.contains(&end) {
        return Some((StackName::try_from(start).ok()?, StageName::try_from(end).ok()));
    }
    Some((StackName::try_from(stack).ok()?, None))
}

/// As much of a text as a name can have.
fn named(text: &str, max: usize) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let short: String = name.chars().take(max).collect();
    short.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_suggest_the_names_of_a_stack_and_a_stage() {
        for (tags, expected) in [
            (
                &[
                    ("copilot-application", "shop"),
                    ("copilot-environment", "prod"),
                    ("copilot-service", "web"),
                ][..],
                "shop prod",
            ),
            (&[("Stack", "Shop"), ("Stage", "Dev")], "shop dev"),
            (&[("stack", "shop"), ("environment", "staging")], "shop staging"),
            (&[("aws:cloudformation:stack-name", "shop-dev")], "shop dev"),
            (&[("aws:cloudformation:stack-name", "shop-dev"), ("environment", "dev")], "shop dev"),
            (&[("aws:cloudformation:stack-name", "TheShop")], "theshop -"),
            (&[("aws:cloudformation:stack-name", "my_shop.web")], "my-shop-web -"),
            (&[("stack", "2024-shop")], "shop -"),
            (&[("stack", "shop"), ("stage", "a-very-long-name-of-a-stage")], "shop a-very-long-name"),
            (&[("stack", "...")], ""),
            (&[("Name", "web"), ("stage", "dev")], ""),
            (&[], ""),
        ] {
            let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let words = suggested_stage(&tags).map_or_else(String::new, |(stack, stage)| {
                format!("{stack} {}", stage.map_or("-".to_owned(), |stage| stage.to_string()))
            });
            assert_eq!(words, expected, "{tags:?}");
        }
    }
}
