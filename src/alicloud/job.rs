//! An import to Alibaba Cloud with everything decided: made once from what the user
//! said, then never changed.

use jiff::Timestamp;

use super::options::Options;
use super::unsupported::refused;
use super::validate;
use super::validate::image;
use super::values::{Architecture, BootMode, DEFAULT_ROLE, Detection, LicenseType, OsType};
use crate::config::problems::Problems;
use crate::config::template::Values;
use crate::config::{Environment, Invocation};
use crate::error::{Error, Result};
use crate::image::{Accepts, Format};
use crate::import;
use crate::import::job;
use crate::import::job::Opened;
use crate::import::outcome::Outcome;
use crate::shell::Command;
use crate::store::oss;

/// ECS's guide asks every 5 to 15 seconds.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
/// ImportImage's own default.
const PLATFORM: &str = "Others Linux";
const WINDOWS: &str = "Other Windows";

/// What `imgimport alicloud` will do.
#[derive(Debug)]
pub struct Job {
    /// What every import has.
    pub common: job::Job,
    /// How a person asks for the same account.
    pub cli: Command,
    /// Region of the import.
    pub region: String,
    /// Bucket of the temporary object.
    pub bucket: String,
    /// Name of the temporary object.
    pub key: String,
    /// The same before its template was filled in: what identifies the job.
    pub key_template: String,
    /// The image's name.
    pub name: String,
    /// As above, before its template was filled in.
    pub name_template: String,
    /// The image's description.
    pub description: Option<String>,
    /// The system's family.
    pub os_type: OsType,
    /// The system's name in ImportImage's spelling.
    pub platform: String,
    /// The processor.
    pub architecture: Architecture,
    /// How the system starts.
    pub boot_mode: BootMode,
    /// GiB of the system disk; none where the image does not tell, and ECS looks.
    pub system_size: Option<u64>,
    /// Whose licence.
    pub license_type: Option<LicenseType>,
    /// Whether ECS examines the image.
    pub detection: Option<Detection>,
    /// The import's role.
    pub role_name: String,
    /// The image's resource group.
    pub resource_group: Option<String>,
    /// The image's family.
    pub family: Option<String>,
    /// Tags on the image, its copies and snapshots.
    pub tags: Vec<(String, String)>,
    /// Who may use the image and its copies.
    pub accounts: Vec<String>,
    /// Copies in other regions.
    pub copies: Vec<Copied>,
    /// Whether an image of that name is replaced, and its snapshots with it.
    pub replace: Replace,
    /// What the user should know of the image and of what was said of it.
    pub warnings: Vec<String>,
}

/// A copy in another region.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Where.
    pub region: String,
    /// Its name there.
    pub name: String,
    /// Encrypted, if it is.
    pub encryption: Option<Encryption>,
}

/// A copy's disks are encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// None is ECS's service key.
    pub kms_key: Option<String>,
}

/// What happens to an image that has the name already.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replace {
    /// It stays, and this import does not begin.
    #[default]
    Never,
    /// It goes once the new one is available.
    Image,
    /// Its snapshots go, too.
    WithSnapshots,
}

/// The aliyun CLI as it reaches the same account.
fn cli(options: &Options, environment: &Environment) -> Command {
    let variables = ["ALICLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE"];
    let profile = environment.unsaid(&variables, options.profile.as_deref());
    Command::new("aliyun").option_if("--profile", profile)
}

impl Job {
    /// Decides everything that needs no network. One error lists all that is wrong.
    pub fn resolve(
        said: Invocation<Options>,
        region: Option<String>,
        clock: Timestamp,
        environment: &Environment,
    ) -> Result<Self> {
        let mut problems = Problems::default();
        let options = &said.provider;
        let opened = Opened::open(&said, options.format, &mut problems);
        let lookup = |name: &str| environment.for_template(name);
        let stem = opened.file_stem();
        let values = Values {
            clock,
            file_stem: &stem,
            format: opened.extension(),
            env: &lookup,
        };
        if region.as_deref().is_none_or(str::is_empty) {
            problems.missing("the region", "region");
        }
        if options.oss_bucket_name.is_none() {
            problems.missing("the bucket", "oss_bucket_name");
        }
        credentials(options, &mut problems);
        for (key, why) in refused(options) {
            problems.wrong(key, why);
        }
        validate::single(options, &mut problems);
        validate::together(options, region.as_deref(), &mut problems);
        let texts = Texts::render(options, opened.extension(), &values, &mut problems);
        problems.finish()?;

        let image = opened.finish()?;
        let accepts = Accepts::new(|image| {
            image::accepts(image).map(drop).map_err(|(reason, remedy)| {
                let error = Error::refused(format!("Alibaba Cloud can't import {}", image.label()));
                error.because_of(reason).hint(remedy)
            })
        });
        accepts.check(&image).or_else(|error| said.refused(error))?;
        let warning = image::accepts(&image).ok().flatten();
        let mut problems = Problems::<Options>::default();
        let size = image::system_size(options.image_system_size, &image);
        let system_size = size.unwrap_or_else(|why| {
            problems.wrong("image_system_size", why);
            None
        });
        if let Err(why) = validate::key(&texts.key, image.format.map_or("raw", Format::extension)) {
            problems.wrong("oss_key_name", why);
        }
        problems.finish()?;
        let common = job::Job::new(
            image,
            accepts,
            &said,
            options.skip_clean.unwrap_or(false),
            !options.keep_input_artifact.unwrap_or(true),
            INTERVAL,
        );
        import::upload::plan(&common, oss::LIMITS)?;
        let cli = cli(&said.provider, environment);
        let platform = said.provider.image_platform.as_deref();
        let unknown = platform.filter(|name| validate::platform(name).is_none());
        let warnings = warning
            .into_iter()
            .chain(unknown.map(validate::unknown_platform));
        let warnings = warnings.collect();
        let mut job = Self::put_together(common, said.provider, texts);
        (job.region, job.system_size, job.warnings) =
            (region.unwrap_or_default(), system_size, warnings);
        job.cli = cli;
        Ok(job)
    }

    fn put_together(common: job::Job, options: Options, texts: Texts) -> Self {
        let architecture = options.image_architecture.unwrap_or_default();
        let named = options.image_platform.as_deref();
        let named = named.map(|name| validate::platform(name).unwrap_or(name));
        let os_type = options.image_os_type.unwrap_or_else(|| {
            if named.is_some_and(validate::is_windows) {
                OsType::Windows
            } else {
                OsType::Linux
            }
        });
        let platform = named.unwrap_or(if os_type == OsType::Windows {
            WINDOWS
        } else {
            PLATFORM
        });
        Self {
            boot_mode: image::boot_mode(options.boot_mode, architecture, &common.image),
            common,
            cli: Command::new("aliyun"),
            region: String::new(),
            copies: copies(&options, &texts.name),
            replace: replace(&options),
            bucket: options.oss_bucket_name.unwrap_or_default(),
            key: texts.key,
            key_template: texts.key_template,
            name: texts.name,
            name_template: texts.name_template,
            description: texts.description,
            os_type,
            platform: platform.to_owned(),
            architecture,
            system_size: None,
            license_type: options.license_type,
            detection: options.detection_strategy,
            role_name: options.role_name.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            resource_group: options.resource_group_id,
            family: options.target_image_family,
            tags: texts.tags,
            accounts: options.image_share_account.unwrap_or_default(),
            warnings: Vec::new(),
        }
    }

    /// What is known of the result before anything was done.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            provider: "alicloud",
            name: Some(self.name.clone()),
            region: self.region.clone(),
            source: self.common.source(None),
            ..Outcome::default()
        }
    }

    /// `oss://bucket/key`.
    pub fn url(&self) -> String {
        format!("oss://{}/{}", self.bucket, self.key)
    }
}

fn copies(options: &Options, name: &str) -> Vec<Copied> {
    let encrypted = options.image_encrypted == Some(true);
    let nth =
        |list: &Option<Vec<String>>, n: usize| list.as_ref().and_then(|all| all.get(n).cloned());
    let regions = options.image_copy_regions.iter().flatten().enumerate();
    let copy = |(n, region): (usize, &String)| {
        let key = nth(&options.kms_key_copy_ids, n).or_else(|| options.kms_key_id.clone());
        Copied {
            region: region.clone(),
            name: nth(&options.image_copy_names, n).unwrap_or_else(|| name.to_owned()),
            encryption: encrypted.then_some(Encryption { kms_key: key }),
        }
    };
    regions.map(copy).collect()
}

fn replace(options: &Options) -> Replace {
    match (
        options.image_force_delete,
        options.image_force_delete_snapshots,
    ) {
        (Some(true), Some(true)) => Replace::WithSnapshots,
        (Some(true), _) => Replace::Image,
        _ => Replace::Never,
    }
}

/// Everything that may be a template, filled in and checked.
struct Texts {
    key: String,
    key_template: String,
    name: String,
    name_template: String,
    description: Option<String>,
    tags: Vec<(String, String)>,
}

impl Texts {
    fn render(
        options: &Options,
        extension: &str,
        values: &Values<'_>,
        problems: &mut Problems<Options>,
    ) -> Self {
        let key_template = options
            .oss_key_name
            .clone()
            .unwrap_or_else(|| format!("imgimport-{{{{timestamp}}}}.{extension}"));
        let name_template = options
            .image_name
            .clone()
            .unwrap_or_else(|| "imgimport-{{timestamp}}".to_owned());
        let key = problems.render("oss_key_name", &key_template, values);
        let name = problems.render("image_name", &name_template, values);
        let description = options
            .image_description
            .as_ref()
            .filter(|text| !text.is_empty())
            .map(|text| problems.render("image_description", text, values));
        let mut tags = Vec::new();
        for (name, value) in options.tags.iter().flatten() {
            tags.push((
                problems.render("tags", name, values),
                problems.render("tags", value, values),
            ));
        }
        if let Err(why) = validate::image_name(&name) {
            problems.wrong("image_name", why);
        }
        if let Some(Err(why)) = description.as_deref().map(validate::description) {
            problems.wrong("image_description", why);
        }
        Self {
            key,
            key_template,
            name,
            name_template,
            description,
            tags,
        }
    }
}

/// Two halves of one key, and what says nothing without another.
fn credentials(options: &Options, problems: &mut Problems<Options>) {
    match (&options.access_key, &options.secret_key) {
        (Some(_), None) => problems.note(
            "the access key has no secret key: set ALICLOUD_SECRET_KEY or secret_key in [alicloud]",
        ),
        (None, Some(_)) => problems.note(
            "the secret key has no access key: set ALICLOUD_ACCESS_KEY or access_key in [alicloud]",
        ),
        _ => {}
    }
    problems.expect(
        options.ram_role_arn.is_some() || options.ram_session_name.is_none(),
        "ram_session_name",
        "a session name says nothing without a role to assume",
    );
}
