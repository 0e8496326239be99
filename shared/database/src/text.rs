//! What all texts with a pattern have in common.

use regex_lite::Regex;

use crate::setting::TextForm;

/// Implements what every checked text has in common: making it with `TryFrom<String>`, reading it, and its form.
/// `$form` is all that is checked, besides `$besides`.
macro_rules! text {
    ($type:ident, $error:expr, $form:expr $(, besides: $besides:expr)?) => {
        impl TryFrom<String> for $type {
            type Error = $crate::SettingError;
            fn try_from(text: String) -> Result<Self, $crate::SettingError> {
                static PATTERN: std::sync::LazyLock<regex_lite::Regex> =
                    std::sync::LazyLock::new(|| $crate::text::regex($form));
                if !$crate::text::has_form(&text, $form, &PATTERN) {
                    return Err($error);
                }
                $({
                    let besides: fn(&str) -> Result<(), $crate::SettingError> = $besides;
                    besides(&text)?;
                })?
                Ok(Self(text))
            }
        }
        impl $crate::setting::SettingValue for $type {
            const FORM: $crate::setting::Form = $crate::setting::Form::Text($form);

            fn from_json(json: &serde_json::Value) -> Result<Self, String> {
                $crate::setting::text(json)
            }

            fn to_json(&self) -> serde_json::Value {
                serde_json::Value::from(self.0.as_str())
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text;

#[expect(clippy::expect_used, reason = "a test makes every pattern")]
pub(crate) fn regex(form: TextForm) -> Regex {
    Regex::new(form.pattern).expect("the pattern of a type is a regular expression")
}

pub(crate) fn has_form(text: &str, form: TextForm, pattern: &Regex) -> bool {
    let length = text.chars().count();
    length >= form.min_length.unwrap_or(0)
        && form.max_length.is_none_or(|max| length <= max)
        && pattern.is_match(text)
}

/// A text that one pattern describes.
pub(crate) const fn pattern(pattern: &'static str) -> TextForm {
    TextForm { pattern, min_length: None, max_length: None, example: None }
}
