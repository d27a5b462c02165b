//! Drawing line and bar charts.

use plotters::coord::Shift;
use plotters::prelude::*;

/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (900, 380);

/// Space above the highest value, as a factor.
const HEADROOM: f64 = 1.08;

/// Colours that remain distinct for colour-blind readers (M. Okabe and K. Ito,
/// "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {title:?}: {reason}")]
pub struct PlotError {
    title: String,
    reason: String,
}

/// Title and axis labels of a plot.
pub(super) struct Axes<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
}

/// A line through points.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the points are marked.
    pub(super) marked: bool,
}

/// A bar with its loss on top.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) lost: f64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawResult = Result<(), Box<dyn std::error::Error>>;

/// A line chart with a legend.
pub(super) fn lines(axes: &Axes<'_>, all: &[Line]) -> Result<String, PlotError> {
    svg(axes, |area| {
        let points = || all.iter().flat_map(|line| &line.points);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN_POSITIVE, f64::max);
        let (x_max, y_max) = (most(|point| point.0), most(|point| point.1) * HEADROOM);
        let mut chart = ChartBuilder::on(area)
            .caption(axes.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..x_max, 0.0..y_max)?;
        chart.configure_mesh().x_desc(axes.x).y_desc(axes.y).light_line_style(TRANSPARENT).draw()?;
        for (line, &colour) in all.iter().zip(COLOURS.iter().cycle()) {
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            if line.marked {
                chart.draw_series(line.points.iter().map(|&point| Circle::new(point, 5, colour.filled())))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .draw()?;
        Ok(())
    })
}

/// A bar chart with the loss on top of each bar.
pub(super) fn bars(axes: &Axes<'_>, all: &[Bar]) -> Result<String, PlotError> {
    svg(axes, |area| {
        let y_max = all.iter().map(|bar| bar.value + bar.lost).fold(f64::MIN_POSITIVE, f64::max) * HEADROOM;
        let mut chart = ChartBuilder::on(area)
            .caption(axes.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d((0..all.len().max(1)).into_segmented(), 0.0..y_max)?;
        let name = |position: &SegmentValue<usize>| match position {
            SegmentValue::CenterOf(nth) => all.get(*nth).map_or(String::new(), |bar| bar.name.clone()),
            SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
        };
        chart.configure_mesh().disable_x_mesh().x_label_formatter(&name).y_desc(axes.y).draw()?;
        let bar = |nth: usize, from: f64, to: f64, colour: RGBColor| {
            let mut bar =
                Rectangle::new([(SegmentValue::Exact(nth), from), (SegmentValue::Exact(nth + 1), to)], colour.filled());
            bar.set_margin(0, 0, 30, 30);
            bar
        };
        chart.draw_series(all.iter().enumerate().map(|(nth, one)| bar(nth, 0.0, one.value, COLOURS[0])))?;
        let lost = all.iter().enumerate().filter(|(_, one)| one.lost > 0.0);
        chart.draw_series(lost.map(|(nth, one)| bar(nth, one.value, one.value + one.lost, COLOURS[1])))?;
        Ok(())
    })
}

/// Draws a plot as an SVG element.
fn svg(axes: &Axes<'_>, draw: impl FnOnce(&Area<'_>) -> DrawResult) -> Result<String, PlotError> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let drawn = draw(&area).and_then(|()| Ok(area.present()?));
    drop(area);
    match drawn {
        Ok(()) => Ok(text),
        Err(error) => Err(PlotError { title: axes.title.to_owned(), reason: error.to_string() }),
    }
}
