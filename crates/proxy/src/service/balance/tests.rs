//! Shares, sequences, passing over, and what consistent hashing promises.

use std::time::Duration;

use super::*;

fn balancer(algorithm: Algorithm, weights: &[u32]) -> Balancer {
    let names = names(weights.len());
    let targets: Vec<Target<'_>> =
        names.iter().zip(weights).map(|(address, weight)| Target { address, weight: *weight }).collect();
    Balancer::new(algorithm, &targets)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("10.0.{}.{}:8080", nth / 256, nth % 256)).collect()
}

fn idle<'l>(_: usize) -> Option<&'l TargetLoad> {
    None
}

/// How often each target is picked.
fn shares(balancer: &Balancer, picks: usize, usable: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let mut counts = vec![0; balancer.len()];
    for nth in 0..picks {
        let key = hash(&nth.to_le_bytes());
        if let Some(target) = balancer.pick(&idle, usable, Some(key), Instant::now()) {
            counts[target] += 1;
        }
    }
    counts
}

/// Whether the shares are as the weights say, within a part of the expected.
fn assert_shares(counts: &[usize], weights: &[u32], tolerance: f64) {
    let (total, sum): (usize, u32) = (counts.iter().sum(), weights.iter().sum());
    for (count, weight) in counts.iter().zip(weights) {
        let expected = total as f64 * f64::from(*weight) / f64::from(sum);
        assert!((*count as f64 - expected).abs() <= expected * tolerance, "{counts:?} for {weights:?}");
    }
}

const ALL: [Algorithm; 5] = [
    Algorithm::RoundRobin,
    Algorithm::LeastRequests,
    Algorithm::RandomTwoChoices,
    Algorithm::PeakEwma,
    Algorithm::ConsistentHash,
];

#[test]
fn round_robin_is_smooth() {
    assert_eq!(*smooth_sequence(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(*smooth_sequence(&[1, 1, 1]), [0, 1, 2]);
    assert_eq!(*smooth_sequence(&[100, 100]), [0, 1]);
    assert_eq!(*smooth_sequence(&[200, 100]), [0, 1, 0]);
    assert_eq!(*smooth_sequence(&[0, 3, 0, 3]), [1, 3]);
    assert!(smooth_sequence(&[]).is_empty());
}

#[test]
fn round_robin_keeps_the_ratios_of_large_weights() {
    let weights = [4_000_000_007, 1_000_003, 3, 2_000_000_011];
    let sequence = smooth_sequence(&weights);
    assert!(sequence.len() <= 4_100, "{}", sequence.len());
    let count = |target: u32| sequence.iter().filter(|turn| **turn == target).count();
    assert!((count(0) as f64 / count(3) as f64 - 2.0).abs() < 0.01);
    assert!(count(1) >= 1 && count(2) >= 1, "nobody starves");
}

#[test]
fn in_any_round_each_has_its_exact_share() {
    let weights = [7, 3, 2];
    let sequence = smooth_sequence(&weights);
    for start in 0..sequence.len() {
        let round = sequence.iter().cycle().skip(start).take(sequence.len());
        let mut counts = [0; 3];
        round.for_each(|target| counts[*target as usize] += 1);
        assert_eq!(counts, weights);
    }
}

#[test]
fn shares_follow_weights() {
    fastrand::seed(1);
    assert_eq!(shares(&balancer(Algorithm::RoundRobin, &[3, 1]), 400, &|_| true), [300, 100]);
    assert_shares(&shares(&balancer(Algorithm::ConsistentHash, &[3, 1, 4]), 80_000, &|_| true), &[3, 1, 4], 0.03);
    assert_shares(&shares(&balancer(Algorithm::LeastRequests, &[1, 1, 1]), 300, &|_| true), &[1, 1, 1], 0.0);
    for algorithm in [Algorithm::RandomTwoChoices, Algorithm::PeakEwma] {
        assert_shares(&shares(&balancer(algorithm, &[1, 1, 1]), 30_000, &|_| true), &[1, 1, 1], 0.05);
    }
}

#[test]
fn weight_zero_is_never_picked_unless_all_are() {
    for algorithm in ALL {
        let some = shares(&balancer(algorithm, &[1, 0, 1]), 500, &|_| true);
        assert_eq!(some[1], 0, "{algorithm:?}");
        assert!(some[0] > 100 && some[2] > 100, "{algorithm:?} {some:?}");
        let all = shares(&balancer(algorithm, &[0, 0]), 500, &|_| true);
        assert!(all.iter().all(|count| *count > 150), "{algorithm:?} {all:?}");
        assert_eq!(shares(&balancer(algorithm, &[1, 0, 1]), 10, &|target| target == 1), [0, 0, 0], "{algorithm:?}");
    }
}

#[test]
fn unusable_targets_are_passed_over() {
    for algorithm in ALL {
        let weights = [1; 20];
        let balancer = balancer(algorithm, &weights);
        let counts = shares(&balancer, 2_000, &|target| target % 2 == 0);
        for (target, count) in counts.iter().enumerate() {
            assert_eq!(*count > 100, target % 2 == 0, "{algorithm:?} {counts:?}");
        }
        assert_eq!(shares(&balancer, 50, &|target| target == 13)[13], 50, "{algorithm:?}");
        assert_eq!(balancer.pick(&idle, &|_| false, Some(1), Instant::now()), None, "{algorithm:?}");
        let none = Balancer::new(algorithm, &[]);
        assert_eq!(none.pick(&idle, &|_| true, None, Instant::now()), None, "{algorithm:?}");
        assert!(none.is_empty());
    }
}

#[test]
fn the_turns_of_an_unusable_target_go_to_all_others_alike() {
    let counts = shares(&balancer(Algorithm::RoundRobin, &[1, 1, 1, 1]), 300, &|target| target != 1);
    assert_eq!(counts, [100, 0, 100, 100]);
}

#[test]
fn least_requests_counts_by_weight() {
    let now = Instant::now();
    let loads: Vec<TargetLoad> = (0..3).map(|_| TargetLoad::new(now)).collect();
    let balancer = balancer(Algorithm::LeastRequests, &[4, 2, 1]);
    let mut held = Vec::new();
    for _ in 0..70 {
        let target = balancer.pick(&|target| loads.get(target), &|_| true, None, now).expect("all are usable");
        held.push(loads[target].enter());
    }
    assert_eq!(loads.iter().map(TargetLoad::in_flight).collect::<Vec<_>>(), [40, 20, 10]);
    drop(held);
    assert!(loads.iter().all(|load| load.in_flight() == 0));
    loads[0].end();
    assert_eq!(loads[0].in_flight(), 0, "never below none");
}

#[test]
fn two_choices_avoid_the_busy() {
    fastrand::seed(2);
    let now = Instant::now();
    let loads: Vec<TargetLoad> = (0..4).map(|_| TargetLoad::new(now)).collect();
    let _held: Vec<_> = (0..100).map(|_| loads[0].enter()).collect();
    for algorithm in [Algorithm::RandomTwoChoices, Algorithm::PeakEwma] {
        let balancer = balancer(algorithm, &[1; 4]);
        for _ in 0..500 {
            let target = balancer.pick(&|target| loads.get(target), &|_| true, None, now);
            assert_ne!(target, Some(0), "{algorithm:?}");
        }
    }
}

#[test]
fn latencies_peak_at_once_and_fade() {
    let start = Instant::now();
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let load = TargetLoad::new(start);
    assert_eq!(load.latency(start), None);
    load.observe(Duration::from_millis(10), at(1.0));
    let near = |seconds: f64, expected: f64| {
        let latency = load.latency(at(seconds)).unwrap_or(0.0);
        assert!((latency - expected).abs() < expected * 0.01, "{latency} at {seconds}");
    };
    near(1.0, 0.010);
    load.observe(Duration::from_millis(500), at(1.0));
    near(1.0, 0.500);
    // A fast answer right after draws the average down only a little; ten seconds later, by 1 - 1/e.
    load.observe(Duration::from_millis(10), at(1.001));
    near(1.001, 0.500);
    load.observe(Duration::from_millis(10), at(11.001));
    near(11.001, 0.500 / std::f64::consts::E + 0.010 * (1.0 - 1.0 / std::f64::consts::E));
    // Silence fades too, so that a target once slow is tried again.
    assert!(load.latency(at(60.0)).unwrap_or(1.0) < 0.01);
    // A clock that was read earlier changes nothing.
    assert!(load.latency(at(5.0)).unwrap_or(0.0) > 0.19);
}

#[test]
fn peak_ewma_prefers_the_fast_and_tries_the_unknown_once() {
    fastrand::seed(3);
    let now = Instant::now();
    let loads: Vec<TargetLoad> = (0..3).map(|_| TargetLoad::new(now)).collect();
    let balancer = balancer(Algorithm::PeakEwma, &[1; 3]);
    let pick = || balancer.pick(&|target| loads.get(target), &|_| true, None, now).expect("all are usable");
    loads[0].observe(Duration::from_millis(5), now);
    loads[1].observe(Duration::from_millis(50), now);
    let unknown = (0..50).map(|_| pick()).filter(|target| *target == 2).count();
    assert!(unknown > 20, "an untried target costs nothing");
    let _tried = loads[2].enter();
    let counts = (0..300).map(|_| pick()).fold([0; 3], |mut counts, target| {
        counts[target] += 1;
        counts
    });
    assert_eq!(counts[2], 0, "while its first answer is out it is left alone: {counts:?}");
    assert!(counts[0] > counts[1], "{counts:?}");
}

#[test]
fn hashes_are_stable() {
    // These values must never change: they decide which target a key meets, on instances of different versions.
    assert_eq!(hash(b""), 0xEFD0_1F60_BA99_2926);
    assert_eq!(hash(b"10.0.0.1:8080"), hash(b"10.0.0.1:8080"));
    assert_ne!(hash(b"a"), hash(b"b"));
}

/// The address that each of many keys meets.
fn homes<'a>(names: &'a [String], keys: usize) -> Vec<&'a str> {
    let targets: Vec<Target<'a>> = names.iter().map(|address| Target { address, weight: 100 }).collect();
    let balancer = Balancer::new(Algorithm::ConsistentHash, &targets);
    let home = |nth: usize| balancer.pick(&idle, &|_| true, Some(hash(&nth.to_le_bytes())), Instant::now());
    (0..keys).map(|nth| home(nth).map_or("", |target| &*names[target])).collect()
}

#[test]
fn consistent_hashing_spreads_evenly() {
    for count in [2, 7, 50] {
        let counts = shares(&balancer(Algorithm::ConsistentHash, &vec![1; count]), 20_000 * count, &|_| true);
        assert_shares(&counts, &vec![1; count], 0.05);
    }
}

#[test]
fn consistent_hashing_ignores_the_order_of_targets() {
    let mut names = names(10);
    let before: Vec<String> = homes(&names, 5_000).into_iter().map(str::to_owned).collect();
    names.reverse();
    assert_eq!(homes(&names, 5_000), before);
}

#[test]
fn few_keys_move_when_a_target_goes() {
    for count in [2, 3, 10, 40, 100] {
        let names = names(count);
        let without: Vec<String> = names.iter().filter(|name| **name != names[1]).cloned().collect();
        let (before, after) = (homes(&names, 20_000), homes(&without, 20_000));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!(moved * count < 20_000 * 2, "{moved} of 20000 moved from {count}");
    }
}

#[test]
fn keys_of_an_unusable_target_spread_and_the_others_stay() {
    let balancer = balancer(Algorithm::ConsistentHash, &[1; 5]);
    let pick = |key: u64, usable: &dyn Fn(usize) -> bool| balancer.pick(&idle, usable, Some(key), Instant::now());
    let mut heirs = [0; 5];
    for key in 0..10_000 {
        let home = pick(key, &|_| true);
        let other = pick(key, &|target| target != 2);
        match (home, other) {
            (Some(2), Some(heir)) => heirs[heir] += 1,
            _ => assert_eq!(home, other),
        }
    }
    assert!(heirs.iter().enumerate().all(|(target, count)| (*count > 300) == (target != 2)), "{heirs:?}");
}

#[test]
fn picks_from_many_threads_add_up() {
    let balancer = balancer(Algorithm::RoundRobin, &[2, 1]);
    let counts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| shares(&balancer, 300, &|_| true))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]])
    });
    assert_eq!(counts, [800, 400]);
}
