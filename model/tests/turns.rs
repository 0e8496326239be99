//! A function works on a request in a turn, or not at all.

#![recursion_limit = "256"]

use std::{cell::Cell, time::Duration};

use aws::TurnError;
use database::{Asked, QUIET};
use model::at_work;
use tokio::time::{Instant, sleep};

#[test]
fn work_that_takes_longer_than_a_turn_is_dropped_and_started_again_before_another_request_starts() {
    at_work(async |at| {
        let (began, ended) = (Cell::new(0), Cell::new(0));
        let called = Instant::now();
        let work = || async {
            began.set(began.get() + 1);
            // AWS is slow the first time.
            sleep(Duration::from_secs(if began.get() == 1 { 60 } else { 1 })).await;
            ended.set(ended.get() + 1);
            called.elapsed()
        };
        let took = at.turns.take("stack", &at.asked, at.now, work).await;
        assert_eq!((began.get(), ended.get()), (2, 1));
        assert!(took.as_ref().is_ok_and(|took| *took < QUIET), "{took:?}");
    });
}

#[test]
fn nothing_is_done_for_a_request_that_cloudformation_does_not_wait_for() {
    at_work(async |at| {
        let other = Asked { properties: [("Rebuild".to_owned(), "two".to_owned())].into(), ..at.asked };
        let worked = Cell::new(false);
        let work = || async { worked.set(true) };
        let taken = at.turns.take("stack", &other, at.now, work).await;
        assert!(matches!(taken, Err(TurnError::Over)), "{taken:?}");
        assert!(!worked.get());
    });
}
