//! What a release is made of: the crates that are linked into it, as a list in CycloneDX's format and as their licences' texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A crate that is linked into the program or the wheel.
pub(super) struct Package {
    name: String,
    version: String,
    licence: String,
    /// Hash of its archive, where it is from a registry.
    checksum: Option<String>,
    folder: PathBuf,
    is_own: bool,
}

/// The version of the workspace.
pub(super) fn version(root: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).map_err(|error| error.to_string())?;
    let table: toml::Table = text.parse().map_err(|error| format!("Cargo.toml: {error}"))?;
    let version = table.get("workspace").and_then(|table| table.get("package")?.get("version")?.as_str());
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml: expected workspace.package.version".to_owned())
}

/// The crates that are linked, by name and version.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let text = |arguments: &[&str]| -> Result<String, String> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(root).stderr(Stdio::inherit());
        let output = command.output().map_err(|error| format!("cargo: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("cargo {} failed", arguments[0]))
        }
    };
    // The tree says what is linked; the metadata, where it lies.
    let tree = text(&[
        "tree",
        "--locked",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
        "--package=aberra-cli",
        "--package=aberra-python",
    ])?;
    let linked: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.trim_start_matches('v')))
        })
        .collect();
    let metadata: Value = serde_json::from_str(&text(&["metadata", "--locked", "--format-version=1"])?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).map_err(|error| error.to_string())?;
    let checksums = checksums(&lock)?;
    let all = metadata["packages"].as_array().ok_or("expected packages from cargo metadata")?;
    let mut packages: Vec<Package> = all
        .iter()
        .filter_map(|package| {
            let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
            linked.contains(&(name, version)).then(|| Package {
                checksum: checksums.get(&(name.to_owned(), version.to_owned())).cloned(),
                name: name.to_owned(),
                version: version.to_owned(),
                licence: package["license"].as_str().unwrap_or("see its licence file").to_owned(),
                folder: package["manifest_path"]
                    .as_str()
                    .and_then(|path| Path::new(path).parent())
                    .map(Path::to_path_buf)
                    .unwrap_or_default(),
                is_own: package["source"].is_null(),
            })
        })
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>, String> {
    let table: toml::Table = lock.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let entries = table.get("package").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let field =
        |entry: &toml::Value, key: &str| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    Ok(entries
        .iter()
        .filter_map(|entry| {
            Some(((field(entry, "name")?, field(entry, "version")?), field(entry, "checksum")?))
        })
        .collect())
}

/// The crates as a CycloneDX document.
pub(super) fn sbom(version: &str, packages: &[Package]) -> String {
    let component = |package: &Package| {
        let mut component = json!({
            "type": "library",
            "name": package.name,
            "version": package.version,
            "purl": format!("pkg:cargo/{}@{}", package.name, package.version),
            "licenses": [{ "expression": package.licence }],
        });
        if let Some(checksum) = &package.checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": { "type": "application", "name": "aberra", "version": version } },
        "components": packages.iter().filter(|package| !package.is_own).map(component).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

/// The texts of the crates' licences, each once, with the crates that it is of.
pub(super) fn licences(packages: &[Package]) -> String {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for package in packages.iter().filter(|package| !package.is_own) {
        let name = format!("{} {} ({})", package.name, package.version, package.licence);
        let found = licence_files(&package.folder);
        if found.is_empty() {
            without.push(name.clone());
        }
        for text in found {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut all = "Licences of the crates that are part of Aberra's program and wheel.\n".to_owned();
    // Writing to a string does not fail.
    for (text, of) in texts {
        let _ = write!(all, "\n{}\n{}\n\n{}\n", "=".repeat(80), of.join("\n"), text.trim_end());
    }
    if !without.is_empty() {
        let _ = write!(
            all,
            "\n{}\nWithout a licence file of their own:\n{}\n",
            "=".repeat(80),
            without.join("\n")
        );
    }
    all
}

fn licence_files(folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            path.is_file()
                && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
                    .iter()
                    .any(|word| name.starts_with(word))
        })
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_lists_what_is_linked_and_its_licences() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let packages = packages(root).unwrap();
        let has = |name: &str| packages.iter().any(|package| package.name == name);
        assert!(has("burn") && has("pyo3") && has("axum") && !has("insta"));
        let sbom: Value = serde_json::from_str(&sbom("1.2.3", &packages)).unwrap();
        let components = sbom["components"].as_array().unwrap();
        assert!(
            components.len() > 100 && components.iter().all(|one| one["hashes"][0]["content"].is_string())
        );
        assert!(components.iter().all(|one| one["name"] != "aberra"));
        let licences = licences(&packages);
        assert!(licences.contains("Permission is hereby granted") && licences.contains("Apache License"));
    }
}
