//! A gateway's members: keeps a connection to each, and registers their schedulers with the router.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hostler_protocol::SchedulerId;
use hostler_router::Router;
use hostler_scheduler::{Scheduler, SchedulerState};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{MissedTickBehavior, interval};

use super::plan::{Action, Tracked, plan};
use super::roster::{Member, Roster};
use crate::remote::{RemoteNode, RemoteOptions, RemoteScheduler};

/// How often a gateway checks for unlisted members that are lost. Nothing depends on a short
/// interval: the router sees the states of their schedulers.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// A member, read-only.
#[derive(Clone)]
pub struct KnownMember {
    /// Its name in the roster: the worker's name, or its endpoint if a configuration lists it.
    pub name: String,
    /// Its record at the time of the connection.
    pub member: Member,
    /// Whether it is leaving and gets no new requests.
    pub retired: bool,
    /// The connection to it.
    pub node: Arc<RemoteNode>,
}

/// The known members, by name.
pub type KnownMembers = Arc<[KnownMember]>;

/// A gateway's members. Dropping it disconnects from all of them.
pub struct Members {
    known: watch::Receiver<KnownMembers>,
    task: JoinHandle<()>,
}

impl Members {
    /// Follows `roster`, from tasks of the runtime in which it is called.
    #[must_use]
    pub fn follow(roster: watch::Receiver<Roster>, options: RemoteOptions, router: Router) -> Self {
        let (publisher, known) = watch::channel(KnownMembers::from([]));
        let connected = BTreeMap::new();
        let follower = Follower { options, router, connected, refused: BTreeMap::new(), publisher };
        Self { known, task: tokio::spawn(follower.run(roster)) }
    }

    /// The known members.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<KnownMembers> {
        self.known.clone()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that follows a roster.
struct Follower {
    options: RemoteOptions,
    router: Router,
    connected: BTreeMap<String, Connected>,
    /// Members with malformed endpoints, so that each is reported once.
    refused: BTreeMap<String, Member>,
    publisher: watch::Sender<KnownMembers>,
}

/// A member with its connection, which may be lost at times.
struct Connected {
    member: Member,
    retired: bool,
    node: Arc<RemoteNode>,
    joining: AbortHandle,
    /// Since when the connection has been lost.
    lost_since: Option<Instant>,
    /// Schedulers of a former process of this name that are still registered with the router.
    former: Vec<SchedulerId>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.joining.abort();
    }
}

impl Follower {
    async fn run(mut self, mut roster: watch::Receiver<Roster>) {
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let listed = roster.borrow_and_update().clone();
            self.update(&listed).await;
            tokio::select! {
                // An error means that etcd is not watched any more. The members serve on.
                changed = roster.changed() => if changed.is_err() { checks.tick().await; },
                _ = checks.tick() => {}
            }
        }
    }

    async fn update(&mut self, roster: &Roster) {
        let now = Instant::now();
        for one in self.connected.values_mut() {
            one.check(now);
            one.remove_former(&self.router).await;
        }
        let tracked = self.connected.iter().map(|(name, one)| Tracked {
            name,
            member: &one.member,
            retired: one.retired,
            lost_for: one.lost_since.map_or(Duration::ZERO, |since| now - since),
        });
        let actions = plan(roster, &tracked.collect::<Vec<_>>());
        if actions.is_empty() {
            return;
        }
        for action in actions {
            match action {
                Action::Connect(name) => self.connect(name, roster),
                Action::UpdateRecord(name) => self.update_record(&name, roster),
                Action::Retire(name) => self.retire(&name, roster),
                Action::Remove(name) => self.remove(&name).await,
            }
        }
        self.publish();
    }

    fn connect(&mut self, name: String, roster: &Roster) {
        let Some(member) = roster.get(&name).filter(|member| self.refused.get(&name) != Some(*member)) else { return };
        let node = match RemoteNode::connect(&member.endpoint, &self.options) {
            Ok(node) => Arc::new(node),
            Err(error) => {
                tracing::error!(%error, node = name, "cannot connect to a worker");
                self.refused.insert(name, member.clone());
                return;
            }
        };
        let (joining_node, router) = (Arc::clone(&node), self.router.clone());
        let joining = tokio::spawn(async move { join_when_loaded(&joining_node, &router).await }).abort_handle();
        // The schedulers of a former process stay registered, as stopped ones, until those of the
        // new process are: clients get 503 and retry, rather than 404.
        let former = self.connected.remove(&name).map_or_else(Vec::new, |before| before.schedulers());
        let member = member.clone();
        self.connected.insert(name, Connected { member, retired: false, node, joining, lost_since: None, former });
    }

    fn update_record(&mut self, name: &str, roster: &Roster) {
        if let (Some(one), Some(member)) = (self.connected.get_mut(name), roster.get(name)) {
            one.member = member.clone();
        }
    }

    fn retire(&mut self, name: &str, roster: &Roster) {
        let (Some(one), Some(member)) = (self.connected.get_mut(name), roster.get(name)) else { return };
        tracing::info!(node = name, "worker is leaving");
        one.member = member.clone();
        one.retired = true;
        one.joining.abort();
        one.node.retire();
    }

    async fn remove(&mut self, name: &str) {
        let Some(one) = self.connected.remove(name) else { return };
        tracing::info!(node = name, "worker is no longer a member");
        for id in one.schedulers() {
            // An error means that the router has stopped.
            let _ = self.router.remove(id).await;
        }
    }

    fn publish(&self) {
        let known = self.connected.iter().map(|(name, one)| KnownMember {
            name: name.clone(),
            member: one.member.clone(),
            retired: one.retired,
            node: Arc::clone(&one.node),
        });
        self.publisher.send_replace(known.collect());
    }
}

impl Connected {
    /// The schedulers of this name that are, or may be, registered with the router.
    fn schedulers(&self) -> Vec<SchedulerId> {
        let current = self.node.schedulers();
        let current = current.borrow().iter().map(|scheduler| scheduler.id().clone()).collect::<Vec<_>>();
        current.into_iter().chain(self.former.iter().cloned()).collect()
    }

    fn check(&mut self, now: Instant) {
        let is_connected = self.node.health().borrow().failure.is_none();
        self.lost_since = if is_connected { None } else { self.lost_since.or(Some(now)) };
    }

    /// Removes from the router the former process's schedulers that the current one does not have.
    async fn remove_former(&mut self, router: &Router) {
        if self.lost_since.is_some() || self.former.is_empty() {
            return;
        }
        let current = self.node.schedulers().borrow().clone();
        for id in std::mem::take(&mut self.former) {
            if !current.iter().any(|scheduler| *scheduler.id() == id) {
                // An error means that the router has stopped.
                let _ = router.remove(id).await;
            }
        }
    }
}

/// Registers each scheduler of a node with the router once its model is loaded. A claimed
/// scheduler counts as loaded, and so does one that drains. A scheduler that is lost later stays
/// registered; the router sees its state. One that its worker does not have any more is removed.
/// Returns only when the router has stopped.
async fn join_when_loaded(node: &RemoteNode, router: &Router) {
    let mut schedulers = node.schedulers();
    let mut known = HashSet::new();
    let mut joining = FuturesUnordered::new();
    loop {
        let current = schedulers.borrow_and_update().clone();
        for scheduler in current.iter() {
            if known.insert(scheduler.id().clone()) {
                joining.push(join(Arc::clone(scheduler), router.clone()));
            }
        }
        let gone = known.extract_if(|id| !current.iter().any(|scheduler| scheduler.id() == id));
        for id in gone.collect::<Vec<_>>() {
            if router.remove(id).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = schedulers.changed() => if changed.is_err() { std::future::pending::<()>().await },
            Some(is_running) = joining.next() => if !is_running { return },
        }
    }
}

/// Waits until the model is loaded, and registers the scheduler. Returns whether the router runs.
async fn join(scheduler: Arc<RemoteScheduler>, router: Router) -> bool {
    let loaded = |state| matches!(state, SchedulerState::Serving | SchedulerState::Draining | SchedulerState::Claimed);
    // An error means that the node is being dropped, which aborts this task too.
    let over = |state| loaded(state) || state == SchedulerState::Stopped;
    let mut snapshot = scheduler.snapshot();
    match snapshot.wait_for(|snapshot| over(snapshot.state)).await {
        Ok(snapshot) if loaded(snapshot.state) => {}
        _ => return true,
    }
    tracing::info!(scheduler = %scheduler.id(), "scheduler joined");
    router.add(scheduler).await.is_ok()
}
