//! What the clouds refuse and why their imports fail: a row for each code and sentence of
//! their documentation, with the hint that a user reads. Every row runs the program, in a
//! cloud of its own, and compares the whole of what it says. So does every call of the
//! recipes, denied: the hint names the missing permission, with the smallest policy to paste
//! (DigitalOcean: the scope).

mod alicloud;
mod aws;
mod digitalocean;

use std::fmt::Write;

use futures_util::StreamExt;
use futures_util::stream;

/// The languages of policies.
const IAM: &str = "2012-10-17";
const RAM: &str = "1";

/// Rows at the same time: each has a sandbox, and most of its time goes into waiting.
const AT_ONCE: usize = 4;

/// Tells the story of each row; a few at once.
async fn each<T>(rows: impl IntoIterator<Item = T>, story: impl AsyncFn(T)) {
    stream::iter(rows)
        .for_each_concurrent(AT_ONCE, async |row| story(row).await)
        .await;
}

/// An error as it is printed.
struct Told<'a> {
    what: &'a str,
    cause: &'a str,
    left: &'a [&'a str],
    hint: &'a str,
}

impl Told<'_> {
    /// All of standard error; a row without a hint has none.
    fn whole(&self) -> String {
        let mut text = format!("error: {}\n  cause: {}", self.what, self.cause);
        for left in self.left {
            let _ = write!(text, "\n  left behind: {left}");
        }
        if !self.hint.is_empty() {
            let _ = write!(text, "\n  hint: {}", self.hint.replace('\n', "\n    "));
        }
        text
    }
}

/// The hint with the smallest policy that allows these actions on this resource.
fn allow(language: &str, actions: &[&str], resource: &str) -> String {
    let named = actions.join(" and ");
    let listed = match actions {
        [one] => format!("\"{one}\""),
        many => format!("[\"{}\"]", many.join("\",\"")),
    };
    format!(
        r#"allow the caller {named}: {{"Version":"{language}","Statement":[{{"Effect":"Allow","Action":{listed},"Resource":"{resource}"}}]}}"#
    )
}
