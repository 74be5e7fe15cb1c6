//! What can be said to `imgimport check`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::clouds::CloudId;
use crate::config::{Environment, deserialize, switch};
use crate::error::{Error, Result};
use crate::image::Format;

/// The flags of `imgimport check`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Disk image to look into; of `-`, standard input, the first bytes are looked at
    #[arg(value_name = "IMAGE", value_hint = clap::ValueHint::FilePath)]
    pub image: Option<PathBuf>,

    /// Cloud to ask for (can be repeated) [default: all of them]
    #[arg(
        id = "for",
        long = "for",
        value_name = "CLOUD",
        value_delimiter = ',',
        ignore_case = true
    )]
    pub clouds: Option<Vec<CloudId>>,

    /// Say what DigitalOcean's Marketplace image check would say, too
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    pub marketplace: Option<bool>,

    /// Format of the image [default: detected]
    #[arg(long, value_name = "FMT", ignore_case = true)]
    pub format: Option<Format>,

    /// What goes to standard output: text, a page to read, or json, one object
    #[arg(
        id = "output",
        long = "output",
        value_name = "FMT",
        ignore_case = true,
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub output: Option<crate::config::OutputFormat>,
}

impl Options {
    /// A line for each variable that overrides a different value of the settings file at `path`.
    pub fn overrides(
        &self,
        environment: &Environment,
        image: Option<&Path>,
        output: Option<crate::config::OutputFormat>,
        path: Option<&Path>,
    ) -> Vec<String> {
        let output = output.as_ref().and_then(ValueEnum::to_possible_value);
        let image = image.map(|image| image.display().to_string());
        let output = output.map(|output| output.get_name().to_owned());
        let values = [
            ("image", self.image.is_some(), image),
            ("output", self.output.is_some(), output),
        ];
        let line = |(option, is_flag, value): (&str, bool, Option<String>)| {
            let (value, path) = (value.filter(|_| !is_flag)?, path?.display());
            let names = variables(option);
            let set = |name: &String| Some((name.clone(), environment.get(name)?));
            let (name, text) = names.iter().find_map(set)?;
            let differs = !text.eq_ignore_ascii_case(&value) || option == "image" && text != value;
            differs.then(|| format!("{option} {text} from {name}; {path} has {value}"))
        };
        values.into_iter().filter_map(line).collect()
    }

    /// What the variables, and below them the settings file, say where the flags are silent.
    pub fn layered(
        mut self,
        environment: &Environment,
        image: Option<PathBuf>,
        output: Option<crate::config::OutputFormat>,
    ) -> Result<Self> {
        let variable = |name: &str| {
            variables(name)
                .iter()
                .find_map(|name| Some((name.clone(), environment.get(name)?)))
        };
        self.image = self
            .image
            .or_else(|| variable("image").map(|(_, path)| path.into()))
            .or(image);
        if self.clouds.is_none() {
            let names = variable("for").map(|(name, text)| {
                let values = deserialize::split(&text).map_err(|why| variable_error(&name, why))?;
                let all = values.into_iter().map(|value| choice(&name, &value));
                all.collect::<Result<Vec<CloudId>>>()
            });
            self.clouds = names.transpose()?;
        }
        if self.marketplace.is_none() {
            let value = variable("marketplace")
                .map(|(name, text)| switch(&text).map_err(|why| variable_error(&name, why)));
            self.marketplace = value.transpose()?;
        }
        if self.format.is_none() {
            self.format = variable("format")
                .map(|(name, text)| choice(&name, &text))
                .transpose()?;
        }
        if self.output.is_none() {
            let value = variable("output").map(|(name, text)| choice(&name, &text));
            self.output = value.transpose()?.or(output);
        }
        Ok(self)
    }
}

/// The variables that set this option, the strongest first.
pub fn variables(option: &str) -> [String; 2] {
    let upper = option.to_uppercase();
    [
        format!("IMGIMPORT_CHECK_{upper}"),
        format!("IMGIMPORT_{upper}"),
    ]
}

fn choice<T: ValueEnum>(name: &str, text: &str) -> Result<T> {
    T::from_str(text, true).map_err(|_| {
        let names = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<_> = names.map(|value| value.get_name().to_owned()).collect();
        variable_error(
            name,
            format!("\"{text}\" is not one of {}", names.join(", ")),
        )
    })
}

fn variable_error(name: &str, why: impl Into<String>) -> Error {
    Error::usage(format!("the variable {name} is wrong")).with_cause(why)
}
