//! The template of every stage's stack, with the root certificates of RDS in this Region.

include!(concat!(env!("OUT_DIR"), "/certificates.rs"));

const TEMPLATE: &str = include_str!("../../../../stage.yaml");
/// What the certificates replace.
const PLACE: &str = "\"@rds-certificates@\"";

/// The template for a Region, and whether clients can verify the certificates of its databases.
#[derive(Debug, Clone)]
pub struct StageTemplate {
    /// The template.
    pub body: String,
    /// Whether the Region's root certificates are known.
    pub verifies: bool,
}

impl StageTemplate {
    /// The template for this Region.
    #[must_use]
    pub fn new(region: &str) -> Self {
        let certificates = CERTIFICATES.iter().find(|(of, _)| *of == region).map(|(_, found)| *found);
        // A JSON string is a YAML string.
        let quoted = serde_json::Value::from(certificates.unwrap_or_default()).to_string();
        Self { body: TEMPLATE.replace(PLACE, &quoted), verifies: certificates.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_the_certificates_of_its_region_and_fits_into_one_call() {
        assert_eq!(TEMPLATE.matches(PLACE).count(), 4);
        let nowhere = StageTemplate::new("nowhere-1");
        assert!(!nowhere.verifies && nowhere.body.contains("Name: RDS_CERTIFICATES, Value: \"\" }"));
        for (region, certificates) in CERTIFICATES {
            let template = StageTemplate::new(region);
            assert!(template.verifies && certificates.starts_with("-----BEGIN CERTIFICATE-----"), "{region}");
            assert_eq!(template.body.matches("BEGIN CERTIFICATE").count(), 12, "{region}");
            // CloudFormation's limit for a template in a call.
            assert!(template.body.len() <= 51_200, "{region}: {}", template.body.len());
        }
    }
}
