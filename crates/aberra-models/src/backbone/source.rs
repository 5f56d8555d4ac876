//! Which backbone the members of a detector work on, and on which device.

use std::sync::{Arc, OnceLock};

use aberra_metrics::Result;
use burn::tensor::Device;

use super::Backbone;

/// Where the weights of a [`Backbone`] come from.
#[derive(Clone, Debug, Default)]
pub enum BackboneSource {
    /// From this crate: trained on ImageNet.
    #[default]
    Embedded,
    /// From this crate: learnt from generated images alone.
    Generated,
    /// From the user.
    Own(Arc<Backbone>),
}

impl BackboneSource {
    /// The name of the weights trained on ImageNet in settings.
    pub const EMBEDDED: &'static str = "efficientnet-lite0";
    /// The name of the weights learnt from generated images in settings: none from elsewhere.
    pub const GENERATED: &'static str = "none";

    /// The name of the weights in settings or, of a user's own, their hash: it changes with them.
    pub fn identity(&self) -> &str {
        match self {
            Self::Embedded => Self::EMBEDDED,
            Self::Generated => Self::GENERATED,
            Self::Own(backbone) => backbone.hash(),
        }
    }

    /// The backbone on any device, also with autodiff, where [`get`](Self::get) gives a user's own on its device.
    ///
    /// # Errors
    /// As [`Backbone::embedded`].
    pub(crate) fn on(&self, device: &Device) -> Result<Arc<Backbone>> {
        let backbone = self.get(device)?;
        match backbone.own_weights() {
            Some(own) if backbone.device() != device => {
                Backbone::from_own_weights(own.clone(), backbone.hash(), device).map(Arc::new)
            }
            _ => Ok(backbone),
        }
    }

    /// The backbone on a device, shared by all who ask for it on the CPU.
    ///
    /// # Errors
    /// As [`Backbone::embedded`].
    pub(crate) fn get(&self, device: &Device) -> Result<Arc<Backbone>> {
        static EMBEDDED: OnceLock<Arc<Backbone>> = OnceLock::new();
        static GENERATED: OnceLock<Arc<Backbone>> = OnceLock::new();
        let (shared, make): (_, fn(&Device) -> Result<Backbone>) = match self {
            Self::Embedded => (&EMBEDDED, Backbone::embedded),
            Self::Generated => (&GENERATED, Backbone::generated),
            Self::Own(backbone) => return Ok(backbone.clone()),
        };
        if *device != Device::flex() {
            return make(device).map(Arc::new);
        }
        if let Some(backbone) = shared.get() {
            return Ok(backbone.clone());
        }
        let backbone = Arc::new(make(device)?);
        Ok(shared.get_or_init(|| backbone).clone())
    }
}

/// What members compute with.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The device of tensors.
    pub device: Device,
    /// The backbone of those that work on frozen features.
    pub backbone: BackboneSource,
}

impl Platform {
    /// A device, and the backbone with the weights trained on ImageNet.
    pub fn new(device: Device) -> Self {
        Self { device, backbone: BackboneSource::Embedded }
    }

    /// The backbone on the device.
    ///
    /// # Errors
    /// As [`Backbone::embedded`].
    pub(crate) fn backbone(&self) -> Result<Arc<Backbone>> {
        self.backbone.get(&self.device)
    }
}
