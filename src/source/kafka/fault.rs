//! What gets in the way of reading topics, in one line each, and whether it may pass by itself.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::source::format::{Poison, Unread};
use crate::source::link::Gone;

/// Why an attempt to follow the topics ended.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine wants no more.
    Stopped,
    /// The topics are not what they were when the attempt began: look at them anew.
    Reopen,
    /// It may pass by itself.
    Retry(String),
    /// A person has to mend something.
    Halt(String),
}

impl From<Gone> for Fault {
    fn from(_: Gone) -> Fault {
        Fault::Stopped
    }
}

impl From<Unread> for Fault {
    fn from(unread: Unread) -> Fault {
        match unread {
            Unread::Later(reason) => Fault::Retry(reason),
            // What cannot be read halts the table that wants it; whoever knows no table has nothing else to halt.
            Unread::Refused(reason) | Unread::Poison(Poison(reason)) => Fault::Halt(reason),
        }
    }
}

/// What an error of librdkafka is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A broker cannot be reached or does not answer; librdkafka goes on trying.
    Unreachable,
    /// Who we are, or what we may do, is not accepted.
    Denied,
    /// The topic or partition is not there.
    Missing,
    /// What is asked for is not in the log any more, or not yet.
    OutOfRange,
    /// A step on the way to what is told otherwise.
    Passing,
    /// Everything else.
    Other,
}

/// What the error means.
pub(super) fn meaning(error: &KafkaError) -> Meaning {
    let Some(code) = error.rdkafka_error_code() else { return Meaning::Other };
    match code {
        Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable => Meaning::Unreachable,
        Code::Authentication
        | Code::SSL
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => Meaning::Denied,
        Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition | Code::UnknownTopicId => {
            Meaning::Missing
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => Meaning::OutOfRange,
        Code::BrokerTransportFailure
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::UnknownLeaderEpoch
        | Code::FencedLeaderEpoch
        | Code::NodeUpdate => Meaning::Passing,
        _ => Meaning::Other,
    }
}

/// The fault of a request that failed, while `doing` something; `heard` is what librdkafka last said by itself, which
/// tells more than the error does.
pub(super) fn fault(doing: &str, error: &KafkaError, heard: Option<String>) -> Fault {
    let words = words(error, heard);
    match meaning(error) {
        Meaning::Denied => Fault::Halt(format!("{doing}: {words}")),
        _ => Fault::Retry(format!("{doing}: {words}")),
    }
}

/// What is told of an error.
pub(super) fn words(error: &KafkaError, heard: Option<String>) -> String {
    let plain = || match error.rdkafka_error_code() {
        Some(code) => code.to_string(),
        None => error.to_string(),
    };
    heard.unwrap_or_else(plain)
}
