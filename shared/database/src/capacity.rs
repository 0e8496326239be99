//! The size of an instance class, which the RDS API doesn't return.

use crate::InstanceClass;

/// The size of an instance class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

/// The size of a class in the families whose sizes follow a rule (RDS user guide, "Hardware specifications for DB
/// instance classes"). `None` for others.
#[must_use]
pub fn capacity(class: &InstanceClass) -> Option<Capacity> {
    let mut parts = class.as_ref().split('.').skip(1);
    let (family, size) = (parts.next()?, parts.next()?);
    if matches!(family, "t3" | "t4g") {
        let (vcpus, gib) = match size {
            "micro" => (2, 1),
            "small" => (2, 2),
            "medium" => (2, 4),
            "large" => (2, 8),
            "xlarge" => (4, 16),
            "2xlarge" => (8, 32),
            _ => return None,
        };
        return Some(Capacity { vcpus, memory_mib: gib * 1024 });
    }
    let gib_per_vcpu = match family {
        "c6gd" | "c7g" | "c8g" => 2,
        "m5" | "m5d" | "m6g" | "m6gd" | "m6i" | "m6id" | "m6idn" | "m6in" | "m7g" | "m7i" | "m8g" => 4,
        "r5" | "r5b" | "r5d" | "r6g" | "r6gd" | "r6i" | "r6id" | "r6idn" | "r6in" | "r7g" | "r7i" | "r8g" => {
            8
        }
        "x2g" | "x2idn" => 16,
        "x2iedn" => 32,
        _ => return None,
    };
    let vcpus = match size {
        "medium" => 1,
        "large" => 2,
        "xlarge" => 4,
        _ => size.strip_suffix("xlarge")?.parse::<u32>().ok().filter(|n| (2..=48).contains(n))? * 4,
    };
    Some(Capacity { vcpus, memory_mib: vcpus * gib_per_vcpu * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_user_guide() {
        for (class, expected) in [
            ("db.t4g.micro", Some((2, 1))),
            ("db.t3.2xlarge", Some((8, 32))),
            ("db.m7g.large", Some((2, 8))),
            ("db.m5.24xlarge", Some((96, 384))),
            ("db.r6g.xlarge", Some((4, 32))),
            ("db.x2g.large", Some((2, 32))),
            ("db.x2iedn.xlarge", Some((4, 128))),
            ("db.m7g.metal-16xl", None),
            ("db.m7g.99xlarge", None),
            ("db.z9.large", None),
        ] {
            let capacity = capacity(&class.to_owned().try_into().unwrap());
            assert_eq!(capacity.map(|c| (c.vcpus, c.memory_mib / 1024)), expected, "{class}");
        }
    }
}
