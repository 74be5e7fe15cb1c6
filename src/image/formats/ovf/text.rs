//! Decodes the characters of an XML file (XML 1.0, appendix F): by its byte order mark, by the
//! form of its first character in two bytes, or by the declared encoding.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The first bytes, which contain the declaration.
const DECLARATION: usize = 200;

/// Returns the text; the error names an unknown encoding.
pub(super) fn decode(xml: &[u8]) -> Result<String, String> {
    let encoding = encoding(xml)?;
    let (text, used, wrong) = encoding.decode(xml);
    if used == UTF_8 && wrong {
        // Some writers declare nothing, or UTF-8, and write the characters of their system.
        return Ok(WINDOWS_1252.decode(xml).0.into_owned());
    }
    Ok(text.into_owned())
}

fn encoding(xml: &[u8]) -> Result<&'static Encoding, String> {
    match xml {
        [b'<', 0, ..] => return Ok(UTF_16LE),
        [0, b'<', ..] => return Ok(UTF_16BE),
        _ => {}
    }
    let head = String::from_utf8_lossy(&xml[..xml.len().min(DECLARATION)]);
    let declaration = head.split_once("?>").map_or("", |(head, _)| head);
    let Some((_, value)) = declaration.split_once("encoding") else {
        return Ok(UTF_8);
    };
    let value = value.trim_start().trim_start_matches('=').trim_start();
    let name = value.split(['"', '\'']).nth(1).unwrap_or_default();
    match Encoding::for_label(name.as_bytes()) {
        // The declaration was just read with one byte per character, so it cannot be UTF-16.
        Some(found) if found == UTF_16LE || found == UTF_16BE => Ok(UTF_8),
        Some(found) => Ok(found),
        None => Err(format!("its encoding {name:?} is not known")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let bytes = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_of_real_writers_is_read() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Jürgen</a>";
        for big in [false, true] {
            let bare = utf16(text, big);
            let marked = utf16(&format!("\u{feff}{text}"), big);
            assert_eq!(decode(&bare).unwrap(), text);
            assert_eq!(decode(&marked).unwrap(), text);
        }
        let marked = format!("\u{feff}{text}");
        assert_eq!(decode(marked.as_bytes()).unwrap(), text);
        let latin = b"<?xml version='1.0' encoding = 'ISO-8859-1'?><a>J\xfcrgen</a>";
        assert!(decode(latin).unwrap().contains("Jürgen"));
        assert!(decode(b"<a>J\xfcrgen</a>").unwrap().contains("Jürgen"));
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        let error = decode(b"<?xml version='1.0' encoding='EBCDIC-CP-US'?><a/>");
        assert_eq!(
            error.unwrap_err(),
            "its encoding \"EBCDIC-CP-US\" is not known"
        );
    }
}
