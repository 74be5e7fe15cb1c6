use super::{accepted, translate};

/// Returns the line for one value of an HCL template.
fn line(expression: &str) -> String {
    let template = format!(
        r#"
variable "name" {{ default = "web" }}
variable "stage" {{ type = string }}
variable "names" {{ default = {{ de = "hallo", list = ["a", "b"] }} }}
locals {{ name = "x-${{var.name}}" }}
post-processor "amazon-import" {{
  ami_description = {expression}
}}
"#
    );
    let translation = translate("a.hcl", &template).unwrap();
    let line = translation.toml.lines().nth(4).unwrap_or_default();
    accepted(&translation.toml);
    line.replace("ami_description = ", "")
}

#[test]
fn literals_names_interpolations_conditions_and_the_time_are_evaluated() {
    let default = "# the variable name's default";
    for (expression, expected) in [
        ("timestamp()", "\"{{isotime}}\"".to_owned()),
        (
            r#"formatdate("YYYY-MM-DD'T'hh:mm:ssZ", timestamp())"#,
            "'{{isotime \"%Y-%m-%dT%H:%M:%SZ\"}}'".to_owned(),
        ),
        (
            r#"formatdate("EEE, D MMM YY", timestamp())"#,
            "'{{isotime \"%a, %-d %b %y\"}}'".to_owned(),
        ),
        (
            r#"legacy_isotime("20060102")"#,
            "'{{isotime \"20060102\"}}'".to_owned(),
        ),
        ("legacy_isotime()", "\"{{isotime}}\"".to_owned()),
        (
            r#"regex_replace(timestamp(), "[- TZ:]", "")"#,
            "'{{isotime \"20060102150405\"}}'".to_owned(),
        ),
        (r#""a-${timestamp()}-b""#, "\"a-{{isotime}}-b\"".to_owned()),
        (r#""a-${uuidv4()}""#, "\"a-{{uuid}}\"".to_owned()),
        (r#""a-{{timestamp}}""#, "\"a-{{timestamp}}\"".to_owned()),
        (
            r#""{{isotime `2006-01-02`}}""#,
            "'{{isotime \"2006-01-02\"}}'".to_owned(),
        ),
        (r#""a\"b${"c"}d""#, "'a\"bcd'".to_owned()),
        (r#""${5}-${true}""#, "\"5-true\"".to_owned()),
        ("local.name", format!("\"x-web\" {default}")),
        (
            r#""${local.name}-${var.stage}""#,
            format!("'x-web-{{{{env \"PKR_VAR_stage\"}}}}' {default}, needs PKR_VAR_stage"),
        ),
        (
            "var.names.de",
            "\"hallo\" # the variable names's default".to_owned(),
        ),
        (
            "var.names[\"list\"][1]",
            "\"b\" # the variable names's default".to_owned(),
        ),
        (r#"true ? "yes" : "no""#, "\"yes\"".to_owned()),
        (
            r#"var.name == "web" && !false ? "yes" : "no""#,
            format!("\"yes\" {default}"),
        ),
        (r#""${path.root}/x""#, "\"./x\"".to_owned()),
        ("<<-EOT\n  two\n  lines\n  EOT", "\"\"\"".to_owned()),
    ] {
        assert_eq!(line(expression), expected, "{expression}");
    }
}

#[track_caller]
fn are_left_out(expressions: &[(&str, &str)]) {
    for (expression, reason) in expressions {
        let instead = "write its value, or set IMGIMPORT_AWS_AMI_DESCRIPTION";
        assert_eq!(
            line(expression),
            format!("# ami_description: {reason}: {instead}"),
            "{expression}"
        );
    }
}

#[test]
fn a_value_that_is_not_known_is_used_in_texts_only() {
    let stage = "it depends on the variable stage, which has no value here (--var stage=VALUE gives it one)";
    let time = "it depends on the time of the import";
    let layout = "it uses a layout of the time that this program does not read";
    are_left_out(&[
        (r#"var.stage == "dev" ? "a" : "b""#, stage),
        (r#"timestamp() == "" ? "a" : "b""#, time),
        (r#""${timestamp()}" == "" ? "a" : "b""#, time),
        ("var.stage ? \"a\" : \"b\"", stage),
        ("legacy_isotime(var.stage)", layout),
        (
            r#""{{isotime `${var.stage}`}}""#,
            "it has a {{ that is never closed by }}",
        ),
        (
            r#""{{timestamp | upper}}""#,
            "it changes {{timestamp}}, and this program evaluates only {{timestamp}} by itself",
        ),
    ]);
}

#[test]
fn other_functions_operators_and_directives_are_left_out_and_named() {
    let layout = "it uses a layout of the time that this program does not read";
    are_left_out(&[
        (
            r#"replace(timestamp(), ":", "-")"#,
            "it uses the function replace, which this program does not evaluate",
        ),
        (
            r#"upper("web")"#,
            "it uses the function upper, which this program does not evaluate",
        ),
        (
            r#"env("BUILD")"#,
            "it uses the function env, which this program does not evaluate",
        ),
        (
            r#"file("secret.txt")"#,
            "it uses the function file, which this program does not evaluate",
        ),
        (
            r#"formatdate("YYYY", "2020-01-01T00:00:00Z")"#,
            "it uses the function formatdate in a way that this program does not evaluate",
        ),
        (
            r#"formatdate("YYYYY", timestamp())"#,
            "it uses a layout of formatdate that this program does not read",
        ),
        (r#"legacy_isotime("%Y")"#, layout),
        (
            r#"legacy_strftime("%Y")"#,
            "it uses the function legacy_strftime, which this program does not evaluate",
        ),
        (
            "\"%{ if true }a%{ endif }\"",
            "it uses %{ }, which this program does not evaluate",
        ),
        (
            "\"a ${~ var.name }\"",
            "it uses ${~ }, which this program does not evaluate",
        ),
        (
            r#"[for x in ["a"] : x]"#,
            "it uses for, which this program does not evaluate",
        ),
        (r#""hunter2" + 1"#, "it calculates with numbers"),
        (
            r#"["a"] == ["a"] ? "a" : "b""#,
            "it compares something else than two texts",
        ),
        (
            r#"true ? 5 : "a""#,
            "its condition chooses between different types",
        ),
    ]);
}

#[test]
fn names_and_templates_that_only_packer_knows_are_left_out_and_named() {
    are_left_out(&[
        ("build.ID", "it uses build.ID, which only Packer knows"),
        (
            "local.nothing",
            "it uses local.nothing, which the template does not declare",
        ),
        (
            "var.names.en",
            "it uses a part of var.names, which this program does not evaluate",
        ),
        (
            r#""{{build `ID`}}""#,
            "it uses {{build}}, which only a running build knows",
        ),
        (
            r#""{{ .Name }}""#,
            "it uses {{.Name}}, which only a running build knows",
        ),
        (r#""{{ open""#, "it has a {{ that is never closed by }}"),
        (
            r#""{{vault `a` `b`}}""#,
            "it uses {{vault}}, which this program does not evaluate",
        ),
        (
            r#""{{user `name`}}""#,
            "it uses {{user}}, which HCL does not have",
        ),
    ]);
}

#[test]
fn names_that_grow_without_end_are_left_out() {
    let locals = (1..60).map(|next| {
        let before = next - 1;
        format!("a{next} = \"${{local.a{before}}}${{local.a{before}}}\"\nb{next} = [local.b{before}, local.b{before}]\n")
    });
    let locals: String = locals.collect();
    let locals = format!("a0 = \"12345678\"\nb0 = [local.a0]\n{locals}");
    let template = format!(
        "locals {{\n{locals}c = local.d\nd = local.c\n}}\npost-processor \"amazon-import\" {{\n ami_name = local.a59\n ami_description = local.c\n}}\n"
    );
    let translation = translate("a.hcl", &template).unwrap();
    assert!(
        translation
            .toml
            .contains("\n# ami_name: it depends on local.a59, which is not known (")
            && translation
                .toml
                .contains("\n# ami_description: it depends on local.c, which refers to itself:"),
        "{}",
        translation.toml
    );
}
