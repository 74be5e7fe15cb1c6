//! Service Quotas, as far as imports go: how many tasks of VM Import an account may have at
//! once in a region.
//! <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::desk::Detail;
use crate::fault::ApiError;
use crate::json11;
use crate::keys::{ACCOUNT, Keyring};
use crate::roles::Iam;
use crate::serve::{Body, Service};

/// "Concurrent task limit for ImportImage, ImportSnapshot, and ExportImage".
const IMPORTS: (&str, &str) = ("vmimportexport", "L-66ABAAD5");
/// What everybody has.
const DEFAULT_LIMIT: u32 = 20;

/// The quota of imports, the same in all regions.
#[derive(Clone)]
pub struct Quotas(Arc<AtomicU32>);

impl Default for Quotas {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(DEFAULT_LIMIT)))
    }
}

impl Quotas {
    /// How many imports may run at once from now on.
    pub fn set_imports(&self, limit: u32) {
        self.0.store(limit, Ordering::Relaxed);
    }

    fn imports(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct QuotasService {
    pub(crate) quotas: Quotas,
    pub(crate) iam: Iam,
    pub(crate) keys: Keyring,
}

impl Service for QuotasService {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        let operation = format!("servicequotas:{}", operation(head));
        (operation, json11::detail(head, body))
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        json11::answer(request, |head, body| self.perform(head, body)).await
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        json11::error_response(refusal)
    }
}

fn operation(head: &Parts) -> &str {
    json11::operation(head, "ServiceQuotasV20190624.")
}

impl QuotasService {
    /// A quota that nobody has raised is answered from the defaults alone.
    fn perform(&self, head: &Parts, body: &Bytes) -> Result<Value, ApiError> {
        let (caller, request) = json11::verified(head, body, "servicequotas", &self.keys)?;
        let limit = match (operation(head), self.quotas.imports()) {
            ("GetServiceQuota", DEFAULT_LIMIT) => None,
            ("GetServiceQuota", raised) => Some(raised),
            ("GetAWSDefaultServiceQuota", _) => Some(DEFAULT_LIMIT),
            _ => return Err(ApiError::new(400, "UnknownOperationException", "")),
        };
        let (who, action) = (
            &caller.key.arn,
            format!("servicequotas:{}", operation(head)),
        );
        if !self.iam.user_may(who, &action, "*") {
            let text = format!("User: {who} is not authorized to perform: {action}");
            return Err(ApiError::new(400, "AccessDeniedException", text));
        }
        let (service, code) = (&request["ServiceCode"], &request["QuotaCode"]);
        let known = (service.as_str(), code.as_str()) == (Some(IMPORTS.0), Some(IMPORTS.1));
        let limit = limit.filter(|_| known).ok_or_else(|| {
            let text = "The request failed because the specified resource does not exist.";
            ApiError::new(400, "NoSuchResourceException", text)
        })?;
        let (region, quota) = (&caller.region, format!("{}/{}", IMPORTS.0, IMPORTS.1));
        Ok(json!({"Quota": {
            "Adjustable": true, "GlobalQuota": false,
            "QuotaArn": format!("arn:aws:servicequotas:{region}:{ACCOUNT}:{quota}"),
            "QuotaCode": IMPORTS.1, "ServiceCode": IMPORTS.0, "ServiceName": "VM Import/Export",
            "QuotaName": "Concurrent task limit for ImportImage, ImportSnapshot, and ExportImage",
            "Unit": "None", "Value": f64::from(limit),
        }}))
    }
}
