//! What all choices of words have in common.

/// Implements what every choice has in common: its words, making it with `TryFrom<String>`, and its form.
/// `$name` and `$description` are those of its type in `openapi.json`.
macro_rules! choice {
    ($type:ident, $error:expr, $name:literal, $description:literal, $($variant:ident: $word:literal),+) => {
        impl $type {
            /// The word for it in the API and in the stage stack.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
        impl TryFrom<String> for $type {
            type Error = $crate::SettingError;
            fn try_from(text: String) -> Result<Self, $crate::SettingError> {
                match text.as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($error),
                }
            }
        }
        impl $crate::setting::SettingValue for $type {
            const FORM: $crate::setting::Form = $crate::setting::Form::Choice($crate::setting::ChoiceForm {
                name: $name,
                description: $description,
                words: &[$($word),+],
            });

            fn from_json(json: &serde_json::Value) -> Result<Self, String> {
                $crate::setting::text(json)
            }

            fn to_json(&self) -> serde_json::Value {
                serde_json::Value::from(self.as_str())
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use choice;
