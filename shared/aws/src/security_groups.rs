//! EC2: the inbound rules of security groups.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use database::{AccessStep, Claimant, IngressRule, TURN, Wanted, access_steps, claim_tag};
use roxmltree::Node;
use tokio::time::timeout;
use tracing::info;

use crate::{
    AwsError,
    ec2::{Ec2, child, items, read, text},
};

/// The maximum number of rules on a page (EC2 API, `DescribeSecurityGroupRules`).
const PAGE: &str = "1000";

/// The security groups in this account and Region.
#[derive(Debug, Clone)]
pub struct SecurityGroups {
    ec2: Ec2,
}

impl SecurityGroups {
    /// Security groups in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { ec2: Ec2::new(config) }
    }

    /// Those of at most 200 security groups that have a tag with this key and value.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn tagged(
        &self,
        groups: &[&str],
        key: &str,
        value: &str,
    ) -> Result<BTreeSet<String>, AwsError> {
        if groups.is_empty() {
            return Ok(BTreeSet::new());
        }
        let filters = [
            ("Filter.1.Name".to_owned(), "group-id".to_owned()),
            ("Filter.2.Name".to_owned(), format!("tag:{key}")),
            ("Filter.2.Value.1".to_owned(), value.to_owned()),
        ];
        let ids =
            groups.iter().zip(1..).map(|(group, n)| (format!("Filter.1.Value.{n}"), (*group).to_owned()));
        let all: Vec<_> = filters.into_iter().chain(ids).collect();
        let parameters: Vec<_> = all.iter().map(|(name, value)| (name, value.as_str())).collect();
        let reply = self.ec2.call("DescribeSecurityGroups", &parameters).await?;
        read("DescribeSecurityGroups", &reply, |root| {
            let ids = items(root, "securityGroupInfo").filter_map(|group| text(group, "groupId"));
            ids.map(str::to_owned).collect()
        })
    }

    /// The inbound rules of at most 200 security groups. A group that doesn't exist has none.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn rules_of(&self, groups: &[&str]) -> Result<Vec<IngressRule>, AwsError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        self.rules("group-id", groups).await
    }

    /// The inbound rules that have a tag with this key and any value.
    ///
    /// # Errors
    /// AWS failed.
    async fn rules_tagged(&self, key: &str) -> Result<Vec<IngressRule>, AwsError> {
        // EC2 can filter these rules only by `group-id`, `security-group-rule-id`, and `tag:<key>`.
        self.rules(&format!("tag:{key}"), &["*"]).await
    }

    async fn rules(&self, filter: &str, values: &[&str]) -> Result<Vec<IngressRule>, AwsError> {
        let mut rules = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut parameters = vec![("Filter.1.Name".to_owned(), filter), ("MaxResults".to_owned(), PAGE)];
            let values = values.iter().zip(1..).map(|(value, n)| (format!("Filter.1.Value.{n}"), *value));
            parameters.extend(values);
            if let Some(token) = &token {
                parameters.push(("NextToken".to_owned(), token));
            }
            let reply = match self.ec2.call("DescribeSecurityGroupRules", &parameters).await {
                Err(error) if error.code == "InvalidGroup.NotFound" => return Ok(rules),
                reply => reply?,
            };
            token = read("DescribeSecurityGroupRules", &reply, |root| {
                rules.extend(items(root, "securityGroupRuleSet").filter_map(rule));
                text(root, "nextToken").filter(|token| !token.is_empty()).map(str::to_owned)
            })?;
            if token.is_none() {
                return Ok(rules);
            }
        }
    }

    /// Looks at the rules, takes the next step toward the wanted ones, which are all in one group, and returns what it did. See
    /// [`database::access_steps`]. It takes at most a turn, because others count on that.
    ///
    /// # Errors
    /// AWS failed, or was too slow.
    pub async fn step(
        &self,
        claimant: Claimant<'_>,
        wanted: &[Wanted],
        description: &str,
        is_left: bool,
    ) -> Result<Vec<AccessStep>, AwsError> {
        let step = self.look_and_act(claimant, wanted, description, is_left);
        let late = |_| AwsError::not_made("DescribeSecurityGroupRules", "the step took longer than a turn");
        timeout(TURN, step).await.map_err(late)?
    }

    async fn look_and_act(
        &self,
        claimant: Claimant<'_>,
        wanted: &[Wanted],
        description: &str,
        is_left: bool,
    ) -> Result<Vec<AccessStep>, AwsError> {
        let mut rules = self.rules_tagged(&claim_tag(claimant)).await?;
        if let Some(Wanted { group, .. }) = wanted.first() {
            let of_group = self.rules_of(&[group]).await?;
            rules.retain(|rule| rule.group != *group);
            rules.extend(of_group);
        }
        let steps = access_steps(claimant, wanted, &rules, is_left);
        for step in &steps {
            info!(?step, "next step");
            match step {
                AccessStep::Wait => {}
                AccessStep::Authorize { wanted: Wanted { group, port, source_group, .. }, tags } => {
                    self.authorize(group, *port, source_group, description, tags).await?;
                }
                AccessStep::Tag { id, tags } => self.tag(id, tags).await?,
                AccessStep::Untag { id, keys } => self.untag(id, keys).await?,
                AccessStep::Revoke { group, id } => self.revoke(group, id).await?,
            }
        }
        Ok(steps)
    }

    /// Lets the members of one group connect to the members of another on one TCP port, with a rule that has these
    /// tags. If the rule already exists, this succeeds.
    ///
    /// # Errors
    /// AWS failed.
    async fn authorize(
        &self,
        group: &str,
        port: u16,
        source_group: &str,
        description: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let port = port.to_string();
        let mut parameters = vec![
            ("GroupId".to_owned(), group),
            ("IpPermissions.1.IpProtocol".to_owned(), "tcp"),
            ("IpPermissions.1.FromPort".to_owned(), port.as_str()),
            ("IpPermissions.1.ToPort".to_owned(), port.as_str()),
            ("IpPermissions.1.Groups.1.GroupId".to_owned(), source_group),
            ("IpPermissions.1.Groups.1.Description".to_owned(), description),
            ("TagSpecification.1.ResourceType".to_owned(), "security-group-rule"),
        ];
        parameters.extend(tag_parameters("TagSpecification.1.Tag", tags));
        match self.ec2.call("AuthorizeSecurityGroupIngress", &parameters).await {
            Err(error) if error.code == "InvalidPermission.Duplicate" => Ok(()),
            reply => reply.map(|_| ()),
        }
    }

    /// Removes a rule. If it doesn't exist, this succeeds.
    ///
    /// # Errors
    /// AWS failed.
    async fn revoke(&self, group: &str, rule: &str) -> Result<(), AwsError> {
        let parameters = [("GroupId", group), ("SecurityGroupRuleId.1", rule)];
        match self.ec2.call("RevokeSecurityGroupIngress", &parameters).await {
            Err(error)
                if matches!(
                    error.code.as_str(),
                    "InvalidSecurityGroupRuleId.NotFound" | "InvalidGroup.NotFound"
                ) =>
            {
                Ok(())
            }
            reply => reply.map(|_| ()),
        }
    }

    /// Adds tags to a rule. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    async fn tag(&self, rule: &str, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
        let mut parameters = vec![("ResourceId.1".to_owned(), rule)];
        parameters.extend(tag_parameters("Tag", tags));
        self.ec2.call("CreateTags", &parameters).await.map(|_| ())
    }

    /// Removes tags from a rule. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    async fn untag(&self, rule: &str, keys: &[String]) -> Result<(), AwsError> {
        let mut parameters = vec![("ResourceId.1".to_owned(), rule)];
        parameters.extend(keys.iter().zip(1..).map(|(key, n)| (format!("Tag.{n}.Key"), key.as_str())));
        match self.ec2.call("DeleteTags", &parameters).await {
            Err(error) if error.code == "InvalidSecurityGroupRuleId.NotFound" => Ok(()),
            reply => reply.map(|_| ()),
        }
    }
}

fn tag_parameters<'a>(
    prefix: &'a str,
    tags: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (String, &'a str)> {
    tags.iter().zip(1..).flat_map(move |((key, value), number)| {
        [
            (format!("{prefix}.{number}.Key"), key.as_str()),
            (format!("{prefix}.{number}.Value"), value.as_str()),
        ]
    })
}

/// An inbound rule; `None` for an outbound one.
fn rule(node: Node<'_, '_>) -> Option<IngressRule> {
    if text(node, "isEgress") != Some("false") {
        return None;
    }
    let port = |name| text(node, name).and_then(|port| port.parse().ok()).unwrap_or(-1);
    let tag =
        |tag: Node<'_, '_>| Some((text(tag, "key")?.to_owned(), text(tag, "value").unwrap_or("").to_owned()));
    Some(IngressRule {
        id: text(node, "securityGroupRuleId")?.to_owned(),
        group: text(node, "groupId")?.to_owned(),
        protocol: text(node, "ipProtocol")?.to_owned(),
        from_port: port("fromPort"),
        to_port: port("toPort"),
        source_group: child(node, "referencedGroupInfo").and_then(|g| text(g, "groupId")).map(str::to_owned),
        tags: items(node, "tagSet").filter_map(tag).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_ec2_writes_them() {
        let xml = r#"<DescribeSecurityGroupRulesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
            <securityGroupRuleSet>
              <item>
                <groupId>sg-1</groupId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>
                <fromPort>5432</fromPort><toPort>5432</toPort><securityGroupRuleId>sgr-1</securityGroupRuleId>
                <referencedGroupInfo><groupId>sg-2</groupId><userId>123456789012</userId></referencedGroupInfo>
                <tagSet><item><key>stagedb:made</key><value>true</value></item></tagSet>
              </item>
              <item>
                <groupId>sg-1</groupId><isEgress>true</isEgress><ipProtocol>-1</ipProtocol>
                <cidrIpv4>0.0.0.0/0</cidrIpv4><securityGroupRuleId>sgr-2</securityGroupRuleId>
              </item>
            </securityGroupRuleSet></DescribeSecurityGroupRulesResponse>"#;
        let rules: Vec<_> =
            read("-", xml, |root| items(root, "securityGroupRuleSet").filter_map(rule).collect()).unwrap();
        let [rule] = rules.as_slice() else { panic!("one inbound rule: {rules:?}") };
        assert_eq!(
            (rule.id.as_str(), rule.from_port, rule.source_group.as_deref()),
            ("sgr-1", 5432, Some("sg-2"))
        );
        assert_eq!(rule.tags.get("stagedb:made").map(String::as_str), Some("true"));
    }
}
