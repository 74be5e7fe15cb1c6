//! What the account holds: regions, images, actions; and the doors tests use to look at
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use uuid::Uuid;

use super::script::{CustomImageScript, TransferScript};
use crate::content::Content;

/// Slugs of the API's description, and whether images can be transferred there.
const REGIONS: [(&str, &str, bool); 9] = [
    ("ams3", "Amsterdam 3", true),
    ("blr1", "Bangalore 1", true),
    ("fra1", "Frankfurt 1", true),
    ("lon1", "London 1", true),
    ("nyc1", "New York 1", true),
    ("nyc2", "New York 2", true),
    ("nyc3", "New York 3", true),
    ("sfo1", "San Francisco 1", false),
    ("sfo3", "San Francisco 3", true),
];

/// A DigitalOcean account; clones are the same one.
#[derive(Clone)]
pub struct DigitalOcean(pub(super) Arc<Mutex<AccountState>>);

pub(super) struct AccountState {
    pub(super) token: String,
    pub(super) regions: Vec<Region>,
    pub(super) images: BTreeMap<u64, Image>,
    pub(super) actions: BTreeMap<u64, Action>,
    pub(super) tags: BTreeSet<String>,
    pub(super) script: CustomImageScript,
    pub(super) transfers: TransferScript,
    pub(super) accepts_signed_urls: bool,
    pub(super) remaining: u64,
    next_id: u64,
}

#[derive(Clone)]
pub(super) struct Region {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) transfer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    New,
    Pending,
    Available,
    Deleted,
}

#[derive(Clone)]
pub(super) struct Image {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) distribution: String,
    pub(super) tags: Vec<String>,
    pub(super) region: String,
    pub(super) regions: Vec<String>,
    pub(super) url: String,
    pub(super) created: String,
    pub(super) status: Status,
    pub(super) error: String,
    pub(super) disk: u64,
    pub(super) content: Option<Content>,
    pub(super) script: CustomImageScript,
    pub(super) since: Instant,
}

#[derive(Clone)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) image: u64,
    pub(super) region: String,
    pub(super) status: &'static str,
    pub(super) started: String,
    pub(super) completed: Option<String>,
    pub(super) polls: usize,
    pub(super) script: TransferScript,
}

/// A custom image as tests see it.
#[derive(Clone, Debug)]
pub struct CustomImageView {
    pub id: u64,
    pub name: String,
    pub description: String,
    pub distribution: String,
    pub tags: Vec<String>,
    pub regions: Vec<String>,
    /// `NEW`, `pending`, `available`, `deleted`
    pub status: String,
    /// Where it was read from, without any signature.
    pub url: String,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Deleted => "deleted",
        }
    }
}

impl AccountState {
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn has_region(&self, slug: &str) -> bool {
        self.regions.iter().any(|region| region.slug == slug)
    }
}

impl DigitalOcean {
    pub(crate) fn new() -> Self {
        let regions = REGIONS.map(|(slug, name, transfer)| Region {
            slug: slug.to_owned(),
            name: name.to_owned(),
            transfer,
        });
        let random = || Uuid::new_v4().simple().to_string();
        Self(Arc::new(Mutex::new(AccountState {
            token: format!("dop_v1_{}{}", random(), random()),
            regions: regions.to_vec(),
            images: BTreeMap::new(),
            actions: BTreeMap::new(),
            tags: BTreeSet::new(),
            script: CustomImageScript::default(),
            transfers: TransferScript::default(),
            accepts_signed_urls: false,
            remaining: 5000,
            next_id: 157_000_000,
        })))
    }

    /// The token of the account; random, so that a leak of it in any output can be searched for.
    pub fn token(&self) -> String {
        self.world().token.clone()
    }

    /// All images that were ever asked for and not removed by a request.
    pub fn images(&self) -> Vec<CustomImageView> {
        self.world().images.values().map(Image::view).collect()
    }

    /// The account's tags, used or not.
    pub fn tags(&self) -> Vec<String> {
        self.world().tags.iter().cloned().collect()
    }

    /// What arrived, unpacked; none before the import has read it.
    pub fn arrived(&self, id: u64) -> Option<Content> {
        self.world().images.get(&id)?.content.clone()
    }

    /// How the imports that start from now on go.
    pub fn import_script(&self, script: CustomImageScript) {
        self.world().script = script;
    }

    /// How the transfers that start from now on go.
    pub fn transfer_script(&self, script: TransferScript) {
        self.world().transfers = script;
    }

    /// Addresses with a signature are read without asking HEAD first; off by default.
    pub fn take_signed_addresses(&self) {
        self.world().accepts_signed_urls = true;
    }

    /// A region that the API's description does not know yet.
    pub fn add_region(&self, slug: &str) {
        let region = Region {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            transfer: true,
        };
        self.world().regions.push(region);
    }

    pub(super) fn world(&self) -> MutexGuard<'_, AccountState> {
        self.0
            .lock()
            .expect("nothing panics with the account in hand")
    }
}

impl Image {
    fn view(&self) -> CustomImageView {
        CustomImageView {
            id: self.id,
            name: self.name.clone(),
            description: self.description.clone(),
            distribution: self.distribution.clone(),
            tags: self.tags.clone(),
            regions: self.regions.clone(),
            status: self.status.word().to_owned(),
            url: self.url.split('?').next().unwrap_or_default().to_owned(),
        }
    }
}
