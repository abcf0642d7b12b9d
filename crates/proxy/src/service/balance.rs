//! Which target a request goes to.
//!
//! A [`Balancer`] is built once per snapshot from addresses and weights, and shared by all workers: its only state are
//! counters that any of them may step. What targets are doing right now lives in a [`TargetLoad`] each, which outlives
//! snapshots. A pick allocates nothing and takes no lock.
//!
//! In every algorithm a weight of 0 means "never", unless all weights are 0: then all count the same. Targets which the
//! caller calls unusable, because they are ejected or were tried already, are passed over.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

mod load;
mod maglev;
#[cfg(test)]
mod tests;
mod weighted;

pub use load::{InFlight, TargetLoad};
pub use maglev::hash;

use maglev::Maglev;
use weighted::{Sampler, smooth_sequence};

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Each in turn, as often as its weight says, evenly mixed (nginx's smooth weighted round-robin).
    #[default]
    RoundRobin,
    /// The fewest requests in flight by weight, of all.
    LeastRequests,
    /// The fewer requests in flight by weight, of two taken at random by weight (Mitzenmacher 2001).
    RandomTwoChoices,
    /// The lower expected latency by weight, of two taken at random by weight; see [`TargetLoad::observe`].
    PeakEwma,
    /// By a hash of the request, so that the same key meets the same target; few keys move when targets come and go
    /// (Maglev, Eisenbud et al. 2016, §3.4).
    ConsistentHash,
}

/// A target, as far as balancing goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// What names it, on every instance of the gateway alike: its `host:port`.
    pub address: &'a str,
    /// Its share, relative to the others'.
    pub weight: u32,
}

/// Chooses among targets by their index.
#[derive(Debug)]
pub struct Balancer {
    /// Never all 0, unless there are no targets.
    weights: Box<[u32]>,
    /// Stepped by every pick that needs a turn.
    turn: AtomicUsize,
    strategy: Strategy,
}

#[derive(Debug)]
enum Strategy {
    RoundRobin(Box<[u32]>),
    LeastRequests,
    TwoChoices(Sampler, Cost),
    ConsistentHash(Maglev),
}

/// What two choices are compared by.
#[derive(Debug, Clone, Copy)]
enum Cost {
    InFlight,
    Latency,
}

/// The hash of an address, for [`Algorithm::ConsistentHash`].
#[must_use]
pub fn hash_ip(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => hash(&ip.octets()),
        IpAddr::V6(ip) => hash(&ip.octets()),
    }
}

/// How often two choices are drawn anew when they come out unusable or the same, before all targets are looked at.
const DRAWS: usize = 6;

impl Balancer {
    /// Prepares an algorithm for these targets. Picks are indices in this list.
    #[must_use]
    pub fn new(algorithm: Algorithm, targets: &[Target<'_>]) -> Self {
        let all_zero = targets.iter().all(|target| target.weight == 0);
        let weights: Box<[u32]> = targets.iter().map(|target| if all_zero { 1 } else { target.weight }).collect();
        let strategy = match algorithm {
            Algorithm::RoundRobin => Strategy::RoundRobin(smooth_sequence(&weights)),
            Algorithm::LeastRequests => Strategy::LeastRequests,
            Algorithm::RandomTwoChoices => Strategy::TwoChoices(Sampler::new(&weights), Cost::InFlight),
            Algorithm::PeakEwma => Strategy::TwoChoices(Sampler::new(&weights), Cost::Latency),
            Algorithm::ConsistentHash => {
                let addresses: Vec<&str> = targets.iter().map(|target| target.address).collect();
                Strategy::ConsistentHash(Maglev::new(&addresses, &weights))
            }
        };
        Balancer { weights, turn: AtomicUsize::new(0), strategy }
    }

    /// How many targets there are, usable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there are no targets at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Picks a target.
    ///
    /// `load` gives what each target is doing; one without is taken to be idle. `hash` is the request's key for
    /// [`Algorithm::ConsistentHash`], by [`hash`]; without, the pick is random. `now` is for the decay of latencies.
    ///
    /// `None` when no target with a weight is usable.
    pub fn pick<'l>(
        &self,
        load: &dyn Fn(usize) -> Option<&'l TargetLoad>,
        usable: &dyn Fn(usize) -> bool,
        hash: Option<u64>,
        now: Instant,
    ) -> Option<usize> {
        let allowed = |target: usize| self.weight(target) > 0 && usable(target);
        match &self.strategy {
            Strategy::RoundRobin(sequence) => self.in_turn(sequence, &allowed),
            Strategy::LeastRequests => {
                self.least(&allowed, &|target| self.cost(Cost::InFlight, load(target), target, now))
            }
            Strategy::TwoChoices(sampler, cost) => {
                self.two_choices(sampler, &allowed, &|target| self.cost(*cost, load(target), target, now))
            }
            Strategy::ConsistentHash(table) => table.pick(hash.unwrap_or_else(|| fastrand::u64(..)), &allowed),
        }
    }

    /// The next of the sequence. Each unusable one takes its own step, so that its turns go to all others alike.
    fn in_turn(&self, sequence: &[u32], allowed: &dyn Fn(usize) -> bool) -> Option<usize> {
        for _ in 0..sequence.len() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % sequence.len();
            let target = *sequence.get(turn)? as usize;
            if allowed(target) {
                return Some(target);
            }
        }
        // Others may have taken the very turns of the usable ones meanwhile.
        (0..self.len()).find(|target| allowed(*target))
    }

    /// The cheapest of all; among equals the first from a place that moves on with every pick.
    fn least(&self, allowed: &dyn Fn(usize) -> bool, cost: &dyn Fn(usize) -> f64) -> Option<usize> {
        let start = self.turn.fetch_add(1, Ordering::Relaxed) % self.len().max(1);
        let mut best: Option<(f64, usize)> = None;
        for target in (start..self.len()).chain(0..start).filter(|target| allowed(*target)) {
            let cost = cost(target);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, target));
            }
        }
        best.map(|(_, target)| target)
    }

    /// The cheaper of two different ones. When draws keep failing few are usable, and then the cheapest of all is taken.
    fn two_choices(
        &self,
        sampler: &Sampler,
        allowed: &dyn Fn(usize) -> bool,
        cost: &dyn Fn(usize) -> f64,
    ) -> Option<usize> {
        let mut first = None;
        for _ in 0..DRAWS {
            let drawn = sampler.draw()?;
            match first {
                _ if !allowed(drawn) => {}
                None => first = Some(drawn),
                Some(first) if first == drawn => {}
                Some(first) => return Some(if cost(drawn) < cost(first) { drawn } else { first }),
            }
        }
        self.least(allowed, cost)
    }

    fn cost(&self, cost: Cost, load: Option<&TargetLoad>, target: usize, now: Instant) -> f64 {
        let weight = f64::from(self.weight(target).max(1));
        match (cost, load) {
            (Cost::InFlight, load) => (f64::from(load.map_or(0, TargetLoad::in_flight)) + 1.0) / weight,
            (Cost::Latency, load) => load.map_or(0.0, |load| load.expected_latency(now)) / weight,
        }
    }

    fn weight(&self, target: usize) -> u32 {
        self.weights.get(target).copied().unwrap_or(0)
    }
}
