//! Answers that are sent as a whole.

use hostler_protocol::{Finish, FinishReason, RequestError, Token, TokenEvent, TokenId};

use super::labels::{LabelledToken, label};
use super::start::Begun;
use super::usage::Tally;
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::timing::ServerTiming;

/// One complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: Vec<TokenId>,
    /// Empty unless log probabilities were asked for.
    pub(crate) labelled: Vec<LabelledToken>,
    pub(crate) reason: FinishReason,
}

/// What has come of one choice.
#[derive(Default)]
struct Gathered {
    text: String,
    tokens: Vec<Token>,
    finish: Option<Finish>,
}

/// Waits for every choice to end.
///
/// # Errors
/// The first failure of any choice.
pub(crate) async fn collect(
    shared: &Shared,
    exchange: &Exchange,
    mut begun: Begun,
) -> Result<(Vec<Answer>, Tally), RequestError> {
    let mut gathered: Vec<Gathered> = std::iter::repeat_with(Gathered::default).take(begun.choices).collect();
    let mut tally = Tally::new(begun.choices, begun.n);
    let mut next = begun.first.take();
    while let Some((index, event)) = next {
        let choice = &mut gathered[index];
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => {
                exchange.count_token();
                choice.text.push_str(&token.text);
                choice.tokens.push(token);
            }
            TokenEvent::Finished(finish) => {
                choice.text.push_str(&finish.text);
                tally.end(index, &finish);
                choice.finish = Some(finish);
            }
            TokenEvent::Failed(error) => return Err(error),
        }
        next = begun.running.next().await;
    }
    exchange.timing.set(Some(ServerTiming::finished(&tally.timings(), exchange.elapsed())));
    let mut answers = Vec::with_capacity(gathered.len());
    for Gathered { text, tokens, finish } in gathered {
        let labelled = label(&shared.router, &begun.model, &tokens).await?;
        let reason = finish.map_or(FinishReason::Stop, |finish| finish.reason);
        let tokens = tokens.iter().map(|token| token.id).collect();
        answers.push(Answer { text, tokens, labelled, reason });
    }
    Ok((answers, tally))
}
