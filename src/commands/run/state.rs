//! What a batch has done already. A file of jobs is run again when one of them failed or
//! ran into its deadline; those that have their image are not imported twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::import::journal;
use crate::secret::mask;

/// The record of one file of jobs; gone once all of them are done.
pub struct RunState {
    path: Option<PathBuf>,
    results: Mutex<BTreeMap<String, Value>>,
}

impl RunState {
    /// Opens the record of the file at this place. Without a directory nothing is kept.
    pub fn open(directory: Option<&Path>, file: &Path) -> Self {
        let path_of_file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let name = hex::encode(&Sha256::digest(path_of_file.as_os_str().as_encoded_bytes())[..16]);
        let path = directory.map(|directory| directory.join(format!("{name}.run")));
        let path = path.filter(|path| is_private(path));
        let bytes = path.as_ref().and_then(|path| fs::read(path).ok());
        let results = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            results: Mutex::new(results.unwrap_or_default()),
        }
    }

    /// The result of a job that was asked for in the same words, of the same image.
    pub fn result(&self, job: &str, arguments: &str, image: Option<&Path>) -> Option<Value> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = results.get(job)?;
        let same = saved["mark"] == job_fingerprint(arguments, image)?;
        same.then(|| saved["result"].clone())
    }

    /// Notes a job that has its image.
    pub fn record(&self, job: &str, arguments: &str, image: Option<&Path>, result: &Value) {
        let Some(mark) = job_fingerprint(arguments, image) else {
            return;
        };
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.insert(job.to_owned(), json!({"mark": mark, "result": result}));
        if let Some(path) = &self.path
            && let Err(error) = write(path, &results)
        {
            tracing::warn!("the journal can't be written: {error}");
        }
    }

    /// All jobs are done: the next run is another one.
    pub fn close(&self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether neither the directory nor the record nor its draft is a link or somebody else's.
fn is_private(path: &Path) -> bool {
    let all = [
        path.parent().map(Path::to_owned),
        Some(path.to_owned()),
        Some(path.with_extension("new")),
    ];
    let mut there = all.into_iter().flatten();
    there.all(|path| path.symlink_metadata().is_err() || journal::check(&path).is_ok())
}

/// Written beside and moved over, as the journal is.
fn write(path: &Path, results: &BTreeMap<String, Value>) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    fs::write(&draft, mask(&serde_json::to_string(results)?).as_bytes())?;
    fs::rename(&draft, path)
}

/// The job's words and its image as they are now; none for an image that is gone.
fn job_fingerprint(arguments: &str, image: Option<&Path>) -> Option<String> {
    let about = fs::metadata(image?).ok()?;
    let text = format!("{arguments} {} {:?}", about.len(), about.modified().ok()?);
    Some(hex::encode(Sha256::digest(text)))
}
