//! The modules of one crate as its source files declare them: their items, imports, and
//! every path that they mention.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Context;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// The files and modules that are reached from the roots of a package's targets.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) modules: Vec<Module>,
    /// The module in which each `macro_rules!` macro is defined, by the macro's name.
    pub(crate) macros: HashMap<String, usize>,
    /// The root module of the library, and the name by which other targets import it.
    pub(crate) library: Option<(String, usize)>,
    parsed: BTreeMap<PathBuf, usize>,
}

#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Index in [`Modules::files`].
    pub(crate) file: usize,
    pub(crate) parent: Option<usize>,
    /// A name can stand for a module and for an item at the same time.
    pub(crate) names: HashMap<String, Vec<Name>>,
    /// Paths of `use path::*`.
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) mentions: Vec<Mention>,
}

#[derive(Debug, Clone)]
pub(crate) enum Name {
    Item,
    Module(usize),
    Import(Vec<String>),
}

/// A path that a module mentions, by its segments.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) is_macro: bool,
}

impl Modules {
    /// Reads the file of a target's root and all modules below it.
    pub(crate) fn add_target(&mut self, root: &Path) -> anyhow::Result<usize> {
        let folder = root.parent().map(Path::to_path_buf).unwrap_or_default();
        self.add_file(root, folder, None)
    }

    /// `children` is the folder in which `mod name;` looks for its file.
    fn add_file(&mut self, path: &Path, children: PathBuf, parent: Option<usize>) -> anyhow::Result<usize> {
        if let Some(&module) = self.parsed.get(path) {
            return Ok(module);
        }
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let syntax = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        self.files.push(path.to_owned());
        let module = self.add_module(self.files.len() - 1, parent);
        self.parsed.insert(path.to_owned(), module);
        self.read(module, children, &syntax.items)?;
        Ok(module)
    }

    fn add_module(&mut self, file: usize, parent: Option<usize>) -> usize {
        self.modules.push(Module { file, parent, ..Module::default() });
        self.modules.len() - 1
    }

    fn read(&mut self, module: usize, children: PathBuf, items: &[syn::Item]) -> anyhow::Result<()> {
        let mut reader = Reader { modules: self, module, children, failure: None };
        for item in items {
            reader.visit_item(item);
        }
        reader.failure.map_or(Ok(()), Err)
    }
}

struct Reader<'a> {
    modules: &'a mut Modules,
    module: usize,
    children: PathBuf,
    failure: Option<anyhow::Error>,
}

impl Reader<'_> {
    fn define(&mut self, ident: &syn::Ident, name: Name) {
        self.modules.modules[self.module].names.entry(ident.to_string()).or_default().push(name);
    }

    fn mention(&mut self, path: Vec<String>, is_macro: bool) {
        self.modules.modules[self.module].mentions.push(Mention { path, is_macro });
    }

    fn submodule(&mut self, item: &syn::ItemMod) -> anyhow::Result<Option<usize>> {
        let name = item.ident.to_string();
        let folder = self.children.join(&name);
        if let Some((_, items)) = &item.content {
            let file = self.modules.modules[self.module].file;
            let module = self.modules.add_module(file, Some(self.module));
            self.modules.read(module, folder, items)?;
            return Ok(Some(module));
        }
        if let Some(path) = path_attribute(&item.attrs) {
            // Relative to the folder of the file that has the attribute.
            let file = &self.modules.files[self.modules.modules[self.module].file];
            let path = file.parent().map(|parent| parent.join(&path)).unwrap_or(path);
            let children = path.parent().map(Path::to_path_buf).unwrap_or_default();
            return self.modules.add_file(&path, children, Some(self.module)).map(Some);
        }
        for path in [self.children.join(format!("{name}.rs")), folder.join("mod.rs")] {
            if path.is_file() {
                return self.modules.add_file(&path, folder, Some(self.module)).map(Some);
            }
        }
        // A module of another platform may have no file here.
        Ok(None)
    }

    fn import(&mut self, prefix: &[String], tree: &syn::UseTree, is_private: bool) {
        let extended = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        let (path, alias) = match tree {
            syn::UseTree::Path(path) => return self.import(&extended(&path.ident), &path.tree, is_private),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(prefix, tree, is_private));
            }
            syn::UseTree::Glob(_) => {
                self.modules.modules[self.module].globs.push(prefix.to_vec());
                return;
            }
            syn::UseTree::Name(name) if name.ident == "self" => return,
            syn::UseTree::Name(name) => (extended(&name.ident), &name.ident),
            syn::UseTree::Rename(rename) if rename.ident == "self" => (prefix.to_vec(), &rename.rename),
            syn::UseTree::Rename(rename) => (extended(&rename.ident), &rename.rename),
        };
        if is_private {
            self.mention(path.clone(), false);
        }
        if alias != "_" {
            self.define(alias, Name::Import(path));
        }
    }

    /// Macros take any tokens, so what looks like a path counts as one.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(first) => {
                    let continues = at > 0 && (is(at - 1, '.') || at > 1 && is(at - 1, ':') && is(at - 2, ':'));
                    let mut path = vec![first.to_string()];
                    while is(at + 1, ':') && is(at + 2, ':') {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    let is_call = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                    let is_type = path[0].starts_with(char::is_uppercase);
                    if !continues && (path.len() > 1 || is_call || is_type) {
                        self.mention(path, is(at + 1, '!'));
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let ident = match item {
            syn::Item::Const(item) => Some(&item.ident),
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Fn(item) => Some(&item.sig.ident),
            syn::Item::Static(item) => Some(&item.ident),
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            syn::Item::Type(item) => Some(&item.ident),
            syn::Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        if let Some(ident) = ident {
            self.define(ident, Name::Item);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        match self.submodule(item) {
            Ok(Some(module)) => self.define(&item.ident, Name::Module(module)),
            Ok(None) => {}
            Err(error) => self.failure = Some(error),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&[], &item.tree, matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if let Some(ident) = &item.ident {
            self.define(ident, Name::Item);
            self.modules.macros.insert(ident.to_string(), self.module);
        }
        visit::visit_item_macro(self, item);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.mention(segments(&invocation.path), true);
        self.scan(invocation.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.mention(segments(path), false);
        }
        visit::visit_path(self, path);
    }

    /// `pub(in path)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The value of `#[path = "…"]`.
fn path_attribute(attributes: &[syn::Attribute]) -> Option<PathBuf> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(PathBuf::from(text.value())),
            _ => None,
        },
        _ => None,
    })
}
