//! Brain-like slices and lesions drawn by a program: for the demo, tests and the choice of checkpoints.
