//! The documents of the service role: those that "Required service role" of the VM Import guide
//! requires, and a check whether existing documents include them.

use serde_json::Value;

use super::job::Job;
use super::partition;

/// The trust policy; the capital E in `sts:Externalid` is AWS's.
pub const TRUST_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;

/// What VM Import does with a key, for encrypted snapshots and encrypted objects.
const KEY_ACTIONS: &str = r#"["kms:CreateGrant","kms:Decrypt","kms:DescribeKey","kms:Encrypt","kms:GenerateDataKey*","kms:ReEncrypt*"]"#;

/// IAM "PolicyName" has 128 characters, the beginning is ours.
const MAX_KEY_NAME: usize = 100;

/// Permissions for one bucket, and for the keys that this import was given. Every set of
/// keys has a name of its own, so that none overwrites another's.
pub fn permissions(job: &Job) -> Vec<(String, String)> {
    let (bucket, partition) = (&job.bucket, partition::for_region(&job.region));
    let reading = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject","s3:ListBucket"],"Resource":["arn:{partition}:s3:::{bucket}","arn:{partition}:s3:::{bucket}/*"]}},{{"Effect":"Allow","Action":["ec2:ModifySnapshotAttribute","ec2:CopySnapshot","ec2:RegisterImage","ec2:Describe*"],"Resource":"*"}}]}}"#
    );
    let mut all = vec![(format!("imgimport-{bucket}"), reading)];
    all.extend(keys(job).into_iter().map(|key| {
        let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = key.chars().map(fits).take(MAX_KEY_NAME).collect();
        (format!("imgimport-kms-{name}"), key_policy(job, key))
    }));
    all
}

/// The keys that the service role must be able to use.
fn keys(job: &Job) -> Vec<&str> {
    let snapshot = job
        .encryption
        .as_ref()
        .and_then(|encryption| encryption.kms_key.as_deref());
    let object = job
        .s3_encryption
        .as_ref()
        .and_then(|(_, key)| key.as_deref());
    let mut keys: Vec<_> = snapshot.into_iter().chain(object).collect();
    keys.dedup();
    keys
}

/// An alias is no resource of a policy, a condition names it.
fn key_policy(job: &Job, key: &str) -> String {
    let (resource, condition) = match alias_name(key) {
        Some(alias) => (
            "*".to_owned(),
            format!(
                r#","Condition":{{"ForAnyValue:StringEquals":{{"kms:ResourceAliases":{}}}}}"#,
                Value::from(alias)
            ),
        ),
        None if key.starts_with("arn:") => (key.to_owned(), String::new()),
        None => {
            let partition = partition::for_region(&job.region);
            (
                format!("arn:{partition}:kms:{}:*:key/{key}", job.region),
                String::new(),
            )
        }
    };
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{KEY_ACTIONS},"Resource":{}{condition}}}]}}"#,
        Value::from(resource)
    )
}

/// `alias/name`, of an alias or its ARN.
fn alias_name(key: &str) -> Option<&str> {
    let at = key.find("alias/")?;
    (at == 0 || key[..at].ends_with(':')).then(|| &key[at..])
}

/// Whether a statement allows VM Import to assume the role. Other conditions than the
/// external id are AWS's to judge.
pub fn trusts_vm_import(document: &str) -> bool {
    statements(document).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && as_list(&statement["Action"])
                .iter()
                .any(|action| matches_wildcard(action, "sts:AssumeRole"))
            && (statement["Principal"] == "*"
                || as_list(&statement["Principal"]["Service"])
                    .iter()
                    .any(|service| service.starts_with("vmie.amazonaws.com")))
            && external_id(&statement["Condition"]).is_none_or(|id| id == "vmimport")
    })
}

/// Keys of conditions have no case.
fn external_id(condition: &Value) -> Option<&str> {
    let tests = condition["StringEquals"].as_object()?;
    let (_, id) = tests
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("sts:externalid"))?;
    as_list(id).first().copied()
}

/// The trust policy with VM Import's statement beside those that are there.
pub fn with_vm_import_trust(document: &str) -> String {
    let Ok(Value::Object(mut trust)) = serde_json::from_str(document) else {
        return TRUST_POLICY.to_owned();
    };
    let mut all = statements(document);
    all.extend(statements(TRUST_POLICY));
    trust.insert("Statement".to_owned(), Value::Array(all));
    Value::Object(trust).to_string()
}

/// Something that the role must be allowed.
struct RequiredPermission {
    action: &'static str,
    resource: String,
}

/// What the policies do not allow, and what they forbid.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct MissingPermissions {
    /// No statement allows it.
    pub missing: Vec<&'static str>,
    /// A statement denies it, which no other can undo.
    pub denied: Vec<&'static str>,
    /// No statement speaks of these keys; their own policies may do.
    pub keys: bool,
}

impl MissingPermissions {
    /// Looks for everything that the import needs.
    pub fn find(job: &Job, documents: &[String]) -> Self {
        let statements: Vec<_> = documents
            .iter()
            .flat_map(|document| statements(document))
            .collect();
        let mut gaps = Self::default();
        for need in required_permissions(job) {
            if statements.iter().any(|statement| denies(statement, &need)) {
                gaps.denied.push(need.action);
            } else if !statements.iter().any(|statement| allows(statement, &need)) {
                gaps.missing.push(need.action);
            }
        }
        let opens = |key: &&str| {
            statements
                .iter()
                .any(|statement| grants_key(statement, key))
        };
        gaps.keys = !keys(job).iter().all(opens);
        gaps
    }

    /// Whether the role can do its work, as far as the policies tell.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.denied.is_empty()
    }
}

fn required_permissions(job: &Job) -> Vec<RequiredPermission> {
    let bucket = format!(
        "arn:{}:s3:::{}",
        partition::for_region(&job.region),
        job.bucket
    );
    let object = format!("{bucket}/{}", job.key);
    let need = |action, resource: &str| RequiredPermission {
        action,
        resource: resource.to_owned(),
    };
    vec![
        need("s3:GetBucketLocation", &bucket),
        need("s3:GetObject", &object),
        need("s3:ListBucket", &bucket),
        need("ec2:ModifySnapshotAttribute", "*"),
        need("ec2:CopySnapshot", "*"),
        need("ec2:RegisterImage", "*"),
        need("ec2:DescribeImages", "*"),
    ]
}

/// What is written in other ways (`NotAction`, conditions) is taken for a yes: AWS judges.
fn allows(statement: &Value, required: &RequiredPermission) -> bool {
    let action = match &statement["Action"] {
        Value::Null => !statement["NotAction"].is_null(),
        actions => as_list(actions)
            .iter()
            .any(|action| matches_wildcard(action, required.action)),
    };
    let resource = match &statement["Resource"] {
        Value::Null => !statement["NotResource"].is_null(),
        resources => as_list(resources).iter().any(|resource| {
            required.resource == "*" || matches_wildcard(resource, &required.resource)
        }),
    };
    statement["Effect"] == "Allow" && action && resource
}

/// A denial for certain, without conditions.
fn denies(statement: &Value, required: &RequiredPermission) -> bool {
    let meant = |name: &str, value: &str| {
        as_list(&statement[name])
            .iter()
            .any(|pattern| matches_wildcard(pattern, value))
    };
    statement["Effect"] == "Deny"
        && statement["Condition"].is_null()
        && meant("Action", required.action)
        && meant("Resource", &required.resource)
}

/// Whether a statement lets the role use the key.
fn grants_key(statement: &Value, key: &str) -> bool {
    let decrypts = as_list(&statement["Action"])
        .iter()
        .any(|action| matches_wildcard(action, "kms:Decrypt"));
    let condition = &statement["Condition"];
    let meant = match alias_name(key) {
        Some(alias) => condition.is_null() || condition.to_string().contains(alias),
        None => as_list(&statement["Resource"]).iter().any(|resource| {
            matches_wildcard(resource, key) || resource.ends_with(&format!(":key/{key}"))
        }),
    };
    statement["Effect"] == "Allow" && decrypts && meant
}

fn statements(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    }
}

/// Policies write one thing or a list of them.
fn as_list(value: &Value) -> Vec<&str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value
        .as_str()
        .into_iter()
        .chain(list.iter().filter_map(Value::as_str))
        .collect()
}

/// `*` is any row of signs, `?` any one; actions have no case.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&sign) if sign == '?' || sign == text[from] => (at, from) = (at + 1, from + 1),
            _ => match star {
                Some((star_position, consumed)) => {
                    (at, from) = (star_position + 1, consumed + 1);
                    star = Some((star_position, consumed + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&sign| sign == '*')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_only_trust_policies_for_vm_import() {
        assert!(trusts_vm_import(TRUST_POLICY));
        let listed = TRUST_POLICY.replace(r#""sts:AssumeRole""#, r#"["sts:AssumeRole"]"#);
        assert!(trusts_vm_import(&listed));
        assert!(trusts_vm_import(
            &TRUST_POLICY.replace("Externalid", "ExternalId")
        ));
        let china = TRUST_POLICY.replace("amazonaws.com", "amazonaws.com.cn");
        assert!(trusts_vm_import(&china));
        assert!(!trusts_vm_import(&TRUST_POLICY.replace("vmie", "ec2")));
        assert!(!trusts_vm_import(&TRUST_POLICY.replace("Allow", "Deny")));
        assert!(!trusts_vm_import(
            &TRUST_POLICY.replace(r#":"vmimport"}"#, r#":"mine"}"#)
        ));
        assert!(!trusts_vm_import("not a policy"));
    }

    #[test]
    fn trust_policy_keeps_existing_statements() {
        let others = r#"{"Version":"2012-10-17","Id":"ours","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"}}"#;
        let both: Value = serde_json::from_str(&with_vm_import_trust(others)).unwrap();
        assert_eq!(both["Id"], "ours");
        assert_eq!(both["Statement"].as_array().unwrap().len(), 2);
        assert!(both.to_string().contains("123456789012:root"));
        assert!(trusts_vm_import(&both.to_string()));
        for nothing in ["not a policy", r#""a text""#, "[]", "7", "null"] {
            assert_eq!(with_vm_import_trust(nothing), TRUST_POLICY);
        }
    }

    #[test]
    fn alias_name_of_aliases_and_keys() {
        assert_eq!(alias_name("alias/images"), Some("alias/images"));
        let arn = "arn:aws:kms:eu-central-1:123456789012:alias/team/images";
        assert_eq!(alias_name(arn), Some("alias/team/images"));
        let key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(alias_name(key), None);
        assert_eq!(alias_name("1234abcd-12ab-34cd-56ef-1234567890ab"), None);
    }

    /// The same by trying everything.
    fn matches_by_recursion(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => {
                (0..=text.len()).any(|from| matches_by_recursion(rest, &text[from..]))
            }
            Some((sign, rest)) => text.split_first().is_some_and(|(first, text)| {
                (*sign == '?' || sign == first) && matches_by_recursion(rest, text)
            }),
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_as_in_iam(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let signs = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches_wildcard(&pattern, &text), matches_by_recursion(&signs(&pattern), &signs(&text)));
        }

        #[test]
        fn parsing_arbitrary_documents_does_not_panic(text in r#"[\[\]{}":,*a-zA-Z]{0,64}"#, value in "[^\\x00]{0,20}") {
            let shapes = [
                text,
                serde_json::json!({"Statement": value}).to_string(),
                serde_json::json!({"Statement": [{"Effect": "Allow", "Action": {"a": value}, "Principal": [value]}]}).to_string(),
            ];
            for document in shapes {
                let added = with_vm_import_trust(&document);
                prop_assert!(trusts_vm_import(&added), "{}", added);
            }
        }
    }
}
