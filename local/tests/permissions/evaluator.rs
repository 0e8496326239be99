//! A second evaluator: what it says about a call, without the one in the local AWS.

use iam_rs::{
    Arn, Context, ContextValue, Decision as Said, IAMPolicy, IAMRequest, PolicyEvaluator, Principal,
    PrincipalId,
};
use local::permissions::{Decision, Keys};
use serde_json::{Value, json};

/// The policies of one role.
pub(crate) struct Role {
    evaluator: PolicyEvaluator,
}

impl Role {
    pub(crate) fn new(statements: &[Value]) -> Self {
        let policy = json!({"Version": "2012-10-17", "Id": "-", "Statement": statements});
        let policy = IAMPolicy::from_json(&policy.to_string()).unwrap();
        Self { evaluator: PolicyEvaluator::with_policies(vec![policy]) }
    }

    /// Whether the policies allow a call.
    pub(crate) fn allows(&self, call: &Decision) -> bool {
        // Only a statement for `*` allows an action without a resource.
        let resource = if call.resource == "*" { "arn:aws:none:::none" } else { &call.resource };
        let mut context = Context::new();
        for (key, value) in &call.context {
            let value = match value {
                Keys::One(one) => ContextValue::String(one.clone()),
                Keys::Many(all) => ContextValue::StringList(all.clone()),
            };
            context.insert(key.clone(), value);
        }
        let principal =
            Principal::Aws(PrincipalId::String(format!("arn:aws:iam::000000000000:role/{}", call.role)));
        let arn = Arn::parse(resource).unwrap();
        let request = IAMRequest::new_with_context(principal, call.action.clone(), arn, context);
        self.evaluator.evaluate(&request).unwrap().decision == Said::Allow
    }
}
