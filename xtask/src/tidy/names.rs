//! One public name for one type: readers who meet a type in one crate are not to take it for that of another.

use std::collections::BTreeMap;

use super::tokens::{Token, tokens};
use crate::tree::Tree;

/// Names that several crates give to a type of their own, each with its reason.
const SHARED: &[(&str, &str)] =
    &[("Error", "decoding an image fails in other ways than everything above it; `aberra` re-exports one")];

/// Words that declare a type.
const KINDS: &[&str] = &["struct", "enum", "union", "trait", "type"];

/// Public types of the crates that share a name. Types within a function, `impl` or trait are not looked at, nor those
/// that are public within their crate alone. Generated code takes its names from elsewhere.
pub(crate) fn shared(tree: &Tree) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let library = |path: &str| path.starts_with("crates/") && path.contains("/src/");
    let generated = |text: &str| text.starts_with("//! Generated");
    for (path, text) in tree.rust().filter(|(path, text)| library(path) && !generated(text)) {
        for declared in tokens(text).as_deref().map(declared).unwrap_or_default() {
            places.entry(declared.text).or_default().push(format!("{path}:{}", declared.line));
        }
    }
    let allowed = |name: &str| SHARED.iter().any(|(shared, _)| *shared == name);
    places
        .into_iter()
        .filter(|(name, places)| places.len() > 1 && !allowed(name))
        .map(|(name, places)| {
            format!("the public types named {name} ({}): expected one, or other names", places.join(", "))
        })
        .collect()
}

/// The names of the public types of a file, outside its tests.
fn declared(flat: &[Token]) -> Vec<Token> {
    // A module's types are public, too; those in other braces are local, or belong to a trait.
    let mut braces: Vec<bool> = Vec::new();
    let mut module = false;
    let mut found = Vec::new();
    for (at, token) in flat.iter().enumerate() {
        match token.text.as_str() {
            "{" => braces.push(std::mem::take(&mut module)),
            "}" => drop(braces.pop()),
            "mod" => module = true,
            ";" => module = false,
            "pub" if !token.in_test && braces.iter().all(|module| *module) => {
                if let [kind, name, ..] = &flat[at + 1..]
                    && KINDS.contains(&kind.text.as_str())
                    && name.is_name()
                {
                    found.push(name.clone());
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_public_types_of_one_name_are_found_wherever_they_stand() {
        let files = [
            ("crates/a/src/one.rs", "//! One.\npub struct Shape;\n"),
            ("crates/b/src/two.rs", "//! Two.\npub mod inner {\n    pub enum Shape {}\n}\n"),
        ];
        let broken = shared(&Tree::of(&files));
        assert_eq!(
            broken,
            [
                "the public types named Shape (crates/a/src/one.rs:2, crates/b/src/two.rs:3): expected one, or other names"
            ]
        );
    }

    #[test]
    fn private_local_and_associated_types_tests_and_allowed_names_may_be_shared() {
        let files = [
            ("crates/a/src/one.rs", "pub struct Shape; pub struct Error;"),
            ("crates/b/src/two.rs", "struct Shape; pub(crate) enum Shape {} pub struct Error;"),
            ("crates/b/src/three.rs", "pub fn f() { pub struct Shape; }"),
            ("crates/b/src/four.rs", "#[cfg(test)] mod tests { pub struct Shape; }"),
            ("crates/b/tests/five.rs", "pub struct Shape;"),
            ("crates/b/src/seven.rs", "//! Generated from seven.proto.\npub struct Shape;"),
            ("crates/b/src/six.rs", "pub use a::Shape; // pub struct Shape;"),
        ];
        assert_eq!(shared(&Tree::of(&files)), Vec::<String>::new());
    }
}
