//! Starts the function that Cognito calls before it issues tokens.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    lambda::run((), pre_token_generation::handle).await
}
