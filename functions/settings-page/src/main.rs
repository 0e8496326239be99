//! Starts the function that serves the settings page.

use settings_page::{Configuration, Page};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let configuration = Configuration::from_environment()?;
    lambda::run(Page::embedded(&configuration), settings_page::handle).await
}
