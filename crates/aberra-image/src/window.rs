//! The window: the values in the unit of a modality, such as Hounsfield units, that become 0 and 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::{Error, Image};

/// The values that become 0 and 1, the same in every image: those half a width below and above the center, in the unit that
/// the files give their values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The value in the middle.
    pub center: f64,
    /// From the value that becomes 0 to that which becomes 1, above 0.
    pub width: f64,
}

impl Window {
    /// # Errors
    /// The width is not above 0, or a number is not finite.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let Self { center, width } = *self;
        if center.is_finite() && width.is_finite() && width > 0.0 {
            return Ok(());
        }
        let message = format!(
            "preprocessing setting `window`: expected a center and a width above 0, found center {center} and width {width}"
        );
        Err(Error::new(Kind::Settings, message))
    }

    /// An image as the window shows it, 0 to 1.
    ///
    /// # Errors
    /// Its values have no unit.
    pub(crate) fn shown(&self, image: &Image) -> Result<Image, Error> {
        let Image { height, width, source, .. } = image;
        let Some(values) = image.measured() else {
            let message = format!(
                "expected an image in grey whose values have a unit, for the window: a DICOM file that states how its values are \
                 rescaled, a NIfTI volume or a NumPy array of more than 8 bits; found a {} of {} bits in {}",
                source.format, source.bit_depth, source.color_mode
            );
            return Err(Error::new(Kind::Pixels, message));
        };
        let low = self.center - self.width / 2.0;
        let share = |&value: &f32| ((f64::from(value) - low) / self.width).clamp(0.0, 1.0) as f32;
        Ok(Image {
            pixels: values.iter().map(share).collect(),
            height: *height,
            width: *width,
            channels: 1,
            unscaled: None,
            not_finite: image.not_finite.clone(),
            source: source.clone(),
        })
    }
}
