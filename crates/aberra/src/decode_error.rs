//! How an error of decoding or preprocessing becomes the library's error.

use crate::Error;

/// The library's error for one of [`image`](crate::image): with the same message and path, and the original error as its
/// [source](std::error::Error::source).
pub fn of_image(error: crate::image::Error) -> Error {
    let own = if error.is_io() { Error::file(error.message()) } else { Error::input(error.message()) };
    let own = match error.path() {
        Some(path) => own.with_path(path),
        None => own,
    };
    own.with_source(error)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::path::Path;

    use super::*;
    use crate::image;

    #[test]
    fn the_path_and_the_cause_are_kept() {
        let path = Path::new("no/such/image.png");
        let missing = image::read(path, &image::Limits::default()).unwrap_err();
        let text = missing.to_string();
        let error = of_image(missing);
        assert!(error.is_io() && error.path() == Some(path));
        assert_eq!(error.to_string(), text);
        let cause = error.source().and_then(|cause| cause.downcast_ref::<image::Error>());
        assert!(cause.is_some_and(image::Error::is_io));
    }

    #[test]
    fn bytes_have_no_path() {
        let error = of_image(image::decode(b"text", &image::Limits::default()).unwrap_err());
        assert!(error.is_input() && error.path().is_none() && error.source().is_some());
    }
}
