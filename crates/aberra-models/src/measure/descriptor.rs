//! Descriptors of measurements: name, meaning, unit, and which direction is unusual.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Describes one measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Descriptor {
    /// Its name: small letters, digits and underscores; after a member's name and a point in joined evidence.
    pub name: Cow<'static, str>,
    /// What it measures, in one phrase.
    pub about: Cow<'static, str>,
    /// Its unit, such as `nats`; empty if it has none.
    pub unit: Cow<'static, str>,
    /// Which direction is unusual.
    pub direction: Direction,
}

/// The meaning of a larger value of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The larger, the more unusual.
    HigherIsUnusual,
    /// Not indicative by itself: it describes the image, such as its complexity, as context for other measurements.
    Context,
}

impl Descriptor {
    /// A descriptor whose larger values are more unusual.
    pub const fn unusual(name: &'static str, unit: &'static str, about: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            about: Cow::Borrowed(about),
            unit: Cow::Borrowed(unit),
            direction: Direction::HigherIsUnusual,
        }
    }

    /// A descriptor of the image itself.
    pub const fn context(name: &'static str, unit: &'static str, about: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            about: Cow::Borrowed(about),
            unit: Cow::Borrowed(unit),
            direction: Direction::Context,
        }
    }

    /// The same with `member.` before its name.
    #[must_use]
    pub fn of_member(&self, member: &str) -> Self {
        Self { name: format!("{member}.{}", self.name).into(), ..self.clone() }
    }
}
