//! Settings of a detector's members: which family each is of, and the family's own settings, which the family checks.

use std::fmt;

use aberra_models::families::{DEFAULT_FAMILY, FAMILIES, default_members};
use aberra_models::{
    Family, Platform, Settings, Shape, SharedMember, Tensors, find, of_channel, preset, scaled,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{Error, Result};

/// Settings of one member.
#[derive(Clone)]
pub struct MemberSettings {
    /// The member's name; by default that of its family, with a number if several are of one family.
    pub name: String,
    /// Its family.
    pub family: &'static dyn Family,
    /// Its seed, where it is not the detector's own.
    pub seed: Option<u64>,
    /// The longer side of its inputs in pixels, where it is not that of the detector's network input.
    pub size_px: Option<usize>,
    /// The one channel that it sees, where it does not see all.
    pub channel: Option<Channel>,
    /// The family's settings, whole.
    pub settings: Settings,
}

/// Settings of a detector's members as they are given: a table each of `family`, `preset`, `name`, `seed` and the family's
/// own. They are read when the settings are [checked](crate::TrainConfig::check).
#[derive(Clone, Debug, PartialEq)]
pub struct Models(Vec<Settings>);

impl Models {
    /// The settings of one member, or of several.
    pub fn new(tables: Vec<Settings>) -> Self {
        Self(tables)
    }

    /// Settings that are whole.
    pub(crate) fn of(members: &[MemberSettings]) -> Self {
        Self(members.iter().map(MemberSettings::to_table).collect())
    }

    /// The members, in order, with what is missing filled in from their presets.
    ///
    /// # Errors
    /// There is none, two have the same name, or a family or preset is not known.
    pub(crate) fn parse(
        &self,
        families: &[&'static dyn Family],
        channels: &[String],
    ) -> Result<Vec<MemberSettings>> {
        if self.0.is_empty() {
            return Err(Error::settings("model: expected at least one model, found none"));
        }
        let mut members: Vec<MemberSettings> = Vec::new();
        for table in &self.0 {
            let before: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
            let member = MemberSettings::parse(table.clone(), families, channels, &before)?;
            for member in member.for_channels(channels) {
                if before.contains(&member.name) {
                    return Err(Error::settings(format!(
                        "model.name: expected names that differ, found {:?} twice",
                        member.name
                    )));
                }
                members.push(member);
            }
        }
        Ok(members)
    }
}

impl Default for Models {
    /// The members of the default detector.
    fn default() -> Self {
        let members = Self(default_members(false));
        // Whole, so that what is printed says everything; a test checks that they parse.
        members.parse(FAMILIES, &[]).map_or(members, |whole| Self::of(&whole))
    }
}

impl PartialEq for MemberSettings {
    fn eq(&self, other: &Self) -> bool {
        self.to_table() == other.to_table()
    }
}

impl fmt::Debug for MemberSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_table().fmt(f)
    }
}

impl MemberSettings {
    /// From a table of settings: `family`, `preset`, `name`, `seed`, and the family's own. `before` are the names taken.
    fn parse(
        mut table: Settings,
        families: &[&'static dyn Family],
        channels: &[String],
        before: &[String],
    ) -> Result<Self> {
        let mut text = |key: &str| match table.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::settings(format!("model.{key}: expected a text, found {other}"))),
        };
        let (family, chosen, name) = (text("family")?, text("preset")?, text("name")?);
        let channel = text("channel")?.map(|name| Channel::find(name, channels)).transpose()?;
        let family = find(families, family.as_deref().unwrap_or(DEFAULT_FAMILY))?;
        let seed = table.remove("seed").map(|seed| {
            seed.as_u64().ok_or_else(|| {
                Error::settings(format!("model.seed: expected a whole number of 0 or above, found {seed}"))
            })
        });
        let size_px = table.remove("size_px").map(|size| {
            let side = size.as_u64().and_then(|side| usize::try_from(side).ok());
            side.filter(|side| (16..=1024).contains(side)).ok_or_else(|| {
                Error::settings(format!(
                    "model.size_px: expected a whole number from 16 to 1024, found {size}"
                ))
            })
        });
        let mut settings = preset(family, chosen.as_deref().unwrap_or(family.default_preset()))?;
        settings.extend(table);
        let free = |number: usize| match number {
            1 => family.name().to_owned(),
            number => format!("{}-{number}", family.name()),
        };
        let name = match name {
            Some(name) => check_name(name)?,
            None => (1..).map(free).find(|name| !before.contains(name)).unwrap_or_default(),
        };
        Ok(Self { name, family, seed: seed.transpose()?, size_px: size_px.transpose()?, channel, settings })
    }

    fn to_table(&self) -> Settings {
        let mut table = Settings::new();
        table.insert("family".to_owned(), self.family.name().into());
        if self.name != self.family.name() {
            table.insert("name".to_owned(), self.name.clone().into());
        }
        if let Some(seed) = self.seed {
            table.insert("seed".to_owned(), seed.into());
        }
        if let Some(size_px) = self.size_px {
            table.insert("size_px".to_owned(), size_px.into());
        }
        if let Some(channel) = &self.channel {
            table.insert("channel".to_owned(), channel.name.clone().into());
        }
        table.extend(self.settings.clone());
        table
    }

    /// The shape of its inputs in a detector whose network input has the shape `outer`: not larger than that.
    pub fn shape(&self, outer: Shape) -> Shape {
        let channels = if self.channel.is_some() { 1 } else { outer.channels };
        let outer = Shape { channels, ..outer };
        let Some(size_px) = self.size_px else { return outer };
        let longer = outer.height.max(outer.width);
        let size_px = size_px.min(longer);
        let side = |outer: usize| ((outer * size_px + longer / 2) / longer).max(1);
        Shape { height: side(outer.height), width: side(outer.width), ..outer }
    }

    /// A member that has been fitted to its inputs, as one of a detector whose network input has the shape `outer`.
    pub(crate) fn within(&self, member: SharedMember, outer: Shape) -> SharedMember {
        match &self.channel {
            None => scaled(member, self.shape(outer), outer),
            Some(channel) => {
                let plane = Shape { channels: 1, ..outer };
                of_channel(scaled(member, self.shape(outer), plane), channel.number, outer)
            }
        }
    }

    /// A member for each channel, where its family cannot take them together; itself where it can, or sees one alone.
    fn for_channels(self, channels: &[String]) -> Vec<Self> {
        if channels.is_empty() || self.channel.is_some() || self.family.takes_any_channels() {
            return vec![self];
        }
        let of = |(number, name): (usize, &String)| {
            let part = part_of_name(name);
            let is_another = |before: &String| part_of_name(before) == part;
            let mut own = format!("{}-{part}", self.name);
            if own.len() > MAX_NAME_BYTES || channels[..number].iter().any(is_another) {
                own = format!("{}-{}", self.name, number + 1);
            }
            Self { name: own, channel: Some(Channel { name: name.clone(), number }), ..self.clone() }
        };
        channels.iter().enumerate().map(of).collect()
    }

    /// The member that its tensors make.
    ///
    /// # Errors
    /// As [`Family::load`].
    pub(crate) fn load(&self, outer: Shape, tensors: Tensors, platform: &Platform) -> Result<SharedMember> {
        let member = self.family.load(&self.settings, self.shape(outer), tensors, platform)?;
        Ok(self.within(member, outer))
    }
}

/// One of the channels of images whose channels are no colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Its number, from 0.
    pub number: usize,
}

impl Channel {
    fn find(name: String, channels: &[String]) -> Result<Self> {
        let number = channels.iter().position(|channel| *channel == name).ok_or_else(|| match channels {
            [] => {
                Error::settings(format!("model.channel: expected images of several channels, found {name:?}"))
                    .with_hint("name the channels in preprocessing.channels, or leave model.channel out")
            }
            _ => Error::settings(format!(
                "model.channel: expected one of {}, found {name:?}",
                channels.join(", ")
            )),
        })?;
        Ok(Self { name, number })
    }
}

/// The name of a channel as a part of a member's.
fn part_of_name(channel: &str) -> String {
    channel.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// Longest name of a member.
const MAX_NAME_BYTES: usize = 40;

fn check_name(name: String) -> Result<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(fits) && name != "image" {
        true => Ok(name),
        false => Err(Error::settings(format!(
            "model.name: expected up to 40 small letters, digits, - and _, and not `image`, found {name:?}"
        ))),
    }
}

impl Serialize for Models {
    /// One member as a table, several as a list of them.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [table] => table.serialize(to),
            tables => tables.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let tables = match Value::deserialize(from)? {
            Value::Object(table) => vec![table],
            Value::Array(values) => {
                let table = |value| match value {
                    Value::Object(table) => Ok(table),
                    other => Err(serde::de::Error::custom(format!("model: expected a table, found {other}"))),
                };
                values.into_iter().map(table).collect::<Result<_, D::Error>>()?
            }
            other => return Err(serde::de::Error::custom(format!("model: expected a table, found {other}"))),
        };
        Ok(Self(tables))
    }
}

impl JsonSchema for Models {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Models".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let family = |family: &&dyn aberra_models::Family| {
            let mut schema = family.schema();
            let presets: Vec<&str> = family.presets().iter().map(|preset| preset.name).collect();
            let own = [
                ("family", serde_json::json!({ "const": family.name(), "description": family.about() })),
                (
                    "preset",
                    serde_json::json!({
                        "enum": presets, "default": family.default_preset(),
                        "description": "Named settings that the other settings change."
                    }),
                ),
                (
                    "name",
                    serde_json::json!({ "type": "string", "description": "What the member is called." }),
                ),
                (
                    "seed",
                    serde_json::json!({
                        "type": "integer", "minimum": 0, "description": "Its seed, where it is not the detector's own."
                    }),
                ),
                (
                    "size_px",
                    serde_json::json!({
                        "type": "integer", "minimum": 16, "maximum": 1024,
                        "description": "The longer side of its inputs, where it is not that of the detector's network input."
                    }),
                ),
                (
                    "channel",
                    serde_json::json!({
                        "type": "string",
                        "description": "The one channel that it sees, of images whose channels are no colours."
                    }),
                ),
            ];
            if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
                properties.extend(own.map(|(name, value)| (name.to_owned(), value)));
            }
            if family.name() != DEFAULT_FAMILY
                && let Some(schema) = schema.as_object_mut()
            {
                schema.insert("required".to_owned(), serde_json::json!(["family"]));
            }
            schema
        };
        let families: Vec<Value> = FAMILIES.iter().map(family).collect();
        json_schema!({
            "description": "The model, or a list of several.",
            "anyOf": [{ "anyOf": families.clone() }, { "type": "array", "items": { "anyOf": families }, "minItems": 1 }]
        })
    }
}
