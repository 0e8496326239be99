//! The committed description is the one that the code makes, and says of bodies what is read.

use std::path::Path;

/// `UPDATE_OPENAPI=1 cargo test -p settings-api --test openapi` writes it anew.
#[test]
fn the_committed_description_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let made = serde_json::to_string_pretty(&settings_api::openapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    let first = committed.lines().zip(made.lines()).position(|(old, new)| old != new);
    assert!(
        committed == made,
        "openapi.json differs from the code, first at line {}. UPDATE_OPENAPI=1 cargo test -p settings-api --test openapi \
         writes it anew",
        first.unwrap_or_else(|| committed.lines().count().min(made.lines().count())) + 1
    );
}
