//! The plan: pure. Snapshots, rules and a moment in; a verdict on each snapshot out.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, Zoned};

use crate::id::SnapshotId;
use crate::repo::Standing;

use super::policy::{Period, Reach, RetentionPolicy};
use super::verdict::{Candidate, DropReason, Fate, KeepReason, RetentionGroup, Verdict};

/// The policy of everything, and those of groups that have one of their own.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'p> {
    pub common: &'p RetentionPolicy,
    pub own: &'p [(RetentionGroup, RetentionPolicy)],
}

/// What is measured where there is a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What stays in any case.
    pub kept: Vec<SnapshotId>,
    /// What may go, in the order in which it would: the oldest first.
    pub droppable: Vec<SnapshotId>,
}

/// What they take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    pub kept: u64,
    /// Of each droppable one what only it and those before it need: what is freed when it goes after them.
    pub droppable: Vec<u64>,
}

/// How a budget was met, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// `None`: of all groups without a policy of their own.
    pub group: Option<RetentionGroup>,
    /// The limit, in bytes.
    pub max: u64,
    /// What the snapshots that are looked at take, as far as it can be told, and what those that stay take.
    pub before: u64,
    /// Bytes that the snapshots need that stay.
    pub after: u64,
}

/// A verdict on everything in scope, the oldest first of each group. Void ones are left alone, as if they were
/// not there.
pub fn plan<E>(
    candidates: &[Candidate],
    policies: Policies<'_>,
    now: &Zoned,
    mut measure: impl FnMut(&Question) -> Result<Sizes, E>,
) -> Result<(Vec<Verdict>, Vec<Budget>), E> {
    let mut groups: BTreeMap<&RetentionGroup, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|one| one.standing != Standing::Void) {
        groups.entry(&candidate.group).or_default().push(candidate);
    }
    let mut under: BTreeMap<Option<usize>, Vec<Verdict>> = BTreeMap::new();
    for (group, mut members) in groups {
        members.sort_by_key(|one| (one.time, one.id));
        let own = policies.own.iter().position(|(of, _)| of == group);
        let policy = policy_of(policies, own);
        under.entry(own).or_default().extend(judge(&members, policy, now));
    }
    let mut budgets = Vec::new();
    for (own, verdicts) in &mut under {
        let policy = policy_of(policies, *own);
        if let Some(max) = policy.max_size.filter(|_| !verdicts.is_empty()) {
            let group = own.and_then(|own| policies.own.get(own)).map(|(group, _)| group.clone());
            budgets.push(fit(verdicts, group, max, &mut measure)?);
        }
    }
    let mut verdicts: Vec<Verdict> = under.into_values().flatten().collect();
    verdicts.sort_by(|a, b| a.snapshot.group.cmp(&b.snapshot.group));
    Ok((verdicts, budgets))
}

fn policy_of(policies: Policies<'_>, own: Option<usize>) -> &RetentionPolicy {
    own.and_then(|own| policies.own.get(own)).map_or(policies.common, |(_, policy)| policy)
}

/// What the rules say of a group, sorted by time; what only a budget decides is dropped by it, for now.
fn judge(members: &[&Candidate], policy: &RetentionPolicy, now: &Zoned) -> Vec<Verdict> {
    let scope: Vec<(&Candidate, Option<Timestamp>)> =
        members.iter().filter(|one| one.in_scope).map(|one| (*one, one.moment())).collect();
    let mut kept: HashMap<SnapshotId, Vec<KeepReason>> = HashMap::new();
    let mut keep = |id: SnapshotId, reason: KeepReason| kept.entry(id).or_default().push(reason);
    for one in members.iter().filter(|one| one.permanent) {
        keep(one.id, KeepReason::Permanent);
    }
    let from = newest(members, now, &mut keep);
    for (one, _) in scope.iter().filter(|(_, moment)| moment.is_none()) {
        keep(one.id, KeepReason::Timeless);
    }
    let newest_first: Vec<(&Candidate, Timestamp)> =
        scope.iter().rev().filter_map(|(one, moment)| Some((*one, (*moment)?))).collect();
    by_rules(&newest_first, policy, &from, now, &mut keep);
    scope
        .iter()
        .map(|(one, _)| {
            let fate = match (kept.remove(&one.id), policy) {
                (Some(reasons), _) => Fate::Kept(reasons),
                (None, RetentionPolicy { max_size: Some(max), .. }) => {
                    Fate::Dropped(DropReason::TooMuch(*max))
                }
                (None, RetentionPolicy { older_than: Some(age), .. }) => {
                    Fate::Dropped(DropReason::Older(*age))
                }
                (None, policy) if policy.keeps_something() => Fate::Dropped(DropReason::Unkept),
                (None, _) => Fate::Kept(vec![KeepReason::NoRule]),
            };
            Verdict { snapshot: (*one).clone(), fate }
        })
        .collect()
}

/// Whatever the rules: a source keeps its newest complete snapshot, in scope or not. One that a wrong clock put into
/// the future does not take the place of the newest that was ever good.
///
/// Gives where rules count back from: from that snapshot, so that a source no longer backed up does not wither, or
/// from now, if that is earlier.
fn newest(
    members: &[&Candidate],
    now: &Zoned,
    keep: &mut impl FnMut(SnapshotId, KeepReason),
) -> Zoned {
    let dated: Vec<(&Candidate, Timestamp)> =
        members.iter().filter_map(|one| Some((*one, one.moment()?))).collect();
    let complete = dated.iter().any(|(one, _)| one.is_complete());
    let last = |until: Timestamp| {
        let mut newest_first = dated.iter().rev();
        newest_first.find(|(one, moment)| *moment <= until && (one.is_complete() || !complete))
    };
    let (ever, by_now) = (last(Timestamp::MAX), last(now.timestamp()));
    for (one, _) in ever.into_iter().chain(by_now.filter(|it| Some(*it) != ever)) {
        keep(one.id, KeepReason::Newest { complete });
    }
    let moment = ever.map_or(now.timestamp(), |(_, moment)| *moment);
    moment.min(now.timestamp()).to_zoned(now.time_zone().clone())
}

/// What the policy keeps, each rule for itself: that a rule is added never drops anything.
fn by_rules(
    newest_first: &[(&Candidate, Timestamp)],
    policy: &RetentionPolicy,
    from: &Zoned,
    now: &Zoned,
    keep: &mut impl FnMut(SnapshotId, KeepReason),
) {
    if let Some(count) = policy.last {
        for (one, _) in newest_first.iter().take(count as usize) {
            keep(one.id, KeepReason::Last(count));
        }
    }
    if let Some(age) = policy.within {
        let since = age.before(from);
        for (one, _) in newest_first.iter().filter(|(_, moment)| *moment >= since) {
            keep(one.id, KeepReason::Within(age));
        }
    }
    for (period, reach) in &policy.periods {
        for (id, name) in newest_of_each(newest_first, *period, *reach, from) {
            keep(id, KeepReason::NewestOf(*period, name, *reach));
        }
    }
    for (one, _) in newest_first {
        if let Some(tag) = policy.tags.iter().find(|tag| one.tags.contains(tag)) {
            keep(one.id, KeepReason::Tag(tag.clone()));
        }
    }
    if let Some(age) = policy.older_than {
        let until = age.before(now);
        for (one, _) in newest_first.iter().filter(|(_, moment)| *moment >= until) {
            keep(one.id, KeepReason::Young(age));
        }
    }
}

/// The newest complete snapshot of each period, or the newest where none is complete, with the period's name.
fn newest_of_each(
    newest_first: &[(&Candidate, Timestamp)],
    period: Period,
    reach: Reach,
    from: &Zoned,
) -> Vec<(SnapshotId, String)> {
    let (count, since) = match reach {
        Reach::Count(count) => (count as usize, Timestamp::MIN),
        Reach::Within(age) => (usize::MAX, age.before(from)),
    };
    let mut found: Vec<(&Candidate, String)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (one, moment) in newest_first.iter().filter(|(_, moment)| *moment >= since) {
        let name = period.name(&moment.to_zoned(from.time_zone().clone()));
        match places.get(&name).and_then(|place| found.get_mut(*place)) {
            None => {
                places.insert(name.clone(), found.len());
                found.push((one, name));
            }
            Some((chosen, _)) if one.is_complete() && !chosen.is_complete() => *chosen = one,
            Some(_) => {}
        }
    }
    found.into_iter().take(count).map(|(one, name)| (one.id, name)).collect()
}

/// Keeps again, the newest first, what the budget has room for.
fn fit<E>(
    verdicts: &mut [Verdict],
    group: Option<RetentionGroup>,
    max: u64,
    measure: &mut impl FnMut(&Question) -> Result<Sizes, E>,
) -> Result<Budget, E> {
    verdicts.sort_by_key(|verdict| (verdict.snapshot.time, verdict.snapshot.id));
    let ids = |dropped: bool| {
        let some = verdicts.iter().filter(|verdict| verdict.is_dropped() == dropped);
        some.map(|verdict| verdict.snapshot.id).collect()
    };
    let question = Question { kept: ids(false), droppable: ids(true) };
    let sizes = measure(&question)?;
    let before = sizes.droppable.iter().fold(sizes.kept, |sum, one| sum.saturating_add(*one));
    let mut after = before;
    let mut sizes = sizes.droppable.into_iter();
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_dropped()) {
        if after <= max {
            verdict.fate = Fate::Kept(vec![KeepReason::Fits(max)]);
        } else {
            after = after.saturating_sub(sizes.next().unwrap_or(0));
        }
    }
    Ok(Budget { group, max, before, after })
}
