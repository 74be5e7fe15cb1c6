//! AWS partitions: groups of regions with accounts, ARNs and endpoints of their own.

/// How the regions of each partition but `aws` begin. The SDK has the same data in
/// `partitions.json`, which it does not export; a test compares the two.
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
];

/// Returns the partition of a region, which is the second field of an ARN. Regions that are
/// not known belong to `aws`.
pub fn for_region(region: &str) -> &'static str {
    let found = PARTITIONS
        .iter()
        .find(|(start, _)| region.starts_with(start));
    found.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    use super::*;

    /// The end of the host name that the SDK resolves for STS in this region.
    async fn domain(region: &str) -> String {
        let params = Params::builder()
            .region(region)
            .build()
            .expect("parameters");
        let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
        let endpoint = endpoint.expect("an endpoint");
        let (_, domain) = endpoint.url().split_once(region).expect("the region in it");
        domain.trim_start_matches('.').to_owned()
    }

    #[tokio::test]
    async fn partitions_match_the_sdk() {
        for (region, partition, suffix) in [
            ("us-east-1", "aws", "amazonaws.com"),
            ("us-gov-east-1", "aws-us-gov", "amazonaws.com"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("eu-west-1", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
            ("us-iso-west-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
        ] {
            assert_eq!(for_region(region), partition);
            assert_eq!(domain(region).await, suffix, "{region}");
        }
    }
}
