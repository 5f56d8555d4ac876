//! The maps of a volume's slices, put back where the slices lie: a NIfTI file on the volume's own grid.

use std::path::{Path, PathBuf};

use aberra_image::{DicomSlices, Format, Image, Limits, MapMaker, Origin, PagedFile, encode_nifti};
use aberra_metrics::calibrate::is_anomalous;

use crate::dataset::{UNEVEN, Volume};
use crate::detector::Verdict;
use crate::explain::heat_color;
use crate::{Error, Result, of_image};

/// The key of hashes that are not looked at.
const KEY: &[u8; 32] = &[0; 32];

/// The map of a volume, which its slices fill one by one.
#[derive(Debug)]
pub struct VolumeMap<'a> {
    volume: &'a Volume,
    /// `[height, width]` of each slice's image.
    planes: Vec<Option<Vec<f32>>>,
    /// Height and width of the slices.
    sides: Option<[usize; 2]>,
}

/// A map as files of DICOM objects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DicomMap {
    /// A binary Segmentation: what lies above the pixel threshold.
    pub segmentation: Vec<u8>,
    /// A Parametric Map: the values.
    pub parametric_map: Vec<u8>,
}

impl<'a> VolumeMap<'a> {
    /// The map of a volume, 0 everywhere.
    pub fn new(volume: &'a Volume) -> Self {
        Self { volume, planes: vec![None; volume.slices.len()], sides: None }
    }

    /// Puts a slice's map, in the units of the detector's pixel threshold, at its place; its number is from 0.
    ///
    /// # Errors
    /// The verdict has no map, or the slice is of another size than those before.
    pub fn put(&mut self, number: usize, verdict: &Verdict) -> Result<()> {
        let sides = [verdict.placement.image_height, verdict.placement.image_width];
        if *self.sides.get_or_insert(sides) != sides {
            return Err(self.without_grid("its slices have several sizes"));
        }
        let map = verdict.map_at_image_size()?;
        if let Some(plane) = self.planes.get_mut(number) {
            *plane = Some(map);
        }
        Ok(())
    }

    /// The map as a compressed NIfTI file of 32-bit floats. Of a NIfTI volume, sides, axes and affine are those of the original, so
    /// that viewers lay one over the other; of DICOM slices, the affine follows from their positions. Slices without a map (empty
    /// ones among them) are 0.
    ///
    /// # Errors
    /// The slices fill no grid: their distances differ, two lie at one place, or they have several sizes; a file that could be
    /// read before and cannot be now.
    pub fn to_nifti(&self, limits: &Limits) -> Result<Vec<u8>> {
        let Some(first) = self.volume.slices.first() else {
            return Err(self.without_grid("it has no slices"));
        };
        let file = PagedFile::read(&first.path, limits).map_err(of_image)?;
        let images = file.images(limits).map_err(of_image)?;
        if images.format() == Format::Nifti {
            return images.map_file(&self.planes).map_err(|error| of_image(error.with_path(&first.path)));
        }
        let header = images.header(first.page.unwrap_or(0)).map_err(of_image)?;
        let sides = [header.height, header.width];
        if self.sides.is_some_and(|seen| seen != sides) {
            return Err(self.without_grid("its slices have several sizes"));
        }
        let affine = match header.format {
            Format::Dicom => self.affine(header.spacing_mm, limits)?,
            // Of other files nothing is known but the order of their images.
            _ => [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
        };
        let [height, width] = sides;
        let mut voxels = vec![0.0; height * width * self.planes.len()];
        for (plane, values) in self.planes.iter().zip(voxels.chunks_exact_mut(height * width)) {
            plane.iter().for_each(|plane| values.copy_from_slice(plane));
        }
        encode_nifti(&voxels, [width, height, self.planes.len()], affine).map_err(of_image)
    }

    /// The map as DICOM objects that refer to the slices, for archives and viewers; `None` if the slices are not those of DICOM files.
    /// `pixel_threshold` is that of the [detector](crate::Detector::pixel_threshold), `made_at_secs` counts from the beginning of
    /// 1970, UTC.
    ///
    /// The objects bear the name and the identifiers of the patient and the study, as their slices do.
    ///
    /// # Errors
    /// Files that do not say which instances they are or where their slices lie, or that cannot be read now.
    pub fn to_dicom(
        &self,
        pixel_threshold: f64,
        made_at_secs: u64,
        limits: &Limits,
    ) -> Result<Option<DicomMap>> {
        let Some(slices) = self.dicom_slices() else { return Ok(None) };
        let maker = maker(made_at_secs);
        let is_marked = |&value: &f32| is_anomalous(value.into(), pixel_threshold);
        let marked =
            |plane: &Option<Vec<f32>>| plane.as_ref().map(|plane| plane.iter().map(is_marked).collect());
        let masks: Vec<Option<Vec<bool>>> = self.planes.iter().map(marked).collect();
        let derive = || {
            let source = DicomSlices::read(&slices, limits)?;
            Ok(DicomMap {
                segmentation: source.segmentation(&masks, maker)?,
                parametric_map: source.parametric_map(&self.planes, maker)?,
            })
        };
        derive().map(Some).map_err(of_image)
    }

    /// The slices with something above the pixel threshold as pictures, the map over them where it lies above: a Secondary Capture,
    /// which viewers show that know no maps. Where nothing lies above, the slice with the largest value alone; `None` if the slices
    /// are not those of DICOM files. The arguments, and the identifiers of the patient in it, are those of
    /// [`to_dicom`](Self::to_dicom).
    ///
    /// # Errors
    /// As [`to_dicom`](Self::to_dicom); pictures of more than 4 GiB.
    pub fn to_secondary_capture(
        &self,
        pixel_threshold: f64,
        made_at_secs: u64,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>> {
        let Some(slices) = self.dicom_slices() else { return Ok(None) };
        let largest = |plane: &Option<Vec<f32>>| plane.iter().flatten().copied().fold(0.0, f32::max);
        let peaks: Vec<f32> = self.planes.iter().map(largest).collect();
        let worst = (0..peaks.len()).max_by(|&one, &other| peaks[one].total_cmp(&peaks[other]));
        let is_marked = |slice: usize| is_anomalous(peaks[slice].into(), pixel_threshold);
        let is_shown =
            |slice: usize| is_marked(slice) || Some(slice) == worst && !(0..peaks.len()).any(is_marked);
        let mut pictures = Vec::with_capacity(slices.len());
        // Slices of one file are read from it together.
        for same_file in slices.chunk_by(|one, other| one.0 == other.0) {
            let path = &same_file[0].0;
            let shown = pictures.len()..pictures.len() + same_file.len();
            if !shown.clone().any(is_shown) {
                pictures.extend(shown.map(|_| None));
                continue;
            }
            let file = PagedFile::read(path, limits).map_err(of_image)?;
            for (slice, (_, page)) in shown.zip(same_file) {
                let picture = || {
                    let image = file.decode(page.unwrap_or(0), limits)?;
                    Ok(under(&image, self.planes[slice].as_deref().unwrap_or_default(), pixel_threshold))
                };
                let picture = is_shown(slice).then(picture).transpose();
                pictures.push(picture.map_err(|error: aberra_image::Error| of_image(error.with_path(path)))?);
            }
        }
        let derive = || DicomSlices::read(&slices, limits)?.secondary_capture(&pictures, maker(made_at_secs));
        derive().map(Some).map_err(of_image)
    }

    /// The slices, if they are those of DICOM files.
    fn dicom_slices(&self) -> Option<Vec<(PathBuf, Option<u32>)>> {
        let of_dicom = |path: &Path| Format::of_file(path) == Some(Format::Dicom);
        let slices = self.volume.slices.iter();
        slices.map(|slice| of_dicom(&slice.path).then(|| (slice.path.clone(), slice.page))).collect()
    }

    /// From column, row and slice to millimetres rightwards, forwards and upwards.
    fn affine(&self, spacing_mm: Option<[f32; 2]>, limits: &Limits) -> Result<[[f64; 4]; 3]> {
        if self.volume.has_repeated_positions {
            return Err(self.without_grid("several of its slices lie at one place"));
        }
        let places = places(self.volume, limits)?;
        let corners: Vec<[f64; 3]> = places.iter().filter_map(|origin| origin.corner_mm).collect();
        let (Some([first, .., last]), Some(directions), Some([row_mm, column_mm])) =
            (corners.get(..), places.first().and_then(|origin| origin.orientation), spacing_mm)
        else {
            return Err(self.without_grid("its files do not say where its slices lie"));
        };
        if corners.len() != places.len() {
            return Err(self.without_grid("some of its slices have no position"));
        }
        let steps = (corners.len() - 1) as f64;
        let step = [0, 1, 2].map(|axis| (last[axis] - first[axis]) / steps);
        let length = step.iter().map(|part| part * part).sum::<f64>().sqrt();
        let is_even = corners.iter().enumerate().all(|(number, corner)| {
            let off = [0, 1, 2].map(|axis| corner[axis] - first[axis] - step[axis] * number as f64);
            off.iter().map(|part| part * part).sum::<f64>().sqrt() <= UNEVEN * length
        });
        if !is_even {
            return Err(self.without_grid("its slices are not evenly spaced"));
        }
        let (along_row, along_column) = ([0, 1, 2], [3, 4, 5]);
        // DICOM counts leftwards and backwards, NIfTI rightwards and forwards.
        let sign = [-1.0, -1.0, 1.0];
        Ok([0, 1, 2].map(|axis| {
            let columns = directions[along_row[axis]] * f64::from(column_mm);
            let rows = directions[along_column[axis]] * f64::from(row_mm);
            [columns, rows, step[axis], first[axis]].map(|part| sign[axis] * part)
        }))
    }

    fn without_grid(&self, why: &str) -> Error {
        Error::input(format!("{}: expected slices that fill a grid, found that {why}", self.volume.name))
            .with_hint("write pictures of single slices instead: --pages --heatmaps DIR")
    }
}

/// What makes the objects.
fn maker(made_at_secs: u64) -> MapMaker<'static> {
    MapMaker { program: "Aberra", version: env!("CARGO_PKG_VERSION"), meaning: "Anomaly map", made_at_secs }
}

/// A slice in red, green and blue, with the map over it where it lies above the pixel threshold.
fn under(image: &Image, map: &[f32], pixel_threshold: f64) -> Vec<u8> {
    let of_pixel = |(pixel, map): (&[f32], &f32)| {
        let level =
            |channel: usize| (255.0 * pixel[channel.min(pixel.len() - 1)].clamp(0.0, 1.0)).round() as u8;
        let color = is_anomalous(f64::from(*map), pixel_threshold).then(|| heat_color(*map, pixel_threshold));
        [0, 1, 2].map(|channel| match color {
            Some(color) => level(channel).midpoint(color[channel]),
            None => level(channel),
        })
    };
    // A slice without a map has nothing over it.
    let map = map.iter().chain(std::iter::repeat(&0.0));
    image.pixels.chunks_exact(image.channels).zip(map).flat_map(of_pixel).collect()
}

/// Where the slices of a volume lie.
fn places(volume: &Volume, limits: &Limits) -> Result<Vec<Origin>> {
    let mut places = Vec::with_capacity(volume.slices.len());
    // Slices of one file are read from it together.
    for slices in volume.slices.chunk_by(|one, other| one.path == other.path) {
        let read = || {
            let file = PagedFile::read(&slices[0].path, limits)?;
            let images = file.images(limits)?;
            let origins = slices.iter().map(|slice| images.origin(slice.page.unwrap_or(0), KEY));
            origins.collect::<Result<Vec<Origin>, aberra_image::Error>>()
        };
        places.extend(read().map_err(|error| of_image(error.with_path(&slices[0].path)))?);
    }
    Ok(places)
}
