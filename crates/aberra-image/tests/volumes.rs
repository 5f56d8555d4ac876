//! Volumes written back into the grid of a file against nibabel (`golden/make_maps.py`), and files that are inflated once.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use aberra_image::{Images, Limits, PagedFile, count_pages, encode_nifti, read_page};
use flate2::read::GzDecoder;
use serde::Deserialize;

#[derive(Deserialize)]
struct Grid {
    file: String,
    version: u8,
    sides: [usize; 3],
    pixdim: [f32; 4],
    units: u8,
    codes: [i16; 2],
    quaternion: [f32; 6],
    rows: [f32; 12],
    /// As they are stored; none where they are not finite.
    voxels: Vec<Option<f32>>,
}

/// Where the fields of a header lie, and how wide they are, by the standard.
struct Places {
    sides: (usize, usize),
    datatype: usize,
    pixdim: usize,
    units: (usize, usize),
    codes: (usize, usize),
    quaternion: usize,
    rows: usize,
    real: usize,
    data: usize,
}

const FIRST: Places = Places {
    sides: (42, 2),
    datatype: 70,
    pixdim: 76,
    units: (123, 1),
    codes: (252, 2),
    quaternion: 256,
    rows: 280,
    real: 4,
    data: 352,
};
const SECOND: Places = Places {
    sides: (24, 8),
    datatype: 12,
    pixdim: 104,
    units: (500, 4),
    codes: (344, 4),
    quaternion: 352,
    rows: 400,
    real: 8,
    data: 544,
};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn integer(bytes: &[u8], at: usize, width: usize) -> i64 {
    let mut padded = [0; 8];
    padded[..width].copy_from_slice(&bytes[at..at + width]);
    i64::from_le_bytes(padded)
}

fn real(bytes: &[u8], at: usize, width: usize) -> f32 {
    match width {
        4 => f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()),
        _ => f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as f32,
    }
}

fn inflated(file: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Each slice's own pixels, put back, are the values that the file stores, in its order and its grid.
#[test]
fn what_is_put_back_lies_where_it_came_from() {
    let grids: Vec<Grid> = serde_json::from_slice(&fs::read(golden("maps.json")).unwrap()).unwrap();
    assert!(grids.len() >= 7);
    for grid in grids {
        let (limits, bytes) = (Limits::default(), fs::read(golden(&grid.file)).unwrap());
        let images = Images::open(&bytes, &limits).unwrap();
        let planes: Vec<Option<Vec<f32>>> =
            (0..images.count().unwrap()).map(|page| Some(images.decode(page).unwrap().pixels)).collect();
        let map = inflated(&images.map_file(&planes).unwrap());
        let places = if grid.version == 1 { FIRST } else { SECOND };
        let (name, real_bytes) = (&grid.file, places.real);
        let sides =
            [0, 1, 2].map(|axis| integer(&map, places.sides.0 + axis * places.sides.1, places.sides.1));
        assert_eq!(sides.map(|side| side as usize), grid.sides, "{name}");
        assert_eq!([integer(&map, places.datatype, 2), integer(&map, places.datatype + 2, 2)], [16, 32]);
        let reals = |at: usize, count: usize| -> Vec<f32> {
            (0..count).map(|index| real(&map, at + index * real_bytes, real_bytes)).collect()
        };
        assert_eq!(reals(places.pixdim, 4), grid.pixdim, "{name}");
        assert_eq!(integer(&map, places.units.0, places.units.1) & 7, i64::from(grid.units), "{name}");
        let codes =
            [0, 1].map(|index| integer(&map, places.codes.0 + index * places.codes.1, places.codes.1));
        assert_eq!(codes, grid.codes.map(i64::from), "{name}");
        assert_eq!(reals(places.quaternion, 6), grid.quaternion, "{name}");
        assert_eq!(reals(places.rows, 12), grid.rows, "{name}");
        let voxels: Vec<f32> =
            map[places.data..].as_chunks().0.iter().map(|&voxel| f32::from_le_bytes(voxel)).collect();
        assert_eq!(voxels.len(), grid.voxels.len(), "{name}");
        for (found, expected) in voxels.iter().zip(&grid.voxels) {
            let Some(expected) = expected else { continue };
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{name}: {found}, not {expected}");
        }
    }
}

#[test]
fn slices_without_values_are_zero_and_others_are_refused() {
    let (limits, bytes) = (Limits::default(), fs::read(golden("flipped.nii.gz")).unwrap());
    let images = Images::open(&bytes, &limits).unwrap();
    let map = inflated(&images.map_file(&[None, Some(vec![2.0; 30])]).unwrap());
    let voxels: Vec<f32> = map[352..].as_chunks().0.iter().map(|&voxel| f32::from_le_bytes(voxel)).collect();
    assert_eq!(voxels.iter().filter(|&&voxel| voxel == 2.0).count(), 30);
    assert_eq!(voxels.iter().filter(|&&voxel| voxel == 0.0).count(), 90);
    let error = images.map_file(&[Some(vec![0.0; 29])]).unwrap_err();
    assert!(error.to_string().contains("expected 6 x 5 values of each slice, found 29"), "{error}");
    let other = fs::read(golden("animation.gif")).unwrap();
    let error = Images::open(&other, &limits).unwrap().map_file(&[]).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("found a GIF"), "{error}");
}

#[test]
fn an_encoded_volume_is_read_with_its_grid() {
    let voxels: Vec<f32> = (0..24).map(|value| value as f32 - 3.5).collect();
    let affine = [[0.0, 2.0, 0.0, 5.0], [-3.0, 0.0, 0.0, 6.0], [0.0, 0.0, -4.0, 7.0]];
    let file = encode_nifti(&voxels, [4, 3, 2], affine).unwrap();
    let limits = Limits::default();
    let images = Images::open(&file, &limits).unwrap();
    assert_eq!(images.count().unwrap(), 2);
    // The first axis runs backwards, the second rightwards, the third downwards.
    let top = images.decode(1).unwrap();
    assert_eq!((top.height, top.width, top.source.spacing_mm), (4, 3, Some([3.0, 2.0])));
    assert_eq!(top.pixels[..3], [-3.5, 0.5, 4.5]);
    assert_eq!(top.pixels[3..6], [-2.5, 1.5, 5.5]);
    for (length, sides) in [(24, [4, 3, 3]), (0, [0, 3, 2]), (40_000, [40_000, 1, 1])] {
        assert!(encode_nifti(&vec![0.0; length], sides, affine).is_err(), "{sides:?}");
    }
    assert!(encode_nifti(&voxels, [4, 3, 2], [[f64::NAN; 4]; 3]).is_err());
}

#[test]
fn a_file_that_is_inflated_once_gives_the_same_images() {
    let limits = Limits::default();
    for name in
        ["flipped.nii.gz", "version2.nii.gz", "four.nii", "enhanced.dcm", "animation.gif", "plain.dcm"]
    {
        let path = golden(name);
        let file = PagedFile::read(&path, &limits).unwrap();
        for page in 0..count_pages(&path, &limits).unwrap() {
            assert_eq!(file.decode(page, &limits).unwrap(), read_page(&path, page, &limits).unwrap());
            let header = |bytes: &[u8]| Images::open(bytes, &limits).unwrap().header(page).unwrap();
            let found = file.images(&limits).unwrap().header(page).unwrap();
            assert_eq!(found, header(&fs::read(&path).unwrap()));
        }
        assert!(file.decode(99, &limits).unwrap_err().path() == Some(&*path));
    }
    // What is longer than a file may be is refused before it is inflated.
    let tight = Limits { max_bytes: 500, ..limits };
    assert!(PagedFile::read(&golden("flipped.nii.gz"), &tight).unwrap_err().is_limit());
}
