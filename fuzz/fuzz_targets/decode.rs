//! Any bytes: decoding gives an error or a sound image, which preprocesses to a sound network input.
#![no_main]

use aberra_image::{Limits, Preprocessing, decode, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        max_bytes: 1 << 20,
        max_width_px: 2048,
        max_height_px: 2048,
        max_pixels: 1 << 20,
        max_alloc_bytes: 64 << 20,
    };
    let header = header(bytes, &limits);
    let Ok(image) = decode(bytes, &limits) else { return };
    let header = header.expect("what decodes has a header");
    assert_eq!((header.height, header.width), (image.height, image.width));
    assert_eq!(image.pixels.len(), image.height * image.width * image.channels);
    assert!(image.pixels.iter().all(|value| value.is_finite()));
    if let Ok(input) = Preprocessing::default().apply(&image) {
        assert!(input.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
        let restored = input.placement.restore(&input.pixels, input.height, input.width);
        assert_eq!(restored.map(|map| map.len()).ok(), Some(image.height * image.width));
    }
});
