//! The settings of a stage's database in responses.

use database::{AttachedSettings, AttachmentTarget, CreatedSettings, Rule, Setting, Settings, in_words};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, OneOfBuilder, Schema},
    },
};

use crate::schema;

/// The settings, as JSON.
#[derive(Debug, Clone)]
pub(crate) struct SettingsWire(Settings);

impl From<Settings> for SettingsWire {
    fn from(settings: Settings) -> Self {
        Self(settings)
    }
}

impl Serialize for SettingsWire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object: Map<String, Value> = match &self.0 {
            Settings::None => Map::new(),
            Settings::Created(created) => object(created.values()),
            Settings::Attached(AttachedSettings { target, secret_arn }) => {
                let mut object = object(target.values());
                if let Some(arn) = secret_arn {
                    object.insert("credentials".to_owned(), json!({"secretArn": arn}));
                }
                object
            }
        };
        object.insert("source".to_owned(), Value::from(self.0.source()));
        object.serialize(serializer)
    }
}

/// Each setting that has a value, in words, for the history. Nothing of it is secret.
pub(crate) fn in_history(settings: &Settings) -> Vec<(String, String)> {
    let json = serde_json::to_value(SettingsWire(settings.clone())).unwrap_or_default();
    let word =
        |(name, value): (&String, &Value)| (name.clone(), in_words(value.get("secretArn").unwrap_or(value)));
    json.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(word).collect()
}

fn object(values: Vec<(&Setting, Value)>) -> Map<String, Value> {
    let is_said =
        |(setting, value): &(&Setting, Value)| !(value.is_null() && matches!(setting.rule, Rule::Fixed));
    values.into_iter().filter(is_said).map(|(setting, value)| (setting.name.to_owned(), value)).collect()
}

/// The secret that the credentials are copied from.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CredentialsSecret)]
#[serde(rename_all = "camelCase")]
struct SecretWire {
    secret_arn: String,
}

impl ToSchema for SettingsWire {
    fn name() -> std::borrow::Cow<'static, str> {
        "Settings".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((SecretWire::name().into_owned(), SecretWire::schema()));
    }
}

impl PartialSchema for SettingsWire {
    fn schema() -> RefOr<Schema> {
        let none = ObjectBuilder::new().description(Some("The stage has no database."));
        let created = schema::object(CreatedSettings::ALL, schema::in_response)
            .description(Some("A database that stagedb creates and owns."));
        let secret = "The secret that the credentials are copied from. Missing if they were typed in.";
        let attached = schema::object(AttachmentTarget::ALL, schema::in_response)
            .description(Some("An existing database that stagedb doesn't manage."))
            .property("credentials", schema::optional_ref::<SecretWire>(secret));
        OneOfBuilder::new()
            .item(schema::with_source(none, "none"))
            .item(schema::with_source(created, "created"))
            .item(schema::with_source(attached, "attached"))
            .description(Some("The settings of a stage's database."))
            .into()
    }
}
