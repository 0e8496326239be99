//! Starts the function that creates, changes, and removes databases step by step.

// The futures of the SDK's calls nest deeper than the compiler allows by default.
#![recursion_limit = "256"]

use database_progress::DatabaseProgress;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let config = aws::load();
    lambda::run(DatabaseProgress::new(&config), database_progress::handle).await
}
