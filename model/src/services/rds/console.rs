//! What users do in the console, and what RDS does on its own.

use super::{
    HOUR, MINUTE, Rds,
    instance::{Change, Instance, ORDERS},
};

impl Rds {
    /// Returns whether the instance could be stopped.
    pub(crate) fn stop(&mut self, identifier: &str, now: u64) -> bool {
        self.turn(identifier, now, |instance| instance.status == "available", "stopping", "stopped")
    }

    pub(crate) fn start(&mut self, identifier: &str, now: u64) -> bool {
        self.turn(identifier, now, |instance| instance.status == "stopped", "starting", "available")
    }

    fn turn(
        &mut self,
        identifier: &str,
        now: u64,
        allowed: fn(&Instance) -> bool,
        meanwhile: &str,
        then: &'static str,
    ) -> bool {
        self.advance(now);
        let Some(instance) = self.instances.get_mut(identifier).filter(|instance| allowed(instance)) else {
            return false;
        };
        meanwhile.clone_into(&mut instance.status);
        instance.course.push_back((now + MINUTE, Change::Status(then)));
        instance.course.make_contiguous().sort_by_key(|(at, _)| *at);
        true
    }

    pub(crate) fn delete_by_hand(&mut self, identifier: &str, now: u64) -> bool {
        self.advance(now);
        let exists = self.instances.get(identifier).is_some_and(|i| i.status != "deleting");
        if exists {
            self.vanish(identifier, now + MINUTE, true);
        }
        exists
    }

    pub(crate) fn autoscale(&mut self, identifier: &str, now: u64) {
        self.advance(now);
        if let Some(instance) = self.instances.get_mut(identifier).filter(|i| i.status == "available") {
            let storage = instance.storage + instance.storage.div_ceil(10).max(10);
            instance.storage = storage;
            instance.storage_changed = Some(now);
            instance.optimizing_until = now + 2 * HOUR;
            "storage-optimization".clone_into(&mut instance.status);
            instance.course.push_back((instance.optimizing_until, Change::Optimized));
        }
    }

    /// Adds an instance that stagedb doesn't manage, with data.
    pub(crate) fn make_foreign(&mut self, identifier: &str, now: u64) -> bool {
        self.advance(now);
        if self.instances.contains_key(identifier) {
            return false;
        }
        self.data += 1;
        self.instances.insert(identifier.to_owned(), Instance::foreign(self.data, now, Vec::new()));
        true
    }

    /// Adds the instance that stages can be attached to. It exists from the start.
    pub(crate) fn make_orders(&mut self) {
        self.instances.insert(ORDERS.to_owned(), Instance::orders());
    }
}
