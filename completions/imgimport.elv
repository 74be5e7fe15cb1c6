
use builtin;
use str;

set edit:completion:arg-completer[imgimport] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'imgimport'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'imgimport'= {
            cand --config 'Settings file [default: imgimport.toml in the current directory, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand aws 'Import into Amazon Web Services: S3, EC2 import, AMI'
        }
        &'imgimport;aws'= {
            cand --region 'Region of the import; the bucket must lie there'
            cand --bucket 'Bucket that holds the image while it is imported; it must exist'
            cand --s3-bucket-name 'Bucket that holds the image while it is imported; it must exist'
            cand --key 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]'
            cand --s3-key-name 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]'
            cand --format 'Format of the image [default: detected]'
            cand --skip-clean 'Keep the temporary object'
            cand --delete-source 'Delete the local image after a successful import'
            cand --method 'How the image becomes an AMI'
            cand --ami-name 'Name of the AMI [default: the import task''s id]'
            cand --ami-description 'Description of the AMI'
            cand --tag 'Tag on the AMI and its snapshots (can be repeated)'
            cand --ami-users 'Account that may launch the AMI (can be repeated)'
            cand --ami-groups 'Group that may launch the AMI; AWS knows only `all` (can be repeated)'
            cand --ami-org-arns 'Organization that may launch the AMI (can be repeated)'
            cand --ami-ou-arns 'Organizational unit that may launch the AMI (can be repeated)'
            cand --ami-encrypt 'Encrypt the AMI''s snapshots'
            cand --ami-kms-key 'KMS key for the AMI''s snapshots [default: the account''s EBS key]'
            cand --s3-encryption 'Encryption of the temporary object'
            cand --s3-encryption-key 'KMS key for the temporary object, with --s3-encryption aws:kms'
            cand --license-type 'Whose licence the system runs under'
            cand --role-name 'Service role of the import [default: vmimport]'
            cand --architecture 'Processor architecture of the system [default: x86_64]'
            cand --boot-mode 'How the system boots [default: AWS looks]'
            cand --platform 'Family of the operating system [default: AWS looks]'
            cand --imds-support 'v2.0 makes every instance of the AMI require IMDSv2'
            cand --profile 'Profile of the AWS configuration files'
            cand --shared-credentials-file 'Credentials file to read instead of ~/.aws/credentials'
            cand --assume-role-arn 'Role to assume for the whole run'
            cand --external-id 'External id that the role''s trust policy asks for'
            cand --session-name 'Name of the assumed role''s session [default: imgimport]'
            cand --endpoint-url 'Endpoint for every service, such as a gateway''s'
            cand --max-retries 'How often a request that AWS could not answer is sent again [default: 4]'
            cand --concurrency 'Parts sent at the same time [default: chosen]'
            cand --part-size 'Size of a part, such as 16MiB [default: chosen from the image''s size]'
            cand --limit-rate 'Most bytes to send in a second, such as 20MB/s'
            cand --no-resume 'Leave nothing behind on any exit, and use nothing of an earlier run'
            cand --timeout 'Deadline for everything after the upload, such as 90m or 2h'
            cand --poll-interval 'Pause between two questions to the cloud, such as 15s'
            cand --no-wait 'Start the import, print its task id and leave'
            cand --output 'Result on standard output'
            cand --progress 'Progress on standard error'
            cand --dry-run 'Check everything that changes nothing, print the plan, upload nothing'
            cand --config 'Settings file [default: imgimport.toml in the current directory, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
