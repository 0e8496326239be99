//! Reads every line that the functions log, because no line may contain a secret.

use std::{
    cell::RefCell,
    fmt::{Debug, Write},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

use crate::services::{requests::SIGNATURE_MARK, secrets::PASSWORD_MARK};

/// Whether a text contains a secret.
pub(crate) fn leaks(text: &str) -> bool {
    text.contains(PASSWORD_MARK) || text.contains(SIGNATURE_MARK)
}

thread_local! {
    static LEAKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The first line on this thread that contained a secret since the last call.
pub(crate) fn take_leak() -> Option<String> {
    LEAKED.take()
}

/// The log of the functions.
#[derive(Debug)]
pub(crate) struct Log;

impl Log {
    /// Installs it for the whole process. Safe to repeat.
    pub(crate) fn install() {
        let _ = tracing::subscriber::set_global_default(Self);
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    const OURS: [&str; 8] = [
        "access_resource",
        "aws::",
        "custom_resource",
        "lambda::",
        "settings_api",
        "database_",
        "credentials_resource",
        "publish_variables",
    ];
    metadata.is_event() && OURS.iter().any(|ours| metadata.target().starts_with(ours))
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(Level::DEBUG))
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        if leaks(&line.0) {
            LEAKED.replace(Some(line.0.clone()));
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
