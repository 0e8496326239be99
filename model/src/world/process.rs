//! A process that runs a function, and what it's working on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{base::kind::Kind, plans::fault::Fault};

/// The last description of an instance that the function received. It's the basis for the function's decisions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) foreign: bool,
    pub(crate) storage: u32,
}

/// What the process works on.
#[derive(Debug, Default)]
pub(crate) struct Current {
    pub(crate) invocation: u64,
    pub(crate) faults: bool,
    /// The custom resource request that it's about.
    pub(crate) request: Option<String>,
    pub(crate) event: Value,
    pub(crate) shown: BTreeMap<String, Shown>,
    /// The fault that continues for some tries of an operation.
    pub(crate) ongoing: Option<(String, Fault)>,
}

/// A process that runs a function.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) kind: Kind,
    alive: AtomicBool,
    pub(crate) died: Notify,
    current: Mutex<Current>,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn die(&self) {
        self.alive.store(false, Ordering::Relaxed);
        self.died.notify_one();
    }

    pub(crate) fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    pub(crate) fn new(kind: Kind) -> Arc<Self> {
        Arc::new(Self { kind, alive: AtomicBool::new(true), died: Notify::new(), current: Mutex::default() })
    }
}
