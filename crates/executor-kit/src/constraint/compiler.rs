//! From a request's constraint to the state of an answer.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::ready;
use hostler_executor::{CompileFuture, CompiledConstraint};
use hostler_protocol::{Constraint, ErrorCode, RequestError, TokenId};
use llguidance::api::{GrammarInit, ParserLimits, TopLevelGrammar};
use llguidance::{Logger, Matcher, ParserFactory};

use super::cache::Cache;
use super::pool::{Full, Pool};
use super::schema;
use super::state::{ConstraintState, Endings};

/// Of llguidance's log levels, the one that says nothing.
const SILENT: u32 = 0;

/// An error's text is at most so long: llguidance quotes what it was given.
const REASON_BYTES_MAX: usize = 400;

/// What one constraint may cost. llguidance's defaults are for schemas of megabytes; a
/// request holds 64 KiB.
fn limits() -> ParserLimits {
    ParserLimits {
        // Nodes of the lexer's expressions, about 4 µs each: at most 0.4 s. 300 properties
        // that are dates have 100,000.
        initial_lexer_fuel: 100_000,
        // Likewise for one token's mask, which the engine's thread computes.
        step_lexer_fuel: 20_000,
        // Parser items for one token's mask, 20,000 a millisecond.
        step_max_items: 50_000,
        // Up to 2 kB each, for each running answer.
        max_lexer_states: 50_000,
        // Symbols of all rules: a text of 64 KiB has fewer unless its repetitions explode.
        max_grammar_size: 100_000,
        // They would quote the grammar.
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Compiles constraints for one model.
#[derive(Clone)]
pub struct ConstraintCompiler {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

struct Shared {
    /// Holds the vocabulary as a tree, which takes a tenth of a second to build.
    factory: Arc<ParserFactory>,
    endings: Endings,
    cache: Mutex<Cache>,
}

impl ConstraintCompiler {
    /// A compiler for the vocabulary in `factory`, of a model that ends its answers
    /// with one of `end_tokens`.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn new(factory: Arc<ParserFactory>, end_tokens: &[TokenId]) -> std::io::Result<Self> {
        let grammar = factory.tok_env().tok_trie().eos_tokens().into();
        let endings = Endings { grammar, model: end_tokens.into() };
        let shared = Shared { factory, endings, cache: Mutex::new(Cache::new()) };
        Ok(Self { shared: Arc::new(shared), pool: Arc::new(Pool::start()?) })
    }

    /// The state of `constraint` after the part of the answer that is there already: a
    /// [`ConstraintState`] inside. Dropping the future gives up a place in the queue.
    ///
    /// # Errors
    /// As [`ModelExecutor::compile`](hostler_executor::ModelExecutor::compile).
    pub fn compile(&self, constraint: Constraint, answered: Vec<TokenId>) -> CompileFuture {
        let (reply, answer) = oneshot::channel();
        let (shared, param) = (Arc::clone(&self.shared), constraint.param());
        let job = move || {
            if !reply.is_canceled() {
                let compiled = shared.compile(constraint, &answered).map(CompiledConstraint::new);
                // A caller that no longer waits needs no answer.
                let _ = reply.send(compiled);
            }
        };
        if let Err(Full) = self.pool.submit(job) {
            let message = "too many constraints wait to be compiled; retry in a second";
            return ready(Err(RequestError::new(ErrorCode::Overloaded, message))).boxed();
        }
        let panicked = move |_| Err(refused(param, "the compiler failed on it"));
        answer.map(move |answer| answer.unwrap_or_else(panicked)).boxed()
    }
}

impl Shared {
    fn compile(&self, constraint: Constraint, answered: &[TokenId]) -> Result<ConstraintState, RequestError> {
        let param = constraint.param();
        let cached = self.cache().get(&constraint);
        let mut state = match cached {
            Some(state) => state,
            None => self.compile_new(constraint)?,
        };
        state.matcher.consume_tokens(answered).map_err(|error| refused(param, &error.to_string()))?;
        Ok(state)
    }

    fn compile_new(&self, constraint: Constraint) -> Result<ConstraintState, RequestError> {
        let param = constraint.param();
        let grammar = match &constraint {
            Constraint::JsonSchema(schema) => {
                let schema = serde_json::from_str(schema)
                    .map_err(|error| refused(param, &format!("the JSON schema is not JSON: {error}")))?;
                schema::check(&schema).map_err(|reason| refused(param, &reason))?;
                TopLevelGrammar::from_json_schema(schema)
            }
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(grammar) => {
                schema::check_in_lark(grammar).map_err(|reason| refused(param, &reason))?;
                TopLevelGrammar::from_lark(grammar.clone())
            }
        };
        let parser = self.factory.create_parser_from_init_ext(
            GrammarInit::Serialized(grammar),
            Logger::new(SILENT, SILENT),
            Default::default(),
            limits(),
        );
        let fuel = parser.as_ref().map_or(0, |parser| parser.parser_stats().lexer_cost);
        let matcher = Matcher::new(parser);
        if let Some(error) = matcher.get_error() {
            return Err(refused(param, &error));
        }
        let state = ConstraintState { matcher, endings: self.endings.clone() };
        self.cache().insert(constraint, state.clone(), fuel);
        Ok(state)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(param: &'static str, reason: &str) -> RequestError {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    RequestError::invalid(param, format!("{param} cannot be compiled: {}", &reason[..end]))
}

#[cfg(test)]
mod tests;
