//! Checks of cancellation, deadlines and slow readers.

use hostler_protocol::ErrorCode;

use crate::contract::report::ensure;
use crate::contract::subject::Watch;
use crate::contract::{Subject, Violation};
use crate::{EndState, TokenStream, token_channel};

/// Tokens that are read before a sequence is interrupted.
const READ: u32 = 3;

/// Tokens that an engine may still produce after it was asked to stop: that of the
/// current step, and that of the next.
const LATE_TOKENS_MAX: u32 = 2;

pub(super) fn dropped_stream(subject: &Subject) -> Result<(), Violation> {
    // Twice: the second sequence reuses the freed slot.
    for prompt in 0..2 {
        let (mut stream, watch) = subject.start_watched(&subject.long(prompt)?);
        subject.read_tokens(&mut stream, READ)?;
        drop(stream);
        ends_soon(&watch, ErrorCode::Cancelled)?;
    }
    subject.run(subject.greedy(0)?).map(drop)
}

pub(super) fn handle(subject: &Subject) -> Result<(), Violation> {
    let (mut stream, watch) = subject.start_watched(&subject.long(0)?);
    subject.read_tokens(&mut stream, READ)?;
    stream.cancel_handle().cancel();
    ends_soon(&watch, ErrorCode::Cancelled)?;
    fails_with(subject, stream, ErrorCode::Cancelled)
}

pub(super) fn deadline(subject: &Subject) -> Result<(), Violation> {
    let (mut stream, watch) = subject.start_watched(&subject.long(0)?);
    subject.read_tokens(&mut stream, READ)?;
    stream.cancel_handle().time_out();
    ends_soon(&watch, ErrorCode::DeadlineExceeded)?;
    fails_with(subject, stream, ErrorCode::DeadlineExceeded)
}

pub(super) fn before_start(subject: &Subject) -> Result<(), Violation> {
    let sequence = subject.long(0)?;
    let (sink, stream) = token_channel(&sequence, None);
    stream.cancel_handle().cancel();
    subject.executor().start(sequence, sink);
    let ended = subject.collect(stream)?;
    let tokens = ended.tokens.len();
    ensure!(tokens <= LATE_TOKENS_MAX as usize, "{tokens} tokens were generated after the cancellation");
    let code = ended.last.as_ref().map_err(|error| error.code);
    ensure!(code == Err(ErrorCode::Cancelled), "it ended in {:?}", ended.last);
    Ok(())
}

/// Checks that a sequence that was just interrupted ends soon, and with `code`.
fn ends_soon(watch: &Watch, code: ErrorCode) -> Result<(), Violation> {
    let produced = watch.tokens();
    let report = watch.ended()?;
    ensure!(report.state == EndState::Failed(code), "it ended in {:?} instead of {code:?}", report.state);
    let late = report.usage.completion_tokens - produced;
    ensure!(late <= LATE_TOKENS_MAX, "{late} tokens were generated after it was asked to stop");
    Ok(())
}

/// Checks that the rest of a stream ends with `code`.
fn fails_with(subject: &Subject, stream: TokenStream, code: ErrorCode) -> Result<(), Violation> {
    let rest = subject.collect_rest(stream)?;
    ensure!(rest.as_ref().is_err_and(|error| error.code == code), "the client got {rest:?} instead of {code:?}");
    Ok(())
}

pub(super) fn slow_reader(subject: &Subject) -> Result<(), Violation> {
    let sequence = subject.greedy(0)?;
    let alone = subject.run(sequence.clone())?;
    let (unread, watch) = subject.start_watched(&sequence);
    if subject.max_sequences() > 1 {
        let neighbour = subject.run(subject.greedy(1)?)?;
        ensure!(!neighbour.tokens.is_empty(), "the other sequence got no tokens");
    }
    // It ends although no event was read, and no event is lost.
    watch.ended()?;
    let ended = subject.collect(unread)?;
    let ids: Vec<_> = ended.tokens.iter().map(|token| token.id).collect();
    ensure!(ended.last.is_ok(), "the unread sequence failed: {:?}", ended.last);
    ensure!(ids == alone.ids(), "only {} of {} unread tokens arrived", ids.len(), alone.ids().len());
    Ok(())
}
