//! Tiles: how a large or long image becomes several network inputs.
//!
//! The preprocessed image is a *canvas*. The canvas of most images is one network input; that of a large or long image is
//! wider or higher, and a grid of square network inputs that overlap covers it. How many there are, and the canvas's size, is
//! settled by the normals when a detector is trained, so that every image of a detector has a canvas of the same size.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Kind;
use crate::placement::Region;

/// How many network inputs an image becomes: `"none"` for one, `"auto"` or a grid such as `"2x3"` (rows x columns) in a file
/// of settings, and the grid with the size of its canvas in a detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
#[non_exhaustive]
pub enum Tiles {
    /// One: the whole image.
    #[default]
    None,
    /// As many as the normals of a detector need, by their size and shape.
    Auto,
    /// A grid, whose canvas follows from the normals of a detector.
    Counted {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// A grid and its canvas.
    Grid(TileGrid),
}

/// A grid of tiles, evenly spread over a canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TileGrid {
    /// Rows of tiles.
    pub rows: usize,
    /// Columns of tiles.
    pub columns: usize,
    /// Height of the canvas.
    pub height_px: usize,
    /// Width of the canvas.
    pub width_px: usize,
}

/// The grid of an image's network inputs, with their side: what cuts a canvas into tiles and puts their maps together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    grid: TileGrid,
    size_px: usize,
}

/// Most tiles of an image.
pub const MOST_TILES: usize = 48;

/// Least overlap of neighbouring tiles, as a share of their side: an anomaly that the edge of one cuts off lies further
/// inside another.
const OVERLAP: f64 = 0.125;
/// Most overlap, beyond which a canvas is widened: more tiles would show the same.
const MOST_OVERLAP: f64 = 0.75;
/// A longer side of this many times the shorter is cut.
const LONG: f64 = 1.5;
/// So is a side of more than this many pixels, because what is small would vanish with the reduction.
const LARGE_PX: f64 = 1024.0;
/// Tiles may be larger than they should be by this share of themselves before there is one more of them.
const TOLERANCE: f64 = 0.1;

impl Tiles {
    /// How many tiles an image has and where they lie: [`Auto`](Self::Auto) and [`Counted`](Self::Counted) settled by the
    /// median height and width of `contents`, of which the network input shows `size_px` pixels.
    #[must_use]
    pub fn settled(self, size_px: usize, contents: &[Region]) -> Self {
        let (height, width) = medians(size_px, contents);
        let (rows, columns) = match self {
            Self::None | Self::Grid(_) => return self,
            Self::Counted { rows, columns } => (rows, columns),
            Self::Auto => counts(height, width, size_px, MOST_TILES),
        };
        match rows * columns {
            1 => Self::None,
            _ => Self::Grid(TileGrid::fitted(rows, columns, height, width, size_px)),
        }
    }

    /// Whether [`settled`](Self::settled) would make more and smaller tiles if there might be more than [`MOST_TILES`].
    pub fn is_limited(self, size_px: usize, contents: &[Region]) -> bool {
        let (height, width) = medians(size_px, contents);
        let counts = |most| counts(height, width, size_px, most);
        self == Self::Auto && counts(MOST_TILES) != counts(usize::MAX)
    }

    /// The grid of network inputs with sides of `size_px`.
    ///
    /// # Errors
    /// It has not been [settled](Self::settled).
    pub fn tiling(self, size_px: usize) -> Result<Tiling, Error> {
        let grid = match self {
            Self::None => TileGrid { rows: 1, columns: 1, height_px: size_px, width_px: size_px },
            Self::Grid(grid) => grid,
            Self::Auto | Self::Counted { .. } => {
                let message = format!(
                    "preprocessing setting `tiles`: expected none, or a grid with its canvas, found {self}, which is \
                     settled when a detector is trained"
                );
                return Err(Error::new(Kind::Settings, message));
            }
        };
        Ok(Tiling { grid, size_px })
    }

    /// # Errors
    /// No tiles or too many, or a canvas that they do not cover evenly.
    pub(crate) fn validate(self, size_px: usize) -> Result<(), Error> {
        let unfit = |expected: String, found: String| {
            let message = format!("preprocessing setting `tiles`: expected {expected}, found {found}");
            Err(Error::new(Kind::Settings, message))
        };
        let (rows, columns) = match self {
            Self::None | Self::Auto => return Ok(()),
            Self::Counted { rows, columns } | Self::Grid(TileGrid { rows, columns, .. }) => (rows, columns),
        };
        if !rows.checked_mul(columns).is_some_and(|count| (1..=MOST_TILES).contains(&count)) {
            return unfit(format!("1 to {MOST_TILES} tiles in all"), format!("{rows} x {columns}"));
        }
        let Self::Grid(grid) = self else { return Ok(()) };
        for (name, count, extent) in
            [("height_px", rows, grid.height_px), ("width_px", columns, grid.width_px)]
        {
            let (low, high) = (size_px + (count - 1), size_px * count);
            if !(low..=high).contains(&extent) {
                return unfit(
                    format!("{low} to {high} as {name} of {count} tiles of {size_px} px beside each other"),
                    extent.to_string(),
                );
            }
        }
        Ok(())
    }
}

/// The median height and width of contents.
fn medians(size_px: usize, contents: &[Region]) -> (f64, f64) {
    let median = |side: &dyn Fn(&Region) -> usize| {
        let mut sides: Vec<usize> = contents.iter().map(side).collect();
        sides.sort_unstable();
        sides.get(sides.len() / 2).copied().unwrap_or(size_px).max(1) as f64
    };
    (median(&|one| one.height), median(&|one| one.width))
}

/// Rows and columns of tiles for contents of this size, at most so many in all.
fn counts(height: f64, width: f64, size_px: usize, most: usize) -> (usize, usize) {
    let (long, short) = (height.max(width), height.min(width));
    let is_long = long >= LONG * short;
    // An image that is not reduced loses nothing.
    if long <= size_px as f64 || !(is_long || long > LARGE_PX) {
        return (1, 1);
    }
    let count = |side: f64, tile: f64| {
        let count = 1.0 + (side / tile - 1.0) / (1.0 - OVERLAP);
        (count - TOLERANCE).ceil().max(1.0) as usize
    };
    let mut tile = short.min(LARGE_PX);
    loop {
        let (rows, columns) = (count(height, tile), count(width, tile));
        if rows.saturating_mul(columns) <= most {
            return (rows, columns);
        }
        tile *= 1.02;
    }
}

impl TileGrid {
    /// A grid whose canvas has the shape of a content of this size, as far as the overlap allows.
    fn fitted(rows: usize, columns: usize, height: f64, width: f64, size_px: usize) -> Self {
        let size = size_px as f64;
        let tiles = |count: usize, overlap: f64| 1.0 + (count - 1) as f64 * (1.0 - overlap);
        // The side of a tile in pixels of the content.
        let side = (height / tiles(rows, OVERLAP)).max(width / tiles(columns, OVERLAP));
        let extent = |count: usize, content: f64| {
            let (low, high) = (size * tiles(count, MOST_OVERLAP), size * tiles(count, OVERLAP));
            (content / side * size).clamp(low, high).round() as usize
        };
        Self { rows, columns, height_px: extent(rows, height), width_px: extent(columns, width) }
    }
}

impl Tiling {
    /// Number of tiles.
    pub fn count(&self) -> usize {
        self.grid.rows * self.grid.columns
    }

    /// The grid.
    pub fn grid(&self) -> TileGrid {
        self.grid
    }

    /// Side of each tile.
    pub fn size_px(&self) -> usize {
        self.size_px
    }

    /// First row and first column of each tile in the canvas, row by row.
    pub fn corners(&self) -> Vec<(usize, usize)> {
        let TileGrid { rows, columns, height_px, width_px } = self.grid;
        let first = |index: usize, count: usize, extent: usize| match count {
            1 => 0,
            _ => index * (extent - self.size_px) / (count - 1),
        };
        let row = |row: usize| {
            (0..columns).map(move |column| (first(row, rows, height_px), first(column, columns, width_px)))
        };
        (0..rows).flat_map(row).collect()
    }

    /// A tile of a canvas `[height_px, width_px, channels]`: `[size_px, size_px, channels]`.
    ///
    /// # Panics
    /// The canvas has another length, or there is no tile of this number.
    pub fn cut(&self, canvas: &[f32], channels: usize, tile: usize) -> Vec<f32> {
        let (top, left) = self.corners()[tile];
        let mut pixels = Vec::with_capacity(self.size_px * self.size_px * channels);
        for y in top..top + self.size_px {
            let start = (y * self.grid.width_px + left) * channels;
            pixels.extend_from_slice(&canvas[start..start + self.size_px * channels]);
        }
        pixels
    }

    /// The canvas `[height_px, width_px, channels]` of which each of `tiles`, `[size_px, size_px, channels]` and in order,
    /// says a part. Where they overlap, it is their mean, in which each weighs less towards its edges.
    ///
    /// # Panics
    /// There are fewer tiles than the grid has, or they have another length.
    pub fn stitch(&self, tiles: &[&[f32]], channels: usize) -> Vec<f32> {
        if let ([tile], 1) = (tiles, self.count()) {
            return tile.to_vec();
        }
        let (size, TileGrid { height_px, width_px, .. }) = (self.size_px, self.grid);
        let tent: Vec<f32> = (0..size).map(|at| (at + 1).min(size - at) as f32).collect();
        let mut sums = vec![0.0_f32; height_px * width_px * channels];
        let mut weights = vec![0.0_f32; height_px * width_px];
        for ((top, left), tile) in self.corners().into_iter().zip(tiles) {
            for (y, row) in tile.chunks_exact(size * channels).enumerate() {
                let start = (top + y) * width_px + left;
                for (x, values) in row.chunks_exact(channels).enumerate() {
                    let weight = tent[y] * tent[x];
                    weights[start + x] += weight;
                    let sums = &mut sums[(start + x) * channels..][..channels];
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        for (sums, weight) in sums.chunks_exact_mut(channels).zip(&weights) {
            sums.iter_mut().for_each(|sum| *sum /= weight);
        }
        sums
    }
}

impl fmt::Display for Tiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Counted { rows, columns } => write!(f, "{rows}x{columns}"),
            Self::Grid(grid) => write!(f, "{}x{}", grid.rows, grid.columns),
        }
    }
}

impl FromStr for Tiles {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let count = |text: &str| text.trim().parse::<usize>().ok();
        let counts =
            || text.split_once('x').and_then(|(rows, columns)| Some((count(rows)?, count(columns)?)));
        match text {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            _ => match counts() {
                Some((1, 1)) => Ok(Self::None),
                Some((rows, columns)) => Ok(Self::Counted { rows, columns }),
                None => {
                    let message = format!(
                        "preprocessing setting `tiles`: expected auto, none, or rows and columns such as 2x3, found \
                         {text:?}"
                    );
                    Err(Error::new(Kind::Settings, message))
                }
            },
        }
    }
}

/// Tiles as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected auto, none, rows and columns such as 2x3, or a grid with its canvas")]
enum Written {
    /// `none`, `auto`, or rows and columns such as `2x3`.
    Word(String),
    /// A grid and its canvas, as a detector has it.
    Grid(TileGrid),
}

impl From<Tiles> for Written {
    fn from(tiles: Tiles) -> Self {
        match tiles {
            Tiles::Grid(grid) => Self::Grid(grid),
            word => Self::Word(word.to_string()),
        }
    }
}

impl TryFrom<Written> for Tiles {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        match written {
            Written::Word(word) => word.parse(),
            Written::Grid(grid) => Ok(Self::Grid(grid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(height: usize, width: usize) -> [Region; 3] {
        // The median counts, whatever lies beside it.
        [(8, 8), (height, width), (10_000, 10_000)].map(|(height, width)| Region {
            top: 0,
            left: 0,
            height,
            width,
        })
    }

    fn auto(height: usize, width: usize) -> Option<TileGrid> {
        match Tiles::Auto.settled(256, &contents(height, width)) {
            Tiles::None => None,
            Tiles::Grid(grid) => Some(grid),
            other => panic!("{other:?} is not settled"),
        }
    }

    #[test]
    fn only_long_and_large_images_become_tiles() {
        for (height, width) in [(256, 256), (500, 700), (1_024, 1_000), (90, 250), (17, 256)] {
            assert_eq!(auto(height, width), None, "{height} x {width}");
        }
        let grid = |rows, columns, height_px, width_px| Some(TileGrid { rows, columns, height_px, width_px });
        // 500 x 1,250: the height is 256, so the width is 640, and three tiles of 256 overlap by 64.
        assert_eq!(auto(500, 1_250), grid(1, 3, 256, 640));
        assert_eq!(auto(1_250, 500), grid(3, 1, 640, 256));
        assert_eq!(auto(400, 600), grid(1, 2, 256, 384));
        // 4.5 tiles of 889 px with an overlap of an eighth are 4,000 px.
        assert_eq!(auto(3_000, 4_000), grid(4, 5, 864, 1_152));
        assert_eq!(auto(1_500, 2_000), grid(2, 2, 360, 480));
    }

    #[test]
    fn there_is_a_most_and_it_is_said() {
        let grid = auto(20_000, 20_000).unwrap();
        assert_eq!((grid.rows, grid.columns), (6, 6));
        assert!(Tiles::Auto.is_limited(256, &contents(20_000, 20_000)));
        assert!(!Tiles::Auto.is_limited(256, &contents(3_000, 4_000)));
        assert!(!Tiles::None.is_limited(256, &contents(20_000, 20_000)));
        let long = auto(100, 60_000).unwrap();
        assert!(long.rows == 1 && long.columns <= MOST_TILES && long.columns > MOST_TILES / 2, "{long:?}");
    }

    #[test]
    fn what_is_given_is_kept() {
        for tiles in
            [Tiles::None, Tiles::Grid(TileGrid { rows: 1, columns: 2, height_px: 256, width_px: 400 })]
        {
            assert_eq!(tiles.settled(256, &contents(3_000, 4_000)), tiles);
        }
        let Tiles::Grid(grid) = (Tiles::Counted { rows: 2, columns: 3 }).settled(256, &contents(400, 600))
        else {
            panic!("expected a grid")
        };
        assert_eq!((grid.rows, grid.columns), (2, 3));
        // A square content has no use for four columns: they overlap as much as is sensible, and the canvas is padded.
        let Tiles::Grid(grid) = (Tiles::Counted { rows: 1, columns: 4 }).settled(256, &contents(500, 500))
        else {
            panic!("expected a grid")
        };
        assert_eq!((grid.height_px, grid.width_px), (256, 256 + 3 * 64));
        assert!(
            Tiles::Auto.tiling(256).is_err() && Tiles::Counted { rows: 1, columns: 2 }.tiling(256).is_err()
        );
    }

    #[test]
    fn they_are_written_as_they_are_read() {
        let grid = TileGrid { rows: 1, columns: 3, height_px: 256, width_px: 640 };
        for (tiles, text) in [
            (Tiles::None, r#""none""#),
            (Tiles::Auto, r#""auto""#),
            (Tiles::Counted { rows: 2, columns: 3 }, r#""2x3""#),
            (Tiles::Grid(grid), r#"{"rows":1,"columns":3,"height_px":256,"width_px":640}"#),
        ] {
            assert_eq!(serde_json::to_string(&tiles).unwrap(), text);
            assert_eq!(serde_json::from_str::<Tiles>(text).unwrap(), tiles);
        }
        assert_eq!("1x1".parse::<Tiles>().unwrap(), Tiles::None);
        for bad in ["", "x", "3", "2x", "2x3x4", "-1x2", "Auto", "2*3"] {
            let error = bad.parse::<Tiles>().unwrap_err();
            assert!(error.is_settings() && error.to_string().contains("such as 2x3"), "{error}");
        }
        let error = serde_json::from_str::<Tiles>("3").unwrap_err().to_string();
        assert!(error.contains("expected auto, none, rows and columns such as 2x3"), "{error}");
    }

    proptest! {
        #[test]
        fn tiles_cover_the_canvas_and_overlap(height in 100_usize..9_000, width in 100_usize..9_000) {
            let tiles = Tiles::Auto.settled(64, &contents(height, width));
            tiles.validate(64).unwrap();
            let tiling = tiles.tiling(64).unwrap();
            let TileGrid { rows, columns, height_px, width_px } = tiling.grid();
            prop_assert!(tiling.count() <= MOST_TILES);
            let corners = tiling.corners();
            prop_assert_eq!(corners.len(), tiling.count());
            prop_assert_eq!((corners[0], *corners.last().unwrap()), ((0, 0), (height_px - 64, width_px - 64)));
            for (at, (top, left)) in corners.iter().enumerate() {
                if at % columns > 0 {
                    let step = left - corners[at - 1].1;
                    prop_assert!((1..=57).contains(&step), "an eighth of 64 overlaps, a pixel's rounding: {step}");
                }
                if at >= columns {
                    prop_assert!((1..=57).contains(&(top - corners[at - columns].0)));
                }
            }
            prop_assert_eq!(corners.len(), rows * columns);
        }

        /// What is cut and stitched is what it was; tiles that differ are mixed where they overlap and nowhere else.
        #[test]
        fn stitched_tiles_are_the_canvas(rows in 1_usize..4, columns in 1_usize..4, channels in 1_usize..4) {
            let extent = |count: usize| 16 + (count - 1) * 12;
            let grid = TileGrid { rows, columns, height_px: extent(rows), width_px: extent(columns) };
            let tiling = Tiles::Grid(grid).tiling(16).unwrap();
            let length = grid.height_px * grid.width_px * channels;
            let canvas: Vec<f32> = (0..length).map(|at| (at * 37 % 101) as f32).collect();
            let tiles: Vec<Vec<f32>> = (0..tiling.count()).map(|tile| tiling.cut(&canvas, channels, tile)).collect();
            let slices: Vec<&[f32]> = tiles.iter().map(Vec::as_slice).collect();
            let stitched = tiling.stitch(&slices, channels);
            prop_assert_eq!(stitched.len(), length);
            for (found, expected) in stitched.iter().zip(&canvas) {
                prop_assert!((found - expected).abs() < 1e-4);
            }
            let plain: Vec<Vec<f32>> = (0..tiling.count()).map(|tile| vec![tile as f32; 256]).collect();
            let plain: Vec<&[f32]> = plain.iter().map(Vec::as_slice).collect();
            let stitched = tiling.stitch(&plain, 1);
            for (tile, (top, left)) in tiling.corners().into_iter().enumerate() {
                let middle = stitched[(top + 8) * grid.width_px + left + 8];
                prop_assert!((middle - tile as f32).abs() < 1e-5);
            }
            let (least, most) = (0.0, tiling.count() as f32 - 1.0);
            prop_assert!(stitched.iter().all(|value| (least..=most).contains(value)));
        }
    }
}
