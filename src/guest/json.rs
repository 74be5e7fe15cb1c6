//! The facts as JSON: null means that the fact could not be determined, `false` or an empty
//! list that it is absent.

use serde_json::{Value, json};

use super::{Architecture, Driver, Guest, Kernel, Observed, OsFamily, System, Volume};

impl Guest {
    /// Returns one object; null where nothing could be determined.
    pub fn to_json(&self) -> Value {
        json!({
            "family": self.family.map(|family| match family {
                OsFamily::Linux => "linux",
                OsFamily::Windows => "windows",
            }),
            "name": self.name(),
            "architecture": self.architecture.map(Architecture::name),
            "bios": self.bios,
            "uefi": self.uefi,
            "boot_loaders": self.loaders,
            "partitions": self.volumes.iter().map(volume).collect::<Vec<_>>(),
            "linux": self.system.as_ref().map(system),
            "not_read": self.problems,
        })
    }
}

fn volume(volume: &Volume) -> Value {
    json!({
        "number": volume.partition.number,
        "start": volume.partition.start,
        "size": volume.partition.size,
        "content": volume.content.map(|content| content.name().to_lowercase()),
        "mounted": volume.mounted,
    })
}

fn system(system: &System) -> Value {
    json!({
        "id": system.os.present().map(|os| &os.id),
        "version": system.os.present().map(|os| &os.version),
        "kernels": system.kernels.present().map(|kernels| kernels.iter().map(kernel).collect::<Vec<_>>()),
        "cloud_init": match &system.cloud_init {
            Observed::Present(found) => json!({"version": found.version, "data_sources": found.data_sources, "disabled": found.disabled}),
            other => json!(other.is_present()),
        },
        "dhcp": system.network.present().map(|network| network.dhcp),
        "ssh_server": system.sshd.is_present(),
        "unstable_devices": system.unstable_devices(),
        "free": system.free,
    })
}

fn kernel(kernel: &Kernel) -> Value {
    let offset = |driver: &Driver| match driver {
        Driver::Builtin => "built-in",
        Driver::Initramfs => "initramfs",
        Driver::Module => "module",
        Driver::Absent => "absent",
        Driver::Unknown => "module, initramfs not read",
    };
    let drivers = kernel.drivers.as_ref().map(|drivers| {
        drivers
            .iter()
            .map(|(name, driver)| ((*name).to_owned(), json!(offset(driver))))
            .collect::<serde_json::Map<_, _>>()
    });
    json!({"version": kernel.version, "drivers": drivers})
}
