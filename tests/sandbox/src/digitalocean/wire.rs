//! The API's JSON: images, actions, regions, errors, and the headers of every answer, as
//! the official description has them.

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::model::{Action, Image, Region, Status};
use crate::fault::ApiError;
use crate::serve::Body;

/// Requests of an hour ("Rate limit" of the API reference).
const LIMIT: u64 = 5000;
const GB: f64 = 1_073_741_824.0;

pub(super) fn image(image: &Image) -> Value {
    let done = image.status == Status::Available;
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let gigabytes = (image.disk as f64 / GB * 100.0).round() / 100.0;
    json!({
        "id": image.id,
        "name": image.name,
        "type": "custom",
        "distribution": image.distribution,
        "slug": null,
        "public": false,
        "regions": image.regions,
        "created_at": image.created,
        "min_disk_size": if done { json!(image.disk.div_ceil(1 << 30)) } else { Value::Null },
        "size_gigabytes": if done { json!(gigabytes) } else { Value::Null },
        "description": image.description,
        "tags": image.tags,
        "status": image.status.word(),
        "error_message": image.error,
    })
}

pub(super) fn action(action: &Action, place: Option<&Region>) -> Value {
    json!({
        "id": action.id,
        "status": action.status,
        "type": "transfer",
        "started_at": action.started,
        "completed_at": action.completed,
        "resource_id": action.image,
        "resource_type": "image",
        "region": place.map(region),
        "region_slug": action.region,
    })
}

pub(super) fn region(region: &Region) -> Value {
    let mut features = vec!["backups", "ipv6", "metadata", "install_agent", "storage"];
    if region.transfer {
        features.push("image_transfer");
    }
    json!({
        "name": region.name,
        "slug": region.slug,
        "features": features,
        "available": true,
        "sizes": ["s-1vcpu-1gb", "s-2vcpu-2gb"],
    })
}

/// One page of a list under its key.
pub(super) fn page(
    key: &str,
    all: &[Value],
    (page, per_page): (usize, usize),
    path: &str,
) -> Value {
    let total = all.len();
    let from = (page - 1).saturating_mul(per_page).min(total);
    let to = (from + per_page).min(total);
    let mut pages = json!({});
    if to < total {
        let link = format!(
            "https://api.digitalocean.com{path}?page={}&per_page={per_page}",
            page + 1
        );
        pages["next"] = json!(link);
    }
    json!({ key: all[from..to], "links": {"pages": pages}, "meta": {"total": total} })
}

pub(super) fn answer(status: u16, body: &Value) -> Response<Body> {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let mut response = Response::new(Body::from(bytes::Bytes::from(bytes)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !body.is_null() {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert("content-type", json);
    }
    response
}

pub(super) fn error_response(refusal: &ApiError) -> Response<Body> {
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"id": refusal.code, "message": refusal.message, "request_id": id});
    let mut response = answer(refusal.status, &body);
    put(response.headers_mut(), "x-request-id", &id);
    response
}

/// What every answer tells of the limits and of itself.
pub(super) fn set_rate_headers(headers: &mut HeaderMap, remaining: u64, now: i64) {
    put(headers, "ratelimit-limit", &LIMIT.to_string());
    put(headers, "ratelimit-remaining", &remaining.to_string());
    put(headers, "ratelimit-reset", &(now + 3600).to_string());
    if !headers.contains_key("x-request-id") {
        put(headers, "x-request-id", &uuid::Uuid::new_v4().to_string());
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
