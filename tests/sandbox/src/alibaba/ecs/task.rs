//! Import tasks: a step a poll, the end of task and image, and the calls that show and
//! cancel them.

use std::time::Instant;

use serde_json::{Value, json};

use super::disks::Reason;
use super::model::{Phase, Region, Status, Task};
use super::snapshots::take_snapshots;
use super::{EcsProduct, merge, page};
use crate::alibaba::moment;
use crate::alibaba::rpc::{Answer, Call};
use crate::fault::ApiError;

fn no_task(id: &str) -> ApiError {
    let text = format!("The specified task ID {id} does not exist.");
    ApiError::new(404, "InvalidTaskId.NotFound", text)
}

impl EcsProduct {
    pub(super) fn describe_task(&self, call: &Call<'_>, region: &str) -> Answer {
        let id = call.require("TaskId")?;
        let mut state = self.ecs.state();
        let place = state.region(region);
        let task = place.tasks.get(id).ok_or_else(|| no_task(id))?;
        let answer = merge(task.json(), task.json_more(region));
        self.advance(place, id);
        Ok(answer)
    }

    /// A status it does not know is ignored, as the documentation says.
    pub(super) fn describe_tasks(&self, call: &Call<'_>, region: &str) -> Answer {
        let ids: Option<Vec<_>> = call
            .get("TaskIds")
            .map(|ids| ids.split(',').map(str::trim).collect());
        let known = ["Finished", "Processing", "Failed"];
        let status = call
            .get("TaskStatus")
            .filter(|status| known.contains(status));
        let images = call.query.list("ResourceIds");
        let mut state = self.ecs.state();
        let place = state.region(region);
        let meant = |task: &&Task| {
            (images.is_empty() || images.contains(&task.image))
                && ids
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&task.id.as_str()))
                && status.is_none_or(|status| task.status() == status)
                && call
                    .get("TaskAction")
                    .is_none_or(|action| action == "ImportImage")
        };
        let tasks: Vec<_> = place.tasks.values().filter(meant).map(Task::json).collect();
        let (tasks, numbers) = page(call, tasks)?;
        for id in ids.iter().flatten() {
            self.advance(place, id);
        }
        let answer = json!({"TaskSet": {"Task": tasks}, "RegionId": region});
        Ok(merge(answer, numbers))
    }

    pub(super) fn cancel_task(&self, call: &Call<'_>, region: &str) -> Answer {
        let id = call.require("TaskId")?;
        let mut state = self.ecs.state();
        let place = state.region(region);
        let task = place.tasks.get_mut(id).ok_or_else(|| no_task(id))?;
        if !matches!(task.phase, Phase::Processing(_)) {
            let text = "The status of the task does not allow it to be cancelled.";
            return Err(ApiError::new(403, "IncorrectTaskStatus", text));
        }
        task.end(Phase::Cancelled);
        place.images.remove(&task.image.clone());
        Ok(json!({}))
    }

    /// What a poll brings about.
    pub(super) fn advance(&self, region: &mut Region, id: &str) {
        let Some(task) = region.tasks.get_mut(id) else {
            return;
        };
        let Phase::Processing(step) = task.phase else {
            return;
        };
        let Some(phase) = self.after_step(task, step) else {
            return;
        };
        task.since = Instant::now();
        match phase {
            Phase::Processing(_) => task.phase = phase,
            ended => task.end(ended),
        }
        finish_image(region, id);
    }

    fn after_step(&self, task: &Task, step: usize) -> Option<Phase> {
        let script = &task.script;
        let current = script.steps.get(step)?;
        let held = current.gate.as_ref().is_some_and(|gate| !gate.arrive());
        if held || script.pace.is_some_and(|pace| task.since.elapsed() < pace) {
            return None;
        }
        if let Some(reason) = self.missing_object(task) {
            return Some(Phase::Failed(reason));
        }
        let is_last = step + 1 == script.steps.len();
        let failure = task.rejection.as_ref().or(script.failure.as_ref());
        Some(match failure.filter(|_| is_last) {
            Some(reason) => Phase::Failed(reason.clone()),
            None if is_last => Phase::Finished,
            None => Phase::Processing(step + 1),
        })
    }

    /// ECS reads the object while the task runs.
    fn missing_object(&self, task: &Task) -> Option<Reason> {
        let is_gone = |bucket: &str, key: &str| self.oss.content(bucket, key).is_none();
        let source = task
            .sources
            .iter()
            .find(|source| is_gone(&source.bucket, &source.key))?;
        let text = format!("The OSS object {} does not exist any more.", source.key);
        Some(("InvalidOSSObject.NotFound".to_owned(), text))
    }
}

/// Brings the image to where its task is.
fn finish_image(region: &mut Region, id: &str) {
    let Some(task) = region.tasks.get(id) else {
        return;
    };
    let Some(image) = region.images.get_mut(&task.image) else {
        return;
    };
    image.progress = task.progress();
    image.status = match task.phase {
        Phase::Failed(_) => Status::CreateFailed,
        Phase::Finished if task.script.pending_polls == 0 => Status::Available,
        _ => Status::Creating,
    };
    if task.phase != Phase::Finished {
        return;
    }
    image.pending_polls = task.script.pending_polls;
    image.contents = task
        .sources
        .iter()
        .map(|source| source.content.clone())
        .collect();
    let id = image.id.clone();
    take_snapshots(region, &id);
}

impl Task {
    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.finished = Some(moment::extended(moment::now()));
    }

    fn json(&self) -> Value {
        let running = matches!(self.phase, Phase::Processing(_));
        json!({
            "TaskId": self.id,
            "TaskAction": "ImportImage",
            "TaskStatus": self.status(),
            "SupportCancel": running.to_string(),
            "CreationTime": self.created,
            "FinishedTime": self.finished.as_deref().unwrap_or_default(),
            "ResourceId": self.image,
        })
    }

    fn json_more(&self, region: &str) -> Value {
        let count = |is: bool| i32::from(is);
        let (code, text) = match &self.phase {
            Phase::Failed((code, text)) => (code.as_str(), text.as_str()),
            _ => ("", ""),
        };
        let status = match self.phase {
            Phase::Finished => "Success",
            _ => self.status(),
        };
        json!({
            "RegionId": region,
            "TaskProcess": format!("{}%", self.progress()),
            "TotalCount": 1,
            "SuccessCount": count(self.phase == Phase::Finished),
            "FailedCount": count(matches!(self.phase, Phase::Failed(_))),
            "OperationProgressSet": {"OperationProgress": [{
                "OperationStatus": status,
                "ErrorCode": code,
                "ErrorMsg": text,
                "RelatedItemSet": {"RelatedItem": [{"Name": "ImageId", "Value": self.image}]},
            }]},
        })
    }
}
