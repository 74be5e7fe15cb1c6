//! The recipes for pipelines: their YAML is what the platforms take, and what they run is
//! run here, against the sandbox, until the exit code is no longer 4.

use std::fs;
use std::path::Path;

use imgimport_sandbox::{CustomImageScript, Gate, ImportScript, SPACES_REGION};
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::{Cmd, TestEnv};

/// A deadline that passes while the gate is closed, and not once it is open.
const DEADLINE: &str = "4s";
const TOO_LATE: &str = "the deadline passed while the cloud is still working";

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap()
}

fn recipe(name: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&text(&format!("tests/recipes/{name}"))).unwrap()
}

fn words(list: &Yaml) -> Vec<String> {
    let words = list.as_vec().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

fn keys(object: &Yaml) -> Vec<&str> {
    let keys = object.as_hash().unwrap().keys();
    keys.map(|key| key.as_str().unwrap()).collect()
}

/// AWS imports once the gate opens, DigitalOcean at once.
async fn stage(gate: &Gate) -> TestEnv {
    let env = TestEnv::new().await;
    env.cloud.import_script(ImportScript::quick().hold(gate));
    env.cloud
        .spaces()
        .create_bucket_with_acls("import-bucket", SPACES_REGION);
    env.cloud
        .digitalocean()
        .import_script(CustomImageScript::quick());
    env.disk(2);
    env
}

fn with_clouds<'a>(env: &TestEnv, run: Cmd<'a>) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    let run = run.env("IMGIMPORT_TIMEOUT", DEADLINE);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// What a pipeline runs is told once that it is too late, and goes on by itself.
async fn tries_again(env: &TestEnv, gate: &Gate, run: Cmd<'_>) {
    let mut running = with_clouds(env, run).start();
    running.wait_for_stderr(TOO_LATE).await;
    gate.release();
    running.output().await.code(0);
    assert_eq!(
        env.cloud.requests("ec2:ImportImage").len(),
        1,
        "attached to"
    );
}

#[tokio::test]
async fn github_actions() {
    let recipe = &recipe("github-actions.yaml")[0];
    assert_eq!(keys(recipe), ["name", "on", "permissions", "jobs"]);
    let job = &recipe["jobs"]["import"];
    assert_eq!(
        keys(job),
        [
            "runs-on",
            "container",
            "timeout-minutes",
            "strategy",
            "steps"
        ]
    );
    assert_eq!(job["strategy"]["fail-fast"].as_bool(), Some(false));
    let matrix = job["strategy"]["matrix"]["include"].as_vec().unwrap();
    let clouds: Vec<_> = matrix
        .iter()
        .map(|entry| entry["cloud"].as_str().unwrap())
        .collect();
    assert_eq!(clouds, ["aws", "alicloud", "digitalocean"]);
    let step = &job["steps"][1];
    for (name, value) in step["env"].as_hash().unwrap() {
        let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
        let secret = ["KEY", "TOKEN"].iter().any(|word| name.contains(word));
        assert_eq!(
            secret,
            value.contains("secrets."),
            "{name}: a secret of the platform's store"
        );
        assert!(
            !secret || value == format!("${{{{ secrets.{name} }}}}"),
            "{name}"
        );
    }

    let gate = Gate::new();
    let env = stage(&gate).await;
    let script = step["run"]
        .as_str()
        .unwrap()
        .replace("${{ matrix.cloud }}", "aws")
        .replace(
            "${{ matrix.options }}",
            matrix[0]["options"].as_str().unwrap(),
        );
    assert!(!script.contains("${{"), "{script}");
    let output = env.file("output", "");
    let run = env
        .shell(&script)
        .env("GITHUB_OUTPUT", output.to_str().unwrap())
        .env("GITHUB_REF_NAME", "v1")
        .env("GITHUB_RUN_ID", "7");
    tries_again(&env, &gate, run).await;
    let image = env
        .cloud
        .ec2()
        .images()
        .into_iter()
        .find(|image| image.name == "web-v1")
        .unwrap();
    assert_eq!(
        fs::read_to_string(output).unwrap(),
        format!("image={}\n", image.id)
    );
    assert_eq!(env.cloud.ec2().import_tasks()[0].key, "web-7.raw");
}

#[tokio::test]
async fn gitlab() {
    let recipe = &recipe("gitlab-ci.yaml")[0];
    let job = &recipe["import"];
    assert_eq!(
        keys(job),
        [
            "image",
            "timeout",
            "variables",
            "script",
            "retry",
            "cache",
            "artifacts"
        ]
    );
    assert_eq!(job["retry"]["exit_codes"][0].as_i64(), Some(4));
    assert_eq!(job["cache"]["when"].as_str(), Some("always"));
    let gate = Gate::new();
    let env = stage(&gate).await;
    env.file(
        "jobs.toml",
        "[[job]]\nname = \"web\"\nimage = \"disk.raw\"\naws = { bucket = \"importbucket\" }\n",
    );
    let place = env.path(".state");
    let journal = job["variables"]["XDG_STATE_HOME"].as_str().unwrap();
    assert_eq!(journal.replace("$CI_PROJECT_DIR", ""), "/.state");
    let script = words(&job["script"]).join("\n");
    let run = env
        .shell(&script)
        .env("XDG_STATE_HOME", place.to_str().unwrap());
    tries_again(&env, &gate, run).await;
    let images = fs::read_to_string(env.path("images.json")).unwrap();
    assert!(images.contains("\"job\":\"web\""), "{images}");
}

#[tokio::test]
async fn kubernetes() {
    let [settings, job] = &recipe("kubernetes.yaml")[..] else {
        panic!("a ConfigMap and a Job");
    };
    assert_eq!(settings["kind"].as_str(), Some("ConfigMap"));
    assert_eq!(
        (job["apiVersion"].as_str(), job["kind"].as_str()),
        (Some("batch/v1"), Some("Job"))
    );
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(
        pod["restartPolicy"].as_str(),
        Some("Never"),
        "as a failure policy needs it"
    );
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_vec().unwrap();
    let hopeless = &rules[0]["onExitCodes"]["values"];
    assert_eq!(hopeless, &YamlLoader::load_from_str("[2, 3]").unwrap()[0]);
    let container = &pod["containers"][0];
    assert_eq!(container["name"], rules[0]["onExitCodes"]["containerName"]);
    let volumes: Vec<_> = pod["volumes"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|volume| &volume["name"])
        .collect();
    for mount in container["volumeMounts"].as_vec().unwrap() {
        assert!(volumes.contains(&&mount["name"]), "{mount:?}");
    }
    assert!(
        container["envFrom"][0]["secretRef"]["name"]
            .as_str()
            .is_some()
    );

    let gate = Gate::new();
    let env = stage(&gate).await;
    let file = settings["data"]["jobs.toml"].as_str().unwrap();
    env.file(
        "jobs.toml",
        file.replace("/images/", "").replace("\"fra1\"", "\"nyc2\""),
    );
    let args = words(&container["args"])
        .join(" ")
        .replace("/etc/imgimport/", "");
    let first = with_clouds(&env, env.imgimport(&args)).output().await;
    first.code(4);
    assert!(first.stderr.contains(TOO_LATE), "{}", first.stderr);
    gate.release();
    let second = with_clouds(&env, env.imgimport(&args));
    let second = second.env("IMGIMPORT_TIMEOUT", "1h").output().await;
    second.code(0);
    assert_eq!(
        second.stdout_raw.lines().count(),
        2,
        "both images are named:\n{}",
        second.stdout_raw
    );
    assert_eq!(
        env.cloud.requests("ec2:ImportImage").len(),
        1,
        "attached to"
    );
    assert_eq!(
        env.cloud.digitalocean().images().len(),
        1,
        "and not imported again"
    );
}

#[tokio::test]
async fn argo() {
    let recipe = &recipe("argo.yaml")[0];
    assert_eq!(recipe["kind"].as_str(), Some("Workflow"));
    let templates = recipe["spec"]["templates"].as_vec().unwrap();
    assert_eq!(recipe["spec"]["entrypoint"], templates[0]["name"]);
    let step = &templates[0]["steps"][0][0];
    assert_eq!(step["template"], templates[1]["name"]);
    let retry = &templates[1]["retryStrategy"];
    assert_eq!(
        retry["expression"].as_str(),
        Some("asInt(lastRetry.exitCode) in [4, 143]")
    );
    let container = &templates[1]["container"];
    assert_eq!(words(&container["command"]), ["imgimport"]);

    let gate = Gate::new();
    let env = stage(&gate).await;
    let item = &step["withItems"][0];
    let args = words(&container["args"])
        .join(" ")
        .replace(
            "{{inputs.parameters.cloud}}",
            item["cloud"].as_str().unwrap(),
        )
        .replace(
            "{{inputs.parameters.bucket}}",
            item["bucket"].as_str().unwrap(),
        )
        .replace("/images/", "")
        .replace("--timeout=80m", "--timeout=1s");
    assert!(!args.contains("{{"), "{args}");
    with_clouds(&env, env.imgimport(&args))
        .output()
        .await
        .code(4);
    gate.release();
    let args = args.replace("--timeout=1s", "--timeout=1h");
    with_clouds(&env, env.imgimport(&args))
        .output()
        .await
        .code(0);
    assert_eq!(
        env.cloud.requests("ec2:ImportImage").len(),
        1,
        "attached to"
    );
}

#[test]
fn the_readme_contains_the_recipes() {
    let readme = text("README.md");
    let shown = readme.split("```yaml\n").skip(1);
    let shown: Vec<_> = shown.filter_map(|rest| rest.split("```").next()).collect();
    assert!(!shown.is_empty());
    let recipes = ["github-actions", "gitlab-ci", "kubernetes", "argo"];
    let recipes = recipes.map(|name| text(&format!("tests/recipes/{name}.yaml")));
    for block in shown {
        assert!(
            recipes.iter().any(|recipe| recipe.contains(block)),
            "{block}"
        );
    }
    let names = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes")).unwrap();
    for name in names {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(
            readme.contains(&format!("tests/recipes/{name}")),
            "{name} is not in the README"
        );
    }
}

#[test]
fn the_container_is_built_of_this_tree_and_keeps_its_journal() {
    let file = text("tests/recipes/Containerfile");
    let manifest = text("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    assert!(
        file.contains(&format!("rust:{version}-slim")),
        "the compiler that Cargo.toml asks for"
    );
    for line in [
        "ENV XDG_STATE_HOME=/state",
        "VOLUME /state",
        "ENTRYPOINT [\"imgimport\"]",
    ] {
        assert!(file.lines().any(|found| found == line), "{line}");
    }
}
