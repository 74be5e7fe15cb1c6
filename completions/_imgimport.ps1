
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
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: imgimport.toml in the current directory, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('aws', 'aws', [CompletionResultType]::ParameterValue, 'Import into Amazon Web Services: S3, EC2 import, AMI')
            break
        }
        'imgimport;aws' {
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'Region of the import; the bucket must lie there')
            [CompletionResult]::new('--bucket', '--bucket', [CompletionResultType]::ParameterName, 'Bucket that holds the image while it is imported; it must exist')
            [CompletionResult]::new('--s3-bucket-name', '--s3-bucket-name', [CompletionResultType]::ParameterName, 'Bucket that holds the image while it is imported; it must exist')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]')
            [CompletionResult]::new('--s3-key-name', '--s3-key-name', [CompletionResultType]::ParameterName, 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Format of the image [default: detected]')
            [CompletionResult]::new('--skip-clean', '--skip-clean', [CompletionResultType]::ParameterName, 'Keep the temporary object')
            [CompletionResult]::new('--delete-source', '--delete-source', [CompletionResultType]::ParameterName, 'Delete the local image after a successful import')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'How the image becomes an AMI')
            [CompletionResult]::new('--ami-name', '--ami-name', [CompletionResultType]::ParameterName, 'Name of the AMI [default: the import task''s id]')
            [CompletionResult]::new('--ami-description', '--ami-description', [CompletionResultType]::ParameterName, 'Description of the AMI')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Tag on the AMI and its snapshots (can be repeated)')
            [CompletionResult]::new('--ami-users', '--ami-users', [CompletionResultType]::ParameterName, 'Account that may launch the AMI (can be repeated)')
            [CompletionResult]::new('--ami-groups', '--ami-groups', [CompletionResultType]::ParameterName, 'Group that may launch the AMI; AWS knows only `all` (can be repeated)')
            [CompletionResult]::new('--ami-org-arns', '--ami-org-arns', [CompletionResultType]::ParameterName, 'Organization that may launch the AMI (can be repeated)')
            [CompletionResult]::new('--ami-ou-arns', '--ami-ou-arns', [CompletionResultType]::ParameterName, 'Organizational unit that may launch the AMI (can be repeated)')
            [CompletionResult]::new('--ami-encrypt', '--ami-encrypt', [CompletionResultType]::ParameterName, 'Encrypt the AMI''s snapshots')
            [CompletionResult]::new('--ami-kms-key', '--ami-kms-key', [CompletionResultType]::ParameterName, 'KMS key for the AMI''s snapshots [default: the account''s EBS key]')
            [CompletionResult]::new('--s3-encryption', '--s3-encryption', [CompletionResultType]::ParameterName, 'Encryption of the temporary object')
            [CompletionResult]::new('--s3-encryption-key', '--s3-encryption-key', [CompletionResultType]::ParameterName, 'KMS key for the temporary object, with --s3-encryption aws:kms')
            [CompletionResult]::new('--license-type', '--license-type', [CompletionResultType]::ParameterName, 'Whose licence the system runs under')
            [CompletionResult]::new('--role-name', '--role-name', [CompletionResultType]::ParameterName, 'Service role of the import [default: vmimport]')
            [CompletionResult]::new('--architecture', '--architecture', [CompletionResultType]::ParameterName, 'Processor architecture of the system [default: x86_64]')
            [CompletionResult]::new('--boot-mode', '--boot-mode', [CompletionResultType]::ParameterName, 'How the system boots [default: AWS looks]')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Family of the operating system [default: AWS looks]')
            [CompletionResult]::new('--imds-support', '--imds-support', [CompletionResultType]::ParameterName, 'v2.0 makes every instance of the AMI require IMDSv2')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Profile of the AWS configuration files')
            [CompletionResult]::new('--shared-credentials-file', '--shared-credentials-file', [CompletionResultType]::ParameterName, 'Credentials file to read instead of ~/.aws/credentials')
            [CompletionResult]::new('--assume-role-arn', '--assume-role-arn', [CompletionResultType]::ParameterName, 'Role to assume for the whole run')
            [CompletionResult]::new('--external-id', '--external-id', [CompletionResultType]::ParameterName, 'External id that the role''s trust policy asks for')
            [CompletionResult]::new('--session-name', '--session-name', [CompletionResultType]::ParameterName, 'Name of the assumed role''s session [default: imgimport]')
            [CompletionResult]::new('--endpoint-url', '--endpoint-url', [CompletionResultType]::ParameterName, 'Endpoint for every service, such as a gateway''s')
            [CompletionResult]::new('--max-retries', '--max-retries', [CompletionResultType]::ParameterName, 'How often a request that AWS could not answer is sent again [default: 4]')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'Parts sent at the same time [default: chosen]')
            [CompletionResult]::new('--part-size', '--part-size', [CompletionResultType]::ParameterName, 'Size of a part, such as 16MiB [default: chosen from the image''s size]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Most bytes to send in a second, such as 20MB/s')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Leave nothing behind on any exit, and use nothing of an earlier run')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Deadline for everything after the upload, such as 90m or 2h')
            [CompletionResult]::new('--poll-interval', '--poll-interval', [CompletionResultType]::ParameterName, 'Pause between two questions to the cloud, such as 15s')
            [CompletionResult]::new('--no-wait', '--no-wait', [CompletionResultType]::ParameterName, 'Start the import, print its task id and leave')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Result on standard output')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that changes nothing, print the plan, upload nothing')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file [default: imgimport.toml in the current directory, if it exists]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: warnings and errors alone')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: steps and requests; twice: bodies, without secrets')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
