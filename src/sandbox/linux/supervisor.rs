//! One trial from order to outcome, in a process of its own: builds the enclosure, watches it, inspects
//! what is left, reports, cleans up.

use super::enclosure::{Enclosure, Lines, Site, Work};
use super::seccomp::Filters;
use super::step::{Broken, Built, Named};
use super::watch::{Seen, Watch};
use super::{bwrap, loose, namespaces, sys};
use crate::sandbox::client::without_run;
use crate::sandbox::wire::{self, Order};
use crate::sandbox::{End, Isolation, Outcome};
use crate::task::Tier;

/// Carries out the order that the client sends; the outcome goes back the same way.
pub(super) fn supervise(mut lines: Lines, filters: &Filters) {
    let outcome = match receive(&mut lines) {
        Ok(order) => run(&order, &mut lines, filters),
        Err(broken) => failed(Tier::N, broken),
    };
    let bytes = wire::encode_outcome(outcome).unwrap_or_else(|message| {
        let broken = failed(Tier::N, Broken::new("report the outcome", message));
        wire::encode_outcome(broken).expect("invariant: an outcome without files can be written")
    });
    // A client that has gone wants no answer.
    let _ = wire::send(&lines.client, &bytes);
}

fn receive(lines: &mut Lines) -> Built<Order> {
    // While namespaces are set up the kernel wants this process's files in /proc to be its user's.
    sys::set_dumpable(true).step("prepare supervisor")?;
    sys::become_subreaper().step("prepare supervisor")?;
    let bytes = wire::receive(&lines.client).step("receive order")?;
    wire::decode_order(&bytes).step("receive order")
}

fn run(order: &Order, lines: &mut Lines, filters: &Filters) -> Outcome {
    let tier = order.tier;
    if tier < order.policy.min_tier {
        let message = format!("the policy wants {:?} or better, there is {tier:?}", order.policy.min_tier);
        return failed(tier, Broken::new("tier", message));
    }
    match Site::new(order, filters).and_then(|site| build(&site, lines)) {
        Ok(enclosure) => attend(enclosure, order, lines),
        Err(broken) => failed(tier, broken),
    }
}

fn build(site: &Site<'_>, lines: &mut Lines) -> Built<Enclosure> {
    let channel = lines.channel.take();
    match site.order.tier {
        Tier::F => namespaces::build(site, channel),
        Tier::B => bwrap::build(site, channel),
        Tier::L => loose::build(site, channel),
        tier => Err(Broken::new("tier", format!("{tier:?} cannot be built here"))),
    }
}

fn attend(enclosure: Enclosure, order: &Order, lines: &Lines) -> Outcome {
    let Enclosure { tier, live, work, work_dir, features: mut built, ground } = enclosure;
    let (seen, mut features) = Watch::new(live, lines, &order.policy.limits).run();
    features.append(&mut built);
    let Seen { end, stdout, stderr, wall, cpu, peak_memory_bytes, leftovers_killed } = seen;
    let (changed, touched) = work.changes();
    let outcome = Outcome {
        end,
        stdout,
        stderr,
        wall,
        cpu,
        peak_memory_bytes,
        changed,
        touched,
        files: collect(&work, order),
        leftovers_killed,
        isolation: Isolation { tier, features },
        work_dir,
    };
    // Only now: the changes are read from it.
    drop(ground);
    outcome
}

fn collect(work: &Work, order: &Order) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    order.request.collect.iter().filter_map(|path| Some((path.clone(), work.read(path)?))).collect()
}

/// The outcome of a trial whose walls could not be built.
fn failed(tier: Tier, broken: Broken) -> Outcome {
    without_run(tier, End::SandboxError { step: broken.step, message: broken.message })
}
