"""Security group rules: IDs, tags, and no duplicates, whether added by the API or by templates."""

import pytest


@pytest.fixture
def groups(aws):
    """Creates groups in the default VPC."""
    ec2 = aws.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    made: list[str] = []

    def make(name: str, vpc_id: str = vpc) -> str:
        made.append(ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc_id)["GroupId"])
        return made[-1]

    yield make
    for group in made:
        ec2.delete_security_group(GroupId=group)


def from_group(source: str, port: int = 5432, **more: str) -> dict:
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "UserIdGroupPairs": [{"GroupId": source, **more}],
    }


def rules_of(aws, group: str, *filters: dict) -> list[dict]:
    only = [{"Name": "group-id", "Values": [group]}, *filters]
    found = aws.client("ec2").describe_security_group_rules(Filters=only)["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"]]


def test_a_rule_has_an_id_of_its_own_and_says_all_about_itself(aws, groups):
    ec2, to, source = aws.client("ec2"), groups("to"), groups("source")
    answer = ec2.authorize_security_group_ingress(
        GroupId=to,
        IpPermissions=[from_group(source, Description="stage dev")],
        TagSpecifications=[
            {"ResourceType": "security-group-rule", "Tags": [{"Key": "stagedb:stack", "Value": "shop"}]}
        ],
    )
    (rule,) = rules_of(aws, to)
    assert [made["SecurityGroupRuleId"] for made in answer["SecurityGroupRules"]] == [rule["SecurityGroupRuleId"]]
    assert rule["SecurityGroupRuleId"].startswith("sgr-") and rule["GroupId"] == to and rule["IsEgress"] is False
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 5432, 5432)
    assert rule["ReferencedGroupInfo"]["GroupId"] == source and rule["Description"] == "stage dev"
    assert rule["Tags"] == [{"Key": "stagedb:stack", "Value": "shop"}]
    assert rule["SecurityGroupRuleArn"].endswith(rule["SecurityGroupRuleId"])


def test_a_rule_that_exists_is_refused_whatever_its_description(aws, groups, expect_error):
    ec2, to, source = aws.client("ec2"), groups("to"), groups("source")
    call = ec2.authorize_security_group_ingress
    call(GroupId=to, IpPermissions=[from_group(source, Description="first")])
    again = [from_group(source, port=6432), from_group(source, Description="second")]
    assert expect_error(call, GroupId=to, IpPermissions=again) == (
        "InvalidPermission.Duplicate",
        f'the specified rule "peer: {source}, TCP, from port: 5432, to port: 5432, ALLOW" already exists',
    )
    assert [rule["FromPort"] for rule in rules_of(aws, to)] == [5432]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    assert expect_error(ec2.authorize_security_group_egress, GroupId=to, IpPermissions=everything) == (
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, ALL, ALLOW" already exists',
    )


def test_a_network_is_known_by_its_first_address(aws, groups, expect_error):
    ec2, to = aws.client("ec2"), groups("to")
    call = ec2.authorize_security_group_ingress
    ec2_form = {"IpProtocol": "6", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.1.2.3/16"}]}
    call(GroupId=to, IpPermissions=[ec2_form])
    (rule,) = rules_of(aws, to)
    assert (rule["CidrIpv4"], rule["IpProtocol"]) == ("10.1.0.0/16", "tcp")
    again = [{**ec2_form, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.1.0.0/16"}]}]
    assert expect_error(call, GroupId=to, IpPermissions=again)[0] == "InvalidPermission.Duplicate"


def test_one_permission_with_two_sources_is_two_rules_and_shown_as_one(aws, groups):
    ec2, to = aws.client("ec2"), groups("to")
    sources = {groups("one"), groups("two")}
    permission = from_group("")
    permission["UserIdGroupPairs"] = [{"GroupId": source} for source in sources]
    ec2.authorize_security_group_ingress(GroupId=to, IpPermissions=[permission])
    assert {rule["ReferencedGroupInfo"]["GroupId"] for rule in rules_of(aws, to)} == sources
    (shown,) = ec2.describe_security_groups(GroupIds=[to])["SecurityGroups"][0]["IpPermissions"]
    assert {pair["GroupId"] for pair in shown["UserIdGroupPairs"]} == sources


def test_rules_are_found_by_their_tags(aws, groups):
    ec2, to, source = aws.client("ec2"), groups("to"), groups("source")
    for port, stage in ((1, "dev"), (2, "prod")):
        tags = [{"Key": "stagedb:stage", "Value": stage}]
        specification = [{"ResourceType": "security-group-rule", "Tags": tags}]
        ec2.authorize_security_group_ingress(
            GroupId=to, IpPermissions=[from_group(source, port)], TagSpecifications=specification
        )
    ec2.authorize_security_group_ingress(GroupId=to, IpPermissions=[from_group(source, 3)])

    def ports(name: str, *values: str) -> list[int]:
        return sorted(rule["FromPort"] for rule in rules_of(aws, to, {"Name": name, "Values": list(values)}))

    assert ports("tag:stagedb:stage", "dev") == [1]
    assert ports("tag:stagedb:stage", "dev", "prod") == [1, 2]
    assert ports("tag:stagedb:stage", "other") == []
    everywhere = ec2.describe_security_group_rules(Filters=[{"Name": "tag:stagedb:stage", "Values": ["prod"]}])
    assert [rule["FromPort"] for rule in everywhere["SecurityGroupRules"]] == [2]


def test_a_filter_that_ec2_does_not_have_for_rules_is_refused(aws, expect_error):
    describe = aws.client("ec2").describe_security_group_rules
    filters = [{"Name": "tag-key", "Values": ["stagedb:stage"]}]
    assert expect_error(describe, Filters=filters) == ("InvalidParameterValue", "The filter 'tag-key' is invalid")


def test_the_tags_of_a_rule_can_be_changed(aws, groups, expect_error):
    ec2, to, source = aws.client("ec2"), groups("to"), groups("source")
    ec2.authorize_security_group_ingress(GroupId=to, IpPermissions=[from_group(source)])
    (rule,) = rules_of(aws, to)
    assert "Tags" not in rule
    ids = [rule["SecurityGroupRuleId"]]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ec2.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "3"}])
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "b"}, {"Key": "a", "Value": "another"}])
    assert rules_of(aws, to)[0]["Tags"] == [{"Key": "a", "Value": "3"}]
    unknown = {"Resources": ["sgr-01234567890abcdef"], "Tags": [{"Key": "a", "Value": "1"}]}
    assert expect_error(ec2.create_tags, **unknown)[0] == "InvalidSecurityGroupRuleId.NotFound"


def test_a_rule_is_revoked_by_its_id_once_and_its_id_never_comes_back(aws, groups, expect_error):
    ec2, to, source = aws.client("ec2"), groups("to"), groups("source")
    ec2.authorize_security_group_ingress(GroupId=to, IpPermissions=[from_group(source)])
    (rule,) = rules_of(aws, to)
    ids = [rule["SecurityGroupRuleId"]]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "1"}])
    ec2.revoke_security_group_ingress(GroupId=to, SecurityGroupRuleIds=ids)
    assert rules_of(aws, to) == []
    again = expect_error(ec2.revoke_security_group_ingress, GroupId=to, SecurityGroupRuleIds=ids)
    assert again == ("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{ids[0]}' does not exist")
    found = expect_error(ec2.describe_security_group_rules, SecurityGroupRuleIds=ids)
    assert found[0] == "InvalidSecurityGroupRuleId.NotFound"
    ec2.authorize_security_group_ingress(GroupId=to, IpPermissions=[from_group(source)])
    (another,) = rules_of(aws, to)
    assert another["SecurityGroupRuleId"] != ids[0] and "Tags" not in another
    ec2.revoke_security_group_ingress(GroupId=to, IpPermissions=[from_group(source)])
    assert rules_of(aws, to) == []


def test_a_rule_of_a_group_outside_the_default_vpc_must_exist_to_be_revoked(aws, expect_error):
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="apart", Description="x", VpcId=vpc)["GroupId"]
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    missing = {"GroupId": group, "IpPermissions": [from_group(group)]}
    assert expect_error(ec2.revoke_security_group_ingress, **missing)[0] == "InvalidPermission.NotFound"
    assert expect_error(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[from_group(default)]) == (
        "InvalidGroup.NotFound",
        "You have specified two resources that belong to different networks.",
    )


@pytest.mark.parametrize("operation", ["authorize_security_group_ingress", "revoke_security_group_ingress"])
def test_an_unknown_group_is_not_found(aws, expect_error, operation):
    call, unknown = getattr(aws.client("ec2"), operation), "sg-01234567890abcdef"
    assert expect_error(call, GroupId=unknown, IpPermissions=[from_group(unknown)]) == (
        "InvalidGroup.NotFound",
        f"The security group '{unknown}' does not exist",
    )
    assert expect_error(call, GroupId="sg-1", IpPermissions=[])[0] == "InvalidGroupId.Malformed"


def test_an_unknown_source_is_not_found(aws, groups, expect_error):
    call, to = aws.client("ec2").authorize_security_group_ingress, groups("to")
    unknown = from_group("sg-01234567890abcdef")
    assert expect_error(call, GroupId=to, IpPermissions=[unknown])[0] == "InvalidGroup.NotFound"
    apostrophe = from_group(to, Description="it's")
    assert expect_error(call, GroupId=to, IpPermissions=[apostrophe])[0] == "InvalidParameterValue"


def template_with(*ports: int, description: str = "x") -> dict:
    rules = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "10.0.0.0/8", "Description": description}
        for port in ports
    ]
    properties = {"GroupDescription": "x", "SecurityGroupIngress": rules}
    return {"Resources": {"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}}}


def ids_by_port(aws, group: str) -> dict[int, str]:
    return {rule["FromPort"]: rule["SecurityGroupRuleId"] for rule in rules_of(aws, group)}


def group_of(aws, stack: str) -> str:
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return resources[0]["PhysicalResourceId"]


def test_a_list_in_a_template_changes_only_what_differs(aws):
    aws.create_stack("listed", template_with(1, 2))
    group = group_of(aws, "listed")
    before = ids_by_port(aws, group)
    foreign = {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[foreign])
    assert aws.update_stack("listed", template_with(2, 3))["StackStatus"] == "UPDATE_COMPLETE"
    after = ids_by_port(aws, group)
    assert sorted(after) == [2, 3, 9] and after[2] == before[2]
    assert aws.update_stack("listed", template_with(2, 3, description="y"))["StackStatus"] == "UPDATE_COMPLETE"
    assert ids_by_port(aws, group) == after
    assert {rule["FromPort"]: rule.get("Description") for rule in rules_of(aws, group)} == {2: "y", 3: "y", 9: None}


def test_a_template_that_adds_a_rule_that_exists_is_rolled_back(aws):
    aws.create_stack("clashing", template_with(1))
    group = group_of(aws, "clashing")
    foreign = {"IpProtocol": "tcp", "FromPort": 2, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[foreign])
    assert aws.update_stack("clashing", template_with(1, 2))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [event.get("ResourceStatusReason", "") for event in aws.stack_events("clashing")]
    wanted = 'the specified rule "peer: 10.0.0.0/8, TCP, from port: 2, to port: 2, ALLOW" already exists'
    assert any(wanted in reason and "InvalidPermission.Duplicate" in reason for reason in reasons)
    assert sorted(ids_by_port(aws, group)) == [1, 2]


def test_a_template_names_no_rule_twice(aws):
    stack = aws.create_stack("twice", template_with(1, 1))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reasons = [event.get("ResourceStatusReason", "") for event in aws.stack_events("twice")]
    assert any("The same permission must not appear multiple times" in reason for reason in reasons)


def test_a_rule_of_its_own_that_exists_fails_and_its_description_changes_in_place(aws, groups):
    to, source = groups("to"), groups("source")
    rule = {"GroupId": to, "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "SourceSecurityGroupId": source}

    def with_rule(**changes: object) -> dict:
        resource = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {**rule, **changes}}
        return {"Resources": {"Rule": resource}}

    assert aws.create_stack("owner", with_rule())["StackStatus"] == "CREATE_COMPLETE"
    before = ids_by_port(aws, to)
    assert aws.create_stack("second", with_rule())["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ids_by_port(aws, to) == before
    assert aws.update_stack("owner", with_rule(Description="now"))["StackStatus"] == "UPDATE_COMPLETE"
    assert ids_by_port(aws, to) == before and rules_of(aws, to)[0]["Description"] == "now"
    # A rule that someone else revoked is already gone.
    aws.client("ec2").revoke_security_group_ingress(GroupId=to, SecurityGroupRuleIds=list(before.values()))
    assert aws.delete_stack("owner")["StackStatus"] == "DELETE_COMPLETE"
