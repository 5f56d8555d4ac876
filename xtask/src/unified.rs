//! Whether every choice of crates builds its dependencies with the same features, so that they are built once.
//!
//! Cargo's `resolver.feature-unification` would see to it and is not stable; the crate `aberra-unified` does. Features of
//! procedural macros are looked at together with those of the rest.

use std::collections::{BTreeMap, BTreeSet};

/// Crates that go without: this tool, which is to be there in seconds, and the extension module, which only a wheel needs.
const APART: &[&str] = &["xtask", "aberra-python"];
/// Arguments of `cargo` for what everything is built with, its tests too: a line `name version|features` for each package.
pub(crate) const WHOLE: &[&str] =
    &["tree", "--locked", "--prefix=none", "--format={p}|{f}", "--workspace", "--edges=normal,build,dev"];

/// Features by package, each as often as it is built with others (for procedural macros and for the program).
type Features<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Arguments of `cargo` for each of the `members` of the workspace by itself, without and with its tests.
pub(crate) fn choices(members: &BTreeSet<String>) -> Vec<Vec<String>> {
    let members = members.iter().filter(|member| !APART.contains(&member.as_str()));
    let edges = |member| ["normal,build", "normal,build,dev"].map(|edges| (member, edges));
    let choice = |(member, edges): (&String, &str)| {
        let own = [format!("--package={member}"), format!("--edges={edges}")];
        WHOLE[..4].iter().map(|word| (*word).to_owned()).chain(own).collect()
    };
    members.flat_map(edges).map(choice).collect()
}

/// The packages that `tree` has with features which they have nowhere in `whole`; those of the workspace do not count.
pub(crate) fn differ(tree: &str, whole: &str) -> Vec<String> {
    let whole = features(whole);
    let mut broken = Vec::new();
    for (package, found) in features(tree) {
        let Some(all) = whole.get(package) else { continue };
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
        for tree in
            ["a v1.0.0|std\nb v2.0.0 (proc-macro)| (*)\n", "own v1.0.0 (/here/own)|\n", "new v1.0.0|x\n"]
        {
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
    fn every_crate_but_those_apart_is_a_choice() {
        let choices = choices(&["aberra", "xtask"].map(str::to_owned).into());
        assert_eq!(choices.len(), 2);
        assert!(choices.iter().all(|words| words.contains(&"--package=aberra".to_owned())));
    }
}
