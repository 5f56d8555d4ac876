//! Nothing: what counts are the features in this crate's manifest. Cargo builds a package with the features that the chosen
//! crates ask for, so without it Burn would be built anew for `-p aberra-kernels`, for the program and for the workspace.
