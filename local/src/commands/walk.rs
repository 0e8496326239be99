//! The next steps, ready to copy into another terminal.

use local::{DEMO_DATABASE, DEMO_STACK, LocalAws, Running};

use super::job;

/// The walkthrough: the same use case for `prod`, by hand. After the demo, `dev` already has its database.
pub(crate) fn text(local: &LocalAws, demo: bool) -> String {
    let stage = if demo { "prod" } else { "dev" };
    let path = format!("$STAGEDB_URL/api/stacks/{DEMO_STACK}/stages/{stage}");
    let bearer = r#"-H "Authorization: Bearer $STAGEDB_TOKEN""#;
    let application = job::application(local).join(" ");
    let port = local.running().port;
    let logs = local.run_dir().display();
    let Running { page_url: page, username, password, .. } = local.running();
    format!(
        r#"The local AWS is running on port {port}. Logs and data are in {logs}

  Settings page:  {page}
  Sign in as:     {username}
  Password:       {password}

To create a database for {stage} by hand, run this in another terminal, in this directory:

  eval "$(cargo local env)"
  curl -sS -X PUT "{path}/database" {bearer} \
    -H 'Content-Type: application/json' -d '{DEMO_DATABASE}'
  curl -sS "{path}/rebuild" {bearer} | jq .phase   # repeat until it prints "complete"
  cargo local aws secretsmanager list-secrets --region us-east-1 \
    --filters Key=tag-key,Values=aws:cloudformation:stack-name Key=tag-value,Values={DEMO_STACK} \
    | jq '.[][] | select(.Name|test("^{stage}"))'
  cargo local run {DEMO_STACK} {stage} -- {application}

Press Ctrl-C to stop everything."#
    )
}
