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

/// Breaks a sentence between words; further lines are indented. What is longer than a
/// line is left to the terminal, which knows that it belongs together.
pub(super) fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let (mut wrapped, mut used) = (String::new(), 0);
    for (at, word) in text.split(' ').enumerate() {
        let wide = width(word);
        if at > 0 && used + 1 + wide > columns {
            wrapped.push('\n');
            wrapped.push_str(indent);
            used = indent.len();
        } else if at > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += wide;
    }
    wrapped
}

/// What a cloud says, or a file is called, must not move the cursor of the terminal that
/// shows it, nor turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    text.trim_end()
        .chars()
        .filter(|&c| c == '\n' || c == '\t' || !is_unseen(c))
        .collect::<String>()
        .replace('\t', "    ")
}

/// For places with room for one line.
pub(super) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control characters, separators of lines, and marks of direction (Unicode UAX 9).
fn is_unseen(c: char) -> bool {
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
    fn a_line_is_cut_by_what_it_takes_on_the_screen() {
        assert_eq!(cut("変換 the disk", 20), "変換 the disk");
        assert_eq!(cut("変換変換", 6), "変換…");
        assert_eq!(cut("disk.raw", 6), "disk.…");
        assert_eq!(cut("disk.raw", 1), "…");
        assert_eq!(cut("disk.raw", 0), "");
    }

    #[test]
    fn a_sentence_is_broken_between_words() {
        assert_eq!(
            wrap("Checking the account", 40, "  "),
            "Checking the account"
        );
        assert_eq!(
            wrap("Checking the account", 13, "  "),
            "Checking the\n  account"
        );
        assert_eq!(
            wrap("Uploading to s3://importbucket/disk.raw", 12, "  "),
            "Uploading to\n  s3://importbucket/disk.raw"
        );
        assert_eq!(wrap("  20 %", 40, ""), "  20 %");
    }

    #[test]
    fn nothing_unseen_reaches_the_screen() {
        assert_eq!(clean("a\x1b[2Jb\u{202e}c\u{9b}d\r\te "), "a[2Jbcd    e");
        assert_eq!(one_line(" two\r\n lines "), "two lines");
    }
}
