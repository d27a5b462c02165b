//! Resolves the paths that modules mention to the files that define the items.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::modules::{Modules, Name};

/// For each pair of files, the items that the first uses from the second.
pub(crate) type Uses = BTreeMap<(usize, usize), BTreeSet<String>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Module(usize),
    Item { file: usize, name: String },
}

/// Every use of one file's item by another file. Re-exports are followed to the
/// definition; a re-export is itself no use.
pub(crate) fn uses(modules: &Modules) -> Uses {
    let mut uses = Uses::new();
    for (index, module) in modules.modules.iter().enumerate() {
        for mention in &module.mentions {
            let mut targets = Resolver { modules, seen: HashSet::new() }.path(index, &mention.path);
            if let ([name], true, []) = (mention.path.as_slice(), mention.is_macro, targets.as_slice()) {
                // `macro_rules!` macros are in scope below their definition without an import.
                targets.extend(modules.macros.get(name).map(|&definition| Target::Item {
                    file: modules.modules[definition].file,
                    name: format!("{name}!"),
                }));
            }
            for target in targets {
                if let Target::Item { file, name } = target
                    && file != module.file
                {
                    uses.entry((module.file, file)).or_default().insert(name);
                }
            }
        }
    }
    uses
}

struct Resolver<'a> {
    modules: &'a Modules,
    /// Names under resolution: modules can import each other's items by globs.
    seen: HashSet<(usize, String)>,
}

impl Resolver<'_> {
    fn path(&mut self, from: usize, path: &[String]) -> Vec<Target> {
        let Some((first, mut rest)) = path.split_first() else { return Vec::new() };
        let mut targets = match first.as_str() {
            "crate" => vec![Target::Module(self.root(from))],
            "self" => vec![Target::Module(from)],
            "super" => self.modules.modules[from].parent.map(Target::Module).into_iter().collect(),
            name => match (&self.modules.library, self.name(from, name)) {
                (Some((library, root)), found) if found.is_empty() && library == name => vec![Target::Module(*root)],
                (_, found) => found,
            },
        };
        while let Some((segment, after)) = rest.split_first() {
            targets = targets.into_iter().flat_map(|target| self.step(target, segment, after.is_empty())).collect();
            rest = after;
        }
        targets
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules.modules[module].parent {
            module = parent;
        }
        module
    }

    fn step(&mut self, target: Target, segment: &str, is_last: bool) -> Vec<Target> {
        let Target::Module(module) = target else {
            // What follows is a variant or an associated item of the item.
            return vec![target];
        };
        if segment == "super" {
            return self.modules.modules[module].parent.map(Target::Module).into_iter().collect();
        }
        let found = self.name(module, segment);
        if found.is_empty() && is_last {
            // A macro's expansion may define it.
            let file = self.modules.modules[module].file;
            return vec![Target::Item { file, name: segment.to_owned() }];
        }
        found
    }

    fn name(&mut self, module: usize, name: &str) -> Vec<Target> {
        // `use chat::create as chat` needs the module `chat` to resolve the import `chat`.
        let is_outermost = self.seen.insert((module, name.to_owned()));
        let scope = &self.modules.modules[module];
        let mut targets = Vec::new();
        for found in scope.names.get(name).into_iter().flatten() {
            match found {
                Name::Item => targets.push(Target::Item { file: scope.file, name: name.to_owned() }),
                Name::Module(module) => targets.push(Target::Module(*module)),
                Name::Import(path) if is_outermost => targets.extend(self.path(module, path)),
                Name::Import(_) => {}
            }
        }
        if targets.is_empty() && is_outermost {
            for glob in &scope.globs {
                for target in self.path(module, glob) {
                    if let Target::Module(module) = target {
                        targets.extend(self.name(module, name));
                    }
                }
            }
        }
        if is_outermost {
            self.seen.remove(&(module, name.to_owned()));
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The uses among `files`, of which the first is the root, as "from → to: items".
    fn uses_in(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("it is writable");
            std::fs::write(path, text).expect("it is writable");
        }
        let mut modules = Modules::default();
        modules.add_target(&folder.path().join(files[0].0)).expect("the files are well formed");
        let name = |file: usize| {
            let path = modules.files[file].strip_prefix(folder.path()).expect("it is in the folder");
            path.display().to_string()
        };
        let describe = |((from, to), items): (&(usize, usize), &BTreeSet<String>)| {
            format!("{} → {}: {}", name(*from), name(*to), items.iter().cloned().collect::<Vec<_>>().join(", "))
        };
        uses(&modules).iter().map(describe).collect()
    }

    #[test]
    fn module_lines_and_reexports_are_no_uses() {
        assert!(uses_in(&[("lib.rs", "mod a;\npub use a::A;\n"), ("a.rs", "pub struct A;\n")]).is_empty());
    }

    #[test]
    fn reexports_are_followed_to_the_definition() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::*;\n"),
            ("a.rs", "mod inner;\npub(crate) use inner::create as inner;\n"),
            ("a/inner.rs", "pub fn create() {}\n"),
            ("b.rs", "fn b() { crate::inner() }\n"),
        ];
        assert_eq!(uses_in(&files), ["b.rs → a/inner.rs: create"]);
    }

    #[test]
    fn paths_in_bodies_types_macros_and_test_modules_are_uses() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
            ("a.rs", "pub struct A;\npub enum E { V }\npub const C: u8 = 1;\npub fn f() {}\n"),
            ("b.rs", "use crate::a;\nfn b(_: &a::A) { let _ = a::E::V; println!(\"{}\", a::C); }\n"),
            ("c.rs", "#[cfg(test)]\nmod tests {\n    use crate::a::f;\n}\n"),
            ("d.rs", "fn d(f: u8) -> u8 { f }\n"),
        ];
        assert_eq!(uses_in(&files), ["b.rs → a.rs: A, C, E", "c.rs → a.rs: f"]);
    }

    #[test]
    fn macros_by_example_are_in_scope_without_an_import() {
        let files = [
            ("lib.rs", "#[macro_use]\nmod a;\nmod b;\n"),
            ("a.rs", "macro_rules! check { () => {}; }\n"),
            ("b.rs", "fn b() { check!() }\n"),
        ];
        assert_eq!(uses_in(&files), ["b.rs → a.rs: check!"]);
    }

    #[test]
    fn parents_and_children_use_each_other() {
        let files = [
            ("lib.rs", "mod a;\n"),
            ("a.rs", "mod inner;\npub struct A(inner::B);\n"),
            ("a/inner.rs", "pub struct B(Box<super::A>);\n"),
        ];
        assert_eq!(uses_in(&files), ["a.rs → a/inner.rs: B", "a/inner.rs → a.rs: A"]);
    }
}
