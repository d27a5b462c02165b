//! Retry reservations: `Retry-After` as a promise.
//!
//! Under sustained overload, a client that retries at an arbitrary time finds the queue
//! as full as before, unless a place was kept for it. So each refusal reserves a retry:
//! the retry times that are given out follow each other at the pace at which the engine
//! serves (slightly slower, so that new requests are not shut out), and the end of the
//! queue is kept for requests that return at their time. A returning request is
//! recognised by its fingerprint. An unused reservation costs nothing: it reserves the
//! right to enter the queue, not engine time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use hostler_protocol::TenantId;

/// Share of the service rate that is given out as reservations.
const SHARE: f64 = 0.8;

/// How long a reservation stays valid after its time: clients round up to whole seconds,
/// and some add jitter.
const GRACE: Duration = Duration::from_secs(15);

/// The longest retry time that is given out. A request that gets this limit has no
/// reservation.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Maximum reservations of one tenant; beyond it, its oldest are dropped. Less than 1 MiB.
const OF_TENANT_MAX: usize = 4 * 1024;

/// Maximum tenants with reservations. Names of tenants come from the configuration, so there are
/// few; a request of any further one gets a retry time without a reservation.
const TENANTS_MAX: usize = 1024;

/// The open reservations. Each tenant has its own row of times, at its share of the pace: one that
/// ignores its retry times, or sends ever more requests, delays only itself.
#[derive(Debug, Default)]
pub(super) struct RetryReservations {
    tenants: BTreeMap<TenantId, OfTenant>,
}

/// The reservations of one tenant.
#[derive(Debug, Default)]
struct OfTenant {
    /// The latest time that was given out.
    last: Option<Instant>,
    /// All of them, ordered by time; with those that were redeemed.
    by_time: VecDeque<(Instant, u64)>,
    /// The unused ones of each fingerprint, ordered by time.
    by_fingerprint: HashMap<u64, VecDeque<Instant>>,
}

impl RetryReservations {
    /// Reserves a retry for a request of `tenant` that takes `service` to serve, not before
    /// `earliest`. Returns the time until the retry.
    pub(super) fn reserve(
        &mut self,
        now: Instant,
        earliest: Duration,
        service: Duration,
        tenant: &TenantId,
        fingerprint: u64,
    ) -> Duration {
        self.expire(now);
        let is_new = !self.tenants.contains_key(tenant);
        let tenants = self.tenants.len() + usize::from(is_new);
        let pace = service.mul_f64(tenants as f64 / SHARE);
        let last = self.tenants.get(tenant).and_then(|own| own.last);
        let time = last.map_or(now, |last| last + pace).max(now + earliest);
        let wait = time.saturating_duration_since(now);
        if wait > RETRY_AFTER_MAX || tenants > TENANTS_MAX {
            return wait.min(RETRY_AFTER_MAX);
        }
        let own = self.tenants.entry(tenant.clone()).or_default();
        if own.by_time.len() >= OF_TENANT_MAX {
            own.drop_first();
        }
        own.last = Some(time);
        own.by_time.push_back((time, fingerprint));
        own.by_fingerprint.entry(fingerprint).or_default().push_back(time);
        wait
    }

    /// Uses the request's reservation. False if it has none or returns before its time.
    pub(super) fn redeem(&mut self, now: Instant, tenant: &TenantId, fingerprint: u64) -> bool {
        self.expire(now);
        let Some(own) = self.tenants.get_mut(tenant) else { return false };
        let is_due = own.by_fingerprint.get(&fingerprint).and_then(VecDeque::front).is_some_and(|&time| time <= now);
        if is_due {
            own.remove_first_of(fingerprint);
        }
        is_due
    }

    /// Whether there are no open reservations.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.tenants.values().all(|own| own.by_fingerprint.is_empty())
    }

    /// Drops the reservations that are past their grace period.
    fn expire(&mut self, now: Instant) {
        self.tenants.retain(|_, own| {
            while own.by_time.front().is_some_and(|&(time, _)| now.saturating_duration_since(time) > GRACE) {
                own.drop_first();
            }
            !own.by_time.is_empty()
        });
    }
}

impl OfTenant {
    fn drop_first(&mut self) {
        let Some((time, fingerprint)) = self.by_time.pop_front() else { return };
        // If it was redeemed, the first one of its fingerprint is a later one.
        if self.by_fingerprint.get(&fingerprint).and_then(VecDeque::front) == Some(&time) {
            self.remove_first_of(fingerprint);
        }
    }

    fn remove_first_of(&mut self, fingerprint: u64) {
        if let Entry::Occupied(mut times) = self.by_fingerprint.entry(fingerprint) {
            times.get_mut().pop_front();
            if times.get().is_empty() {
                times.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Duration = Duration::from_millis(800);

    #[test]
    fn a_tenant_that_takes_all_times_delays_only_itself() {
        let (mut reservations, now) = (RetryReservations::default(), Instant::now());
        let (greedy, other) = (TenantId::from("greedy"), TenantId::from("other"));
        let waits: Vec<_> =
            (0..500).map(|number| reservations.reserve(now, SERVICE, SERVICE, &greedy, number)).collect();
        assert_eq!((waits[0], waits[1]), (SERVICE, SERVICE + Duration::from_secs(1)));
        assert_eq!(waits.last(), Some(&RETRY_AFTER_MAX));
        assert_eq!(reservations.reserve(now, SERVICE, SERVICE, &other, 0), SERVICE);
        // Two share the pace from then on.
        assert_eq!(reservations.reserve(now, SERVICE, SERVICE, &other, 1), SERVICE + Duration::from_secs(2));
        assert!(!reservations.redeem(now + SERVICE, &TenantId::from("third"), 0));
        assert!(reservations.redeem(now + SERVICE, &other, 0));
        assert!(!reservations.redeem(now + SERVICE, &other, 0), "it was used");
        let later = now + RETRY_AFTER_MAX + GRACE + SERVICE;
        assert!(!reservations.redeem(later, &greedy, 1));
        assert!(reservations.is_empty() && reservations.tenants.is_empty(), "nothing of a tenant remains");
    }

    #[test]
    fn the_reservations_of_a_tenant_are_bounded() {
        let (mut reservations, now) = (RetryReservations::default(), Instant::now());
        let tenant = TenantId::from("a");
        let numbers = 0..2 * OF_TENANT_MAX as u64;
        for number in numbers {
            assert_eq!(reservations.reserve(now, Duration::ZERO, Duration::ZERO, &tenant, number), Duration::ZERO);
        }
        assert_eq!(reservations.tenants[&tenant].by_time.len(), OF_TENANT_MAX);
        assert_eq!(reservations.tenants[&tenant].by_fingerprint.len(), OF_TENANT_MAX);
        assert!(!reservations.redeem(now, &tenant, 0) && reservations.redeem(now, &tenant, OF_TENANT_MAX as u64));
    }
}
