//! A reference model that follows a [`SchedulingState`] and panics when an effect breaks
//! an invariant.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hostler_protocol::{
    Batching, ClaimDrain, Driving, ErrorCode, FencingToken, ModelDescription, Prefill, Priority, RequestId, TenantId,
};
use hostler_scheduler::SchedulerConfig;
use hostler_scheduler::state::{Claim, Demand, Effect, Lifecycle, SchedulingState, Ticket, work};
use hostler_testkit::model_description;

pub(crate) const CONTEXT: u32 = 200;
pub(crate) const SLOTS: u32 = 4;
pub(crate) const DEFAULT_PASSED_OVER_MAX: u32 = 3;
pub(crate) const BATCH_PASSED_OVER_MAX: u32 = 7;
const KV_CAPACITY: u64 = 500;
const QUEUE_MAX: u32 = 60;

/// What a test submits.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) tenant: u8,
    pub(crate) class: Priority,
    pub(crate) prompt_tokens: u32,
    pub(crate) answer_tokens_max: u32,
    pub(crate) deadline: Option<Duration>,
    /// Whether it carries the token of the latest claim.
    pub(crate) claimed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queued,
    Running,
    Ended,
}

struct Request {
    demand: Demand,
    place: Place,
}

/// The reference model.
pub(crate) struct Model {
    state: SchedulingState,
    now: Instant,
    requests: BTreeMap<Ticket, Request>,
    slots: u32,
    claims: u64,
    /// Starts of other classes since each class began to wait or was last served, and the
    /// maximum so far.
    passed_over: [(u32, u32); Priority::ALL.len()],
    served: BTreeMap<TenantId, u64>,
    served_at_join: Option<[u64; 2]>,
    /// Whether a free slot must be filled at once if enough KV cache is free.
    greedy: bool,
    /// Nothing is started before, because the engine failed a sequence.
    paused_until: Instant,
}

impl Model {
    pub(crate) fn new(driving: Driving) -> Self {
        let mut config = SchedulerConfig::new("model", "model");
        config.max_batch_size = SLOTS;
        config.queue.requests_max = QUEUE_MAX;
        config.queue.wait_max = Duration::from_secs(2);
        config.queue.default_passed_over_max = DEFAULT_PASSED_OVER_MAX;
        config.queue.batch_passed_over_max = BATCH_PASSED_OVER_MAX;
        config.batching.long_prompt_tokens = 100;
        config.batching.cohort_wait = Duration::from_millis(300);
        let description = ModelDescription {
            context_length: CONTEXT,
            kv_capacity_tokens: KV_CAPACITY,
            driving,
            ..model_description("model")
        };
        Self {
            state: SchedulingState::new(&config, &description),
            now: Instant::now(),
            requests: BTreeMap::new(),
            slots: SLOTS.min(driving.max_sequences),
            claims: 0,
            passed_over: [(0, 0); Priority::ALL.len()],
            served: BTreeMap::new(),
            served_at_join: None,
            greedy: matches!(driving.prefill, Prefill::Chunked { .. }) && driving.batching == Batching::Ragged,
            paused_until: Instant::now(),
        }
    }

    pub(crate) fn submit(&mut self, ask: &Ask) {
        let ticket = Ticket(self.requests.len() as u64);
        let demand = Demand {
            ticket,
            id: RequestId::new(),
            tenant: format!("tenant-{}", ask.tenant).into(),
            class: ask.class,
            prompt_tokens: ask.prompt_tokens,
            answer_tokens_max: ask.answer_tokens_max,
            deadline: ask.deadline.map(|deadline| self.now + deadline),
            fingerprint: u64::from(ask.prompt_tokens),
            claim: ask.claimed.then_some(FencingToken(self.claims)),
        };
        let fits = demand.prompt_tokens > 0 && demand.reserved_tokens() <= u64::from(CONTEXT);
        let before = self.state.lifecycle().clone();
        let mut place = Place::Ended;
        let effects = match self.state.submit(self.now, demand.clone()) {
            Ok(effects) => {
                assert!(fits, "admitted what can never run: {demand:?}");
                match before {
                    Lifecycle::Serving => assert!(!ask.claimed),
                    Lifecycle::Claimed(claim) => assert_eq!(demand.claim, Some(claim.token)),
                    other => panic!("admitted by a scheduler that is {other:?}"),
                }
                place = Place::Queued;
                effects
            }
            Err(error) => {
                match error.code {
                    ErrorCode::InvalidRequest => assert!(!fits, "refused as invalid what would fit: {error}"),
                    ErrorCode::Overloaded => {
                        assert!(error.retry_after.is_some_and(|time| !time.is_zero()), "{error:?}");
                    }
                    ErrorCode::DeadlineExceeded => assert!(demand.deadline.is_some_and(|due| due <= self.now)),
                    ErrorCode::Unavailable => {}
                    other => panic!("refused with {other:?}"),
                }
                Vec::new()
            }
        };
        self.requests.insert(ticket, Request { demand, place });
        self.perform(effects);
    }

    pub(crate) fn end(&mut self, which: usize, share: f64, failed: bool) {
        let Some(ticket) = self.nth(which, Place::Running) else {
            return;
        };
        let demand = &self.requests[&ticket].demand;
        let tokens = (f64::from(demand.answer_tokens_max) * share) as u32;
        *self.served.entry(demand.tenant.clone()).or_default() += work(demand.prompt_tokens, tokens);
        self.place(ticket, Place::Running, Place::Ended);
        if failed {
            self.paused_until = self.now + Duration::from_millis(20);
        }
        let effects = self.state.ended(self.now, ticket, tokens, failed);
        self.perform(effects);
    }

    pub(crate) fn cancel(&mut self, which: usize) {
        let here: Vec<Ticket> = self.tickets(|place| place != Place::Ended);
        if let Some(&ticket) = here.get(which % here.len().max(1)) {
            let effects = self.state.cancel(self.now, ticket);
            assert_eq!(effects.iter().filter(|effect| ends(effect, ticket)).count(), 1);
            self.perform(effects);
        }
    }

    /// Advances the time, with every wake-up when it is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.state.next_wake().filter(|&wake| wake <= end) {
            self.now = self.now.max(wake);
            let effects = self.state.tick(self.now);
            self.perform(effects);
            let next = self.state.next_wake();
            assert!(next.is_none_or(|next| next > self.now), "the wake-up was not consumed");
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        if let Ok(effects) = self.state.drain(self.now) {
            self.perform(effects);
        }
    }

    pub(crate) fn resume(&mut self) {
        // Refused unless it was drained, which the state's own tests cover.
        let _ = self.state.resume();
    }

    pub(crate) fn claim(&mut self, drain: ClaimDrain) {
        let ttl = Duration::from_millis(700);
        let token = FencingToken(self.claims + 1);
        let claim = Claim { token, owner: "a test".into(), granted: self.now, ttl, expires: self.now + ttl };
        if let Ok(effects) = self.state.claim(self.now, claim, drain) {
            self.claims += 1;
            self.perform(effects);
        }
    }

    pub(crate) fn heartbeat(&mut self) {
        let alive = self.state.heartbeat(self.now, FencingToken(self.claims));
        assert_eq!(alive, self.state.lifecycle().claim().is_some());
        assert!(!self.state.heartbeat(self.now, FencingToken(self.claims + 1)), "another token");
    }

    pub(crate) fn release(&mut self) {
        let (_, effects) = self.state.release(self.now, FencingToken(self.claims));
        self.perform(effects);
        assert!(self.state.lifecycle().claim().is_none());
    }

    /// From now on nothing is started or admitted.
    pub(crate) fn engine_dies(&mut self) {
        self.state.fail();
        assert_eq!(*self.state.lifecycle(), Lifecycle::Failed);
    }

    /// Ends every request and checks that nothing is left.
    pub(crate) fn finish_all(&mut self) {
        while let Some(ticket) = self.tickets(|place| place != Place::Ended).first().copied() {
            let effects = self.state.cancel(self.now, ticket);
            self.perform(effects);
            if self.requests[&ticket].place == Place::Running {
                self.place(ticket, Place::Running, Place::Ended);
                let effects = self.state.ended(self.now, ticket, 0, false);
                self.perform(effects);
            }
        }
        assert!(self.state.is_empty());
        assert_eq!(self.state.outstanding_tokens(), 0);
        assert_eq!(self.state.reserved_tokens(), 0);
        let claim = self.state.lifecycle().claim().map(|claim| claim.expires);
        assert_eq!(self.state.next_wake(), claim, "a timer was left behind");
    }

    pub(crate) fn running(&self) -> usize {
        self.tickets(|place| place == Place::Running).len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.tickets(|place| place == Place::Queued).len()
    }

    /// The maximum starts of other classes while this one had requests queued.
    pub(crate) fn longest_passed_over(&self, class: Priority) -> u32 {
        self.passed_over[class as usize].1
    }

    /// Work done for two tenants since both have requests queued; `None` unless both have.
    pub(crate) fn served_while_both_waited(&mut self, one: u8, other: u8) -> Option<(u64, u64)> {
        let tenants = [one, other].map(|tenant| TenantId::from(format!("tenant-{tenant}")));
        let served = tenants.clone().map(|tenant| self.served.get(&tenant).copied().unwrap_or_default());
        let both = tenants.iter().all(|tenant| {
            self.requests.values().any(|request| request.place == Place::Queued && request.demand.tenant == *tenant)
        });
        if !both {
            self.served_at_join = None;
            return None;
        }
        let [first, second] = *self.served_at_join.get_or_insert(served);
        Some((served[0] - first, served[1] - second))
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(ticket) => self.start(ticket),
                Effect::Refuse(ticket, _) => self.place(ticket, Place::Queued, Place::Ended),
                Effect::Stop(ticket, _) => assert_eq!(self.requests[&ticket].place, Place::Running),
                Effect::Empty => assert!(self.tickets(|place| place != Place::Ended).is_empty()),
            }
        }
        self.check();
    }

    fn start(&mut self, ticket: Ticket) {
        self.place(ticket, Place::Queued, Place::Running);
        assert_ne!(*self.state.lifecycle(), Lifecycle::Failed, "started on a dead engine");
        let class = self.requests[&ticket].demand.class;
        for other in Priority::ALL {
            let waits =
                self.requests.values().any(|request| request.place == Place::Queued && request.demand.class == other);
            let (now, most) = &mut self.passed_over[other as usize];
            *now = if waits && other != class { *now + 1 } else { 0 };
            *most = (*most).max(*now);
        }
    }

    /// Checks the invariants that hold after every event.
    fn check(&self) {
        let running = self.tickets(|place| place == Place::Running);
        let queued = self.tickets(|place| place == Place::Queued);
        assert_eq!(self.state.running() as usize, running.len());
        assert_eq!(self.state.waiting().iter().sum::<u32>() as usize, queued.len());
        assert!(running.len() <= self.slots as usize, "{} sequences in {} slots", running.len(), self.slots);
        assert!(queued.len() <= QUEUE_MAX as usize + 1);
        let tokens = |tickets: &[Ticket]| -> u64 {
            tickets.iter().map(|ticket| self.requests[ticket].demand.reserved_tokens()).sum()
        };
        assert_eq!(self.state.reserved_tokens(), tokens(&running));
        assert_eq!(self.state.outstanding_tokens(), tokens(&running) + tokens(&queued));
        assert!(self.state.reserved_tokens() <= KV_CAPACITY);
        let starts = self.greedy && self.now >= self.paused_until && *self.state.lifecycle() != Lifecycle::Failed;
        if starts && running.len() < self.slots as usize {
            let room = KV_CAPACITY - self.state.reserved_tokens();
            let all_fit = queued.iter().all(|ticket| self.requests[ticket].demand.reserved_tokens() <= room);
            assert!(queued.is_empty() || !all_fit, "a request waits although it fits");
        }
    }

    fn place(&mut self, ticket: Ticket, from: Place, to: Place) {
        let request = self.requests.get_mut(&ticket).expect("a request that was submitted");
        assert_eq!(request.place, from, "{ticket:?} cannot become {to:?}");
        request.place = to;
    }

    fn nth(&self, which: usize, wanted: Place) -> Option<Ticket> {
        let tickets = self.tickets(|place| place == wanted);
        tickets.get(which % tickets.len().max(1)).copied()
    }

    fn tickets(&self, wanted: impl Fn(Place) -> bool) -> Vec<Ticket> {
        self.requests.iter().filter(|(_, request)| wanted(request.place)).map(|(&ticket, _)| ticket).collect()
    }
}

/// Whether an effect ends this request or asks the engine to.
fn ends(effect: &Effect, ticket: Ticket) -> bool {
    matches!(effect, Effect::Refuse(other, _) | Effect::Stop(other, _) if *other == ticket)
}
