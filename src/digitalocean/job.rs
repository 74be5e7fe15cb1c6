//! An import to DigitalOcean with all settings resolved: created once from the user's options,
//! then immutable.

use std::time::Duration;

use jiff::Timestamp;

use super::options::{ObjectAccess, Options};
use super::{credentials, key, validate};
use crate::config::problems::Problems;
use crate::config::template::Values;
use crate::config::{Environment, ImportArgs};
use crate::error::{Error, Result};
use crate::image::Accepts;
use crate::import;
use crate::import::job;
use crate::import::job::OpenedImage;
use crate::import::outcome::Outcome;
use crate::net::endpoint;
use crate::net::retry::RetryPolicy;
use crate::secret::Secret;
use crate::store::s3::SPACES_LIMITS;

/// godo's pace; the account has 250 requests a minute.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The API.
const API_URL: &str = "https://api.digitalocean.com";
/// Spaces; the word in braces is Terraform's.
const SPACES_URL: &str = "https://{{.Region}}.digitaloceanspaces.com";
/// Packer's `http_retry_max` and its pauses, in seconds.
const RETRY_DEFAULTS: (u32, f64, f64) = (5, 1.0, 30.0);

/// The rate limits' longest window ("Rate limit" of the API reference: an hour).
const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_hours(1);

/// What `imgimport digitalocean` will do.
#[derive(Debug)]
pub struct Job {
    /// What every import has.
    pub common: job::Job,
    /// Who asks.
    pub token: Secret,
    /// The API's address.
    pub api_url: String,
    /// How busy answers are met.
    pub retry_policy: RetryPolicy,
    /// Where the temporary object lies.
    pub space: Space,
    /// How DigitalOcean may read it.
    pub access: ObjectAccess,
    /// Name of the temporary object.
    pub key: String,
    /// The name that the user gave, without the random part that makes it unguessable.
    pub requested_key: Option<String>,
    /// The same before its template was filled in: what identifies the job.
    pub key_template: String,
    /// Regions of the image, that of the import first.
    pub regions: Vec<String>,
    /// The image's name.
    pub name: String,
    /// As above, before its template was filled in.
    pub name_template: String,
    /// The image's description.
    pub description: Option<String>,
    /// The distribution in it.
    pub distribution: String,
    /// Tags on the image.
    pub tags: Vec<String>,
    /// What the user should be warned of.
    pub warnings: Vec<String>,
}

/// Where the temporary object lies, and with which keys.
#[derive(Clone, Debug)]
pub struct Space {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The address of all Spaces of the region.
    pub endpoint: String,
    /// Half a key.
    pub access_key: Secret,
    /// The other half.
    pub secret_key: Secret,
}

impl Job {
    /// Decides everything that needs no network. One error lists all that is wrong.
    pub fn resolve(
        mut args: ImportArgs<Options>,
        opened: OpenedImage,
        clock: Timestamp,
        environment: &Environment,
    ) -> Result<Self> {
        let mut problems = Problems::default();
        args.wait.timeout = args.wait.timeout.or(args.provider.timeout);
        let options = &args.provider;
        opened.check(&mut problems);
        let compression = options.compression.unwrap_or_default();
        let gzip = opened
            .image()
            .is_some_and(|image| validate::is_gzipped(image, compression));
        let ending = opened.image().map(|image| validate::extension(image, gzip));
        let lookup = |name: &str| environment.for_template(name);
        let stem = opened.file_stem();
        let values = Values {
            clock,
            file_stem: &stem,
            format: opened.extension(),
            env: &lookup,
        };

        check_required(options, &mut problems);
        validate::each_option(options, &mut problems);
        let account = Account::find(options, environment, &mut problems);
        let space = space(options, &mut problems);
        let texts = RenderedNames::render(
            options,
            ending.as_deref().unwrap_or("img"),
            // The plan shows what was given: nothing is sent under it.
            args.dry_run.unwrap_or(false),
            &values,
            &mut problems,
        );
        problems.finish()?;

        let image = opened.finish()?;
        let accepts = Accepts::new(|image| {
            validate::accepts(image).map_err(|(reason, remedy)| {
                let error = Error::refused(format!("DigitalOcean can't import {}", image.label()));
                error.with_cause(reason).hint(remedy)
            })
        });
        accepts
            .check(&image)
            .or_else(|error| args.unless_skipped(error))?;
        let mut warnings: Vec<_> = validate::boot_warning(&image).into_iter().collect();
        let (distribution, is_documented) =
            validate::distribution(options.image_distribution.as_deref().unwrap_or("Unknown"));
        if !is_documented {
            warnings.push(format!(
                "DigitalOcean may not know the distribution \"{distribution}\", and call it Unknown"
            ));
        }
        let (skip_clean, keep) = (options.skip_clean, options.keep_input_artifact);
        let mut common = job::Job::new(
            image,
            accepts,
            &args,
            skip_clean.unwrap_or(false),
            !keep.unwrap_or(true),
            POLL_INTERVAL,
        );
        common.gzip = gzip;
        import::upload::plan(&common, SPACES_LIMITS)?;
        let options = args.provider;
        Ok(Self {
            common,
            token: account.token,
            api_url: account.api_url,
            retry_policy: retry_policy(&options),
            space,
            access: options.object_access.unwrap_or_default(),
            key: texts.key,
            requested_key: texts.requested_key,
            key_template: texts.key_template,
            regions: regions(options.image_regions.unwrap_or_default()),
            name: texts.name,
            name_template: options.image_name.unwrap_or_default(),
            description: texts.description,
            distribution,
            tags: texts.tags,
            warnings,
        })
    }

    /// The region that is imported to.
    pub fn region(&self) -> &str {
        self.regions.first().map_or("", String::as_str)
    }

    /// What is known of the result before anything was done.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            provider: "digitalocean",
            name: Some(self.name.clone()),
            region: self.region().to_owned(),
            source: self.common.source(None),
            ..Outcome::default()
        }
    }

    /// `s3://space/key`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.space.name, self.key)
    }

    /// Everything that the request says but the address. Two requests with the same words are
    /// the same request.
    pub fn fingerprint(&self) -> String {
        format!(
            "{} {} {:?} {} {:?} {:?}",
            self.name_template,
            self.region(),
            self.description,
            self.distribution,
            self.tags,
            self.access
        )
    }
}

/// What nothing can be done without.
fn check_required(options: &Options, problems: &mut Problems<Options>) {
    if options.spaces_region.is_none() {
        problems.missing("the region of the Space", "spaces_region");
    }
    if options.space_name.is_none() {
        problems.missing("the Space", "space_name");
    }
    if options.image_name.is_none() {
        problems.missing("the image's name", "image_name");
    }
    if options.image_regions.as_ref().is_none_or(Vec::is_empty) {
        problems.missing("the image's region", "image_regions");
    }
    match (&options.spaces_key, &options.spaces_secret) {
        (Some(_), Some(_)) => {}
        (None, None) => problems.other(
            "the Spaces key is missing: set SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY, or spaces_key and spaces_secret in [digitalocean]",
        ),
        (Some(_), None) => problems.other(
            "the Spaces key has no secret: set SPACES_SECRET_ACCESS_KEY or spaces_secret in [digitalocean]",
        ),
        (None, Some(_)) => problems.other(
            "the Spaces secret has no key: set SPACES_ACCESS_KEY_ID or spaces_key in [digitalocean]",
        ),
    }
}

/// Who asks, and where.
pub struct Account {
    /// The token.
    pub token: Secret,
    /// The API's address.
    pub api_url: String,
}

impl Account {
    /// The settings' token, else doctl's; with doctl's token goes its address.
    pub fn find(
        options: &Options,
        environment: &Environment,
        problems: &mut Problems<Options>,
    ) -> Self {
        let mut api_url = options.api_url.clone();
        let mut token = options.api_token.clone();
        if token.is_none() {
            match credentials::read_doctl(environment) {
                Ok(Some(doctl)) if doctl.token.is_some() => {
                    token = doctl.token;
                    api_url = api_url.or(doctl.api_url);
                }
                Ok(_) => problems.other(
                    "the API token is missing: set DIGITALOCEAN_TOKEN, api_token in [digitalocean], or log in with doctl auth init",
                ),
                Err(reason) => problems.other(reason),
            }
        }
        let api_url = api_url.unwrap_or_else(|| API_URL.to_owned());
        if let Err(reason) = endpoint::check(&api_url) {
            problems.invalid("api_url", reason);
        }
        Self {
            token: token.unwrap_or_else(|| Secret::new("")),
            api_url,
        }
    }
}

/// The Space that the options name.
pub fn space(options: &Options, problems: &mut Problems<Options>) -> Space {
    let region = options
        .spaces_region
        .clone()
        .unwrap_or_default()
        .to_lowercase();
    let endpoint = options.spaces_endpoint.as_deref().unwrap_or(SPACES_URL);
    let endpoint = endpoint.replace("{{.Region}}", &region);
    if !region.is_empty()
        && let Err(reason) = endpoint::check(&endpoint)
    {
        problems.invalid("spaces_endpoint", reason);
    }
    let secret = |secret: &Option<Secret>| secret.clone().unwrap_or_else(|| Secret::new(""));
    Space {
        name: options.space_name.clone().unwrap_or_default(),
        region,
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        access_key: secret(&options.spaces_key),
        secret_key: secret(&options.spaces_secret),
    }
}

/// How busy answers are met.
pub fn retry_policy(options: &Options) -> RetryPolicy {
    let (retries, least, most) = RETRY_DEFAULTS;
    let pause = |explicit: Option<f64>, usual: f64| {
        let explicit = explicit.filter(|seconds| validate::RETRY_DELAY_SECONDS.contains(seconds));
        Duration::from_secs_f64(explicit.unwrap_or(usual))
    };
    let least = pause(options.http_retry_wait_min, least);
    RetryPolicy {
        retries: options.http_retry_max.unwrap_or(retries),
        min: least,
        max: pause(options.http_retry_wait_max, most).max(least),
        max_retry_after: MAX_RATE_LIMIT_WAIT,
    }
}

/// In lower case, each once, in the order given.
fn regions(requested: Vec<String>) -> Vec<String> {
    let mut regions: Vec<String> = Vec::new();
    for region in requested {
        let region = region.to_lowercase();
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    regions
}

/// Everything that may be a template, filled in and checked.
struct RenderedNames {
    key: String,
    requested_key: Option<String>,
    key_template: String,
    name: String,
    description: Option<String>,
    tags: Vec<String>,
}

impl RenderedNames {
    fn render(
        options: &Options,
        ending: &str,
        dry_run: bool,
        values: &Values<'_>,
        problems: &mut Problems<Options>,
    ) -> Self {
        let default = "imgimport-{{timestamp}}-";
        let is_public = options.object_access.unwrap_or_default() == ObjectAccess::PublicRead;
        let (key_template, key, given_key) = match &options.space_object_name {
            Some(template) => {
                let requested = problems.render("space_object_name", template, values);
                let is_random = template.contains("{{uuid}}");
                let key = if is_public && !is_random && !dry_run {
                    key::with_random_part(&requested)
                } else {
                    requested.clone()
                };
                (template.clone(), key, Some(requested))
            }
            None => {
                let start = problems.render("space_object_name", default, values);
                let key = format!("{start}{}.{ending}", key::random());
                (format!("{default}.{ending}"), key, None)
            }
        };
        let name = options.image_name.as_deref().unwrap_or("name");
        let name = problems.render("image_name", name, values);
        problems.require(
            !name.trim().is_empty(),
            "image_name",
            "the image's name is empty",
        );
        let description = options.image_description.as_ref();
        let description =
            description.map(|text| problems.render("image_description", text, values));
        let tags = options.image_tags.iter().flatten();
        let tags: Vec<_> = tags
            .map(|tag| problems.render("image_tags", tag, values))
            .collect();
        for reason in tags.iter().filter_map(|tag| validate::tag(tag).err()) {
            problems.invalid("image_tags", reason);
        }
        if let Err(reason) = validate::key(&key) {
            problems.invalid("space_object_name", reason);
        }
        Self {
            key,
            requested_key: given_key,
            key_template,
            name,
            description,
            tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_kept_in_order_and_once() {
        let requested = ["NYC3", "ams3", "nyc3"].map(str::to_owned).to_vec();
        assert_eq!(regions(requested), ["nyc3", "ams3"]);
    }
}
