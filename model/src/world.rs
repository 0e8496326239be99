//! The state of one history: the services, the processes, the clock, and what was observed.

pub(crate) mod coverage;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod process;
