//! Starts the function behind `Custom::PostgresDatabase` and `Custom::PostgresProof`.

use database_resource::{DatabaseResource, Functions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let state_machine_arn = lambda::required("STATE_MACHINE_ARN")?;
    let functions = Functions {
        database_progress: lambda::required("DATABASE_PROGRESS_ARN")?,
        client_progress: lambda::required("CLIENT_PROGRESS_ARN")?,
    };
    let config = aws::load();
    lambda::run(DatabaseResource::new(&config, state_machine_arn, functions), database_resource::handle).await
}
