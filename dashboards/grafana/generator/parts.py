"""The parts of the dashboards: panels, queries, variables, links."""

from grafana_foundation_sdk.builders import (
    bargauge,
    common as common_builders,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common, dashboard as models

# The uid of the provisioned data source.
SOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
TAG = "hostler"
# The selection by the variables.
SCHEDULER = 'model=~"$model", scheduler=~"$scheduler", node=~"$node"'
# A scheduler's name is unique on its node only. A gateway uses NODE.SCHEDULER, unless both
# are in one process, and the node label of a gateway's series is the gateway.
BY_SCHEDULER, NAME = "node, scheduler", "{{node}}.{{scheduler}}"
ROUTED = 'scheduler=~"(.+[.])?$scheduler"'
ROUTER = f'model=~"$model", {ROUTED}'
MODEL = 'model=~"$model"'
NODE = 'node=~"$node"'
RATE = "$__rate_interval"
# Grafana has no unit for tokens; it appends the text of a custom one.
TOKENS_PER_SECOND, TOKENS_PER_JOULE = "suffix: tokens/s", "suffix: tokens/J"

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


def rate(metric: str, selection: str = "", by: str = "") -> str:
    """The sum of a counter's rate, by some labels."""
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate({metric}{{{selection}}}[{RATE}]))"


def quantile(share: float, metric: str, selection: str, by: str = "") -> str:
    """A percentile of a histogram, in its unit. Without samples it is NaN, which `>= 0`
    filters out."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{selection}}}[{RATE}]))) >= 0"


def prefix_hits(by: str = "") -> str:
    """The share of prompt tokens found in a KV cache. Both counters are updated when a request
    ends, so the share is never above 1."""
    read = rate("hostler_scheduler_request_prompt_tokens_sum", SCHEDULER, by)
    return f"{rate('hostler_scheduler_cached_tokens_total', SCHEDULER, by)} / ({read} > 0)"


def percentiles(metric: str, selection: str) -> list:
    return [
        query(quantile(share, metric, selection), f"p{round(share * 100)}")
        for share in (0.5, 0.95, 0.99)
    ]


def query(expression: str, legend: str, instant: bool = False, as_table: bool = False):
    target = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)
    if as_table:
        target = target.format("table")
    return target.instant() if instant else target.range()


def thresholds(*steps: tuple[float | None, str]):
    """Colours by lower bound; the first one applies below all bounds."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


def _common(panel, title: str, description: str, queries, unit: str, width: int, height: int):
    panel = panel.title(title).description(description).datasource(SOURCE).span(width).height(height)
    if unit:
        panel = panel.unit(unit)
    for index, target in enumerate(queries):
        panel = panel.with_target(target.ref_id(chr(ord("A") + index)))
    return panel


def chart(
    title: str,
    description: str,
    *queries,
    unit: str = "short",
    stacked: bool = False,
    limits: list[tuple[float | None, str]] | None = None,
    top: float | None = None,
    width: int = 12,
    height: int = 8,
):
    """Lines over time, with a legend of the last and the largest values."""
    legend = (
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = _common(timeseries.Panel(), title, description, queries, unit, width, height)
    panel = panel.legend(legend).tooltip(tooltip).min(0).line_width(1).fill_opacity(30 if stacked else 8)
    panel = panel.show_points(common.VisibilityMode.NEVER).span_nulls(False)
    if top is not None:
        panel = panel.max(top)
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if limits:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(thresholds(*limits)).thresholds_style(style)
    return panel


def number(title: str, description: str, target, unit: str = "short", limits=None, width: int = 4, height: int = 4):
    """One number, with its history in the background."""
    panel = _common(stat.Panel(), title, description, [target], unit, width, height)
    options = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
    panel = panel.reduce_options(options).graph_mode(common.BigValueGraphMode.AREA)
    return panel.thresholds(thresholds(*(limits or [(None, BLUE)])))


def bars(title: str, description: str, *queries, unit: str = "short", limits=None, width: int = 12, height: int = 8):
    """One bar for the current value of each series."""
    panel = _common(bargauge.Panel(), title, description, queries, unit, width, height)
    options = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
    panel = panel.reduce_options(options).orientation(common.VizOrientation.HORIZONTAL).min(0)
    return panel.thresholds(thresholds(*(limits or [(None, BLUE)])))


def timeline(title: str, description: str, target, states: list[tuple[str, str]], width: int = 24, height: int = 8):
    """A band of colours for each series. `states`: the name and colour of each value from 0
    on."""
    mapping = models.ValueMap(
        options={
            str(value): models.ValueMappingResult(text=text, color=color, index=value)
            for value, (text, color) in enumerate(states)
        }
    )
    panel = _common(statetimeline.Panel(), title, description, [target], "", width, height)
    legend = (
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )
    return panel.mappings([mapping]).legend(legend).merge_values(True).fill_opacity(80).row_height(0.8)


def listing(
    title: str, description: str, *queries, names: dict[str, str | None], unit: str = "short", width: int = 24, height: int = 8
):
    """A table with a row for each combination of labels and a column for each query. Grafana
    names the column of a single query `Value`, those of several `Value #A` and so on; `names`
    renames a column, or hides it if the new name is None."""
    panel = _common(table.Panel(), title, description, queries, unit, width, height)
    panel = panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    hidden = {"Time": True} | {column: True for column, name in names.items() if name is None}
    shown = {column: name for column, name in names.items() if name is not None}
    return panel.with_transformation(
        models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden, "renameByName": shown})
    )


def variable(name: str, label: str, source: str, description: str):
    """A selection of a label's values; the default is all of them."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(SOURCE)
        .query(source)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def board(uid: str, title: str, description: str, panels: list, claims: bool = True):
    """A dashboard with the common variables, and links to all the others."""
    links = (
        dashboard.DashboardLink("Hostler")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )
    built = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .refresh("10s")
        .time("now-30m", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(links)
        .with_variable(
            variable("model", "Model", "label_values(hostler_scheduler_state, model)", "The models to show.")
        )
        .with_variable(
            variable(
                "scheduler",
                "Scheduler",
                'label_values(hostler_scheduler_state{model=~"$model"}, scheduler)',
                "The schedulers to show.",
            )
        )
        .with_variable(
            variable("node", "Node", "label_values(hostler_build_info, node)", "The processes to show.")
        )
    )
    if claims:
        built = built.annotation(
            dashboard.AnnotationQuery()
            .name("Claims")
            .datasource(SOURCE)
            .enable(True)
            .icon_color("purple")
            .expr(f'max by ({BY_SCHEDULER}) (hostler_scheduler_state{{state="claimed", {SCHEDULER}}}) == 1')
        )
    for panel in panels:
        built = built.with_row(dashboard.Row(panel)) if isinstance(panel, str) else built.with_panel(panel)
    return built
