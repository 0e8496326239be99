//! Starts the function that runs client tasks step by step.

// The futures of the SDK's calls nest deeper than the compiler allows by default.
#![recursion_limit = "256"]

use client_progress::ClientProgress;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let state_machine_arn = lambda::required("STATE_MACHINE_ARN")?;
    let config = aws::load();
    lambda::run(ClientProgress::new(&config, state_machine_arn), client_progress::handle).await
}
