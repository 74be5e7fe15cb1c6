//! The manual's pages: their options as clap_mangen writes them, everything else from the
//! pages that help is made of.

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use imgimport::help_text::{PAGES, Page, Rows};

/// What other pages a reader may want.
const SEE_ALSO: &[&str] = &[
    "imgimport",
    "imgimport-check",
    "imgimport-run",
    "imgimport-jobs",
];

/// The manual, by the names of its files.
pub fn pages() -> Vec<(String, String)> {
    let mut program = imgimport::command().disable_help_subcommand(true);
    program.build();
    let command = |page: &Page| match page.command {
        "" => program.clone(),
        name => program.find_subcommand(name).unwrap().clone(),
    };
    PAGES
        .into_iter()
        .map(|page| {
            let command = command(page);
            (format!("{}.1", name(&command)), write(command, page))
        })
        .collect()
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

fn write(mut command: Command, page: &Page) -> String {
    let man = Man::new(command.clone());
    let usage = command.render_usage().to_string();
    let mut text = title(&name(&command).to_uppercase());
    text += &rest(|out| man.render_name_section(out));
    text += &section("SYNOPSIS", &mut synopsis(&usage));
    text += &section("DESCRIPTION", &mut paragraphs(page));
    text += &grouped(&command, &rest(|out| man.render_options_section(out)));
    if command.has_subcommands() {
        let listed = rest(|out| man.render_subcommands_section(out));
        text += &listed.replace(".SH SUBCOMMANDS", ".SH COMMANDS");
    }
    text += &terms("EXIT STATUS", page.exit_status);
    text += &terms("ENVIRONMENT", page.environment);
    text += &terms("FILES", page.files);
    text += &section("EXAMPLES", &mut examples(page.examples));
    text += &section("SEE ALSO", &mut see_also(&command));
    text.chars().map(plain).collect()
}

/// clap_mangen loses an empty date, which nothing should have to be built anew for. Names of
/// commands and files are not to be broken, nor lines to be stretched.
fn title(name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let preamble = rendered(|out| Roff::new().to_writer(out));
    format!(
        "{preamble}.TH {name} 1 \"\" \"imgimport {version}\" \"imgimport manual\"\n.nh\n.ad l\n"
    )
}

/// A character that every roff knows.
fn plain(letter: char) -> String {
    if letter.is_ascii() {
        letter.to_string()
    } else {
        format!("\\[u{:04X}]", u32::from(letter))
    }
}

fn rendered(write: impl Fn(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The same without the preamble, which a page has once; roff wants no empty lines.
fn rest(write: impl Fn(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let text = rendered(write);
    let (_, text) = text.split_at(text.find(".SH").unwrap());
    let text = text.replace("\n\n", "\n.sp\n");
    let text = text.replace("\n[env:", "\n.br\n[env:");
    text.replace(".br\n.sp\n.br\n", ".sp\n")
}

fn section(title: &str, body: &mut Roff) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [title]).extend([std::mem::take(body)]);
    rest(|out| roff.to_writer(out))
}

fn synopsis(usage: &str) -> Roff {
    let usage = usage.trim_start_matches("Usage: ");
    let mut words: Vec<_> = usage.split(' ').flat_map(word).collect();
    words.pop();
    let mut roff = Roff::new();
    roff.text(words);
    roff
}

/// What is typed as it stands is bold; a space follows.
fn word(word: &str) -> [Inline; 2] {
    let is_placeholder = word.starts_with(['[', '<']);
    let shown = if is_placeholder { italic } else { bold };
    [shown(word.to_owned()), roman(" ")]
}

fn paragraphs(page: &Page) -> Roff {
    let mut roff = Roff::new();
    for (at, text) in page
        .description
        .split("\n\n")
        .chain([page.output])
        .enumerate()
    {
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(text)]);
    }
    roff
}

/// The groups of options stand below OPTIONS, under their own names.
fn grouped(command: &Command, options: &str) -> String {
    let headings = command.get_arguments().filter_map(Arg::get_help_heading);
    let mut text = headings.fold(options.to_owned(), |text, heading| {
        let quote = if heading.contains(' ') { "\"" } else { "" };
        let shouted = format!(".SH {quote}{}{quote}\n", heading.to_uppercase());
        text.replace(&shouted, &format!(".SS {quote}{heading}{quote}\n"))
    });
    if text.starts_with(".SS") {
        text.insert_str(0, ".SH OPTIONS\n");
    }
    text
}

/// Nothing where there are no rows.
fn terms(title: &str, rows: Rows) -> String {
    let mut roff = Roff::new();
    for (name, meaning) in rows {
        roff.control("TP", []);
        roff.text([bold(*name)]).text([roman(*meaning)]);
    }
    if rows.is_empty() {
        return String::new();
    }
    section(title, &mut roff)
}

fn examples(rows: Rows) -> Roff {
    let mut roff = Roff::new();
    for (at, (what, command)) in rows.iter().enumerate() {
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*what)]);
        roff.control("PP", [])
            .control("RS", ["4"])
            .control("nf", []);
        for line in command.lines() {
            roff.text([bold(line)]);
        }
        roff.control("fi", []).control("RE", []);
    }
    roff
}

fn see_also(command: &Command) -> Roff {
    let others = SEE_ALSO.iter().filter(|other| **other != name(command));
    let subs = command.get_subcommands().map(name);
    let subs = subs.filter(|sub| !SEE_ALSO.contains(sub));
    let mut roff = Roff::new();
    for page in others.copied().chain(subs) {
        let words: [Inline; 2] = [bold(page), roman("(1),")];
        roff.text(words);
    }
    roff.text([bold("qemu-img"), roman("(1)")]);
    roff
}
