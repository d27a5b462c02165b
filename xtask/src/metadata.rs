//! Reads the workspace's dependency graph and targets from `cargo metadata`. The crate
//! `cargo_metadata` is not used: it would enable serde_json's `unbounded_depth` for the whole
//! workspace, and rebuild the engines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use serde::Deserialize;

/// Packages by name.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Names of the workspace's own packages.
    pub(crate) members: BTreeSet<String>,
    /// Direct dependencies, except those of tests.
    pub(crate) dependencies: BTreeMap<String, BTreeSet<String>>,
    /// For each member, the root files of its targets, the library's first.
    pub(crate) targets: BTreeMap<String, Vec<PathBuf>>,
}

impl Graph {
    /// The shortest path from one package to another, including both.
    pub(crate) fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(package) = queue.pop_front() {
            if package == to {
                let mut path = vec![package.to_owned()];
                let mut at = package;
                while let Some(before) = reached_from.get(at).filter(|_| at != from) {
                    path.push((*before).to_owned());
                    at = before;
                }
                path.reverse();
                return Some(path);
            }
            for next in self.dependencies.get(package).into_iter().flatten() {
                if next != from && !reached_from.contains_key(next.as_str()) {
                    reached_from.insert(next, package);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

pub(crate) fn load() -> anyhow::Result<Graph> {
    let text = crate::commands::output(crate::commands::cargo().args(["metadata", "--format-version=1", "--locked"]))?;
    parse(&text)
}

fn parse(text: &str) -> anyhow::Result<Graph> {
    let metadata: Metadata = serde_json::from_str(text)?;
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let name = |id: &str| names.get(id).copied().unwrap_or(id).to_owned();
    let mut graph =
        Graph { members: metadata.workspace_members.iter().map(|id| name(id)).collect(), ..Graph::default() };
    for package in &metadata.packages {
        if graph.members.contains(&package.name) {
            let roots = package.targets.iter().map(|target| target.src_path.clone()).collect();
            graph.targets.insert(package.name.clone(), roots);
        }
    }
    for node in &metadata.resolve.nodes {
        let needed = |dep: &&Dependency| dep.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
        let dependencies = node.deps.iter().filter(needed).map(|dep| name(&dep.pkg));
        // Versions of a package are not distinguished: a boundary excludes all of them.
        graph.dependencies.entry(name(&node.id)).or_default().extend(dependencies);
    }
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_tests_do_not_count() {
        let text = r#"{
            "packages": [
                {"id": "1", "name": "a", "targets": [{"src_path": "/a/src/lib.rs"}]},
                {"id": "2", "name": "b", "targets": []}, {"id": "3", "name": "c", "targets": []}],
            "workspace_members": ["1"],
            "resolve": {"nodes": [
                {"id": "1", "deps": [
                    {"pkg": "2", "dep_kinds": [{"kind": null}]},
                    {"pkg": "3", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "2", "deps": []}, {"id": "3", "deps": []}]}
        }"#;
        let graph = parse(text).expect("it is what cargo prints");
        assert_eq!(graph.path("a", "b"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(graph.path("a", "c"), None);
        assert_eq!(graph.targets["a"], [PathBuf::from("/a/src/lib.rs")]);
    }
}
