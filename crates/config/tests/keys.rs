//! API keys, and what may be served to other machines without them.

use hostler_config::{Config, ConfigError, Layer, Role, Secret, load};

const HASH: &str = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90";

const HASH_OF_12345678: &str = "ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f";

fn load_text(text: &str) -> Result<Config, ConfigError> {
    load(&[Layer::text("hostler.toml", text)?], &[])
}

fn complaint(text: &str) -> String {
    load_text(text).expect_err("the configuration is invalid").to_string()
}

#[test]
fn a_key_has_a_role_a_tenant_and_limits() {
    let config = load_text(&format!(
        "[server.api_keys]\nshop = {{ key = \"the-shops-key\" }}\n\
         [server.api_keys.night]\nkey_sha256 = \"{HASH}\"\ntenant = \"shop\"\nrole = \"observer\"\n\
         expires = \"2030-01-01\"\nmodels = [\"a\", \"b\"]\npriority_max = \"batch\"\n"
    ))
    .expect("it is valid");
    let shop = &config.server.api_keys["shop"];
    assert_eq!((shop.role, &shop.tenant, &shop.models), (Role::User, &None, &None));
    assert_eq!(shop.key.as_ref().map(Secret::reveal), Some("the-shops-key"));
    let night = &config.server.api_keys["night"];
    assert_eq!((night.role, night.tenant.as_deref()), (Role::Observer, Some("shop")));
    assert_eq!(night.expires.map(|expires| expires.unix_seconds()), Some(1_893_456_000));
    assert_eq!(night.models.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
    for shown in [format!("{config:?}"), hostler_config::effective(&config)] {
        assert!(shown.contains("night") && !shown.contains("the-shops-key") && !shown.contains(HASH), "{shown}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_the_reason() {
    let key = |rest: &str| format!("[server.api_keys.a]\n{rest}");
    let long = "key = \"12345678\"\n";
    let same = "[server.api_keys]\na = { key = \"the-key-a\" }\nb = { key = \"the-key-a\" }";
    let same_by_hash =
        format!("[server.api_keys]\na = {{ key = \"12345678\" }}\nb = {{ key_sha256 = \"{HASH_OF_12345678}\" }}");
    for (text, wanted) in [
        (key("key = \"short\""), "8 or more"),
        (key("key = \"with a space\""), "8 or more"),
        (key("key_sha256 = \"abcd\""), "64 hexadecimal digits"),
        (key("role = \"admin\""), "set key or key_sha256"),
        (key(&format!("{long}key_sha256 = \"{HASH}\"")), "not both"),
        (key(&format!("{long}tenant = \"A b\"")), "a-z"),
        (key(&format!("{long}models = []")), "omit it to allow all"),
        (key(&format!("{long}role = \"root\"")), "user, observer, operator, admin"),
        (key(&format!("{long}expires = \"soon\"")), "2027-01-31"),
        (key(&format!("{long}priority_max = \"high\"")), "interactive, default, batch"),
        (key(&format!("{long}admin = true")), "unknown key; the keys here are key, key_sha256, tenant, role"),
        ("[server.api_keys.Bad]\nkey = \"12345678\"".to_owned(), "a-z"),
        (same.to_owned(), "another client has the same key"),
        (same_by_hash, "another client has the same key"),
    ] {
        let complaint = complaint(&text);
        assert!(complaint.starts_with("server.api_keys.") && complaint.contains(wanted), "{text}: {complaint}");
    }
}

/// Whatever is wrong around a secret, the message does not contain it.
#[test]
fn no_error_quotes_a_value_below_a_secret_key() {
    for text in [
        "[server]\napi_keys = { bob = \"SECRET\" }",
        "[server]\napi_keys = { bob = [\"SECRET\"] }",
        "[server]\napi_keys = \"SECRET\"",
        "[server]\napi_keys = [\"SECRET\"]",
        "server = \"SECRET\"",
        "[server.api_keys.bob]\nkey = \"SECRET key\"",
        "[server.api_keys.bob]\nkey = [\"SECRET\"]",
        "[server.api_keys.bob]\nkey = { is = \"SECRET\" }",
        "[server.api_keys.bob]\nkey_sha256 = \"SECRET\"",
        "[server.api_keys.bob]\nkye = \"SECRET\"",
        "[server.api_keys.bob]\nkey = \"SECRET",
        "[server.api_keys.bob]\nkey = SECRET",
        "[server.api_keys.bob]\nkey = \"SECRET\" = 1",
        "[server.api_keys]\nbob = { key = \"SECRET12\" }\nbob = { key = \"SECRET34\" }",
    ] {
        let complaint = complaint(text);
        assert!(!complaint.contains("SECRET"), "{text}: {complaint}");
        assert!(complaint.contains("server") || complaint.contains("line "), "{text}: {complaint}");
    }
    for (name, value) in [("HOSTLER_SERVER__API_KEYS__BOB", "SECRET"), ("HOSTLER_SERVER__API_KEYS", "[\"SECRET\"]")] {
        let layers = Layer::environment([(name.to_owned(), value.to_owned())]);
        let complaint = load(&layers, &[]).expect_err("it is not a table").to_string();
        assert!(complaint.contains(name) && !complaint.contains("SECRET"), "{complaint}");
    }
}

#[test]
fn serving_other_machines_needs_keys_or_consent() {
    let exposure = |text: &str| load_text(text).expect("it is valid").server.check_exposure();
    for address in ["0.0.0.0:8080", "10.0.0.1:8080", "[::]:8080", "[::ffff:10.0.0.1]:80"] {
        let server = format!("[server]\naddress = \"{address}\"\n");
        let refusal = exposure(&server).expect_err("there are no keys").to_string();
        assert!(refusal.contains("server.api_keys") && refusal.contains("server.open_to_everyone"), "{refusal}");
        assert!(exposure(&format!("{server}open_to_everyone = true")).is_ok());
        assert!(exposure(&format!("{server}key_file = \"/keys.toml\"")).is_ok());
        assert!(exposure(&format!("{server}api_keys = {{ a = {{ key = \"12345678\" }} }}")).is_ok());
    }
    for address in ["127.0.0.1:8080", "127.0.0.2:0", "[::1]:8080", "[::ffff:127.0.0.1]:80"] {
        assert!(exposure(&format!("[server]\naddress = \"{address}\"")).is_ok(), "{address}");
    }
}

#[test]
fn a_worker_for_other_machines_needs_mutual_tls_or_consent() {
    let exposure = |text: &str| load_text(&format!("[worker]\n{text}")).expect("it is valid").worker.check_exposure();
    let tls = "tls = { certificate = \"c\", key = \"k\" }";
    let mutual = "tls = { certificate = \"c\", key = \"k\", client_authority = \"a\" }";
    for text in ["listen = \"0.0.0.0:7070\"".to_owned(), format!("listen = \"0.0.0.0:7070\"\n{tls}")] {
        let refusal = exposure(&text).expect_err("gateways are not verified").to_string();
        assert!(refusal.contains("client_authority") && refusal.contains("worker.open_to_everyone"), "{refusal}");
    }
    for text in [
        "listen = \"127.0.0.1:7070\"".to_owned(),
        "listen = \"unix:/run/w.sock\"".to_owned(),
        "listen = \"0.0.0.0:7070\"\nopen_to_everyone = true".to_owned(),
        format!("listen = \"0.0.0.0:7070\"\n{mutual}"),
    ] {
        assert!(exposure(&text).is_ok(), "{text}");
    }
}
