//! What everything else builds on: time, randomness, the AWS protocols, and the invariants.

pub(crate) mod clock;
pub(crate) mod invariant;
pub(crate) mod kind;
pub(crate) mod random;
pub(crate) mod scram;
pub(crate) mod wire;
