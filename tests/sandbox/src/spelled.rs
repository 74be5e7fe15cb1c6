//! Faults as a person types them: `s3:UploadPart=cut@3-6`. For the program; the tests say
//! `Fault::on(..)`.

use std::str::FromStr;

use anyhow::{Context, bail, ensure};

use crate::fault::{Fault, When};

/// The services, as operations name them: of Amazon, of Alibaba Cloud, of DigitalOcean.
const SERVICES: [&str; 11] = [
    "s3", "ec2", "ebs", "iam", "ssm", "sts", "oss", "ecs", "ram", "spaces", "do",
];

/// What a line of a bad day does to an upload and to the questions after it.
const BAD_NETWORK: [&str; 4] = ["cut@2", "lost@4", "throttle@6-7", "error@9"];
const UPLOADS: [&str; 4] = [
    "s3:UploadPart",
    "oss:UploadPart",
    "spaces:UploadPart",
    "ebs:PutSnapshotBlock",
];
const READ_OPERATIONS: [&str; 3] = [
    "ec2:DescribeImportImageTasks",
    "ecs:DescribeTaskAttribute",
    "do:GetImage",
];

impl Fault {
    /// A network that breaks, loses answers and is slowed down, on every cloud.
    pub fn bad_network() -> impl Iterator<Item = Self> {
        let uploads = UPLOADS
            .iter()
            .flat_map(|upload| BAD_NETWORK.map(|description| format!("{upload}={description}")));
        let questions = READ_OPERATIONS.map(|question| format!("{question}=cut@2-5"));
        let spelled = uploads.chain(questions).map(|fault| fault.parse());
        spelled.filter_map(Result::ok)
    }
}

/// `OPERATION=WHAT`, which strikes once, or `OPERATION=WHAT@WHICH`.
impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let read = || {
            let (operation, fault) = text.split_once('=').context("it has no =")?;
            let (description, which) = fault.split_once('@').unwrap_or((fault, "1"));
            let service = operation.split(':').next().unwrap_or_default();
            ensure!(
                SERVICES.contains(&service) && operation.len() > service.len() + 1,
                "{operation} is no operation such as s3:UploadPart"
            );
            let when = at(Self::on(operation), which)?;
            parse_fault(when, service, description)
        };
        read().with_context(|| format!("{text} is no fault"))
    }
}

/// `3`, `3-6` or `3-`.
fn at(when: When, which: &str) -> anyhow::Result<When> {
    let number = |text: &str| match text.parse() {
        Ok(number @ 1_usize..) => Ok(number),
        _ => bail!("{which} does not say which requests: 3, 3-6, 3-"),
    };
    let Some((first, last)) = which.split_once('-') else {
        return Ok(when.nth(number(which)?));
    };
    let first = number(first)?;
    if last.is_empty() {
        return Ok(when.nth(first).always());
    }
    let last = number(last)?;
    ensure!(first <= last, "{which} ends before it begins");
    Ok(when.nth(first).times(last - first + 1))
}

fn parse_fault(when: When, service: &str, description: &str) -> anyhow::Result<Fault> {
    Ok(match description {
        "cut" => when.cut_after(1 << 16),
        "lost" => when.cut_answer(),
        "stall" => when.stall(),
        "error" => when.answer(500, "InternalError", "We encountered an internal error."),
        "denied" => when.answer(403, "AccessDenied", "Access Denied"),
        "throttle" => {
            let (status, code, message) = throttle(service);
            when.answer(status, code, message)
        }
        _ => bail!("{description} is none of cut, lost, stall, throttle, error, denied"),
    })
}

/// What the service says to who asks too often.
fn throttle(service: &str) -> (u16, &'static str, &'static str) {
    match service {
        "s3" | "spaces" => (503, "SlowDown", "Please reduce your request rate."),
        "ec2" => (503, "RequestLimitExceeded", "Request limit exceeded."),
        "ebs" => (400, "RequestThrottledException", "ACCOUNT_THROTTLED"),
        "iam" | "sts" => (400, "Throttling", "Rate exceeded"),
        "ssm" => (400, "ThrottlingException", "Rate exceeded"),
        "oss" => (503, "QpsLimitExceeded", "Please slow down."),
        "do" => (429, "too_many_requests", "API rate limit exceeded."),
        _ => (
            400,
            "Throttling.User",
            "Request was denied due to user flow control.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_parsed_from_one_word() {
        for (text, same) in [
            (
                "s3:UploadPart=cut",
                Fault::on("s3:UploadPart").cut_after(1 << 16),
            ),
            ("do:*=lost@3", Fault::on("do:*").nth(3).cut_answer()),
            (
                "ec2:CopyImage=throttle@2-5",
                Fault::on("ec2:CopyImage").nth(2).times(4).answer(
                    503,
                    "RequestLimitExceeded",
                    "Request limit exceeded.",
                ),
            ),
            (
                "oss:PutObject=stall@2-",
                Fault::on("oss:PutObject").nth(2).always().stall(),
            ),
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(format!("{fault:?}"), format!("{same:?}"), "{text}");
        }
        assert_eq!(Fault::bad_network().count(), 19);
    }

    #[test]
    fn an_invalid_fault_has_a_reason() {
        for (text, why) in [
            ("s3:UploadPart", "it has no ="),
            (
                "UploadPart=cut",
                "UploadPart is no operation such as s3:UploadPart",
            ),
            ("s3:=cut", "s3: is no operation such as s3:UploadPart"),
            (
                "s3:*=slow",
                "slow is none of cut, lost, stall, throttle, error, denied",
            ),
            ("s3:*=cut@0", "0 does not say which requests: 3, 3-6, 3-"),
            ("s3:*=cut@6-3", "6-3 ends before it begins"),
        ] {
            let error = text.parse::<Fault>().unwrap_err();
            assert_eq!(format!("{error:#}"), format!("{text} is no fault: {why}"));
        }
    }
}
