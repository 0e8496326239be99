//! The state of instances and snapshots.

use std::collections::{BTreeMap, VecDeque};

use crate::base::wire::Call;

/// The database that stages can be attached to and stagedb doesn't manage.
pub(crate) const ORDERS: &str = "orders";
/// Its security group.
pub(crate) const ORDERS_GROUP: &str = "sg-orders";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) class: String,
    pub(crate) storage: u32,
    pub(crate) status: String,
    pub(crate) version: String,
    pub(crate) multi_az: bool,
    /// The settings that RDS changes immediately, by parameter name.
    pub(super) attributes: BTreeMap<&'static str, String>,
    pub(crate) max_storage: Option<u32>,
    pub(crate) iops: Option<u32>,
    pub(crate) pending: Pending,
    pub(crate) password: String,
    pub(crate) username: String,
    /// The app logins that are enabled, by name.
    pub(crate) logins: BTreeMap<String, AppLogin>,
    /// Who owns the objects.
    pub(crate) owner: Owner,
    pub(crate) database_name: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) protected: bool,
    pub(crate) security_groups: Vec<String>,
    pub(crate) subnet_group: String,
    pub(crate) was_available: Option<u64>,
    /// A number that represents the data. A restored instance has the same number as its snapshot.
    pub(crate) data: u64,
    /// Whether someone else created it.
    pub(crate) foreign: bool,
    pub(super) storage_changed: Option<u64>,
    pub(super) optimizing_until: u64,
    pub(super) course: VecDeque<(u64, Change)>,
}

/// Who owns a database's objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Owner {
    #[default]
    Master,
    /// The role that the app logins act as.
    App,
}

/// A login that acts as the owner of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppLogin {
    /// How the server recognizes its password.
    pub(crate) verifier: String,
    /// When it got its password.
    pub(crate) since: String,
}

/// Changes that were accepted but aren't applied yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(super) class: Option<String>,
    pub(super) storage: Option<u32>,
    pub(super) multi_az: Option<bool>,
    pub(super) version: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) identifier: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) taken_at: u64,
    pub(crate) available_at: u64,
    pub(crate) instance: Box<Instance>,
}

#[derive(Debug, Clone)]
pub(crate) struct Gone {
    pub(crate) identifier: String,
    pub(crate) data: u64,
    /// A user deleted it in the console.
    pub(crate) by_hand: bool,
}

/// What happens to an instance on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Status(&'static str),
    /// It becomes available for the first time: it now has an endpoint and a creation time.
    Made,
    /// Pending changes are applied.
    Applied,
    Optimized,
    Vanished {
        by_hand: bool,
    },
}

impl Instance {
    pub(crate) fn endpoint(&self, identifier: &str) -> Option<String> {
        self.was_available.map(|_| host(identifier))
    }

    /// The status when no change is in progress.
    pub(super) fn at_rest(&self, now: u64) -> &'static str {
        if now < self.optimizing_until { "storage-optimization" } else { "available" }
    }

    pub(super) fn is_usable(&self) -> bool {
        ["available", "storage-optimization", "storage-full"].contains(&self.status.as_str())
    }
}

pub(super) fn host(identifier: &str) -> String {
    format!("{identifier}.c0example.us-east-1.rds.amazonaws.com")
}

impl Instance {
    /// The state that it must always keep.
    pub(crate) fn orders() -> Self {
        Self::foreign(0, 0, vec![ORDERS_GROUP.to_owned()])
    }

    pub(super) fn foreign(data: u64, now: u64, security_groups: Vec<String>) -> Self {
        Self {
            class: "db.m7g.large".to_owned(),
            storage: 500,
            status: "available".to_owned(),
            version: "17.5".to_owned(),
            password: "theirs".to_owned(),
            username: "theirs".to_owned(),
            database_name: "theirs".to_owned(),
            security_groups,
            was_available: Some(now),
            data,
            foreign: true,
            ..Self::default()
        }
    }
}

/// The settings that RDS changes immediately: parameter names and defaults.
const ATTRIBUTES: [(&str, &str); 1] = [("BackupRetentionPeriod", "1")];

/// The attributes of a new instance.
pub(super) fn attributes(call: &Call) -> BTreeMap<&'static str, String> {
    ATTRIBUTES.map(|(name, default)| (name, call.text(name).unwrap_or(default).to_owned())).into()
}
