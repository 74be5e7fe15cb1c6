use std::io::Write;

use sha2::Digest;

use super::*;
use crate::image::Image;
use crate::image::formats::{vhd, vmdk};
use crate::image::test_support::{
    copy_again, disk, fuzz_fields, open, refusal, refusal_text, unchecked, warnings,
};

const EXPORT: &str = "export the virtual machine again, with stream-optimized VMDK disks";
const SYSTEM: &str = "<VirtualSystem/>";
const FILE: &str = "<File id='f1' href='disk1.vmdk'/>";
const DISK: &str =
    "<Disk diskId='d1' fileRef='f1' capacity='8' capacityAllocationUnits='byte * 2^10'/>";

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(vec![]);
    for (name, bytes) in members {
        add(&mut tar, name, bytes.len() as u64, bytes);
    }
    tar.into_inner().unwrap()
}

fn add<W: Write>(tar: &mut tar::Builder<W>, name: &str, size: u64, bytes: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

fn ovf(body: &[&str]) -> Vec<u8> {
    format!(
        "<?xml version='1.0'?><Envelope>{}</Envelope>",
        body.concat()
    )
    .into_bytes()
}

fn with_disk(disk: &[u8]) -> Vec<u8> {
    tar(&[("a.ovf", &ovf(&[FILE, DISK, SYSTEM])), ("disk1.vmdk", disk)])
}

/// Returns the rejection of an OVA with this descriptor and one valid disk.
fn refused(body: &[&str]) -> String {
    refusal(&tar(&[
        ("a.ovf", &ovf(body)),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ]))
}

#[test]
fn the_first_disk_is_read_from_the_archive() {
    let second = "<File id='f2' href='two.vhd'/><Disk diskId='d2' fileRef='f2'/>";
    let raw: Vec<u8> = (0..4096_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let vhd = vhd::tests::fixed_vhd(&raw);
    let ova = tar(&[
        (
            "a.ovf",
            &ovf(&["<File id='f1' href='one.vhd'/>", DISK, second, SYSTEM]),
        ),
        ("two.vhd", &vhd::tests::fixed_vhd(&[0; 512])),
        ("one.vhd", &vhd),
    ]);
    assert_eq!(disk(&ova), (raw, vec![(0, 4096)]));
    let inside = disk(&with_disk(&vmdk::tests::vmware()));
    assert_eq!(inside, disk(&vmdk::tests::vmware()));
}

#[test]
fn an_ova_tells_its_disk_and_how_it_boots() {
    let image = open(&with_disk(&vmdk::tests::vmware())).unwrap();
    assert_eq!(
        image.describe(),
        "OVA with one stream-optimized VMDK, 8.0 KiB disk"
    );
    assert_eq!((image.boot.bios, image.boot.firmware), (Some(true), None));
    let disk = &image.disks[0];
    assert_eq!(
        (disk.name.as_str(), disk.offset),
        ("disk1.vmdk", Some(1536))
    );
    assert_eq!(disk.size, Some(vmdk::tests::vmware().len() as u64));
}

#[test]
fn efi_firmware_is_read_from_the_descriptor() {
    let system = "<VirtualSystem><Config key='firmware' value='efi'/></VirtualSystem>";
    let ova = tar(&[
        ("a.ovf", &ovf(&[FILE, DISK, system])),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ]);
    assert_eq!(
        open(&ova).unwrap().boot.only_firmware(),
        Some(Firmware::Efi)
    );
}

#[test]
fn several_disks_are_summed_and_blank_ones_counted() {
    let second = "<File id='f2' href='two.vhd'/>";
    let disks = "<Disk diskId='d2' fileRef='f2'/><Disk diskId='d3' capacity='1' capacityAllocationUnits='byte * 2^20'/>";
    let ova = tar(&[
        ("./A.OVF", &ovf(&[FILE, second, DISK, disks, SYSTEM])),
        ("./disk1.vmdk", &vmdk::tests::vmware()),
        ("./two.vhd", &vhd::tests::fixed_vhd(&[0; 4096])),
    ]);
    let image = open(&ova).unwrap();
    assert_eq!(image.virtual_size, Some(8192 + 4096 + (1 << 20)));
    assert_eq!(image.describe(), "OVA with 3 disks, 1.0 MiB in all");
    assert_eq!(
        (image.disks[2].size, &image.disks[2].content),
        (Some(0), &None)
    );
}

#[test]
fn a_pipe_has_the_descriptors_sizes() {
    let ova = with_disk(&vmdk::tests::vmware());
    let image = Image::from_head(&ova[..1200], None).unwrap();
    assert_eq!(image.describe(), "OVA with one disk, 8.0 KiB disk");
    assert_eq!((image.disks[0].offset, image.disks[0].size), (None, None));
    let image = Image::from_head(&ova[..2600], None).unwrap();
    assert_eq!(
        image.describe(),
        "OVA with one stream-optimized VMDK, 8.0 KiB disk"
    );
    assert_eq!(
        Image::from_head(&ova[..520], None).unwrap().describe(),
        "OVA"
    );
}

/// Returns a file of more than 8 GiB, most of it a hole, with the size in this form.
fn huge(pax: bool) -> Image {
    const SIZE: u64 = 9 << 30;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut tar = tar::Builder::new(file.reopen().unwrap());
    let descriptor = ovf(&[FILE, DISK, SYSTEM]);
    add(&mut tar, "a.ovf", descriptor.len() as u64, &descriptor);
    if pax {
        let size = SIZE.to_string();
        tar.append_pax_extensions([("size", size.as_bytes())])
            .unwrap();
    }
    add(
        &mut tar,
        "disk1.vmdk",
        if pax { 0 } else { SIZE },
        &vmdk::tests::stream(),
    );
    let mut out = tar.into_inner().unwrap();
    out.flush().unwrap();
    file.as_file().set_len(SIZE + (1 << 20)).unwrap();
    Image::open(file.path(), None).unwrap()
}

#[test]
fn members_over_8_gib_are_read_in_pax_and_gnu_form() {
    assert_eq!(huge(false).disks[0].size, Some(9 << 30));
    assert_eq!(huge(true).disks[0].size, Some(9 << 30));
}

#[test]
fn a_tar_without_descriptor_is_refused() {
    assert_eq!(
        refusal(&tar(&[("disk.raw", &[0; 512])])),
        refusal_text(
            "it is a tar archive, but no OVA: it has no OVF descriptor",
            "export the virtual machine as OVA, or unpack the archive and import the disk in it"
        )
    );
}

#[test]
fn a_cut_archive_is_refused() {
    let ova = with_disk(&vmdk::tests::vmware());
    assert_eq!(
        refusal(&ova[..4000]),
        copy_again(
            "the OVA is cut short: a file in it reaches to byte 8192, but only 4000 bytes are there"
        )
    );
}

#[test]
fn a_damaged_archive_is_refused() {
    let mut ova = with_disk(&vmdk::tests::vmware());
    ova[1024] ^= 1;
    assert_eq!(
        refusal(&ova),
        copy_again("the OVA is damaged: archive header checksum mismatch")
    );
    let members: Vec<(String, Vec<u8>)> = (0..1002).map(|i| (format!("{i}.ovf"), vec![])).collect();
    let members: Vec<(&str, &[u8])> = members
        .iter()
        .map(|(n, b)| (n.as_str(), b.as_slice()))
        .collect();
    assert_eq!(
        refusal(&tar(&members)),
        refusal_text(
            "the archive has more than 1000 files, which no OVA has",
            "pack only the descriptor and the disks that it names"
        )
    );
    let twice = [("a.ovf", &b""[..]), ("a.ovf", b"")];
    assert_eq!(
        refusal(&tar(&twice)),
        copy_again("the OVA is damaged: it has two files named a.ovf")
    );
}

#[test]
fn headers_without_end_are_refused() {
    let mut builder = tar::Builder::new(vec![]);
    let long = vec![b'x'; 9 << 20];
    builder
        .append_pax_extensions([("comment", long.as_slice())])
        .unwrap();
    add(&mut builder, "a.ovf", 0, b"");
    assert_eq!(
        refusal(&builder.into_inner().unwrap()),
        copy_again("the OVA is damaged: its headers never end")
    );
}

#[test]
fn a_descriptor_that_is_none_is_refused() {
    assert_eq!(
        refusal(&tar(&[("a.ovf", b"<Machine/>")])),
        copy_again("the descriptor a.ovf of the OVA can't be read: it has no Envelope")
    );
    assert_eq!(
        refusal(&tar(&[("a.ovf", &vec![b' '; 5 << 20])])),
        copy_again("a.ovf in the OVA has 5242880 bytes, which is no text")
    );
}

#[test]
fn one_virtual_machine_with_a_disk_it_must_be() {
    assert_eq!(
        refused(&[FILE, DISK]),
        refusal_text("the OVA describes no virtual machine", EXPORT)
    );
    assert_eq!(
        refused(&[FILE, DISK, SYSTEM, SYSTEM]),
        refusal_text(
            "the OVA describes 2 virtual machines, an image is made of one",
            "export each virtual machine on its own"
        )
    );
    assert_eq!(
        refused(&[FILE, SYSTEM]),
        refusal_text("the OVA has no disk", EXPORT)
    );
}

#[test]
fn chunked_and_compressed_files_are_refused() {
    assert_eq!(
        refused(&[
            "<File id='f1' href='disk1.vmdk' chunkSize='1000'/>",
            DISK,
            SYSTEM
        ]),
        refusal_text(
            "the OVA keeps disk1.vmdk in chunks, which no cloud takes",
            "export it again without chunks"
        )
    );
    let chunks = [
        ("a.ovf", ovf(&[FILE, DISK, SYSTEM])),
        ("disk1.vmdk.000000000", vmdk::tests::vmware()),
    ];
    assert_eq!(
        refusal(&tar(&chunks
            .each_ref()
            .map(|(name, bytes)| (*name, &bytes[..])))),
        refusal_text(
            "the OVA keeps disk1.vmdk in chunks, which no cloud takes",
            "export it again without chunks"
        )
    );
    assert_eq!(
        refused(&[
            "<File id='f1' href='disk1.vmdk' compression='gzip'/>",
            DISK,
            SYSTEM
        ]),
        refusal_text(
            "the OVA keeps disk1.vmdk compressed with gzip, which no cloud takes",
            "export it again without compression of the files"
        )
    );
}

#[test]
fn a_missing_referenced_file_is_rejected() {
    assert_eq!(
        refused(&["<File id='f1' href='other.vmdk'/>", DISK, SYSTEM]),
        copy_again("the OVA does not hold other.vmdk, the file of a disk")
    );
    assert_eq!(
        refused(&[
            "<File id='f1' href='https://example.com/a.vmdk'/>",
            DISK,
            SYSTEM
        ]),
        refusal_text(
            "the disk of the OVA lies elsewhere, at https://example.com/a.vmdk",
            "export the virtual machine again, with its disks inside the OVA"
        )
    );
    assert_eq!(
        refused(&[FILE, "<Disk diskId='d1' fileRef='f9'/>", SYSTEM]),
        copy_again("the disk d1 of the OVA is in a file \"f9\" that its descriptor does not have")
    );
    assert_eq!(
        refused(&[
            FILE,
            "<Disk diskId='d1' fileRef='f1' parentRef='d0'/>",
            SYSTEM
        ]),
        refusal_text(
            "the disk d1 of the OVA holds only what changed since its parent",
            EXPORT
        )
    );
}

const TAKE_OUT: &str = "import the disk on its own: tar -xf disk.img -- disk1.vmdk";

#[test]
fn a_disk_of_another_kind_is_refused() {
    assert_eq!(
        refusal(&with_disk(&[0; 1024])),
        refusal_text(
            "disk1.vmdk in the OVA: it is neither a VMDK nor a VHD",
            TAKE_OUT
        )
    );
    assert_eq!(
        refusal(&with_disk(b"\x1f\x8b\x08 and more")),
        refusal_text(
            "disk1.vmdk in the OVA: it is a gzip file, not a disk",
            TAKE_OUT
        )
    );
    assert_eq!(
        refusal(&with_disk(&vmdk::tests::sparse())),
        refusal_text(
            "disk1.vmdk in the OVA: the VMDK is not stream-optimized, as a disk in an OVA must be",
            &format!("{TAKE_OUT} && qemu-img convert -f vmdk -O raw disk1.vmdk disk1.raw")
        )
    );
    assert_eq!(
        refusal(&with_disk(b"# Disk DescriptorFile\n")),
        refusal_text(
            "disk1.vmdk in the OVA: the VMDK is only the descriptor, the disk itself lies in other files beside it",
            EXPORT
        )
    );
    let vmdk = vmdk::tests::vmware();
    assert_eq!(
        refusal(&with_disk(&vmdk[..vmdk.len() - 1024])),
        copy_again(
            "disk1.vmdk in the OVA: the VMDK is cut short: the footer and the end-of-stream marker at its end are missing"
        )
    );
}

fn with_manifest(manifest: &str) -> Vec<u8> {
    let descriptor = ovf(&[FILE, DISK, SYSTEM]);
    tar(&[
        ("a.ovf", &descriptor),
        ("a.mf", manifest.as_bytes()),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ])
}

#[test]
fn a_matching_manifest_is_reported() {
    let descriptor = ovf(&[FILE, DISK, SYSTEM]);
    let sha1 = hex::encode(sha1::Sha1::digest(&descriptor));
    let sha256 = hex::encode(sha2::Sha256::digest(&descriptor));
    for line in [
        format!("SHA1(a.ovf)= {sha1}"),
        format!("SHA256(a.ovf)= {sha256}"),
    ] {
        let ova = with_manifest(&format!("{line}\nSHA1(disk1.vmdk)= 00\n"));
        assert_eq!(open(&ova).unwrap().content, Content::Ova { manifest: true });
    }
}

#[test]
fn a_manifest_that_does_not_fit_is_refused() {
    for algorithm in ["SHA1", "SHA256", "SHA2-256", "SHA384", "SHA512", "MD5"] {
        let lines = format!("{algorithm}(a.ovf)= 00\n{algorithm}(disk1.vmdk)= 00\n");
        assert_eq!(
            refusal(&with_manifest(&lines)),
            refusal_text(
                "the OVA was changed after its export: a.ovf does not have the digest in a.mf",
                "export it again, or pack it again without the manifest if the change is meant"
            )
        );
    }
}

#[test]
fn a_file_missing_from_the_manifest_is_a_warning() {
    assert_eq!(
        warnings(&with_manifest("SHA3-256(a.ovf)= 00\n\nnonsense\n")),
        [
            "disk1.vmdk was not compared: the manifest a.mf does not list it",
            "a.ovf was not compared: its digest in a.mf is of the unknown algorithm SHA3-256",
            "1 line of the manifest a.mf can't be read",
        ]
    );
    assert_eq!(
        warnings(&with_manifest("")),
        ["a.ovf and disk1.vmdk were not compared: the manifest a.mf does not list them"]
    );
}

#[test]
fn output_of_real_exporters_is_accepted() {
    let vmdk = vmdk::tests::vmware();
    let hardware = "<VirtualSystem/>";
    let file = |href: &str| format!("<File id='f1' href='{href}'/>");
    for (href, member) in [
        ("my%20disk%20%281%29.vmdk", "my disk (1).vmdk"),
        ("my disk.vmdk", "my disk.vmdk"),
        ("./disk1.vmdk", "disk1.vmdk"),
        ("disk1.vmdk", "./disk1.vmdk"),
        ("J%C3%BCrgen.vmdk", "J\u{fc}rgen.vmdk"),
    ] {
        let ova = tar(&[
            ("a.ovf", &ovf(&[&file(href), DISK, hardware])),
            (member, &vmdk),
        ]);
        assert_eq!(warnings(&ova), Vec::<String>::new(), "{href}");
    }
    let folder = tar(&[
        ("vm/a.ovf", &ovf(&[&file("disk1.vmdk"), DISK, hardware])),
        ("vm/disk1.vmdk", &vmdk),
    ]);
    assert_eq!(open(&folder).unwrap().disks[0].name, "vm/disk1.vmdk");
    let old = "<Content type='ovf:VirtualSystem_Type'/>";
    let old = tar(&[("a.ovf", &ovf(&[FILE, DISK, old])), ("disk1.vmdk", &vmdk)]);
    assert!(open(&old).is_ok());
}

#[test]
fn a_file_of_no_disk_may_be_missing_or_lie_elsewhere() {
    let iso = "<File id='f2' href='http://example.com/a.iso' compression='gzip' chunkSize='9'/>";
    let nvram = "<File id='f3' href='a.nvram'/>";
    let ova = tar(&[
        ("a.ovf", &ovf(&[FILE, iso, nvram, DISK, SYSTEM])),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ]);
    assert_eq!(
        warnings(&ova),
        [
            "the descriptor of the OVA names http://example.com/a.iso, which is not inside",
            "the descriptor of the OVA names a.nvram, which is not inside",
        ]
    );
}

#[test]
fn a_size_that_the_descriptor_has_wrong_is_a_warning() {
    let file = "<File id='f1' href='disk1.vmdk' size='9999'/>";
    let ova = tar(&[
        ("a.ovf", &ovf(&[file, DISK, SYSTEM])),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ]);
    assert_eq!(
        warnings(&ova),
        ["disk1.vmdk in the OVA has 6656 bytes, its descriptor says 9999"]
    );
}

#[test]
fn a_descriptor_that_is_not_first_comes_with_a_repack_command() {
    let descriptor = ovf(&[FILE, DISK, SYSTEM]);
    let vmdk = vmdk::tests::vmware();
    assert_eq!(
        refusal(&tar(&[("disk1.vmdk", &vmdk), ("a.ovf", &descriptor)])),
        refusal_text(
            "the descriptor a.ovf is not the first file of the OVA, which AWS does not take",
            "pack it again: mkdir unpacked && tar -xf disk.img -C unpacked -- a.ovf disk1.vmdk && tar --format=ustar -cf disk.new.ova -C unpacked -- a.ovf disk1.vmdk"
        )
    );
    let hostile = tar(&[("--to-command=x", &vmdk), ("a.ovf", &descriptor)]);
    assert_eq!(
        refusal(&hostile),
        refusal_text(
            "the descriptor a.ovf is not the first file of the OVA, which AWS does not take",
            "unpack it, and pack it again in the ustar format of tar, the descriptor first"
        )
    );
    let sidecar = tar(&[
        ("._a.ovf", b"\0\x05\x16\x07"),
        ("a.ovf", &descriptor),
        ("disk1.vmdk", &vmdk),
    ]);
    assert_eq!(
        warnings(&sidecar),
        [
            "._a.ovf does not belong in an OVA; pack it again: mkdir unpacked && tar -xf disk.img -C unpacked -- a.ovf disk1.vmdk && tar --format=ustar -cf disk.new.ova -C unpacked -- a.ovf disk1.vmdk"
        ]
    );
}

#[test]
fn a_v7_tar_is_recognized_by_its_checksum() {
    let mut ova = with_disk(&vmdk::tests::vmware());
    for at in [0, 1024] {
        ova[at + 257..at + 265].fill(0);
        ova[at + 148..at + 156].fill(b' ');
        let sum: u32 = ova[at..at + 512].iter().map(|&byte| u32::from(byte)).sum();
        ova[at + 148..at + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    assert_eq!(open(&ova).unwrap().label(), "an OVA");
    ova[0] ^= 1;
    assert!(open(&ova).map_or(true, |image| image.label() != "an OVA"));
}

/// Returns an item of the hardware section: ID, type, controller, address, host resource.
fn item(id: u32, kind: u32, parent: u32, address: u32, host: &str) -> String {
    format!(
        "<Item><InstanceID>{id}</InstanceID><ResourceType>{kind}</ResourceType><Parent>{parent}</Parent>\
         <AddressOnParent>{address}</AddressOnParent><HostResource>{host}</HostResource></Item>"
    )
}

fn controller(id: u32, kind: u32, address: u32) -> String {
    format!(
        "<Item><Address>{address}</Address><rasd:InstanceID>{id}</rasd:InstanceID><ResourceType>{kind}</ResourceType></Item>"
    )
}

#[test]
fn the_boot_disk_is_chosen_by_the_virtual_hardware() {
    let files = "<File id='f1' href='one.vhd'/><File id='f2' href='two.vhd'/>";
    let disks = "<Disk diskId='d0' capacity='9'/><Disk diskId='d1' fileRef='f1'/><Disk diskId='d2' fileRef='f2'/>";
    let order = |items: &[String]| {
        let hardware = format!("<VirtualSystem>{}</VirtualSystem>", items.concat());
        let ova = tar(&[
            ("a.ovf", &ovf(&[files, disks, &hardware])),
            ("one.vhd", &vhd::tests::fixed_vhd(&[0; 512])),
            ("two.vhd", &vhd::tests::fixed_vhd(&[0; 1024])),
        ]);
        let names = |disk: Disk| disk.name;
        let disks = open(&ova).unwrap().disks.into_iter();
        disks.map(names).collect::<Vec<_>>()
    };
    let (scsi, ide) = (controller(3, 6, 0), controller(4, 5, 1));
    let (one, two) = ("ovf:/disk/d1", "/disk/d2");
    assert_eq!(order(&[]), ["one.vhd", "two.vhd", "d0"]);
    let on_one = [item(8, 17, 3, 5, one), item(9, 17, 3, 1, two), scsi.clone()];
    assert_eq!(order(&on_one), ["two.vhd", "one.vhd", "d0"]);
    let on_two = [
        ide,
        scsi.clone(),
        item(8, 17, 3, 0, one),
        item(9, 17, 4, 1, two),
    ];
    assert_eq!(order(&on_two), ["two.vhd", "one.vhd", "d0"]);
    let second = [
        controller(5, 6, 1),
        scsi,
        item(8, 17, 5, 0, one),
        item(9, 17, 3, 9, "ovf:/file/f2"),
    ];
    assert_eq!(order(&second), ["two.vhd", "one.vhd", "d0"]);
    assert_eq!(
        order(&[item(9, 17, 1, 0, two)]),
        ["two.vhd", "one.vhd", "d0"]
    );
}

#[test]
fn an_ova_with_only_blank_disks_is_rejected() {
    let blank = "<Disk diskId='d1' capacity='8'/>";
    assert_eq!(
        refused(&[FILE, blank, blank, SYSTEM]),
        refusal_text(
            "the OVA has only blank disks, no file with the data of one",
            "export the virtual machine again, with its disks"
        )
    );
}

#[test]
fn more_files_or_disks_than_any_machine_has_are_refused() {
    let files = "<File id='f' href='b'/>".repeat(1001);
    assert_eq!(
        refused(&[&files, SYSTEM]),
        copy_again("the descriptor a.ovf of the OVA can't be read: it names more than 1000 files")
    );
    let disks = "<Disk diskId='d' fileRef='f'/>".repeat(1001);
    assert_eq!(
        refused(&[FILE, &disks, SYSTEM]),
        copy_again("the descriptor a.ovf of the OVA can't be read: it names more than 1000 disks")
    );
    let attributes: Vec<_> = (0..300_000).map(|at| format!(" a{at}=''")).collect();
    let attributes = attributes.concat();
    let disk = format!("<Disk diskId='d1' fileRef='f1'{attributes}/>");
    let ova = tar(&[
        ("a.ovf", &ovf(&[FILE, &disk, SYSTEM])),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ]);
    assert!(open(&ova).is_ok());
}

#[test]
fn of_many_disks_some_are_looked_into() {
    let files: Vec<_> = (0..40)
        .map(|at| format!("<File id='f{at}' href='{at}.vhd'/>"))
        .collect();
    let disks: Vec<_> = (0..40)
        .map(|at| format!("<Disk diskId='d{at}' fileRef='f{at}'/>"))
        .collect();
    let vhd = vhd::tests::fixed_vhd(&[0; 512]);
    let names: Vec<_> = (0..40).map(|at| format!("{at}.vhd")).collect();
    let descriptor = ovf(&[&files.concat(), &disks.concat(), SYSTEM]);
    let mut members: Vec<(&str, &[u8])> = vec![("a.ovf", &descriptor)];
    members.extend(names.iter().map(|name| (name.as_str(), vhd.as_slice())));
    let ova = tar(&members);
    assert_eq!(
        warnings(&ova),
        ["only 32 disks of the OVA were looked into"]
    );
    let is_inspected = |disk: &&Disk| disk.content.is_some();
    assert_eq!(
        open(&ova)
            .unwrap()
            .disks
            .iter()
            .filter(is_inspected)
            .count(),
        32
    );
}

#[test]
fn without_checks_every_refusal_is_a_warning() {
    let two = tar(&[
        ("a.ovf", &ovf(&[FILE, DISK, SYSTEM, SYSTEM])),
        ("disk1.vmdk", &vmdk::tests::vmware()),
    ]);
    let image = unchecked(&two).unwrap();
    assert_eq!((image.label().as_str(), image.disks.len()), ("an OVA", 0));
    assert_eq!(
        image.warnings[0].text,
        "the image is imported all the same (--skip-checks): the OVA describes 2 virtual machines, an image is made of one"
    );
    assert!(unchecked(b"").is_err());
}

#[test]
fn no_ova_makes_it_panic() {
    fuzz_fields(
        &with_manifest("MD5(a.ovf)= 00\nMD5(disk1.vmdk)= 00\n"),
        4000,
    );
}
