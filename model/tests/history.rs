//! The history with many users at once, and a log service that fails.

#![recursion_limit = "256"]

use std::hash::{BuildHasher, Hasher, RandomState};

use model::crowd;

#[test]
fn the_history_of_a_crowd_is_exactly_what_it_started_and_was_denied() {
    let fresh = RandomState::new().build_hasher().finish() >> 24;
    for seed in [1, fresh] {
        let crowd = crowd(seed, 20, 500);
        println!("seed {seed}: {crowd:?}");
        assert!(crowd.wrong.is_empty(), "{:#?}", &crowd.wrong[..crowd.wrong.len().min(20)]);
        assert!(crowd.started > 100, "{crowd:?}");
        assert!(crowd.denied > 1000, "{crowd:?}");
        assert!(
            crowd.statuses.get(&503).is_some_and(|count| *count > 50),
            "the log service failed: {crowd:?}"
        );
    }
}
