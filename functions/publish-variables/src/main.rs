//! Starts the function that gives the containers their variables.

use publish_variables::PublishVariables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let config = aws::load();
    lambda::run(PublishVariables::new(&config), publish_variables::handle).await
}
