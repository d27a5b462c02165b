//! Layers, messages and schedulers, as a user sees them.

use hostler_config::{Config, ConfigError, Device, Layer, Problem, load};

fn load_text(text: &str) -> Result<Config, ConfigError> {
    load(&[Layer::text("hostler.toml", text).expect("the file of the test is TOML")], &[])
}

fn problems(text: &str) -> Vec<Problem> {
    match load_text(text).expect_err("the configuration is invalid") {
        ConfigError::Invalid(problems) => problems,
        other => panic!("expected problems with keys, got {other}"),
    }
}

/// The first line that a user reads about an invalid configuration.
fn complaint(text: &str) -> String {
    problems(text)[0].to_string()
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn without_a_configuration_the_demo_model_is_served() {
    let config = load(&[], &[]).expect("the defaults are valid");
    assert_eq!(config.server.address.to_string(), "127.0.0.1:8080");
    let [scheduler] = config.schedulers.as_slice() else { panic!("one scheduler is the default") };
    assert_eq!(scheduler.name, "smollm2-135m-instruct");
    assert_eq!(scheduler.spec.max_batch_size, 8);
    assert_eq!(scheduler.spec.max_context_length, 2048);
}

#[test]
fn the_environment_overrides_the_file_and_the_command_line_overrides_both() {
    let mut layers = vec![Layer::text("f", "[scheduler]\nmax_batch_size = 2\nengine = \"simulated\"").expect("TOML")];
    layers.extend(Layer::environment([
        variable("HOSTLER_SCHEDULER__MAX_BATCH_SIZE", "3"),
        variable("HOSTLER_LOG__FILTER", "debug"),
        variable("HOSTLER_TEST_MODEL", "/not/configuration"),
        variable("HOME", "/root"),
    ]));
    let config = load(&layers, &[]).expect("it is valid");
    assert_eq!(config.schedulers[0].spec.max_batch_size, 3);
    assert_eq!(config.schedulers[0].spec.engine.as_str(), "simulated");
    assert_eq!(config.log.filter, "debug");

    layers.push(Layer::value("--max-batch-size", "scheduler.max_batch_size", 4));
    assert_eq!(load(&layers, &[]).expect("it is valid").schedulers[0].spec.max_batch_size, 4);
}

#[test]
fn a_named_scheduler_inherits_the_common_section() {
    let config = load_text(
        "[scheduler]\nmax_batch_size = 5\n[schedulers.a]\ndevice = \"cuda:1\"\n[schedulers.b]\nmodel = \"/m/x.gguf\"",
    )
    .expect("it is valid");
    let [a, b] = config.schedulers.as_slice() else { panic!("two were named") };
    assert_eq!((a.name.as_str(), &a.spec.device, a.spec.max_batch_size), ("a", &Device::Cuda(1), 5));
    assert_eq!((b.spec.model.as_str(), &b.spec.device), ("/m/x.gguf", &Device::Auto));
}

#[test]
fn models_on_the_command_line_replace_named_schedulers() {
    let layer = Layer::text("f", "[schedulers.a]\nmodel = \"one\"").expect("TOML");
    let models = ["/m/Qwen2.5-0.5B.gguf".to_owned(), "owner/Name".to_owned(), "owner/Name".to_owned()];
    let config = load(&[layer], &models).expect("it is valid");
    let names: Vec<_> = config.schedulers.iter().map(|scheduler| scheduler.name.as_str()).collect();
    assert_eq!(names, ["qwen2-5-0-5b", "name", "name-2"]);
}

#[test]
fn a_message_names_the_key_the_value_what_is_allowed_and_its_source() {
    assert_eq!(
        complaint("[scheduler]\nmax_batch_size = 0"),
        "scheduler.max_batch_size: 0 is out of range; allowed are 1 to 1024 (set by hostler.toml)"
    );
    assert_eq!(
        complaint("[router]\npolicy = \"fastest\""),
        "router.policy: \"fastest\" is not allowed; allowed are least_loaded, round_robin, random, power_of_two, prefix_aware, session (set by hostler.toml)"
    );
    for (text, key, value, allowed) in [
        ("[server]\naddress = \"localhost\"", "server.address", "", "IP:PORT"),
        ("[server]\nhttp_threads = -1", "server.http_threads", "-1", "1 to 256"),
        ("[server]\nhttp_threads = \"two\"", "server.http_threads", "two", "1 to 256"),
        ("[scheduler]\ndevice = \"gpu\"", "scheduler.device", "gpu", "cuda:N"),
        ("[scheduler]\nmodel = \"\"", "schedulers.model.model", "\"\"", "hostler model list"),
        ("[schedulers.x]\nmax_batch_size = 5000", "schedulers.x.max_batch_size", "5000", "1 to 1024"),
        ("[schedulers.x]\ndevice = \"gpu\"", "schedulers.x.device", "gpu", "cuda:N"),
        ("[schedulers.Big_One]", "schedulers.Big_One", "", "a-z"),
        ("[schedulers.x.queue]\nwait_seconds_max = 0", "schedulers.x.queue.wait_seconds_max", "0", "1 to 86400"),
        ("[tracing]\nsample_ratio = 1.5", "tracing.sample_ratio", "1.5", "a number from 0 to 1"),
        ("[tracing]\nsample_ratio = nan", "tracing.sample_ratio", "NaN", "a number from 0 to 1"),
        ("[tracing]\notlp_endpoint = \"https://c:1\"", "tracing.otlp_endpoint", "https://c:1", "http://HOST:PORT"),
        ("[scheduler]\nengine = \"vllm\"", "scheduler.engine", "vllm", "mistralrs, llamacpp, simulated"),
        ("[server]\nsystem_lines_removed = [\"(\"]", "server.system_lines_removed", "\"(\"", "unclosed group"),
    ] {
        let complaint = complaint(text);
        assert!(complaint.starts_with(&format!("{key}: ")), "{text}: {complaint}");
        assert!(complaint.contains(value) && complaint.contains(allowed), "{text}: {complaint}");
    }
}

#[test]
fn a_message_names_the_environment_variable() {
    let layers = Layer::environment([variable("HOSTLER_SCHEDULER__MAX_BATCH_SIZE", "many")]);
    let message = load(&layers, &[]).expect_err("it is not a number").to_string();
    assert!(message.contains("environment variable HOSTLER_SCHEDULER__MAX_BATCH_SIZE"), "{message}");
    assert!(message.contains("many"), "{message}");
}

#[test]
fn a_misspelt_key_is_answered_with_the_nearest_one() {
    assert_eq!(
        complaint("[scheduler]\nmax_batchsize = 4"),
        "scheduler.max_batchsize: unknown key; did you mean \"max_batch_size\"? (set by hostler.toml)"
    );
    assert!(complaint("[sever]\naddress = \"x\"").contains("did you mean \"server\"?"));
    assert!(complaint("[server]\nmax_batch_size = 8").contains("the key scheduler.max_batch_size exists"));
    assert!(complaint("[schedulers.x]\nmodle = \"m\"").starts_with("schedulers.x.modle: unknown key; did you mean"));
}

#[test]
fn all_values_out_of_range_are_reported_together() {
    let found = problems("[server]\nhttp_threads = 0\n[scheduler]\nmax_batch_size = 0\nmax_context_length = 1");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn every_value_that_cannot_be_read_is_reported_in_one_run() {
    let text = "[sever]\nx = 1\n[server]\naddress = \"localhost\"\nhttp_threads = 0\nunredy_seconds = 1\n\
                [cluster]\nworkers = [1]\n[schedulers.a]\ndevice = \"gpu\"\nmodle = \"m\"\n\
                [schedulers.b]\nmax_batch_size = 0\n[log]\nfilter = \"inf\"";
    let found = problems(text);
    let mut keys: Vec<_> = found.iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "cluster.workers.0",
            "log.filter",
            "schedulers.a.device",
            "schedulers.a.modle",
            "schedulers.b.max_batch_size",
            "server.address",
            "server.http_threads",
            "server.unredy_seconds",
            "sever"
        ]
    );
    assert!(found.iter().all(|problem| problem.origin.as_deref() == Some("hostler.toml")), "{found:?}");
}

#[test]
fn a_variable_that_resembles_a_key_is_a_problem_with_the_right_name() {
    for (name, meant) in [
        ("HOSTLER_SCHEDULER_MAX_BATCH_SIZE", "HOSTLER_SCHEDULER__MAX_BATCH_SIZE"),
        ("HOSTLER_LOG_FILTR", "HOSTLER_LOG__FILTER"),
        ("HOSTLER_CLUSTER_ETCD_ENDPOINTS", "HOSTLER_CLUSTER__ETCD__ENDPOINTS"),
    ] {
        let layers = Layer::environment([variable(name, "3"), variable("HOSTLER_SERVER__HTTP_THREADS", "0")]);
        let message = load(&layers, &[]).expect_err("it would be ignored").to_string();
        let lines: Vec<_> = message.lines().collect();
        assert_eq!(lines.len(), 2, "{message}");
        assert!(lines[0].starts_with(name) && lines[0].contains(&format!("did you mean {meant},")), "{message}");
    }
    let others = ["CONFIG", "TEST_MODEL", "BIN", "PORT", "SERVICE_HOST", "SERVER_PORT_8080_TCP", "WORKER_SERVICE_PORT"];
    let others = Layer::environment(others.map(|name| variable(&format!("HOSTLER_{name}"), "tcp://10.0.0.1:1")));
    assert!(load(&others, &[]).is_ok(), "{others:?}");
}

#[test]
fn a_syntax_error_names_the_file_and_the_line() {
    let error = Layer::text("hostler.toml", "[server\n").expect_err("it is not TOML").to_string();
    assert!(error.contains("hostler.toml") && error.contains("line 1"), "{error}");
}

#[test]
fn the_effective_configuration_can_be_loaded_again() {
    let first =
        load_text("[schedulers.a]\ndevice = \"cpu:0-1\"\n[schedulers.b]\nserved_name = \"big\"").expect("valid");
    let again = load_text(&hostler_config::effective(&first)).expect("the printed configuration is valid");
    assert_eq!(first, again);
}

#[test]
fn addresses_names_and_certificates_are_checked() {
    let cases = [
        (
            "[cluster]\nworkers = [\"10.0.0.2:7070\"]",
            "cluster.workers: \"10.0.0.2:7070\" is not allowed; allowed are http://HOST:PORT, https://HOST:PORT and unix:/PATH",
        ),
        ("[cluster]\nworkers = [\"unix:relative\"]", "cluster.workers"),
        ("[cluster]\nworkers = [\"http://a:1\", \"http://a:1\"]", "is listed twice"),
        ("[cluster]\nworkers = [\"https://a:1\"]", "cluster.tls.authority: it is missing"),
        ("[cluster.tls]\ncertificate = \"c\"", "cluster.tls.key: it is missing"),
        (
            "[cluster.etcd]\nendpoints = [\"a:2379\"]",
            "cluster.etcd.endpoints: \"a:2379\" is not allowed; allowed are http://HOST:PORT and https://HOST:PORT",
        ),
        ("[cluster.etcd]\nendpoints = [\"https://a:2379\"]", "cluster.etcd.tls.authority: it is missing"),
        ("[cluster.etcd]\nprefix = \"/\"", "cluster.etcd.prefix"),
        ("[cluster.etcd]\nlease_seconds = 1", "cluster.etcd.lease_seconds"),
        ("[cluster]\nworkers = [\"http://a:1\"]\netcd.endpoints = [\"http://b:2\"]", "not both"),
        (
            "[cluster.etcd]\nendpoints = [\"http://a:2\"]\n[worker]\nlisten = \"0.0.0.0:7070\"",
            "worker.advertise: it is missing",
        ),
        ("[worker]\nadvertise = \"10.0.0.2:7070\"", "worker.advertise"),
        ("[server.tls]\nkey = \"k\"", "server.tls.certificate: it is missing"),
        ("[server.tls]\nclient_authority = \"a\"", "server.tls.certificate: it is missing"),
        ("[worker.tls]\nkey = \"k\"", "worker.tls.certificate: it is missing"),
        ("[worker.tls]\nclient_authority = \"a\"", "worker.tls.certificate: it is missing"),
        ("[server]\ncors_origins = [\"https://app.example/\"]", "server.cors_origins: \"https://app.example/\""),
        ("[worker]\nlisten = \"7070\"", "worker.listen: \"7070\" is not allowed; allowed are IP:PORT and unix:/PATH"),
        ("[worker]\nname = \"A b\"", "worker.name: this name is not allowed"),
        ("[scheduler]\nisolation = \"fork\"", "scheduler.isolation: \"fork\" is not allowed; allowed are auto"),
    ];
    for (text, expected) in cases {
        let said = complaint(text);
        assert!(said.contains(expected), "{text}: {said}");
    }
}
