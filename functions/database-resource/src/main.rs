//! Starts the function behind `Custom::PostgresDatabase`.

use database_resource::DatabaseResource;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let state_machine_arn = lambda::required("STATE_MACHINE_ARN")?;
    let config = aws::load();
    lambda::run(DatabaseResource::new(&config, state_machine_arn), database_resource::handle).await
}
