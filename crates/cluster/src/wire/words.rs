//! Words: the enumerations of both sides.

use hostler_protocol::{Batching, ClaimDrain, Engine, ErrorCode, FinishReason, Priority, Role};
use hostler_scheduler::SchedulerState;

use super::{Malformed, proto};

/// Pairs the words of both sides, which have the same names. The zero of the wire,
/// `Unspecified`, also stands for words that are not known here.
macro_rules! words {
    ($name:ident: $($word:ident),*) => {
        impl From<$name> for proto::$name {
            fn from(own: $name) -> Self {
                match own {
                    $($name::$word => Self::$word),*
                }
            }
        }

        impl TryFrom<proto::$name> for $name {
            type Error = Malformed;

            fn try_from(word: proto::$name) -> Result<Self, Malformed> {
                match word {
                    $(proto::$name::$word => Ok(Self::$word),)*
                    proto::$name::Unspecified => {
                        Err(Malformed(concat!("no ", stringify!($name), ", or one that is not known here").to_owned()))
                    }
                }
            }
        }
    };
}

words!(Role: System, User, Assistant, Tool);
words!(Priority: Interactive, Default, Batch);
words!(FinishReason: Stop, Length);
words!(ClaimDrain: Wait, Evict, Fail);
words!(Engine: Mistralrs, Llamacpp, Simulated);
words!(Batching: Ragged, EqualLength);
words!(SchedulerState: Starting, Serving, Draining, Claimed, Failed, Stopped);
words!(ErrorCode: InvalidRequest, Unauthenticated, Forbidden, NotFound, RequestTooLarge, Overloaded, Cancelled,
    Internal, EngineFailed, Unavailable, DeadlineExceeded);
