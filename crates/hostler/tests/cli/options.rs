//! Invalid options and configurations, and their messages.

use std::fs;

use crate::support::Hostler;

#[test]
fn an_invalid_configuration_exits_with_2_and_names_the_error() {
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
    let file = path.to_str().expect("temporary directories have UTF-8 names");
    let ended = hostler.run(&["config", "check", "--config", file]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("did you mean \"engine\"?") && ended.stderr.contains(file), "{ended:?}");

    fs::write(&path, "[scheduler]\nengine = \"simulated\"\nsimulated = { eos_afer = 3 }\n").expect("it is writable");
    let ended = hostler.run(&["serve", "--config", file, "--address", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("simulated") && ended.stderr.contains("eos_afer"), "{ended:?}");

    let text = "[scheduler]\nengine = \"simulated\"\n[schedulers.a]\ndevice = \"cpu:7000\"\n\
                [schedulers.b]\nsimulated = { cost = { decode_step_ms = -1 } }\n";
    fs::write(&path, text).expect("it is writable");
    for command in [&["config", "check", "--config", file][..], &["serve", "--config", file]] {
        let ended = hostler.run(command);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 2), "{ended:?}");
        assert!(ended.stderr.contains("schedulers.a.device: cpu:7000") && ended.stderr.contains("decode_step_ms"));
    }

    let ended = hostler.run(&["config", "check", "--config", "/no/such/file"]);
    assert!(ended.stderr.contains("/no/such/file"), "{ended:?}");
}

#[test]
fn options_override_the_environment_in_the_output_of_show() {
    let hostler =
        Hostler::new().with("HOSTLER_SCHEDULER__ENGINE", "llamacpp").with("HOSTLER_SCHEDULER__MAX_BATCH_SIZE", "3");
    let ended = hostler.run(&["config", "show", "--engine", "simulated", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(shown["schedulers"][0]["engine"], "simulated");
    assert_eq!(shown["schedulers"][0]["max_batch_size"], 3);
}

#[test]
fn invalid_models_and_engines_are_refused_at_the_start() {
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

#[test]
fn the_schema_of_the_configuration_is_printed_for_editors() {
    let ended = Hostler::new().run(&["config", "schema"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let schema: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let batch = &schema["properties"]["scheduler"]["properties"]["max_batch_size"];
    assert_eq!((&batch["minimum"], &batch["maximum"], &batch["default"]), (&1.into(), &1024.into(), &8.into()));
}

#[test]
fn the_version_names_the_engines_and_help_is_a_command_too() {
    let hostler = Hostler::new();
    let version = hostler.run(&["--version"]).stdout;
    assert!(
        version.starts_with("hostler 0.") && version.contains("engines: ") && version.contains("simulated"),
        "{version}"
    );
    let help = hostler.run(&["help", "serve"]);
    assert_eq!((help.code, help.stdout.contains("--device")), (Some(0), true), "{help:?}");
}

#[test]
fn a_misspelt_log_level_is_refused() {
    let ended = Hostler::new().run(&["serve", "--log-filter", "inf", "--engine", "simulated"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("log.filter") && ended.stderr.contains("\"inf\""), "{ended:?}");
}
