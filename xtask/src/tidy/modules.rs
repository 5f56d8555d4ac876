//! The modules of each crate as its source declares them: what a module defines, imports and names outside its tests.
//!
//! This is a reader of tokens, not a compiler: names that only macros make and the methods of a type are not seen.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Token, tokens};
use crate::tree::Tree;

/// Names from the crate's root down; empty for the root itself.
pub(crate) type ModulePath = Vec<String>;

/// The modules of a crate that are reached from its root file.
pub(crate) struct Crate {
    /// The folder of the root file, as `crates/a/src`.
    pub(crate) folder: String,
    pub(crate) modules: BTreeMap<ModulePath, Module>,
    /// Modules that are declared, but whose file is not where it belongs.
    pub(crate) missing: Vec<String>,
}

/// What one module says outside its tests.
#[derive(Default)]
pub(crate) struct Module {
    /// Its text stands in braces in the file of the module around it.
    pub(crate) inline: bool,
    /// Functions, types, traits, constants and macros that are defined here.
    pub(crate) items: BTreeSet<String>,
    pub(crate) children: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths of two and more names that stand in code, as `pool::run`.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// Names that stand alone in code, where they look like a type, a constant, a call or a macro.
    pub(crate) bare: BTreeSet<String>,
}

/// One name that a `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The name it has here; `*` for all names of a module.
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    /// `pub use`, with any visibility.
    pub(crate) reexport: bool,
}

/// Reads every library and program of the repository: `lib.rs`, `main.rs` and `bin/` below a folder `src`.
pub(crate) fn crates(tree: &Tree) -> Vec<Crate> {
    let roots = tree.rust().filter(|(path, _)| is_root(path));
    roots.map(|(path, _)| Crate::read(tree, path)).collect()
}

fn is_root(path: &str) -> bool {
    let folders: Vec<&str> = path.split('/').collect();
    matches!(folders.as_slice(), [.., "src", "lib.rs" | "main.rs"] | [.., "src", "bin", _, "main.rs"])
        || matches!(folders.as_slice(), [.., "src", "bin", file] if file.ends_with(".rs"))
}

impl Crate {
    fn read(tree: &Tree, root: &str) -> Self {
        let folder = parent(root).to_owned();
        let mut read = Self { folder: folder.clone(), modules: BTreeMap::new(), missing: Vec::new() };
        read.file(tree, root, &folder, &[]);
        read
    }

    /// Reads the module at `path`, whose text is the file `file` and whose children's files lie in `folder`.
    fn file(&mut self, tree: &Tree, file: &str, folder: &str, path: &[String]) {
        let flat = tree.files.get(file).and_then(|text| tokens(text).ok()).unwrap_or_default();
        self.body(tree, &flat, folder, path);
    }

    fn body(&mut self, tree: &Tree, flat: &[Token], folder: &str, path: &[String]) {
        let mut module = self.modules.remove(path).unwrap_or_default();
        let mut depth = 0usize;
        let mut at = 0;
        while let Some(token) = flat.get(at) {
            let next = flat.get(at + 1).and_then(identifier);
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ if token.in_test => {}
                "mod" if next.is_some() => {
                    let name = next.unwrap_or_default().to_owned();
                    let child: ModulePath = path.iter().chain([&name]).cloned().collect();
                    module.children.insert(name.clone());
                    let inside = format!("{folder}/{name}");
                    let inline = flat.get(at + 2).is_some_and(|token| token.text == "{");
                    self.modules.entry(child.clone()).or_default().inline = inline;
                    if inline {
                        let end = closing(flat, at + 2);
                        self.body(tree, &flat[at + 3..end], &inside, &child);
                        at = end;
                    } else {
                        let places = [format!("{inside}.rs"), format!("{inside}/mod.rs")];
                        match places.iter().find(|place| tree.files.contains_key(*place)) {
                            Some(file) => self.file(tree, file, &inside, &child),
                            None => self.missing.push(format!(
                                "expected the module `{name}` in {}, found neither file",
                                places.join(" or ")
                            )),
                        }
                        at += 1;
                    }
                }
                // `use<'a>` in a type captures lifetimes.
                "use" if flat.get(at + 1).is_some_and(|token| token.text != "<") => {
                    let reexport = is_public(flat, at);
                    let mut end = at + 1;
                    let rooted = starts_with_colons(flat, end);
                    let prefix = if rooted { vec![String::new()] } else { Vec::new() };
                    imports(flat, &mut end, prefix, reexport, &mut module.imports);
                    at = end;
                    continue;
                }
                "macro_rules" => {
                    module.items.extend(flat.get(at + 2).and_then(identifier).map(str::to_owned));
                    at += 2;
                }
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static"
                    if next.is_some_and(|name| !is_keyword(name)) && !in_type(flat, at) =>
                {
                    // `static mut NAME`
                    at += if next == Some("mut") { 2 } else { 1 };
                    if depth == 0 {
                        module.items.extend(flat.get(at).and_then(identifier).map(str::to_owned));
                    }
                }
                _ => at = module.name(flat, at),
            }
            at += 1;
        }
        self.modules.insert(path.to_vec(), module);
    }
}

impl Module {
    /// Notes the path or the single name that begins at `at`, if one does; returns its last token.
    fn name(&mut self, flat: &[Token], at: usize) -> usize {
        let Some(first) = identifier(&flat[at]) else { return at };
        let before = |steps: usize| at.checked_sub(steps).map(|at| &flat[at]);
        let is = |steps: usize, text: &str| before(steps).is_some_and(|token| token.text == text);
        let of_path = is(1, ":") && is(2, ":") && before(2).is_some_and(|token| token.joint);
        let of_value = is(1, ".") && !(is(2, ".") && before(2).is_some_and(|token| token.joint));
        if of_path || of_value || is(1, "'") || (is(1, "$") && first != "crate") {
            return at;
        }
        let mut path = vec![first.to_owned()];
        let mut end = at;
        while starts_with_colons(flat, end + 1)
            && let Some(name) = flat.get(end + 3).and_then(identifier)
        {
            path.push(name.to_owned());
            end += 3;
        }
        let called = flat.get(at + 1).is_some_and(|next| next.text == "(" || next.text == "!");
        if path.len() > 1 {
            self.paths.insert(path);
        } else if called || first.starts_with(char::is_uppercase) {
            self.bare.insert(first.to_owned());
        }
        end
    }
}

/// Reads the tree of a `use` from `at`, and sets `at` behind it.
fn imports(flat: &[Token], at: &mut usize, mut path: Vec<String>, reexport: bool, found: &mut Vec<Import>) {
    while let Some(token) = flat.get(*at) {
        match token.text.as_str() {
            ":" | "$" => *at += 1,
            "*" => {
                *at += 1;
                found.push(Import { name: "*".to_owned(), path, reexport });
                return;
            }
            "{" => {
                let end = closing(flat, *at);
                *at += 1;
                while *at < end {
                    let start = *at;
                    imports(flat, at, path.clone(), reexport, found);
                    if *at == start {
                        *at += 1;
                    }
                }
                *at = end + 1;
                return;
            }
            _ => {
                let Some(name) = identifier(token) else { return };
                *at += 1;
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                if starts_with_colons(flat, *at) {
                    continue;
                }
                let mut name = path.last().cloned().unwrap_or_default();
                if flat.get(*at).is_some_and(|token| token.text == "as") {
                    name = flat.get(*at + 1).and_then(identifier).unwrap_or("_").to_owned();
                    *at += 2;
                }
                found.push(Import { name, path, reexport });
                return;
            }
        }
    }
}

/// Whether `pub` or `pub(..)` stands before `at`.
fn is_public(flat: &[Token], at: usize) -> bool {
    let before = flat[..at].iter().rev();
    let mut before = before.skip_while(|token| !matches!(token.text.as_str(), "pub" | ";" | "}" | "{" | "]"));
    before.next().is_some_and(|token| token.text == "pub")
}

fn starts_with_colons(flat: &[Token], at: usize) -> bool {
    flat.get(at).is_some_and(|token| token.text == ":" && token.joint)
        && flat.get(at + 1).is_some_and(|token| token.text == ":")
}

/// Where the bracket that opens at `open` is closed.
fn closing(flat: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in flat.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    flat.len()
}

/// The name that a token is; literals such as `b"x"` also begin with a letter.
fn identifier(token: &Token) -> Option<&str> {
    let name = token.text.strip_prefix("r#").unwrap_or(&token.text);
    let all = name.chars().all(|character| character.is_alphanumeric() || character == '_');
    (all && token.is_name()).then_some(name)
}

/// Whether the keyword at `at` is part of a type, as in `&'static T` or `*const T`.
fn in_type(flat: &[Token], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| flat[before].text == "'" || flat[before].text == "*")
}

/// Words after `const` with which another kind of item begins, and the name of a constant without one.
fn is_keyword(name: &str) -> bool {
    matches!(name, "fn" | "unsafe" | "async" | "extern" | "_")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Crate {
        crates(&Tree::of(files)).remove(0)
    }

    fn root(text: &str) -> Module {
        read(&[("src/lib.rs", text)]).modules.remove(&Vec::new()).unwrap()
    }

    fn path(names: &str) -> Vec<String> {
        names.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn every_root_file_is_a_crate_and_tests_are_none() {
        let files =
            ["a/src/lib.rs", "a/src/main.rs", "a/src/bin/b.rs", "a/src/bin/c/main.rs", "bench/src/main.rs"];
        let others = ["a/src/b.rs", "a/tests/lib.rs", "a/tests/t/main.rs", "a/examples/b.rs", "a/build.rs"];
        let files: Vec<_> = files.iter().chain(&others).map(|path| (*path, "")).collect();
        let folders: Vec<_> = crates(&Tree::of(&files)).into_iter().map(|read| read.folder).collect();
        assert_eq!(folders, ["a/src/bin", "a/src/bin/c", "a/src", "a/src", "bench/src"]);
    }

    #[test]
    fn modules_are_followed_into_files_folders_and_braces_but_not_into_tests() {
        let read = read(&[
            (
                "src/lib.rs",
                "mod a; pub(crate) mod b; mod c { mod d; mod e {} } #[cfg(test)] mod t; mod gone;",
            ),
            ("src/a.rs", "mod x;"),
            ("src/a/x.rs", ""),
            ("src/b/mod.rs", "mod y; #[cfg(test)] mod tests { mod z {} }"),
            ("src/b/y.rs", ""),
            ("src/c/d.rs", "struct D;"),
            ("src/t.rs", "mod u {}"),
            ("src/unreached.rs", "mod v {}"),
        ]);
        let found: Vec<_> = read.modules.keys().map(|path| path.join("::")).collect();
        assert_eq!(found, ["", "a", "a::x", "b", "b::y", "c", "c::d", "c::e", "gone"]);
        assert!(read.modules[&path("c::d")].items.contains("D"));
        assert!(read.modules[&path("c")].inline && !read.modules[&path("c::d")].inline);
        let missing = "expected the module `gone` in src/gone.rs or src/gone/mod.rs, found neither file";
        assert_eq!(read.missing, [missing]);
    }

    #[test]
    fn imports_are_taken_apart() {
        let module = root(
            "use a::b; pub use self::c::{self, D, e::{F as G, H}}; pub(crate) use super::i::*; use ::j::K;\n\
             pub(in crate::l) use m as _; fn f() -> impl X + use<'_> { use n::O; } #[cfg(test)] use p::Q;",
        );
        let found: Vec<_> = module
            .imports
            .iter()
            .map(|one| {
                format!("{}{}={}", if one.reexport { "pub " } else { "" }, one.name, one.path.join("::"))
            })
            .collect();
        let expected = [
            "b=a::b",
            "pub c=self::c",
            "pub D=self::c::D",
            "pub G=self::c::e::F",
            "pub H=self::c::e::H",
            "pub *=super::i",
            "K=::j::K",
            "pub _=m",
            "O=n::O",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_and_names_in_code_are_noted_and_fields_methods_and_lifetimes_are_not() {
        let module = root(
            "fn f<'a, T>(x: &'a crate::a::B<T>) -> c::D { x.e::<super::F>(); ..g::h(); <T as I>::j::k(); L(m, N) }\n\
             macro_rules! n { ($o:ident) => { $crate::p::q($o::r) } } const S: &[u8] = b\"t::u\"; // v::w\n",
        );
        let found: Vec<_> = module.paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(found, ["c::D", "crate::a::B", "crate::p::q", "g::h", "super::F"]);
        let found: Vec<_> = module.bare.iter().map(String::as_str).collect();
        assert_eq!(found, ["I", "L", "N", "T"]);
        let found: Vec<_> = module.items.iter().map(String::as_str).collect();
        assert_eq!(found, ["S", "f", "n"]);
    }

    #[test]
    fn items_are_those_of_the_module_alone() {
        let module = root(
            "pub const fn a() { const B: u8 = 1; } impl C { fn d() {} } static mut E: u8 = 1; const _: () = ();\n\
             trait F { type G; } pub type H = fn(u8); enum I { J }\n\
             const K: &'static L = &L;",
        );
        let found: Vec<_> = module.items.iter().map(String::as_str).collect();
        assert_eq!(found, ["E", "F", "H", "I", "K", "a"]);
    }
}
