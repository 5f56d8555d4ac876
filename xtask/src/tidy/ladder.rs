//! The modules of a crate form a ladder: no two modules of one folder need each other, directly or in a circle.
//!
//! In each folder the nodes are the files and folders of its modules, each with all that lies below it. An edge is a name of another module in a
//! `use` or a path, followed through re-exports to the module that defines it: a root file (`lib.rs`, `mod.rs`) that
//! only re-exports its modules is no part of a circle. Code for tests does not count. Not seen are methods, and names
//! that macros make.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Crate, Import, Module, ModulePath, crates};
use super::paths::Found;
use crate::tree::Tree;

/// How a folder's root file is called in a report.
const ROOT: &str = "(root file)";

/// Circles among the modules of a folder, with the names that tie them; and modules that cannot be read for it.
pub(crate) fn circles(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for one in crates(tree) {
        broken.extend(one.missing.iter().cloned());
        for (folder, mut graph) in folders(&one) {
            graph.retain(|(from, to), _| from.is_some() && to.is_some());
            broken.extend(described(&folder, &graph));
        }
    }
    broken
}

/// Modules that use what their folder's root file defines, while the root file uses them.
pub(crate) fn root_circles(tree: &Tree) -> Vec<String> {
    let folders = crates(tree).into_iter().flat_map(|one| folders(&one));
    folders
        .flat_map(|(folder, mut graph)| {
            let (down, up): (BTreeSet<Node>, BTreeSet<Node>) = (
                graph.keys().filter(|(from, _)| from.is_none()).map(|(_, to)| to.clone()).collect(),
                graph.keys().filter(|(_, to)| to.is_none()).map(|(from, _)| from.clone()).collect(),
            );
            let mutual = |node: &Node| node.is_none() || (down.contains(node) && up.contains(node));
            graph.retain(|(from, to), _| (from.is_none() || to.is_none()) && mutual(from) && mutual(to));
            described(&folder, &graph)
        })
        .collect()
}

/// A module of a folder by its name, or the folder's root file.
type Node = Option<String>;

/// Which modules of a folder name which others, and the names.
type Graph = BTreeMap<(Node, Node), BTreeSet<String>>;

/// The graph of each folder of a crate that has modules, by the folder's path.
fn folders(one: &Crate) -> BTreeMap<String, Graph> {
    let mut folders: BTreeMap<String, Graph> = BTreeMap::new();
    for (from, to, name) in one.references() {
        let (from, to) = (one.file_of(&from), one.file_of(&to));
        let shared = from.iter().zip(to).take_while(|(from, to)| from == to).count();
        let folder =
            std::iter::once(&one.folder).chain(&from[..shared]).cloned().collect::<Vec<_>>().join("/");
        let edge = (from.get(shared).cloned(), to.get(shared).cloned());
        if edge.0 != edge.1 {
            folders.entry(folder).or_default().entry(edge).or_default().insert(name);
        }
    }
    folders
}

/// A line for each circle of a graph.
fn described(folder: &str, graph: &Graph) -> Vec<String> {
    let nodes: BTreeSet<&Node> = graph.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached: BTreeMap<&Node, BTreeSet<&Node>> =
        nodes.iter().map(|node| (*node, reached(graph, node))).collect();
    let mut lines = Vec::new();
    let mut told = BTreeSet::new();
    for node in nodes {
        if !reached[node].contains(node) || told.contains(node) {
            continue;
        }
        let circle: BTreeSet<&Node> =
            reached[node].iter().copied().filter(|other| reached[other].contains(node)).collect();
        let inside = graph.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        let edges: Vec<String> = inside
            .map(|((from, to), names)| {
                // The module's own name is worth no mention beside those of its items.
                let items = names.iter().filter(|name| names.len() == 1 || Some(*name) != to.as_ref());
                let items = items.cloned().collect::<Vec<_>>().join(", ");
                format!("{} -> {} ({items})", shown(from), shown(to))
            })
            .collect();
        lines.push(format!("{folder}: {}", edges.join(", ")));
        told.extend(circle);
    }
    lines
}

/// The nodes that a walk along one edge or more from `start` comes to.
fn reached<'a>(graph: &'a Graph, start: &'a Node) -> BTreeSet<&'a Node> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(node) = waiting.pop() {
        let next = graph.keys().filter(|(from, _)| from == node).map(|(_, to)| to);
        waiting.extend(next.filter(|to| found.insert(*to)));
    }
    found
}

fn shown(node: &Node) -> &str {
    node.as_deref().unwrap_or(ROOT)
}

impl Crate {
    /// Every name of another module that a module uses: from where, to where, the name.
    fn references(&self) -> Vec<(ModulePath, ModulePath, String)> {
        let mut references = Vec::new();
        for (from, module) in &self.modules {
            for found in self.used(from, module) {
                let name = found.item.as_ref().or(found.module.last()).cloned().unwrap_or_default();
                let facade = |on: &ModulePath| from.starts_with(on) || found.module.starts_with(on);
                let through = found.through.iter().filter(|on| !facade(on)).cloned();
                references.extend(through.map(|on| (from.clone(), on, name.clone())));
                // The name of a module around this one, and what it imports from other crates, are no part of it.
                if (found.item.is_some() && !found.outside) || !from.starts_with(&found.module) {
                    references.push((from.clone(), found.module, name));
                }
            }
        }
        references
    }

    /// The module in whose file a module stands.
    fn file_of<'a>(&self, path: &'a [String]) -> &'a [String] {
        let inline = |path: &[String]| self.modules.get(path).is_some_and(|module| module.inline);
        let mut file = path;
        while inline(file) {
            file = &file[..file.len() - 1];
        }
        file
    }

    fn used(&self, from: &ModulePath, module: &Module) -> Vec<Found> {
        let find = |path: &[String]| self.find(from, path);
        let mut used: Vec<Found> = module.paths.iter().flat_map(|path| find(path)).collect();
        for import in &module.imports {
            let below = |found: &Found| found.module.len() > from.len() && found.module.starts_with(from);
            used.extend(find(&import.path).into_iter().filter(|found| !(import.reexport && below(found))));
        }
        // An import has counted already, unless it is a re-export or takes in everything.
        let counts = |import: &Import, name: &String| {
            (import.reexport && import.name == *name) || self.takes_in(from, import, name)
        };
        let bare = module.bare.iter().filter(|name| !module.items.contains(*name));
        let bare = bare.filter(|name| module.imports.iter().any(|import| counts(import, name)));
        used.extend(bare.flat_map(|name| find(std::slice::from_ref(name))));
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "crates/x/src";

    /// A crate whose files are given as `name: text`.
    fn tree(files: &[&str]) -> Tree {
        let files = files.iter().map(|file| {
            let (name, text) = file.split_once(": ").unwrap();
            (format!("{SOURCES}/{name}"), text)
        });
        let files: Vec<_> = files.collect();
        Tree::of(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
    }

    fn found(files: &[&str]) -> Vec<String> {
        circles(&tree(files))
    }

    const BOTH_WAYS: &str = "crates/x/src: a -> b (B), b -> a (A)";

    #[test]
    fn two_modules_that_need_each_other_are_found_however_they_say_so() {
        let ways = [
            "use crate::a::A;",
            "use super::a::A;",
            "use crate::{b, a::{self as first, A as Another}};",
            "fn f(x: &crate::a::A) {}",
            "fn f() -> Vec<super::a::A> { x }",
            "use crate::a; fn f() { a::A::new::<u8>(); }",
            "use super::*; fn f(x: A) {}",
            "fn f() { use crate::a::A; }",
            "mod inside { use super::super::a::A; }",
            "impl<T: crate::a::A> B for T {}",
            "fn f() { <u8 as crate::a::A>::g(); }",
            "macro_rules! m { () => { $crate::a::A } }",
            "pub use super::a::A;",
            "#[cfg(unix)] use crate::a::A;",
            "use crate::a::inner::A;",
            "use crate::A;",
        ];
        for way in ways {
            let second = format!("b.rs: pub struct B; {way}");
            let first = "a.rs: use crate::b::B; pub struct A; pub mod inner { pub struct A; }";
            let broken = found(&["lib.rs: mod a; mod b; use a::A;", first, &second]);
            assert_eq!(broken, [BOTH_WAYS], "{way}");
        }
    }

    #[test]
    fn a_long_circle_and_two_circles_are_found() {
        let broken = found(&[
            "main.rs: mod a; mod b; mod c; mod d; mod e; mod f;",
            "a.rs: use crate::b::B;",
            "b.rs: pub struct B; fn f() { crate::c::c(); crate::f::F; }",
            "c.rs: use crate::a; pub fn c() {}",
            "d.rs: use super::e::*;",
            "e.rs: pub struct E; use crate::d::{D, E};",
            "f.rs: pub struct F;",
        ]);
        let expected = ["a -> b (B), b -> c (c), c -> a (a)", "d -> e (e), e -> d (D, E)"];
        assert_eq!(broken, expected.map(|circle| format!("{SOURCES}: {circle}")));
    }

    #[test]
    fn circles_in_nested_folders_are_found_and_counted_at_their_folder() {
        let broken = found(&[
            "lib.rs: mod a; mod b;",
            "a/mod.rs: mod x; mod y; mod z { mod p; mod q; }",
            "a/x.rs: pub struct X; use super::y::Y;",
            "a/y.rs: pub struct Y; use crate::a::x::X; use crate::b::B;",
            "a/z/p.rs: use super::q::Q;",
            "a/z/q.rs: pub struct Q; use super::super::z::p::P;",
            "b.rs: pub mod v; pub mod w; pub struct B;",
            "b/v.rs: use super::w::W;",
            "b/w.rs: pub struct W; use crate::a::x::X;",
        ]);
        let expected =
            [": a -> b (B), b -> a (X)", "/a: x -> y (Y), y -> x (X)", "/a/z: p -> q (Q), q -> p (P)"];
        assert_eq!(broken, expected.map(|circle| format!("{SOURCES}{circle}")));
    }

    #[test]
    fn a_circle_through_a_root_file_that_re_exports_is_found() {
        let ways = ["pub use self::a::A;", "pub(crate) use a::{A};", "pub use a::*;", "use crate::f::a::A;"];
        for way in ways {
            for name in ["super::A", "crate::f::A", "crate::A"] {
                let root = format!("f.rs: mod a; mod b; {way}");
                let second = format!("f/b.rs: pub struct B; use {name};");
                let files = [
                    "lib.rs: mod f; pub use f::A;",
                    &root,
                    "f/a.rs: pub struct A; use super::b::B;",
                    &second,
                ];
                let broken = found(&files);
                assert_eq!(broken, ["crates/x/src/f: a -> b (B), b -> a (A)"], "{way} {name}");
            }
        }
    }

    #[test]
    fn a_module_that_re_exports_another_needs_it_and_is_needed() {
        let broken = found(&[
            "lib.rs: mod a; mod b; mod c;",
            "a.rs: pub use crate::b::B;",
            "b.rs: pub struct B;",
            "c.rs: pub struct C; use crate::a::B;",
        ]);
        assert_eq!(broken, Vec::<String>::new());
        let broken = found(&[
            "lib.rs: mod a; mod b; mod c;",
            "a.rs: pub use crate::b::B; use crate::c::C;",
            "b.rs: pub struct B;",
            "c.rs: pub struct C; use crate::a::B;",
        ]);
        assert_eq!(broken, ["crates/x/src: a -> c (C), c -> a (B)"]);
    }

    #[test]
    fn ladders_are_left_alone() {
        let good: &[&[&str]] = &[
            // Down only, through a root that re-exports; the names of both are in the crate's root, too.
            &[
                "lib.rs: mod a; mod b; pub use a::A; pub use b::B; pub type Result<T, E = A> = R<T, E>;",
                "a.rs: pub struct A; use crate::Result;",
                "b.rs: pub struct B; use crate::{A, Result}; fn f() -> Result<A> { super::A::new() }",
            ],
            // Tests know everyone.
            &[
                "lib.rs: mod a; mod b; #[cfg(test)] mod tests;",
                "a.rs: pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
                "b.rs: pub struct B; use crate::a::A; #[test] fn t() { crate::tests::u(); }",
                "tests.rs: use crate::{a::A, b::B}; pub fn u() {}",
            ],
            &[
                "lib.rs: mod a; mod b;",
                "a.rs: #[cfg(test)] use crate::b::B; struct A;",
                "b.rs: use crate::a::A;",
            ],
            &[
                "lib.rs: mod a; mod b;",
                "a.rs: #[cfg(all(test, unix))] mod t { use crate::b::B; } struct A;",
                "b.rs: use crate::a::A;",
            ],
            // Folders whose files use each other's folder in one direction.
            &[
                "lib.rs: mod a; mod b;",
                "a.rs: mod x; mod y;",
                "a/x.rs: pub struct X;",
                "a/y.rs: use super::x::X;",
                "b/mod.rs: mod x; mod y; pub use self::x::X;",
                "b/x.rs: pub struct X; use crate::a::x;",
                "b/y.rs: use super::X; use crate::a::y::Y;",
            ],
            // Names that only look alike: a type parameter, a field, a method, a lifetime, a string, docs, other crates.
            &[
                "lib.rs: mod a; mod b;",
                "a.rs: use crate::b::B; pub struct A;",
                "b.rs: //! As [`crate::a::A`].\npub struct B; fn f<'a, A: X>(a: &'a A) { a.a(); A::new(); \"crate::a::A\"; }",
            ],
            &[
                "lib.rs: mod a; mod b; pub use other as image;",
                "a.rs: use crate::b::B; use crate::image::a::A;",
                "b.rs: use ::a::A; use a::A as C; fn f() { std::a::b(); ::a::A::new(); } use crate::image::B; use ext::*;",
            ],
            // A macro names its own module.
            &[
                "lib.rs: #[macro_use] mod a; mod b;",
                "a.rs: macro_rules! m { () => { $crate::a::A } } pub(crate) use m; pub struct A;",
                "b.rs: use crate::a::m; fn f() { m!() }",
            ],
            // A module and a function of one name; imports that lead back to themselves.
            &[
                "lib.rs: mod a; mod b;",
                "a.rs: mod m; pub use self::m::{M, m}; use super::b::*; pub use self::b;",
                "a/m.rs: pub fn m() {} pub struct M;",
                "b.rs: pub use self::loops::loops; mod loops { pub use super::loops::x as loops; pub use super::*; }",
            ],
        ];
        for files in good {
            assert_eq!(found(files), Vec::<String>::new(), "{files:?}");
        }
    }

    #[test]
    fn modules_in_one_file_are_one() {
        let files = [
            "lib.rs: mod c; mod a { pub struct A; use super::b::B; } mod b { pub struct B; use super::{R, a::A}; }\
             pub struct R; fn f() { b::g(c::C) }",
            "c.rs: pub struct C;",
        ];
        assert_eq!(found(&files), Vec::<String>::new());
        assert_eq!(root_circles(&tree(&files)), Vec::<String>::new());
        let broken = found(&[
            "lib.rs: mod c; mod d;",
            "c.rs: mod a { use crate::d::b::B; }",
            "d.rs: mod b { use crate::c::a; }",
        ]);
        assert_eq!(broken, ["crates/x/src: c -> d (B), d -> c (a)"]);
    }

    #[test]
    fn a_module_without_its_file_is_found() {
        assert_eq!(found(&["lib.rs: mod a;", "b.rs: struct B;"]).len(), 1);
        assert_eq!(found(&["lib.rs: #[cfg(test)] mod a;", "b.rs: struct B;"]).len(), 0);
    }

    #[test]
    fn files_that_are_no_module_do_not_count_and_programs_are_crates_of_their_own() {
        let files = [
            "lib.rs: mod a; mod b;",
            "main.rs: mod a;",
            "a.rs: use crate::b::B; pub struct A;",
            "b.rs: pub struct B;",
            "old.rs: mod b; use crate::a::A;",
            "bin/b.rs: use x::a::A; mod a { use x::b::B; }",
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_root_file_that_uses_what_uses_it_is_found_but_is_no_circle_of_modules() {
        let ways = [
            "use self::a::A; pub struct R;",
            "pub use self::a::A; pub fn r(a: A) {} pub struct R;",
            "pub struct R; fn f() { a::A::new(); }",
        ];
        for way in ways {
            for name in ["use super::R;", "use crate::f::R;", "use super::*; fn f(r: R) {}"] {
                let root = format!("f/mod.rs: mod a; mod b; {way}");
                let child = format!("f/a.rs: pub struct A; {name}");
                let files = ["lib.rs: mod f;", &root, &child, "f/b.rs: use super::{R, a::A};"];
                assert_eq!(found(&files), Vec::<String>::new(), "{way} {name}");
                let expected = "crates/x/src/f: (root file) -> a (A), a -> (root file) (R)";
                assert_eq!(root_circles(&tree(&files)), [expected], "{way} {name}");
            }
        }
    }

    #[test]
    fn a_root_file_that_only_re_exports_or_only_defines_is_left_alone() {
        let good: &[&[&str]] = &[
            &["lib.rs: mod a; mod b; pub use a::A;", "a.rs: pub struct A;", "b.rs: use crate::A;"],
            &["lib.rs: mod a; pub use a::A; pub struct R;", "a.rs: use crate::R; pub struct A;"],
            &["lib.rs: mod a; use a::A; fn f(a: A) {}", "a.rs: pub struct A; mod b { use super::A; }"],
            &[
                "lib.rs: mod a; use std::fmt; fn f() { a::f(); }",
                "a.rs: use super::fmt; use crate::a; use crate::a::f;",
            ],
        ];
        for files in good {
            assert_eq!(root_circles(&tree(files)), Vec::<String>::new(), "{files:?}");
        }
    }
}
