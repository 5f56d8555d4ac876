//! Thresholds with a promise, from scores of normal images.
