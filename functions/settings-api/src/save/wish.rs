//! What a save, or its preview, asks for.

use aws::Password;
use database::{
    AttachmentPart, AttachmentTarget, CreatedPart, CreatedSettings, DatabaseIdentifier, ExistingDatabaseName,
    PlainText, SecretArn, SettingValue, Username,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{OneOfBuilder, Schema},
    },
};

use crate::{
    request::{Body, Fields},
    response::Problem,
    schema,
};

/// The settings that the user wants.
#[derive(Debug)]
pub(crate) enum Wish {
    Created(CreatedWish),
    Attached(AttachedWish),
}

/// A database that stagedb creates and owns. A setting that is left out stays as it is, or has its default.
#[derive(Debug)]
pub(crate) struct CreatedWish {
    pub(crate) settings: CreatedPart,
    pub(crate) confirm: Option<PlainText>,
}

/// An existing database that stagedb doesn't manage.
#[derive(Debug)]
pub(crate) struct AttachedWish {
    pub(crate) settings: AttachmentPart,
    pub(crate) identifier: DatabaseIdentifier,
    pub(crate) database_name: ExistingDatabaseName,
    /// `None`: the credentials stay as they are.
    pub(crate) credentials: Option<CredentialsWish>,
}

/// How applications sign in to an attached database.
#[derive(Debug)]
pub(crate) enum CredentialsWish {
    Secret(SecretArn),
    Typed { username: Username, password: Password },
}

impl Wish {
    /// What a body asks for, or everything that's wrong with it.
    pub(crate) fn from_body(body: &Body) -> Result<Self, Problem> {
        let fields = body.object()?;
        match fields.read::<PlainText>("source").as_ref().map(AsRef::as_ref) {
            Some("created") => created(fields),
            Some("attached") => attached(fields),
            Some(_) => {
                fields.error("source", "must be created or attached");
                Err(Problem::fields(fields.errors()))
            }
            // Without a source, the other fields can't be judged.
            None => Err(Problem::fields(fields.errors())),
        }
    }
}

fn created(fields: Fields) -> Result<Wish, Problem> {
    let mut settings = fields.settings(CreatedSettings::ALL, CreatedPart::from_body);
    // A null snapshot counts as missing: the snapshot that a database started with doesn't change.
    settings.from_snapshot = settings.from_snapshot.filter(Option::is_some);
    let confirm = fields.optional(CONFIRM);
    let errors = fields.end();
    if errors.is_empty() {
        Ok(Wish::Created(CreatedWish { settings, confirm }))
    } else {
        Err(Problem::fields(errors))
    }
}

fn attached(fields: Fields) -> Result<Wish, Problem> {
    let settings = fields.settings(AttachmentTarget::ALL, AttachmentPart::from_body);
    let inner = if fields.has(CREDENTIALS) { fields.object(CREDENTIALS) } else { None };
    let (credentials, of_credentials) = inner.map_or((None, Vec::new()), |inner| {
        let credentials = credentials(&inner);
        (credentials, inner.end())
    });
    let mut errors = fields.end();
    errors.extend(of_credentials);
    match (settings.identifier.clone(), settings.database_name.clone()) {
        (Some(identifier), Some(database_name)) if errors.is_empty() => {
            Ok(Wish::Attached(AttachedWish { settings, identifier, database_name, credentials }))
        }
        _ => Err(Problem::fields(errors)),
    }
}

fn credentials(fields: &Fields) -> Option<CredentialsWish> {
    if fields.has(SECRET_ARN) {
        if fields.has(USERNAME) || fields.has(PASSWORD) {
            fields.error(SECRET_ARN, "can't be given together with username and password");
        }
        return fields.read(SECRET_ARN).map(CredentialsWish::Secret);
    }
    let username = fields.read(USERNAME);
    let password = fields.read::<PlainText>(PASSWORD).map(|text| Password::from(String::from(text)));
    Some(CredentialsWish::Typed { username: username?, password: password? })
}

const CONFIRM: &str = "confirm";
const CREDENTIALS: &str = "credentials";
const SECRET_ARN: &str = "secretArn";
const USERNAME: &str = "username";
const PASSWORD: &str = "password";

impl ToSchema for Wish {
    fn name() -> std::borrow::Cow<'static, str> {
        "Save".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let choices = CreatedSettings::ALL.iter().chain(AttachmentTarget::ALL).filter_map(schema::choice);
        schemas.extend(choices);
        schemas.push((CredentialsWish::name().into_owned(), CredentialsWish::schema()));
    }
}

impl PartialSchema for Wish {
    fn schema() -> RefOr<Schema> {
        let confirm = "The identifier of the DB instance. Required for a save that starts an upgrade to another major version, \
                       because you can't undo it.";
        let created = schema::object(CreatedSettings::ALL, schema::in_request)
            .description(Some(
                "A database that stagedb creates and owns: a new one, or changes to the existing one.",
            ))
            .property(CONFIRM, schema::optional(&PlainText::FORM, confirm));
        let attached = schema::object(AttachmentTarget::ALL, schema::in_request)
            .description(Some("An existing database that stagedb doesn't manage and never changes."))
            .property(
                CREDENTIALS,
                schema::optional_ref::<CredentialsWish>(
                    "How applications sign in. Required when you attach a database. Later, leave it out to keep the credentials.",
                ),
            );
        let about = "The body of a save, and of its preview. A field that you can leave out stays as it is, or has its default \
                     in a new database.";
        OneOfBuilder::new()
            .item(schema::with_source(created, "created"))
            .item(schema::with_source(attached, "attached"))
            .description(Some(about))
            .into()
    }
}

impl ToSchema for CredentialsWish {
    fn name() -> std::borrow::Cow<'static, str> {
        "Credentials".into()
    }
}

impl PartialSchema for CredentialsWish {
    fn schema() -> RefOr<Schema> {
        let secret = "The ARN of a secret whose value is a JSON object with the keys `username` and `password`. Every rebuild \
                      copies the credentials from it.";
        let typed = "A username and a password. They're written to the stage's own secret.";
        OneOfBuilder::new()
            .item(schema::texts(&[(SECRET_ARN, SecretArn::FORM)]).description(Some(secret)))
            .item(
                schema::texts(&[(USERNAME, Username::FORM), (PASSWORD, PlainText::FORM)])
                    .property(PASSWORD, schema::password(&PlainText::FORM))
                    .description(Some(typed)),
            )
            .description(Some("How applications sign in to an attached database."))
            .into()
    }
}
