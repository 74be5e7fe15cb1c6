//! The EFI system partition: its boot loaders, and the processors that they are for.

use super::Architecture;
use super::disk::DiskSlice;

/// The most directories that are read, and the most files of each.
const MAX_NAMES: usize = 500;

/// Returns the boot loaders as paths: `EFI/BOOT/BOOTX64.EFI`; `None` where the partition cannot
/// be read.
pub(super) fn loaders(slice: DiskSlice) -> Option<Vec<String>> {
    let files = fatfs::FileSystem::new(slice, fatfs::FsOptions::new()).ok()?;
    let root = files.root_dir();
    let Ok(efi) = root.open_dir("EFI") else {
        // The file system was readable, so a missing folder means that there is no boot loader.
        root.iter()
            .take(MAX_NAMES)
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        return Some(vec![]);
    };
    let mut found = vec![];
    for vendor in efi.iter().take(MAX_NAMES) {
        let vendor = vendor.ok()?;
        let name = vendor.file_name();
        if !vendor.is_dir() || name.starts_with('.') {
            continue;
        }
        collect_loaders(&vendor.to_dir(), &format!("EFI/{name}"), 1, &mut found)?;
    }
    found.sort();
    Some(found)
}

/// Collects the boot loaders of a directory. Windows stores its loader one level deeper, in
/// `EFI/Microsoft/Boot`.
fn collect_loaders(
    dir: &fatfs::Dir<DiskSlice>,
    path: &str,
    levels: u8,
    found: &mut Vec<String>,
) -> Option<()> {
    for entry in dir.iter().take(MAX_NAMES) {
        let entry = entry.ok()?;
        let name = entry.file_name();
        if entry.is_file() && name.to_ascii_lowercase().ends_with(".efi") {
            found.push(format!("{path}/{name}"));
        } else if entry.is_dir() && levels > 0 && !name.starts_with('.') {
            collect_loaders(
                &entry.to_dir(),
                &format!("{path}/{name}"),
                levels - 1,
                found,
            )?;
        }
    }
    Some(())
}

/// Returns the processor of the only loader that firmware starts by default (UEFI 2.10, table
/// 3.2); `None` where there is none, or one for each of several processors.
pub(super) fn architecture(loaders: &[String]) -> Option<Architecture> {
    let mut all = loaders.iter().filter_map(|path| fallback_loader(path));
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// Returns the processor that this path is the fallback loader of.
pub(super) fn fallback_loader(path: &str) -> Option<Architecture> {
    match path.to_ascii_uppercase().as_str() {
        "EFI/BOOT/BOOTX64.EFI" => Some(Architecture::X86_64),
        "EFI/BOOT/BOOTAA64.EFI" => Some(Architecture::Arm64),
        "EFI/BOOT/BOOTIA32.EFI" => Some(Architecture::I386),
        _ => None,
    }
}
