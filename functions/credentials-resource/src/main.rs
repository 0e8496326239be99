//! Starts the function behind `Custom::PostgresCredentials` and `Custom::PostgresConnection`.

use credentials_resource::CredentialsResource;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let config = aws::load();
    lambda::run(CredentialsResource::new(&config), credentials_resource::handle).await
}
