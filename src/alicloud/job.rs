//! An import to Alibaba Cloud with all settings resolved: created once from the user's options,
//! then immutable.

use jiff::Timestamp;

use super::options::Options;
use super::unsupported::unsupported;
use super::validate;
use super::validate::image;
use super::values::{Architecture, BootMode, DEFAULT_ROLE, Detection, LicenseType, OsType};
use crate::config::problems::Problems;
use crate::config::template::Values;
use crate::config::{Environment, ImportArgs};
use crate::error::{Error, Result};
use crate::image::{Accepts, Format};
use crate::import;
use crate::import::job;
use crate::import::job::OpenedImage;
use crate::import::outcome::Outcome;
use crate::shell::Command;
use crate::store::oss;

/// ECS's guide asks every 5 to 15 seconds.
const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
/// ImportImage's own default.
const DEFAULT_PLATFORM: &str = "Others Linux";
const WINDOWS_PLATFORM: &str = "Other Windows";

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
    pub copies: Vec<CopyTarget>,
    /// Whether an image of that name is replaced, and its snapshots with it.
    pub replace: Replace,
    /// What the user should know of the image and of what was said of it.
    pub warnings: Vec<String>,
}

/// A copy in another region.
#[derive(Clone, Debug)]
pub struct CopyTarget {
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
    let profile = environment.unless_inherited(&variables, options.profile.as_deref());
    Command::new("aliyun").option_if("--profile", profile)
}

impl Job {
    /// Decides everything that needs no network. One error lists all that is wrong.
    pub fn resolve(
        args: ImportArgs<Options>,
        opened: OpenedImage,
        region: Option<String>,
        clock: Timestamp,
        environment: &Environment,
    ) -> Result<Self> {
        let mut problems = Problems::default();
        let options = &args.provider;
        opened.check(&mut problems);
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
        for (key, reason) in unsupported(options) {
            problems.invalid(key, reason);
        }
        validate::each_option(options, &mut problems);
        validate::combinations(options, region.as_deref(), &mut problems);
        let texts = RenderedNames::render(options, opened.extension(), &values, &mut problems);
        problems.finish()?;

        let image = opened.finish()?;
        let accepts = Accepts::new(|image| {
            image::accepts(image).map(drop).map_err(|(reason, remedy)| {
                let error = Error::refused(format!("Alibaba Cloud can't import {}", image.label()));
                error.with_cause(reason).hint(remedy)
            })
        });
        accepts
            .check(&image)
            .or_else(|error| args.unless_skipped(error))?;
        let warning = image::accepts(&image).ok().flatten();
        let mut problems = Problems::<Options>::default();
        let size = image::system_size(options.image_system_size, &image);
        let system_size = size.unwrap_or_else(|reason| {
            problems.invalid("image_system_size", reason);
            None
        });
        if let Err(reason) =
            validate::key(&texts.key, image.format.map_or("raw", Format::extension))
        {
            problems.invalid("oss_key_name", reason);
        }
        problems.finish()?;
        let common = job::Job::new(
            image,
            accepts,
            &args,
            options.skip_clean.unwrap_or(false),
            !options.keep_input_artifact.unwrap_or(true),
            POLL_INTERVAL,
        );
        import::upload::plan(&common, oss::LIMITS)?;
        let cli = cli(&args.provider, environment);
        let platform = args.provider.image_platform.as_deref();
        let unknown = platform.filter(|name| validate::platform(name).is_none());
        let warnings = warning
            .into_iter()
            .chain(unknown.map(validate::unknown_platform_warning));
        let warnings = warnings.collect();
        let mut job = Self::build(common, args.provider, texts);
        (job.region, job.system_size, job.warnings) =
            (region.unwrap_or_default(), system_size, warnings);
        job.cli = cli;
        Ok(job)
    }

    fn build(common: job::Job, options: Options, names: RenderedNames) -> Self {
        let architecture = options.image_architecture.unwrap_or_default();
        let platform_name = options.image_platform.as_deref();
        let platform_name = platform_name.map(|name| validate::platform(name).unwrap_or(name));
        let os_type = options.image_os_type.unwrap_or_else(|| {
            if platform_name.is_some_and(validate::is_windows) {
                OsType::Windows
            } else {
                OsType::Linux
            }
        });
        let platform = platform_name.unwrap_or(if os_type == OsType::Windows {
            WINDOWS_PLATFORM
        } else {
            DEFAULT_PLATFORM
        });
        Self {
            boot_mode: image::boot_mode(options.boot_mode, architecture, &common.image),
            common,
            cli: Command::new("aliyun"),
            region: String::new(),
            copies: copies(&options, &names.name),
            replace: replace(&options),
            bucket: options.oss_bucket_name.unwrap_or_default(),
            key: names.key,
            key_template: names.key_template,
            name: names.name,
            name_template: names.name_template,
            description: names.description,
            os_type,
            platform: platform.to_owned(),
            architecture,
            system_size: None,
            license_type: options.license_type,
            detection: options.detection_strategy,
            role_name: options.role_name.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            resource_group: options.resource_group_id,
            family: options.target_image_family,
            tags: names.tags,
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

fn copies(options: &Options, name: &str) -> Vec<CopyTarget> {
    let encrypted = options.image_encrypted == Some(true);
    let nth =
        |list: &Option<Vec<String>>, n: usize| list.as_ref().and_then(|all| all.get(n).cloned());
    let regions = options.image_copy_regions.iter().flatten().enumerate();
    let copy = |(n, region): (usize, &String)| {
        let key = nth(&options.kms_key_copy_ids, n).or_else(|| options.kms_key_id.clone());
        CopyTarget {
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
struct RenderedNames {
    key: String,
    key_template: String,
    name: String,
    name_template: String,
    description: Option<String>,
    tags: Vec<(String, String)>,
}

impl RenderedNames {
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
        if let Err(reason) = validate::image_name(&name) {
            problems.invalid("image_name", reason);
        }
        if let Some(Err(reason)) = description.as_deref().map(validate::description) {
            problems.invalid("image_description", reason);
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
        (Some(_), None) => problems.other(
            "the access key has no secret key: set ALICLOUD_SECRET_KEY or secret_key in [alicloud]",
        ),
        (None, Some(_)) => problems.other(
            "the secret key has no access key: set ALICLOUD_ACCESS_KEY or access_key in [alicloud]",
        ),
        _ => {}
    }
    problems.require(
        options.ram_role_arn.is_some() || options.ram_session_name.is_none(),
        "ram_session_name",
        "a session name says nothing without a role to assume",
    );
}
