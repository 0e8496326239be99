//! The runtime variables of a stage's services and jobs: which they have, what became of them, how to restore them, and
//! snippets for the users' own task definitions. The name of each variable and the secret key that it comes from, but
//! never a value.

pub(crate) mod get;
pub(crate) mod post;
pub(crate) mod snippets;
