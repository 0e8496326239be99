//! Which roles stagedb may pass to ECS: ARN patterns as in an IAM policy.

/// ARN patterns of IAM roles. `*` stands for any characters, and `?` for one (IAM user guide, Resource).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePatterns(Vec<String>);

impl From<&str> for RolePatterns {
    /// Patterns separated by commas.
    fn from(patterns: &str) -> Self {
        Self(patterns.split(',').map(|pattern| pattern.trim().to_owned()).collect())
    }
}

impl RolePatterns {
    /// Whether a role's ARN matches one of them.
    #[must_use]
    pub fn allow(&self, arn: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern.as_bytes(), arn.as_bytes()))
    }

    /// All of them, for a message.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.0.join(" or ")
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on if the text after the last `*` doesn't match.
    let mut star: Option<(&[u8], &[u8])> = None;
    let (mut pattern, mut text) = (pattern, text);
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, text));
                pattern = rest;
            }
            ([], []) => return true,
            ([b'?', rest @ ..], [_, after @ ..]) => (pattern, text) = (rest, after),
            ([expected, rest @ ..], [found, after @ ..]) if expected == found => {
                (pattern, text) = (rest, after);
            }
            _ => match star {
                Some((rest, [_, after @ ..])) => {
                    star = Some((rest, after));
                    (pattern, text) = (rest, after);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_in_a_policy() {
        for (patterns, arn, expected) in [
            ("arn:aws:iam::1:role/shop-*", "arn:aws:iam::1:role/shop-web", true),
            ("arn:aws:iam::1:role/shop-*", "arn:aws:iam::1:role/shop-", true),
            ("arn:aws:iam::1:role/shop-*", "arn:aws:iam::1:role/admin", false),
            ("arn:aws:iam::1:role/shop-*", "arn:aws:iam::1:role/my-shop-web", false),
            ("arn:aws:iam::1:role/*/web", "arn:aws:iam::1:role/a/b/web", true),
            ("arn:aws:iam::1:role/*web*task", "arn:aws:iam::1:role/web-web-task", true),
            ("arn:aws:iam::1:role/*web*task", "arn:aws:iam::1:role/web-task-", false),
            ("arn:aws:iam::1:role/web-?", "arn:aws:iam::1:role/web-1", true),
            ("arn:aws:iam::1:role/web-?", "arn:aws:iam::1:role/web-12", false),
            ("arn:aws:iam::1:role/a, arn:aws:iam::1:role/b", "arn:aws:iam::1:role/b", true),
            ("arn:aws:iam::1:role/a,arn:aws:iam::1:role/b", "arn:aws:iam::1:role/c", false),
            ("", "arn:aws:iam::1:role/c", false),
        ] {
            assert_eq!(RolePatterns::from(patterns).allow(arn), expected, "{patterns} {arn}");
        }
    }
}
