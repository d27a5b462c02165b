"""Cluster: the processes, their versions and their resource usage."""

from .parts import GREEN, NODE, RED, YELLOW, board, chart, listing, number, quantile, query, rate, timeline


def build():
    by_node = "{{node}}"
    return board(
        "hostler-cluster",
        "Hostler / Cluster",
        "Every process of the cluster: availability, version and resource usage.",
        [
            number(
                "Nodes up", "Processes that Prometheus can scrape.", query('sum(up{job="hostler"})', "up"), width=6,
            ),
            number(
                "Nodes down", "Processes that Prometheus has discovered and cannot scrape.",
                query('count(up{job="hostler"}) - sum(up{job="hostler"})', "down"),
                limits=[(None, GREEN), (1, RED)], width=6,
            ),
            number(
                "Schedulers serving", "Of all models.",
                query(f'sum(hostler_scheduler_state{{state="serving", {NODE}}})', "serving"), width=6,
            ),
            number(
                "Schedulers failed", "Schedulers whose engine has failed and is not running again yet.",
                query(f'sum(hostler_scheduler_state{{state="failed", {NODE}}})', "failed"),
                limits=[(None, GREEN), (1, RED)], width=6,
            ),
            timeline(
                "Up", "Whether Prometheus can scrape a process.", query('max by (instance) (up{job="hostler"})', "{{instance}}"),
                [("down", "red"), ("up", "green")], height=6,
            ),
            listing(
                "Versions", "Version, commit and uptime of every process.",
                query(f"max by (node, version, commit) (hostler_build_info{{{NODE}}})", "", instant=True, as_table=True),
                query(f"time() - max by (node) (process_start_time_seconds{{{NODE}}})", "", instant=True, as_table=True),
                names={"Value #A": None, "Value #B": "up for"}, unit="s", height=6,
            ),
            "Processes",
            chart(
                "CPU", "CPU cores used by each process.",
                query(rate("process_cpu_seconds_total", NODE, "node"), by_node), width=6,
            ),
            chart(
                "Memory", "Resident memory of each process, including models.",
                query(f"max by (node) (process_resident_memory_bytes{{{NODE}}})", by_node), unit="bytes", width=6,
            ),
            chart(
                "Open files", "Open file descriptors, including connections, divided by the limit.",
                query(f"max by (node) (process_open_fds{{{NODE}}} / process_max_fds{{{NODE}}})", by_node),
                unit="percentunit", limits=[(None, "transparent"), (0.8, YELLOW)], width=6,
            ),
            chart(
                "Threads", "Threads of each process.", query(f"max by (node) (process_threads{{{NODE}}})", by_node), width=6,
            ),
            "HTTP",
            chart(
                "HTTP requests by status", "All routes; 499: the client disconnected before the response began.",
                query(rate("hostler_http_requests_total", NODE, "status"), "{{status}}"), unit="reqps", stacked=True, width=8,
            ),
            chart(
                "HTTP requests in flight", "By process.",
                query(f"max by (node) (hostler_http_requests_in_flight{{{NODE}}})", by_node), width=8,
            ),
            chart(
                "HTTP requests by route", "Of all routes.",
                query(rate("hostler_http_requests_total", NODE, "route"), "{{route}}"), unit="reqps", stacked=True, width=8,
            ),
            chart(
                "HTTP time by route, p95",
                "From a request's head until its last byte. The smallest bucket is 50 ms.",
                query(quantile(0.95, "hostler_http_request_seconds", NODE, "route"), "{{route}}"),
                unit="s",
            ),
            chart(
                "Client disconnects", "Requests whose client disconnected before the response was complete, by route.",
                query(rate("hostler_http_disconnects_total", NODE, "route"), "{{route}}"), unit="reqps",
            ),
        ],
    )
