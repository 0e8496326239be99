//! A bare function of `lambda_runtime`, which answers with its event: what `cargo local bench` compares cold starts with.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let answer = |event: LambdaEvent<Value>| async move { Ok::<_, lambda_runtime::Error>(event.payload) };
    lambda_runtime::run(service_fn(answer)).await
}
