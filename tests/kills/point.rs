//! Where an import is interrupted, and how.

use std::fmt;

use imgimport_sandbox::{Fault, When};

use super::{Output, RunningCmd, TestEnv};

/// A request: the n-th of its operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Point {
    operation: String,
    nth: usize,
}

/// How far the request has come when it happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// It was sent and nothing was done.
    Before,
    /// It was done; the answer is held back.
    Processed,
    /// The answer has come; the next request is held back.
    Answered,
}

/// What comes in place of the answer. The request was done each time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// The connection is closed.
    Cut,
    /// 200 without a body.
    Empty,
    /// 200 with a page of somebody in between.
    Foreign,
    /// 500.
    Failed,
}

/// Which signals come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// Ctrl-C and a second stop: all of it is to be removed.
    Twice,
    /// SIGTERM.
    Terminated,
    /// The terminal was closed.
    HungUp,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.nth)
    }
}

impl Point {
    pub fn new(operation: &str, nth: usize) -> Self {
        let operation = operation.to_owned();
        Self { operation, nth }
    }

    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Whether it is the first request of its operation.
    pub fn is_first(&self) -> bool {
        self.nth == 1
    }

    fn when(&self) -> When {
        Fault::on(&self.operation).nth(self.nth)
    }

    /// Waits until the program has come here; false where it has ended, because no request
    /// follows.
    pub async fn reached(
        &self,
        env: &TestEnv,
        moment: Moment,
        running: &mut RunningCmd<'_>,
    ) -> bool {
        let gate = match moment {
            Moment::Before => env.cloud.hold(self.when()),
            Moment::Processed | Moment::Answered => env.cloud.hold_answer(self.when()),
        };
        tokio::select! {
            () = gate.reached() => {}
            () = running.wait() => panic!("it ended before {self}"),
        }
        if moment == Moment::Answered {
            let next = env.cloud.hold(Fault::on("*").always());
            gate.release();
            return tokio::select! {
                () = next.reached() => true,
                () = running.wait() => false,
            };
        }
        true
    }
}

impl Lost {
    pub const ALL: [Self; 4] = [Self::Cut, Self::Empty, Self::Foreign, Self::Failed];

    pub fn at(self, point: &Point) -> Fault {
        match self {
            Self::Cut => point.when().cut_answer(),
            Self::Empty => point.when().replace_answer(200, ""),
            Self::Foreign => point
                .when()
                .replace_answer(200, "<html><body>Please log in</body></html>"),
            Self::Failed => point.when().replace_answer(500, ""),
        }
    }
}

impl Stop {
    /// Sends the signals and waits for the end.
    pub async fn end(self, running: RunningCmd<'_>) -> Output {
        match self {
            Self::Twice => {
                // Two of the same kind may arrive as one.
                running.signal("INT");
                running.signal("TERM");
            }
            Self::Terminated => running.signal("TERM"),
            Self::HungUp => running.signal("HUP"),
        }
        let ended = running.output().await;
        assert!(
            matches!(ended.code, Some(130 | 143)),
            "{:?}\n{}",
            ended.code,
            ended.stderr
        );
        ended
    }
}
