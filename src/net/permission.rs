//! What a caller must be allowed, as the smallest policy that says it, in one line. AWS's
//! IAM and Alibaba Cloud's RAM write policies alike; they differ in the version.

use serde_json::json;

/// The policy language of AWS's IAM.
pub const IAM: &str = "2012-10-17";
/// The policy language of Alibaba Cloud's RAM.
pub const RAM: &str = "1";

/// The hint for `needs`: actions joined by " and ", each with " on RESOURCE" where a
/// narrower one than all is known.
pub fn allow(language: &str, needs: &str) -> String {
    let needs = parse_needs(needs);
    let actions: Vec<_> = needs.iter().map(|(action, _)| *action).collect();
    format!(
        "allow the caller {}: {}",
        actions.join(" and "),
        policy(language, &needs)
    )
}

/// These actions, each on the same resource, as the two functions beside take them.
pub fn actions_on(resource: &str, actions: &[&str]) -> String {
    let needs = actions
        .iter()
        .map(|action| format!("{action} on {resource}"));
    needs.collect::<Vec<_>>().join(" and ")
}

fn parse_needs(needs: &str) -> Vec<(&str, &str)> {
    let needs = needs.split(" and ");
    needs
        .map(|need| need.split_once(" on ").unwrap_or((need, "*")))
        .collect()
}

/// Actions on the same resource share a statement.
fn policy(language: &str, needs: &[(&str, &str)]) -> String {
    let mut statements: Vec<(&str, Vec<&str>)> = Vec::new();
    for (action, resource) in needs {
        match statements.iter_mut().find(|(same, _)| same == resource) {
            Some((_, actions)) => actions.push(action),
            None => statements.push((resource, vec![action])),
        }
    }
    let statements = statements.iter().map(|(resource, actions)| {
        let actions = match actions.as_slice() {
            [action] => json!(action),
            actions => json!(actions),
        };
        format!(
            r#"{{"Effect":"Allow","Action":{actions},"Resource":{}}}"#,
            json!(resource)
        )
    });
    let statements: Vec<_> = statements.collect();
    format!(
        r#"{{"Version":"{language}","Statement":[{}]}}"#,
        statements.join(",")
    )
}

/// What was missing: the service's own sentence may say it, and says it best; `needs` is
/// what the request needs as far as is known here.
pub fn missing(needs: &str, message: &str) -> String {
    let Some((action, resource)) = denied_action(message) else {
        return needs.to_owned();
    };
    let names = needs.split(" and ");
    let known_actions = names
        .map(|need| need.split_once(" on ").unwrap_or((need, "*")))
        .find(|(need, _)| *need == action);
    match (resource, known_actions) {
        (Some(resource), _) => format!("{action} on {resource}"),
        (None, Some((_, resource))) if resource != "*" => format!("{action} on {resource}"),
        (None, _) => action.to_owned(),
    }
}

/// "… is not authorized to perform: iam:PassRole on resource: arn:… because …".
fn denied_action(message: &str) -> Option<(&str, Option<&str>)> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let mut words = rest.split_whitespace();
    let action = words.next()?.trim_end_matches(['.', ',']);
    let (service, call) = action.split_once(':')?;
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_word(service) || !is_word(call) {
        return None;
    }
    let resource = match (words.next(), words.next(), words.next()) {
        (Some("on"), Some("resource:"), Some(name)) => Some(name.trim_matches(['"', '.', ','])),
        _ => None,
    };
    Some((action, resource.filter(|name| name.starts_with("arn:"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_the_smallest() {
        assert_eq!(
            allow(IAM, "ec2:ImportImage"),
            r#"allow the caller ec2:ImportImage: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:ImportImage","Resource":"*"}]}"#
        );
        let needs = "oss:PutObject on acs:oss:*:*:b/k and oss:ListParts on acs:oss:*:*:b/k and ram:PassRole on acs:ram:*:*:role/r";
        assert_eq!(
            allow(RAM, needs),
            r#"allow the caller oss:PutObject and oss:ListParts and ram:PassRole: {"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject","oss:ListParts"],"Resource":"acs:oss:*:*:b/k"},{"Effect":"Allow","Action":"ram:PassRole","Resource":"acs:ram:*:*:role/r"}]}"#
        );
    }

    #[test]
    fn the_permission_named_by_the_service_comes_first() {
        let needs = "ec2:ImportImage and iam:PassRole on arn:aws:iam::*:role/vmimport";
        for (message, expected) in [
            ("no", needs),
            (
                "User: arn:aws:iam::1:user/me is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/vmimport because no identity-based policy allows it",
                "iam:PassRole on arn:aws:iam::1:role/vmimport",
            ),
            (
                r#"is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::b/k" because"#,
                "s3:PutObject on arn:aws:s3:::b/k",
            ),
            (
                "is not authorized to perform: iam:PassRole",
                "iam:PassRole on arn:aws:iam::*:role/vmimport",
            ),
            (
                "is not authorized to perform: ec2:ImportImage because",
                "ec2:ImportImage",
            ),
            ("not authorized to perform: <b>:\"}", needs),
            ("not authorized to perform: ", needs),
        ] {
            assert_eq!(missing(needs, message), expected);
        }
    }
}
