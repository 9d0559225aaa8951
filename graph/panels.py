"""The dashboard as a table: every panel with its queries, in the order in which one looks."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """``queries``: PromQL by what its lines are called. ``unit`` is Grafana's. ``needs_gpu``: Ray
    exports this only where a real GPU is."""

    title: str
    unit: str
    about: str
    queries: Mapping[str, str]
    is_stacked: bool = False
    needs_gpu: bool = False


def _quantiles(metric: str, *shares: float) -> dict[str, str]:
    return {f"p{share * 100:g}": _quantile(metric, share) for share in shares}


def _quantile(metric: str, share: float, by: str = "le", labels: str = "") -> str:
    rate = f"rate(ray_{metric}_bucket{labels}[$__rate_interval])"
    return f"histogram_quantile({share:g}, sum by ({by}) ({rate}))"


def _rate(metric: str, by: str = "") -> str:
    grouped = f" by ({by}) " if by else ""
    return f"sum{grouped}(rate(ray_{metric}[$__rate_interval]))"


def _sum(metric: str, by: str = "") -> str:
    grouped = f" by ({by}) " if by else ""
    return f"sum{grouped}(ray_{metric})"


def _of_replicas(component_metric: str) -> str:
    """Ray names processes after what they are just doing; the deployment is the part that stays."""
    named = f'ray_{component_metric}{{Component=~"ray::ServeReplica:avatar:.*"}}'
    pattern = "ray::ServeReplica:avatar:([a-z]+).*"
    labelled = f'label_replace({named}, "deployment", "$1", "Component", "{pattern}")'
    return f"sum by (deployment) ({labelled})"


_STEPS = {
    "decode": "avatar_decode_ms",
    "listen (ASR)": "avatar_asr_ms",
    "think (LLM, first token)": "avatar_llm_first_token_ms",
    "speak (TTS, first audio)": "avatar_tts_first_audio_ms",
    "draw (first frames)": "avatar_avatar_first_frame_ms",
}

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "What people notice",
        (
            Panel(
                "First video fragment (TTFF)",
                "ms",
                "From the last byte of the question to the first picture and sound that can leave.",
                _quantiles("avatar_ttff_ms", 0.5, 0.95, 0.99),
            ),
            Panel(
                "First sound (TTFA)",
                "ms",
                "The same to the first sound.",
                _quantiles("avatar_ttfa_ms", 0.5, 0.95),
            ),
            Panel(
                "Turns by how they ended",
                "reqps",
                "`cancelled`: the client left. Others than `finished` are the interface's codes.",
                {"{{outcome}}": _rate("avatar_turns_total", "outcome")},
                is_stacked=True,
            ),
            Panel(
                "Late frames",
                "percentunit",
                "Share of frames that left more than 50 ms after their viewer needed them.",
                {"late": f"{_rate('avatar_late_frames_total')} / {_rate('avatar_frames_total')}"},
            ),
            Panel(
                "Reduced face",
                "percentunit",
                "Seconds of replies on each level of the ladder, per second of video sent.",
                {
                    "{{level}}": f"{_rate('avatar_ladder_seconds_total', 'level')} / "
                    f"on() group_left() ({_rate('avatar_frames_total')} / 25)"
                },
                is_stacked=True,
            ),
            Panel(
                "Ends of sound and picture apart",
                "ms",
                "At the worst in a turn, as sent; the gap that lips show is measured elsewhere.",
                _quantiles("avatar_av_skew_ms", 0.95),
            ),
        ),
    ),
    (
        "Where the time goes",
        (
            Panel(
                "Stages until the first fragment, median",
                "ms",
                "The same figures as on the page's timeline; what is missing to TTFF is waiting, "
                "hops and the voice activity detection.",
                {name: _quantile(metric, 0.5) for name, metric in _STEPS.items()},
                is_stacked=True,
            ),
            Panel(
                "Stages until the first fragment, slow end (p95)",
                "ms",
                "Whichever rises with TTFF is where to look.",
                {name: _quantile(metric, 0.95) for name, metric in _STEPS.items()},
            ),
            Panel(
                "Waiting to be let in",
                "ms",
                "Of the turns that were let in; part of TTFF, and of no stage.",
                _quantiles("avatar_queue_wait_ms", 0.5, 0.95),
            ),
            Panel(
                "What a second of speech costs",
                "s",
                "Busy seconds of an engine per second of speech. One replica keeps up with one "
                "speaker below 1; admission counts with these figures.",
                {
                    "{{stage}}": f"{_rate('avatar_stage_busy_seconds_total', 'stage')} / "
                    f"{_rate('avatar_stage_media_seconds_total', 'stage')}"
                },
            ),
            Panel(
                "Frames drawn together",
                "short",
                "The mean batch of the avatar replicas: it grows with the number of speakers.",
                {
                    "frames": f"{_rate('avatar_draw_batch_frames_sum')} / "
                    f"{_rate('avatar_draw_batch_frames_count')}"
                },
            ),
            Panel(
                "Time of a turn over length of its reply (RTF)",
                "short",
                "Below 1 is faster than life; the look-ahead holds long replies back.",
                _quantiles("avatar_rtf", 0.5, 0.95),
            ),
        ),
    ),
    (
        "How full it is",
        (
            Panel(
                "Turns",
                "short",
                "As the ingresses count them, and as admission does.",
                {
                    "running": _sum("avatar_turns_running"),
                    "waiting": _sum("avatar_turns_waiting"),
                    "running, says admission": _sum("avatar_admission_turns_running"),
                    "waiting, says admission": _sum("avatar_admission_turns_waiting"),
                },
            ),
            Panel(
                "Video made, and what could be made",
                "short",
                "Seconds per second. Made is what replicas drew; possible is admission's estimate.",
                {
                    "made": 'sum(rate(ray_avatar_stage_media_seconds_total{stage="avatar"}'
                    "[$__rate_interval]))",
                    "possible": _sum("avatar_admission_capacity"),
                },
            ),
            Panel(
                "Predicted wait of the last in line",
                "s",
                "What a client is told; beyond the profile's max_wait_s it is refused at once.",
                {"wait": "max(ray_avatar_admission_predicted_wait_s)"},
            ),
            Panel(
                "Who wanted to start",
                "reqps",
                "Let in at once or after waiting; refused; gave up.",
                {"{{decision}}": _rate("avatar_admissions_total", "decision")},
                is_stacked=True,
            ),
            Panel(
                "Lead of running turns",
                "ms",
                "How far drawing is ahead of the viewers. The lowest 5 % near 0: the next thing to "
                "happen is a reduced face.",
                _quantiles("avatar_lead_ms", 0.05, 0.5),
            ),
            Panel(
                "Video sent",
                "Bps",
                "Counted when a turn ends.",
                {"bytes": _rate("avatar_sent_bytes_total")},
            ),
        ),
    ),
    (
        "The language model",
        (
            Panel(
                "Engines of the chain",
                "reqps",
                "`answered`: it began. `late`, `failed`, `blocked`: the next one was asked. `cut`: "
                "lost after it had begun. `kept_out`: not asked, because it keeps failing.",
                {"{{engine}} {{outcome}}": _rate("avatar_llm_attempts_total", "engine, outcome")},
                is_stacked=True,
            ),
            Panel(
                "Engines that are out",
                "short",
                "1 while nobody waits for an engine: it did not load, or keeps failing.",
                {"{{engine}}": "max by (engine) (max_over_time(ray_avatar_llm_engine_out[1m]))"},
            ),
            Panel(
                "Tokens",
                "short",
                "Per second, of prompts and of replies. A prompt grows with the session up to the "
                "profile's n_history_tokens.",
                {"{{engine}} {{kind}}": _rate("avatar_llm_tokens_total", "engine, kind")},
                is_stacked=True,
            ),
            Panel(
                "Cost of the language model",
                "currencyUSD",
                "Per hour, by the prices in the profile.",
                {"{{engine}}": f"3600 * {_rate('avatar_llm_cost_usd_total', 'engine')}"},
                is_stacked=True,
            ),
        ),
    ),
    (
        "What went wrong",
        (
            Panel(
                "Calls made once more",
                "reqps",
                "`lost`: the replica died or raised. `silent`: nothing came in time. `hedge`: a "
                "second request beside one that may hang.",
                {"{{stage}} {{reason}}": _rate("avatar_repeats_total", "stage, reason")},
                is_stacked=True,
            ),
            Panel(
                "Left alone",
                "short",
                "Replicas that hang and get no calls, and whether admission is away.",
                {
                    "replicas avoided": _sum("avatar_replicas_avoided"),
                    "admission away": "max(ray_avatar_admission_away)",
                },
            ),
            Panel(
                "Calls that ended in an error",
                "reqps",
                "As Serve counts them; CancelledError is a client that left, or a hedge that lost.",
                {
                    "{{deployment}} {{exception_type}}": _rate(
                        "serve_deployment_error_counter_total", "deployment, exception_type"
                    )
                },
                is_stacked=True,
            ),
        ),
    ),
    (
        "Replicas and machines",
        (
            Panel(
                "Replicas",
                "short",
                "Healthy ones, and how many the autoscaler wants.",
                {
                    "{{deployment}}": _sum("serve_deployment_replica_healthy", "deployment"),
                    "{{deployment}} wanted": _sum(
                        "serve_autoscaling_target_replicas", "deployment"
                    ),
                },
            ),
            Panel(
                "Calls in progress on replicas",
                "short",
                "Near max_ongoing_requests times replicas, calls begin to queue at the caller.",
                {"{{deployment}}": _sum("serve_replica_processing_queries", "deployment")},
            ),
            Panel(
                "Calls waiting for a replica",
                "short",
                "At the callers: more than 0 for longer than a start means too few replicas.",
                {"{{deployment}}": _sum("serve_deployment_queued_queries", "deployment")},
            ),
            Panel(
                "Event loops, slow end (p99)",
                "ms",
                "How late a replica's loop gets to what is due: beyond 50 ms something blocks it.",
                {
                    "{{deployment}}": _quantile(
                        "serve_event_loop_scheduling_latency_ms",
                        0.99,
                        by="le, deployment",
                        labels='{component="replica"}',
                    )
                },
            ),
            Panel(
                "Processor time of replicas",
                "percent",
                "100 % is one core.",
                {"{{deployment}}": _of_replicas("component_cpu_percentage")},
                is_stacked=True,
            ),
            Panel(
                "Memory of replicas",
                "bytes",
                "What is their own and shared with nobody.",
                {"{{deployment}}": _of_replicas("component_uss_bytes")},
                is_stacked=True,
            ),
            Panel(
                "Machines",
                "percent",
                "Of each node.",
                {
                    "{{ip}} processors": "max by (ip) (ray_node_cpu_utilization)",
                    "{{ip}} memory": "100 * max by (ip) (ray_node_mem_used / ray_node_mem_total)",
                },
            ),
            Panel(
                "GPUs, busy",
                "percent",
                "Of each card. Logical GPUs have none of this.",
                {"{{ip}} {{GpuIndex}}": "sum by (ip, GpuIndex) (ray_node_gpus_utilization)"},
                needs_gpu=True,
            ),
            Panel(
                "GPUs, memory",
                "decmbytes",
                "Used of each card. A fraction of a GPU limits nothing: this is where it shows.",
                {"{{ip}} {{GpuIndex}}": "sum by (ip, GpuIndex) (ray_node_gram_used)"},
                needs_gpu=True,
            ),
        ),
    ),
)


def panels() -> list[Panel]:
    """All of them, in order."""
    return [panel for _, row in ROWS for panel in row]
