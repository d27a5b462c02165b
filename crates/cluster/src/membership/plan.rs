//! Decides which members a gateway connects to and which it removes: a pure function of the listed
//! and the connected members.

use std::time::Duration;

use super::roster::{Member, MemberState, Roster};

/// A member that is neither listed nor connected is removed after so long. Until then requests for
/// its models get 503 rather than 404, so that clients retry.
pub(super) const REMOVE_AFTER: Duration = Duration::from_secs(60);

/// A member that the gateway has a connection for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracked<'a> {
    pub(super) name: &'a str,
    /// Its record at the time of the connection.
    pub(super) member: &'a Member,
    /// Whether its schedulers get no new requests.
    pub(super) retired: bool,
    /// For how long the connection has been lost.
    pub(super) lost_for: Duration,
}

/// What to do about one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Connect to it, and drop a connection to a former process of that name.
    Connect(String),
    /// Update its record: it was restarted at the same endpoint, and its connection recovers by
    /// itself.
    UpdateRecord(String),
    /// Send it no new requests, and let running ones finish: it is leaving.
    Retire(String),
    /// Remove it: it is neither listed nor connected.
    Remove(String),
}

/// The actions that make the tracked members match the roster.
pub(super) fn plan(roster: &Roster, tracked: &[Tracked<'_>]) -> Vec<Action> {
    let mut actions = Vec::new();
    for known in tracked {
        let name = || known.name.to_owned();
        match roster.get(known.name) {
            Some(listed) if needs_connection(listed, known) => {}
            Some(listed) if listed.instance != known.member.instance => actions.push(Action::UpdateRecord(name())),
            Some(listed) if listed.state == MemberState::Leaving && !known.retired => {
                actions.push(Action::Retire(name()));
            }
            // A member that is not listed any more serves on while it is connected: etcd may have
            // lost its data.
            None if known.lost_for >= REMOVE_AFTER => actions.push(Action::Remove(name())),
            _ => {}
        }
    }
    for (name, listed) in roster.iter() {
        let known = tracked.iter().find(|known| known.name == name);
        let is_new = known.is_none_or(|known| needs_connection(listed, known));
        if is_new && listed.state == MemberState::Serving {
            actions.push(Action::Connect(name.clone()));
        }
    }
    actions
}

/// Whether the listed process needs a new connection: it has another endpoint, or it succeeds one
/// that left, whose connection stays retired.
fn needs_connection(listed: &Member, known: &Tracked<'_>) -> bool {
    listed.endpoint != known.member.endpoint || (known.retired && listed.instance != known.member.instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(endpoint: &str, instance: &str, state: MemberState) -> Member {
        Member { instance: instance.to_owned(), state, ..Member::at(endpoint) }
    }

    fn roster(listed: Option<&Member>) -> Roster {
        let mut roster = Roster::default();
        if let Some(listed) = listed {
            roster.apply("w", Some(&serde_json::to_vec(listed).expect("it is JSON")));
        }
        roster
    }

    /// The actions for the one member `w`.
    fn actions(listed: Option<&Member>, tracked: Option<(&Member, bool, Duration)>) -> Vec<Action> {
        let tracked = tracked.map(|(member, retired, lost_for)| Tracked { name: "w", member, retired, lost_for });
        plan(&roster(listed), tracked.as_slice())
    }

    #[test]
    fn a_member_is_connected_to_once() {
        let serving = member("http://a:1", "x", MemberState::Serving);
        assert_eq!(actions(Some(&serving), None), [Action::Connect("w".to_owned())]);
        for lost_for in [Duration::ZERO, REMOVE_AFTER] {
            assert_eq!(actions(Some(&serving), Some((&serving, false, lost_for))), []);
        }
    }

    #[test]
    fn a_restarted_member_gets_a_new_connection_only_if_it_moved_or_had_left() {
        let before = member("http://a:1", "x", MemberState::Serving);
        let (again, elsewhere) =
            (member("http://a:1", "y", MemberState::Serving), member("http://b:1", "y", MemberState::Serving));
        let connected = |listed, retired| actions(Some(listed), Some((&before, retired, Duration::ZERO)));
        assert_eq!(connected(&again, false), [Action::UpdateRecord("w".to_owned())]);
        assert_eq!(connected(&again, true), [Action::Connect("w".to_owned())]);
        for retired in [true, false] {
            assert_eq!(connected(&elsewhere, retired), [Action::Connect("w".to_owned())]);
        }
    }

    #[test]
    fn a_leaving_member_is_retired_once_and_kept_until_it_is_lost() {
        let serving = member("http://a:1", "x", MemberState::Serving);
        let leaving = member("http://a:1", "x", MemberState::Leaving);
        assert_eq!(actions(Some(&leaving), Some((&serving, false, Duration::ZERO))), [Action::Retire("w".to_owned())]);
        assert_eq!(actions(Some(&leaving), Some((&serving, true, Duration::ZERO))), []);
        assert_eq!(actions(None, Some((&serving, true, Duration::ZERO))), []);
        assert_eq!(actions(None, Some((&serving, true, REMOVE_AFTER))), [Action::Remove("w".to_owned())]);
        assert_eq!(actions(Some(&leaving), None), []);
    }

    #[test]
    fn an_unlisted_member_serves_on_while_connected_and_is_removed_later() {
        let serving = member("http://a:1", "x", MemberState::Serving);
        assert_eq!(actions(None, Some((&serving, false, REMOVE_AFTER / 2))), []);
        assert_eq!(actions(None, Some((&serving, false, Duration::ZERO))), []);
        assert_eq!(actions(None, Some((&serving, false, REMOVE_AFTER))), [Action::Remove("w".to_owned())]);
    }
}
