//! The cluster as tables: gateway, nodes, schedulers, claims.

use console::Style;

use hostler_gateway::admin::{
    ClaimBody, ClusterBody, GatewayBody, NodeBody, PlacedSchedulerBody, SchedulerBody, WaitingBody,
};

use super::table::{Align, Cell, Table, printable};

/// All lines.
pub(super) fn lines(cluster: &ClusterBody, colours: bool) -> Vec<String> {
    let mut lines = vec![headline(&cluster.gateway)];
    let parts = [nodes(&cluster.nodes).lines(colours), schedulers(&cluster.schedulers).lines(colours)];
    // Claims are rare, so their table is shown only if there are any.
    let claims = (!cluster.claims.is_empty()).then(|| claims(&cluster.claims).lines(colours));
    for part in parts.into_iter().chain(claims) {
        lines.push(String::new());
        lines.extend(part);
    }
    lines
}

fn headline(gateway: &GatewayBody) -> String {
    let GatewayBody { node, version, uptime_seconds, membership, directory } = gateway;
    let members = match membership.as_str() {
        "in-process" => "everything in one process and its children",
        "static" => "workers from its configuration",
        "etcd" => "members from etcd",
        other => other,
    };
    let mut text = format!("gateway {node}, hostler {version}, up {}: {members}", time(*uptime_seconds as f64));
    if let Some(directory) = directory {
        if let Some(failure) = &directory.failure {
            text.push_str(&format!("; {membership} is unreachable: {failure}"));
        }
        if let Some(stale) = directory.stale_seconds {
            text.push_str(&format!("; out of date for {}", time(stale)));
        }
    }
    printable(&text)
}

fn nodes(nodes: &[NodeBody]) -> Table<7> {
    let mut table = Table::new([
        ("NODE", Align::Left),
        ("STATE", Align::Left),
        ("HEARTBEAT", Align::Right),
        ("VERSION", Align::Left),
        ("SCHEDULERS", Align::Right),
        ("ENDPOINT", Align::Left),
        ("WHY", Align::Left),
    ]);
    for node in nodes {
        table.row([
            Cell::optional(node.name.as_ref()),
            state(&node.state),
            Cell::optional(node.last_sign_of_life_seconds.map(time)),
            Cell::optional(node.version.as_ref()),
            Cell::new(node.schedulers.len().to_string()),
            Cell::new(node.endpoint.as_deref().unwrap_or("this process")),
            Cell::new(why(node.failure.as_deref(), node.endpoint.as_deref())),
        ]);
    }
    table
}

fn schedulers(schedulers: &[PlacedSchedulerBody]) -> Table<12> {
    let mut table = Table::new([
        ("SCHEDULER", Align::Left),
        ("NODE", Align::Left),
        ("MODEL", Align::Left),
        ("ENGINE", Align::Left),
        ("DEVICE", Align::Left),
        ("STATE", Align::Left),
        ("RUNNING", Align::Right),
        ("WAITING", Align::Right),
        ("KV", Align::Right),
        ("WAIT", Align::Right),
        ("RESTARTS", Align::Right),
        ("WHY", Align::Left),
    ]);
    for PlacedSchedulerBody { node, joined, scheduler } in schedulers {
        let WaitingBody { interactive, default, batch } = scheduler.waiting;
        // It serves, but has not joined the router yet.
        let is_joining = scheduler.state == "serving" && !joined;
        table.row([
            Cell::new(&scheduler.id),
            Cell::optional(node.as_ref()),
            Cell::new(&scheduler.model),
            Cell::optional(scheduler.engine.as_ref()),
            Cell::optional(scheduler.device.as_ref()),
            state(if is_joining { "joining" } else { &scheduler.state }),
            Cell::new(format!("{}/{}", scheduler.running, scheduler.batch_size_max)),
            Cell::new((u64::from(interactive) + u64::from(default) + u64::from(batch)).to_string()),
            Cell::optional(kv_use(scheduler)),
            Cell::new(time(scheduler.estimated_wait_ms / 1e3)),
            Cell::new(scheduler.restarts.to_string()),
            Cell::new(scheduler.failure.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn claims(claims: &[ClaimBody]) -> Table<6> {
    let mut table = Table::new([
        ("CLAIM", Align::Left),
        ("SCHEDULER", Align::Left),
        ("OWNER", Align::Left),
        ("STATE", Align::Left),
        ("AGE", Align::Right),
        ("TTL", Align::Right),
    ]);
    for claim in claims {
        table.row([
            Cell::new(claim.token.to_string()),
            Cell::new(&claim.scheduler),
            Cell::new(&claim.owner),
            state(if claim.claimed { "claimed" } else { "draining" }),
            Cell::optional(claim.age_seconds.map(time)),
            Cell::new(time(claim.ttl_seconds)),
        ]);
    }
    table
}

/// A state: good ones are green, bad ones red, others yellow.
fn state(state: &str) -> Cell {
    let style = match state {
        "connected" | "serving" => Style::new().green(),
        "lost" | "failed" | "stopped" => Style::new().red(),
        _ => Style::new().yellow(),
    };
    Cell::new(state).styled(style)
}

/// Why a node is not connected, without its endpoint, which has its own column.
fn why<'a>(failure: Option<&'a str>, endpoint: Option<&str>) -> &'a str {
    let failure = failure.unwrap_or_default();
    let prefix = endpoint.map(|endpoint| format!("worker {endpoint}: ")).unwrap_or_default();
    failure.strip_prefix(&prefix).unwrap_or(failure)
}

/// The reserved share of the KV cache, once its size is known.
fn kv_use(scheduler: &SchedulerBody) -> Option<String> {
    let capacity = scheduler.kv_capacity_tokens.filter(|&tokens| tokens > 0)?;
    Some(format!("{:.0} %", 100.0 * scheduler.kv_reserved_tokens as f64 / capacity as f64))
}

/// A time in the largest unit that is precise enough.
fn time(seconds: f64) -> String {
    match seconds {
        ..0.05 => "0 s".to_owned(),
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> Vec<String> {
        lines(&serde_json::from_str(json).expect("it is a cluster"), false)
    }

    #[test]
    fn a_cluster_is_shown_as_tables() {
        let lines = shown(
            r#"{"gateway": {"node": "g1", "version": "0.1.0", "uptime_seconds": 200, "membership": "static"},
            "nodes": [
              {"name": "w1", "endpoint": "http://a:1", "version": "0.1.0", "state": "connected",
               "last_sign_of_life_seconds": 0.42, "schedulers": ["w1.sim"]},
              {"endpoint": "http://b:1", "state": "unreached", "failure": "worker http://b:1: it refuses"}],
            "schedulers": [
              {"id": "w1.sim", "node": "w1", "joined": true, "model": "sim", "engine": "simulated", "device": "cpu",
               "state": "claimed", "batch_size_max": 8, "running": 3, "waiting": {"default": 2, "batch": 1},
               "kv_reserved_tokens": 1024, "kv_capacity_tokens": 4096, "estimated_wait_ms": 1500, "restarts": 1}],
            "claims": [{"token": 7, "scheduler": "w1.sim", "owner": "root", "ttl_seconds": 30, "age_seconds": 75,
               "claimed": true}]}"#,
        );
        let expected = [
            "gateway g1, hostler 0.1.0, up 3 min: workers from its configuration",
            "",
            "NODE  STATE      HEARTBEAT  VERSION  SCHEDULERS  ENDPOINT    WHY",
            "w1    connected      0.4 s  0.1.0             1  http://a:1",
            "–     unreached          –  –                 0  http://b:1  it refuses",
            "",
            "SCHEDULER  NODE  MODEL  ENGINE     DEVICE  STATE    RUNNING  WAITING    KV   WAIT  RESTARTS  WHY",
            "w1.sim     w1    sim    simulated  cpu     claimed      3/8        3  25 %  1.5 s         1",
            "",
            "CLAIM  SCHEDULER  OWNER  STATE     AGE   TTL",
            "7      w1.sim     root   claimed  75 s  30 s",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_unreachable_directory_is_shown_with_its_age() {
        let lines = shown(
            r#"{"gateway": {"node": "g", "version": "1", "membership": "etcd",
            "etcd": {"reachable": false, "failure": "connection refused", "stale_seconds": 12.3}}}"#,
        );
        assert_eq!(
            lines[0],
            "gateway g, hostler 1, up 0 s: members from etcd; etcd is unreachable: connection refused; out of date for 12 s"
        );
    }

    #[test]
    fn a_scheduler_that_has_not_joined_is_joining_and_one_without_a_model_has_dashes() {
        let lines = shown(
            r#"{"gateway": {}, "schedulers": [{"id": "a", "state": "serving"}, {"id": "b", "state": "starting"}]}"#,
        );
        let row = |name: &str| lines.iter().find(|line| line.starts_with(name)).cloned().expect("it has a row");
        assert!(row("a ").contains("joining"), "{lines:?}");
        assert!(row("b ").contains("starting") && row("b ").contains("–"), "{lines:?}");
    }

    #[test]
    fn times_have_a_suitable_unit() {
        let times = [0.0, 0.42, 9.0, 75.0, 600.0, 10_000.0, 400_000.0].map(time);
        assert_eq!(times, ["0 s", "0.4 s", "9.0 s", "75 s", "10 min", "3 h", "5 d"]);
    }

    #[test]
    fn the_response_of_another_server_is_an_error() {
        assert!(serde_json::from_str::<ClusterBody>(r#"{"object": "list", "data": []}"#).is_err());
    }
}
