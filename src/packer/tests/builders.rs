use super::translate;

#[test]
fn a_builder_gives_the_image_where_its_file_is_certain() {
    let builders = [
        (
            r#"source "file" "a" { target = "out/a.raw" }"#,
            Some("out/a.raw"),
        ),
        (
            "source \"qemu\" \"a\" {\n output_directory = \"out/\"\n vm_name = \"web\"\n}",
            Some("out/web"),
        ),
        (r#"source "qemu" "a" {}"#, Some("output-a/packer-a")),
        (
            r#"source "qemu" "a" { vm_name = "web-${timestamp()}" }"#,
            None,
        ),
        (
            r#"source "qemu" "a" { output_directory = "${var.x}" }"#,
            None,
        ),
        (
            "source \"virtualbox-iso\" \"a\" {\n vm_name = \"web\"\n format = \"ova\"\n}",
            Some("output-a/web.ova"),
        ),
        (
            "source \"virtualbox-ovf\" \"a\" {\n vm_name = \"b\"\n output_filename = \"web\"\n format = \"ova\"\n}",
            Some("output-a/web.ova"),
        ),
        (r#"source "virtualbox-iso" "a" { format = "ova" }"#, None),
        (r#"source "virtualbox-iso" "a" { vm_name = "web" }"#, None),
        (
            "source \"vmware-iso\" \"a\" {\n output_directory = \"o\"\n vm_name = \"web\"\n format = \"ova\"\n}",
            Some("o/web.ova"),
        ),
        (r#"source "vmware-vmx" "a" { vm_name = "web" }"#, None),
        (r#"source "amazon-ebs" "a" {}"#, None),
    ];
    for (source, image) in builders {
        let kind = source.split('"').nth(1).unwrap();
        for (references, before, known) in [
            (format!("sources = [\"source.{kind}.a\"]"), "", true),
            (format!("sources = [source.{kind}.a]"), "", true),
            (format!("source \"source.{kind}.a\" {{}}"), "", true),
            (
                format!("sources = [\"source.{kind}.a\"]"),
                "post-processor \"shell-local\" {}",
                true,
            ),
            (
                format!("sources = [\"source.{kind}.a\"]"),
                "post-processor \"compress\" {}",
                false,
            ),
            (
                format!("sources = [\"source.{kind}.a\", \"source.file.b\"]"),
                "",
                false,
            ),
        ] {
            let template = format!(
                "variable \"x\" {{}}\nsource \"file\" \"b\" {{\n target = \"b\"\n}}\n{source}\nbuild {{\n {references}\n post-processors {{\n {before}\n post-processor \"digitalocean-import\" {{}}\n }}\n}}\n"
            );
            let translation = translate("a.pkr.hcl", &template).unwrap();
            let table: toml::Table = toml::from_str(&translation.toml).unwrap();
            let found = table.get("image").and_then(toml::Value::as_str);
            assert_eq!(found, image.filter(|_| known), "{template}");
        }
    }
}

#[test]
fn only_chooses_the_builder() {
    let translation = translate(
        "a.json",
        r#"{"builders": [{"type": "file", "target": "a.raw"}, {"type": "file", "name": "b", "target": "b.raw"}],
            "post-processors": [{"type": "digitalocean-import", "only": ["b"]}]}"#,
    );
    assert!(translation.unwrap().toml.contains("image = \"b.raw\"\n"));
}
