//! The firmware that a disk image requests or is prepared for.

/// The firmware that starts a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Efi,
}
