//! The program `aberra`: a door. It holds no maths.

fn main() {}
