//! Where a database is, as clients see it.

use crate::ExistingDatabaseName;

/// Where clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The identifier of the DB instance or DB cluster.
    pub identifier: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name of the database.
    pub database_name: ExistingDatabaseName,
}
