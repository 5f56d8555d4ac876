//! Whether every choice of crates builds its dependencies with the same features, so that they are built once.
//!
//! Cargo's `resolver.feature-unification` would see to it and is not stable; the crate `aberra-unified` does. Packages are built
//! with one set of features for the program and perhaps with another for procedural macros and build scripts, and `cargo tree` does
//! not say which is which. So the program's are compared by themselves, and then all together.

use std::collections::{BTreeMap, BTreeSet};

/// Crates that go without: this tool, which is to be there in seconds, and the extension module, which only a wheel needs.
const APART: &[&str] = &["xtask", "aberra-python"];
/// Edges of what the program is built of, and of that and its tests.
const PROGRAM: [&str; 2] = ["normal,no-proc-macro", "normal,dev,no-proc-macro"];
/// The same with procedural macros and build scripts.
const ALL: [&str; 2] = ["normal,build", "normal,build,dev"];

/// Features by package, each as often as it is built with others (for procedural macros and for the program).
type Features<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Trees that are to have the same features.
pub(crate) struct Comparison {
    /// Arguments of `cargo` for what everything is built with, its tests too.
    pub(crate) whole: Vec<String>,
    /// The same for each member of the workspace by itself, without and with its tests.
    pub(crate) choices: Vec<Vec<String>>,
}

/// What is to be compared for the `members` of the workspace.
pub(crate) fn comparisons(members: &BTreeSet<String>) -> [Comparison; 2] {
    [PROGRAM, ALL].map(|edges| {
        let members = members.iter().filter(|member| !APART.contains(&member.as_str()));
        let choices =
            members.flat_map(|member| edges.map(|edges| tree(&format!("--package={member}"), edges)));
        Comparison { whole: tree("--workspace", edges[1]), choices: choices.collect() }
    })
}

/// Arguments of `cargo` that print a line `name version|features` for each package.
fn tree(of: &str, edges: &str) -> Vec<String> {
    let edges = format!("--edges={edges}");
    ["tree", "--locked", "--prefix=none", "--format={p}|{f}", of, &edges].map(str::to_owned).into()
}

/// The packages that `tree` has with features which they have nowhere in `whole`; those of the workspace do not count.
pub(crate) fn differ(tree: &str, whole: &str) -> Vec<String> {
    let whole = features(whole);
    if whole.is_empty() {
        return vec!["expected the packages of the workspace from `cargo tree`, found none".to_owned()];
    }
    let mut broken = Vec::new();
    for (package, found) in features(tree) {
        let Some(all) = whole.get(package) else {
            broken.push(format!("{package}: a crate alone is built with it, the workspace is not"));
            continue;
        };
        for fewer in found.difference(all) {
            let all = all.iter().copied().collect::<Vec<_>>().join("` or `");
            broken.push(format!(
                "{package}: alone, a crate builds it with the features `{fewer}`, the workspace with `{all}`; \
                 crates/aberra-unified/Cargo.toml should ask for the latter"
            ));
        }
    }
    broken
}

fn features(tree: &str) -> Features<'_> {
    let mut features = Features::new();
    let lines = tree.lines().filter(|line| !line.contains("(/") && !line.contains("(file:"));
    for (package, own) in lines.filter_map(|line| line.trim_end_matches(" (*)").split_once('|')) {
        features.entry(package.trim_end_matches(" (proc-macro)")).or_default().insert(own.trim());
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str =
        "own v1.0.0 (/here/own)|extra\na v1.0.0|default,std\na v1.0.0|std (*)\nb v2.0.0 (proc-macro)|\n";

    #[test]
    fn what_is_built_as_in_the_whole_passes() {
        for tree in ["a v1.0.0|std\nb v2.0.0 (proc-macro)| (*)\n", "own v1.0.0 (/here/own)|\n"] {
            assert_eq!(differ(tree, TREE), Vec::<String>::new(), "{tree}");
        }
    }

    #[test]
    fn what_is_built_with_fewer_features_is_found() {
        let broken = differ("a v1.0.0|\nb v2.0.0|\n", TREE);
        assert_eq!(broken.len(), 1);
        assert!(broken[0].contains("with `default,std` or `std`"), "{broken:?}");
    }

    #[test]
    fn what_the_workspace_lacks_is_found() {
        assert!(differ("new v1.0.0|x\n", TREE)[0].starts_with("new v1.0.0"));
        // As where `cargo tree` prints otherwise than is expected here.
        for whole in ["", "a v1.0.0 default,std\n", "own v1.0.0 (/here/own)|extra\n"] {
            assert_eq!(differ("a v1.0.0|std\n", whole).len(), 1, "{whole}");
        }
    }

    #[test]
    fn every_crate_but_those_apart_is_a_choice() {
        for Comparison { whole, choices } in comparisons(&["aberra", "xtask"].map(str::to_owned).into()) {
            assert_eq!(choices.len(), 2);
            assert!(choices.iter().all(|words| words.contains(&"--package=aberra".to_owned())));
            // Tests are part of the whole, so that their edges are.
            assert_eq!(choices[1].last(), whole.last());
        }
    }
}
