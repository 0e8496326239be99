//! What all settings have in common: the form of a value, and how it is written as JSON and as a parameter of the stage
//! stack. `settings.rs` defines each setting with it.

use std::fmt::Display;

use serde_json::{Map, Value as Json};
use thiserror::Error;

/// The form and the limits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text that matches a pattern.
    Text(TextForm),
    /// A whole number, from `min` to `max`.
    Number {
        /// The lowest number that is allowed.
        min: u32,
        /// The highest number that is allowed.
        max: u32,
    },
    /// True or false.
    Boolean,
    /// One of several words.
    Choice(ChoiceForm),
}

/// The form and the limits of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextForm {
    /// A regular expression, in the subset that JSON Schema recommends.
    pub pattern: &'static str,
    /// The least number of characters, if the pattern doesn't say it.
    pub min_length: Option<usize>,
    /// The greatest number of characters, if the pattern doesn't say it.
    pub max_length: Option<usize>,
    /// A valid value.
    pub example: Option<&'static str>,
}

/// Words to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceForm {
    /// The name of the type in the API's description.
    pub name: &'static str,
    /// What is chosen.
    pub description: &'static str,
    /// The words.
    pub words: &'static [&'static str],
}

/// What a null stands for in a parameter of the stage stack, whose values are texts.
const NO_NUMBER: &str = "0";
/// See [`NO_NUMBER`].
const NO_TEXT: &str = "none";

impl Form {
    /// A value as a parameter of the stage stack.
    #[must_use]
    pub fn parameter(self, json: &Json) -> String {
        match json {
            Json::Null => self.null().to_owned(),
            _ => in_words(json),
        }
    }

    /// A parameter's text as JSON.
    fn json(self, text: &str) -> Result<Json, &'static str> {
        match self {
            Self::Text(_) | Self::Choice(_) => Ok(Json::from(text)),
            Self::Number { .. } => text.parse::<i64>().map(Json::from).map_err(|_| NOT_A_NUMBER),
            Self::Boolean => text.parse::<bool>().map(Json::from).map_err(|_| NOT_A_BOOLEAN),
        }
    }

    fn null(self) -> &'static str {
        if matches!(self, Self::Number { .. }) { NO_NUMBER } else { NO_TEXT }
    }
}

/// A value as the user reads it.
#[must_use]
pub fn in_words(json: &Json) -> String {
    match json {
        Json::Null => NO_TEXT.to_owned(),
        Json::String(text) => text.clone(),
        json => json.to_string(),
    }
}

pub(crate) const NOT_A_STRING: &str = "must be a string";
pub(crate) const NOT_A_NUMBER: &str = "must be a whole number";
pub(crate) const NOT_A_BOOLEAN: &str = "must be true or false";

/// The type of a setting's value. A value that breaks a limit can't be made.
pub trait SettingValue: Sized {
    /// Its form and limits.
    const FORM: Form;
    /// Whether null is a value, and not just a field that is left out.
    const IS_NULLABLE: bool = false;

    /// Reads a value.
    ///
    /// # Errors
    /// What's allowed, as the end of a sentence that starts with the field's name.
    fn from_json(json: &Json) -> Result<Self, String>;

    /// Writes the value.
    fn to_json(&self) -> Json;
}

impl SettingValue for bool {
    const FORM: Form = Form::Boolean;

    fn from_json(json: &Json) -> Result<Self, String> {
        json.as_bool().ok_or_else(|| NOT_A_BOOLEAN.to_owned())
    }

    fn to_json(&self) -> Json {
        Json::from(*self)
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const FORM: Form = T::FORM;
    const IS_NULLABLE: bool = true;

    fn from_json(json: &Json) -> Result<Self, String> {
        if json.is_null() { Ok(None) } else { T::from_json(json).map(Some) }
    }

    fn to_json(&self) -> Json {
        self.as_ref().map_or(Json::Null, T::to_json)
    }
}

/// Reads a text as a type that checks it.
pub(crate) fn text<T: TryFrom<String, Error: Display>>(json: &Json) -> Result<T, String> {
    let text = json.as_str().ok_or_else(|| NOT_A_STRING.to_owned())?;
    T::try_from(text.to_owned()).map_err(|error| error.to_string())
}

/// Reads a whole number as a type that checks it.
pub(crate) fn number<T: TryFrom<i64, Error: Display>>(json: &Json) -> Result<T, String> {
    let number = json.as_i64().ok_or_else(|| NOT_A_NUMBER.to_owned())?;
    T::try_from(number).map_err(|error| error.to_string())
}

/// The definition of a setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its field in the API.
    pub name: &'static str,
    /// Its parameter of the stage stack, and its property of the custom resource.
    pub parameter: &'static str,
    /// Its description, in Markdown.
    pub description: &'static str,
    /// What the page calls it.
    pub label: Option<&'static str>,
    /// A valid value to show in the API's description, if the form has none.
    pub example: Option<&'static str>,
    /// The form and the limits of its value.
    pub form: Form,
    /// Whether null is a value.
    pub is_nullable: bool,
    /// Whether a save must have it.
    pub need: Need,
    /// The value of a new database, and of a stage stack that an earlier version made without it.
    pub default: fn() -> Option<Json>,
    /// What can be done with it once the database exists.
    pub later: Option<&'static str>,
    /// What a change of it does.
    pub rule: Rule,
}

/// Whether a save must have a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Always.
    Required,
    /// Unless this other setting is given.
    RequiredUnless(&'static str),
    /// Never: it stays as it is, or has its default.
    Optional,
}

/// What a change of a setting does.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// RDS changes it while the database keeps running, to exactly the desired value. Nothing else is needed: the
    /// preview, the steps, and the live values follow from it.
    InPlace(fn(before: &Json, after: &Json) -> Consequence),
    /// It has rules of its own, in `save.rs` and `differences.rs`.
    Special,
    /// It can't be changed. A response leaves it out if it is null.
    Fixed,
}

/// What a change in place means for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// What to know before you save.
    pub detail: &'static str,
    /// Whether the earlier value can be restored.
    pub can_be_undone: bool,
    /// Whether RDS can leave it to the maintenance window.
    pub can_wait: bool,
}

/// A parameter that isn't a setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidParameter {
    /// It isn't there, and has no default.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// It isn't what it should be. The value isn't repeated: it may be anything.
    #[error("the parameter {name} {reason}")]
    Invalid {
        /// The parameter.
        name: &'static str,
        /// What is allowed.
        reason: String,
    },
}

/// A field of a body that isn't valid, and what is allowed.
pub type InvalidField = (&'static str, String);

impl Setting {
    /// Reads this setting from a body. What is wrong is added to the errors.
    pub(crate) fn read_body<T: SettingValue>(
        &self,
        body: &Map<String, Json>,
        errors: &mut Vec<InvalidField>,
    ) -> Option<T> {
        let given = |name| body.get(name).filter(|json| !json.is_null());
        let json = if T::IS_NULLABLE { body.get(self.name) } else { given(self.name) };
        let Some(json) = json else {
            let is_missing = match self.need {
                Need::Required => true,
                Need::RequiredUnless(other) => given(other).is_none(),
                Need::Optional => false,
            };
            if is_missing {
                errors.push((self.name, "is required".to_owned()));
            }
            return None;
        };
        T::from_json(json).map_err(|reason| errors.push((self.name, reason))).ok()
    }

    /// Reads this setting from a parameter.
    pub(crate) fn read_parameter<T: SettingValue>(
        &self,
        text: Option<String>,
        default: Option<T>,
    ) -> Result<T, InvalidParameter> {
        let name = self.parameter;
        let invalid = |reason| InvalidParameter::Invalid { name, reason };
        match text {
            None => default.ok_or(InvalidParameter::Missing(name)),
            Some(text) if T::IS_NULLABLE && text == T::FORM.null() => {
                T::from_json(&Json::Null).map_err(invalid)
            }
            Some(text) => {
                let json = T::FORM.json(&text).map_err(|reason| invalid(reason.to_owned()))?;
                T::from_json(&json).map_err(invalid)
            }
        }
    }
}

/// Defines the settings of a kind of database: a struct with a field for each, a struct with only some of them, and the
/// table that everything else is made from.
///
/// Each entry reads: description; field and type; name in the API `as` parameter of the stage stack; whether a save
/// needs it; what can be done with it later; and what a change of it does.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $whole:ident, $part:ident {
            $(
                $(#[doc = $text:literal])+
                $field:ident: $type:ty = $name:literal as $parameter:literal {
                    need: $need:ident $(($argument:expr))?,
                    $(label: $label:literal,)?
                    $(example: $example:literal,)?
                    $(later: $later:literal,)?
                    rule: $rule:expr,
                }
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $whole {
            $($(#[doc = $text])+ pub $field: $type,)+
        }

        #[doc = concat!("Some of the settings in [`", stringify!($whole), "`]: what one request says, or what is to change.")]
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $part {
            $($(#[doc = $text])+ pub $field: Option<$type>,)+
        }

        #[expect(non_upper_case_globals, reason = "one constant for each field, named like it")]
        impl $whole {
            $(
                #[doc = concat!("The definition of `", $name, "`.")]
                pub const $field: Setting = Setting {
                    name: $name,
                    parameter: $parameter,
                    description: concat!($($text, "\n"),+),
                    label: settings!(@first $($label)?),
                    example: settings!(@first $($example)?),
                    form: <$type as SettingValue>::FORM,
                    is_nullable: <$type as SettingValue>::IS_NULLABLE,
                    need: settings!(@need $need $($argument)?),
                    default: || {
                        let default: Option<$type> = settings!(@default $need $($argument)?);
                        default.map(|value| value.to_json())
                    },
                    later: settings!(@first $($later)?),
                    rule: $rule,
                };
            )+

            /// All of them, in the order of the API.
            pub const ALL: &'static [Setting] = &[$(Self::$field,)+];

            /// Each setting with its value as JSON.
            #[must_use]
            pub fn values(&self) -> Vec<(&'static Setting, Json)> {
                Self::ALL.iter().zip([$(self.$field.to_json(),)+]).collect()
            }

            /// Each setting as a parameter of the stage stack.
            #[must_use]
            pub fn parameters(&self) -> Vec<(&'static str, String)> {
                let parameter = |(setting, json): (&Setting, Json)| (setting.parameter, setting.form.parameter(&json));
                self.values().into_iter().map(parameter).collect()
            }

            /// Reads the settings from parameters, or from the properties of the custom resource.
            ///
            /// # Errors
            /// The first one that is missing or isn't valid.
            pub fn from_parameters<E: From<InvalidParameter>>(
                mut get: impl FnMut(&'static str) -> Result<Option<String>, E>,
            ) -> Result<Self, E> {
                Ok(Self {
                    $($field: {
                        let default = settings!(@default $need $($argument)?);
                        Self::$field.read_parameter(get($parameter)?, default)?
                    },)+
                })
            }
        }

        impl $part {
            /// Reads the settings that a body has.
            pub fn from_body(body: &Map<String, Json>, errors: &mut Vec<InvalidField>) -> Self {
                Self { $($field: $whole::$field.read_body(body, errors),)+ }
            }

            /// The settings that `is_chosen` picks.
            pub fn of(all: &$whole, mut is_chosen: impl FnMut(&'static Setting, &Json) -> bool) -> Self {
                let mut chosen = all.values().into_iter().map(|(setting, json)| is_chosen(setting, &json));
                Self { $($field: chosen.next().unwrap_or_default().then(|| all.$field.clone()),)+ }
            }

            /// The settings `before`, with these in their place.
            #[must_use]
            pub fn over(self, before: &$whole) -> $whole {
                $whole { $($field: self.$field.unwrap_or_else(|| before.$field.clone()),)+ }
            }

            /// These settings, with the defaults of the others.
            ///
            /// # Errors
            /// A setting is missing and has no default.
            pub fn complete(self) -> Result<$whole, &'static Setting> {
                Ok($whole {
                    $($field: {
                        let default = || settings!(@default $need $($argument)?);
                        self.$field.or_else(default).ok_or(&$whole::$field)?
                    },)+
                })
            }
        }
    };
    (@first) => { None };
    (@first $value:expr) => { Some($value) };
    (@need required) => { Need::Required };
    (@need required_unless $other:expr) => { Need::RequiredUnless($other) };
    (@need optional) => { Need::Optional };
    (@need default $value:expr) => { Need::Optional };
    (@default default $value:expr) => { Some($value) };
    (@default $need:ident $($argument:expr)?) => { None };
}
pub(crate) use settings;
