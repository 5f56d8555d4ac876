//! A member's output for one image.

/// A fitted member's output for one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inference {
    /// One value for each of the member's descriptors, in their order.
    pub measurements: Vec<f64>,
    /// Where the image is unusual, `[height, width]`, 0 or above, already filtered as it is thresholded.
    pub map: Option<Vec<f32>>,
    /// The map of each channel by itself, `[height, width, channels]`, 0 or above and filtered as the map is.
    pub channel_maps: Option<Vec<f32>>,
    /// The position of the image in the embedding space.
    pub embedding: Option<Embedding>,
    /// The member's reconstruction of the image, `[height, width, channels]`, 0 to 1.
    pub reconstruction: Option<Vec<f32>>,
}

/// The position of an image in a member's embedding space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    /// The point, `[dimensions]`: for a variational autoencoder the posterior mean.
    pub mean: Vec<f32>,
    /// Log-variance of each dimension, where the member gives a distribution.
    pub log_variance: Option<Vec<f32>>,
}

/// The parts of an [`Inference`] that a caller needs besides measurements and embedding: copying and filtering pixels
/// takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The filtered map.
    pub map: bool,
    /// The reconstruction.
    pub reconstruction: bool,
    /// The map of each channel. Within a detector they are there if its images have channels that are no colours.
    pub channel_maps: bool,
}

impl Want {
    /// Measurements and embedding alone.
    pub const MEASUREMENTS: Self = Self { map: false, reconstruction: false, channel_maps: false };
    /// Everything.
    pub const ALL: Self = Self { map: true, reconstruction: true, channel_maps: true };
    /// Measurements, embedding and map.
    pub const MAP: Self = Self { map: true, ..Self::MEASUREMENTS };

    /// The union of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            map: self.map || other.map,
            reconstruction: self.reconstruction || other.reconstruction,
            channel_maps: self.channel_maps || other.channel_maps,
        }
    }
}

impl Embedding {
    /// KL(q(z | x) || N(0, I)) of each dimension, nats; `None` if the embedding is no distribution.
    pub fn kl_per_dimension(&self) -> Option<impl Iterator<Item = f64>> {
        let log_variance = self.log_variance.as_ref()?;
        Some(self.mean.iter().zip(log_variance).map(|(mu, s)| {
            let (mu, s) = (f64::from(*mu), f64::from(*s));
            0.5 * (mu * mu + s.exp() - 1.0 - s)
        }))
    }
}
