//! Licences, bans and sources of the dependencies by `deny.toml`, for machines where cargo-deny is not installed.
//!
//! It reads the same file and answers the same questions, except advisories: these need cargo-deny and its database.

use std::collections::BTreeMap;

use spdx::{Expression, Licensee, ParseMode};
use toml::{Table, Value};

/// What `cargo tree` is asked for: every package that is built on any platform, for users or for tests.
pub(crate) const TREE_ARGUMENTS: &[&str] = &[
    "tree",
    "--workspace",
    "--locked",
    "--target=all",
    "--edges=normal,build,dev",
    "--prefix=none",
    "--format={p}|{l}",
];

/// What in the tree (printed with [`TREE_ARGUMENTS`]) and in the lock file breaks the rules of deny.toml.
pub(crate) fn broken(deny: &str, tree: &str, lock: &str) -> Vec<String> {
    let parsed = deny.parse::<Table>().map_err(|error| format!("deny.toml: {error}"));
    let rules = parsed.and_then(|table| Rules::of(&table));
    let lock = lock.parse::<Table>().map_err(|error| format!("Cargo.lock: {error}"));
    match (rules, lock) {
        (Ok(rules), Ok(lock)) => {
            let packages = packages(tree);
            let refused = packages.iter().filter_map(|(package, licence)| rules.refusal(package, licence));
            refused.chain(rules.foreign_sources(&lock)).collect()
        }
        (rules, lock) => rules.err().into_iter().chain(lock.err()).collect(),
    }
}

struct Rules {
    allowed: Vec<Licensee>,
    /// Licences of packages whose manifest names none.
    clarified: BTreeMap<String, String>,
    banned: Vec<String>,
    registries: Vec<String>,
}

impl Rules {
    fn of(deny: &Table) -> Result<Self, String> {
        let entries = |table: &str, key: &str| -> Vec<Value> {
            deny.get(table)
                .and_then(|table| table.get(key))
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let field = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);

        let mut allowed = Vec::new();
        for name in entries("licenses", "allow").iter().filter_map(text) {
            allowed.push(
                Licensee::parse(&name).map_err(|error| format!("deny.toml: licence `{name}`: {error}"))?,
            );
        }
        let clarified = entries("licenses", "clarify");
        Ok(Self {
            allowed,
            clarified: clarified
                .iter()
                .filter_map(|e| Some((field(e, "crate")?, field(e, "expression")?)))
                .collect(),
            banned: entries("bans", "deny").iter().filter_map(|entry| field(entry, "crate")).collect(),
            registries: entries("sources", "allow-registry").iter().filter_map(text).collect(),
        })
    }

    /// Why `package` (`name version`) with its `licence` may not be in the tree.
    fn refusal(&self, package: &str, licence: &str) -> Option<String> {
        let name = package.split(' ').next().unwrap_or(package);
        if self.banned.iter().any(|banned| banned == name) {
            return Some(format!("{package}: deny.toml bans it"));
        }
        let licence =
            if licence.is_empty() { self.clarified.get(name).map_or("", String::as_str) } else { licence };
        if licence.is_empty() {
            return Some(format!("{package}: names no licence; read its files and clarify it in deny.toml"));
        }
        match Expression::parse_mode(licence, ParseMode::LAX) {
            Err(error) => Some(format!("{package}: licence `{licence}` cannot be read: {}", error.reason)),
            Ok(wanted)
                if wanted.evaluate(|one| self.allowed.iter().any(|allowed| allowed.satisfies(one))) =>
            {
                None
            }
            Ok(_) => Some(format!("{package}: licence `{licence}` is not allowed by deny.toml")),
        }
    }

    /// Packages of the lock file that come from elsewhere than an allowed registry or this repository.
    fn foreign_sources(&self, lock: &Table) -> Vec<String> {
        let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
        let mut foreign = Vec::new();
        for package in packages {
            let Some(source) = package.get("source").and_then(Value::as_str) else { continue };
            let registry = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
            if !registry.is_some_and(|registry| self.registries.iter().any(|allowed| allowed == registry)) {
                let name = package.get("name").and_then(Value::as_str).unwrap_or("a package");
                foreign.push(format!("{name}: comes from {source}, which deny.toml does not allow"));
            }
        }
        foreign
    }
}

/// Licences by package, from lines such as `rand v0.10.1|MIT OR Apache-2.0` and `rand v0.10.1|MIT OR Apache-2.0 (*)`.
fn packages(tree: &str) -> BTreeMap<String, String> {
    let lines = tree.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|'));
    lines.map(|(package, licence)| (package.to_owned(), licence.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\"MIT\", \"Zlib\"]\nclarify = [{ crate = \"bare\", expression = \"MIT\" }]\n\
        [bans]\ndeny = [{ crate = \"banned\" }]\n[sources]\nallow-registry = [\"https://registry\"]\n";
    const LOCK: &str =
        "[[package]]\nname = \"a\"\nsource = \"registry+https://registry\"\n[[package]]\nname = \"own\"\n";

    #[test]
    fn what_the_rules_allow_passes() {
        let tree = "a v1.0.0|MIT\na v1.0.0|MIT (*)\nb v1.0.0 (proc-macro)|GPL-3.0 OR Zlib\nc v1.0.0|MIT/Apache-2.0\n\
            d v1.0.0|(MIT OR Apache-2.0) AND Zlib\nbare v0.1.0|\nbare v0.1.0| (*)\n";
        assert_eq!(broken(DENY, tree, LOCK), Vec::<String>::new());
    }

    #[test]
    fn each_breach_is_found() {
        let bad = [
            "a v1.0.0|GPL-3.0",
            "a v1.0.0|MIT AND Apache-2.0",
            "a v1.0.0|Apache-2.0 WITH LLVM-exception",
            "a v1.0.0|",
            "a v1.0.0|of my own",
            "banned v1.0.0|MIT",
        ];
        for tree in bad {
            assert_eq!(broken(DENY, tree, LOCK).len(), 1, "{tree}");
        }
    }

    #[test]
    fn foreign_sources_and_unreadable_rules_are_found() {
        for source in ["registry+https://mirror", "git+https://registry"] {
            assert_eq!(
                broken(DENY, "", &LOCK.replace("registry+https://registry", source)).len(),
                1,
                "{source}"
            );
        }
        assert_eq!(broken("[licenses]\nallow = [\"Mine\"]", "", LOCK).len(), 1);
        assert_eq!(broken("[", "", "[").len(), 2);
    }
}
