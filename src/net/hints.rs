//! Hints of the clouds' tables of help, with the run's own words where a table has a mark:
//! `{raw}`, `{qcow2}` and `{stream}` for the command that converts this image, `{info}` for the
//! one that looks at it, `{file}` for its name, and whatever else a cloud knows.

use std::path::Path;

use crate::image::{Image, ImageSource, Target, conversion};
use crate::shell::Command;

/// The formats that a hint may want.
const CONVERSIONS: [(&str, Target); 3] = [
    ("raw", Target::Raw),
    ("qcow2", Target::Qcow2),
    ("stream", Target::StreamOptimized),
];

/// The hint with its marks filled in; `own` has the cloud's marks without their braces. What
/// is filled in is not looked through for marks.
pub fn fill_placeholders(hint: &str, image: &Image, placeholders: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = hint;
    while let Some((before, mark, after)) = next_mark(rest) {
        filled.push_str(before);
        match word(mark, image, placeholders) {
            Some(word) => filled.push_str(&word),
            None => filled.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    filled + rest
}

/// The text before the first mark, its name, and the text behind it.
fn next_mark(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (mark, after) = rest.split_once('}')?;
    Some((before, mark, after))
}

fn word(mark: &str, image: &Image, own: &[(&str, &str)]) -> Option<String> {
    if let Some((_, target)) = CONVERSIONS.iter().find(|(known, _)| *known == mark) {
        let by_hand = || "unpack it, and convert its disk with qemu-img".to_owned();
        let command = conversion(image, *target);
        return Some(command.map_or_else(by_hand, |command| command.to_string()));
    }
    let path = match &image.source {
        ImageSource::File(path) => path.as_path(),
        ImageSource::Stdin => Path::new("IMAGE"),
    };
    match mark {
        "info" => Some(Command::new("qemu-img info").file(path).to_string()),
        "file" => Some(path.display().to_string()),
        _ => {
            let (_, word) = own.iter().find(|(known, _)| *known == mark)?;
            Some((*word).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Format;

    #[test]
    fn a_hint_can_be_pasted() {
        let mut image = Image::from_head(&[0; 4096], Some(Format::Raw)).expect("a raw disk");
        image.source = ImageSource::File("my disk.vmdk".into());
        let fill = |hint| fill_placeholders(hint, &image, &[("role", "vmimport")]);
        assert_eq!(
            fill("convert it: {stream}"),
            "convert it: qemu-img convert -f raw -O vmdk -o subformat=streamOptimized 'my disk.vmdk' 'my disk.new.vmdk'"
        );
        assert_eq!(
            fill("let {role} read {file}"),
            "let vmimport read my disk.vmdk"
        );
    }
}
