//! Text that anyone may have typed, made safe to show.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest text in a record, in characters.
const MAX: usize = 256;

/// One line of at most 256 characters, without anything that a screen or a terminal would act on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Clean(String);

/// Control characters, line and paragraph separators, and characters that are invisible or change the direction.
fn is_unsafe(c: char) -> bool {
    let is_invisible = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
    let is_layout = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}');
    c.is_control() || is_invisible || is_layout || matches!(c, '\u{e0000}'..='\u{e007f}')
}

impl From<&str> for Clean {
    fn from(text: &str) -> Self {
        let mut clean: String = text
            .chars()
            .take(MAX)
            .map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        if text.chars().nth(MAX).is_some() {
            clean.pop();
            clean.push('…');
        }
        Self(clean)
    }
}

impl From<String> for Clean {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Clean> for String {
    fn from(clean: Clean) -> Self {
        clean.0
    }
}

impl AsRef<str> for Clean {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
