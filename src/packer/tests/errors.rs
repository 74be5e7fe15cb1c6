use super::translate;
use crate::error::Kind;

#[test]
fn a_broken_template_is_one_sentence_with_its_line() {
    for (name, template, said) in [
        (
            "a.json",
            "{\n  \"post-processors\": [\n    {\"type\": }\n  ]\n}",
            "error: could not read the Packer template a.json:3\n  cause: expected value (column 14)",
        ),
        (
            "a.pkr.hcl",
            "build {\n  post-processor \"amazon-import\" {\n    secret_key = \"hunter2\n  }\n}\n",
            "error: could not read the Packer template a.pkr.hcl:3",
        ),
        (
            "a.json",
            "{\"post-processors\": {\"type\": \"amazon-import\"}}",
            "error: could not read the Packer template a.json:1\n  cause: a list is expected here",
        ),
        (
            "a.json",
            "{\"post-processors\": [\n7]}",
            "error: could not read the Packer template a.json:2\n  cause: an object is expected here",
        ),
        (
            "a.pkr.json",
            "{\"build\": {}}",
            "error: a.pkr.json has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
        (
            "a.pkr.json",
            "{\"build\": {\n\"post-processor\": {\"amazon-import\": {\"ami_name\": \"${var.\"}}}}",
            "error: could not read the Packer template a.pkr.json:2\n  cause: an interpolation in this text is not valid",
        ),
        (
            "a.json",
            "{\"builders\": []}",
            "error: a.json has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
        (
            "empty",
            "",
            "error: empty has nothing to carry over\n  cause: it has no post-processor amazon-import, alicloud-import or digitalocean-import",
        ),
    ] {
        let error = translate(name, template).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let error = error.to_string();
        assert!(error.starts_with(said), "{error}\n{said}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
