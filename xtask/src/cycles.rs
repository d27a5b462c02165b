//! Import cycles between the files of a package: file A uses an item that is defined in
//! file B, and B, directly or through others, one that is defined in A.

mod modules;
mod resolve;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use modules::Modules;
use resolve::Uses;

/// A message for each cycle in the package whose targets have these roots, the library's
/// first if it has one.
pub(crate) fn find(package: &str, roots: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut modules = Modules::default();
    for root in roots {
        let module = modules.add_target(root)?;
        if root.ends_with("src/lib.rs") {
            modules.library = Some((package.replace('-', "_"), module));
        }
    }
    let uses = resolve::uses(&modules);
    Ok(cycles(&uses).iter().map(|cycle| describe(package, cycle, &uses, &modules.files)).collect())
}

/// Groups of files each of which reaches every other one of its group.
fn cycles(uses: &Uses) -> Vec<BTreeSet<usize>> {
    let mut next: HashMap<usize, Vec<usize>> = HashMap::new();
    for &(from, to) in uses.keys() {
        next.entry(from).or_default().push(to);
    }
    let reached = |from: usize| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            open.extend(next.get(&file).into_iter().flatten().filter(|&&file| reached.insert(file)));
        }
        reached
    };
    let reach: HashMap<usize, BTreeSet<usize>> = next.keys().map(|&file| (file, reached(file))).collect();
    let reaches = |from: usize, to: usize| reach.get(&from).is_some_and(|reached| reached.contains(&to));
    let group = |file: usize| reach[&file].iter().copied().filter(|&other| reaches(other, file)).collect();
    let groups: BTreeSet<BTreeSet<usize>> =
        next.keys().map(|&file| group(file)).filter(|group: &BTreeSet<usize>| group.len() > 1).collect();
    groups.into_iter().collect()
}

fn describe(package: &str, cycle: &BTreeSet<usize>, uses: &Uses, files: &[PathBuf]) -> String {
    let mut text = format!("{package}: import cycle of {} files:", cycle.len());
    for ((from, to), items) in uses {
        if cycle.contains(from) && cycle.contains(to) {
            let name = |file: &usize| shown(&files[*file]);
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            let _ = write!(text, "\n  {} uses {} from {}", name(from), items.join(", "), name(to));
        }
    }
    text
}

/// A path as git shows it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(pairs: &[(usize, usize)]) -> Uses {
        pairs.iter().map(|&pair| (pair, BTreeSet::from(["Item".to_owned()]))).collect()
    }

    #[test]
    fn each_cycle_is_found_once() {
        let found = cycles(&uses(&[(0, 1), (1, 2), (2, 0), (2, 3), (4, 3), (3, 4), (5, 0)]));
        assert_eq!(found, [BTreeSet::from([0, 1, 2]), BTreeSet::from([3, 4])]);
    }

    #[test]
    fn a_tree_has_no_cycle() {
        assert!(cycles(&uses(&[(0, 1), (0, 2), (1, 3), (2, 3)])).is_empty());
    }

    #[test]
    fn a_message_names_files_and_items() {
        let uses = uses(&[(0, 1), (1, 0), (1, 2)]);
        let files = ["a.rs", "b.rs", "c.rs"].map(PathBuf::from);
        let text = describe("hostler-a", &BTreeSet::from([0, 1]), &uses, &files);
        let expected = "hostler-a: import cycle of 2 files:\n  a.rs uses Item from b.rs\n  b.rs uses Item from a.rs";
        assert_eq!(text, expected);
    }
}
