//! Which crates can depend on which.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// The names of everything that a package is built from.
fn dependencies(package: &str, arguments: &[&str]) -> Vec<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = tree.args(["--package", package]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_pure_crate_depends_on_no_aws_no_async_runtime_and_no_http() {
    let dependencies = dependencies("database", &[]);
    assert!(dependencies.contains(&"serde".to_owned()), "the list is read: {dependencies:?}");
    for dependency in dependencies {
        let impure = ["aws", "tokio", "lambda", "http", "hyper", "rustls", "tracing"];
        assert!(!impure.iter().any(|prefix| dependency.starts_with(prefix)), "{dependency}");
    }
}

#[test]
fn sdk_types_stop_at_the_adapters() {
    for function in [
        "settings-api",
        "database-resource",
        "database-progress",
        "access-resource",
        "credentials-resource",
        "publish-variables",
        "record-changes",
    ] {
        let direct = dependencies(function, &["--depth", "1"]);
        assert!(direct.contains(&"aws".to_owned()), "the list is read: {direct:?}");
        for dependency in direct {
            assert!(!dependency.starts_with("aws-sdk"), "{function} depends on {dependency}");
        }
    }
    // The protocol needs the SDK's HTTP client, but no AWS service. The page needs nothing from AWS except Lambda.
    let protocol = dependencies("custom-resource", &[]);
    let is_service = |name: &String| name.starts_with("aws-sdk") || name == "aws-config" || name == "aws";
    assert!(!protocol.iter().any(is_service), "{protocol:?}");
    let page = dependencies("settings-page", &[]);
    assert!(!page.iter().any(|name| name.starts_with("aws-") || name == "aws"), "{page:?}");
}
