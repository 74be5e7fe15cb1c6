//! An import to AWS with all settings resolved: created once from the user's options, then
//! immutable.

use jiff::Timestamp;

use super::method;
use super::method::ImportMethod;
use super::options::Options;
use super::snapshot_writer;
use super::unsupported::unsupported;
use super::validate::reach;
use super::values::{
    Architecture, BootMode, ImdsSupport, LicenseType, Platform, S3Encryption, TpmSupport,
    VolumeType,
};
use super::{uefi, validate};
use crate::config::problems::Problems;
use crate::config::template::Values;
use crate::config::{Environment, ImportArgs};
use crate::error::{Error, Result};
use crate::image::{Accepts, DiskReader, ImageSource};
use crate::import;
use crate::import::job;
use crate::import::job::OpenedImage;
use crate::import::outcome::Outcome;
use crate::net::endpoint;
use crate::shell::Command;
use crate::store::s3::AWS_LIMITS;
use crate::units;

/// The name that AWS looks for when no other is given.
const DEFAULT_ROLE: &str = "vmimport";
/// VM Import takes 20 minutes and more; asking oftener only uses up the account's quota.
const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_secs(15);
/// What ImportImage calls it, too.
const ROOT_DEVICE: &str = "/dev/sda1";

/// What `imgimport aws` will do.
#[derive(Debug)]
pub struct Job {
    /// What every import has.
    pub common: job::Job,
    /// The calls that make the AMI.
    pub method: ImportMethod,
    /// Why these, when nobody said which.
    pub method_reason: Option<String>,
    /// How a person asks for the same account.
    pub cli: Command,
    /// Region of the import.
    pub region: String,
    /// Bucket of the temporary object.
    pub bucket: String,
    /// The account that owns the bucket, where the user names it.
    pub bucket_owner: Option<String>,
    /// Name of the temporary object.
    pub key: String,
    /// The same before its template was filled in: what identifies the job.
    pub key_template: String,
    /// The AMI's name; none leaves the task's id, or one of ours.
    pub name: Option<String>,
    /// As above, before its template was filled in.
    pub name_template: Option<String>,
    /// The AMI's description.
    pub description: Option<String>,
    /// Tags on the AMI and its snapshots.
    pub tags: Vec<(String, String)>,
    /// Who may launch the AMI.
    pub share: Share,
    /// Encryption of the AMI.
    pub encryption: Option<Encryption>,
    /// The other regions that get it.
    pub copies: Vec<CopyTarget>,
    /// When the AMI is deprecated.
    pub deprecate_at: Option<Timestamp>,
    /// The parameter of Systems Manager that is to hold the AMI's id.
    pub ssm_parameter: Option<String>,
    /// Encryption of the temporary object, with the key of KMS.
    pub s3_encryption: Option<(S3Encryption, Option<String>)>,
    /// Whose licence.
    pub license_type: Option<LicenseType>,
    /// The service role.
    pub role_name: String,
    /// Create or repair it.
    pub create_role: bool,
    /// The processor.
    pub architecture: Architecture,
    /// How the system starts.
    pub boot_mode: Option<BootMode>,
    /// The system's family.
    pub platform: Option<Platform>,
    /// The metadata service.
    pub imds_support: Option<ImdsSupport>,
    /// What only RegisterImage carries.
    pub register: Register,
    /// Whether STS is asked who the caller is.
    pub check_caller: bool,
    /// Read once a run.
    pub clock: Timestamp,
}

/// What only RegisterImage carries.
#[derive(Clone, Debug)]
pub struct Register {
    /// The Trusted Platform Module.
    pub tpm_support: Option<TpmSupport>,
    /// The UEFI variables, in base64.
    pub uefi_data: Option<String>,
    /// Kind of the root volume.
    pub volume_type: VolumeType,
    /// Size of the root volume in GiB; none is the snapshot's.
    pub volume_size: Option<i32>,
    /// Name of the root device.
    pub root_device: String,
}

/// A copy in another region.
#[derive(Clone, Debug)]
pub struct CopyTarget {
    /// The region.
    pub region: String,
    /// Encryption of the copy.
    pub encryption: Option<Encryption>,
}

/// Who may launch the AMI.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// Accounts.
    pub users: Vec<String>,
    /// `all`, or nothing.
    pub groups: Vec<String>,
    /// Organizations.
    pub org_arns: Vec<String>,
    /// Organizational units.
    pub ou_arns: Vec<String>,
    /// Whether the accounts may make volumes of the snapshots, too.
    pub snapshots: bool,
}

impl Share {
    /// Whether everybody may launch it.
    pub fn is_public(&self) -> bool {
        self.groups.iter().any(|group| group == "all")
    }

    /// The accounts, organizations and units that may launch it.
    pub fn audience(&self) -> Vec<&str> {
        let all = self.users.iter().chain(&self.org_arns).chain(&self.ou_arns);
        all.map(String::as_str).collect()
    }
}

/// The AMI's snapshots are encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// None is the account's own EBS key.
    pub kms_key: Option<String>,
}

/// The AWS CLI as it reaches the same account. An address with a password in it is nothing
/// to print.
fn cli(options: &Options, environment: &Environment) -> Command {
    let profile = environment.unless_inherited(&["AWS_PROFILE"], options.profile.as_deref());
    let endpoint =
        environment.unless_inherited(&["AWS_ENDPOINT_URL"], options.endpoint_url.as_deref());
    let endpoint = endpoint.filter(|address| !address.contains('@'));
    Command::new("aws")
        .option_if("--profile", profile)
        .option_if("--endpoint-url", endpoint)
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
        let args = with_polling(args, &mut problems);
        let options = &args.provider;
        let now = Timestamp::now();
        opened.check(&mut problems);
        let lookup = |name: &str| environment.for_template(name);
        let stem = opened.file_stem();
        let values = Values {
            clock,
            file_stem: &stem,
            format: opened.extension(),
            env: &lookup,
        };

        match region.as_deref().map(endpoint::region) {
            None => problems.missing("the region", "region"),
            Some(Err(reason)) => problems.invalid("region", reason),
            Some(Ok(_)) => {}
        }
        let choice = method::choose_method(options, &mut problems);
        let piped = opened
            .image()
            .is_some_and(|image| image.source == ImageSource::Stdin);
        // What comes through a pipe can't be cut into blocks.
        let needs_bucket =
            choice.method != ImportMethod::EbsDirect || (piped && choice.reason.is_some());
        if needs_bucket && options.s3_bucket_name.is_none() {
            problems.missing("the bucket", "s3_bucket_name");
        }
        if choice.method == ImportMethod::EbsDirect {
            validate::block_key(options, &mut problems);
        }
        credentials(options, &mut problems);
        for (key, reason) in unsupported(options) {
            problems.invalid(key, reason);
        }
        validate::each_option(options, &mut problems);
        validate::combinations(options, &mut problems);
        reach::copies(options, region.as_deref(), &mut problems);
        let deprecate_at = reach::deprecation(options, now, &mut problems);
        let texts = RenderedNames::render(options, opened.extension(), &values, &mut problems);
        let register = Register::resolve(options, &mut problems);
        problems.finish()?;

        let image = opened.finish()?;
        if choice.method == ImportMethod::EbsDirect {
            // Says why, where its disk can't be read.
            let hint = "convert it to raw with qemu-img, or name a --bucket";
            DiskReader::open(&image).map_err(|error| error.hint(hint))?;
        }
        let method = choice.method;
        let accepts = Accepts::new(move |image| {
            validate::accepts(image, method).map_err(|(reason, remedy)| {
                let error = Error::refused(format!("AWS can't import {}", image.label()));
                error.with_cause(reason).hint(remedy)
            })
        });
        accepts
            .check(&image)
            .or_else(|error| args.unless_skipped(error))?;
        let common = job::Job::new(
            image,
            accepts,
            &args,
            options.skip_clean.unwrap_or(false),
            !options.keep_input_artifact.unwrap_or(true),
            POLL_INTERVAL,
        );
        if choice.method == ImportMethod::EbsDirect {
            ebs_plan(&common)?;
        } else {
            import::upload::plan(&common, AWS_LIMITS)?;
        }
        validate::volume(register.volume_size, common.image.virtual_size)?;
        let region = region.unwrap_or_default();
        let cli = cli(&args.provider, environment);
        let job = Self::build(common, choice, region, args.provider, texts, register);
        Ok(Self {
            cli,
            deprecate_at,
            clock,
            ..job
        })
    }

    fn build(
        common: job::Job,
        choice: method::Choice,
        region: String,
        options: Options,
        names: RenderedNames,
        register: Register,
    ) -> Self {
        let groups = reach::groups(&options);
        Self {
            copies: copies(&options),
            deprecate_at: None,
            ssm_parameter: names.ssm_parameter,
            common,
            method: choice.method,
            method_reason: choice.reason,
            cli: Command::new("aws"),
            region,
            bucket: options.s3_bucket_name.unwrap_or_default(),
            bucket_owner: options.bucket_owner,
            key: names.key,
            key_template: names.key_template,
            name: names.name,
            name_template: options.ami_name,
            description: names.description,
            tags: names.tags,
            share: Share {
                groups,
                snapshots: options.share_snapshots.unwrap_or(true),
                users: options.ami_users.unwrap_or_default(),
                org_arns: options.ami_org_arns.unwrap_or_default(),
                ou_arns: options.ami_ou_arns.unwrap_or_default(),
            },
            encryption: options.ami_encrypt.unwrap_or(false).then_some(Encryption {
                kms_key: options.ami_kms_key,
            }),
            s3_encryption: options
                .s3_encryption
                .map(|kind| (kind, options.s3_encryption_key)),
            license_type: options.license_type,
            role_name: options.role_name.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            create_role: options.create_role.unwrap_or(false),
            architecture: options.architecture.unwrap_or_default(),
            boot_mode: options.boot_mode,
            platform: options.platform,
            imds_support: options.imds_support,
            register,
            check_caller: !options.skip_credential_validation.unwrap_or(false),
            clock: Timestamp::UNIX_EPOCH,
        }
    }

    /// The AMI's name where it can't be left to AWS: the key's, which no other run has at
    /// this time, or the key's and the time when the user chose a key.
    pub fn image_name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let file = self.key.rsplit('/').next().unwrap_or_default();
        let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
        if self.key_template.starts_with(job::DEFAULT_NAME_TEMPLATE) {
            return validate::to_ami_name(stem);
        }
        validate::to_ami_name(&format!("{stem}-{}", self.clock.as_second()))
    }

    /// What is known of the result before anything was done.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            provider: "aws",
            name: self.name.clone(),
            region: self.region.clone(),
            source: self.common.source(None),
            ..Outcome::default()
        }
    }

    /// `s3://bucket/key`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Each region's copy, encrypted where it is asked for or where the AMI itself is.
fn copies(options: &Options) -> Vec<CopyTarget> {
    let encrypted = options.ami_encrypt.unwrap_or(false);
    let regions = options.copy_to_regions.iter().flatten();
    let copy = |region: &String| {
        let kms_key = reach::copy_key(options, region).map(str::to_owned);
        CopyTarget {
            region: region.clone(),
            encryption: (encrypted || kms_key.is_some()).then_some(Encryption { kms_key }),
        }
    };
    regions.map(copy).collect()
}

impl Register {
    fn resolve(options: &Options, problems: &mut Problems<Options>) -> Self {
        let uefi_data = options.uefi_data.as_deref().map(uefi::read);
        if let Some(Err(reason)) = &uefi_data {
            problems.invalid("uefi_data", reason);
        }
        let device = options.root_device_name.clone();
        Self {
            tpm_support: options.tpm_support,
            uefi_data: uefi_data.and_then(Result::ok),
            volume_type: options.volume_type.unwrap_or_default(),
            volume_size: options.volume_size.and_then(|size| size.try_into().ok()),
            root_device: device.unwrap_or_else(|| ROOT_DEVICE.to_owned()),
        }
    }
}

/// Everything that may be a template, filled in and checked.
struct RenderedNames {
    key: String,
    key_template: String,
    name: Option<String>,
    description: Option<String>,
    tags: Vec<(String, String)>,
    ssm_parameter: Option<String>,
}

impl RenderedNames {
    fn render(
        options: &Options,
        extension: &str,
        values: &Values<'_>,
        problems: &mut Problems<Options>,
    ) -> Self {
        let key_template = options
            .s3_key_name
            .clone()
            .unwrap_or_else(|| format!("imgimport-{{{{timestamp}}}}.{extension}"));
        let key = problems.render("s3_key_name", &key_template, values);
        let name = options
            .ami_name
            .as_ref()
            .map(|name| problems.render("ami_name", name, values));
        let description = options
            .ami_description
            .as_ref()
            .map(|text| problems.render("ami_description", text, values));
        let tags = options.tags.iter().flatten().map(|(key, value)| {
            (
                problems.render("tags", key, values),
                problems.render("tags", value, values),
            )
        });
        let tags: Vec<_> = tags.collect();
        if let Err(reason) = validate::key(&key) {
            problems.invalid("s3_key_name", reason);
        }
        if let Some(Err(reason)) = name.as_deref().map(validate::ami_name) {
            problems.invalid("ami_name", reason);
        }
        let ssm_parameter = options
            .ssm_parameter
            .as_ref()
            .map(|name| problems.render("ssm_parameter", name, values));
        if let Some(Err(reason)) = ssm_parameter.as_deref().map(reach::parameter_name) {
            problems.invalid("ssm_parameter", reason);
        }
        if let Some(Err(reason)) = description.as_deref().map(validate::description) {
            problems.invalid("ami_description", reason);
        }
        validate::tags(&tags, problems);
        Self {
            key,
            key_template,
            name,
            description,
            tags,
            ssm_parameter,
        }
    }
}

/// Two halves of one key.
fn credentials(options: &Options, problems: &mut Problems<Options>) {
    match (&options.access_key, &options.secret_key) {
        (Some(_), None) => problems.other(
            "the access key has no secret key: set AWS_SECRET_ACCESS_KEY or secret_key in [aws]",
        ),
        (None, Some(_)) => problems.other(
            "the secret key has no access key: set AWS_ACCESS_KEY_ID or access_key in [aws]",
        ),
        _ => {}
    }
    let role = options.assume_role_arn.is_some()
        || options
            .assume_role
            .as_ref()
            .is_some_and(|role| role.role_arn.is_some());
    problems.require(
        role || options.external_id.is_none(),
        "external_id",
        "an external id says nothing without a role to assume",
    );
    problems.require(
        role || options.session_name.is_none(),
        "session_name",
        "a session name says nothing without a role to assume",
    );
    problems.require(
        role || options.assume_role.is_none(),
        "assume_role",
        "the table assume_role has no role_arn",
    );
}

/// Packer's `aws_polling`, said in the words of `[wait]`.
fn with_polling(
    mut args: ImportArgs<Options>,
    problems: &mut Problems<Options>,
) -> ImportArgs<Options> {
    let Some(polling) = args.provider.aws_polling.take() else {
        return args;
    };
    let delay = polling
        .delay_seconds
        .map(|seconds| std::time::Duration::from_secs(seconds.into()));
    if delay.is_some_and(|delay| delay.is_zero()) {
        problems.invalid("aws_polling", "delay_seconds must be 1 or more");
    }
    args.wait.interval = args.wait.interval.or(delay.map(units::Duration));
    let all = polling
        .max_attempts
        .map(|attempts| delay.unwrap_or(POLL_INTERVAL) * attempts);
    args.wait.timeout = args.wait.timeout.or(all.map(units::Duration));
    args
}

/// How the blocks of a snapshot are sent, for --method ebs-direct.
pub fn ebs_plan(common: &job::Job) -> Result<snapshot_writer::Plan> {
    let upload = &common.upload;
    let plan = snapshot_writer::Plan::new(
        upload.concurrency.map(u64::from),
        upload.limit_rate.map(|rate| rate.0),
    )?;
    Ok(snapshot_writer::Plan {
        stall: upload
            .stall_timeout
            .map_or(plan.stall, std::time::Duration::from),
        ..plan
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_use_the_import_account() {
        let environment =
            Environment::from_variables([("AWS_PROFILE".to_owned(), "prod".to_owned())]);
        let command = |profile: &str, endpoint: Option<&str>| {
            let options = Options {
                profile: Some(profile.to_owned()),
                endpoint_url: endpoint.map(str::to_owned),
                ..Options::default()
            };
            cli(&options, &environment).to_string()
        };
        assert_eq!(command("prod", None), "aws");
        assert_eq!(command("me@test", None), "aws --profile me@test");
        assert_eq!(
            command("prod", Some("http://127.0.0.1:4566")),
            "aws --endpoint-url http://127.0.0.1:4566"
        );
        assert_eq!(command("prod", Some("http://me:secret@proxy")), "aws");
    }
}
