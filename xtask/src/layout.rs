//! Boundaries between crates: what each must not depend on, checked against the dependency
//! graph.

use crate::metadata::Graph;

const ENGINES: &[&str] = &["mistralrs", "mistralrs-core", "candle-core", "llama-cpp-2", "llama-cpp-sys-2"];
const ENGINE_CRATES: &[&str] = &["hostler-executor-mistralrs", "hostler-executor-llamacpp"];
const ACTORS: &[&str] = &["actix", "actix-rt"];
const HTTP: &[&str] = &["actix-web", "actix-http", "axum", "hostler-gateway"];
const ASYNC: &[&str] = &["tokio"];
const NODES: &[&str] = &["etcd-client", "tonic"];
const ABOVE_EXECUTORS: &[&str] = &["hostler-scheduler", "hostler-router", "hostler-benchmark", "hostler-cluster"];
const MEASURED: &[&str] = &["hostler-executor", "hostler-scheduler", "hostler-router", "hostler-benchmark"];
const COMMAND_LINE: &[&str] = &["clap", "indicatif"];
const PLOTS: &[&str] = &["plotters", "hostler-report"];
const ROUTING: &[&str] = &["hostler-router"];
/// The types of the configuration know only plain data.
const CONFIGURATION: &[&str] = &["hostler-config"];
const MODEL_FILES: &[&str] = &["hostler-models"];

/// A crate and the packages that it must not depend on, directly or indirectly.
struct Boundary {
    name: &'static str,
    forbidden: &'static [&'static [&'static str]],
}

const fn boundary(name: &'static str, forbidden: &'static [&'static [&'static str]]) -> Boundary {
    Boundary { name, forbidden }
}

/// The boundaries that the code map in `ARCHITECTURE.md` states.
const BOUNDARIES: &[Boundary] = &[
    boundary("hostler-protocol", &[ASYNC, ACTORS, HTTP, ENGINES, MODEL_FILES, CONFIGURATION]),
    boundary("hostler-dialect", &[ASYNC, ACTORS, HTTP, ENGINES, LOGIC, NODES, MODEL_FILES, CONFIGURATION]),
    boundary("hostler-executor", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, ABOVE_EXECUTORS, MODEL_FILES]),
    boundary("hostler-executor-kit", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, ABOVE_EXECUTORS, MODEL_FILES]),
    boundary("hostler-executor-mistralrs", &[ACTORS, HTTP_SERVER, ABOVE_EXECUTORS, MODEL_FILES]),
    boundary("hostler-executor-llamacpp", &[ACTORS, HTTP, ABOVE_EXECUTORS, MODEL_FILES]),
    boundary("hostler-scheduler", &[ENGINES, ENGINE_CRATES, HTTP, ROUTING, MODEL_FILES, NODES]),
    boundary("hostler-router", &[ENGINES, ENGINE_CRATES, HTTP, MODEL_FILES, NODES]),
    boundary("hostler-loadgen", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, MODEL_FILES, MEASURED, COMMAND_LINE, PLOTS]),
    boundary("hostler-benchmark", &[ENGINES, ENGINE_CRATES, HTTP, MODEL_FILES, COMMAND_LINE, PLOTS]),
    boundary("hostler-report", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, MODEL_FILES, MEASURED, COMMAND_LINE]),
    boundary("hostler-cluster", &[ENGINES, ENGINE_CRATES, HTTP_API, MODEL_FILES]),
    boundary("hostler-gateway", &[ENGINES, ENGINE_CRATES, NODES, MODEL_FILES, COMMAND_LINE, PLOTS]),
    boundary("hostler-telemetry", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, LOGIC, NODES]),
    boundary("hostler-traces", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP_API, LOGIC]),
    boundary("hostler-config", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, ASYNC, ABOVE_EXECUTORS, MODEL_FILES]),
    boundary("hostler-models", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, ABOVE_EXECUTORS]),
    boundary("hostler-testkit", &[ENGINES, ENGINE_CRATES]),
    boundary("hostler-gpu", &[ASYNC, ACTORS, HTTP, ENGINES, DOMAIN, NODES, MODEL_FILES, CONFIGURATION]),
    boundary("hostler-util", &[ASYNC, ACTORS, HTTP, ENGINES, DOMAIN, NODES, MODEL_FILES, CONFIGURATION]),
    boundary("hostler", &[]),
    boundary("xtask", &[ENGINES, ENGINE_CRATES, ACTORS, HTTP, ASYNC]),
];

/// For crates that use tonic, which depends on axum.
const HTTP_API: &[&str] = &["actix-web", "actix-http", "hostler-gateway"];
/// For the mistral.rs engine, which depends on the types of an HTTP client.
const HTTP_SERVER: &[&str] = &["actix-web", "hostler-gateway"];
/// What serves requests. Plain data (`hostler-protocol`, `hostler-config`) is no part of it.
const LOGIC: &[&str] = &["hostler-executor", "hostler-scheduler", "hostler-router"];
const DOMAIN: &[&str] = &["hostler-protocol", "hostler-executor", "hostler-scheduler", "hostler-router"];

/// A message for each crossed boundary, and for each crate without one.
pub(crate) fn violations(graph: &Graph) -> Vec<String> {
    let mut violations = Vec::new();
    for member in &graph.members {
        let Some(boundary) = BOUNDARIES.iter().find(|boundary| boundary.name == member) else {
            violations.push(format!("{member} has no boundary: add one to BOUNDARIES in xtask/src/layout.rs"));
            continue;
        };
        for package in boundary.forbidden.iter().copied().flatten() {
            if let Some(path) = graph.path(member, package) {
                violations.push(format!("{member} must not depend on {package}: {}", path.join(" → ")));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (from, to) in edges {
            if BOUNDARIES.iter().any(|boundary| boundary.name == *from) {
                graph.members.insert((*from).to_owned());
            }
            graph.dependencies.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn an_indirect_violation_is_reported_with_its_path() {
        let graph = graph(&[("hostler-protocol", "serde"), ("hostler-protocol", "helper"), ("helper", "tokio")]);
        assert_eq!(
            violations(&graph),
            ["hostler-protocol must not depend on tokio: hostler-protocol → helper → tokio"]
        );
    }

    #[test]
    fn allowed_dependencies_are_no_violations() {
        let graph = graph(&[("hostler-gateway", "actix-web"), ("hostler-scheduler", "actix"), ("actix", "tokio")]);
        assert!(violations(&graph).is_empty(), "{:?}", violations(&graph));
    }

    #[test]
    fn each_crossed_boundary_is_reported() {
        for boundary in BOUNDARIES {
            for package in boundary.forbidden.iter().copied().flatten() {
                let found = violations(&graph(&[(boundary.name, "between"), ("between", package)]));
                assert!(!found.is_empty(), "{} may depend on {package}", boundary.name);
            }
        }
    }

    #[test]
    fn a_crate_without_a_boundary_is_reported() {
        let mut graph = Graph::default();
        graph.members.insert("hostler-new".to_owned());
        assert_eq!(violations(&graph).len(), 1);
    }
}
