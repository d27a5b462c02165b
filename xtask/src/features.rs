//! One build of each dependency: if `cargo build` and `cargo test` select different features of
//! a dependency, it is built twice, and so is everything that depends on it. The engines take
//! eleven minutes.

use std::collections::{BTreeMap, BTreeSet};

/// A message for each package that a build of the tests would build with other features.
pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let without = parse(&tree("normal,build")?);
    let with = parse(&tree("normal,build,dev")?);
    Ok(differences(&without, &with))
}

/// `name vVERSION` → the sets of features with which it is built.
type Built = BTreeMap<String, BTreeSet<String>>;

fn tree(edges: &str) -> anyhow::Result<String> {
    let format = "{p}|{f}";
    let arguments = ["tree", "--workspace", "--locked", "--prefix=none", "--format", format, "--edges", edges];
    crate::commands::output(crate::commands::cargo().args(arguments))
}

fn parse(tree: &str) -> Built {
    let mut built = Built::new();
    for line in tree.lines() {
        if let Some((package, features)) = line.split_once('|') {
            // cargo marks repeated packages with an asterisk.
            let features = features.trim_end_matches("(*)").trim();
            let package = package.trim_end_matches("(proc-macro)").trim();
            built.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
    }
    built
}

fn differences(without: &Built, with: &Built) -> Vec<String> {
    let describe = |sets: &BTreeSet<String>| sets.iter().map(|set| format!("[{set}]")).collect::<Vec<_>>().join(" ");
    // A package is built twice if tests need a set of features that the product's build does
    // not have. A set that tests do not need costs nothing.
    without
        .iter()
        .filter_map(|(package, features)| Some((package, features, with.get(package)?)))
        .filter(|(_, features, in_tests)| !in_tests.is_subset(features))
        .map(|(package, features, in_tests)| {
            format!(
                "{package} is built with {} and, for tests, with {}: name the features in [workspace.dependencies]",
                describe(features),
                describe(in_tests)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_only_tests_enable_is_reported() {
        let without = parse("serde v1.0.0|derive\nlibc v0.2.0|std (*)\n");
        let same = parse("serde v1.0.0|derive\nlibc v0.2.0|std\ntempfile v3.0.0|default\n");
        assert!(differences(&without, &same).is_empty());
        let more = parse("serde v1.0.0|derive,rc\nlibc v0.2.0|std\n");
        assert_eq!(differences(&without, &more).len(), 1);
        // A build script may need fewer features than the product does.
        let both = parse("serde v1.0.0|derive\nserde v1.0.0|\nlibc v0.2.0|std\n");
        assert!(differences(&both, &without).is_empty());
    }
}
