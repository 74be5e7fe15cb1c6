
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
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
            cand check 'Look into an image and say what each cloud would make of it'
            cand aws 'Import into Amazon Web Services: S3, EC2 import, AMI'
            cand alicloud 'Import into Alibaba Cloud: OSS, ECS import, ECS image'
            cand digitalocean 'Import into DigitalOcean: Spaces, custom image'
            cand run 'Run the imports of a file, some at a time'
            cand jobs 'List what unfinished runs have left, and remove it'
            cand from-packer 'Print the settings that a Packer template''s import blocks become'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'imgimport;check'= {
            cand --for 'Cloud to ask for (can be repeated) [default: all of them]'
            cand --marketplace 'Say what DigitalOcean''s Marketplace image check would say, too'
            cand --format 'Format of the image [default: detected]'
            cand --output 'What goes to standard output: text, a page to read, or json, one object'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;aws'= {
            cand --region 'Region of the import, where the bucket must lie [default: the profile''s]'
            cand --bucket 'Bucket that holds the image while it is imported; it must exist [default: none, for --method ebs-direct]'
            cand --s3-bucket-name 'Bucket that holds the image while it is imported; it must exist [default: none, for --method ebs-direct]'
            cand --bucket-owner 'Account that owns the bucket; requests are refused where another one does [default: the caller''s]'
            cand --key 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]'
            cand --s3-key-name 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]'
            cand --format 'Format of the image [default: detected]'
            cand --skip-clean 'Keep the temporary object'
            cand --delete-source 'Delete the local image after a successful import'
            cand --method 'How the image becomes an AMI [default: auto]'
            cand --ami-name 'Name of the AMI [default: the import task''s id, or one with the time in it]'
            cand --ami-description 'Description of the AMI'
            cand --tag 'Tag on the AMI and its snapshots (can be repeated)'
            cand --ami-users 'Account that may launch the AMI (can be repeated)'
            cand --ami-groups 'Group that may launch the AMI; AWS knows only `all` (can be repeated)'
            cand --ami-org-arns 'Organization that may launch the AMI (can be repeated)'
            cand --ami-ou-arns 'Organizational unit that may launch the AMI (can be repeated)'
            cand --public 'Let everybody launch the AMI, as `--ami-groups all` does'
            cand --share-snapshots 'Let the accounts make volumes of the AMI''s snapshots, too [default: true]'
            cand --deprecate-at 'When the AMI is deprecated: a moment such as 2030-01-01T00:00:00Z, or a time from now such as 90d or 2y'
            cand --copy-to 'Region to copy the AMI to (can be repeated)'
            cand --copy-kms-key 'KMS key of a region, for the copy there (can be repeated) [default: the region''s EBS key]'
            cand --ssm-parameter 'Parameter of Systems Manager that is to hold the AMI''s id, in each region the id there'
            cand --ami-encrypt 'Encrypt the AMI''s snapshots'
            cand --ami-kms-key 'KMS key for the AMI''s snapshots [default: the account''s EBS key]'
            cand --s3-encryption 'Encryption of the temporary object'
            cand --s3-encryption-key 'KMS key for the temporary object, with --s3-encryption aws:kms'
            cand --license-type 'Whose licence the system runs under'
            cand --role-name 'Service role of the import [default: vmimport]'
            cand --create-role 'Create or repair the service role where it is missing or wrong'
            cand --architecture 'Processor architecture of the system [default: x86_64]'
            cand --boot-mode 'How the system boots [default: AWS looks]'
            cand --platform 'Family of the operating system [default: AWS looks]'
            cand --imds-support 'v2.0 makes every instance of the AMI require IMDSv2'
            cand --tpm-support 'Trusted Platform Module of the AMI''s instances'
            cand --uefi-data 'File with the UEFI variables, as `aws ec2 get-instance-uefi-data` prints them'
            cand --volume-type 'Kind of the root volume [default: gp3, where AWS does not choose]'
            cand --volume-size 'Size of the root volume in GiB [default: what the image needs]'
            cand --root-device-name 'Name of the root device [default: /dev/sda1]'
            cand --profile 'Profile of the AWS configuration files'
            cand --shared-credentials-file 'Credentials file to read instead of ~/.aws/credentials'
            cand --assume-role-arn 'Role to assume for the whole run'
            cand --external-id 'External id that the role''s trust policy asks for'
            cand --session-name 'Name of the assumed role''s session [default: imgimport]'
            cand --endpoint-url 'Endpoint for every service, such as a gateway''s'
            cand --max-retries 'How often a request that AWS could not answer is sent again [default: 3]'
            cand --concurrency 'Parts sent at the same time [default: chosen]'
            cand --part-size 'Size of a part, such as 16MiB [default: chosen from the image''s size]'
            cand --limit-rate 'Most bytes to send in a second, such as 20MB/s [default: no limit]'
            cand --stall-timeout 'Silence after which a part is sent again on a fresh connection [default: 60s]'
            cand --no-resume 'Leave nothing behind on any exit, and use nothing of an earlier run'
            cand --timeout 'Deadline for everything after the upload, such as 90m or 2h [default: none]'
            cand --poll-interval 'Pause between two questions to the cloud, such as 15s'
            cand --no-wait 'Start the import, print its task id and leave'
            cand --output 'Result on standard output [default: text]'
            cand --progress 'Progress on standard error [default: auto]'
            cand --dry-run 'Check what can be checked, print the plan, change nothing'
            cand --skip-checks 'Import the image even where the look into it refuses it'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;alicloud'= {
            cand --region 'Region of the import, such as cn-beijing; the bucket must lie there [required]'
            cand --bucket 'Bucket that holds the image while it is imported; made (private) if it does not exist [required]'
            cand --oss-bucket-name 'Bucket that holds the image while it is imported; made (private) if it does not exist [required]'
            cand --key 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]'
            cand --oss-key-name 'Name of the temporary object [default: imgimport-{{timestamp}}.<ext>]'
            cand --format 'Format of the image [default: detected]'
            cand --skip-clean 'Keep the temporary object'
            cand --delete-source 'Delete the local image after a successful import'
            cand --image-name 'Name of the image [default: imgimport-{{timestamp}}]'
            cand --image-description 'Description of the image'
            cand --os-type 'Family of the operating system [default: linux]'
            cand --image-os-type 'Family of the operating system [default: linux]'
            cand --platform 'Distribution or release, such as Ubuntu or "Windows Server 2022" [default: Others Linux]'
            cand --image-platform 'Distribution or release, such as Ubuntu or "Windows Server 2022" [default: Others Linux]'
            cand --architecture 'Processor architecture of the system [default: x86_64]'
            cand --image-architecture 'Processor architecture of the system [default: x86_64]'
            cand --system-size 'Size of the system disk in GiB [default: what the image needs]'
            cand --image-system-size 'Size of the system disk in GiB [default: what the image needs]'
            cand --force-delete 'Replace an image of that name, once the new one is available'
            cand --image-force-delete 'Replace an image of that name, once the new one is available'
            cand --force-delete-snapshots 'Delete the replaced image''s snapshots, too'
            cand --boot-mode 'How the system boots [default: BIOS, UEFI where the disk has nothing else]'
            cand --license-type 'Whose licence the system runs under'
            cand --role-name 'RAM role of the import [default: AliyunECSImageImportDefaultRole]'
            cand --resource-group-id 'Resource group of the image [default: the account''s default group]'
            cand --image-family 'Image family, whose newest image can be asked for by the family''s name'
            cand --detection-strategy 'Let Alibaba Cloud examine the imported image'
            cand --tag 'Tag on the image, its copies and their snapshots (can be repeated)'
            cand --share-account 'Account that may use the image and its copies (can be repeated)'
            cand --image-share-account 'Account that may use the image and its copies (can be repeated)'
            cand --copy-to 'Region to copy the image to (can be repeated)'
            cand --image-copy-regions 'Region to copy the image to (can be repeated)'
            cand --copy-name 'Name of the copy, one for each region [default: the image''s name] (can be repeated)'
            cand --image-copy-names 'Name of the copy, one for each region [default: the image''s name] (can be repeated)'
            cand --encrypt-copies 'Encrypt the copies'
            cand --image-encrypted 'Encrypt the copies'
            cand --kms-key-id 'KMS key for the encrypted copies [default: ECS''s service key]'
            cand --kms-key-copy-id 'KMS key, one for each region of a copy (can be repeated)'
            cand --profile 'Profile of the aliyun CLI''s configuration'
            cand --shared-credentials-file 'Configuration to read instead of ~/.aliyun/config.json'
            cand --ram-role-name 'RAM role of the ECS instance that this runs on'
            cand --ram-role-arn 'Role to assume for the whole run'
            cand --ram-session-name 'Name of the assumed role''s session [default: imgimport]'
            cand --ecs-endpoint 'Endpoint of ECS, a URL or a host'
            cand --oss-endpoint 'Endpoint of OSS, a URL or a host: internal, accelerated or a custom domain'
            cand --ram-endpoint 'Endpoint of RAM, a URL or a host'
            cand --sts-endpoint 'Endpoint of STS, a URL or a host'
            cand --oss-path-style 'Put the bucket into the path instead of the host''s name'
            cand --oss-cname 'The OSS endpoint is a domain bound to the bucket'
            cand --max-retries 'How often a request that Alibaba Cloud could not answer is sent again [default: 12]'
            cand --concurrency 'Parts sent at the same time [default: chosen]'
            cand --part-size 'Size of a part, such as 16MiB [default: chosen from the image''s size]'
            cand --limit-rate 'Most bytes to send in a second, such as 20MB/s [default: no limit]'
            cand --stall-timeout 'Silence after which a part is sent again on a fresh connection [default: 60s]'
            cand --no-resume 'Leave nothing behind on any exit, and use nothing of an earlier run'
            cand --timeout 'Deadline for everything after the upload, such as 90m or 2h [default: none]'
            cand --poll-interval 'Pause between two questions to the cloud, such as 15s'
            cand --no-wait 'Start the import, print its task id and leave'
            cand --output 'Result on standard output [default: text]'
            cand --progress 'Progress on standard error [default: auto]'
            cand --dry-run 'Check what can be checked, print the plan, change nothing'
            cand --skip-checks 'Import the image even where the look into it refuses it'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;digitalocean'= {
            cand --spaces-region 'Region of the Space [required]'
            cand --space 'Space that holds the image while it is imported; it must exist [required]'
            cand --space-name 'Space that holds the image while it is imported; it must exist [required]'
            cand --bucket 'Space that holds the image while it is imported; it must exist [required]'
            cand --key 'Name of the temporary object [default: imgimport-{{timestamp}}-<32 random digits>.<ext>]'
            cand --space-object-name 'Name of the temporary object [default: imgimport-{{timestamp}}-<32 random digits>.<ext>]'
            cand --image-name 'Name of the image [required]'
            cand --image-description 'Description of the image'
            cand --distribution 'Distribution in the image, such as Debian or Ubuntu [default: Unknown]'
            cand --image-distribution 'Distribution in the image, such as Debian or Ubuntu [default: Unknown]'
            cand --image-region 'Region of the image: the first is imported to, the others by transfer (can be repeated) [required]'
            cand --image-regions 'Region of the image: the first is imported to, the others by transfer (can be repeated) [required]'
            cand --tag 'Tag on the image (can be repeated)'
            cand --image-tags 'Tag on the image (can be repeated)'
            cand --format 'Format of the image [default: detected]'
            cand --compression 'Compression on the way; DigitalOcean unpacks it [default: auto]'
            cand --object-access 'How DigitalOcean may read the temporary object [default: public-read]'
            cand --skip-clean 'Keep the temporary object, which can be read by everybody who knows its address'
            cand --delete-source 'Delete the local image after a successful import'
            cand --api-url 'Address of the API [default: https://api.digitalocean.com]'
            cand --spaces-endpoint 'Address of Spaces [default: https://{{.Region}}.digitaloceanspaces.com]'
            cand --http-retry-max 'Tries of a request after its first, when DigitalOcean is busy [default: 5]'
            cand --http-retry-wait-min 'Shortest pause before another try, in seconds [default: 1]'
            cand --http-retry-wait-max 'Longest pause that is chosen, in seconds; what DigitalOcean asks for is obeyed [default: 30]'
            cand --concurrency 'Parts sent at the same time [default: chosen]'
            cand --part-size 'Size of a part, such as 16MiB [default: chosen from the image''s size]'
            cand --limit-rate 'Most bytes to send in a second, such as 20MB/s [default: no limit]'
            cand --stall-timeout 'Silence after which a part is sent again on a fresh connection [default: 60s]'
            cand --no-resume 'Leave nothing behind on any exit, and use nothing of an earlier run'
            cand --timeout 'Deadline for everything after the upload, such as 90m or 2h [default: none]'
            cand --poll-interval 'Pause between two questions to the cloud, such as 15s'
            cand --no-wait 'Start the import, print its task id and leave'
            cand --output 'Result on standard output [default: text]'
            cand --progress 'Progress on standard error [default: auto]'
            cand --dry-run 'Check what can be checked, print the plan, change nothing'
            cand --skip-checks 'Import the image even where the look into it refuses it'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;run'= {
            cand --parallel 'Jobs at the same time [default: 2]'
            cand --output 'Result on standard output [default: text]'
            cand --progress 'Progress on standard error [default: auto]'
            cand --dry-run 'Check what can be checked, print the plans, change nothing'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;jobs'= {
            cand --output 'Result on standard output [default: text]'
            cand --progress 'Progress on standard error [default: auto]'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand --clean 'Remove the jobs, in the cloud, too'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;from-packer'= {
            cand --var 'Value of a variable of the template, as packer build -var sets it; may be given several times'
            cand --var-file 'File of values, *.hcl or *.json, as packer build -var-file reads it; may be given several times'
            cand --config 'Settings file [default: ./imgimport.toml, if it exists]'
            cand -q 'Say less: warnings and errors alone'
            cand --quiet 'Say less: warnings and errors alone'
            cand -v 'Say more: steps and requests; twice: bodies, without secrets'
            cand --verbose 'Say more: steps and requests; twice: bodies, without secrets'
            cand -h 'Print help: -h the short page, --help the long one'
            cand --help 'Print help: -h the short page, --help the long one'
            cand -V 'Print the version'
            cand --version 'Print the version'
        }
        &'imgimport;help'= {
            cand check 'Look into an image and say what each cloud would make of it'
            cand aws 'Import into Amazon Web Services: S3, EC2 import, AMI'
            cand alicloud 'Import into Alibaba Cloud: OSS, ECS import, ECS image'
            cand digitalocean 'Import into DigitalOcean: Spaces, custom image'
            cand run 'Run the imports of a file, some at a time'
            cand jobs 'List what unfinished runs have left, and remove it'
            cand from-packer 'Print the settings that a Packer template''s import blocks become'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'imgimport;help;check'= {
        }
        &'imgimport;help;aws'= {
        }
        &'imgimport;help;alicloud'= {
        }
        &'imgimport;help;digitalocean'= {
        }
        &'imgimport;help;run'= {
        }
        &'imgimport;help;jobs'= {
        }
        &'imgimport;help;from-packer'= {
        }
        &'imgimport;help;help'= {
        }
    ]
    var values = [
        &'imgimport;check;--for'=[aws alicloud digitalocean]
        &'imgimport;check;--format'=[raw vhd ova vmdk vhdx qcow2]
        &'imgimport;check;--output'=[text json]
        &'imgimport;aws;--region'=[af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-west-1 us-west-2]
        &'imgimport;aws;--format'=[raw vhd ova vmdk vhdx qcow2]
        &'imgimport;aws;--method'=[auto import-image import-snapshot ebs-direct]
        &'imgimport;aws;--copy-to'=[af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-west-1 us-west-2]
        &'imgimport;aws;--s3-encryption'=[AES256 aws:kms]
        &'imgimport;aws;--license-type'=[AWS BYOL]
        &'imgimport;aws;--architecture'=[i386 x86_64 arm64]
        &'imgimport;aws;--boot-mode'=[legacy-bios uefi uefi-preferred]
        &'imgimport;aws;--platform'=[linux windows]
        &'imgimport;aws;--imds-support'=[v2.0]
        &'imgimport;aws;--tpm-support'=[v2.0]
        &'imgimport;aws;--volume-type'=[gp3 gp2 standard]
        &'imgimport;aws;--output'=[text json]
        &'imgimport;aws;--progress'=[auto bar plain json none]
        &'imgimport;alicloud;--region'=[ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-3 ap-southeast-5 ap-southeast-6 ap-southeast-7 cn-beijing cn-chengdu cn-fuzhou cn-guangzhou cn-hangzhou cn-heyuan cn-hongkong cn-huhehaote cn-nanjing cn-qingdao cn-shanghai cn-shenzhen cn-wulanchabu cn-zhangjiakou eu-central-1 eu-west-1 me-central-1 me-east-1 na-south-1 us-east-1 us-west-1]
        &'imgimport;alicloud;--format'=[raw vhd ova vmdk vhdx qcow2]
        &'imgimport;alicloud;--os-type'=[linux windows]
        &'imgimport;alicloud;--image-os-type'=[linux windows]
        &'imgimport;alicloud;--architecture'=[i386 x86_64 arm64]
        &'imgimport;alicloud;--image-architecture'=[i386 x86_64 arm64]
        &'imgimport;alicloud;--boot-mode'=[BIOS UEFI]
        &'imgimport;alicloud;--license-type'=[Auto Aliyun BYOL]
        &'imgimport;alicloud;--detection-strategy'=[Standard]
        &'imgimport;alicloud;--copy-to'=[ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-3 ap-southeast-5 ap-southeast-6 ap-southeast-7 cn-beijing cn-chengdu cn-fuzhou cn-guangzhou cn-hangzhou cn-heyuan cn-hongkong cn-huhehaote cn-nanjing cn-qingdao cn-shanghai cn-shenzhen cn-wulanchabu cn-zhangjiakou eu-central-1 eu-west-1 me-central-1 me-east-1 na-south-1 us-east-1 us-west-1]
        &'imgimport;alicloud;--image-copy-regions'=[ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-3 ap-southeast-5 ap-southeast-6 ap-southeast-7 cn-beijing cn-chengdu cn-fuzhou cn-guangzhou cn-hangzhou cn-heyuan cn-hongkong cn-huhehaote cn-nanjing cn-qingdao cn-shanghai cn-shenzhen cn-wulanchabu cn-zhangjiakou eu-central-1 eu-west-1 me-central-1 me-east-1 na-south-1 us-east-1 us-west-1]
        &'imgimport;alicloud;--output'=[text json]
        &'imgimport;alicloud;--progress'=[auto bar plain json none]
        &'imgimport;digitalocean;--spaces-region'=[ams3 atl1 blr1 fra1 lon1 nyc1 nyc2 nyc3 ric1 sfo2 sfo3 sgp1 syd1 tor1]
        &'imgimport;digitalocean;--image-region'=[ams3 atl1 blr1 fra1 lon1 nyc1 nyc2 nyc3 ric1 sfo2 sfo3 sgp1 syd1 tor1]
        &'imgimport;digitalocean;--image-regions'=[ams3 atl1 blr1 fra1 lon1 nyc1 nyc2 nyc3 ric1 sfo2 sfo3 sgp1 syd1 tor1]
        &'imgimport;digitalocean;--format'=[raw vhd ova vmdk vhdx qcow2]
        &'imgimport;digitalocean;--compression'=[auto gzip none]
        &'imgimport;digitalocean;--object-access'=[public-read presigned]
        &'imgimport;digitalocean;--output'=[text json]
        &'imgimport;digitalocean;--progress'=[auto bar plain json none]
        &'imgimport;run;--output'=[text json]
        &'imgimport;run;--progress'=[auto bar plain json none]
        &'imgimport;jobs;--output'=[text json]
        &'imgimport;jobs;--progress'=[auto bar plain json none]
    ]
    var profiles = [
        &aws={ sh -c 'sed -n ''s/^\[\(profile \)\{0,1\}\([^] ]*\)\]$/\2/p'' "${AWS_CONFIG_FILE:-$HOME/.aws/config}" "${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}" 2>/dev/null | sort -u' | from-lines }
        &alicloud={ sh -c 'sed -n ''s/.*"name": *"\([^"]*\)".*/\1/p'' "$HOME/.aliyun/config.json" 2>/dev/null | sort -u' | from-lines }
    ]
    var asked = $command';'$words[-2]
    if (has-key $values $asked) {
        all $values[$asked]
    } elif (and (eq $words[-2] --profile) (has-key $profiles $words[1])) {
        $profiles[$words[1]]
    } else {
        if (has-key $completions $command) {
            $completions[$command]
        }
        if (not-eq $command imgimport) {
            edit:complete-filename $@words
        }
    }
}
