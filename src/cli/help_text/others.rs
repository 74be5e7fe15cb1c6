//! The pages of the program itself and of what is no import.

use super::{IMPORT_STATUS, JOURNAL, Page, SETTINGS};

pub const PROGRAM: Page = Page {
    command: "",
    description: "Each option can be given as a flag, as an environment variable and as a key of a TOML file; flags \
        win over variables, variables over the file. White space around a value is removed, and an empty one \
        counts as unset. A list in a variable has commas between its entries; an entry with a comma in it stands \
        in double quotes. The description of an option names its variables and its key.\n\n\
        Secrets come from variables, the file or the provider's own files, never from flags, and are sent to no \
        address that a file names which nobody has named.\n\n\
        A run that was stopped, killed or cut off is continued by the same command.",
    output: "Standard output carries the image's id alone, everything else goes to standard error.",
    exit_status: IMPORT_STATUS,
    environment: &[
        ("IMGIMPORT_CONFIG", "the settings file, as --config"),
        (
            "IMGIMPORT_COMMAND_OPTION",
            "any option of an import: IMGIMPORT_AWS_BUCKET is --bucket of imgimport aws",
        ),
        (
            "IMGIMPORT_OPTION",
            "the same for all commands: IMGIMPORT_TIMEOUT is --timeout",
        ),
        ("IMGIMPORT_IMAGE", "the image"),
        (
            "IMGIMPORT_QUIET, IMGIMPORT_VERBOSE",
            "1 is -q and -v; 2 is -vv",
        ),
        ("XDG_STATE_HOME", "where the journal lies, in imgimport/"),
        (
            "SOURCE_DATE_EPOCH",
            "the time that templates such as {{timestamp}} show, in seconds since 1970",
        ),
        (
            "NO_COLOR, CLICOLOR=0, CLICOLOR_FORCE=1",
            "colours off, off, and on in a pipe, too",
        ),
        (
            "HTTPS_PROXY, ALL_PROXY, NO_PROXY",
            "the proxy between here and the clouds, and the hosts that need none",
        ),
        (
            "SSL_CERT_FILE, SSL_CERT_DIR",
            "file, and directories, with the certificates of the authorities to trust instead of the system's",
        ),
        (
            "AWS_CA_BUNDLE",
            "the same for imgimport aws; it comes before ca_bundle of the profile, and both before SSL_CERT_FILE",
        ),
    ],
    files: &[SETTINGS, JOURNAL],
    examples: &[
        (
            "See what each cloud would make of an image:",
            "imgimport check disk.ova",
        ),
        (
            "Import it into AWS:",
            "imgimport aws --bucket importbucket disk.ova",
        ),
        (
            "Import it into Alibaba Cloud:",
            "imgimport alicloud --region cn-beijing --bucket packer disk.qcow2",
        ),
        (
            "Import it into DigitalOcean:",
            "imgimport digitalocean --space import-bucket --spaces-region nyc3 \\\n    --image-name web --image-region nyc3 disk.raw",
        ),
    ],
};

pub const CHECK: Page = Page {
    command: "check",
    description: "Looks into the first disk of the image, read-only and in place: partitions, file systems, kernel, \
        drivers, network, cloud-init. Says what it has seen and what each cloud would make of it, each finding \
        with its rule's source and its remedy. That something was not seen never counts against the image. \
        Every import begins with the same look.",
    output: "Standard output has the page, with --output json one object with every finding.",
    exit_status: &[
        (
            "0",
            "a cloud that was asked for takes the image; there may be warnings",
        ),
        ("1", "the image can't be read"),
        ("2", "wrong usage or settings"),
        (
            "3",
            "no cloud asked for takes it, or the Marketplace check would fail",
        ),
    ],
    environment: &[],
    files: &[SETTINGS],
    examples: &[
        ("Ask for all clouds:", "imgimport check disk.ova"),
        (
            "Ask for two of them:",
            "imgimport check --for aws --for alicloud disk.qcow2",
        ),
        (
            "Look for what DigitalOcean's Marketplace refuses:",
            "imgimport check --for digitalocean --marketplace disk.raw",
        ),
        (
            "Everything that was seen, for a program:",
            "imgimport check --output json disk.ova",
        ),
    ],
};

pub const RUN: Page = Page {
    command: "run",
    description: "Each entry [[job]] of the file is an import: its cloud (provider = \"aws\", or a table such as \
        [job.aws]), its image, its own settings. What all jobs have in common stands in the tables at the top of \
        the file. An entry stands in for the flags of its command: it wins over the environment, the environment \
        over the common tables.\n\n\
        A failing job does not stop the others; Ctrl-C stops all, and each names what stays of it. The same \
        command goes on from there, and names once more what has its image.",
    output: "Standard output has a line for each image: the job's name, a tab, the image's id. With --output json it \
        has an object for each job, that of a single import with the key job; a failed job has one, too. The exit code is the first of these that \
        any job deserves.",
    exit_status: &[
        ("130", "stopped by Ctrl-C (143: by SIGTERM)"),
        ("1", "a step failed"),
        ("2", "wrong usage or settings"),
        ("3", "an image was refused before upload"),
        (
            "4",
            "a deadline passed while the cloud is still working: run it again",
        ),
        ("0", "all images are available"),
    ],
    environment: &[],
    files: &[JOURNAL],
    examples: &[
        ("Run the jobs of a file:", "imgimport run jobs.toml"),
        (
            "See the plans of all jobs:",
            "imgimport run --dry-run jobs.toml",
        ),
        (
            "Four at the same time, an object for each:",
            "imgimport run --parallel 4 --output json jobs.toml",
        ),
    ],
};

pub const JOBS: Page = Page {
    command: "jobs",
    description: "The journal on this machine knows the runs that were stopped, killed or sent away with --no-wait: \
        what they have left in the cloud, and since when. The same command as before goes on from there; \
        --clean removes it instead: parts, objects, import tasks and images without their name. Nothing is \
        asked; what is removed is said. A job that a process is at work on is left alone.\n\n\
        Keys come from the environment and the settings file, as for the imports themselves. They are sent to the \
        cloud's own endpoints, to loopback, and to those that these settings have now.",
    output: "Standard output has a paragraph for each job, with --clean the names of those that are gone. With \
        --output json it has one object.",
    exit_status: &[
        ("0", "listed, or all of it is gone"),
        ("1", "something could not be removed"),
        ("2", "wrong usage or settings"),
        ("130", "stopped by Ctrl-C (143: by SIGTERM)"),
    ],
    environment: &[],
    files: &[SETTINGS, JOURNAL],
    examples: &[
        ("List what is left:", "imgimport jobs"),
        (
            "Remove all of it, in the cloud, too:",
            "imgimport jobs --clean",
        ),
    ],
};

pub const FROM_PACKER: Page = Page {
    command: "from-packer",
    description: "Reads the blocks amazon-import, alicloud-import and digitalocean-import of a template in JSON or \
        HCL2, or of all *.pkr.hcl and *.pkr.json of a folder, and prints a settings file. Variables have the values \
        that Packer would give them: the default, PKR_VAR_NAME, *.auto.pkrvars.hcl and *.auto.pkrvars.json of the \
        folder, --var-file, --var, the later over the earlier. The command evaluates literals, variables, locals, their \
        interpolation into a text, conditions and comparisons of known values, and the time: timestamp, formatdate, \
        isotime. The import fills in the time and a variable that has no value here, where they are interpolated into \
        a text. A key whose value uses anything else, such as another function or a condition on a variable that has \
        no value here, is left out. Standard error names each key that is left out with its line, the reason and what \
        to do instead. Secrets are never printed: a comment names the variable to set.",
    output: "Standard output has the settings.",
    exit_status: &[
        ("0", "the settings are printed, whatever had to be left out"),
        ("2", "the template can't be read, or has no such block"),
    ],
    environment: &[("PKR_VAR_NAME", "the template's variable NAME")],
    files: &[],
    examples: &[
        (
            "Carry a template over:",
            "imgimport from-packer disk.pkr.hcl > imgimport.toml",
        ),
        (
            "A folder, with a value for a variable:",
            "imgimport from-packer --var image-name=web templates > imgimport.toml",
        ),
        (
            "From standard input:",
            "imgimport from-packer - < disk.json",
        ),
    ],
};
