//! What is said wrongly, and what is said about it.

use std::fs;

use crate::support::Hostler;

#[test]
fn a_wrong_configuration_ends_with_2_and_says_what_is_wrong() {
    let hostler = Hostler::new().with("HOSTLER_SCHEDULER__MAX_BATCH_SIZE", "0");
    for command in [&["config", "check"][..], &["config", "show"], &["serve"], &[]] {
        let ended = hostler.run(command);
        assert_eq!(ended.code, Some(2), "{command:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: scheduler.max_batch_size: 0 is out of range"), "{ended:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
    let ended = hostler.run(&["--json", "config", "check"]);
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).expect("it is JSON");
    assert!(error["error"].as_str().is_some_and(|message| message.contains("1 to 1024")), "{error}");
}

#[test]
fn a_file_is_checked_key_by_key() {
    let hostler = Hostler::new();
    let path = hostler.folder.path().join("hostler.toml");
    fs::write(&path, "[scheduler]\nengin = \"simulated\"\n").expect("it is writable");
    let file = path.to_str().expect("temporary folders have plain names");
    let ended = hostler.run(&["config", "check", "--config", file]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("did you mean \"engine\"?") && ended.stderr.contains(file), "{ended:?}");

    fs::write(&path, "[scheduler]\nengine = \"simulated\"\nsimulated = { eos_afer = 3 }\n").expect("it is writable");
    let ended = hostler.run(&["serve", "--config", file, "--address", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("simulated") && ended.stderr.contains("eos_afer"), "{ended:?}");

    let ended = hostler.run(&["config", "check", "--config", "/no/such/file"]);
    assert!(ended.stderr.contains("/no/such/file"), "{ended:?}");
}

#[test]
fn options_overrule_the_environment_and_show_says_so() {
    let hostler =
        Hostler::new().with("HOSTLER_SCHEDULER__ENGINE", "llamacpp").with("HOSTLER_SCHEDULER__MAX_BATCH_SIZE", "3");
    let ended = hostler.run(&["config", "show", "--engine", "simulated", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(shown["schedulers"][0]["engine"], "simulated");
    assert_eq!(shown["schedulers"][0]["max_batch_size"], 3);
}

#[test]
fn what_cannot_be_served_is_said_before_anything_starts() {
    let hostler = Hostler::new();
    let ended = hostler.run(&["serve", "--engine", "nonesuch"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = hostler.run(&["--model", "a", "model", "list"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = hostler.run(&["model", "path", "smollm2"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = hostler.run(&["model", "path", "smollm2-135m-instruct"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("hostler model pull smollm2-135m-instruct"), "{ended:?}");
}

#[test]
fn an_engine_that_this_binary_lacks_is_named_with_its_feature() {
    for (engine, held) in [("mistralrs", cfg!(feature = "mistralrs")), ("llamacpp", cfg!(feature = "llamacpp"))] {
        let ended = Hostler::new().run(&["config", "check", "--engine", engine]);
        if held {
            assert_eq!(ended.code, Some(0), "{ended:?}");
        } else {
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains(&format!("--features {engine}")), "{ended:?}");
        }
    }
}

#[test]
fn help_teaches_by_example() {
    for command in [&["--help"][..], &["serve", "--help"]] {
        let ended = Hostler::new().run(command);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("Examples:"), "{}", ended.stdout);
    }
}
