//! The API description of settings, generated from their definitions.

use database::{ChoiceForm, Form, Need, Setting, TextForm, in_words};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{
            AdditionalProperties, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType,
            Type,
        },
    },
};

/// The schema of a setting, and whether it's required.
type Described = (RefOr<Schema>, bool);

/// An object with these settings.
pub(crate) fn object(settings: &[Setting], describe: impl Fn(&Setting) -> Described) -> ObjectBuilder {
    settings.iter().fold(ObjectBuilder::new(), |object, setting| {
        let (schema, is_required) = describe(setting);
        let object = object.property(setting.name, schema);
        if is_required { object.required(setting.name) } else { object }
    })
}

/// A setting in a request, with its limits and its default.
pub(crate) fn in_request(setting: &Setting) -> Described {
    let mut description = description(setting);
    let default = (setting.default)().filter(|default| !default.is_null());
    if let Some(default) = default {
        description = format!("{description} Default: {}.", in_words(&default));
    } else if setting.is_nullable {
        description = format!("{description} Default: null.");
    }
    let is_required = setting.need == Need::Required;
    let schema = match setting.form {
        Form::Choice(choice) => optional_choice(choice, description),
        form => {
            value(&with_example(form, setting.example), !is_required).description(Some(description)).into()
        }
    };
    (schema, is_required)
}

/// A setting in a response, whose value has been checked.
pub(crate) fn in_response(setting: &Setting) -> Described {
    let schema = match setting.form {
        Form::Number { .. } => value(&Form::Number { min: 0, max: u32::MAX }, setting.is_nullable),
        Form::Boolean => value(&Form::Boolean, setting.is_nullable),
        Form::Text(TextForm { example, .. }) => plain(setting.is_nullable).examples_of(example),
        Form::Choice(_) => plain(setting.is_nullable),
    };
    (schema.description(Some(description(setting))).into(), !setting.is_nullable)
}

/// A value that RDS shows, if it shows one.
pub(crate) fn shown(setting: &Setting) -> RefOr<Schema> {
    let (schema, _) = in_response(&Setting { is_nullable: true, ..*setting });
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = None;
            Schema::Object(object).into()
        }
        schema => schema,
    }
}

/// The component that lists the allowed words of a setting.
pub(crate) fn choice(setting: &Setting) -> Option<(String, RefOr<Schema>)> {
    let Form::Choice(choice) = setting.form else { return None };
    let schema =
        plain(false).enum_values(Some(choice.words.iter().copied())).description(Some(choice.description));
    Some((choice.name.to_owned(), schema.into()))
}

/// An optional field.
pub(crate) fn optional(form: &Form, description: &str) -> RefOr<Schema> {
    value(form, true).description(Some(description)).into()
}

/// A required field.
pub(crate) fn required(form: &Form, description: &str) -> RefOr<Schema> {
    value(form, false).description(Some(description)).into()
}

/// A body with one field, which is required.
pub(crate) fn only(name: &str, form: &Form, about: &str, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property(name, required(form, about))
        .required(name)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some(description))
        .into()
}

/// An optional object.
pub(crate) fn optional_ref<T: ToSchema>(description: &str) -> RefOr<Schema> {
    let reference =
        Ref::builder().ref_location_from_schema_name(T::name()).description(Some(description)).build();
    or_null(reference)
}

/// A required text that clients shouldn't display.
pub(crate) fn password(form: &Form) -> RefOr<Schema> {
    value(form, false).format(Some(SchemaFormat::KnownFormat(KnownFormat::Password))).into()
}

/// An object of required values.
pub(crate) fn texts(fields: &[(&str, Form)]) -> ObjectBuilder {
    fields.iter().fold(ObjectBuilder::new(), |object, (name, form)| {
        object.property(*name, value(form, false)).required(*name)
    })
}

/// One of the objects that are told apart by their source.
pub(crate) fn with_source(object: ObjectBuilder, source: &str) -> ObjectBuilder {
    object.property("source", plain(false).enum_values(Some([source]))).required("source")
}

fn description(setting: &Setting) -> String {
    setting.description.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn with_example(form: Form, example: Option<&'static str>) -> Form {
    match form {
        Form::Text(text) => Form::Text(TextForm { example: text.example.or(example), ..text }),
        form => form,
    }
}

fn value(form: &Form, is_nullable: bool) -> ObjectBuilder {
    match *form {
        Form::Text(TextForm { pattern, min_length, max_length, example }) => plain(is_nullable)
            .pattern(Some(pattern))
            .min_length(min_length)
            .max_length(max_length)
            .examples_of(example),
        Form::Number { min, max } => {
            let number = ObjectBuilder::new()
                .schema_type(of_type(Type::Integer, is_nullable))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                .minimum(Some(min));
            if max == u32::MAX { number } else { number.maximum(Some(max)) }
        }
        Form::Boolean => ObjectBuilder::new().schema_type(of_type(Type::Boolean, is_nullable)),
        Form::Choice(ChoiceForm { words, .. }) => plain(is_nullable).enum_values(Some(words.iter().copied())),
    }
}

fn plain(is_nullable: bool) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(of_type(Type::String, is_nullable))
}

fn of_type(of: Type, is_nullable: bool) -> SchemaType {
    if is_nullable { SchemaType::from_iter([of, Type::Null]) } else { SchemaType::new(of) }
}

fn optional_choice(choice: ChoiceForm, description: String) -> RefOr<Schema> {
    or_null(Ref::builder().ref_location_from_schema_name(choice.name).description(Some(description)).build())
}

fn or_null(reference: Ref) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(SchemaType::new(Type::Null));
    OneOfBuilder::new().item(null).item(reference).into()
}

trait Example {
    fn examples_of(self, example: Option<&'static str>) -> Self;
}

impl Example for ObjectBuilder {
    #[expect(deprecated, reason = "OpenAPI 3.1 prefers `examples`; the generated types read `example`")]
    fn examples_of(self, example: Option<&'static str>) -> Self {
        self.example(example.map(Value::from))
    }
}
