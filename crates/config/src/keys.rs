//! The table of keys: what each means and what it allows. It is enforced
//! ([`crate::load`]), and it is what people read (`docs/configuration.md`,
//! `config/hostler.toml`), so the two cannot differ.

use crate::Key;
use crate::key::Allowed;

const fn key(path: &'static str, allowed: Allowed, help: &'static str) -> Key {
    Key { path, allowed, help }
}

use Allowed::{Form, List, OneOf, Optional, OptionalWhole, Table, Whole};

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Every key, section by section, in the order in which they are documented.
pub const KEYS: &[Key] = &[
    key(
        "server.address",
        Form("IP:PORT"),
        "Where the HTTP server listens. Port 0 takes a free one. Use 0.0.0.0:8080 to serve other machines, and set api_keys then.",
    ),
    key(
        "server.api_keys",
        Table("NAME = { key = \"KEY\", admin = false }, keys of 8 or more characters"),
        "Who may come in: the name of a client, which its work is accounted to, and the key that it sends as `Authorization: Bearer KEY`; admin opens /admin to it too. Empty: everyone may, everything.",
    ),
    key(
        "server.http_threads",
        Whole(1, 256),
        "Threads that speak HTTP. Two carry thousands of tokens a second; the other cores belong to the engines.",
    ),
    key(
        "server.connections_max",
        Whole(1, 1_000_000),
        "Most connections of one HTTP thread; more wait to be accepted. With body_bytes_max this bounds memory.",
    ),
    key(
        "server.body_bytes_max",
        Whole(1024, 1 << 30),
        "Largest request body, in bytes; more is answered with 413. A context of 128k tokens fits into the default of 1 MiB.",
    ),
    key("server.head_timeout_seconds", Whole(1, 600), "How long a client may take to send the head of a request."),
    key("server.body_timeout_seconds", Whole(1, 3600), "How long a client may take to send the body of a request."),
    key(
        "server.keep_alive_seconds",
        Whole(1, DAY_SECONDS),
        "How long an idle connection is kept open. Longer than a load balancer in front keeps its own, or it meets connections that have just closed.",
    ),
    key(
        "server.request_timeout_seconds",
        Whole(1, DAY_SECONDS),
        "How long a request may take at most, queue included; then it ends with 504. Also the largest timeout that a request may name.",
    ),
    key(
        "server.stalled_client_timeout_seconds",
        Whole(1, DAY_SECONDS),
        "How long a client may leave unread what was sent to it before its connection is closed.",
    ),
    key(
        "server.unready_seconds",
        Whole(0, 3600),
        "How long a shutdown goes on serving while /readyz says 503, so that a balancer which asks there sends new clients elsewhere. Then no connection is taken any more.",
    ),
    key("server.drain_timeout_seconds", Whole(0, DAY_SECONDS), "How long a shutdown waits for requests that run."),
    key("log.format", OneOf(&["text", "json"]), "How a log line looks: for people, or one JSON object a line."),
    key("log.filter", Form("a level (error, warn, info, debug, trace), or target=level,…"), "Which events are logged."),
    key(
        "tracing.otlp_endpoint",
        Optional("http://HOST:PORT"),
        "The collector that traces of requests are sent to, by OpenTelemetry's protocol over gRPC; usually port 4317. Left out: nothing is recorded.",
    ),
    key(
        "tracing.sample_ratio",
        Form("a number from 0 to 1"),
        "The share of requests that is traced. A client that sends a traceparent decides for its own requests.",
    ),
    key(
        "models.store",
        Optional("a folder"),
        "Where pulled models are kept. Default: hostler/models in the user's data folder ($XDG_DATA_HOME, else ~/.local/share).",
    ),
    key(
        "router.policy",
        OneOf(&["least_loaded", "round_robin", "random", "power_of_two", "prefix_aware", "session"]),
        "How the router chooses among the schedulers of a model: least_loaded by the least outstanding token work; round_robin in turn; random; power_of_two the less loaded of two drawn at random; prefix_aware the one that has lately read the longest beginning of the prompt; session by the header `x-hostler-session`. The last two give way where their choice is overloaded.",
    ),
    key(
        "router.requests_max",
        Whole(1, 1_000_000),
        "Most requests in the router at once, waiting and running; what comes beyond is refused with 429. The schedulers' queues are the limit that is met first.",
    ),
    key(
        "router.attempts_max",
        Whole(1, 64),
        "Most schedulers that one request is offered to before their refusal is passed on.",
    ),
    key(
        "router.retry_share_percent",
        Whole(0, 100),
        "Offers beyond the first that are allowed for each hundred requests, so that retries do not multiply an overload.",
    ),
    key(
        "router.retries_per_second",
        Whole(0, 10_000),
        "Such offers a second that are allowed beside, however few the requests.",
    ),
    key(
        "router.moves_max",
        Whole(0, 16),
        "Most times that one answer is continued on another scheduler when its own fails. 0: it ends with an error.",
    ),
    key(
        "router.move_wait_seconds",
        Whole(0, 600),
        "How long a scheduler that can continue an answer is looked for, while the others are full or restarting.",
    ),
    key(
        "router.breaker_failures",
        Whole(1, 1000),
        "Failures of its own in a row after which a scheduler gets no requests for a while.",
    ),
    key("router.breaker_open_seconds", Whole(1, 3600), "How long that is; then one request tries it again."),
    key(
        "router.slow_start_seconds",
        Whole(0, 3600),
        "How long a scheduler that has just begun to serve gets less than its share, beside others that have served for longer.",
    ),
    key(
        "router.wait_seconds_max",
        Whole(0, DAY_SECONDS),
        "Longest time that a request waits where every scheduler of its model is claimed or kept from serving by a claim, as by a benchmark; then it is refused with 503. requests_max bounds how many wait.",
    ),
    key(
        "benchmarks.store",
        Optional("a folder"),
        "Where results of benchmarks are kept. Default: hostler/benchmarks in the user's data folder ($XDG_DATA_HOME, else ~/.local/share). It belongs to one server at a time; a second one keeps its results in memory.",
    ),
    key("benchmarks.queue_max", Whole(0, 1_000), "Most benchmarks that wait for their turn; one runs at a time."),
    key(
        "benchmarks.kept_max",
        Whole(1, 100_000),
        "Most results that are kept; the oldest make room. One takes some 50 kB.",
    ),
    key(
        "benchmarks.seconds_max",
        Whole(1, DAY_SECONDS),
        "Longest time that a benchmark may take, and hold a scheduler.",
    ),
    key(
        "cluster.workers",
        List("a list of http://HOST:PORT, https://HOST:PORT and unix:/PATH"),
        "For `hostler gateway`: the workers whose schedulers it serves. One that is not there is tried until it is.",
    ),
    key(
        "cluster.connections",
        Whole(1, 64),
        "For a gateway: connections to each worker, shared by all streams. Each carries 4,000.",
    ),
    key(
        "cluster.silence_seconds_max",
        Whole(2, 600),
        "For a gateway: a worker that says nothing for so long is lost, and what ran there ends or goes on elsewhere. Workers say something every second.",
    ),
    key(
        "cluster.tls.authority",
        Optional("a PEM file"),
        "For a gateway: the certificate of the authority that vouches for workers with an https URL.",
    ),
    key(
        "cluster.tls.certificate",
        Optional("a PEM file"),
        "For a gateway: the certificate that it shows to workers which ask for one. It needs cluster.tls.key.",
    ),
    key("cluster.tls.key", Optional("a PEM file"), "For a gateway: the private key of that certificate."),
    key(
        "cluster.tls.server_name",
        Optional("a host name"),
        "For a gateway: the name that workers' certificates must have. Default: the host in the URL.",
    ),
    key(
        "cluster.etcd.endpoints",
        List("a list of http://HOST:PORT and https://HOST:PORT"),
        "Where workers say that they are there, and gateways find them, instead of cluster.workers. With it any number of gateways agree on claims. While etcd is away, the last known workers go on serving.",
    ),
    key(
        "cluster.etcd.prefix",
        Form("/NAME"),
        "What this cluster's keys in etcd begin with, so that several clusters can share one etcd.",
    ),
    key(
        "cluster.etcd.lease_seconds",
        Whole(2, 600),
        "How long a record in etcd lasts when its writer is gone. It is renewed three times in that.",
    ),
    key(
        "cluster.etcd.tls.authority",
        Optional("a PEM file"),
        "The certificate of the authority that vouches for etcd, for https endpoints.",
    ),
    key(
        "cluster.etcd.tls.certificate",
        Optional("a PEM file"),
        "The certificate shown to an etcd that asks for one. It needs cluster.etcd.tls.key.",
    ),
    key("cluster.etcd.tls.key", Optional("a PEM file"), "The private key of that certificate."),
    key(
        "worker.listen",
        Form("IP:PORT or unix:/PATH"),
        "For `hostler worker`: where gateways connect. Whoever can connect can use the engines: name an address of a private network, or use TLS with client_authority.",
    ),
    key(
        "worker.advertise",
        Optional("http://HOST:PORT, https://HOST:PORT or unix:/PATH"),
        "For a worker with cluster.etcd: where gateways reach it. Default: where it listens; needed where that is every address, as 0.0.0.0 is.",
    ),
    key(
        "worker.name",
        Optional("up to 63 of a-z, 0-9, - and _"),
        "For a worker: its name, unique in the cluster; its schedulers are NAME.SCHEDULER there. Default: the name of the machine, and the port or the socket's name.",
    ),
    key(
        "worker.http_address",
        Optional("IP:PORT"),
        "For a worker: where it answers /livez, /readyz and /metrics over HTTP. Left out: nowhere.",
    ),
    key(
        "worker.drain_timeout_seconds",
        Whole(0, DAY_SECONDS),
        "How long a worker that is told to end waits for requests that run.",
    ),
    key(
        "worker.tls.certificate",
        Optional("a PEM file"),
        "For a worker: the certificate that it shows to gateways, which then use https. It needs worker.tls.key.",
    ),
    key("worker.tls.key", Optional("a PEM file"), "For a worker: the private key of that certificate."),
    key(
        "worker.tls.client_authority",
        Optional("a PEM file"),
        "For a worker: the certificate of the authority whose certificates gateways must show (mutual TLS). Without it everybody who can connect is let in.",
    ),
    key(
        "scheduler.model",
        Form("a catalogue name, a hub id (owner/name), or a path"),
        "The model. `hostler model list` shows the catalogue.",
    ),
    key(
        "scheduler.served_name",
        Optional("text without spaces"),
        "The name under which clients ask for the model. Default: the model's own.",
    ),
    key(
        "scheduler.engine",
        OneOf(&["mistralrs", "llamacpp", "simulated"]),
        "What runs the model: mistralrs (made for GPUs), llamacpp (the fast one on CPUs), simulated (no model at all: a cost model that makes up text, for tests and planning).",
    ),
    key(
        "scheduler.device",
        Form("auto, cpu, cpu:CORES (such as cpu:0-3), cuda:N, metal, vulkan:N, rocm:N"),
        "Where it runs. auto is the first GPU of the kind that the binary is built for, else all cores.",
    ),
    key(
        "scheduler.isolation",
        OneOf(&["auto", "process", "thread"]),
        "Whether the engine runs in a process of its own, bound to its device, whose crash costs its own requests only; or in a thread of this one. auto is process on a CPU when there is more than one scheduler, else thread.",
    ),
    key(
        "scheduler.replicas",
        Whole(1, 64),
        "So many schedulers like this one, NAME, NAME-2 and so on, which share the cores of a CPU evenly, each in a process of its own. Each loads the model. For engine mistralrs, which runs one sequence at a time on a CPU, one for each core is faster than one on all of them, and so `make run` has it; llamacpp is faster as one.",
    ),
    key(
        "scheduler.max_batch_size",
        Whole(1, 1024),
        "Most sequences in flight. The engine's own limit counts too: mistralrs on a CPU runs one.",
    ),
    key(
        "scheduler.max_context_length",
        Whole(16, 1 << 20),
        "Most tokens of a sequence, prompt and output together. The model's own limit counts too.",
    ),
    key(
        "scheduler.simulated",
        Table("a table"),
        "For engine simulated, and checked by it: kv_capacity_tokens, batching, prefill, cost, prefix_cache_tokens, eos_after, faults. See \"The simulated engine\" in docs/configuration.md.",
    ),
    key(
        "scheduler.queue.requests_max",
        Whole(0, 1_000_000),
        "Most requests that wait; one more is refused with 429 and a time to come back. It guards memory: wait_seconds_max is the bound that is met first.",
    ),
    key(
        "scheduler.queue.tokens_max",
        Whole(0, 1 << 40),
        "Most tokens that wait, prompts and max_tokens together. A single request is admitted to an empty queue whatever its size.",
    ),
    key(
        "scheduler.queue.wait_seconds_max",
        Whole(1, DAY_SECONDS),
        "Longest time in the queue. A request whose estimated wait is longer is refused at once.",
    ),
    key(
        "scheduler.queue.default_passed_over_max",
        Whole(1, 1_000_000),
        "After so many starts of interactive requests a waiting request of the default class has its turn.",
    ),
    key(
        "scheduler.queue.batch_passed_over_max",
        Whole(1, 1_000_000),
        "After so many starts of others a waiting request of the batch class has its turn.",
    ),
    key(
        "scheduler.batching.cohort_spread_tokens",
        Whole(0, 1 << 20),
        "For engines that run only sequences of equal length in one step: most tokens by which the lengths in a cohort differ.",
    ),
    key(
        "scheduler.batching.cohort_wait_ms_max",
        Whole(0, 3_600_000),
        "For such engines: longest time for which a free slot stays free, while somebody waits, for the cohort to drain. 0 refills continuously.",
    ),
    key(
        "scheduler.batching.long_prompt_tokens",
        Whole(1, 1 << 20),
        "For engines that read a prompt in one piece: from this length on it counts as long.",
    ),
    key(
        "scheduler.batching.long_prompt_wait_ms_max",
        Whole(0, 3_600_000),
        "For such engines: longest time for which a long prompt waits for a moment when nothing runs.",
    ),
    key(
        "scheduler.recovery.watchdog_seconds",
        Whole(1, DAY_SECONDS),
        "An engine that runs sequences and makes no step for so long counts as hung, and is replaced. It must exceed the longest step: an engine that reads a prompt in one piece took 29 s for 1,500 tokens.",
    ),
    key(
        "scheduler.recovery.restarts_max",
        Whole(0, 1_000),
        "Most restarts of an engine within restart_window_seconds; then the scheduler stays failed until the window has moved on.",
    ),
    key(
        "scheduler.recovery.restart_window_seconds",
        Whole(1, DAY_SECONDS),
        "The window in which restarts are counted.",
    ),
    key(
        "scheduler.recovery.restart_backoff_ms",
        Whole(0, 3_600_000),
        "Pause before the first restart; it doubles with each further one in the window.",
    ),
    key("scheduler.recovery.restart_backoff_ms_max", Whole(0, 3_600_000), "Longest pause before a restart."),
    key(
        "scheduler.mistralrs.weight_format",
        OneOf(&["native", "f32", "f16", "bf16", "q8_0"]),
        "For engine mistralrs: how weights from safetensors are held in memory; native is what suits the device. A GGUF file is run as it is.",
    ),
    key(
        "scheduler.llamacpp.prefill_chunk_tokens",
        Whole(1, 65_536),
        "For engine llamacpp: most prompt tokens in one step, which bounds the gap between the tokens of others while a prompt is read.",
    ),
    key(
        "scheduler.llamacpp.threads",
        OptionalWhole(1, 1024),
        "For engine llamacpp: threads that compute. Default: one for each core of the device.",
    ),
];
