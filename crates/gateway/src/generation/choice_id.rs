//! The ids of the generations of one HTTP request.
//!
//! A request's id has its last three bits cleared, and its `index`-th generation
//! has `index` there. So an answer's id names all of its generations, and
//! `DELETE /v1/requests/{id}` finds them without a table, on any gateway.

use hostler_protocol::RequestId;

use crate::limits::GENERATIONS_MAX;

/// The ids of every generation that the request of this id may have.
pub(crate) fn choice_ids(id: RequestId) -> impl Iterator<Item = RequestId> {
    (0..GENERATIONS_MAX).filter_map(move |index| choice_id(id, index))
}

/// The id of the `index`-th generation. `None` is out of reach: a hexadecimal
/// digit stays one.
pub(crate) fn choice_id(id: RequestId, index: u32) -> Option<RequestId> {
    let mut text = id.to_string();
    let last = text.pop()?.to_digit(16)?;
    text.push(char::from_digit((last & 8) | (index & 7), 16)?);
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_generation_leads_to_all_of_its_request() {
        let id = RequestId::new();
        let all: HashSet<_> = choice_ids(id).collect();
        assert_eq!(all.len(), GENERATIONS_MAX as usize);
        for one in &all {
            assert_eq!(choice_ids(*one).collect::<HashSet<_>>(), all);
        }
    }
}
