//! Checks the IDs in AWS's responses before they are used: the interceptor that reads every
//! response calls it ([`super::requests`]), for every operation.

use std::fmt;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use crate::import::journal::Prefixes;
use crate::net::ids::is_id;

/// The forms of the ids.
pub const PREFIXES: Prefixes = Prefixes {
    task: &["import-ami", "import-snap"],
    image: &["ami"],
    snapshot: &["snap"],
};

/// An account's id has 12 digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An Amazon Resource Name has six parts, and no blanks or control characters.
fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
        && text.splitn(6, ':').count() == 6
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether the text fits this element of an answer of EC2, STS or IAM, or this member of one of
/// the EBS direct APIs. An element can be empty while there is no such thing yet.
fn fits(name: &str, text: &str) -> bool {
    let one_of = |prefixes: &[&str]| prefixes.iter().any(|prefix| is_id(prefix, text));
    text.is_empty()
        || match name {
            // Own lists hold kernels and RAM disks, too.
            "imageId" | "sourceImageId" => one_of(&["ami", "aki", "ari"]),
            "snapshotId" | "SnapshotId" => one_of(PREFIXES.snapshot),
            "importTaskId" => one_of(PREFIXES.task),
            "Account" => is_account(text),
            "Arn" => is_arn(text),
            _ => true,
        }
}

/// An answer with an id that does not have the form of its kind.
#[derive(Debug, Eq, PartialEq)]
pub struct Foreign(String);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the answer has an id that AWS does not give: {:?}",
            self.0
        )
    }
}

impl std::error::Error for Foreign {}

/// What is wrong with an answer of this service: the first id that does not have the form of
/// its kind. An answer that is not XML or JSON is for the SDK to refuse.
pub fn fault(service: &str, body: &[u8]) -> Option<Foreign> {
    let foreign = match service {
        "ec2" | "sts" | "iam" => in_xml(body),
        "ebs" => in_json(body),
        _ => None,
    };
    foreign.map(Foreign)
}

fn in_xml(body: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(body);
    let (mut name, mut text) = (String::new(), String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                start.local_name().as_ref().clone_into(&mut name);
                text.clear();
            }
            Event::Text(part) => text.push_str(&part),
            Event::CData(part) => text.push_str(&part),
            // An id needs no reference to a character.
            Event::GeneralRef(part) => {
                text.push('&');
                text.push_str(&part);
            }
            Event::End(_) => {
                if !fits(&name, text.trim()) {
                    return Some(text);
                }
                name.clear();
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn in_json(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let id = answer.get("SnapshotId")?.as_str()?;
    (!fits("SnapshotId", id)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_of_an_answer_has_its_form() {
        let ec2 = |element: &str, text: &str| {
            let body = format!(
                "<Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>x y</requestId>\
                 <set><item><{element}>{text}</{element}><name>a;b</name></item></set></Response>"
            );
            fault("ec2", body.as_bytes())
        };
        for (element, text) in [
            ("imageId", "ami-0123456789abcdef0"),
            ("imageId", "ami-12345678"),
            ("snapshotId", "snap-0123456789abcdef0"),
            ("snapshotId", ""),
            ("importTaskId", "import-ami-0123456789abcdef0"),
            ("importTaskId", "import-snap-ffgs0dp1"),
        ] {
            assert_eq!(ec2(element, text), None, "{element} {text}");
        }
        for (element, text) in [
            ("imageId", "ami-1;reboot"),
            ("imageId", "ami-1&#10;reboot"),
            ("imageId", "snap-12345678"),
            ("imageId", "<![CDATA[ami-1 $(id)]]>"),
            ("snapshotId", "--snapshot-ids"),
            ("importTaskId", "import-ami-"),
            ("importTaskId", "ami-12345678"),
        ] {
            let said = ec2(element, text).expect(text).to_string();
            assert!(said.starts_with("the answer has an id"), "{element} {text}");
            assert!(!said.contains(char::is_control));
        }
    }

    #[test]
    fn callers_roles_and_snapshots_have_theirs() {
        let caller = |account: &str, arn: &str| {
            let body =
                format!("<R><Arn>{arn}</Arn><UserId>U</UserId><Account>{account}</Account></R>");
            fault("sts", body.as_bytes()).is_none()
        };
        assert!(caller(
            "123456789012",
            "arn:aws:sts::123456789012:assumed-role/a/b@c"
        ));
        assert!(!caller("12345678901", "arn:aws:iam::123456789012:root"));
        assert!(!caller("123456789012", "arn:aws:iam::1:user/a b"));
        assert!(!caller("123456789012", "root"));
        assert_eq!(
            fault("ebs", br#"{"SnapshotId":"snap-0a","BlockSize":524288}"#),
            None
        );
        assert!(fault("ebs", br#"{"SnapshotId":"snap-0a;reboot"}"#).is_some());
    }
}
