//! The API does what `openapi.json` says, for generated requests.

use std::process::Command;

use serde_json::Value;

use crate::world::{micro, save_and_follow, world};

#[test]
fn the_api_keeps_what_its_description_promises() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let workspace = local.workspace();
    let description = workspace.path("openapi.json");
    let mut command = Command::new(workspace.path(".local/venv/bin/schemathesis"));
    command
        .current_dir(local.run_dir())
        .arg("run")
        .arg(&description)
        .args(["--url", local.api_url(), "--header", &format!("Authorization: Bearer {}", local.token())])
        // Everything except `positive_data_acceptance`: the stage's state may not allow a valid request.
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--checks", "response_headers_conformance,response_schema_conformance"])
        .args(["--checks", "negative_data_rejection,unsupported_method,allow_header_conformance"])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "15", "--seed", "1"])
        .args([
            "--suppress-health-check",
            "all",
            "--continue-on-failure",
            "--no-color",
            "--generation-database",
            "none",
        ]);
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let description = std::fs::read_to_string(description).unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let operations: usize =
        description["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert!(printed.contains(&format!("Tested: {operations}\n")), "every operation is tested: {printed}");
}
