//! DICOM files -> series: which images are slices of one volume, and in which order they lie. Numbers of instances and names of
//! files order nothing: only positions do.

use std::collections::HashMap;
use std::path::Path;

use aberra_image::{Images, Limits, Origin, PagedFile};

/// The key of the hashes by which images are brought together; they are compared and never written.
const KEY: &[u8; 32] = b"aberra: slices of one series   1";

/// Directions that differ by less are those of one stack of slices.
const ORIENTATION_TOLERANCE: f64 = 0.01;

/// How far apart slices may lie from where even spacing would put them, as a share of it.
pub(crate) const UNEVEN: f64 = 0.1;

/// Millimetres within which two slices lie at one place.
const POSITION_TOLERANCE_MM: f64 = 1e-3;

/// An image of a file, by the file's number in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: usize,
    /// `None` for the one image of a file.
    pub(super) page: Option<u32>,
}

/// Images of DICOM files.
#[derive(Debug, Default)]
pub(super) struct Grouped {
    /// Two or more slices each, ordered along their normal (or as the file orders them, where it gives no positions).
    pub(super) stacks: Vec<Stack>,
    /// Images that are no slices of a stack.
    pub(super) alone: Vec<At>,
    /// Overviews, which are dropped.
    pub(super) localizers: Vec<At>,
}

/// The slices of one volume.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) slices: Vec<At>,
    /// Whether two of them lie at one place.
    pub(super) has_repeated_positions: bool,
    /// Millimetres from slice to slice, where their positions are evenly spaced.
    pub(super) slice_spacing_mm: Option<f32>,
}

/// Where an image of a DICOM file belongs.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    at: At,
    pages: u32,
    sides: [usize; 2],
    origin: Origin,
}

/// Where the images of a DICOM file belong.
///
/// # Errors
/// A file that is not whole.
pub(super) fn placed(file: usize, path: &Path, limits: &Limits) -> Result<Vec<Placed>, aberra_image::Error> {
    let opened = PagedFile::read(path, limits)?;
    placed_in(file, &opened.images(limits)?)
}

/// The same of the images of a file that is open.
///
/// # Errors
/// As [`placed`].
pub(super) fn placed_in(file: usize, images: &Images<'_>) -> Result<Vec<Placed>, aberra_image::Error> {
    let pages = images.count()?;
    let place = |page: u32| {
        let header = images.header(page)?;
        let at = At { file, page: (pages > 1).then_some(page) };
        let origin = images.origin(page, KEY)?;
        Ok(Placed { at, pages, sides: [header.height, header.width], origin })
    };
    (0..pages).map(place).collect()
}

/// What the slices of a stack have in common, beside their directions.
#[derive(PartialEq, Eq, Hash)]
struct Common {
    patient: Option<[u8; 32]>,
    series: Option<[u8; 32]>,
    /// Bits of the numbers, which are equal or not.
    echo: Option<u64>,
    time: Option<u64>,
    sides: [usize; 2],
    /// The file, where nothing else says what belongs together.
    file: Option<usize>,
}

/// Brings images together by series, direction, echo and time, and orders them. `images` are in the order of the files.
pub(super) fn group(images: Vec<Placed>) -> Grouped {
    let mut grouped = Grouped::default();
    let mut stacks: Vec<Vec<Placed>> = Vec::new();
    // The stacks of what is common to them, which differ in their directions.
    let mut known: HashMap<Common, Vec<usize>> = HashMap::new();
    for image in images {
        if image.origin.is_localizer {
            grouped.localizers.push(image.at);
            continue;
        }
        let has_place = image.origin.position_mm.is_some();
        if !has_place && image.pages == 1 {
            grouped.alone.push(image.at);
            continue;
        }
        let candidates = known.entry(common(&image)).or_default();
        let fits = |&&stack: &&usize| is_parallel(&stacks[stack][0].origin, &image.origin);
        match candidates.iter().find(fits) {
            Some(&stack) => stacks[stack].push(image),
            None => {
                candidates.push(stacks.len());
                stacks.push(vec![image]);
            }
        }
    }
    for mut stack in stacks {
        // Equal positions stay in the order of the files.
        let position = |image: &Placed| image.origin.position_mm.unwrap_or_default();
        stack.sort_by(|one, other| position(one).total_cmp(&position(other)));
        match stack[..] {
            [ref one] => grouped.alone.push(one.at),
            _ => grouped.stacks.push(Stack {
                has_repeated_positions: stack[0].origin.position_mm.is_some()
                    && stack
                        .windows(2)
                        .any(|pair| position(&pair[1]) - position(&pair[0]) < POSITION_TOLERANCE_MM),
                slice_spacing_mm: even_step(&stack),
                slices: stack.iter().map(|image| image.at).collect(),
            }),
        }
    }
    grouped
}

/// Millimetres from slice to slice of a stack that is in order; `None` where a position is missing or they are not evenly spaced.
fn even_step(stack: &[Placed]) -> Option<f32> {
    let positions: Vec<f64> = stack.iter().map(|image| image.origin.position_mm).collect::<Option<_>>()?;
    let (first, last) = (positions.first()?, positions.last()?);
    let step = (last - first) / (positions.len() - 1) as f64;
    let is_off =
        |(number, position): (usize, &f64)| (position - first - step * number as f64).abs() > UNEVEN * step;
    (step > POSITION_TOLERANCE_MM && !positions.iter().enumerate().any(is_off)).then_some(step as f32)
}

fn common(image: &Placed) -> Common {
    let Origin { group, series, echo, time, position_mm, .. } = image.origin;
    let has_place = position_mm.is_some();
    Common {
        patient: group,
        series,
        echo: echo.map(f64::to_bits),
        time: time.map(f64::to_bits),
        sides: image.sides,
        file: (series.is_none() || !has_place).then_some(image.at.file),
    }
}

fn is_parallel(one: &Origin, other: &Origin) -> bool {
    match (one.orientation, other.orientation) {
        (Some(one), Some(other)) => {
            one.iter().zip(other).all(|(one, other)| (one - other).abs() < ORIENTATION_TOLERANCE)
        }
        (None, None) => true,
        _ => false,
    }
}
