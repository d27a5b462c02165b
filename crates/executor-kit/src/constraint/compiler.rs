//! Compiles a request's constraint to the initial state of its answer.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::ready;
use hostler_executor::{CompileFuture, CompiledConstraint};
use hostler_protocol::{Constraint, ErrorCode, RequestError, TenantId, TokenId};
use hostler_util::FairPool;
use llguidance::api::{GrammarInit, ParserLimits, TopLevelGrammar};
use llguidance::{Logger, Matcher, ParserFactory};
use parking_lot::Mutex;

use super::budget::MaskBudget;
use super::cache::Cache;
use super::pool;
use super::schema;
use super::state::{ConstraintState, Endings};

/// The log level of llguidance that logs nothing.
const SILENT: u32 = 0;

/// Maximum length of an error, because llguidance quotes its input.
const REASON_CHARS_MAX: usize = 400;

/// The limits of one constraint. llguidance's defaults are for schemas of megabytes; a
/// request has at most 64 KiB.
fn limits() -> ParserLimits {
    ParserLimits {
        // Nodes of the lexer's expressions, about 4 µs each: at most 0.4 s. A schema of 300
        // date properties has 100,000.
        initial_lexer_fuel: 100_000,
        // The same for the mask of one token, which the engine's thread computes.
        step_lexer_fuel: 20_000,
        // Parser items for the mask of one token; 20,000 take a millisecond.
        step_max_items: 50_000,
        // Up to 2 kB each, for each running answer.
        max_lexer_states: 50_000,
        // Symbols of all rules: a text of 64 KiB has fewer, unless it has huge repetitions.
        max_grammar_size: 100_000,
        // Verbose errors quote the grammar.
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Compiles constraints for one model.
#[derive(Clone)]
pub struct ConstraintCompiler {
    shared: Arc<Shared>,
    pool: Arc<FairPool<TenantId>>,
}

struct Shared {
    /// Contains the vocabulary as a trie, which takes 0.1 s to build.
    factory: Arc<ParserFactory>,
    endings: Endings,
    cache: Mutex<Cache>,
    /// Who waits for each queued constraint: however many requests send one at once, it is
    /// compiled once. By tenant too, so that nobody waits for another tenant's turn.
    waiting: Mutex<HashMap<(TenantId, Constraint), Vec<Waiter>>>,
}

/// A request that waits for its constraint.
struct Waiter {
    answered: Vec<TokenId>,
    reply: oneshot::Sender<Result<CompiledConstraint, RequestError>>,
}

impl ConstraintCompiler {
    /// A compiler for the vocabulary in `factory`, of a model that ends its answers with one
    /// of `end_tokens`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(factory: Arc<ParserFactory>, end_tokens: &[TokenId]) -> std::io::Result<Self> {
        let grammar = factory.tok_env().tok_trie().eos_tokens().into();
        let endings = Endings { grammar, model: end_tokens.into() };
        let shared = Shared { factory, endings, cache: Mutex::new(Cache::new()), waiting: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), pool: Arc::new(pool::start()?) })
    }

    /// Compiles `constraint` to a [`ConstraintState`] after the tokens `answered`. A compilation
    /// is skipped if all futures that wait for it were dropped before its turn.
    ///
    /// # Errors
    /// As [`ModelExecutor::compile`](hostler_executor::ModelExecutor::compile).
    pub fn compile(&self, tenant: &TenantId, constraint: Constraint, answered: Vec<TokenId>) -> CompileFuture {
        let (reply, answer) = oneshot::channel();
        let param = constraint.param();
        let key = (tenant.clone(), constraint);
        let mut waiting = self.shared.waiting.lock();
        let waiters = waiting.entry(key.clone()).or_default();
        waiters.push(Waiter { answered, reply });
        if waiters.len() == 1 {
            let (shared, job_key) = (Arc::clone(&self.shared), key.clone());
            if self.pool.submit(tenant.clone(), move || shared.compile_waiting(&job_key)).is_err() {
                waiting.remove(&key);
                let message = "too many constraints are waiting to be compiled; retry in a second";
                return ready(Err(RequestError::new(ErrorCode::Overloaded, message))).boxed();
            }
        }
        drop(waiting);
        let panicked = move |_| Err(rejected(param, "the compiler panicked"));
        answer.map(move |answer| answer.unwrap_or_else(panicked)).boxed()
    }
}

impl Shared {
    /// Compiles a constraint for all requests that wait for it. If that panics, they are
    /// answered, because their senders are dropped.
    fn compile_waiting(&self, key: &(TenantId, Constraint)) {
        let mut waiters = self.waiting.lock().remove(key).unwrap_or_default();
        waiters.retain(|waiter| !waiter.reply.is_canceled());
        for Waiter { answered, reply } in waiters {
            // All but the first find it in the cache. A caller may have dropped its future.
            let _ = reply.send(self.compile(&key.1, &answered).map(CompiledConstraint::new));
        }
    }

    fn compile(&self, constraint: &Constraint, answered: &[TokenId]) -> Result<ConstraintState, RequestError> {
        let cached = self.cache.lock().get(constraint);
        let result = cached.unwrap_or_else(|| {
            let (result, fuel) = match self.compile_new(constraint) {
                Ok((state, fuel)) => (Ok(state), fuel),
                Err(error) => (Err(error), 0),
            };
            self.cache.lock().insert(constraint.clone(), result.clone(), fuel);
            result
        });
        let mut state = result?;
        state.matcher.consume_tokens(answered).map_err(|error| rejected(constraint.param(), &error.to_string()))?;
        Ok(state)
    }

    /// The state, and the fuel that it took.
    fn compile_new(&self, constraint: &Constraint) -> Result<(ConstraintState, u64), RequestError> {
        let param = constraint.param();
        let grammar = match constraint {
            Constraint::JsonSchema(schema) => {
                let mut schema = serde_json::from_str(schema)
                    .map_err(|error| rejected(param, &format!("the JSON schema is not JSON: {error}")))?;
                schema::check(&schema).map_err(|reason| rejected(param, &reason))?;
                schema::bound_whitespace(&mut schema);
                TopLevelGrammar::from_json_schema(schema)
            }
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(grammar) => {
                schema::check_in_lark(grammar).map_err(|reason| rejected(param, &reason))?;
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
            return Err(rejected(param, &error));
        }
        Ok((ConstraintState { matcher, endings: self.endings.clone(), budget: MaskBudget::new() }, fuel))
    }
}

fn rejected(param: &'static str, reason: &str) -> RequestError {
    let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
    RequestError::invalid(param, format!("{param} cannot be compiled: {reason}"))
}

#[cfg(test)]
mod tests;
