function __imgimport_profiles
    switch $argv[1]
        case aws
            sed -n 's/^\[\(profile \)\{0,1\}\([^] ]*\)\]$/\2/p' "$HOME/.aws/config" "$HOME/.aws/credentials" 2>/dev/null | sort -u
        case alicloud
            sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' "$HOME/.aliyun/config.json" 2>/dev/null | sort -u
    end
end

# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_imgimport_global_optspecs
    string join \n config= q/quiet v/verbose h/help V/version
end

function __fish_imgimport_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_imgimport_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_imgimport_using_subcommand
    set -l cmd (__fish_imgimport_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c imgimport -n "__fish_imgimport_needs_command" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_needs_command" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_needs_command" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_needs_command" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_needs_command" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "check" -d 'Look into an image and say what each cloud would make of it'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "aws" -d 'Import into Amazon Web Services: S3, EC2 import, AMI'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "alicloud" -d 'Import into Alibaba Cloud: OSS, ECS import, ECS image'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "digitalocean" -d 'Import into DigitalOcean: Spaces, custom image'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "run" -d 'Run the imports of a file, some at a time'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "jobs" -d 'List what unfinished runs have left, and remove it'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "from-packer" -d 'Print the settings that a Packer template\'s import blocks become'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -l for -d 'Cloud to ask for (can be repeated) [default: all of them]' -r -f -a "aws\t'Amazon Web Services'
alicloud\t'Alibaba Cloud'
digitalocean\t'DigitalOcean'"
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -l marketplace -d 'Say what DigitalOcean\'s Marketplace image check would say, too' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -l format -d 'Format of the image [default: detected]' -r -f -a "raw\t'The bytes of the disk as the guest sees them'
vhd\t'Microsoft Virtual PC, Azure'
ova\t'Archive of a virtual machine: OVF and disks'
vmdk\t'VMware'
vhdx\t'Microsoft Hyper-V'
qcow2\t'QEMU'"
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -l output -d 'What goes to standard output: text, a page to read, or json, one object' -r -f -a "text\t'Lines; of an import, the image\'s id alone'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand check" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l region -d 'Region of the import, where the bucket must lie [default: the profile\'s]' -r -f -a "af-south-1\t''
ap-east-1\t''
ap-east-2\t''
ap-northeast-1\t''
ap-northeast-2\t''
ap-northeast-3\t''
ap-south-1\t''
ap-south-2\t''
ap-southeast-1\t''
ap-southeast-2\t''
ap-southeast-3\t''
ap-southeast-4\t''
ap-southeast-5\t''
ap-southeast-6\t''
ap-southeast-7\t''
ca-central-1\t''
ca-west-1\t''
cn-north-1\t''
cn-northwest-1\t''
eu-central-1\t''
eu-central-2\t''
eu-north-1\t''
eu-south-1\t''
eu-south-2\t''
eu-west-1\t''
eu-west-2\t''
eu-west-3\t''
il-central-1\t''
me-central-1\t''
me-south-1\t''
mx-central-1\t''
sa-east-1\t''
us-east-1\t''
us-east-2\t''
us-gov-east-1\t''
us-gov-west-1\t''
us-west-1\t''
us-west-2\t''"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l bucket -l s3-bucket-name -d 'Bucket that holds the image while it is imported; it must exist [default: none, for --method ebs-direct]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l bucket-owner -d 'Account that owns the bucket; requests are refused where another one does [default: the caller\'s]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l key -l s3-key-name -d 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l format -d 'Format of the image [default: detected]' -r -f -a "raw\t'The bytes of the disk as the guest sees them'
vhd\t'Microsoft Virtual PC, Azure'
ova\t'Archive of a virtual machine: OVF and disks'
vmdk\t'VMware'
vhdx\t'Microsoft Hyper-V'
qcow2\t'QEMU'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l skip-clean -d 'Keep the temporary object' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l delete-source -d 'Delete the local image after a successful import' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l method -d 'How the image becomes an AMI [default: auto]' -r -f -a "auto\t'The best way for the image'
import-image\t'EC2 ImportImage, which makes drivers and network fit for EC2'
import-snapshot\t'EC2 ImportSnapshot and RegisterImage, which leave the system as it is'
ebs-direct\t'A snapshot written block by block and RegisterImage: no bucket, no service role'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-name -d 'Name of the AMI [default: the import task\'s id, or one with the time in it]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-description -d 'Description of the AMI' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l tag -d 'Tag on the AMI and its snapshots (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-users -d 'Account that may launch the AMI (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-groups -d 'Group that may launch the AMI; AWS knows only `all` (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-org-arns -d 'Organization that may launch the AMI (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-ou-arns -d 'Organizational unit that may launch the AMI (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l public -d 'Let everybody launch the AMI, as `--ami-groups all` does' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l share-snapshots -d 'Let the accounts make volumes of the AMI\'s snapshots, too [default: true]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l deprecate-at -d 'When the AMI is deprecated: a moment such as 2030-01-01T00:00:00Z, or a time from now such as 90d or 2y' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l copy-to -d 'Region to copy the AMI to (can be repeated)' -r -f -a "af-south-1\t''
ap-east-1\t''
ap-east-2\t''
ap-northeast-1\t''
ap-northeast-2\t''
ap-northeast-3\t''
ap-south-1\t''
ap-south-2\t''
ap-southeast-1\t''
ap-southeast-2\t''
ap-southeast-3\t''
ap-southeast-4\t''
ap-southeast-5\t''
ap-southeast-6\t''
ap-southeast-7\t''
ca-central-1\t''
ca-west-1\t''
cn-north-1\t''
cn-northwest-1\t''
eu-central-1\t''
eu-central-2\t''
eu-north-1\t''
eu-south-1\t''
eu-south-2\t''
eu-west-1\t''
eu-west-2\t''
eu-west-3\t''
il-central-1\t''
me-central-1\t''
me-south-1\t''
mx-central-1\t''
sa-east-1\t''
us-east-1\t''
us-east-2\t''
us-gov-east-1\t''
us-gov-west-1\t''
us-west-1\t''
us-west-2\t''"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l copy-kms-key -d 'KMS key of a region, for the copy there (can be repeated) [default: the region\'s EBS key]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ssm-parameter -d 'Parameter of Systems Manager that is to hold the AMI\'s id, in each region the id there' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-encrypt -d 'Encrypt the AMI\'s snapshots' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-kms-key -d 'KMS key for the AMI\'s snapshots [default: the account\'s EBS key]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l s3-encryption -d 'Encryption of the temporary object' -r -f -a "AES256\t'With a key of S3\'s'
aws:kms\t'With a key of the Key Management Service'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l s3-encryption-key -d 'KMS key for the temporary object, with --s3-encryption aws:kms' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l license-type -d 'Whose licence the system runs under' -r -f -a "AWS\t'Amazon\'s; the instance\'s price covers it'
BYOL\t'The user\'s own'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l role-name -d 'Service role of the import [default: vmimport]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l create-role -d 'Create or repair the service role where it is missing or wrong' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l architecture -d 'Processor architecture of the system [default: x86_64]' -r -f -a "i386\t'32-bit x86'
x86_64\t'64-bit x86'
arm64\t'64-bit ARM'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l boot-mode -d 'How the system boots [default: AWS looks]' -r -f -a "legacy-bios\t'From the master boot record'
uefi\t'From the EFI system partition'
uefi-preferred\t'Whichever the instance type has'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l platform -d 'Family of the operating system [default: AWS looks]' -r -f -a "linux\t'Linux'
windows\t'Microsoft Windows'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l imds-support -d 'v2.0 makes every instance of the AMI require IMDSv2' -r -f -a "v2.0\t'IMDSv2 alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l tpm-support -d 'Trusted Platform Module of the AMI\'s instances' -r -f -a "v2.0\t'NitroTPM'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l uefi-data -d 'File with the UEFI variables, as `aws ec2 get-instance-uefi-data` prints them' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l volume-type -d 'Kind of the root volume [default: gp3, where AWS does not choose]' -r -f -a "gp3\t'General purpose SSD'
gp2\t'General purpose SSD of the generation before'
standard\t'Magnetic disk'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l volume-size -d 'Size of the root volume in GiB [default: what the image needs]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l root-device-name -d 'Name of the root device [default: /dev/sda1]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l profile -d 'Profile of the AWS configuration files' -r -f -a '(__imgimport_profiles aws)'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l shared-credentials-file -d 'Credentials file to read instead of ~/.aws/credentials' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l assume-role-arn -d 'Role to assume for the whole run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l external-id -d 'External id that the role\'s trust policy asks for' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l session-name -d 'Name of the assumed role\'s session [default: imgimport]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l endpoint-url -d 'Endpoint for every service, such as a gateway\'s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l max-retries -d 'How often a request that AWS could not answer is sent again [default: 3]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l concurrency -d 'Parts sent at the same time [default: chosen]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l part-size -d 'Size of a part, such as 16MiB [default: chosen from the image\'s size]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l limit-rate -d 'Most bytes to send in a second, such as 20MB/s [default: no limit]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l stall-timeout -d 'Silence after which a part is sent again on a fresh connection [default: 60s]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l no-resume -d 'Leave nothing behind on any exit, and use nothing of an earlier run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l timeout -d 'Deadline for everything after the upload, such as 90m or 2h [default: none]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l poll-interval -d 'Pause between two questions to the cloud, such as 15s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l no-wait -d 'Start the import, print its task id and leave' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l output -d 'Result on standard output [default: text]' -r -f -a "text\t'Lines; of an import, the image\'s id alone'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l progress -d 'Progress on standard error [default: auto]' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
bar\t'Bars; lines where there is no terminal to draw them on'
plain\t'A line at each stage and about every 10 % or 30 s, 10 s apart at least'
json\t'One JSON object a line, about every percent, 1 s apart at least'
none\t'Warnings alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l dry-run -d 'Check what can be checked, print the plan, change nothing' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l skip-checks -d 'Import the image even where the look into it refuses it' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l region -d 'Region of the import, such as cn-beijing; the bucket must lie there [required]' -r -f -a "ap-northeast-1\t''
ap-northeast-2\t''
ap-southeast-1\t''
ap-southeast-3\t''
ap-southeast-5\t''
ap-southeast-6\t''
ap-southeast-7\t''
cn-beijing\t''
cn-chengdu\t''
cn-fuzhou\t''
cn-guangzhou\t''
cn-hangzhou\t''
cn-heyuan\t''
cn-hongkong\t''
cn-huhehaote\t''
cn-nanjing\t''
cn-qingdao\t''
cn-shanghai\t''
cn-shenzhen\t''
cn-wulanchabu\t''
cn-zhangjiakou\t''
eu-central-1\t''
eu-west-1\t''
me-central-1\t''
me-east-1\t''
na-south-1\t''
us-east-1\t''
us-west-1\t''"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l bucket -l oss-bucket-name -d 'Bucket that holds the image while it is imported; made (private) if it does not exist [required]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l key -l oss-key-name -d 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l format -d 'Format of the image [default: detected]' -r -f -a "raw\t'The bytes of the disk as the guest sees them'
vhd\t'Microsoft Virtual PC, Azure'
ova\t'Archive of a virtual machine: OVF and disks'
vmdk\t'VMware'
vhdx\t'Microsoft Hyper-V'
qcow2\t'QEMU'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l skip-clean -d 'Keep the temporary object' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l delete-source -d 'Delete the local image after a successful import' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l image-name -d 'Name of the image [default: imgimport-{{timestamp}}]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l image-description -d 'Description of the image' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l os-type -l image-os-type -d 'Family of the operating system [default: linux]' -r -f -a "linux\t'Linux and everything that is not Windows'
windows\t'Microsoft Windows'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l platform -l image-platform -d 'Distribution or release, such as Ubuntu or "Windows Server 2022" [default: Others Linux]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l architecture -l image-architecture -d 'Processor architecture of the system [default: x86_64]' -r -f -a "i386\t'32-bit x86'
x86_64\t'64-bit x86'
arm64\t'64-bit ARM'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l system-size -l image-system-size -d 'Size of the system disk in GiB [default: what the image needs]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l force-delete -l image-force-delete -d 'Replace an image of that name, once the new one is available' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l force-delete-snapshots -d 'Delete the replaced image\'s snapshots, too' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l boot-mode -d 'How the system boots [default: BIOS, UEFI where the disk has nothing else]' -r -f -a "BIOS\t'From the master boot record'
UEFI\t'From the EFI system partition'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l license-type -d 'Whose licence the system runs under' -r -f -a "Auto\t'Alibaba Cloud looks'
Aliyun\t'Alibaba Cloud\'s; the instance\'s price covers it'
BYOL\t'The user\'s own'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l role-name -d 'RAM role of the import [default: AliyunECSImageImportDefaultRole]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l resource-group-id -d 'Resource group of the image [default: the account\'s default group]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l image-family -d 'Image family, whose newest image can be asked for by the family\'s name' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l detection-strategy -d 'Let Alibaba Cloud examine the imported image' -r -f -a "Standard\t'Image check; never holds the import up'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l tag -d 'Tag on the image, its copies and their snapshots (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l share-account -l image-share-account -d 'Account that may use the image and its copies (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l copy-to -l image-copy-regions -d 'Region to copy the image to (can be repeated)' -r -f -a "ap-northeast-1\t''
ap-northeast-2\t''
ap-southeast-1\t''
ap-southeast-3\t''
ap-southeast-5\t''
ap-southeast-6\t''
ap-southeast-7\t''
cn-beijing\t''
cn-chengdu\t''
cn-fuzhou\t''
cn-guangzhou\t''
cn-hangzhou\t''
cn-heyuan\t''
cn-hongkong\t''
cn-huhehaote\t''
cn-nanjing\t''
cn-qingdao\t''
cn-shanghai\t''
cn-shenzhen\t''
cn-wulanchabu\t''
cn-zhangjiakou\t''
eu-central-1\t''
eu-west-1\t''
me-central-1\t''
me-east-1\t''
na-south-1\t''
us-east-1\t''
us-west-1\t''"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l copy-name -l image-copy-names -d 'Name of the copy, one for each region [default: the image\'s name] (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l encrypt-copies -l image-encrypted -d 'Encrypt the copies' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l kms-key-id -d 'KMS key for the encrypted copies [default: ECS\'s service key]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l kms-key-copy-id -d 'KMS key, one for each region of a copy (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l profile -d 'Profile of the aliyun CLI\'s configuration' -r -f -a '(__imgimport_profiles alicloud)'
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l shared-credentials-file -d 'Configuration to read instead of ~/.aliyun/config.json' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l ram-role-name -d 'RAM role of the ECS instance that this runs on' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l ram-role-arn -d 'Role to assume for the whole run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l ram-session-name -d 'Name of the assumed role\'s session [default: imgimport]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l ecs-endpoint -d 'Endpoint of ECS, a URL or a host' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l oss-endpoint -d 'Endpoint of OSS, a URL or a host: internal, accelerated or a custom domain' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l ram-endpoint -d 'Endpoint of RAM, a URL or a host' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l sts-endpoint -d 'Endpoint of STS, a URL or a host' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l oss-path-style -d 'Put the bucket into the path instead of the host\'s name' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l oss-cname -d 'The OSS endpoint is a domain bound to the bucket' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l max-retries -d 'How often a request that Alibaba Cloud could not answer is sent again [default: 12]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l concurrency -d 'Parts sent at the same time [default: chosen]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l part-size -d 'Size of a part, such as 16MiB [default: chosen from the image\'s size]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l limit-rate -d 'Most bytes to send in a second, such as 20MB/s [default: no limit]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l stall-timeout -d 'Silence after which a part is sent again on a fresh connection [default: 60s]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l no-resume -d 'Leave nothing behind on any exit, and use nothing of an earlier run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l timeout -d 'Deadline for everything after the upload, such as 90m or 2h [default: none]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l poll-interval -d 'Pause between two questions to the cloud, such as 15s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l no-wait -d 'Start the import, print its task id and leave' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l output -d 'Result on standard output [default: text]' -r -f -a "text\t'Lines; of an import, the image\'s id alone'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l progress -d 'Progress on standard error [default: auto]' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
bar\t'Bars; lines where there is no terminal to draw them on'
plain\t'A line at each stage and about every 10 % or 30 s, 10 s apart at least'
json\t'One JSON object a line, about every percent, 1 s apart at least'
none\t'Warnings alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l dry-run -d 'Check what can be checked, print the plan, change nothing' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l skip-checks -d 'Import the image even where the look into it refuses it' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand alicloud" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l spaces-region -d 'Region of the Space [required]' -r -f -a "ams3\t''
atl1\t''
blr1\t''
fra1\t''
lon1\t''
nyc1\t''
nyc2\t''
nyc3\t''
ric1\t''
sfo2\t''
sfo3\t''
sgp1\t''
syd1\t''
tor1\t''"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l space -l space-name -l bucket -d 'Space that holds the image while it is imported; it must exist [required]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l key -l space-object-name -d 'Name of the temporary object [default: imgimport-{{timestamp}}-<32 random digits>.<ext>]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l image-name -d 'Name of the image [required]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l image-description -d 'Description of the image' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l distribution -l image-distribution -d 'Distribution in the image, such as Debian or Ubuntu [default: Unknown]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l image-region -l image-regions -d 'Region of the image: the first is imported to, the others by transfer (can be repeated) [required]' -r -f -a "ams3\t''
atl1\t''
blr1\t''
fra1\t''
lon1\t''
nyc1\t''
nyc2\t''
nyc3\t''
ric1\t''
sfo2\t''
sfo3\t''
sgp1\t''
syd1\t''
tor1\t''"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l tag -l image-tags -d 'Tag on the image (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l format -d 'Format of the image [default: detected]' -r -f -a "raw\t'The bytes of the disk as the guest sees them'
vhd\t'Microsoft Virtual PC, Azure'
ova\t'Archive of a virtual machine: OVF and disks'
vmdk\t'VMware'
vhdx\t'Microsoft Hyper-V'
qcow2\t'QEMU'"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l compression -d 'Compression on the way; DigitalOcean unpacks it [default: auto]' -r -f -a "auto\t'A raw disk is gzipped while it is sent, anything else goes as it is'
gzip\t'Whatever is not compressed as a file is gzipped while it is sent'
none\t'The file goes as it is'"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l object-access -d 'How DigitalOcean may read the temporary object [default: public-read]' -r -f -a "public-read\t'By an address that nobody can guess, until the import is done'
presigned\t'By a signed address; experimental, DigitalOcean may refuse it'"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l skip-clean -d 'Keep the temporary object, which can be read by everybody who knows its address' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l delete-source -d 'Delete the local image after a successful import' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l api-url -d 'Address of the API [default: https://api.digitalocean.com]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l spaces-endpoint -d 'Address of Spaces [default: https://{{.Region}}.digitaloceanspaces.com]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l http-retry-max -d 'Tries of a request after its first, when DigitalOcean is busy [default: 5]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l http-retry-wait-min -d 'Shortest pause before another try, in seconds [default: 1]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l http-retry-wait-max -d 'Longest pause that is chosen, in seconds; what DigitalOcean asks for is obeyed [default: 30]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l concurrency -d 'Parts sent at the same time [default: chosen]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l part-size -d 'Size of a part, such as 16MiB [default: chosen from the image\'s size]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l limit-rate -d 'Most bytes to send in a second, such as 20MB/s [default: no limit]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l stall-timeout -d 'Silence after which a part is sent again on a fresh connection [default: 60s]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l no-resume -d 'Leave nothing behind on any exit, and use nothing of an earlier run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l timeout -d 'Deadline for everything after the upload, such as 90m or 2h [default: none]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l poll-interval -d 'Pause between two questions to the cloud, such as 15s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l no-wait -d 'Start the import, print its task id and leave' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l output -d 'Result on standard output [default: text]' -r -f -a "text\t'Lines; of an import, the image\'s id alone'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l progress -d 'Progress on standard error [default: auto]' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
bar\t'Bars; lines where there is no terminal to draw them on'
plain\t'A line at each stage and about every 10 % or 30 s, 10 s apart at least'
json\t'One JSON object a line, about every percent, 1 s apart at least'
none\t'Warnings alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l dry-run -d 'Check what can be checked, print the plan, change nothing' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l skip-checks -d 'Import the image even where the look into it refuses it' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand digitalocean" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -l parallel -d 'Jobs at the same time [default: 2]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -l output -d 'Result on standard output [default: text]' -r -f -a "text\t'Lines; of an import, the image\'s id alone'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -l progress -d 'Progress on standard error [default: auto]' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
bar\t'Bars; lines where there is no terminal to draw them on'
plain\t'A line at each stage and about every 10 % or 30 s, 10 s apart at least'
json\t'One JSON object a line, about every percent, 1 s apart at least'
none\t'Warnings alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -l dry-run -d 'Check what can be checked, print the plans, change nothing' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand run" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -l output -d 'Result on standard output [default: text]' -r -f -a "text\t'Lines; of an import, the image\'s id alone'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -l progress -d 'Progress on standard error [default: auto]' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
bar\t'Bars; lines where there is no terminal to draw them on'
plain\t'A line at each stage and about every 10 % or 30 s, 10 s apart at least'
json\t'One JSON object a line, about every percent, 1 s apart at least'
none\t'Warnings alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -l clean -d 'Remove the jobs, in the cloud, too'
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand jobs" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -l var -d 'Value of a variable of the template, as packer build -var sets it; may be given several times' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -l var-file -d 'File of values, *.hcl or *.json, as packer build -var-file reads it; may be given several times' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -l config -d 'Settings file [default: ./imgimport.toml, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -s h -l help -d 'Print help: -h the short page, --help the long one'
complete -c imgimport -n "__fish_imgimport_using_subcommand from-packer" -s V -l version -d 'Print the version'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "check" -d 'Look into an image and say what each cloud would make of it'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "aws" -d 'Import into Amazon Web Services: S3, EC2 import, AMI'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "alicloud" -d 'Import into Alibaba Cloud: OSS, ECS import, ECS image'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "digitalocean" -d 'Import into DigitalOcean: Spaces, custom image'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "run" -d 'Run the imports of a file, some at a time'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "jobs" -d 'List what unfinished runs have left, and remove it'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "from-packer" -d 'Print the settings that a Packer template\'s import blocks become'
complete -c imgimport -n "__fish_imgimport_using_subcommand help; and not __fish_seen_subcommand_from check aws alicloud digitalocean run jobs from-packer" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
