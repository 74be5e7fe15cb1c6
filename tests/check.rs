//! `imgimport check`, and the same look before every import, on systems made for it.

use std::fs;
use std::path::Path;

use imgimport_sandbox::sample;
use serde_json::Value;

use crate::support::{Cmd, Output, TestEnv, TestSystem, find_tool};

/// What `imgimport check ARGS --output json` prints, and how it ended.
async fn check(env: &TestEnv, args: &str) -> (Value, Output) {
    let run = env
        .imgimport(&format!("check --output json {args}"))
        .output()
        .await;
    let value = serde_json::from_str(&run.stdout_raw).unwrap_or_default();
    (value, run)
}

/// `refused passwords: the user root has a password`, of everything that is not well.
fn failed_rules(findings: &Value) -> Vec<String> {
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = findings.as_array().into_iter().flatten();
    let ill = all.filter(|finding| !matches!(finding["level"].as_str(), Some("ok" | "unseen")));
    ill.map(|finding| {
        format!(
            "{} {}: {}",
            word(finding, "level"),
            word(finding, "rule"),
            word(finding, "text")
        )
    })
    .collect()
}

/// What the Marketplace says of a system.
#[track_caller]
fn marketplace(system: TestSystem, code: i32, expected: &[&str]) -> impl Future<Output = ()> {
    let here = std::panic::Location::caller();
    async move {
        let env = TestEnv::new().await;
        system.write(&env.path("disk.raw"));
        let (report, run) = check(&env, "--for digitalocean --marketplace disk.raw").await;
        run.stderr("");
        assert_eq!(
            failed_rules(&report["marketplace"]["findings"]),
            expected,
            "{here}"
        );
        assert_eq!(run.code, Some(code), "{here}");
    }
}

/// What a cloud says of a system.
#[track_caller]
fn cloud(name: &'static str, system: TestSystem, expected: &[&str]) -> impl Future<Output = ()> {
    let here = std::panic::Location::caller();
    async move {
        let env = TestEnv::new().await;
        system.write(&env.path("disk.raw"));
        let (report, run) = check(&env, &format!("--for {name} disk.raw")).await;
        run.stderr("");
        assert_eq!(
            failed_rules(&report["clouds"][0]["findings"]),
            expected,
            "{here}"
        );
        let refused = expected
            .iter()
            .any(|finding| finding.starts_with("refused"));
        assert_eq!(run.code, Some(if refused { 3 } else { 0 }), "{here}");
    }
}

#[tokio::test]
async fn a_clean_system_passes_every_cloud() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let run = env
        .imgimport("check --marketplace disk.raw")
        .env("COLUMNS", "80")
        .output()
        .await;
    run.code(0).stderr("").stdout(
        "
        disk.raw: raw disk, 400.0 MiB disk

          Data        FREE, the rest is zeros
          System      Debian GNU/Linux 12 (bookworm), x86_64
          Starts by   BIOS
          Disk        / (ext4) 399.0 MiB
          Kernel      6.1.0-50-cloud-amd64 with virtio, NVMe, ENA
          cloud-init  there
          Network     DHCP by ifupdown
          SSH server  there
          Free        FREE

        AWS: ok
          ✓ format and size, file system, processor, boot mode, kernel, free space,
            drivers, devices, network, ssh, cloud-init

        Alibaba Cloud: ok
          ✓ format and size, file system, processor, boot mode, virtio, nvme, devices,
            network, ssh, cloud-init

        DigitalOcean: ok
          ✓ format and size, file system, processor, boot mode, virtio, devices,
            network, ssh, cloud-init

        DigitalOcean Marketplace: ok
          ✓ os, cloud-init, firewall, logs, passwords, keys, histories, agent, host
            keys, instances, machine id, temporary, random seed
          ? updates: pending security updates can't be known without starting the system
        ",
    );
    assert!(
        env.cloud.requests_so_far().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn a_used_system_is_reported_with_its_leftovers() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with("etc/shadow", "root:$y$j9T$abc:19000:0:99999:7:::\n")
        .with("root/.ssh/authorized_keys", key())
        .with("root/.bash_history", "history\n".repeat(40))
        .with("var/log/syslog.1", "old");
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let run = env
        .imgimport("check --for digitalocean --marketplace disk.raw")
        .env("COLUMNS", "80")
        .output()
        .await;
    run.code(3).stderr("");
    let (_, page) = run.stdout.split_once("DigitalOcean Marketplace").unwrap();
    let expected = ": refused for 3 reasons, 1 warning
  ✗ passwords       the user root has a password [1]
                    → lock it: usermod -p '!' root
  ✗ keys            /root/.ssh/authorized_keys lets somebody in [1]
                    → remove it: rm /root/.ssh/authorized_keys
  ✗ histories       /root/.bash_history has 320 B [1]
                    → remove it: rm /root/.bash_history
  ! logs            log archive /var/log/syslog.1 [1]
                    → remove it: rm /var/log/syslog.1
  ✓ os, cloud-init, firewall, agent, host keys, instances, machine id,
    temporary, random seed
  ? updates: pending security updates can't be known without starting the system

[1] https://github.com/digitalocean/marketplace-partners/blob/master/scripts/99-img-check.sh
";
    assert_eq!(page, expected);
}

/// A public key, longer than what counts as none.
fn key() -> String {
    format!("ssh-ed25519 {} somebody\n", "A".repeat(68))
}

// The entries of the image check, one after the other.

#[tokio::test]
async fn entry_1_a_system_that_the_marketplace_does_not_take() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system.with(
        "etc/os-release",
        "NAME=\"Fedora Linux\"\nVERSION_ID=43\nID=fedora\n",
    );
    marketplace(
        system,
        3,
        &["refused os: the Marketplace takes no Fedora Linux"],
    )
    .await;
}

#[tokio::test]
async fn entry_2_a_version_that_the_marketplace_does_not_take() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system.with(
        "etc/os-release",
        "NAME=\"Ubuntu\"\nVERSION_ID=\"23.04\"\nID=ubuntu\n",
    );
    marketplace(
        system,
        3,
        &["refused os: the Marketplace takes no version 23.04 of Ubuntu"],
    )
    .await;
}

#[tokio::test]
async fn entry_3_no_cloud_init() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    marketplace(
        system.without("usr/bin/cloud-init"),
        3,
        &["refused cloud-init: cloud-init is not installed"],
    )
    .await;
}

#[tokio::test]
async fn entry_4_no_firewall_is_a_warning() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system.with("etc/ufw/ufw.conf", "ENABLED=no\n");
    marketplace(system, 0, &["warning firewall: no firewall is turned on"]).await;
}

#[tokio::test]
async fn entry_4_every_firewall_counts() {
    for unit in ["firewalld", "nftables", "csf"] {
        let Some(system) = TestSystem::debian() else {
            return;
        };
        let system = system.without("etc/ufw").with(
            &format!("etc/systemd/system/multi-user.target.wants/{unit}.service"),
            "",
        );
        marketplace(system, 0, &[]).await;
    }
}

#[tokio::test]
async fn entry_5_pending_updates_are_not_guessed() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let (report, _) = check(&env, "--for digitalocean --marketplace disk.raw").await;
    let findings = report["marketplace"]["findings"].as_array().unwrap();
    let updates = findings
        .iter()
        .find(|finding| finding["rule"] == "updates")
        .unwrap();
    assert_eq!(updates["level"], "unseen");
    assert_eq!(report["marketplace"]["version"], "1.8.1");
}

#[tokio::test]
async fn entry_6_archives_of_logs() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with("var/log/syslog.1", "")
        .with("var/log/messages-20260101", "")
        .with("var/log/apt/term.log.1", "")
        .with("var/log/cloud-init.log", "");
    let expected = [
        "warning logs: log archive /var/log/messages-20260101",
        "warning logs: log archive /var/log/syslog.1",
    ];
    marketplace(system, 0, &expected).await;
}

#[tokio::test]
async fn entry_7_logs_that_were_not_emptied() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let line = "x".repeat(51);
    let known = "*Watching /var/log/messages*: lfd.log Watching /var/log/messages\n".repeat(9);
    let system = system
        .with("var/log/dpkg.log", &line)
        .with("var/log/alternatives.log", &line[..50])
        .with("var/log/lfd.log", known)
        .with("var/log/apt.log/term", &line)
        .with("var/log/cpanel-install.log", &line);
    marketplace(system, 0, &["warning logs: /var/log/dpkg.log has 51 B"]).await;
}

#[tokio::test]
async fn entry_8_users_with_passwords() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\neve:x:1002:1002::/home/eve:/bin/sh\ncentos:x:1003:1003::/home/centos:/bin/sh\n";
    let shadow = "root:!:1::::::\nann:$6$x$y:1::::::\nbob:!$6$x$y:1::::::\neve::1::::::\ncentos:$6$x:1::::::\n";
    let system = system.with("etc/passwd", passwd).with("etc/shadow", shadow);
    let expected = [
        "refused passwords: the user ann has a password",
        "refused passwords: the user bob has a locked password, which the script counts as set",
        "refused passwords: the user eve has an empty password",
    ];
    marketplace(system, 3, &expected).await;
}

#[tokio::test]
async fn entries_9_to_12_files_in_users_ssh_directories() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/ann:/bin/sh\n";
    let system = system
        .with("etc/passwd", passwd)
        .with("etc/shadow", "root:*:1::::::\nann:!:1::::::\n")
        .with("srv/ann/.ssh/authorized_keys", key())
        .with("srv/ann/.ssh/id_rsa", "secret")
        .with("srv/ann/.ssh/id_ed25519", "secret")
        .with("srv/ann/.ssh/known_hosts", key())
        .with("srv/ann/.ssh/config", "");
    let expected = [
        "refused keys: /srv/ann/.ssh/authorized_keys lets somebody in",
        "refused keys: /srv/ann/.ssh/id_rsa is a private key",
        "warning keys: /srv/ann/.ssh/config lies among the keys",
        "warning keys: /srv/ann/.ssh/id_ed25519 lies among the keys",
        "warning keys: /srv/ann/.ssh/known_hosts names hosts",
    ];
    marketplace(system, 3, &expected).await;
}

#[tokio::test]
async fn entries_9_to_12_empty_files_are_accepted() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with("root/.ssh/authorized_keys", "# nobody\n")
        .with("root/.ssh/known_hosts", "")
        .with("root/.ssh/id_rsa", "");
    marketplace(
        system,
        0,
        &["warning keys: /root/.ssh/id_rsa is an empty private key"],
    )
    .await;
}

#[tokio::test]
async fn entry_13_histories_of_shells() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n";
    let system = system
        .with("etc/passwd", passwd)
        .with("home/ann/.bash_history", "x".repeat(200))
        .with("home/bob/.bash_history", "x".repeat(199));
    marketplace(
        system,
        3,
        &["refused histories: /home/ann/.bash_history has 200 B"],
    )
    .await;
}

#[tokio::test]
async fn entry_14_root_is_a_user_like_others() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with("etc/shadow", "root:$1$x:1::::::\n")
        .with("root/.ssh/id_rsa", "secret")
        .with("root/.bash_history", "x".repeat(200));
    let expected = [
        "refused passwords: the user root has a password",
        "refused keys: /root/.ssh/id_rsa is a private key",
        "refused histories: /root/.bash_history has 200 B",
    ];
    marketplace(system, 3, &expected).await;
}

#[tokio::test]
async fn entry_15_the_agent() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system.with("opt/digitalocean/bin/do-agent", "");
    marketplace(
        system,
        3,
        &["refused agent: /opt/digitalocean is there, DigitalOcean's agent"],
    )
    .await;
}

#[tokio::test]
async fn leftovers_that_the_cleanup_script_removes() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with("etc/ssh/ssh_host_rsa_key", "secret")
        .with("etc/ssh/ssh_host_rsa_key.pub", "public")
        .with("var/lib/cloud/instances/i-1/x", "")
        .with("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .with("tmp/x", "")
        .with("tmp/.X11-unix/x", "")
        .with("var/lib/systemd/random-seed", "seed");
    let expected = [
        "warning host keys: /etc/ssh/ssh_host_rsa_key and 1 more would be every machine's",
        "warning instances: /var/lib/cloud/instances/i-1 is cloud-init's memory of another machine",
        "warning machine id: /etc/machine-id would be every machine's",
        "warning temporary: /tmp/x was left behind",
        "warning random seed: /var/lib/systemd/random-seed would be every machine's",
    ];
    marketplace(system, 0, &expected).await;
}

// What the clouds make of systems.

#[tokio::test]
async fn data_sources_in_an_order_that_droplets_do_not_support() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system.with(
        "etc/cloud/cloud.cfg.d/90_dpkg.cfg",
        "datasource_list: [ NoCloud, ConfigDrive, None ]\n",
    );
    let trap = "warning cloud-init: cloud-init's datasource_list has NoCloud before ConfigDrive: a Droplet would not work properly";
    cloud("digitalocean", system, &[trap]).await;
}

#[tokio::test]
async fn data_sources_that_lack_the_clouds_own() {
    for (name, source) in [
        ("aws", "Ec2"),
        ("alicloud", "AliYun"),
        ("digitalocean", "ConfigDrive"),
    ] {
        let Some(system) = TestSystem::debian() else {
            return;
        };
        let system = system
            .with(
                "etc/cloud/cloud.cfg",
                "datasource_list: [ Ec2, AliYun, ConfigDrive ]\n",
            )
            .with(
                "etc/cloud/cloud.cfg.d/99.cfg",
                "datasource_list:\n- OpenStack\n",
            );
        cloud(
            name,
            system,
            &[&format!(
                "warning cloud-init: cloud-init's datasource_list has no {source}"
            )],
        )
        .await;
    }
}

#[tokio::test]
async fn devices_interfaces_and_kernels_that_another_machine_calls_otherwise() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")
        .with(
            "etc/network/interfaces",
            "auto ens33\niface ens33 inet dhcp\n",
        )
        .with(
            "lib/modules/7.7.7-custom/modules.builtin",
            "kernel/drivers/nvme/host/nvme.ko\n",
        )
        .with("boot/vmlinuz-7.7.7-custom", "");
    let expected = [
        "warning kernel: Debian GNU/Linux 12 (bookworm) with kernel 7.7.7-custom is not in AWS's list as of mid-2026, ImportImage may refuse it",
        "warning drivers: the kernel 7.7.7-custom has no ena where it is needed to start",
        "warning devices: fstab or the boot loader names /dev/sda1, which another machine calls otherwise",
        "warning network: the network is set up for ens33, which another machine calls otherwise",
    ];
    cloud("aws", system, &expected).await;
}

#[tokio::test]
async fn a_system_without_a_way_in() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .without("usr/sbin/sshd")
        .without("usr/bin/cloud-init")
        .with(
            "etc/network/interfaces",
            "iface eth0 inet static\naddress 10.0.0.2\n",
        );
    let expected = [
        "warning network: the network has a fixed address",
        "warning ssh: there is no SSH server",
        "warning cloud-init: there is no cloud-init: keys, names and passwords are not set in a new machine",
    ];
    cloud("alicloud", system, &expected).await;
}

#[tokio::test]
async fn a_system_for_arm_that_starts_by_uefi() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let Some(system) = system.built_for(183).for_uefi("EFI/BOOT/BOOTAA64.EFI") else {
        return;
    };
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let (report, _) = check(&env, "disk.raw").await;
    let found = &report["system"];
    assert_eq!(
        (&found["architecture"], &found["bios"], &found["uefi"]),
        (&"arm64".into(), &false.into(), &true.into())
    );
    assert_eq!(
        found["boot_loaders"],
        serde_json::json!(["EFI/BOOT/BOOTAA64.EFI"])
    );
    let said = |at: usize| failed_rules(&report["clouds"][at]["findings"]);
    assert_eq!(said(0), [""; 0]);
    assert_eq!(said(1), [""; 0]);
    assert_eq!(
        said(2),
        ["warning processor: it is built for arm64, Droplets have x86_64 processors"]
    );
}

#[tokio::test]
async fn a_boot_loader_that_a_new_machine_does_not_find() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let Some(system) = system.for_uefi("EFI/debian/grubx64.efi") else {
        return;
    };
    let trouble = "warning boot mode: the EFI system partition has no EFI/BOOT/BOOTX64.EFI, the loader that a new machine starts";
    cloud("aws", system, &[trouble]).await;
}

#[tokio::test]
async fn a_system_of_32_bits_is_refused_by_aws() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    cloud(
        "aws",
        system.built_for(3),
        &["refused processor: EC2 imports no systems for i386"],
    )
    .await;
}

/// The disk in another container, by qemu-img.
fn convert(env: &TestEnv, format: &str, to: &str) -> Option<()> {
    let path = find_tool("qemu-img", "qemu-utils")?;
    let (from, to) = (env.path("disk.raw"), env.path(to));
    let run = std::process::Command::new(path)
        .args(["convert", "-f", "raw", "-O", format])
        .arg(from)
        .arg(to)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    Some(())
}

#[tokio::test]
async fn a_system_is_inspected_in_every_container() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let (raw, _) = check(&env, "disk.raw").await;
    assert_eq!(raw["system"]["name"], "Debian GNU/Linux 12 (bookworm)");
    for (format, name) in [
        ("qcow2", "disk.qcow2"),
        ("vpc", "disk.vhd"),
        ("vhdx", "disk.vhdx"),
        ("vdi", "disk.vdi"),
        ("vmdk", "disk.vmdk"),
    ] {
        if convert(&env, format, name).is_none() {
            return;
        }
        let (inside, _) = check(&env, name).await;
        assert_eq!(inside["system"], raw["system"], "{name}");
    }
}

/// What the system's own tool prints, with this and the disk as its arguments.
fn judge(env: &TestEnv, (name, package): (&str, &str), args: &[&str]) -> Option<String> {
    let path = find_tool(name, package)?;
    let run = std::process::Command::new(path)
        .args(args)
        .current_dir(env.path(""))
        .output()
        .unwrap();
    Some(String::from_utf8_lossy(&run.stdout).into_owned())
}

#[tokio::test]
async fn the_systems_own_tools_see_the_same() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let Some(system) = system.for_uefi("EFI/BOOT/BOOTX64.EFI") else {
        return;
    };
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let (report, _) = check(&env, "disk.raw").await;
    let Some(table) = judge(&env, ("sfdisk", "fdisk"), &["--json", "disk.raw"]) else {
        return;
    };
    let table: Value = serde_json::from_str(&table).unwrap();
    let theirs = table["partitiontable"]["partitions"]
        .as_array()
        .unwrap()
        .iter();
    let theirs: Vec<_> = theirs
        .map(|part| [&part["start"], &part["size"]].map(|n| n.as_u64().unwrap() * 512))
        .collect();
    let ours = report["system"]["partitions"].as_array().unwrap().iter();
    let ours: Vec<_> = ours
        .map(|part| [&part["start"], &part["size"]].map(|n| n.as_u64().unwrap()))
        .collect();
    assert_eq!(ours, theirs);
    let root = format!("disk.raw?offset={}", ours[0][0]);
    let Some(about) = judge(&env, ("debugfs", "e2fsprogs"), &["-R", "stats", &root]) else {
        return;
    };
    let free = about
        .lines()
        .find_map(|line| line.strip_prefix("Free blocks:"))
        .unwrap();
    let free: u64 = free.trim().parse().unwrap();
    assert_eq!(report["system"]["linux"]["free"], free * 1024);
}

/// A disk with nothing known in its partition but this mark.
fn write_magic(env: &TestEnv, at: usize, mark: &[u8]) {
    let mut disk = sample::raw(4 << 20);
    let place = (1 << 20) + at;
    disk[place..place + mark.len()].copy_from_slice(mark);
    env.file("disk.raw", disk);
}

#[tokio::test]
async fn a_file_system_that_cannot_be_read_is_named() {
    for (name, at, mark) in [
        ("xfs", 0, &b"XFSB"[..]),
        ("btrfs", 65600, b"_BHRfS_M"),
        ("lvm", 512, b"LABELONE"),
        ("luks", 0, b"LUKS\xba\xbe"),
    ] {
        let env = TestEnv::new().await;
        write_magic(&env, at, mark);
        let (report, _) = check(&env, "disk.raw").await;
        assert_eq!(report["system"]["partitions"][0]["content"], name);
        assert_eq!(report["system"]["linux"], Value::Null);
    }
}

#[tokio::test]
async fn an_encrypted_disk_is_refused_where_the_import_looks_inside() {
    let env = TestEnv::new().await;
    write_magic(&env, 0, b"LUKS\xba\xbe");
    env.imgimport("aws --bucket importbucket disk.raw").output().await.code(3).stdout("").stderr(
        "
        error: AWS can't import a raw disk
          cause: a partition is encrypted (LUKS), ImportImage takes no encrypted volumes
          hint: import it with --method import-snapshot; or install the system without encryption, and let AWS encrypt: --ami-encrypt
        ",
    );
    let run = env.imgimport("aws --bucket importbucket --method import-snapshot -q disk.raw");
    run.output().await.code(0).stderr("");
}

#[tokio::test]
async fn bitlocker_is_encryption_too() {
    let env = TestEnv::new().await;
    write_magic(&env, 3, b"-FVE-FS-");
    let (report, _) = check(&env, "disk.raw").await;
    assert_eq!(report["system"]["partitions"][0]["content"], "bitlocker");
    for cloud in 0..3 {
        assert_eq!(report["clouds"][cloud]["verdict"], "refused", "{report}");
    }
    env.imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await
        .code(3)
        .stdout("")
        .stderr(
            "
        error: AWS can't import a raw disk
          cause: a partition is encrypted (BitLocker), ImportImage takes no encrypted volumes
          hint: turn BitLocker off in Windows first: manage-bde -off C:
        ",
        );
}

#[tokio::test]
async fn a_disk_with_4096_byte_sectors_is_rejected_by_every_cloud() {
    let env = TestEnv::new().await;
    let mut disk = sample::raw(4 << 20);
    disk[446..512].fill(0);
    disk[446 + 4] = 0x83;
    disk[446 + 8] = 128;
    disk[446 + 12] = 64;
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let ext = 128 * 4096 + 1080;
    disk[ext..ext + 2].copy_from_slice(&[0x53, 0xef]);
    env.file("disk.raw", disk);
    for command in ["check", "aws --bucket importbucket"] {
        env.imgimport(&format!("{command} disk.raw")).output().await.code(3).stdout("").stderr(
            "
            error: disk.raw cannot be imported
              cause: its partition table (MBR) is made for sectors of 4096 bytes, the disks of AWS, Alibaba Cloud and DigitalOcean have sectors of 512: nothing finds a partition there
              hint: make the disk again with sectors of 512 bytes: systemd-repart --sector-size=512, logical_block_size=512 in QEMU, or New-VHD -LogicalSectorSizeBytes 512
            ",
        );
    }
    assert!(
        env.cloud.requests_so_far().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn a_system_with_its_kernels_on_another_partition() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let system = system
        .with_boot_partition()
        .with("boot/initrd.img-6.1.0-50-cloud-amd64", "");
    let env = TestEnv::new().await;
    system.write(&env.path("disk.raw"));
    let (report, _) = check(&env, "disk.raw").await;
    let parts = report["system"]["partitions"].as_array().unwrap();
    let mounted: Vec<_> = parts.iter().map(|part| part["mounted"].as_str()).collect();
    assert_eq!(mounted, [Some("/"), Some("/boot")]);
    let drivers = &report["system"]["linux"]["kernels"][0]["drivers"];
    assert_eq!(
        drivers["ena"], "module",
        "the initramfs was read, and is empty"
    );
}

#[tokio::test]
async fn the_exit_code_depends_on_whether_a_cloud_accepts_the_image() {
    let env = TestEnv::new().await;
    env.file("disk.ova", sample::ova("disk", &sample::raw(2 << 20)));
    let check = |args: &str| env.imgimport(&format!("check {args} disk.ova")).output();
    check("--for alicloud").await.code(3);
    check("").await.code(0);
    check("--for alicloud,digitalocean").await.code(3);
    check("--for alicloud --for aws").await.code(0);
    let run = env
        .imgimport("check disk.ova")
        .env("IMGIMPORT_CHECK_FOR", "AliCloud");
    run.output().await.code(3);
    let run = env
        .imgimport("check disk.ova")
        .env("IMGIMPORT_CHECK_FOR", "ibm");
    run.output().await.code(2).stderr(
        "
        error: the variable IMGIMPORT_CHECK_FOR is wrong
          cause: \"ibm\" is not one of aws, alicloud, digitalocean
        ",
    );
    check("--for ibm").await.code(2);
    env.file(
        "imgimport.toml",
        "image = \"disk.ova\"\n[output]\nformat = \"json\"\n",
    );
    let run = env.imgimport("check --for alicloud").output().await;
    assert!(
        run.code(3).stdout.starts_with("{\"clouds\":"),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn a_format_that_aws_accepts_only_by_ebs_direct() {
    let env = TestEnv::new().await;
    env.file("disk.qcow2", sample::qcow2(2 << 20));
    let (report, run) = check(&env, "--for aws disk.qcow2").await;
    run.code(0);
    let reason = "warning format and size: ImportImage does not take it: AWS takes OVA, RAW, VHD, VHDX and stream-optimized VMDK";
    assert_eq!(failed_rules(&report["clouds"][0]["findings"]), [reason]);
    env.file("disk.xz", b"\xfd7zXZ\0");
    env.imgimport("check disk.xz").output().await.code(3);
}

#[tokio::test]
async fn an_unrecognized_disk_is_not_rejected() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env
        .imgimport("check --for aws disk.raw")
        .env("COLUMNS", "80")
        .output()
        .await;
    run.code(0).stderr("").stdout(
        "
        disk.raw: raw disk, 2.0 MiB disk

          Data        FREE, the rest is zeros
          System      not seen
          Starts by   BIOS
          Disk        unknown 1.0 MiB

        AWS: ok
          ✓ format and size
        ",
    );
}

#[tokio::test]
async fn standard_input_is_checked_by_its_head() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env
        .imgimport("check --for aws -")
        .stdin(&env.path("disk.raw"))
        .output()
        .await;
    run.code(0).stderr("").stdout(
        "
        -: raw disk

          System      not seen
          Starts by   BIOS
          Not read    standard input can't be read at any position

        AWS: ok
          ✓ format and size
        ",
    );
}

/// Bytes of the file system bent at random places: a look ends, and says something.
#[tokio::test]
async fn a_damaged_file_system_is_no_crash() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    let path = env.path("disk.raw");
    system.with_disk_size(8).write(&path);
    let sound = fs::read(&path).unwrap();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..25 {
        let mut disk = sound.clone();
        for _ in 0..400 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Tables and inodes lie at the front.
            let at = (1 << 20) + usize::try_from(random % (1 << 20)).unwrap();
            disk[at] = random.to_le_bytes()[7];
        }
        fs::write(&path, disk).unwrap();
        let run = env.imgimport("check --marketplace disk.raw").output().await;
        assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
        run.stderr("");
    }
}

/// A download that went wrong.
#[tokio::test]
async fn an_ova_with_another_disk_than_its_manifest_lists_is_refused_before_a_byte_leaves() {
    let env = TestEnv::new().await;
    let mut ova = sample::ova("disk", &sample::raw(2 << 20));
    let middle = ova.len() / 2;
    ova[middle] ^= 1;
    env.file("disk.ova", &ova);
    let refusal = "\
error: disk.ova cannot be imported
  cause: the OVA is damaged: disk.vmdk does not have the digest in disk.mf
  hint: copy, download or export it again
";
    let run = env.imgimport("check disk.ova").output().await;
    run.code(3).stdout("").stderr(refusal);
    let command = "aws --bucket importbucket disk.ova";
    let run = env.imgimport(command).output().await;
    run.code(3).stdout("").stderr(refusal);
    assert!(env.cloud.s3().objects().is_empty());
    let command = format!("{command} --skip-checks --dry-run");
    let run = env.imgimport(&command).output().await;
    run.code(0);
    assert!(
        run.stderr.starts_with(
            "warning: it is sent all the same (--skip-checks): disk.ova cannot be imported: the OVA is damaged: disk.vmdk does not have the digest in disk.mf\n"
        ),
        "{}",
        run.stderr
    );
}

// The same eyes before an import.

#[tokio::test]
async fn an_import_uses_the_detected_values_by_default() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    system.with_disk_size(8).write(&env.path("disk.raw"));
    let run = env
        .imgimport("aws --bucket importbucket disk.raw")
        .output()
        .await;
    assert_eq!(
        run.code(0).stderr.lines().take(3).collect::<Vec<_>>(),
        [
            "warning: FREE are free on the root file system, the import writes to it; leave 250 MiB free",
            "Taken from the image (Debian GNU/Linux 12 (bookworm)): platform Linux, architecture x86_64, boot mode legacy-bios",
            "disk.raw: raw disk, 8.0 MiB disk",
        ]
    );
    let request = &env.cloud.ec2().import_tasks()[0].request;
    let asked = ["Platform", "Architecture", "BootMode"].map(|name| request[name].as_str());
    assert_eq!(asked, ["Linux", "x86_64", "legacy-bios"]);
}

#[tokio::test]
async fn explicit_settings_override_detected_values() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    system.with_disk_size(8).write(&env.path("disk.raw"));
    let run = env.imgimport("aws --bucket importbucket --platform linux --architecture x86_64 --boot-mode uefi disk.raw");
    let run = run.output().await;
    assert_eq!(
        run.code(0).stderr.lines().take(3).collect::<Vec<_>>(),
        [
            "warning: FREE are free on the root file system, the import writes to it; leave 250 MiB free",
            "warning: --boot-mode is uefi, but the image does not start that way",
            "disk.raw: raw disk, 8.0 MiB disk",
        ]
    );
    assert_eq!(
        env.cloud.ec2().import_tasks()[0].request["BootMode"],
        "uefi"
    );
}

#[tokio::test]
async fn a_contradicting_setting_is_a_warning_in_every_cloud() {
    let Some(system) = TestSystem::debian() else {
        return;
    };
    let env = TestEnv::new().await;
    system.with_disk_size(8).write(&env.path("disk.raw"));
    let cloud = &env.cloud;
    cloud
        .spaces()
        .create_bucket_with_acls("importbucket", "nyc3");
    let doubts = async |run: Cmd<'_>| {
        let run = run.output().await;
        let lines = run.code(0).stderr.lines();
        let doubts = lines.filter(|line| line.contains(", but the "));
        doubts.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        doubts(env.imgimport("aws --bucket importbucket --architecture arm64 --dry-run disk.raw"))
            .await,
        ["warning: --architecture is arm64, but the system in the image is built for x86_64"]
    );
    assert_eq!(
        doubts(env.alicloud("alicloud --bucket packer --image-name web --platform Ubuntu --architecture arm64 --boot-mode UEFI --dry-run disk.raw")).await,
        [
            "warning: --platform is Ubuntu, but the image holds Debian GNU/Linux 12 (bookworm)",
            "warning: --architecture is arm64, but the system in the image is built for x86_64",
            "warning: --boot-mode is UEFI, but the image does not start that way",
        ]
    );
    let run = droplet(
        &env,
        &format!("{DROPLET} --distribution Fedora --dry-run disk.raw"),
    );
    assert_eq!(
        doubts(run).await,
        ["warning: --distribution is Fedora, but the image holds Debian"]
    );
    windows(&env.path("disk.raw"));
    assert_eq!(
        doubts(env.alicloud(
            "alicloud --bucket packer --image-name web --os-type linux --dry-run disk.raw"
        ))
        .await,
        ["warning: --os-type is linux, but the image holds Windows"]
    );
}

#[tokio::test]
async fn invalid_settings_are_reported_before_the_image() {
    let env = TestEnv::new().await;
    windows(&env.path("disk.raw"));
    let run = droplet(&env, &format!("{DROPLET} --part-size 1KiB disk.raw"));
    run.output().await.code(2).stdout("").stderr(
        "
        error: the part size 1KiB does not fit
          cause: the service takes parts of 5MiB to 5GB
        ",
    );
}

/// A disk as Windows leaves it: NTFS whose boot sector looks for BOOTMGR.
fn windows(path: &Path) {
    let mut disk = sample::raw(4 << 20);
    let sector = &mut disk[1 << 20..][..512];
    sector.fill(0);
    sector[3..11].copy_from_slice(b"NTFS    ");
    sector[400..412].copy_from_slice(b"BOOTMGR is m");
    fs::write(path, disk).unwrap();
}

const DROPLET: &str =
    "digitalocean --space importbucket --spaces-region nyc3 --image-name w --image-region nyc3";

/// In the environment of the sandbox's DigitalOcean.
fn droplet<'a>(env: &'a TestEnv, command: &str) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    variables
        .iter()
        .fold(env.imgimport(command), |run, (name, value)| {
            run.env(name, value)
        })
}

#[tokio::test]
async fn a_rejected_image_stops_the_import_before_any_request() {
    let env = TestEnv::new().await;
    windows(&env.path("disk.raw"));
    droplet(&env, &format!("{DROPLET} disk.raw"))
        .output()
        .await
        .code(3)
        .stdout("")
        .stderr(
            "
        error: DigitalOcean can't import a raw disk
          cause: DigitalOcean takes no Windows
          hint: import it into another cloud
        ",
        );
    assert!(
        env.cloud.requests_so_far().is_empty(),
        "nobody was asked anything"
    );
}

#[tokio::test]
async fn without_checks_it_goes_there_all_the_same_and_loudly() {
    let env = TestEnv::new().await;
    windows(&env.path("disk.raw"));
    env.file("disk.qcow2", sample::qcow2(2 << 20));
    let loud = |cloud: &str, why: &str| {
        format!(
            "warning: {cloud} refuses this image, and it goes there all the same (--skip-checks): {why}"
        )
    };
    let said = loud("DigitalOcean", "DigitalOcean takes no Windows");
    let run = droplet(&env, &format!("{DROPLET} --skip-checks --dry-run disk.raw"))
        .output()
        .await;
    assert!(run.stderr.starts_with(&said), "{}", run.stderr);
    assert_ne!(run.code, Some(3));
    let said = loud(
        "AWS",
        "AWS takes OVA, RAW, VHD, VHDX and stream-optimized VMDK",
    );
    let run = env
        .imgimport("aws --bucket importbucket --dry-run disk.qcow2")
        .env("IMGIMPORT_SKIP_CHECKS", "1");
    let run = run.output().await;
    assert!(run.code(0).stderr.starts_with(&said), "{}", run.stderr);
    env.file("imgimport.toml", "skip_checks = true\n");
    let run = env
        .imgimport("aws --bucket importbucket --dry-run disk.qcow2")
        .output()
        .await;
    let said = format!("Settings from imgimport.toml\n{said}");
    assert!(run.code(0).stderr.starts_with(&said), "{}", run.stderr);
}
