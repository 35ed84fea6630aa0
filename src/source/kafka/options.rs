//! The options of a source of this kind: those of ours, and the properties of librdkafka that are passed on.
//!
//! librdkafka has some two hundred; these are the ones that connect, secure and tune a consumer. What decides how much is
//! read and from where is not among them, because that is what we promise.

use rdkafka::config::ClientConfig;

use crate::source::options::{Form, Known, Need, Secret, Values};

/// What stands in front of librdkafka's own names.
const PREFIX: &str = "properties.";

const fn passed(name: &'static str, aliases: &'static [&'static str], form: Form, meaning: &'static str) -> Known {
    Known { name, aliases, meaning, need: Need::Optional, form }
}

const fn number(name: &'static str, least: u64, most: u64, meaning: &'static str) -> Known {
    passed(name, &[], Form::Number(least, most), meaning)
}

/// The options of a source.
pub(super) const OF_SOURCE: &[Known] = &[
    Known {
        name: "properties.bootstrap.servers",
        aliases: &["properties.bootstrap.server", "brokers"],
        meaning: "brokers to begin with, as host:port,host:port",
        need: Need::Required("localhost:9092"),
        form: Form::Text,
    },
    Known {
        name: "on_gap",
        aliases: &[],
        meaning: "what to do when messages were deleted before they were read, or the topic is another one",
        need: Need::Default("halt"),
        form: Form::OneOf(&["halt", "resync"]),
    },
    Known {
        name: "scan.startup.mode",
        aliases: &[],
        meaning: "where a table begins",
        need: Need::Default("earliest"),
        form: Form::OneOf(&["earliest", "earliest-offset"]),
    },
    passed(
        "transaction.topic",
        &[],
        Form::Text,
        "the topic in which Debezium tells where transactions end: they are applied whole",
    ),
    Known {
        name: "transaction.wait",
        aliases: &[],
        meaning: "how long the rest of a transaction is waited for",
        need: Need::Default("10s"),
        form: Form::Duration,
    },
    Known {
        name: "transaction.held.kbytes",
        aliases: &[],
        meaning: "how much may wait for the rest of transactions before reading pauses, in KiB",
        need: Need::Default("65536"),
        form: Form::Number(1, 2_097_151),
    },
    passed(
        "properties.security.protocol",
        &[],
        Form::OneOf(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        "how to speak to the brokers",
    ),
    passed(
        "properties.sasl.mechanism",
        &["properties.sasl.mechanisms"],
        Form::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "how to say who we are",
    ),
    passed("properties.sasl.username", &[], Form::Text, "the user"),
    passed("properties.sasl.password", &[], Form::Secret, "the user's password"),
    passed("properties.ssl.ca.location", &[], Form::Path, "certificates of those who may vouch for brokers"),
    passed("properties.ssl.certificate.location", &[], Form::Path, "our certificate"),
    passed("properties.ssl.key.location", &[], Form::Path, "our private key"),
    passed("properties.ssl.key.password", &[], Form::Secret, "the password of our private key"),
    passed(
        "properties.ssl.endpoint.identification.algorithm",
        &[],
        Form::OneOf(&["https", "none"]),
        "whether a broker's certificate has to be for its host",
    ),
    passed("properties.client.id", &[], Form::Text, "what brokers call us in their logs"),
    passed("properties.client.rack", &[], Form::Text, "our rack: the nearest replica is read"),
    passed("properties.group.id", &[], Form::Text, "the group in brokers' access rules; it is never joined"),
    passed("properties.broker.address.family", &[], Form::OneOf(&["any", "v4", "v6"]), "the version of IP"),
    passed(
        "properties.client.dns.lookup",
        &[],
        Form::OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]),
        "how names become addresses",
    ),
    passed("properties.socket.keepalive.enable", &[], Form::Boolean, "whether idle connections are kept alive"),
    number("properties.socket.timeout.ms", 10, 300_000, "how long a request may take"),
    number("properties.socket.connection.setup.timeout.ms", 1_000, 300_000, "how long connecting may take"),
    number("properties.reconnect.backoff.ms", 0, 3_600_000, "the first pause before connecting again"),
    number("properties.reconnect.backoff.max.ms", 0, 3_600_000, "the longest pause before connecting again"),
    number("properties.connections.max.idle.ms", 0, 86_400_000, "when an idle connection is closed"),
    number("properties.metadata.max.age.ms", 1, 86_400_000, "how old what is known of the cluster may be"),
    number("properties.fetch.wait.max.ms", 0, 300_000, "how long a broker waits for the first byte"),
    number("properties.fetch.min.bytes", 1, 100_000_000, "for how much a broker waits"),
    number("properties.fetch.max.bytes", 0, 2_147_483_135, "how much one answer may hold"),
    passed(
        "properties.max.partition.fetch.bytes",
        &["properties.fetch.message.max.bytes"],
        Form::Number(1, 1_000_000_000),
        "how much of one partition an answer may hold",
    ),
    number("properties.receive.message.max.bytes", 1_000, 2_147_483_647, "the largest answer that is taken"),
    number("properties.queued.max.messages.kbytes", 1, 2_097_151, "how much is fetched ahead of the engine"),
    number("properties.queued.min.messages", 1, 10_000_000, "below how many waiting messages more are fetched"),
];

/// How the brokers are reached.
#[derive(Debug, Clone)]
pub(super) struct Connection(Vec<(&'static str, Setting)>);

#[derive(Debug, Clone)]
enum Setting {
    Shown(String),
    Secret(Secret),
}

impl Connection {
    /// From the values of [`OF_SOURCE`].
    pub(super) fn of(values: &Values) -> Connection {
        let setting = |it: &Known| {
            let name = it.name.strip_prefix(PREFIX)?;
            let value = match it.form {
                Form::Text | Form::OneOf(_) => Setting::Shown(values.text(it.name)?.into()),
                Form::Number(..) => Setting::Shown(values.number(it.name)?.to_string()),
                Form::Boolean => Setting::Shown(values.boolean(it.name)?.to_string()),
                Form::Path => Setting::Shown(values.path(it.name)?.display().to_string()),
                Form::Secret => Setting::Secret(values.secret(it.name)?.clone()),
                Form::Duration => unreachable!("librdkafka counts milliseconds"),
            };
            Some((name, value))
        };
        Connection(OF_SOURCE.iter().filter_map(setting).collect())
    }

    /// The brokers, as they were given.
    pub(super) fn servers(&self) -> &str {
        let servers = self.0.iter().find_map(|(name, value)| match value {
            Setting::Shown(value) if *name == "bootstrap.servers" => Some(value.as_str()),
            _ => None,
        });
        servers.expect("a required option")
    }

    /// Sets everything that was given.
    pub(super) fn configure(&self, config: &mut ClientConfig) {
        for (name, value) in &self.0 {
            match value {
                Setting::Shown(value) => config.set(*name, value),
                Setting::Secret(secret) => config.set(*name, secret.reveal()),
            };
        }
    }
}
