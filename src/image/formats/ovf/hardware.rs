//! The order in which a machine starts from its disks: by controller and address on it, from
//! the hardware section (DSP0243, "Virtual hardware description"; CIM's
//! ResourceAllocationSettingData). The order of the disk section is not the boot order.

use std::collections::HashMap;

use super::DiskRef;

/// The most devices that are read; a machine has some tens.
const MAX_ITEMS: usize = 10_000;

/// CIM "ResourceType": controllers in the order in which firmware looks for disks.
const IDE: u32 = 5;
const SCSI: u32 = 6;
const OTHER_STORAGE: u32 = 20;

/// The devices that were parsed, and the one that is being parsed.
#[derive(Default)]
pub(super) struct Hardware {
    devices: Vec<Device>,
    open: Option<Device>,
    text: String,
}

/// `Item`, and `StorageItem` of OVF 2.
#[derive(Default)]
struct Device {
    id: String,
    kind: u32,
    parent: String,
    /// The address of the controller itself.
    address: Option<u64>,
    /// The address on the controller.
    on_parent: Option<u64>,
    /// The host resource: `ovf:/disk/ID` or `ovf:/file/ID`.
    host: String,
}

/// The sort key of the disks: the kind of the controller, its address, its position in the
/// descriptor, the address on it, the disk's position in the descriptor.
type BootOrder = (u8, u64, usize, u64, usize);

impl Hardware {
    /// Processes the start of an element.
    pub(super) fn start(&mut self, name: &str) {
        self.text.clear();
        if matches!(name, "Item" | "StorageItem") {
            self.open = Some(Device::default());
        }
    }

    /// Processes text of the open element.
    pub(super) fn text(&mut self, text: &str) {
        if self.open.is_some() {
            self.text.push_str(text);
        }
    }

    /// Processes the end of an element.
    pub(super) fn end(&mut self, name: &str) {
        let Some(device) = &mut self.open else { return };
        let text = self.text.trim();
        match name {
            // "InstanceId" in OVF 0.9
            "InstanceID" | "InstanceId" => text.clone_into(&mut device.id),
            "ResourceType" => device.kind = text.parse().unwrap_or_default(),
            "Parent" => text.clone_into(&mut device.parent),
            "Address" => device.address = text.parse().ok(),
            "AddressOnParent" => device.on_parent = text.parse().ok(),
            "HostResource" => text.clone_into(&mut device.host),
            "Item" | "StorageItem" => {
                let device = self.open.take().unwrap_or_default();
                if self.devices.len() < MAX_ITEMS {
                    self.devices.push(device);
                }
            }
            _ => {}
        }
        self.text.clear();
    }

    /// Sorts the disks in boot order. A disk without a file cannot start a machine and comes
    /// last, after those that the hardware section does not name.
    pub(super) fn sort_by_boot_order(&self, disks: &mut [DiskRef]) {
        let mut controllers = HashMap::new();
        for (at, device) in self.devices.iter().enumerate() {
            controllers
                .entry(device.id.as_str())
                .or_insert((at, device));
        }
        let mut places: HashMap<(&str, &str), BootOrder> = HashMap::new();
        for (at, device) in self.devices.iter().enumerate() {
            if let Some(reference) = device.disk_reference() {
                let controller = controllers.get(device.parent.as_str()).copied();
                places
                    .entry(reference)
                    .or_insert_with(|| device.boot_order(at, controller));
            }
        }
        let location = |disk: &DiskRef| {
            let file = disk.file.as_deref().unwrap_or_default();
            let location = places.get(&("disk", disk.id.as_str()));
            location.or_else(|| places.get(&("file", file))).copied()
        };
        disks.sort_by_cached_key(|disk| {
            let location = location(disk);
            (disk.file.is_none(), location.is_none(), location)
        });
    }
}

impl Device {
    /// Returns whether the host resource is a disk or a file, and its ID.
    fn disk_reference(&self) -> Option<(&str, &str)> {
        let path = self.host.strip_prefix("ovf:").unwrap_or(&self.host);
        path.trim_start_matches('/').split_once('/')
    }

    fn boot_order(&self, at: usize, controller: Option<(usize, &Self)>) -> BootOrder {
        let on_parent = self.on_parent.unwrap_or(u64::MAX);
        let Some((controller_at, controller)) = controller else {
            return (u8::MAX, 0, 0, on_parent, at);
        };
        let kind = match controller.kind {
            IDE => 0,
            SCSI => 1,
            OTHER_STORAGE => 2,
            _ => 3,
        };
        let address = controller.address.unwrap_or(u64::MAX);
        (kind, address, controller_at, on_parent, at)
    }
}
