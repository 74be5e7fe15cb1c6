//! Reads policy documents as far as the sandbox needs: what a role may do, and whom it
//! trusts. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use serde_json::Value;

/// Whether the policies allow an action on a resource; an explicit Deny wins.
pub(crate) fn allows<'a>(
    policies: impl Iterator<Item = &'a String>,
    action: &str,
    resource: &str,
) -> bool {
    let statements: Vec<_> = policies.flat_map(|policy| statements(policy)).collect();
    let matching = |effect: &str| {
        statements.iter().any(|statement| {
            let meant = |name: &str, value: &str| {
                as_list(&statement[name]).any(|p| matches_wildcard(p, value))
            };
            statement["Effect"] == effect && meant("Action", action) && meant("Resource", resource)
        })
    };
    matching("Allow") && !matching("Deny")
}

/// Whether a trust policy lets this principal assume the role with this external id.
pub(crate) fn trusts(
    trust: &str,
    kind: &str,
    principals: &[&str],
    external_id: Option<&str>,
) -> bool {
    statements(trust).iter().any(|statement| {
        let principal = &statement["Principal"];
        let named =
            principal == "*" || as_list(&principal[kind]).any(|one| principals.contains(&one));
        let actions = &["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"];
        let action = as_list(&statement["Action"])
            .any(|a| actions.iter().any(|known| matches_wildcard(a, known)));
        statement["Effect"] == "Allow"
            && named
            && action
            && condition(&statement["Condition"], external_id)
    })
}

/// Condition keys have no case: AWS's own guide writes `sts:Externalid`.
fn condition(condition: &Value, external_id: Option<&str>) -> bool {
    let Some(tests) = condition["StringEquals"].as_object() else {
        return true;
    };
    tests
        .iter()
        .all(|(key, wanted)| match key.to_lowercase().as_str() {
            "sts:externalid" => external_id.is_some_and(|id| as_list(wanted).any(|one| one == id)),
            "aws:sourceaccount" => as_list(wanted).any(|account| account == crate::keys::ACCOUNT),
            _ => true,
        })
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    }
}

/// A string or a list of them.
fn as_list(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    let many = value.as_array().map(Vec::as_slice).unwrap_or_default();
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn matches_wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(text),
        Some((head, tail)) => {
            let starts = text
                .get(..head.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(head));
            starts
                && (head.len()..=text.len()).any(|at| {
                    text.get(at..)
                        .is_some_and(|rest| matches_wildcard(tail, rest))
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_denials() {
        let allow = r#"{"Statement":{"Effect":"Allow","Action":["s3:Get*"],"Resource":"arn:aws:s3:::b/*"}}"#;
        let deny =
            r#"{"Statement":[{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b/secret"}]}"#;
        let policies = [allow.to_owned(), deny.to_owned()];
        let may = |action, resource| allows(policies.iter(), action, resource);
        assert!(may("s3:GetObject", "arn:aws:s3:::b/disk.ova"));
        assert!(!may("s3:GetObject", "arn:aws:s3:::b/secret"));
        assert!(!may("s3:PutObject", "arn:aws:s3:::b/disk.ova"));
        assert!(!may("s3:GetObject", "arn:aws:s3:::c/disk.ova"));
    }

    #[test]
    fn the_external_id_counts() {
        let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},
            "Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;
        assert!(trusts(
            trust,
            "Service",
            &["vmie.amazonaws.com"],
            Some("vmimport")
        ));
        assert!(!trusts(trust, "Service", &["vmie.amazonaws.com"], None));
        assert!(!trusts(
            trust,
            "Service",
            &["ec2.amazonaws.com"],
            Some("vmimport")
        ));
    }
}
