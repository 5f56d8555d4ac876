//! One file per verb: its arguments, the library calls and the output.

pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod merge;
pub(crate) mod report;
pub(crate) mod score;
pub(crate) mod score_volumes;
pub(crate) mod serve;
pub(crate) mod train;
