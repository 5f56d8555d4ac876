//! Bytes -> image -> network input: decoding with limits, and preprocessing.
//!
//! The only crate of Aberra that decodes. It knows nothing of models, data sets or scores.

mod channels;
mod claim;
mod codec;
mod color;
mod decode;
mod encode;
mod error;
mod file_bytes;
mod foreground;
mod id;
mod image;
mod invalid;
mod limits;
mod mask;
mod origin;
mod paged_file;
mod percentile;
mod placement;
mod preprocess;
mod relative;
mod remark;
mod resize;
mod shown;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod tiles;
mod turn;
mod window;

pub use claim::{FileClaim, claim, is_image_file};
pub use codec::dicom::derived::{DicomSlices, MapMaker};
pub use codec::nifti::encode_nifti;
pub use color::{Color, InputColor};
pub use decode::{
    Images, count_pages, decode, decode_grey, decode_page, header, probe, read, read_grey, read_page,
};
pub use encode::{encode_jpeg, encode_png};
pub use error::Error;
pub use foreground::ForegroundCrop;
pub use id::ImageId;
pub use image::{ColorMode, Format, Header, Image, MAX_CHANNELS, Source};
pub use invalid::InvalidValue;
pub use limits::Limits;
pub use mask::{FittedMask, fit_mask};
pub use origin::{Acquisition, Origin};
pub use paged_file::PagedFile;
pub use placement::{Placement, Region};
pub use preprocess::{Input, IntensityScaling, Preprocessing, check};
pub use relative::RelativeRegion;
pub use remark::Remark;
pub use shown::Shown;
pub use tiles::{MOST_TILES, TileGrid, Tiles, Tiling};
pub use window::Window;
