//! Lines of system messages that the configuration removes, so that what changes with each
//! request does not keep the prefix cache from being used.

use hostler_protocol::{ChatMessage, Role};
use regex::RegexSet;

/// Removes the lines that match any of `patterns` from the system messages, and the system messages
/// that consist of nothing else.
pub(crate) fn remove_system_lines(messages: &mut Vec<ChatMessage>, patterns: &RegexSet) {
    if patterns.is_empty() {
        return;
    }
    messages.retain_mut(|message| {
        if message.role != Role::System || !message.content.lines().any(|line| patterns.is_match(line)) {
            return true;
        }
        let kept: Vec<&str> = message.content.lines().filter(|line| !patterns.is_match(line)).collect();
        let kept = kept.join("\n");
        message.content = kept;
        !message.content.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, content: &str) -> ChatMessage {
        ChatMessage::new(role, content)
    }

    #[test]
    fn matching_lines_of_system_messages_are_removed() {
        let patterns = RegexSet::new(["^billing:", "session=\\d+"]).expect("valid patterns");
        let mut messages = vec![
            message(Role::System, "billing: 1\nBe brief.\n\na session=7 b\nUse tools."),
            message(Role::User, "billing: 2"),
            message(Role::System, "session=8"),
            message(Role::System, "no billing: here\n"),
        ];
        remove_system_lines(&mut messages, &patterns);
        let expected = [
            message(Role::System, "Be brief.\n\nUse tools."),
            message(Role::User, "billing: 2"),
            message(Role::System, "no billing: here\n"),
        ];
        assert_eq!(messages, expected);
        remove_system_lines(&mut messages, &RegexSet::empty());
        assert_eq!(messages, expected);
    }
}
