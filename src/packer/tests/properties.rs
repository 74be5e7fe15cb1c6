//! Tests with random templates: what is written is what Packer would produce, and what this
//! program does not evaluate is not written.

use jiff::Timestamp;
use proptest::prelude::*;

use super::{accepted, translate};
use crate::config::template::{Template, Values};

/// The time of the run.
const CLOCK: &str = "2024-02-05T03:04:09Z";
/// The value of the variable `stage` in the run, which is unset when the template is read.
const STAGE: &str = "dev";

/// The value that Packer produces; `None` for what this program must omit.
type Truth = Option<Given>;

#[derive(Clone, Debug, PartialEq)]
enum Given {
    Text(String),
    Bool(bool),
    List(Vec<String>),
}

impl Given {
    /// Returns the value as part of a text.
    fn in_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            Self::List(_) => None,
        }
    }

    fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => text.parse().ok(),
            Self::List(_) => None,
        }
    }
}

/// An expression of HCL with Packer's result.
type Case = (String, Truth);

fn text(text: &str) -> Given {
    Given::Text(text.to_owned())
}

fn leaf() -> impl Strategy<Value = Case> {
    let list = |items: &[&str]| {
        let items = items.iter().map(|&item| item.to_owned());
        Some(Given::List(items.collect()))
    };
    let known = vec![
        ("\"\"", Some(text(""))),
        ("\"dev\"", Some(text("dev"))),
        ("\"true\"", Some(text("true"))),
        ("\"{{timestamp}}\"", Some(text("{{timestamp}}"))),
        ("\"{{isotime}}\"", Some(text("{{isotime}}"))),
        ("\"{{upper `a`}}\"", Some(text("{{upper `a`}}"))),
        ("true", Some(Given::Bool(true))),
        ("false", Some(Given::Bool(false))),
        ("[]", list(&[])),
        ("[\"dev\"]", list(&["dev"])),
        ("[var.stage]", list(&[STAGE])),
        ("var.known", Some(text("prod"))),
        ("var.list", list(&["dev"])),
        ("var.list[0]", Some(text("dev"))),
        ("local.known", Some(text("x-prod"))),
        ("var.stage", Some(text(STAGE))),
        ("local.stage", Some(text(STAGE))),
        ("local.around", Some(text("a-dev"))),
        ("local.map.stage", Some(text(STAGE))),
        ("timestamp()", Some(text(CLOCK))),
        (
            "formatdate(\"YYYY-MM-DD\", timestamp())",
            Some(text("2024-02-05")),
        ),
        ("legacy_isotime(\"20060102\")", Some(text("20240205"))),
        ("legacy_strftime(\"%Y\")", None),
        ("env(\"HOME\")", None),
        ("build.ID", None),
        ("5 + 1", None),
        ("file(\"x\")", None),
    ];
    let known: Vec<Case> = known
        .into_iter()
        .map(|(source, truth)| (source.to_owned(), truth))
        .collect();
    prop::sample::select(known)
}

fn interpolation(a: &Case, b: &Case) -> Case {
    let truth = || Some(a.1.as_ref()?.in_text()? + "-" + &b.1.as_ref()?.in_text()?);
    (
        format!("\"${{{}}}-${{{}}}\"", a.0, b.0),
        truth().map(Given::Text),
    )
}

/// Returns the result of a condition, both sides of which have one type: a text, if one of them
/// is one.
fn conditional(condition: &Case, a: &Case, b: &Case) -> Case {
    let truth = || {
        let (a, b) = (a.1.clone()?, b.1.clone()?);
        let is_true = condition.1.as_ref()?.as_bool()?;
        let chosen = if is_true { &a } else { &b };
        match (&a, &b) {
            (Given::List(_), Given::List(_)) | (Given::Bool(_), Given::Bool(_)) => {
                Some(chosen.clone())
            }
            _ => Some(Given::Text(
                a.in_text().and(b.in_text()).and(chosen.in_text())?,
            )),
        }
    };
    (format!("({} ? {} : {})", condition.0, a.0, b.0), truth())
}

fn equality(a: &Case, b: &Case, operator: &str) -> Case {
    let truth = || {
        let is_equal = match (a.1.as_ref()?, b.1.as_ref()?) {
            (Given::List(_), _) | (_, Given::List(_)) => return None,
            (a, b) => a == b,
        };
        Some(Given::Bool(is_equal == (operator == "==")))
    };
    (format!("({} {operator} {})", a.0, b.0), truth())
}

fn logic(a: &Case, b: &Case) -> Case {
    let truth = || Some(a.1.as_ref()?.as_bool()? && !b.1.as_ref()?.as_bool()?);
    (format!("({} && !{})", a.0, b.0), truth().map(Given::Bool))
}

fn list(a: &Case, b: &Case) -> Case {
    let truth = || Some(vec![a.1.as_ref()?.in_text()?, b.1.as_ref()?.in_text()?]);
    (format!("[{}, {}]", a.0, b.0), truth().map(Given::List))
}

fn expression() -> impl Strategy<Value = Case> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        let two = || (inner.clone(), inner.clone());
        let functions = prop::sample::select(vec![
            "upper(A)",
            "length(A)",
            "concat([A], B)",
            "coalesce(A, B)",
            "split(A, B)",
            "join(\"-\", [A, B])",
            "replace(A, B, \"x\")",
            "format(\"%s-%v\", A, B)",
            "lookup({ dev = A }, B, \"x\")",
            "merge({ a = A }, { a = B }).a",
            "try(A, B)",
            "formatdate(A, B)",
            "regex_replace(A, \"[- TZ:]\", B)",
            "[for x in A : B]",
            "\"%{ if A }x${B}%{ endif }\"",
            "\"a ${~ A ~} b ${B}\"",
            "A[B]",
            "(A)[*]",
        ]);
        prop_oneof![
            (inner.clone(), two()).prop_map(|(c, (a, b))| conditional(&c, &a, &b)),
            two().prop_map(|(a, b)| equality(&a, &b, "==")),
            two().prop_map(|(a, b)| equality(&a, &b, "!=")),
            two().prop_map(|(a, b)| logic(&a, &b)),
            two().prop_map(|(a, b)| list(&a, &b)),
            two().prop_map(|(a, b)| interpolation(&a, &b)),
            inner
                .clone()
                .prop_map(|(source, truth)| (format!("\"${{{source}}}\""), truth)),
            (functions, two()).prop_map(|(function, (a, b))| {
                (function.replace('A', &a.0).replace('B', &b.0), None)
            }),
        ]
    })
}

/// Returns the text after Packer's evaluation of `{{…}}`; `None` for what must be omitted.
fn pass(text: &str) -> Option<String> {
    let text = text
        .replace("{{timestamp}}", "1707102249")
        .replace("{{isotime}}", CLOCK);
    (!text.contains("{{")).then_some(text)
}

fn render(text: &str) -> String {
    let values = Values {
        clock: CLOCK.parse::<Timestamp>().unwrap(),
        file_stem: "",
        format: "",
        env: &|name| match name {
            "PKR_VAR_stage" => Ok(STAGE.to_owned()),
            _ => Err(format!("the variable {name} is not set")),
        },
    };
    Template::parse(text).unwrap().render(&values).unwrap()
}

fn value(truth: &Truth) -> Option<toml::Value> {
    Some(match truth.as_ref()? {
        Given::Text(text) => pass(text)?.into(),
        Given::Bool(value) => (*value).into(),
        Given::List(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| pass(item)).collect();
            items?.into()
        }
    })
}

/// Returns a part of a text in Packer's legacy language with Packer's result.
fn part() -> impl Strategy<Value = (&'static str, Option<&'static str>)> {
    prop::sample::select(vec![
        ("web", Some("web")),
        ("{", Some("{")),
        ("}", Some("}")),
        ("${x}", Some("${x}")),
        ("{{user `known`}}", Some("prod")),
        ("{{ user `stage` }}", Some(STAGE)),
        ("{{user `around`}}", Some("a-dev-prod")),
        ("{{user `braces`}}", Some("{{")),
        ("{{timestamp}}", Some("1707102249")),
        ("{{isotime}}", Some(CLOCK)),
        ("{{isotime `20060102`}}", Some("20240205")),
        ("{{`{{`}}", Some("{{")),
        ("{{upper `a`}}", None),
        ("{{user `known` | upper}}", None),
        ("{{user `changed`}}", None),
        ("{{isotime | clean_resource_name}}", None),
        ("{{strftime `%Y`}}", None),
        ("{{build_name}}", None),
        ("{{.Name}}", None),
        ("{{vault `a` `b`}}", None),
        ("{{user `itself`}}", None),
        ("{{", None),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_of_hcl_is_packers_or_is_left_out((source, truth) in expression()) {
        let template = format!(
            r#"
variable "stage" {{ type = string }}
variable "known" {{ default = "prod" }}
variable "list" {{ default = ["dev"] }}
locals {{
  stage  = var.stage
  around = "a-${{var.stage}}"
  known  = "x-${{var.known}}"
  map    = {{ stage = var.stage }}
}}
post-processor "amazon-import" {{
  ami_description     = {source}
  ami_users           = {source}
  keep_input_artifact = {source}
}}
"#
        );
        let translation = translate("a.pkr.hcl", &template).unwrap();
        accepted(&translation.toml);
        let settings: toml::Table = toml::from_str(&translation.toml).unwrap();
        let truth = value(&truth);
        for key in ["ami_description", "ami_users", "keep_input_artifact"] {
            let written = match settings["aws"].get(key) {
                Some(toml::Value::String(text)) if key == "ami_description" => {
                    Some(render(text).into())
                }
                written => written.cloned(),
            };
            if written.is_some() {
                prop_assert_eq!(&written, &truth, "{} = {}", key, &source);
            } else {
                let is_named = translation.notes.iter().any(|note| note.contains(key));
                let is_empty = ["\"\"", "[]"].map(|empty| Some(empty.parse().unwrap()));
                prop_assert!(is_named || is_empty.contains(&truth), "{} = {}", key, &source);
            }
        }
    }

    #[test]
    fn a_value_of_json_is_packers_or_is_left_out(parts in prop::collection::vec(part(), 1..6)) {
        let text: String = parts.iter().map(|(source, _)| *source).collect();
        let truth: Option<String> = parts.iter().map(|(_, truth)| *truth).collect();
        let template = serde_json::json!({
            "variables": {
                "known": "prod",
                "stage": null,
                "around": "a-{{user `stage`}}-{{user `known`}}",
                "braces": "{{`{{`}}",
                "changed": "{{user `known` | upper}}",
                "itself": "{{user `itself`}}",
            },
            "post-processors": [{"type": "amazon-import", "ami_description": text, "license_type": text}],
        });
        let translation = translate("a.json", &template.to_string()).unwrap();
        accepted(&translation.toml);
        let settings: toml::Table = toml::from_str(&translation.toml).unwrap();
        // Parts can form an action together: {, {{user …}} and so on.
        let is_apart = !text.contains("{{{");
        if let Some(written) = settings["aws"].get("ami_description").and_then(toml::Value::as_str) {
            let written = Some(render(written));
            prop_assert!(!is_apart || written == truth, "{text}: {written:?}");
        } else {
            prop_assert!(translation.notes.iter().any(|note| note.contains("ami_description")));
        }
        if let Some(written) = settings["aws"].get("license_type").and_then(toml::Value::as_str) {
            prop_assert!(!is_apart || Some(written) == truth.as_deref(), "{text}: {written:?}");
        }
    }

    #[test]
    fn random_text_is_no_panic(text in any::<String>(), tail in "[\\[\\]{}\"`$%| a-z=\\\\\n#,:(0-9.?*-]{0,80}") {
        for name in ["a.json", "a.hcl", "a"] {
            let _ = translate(name, &text);
            let _ = translate(name, &tail);
            let _ = translate(name, &format!("post-processor \"amazon-import\" {{\n ami_name = {tail}\n}}"));
            let _ = translate(name, &format!("post-processor \"amazon-import\" {{\n ami_name = \"{{{{{tail}}}}}\"\n}}"));
            let _ = translate(name, &format!("{{\"type\": \"amazon-import\", \"ami_name\": {tail}}}"));
        }
    }

    #[test]
    fn a_text_is_written_as_it_is(key in ".{1,20}", text in ".{0,40}") {
        let block = serde_json::json!({"type": "amazon-import", "ami_description": text, "tags": {key.clone(): text.clone()}});
        let translation = translate("a.json", &block.to_string()).unwrap();
        accepted(&translation.toml);
        if !text.contains("{{") && !text.is_empty() {
            let table: toml::Table = toml::from_str(&translation.toml).unwrap();
            prop_assert_eq!(table["aws"]["ami_description"].as_str(), Some(text.as_str()));
            if !key.contains("{{") {
                prop_assert_eq!(table["aws"]["tags"][&key].as_str(), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn no_secret_is_repeated(at in 0..500_usize, sign in any::<char>()) {
        const SECRET: &str = "hunter2hunter2";
        let templates = [
            ("a.json", format!(r#"{{"variables": {{"k": "{SECRET}", "via": "{{{{user `k`}}}}", "s": "{SECRET}"}}, "sensitive-variables": ["s"],
              "post-processors": [{{"type": "amazon-import", "access_key": "{SECRET}", "secret_key": "{{{{user `via`}}}}", "token": "{SECRET}",
              "ami_name": "{{{{user `k`}}}}", "ami_description": "{{{{user `s`}}}}", "vault_aws_engine": {{"name": "{SECRET}"}}, "mfa_code": "{SECRET}"}}]}}"#)),
            ("a.hcl", format!("variable \"k\" {{\n default = \"{SECRET}\"\n sensitive = true\n}}\nlocals {{\n l = \"{SECRET}\"\n m = local.l\n}}\nlocal \"n\" {{\n expression = \"{SECRET}\"\n sensitive = true\n}}\npost-processor \"digitalocean-import\" {{\n api_token = local.m\n spaces_key = \"{SECRET}\"\n spaces_secret = var.k\n image_name = var.k\n image_description = \"a ${{local.l}}\"\n image_tags = [local.n, local.m]\n}}\n")),
        ];
        for (name, template) in templates {
            let whole = translate(name, &template).unwrap();
            prop_assert!(!format!("{whole:?}").contains(SECRET), "{}", whole.toml);
            let mut broken = template;
            let at = (0..=at.min(broken.len())).rev().find(|&at| broken.is_char_boundary(at)).unwrap_or(0);
            broken.insert(at, sign);
            // With a changed key the name of a secret may be lost, so only errors are checked.
            if let Err(error) = translate(name, &broken) {
                prop_assert!(!error.to_string().contains(SECRET), "{error}");
            }
        }
    }
}
