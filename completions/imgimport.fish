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

complete -c imgimport -n "__fish_imgimport_needs_command" -l config -d 'Settings file [default: imgimport.toml in the current directory, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_needs_command" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_needs_command" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c imgimport -n "__fish_imgimport_needs_command" -s V -l version -d 'Print version'
complete -c imgimport -n "__fish_imgimport_needs_command" -f -a "aws" -d 'Import into Amazon Web Services: S3, EC2 import, AMI'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l region -d 'Region of the import; the bucket must lie there' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l bucket -l s3-bucket-name -d 'Bucket that holds the image while it is imported; it must exist' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l key -l s3-key-name -d 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l format -d 'Format of the image [default: detected]' -r -f -a "raw\t'The bytes of the disk as the guest sees them'
vhd\t'Microsoft Virtual PC, Azure'
ova\t'Archive of a virtual machine: OVF and disks'
vmdk\t'VMware'
vhdx\t'Microsoft Hyper-V'
qcow2\t'QEMU'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l skip-clean -d 'Keep the temporary object' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l delete-source -d 'Delete the local image after a successful import' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l method -d 'How the image becomes an AMI' -r -f -a "auto\t'The best way for the image'
import-image\t'EC2 ImportImage, which makes drivers and network fit for EC2'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-name -d 'Name of the AMI [default: the import task\'s id]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-description -d 'Description of the AMI' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l tag -d 'Tag on the AMI and its snapshots (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-users -d 'Account that may launch the AMI (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-groups -d 'Group that may launch the AMI; AWS knows only `all` (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-org-arns -d 'Organization that may launch the AMI (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-ou-arns -d 'Organizational unit that may launch the AMI (can be repeated)' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-encrypt -d 'Encrypt the AMI\'s snapshots' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l ami-kms-key -d 'KMS key for the AMI\'s snapshots [default: the account\'s EBS key]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l s3-encryption -d 'Encryption of the temporary object' -r -f -a "AES256\t'With a key of S3\'s'
aws:kms\t'With a key of the Key Management Service'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l s3-encryption-key -d 'KMS key for the temporary object, with --s3-encryption aws:kms' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l license-type -d 'Whose licence the system runs under' -r -f -a "AWS\t'Amazon\'s; the instance\'s price covers it'
BYOL\t'The user\'s own'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l role-name -d 'Service role of the import [default: vmimport]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l architecture -d 'Processor architecture of the system [default: x86_64]' -r -f -a "i386\t'32-bit x86'
x86_64\t'64-bit x86'
arm64\t'64-bit ARM'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l boot-mode -d 'How the system boots [default: AWS looks]' -r -f -a "legacy-bios\t'From the master boot record'
uefi\t'From the EFI system partition'
uefi-preferred\t'Whichever the instance type has'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l platform -d 'Family of the operating system [default: AWS looks]' -r -f -a "linux\t'Linux'
windows\t'Microsoft Windows'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l imds-support -d 'v2.0 makes every instance of the AMI require IMDSv2' -r -f -a "v2.0\t'IMDSv2 alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l profile -d 'Profile of the AWS configuration files' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l shared-credentials-file -d 'Credentials file to read instead of ~/.aws/credentials' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l assume-role-arn -d 'Role to assume for the whole run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l external-id -d 'External id that the role\'s trust policy asks for' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l session-name -d 'Name of the assumed role\'s session [default: imgimport]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l endpoint-url -d 'Endpoint for every service, such as a gateway\'s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l max-retries -d 'How often a request that AWS could not answer is sent again [default: 4]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l concurrency -d 'Parts sent at the same time [default: chosen]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l part-size -d 'Size of a part, such as 16MiB [default: chosen from the image\'s size]' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l limit-rate -d 'Most bytes to send in a second, such as 20MB/s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l no-resume -d 'Leave nothing behind on any exit, and use nothing of an earlier run' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l timeout -d 'Deadline for everything after the upload, such as 90m or 2h' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l poll-interval -d 'Pause between two questions to the cloud, such as 15s' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l no-wait -d 'Start the import, print its task id and leave' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l output -d 'Result on standard output' -r -f -a "text\t'The id of the image and a newline'
json\t'One object with everything'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l progress -d 'Progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
bar\t'Bars; lines where there is no terminal to draw them on'
plain\t'A line at each stage and about every 10 % or 30 s'
json\t'The same pace, one JSON object a line'
none\t'Warnings alone'"
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l dry-run -d 'Check everything that changes nothing, print the plan, upload nothing' -r
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -l config -d 'Settings file [default: imgimport.toml in the current directory, if it exists]' -r -F
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s q -l quiet -d 'Say less: warnings and errors alone'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s v -l verbose -d 'Say more: steps and requests; twice: bodies, without secrets'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c imgimport -n "__fish_imgimport_using_subcommand aws" -s V -l version -d 'Print version'
