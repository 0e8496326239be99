//! Starts the function that records how changes ended, and what was changed outside of stagedb.

use record_changes::RecordChanges;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::init_logs();
    let group = lambda::required("HISTORY_LOG_GROUP")?;
    lambda::run(RecordChanges::new(&aws::load(), group), record_changes::handle).await
}
