//! Starts the HTTP API of the Database settings, and what the schedule asks for.

// The futures of the SDK's calls nest deeper than the compiler allows by default.
#![recursion_limit = "256"]

use settings_api::{Configuration, SettingsApi};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let configuration = Configuration::from_environment()?;
    let config = aws::load();
    lambda::run(SettingsApi::new(&config, configuration), settings_api::handle_any).await
}
