//! Columns of a terminal: what fits into a line, and what must not be in one.

/// How many columns the text takes; signs of East Asia take two, colours none.
pub(super) fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Keeps a line a line, whatever stands in it.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    console::truncate_str(text, columns, "…").into_owned()
}

/// Programs whose commands are shown for people to copy.
const PROGRAMS: [&str; 7] = [
    "aliyun",
    "aws",
    "chmod",
    "doctl",
    "imgimport",
    "qemu-img",
    "tar",
];

/// Breaks lines between words; what comes after a break is indented. What is longer than
/// a line is left to the terminal, which knows that it belongs together; so is a command.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| wrap_line(line, columns))
        .collect();
    lines.join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len() + 2;
    let (prose, command) = line.split_at(command_start(line).unwrap_or(line.len()));
    let words = prose.strip_suffix(' ').unwrap_or(prose).split(' ');
    let words = words.map(|word| (word, false));
    let (mut wrapped, mut used) = (String::new(), 0);
    for (at, (word, own)) in words
        .chain((!command.is_empty()).then_some((command, true)))
        .enumerate()
    {
        let wide = width(word);
        let helps = own || indent + wide <= columns;
        if at > 0 && helps && used + 1 + wide > columns {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            used = indent;
        } else if at > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += wide;
    }
    wrapped
}

/// Where a command begins.
fn command_start(line: &str) -> Option<usize> {
    let ends = line.match_indices(": ").map(|(at, colon)| at + colon.len());
    let mut starts = ends.filter(|&at| {
        let first = line[at..].split(' ').next().unwrap_or_default();
        PROGRAMS.contains(&first)
    });
    starts.next()
}

/// What a cloud says, or a file is called, must not move the cursor of the terminal that
/// shows it, nor turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    text.trim_end()
        .chars()
        .filter(|&c| c == '\n' || c == '\t' || !is_invisible(c))
        .collect::<String>()
        .replace('\t', "    ")
}

/// For places with room for one line.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control characters, separators of lines, and marks of direction (Unicode UAX 9).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_its_display_width() {
        assert_eq!(cut("変換 the disk", 20), "変換 the disk");
        assert_eq!(cut("変換変換", 6), "変換…");
        assert_eq!(cut("disk.raw", 6), "disk.…");
        assert_eq!(cut("disk.raw", 1), "…");
        assert_eq!(cut("disk.raw", 0), "");
    }

    #[test]
    fn a_sentence_wraps_between_words() {
        for (text, columns, wrapped) in [
            ("Checking the account", 40, "Checking the account"),
            ("Checking the account", 13, "Checking the\n  account"),
            ("  変換 of it\n  20 %", 8, "  変換\n    of\n    it\n  20 %"),
            ("Uploading to s3://b/key", 14, "Uploading to\n  s3://b/key"),
            (
                "Uploading to s3://b/long-key",
                12,
                "Uploading to s3://b/long-key",
            ),
            ("", 5, ""),
        ] {
            assert_eq!(wrap(text, columns), wrapped);
        }
    }

    #[test]
    fn a_command_stays_whole() {
        let text = "  hint: create the bucket: aws s3 mb s3://importbucket --region eu-central-1";
        let expected =
            "  hint: create the bucket:\n    aws s3 mb s3://importbucket --region eu-central-1";
        for columns in 27..76 {
            assert_eq!(wrap(text, columns), expected);
        }
        assert_eq!(wrap(text, 76), text);
    }

    #[test]
    fn control_characters_are_removed() {
        assert_eq!(clean("a\x1b[2Jb\u{202e}c\u{9b}d\r\te "), "a[2Jbcd    e");
        assert_eq!(one_line(" two\r\n lines "), "two lines");
    }
}
