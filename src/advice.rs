//! Hints of the clouds' tables of help, with the run's own words where a table has a mark:
//! `{raw}`, `{qcow2}` and `{stream}` for the command that converts this image, `{file}` for
//! its name, and whatever else a cloud knows.

use crate::image::{Image, Source, conversion};
use crate::shell::quote_path;

/// The formats that a hint may want: mark, qemu-img's words, extension.
const CONVERSIONS: [(&str, &str, &str); 3] = [
    ("{raw}", "raw", "raw"),
    ("{qcow2}", "qcow2", "qcow2"),
    ("{stream}", "vmdk -o subformat=streamOptimized", "vmdk"),
];

/// The hint with its marks filled in.
pub fn filled(hint: &str, image: &Image, own: &[(&str, &str)]) -> String {
    let hint = CONVERSIONS
        .iter()
        .fold(hint.to_owned(), |hint, (mark, format, extension)| {
            hint.replace(mark, &conversion(image, format, extension))
        });
    let file = match &image.source {
        Source::File(path) => quote_path(path),
        Source::Stdin => "IMAGE".to_owned(),
    };
    own.iter()
        .fold(hint.replace("{file}", &file), |hint, (mark, word)| {
            hint.replace(mark, word)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Format;

    #[test]
    fn a_hint_can_be_pasted() {
        let mut image = Image::from_head(&[0; 4096], Some(Format::Raw)).expect("a raw disk");
        image.source = Source::File("my disk.vmdk".into());
        let said = |hint| filled(hint, &image, &[("{role}", "vmimport")]);
        assert_eq!(
            said("convert it: {stream}"),
            "convert it: qemu-img convert -O vmdk -o subformat=streamOptimized 'my disk.vmdk' 'my disk.new.vmdk'"
        );
        assert_eq!(
            said("let {role} read {file}"),
            "let vmimport read 'my disk.vmdk'"
        );
    }
}
