//! `hostler verify`.

use serde_json::Value;

use crate::support::Hostler;

const COMMAND: [&str; 7] = ["verify", "--json", "--engine", "simulated", "--model", "sim", "--device=cpu"];

#[test]
fn an_engine_that_keeps_its_contract_passes() {
    let ended = Hostler::new().run(&COMMAND);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let results: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let checks = results[0]["checks"].as_array().expect("a list");
    assert!(checks.len() > 20 && checks.iter().all(|check| check["passed"] == true), "{results}");
    assert_eq!((&results[0]["engine"], &results[0]["device"]), (&Value::from("simulated"), &Value::from("cpu")));
}

#[test]
fn a_failing_engine_is_reported_with_what_was_observed() {
    let faulty = "{ faults = { engine = { kind = \"fail\", after_tokens = 40 } } }";
    let ended = Hostler::new().with("HOSTLER_SCHEDULER__SIMULATED", faulty).run(&COMMAND);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let results: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let violations =
        results[0]["checks"].as_array().expect("a list").iter().filter_map(|check| check["violation"].as_str());
    assert!(violations.count() > 0, "{results}");
}
