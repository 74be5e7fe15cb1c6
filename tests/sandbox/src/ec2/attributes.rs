//! Sharing and describing: ModifyImageAttribute, ModifySnapshotAttribute, and reading them.

use super::images::{invalid_value, no_image};
use super::model::Permission;
use super::snapshots::no_snapshot;
use super::{Call, document, success_document};
use crate::fault::ApiError;
use crate::query::{Answer, Query};
use crate::xml::Xml;

/// A kind of grantee: its name in the new form, in the old form's lists, and in answers.
const GRANTEES: [(&str, &str, &str); 4] = [
    ("UserId", "UserId", "userId"),
    ("Group", "UserGroup", "group"),
    ("OrganizationArn", "OrganizationArn", "organizationArn"),
    (
        "OrganizationalUnitArn",
        "OrganizationalUnitArn",
        "organizationalUnitArn",
    ),
];

/// What a request adds and removes.
#[derive(Default)]
struct Change {
    add: Vec<Permission>,
    remove: Vec<Permission>,
}

impl Change {
    /// Reads `LaunchPermission.Add.1.UserId`, or `OperationType=add` with `UserId.1`.
    fn read(query: &Query, name: &str) -> Result<Self, ApiError> {
        let mut change = Self {
            add: parse_permissions(query, &format!("{name}.Add"))?,
            remove: parse_permissions(query, &format!("{name}.Remove"))?,
        };
        let old = GRANTEES.iter().flat_map(|(_, list, kind)| {
            let values = query.list(list).into_iter();
            values.map(|value| Permission { kind, value })
        });
        let old: Vec<_> = old.collect();
        match query.get("OperationType") {
            Some("remove") => change.remove.extend(old),
            Some("add") => change.add.extend(old),
            _ if old.is_empty() => {}
            _ => {
                return Err(ApiError::new(
                    400,
                    "MissingParameter",
                    "OperationType is missing",
                ));
            }
        }
        for permission in change.add.iter().chain(&change.remove) {
            check(permission)?;
        }
        Ok(change)
    }

    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    fn apply(self, permissions: &mut Vec<Permission>) {
        permissions.retain(|permission| !self.remove.contains(permission));
        for permission in self.add {
            if !permissions.contains(&permission) {
                permissions.push(permission);
            }
        }
    }
}

fn parse_permissions(query: &Query, name: &str) -> Result<Vec<Permission>, ApiError> {
    let grants = query.structs(name).into_iter().map(|grant| {
        let mut named = GRANTEES
            .iter()
            .filter_map(|(field, _, kind)| Some((kind, grant.get_owned(field)?)));
        match (named.next(), named.next()) {
            (Some((kind, value)), None) => Ok(Permission { kind, value }),
            _ => Err(ApiError::new(
                400,
                "InvalidParameterCombination",
                "A grant names one grantee",
            )),
        }
    });
    grants.collect()
}

fn check(permission: &Permission) -> Result<(), ApiError> {
    let value = &permission.value;
    let valid = match permission.kind {
        "userId" => value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()),
        "group" => value == "all",
        "organizationArn" => {
            value.starts_with("arn:aws:organizations::") && value.contains(":organization/")
        }
        _ => value.starts_with("arn:aws:organizations::") && value.contains(":ou/"),
    };
    if valid {
        return Ok(());
    }
    let text = format!("Invalid {} {value}", permission.kind);
    let malformed = permission.kind == "userId";
    let code = if malformed {
        "InvalidUserID.Malformed"
    } else {
        "InvalidParameterValue"
    };
    Err(ApiError::new(400, code, text))
}

impl Call<'_> {
    /// One attribute a call.
    pub(super) fn modify_image_attribute(&self) -> Answer {
        let query = self.query;
        let id = query.required("ImageId")?;
        let change = Change::read(query, "LaunchPermission")?;
        let value = |name: &str| {
            let old = query
                .get_owned("Value")
                .filter(|_| query.get("Attribute") == Some(name));
            query
                .get_owned(&format!("{}{}.Value", name[..1].to_uppercase(), &name[1..]))
                .or(old)
        };
        let (description, imds) = (value("description"), value("imdsSupport"));
        let given = [!change.is_empty(), description.is_some(), imds.is_some()];
        match given.iter().filter(|given| **given).count() {
            1 => {}
            0 => {
                return Err(ApiError::new(
                    400,
                    "MissingParameter",
                    "No attributes specified.",
                ));
            }
            _ => {
                let text = "Fields for multiple attribute types specified";
                return Err(ApiError::new(400, "InvalidParameterCombination", text));
            }
        }
        if imds.as_ref().is_some_and(|value| value != "v2.0") {
            return Err(invalid_value(
                "Invalid value for imdsSupport: only v2.0 is possible",
            ));
        }
        self.check_public(&change)?;
        self.region(|region| {
            let image = region.images.get_mut(id).ok_or_else(|| no_image(id))?;
            change.apply(&mut image.launch_permissions);
            image.description = description.or(image.description.take());
            image.imds_support = imds.or(image.imds_support.take());
            Ok(success_document("ModifyImageAttribute"))
        })
    }

    fn check_public(&self, change: &Change) -> Result<(), ApiError> {
        let blocked = self.world.ec2.state().blocked.contains(self.region);
        if blocked
            && change
                .add
                .iter()
                .any(|permission| permission.kind == "group")
        {
            let text = "You can't publicly share this image because block public access is enabled for this account.";
            return Err(ApiError::new(400, "OperationNotPermitted", text));
        }
        Ok(())
    }

    pub(super) fn modify_snapshot_attribute(&self) -> Answer {
        let id = self.query.required("SnapshotId")?;
        let change = Change::read(self.query, "CreateVolumePermission")?;
        if !change.add.is_empty() && !change.remove.is_empty() {
            let text = "Permissions are added or removed, not both";
            return Err(ApiError::new(400, "InvalidParameterCombination", text));
        }
        if change.is_empty() {
            return Err(ApiError::new(
                400,
                "MissingParameter",
                "No attributes specified.",
            ));
        }
        self.region(|region| {
            let snapshot = region
                .snapshots
                .get_mut(id)
                .ok_or_else(|| no_snapshot(id))?;
            let public = change
                .add
                .iter()
                .any(|permission| permission.kind == "group");
            if snapshot.kms.encrypted && (public || snapshot.kms.key_id.is_none()) {
                let text = format!(
                    "Encrypted snapshot {id} with the default key or for everybody cannot be shared"
                );
                return Err(ApiError::new(400, "OperationNotPermitted", text));
            }
            change.apply(&mut snapshot.permissions);
            Ok(success_document("ModifySnapshotAttribute"))
        })
    }

    pub(super) fn describe_image_attribute(&self) -> Answer {
        let id = self.query.required("ImageId")?;
        let attribute = self.query.required("Attribute")?;
        self.region(|region| {
            let image = region.images.get(id).ok_or_else(|| no_image(id))?;
            let value = match attribute {
                "launchPermission" => None,
                "description" => image.description.clone(),
                "imdsSupport" => image.imds_support.clone(),
                "bootMode" => image.boot_mode.clone(),
                other => return Err(invalid_value(format!("Invalid attribute {other}"))),
            };
            Ok(document("DescribeImageAttribute", |xml| {
                xml.text("imageId", id);
                if attribute == "launchPermission" {
                    write_permissions(xml, attribute, &image.launch_permissions);
                } else {
                    xml.element(attribute, |xml| {
                        xml.optional("value", value);
                    });
                }
            }))
        })
    }

    pub(super) fn describe_snapshot_attribute(&self) -> Answer {
        let id = self.query.required("SnapshotId")?;
        self.region(|region| {
            let snapshot = region.snapshots.get(id).ok_or_else(|| no_snapshot(id))?;
            Ok(document("DescribeSnapshotAttribute", |xml| {
                xml.text("snapshotId", id);
                write_permissions(xml, "createVolumePermission", &snapshot.permissions);
            }))
        })
    }
}

fn write_permissions(xml: &mut Xml, name: &str, permissions: &[Permission]) {
    xml.items(name, permissions, |xml, permission| {
        xml.text(permission.kind, &permission.value);
    });
}
