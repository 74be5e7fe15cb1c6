//! The token of doctl, for users who set none: its file, its contexts. The file is only read,
//! never written.

use std::path::PathBuf;

use yaml_rust2::{Yaml, YamlLoader};

use crate::config::Environment;
use crate::platform;
use crate::secret::{self, Secret};

/// doctl's name for the account that has no name.
const DEFAULT_CONTEXT: &str = "default";

/// What doctl knows.
pub struct DoctlConfig {
    /// The token of the context that is in use.
    pub token: Option<Secret>,
    /// The API that it speaks to.
    pub api_url: Option<String>,
}

/// Reads doctl's file, if there is one; an error says what is wrong with it.
pub fn read_doctl(environment: &Environment) -> Result<Option<DoctlConfig>, String> {
    let Some(path) = config_path(environment).filter(|path| path.exists()) else {
        return Ok(None);
    };
    let unusable =
        |reason: String| format!("doctl's file {} can't be used: {reason}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
    // The parser's message names the place and quotes nothing.
    let documents =
        YamlLoader::load_from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let file = documents.first().unwrap_or(&Yaml::Null);
    let doctl = parse(file, environment.get("DIGITALOCEAN_CONTEXT"));
    let fault = doctl
        .token
        .as_ref()
        .and_then(|token| secret::header_problem(token.expose()));
    match fault {
        Some(fault) => Err(unusable(fault)),
        None => Ok(Some(doctl)),
    }
}

/// `doctl --config`, else where doctl looks on this system.
fn config_path(environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = environment.get("DIGITALOCEAN_CONFIG") {
        return Some(path.into());
    }
    let home = || environment.get(platform::HOME).map(PathBuf::from);
    let base = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support")
    } else if cfg!(windows) {
        environment.get("APPDATA")?.into()
    } else {
        let xdg_config = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
        xdg_config.or_else(|| Some(home()?.join(".config")))?
    };
    Some(base.join("doctl/config.yaml"))
}

/// The context of the variable, else of the file, else `default`, which has a key of its own.
fn parse(file: &Yaml, explicit_context: Option<String>) -> DoctlConfig {
    let text = |value: &Yaml| {
        value
            .as_str()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let context = explicit_context.or_else(|| text(&file["context"]));
    let context = context
        .unwrap_or_else(|| DEFAULT_CONTEXT.to_owned())
        .to_lowercase();
    let token = if context == DEFAULT_CONTEXT {
        text(&file["access-token"])
    } else {
        text(&file["auth-contexts"][context.as_str()])
    };
    DoctlConfig {
        token: token.map(Secret::new),
        api_url: text(&file["api-url"]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FILE: &str = "\
access-token: dop_v1_first
auth-contexts:
  work: dop_v1_second
context: default
http-retry-max: 5
";

    fn token(text: &str, context: Option<&str>) -> Option<String> {
        let file = YamlLoader::load_from_str(text).unwrap();
        let doctl = parse(&file[0], context.map(str::to_owned));
        doctl.token.map(|token| token.expose().to_owned())
    }

    #[test]
    fn context_selects_the_token() {
        assert_eq!(token(FILE, None).unwrap(), "dop_v1_first");
        assert_eq!(token(FILE, Some("Work")).unwrap(), "dop_v1_second");
        let work = FILE.replace("context: default", "context: work");
        assert_eq!(token(&work, None).unwrap(), "dop_v1_second");
        assert_eq!(token(FILE, Some("other")), None);
    }

    #[test]
    fn empty_config_has_no_token() {
        assert_eq!(token("access-token: \"\"\n", None), None);
        assert_eq!(token("{}", None), None);
    }
}
