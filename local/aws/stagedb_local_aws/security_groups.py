"""Security group rules as in EC2: each has one source and its own ID, and there are no duplicates.

MiniStack stores a permission as given, derives its ID from its content, and silently accepts duplicates.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Iterator, Mapping

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

Answer = tuple[int, dict, bytes]
Params = Mapping[str, object]
Rule = dict[str, object]
"""A MiniStack permission with one source."""
Group = dict[str, object]

_SOURCES = {
    "IpRanges": "CidrIp",
    "Ipv6Ranges": "CidrIpv6",
    "PrefixListIds": "PrefixListId",
    "UserIdGroupPairs": "GroupId",
}
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
"""What EC2 accepts as a description of a group or rule: no apostrophe (EC2 API reference, UserIdGroupPair)."""


class Refusal(Exception):
    """An error from EC2. Its text is in CloudFormation's format."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} (Service: Ec2, Status Code: 400, Error Code: {code})")
        self.code, self.message = code, message


def split(permission: Rule) -> list[Rule]:
    """One rule per source, with the protocol's name and the network's first address."""
    protocol = str(permission["IpProtocol"]).lower()
    shared = {"IpProtocol": _PROTOCOLS.get(protocol, protocol)}
    shared |= {name: permission[name] for name in ("FromPort", "ToPort") if name in permission}
    sources = [(kind, entry) for kind in _SOURCES for entry in permission.get(kind, [])]
    if not sources:
        raise Refusal("MissingParameter", "A rule must have a source: a network, a prefix list or a security group.")
    return [{**shared, **{name: [] for name in _SOURCES}, kind: [_canonical(entry)]} for kind, entry in sources]


def _canonical(source: dict[str, str]) -> dict[str, str]:
    for member in ("CidrIp", "CidrIpv6"):
        if member in source:
            try:
                return {**source, member: str(ipaddress.ip_network(source[member], strict=False))}
            except ValueError:
                raise Refusal("InvalidParameterValue", f"CIDR block {source[member]} is malformed") from None
    return source


def source_of(rule: Rule) -> dict[str, str]:
    return next(entry for kind in _SOURCES for entry in rule.get(kind, []))


def peer_of(rule: Rule) -> str:
    """The network, prefix list, or group."""
    source = source_of(rule)
    return next(source[member] for member in _SOURCES.values() if source.get(member))


def key_of(rule: Rule) -> tuple:
    """What identifies a rule within its group. The description isn't part of it."""
    protocol = rule["IpProtocol"]
    ports = (None, None) if protocol == "-1" else (rule.get("FromPort"), rule.get("ToPort"))
    return (protocol, *ports, peer_of(rule))


def described(rule: Rule) -> str:
    if rule["IpProtocol"] == "-1":
        return f"peer: {peer_of(rule)}, ALL, ALLOW"
    protocol = str(rule["IpProtocol"]).upper()
    return f"peer: {peer_of(rule)}, {protocol}, from port: {rule.get('FromPort')}, to port: {rule.get('ToPort')}, ALLOW"


def rule_id(_group_id: str, _is_egress: bool, rule: Rule) -> str:
    """Gives each new rule its own ID."""
    return rule.setdefault("SecurityGroupRuleId", f"sgr-0{secrets.token_hex(8)}")


def add(existing: list[Rule], rules: list[Rule]) -> None:
    """Adds all of the rules, or none."""
    check_descriptions([str(source_of(rule).get("Description", "")) for rule in rules])
    keys = [key_of(rule) for rule in rules]
    if len(set(keys)) < len(keys):
        raise Refusal("InvalidParameterValue", "The same permission must not appear multiple times")
    there = {key_of(rule) for rule in existing}
    for rule in rules:
        if key_of(rule) in there:
            raise Refusal("InvalidPermission.Duplicate", f'the specified rule "{described(rule)}" already exists')
    for rule in rules:
        rule_id("", False, rule)
    existing.extend(rules)


def check_descriptions(texts: list[str]) -> None:
    for text in texts:
        if not DESCRIPTION.fullmatch(text):
            raise Refusal(
                "InvalidParameterValue",
                "Invalid rule description. Valid descriptions are strings less than 256 characters from the "
                "following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
            )


def remove(existing: list[Rule], gone: list[Rule]) -> None:
    for rule in gone:
        existing.remove(rule)
        ec2._tags.pop(rule_id("", False, rule), None)


def replace(existing: list[Rule], old: list[Rule], new: list[Rule]) -> None:
    """What CloudFormation does when the list in a template changes: remaining rules keep their IDs, and rules
    added by others stay."""
    before = {key_of(rule) for rule in old}
    after = {key_of(rule): rule for rule in new}
    add(existing, [rule for rule in new if key_of(rule) not in before])
    remove(existing, [rule for rule in existing if key_of(rule) in before - after.keys()])
    for rule in existing:
        if key_of(rule) in before & after.keys():
            update_description(rule, after[key_of(rule)])


def update_description(rule: Rule, wanted: Rule) -> None:
    source = source_of(rule)
    source.pop("Description", None)
    if text := source_of(wanted).get("Description"):
        source["Description"] = text


def find_group(group_id: str, name: str = "") -> Group:
    ec2._ensure_defaults_initialized()
    if not group_id and name:
        # Names work only in the default VPC.
        for group in ec2._security_groups.values():
            if (group["GroupName"], group["VpcId"]) == (name, ec2._DEFAULT_VPC_ID):
                return group
        raise Refusal("InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC")
    if not group_id:
        raise Refusal("MissingParameter", "The request must contain the parameter groupName or groupId")
    if group_id in ec2._security_groups:
        return ec2._security_groups[group_id]
    if ec2._is_malformed_security_group_id(group_id):
        raise Refusal("InvalidGroupId.Malformed", f'Invalid id: "{group_id}"')
    raise Refusal("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


# ---- The API


def authorize(params: Params, direction: str) -> Answer:
    group = _named_group(params)
    rules = _given_rules(params)
    if not rules:
        raise Refusal("MissingParameter", "The request must contain the parameter ipPermissions")
    for rule in rules:
        source = source_of(rule)
        if "GroupId" in source and find_group(source["GroupId"])["VpcId"] != group["VpcId"]:
            raise Refusal(
                "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
            )
    add(group[_list_of(direction)], rules)
    tags = ec2._sg_rule_tag_specifications(params)
    for rule in rules if tags else []:
        ec2._tags[rule["SecurityGroupRuleId"]] = [dict(tag) for tag in tags]
    shown = _xml(group, rules, direction)
    action = f"AuthorizeSecurityGroup{direction}Response"
    return ec2._xml(200, action, f"<return>true</return><securityGroupRuleSet>{shown}</securityGroupRuleSet>")


def revoke(params: Params, direction: str) -> Answer:
    group = _named_group(params)
    existing: list[Rule] = group[_list_of(direction)]
    ids = ec2._parse_member_list(params, "SecurityGroupRuleId")
    by_id = {rule_id("", False, rule): rule for rule in existing}
    unknown = ""
    if ids:
        for wanted in ids:
            if wanted not in by_id:
                raise _no_rule(wanted)
        gone = [by_id[wanted] for wanted in dict.fromkeys(ids)]
    else:
        keys = {key_of(rule) for rule in _given_rules(params)}
        if not keys:
            raise Refusal("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
        gone = [rule for rule in existing if key_of(rule) in keys]
        missing = [rule for rule in _given_rules(params) if key_of(rule) not in {key_of(found) for found in gone}]
        if missing and not ec2._vpcs.get(group["VpcId"], {}).get("IsDefault"):
            raise Refusal("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
        if missing:
            shown = "".join(ec2._perm_xml(rule) for rule in missing)
            unknown = f"<unknownIpPermissionSet>{shown}</unknownIpPermissionSet>"
    revoked = "".join(
        ec2._revoked_sg_rule_xml(group["GroupId"], rule, is_egress=direction == "Egress") for rule in gone
    )
    remove(existing, gone)
    body = f"<return>true</return>{unknown}<revokedSecurityGroupRuleSet>{revoked}</revokedSecurityGroupRuleSet>"
    return ec2._xml(200, f"RevokeSecurityGroup{direction}Response", body)


def describe_rules(params: Params) -> Answer:
    filters = ec2._parse_filters(params)
    for name in filters:
        if name not in ("group-id", "security-group-rule-id") and not name.startswith("tag:"):
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
    ids = ec2._parse_member_list(params, "SecurityGroupRuleId")
    every = list(_all_rules())
    known = {rule_id("", False, rule) for _, rule, _ in every}
    for wanted in ids:
        if wanted not in known:
            raise _no_rule(wanted)
    found = [
        (group, rule, direction)
        for group, rule, direction in every
        if (not ids or rule["SecurityGroupRuleId"] in ids)
        and group["GroupId"] in filters.get("group-id", [group["GroupId"]])
        and rule["SecurityGroupRuleId"] in filters.get("security-group-rule-id", [rule["SecurityGroupRuleId"]])
        and ec2._resource_matches_tag_filters(str(rule["SecurityGroupRuleId"]), filters)
    ]
    start, size = (str(ec2._p(params, name, default)) for name, default in (("NextToken", "0"), ("MaxResults", "1000")))
    if not (start.isdigit() and size.isdigit() and 5 <= int(size) <= 1000):
        raise Refusal("InvalidParameterValue", "NextToken or MaxResults (5 to 1000) is invalid.")
    end = int(start) + int(size)
    shown = "".join(_xml(group, [rule], direction) for group, rule, direction in found[int(start) : end])
    following = f"<nextToken>{end}</nextToken>" if end < len(found) else ""
    body = f"<securityGroupRuleSet>{shown}</securityGroupRuleSet>{following}"
    return ec2._xml(200, "DescribeSecurityGroupRulesResponse", body)


def create_tags(params: Params) -> Answer:
    known = {rule_id("", False, rule) for _, rule, _ in _all_rules()}
    for resource in ec2._parse_member_list(params, "ResourceId"):
        if resource.startswith("sgr-") and resource not in known:
            raise _no_rule(resource)
    return ec2._create_tags(params)


def delete_tags(params: Params) -> Answer:
    """Deletes tags by key, or by key and value. Without a key, deletes all of them (EC2 API reference)."""
    wanted = ec2._parse_tags(params)
    for resource in ec2._parse_member_list(params, "ResourceId"):
        ec2._tags[resource] = [
            tag for tag in ec2._tags.get(resource, []) if wanted and not any(_names(entry, tag) for entry in wanted)
        ]
    return ec2._xml(200, "DeleteTagsResponse", "<return>true</return>")


def _names(wanted: dict[str, str], tag: dict[str, str]) -> bool:
    return wanted["Key"] == tag["Key"] and wanted["Value"] in ("", tag.get("Value", ""))


def merged(rules: list[Rule]) -> list[Rule]:
    """Rules as in DescribeSecurityGroups: grouped by protocol and ports."""
    together: dict[tuple, Rule] = {}
    for rule in rules:
        permission = together.setdefault(key_of(rule)[:3], {**rule, **{kind: [] for kind in _SOURCES}})
        for kind in _SOURCES:
            permission[kind] = [*permission[kind], *rule.get(kind, [])]
    return list(together.values())


def _named_group(params: Params) -> Group:
    return find_group(ec2._p(params, "GroupId"), ec2._p(params, "GroupName"))


def _given_rules(params: Params) -> list[Rule]:
    return [rule for permission in ec2._parse_ip_permissions(params, "IpPermissions") for rule in split(permission)]


def _list_of(direction: str) -> str:
    return "IpPermissions" if direction == "Ingress" else "IpPermissionsEgress"


def _all_rules() -> Iterator[tuple[Group, Rule, str]]:
    for group in ec2._security_groups.values():
        for direction in ("Ingress", "Egress"):
            for rule in group[_list_of(direction)]:
                rule_id("", False, rule)
                yield group, rule, direction


def _xml(group: Group, rules: list[Rule], direction: str) -> str:
    return "".join(ec2._sg_rule_xml(group["GroupId"], rule, is_egress=direction == "Egress") for rule in rules)


def _no_rule(wanted: str) -> Refusal:
    return Refusal("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{wanted}' does not exist")


# ---- AWS::EC2::SecurityGroup


def _check_group(handler: dict) -> None:
    create, update = handler["create"], handler["update"]

    def check(props: dict) -> None:
        check_descriptions([str(props.get("GroupDescription", ""))])
        for name in ("SecurityGroupIngress", "SecurityGroupEgress"):
            # As if they were added to an empty group.
            add([], provisioners._ec2_sg_permissions(props.get(name)))

    def create_group(logical_id: str, props: dict, stack_name: str):
        check(props)
        return create(logical_id, props, stack_name)

    def update_group(physical_id: str, old: dict, new: dict, *rest, **more):
        check(new)
        return update(physical_id, old, new, *rest, **more)

    handler["create"], handler["update"] = create_group, update_group


def install() -> None:
    def answering(handler: Callable[..., Answer], *rest: str) -> Callable[[Params], Answer]:
        def answer(params: Params) -> Answer:
            try:
                return handler(params, *rest)
            except Refusal as refusal:
                return ec2._error(refusal.code, ec2._esc(refusal.message), 400)

        return answer

    for direction in ("Ingress", "Egress"):
        ec2._ACTION_MAP[f"AuthorizeSecurityGroup{direction}"] = answering(authorize, direction)
        ec2._ACTION_MAP[f"RevokeSecurityGroup{direction}"] = answering(revoke, direction)
    ec2._ACTION_MAP["DescribeSecurityGroupRules"] = answering(describe_rules)
    ec2._ACTION_MAP["CreateTags"] = answering(create_tags)
    ec2._ACTION_MAP["DeleteTags"] = answering(delete_tags)
    ec2._sg_rule_id = rule_id
    _group_xml = ec2._sg_xml
    ec2._sg_xml = lambda group: _group_xml(
        {**group, **{name: merged(group[name]) for name in map(_list_of, ("Ingress", "Egress"))}}
    )
    _permissions_of = provisioners._ec2_sg_permissions
    provisioners._ec2_sg_permissions = lambda rules: [
        rule for permission in _permissions_of(rules) for rule in split(permission)
    ]
    provisioners._ec2_sg_reconcile = replace
    _check_group(provisioners._RESOURCE_HANDLERS["AWS::EC2::SecurityGroup"])
