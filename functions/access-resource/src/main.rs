//! Starts the function behind `Custom::PostgresAccess`.

// The futures of the SDK's calls nest deeper than the compiler allows by default.
#![recursion_limit = "256"]

use access_resource::AccessResource;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let config = aws::load();
    lambda::run(AccessResource::new(&config), access_resource::handle).await
}
