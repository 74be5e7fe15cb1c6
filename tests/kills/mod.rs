//! An import that is interrupted at every request that changes something in the cloud: the
//! program is killed, an answer is lost, a signal comes. Whatever happens, the same command
//! comes to its end with exactly what an import without trouble leaves, and
//! `jobs --clean` removes all that there is, after `jobs` has named it.
//!
//! The requests are those of an import without trouble, so that none is forgotten. What a
//! cloud needs for this is a [`Recipe`].

mod alicloud;
mod aws;
mod digitalocean;
mod point;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::support::{Cmd, Output, RunningCmd, TestEnv};
use point::{Lost, Moment, Point, Stop};

/// Cases at the same time. Most of their time they wait.
const AT_ONCE: usize = 20;
/// Runs of the same command until it must have succeeded.
const TRIES: usize = 3;
/// Megabytes of a disk that makes two parts of 5 MiB, the smallest that S3 accepts.
const TWO_S3_PARTS: usize = 6;

/// When which signals come. They are the same to the program but for the second.
const STOPS: [(Moment, Stop); 4] = [
    (Moment::Before, Stop::Twice),
    (Moment::Processed, Stop::Twice),
    (Moment::Before, Stop::Terminated),
    (Moment::Processed, Stop::HungUp),
];

/// An import, and how to see what it has made.
#[derive(Clone, Copy)]
pub struct Recipe {
    /// What a case's name begins with.
    pub name: &'static str,
    /// The command line, which imports `disk.raw` with a name, tags and copies.
    pub args: &'static str,
    /// Megabytes of the disk: as few as make two parts.
    pub megabytes: usize,
    /// Makes the cloud ready: how its imports go, what is there already.
    pub prepare: fn(&TestEnv),
    /// Adds the cloud's environment.
    pub environment: for<'a> fn(Cmd<'a>) -> Cmd<'a>,
    /// Whether a request of this operation changes something in the cloud.
    pub changes: fn(&str) -> bool,
    /// Everything that lies in the cloud now.
    pub things: fn(&TestEnv) -> Vec<Thing>,
    /// The disks of all images, by id, as long as the one that was imported: a volume is longer.
    pub disks: fn(&TestEnv) -> BTreeMap<String, Vec<u8>>,
    /// The operations that send bytes, each with the details that say which bytes.
    pub parts: &'static [(&'static str, &'static [&'static str])],
    /// Cases that are known to fail.
    pub known: &'static [&'static str],
}

/// Something in the cloud.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What it is, without what differs from run to run.
    pub what: String,
    /// `jobs` names it if its text has one of these.
    pub names: Vec<String>,
}

/// One way to interrupt the import, and what follows.
#[derive(Clone, Debug)]
enum Case {
    /// Killed, then the same command again.
    Again(Point, Moment),
    /// Killed, then `jobs` and `jobs --clean`.
    Clean(Point, Moment),
    /// One answer is lost or is another.
    Lost(Point, Lost),
    /// Stopped by signals before the answer comes.
    Stopped(Point, Moment, Stop),
}

/// Interrupts the import at all points; panics with the list of what fails.
pub async fn interrupt(recipe: Recipe, at: impl Fn(&str) -> bool) {
    let clean = Arc::new(Clean::run(recipe).await);
    let cases = clean.cases(at);
    let total = cases.len();
    let failed: Vec<_> = stream::iter(cases)
        .map(|case| {
            let (name, clean) = (case.name(recipe.name), Arc::clone(&clean));
            async move {
                let told = tokio::spawn(async move { clean.tell(case).await });
                let failed = told.await.err();
                failed.map(|failed| (name, words(failed)))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    judge(recipe, total, failed);
}

/// What a story's panic says.
fn words(failed: tokio::task::JoinError) -> String {
    let panic = failed.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// A case that fails and is not known to is as bad as one that is known to and does not.
fn judge(recipe: Recipe, total: usize, mut failed: Vec<(String, String)>) {
    failed.sort();
    let mut text = String::new();
    for (name, why) in &failed {
        if !recipe.known.contains(&name.as_str()) {
            let _ = writeln!(text, "== {name}\n{why}");
        }
    }
    for known in recipe.known {
        if !failed.iter().any(|(name, _)| name == known) {
            let _ = writeln!(text, "== {known}\nis known to fail and does not");
        }
    }
    let count = failed.len();
    assert!(text.is_empty(), "{count} of {total} cases fail\n{text}");
}

/// The import without trouble.
struct Clean {
    recipe: Recipe,
    /// Its requests.
    requests: Vec<String>,
    /// What it leaves.
    things: Vec<String>,
    /// The disk in every image.
    disk: Vec<u8>,
}

impl Clean {
    async fn run(recipe: Recipe) -> Self {
        let env = TestEnv::new().await;
        (recipe.prepare)(&env);
        let disk = env.disk(recipe.megabytes);
        recipe.command(&env).output().await.code(0);
        let journal = env.cloud.requests_so_far().into_iter();
        let clean = Self {
            recipe,
            requests: journal.map(|entry| entry.operation).collect(),
            things: whats(&(recipe.things)(&env)),
            disk,
        };
        assert!(env.journal().is_empty());
        clean
    }

    /// Every request that changes something: the first and the last of its kind; and the
    /// very last request, after which only the result is to be printed.
    fn points(&self, at: impl Fn(&str) -> bool) -> Vec<Point> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for operation in &self.requests {
            *counts.entry(operation).or_default() += 1;
        }
        let mut points = Vec::new();
        for (operation, count) in counts {
            if (self.recipe.changes)(operation) && at(operation) {
                points.push(Point::new(operation, 1));
                points.extend((count > 1).then(|| Point::new(operation, count)));
            }
        }
        let last = self.requests.last().map(String::as_str).unwrap_or_default();
        let count = self.requests.iter().filter(|other| *other == last).count();
        let last = Point::new(last, count);
        if !points.contains(&last) {
            points.push(last);
        }
        points
    }

    fn cases(&self, at: impl Fn(&str) -> bool) -> Vec<Case> {
        let mut cases = Vec::new();
        for point in self.points(at) {
            for moment in [Moment::Before, Moment::Processed, Moment::Answered] {
                cases.push(Case::Again(point.clone(), moment));
                cases.push(Case::Clean(point.clone(), moment));
            }
            if !(self.recipe.changes)(point.operation()) || !point.is_first() {
                continue;
            }
            for lost in Lost::ALL {
                cases.push(Case::Lost(point.clone(), lost));
            }
            for (moment, stop) in STOPS {
                cases.push(Case::Stopped(point.clone(), moment, stop));
            }
        }
        cases
    }

    async fn tell(&self, case: Case) {
        let env = TestEnv::new().await;
        (self.recipe.prepare)(&env);
        env.file("disk.raw", &self.disk);
        match case {
            Case::Again(point, moment) => {
                if self.kill(&env, &point, moment).await {
                    self.comes_to_its_end(&env).await;
                }
            }
            Case::Clean(point, moment) => {
                if self.kill(&env, &point, moment).await {
                    self.is_named(&env, "").await;
                    self.is_cleaned(&env).await;
                }
            }
            Case::Lost(point, lost) => {
                env.cloud.fault(lost.at(&point));
                self.comes_to_its_end(&env).await;
            }
            Case::Stopped(point, moment, stop) => {
                let mut running = self.recipe.command(&env).start();
                point.reached(&env, moment, &mut running).await;
                let ended = stop.end(running).await;
                env.cloud.clear_faults();
                if stop == Stop::Twice {
                    self.is_named(&env, &ended.stderr_raw).await;
                    let things = (self.recipe.things)(&env);
                    assert!(things.is_empty(), "{things:#?}\nstays\n{}", ended.stderr);
                } else {
                    self.comes_to_its_end(&env).await;
                }
            }
        }
    }

    /// Kills the import at this point; false where it has ended before.
    async fn kill(&self, env: &TestEnv, point: &Point, moment: Moment) -> bool {
        let mut running = self.recipe.command(env).start();
        let interrupted = point.reached(env, moment, &mut running).await;
        if interrupted {
            running.kill().await;
        }
        env.cloud.clear_faults();
        interrupted
    }

    /// The same command until it succeeds: then there is what the import leaves, and nothing else.
    async fn comes_to_its_end(&self, env: &TestEnv) {
        let mut said = String::new();
        for _ in 0..TRIES {
            let run = self.recipe.command(env).output().await;
            said += &run.stderr;
            if run.code == Some(0) {
                return self.is_complete(env, &run, &said);
            }
            self.is_named(env, &run.stderr_raw).await;
        }
        panic!("it does not come to its end:\n{said}");
    }

    fn is_complete(&self, env: &TestEnv, run: &Output, said: &str) {
        let things = (self.recipe.things)(env);
        assert!(
            whats(&things) == self.things,
            "other things than without trouble:\n{things:#?}\n{said}"
        );
        let disks = (self.recipe.disks)(env);
        assert!(
            disks.contains_key(&run.stdout_raw),
            "it printed {}",
            run.stdout_raw
        );
        assert!(
            disks.values().all(|disk| *disk == self.disk),
            "another disk"
        );
        self.was_sent_once(env, said);
        assert!(env.journal().is_empty(), "the journal is not closed");
    }

    /// No bytes that were acknowledged have traveled again.
    fn was_sent_once(&self, env: &TestEnv, said: &str) {
        let mut sent = BTreeMap::<Vec<String>, usize>::new();
        for entry in env
            .cloud
            .requests_so_far()
            .iter()
            .filter(|it| it.succeeded())
        {
            let part = self.recipe.parts.iter();
            if let Some((_, which)) = part.into_iter().find(|part| part.0 == entry.operation) {
                let which = which.iter().map(|name| entry.get(name).to_owned());
                *sent.entry(which.collect()).or_default() += 1;
            }
        }
        assert!(
            sent.values().all(|times| *times == 1),
            "sent more than once: {sent:?}\n{said}"
        );
    }

    /// Every thing in the cloud has its name in `jobs`, or in what the program has said.
    async fn is_named(&self, env: &TestEnv, said: &str) {
        let jobs = self.recipe.jobs(env, "").output().await;
        jobs.code(0);
        let text = format!("{}\n{said}", jobs.stdout_raw);
        for thing in (self.recipe.things)(env) {
            assert!(
                thing.names.iter().any(|name| text.contains(name)),
                "nothing names {thing:?}:\n{text}"
            );
        }
    }

    /// Nothing stays after `jobs --clean`.
    async fn is_cleaned(&self, env: &TestEnv) {
        let cleaned = self.recipe.jobs(env, "--clean").output().await;
        let things = (self.recipe.things)(env);
        assert!(
            things.is_empty(),
            "{things:#?}\nstays after\n{}{}",
            cleaned.stdout,
            cleaned.stderr
        );
        cleaned.code(0);
        assert!(env.journal().is_empty(), "the journal is not closed");
    }
}

/// In order, for a comparison.
fn whats(things: &[Thing]) -> Vec<String> {
    let mut whats: Vec<_> = things.iter().map(|thing| thing.what.clone()).collect();
    whats.sort();
    whats
}

impl Recipe {
    fn command<'a>(&self, env: &'a TestEnv) -> Cmd<'a> {
        (self.environment)(env.imgimport(self.args))
    }

    fn jobs<'a>(&self, env: &'a TestEnv, args: &str) -> Cmd<'a> {
        (self.environment)(env.imgimport(&format!("jobs {args}")))
    }
}

impl Case {
    fn name(&self, recipe: &str) -> String {
        match self {
            Self::Again(point, moment) => format!("{recipe}: {point} {moment:?}, again"),
            Self::Clean(point, moment) => format!("{recipe}: {point} {moment:?}, clean"),
            Self::Lost(point, lost) => format!("{recipe}: {point} {lost:?}"),
            Self::Stopped(point, moment, stop) => {
                format!("{recipe}: {point} {moment:?}, {stop:?}")
            }
        }
    }
}
