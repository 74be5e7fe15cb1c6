//! One reader for each format of a disk image.

pub mod archive;
pub mod ova;
pub mod ovf;
pub mod qcow2;
pub mod raw;
pub mod vdi;
pub mod vhd;
pub mod vhdx;
pub mod vmdk;
