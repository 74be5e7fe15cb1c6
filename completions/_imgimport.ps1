
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'imgimport' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'imgimport'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'imgimport' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Look into an image and say what each cloud would make of it')
            [CompletionResult]::new('aws', 'aws', [CompletionResultType]::ParameterValue, 'Import into Amazon Web Services: S3, EC2 import, AMI')
            [CompletionResult]::new('alicloud', 'alicloud', [CompletionResultType]::ParameterValue, 'Import into Alibaba Cloud: OSS, ECS import, ECS image')
            [CompletionResult]::new('digitalocean', 'digitalocean', [CompletionResultType]::ParameterValue, 'Import into DigitalOcean: Spaces, custom image')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run the imports of a file, some at a time')
            [CompletionResult]::new('jobs', 'jobs', [CompletionResultType]::ParameterValue, 'List what unfinished runs have left, and remove it')
            [CompletionResult]::new('from-packer', 'from-packer', [CompletionResultType]::ParameterValue, 'Print the settings that a Packer template''s import blocks become')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'imgimport;check' {
            [CompletionResult]::new('--for', '--for', [CompletionResultType]::ParameterName, 'Cloud to ask for (can be repeated) [default: all of them]')
            [CompletionResult]::new('--marketplace', '--marketplace', [CompletionResultType]::ParameterName, 'Say what DigitalOcean''s Marketplace image check would say, too')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Format of the image [default: detected]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What goes to standard output: text, a page to read, or json, one object')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;aws' {
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'Region of the import, where the bucket must lie [default: the profile''s]')
            [CompletionResult]::new('--bucket', '--bucket', [CompletionResultType]::ParameterName, 'Bucket that holds the image while it is imported; it must exist [default: none, for --method ebs-direct]')
            [CompletionResult]::new('--s3-bucket-name', '--s3-bucket-name', [CompletionResultType]::ParameterName, 'Bucket that holds the image while it is imported; it must exist [default: none, for --method ebs-direct]')
            [CompletionResult]::new('--bucket-owner', '--bucket-owner', [CompletionResultType]::ParameterName, 'Account that owns the bucket; requests are refused where another one does [default: the caller''s]')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]')
            [CompletionResult]::new('--s3-key-name', '--s3-key-name', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Format of the image [default: detected]')
            [CompletionResult]::new('--skip-clean', '--skip-clean', [CompletionResultType]::ParameterName, 'Keep the temporary object')
            [CompletionResult]::new('--delete-source', '--delete-source', [CompletionResultType]::ParameterName, 'Delete the local image after a successful import')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'How the image becomes an AMI [default: auto]')
            [CompletionResult]::new('--ami-name', '--ami-name', [CompletionResultType]::ParameterName, 'Name of the AMI [default: the import task''s id, or one with the time in it]')
            [CompletionResult]::new('--ami-description', '--ami-description', [CompletionResultType]::ParameterName, 'Description of the AMI')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Tag on the AMI and its snapshots (can be repeated)')
            [CompletionResult]::new('--ami-users', '--ami-users', [CompletionResultType]::ParameterName, 'Account that may launch the AMI (can be repeated)')
            [CompletionResult]::new('--ami-groups', '--ami-groups', [CompletionResultType]::ParameterName, 'Group that may launch the AMI; AWS knows only `all` (can be repeated)')
            [CompletionResult]::new('--ami-org-arns', '--ami-org-arns', [CompletionResultType]::ParameterName, 'Organization that may launch the AMI (can be repeated)')
            [CompletionResult]::new('--ami-ou-arns', '--ami-ou-arns', [CompletionResultType]::ParameterName, 'Organizational unit that may launch the AMI (can be repeated)')
            [CompletionResult]::new('--public', '--public', [CompletionResultType]::ParameterName, 'Let everybody launch the AMI, as `--ami-groups all` does')
            [CompletionResult]::new('--share-snapshots', '--share-snapshots', [CompletionResultType]::ParameterName, 'Let the accounts make volumes of the AMI''s snapshots, too [default: true]')
            [CompletionResult]::new('--deprecate-at', '--deprecate-at', [CompletionResultType]::ParameterName, 'When the AMI is deprecated: a moment such as 2030-01-01T00:00:00Z, or a time from now such as 90d or 2y')
            [CompletionResult]::new('--copy-to', '--copy-to', [CompletionResultType]::ParameterName, 'Region to copy the AMI to (can be repeated)')
            [CompletionResult]::new('--copy-kms-key', '--copy-kms-key', [CompletionResultType]::ParameterName, 'KMS key of a region, for the copy there (can be repeated) [default: the region''s EBS key]')
            [CompletionResult]::new('--ssm-parameter', '--ssm-parameter', [CompletionResultType]::ParameterName, 'Parameter of Systems Manager that is to hold the AMI''s id, in each region the id there')
            [CompletionResult]::new('--ami-encrypt', '--ami-encrypt', [CompletionResultType]::ParameterName, 'Encrypt the AMI''s snapshots')
            [CompletionResult]::new('--ami-kms-key', '--ami-kms-key', [CompletionResultType]::ParameterName, 'KMS key for the AMI''s snapshots [default: the account''s EBS key]')
            [CompletionResult]::new('--s3-encryption', '--s3-encryption', [CompletionResultType]::ParameterName, 'Encryption of the temporary object')
            [CompletionResult]::new('--s3-encryption-key', '--s3-encryption-key', [CompletionResultType]::ParameterName, 'KMS key for the temporary object, with --s3-encryption aws:kms')
            [CompletionResult]::new('--license-type', '--license-type', [CompletionResultType]::ParameterName, 'Whose licence the system runs under')
            [CompletionResult]::new('--role-name', '--role-name', [CompletionResultType]::ParameterName, 'Service role of the import [default: vmimport]')
            [CompletionResult]::new('--create-role', '--create-role', [CompletionResultType]::ParameterName, 'Create or repair the service role where it is missing or wrong')
            [CompletionResult]::new('--architecture', '--architecture', [CompletionResultType]::ParameterName, 'Processor architecture of the system [default: x86_64]')
            [CompletionResult]::new('--boot-mode', '--boot-mode', [CompletionResultType]::ParameterName, 'How the system boots [default: AWS looks]')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Family of the operating system [default: AWS looks]')
            [CompletionResult]::new('--imds-support', '--imds-support', [CompletionResultType]::ParameterName, 'v2.0 makes every instance of the AMI require IMDSv2')
            [CompletionResult]::new('--tpm-support', '--tpm-support', [CompletionResultType]::ParameterName, 'Trusted Platform Module of the AMI''s instances')
            [CompletionResult]::new('--uefi-data', '--uefi-data', [CompletionResultType]::ParameterName, 'File with the UEFI variables, as `aws ec2 get-instance-uefi-data` prints them')
            [CompletionResult]::new('--volume-type', '--volume-type', [CompletionResultType]::ParameterName, 'Kind of the root volume [default: gp3, where AWS does not choose]')
            [CompletionResult]::new('--volume-size', '--volume-size', [CompletionResultType]::ParameterName, 'Size of the root volume in GiB [default: what the image needs]')
            [CompletionResult]::new('--root-device-name', '--root-device-name', [CompletionResultType]::ParameterName, 'Name of the root device [default: /dev/sda1]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Profile of the AWS configuration files')
            [CompletionResult]::new('--shared-credentials-file', '--shared-credentials-file', [CompletionResultType]::ParameterName, 'Credentials file to read instead of ~/.aws/credentials')
            [CompletionResult]::new('--assume-role-arn', '--assume-role-arn', [CompletionResultType]::ParameterName, 'Role to assume for the whole run')
            [CompletionResult]::new('--external-id', '--external-id', [CompletionResultType]::ParameterName, 'External id that the role''s trust policy asks for')
            [CompletionResult]::new('--session-name', '--session-name', [CompletionResultType]::ParameterName, 'Name of the assumed role''s session [default: imgimport]')
            [CompletionResult]::new('--endpoint-url', '--endpoint-url', [CompletionResultType]::ParameterName, 'Endpoint for every service, such as a gateway''s')
            [CompletionResult]::new('--max-retries', '--max-retries', [CompletionResultType]::ParameterName, 'How often a request that AWS could not answer is sent again [default: 3]')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'Parts sent at the same time [default: chosen]')
            [CompletionResult]::new('--part-size', '--part-size', [CompletionResultType]::ParameterName, 'Size of a part, such as 16MiB [default: chosen from the image''s size]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Most bytes to send in a second, such as 20MB/s [default: no limit]')
            [CompletionResult]::new('--stall-timeout', '--stall-timeout', [CompletionResultType]::ParameterName, 'Silence after which a part is sent again on a fresh connection [default: 60s]')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Leave nothing behind on any exit, and use nothing of an earlier run')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Deadline for everything after the upload, such as 90m or 2h [default: none]')
            [CompletionResult]::new('--poll-interval', '--poll-interval', [CompletionResultType]::ParameterName, 'Pause between two questions to the cloud, such as 15s')
            [CompletionResult]::new('--no-wait', '--no-wait', [CompletionResultType]::ParameterName, 'Start the import, print its task id and leave')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Result on standard output [default: text]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress on standard error [default: auto]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check what can be checked, print the plan, change nothing')
            [CompletionResult]::new('--skip-checks', '--skip-checks', [CompletionResultType]::ParameterName, 'Import the image even where the look into it refuses it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;alicloud' {
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'Region of the import, such as cn-beijing; the bucket must lie there [required]')
            [CompletionResult]::new('--bucket', '--bucket', [CompletionResultType]::ParameterName, 'Bucket that holds the image while it is imported; made (private) if it does not exist [required]')
            [CompletionResult]::new('--oss-bucket-name', '--oss-bucket-name', [CompletionResultType]::ParameterName, 'Bucket that holds the image while it is imported; made (private) if it does not exist [required]')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]')
            [CompletionResult]::new('--oss-key-name', '--oss-key-name', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Format of the image [default: detected]')
            [CompletionResult]::new('--skip-clean', '--skip-clean', [CompletionResultType]::ParameterName, 'Keep the temporary object')
            [CompletionResult]::new('--delete-source', '--delete-source', [CompletionResultType]::ParameterName, 'Delete the local image after a successful import')
            [CompletionResult]::new('--image-name', '--image-name', [CompletionResultType]::ParameterName, 'Name of the image [default: imgimport-{{timestamp}}]')
            [CompletionResult]::new('--image-description', '--image-description', [CompletionResultType]::ParameterName, 'Description of the image')
            [CompletionResult]::new('--os-type', '--os-type', [CompletionResultType]::ParameterName, 'Family of the operating system [default: linux]')
            [CompletionResult]::new('--image-os-type', '--image-os-type', [CompletionResultType]::ParameterName, 'Family of the operating system [default: linux]')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Distribution or release, such as Ubuntu or "Windows Server 2022" [default: Others Linux]')
            [CompletionResult]::new('--image-platform', '--image-platform', [CompletionResultType]::ParameterName, 'Distribution or release, such as Ubuntu or "Windows Server 2022" [default: Others Linux]')
            [CompletionResult]::new('--architecture', '--architecture', [CompletionResultType]::ParameterName, 'Processor architecture of the system [default: x86_64]')
            [CompletionResult]::new('--image-architecture', '--image-architecture', [CompletionResultType]::ParameterName, 'Processor architecture of the system [default: x86_64]')
            [CompletionResult]::new('--system-size', '--system-size', [CompletionResultType]::ParameterName, 'Size of the system disk in GiB [default: what the image needs]')
            [CompletionResult]::new('--image-system-size', '--image-system-size', [CompletionResultType]::ParameterName, 'Size of the system disk in GiB [default: what the image needs]')
            [CompletionResult]::new('--force-delete', '--force-delete', [CompletionResultType]::ParameterName, 'Replace an image of that name, once the new one is available')
            [CompletionResult]::new('--image-force-delete', '--image-force-delete', [CompletionResultType]::ParameterName, 'Replace an image of that name, once the new one is available')
            [CompletionResult]::new('--force-delete-snapshots', '--force-delete-snapshots', [CompletionResultType]::ParameterName, 'Delete the replaced image''s snapshots, too')
            [CompletionResult]::new('--boot-mode', '--boot-mode', [CompletionResultType]::ParameterName, 'How the system boots [default: BIOS, UEFI where the disk has nothing else]')
            [CompletionResult]::new('--license-type', '--license-type', [CompletionResultType]::ParameterName, 'Whose licence the system runs under')
            [CompletionResult]::new('--role-name', '--role-name', [CompletionResultType]::ParameterName, 'RAM role of the import [default: AliyunECSImageImportDefaultRole]')
            [CompletionResult]::new('--resource-group-id', '--resource-group-id', [CompletionResultType]::ParameterName, 'Resource group of the image [default: the account''s default group]')
            [CompletionResult]::new('--image-family', '--image-family', [CompletionResultType]::ParameterName, 'Image family, whose newest image can be asked for by the family''s name')
            [CompletionResult]::new('--detection-strategy', '--detection-strategy', [CompletionResultType]::ParameterName, 'Let Alibaba Cloud examine the imported image')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Tag on the image, its copies and their snapshots (can be repeated)')
            [CompletionResult]::new('--share-account', '--share-account', [CompletionResultType]::ParameterName, 'Account that may use the image and its copies (can be repeated)')
            [CompletionResult]::new('--image-share-account', '--image-share-account', [CompletionResultType]::ParameterName, 'Account that may use the image and its copies (can be repeated)')
            [CompletionResult]::new('--copy-to', '--copy-to', [CompletionResultType]::ParameterName, 'Region to copy the image to (can be repeated)')
            [CompletionResult]::new('--image-copy-regions', '--image-copy-regions', [CompletionResultType]::ParameterName, 'Region to copy the image to (can be repeated)')
            [CompletionResult]::new('--copy-name', '--copy-name', [CompletionResultType]::ParameterName, 'Name of the copy, one for each region [default: the image''s name] (can be repeated)')
            [CompletionResult]::new('--image-copy-names', '--image-copy-names', [CompletionResultType]::ParameterName, 'Name of the copy, one for each region [default: the image''s name] (can be repeated)')
            [CompletionResult]::new('--encrypt-copies', '--encrypt-copies', [CompletionResultType]::ParameterName, 'Encrypt the copies')
            [CompletionResult]::new('--image-encrypted', '--image-encrypted', [CompletionResultType]::ParameterName, 'Encrypt the copies')
            [CompletionResult]::new('--kms-key-id', '--kms-key-id', [CompletionResultType]::ParameterName, 'KMS key for the encrypted copies [default: ECS''s service key]')
            [CompletionResult]::new('--kms-key-copy-id', '--kms-key-copy-id', [CompletionResultType]::ParameterName, 'KMS key, one for each region of a copy (can be repeated)')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Profile of the aliyun CLI''s configuration')
            [CompletionResult]::new('--shared-credentials-file', '--shared-credentials-file', [CompletionResultType]::ParameterName, 'Configuration to read instead of ~/.aliyun/config.json')
            [CompletionResult]::new('--ram-role-name', '--ram-role-name', [CompletionResultType]::ParameterName, 'RAM role of the ECS instance that this runs on')
            [CompletionResult]::new('--ram-role-arn', '--ram-role-arn', [CompletionResultType]::ParameterName, 'Role to assume for the whole run')
            [CompletionResult]::new('--ram-session-name', '--ram-session-name', [CompletionResultType]::ParameterName, 'Name of the assumed role''s session [default: imgimport]')
            [CompletionResult]::new('--ecs-endpoint', '--ecs-endpoint', [CompletionResultType]::ParameterName, 'Endpoint of ECS, a URL or a host')
            [CompletionResult]::new('--oss-endpoint', '--oss-endpoint', [CompletionResultType]::ParameterName, 'Endpoint of OSS, a URL or a host: internal, accelerated or a custom domain')
            [CompletionResult]::new('--ram-endpoint', '--ram-endpoint', [CompletionResultType]::ParameterName, 'Endpoint of RAM, a URL or a host')
            [CompletionResult]::new('--sts-endpoint', '--sts-endpoint', [CompletionResultType]::ParameterName, 'Endpoint of STS, a URL or a host')
            [CompletionResult]::new('--oss-path-style', '--oss-path-style', [CompletionResultType]::ParameterName, 'Put the bucket into the path instead of the host''s name')
            [CompletionResult]::new('--oss-cname', '--oss-cname', [CompletionResultType]::ParameterName, 'The OSS endpoint is a domain bound to the bucket')
            [CompletionResult]::new('--max-retries', '--max-retries', [CompletionResultType]::ParameterName, 'How often a request that Alibaba Cloud could not answer is sent again [default: 12]')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'Parts sent at the same time [default: chosen]')
            [CompletionResult]::new('--part-size', '--part-size', [CompletionResultType]::ParameterName, 'Size of a part, such as 16MiB [default: chosen from the image''s size]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Most bytes to send in a second, such as 20MB/s [default: no limit]')
            [CompletionResult]::new('--stall-timeout', '--stall-timeout', [CompletionResultType]::ParameterName, 'Silence after which a part is sent again on a fresh connection [default: 60s]')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Leave nothing behind on any exit, and use nothing of an earlier run')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Deadline for everything after the upload, such as 90m or 2h [default: none]')
            [CompletionResult]::new('--poll-interval', '--poll-interval', [CompletionResultType]::ParameterName, 'Pause between two questions to the cloud, such as 15s')
            [CompletionResult]::new('--no-wait', '--no-wait', [CompletionResultType]::ParameterName, 'Start the import, print its task id and leave')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Result on standard output [default: text]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress on standard error [default: auto]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check what can be checked, print the plan, change nothing')
            [CompletionResult]::new('--skip-checks', '--skip-checks', [CompletionResultType]::ParameterName, 'Import the image even where the look into it refuses it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;digitalocean' {
            [CompletionResult]::new('--spaces-region', '--spaces-region', [CompletionResultType]::ParameterName, 'Region of the Space [required]')
            [CompletionResult]::new('--space', '--space', [CompletionResultType]::ParameterName, 'Space that holds the image while it is imported; it must exist [required]')
            [CompletionResult]::new('--space-name', '--space-name', [CompletionResultType]::ParameterName, 'Space that holds the image while it is imported; it must exist [required]')
            [CompletionResult]::new('--bucket', '--bucket', [CompletionResultType]::ParameterName, 'Space that holds the image while it is imported; it must exist [required]')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}-<32 random digits>.<ext>]')
            [CompletionResult]::new('--space-object-name', '--space-object-name', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}-<32 random digits>.<ext>]')
            [CompletionResult]::new('--image-name', '--image-name', [CompletionResultType]::ParameterName, 'Name of the image [required]')
            [CompletionResult]::new('--image-description', '--image-description', [CompletionResultType]::ParameterName, 'Description of the image')
            [CompletionResult]::new('--distribution', '--distribution', [CompletionResultType]::ParameterName, 'Distribution in the image, such as Debian or Ubuntu [default: Unknown]')
            [CompletionResult]::new('--image-distribution', '--image-distribution', [CompletionResultType]::ParameterName, 'Distribution in the image, such as Debian or Ubuntu [default: Unknown]')
            [CompletionResult]::new('--image-region', '--image-region', [CompletionResultType]::ParameterName, 'Region of the image: the first is imported to, the others by transfer (can be repeated) [required]')
            [CompletionResult]::new('--image-regions', '--image-regions', [CompletionResultType]::ParameterName, 'Region of the image: the first is imported to, the others by transfer (can be repeated) [required]')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Tag on the image (can be repeated)')
            [CompletionResult]::new('--image-tags', '--image-tags', [CompletionResultType]::ParameterName, 'Tag on the image (can be repeated)')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Format of the image [default: detected]')
            [CompletionResult]::new('--compression', '--compression', [CompletionResultType]::ParameterName, 'Compression on the way; DigitalOcean unpacks it [default: auto]')
            [CompletionResult]::new('--object-access', '--object-access', [CompletionResultType]::ParameterName, 'How DigitalOcean may read the temporary object [default: public-read]')
            [CompletionResult]::new('--skip-clean', '--skip-clean', [CompletionResultType]::ParameterName, 'Keep the temporary object, which can be read by everybody who knows its address')
            [CompletionResult]::new('--delete-source', '--delete-source', [CompletionResultType]::ParameterName, 'Delete the local image after a successful import')
            [CompletionResult]::new('--api-url', '--api-url', [CompletionResultType]::ParameterName, 'Address of the API [default: https://api.digitalocean.com]')
            [CompletionResult]::new('--spaces-endpoint', '--spaces-endpoint', [CompletionResultType]::ParameterName, 'Address of Spaces [default: https://{{.Region}}.digitaloceanspaces.com]')
            [CompletionResult]::new('--http-retry-max', '--http-retry-max', [CompletionResultType]::ParameterName, 'Tries of a request after its first, when DigitalOcean is busy [default: 5]')
            [CompletionResult]::new('--http-retry-wait-min', '--http-retry-wait-min', [CompletionResultType]::ParameterName, 'Shortest pause before another try, in seconds [default: 1]')
            [CompletionResult]::new('--http-retry-wait-max', '--http-retry-wait-max', [CompletionResultType]::ParameterName, 'Longest pause that is chosen, in seconds; what DigitalOcean asks for is obeyed [default: 30]')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'Parts sent at the same time [default: chosen]')
            [CompletionResult]::new('--part-size', '--part-size', [CompletionResultType]::ParameterName, 'Size of a part, such as 16MiB [default: chosen from the image''s size]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Most bytes to send in a second, such as 20MB/s [default: no limit]')
            [CompletionResult]::new('--stall-timeout', '--stall-timeout', [CompletionResultType]::ParameterName, 'Silence after which a part is sent again on a fresh connection [default: 60s]')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Leave nothing behind on any exit, and use nothing of an earlier run')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Deadline for everything after the upload, such as 90m or 2h [default: none]')
            [CompletionResult]::new('--poll-interval', '--poll-interval', [CompletionResultType]::ParameterName, 'Pause between two questions to the cloud, such as 15s')
            [CompletionResult]::new('--no-wait', '--no-wait', [CompletionResultType]::ParameterName, 'Start the import, print its task id and leave')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Result on standard output [default: text]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress on standard error [default: auto]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check what can be checked, print the plan, change nothing')
            [CompletionResult]::new('--skip-checks', '--skip-checks', [CompletionResultType]::ParameterName, 'Import the image even where the look into it refuses it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;run' {
            [CompletionResult]::new('--parallel', '--parallel', [CompletionResultType]::ParameterName, 'Jobs at the same time [default: 2]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Result on standard output [default: text]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress on standard error [default: auto]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check what can be checked, print the plans, change nothing')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;jobs' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Result on standard output [default: text]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress on standard error [default: auto]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('--clean', '--clean', [CompletionResultType]::ParameterName, 'Remove the jobs, in the cloud, too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;from-packer' {
            [CompletionResult]::new('--var', '--var', [CompletionResultType]::ParameterName, 'Value of a variable of the template, as packer build -var sets it; may be given several times')
            [CompletionResult]::new('--var-file', '--var-file', [CompletionResultType]::ParameterName, 'File of values, *.hcl or *.json, as packer build -var-file reads it; may be given several times')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: ./imgimport.toml, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help: -h the short page, --help the long one')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
        'imgimport;help' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Look into an image and say what each cloud would make of it')
            [CompletionResult]::new('aws', 'aws', [CompletionResultType]::ParameterValue, 'Import into Amazon Web Services: S3, EC2 import, AMI')
            [CompletionResult]::new('alicloud', 'alicloud', [CompletionResultType]::ParameterValue, 'Import into Alibaba Cloud: OSS, ECS import, ECS image')
            [CompletionResult]::new('digitalocean', 'digitalocean', [CompletionResultType]::ParameterValue, 'Import into DigitalOcean: Spaces, custom image')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run the imports of a file, some at a time')
            [CompletionResult]::new('jobs', 'jobs', [CompletionResultType]::ParameterValue, 'List what unfinished runs have left, and remove it')
            [CompletionResult]::new('from-packer', 'from-packer', [CompletionResultType]::ParameterValue, 'Print the settings that a Packer template''s import blocks become')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'imgimport;help;check' {
            break
        }
        'imgimport;help;aws' {
            break
        }
        'imgimport;help;alicloud' {
            break
        }
        'imgimport;help;digitalocean' {
            break
        }
        'imgimport;help;run' {
            break
        }
        'imgimport;help;jobs' {
            break
        }
        'imgimport;help;from-packer' {
            break
        }
        'imgimport;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
