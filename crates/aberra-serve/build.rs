//! Compresses the web app's built files, which become part of the program, into `assets.rs` and the files that it includes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

/// The build output of `web/`.
const APP: &str = "../../web/dist/app";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={APP}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut table = "&[\n".to_owned();
    for (number, path) in files(Path::new(APP))?.iter().enumerate() {
        let content = fs::read(path)?;
        let hash = &blake3::hash(&content).to_hex()[..32];
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&content)?;
        let packed = out.join(format!("{number}.gz"));
        fs::write(&packed, encoder.finish()?)?;
        let name: Vec<_> =
            path.strip_prefix(APP).unwrap_or(path).iter().map(|part| part.to_string_lossy()).collect();
        let _ = writeln!(
            table,
            "    Asset {{ name: {:?}, hash: {hash:?}, packed: include_bytes!({packed:?}) }},",
            name.join("/")
        );
    }
    fs::write(out.join("assets.rs"), table + "]\n")
}

/// Every file below `folder`, in order of their paths.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
