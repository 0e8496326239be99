//! EC2: the inbound rules of security groups, without duplicates, and two subnets.

use std::{collections::BTreeMap, fmt::Write};

use crate::base::wire::{Call, Failure, Reply, element};

#[derive(Debug, Default, Clone)]
pub(crate) struct Ec2 {
    pub(crate) rules: BTreeMap<String, Rule>,
    made: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) group: String,
    pub(crate) port: String,
    pub(crate) source: String,
    pub(crate) tags: BTreeMap<String, String>,
}

fn missing() -> Failure {
    Failure::new(400, "InvalidSecurityGroupRuleId.NotFound", "The security group rule does not exist")
}

impl Ec2 {
    pub(crate) fn call(&mut self, call: &Call) -> Result<Reply, Failure> {
        let text = |name: &str| call.text(name).unwrap_or_default().to_owned();
        match call.operation.as_str() {
            "DescribeSecurityGroupRules" => {
                let (filter, values) = (text("Filter.1.Name"), call.list("Filter.1.Value"));
                let tag = filter.strip_prefix("tag:");
                let mut xml = "<securityGroupRuleSet>".to_owned();
                for (id, rule) in &self.rules {
                    let matches = match tag {
                        Some(key) => {
                            rule.tags.get(key).is_some_and(|tag| values.iter().any(|v| v == "*" || v == tag))
                        }
                        None if filter == "group-id" => values.contains(&rule.group),
                        None => return Err(Failure::new(400, "InvalidParameterValue", filter)),
                    };
                    if matches {
                        describe(&mut xml, id, rule);
                    }
                }
                return Ok(Reply::Xml(xml + "</securityGroupRuleSet>"));
            }
            // Every security group may be used for attached databases.
            "DescribeSecurityGroups" => {
                let mut xml = "<securityGroupInfo>".to_owned();
                for group in call.list("Filter.1.Value") {
                    xml.push_str("<item>");
                    element(&mut xml, "groupId", &group);
                    xml.push_str("</item>");
                }
                return Ok(Reply::Xml(xml + "</securityGroupInfo>"));
            }
            "DescribeSubnets" => {
                let mut xml = "<subnetSet>".to_owned();
                for (id, zone) in [("subnet-1", "us-east-1a"), ("subnet-2", "us-east-1b")] {
                    if call.list("Filter.1.Value").iter().any(|asked| asked == id) {
                        xml.push_str("<item>");
                        element(&mut xml, "subnetId", id);
                        element(&mut xml, "vpcId", "vpc-0123456789abcdef0");
                        element(&mut xml, "availabilityZone", zone);
                        xml.push_str("</item>");
                    }
                }
                return Ok(Reply::Xml(xml + "</subnetSet>"));
            }
            "AuthorizeSecurityGroupIngress" => {
                let rule = Rule {
                    group: text("GroupId"),
                    port: text("IpPermissions.1.FromPort"),
                    source: text("IpPermissions.1.Groups.1.GroupId"),
                    tags: call.pairs("TagSpecification.1.Tag", "Key", "Value"),
                };
                let same =
                    |r: &Rule| (&r.group, &r.port, &r.source) == (&rule.group, &rule.port, &rule.source);
                if self.rules.values().any(same) {
                    return Err(Failure::new(
                        400,
                        "InvalidPermission.Duplicate",
                        "the specified rule already exists",
                    ));
                }
                self.add(rule);
            }
            "RevokeSecurityGroupIngress" => {
                self.rules.remove(&text("SecurityGroupRuleId.1")).ok_or_else(missing)?;
            }
            "CreateTags" => {
                let rule = self.rules.get_mut(&text("ResourceId.1")).ok_or_else(missing)?;
                rule.tags.extend(call.pairs("Tag", "Key", "Value"));
            }
            "DeleteTags" => {
                let rule = self.rules.get_mut(&text("ResourceId.1")).ok_or_else(missing)?;
                rule.tags.remove(&text("Tag.1.Key"));
            }
            other => return Err(Failure::new(400, "InvalidAction", other)),
        }
        Ok(Reply::Xml("<return>true</return>".to_owned()))
    }
}

impl Ec2 {
    fn add(&mut self, rule: Rule) -> String {
        self.made += 1;
        let id = format!("sgr-{:08}", self.made);
        self.rules.insert(id.clone(), rule);
        id
    }

    /// Someone adds a rule. `None` means that it already exists.
    pub(crate) fn make(&mut self, group: &str, source: &str) -> Option<String> {
        if self.rules.values().any(|rule| rule.group == group && rule.source == source) {
            return None;
        }
        let (group, port, source) = (group.to_owned(), "5432".to_owned(), source.to_owned());
        Some(self.add(Rule { group, port, source, tags: BTreeMap::new() }))
    }
}

fn describe(xml: &mut String, id: &str, rule: &Rule) {
    xml.push_str("<item>");
    element(xml, "securityGroupRuleId", id);
    element(xml, "groupId", &rule.group);
    let _ = write!(xml, "<isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>");
    element(xml, "fromPort", &rule.port);
    element(xml, "toPort", &rule.port);
    xml.push_str("<referencedGroupInfo>");
    element(xml, "groupId", &rule.source);
    xml.push_str("</referencedGroupInfo><tagSet>");
    for (key, value) in &rule.tags {
        xml.push_str("<item>");
        element(xml, "key", key);
        element(xml, "value", value);
        xml.push_str("</item>");
    }
    xml.push_str("</tagSet></item>");
}
