//! Systems Manager's Parameter Store, as far as AMIs go: parameters by region, of the
//! data type `aws:ec2:image`, which are looked at only after the answer.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::desk::Detail;
use crate::ec2::Ec2;
use crate::fault::ApiError;
use crate::json11;
use crate::keys::{ACCOUNT, Keyring};
use crate::roles::Iam;
use crate::serve::{Body, Service};
use crate::sigv4::Caller;

/// The data type that is looked at.
const AMI: &str = "aws:ec2:image";

/// The parameters of all regions.
#[derive(Clone, Default)]
pub struct Parameters {
    state: Arc<Mutex<BTreeMap<(String, String), Parameter>>>,
}

/// A parameter as tests see it, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterView {
    pub value: String,
    pub data_type: String,
    pub version: u64,
    /// `String`, `SecureString`
    pub kind: String,
}

#[derive(Default)]
struct Parameter {
    current: Option<ParameterView>,
    /// What was answered for and not looked at yet
    pending: Option<ParameterView>,
}

impl Parameters {
    /// What the parameter of a region holds.
    pub fn get(&self, region: &str, name: &str) -> Option<ParameterView> {
        let state = self.state();
        let parameter = state.get(&(region.to_owned(), name.to_owned()))?;
        parameter.current.clone()
    }

    /// An AMI's id that somebody wrote before.
    pub fn set(&self, region: &str, name: &str, value: &str) {
        self.put(region, name, "String", value, AMI);
    }

    /// A secret that somebody wrote before, as it is answered without decryption.
    pub fn set_secret(&self, region: &str, name: &str) {
        self.put(region, name, "SecureString", "AQICAHhsecret", "text");
    }

    fn put(&self, region: &str, name: &str, kind: &str, value: &str, data_type: &str) {
        let view = ParameterView {
            value: value.to_owned(),
            data_type: data_type.to_owned(),
            version: 1,
            kind: kind.to_owned(),
        };
        let place = (region.to_owned(), name.to_owned());
        self.state().entry(place).or_default().current = Some(view);
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<(String, String), Parameter>> {
        self.state
            .lock()
            .expect("nothing panics with the parameters in hand")
    }
}

pub(crate) struct SsmService {
    pub(crate) parameters: Parameters,
    pub(crate) ec2: Ec2,
    pub(crate) iam: Iam,
    pub(crate) keys: Keyring,
}

impl Service for SsmService {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        (
            format!("ssm:{}", operation(head)),
            json11::detail(head, body),
        )
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        json11::answer(request, |head, body| self.perform(head, body)).await
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        json11::error_response(refusal)
    }
}

fn operation(head: &Parts) -> &str {
    json11::operation(head, "AmazonSSM.")
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(400, "ValidationException", text)
}

/// The field as text, which all of them are but `Overwrite`.
fn field<'a>(request: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    request[name].as_str().ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value null at '{}{}' failed to satisfy constraint: Member must not be null",
            name[..1].to_lowercase(),
            &name[1..]
        ))
    })
}

impl SsmService {
    fn perform(&self, head: &Parts, body: &Bytes) -> Result<Value, ApiError> {
        let (caller, request) = json11::verified(head, body, "ssm", &self.keys)?;
        let known: &[&str] = match operation(head) {
            "PutParameter" => &[
                "Name",
                "Value",
                "Type",
                "DataType",
                "Overwrite",
                "Description",
                "Tier",
            ],
            "GetParameter" => &["Name", "WithDecryption"],
            "DeleteParameter" => &["Name"],
            _ => return Err(ApiError::new(400, "UnknownOperationException", "")),
        };
        let fields = request.as_object().into_iter().flatten();
        if let Some((name, _)) = fields
            .clone()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            return Err(invalid(format!("The sandbox knows no field {name}")));
        }
        let name = field(&request, "Name")?;
        self.authorize(&caller, operation(head), name)?;
        let place = (caller.region.clone(), name.to_owned());
        match operation(head) {
            "PutParameter" => self.put(&request, place),
            "GetParameter" => self.get(&place),
            _ => self.delete(&place),
        }
    }

    fn authorize(&self, caller: &Caller, operation: &str, name: &str) -> Result<(), ApiError> {
        let (who, action) = (&caller.key.arn, format!("ssm:{operation}"));
        let path = name.trim_start_matches('/');
        let region = &caller.region;
        let resource = format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter/{path}");
        if self.iam.user_may(who, &action, &resource) {
            return Ok(());
        }
        let text = format!(
            "User: {who} is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        );
        Err(ApiError::new(400, "AccessDeniedException", text))
    }

    fn put(&self, request: &Value, region_and_name: (String, String)) -> Result<Value, ApiError> {
        check_name(&region_and_name.1)?;
        let (value, kind) = (field(request, "Value")?, request["DataType"].as_str());
        let mut state = self.parameters.state();
        let parameter = state.entry(region_and_name).or_default();
        if parameter.current.is_some() && request["Overwrite"] != true {
            let text = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(ApiError::new(400, "ParameterAlreadyExists", text));
        }
        if parameter
            .current
            .as_ref()
            .is_some_and(|now| now.kind != "String")
        {
            let text = "The parameter type can't be changed. Delete the parameter first.";
            return Err(ApiError::new(400, "HierarchyTypeMismatchException", text));
        }
        if request["Type"] != "String" {
            return Err(invalid("AMI parameters are of the type String."));
        }
        let version = parameter.current.as_ref().map_or(1, |now| now.version + 1);
        let view = ParameterView {
            value: value.to_owned(),
            data_type: kind.unwrap_or("text").to_owned(),
            version,
            kind: "String".to_owned(),
        };
        if view.data_type == AMI {
            parameter.pending = Some(view);
        } else {
            parameter.current = Some(view);
        }
        Ok(json!({"Version": version, "Tier": "Standard"}))
    }

    /// Each question lets time pass: the AMI of a new value is looked at after the answer.
    fn get(&self, region_and_name: &(String, String)) -> Result<Value, ApiError> {
        let mut state = self.parameters.state();
        let missing = || ApiError::new(400, "ParameterNotFound", "");
        let parameter = state.get_mut(region_and_name).ok_or_else(missing)?;
        let answer = parameter.current.clone();
        let next = parameter.pending.take();
        if let Some(next) = next.filter(|next| self.is_available(&region_and_name.0, &next.value)) {
            parameter.current = Some(next);
        }
        let now = answer.ok_or_else(missing)?;
        let (region, name) = region_and_name;
        Ok(json!({"Parameter": {
            "ARN": format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter/{}", name.trim_start_matches('/')),
            "DataType": now.data_type, "LastModifiedDate": 1_767_225_600.123, "Name": name,
            "Type": now.kind, "Value": now.value, "Version": now.version,
        }}))
    }

    fn delete(&self, region_and_name: &(String, String)) -> Result<Value, ApiError> {
        let gone = self.parameters.state().remove(region_and_name);
        gone.map(|_| json!({}))
            .ok_or_else(|| ApiError::new(400, "ParameterNotFound", ""))
    }

    fn is_available(&self, region: &str, image: &str) -> bool {
        let images = self.ec2.images();
        images
            .iter()
            .any(|one| one.region == region && one.id == image && one.state == "available")
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if name.is_empty() || !name.chars().all(fits) || name.contains('/') && !name.starts_with('/') {
        return Err(invalid(
            "Parameter name must be a fully qualified name. Only a-zA-Z0-9_.-/ are allowed.",
        ));
    }
    let first = name.trim_start_matches('/').to_lowercase();
    if ["aws", "ssm"].iter().any(|own| first.starts_with(own)) {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).",
        ));
    }
    Ok(())
}
