//! The facts as machines read them: null is not seen, `false` or an empty list not there.

use serde_json::{Value, json};

use super::{Architecture, Driver, Family, Guest, Kernel, Look, System, Volume};

impl Guest {
    /// One object; null where nothing was seen.
    pub fn to_json(&self) -> Value {
        json!({
            "family": self.family.map(|family| match family {
                Family::Linux => "linux",
                Family::Windows => "windows",
            }),
            "name": self.name(),
            "architecture": self.architecture.map(Architecture::name),
            "bios": self.bios,
            "uefi": self.uefi,
            "boot_loaders": self.loaders,
            "partitions": self.volumes.iter().map(volume).collect::<Vec<_>>(),
            "linux": self.system.as_ref().map(system),
            "not_read": self.troubles,
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
        "id": system.os.here().map(|os| &os.id),
        "version": system.os.here().map(|os| &os.version),
        "kernels": system.kernels.here().map(|kernels| kernels.iter().map(kernel).collect::<Vec<_>>()),
        "cloud_init": match &system.cloud_init {
            Look::Here(found) => json!({"version": found.version, "data_sources": found.data_sources, "disabled": found.disabled}),
            other => json!(other.is_here()),
        },
        "dhcp": system.network.here().map(|network| network.dhcp),
        "ssh_server": system.sshd.is_here(),
        "unstable_devices": system.unstable_devices(),
        "free": system.free,
    })
}

fn kernel(kernel: &Kernel) -> Value {
    let place = |driver: &Driver| match driver {
        Driver::Builtin => "built-in",
        Driver::Initramfs => "initramfs",
        Driver::Module => "module",
        Driver::Absent => "absent",
        Driver::Unclear => "module, initramfs not read",
    };
    let drivers = kernel.drivers.as_ref().map(|drivers| {
        drivers
            .iter()
            .map(|(name, driver)| ((*name).to_owned(), json!(place(driver))))
            .collect::<serde_json::Map<_, _>>()
    });
    json!({"version": kernel.version, "drivers": drivers})
}
