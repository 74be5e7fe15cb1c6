//! The documents of the service role: what "Required service role" of the VM Import guide
//! wants, and whether documents that are there already say it.

use serde_json::Value;

use super::job::Job;
use super::partition;

/// The trust policy; the capital E in `sts:Externalid` is AWS's.
pub const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;

/// What VM Import does with a key, for encrypted snapshots and encrypted objects.
const WITH_KEYS: &str = r#"["kms:CreateGrant","kms:Decrypt","kms:DescribeKey","kms:Encrypt","kms:GenerateDataKey*","kms:ReEncrypt*"]"#;

/// IAM "PolicyName" has 128 characters, the beginning is ours.
const LONGEST_KEY: usize = 100;

/// Permissions for one bucket, and for the keys that this import was given. Every set of
/// keys has a name of its own, so that none overwrites another's.
pub fn permissions(job: &Job) -> Vec<(String, String)> {
    let (bucket, partition) = (&job.bucket, partition::of(&job.region));
    let reading = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject","s3:ListBucket"],"Resource":["arn:{partition}:s3:::{bucket}","arn:{partition}:s3:::{bucket}/*"]}},{{"Effect":"Allow","Action":["ec2:ModifySnapshotAttribute","ec2:CopySnapshot","ec2:RegisterImage","ec2:Describe*"],"Resource":"*"}}]}}"#
    );
    let mut all = vec![(format!("imgimport-{bucket}"), reading)];
    all.extend(keys(job).into_iter().map(|key| {
        let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = key.chars().map(fits).take(LONGEST_KEY).collect();
        (format!("imgimport-kms-{name}"), with_key(job, key))
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
fn with_key(job: &Job, key: &str) -> String {
    let (resource, condition) = match alias(key) {
        Some(alias) => (
            "*".to_owned(),
            format!(
                r#","Condition":{{"ForAnyValue:StringEquals":{{"kms:ResourceAliases":{}}}}}"#,
                Value::from(alias)
            ),
        ),
        None if key.starts_with("arn:") => (key.to_owned(), String::new()),
        None => {
            let partition = partition::of(&job.region);
            (
                format!("arn:{partition}:kms:{}:*:key/{key}", job.region),
                String::new(),
            )
        }
    };
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{WITH_KEYS},"Resource":{}{condition}}}]}}"#,
        Value::from(resource)
    )
}

/// `alias/name`, of an alias or its ARN.
fn alias(key: &str) -> Option<&str> {
    let at = key.find("alias/")?;
    (at == 0 || key[..at].ends_with(':')).then(|| &key[at..])
}

/// Whether a statement allows VM Import to assume the role. Other conditions than the
/// external id are AWS's to judge.
pub fn trusts_vm_import(document: &str) -> bool {
    statements(document).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && many(&statement["Action"])
                .iter()
                .any(|action| globs(action, "sts:AssumeRole"))
            && (statement["Principal"] == "*"
                || many(&statement["Principal"]["Service"])
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
    many(id).first().copied()
}

/// The trust policy with VM Import's statement beside those that are there.
pub fn trusting(document: &str) -> String {
    let Ok(Value::Object(mut trust)) = serde_json::from_str(document) else {
        return TRUST.to_owned();
    };
    let mut all = statements(document);
    all.extend(statements(TRUST));
    trust.insert("Statement".to_owned(), Value::Array(all));
    Value::Object(trust).to_string()
}

/// Something that the role must be allowed.
struct Need {
    action: &'static str,
    resource: String,
}

/// What the policies do not allow, and what they forbid.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Gaps {
    /// No statement allows it.
    pub lacks: Vec<&'static str>,
    /// A statement denies it, which no other can undo.
    pub denied: Vec<&'static str>,
    /// No statement speaks of these keys; their own policies may do.
    pub keys: bool,
}

impl Gaps {
    /// Looks for everything that the import needs.
    pub fn find(job: &Job, documents: &[String]) -> Self {
        let statements: Vec<_> = documents
            .iter()
            .flat_map(|document| statements(document))
            .collect();
        let mut gaps = Self::default();
        for need in needs(job) {
            if statements.iter().any(|statement| forbids(statement, &need)) {
                gaps.denied.push(need.action);
            } else if !statements.iter().any(|statement| allows(statement, &need)) {
                gaps.lacks.push(need.action);
            }
        }
        let opens = |key: &&str| statements.iter().any(|statement| opens(statement, key));
        gaps.keys = !keys(job).iter().all(opens);
        gaps
    }

    /// Whether the role can do its work, as far as the policies tell.
    pub fn is_none(&self) -> bool {
        self.lacks.is_empty() && self.denied.is_empty()
    }
}

fn needs(job: &Job) -> Vec<Need> {
    let bucket = format!("arn:{}:s3:::{}", partition::of(&job.region), job.bucket);
    let object = format!("{bucket}/{}", job.key);
    let need = |action, resource: &str| Need {
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
fn allows(statement: &Value, need: &Need) -> bool {
    let action = match &statement["Action"] {
        Value::Null => !statement["NotAction"].is_null(),
        actions => many(actions)
            .iter()
            .any(|action| globs(action, need.action)),
    };
    let resource = match &statement["Resource"] {
        Value::Null => !statement["NotResource"].is_null(),
        resources => many(resources)
            .iter()
            .any(|resource| need.resource == "*" || globs(resource, &need.resource)),
    };
    statement["Effect"] == "Allow" && action && resource
}

/// A denial for certain, without conditions.
fn forbids(statement: &Value, need: &Need) -> bool {
    let meant = |name: &str, value: &str| {
        many(&statement[name])
            .iter()
            .any(|pattern| globs(pattern, value))
    };
    statement["Effect"] == "Deny"
        && statement["Condition"].is_null()
        && meant("Action", need.action)
        && meant("Resource", &need.resource)
}

/// Whether a statement lets the role use the key.
fn opens(statement: &Value, key: &str) -> bool {
    let decrypts = many(&statement["Action"])
        .iter()
        .any(|action| globs(action, "kms:Decrypt"));
    let condition = &statement["Condition"];
    let meant = match alias(key) {
        Some(alias) => condition.is_null() || condition.to_string().contains(alias),
        None => many(&statement["Resource"])
            .iter()
            .any(|resource| globs(resource, key) || resource.ends_with(&format!(":key/{key}"))),
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
fn many(value: &Value) -> Vec<&str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value
        .as_str()
        .into_iter()
        .chain(list.iter().filter_map(Value::as_str))
        .collect()
}

/// `*` is any row of signs, `?` any one; actions have no case.
fn globs(pattern: &str, text: &str) -> bool {
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
                Some((place, taken)) => {
                    (at, from) = (place + 1, taken + 1);
                    star = Some((place, taken + 1));
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
    fn the_trust_policy_of_the_guide_is_accepted_and_others_are_not() {
        assert!(trusts_vm_import(TRUST));
        let listed = TRUST.replace(r#""sts:AssumeRole""#, r#"["sts:AssumeRole"]"#);
        assert!(trusts_vm_import(&listed));
        assert!(trusts_vm_import(&TRUST.replace("Externalid", "ExternalId")));
        let china = TRUST.replace("amazonaws.com", "amazonaws.com.cn");
        assert!(trusts_vm_import(&china));
        assert!(!trusts_vm_import(&TRUST.replace("vmie", "ec2")));
        assert!(!trusts_vm_import(&TRUST.replace("Allow", "Deny")));
        assert!(!trusts_vm_import(
            &TRUST.replace(r#":"vmimport"}"#, r#":"mine"}"#)
        ));
        assert!(!trusts_vm_import("not a policy"));
    }

    #[test]
    fn a_trust_policy_keeps_the_statements_that_it_had() {
        let others = r#"{"Version":"2012-10-17","Id":"ours","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"}}"#;
        let both: Value = serde_json::from_str(&trusting(others)).unwrap();
        assert_eq!(both["Id"], "ours");
        assert_eq!(both["Statement"].as_array().unwrap().len(), 2);
        assert!(both.to_string().contains("123456789012:root"));
        assert!(trusts_vm_import(&both.to_string()));
        for nothing in ["not a policy", r#""a text""#, "[]", "7", "null"] {
            assert_eq!(trusting(nothing), TRUST);
        }
    }

    #[test]
    fn an_alias_is_known_from_a_key() {
        assert_eq!(alias("alias/images"), Some("alias/images"));
        let arn = "arn:aws:kms:eu-central-1:123456789012:alias/team/images";
        assert_eq!(alias(arn), Some("alias/team/images"));
        let key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(alias(key), None);
        assert_eq!(alias("1234abcd-12ab-34cd-56ef-1234567890ab"), None);
    }

    /// The same by trying everything.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|from| slowly(rest, &text[from..])),
            Some((sign, rest)) => text
                .split_first()
                .is_some_and(|(first, text)| (*sign == '?' || sign == first) && slowly(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn wildcards_mean_what_iam_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let signs = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(globs(&pattern, &text), slowly(&signs(&pattern), &signs(&text)));
        }

        #[test]
        fn no_document_is_too_strange(text in r#"[\[\]{}":,*a-zA-Z]{0,64}"#, value in "[^\\x00]{0,20}") {
            let shapes = [
                text,
                serde_json::json!({"Statement": value}).to_string(),
                serde_json::json!({"Statement": [{"Effect": "Allow", "Action": {"a": value}, "Principal": [value]}]}).to_string(),
            ];
            for document in shapes {
                let added = trusting(&document);
                prop_assert!(trusts_vm_import(&added), "{}", added);
            }
        }
    }
}
