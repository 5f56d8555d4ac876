//! The crate table in ARCHITECTURE.md against the manifests, and the lock file.

use std::collections::{BTreeMap, BTreeSet};

use super::table;
use crate::tree::Tree;

const PAGE: &str = "ARCHITECTURE.md";

/// Which crates of the workspace a crate depends on, by name.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// Differences between the table's column *depends on* and the manifests' dependencies within the workspace. What only
/// tests need does not count.
pub(crate) fn table_differs(tree: &Tree) -> Vec<String> {
    let (table, manifests) = match (written(tree), manifests(tree)) {
        (Ok(table), Ok(manifests)) => (table, manifests),
        (table, manifests) => return table.err().into_iter().chain(manifests.err()).collect(),
    };
    let names: BTreeSet<_> = table.keys().chain(manifests.keys()).collect();
    let mut broken = Vec::new();
    for name in names {
        match (table.get(name), manifests.get(name)) {
            (Some(written), Some(real)) if written != real => {
                let (written, real) = (list(written), list(real));
                broken.push(format!(
                    "{PAGE}: `{name}` is said to depend on {written}; its manifest says {real}"
                ));
            }
            (None, _) => broken.push(format!("{PAGE}: the crate table lacks `{name}`")),
            (_, None) => broken.push(format!("{PAGE}: the crate table has `{name}`, which is no crate here")),
            _ => {}
        }
    }
    broken
}

/// The versions that are tested are the versions that are built.
pub(crate) fn lock_missing(tree: &Tree) -> Vec<String> {
    if tree.files.contains_key("Cargo.lock") {
        return Vec::new();
    }
    vec!["Cargo.lock is not committed; add it, so that everyone builds the same versions".to_owned()]
}

/// What the page says.
fn written(tree: &Tree) -> Result<Edges, String> {
    let mut edges = Edges::new();
    for [names, on] in table::rows(tree, PAGE, ["crate", "depends on"])? {
        let [name] = table::quoted(&names)
            .into_iter()
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| format!("{PAGE}: expected one crate in backquotes, found `{names}`"))?;
        edges.insert(name, table::quoted(&on));
    }
    Ok(edges)
}

/// The crates of the workspace.
pub(crate) fn members(tree: &Tree) -> Result<BTreeSet<String>, String> {
    Ok(manifests(tree)?.into_keys().collect())
}

/// What the manifests say.
fn manifests(tree: &Tree) -> Result<Edges, String> {
    let mut dependencies = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let manifest: toml::Table = text.parse().map_err(|error| format!("{path}: {error}"))?;
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")) else { continue };
        let name = name.as_str().ok_or_else(|| format!("{path}: the package's name is not text"))?;
        dependencies.push((name.to_owned(), depended_on(&manifest)));
    }
    let members: BTreeSet<String> = dependencies.iter().map(|(name, _)| name.clone()).collect();
    let within = |on: BTreeSet<String>| on.intersection(&members).cloned().collect();
    Ok(dependencies.into_iter().map(|(name, on)| (name, within(on))).collect())
}

/// The packages that a manifest's tables of dependencies name, for every platform.
fn depended_on(manifest: &toml::Table) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(|table| table.values()).filter_map(toml::Value::as_table);
    let mut names = BTreeSet::new();
    for table in std::iter::once(manifest).chain(platforms) {
        for kind in ["dependencies", "build-dependencies"] {
            let entries = table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
            names.extend(entries.map(|(name, entry)| {
                entry.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
            }));
        }
    }
    names
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "nothing here".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_TEXT: &str = "# Page\n\n| crate | what | depends on |\n|---|---|---|\n\
        | `door` | opens | `library`, `base` |\n| `library` | thinks | `base` |\n| `base` | | - |\n\nThe end.\n";
    const DOOR: &str = "[package]\nname = \"door\"\n[dependencies]\nlibrary.workspace = true\nserde = \"1\"\n\
        [target.'cfg(unix)'.dependencies]\nrenamed = { package = \"base\", path = \"..\" }\n";
    const LIBRARY: &str = "[package]\nname = \"library\"\n[build-dependencies]\nbase.workspace = true\n";
    const BASE: &str = "[package]\nname = \"base\"\n[dev-dependencies]\nlibrary.workspace = true\n";

    fn differences(page: &str, base: &str) -> Vec<String> {
        let files = [
            ("ARCHITECTURE.md", page),
            ("Cargo.toml", "[workspace]\nmembers = []\n"),
            ("door/Cargo.toml", DOOR),
            ("library/Cargo.toml", LIBRARY),
            ("base/Cargo.toml", base),
        ];
        table_differs(&Tree::of(&files))
    }

    #[test]
    fn a_true_table_passes() {
        assert_eq!(differences(PAGE_TEXT, BASE), Vec::<String>::new());
    }

    #[test]
    fn each_way_of_differing_is_found() {
        let missing = PAGE_TEXT.replace("| `library` | thinks | `base` |\n", "");
        let wrong = PAGE_TEXT.replace("`library`, `base`", "`library`");
        let more = PAGE_TEXT.replace("| `base` | | - |", "| `base` | | - |\n| `ghost` | | - |");
        assert_eq!(differences(&missing, BASE), ["ARCHITECTURE.md: the crate table lacks `library`"]);
        assert_eq!(
            differences(&wrong, BASE),
            ["ARCHITECTURE.md: `door` is said to depend on `library`; its manifest says `base`, `library`"]
        );
        assert_eq!(
            differences(&more, BASE),
            ["ARCHITECTURE.md: the crate table has `ghost`, which is no crate here"]
        );
        let upward = BASE.replace("dev-dependencies", "dependencies");
        assert_eq!(
            differences(PAGE_TEXT, &upward),
            ["ARCHITECTURE.md: `base` is said to depend on nothing here; its manifest says `library`"]
        );
    }

    #[test]
    fn a_page_without_the_table_is_found() {
        assert_eq!(differences("# Page\n", BASE).len(), 1);
        assert_eq!(differences(&PAGE_TEXT.replace("`base` | |", "base | |"), BASE).len(), 1);
        assert_eq!(differences(PAGE_TEXT, "[package").len(), 1);
    }

    #[test]
    fn a_missing_lock_file_is_found() {
        assert_eq!(lock_missing(&Tree::of(&[])).len(), 1);
        assert!(lock_missing(&Tree::of(&[("Cargo.lock", "")])).is_empty());
    }
}
