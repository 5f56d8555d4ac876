//! Verdicts to look at: heat maps of where an image is unusual, and sheets that show what the model made of it.
//!
//! One colour scale everywhere, anchored at the detector's pixel threshold, so that two pictures can be compared.

mod heatmap;
mod sheet;

pub use heatmap::{heat_color, heat_map_png};
pub use sheet::sheet_png;
