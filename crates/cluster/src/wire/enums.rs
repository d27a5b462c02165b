//! Enums: each has the same variants in Rust and on the wire.

use hostler_protocol::{Batching, ClaimDrain, Engine, ErrorCode, ErrorReason, FinishReason, Priority, Role};
use hostler_scheduler::SchedulerState;

use super::{Malformed, proto};

/// Converts an enum in both directions. On the wire, zero is `Unspecified`; values that this
/// version does not know are read as `Unspecified` too, and refused.
macro_rules! convert_enum {
    ($name:ident: $($variant:ident),*) => {
        impl From<$name> for proto::$name {
            fn from(own: $name) -> Self {
                match own {
                    $($name::$variant => Self::$variant),*
                }
            }
        }

        impl TryFrom<proto::$name> for $name {
            type Error = Malformed;

            fn try_from(message: proto::$name) -> Result<Self, Malformed> {
                match message {
                    $(proto::$name::$variant => Ok(Self::$variant),)*
                    proto::$name::Unspecified => {
                        Err(Malformed(concat!("the value of ", stringify!($name), " is missing or unknown").to_owned()))
                    }
                }
            }
        }
    };
}

convert_enum!(Role: System, User, Assistant, Tool);
convert_enum!(Priority: Interactive, Default, Batch);
convert_enum!(FinishReason: Stop, Length);
convert_enum!(ClaimDrain: Wait, Evict, Fail);
convert_enum!(Engine: Mistralrs, Llamacpp, Simulated);
convert_enum!(Batching: Ragged, EqualLength);
convert_enum!(SchedulerState: Starting, Serving, Draining, Claimed, Failed, Stopped);
convert_enum!(ErrorCode: InvalidRequest, Unauthenticated, Forbidden, NotFound, RequestTooLarge, Overloaded, Cancelled,
    Internal, EngineFailed, Unavailable, DeadlineExceeded);
convert_enum!(ErrorReason: ContextLengthExceeded, ModelNotFound);
