//! Histories as data: what users do, which calls fail and how, and which bug is planted.

pub(crate) mod draw;
pub(crate) mod fault;
pub mod kept;
pub(crate) mod plan;
pub(crate) mod plant;
pub(crate) mod point;
