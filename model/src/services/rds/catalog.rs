//! Versions and classes that RDS offers.

use crate::base::wire::{Call, element};

/// The default minor version of a major version.
pub(super) fn full_version(version: &str) -> String {
    if version.contains('.') {
        version.to_owned()
    } else {
        format!("{version}.{}", if version == "17" { 5 } else { 1 })
    }
}

pub(super) fn number_of(version: &str) -> (u32, u32) {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    (major.parse().unwrap_or_default(), minor.parse().unwrap_or_default())
}

/// A version, and the versions it can be upgraded to.
pub(super) fn versions(call: &Call) -> String {
    let version = full_version(call.text("EngineVersion").unwrap_or("17"));
    let mut xml = "<DBEngineVersions><DBEngineVersion><Engine>postgres</Engine>".to_owned();
    element(&mut xml, "EngineVersion", &version);
    xml.push_str("<ValidUpgradeTarget>");
    for target in ["17.6", "18.1"].into_iter().filter(|target| number_of(target) > number_of(&version)) {
        xml.push_str("<UpgradeTarget><Engine>postgres</Engine>");
        element(&mut xml, "EngineVersion", target);
        xml.push_str("</UpgradeTarget>");
    }
    xml + "</ValidUpgradeTarget></DBEngineVersion></DBEngineVersions>"
}

pub(super) fn orderable(call: &Call) -> String {
    let class = call.text("DBInstanceClass").unwrap_or_default();
    format!(
        "<OrderableDBInstanceOptions><OrderableDBInstanceOption><Engine>postgres</Engine><DBInstanceClass>{class}\
         </DBInstanceClass><StorageType>gp3</StorageType><MinStorageSize>20</MinStorageSize>\
         <MaxStorageSize>65536</MaxStorageSize></OrderableDBInstanceOption></OrderableDBInstanceOptions>"
    )
}
