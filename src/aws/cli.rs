//! The AWS CLI, asked in the commands that a person is given to paste.

use std::fmt;

use super::options::Options;
use crate::layers::Environment;
use crate::shell::quote;

/// `aws`, with what it must be told to reach the account that this run reaches.
#[derive(Clone, Debug, Default)]
pub struct Cli {
    profile: Option<String>,
    endpoint: Option<String>,
}

impl Cli {
    /// What the environment says the shell says to the AWS CLI, too. An address with a
    /// password in it is nothing to print.
    pub fn of(options: &Options, environment: &Environment) -> Self {
        let unsaid = |value: &Option<String>, variable: &str| {
            let value = value.clone().filter(|value| !value.contains('@'));
            value.filter(|value| environment.get(variable).as_ref() != Some(value))
        };
        Self {
            profile: unsaid(&options.profile, "AWS_PROFILE"),
            endpoint: unsaid(&options.endpoint_url, "AWS_ENDPOINT_URL"),
        }
    }
}

impl fmt::Display for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aws")?;
        if let Some(profile) = &self.profile {
            write!(f, " --profile {}", quote(profile))?;
        }
        if let Some(endpoint) = &self.endpoint {
            write!(f, " --endpoint-url {}", quote(endpoint))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reaches_the_account_that_the_import_reached() {
        let said = |profile: &str, endpoint: Option<&str>| Options {
            profile: Some(profile.to_owned()),
            endpoint_url: endpoint.map(str::to_owned),
            ..Options::default()
        };
        let environment = Environment::of([("AWS_PROFILE".to_owned(), "prod".to_owned())]);
        for (options, command) in [
            (Options::default(), "aws"),
            (said("prod", None), "aws"),
            (said("my test", None), "aws --profile 'my test'"),
            (
                said("test", Some("http://127.0.0.1:4566")),
                "aws --profile test --endpoint-url http://127.0.0.1:4566",
            ),
            (said("prod", Some("http://me:secret@proxy")), "aws"),
        ] {
            assert_eq!(Cli::of(&options, &environment).to_string(), command);
        }
    }
}
