//! Whose a record in etcd is, and who may write it: pure.

use super::roster::Member;

/// A record as it is in etcd.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) value: &'a [u8],
    /// The lease that it hangs on; 0 for none.
    pub(super) lease: i64,
}

/// What a process does about one of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is as it should be.
    Ours,
    /// It is lost, was overwritten, or is that of a former process of this node.
    Write,
    /// Another process has the name.
    HeldBy(Member),
}

/// Judges what was found below the key of a record. `is_first`: this process has not held the
/// record yet. Then it may take over the record of a process at the same endpoint, which must have
/// ended, since this process listens there now.
pub(super) fn judge(own: &[u8], lease: i64, found: Option<Found<'_>>, is_first: bool) -> Finding {
    let Some(found) = found else { return Finding::Write };
    if found.lease == lease {
        return if found.value == own { Finding::Ours } else { Finding::Write };
    }
    // No process of a cluster writes a record without a lease.
    if found.lease == 0 {
        return Finding::Write;
    }
    let parse = |value| serde_json::from_slice::<Member>(value).ok();
    match (parse(own), parse(found.value)) {
        (Some(own), Some(holder)) if own.instance != holder.instance => {
            match is_first && own.endpoint == holder.endpoint {
                true => Finding::Write,
                false => Finding::HeldBy(holder),
            }
        }
        // Its former lease, or a record that nobody can read.
        _ => Finding::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(instance: &str, endpoint: &str) -> Vec<u8> {
        serde_json::to_vec(&Member { instance: instance.to_owned(), ..Member::at(endpoint) }).expect("it is JSON")
    }

    #[test]
    fn a_record_is_restored_and_another_process_keeps_its_own() {
        let own = record("x", "http://a:1");
        let (again, other) = (record("y", "http://a:1"), record("z", "http://b:1"));
        let found = |value, lease| Some(Found { value, lease });
        let held = |record: &[u8]| Finding::HeldBy(serde_json::from_slice(record).expect("it is JSON"));
        for (case, found, first, later) in [
            ("it is ours", found(&own, 1), Finding::Ours, Finding::Ours),
            ("it was deleted", None, Finding::Write, Finding::Write),
            ("it is another value of ours", found(&other, 1), Finding::Write, Finding::Write),
            ("somebody wrote it by hand", found(&other, 0), Finding::Write, Finding::Write),
            ("our former lease", found(&own, 2), Finding::Write, Finding::Write),
            ("it is unreadable", found(b"no JSON", 2), Finding::Write, Finding::Write),
            ("this node's former process", found(&again, 2), Finding::Write, held(&again)),
            ("another node", found(&other, 2), held(&other), held(&other)),
        ] {
            assert_eq!(judge(&own, 1, found, true), first, "{case}");
            assert_eq!(judge(&own, 1, found, false), later, "{case}");
        }
        let claim = br#"{"scheduler":"w.m"}"#;
        assert_eq!(judge(claim, 1, found(claim, 2), false), Finding::Write, "claims have keys of their own");
    }
}
