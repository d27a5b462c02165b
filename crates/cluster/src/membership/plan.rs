//! What a gateway does about its members: a pure function of what is listed and what
//! it has.

use std::time::Duration;

use super::records::{Member, Standing};
use super::roster::Roster;

/// A member that is not listed and cannot be reached is forgotten after so long. Until
/// then its models are known here as ones that nobody serves now, so that their clients
/// come again, rather than hear that there is no such model.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A member that the gateway has a connection to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Have<'a> {
    pub(super) name: &'a str,
    /// As it was listed when it was connected to.
    pub(super) member: &'a Member,
    /// Whether its schedulers get nothing new.
    pub(super) retired: bool,
    /// For how long it has not been reached.
    pub(super) gone: Duration,
}

/// What is to be done about one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Connect to it; a connection to a former process of that name is let go.
    Connect(String),
    /// It was started again where it was, and its connection finds it again by itself.
    Note(String),
    /// It is leaving: nothing new goes there, and what runs is finished.
    Retire(String),
    /// It is neither listed nor there.
    Forget(String),
}

/// What is to be done.
pub(super) fn plan(roster: &Roster, have: &[Have<'_>]) -> Vec<Action> {
    let mut actions = Vec::new();
    for known in have {
        let name = || known.name.to_owned();
        match roster.get(known.name) {
            Some(listed) if is_elsewhere(listed, known) => {}
            Some(listed) if listed.instance != known.member.instance => actions.push(Action::Note(name())),
            Some(listed) if listed.standing == Standing::Leaving && !known.retired => {
                actions.push(Action::Retire(name()));
            }
            // Who is not listed any more serves on while it is connected: etcd may have lost
            // what it knew.
            None if known.gone >= FORGET_AFTER => actions.push(Action::Forget(name())),
            _ => {}
        }
    }
    for (name, listed) in roster.iter() {
        let known = have.iter().find(|known| known.name == name);
        let is_new = known.is_none_or(|known| is_elsewhere(listed, known));
        if is_new && listed.standing == Standing::Serving {
            actions.push(Action::Connect(name.clone()));
        }
    }
    actions
}

/// Whether the one that is listed has to be connected to anew: in another place, or after
/// one that left, which is not taken for its successor.
fn is_elsewhere(listed: &Member, known: &Have<'_>) -> bool {
    listed.endpoint != known.member.endpoint || (known.retired && listed.instance != known.member.instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(endpoint: &str, instance: &str, standing: Standing) -> Member {
        Member { instance: instance.to_owned(), standing, ..Member::at(endpoint) }
    }

    fn roster(listed: Option<&Member>) -> Roster {
        let mut roster = Roster::default();
        if let Some(listed) = listed {
            roster.take_in("w", Some(&serde_json::to_vec(listed).expect("it is JSON")));
        }
        roster
    }

    /// What is done about the one member `w`.
    fn done(listed: Option<&Member>, have: Option<(&Member, bool, Duration)>) -> Vec<Action> {
        let have = have.map(|(member, retired, gone)| Have { name: "w", member, retired, gone });
        plan(&roster(listed), have.as_slice())
    }

    #[test]
    fn a_member_is_connected_to_once() {
        let serving = member("http://a:1", "x", Standing::Serving);
        assert_eq!(done(Some(&serving), None), [Action::Connect("w".to_owned())]);
        for gone in [Duration::ZERO, FORGET_AFTER] {
            assert_eq!(done(Some(&serving), Some((&serving, false, gone))), []);
        }
    }

    #[test]
    fn one_that_was_started_again_is_connected_to_anew_only_where_it_must_be() {
        let before = member("http://a:1", "x", Standing::Serving);
        let (again, elsewhere) =
            (member("http://a:1", "y", Standing::Serving), member("http://b:1", "y", Standing::Serving));
        let connected = |listed, retired| done(Some(listed), Some((&before, retired, Duration::ZERO)));
        assert_eq!(connected(&again, false), [Action::Note("w".to_owned())]);
        assert_eq!(connected(&again, true), [Action::Connect("w".to_owned())]);
        for retired in [true, false] {
            assert_eq!(connected(&elsewhere, retired), [Action::Connect("w".to_owned())]);
        }
    }

    #[test]
    fn one_that_leaves_is_retired_once_and_kept_until_it_is_gone() {
        let serving = member("http://a:1", "x", Standing::Serving);
        let leaving = member("http://a:1", "x", Standing::Leaving);
        assert_eq!(done(Some(&leaving), Some((&serving, false, Duration::ZERO))), [Action::Retire("w".to_owned())]);
        assert_eq!(done(Some(&leaving), Some((&serving, true, Duration::ZERO))), []);
        assert_eq!(done(None, Some((&serving, true, Duration::ZERO))), []);
        assert_eq!(done(None, Some((&serving, true, FORGET_AFTER))), [Action::Forget("w".to_owned())]);
        assert_eq!(done(Some(&leaving), None), []);
    }

    #[test]
    fn one_that_is_not_listed_serves_on_while_it_is_there_and_is_known_for_a_while() {
        let serving = member("http://a:1", "x", Standing::Serving);
        assert_eq!(done(None, Some((&serving, false, FORGET_AFTER / 2))), []);
        assert_eq!(done(None, Some((&serving, false, Duration::ZERO))), []);
        assert_eq!(done(None, Some((&serving, false, FORGET_AFTER))), [Action::Forget("w".to_owned())]);
    }
}
