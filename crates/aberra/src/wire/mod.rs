//! Everything that leaves the library as JSON, one type for one thing: verdicts, explanations, detectors, evaluations,
//! reports and records of runs. The command line, the server, the report and its page speak these.
//!
//! With the feature `openapi` the types describe themselves for OpenAPI, from which the web's TypeScript is generated.

mod comparison;
mod detector;
mod machine;
mod report;
mod verdict;
mod volume;

pub use self::comparison::{ComparisonCell, ComparisonData, ComparisonRow};
pub use self::detector::{DetectorCard, MemberCard, PromiseCard, ScorerCard, TilesCard, VolumesCard};
pub use self::machine::MachineCard;
pub use self::report::*;
pub use self::verdict::{Explanation, NearNormalCard, VerdictCard};
pub use self::volume::{SliceCard, SliceData, VolumeCard};
