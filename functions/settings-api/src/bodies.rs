//! The bodies of requests, for the API's description only: `fields` and `wish` read them, and say everything that is wrong
//! at once. A test compares the fields of the two.

#![expect(dead_code, reason = "they are described here, and read elsewhere")]

use serde::Serialize;
use utoipa::ToSchema;

/// The body of a registration.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Registration {
    /// The VPC of the stage's service.
    #[schema(example = "vpc-0123456789abcdef0", pattern = "^vpc-[0-9a-f]+$", max_length = 255)]
    vpc_id: String,
    service: ServiceOfRegistration,
}

/// The ECS service that a stage runs as.
#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceOfRegistration {
    /// The cluster's name or ARN.
    #[schema(example = "demo", min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    cluster: String,
    #[schema(
        example = "test-django2-dev",
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$"
    )]
    name: String,
    /// The container of the service's task definition that gets the runtime variables.
    #[schema(example = "web", min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    container: String,
}

/// The body of a Save, and of its preview. A field that may be left out stays as it is; of a new database it then has its
/// default.
#[derive(ToSchema, Serialize)]
#[serde(tag = "source", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Save {
    /// A database of the stage's own: new, or changed.
    #[serde(rename_all = "camelCase")]
    Created {
        /// One of `GET /api/instance-classes`.
        #[schema(example = "db.t4g.micro", pattern = "^db\\.[a-z0-9-]{1,20}\\.[a-z0-9-]{1,20}$")]
        instance_class: String,
        /// In GiB. It can grow by 10 % or more, and never shrinks.
        #[serde(rename = "storageGiB")]
        #[schema(minimum = 20, maximum = 65536)]
        storage_gib: u32,
        /// Up to where RDS grows the storage by itself, in GiB: at least 10 % above the storage; null: it does not (default).
        #[serde(rename = "maxStorageGiB", skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 20, maximum = 65536)]
        max_storage_gib: Option<u32>,
        /// Whether a standby in a second availability zone takes over when the first fails (default: false).
        #[serde(skip_serializing_if = "Option::is_none")]
        multi_az: Option<bool>,
        /// For how many days automated backups are kept (default: 7).
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 35)]
        backup_retention_days: Option<u32>,
        /// Major or full; it can be raised and never lowered.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(example = "17", pattern = "^[0-9]{1,3}(\\.[0-9]{1,3})?$")]
        engine_version: Option<String>,
        /// The database inside. Required, unless the snapshot says it; it cannot be changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(example = "app", pattern = "^[a-z][a-z0-9_]{0,62}$")]
        database_name: Option<String>,
        /// When changes are made that interrupt the database (default: now).
        #[serde(skip_serializing_if = "Option::is_none")]
        apply: Option<ApplyOfSave>,
        /// One of `GET …/snapshots`: a stage without a database begins with its data.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(pattern = "^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$", max_length = 255)]
        from_snapshot: Option<String>,
        /// The identifier of the DB instance: required for an upgrade to another major version, which cannot be undone.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
        confirm: Option<String>,
    },
    /// Somebody else's database, which is never changed.
    #[serde(rename_all = "camelCase")]
    Attached {
        /// Needed only if there is an instance and a cluster of that identifier.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<KindOfSave>,
        /// One of `GET /api/databases`.
        #[schema(example = "orders", pattern = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length = 63)]
        identifier: String,
        /// The database inside.
        #[schema(example = "orders", pattern = "^[A-Za-z0-9_-]{1,63}$")]
        database_name: String,
        /// How applications log in. Left out, as before.
        #[serde(skip_serializing_if = "Option::is_none")]
        credentials: Option<CredentialsOfSave>,
    },
}

/// When changes are made that interrupt the database.
#[derive(ToSchema, Serialize)]
#[schema(as = Apply)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ApplyOfSave {
    /// As part of the rebuild.
    Now,
    /// By RDS, in the instance's next maintenance window.
    MaintenanceWindow,
}

/// What an attached database is.
#[derive(ToSchema, Serialize)]
#[schema(as = Kind)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindOfSave {
    Instance,
    Cluster,
}

/// How applications log in to an attached database.
#[derive(ToSchema, Serialize)]
#[schema(as = Credentials)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum CredentialsOfSave {
    /// Copied from a secret whose value is a JSON object with the keys `username` and `password`, at every rebuild anew.
    #[serde(rename_all = "camelCase")]
    Secret {
        #[schema(
            example = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf",
            pattern = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]{8,512}$",
            max_length = 700
        )]
        secret_arn: String,
    },
    /// Put straight into the stage's own secret.
    Typed {
        #[schema(min_length = 1, max_length = 63, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
        username: String,
        #[schema(min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", format = Password)]
        password: String,
    },
}

/// The body of a removal.
#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    /// The identifier of the DB instance or DB cluster that is removed.
    #[schema(min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    confirm: String,
}
