//! A gateway's members: a connection to each, and their schedulers with the router.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::SchedulerId;
use hostler_router::Router;
use hostler_scheduler::Scheduler;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{MissedTickBehavior, interval};

use super::plan::{Action, Have, plan};
use super::records::Member;
use super::roster::Roster;
use crate::join::join_when_loaded;
use crate::remote::{RemoteNode, RemoteOptions};

/// How often a gateway looks whether one that is not listed is gone. Nothing waits for
/// it: the router sees the state of its schedulers.
const LOOK: Duration = Duration::from_millis(500);

/// A member, for those who only look.
#[derive(Clone)]
pub struct KnownMember {
    /// By what it is listed: its name, or its endpoint where a configuration lists it.
    pub name: String,
    /// As it was listed when it was connected to.
    pub member: Member,
    /// Whether it is leaving, so that nothing new goes there.
    pub retired: bool,
    /// The connection to it.
    pub node: Arc<RemoteNode>,
}

/// The members that are known, by name.
pub type KnownMembers = Arc<[KnownMember]>;

/// See the module's first line. Dropping it lets all members go.
pub struct Members {
    known: watch::Receiver<KnownMembers>,
    task: JoinHandle<()>,
}

impl Members {
    /// Follows `roster`, from tasks of the runtime that it is called in.
    #[must_use]
    pub fn follow(roster: watch::Receiver<Roster>, options: RemoteOptions, router: Router) -> Self {
        let (publisher, known) = watch::channel(KnownMembers::from([]));
        let all = BTreeMap::new();
        let follower = Follower { options, router, all, refused: BTreeMap::new(), publisher };
        Self { known, task: tokio::spawn(follower.run(roster)) }
    }

    /// Who they are.
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

struct Follower {
    options: RemoteOptions,
    router: Router,
    all: BTreeMap<String, Connected>,
    /// Those whose endpoints can never be reached, so that it is said once.
    refused: BTreeMap<String, Member>,
    publisher: watch::Sender<KnownMembers>,
}

struct Connected {
    member: Member,
    retired: bool,
    node: Arc<RemoteNode>,
    joining: AbortHandle,
    /// Since when it has not been reached.
    gone_since: Option<Instant>,
    /// Schedulers of a former process of this name that are still with the router.
    former: Vec<SchedulerId>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.joining.abort();
    }
}

impl Follower {
    async fn run(mut self, mut roster: watch::Receiver<Roster>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let listed = roster.borrow_and_update().clone();
            self.act(&listed).await;
            tokio::select! {
                // An error means that nobody reads etcd any more; the members serve on.
                changed = roster.changed() => if changed.is_err() { looks.tick().await; },
                _ = looks.tick() => {}
            }
        }
    }

    async fn act(&mut self, roster: &Roster) {
        let now = Instant::now();
        for one in self.all.values_mut() {
            one.look(now);
            one.clear_former(&self.router).await;
        }
        let have = self.all.iter().map(|(name, one)| Have {
            name,
            member: &one.member,
            retired: one.retired,
            gone: one.gone_since.map_or(Duration::ZERO, |since| now - since),
        });
        let actions = plan(roster, &have.collect::<Vec<_>>());
        if actions.is_empty() {
            return;
        }
        for action in actions {
            match action {
                Action::Connect(name) => self.connect(name, roster),
                Action::Note(name) => self.note(&name, roster),
                Action::Retire(name) => self.retire(&name, roster),
                Action::Forget(name) => self.forget(&name).await,
            }
        }
        self.publish();
    }

    fn connect(&mut self, name: String, roster: &Roster) {
        let Some(member) = roster.get(&name).filter(|member| self.refused.get(&name) != Some(*member)) else { return };
        let node = match RemoteNode::connect(&member.endpoint, &self.options) {
            Ok(node) => Arc::new(node),
            Err(error) => {
                tracing::error!(%error, node = name, "a worker cannot be reached there");
                self.refused.insert(name, member.clone());
                return;
            }
        };
        let (joined, router) = (Arc::clone(&node), self.router.clone());
        let joining = tokio::spawn(async move { join_when_loaded(&joined, &router).await }).abort_handle();
        // Those of a former process stay with the router, as stopped ones, until these are
        // there: its clients come again rather than hear that there is no such model.
        let former = self.all.remove(&name).map_or_else(Vec::new, |before| before.schedulers());
        let member = member.clone();
        self.all.insert(name, Connected { member, retired: false, node, joining, gone_since: None, former });
    }

    fn note(&mut self, name: &str, roster: &Roster) {
        if let (Some(one), Some(member)) = (self.all.get_mut(name), roster.get(name)) {
            one.member = member.clone();
        }
    }

    fn retire(&mut self, name: &str, roster: &Roster) {
        let (Some(one), Some(member)) = (self.all.get_mut(name), roster.get(name)) else { return };
        tracing::info!(node = name, "a worker is leaving");
        one.member = member.clone();
        one.retired = true;
        one.joining.abort();
        one.node.retire();
    }

    async fn forget(&mut self, name: &str) {
        let Some(one) = self.all.remove(name) else { return };
        tracing::info!(node = name, "a worker is no longer a member");
        for id in one.schedulers() {
            // An error means that the router has stopped.
            let _ = self.router.remove(id).await;
        }
    }

    fn publish(&self) {
        let known = self.all.iter().map(|(name, one)| KnownMember {
            name: name.clone(),
            member: one.member.clone(),
            retired: one.retired,
            node: Arc::clone(&one.node),
        });
        self.publisher.send_replace(known.collect());
    }
}

impl Connected {
    /// What the router has, or may have, of this name.
    fn schedulers(&self) -> Vec<SchedulerId> {
        let present = self.node.schedulers();
        let present = present.borrow().iter().map(|scheduler| scheduler.id().clone()).collect::<Vec<_>>();
        present.into_iter().chain(self.former.iter().cloned()).collect()
    }

    fn look(&mut self, now: Instant) {
        let connected = self.node.health().borrow().failure.is_none();
        self.gone_since = if connected { None } else { self.gone_since.or(Some(now)) };
    }

    /// Takes from the router what the former process had and this one has not.
    async fn clear_former(&mut self, router: &Router) {
        if self.gone_since.is_some() || self.former.is_empty() {
            return;
        }
        let present = self.node.schedulers().borrow().clone();
        for id in std::mem::take(&mut self.former) {
            if !present.iter().any(|scheduler| *scheduler.id() == id) {
                // An error means that the router has stopped.
                let _ = router.remove(id).await;
            }
        }
    }
}
