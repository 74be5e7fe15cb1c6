//! The UEFI variables of an image, such as Secure Boot's keys. EC2 requires them in base64, as
//! `aws ec2 get-instance-uefi-data` prints them.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// EC2 RegisterImage, "UefiData": the most characters.
const MAX_LENGTH: usize = 64_000;
/// How the store begins (github.com/awslabs/python-uefivars, `aws`).
const MAGIC: &[u8] = b"AMZNUEFI";

/// Reads such a file: the text, the command's whole JSON answer, or the store itself.
pub fn read(path: &Path) -> Result<String, String> {
    let bytes =
        fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    let text = encode(&bytes);
    let store = STANDARD.decode(&text).unwrap_or_default();
    if !store.starts_with(MAGIC) {
        return Err(format!(
            "{} has no UEFI data: write it with get-instance-uefi-data of the AWS CLI, or with uefivars -o aws",
            path.display()
        ));
    }
    if text.len() > MAX_LENGTH {
        return Err(format!(
            "{} has {} characters in base64, EC2 takes {MAX_LENGTH}",
            path.display(),
            text.len()
        ));
    }
    Ok(text)
}

fn encode(bytes: &[u8]) -> String {
    if bytes.starts_with(MAGIC) {
        return STANDARD.encode(bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let text = answer["UefiData"].as_str().unwrap_or(&text);
    text.split_whitespace().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vars");
        fs::write(&path, bytes).unwrap();
        read(&path).map_err(|why| why.replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn reads_text_json_and_binary_store() {
        let text = STANDARD.encode(b"AMZNUEFI and the rest");
        let wrapped = format!("{}\n{}\n", &text[..12], &text[12..]);
        let answer = format!(r#"{{"InstanceId": "i-1", "UefiData": "{text}"}}"#);
        for file in [
            wrapped.as_bytes(),
            answer.as_bytes(),
            b"AMZNUEFI and the rest",
        ] {
            assert_eq!(read_bytes(file), Ok(text.clone()));
        }
    }

    #[test]
    fn rejects_other_files() {
        let long = [MAGIC, &vec![7; 48_001]].concat();
        assert!(read_bytes(&long).unwrap_err().contains("EC2 takes 64000"));
        for file in [
            &b""[..],
            b"{}",
            b"QUJD",
            b"not base64",
            b"\xff\xfe",
            b"{\"UefiData\": 3}",
        ] {
            let why = read_bytes(file).unwrap_err();
            assert!(why.starts_with("FILE has no UEFI data"), "{why}");
        }
        assert!(
            read(Path::new("/nowhere/vars"))
                .unwrap_err()
                .contains("can't be read")
        );
    }
}
