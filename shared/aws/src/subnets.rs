//! EC2: subnets.

use aws_config::SdkConfig;
use roxmltree::Node;

use crate::{
    AwsError,
    ec2::{Ec2, items, read, text},
};

/// The subnets in this account and Region.
#[derive(Debug, Clone)]
pub struct Subnets {
    ec2: Ec2,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its ID.
    pub id: String,
    /// The ID of its VPC.
    pub vpc_id: String,
    /// Its Availability Zone.
    pub availability_zone: String,
}

impl Subnets {
    /// Subnets in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { ec2: Ec2::new(config) }
    }

    /// Those of at most 200 subnets that exist.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn get(&self, ids: &[&str]) -> Result<Vec<Subnet>, AwsError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // With a filter instead of IDs, a subnet that doesn't exist is left out, and isn't an error.
        let mut parameters = vec![("Filter.1.Name".to_owned(), "subnet-id")];
        parameters.extend(ids.iter().zip(1..).map(|(id, n)| (format!("Filter.1.Value.{n}"), *id)));
        let reply = self.ec2.call("DescribeSubnets", &parameters).await?;
        read("DescribeSubnets", &reply, |root| items(root, "subnetSet").filter_map(subnet).collect())
    }
}

fn subnet(node: Node<'_, '_>) -> Option<Subnet> {
    Some(Subnet {
        id: text(node, "subnetId")?.to_owned(),
        vpc_id: text(node, "vpcId")?.to_owned(),
        availability_zone: text(node, "availabilityZone")?.to_owned(),
    })
}
