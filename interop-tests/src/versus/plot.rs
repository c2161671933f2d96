//! Draws plots as SVG, each for a light and for a dark background.
//!
//! All axes are logarithmic but the one with names: sizes and rates span decades. What is drawn is said by
//! [`figures`](super::figures).

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::task::Peer;

/// Width of a panel, and what is around it.
const PANEL: (u32, u32) = (330, 290);
const MARGIN: u32 = 16;
const HEAD: u32 = 76;
const FOOT: u32 = 30;

/// Width of a letter in legends, about: the font is whichever the reader has.
const LETTER: i32 = 7;

/// Points of one peer.
pub(crate) type Series = Vec<(f64, f64)>;

/// A plot, of panels in rows.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Of the file.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) rows: Vec<Vec<Panel>>,
}

/// One coordinate system.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: BTreeMap<Peer, Series>,
}

/// What an axis is about, and where on it a value is.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    title: &'static str,
    scale: Scale,
}

#[derive(Clone, Debug)]
enum Scale {
    /// Powers of two, as numbers of octets or of things.
    Binary { label: fn(f64) -> String },
    /// Powers of ten, and where there are few of them twice and five times those.
    Decimal { label: fn(f64) -> String },
    /// Values are positions in this list.
    Names(Vec<String>),
}

/// The part of an axis that is shown, and its labels. Also those outside: they are not drawn.
struct Extent {
    shown: Range<f64>,
    labels: Vec<(f64, String)>,
}

impl Ranged for Extent {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation, reason = "a pixel of a picture")]
    fn map(&self, at: &f64, (from, to): (i32, i32)) -> i32 {
        let part = (at - self.shown.start) / (self.shown.end - self.shown.start);
        from + (f64::from(to - from) * part).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let labels = self.labels.iter().map(|&(at, _)| at);
        labels.filter(|at| (self.shown.start..=self.shown.end).contains(at)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.shown.clone()
    }
}

impl ValueFormatter<f64> for Extent {
    fn format_ext(&self, at: &f64) -> String {
        let label = self.labels.iter().find(|(place, _)| place == at);
        label.map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// Colours of one background.
struct Theme {
    suffix: &'static str,
    ground: RGBColor,
    text: RGBColor,
    faint_text: RGBColor,
    grid: RGBColor,
}

const THEMES: [Theme; 2] = [
    Theme {
        suffix: "",
        ground: RGBColor(255, 255, 255),
        text: RGBColor(31, 35, 40),
        faint_text: RGBColor(110, 119, 129),
        grid: RGBColor(225, 228, 232),
    },
    Theme {
        suffix: "-dark",
        ground: RGBColor(13, 17, 23),
        text: RGBColor(230, 237, 243),
        faint_text: RGBColor(139, 148, 158),
        grid: RGBColor(48, 54, 61),
    },
];

impl Axis {
    pub(crate) fn octets(title: &'static str) -> Self {
        Self { title, scale: Scale::Binary { label: octets } }
    }

    pub(crate) fn counts(title: &'static str) -> Self {
        Self { title, scale: Scale::Binary { label: count } }
    }

    pub(crate) fn times(title: &'static str) -> Self {
        Self { title, scale: Scale::Decimal { label: count } }
    }

    pub(crate) fn rates(title: &'static str) -> Self {
        Self { title, scale: Scale::Decimal { label: rate } }
    }

    pub(crate) fn named(title: &'static str, names: &[&str]) -> Self {
        Self { title, scale: Scale::Names(names.iter().map(|&name| name.to_owned()).collect()) }
    }

    /// Where on the axis, in its own unit.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Binary { .. } => value.log2(),
            Scale::Decimal { .. } => value.log10(),
            Scale::Names(_) => value,
        }
    }

    /// What of the axis is shown so that all of these values are seen, and where it has labels.
    fn extent(&self, values: impl Iterator<Item = f64>) -> Extent {
        let places = values.map(|value| self.place(value));
        let (low, high) = places.fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(it), high.max(it)));
        match &self.scale {
            Scale::Binary { label } => {
                let step = if high - low > 12.5 {
                    5
                } else if high - low > 6.5 {
                    3
                } else {
                    1
                };
                let first = (low / f64::from(step)).floor() * f64::from(step);
                let labels = steps(first, high.ceil(), step).map(|at| (at, label(at.exp2())));
                Extent { shown: low - 0.4..high + 0.4, labels: labels.collect() }
            }
            Scale::Decimal { label } => {
                let all: &[f64] = if high - low > 2.2 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let decades = steps(low.floor() - 1.0, high.ceil(), 1);
                let labels = decades.flat_map(|at| all.iter().map(move |part| part * 10_f64.powf(at)));
                let room = 0.06 * (high - low).max(0.5);
                let shown = low - room..high + room;
                // Something above and below the curves has a label.
                let labels: Vec<f64> = labels.collect();
                let below = labels.iter().copied().filter(|it| it.log10() <= low).fold(f64::NAN, f64::max);
                let above = labels.iter().copied().filter(|it| it.log10() >= high).fold(f64::NAN, f64::min);
                let shown = shown.start.min(below.log10())..shown.end.max(above.log10());
                Extent { shown, labels: labels.into_iter().map(|it| (it.log10(), label(it))).collect() }
            }
            Scale::Names(names) => {
                let labels = (0..).zip(names).map(|(at, name)| (f64::from(at), name.clone()));
                Extent { shown: -0.3..names.len() as f64 - 0.7, labels: labels.collect() }
            }
        }
    }
}

/// From `low` to `high` in whole steps.
fn steps(low: f64, high: f64, step: i32) -> impl Iterator<Item = f64> {
    let mut at = low;
    std::iter::from_fn(move || {
        let now = at;
        at += f64::from(step);
        (now <= high).then_some(now)
    })
}

/// `8 B`, `1 KiB`.
pub(crate) fn octets(value: f64) -> String {
    let (scaled, unit) = [(1_048_576.0, "MiB"), (1024.0, "KiB")]
        .into_iter()
        .find(|&(unit, _)| value >= unit)
        .map_or((value, "B"), |(unit, name)| (value / unit, name));
    format!("{} {unit}", count(scaled))
}

fn count(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

/// `20`, `1 k`, `10 M`.
fn rate(value: f64) -> String {
    let (scaled, unit) = [(1e9, " G"), (1e6, " M"), (1e3, " k")]
        .into_iter()
        .find(|&(unit, _)| value >= unit * 0.999)
        .map_or((value, ""), |(unit, name)| (value / unit, name));
    format!("{}{unit}", count(scaled))
}

/// Writes the figure for both backgrounds, with `caption` below, and returns the names of the files.
pub(crate) fn draw(figure: &Figure, caption: &str, directory: &Path) -> Result<[String; 2]> {
    let mut names = [String::new(), String::new()];
    for (theme, name) in THEMES.iter().zip(&mut names) {
        *name = format!("{}{}.svg", figure.name, theme.suffix);
        let path = directory.join(&*name);
        let svg = render(figure, caption, theme).map_err(|error| anyhow!("{name}: {error}"))?;
        fs::write(&path, svg).with_context(|| path.display().to_string())?;
    }
    Ok(names)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn render(figure: &Figure, caption: &str, theme: &Theme) -> Result<String> {
    let rows: Vec<&Vec<Panel>> = figure.rows.iter().filter(|row| !row.is_empty()).collect();
    let columns = rows.iter().map(|row| row.len()).max().context("nothing to draw")?;
    let width = 2 * MARGIN + PANEL.0 * u32::try_from(columns)?.max(2);
    let height = HEAD + PANEL.1 * u32::try_from(rows.len())? + FOOT;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        root.fill(&theme.ground)?;
        let peers = rows.iter().flat_map(|row| row.iter()).flat_map(|panel| panel.series.keys().copied());
        head(&root, &figure.title, peers, theme)?;
        let (_, rest) = root.split_vertically(HEAD);
        let (body, foot) = rest.split_vertically(height - HEAD - FOOT);
        let body = body.margin(0, 0, MARGIN, MARGIN);
        for (area, row) in body.split_evenly((rows.len(), 1)).iter().zip(&rows) {
            let ys = row.iter().flat_map(|panel| panel.series.values().flatten().map(|&(_, y)| y));
            let is_alike = row.windows(2).all(|pair| matches!(pair, [a, b] if a.y.title == b.y.title));
            let ys: Option<Vec<f64>> = is_alike.then(|| ys.collect());
            for (area, panel) in area.split_evenly((1, columns)).iter().zip(row.iter()) {
                draw_panel(area, panel, ys.as_deref(), theme)?;
            }
        }
        let style = text(11, &theme.faint_text, HPos::Left, VPos::Top);
        foot.draw(&Text::new(caption, (MARGIN as i32, 10), style))?;
        root.present()?;
    }
    Ok(svg)
}

/// The title and, below, whose curve is which.
fn head(root: &Area<'_>, title: &str, peers: impl Iterator<Item = Peer>, theme: &Theme) -> Result<()> {
    let left = MARGIN as i32;
    root.draw(&Text::new(title, (left, 14), text(20, &theme.text, HPos::Left, VPos::Top)))?;
    let mut shown: Vec<Peer> = peers.collect();
    shown.sort();
    shown.dedup();
    let mut at = left;
    for peer in shown {
        let middle = 56;
        root.draw(&PathElement::new(vec![(at, middle), (at + 26, middle)], stroke(peer, theme)))?;
        root.draw(&Circle::new((at + 13, middle), marker_size(peer), colour(peer, theme).filled()))?;
        let name = label(peer);
        root.draw(&Text::new(name, (at + 33, middle - 6), text(13, &theme.text, HPos::Left, VPos::Top)))?;
        at += 33 + LETTER * i32::try_from(name.len())? + 22;
    }
    Ok(())
}

/// `ys`: what the vertical axis has to show, if that is more than this panel's own.
fn draw_panel(area: &Area<'_>, panel: &Panel, ys: Option<&[f64]>, theme: &Theme) -> Result<()> {
    let points = || panel.series.values().flatten().copied();
    let x = panel.x.extent(points().map(|(x, _)| x));
    let y = match ys {
        Some(ys) => panel.y.extent(ys.iter().copied()),
        None => panel.y.extent(points().map(|(_, y)| y)),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, text(15, &theme.text, HPos::Left, VPos::Top))
        .margin_top(10)
        .margin_right(14)
        .x_label_area_size(42)
        .y_label_area_size(66)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(panel.x.title)
        .y_desc(panel.y.title)
        .x_label_style(text(12, &theme.text, HPos::Center, VPos::Top))
        .y_label_style(text(12, &theme.text, HPos::Right, VPos::Center))
        .axis_desc_style(text(12, &theme.faint_text, HPos::Center, VPos::Top))
        .axis_style(theme.grid)
        .bold_line_style(theme.grid)
        .light_line_style(TRANSPARENT)
        .draw()?;
    // The last one drawn is seen best.
    for (&peer, series) in panel.series.iter().rev() {
        let places: Vec<(f64, f64)> =
            series.iter().map(|&(x, y)| (panel.x.place(x), panel.y.place(y))).collect();
        if peer == Peer::Raw {
            chart.draw_series(DashedLineSeries::new(places.clone(), 5, 4, stroke(peer, theme)))?;
        } else {
            chart.draw_series(LineSeries::new(places.clone(), stroke(peer, theme)))?;
        }
        let marker = |place| Circle::new(place, marker_size(peer), colour(peer, theme).filled());
        chart.draw_series(places.into_iter().map(marker))?;
    }
    Ok(())
}

fn text(size: u32, colour: &RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(colour).pos(Pos::new(horizontal, vertical))
}

fn label(peer: Peer) -> &'static str {
    match peer {
        Peer::Peermq => "peermq",
        Peer::Libzmq => "libzmq",
        Peer::Raw => "plain sockets",
        Peer::Omq => "omq-tokio",
        Peer::Monocoque => "monocoque-rs",
        Peer::Rzmq => "rzmq",
        Peer::ZmqRs => "zeromq (zmq.rs)",
    }
}

/// Colours that people with any kind of sight tell apart, after Okabe and Ito.
fn colour(peer: Peer, theme: &Theme) -> RGBColor {
    match peer {
        Peer::Peermq if theme.suffix.is_empty() => RGBColor(0, 100, 190),
        Peer::Peermq => RGBColor(86, 180, 255),
        Peer::Libzmq => RGBColor(213, 94, 0),
        Peer::Raw => theme.faint_text,
        Peer::Omq => RGBColor(0, 158, 115),
        Peer::Monocoque => RGBColor(204, 121, 167),
        Peer::Rzmq => RGBColor(230, 159, 0),
        Peer::ZmqRs => RGBColor(136, 86, 200),
    }
}

fn stroke(peer: Peer, theme: &Theme) -> ShapeStyle {
    let width = if peer == Peer::Peermq { 3 } else { 2 };
    colour(peer, theme).stroke_width(width)
}

fn marker_size(peer: Peer) -> i32 {
    if peer == Peer::Peermq { 4 } else { 3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_round() {
        assert_eq!([8.0, 1024.0, 65_536.0, 1_048_576.0].map(octets), ["8 B", "1 KiB", "64 KiB", "1 MiB"]);
        assert_eq!([0.05, 20.0, 2000.0].map(count), ["0.05", "20", "2000"]);
        assert_eq!([20.0, 1000.0, 500_000.0, 2e7].map(rate), ["20", "1 k", "500 k", "20 M"]);
    }

    #[test]
    fn every_value_is_between_two_labels() {
        let extent = Axis::times("").extent([7.0, 83.0].into_iter());
        let labels = extent.key_points(10).into_iter().map(|at| extent.format_ext(&at));
        let labels: Vec<String> = labels.collect();
        assert_eq!(labels, ["5", "10", "20", "50", "100"]);
    }

    #[test]
    fn a_figure_is_drawn_for_both_backgrounds() {
        let directory = tempfile::tempdir().unwrap();
        let series = BTreeMap::from([(Peer::Peermq, vec![(8.0, 1e6), (64.0, 2e5)])]);
        let (x, y) = (Axis::octets("size"), Axis::rates("messages/s"));
        let panel = Panel { title: "tcp".to_owned(), x, y, series };
        let figure = Figure { name: "some", title: "Some".to_owned(), rows: vec![vec![panel]] };
        let names = draw(&figure, "a machine", directory.path()).unwrap();
        assert_eq!(names, ["some.svg", "some-dark.svg"]);
        for name in names {
            let svg = fs::read_to_string(directory.path().join(name)).unwrap();
            for part in ["<svg", "Some", "tcp", "messages/s", "8 B", "a machine", "peermq"] {
                assert!(svg.contains(part), "{part}");
            }
        }
    }
}
