//! The tags of a job, as EC2's requests carry them.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use super::job::Job;

/// The job's tags for one kind of thing, none if there are none.
pub fn tags(job: &Job, kind: ResourceType) -> Option<TagSpecification> {
    let tags = job
        .tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags: Vec<_> = tags.collect();
    (!tags.is_empty()).then(|| {
        TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(tags))
            .build()
    })
}
