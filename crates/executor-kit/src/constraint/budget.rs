//! How long an answer's constraint may occupy the engine's thread. Pure: times are arguments.

use std::time::Duration;

/// Allowance for each token. Masks of common schemas take 0.05 to 0.5 ms; an ambiguous grammar
/// within all other limits was measured at 175 ms, during which no other answer gets a token.
const PER_TOKEN: Duration = Duration::from_millis(4);

/// What an answer can save up, and has at its start: the first masks build the lexer's states.
/// Also how long the other answers of the batch may wait for one mask more than once.
const SAVINGS_MAX: Duration = Duration::from_millis(200);

/// The time that is left for the masks of one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaskBudget {
    left: Duration,
}

impl MaskBudget {
    pub(super) const fn new() -> Self {
        Self { left: SAVINGS_MAX }
    }

    /// Pays for a mask that took `time`.
    ///
    /// # Errors
    /// The budget is exceeded; the reason, for the client.
    pub(super) fn pay(&mut self, time: Duration) -> Result<(), String> {
        match (self.left + PER_TOKEN).checked_sub(time) {
            Some(left) => {
                self.left = left.min(SAVINGS_MAX);
                Ok(())
            }
            None => Err(format!(
                "it takes too long to find the tokens that it allows: more than {} ms a token, after {} ms in all",
                PER_TOKEN.as_millis(),
                SAVINGS_MAX.as_millis()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_masks_last_for_ever_and_slow_ones_use_up_the_budget() {
        let ms = Duration::from_millis;
        let mut quick = MaskBudget::new();
        assert!((0..100_000).all(|_| quick.pay(PER_TOKEN).is_ok()));
        assert!(quick.pay(SAVINGS_MAX).is_ok(), "one slow mask in a while is allowed");
        assert!(quick.pay(ms(9)).is_err());

        let mut slow = MaskBudget::new();
        assert_eq!((0..100).take_while(|_| slow.pay(ms(54)).is_ok()).count(), 4, "200 ms pay for 4 of 50 ms");
        assert!(MaskBudget::new().pay(ms(205)).is_err());
    }
}
