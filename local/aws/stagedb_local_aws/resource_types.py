"""CloudFormation resource types that MiniStack lacks or handles differently from AWS."""

from __future__ import annotations

import json

from ministack.services import ec2, rds
from ministack.services import secretsmanager as secrets
from ministack.services.cloudformation import provisioners

from stagedb_local_aws import security_groups

Created = tuple[str, dict]
"""The physical ID, which is what `!Ref` returns, and the attributes for `!GetAtt`."""


def install() -> None:
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::SecretsManager::ResourcePolicy"] = {
        "create": create_policy,
        "update": update_policy,
        "delete": delete_policy,
    }
    handlers["AWS::EC2::SecurityGroupIngress"] = {
        "create": create_ingress,
        "update": update_ingress,
        "delete": delete_ingress,
    }
    _make_ref_of_secret_its_arn(handlers["AWS::SecretsManager::Secret"])
    _refuse_to_delete_what_is_used(handlers)


# ---- AWS::SecretsManager::ResourcePolicy


def create_policy(_logical_id: str, props: dict, _stack_name: str) -> Created:
    secret = props["SecretId"]
    policy = props["ResourcePolicy"]
    text = policy if isinstance(policy, str) else json.dumps(policy)
    answer = _succeed(secrets._put_resource_policy({"SecretId": secret, "ResourcePolicy": text}))
    return answer["ARN"], {"Id": answer["ARN"]}


def update_policy(physical_id: str, old: dict, new: dict, stack_name: str) -> Created:
    created = create_policy("", new, stack_name)
    if created[0] != physical_id:
        delete_policy(physical_id, old)
    return created


def delete_policy(physical_id: str, _props: dict) -> None:
    if secrets._resolve(physical_id)[1] is not None:
        _succeed(secrets._delete_resource_policy({"SecretId": physical_id}))


def _succeed(answer: tuple[int, dict, bytes]) -> dict:
    body = json.loads(answer[2])
    if answer[0] != 200:
        raise ValueError(body.get("message") or body.get("Message") or str(body))
    return body


# ---- AWS::EC2::SecurityGroupIngress


def create_ingress(_logical_id: str, props: dict, _stack_name: str) -> Created:
    (rule,) = provisioners._ec2_sg_permissions([props])
    security_groups.add(security_groups.find_group(props.get("GroupId", ""))["IpPermissions"], [rule])
    return rule["SecurityGroupRuleId"], {"Id": rule["SecurityGroupRuleId"]}


def update_ingress(physical_id: str, old: dict, new: dict, stack_name: str) -> Created:
    """On AWS, changing any property but the description replaces the rule. The new one is created first."""
    rules = [{key: value for key, value in props.items() if key != "Description"} for props in (old, new)]
    if rules[0] != rules[1]:
        return create_ingress("", new, stack_name)
    (wanted,) = provisioners._ec2_sg_permissions([new])
    security_groups.check_descriptions([new.get("Description", "")])
    for rule in security_groups.find_group(new.get("GroupId", ""))["IpPermissions"]:
        if rule.get("SecurityGroupRuleId") == physical_id:
            security_groups.update_description(rule, wanted)
    return physical_id, {"Id": physical_id}


def delete_ingress(physical_id: str, props: dict) -> None:
    """Succeeds if the rule was already revoked, or its group deleted."""
    group = ec2._security_groups.get(props.get("GroupId"))
    rules = group["IpPermissions"] if group else []
    security_groups.remove(rules, [rule for rule in rules if rule.get("SecurityGroupRuleId") == physical_id])


# ---- AWS::SecretsManager::Secret


def _make_ref_of_secret_its_arn(handler: dict) -> None:
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def name_of(physical_id: str) -> str:
        return secrets._resolve(physical_id)[0] or physical_id

    def create_secret(logical_id: str, props: dict, stack_name: str) -> Created:
        name, attributes = create(logical_id, props, stack_name)
        if "SecretString" not in props and "GenerateSecretString" not in props:
            # MiniStack stores an empty string; AWS creates a secret without a version.
            secrets._secrets[name]["Versions"] = {}
        return attributes["Arn"], attributes

    def update_secret(physical_id: str, *rest, **more) -> Created:
        _, attributes = update(name_of(physical_id), *rest, **more)
        return attributes["Arn"], attributes

    handler["create"] = create_secret
    handler["update"] = update_secret
    handler["delete"] = lambda physical_id, props: delete(name_of(physical_id), props)


# ---- Resources that a database still uses can't be deleted


def _refuse_to_delete_what_is_used(handlers: dict) -> None:
    group_handler = handlers["AWS::EC2::SecurityGroup"]
    delete_group = group_handler["delete"]

    def delete_security_group(physical_id: str, props: dict) -> None:
        if _users_of_group(physical_id):
            raise ValueError(
                f"resource {physical_id} has a dependent object "
                "(Service: Ec2, Status Code: 400, Error Code: DependencyViolation)"
            )
        delete_group(physical_id, props)

    def delete_subnet_group(physical_id: str, _props: dict) -> None:
        status, _, body = rds._delete_subnet_group({"DBSubnetGroupName": physical_id})
        if status not in (200, 404):
            raise ValueError(_message(body))

    group_handler["delete"] = delete_security_group
    handlers["AWS::RDS::DBSubnetGroup"]["delete"] = delete_subnet_group
    delete_by_api = ec2._ACTION_MAP["DeleteSecurityGroup"]

    def delete_security_group_by_api(params):
        if _users_of_group(ec2._p(params, "GroupId")):
            message = f"resource {ec2._p(params, 'GroupId')} has a dependent object"
            return ec2._error("DependencyViolation", message, 400)
        return delete_by_api(params)

    ec2._ACTION_MAP["DeleteSecurityGroup"] = delete_security_group_by_api


def _users_of_group(group_id: str) -> list[str]:
    return [
        record["DBInstanceIdentifier" if "DBInstanceIdentifier" in record else "DBClusterIdentifier"]
        for record in (*rds._instances.values(), *rds._clusters.values())
        if any(group["VpcSecurityGroupId"] == group_id for group in record.get("VpcSecurityGroups", []))
    ]


def _message(body: bytes) -> str:
    return body.decode().partition("<Message>")[2].partition("</Message>")[0]
