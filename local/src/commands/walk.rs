//! What to do next, to be copied into another terminal.

use local::{DEMO_DATABASE, DEMO_STACK, LocalAws, Running};

use super::job;

/// The walk: the same job for `prod`, by hand. After the demo, `dev` has its database already.
pub(crate) fn text(local: &LocalAws, demo: bool) -> String {
    let stage = if demo { "prod" } else { "dev" };
    let path = format!("$STAGEDB_URL/api/stacks/{DEMO_STACK}/stages/{stage}");
    let bearer = r#"-H "Authorization: Bearer $STAGEDB_TOKEN""#;
    let application = job::application(local).join(" ");
    let port = local.running().port;
    let logs = local.run_dir().display();
    let Running { page_url: page, username, password, .. } = local.running();
    format!(
        r#"The local AWS runs on port {port}; logs and data are in {logs}

  The settings page:  {page}
  Sign in as:         {username}
  Password:           {password}

In another terminal, in this folder, give {stage} a database by hand:

  eval "$(cargo local env)"
  curl -sS -X PUT "{path}/database" {bearer} \
    -H 'Content-Type: application/json' -d '{DEMO_DATABASE}'
  curl -sS "{path}/rebuild" {bearer} | jq .phase   # again, until "complete"
  cargo local aws secretsmanager list-secrets --region us-east-1 \
    --filters Key=tag-key,Values=aws:cloudformation:stack-name Key=tag-value,Values={DEMO_STACK} \
    | jq '.[][] | select(.Name|test("^{stage}"))'
  cargo local run {DEMO_STACK} {stage} -- {application}

Ctrl-C stops everything."#
    )
}
