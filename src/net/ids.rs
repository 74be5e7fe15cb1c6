//! The form of the ids of a cloud's resources. Ids are checked where they come in, because they
//! end up in commands to paste, in requests, in the journal and on standard output.

/// The most characters after the prefix. AWS's ids have 8 or 17, those of ECS 20; no
/// specification says that they always will.
const LONGEST: usize = 64;

/// The most characters of an upload's id. S3's have about 130.
const LONGEST_UPLOAD: usize = 1024;

/// Whether the text is `prefix-` and then letters and digits, such as `ami-0123456789abcdef0`.
pub fn is_id(prefix: &str, text: &str) -> bool {
    let rest = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| {
        (1..=LONGEST).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether the text can be the id of a multipart upload, which is opaque: ASCII without blanks
/// and control characters.
pub fn is_upload(text: &str) -> bool {
    (1..=LONGEST_UPLOAD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_prefix_and_letters_and_digits() {
        assert!(is_id("m", "m-bp67acfmxazb4ph0aaaa"));
        assert!(is_id("import-ami", "import-ami-0123456789abcdef0"));
        for wrong in [
            "m-",
            "m",
            "",
            "t-bp1",
            "m-a b",
            "m-a;reboot",
            "m-$(id)",
            "m-a\n",
            "m-é",
        ] {
            assert!(!is_id("m", wrong), "{wrong:?}");
        }
        assert!(!is_id("m", &format!("m-{}", "a".repeat(65))));
        assert!(is_upload("2~abc.DEF_-=+/"));
        assert!(!is_upload("") && !is_upload("a b") && !is_upload("a\n") && !is_upload("é"));
    }
}
