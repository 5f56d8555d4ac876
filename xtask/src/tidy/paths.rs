//! Follows paths of a crate's source to the modules that define what they name.

use super::modules::{Crate, Import, ModulePath};

/// What a path leads to.
#[derive(Clone)]
pub(crate) struct Found {
    /// The module that defines it, or the module itself.
    pub(crate) module: ModulePath,
    /// What the module defines; none where the path names the module.
    pub(crate) item: Option<String>,
    /// The modules that re-export it on the way.
    pub(crate) through: Vec<ModulePath>,
    /// The module only imports it, from another crate.
    pub(crate) outside: bool,
}

/// The paths that are being followed, and `*` with a name that is being looked for among globs; what leads back to
/// itself leads nowhere.
type Following = Vec<(ModulePath, Vec<String>)>;

impl Crate {
    /// What `path` leads to, read in the module `from`; nothing where it leads out of the crate. A name may be a module
    /// and a function at once.
    pub(crate) fn find(&self, from: &[String], path: &[String]) -> Vec<Found> {
        self.follow(from, path, &mut Vec::new())
    }

    /// Whether `import` of `module` takes in all names of another module, and `name` is one of them.
    pub(crate) fn takes_in(&self, module: &[String], import: &Import, name: &str) -> bool {
        self.globbed(module, import, name, &mut Vec::new())
    }

    fn follow(&self, from: &[String], path: &[String], following: &mut Following) -> Vec<Found> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let here = (from.to_vec(), path.to_vec());
        if following.contains(&here) {
            return Vec::new();
        }
        following.push(here);
        let found = match first.as_str() {
            "crate" => self.step(&[], rest, following),
            "self" | "super" => self.step(from, path, following),
            name if self.knows(from, name, following) => self.step(from, path, following),
            _ => Vec::new(),
        };
        following.pop();
        found
    }

    /// What `rest` of a path leads to from `module` on.
    fn step(&self, module: &[String], rest: &[String], following: &mut Following) -> Vec<Found> {
        let here = |item| Found { module: module.to_vec(), item, through: Vec::new(), outside: false };
        let Some((name, more)) = rest.split_first() else { return vec![here(None)] };
        match name.as_str() {
            "self" => return self.step(module, more, following),
            "super" => return self.step(&module[..module.len().saturating_sub(1)], more, following),
            _ => {}
        }
        let Some(content) = self.modules.get(module) else { return vec![here(Some(name.clone()))] };
        let mut found = Vec::new();
        if content.children.contains(name) {
            let child: ModulePath = module.iter().chain([name]).cloned().collect();
            found = self.step(&child, more, following);
            if !more.is_empty() {
                return found;
            }
        }
        if content.items.contains(name) {
            found.push(here(Some(name.clone())));
            return found;
        }
        for import in &content.imports {
            let path = if import.name == *name {
                import.path.clone()
            } else if self.globbed(module, import, name, following) {
                import.path.iter().chain([name]).cloned().collect()
            } else {
                continue;
            };
            found.extend(self.through(module, &path, more, following));
        }
        if found.is_empty() {
            let outside = content.imports.iter().any(|import| import.name == *name);
            found.push(Found { outside, ..here(Some(name.clone())) });
        }
        found
    }

    /// What an import of `module` leads to, and `more` of a path behind it.
    fn through(
        &self,
        module: &[String],
        path: &[String],
        more: &[String],
        following: &mut Following,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        for one in self.follow(module, path, following) {
            let ends = match one.item {
                None => self.step(&one.module, more, following),
                Some(_) => vec![Found { through: Vec::new(), ..one.clone() }],
            };
            found.extend(ends.into_iter().map(|mut end| {
                end.through.extend(one.through.iter().cloned().chain([module.to_vec()]));
                end
            }));
        }
        found
    }

    /// Whether `name` means something in `module`.
    fn knows(&self, module: &[String], name: &str, following: &mut Following) -> bool {
        let Some(content) = self.modules.get(module) else { return false };
        content.items.contains(name)
            || content.children.contains(name)
            || content.imports.iter().any(|import| import.name == name)
            || content.imports.iter().any(|import| self.globbed(module, import, name, following))
    }

    fn globbed(&self, module: &[String], import: &Import, name: &str, following: &mut Following) -> bool {
        let here = (module.to_vec(), vec!["*".to_owned(), name.to_owned()]);
        if import.name != "*" || following.contains(&here) {
            return false;
        }
        following.push(here);
        let found = self.follow(module, &import.path, following);
        let named = found.iter().any(|found| {
            found.item.is_none() && found.module != module && self.knows(&found.module, name, following)
        });
        following.pop();
        named
    }
}
