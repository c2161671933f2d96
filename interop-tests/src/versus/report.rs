//! Results as tables, in a terminal and in Markdown.

use super::args::Section;
use super::line::{Line, Origin};
use super::table::{Table, cell};
use super::workload::Workload;

/// A figure in a table, with the factor that brings it into the unit of its heading.
struct Column {
    name: &'static str,
    heading: &'static str,
    scale: f64,
    /// Whether it is set against libzmq and plain sockets.
    is_compared: bool,
}

/// What a table of `workload` is about, and its columns; the first is the main one.
fn columns(workload: Workload) -> (&'static str, Vec<Column>) {
    let column = |name, heading, scale, is_compared| Column { name, heading, scale, is_compared };
    let rates = || {
        vec![
            column("msgs_per_s", "M/s", 1e-6, true),
            column("mb_per_s", "MB/s", 1.0, false),
            column("cpu_ns_per_msg", "cpu ns/msg", 1.0, true),
        ]
    };
    let times = || {
        vec![
            column("p50_us", "p50 µs", 1.0, true),
            column("p99_us", "p99 µs", 1.0, true),
            column("p999_us", "p99.9 µs", 1.0, false),
            column("cpu_us", "cpu µs", 1.0, true),
        ]
    };
    match workload {
        Workload::Thr => ("million messages/s, PUSH to PULL", rates()),
        Workload::Pub => ("million deliveries/s, PUB to SUBs, none lost", rates()),
        Workload::Topics => ("million deliveries/s, 1,000 topics, SUBs take 10 each, none lost", rates()),
        Workload::Fanin => ("million messages/s, PUSHes to one PULL", rates()),
        Workload::Route => ("million replies/s, DEALERs to one ROUTER", rates()),
        Workload::Threads => {
            ("million messages/s, pairs of PUSH and PULL, a thread for each socket", rates())
        }
        Workload::Lat => ("round trip in µs, and processor time of both sides", times()),
        Workload::Oneway => ("PUSH to PULL in µs, a message every 10 ms", times()),
        Workload::Stalled => (
            "PUB to SUBs in µs, a message every ms; then one SUB has stopped",
            vec![
                column("p50_us", "p50 µs", 1.0, true),
                column("p99_us", "p99 µs", 1.0, true),
                column("stalled_p50_us", "p50 of the others µs", 1.0, false),
                column("stalled_p99_us", "p99 of the others µs", 1.0, false),
                column("p99_change_percent", "change %", 1.0, false),
            ],
        ),
        Workload::Connections => (
            "idle peers of one ROUTER, all answered; memory and processor time of the server",
            vec![
                column("octets_per_peer", "octets/peer", 1.0, true),
                column("idle_cpu_percent", "idle cpu %", 1.0, false),
                column("ready_s", "all connected s", 1.0, false),
                column("back_s", "all back after a restart s", 1.0, false),
            ],
        ),
    }
}

/// The table of one section: a line for each peer of each case.
pub(crate) fn section(section: Section, lines: &[Line]) -> String {
    let (title, columns) = columns(section.workload);
    let has_ping_pong = lines.iter().any(|line| line.ping_pong.is_some());
    let has_fan = lines.iter().any(|line| line.fan > 1);
    let mut header = Vec::new();
    header.extend(has_ping_pong.then(|| "between".to_owned()));
    header.extend(has_fan.then(|| "fan".to_owned()));
    header.extend(["size".to_owned(), "peer".to_owned()]);
    for column in &columns {
        header.push(column.heading.to_owned());
        if column.is_compared {
            header.extend(["× libzmq".to_owned(), "× raw".to_owned()]);
        }
    }
    let mut table = Table::new(header);
    for line in lines {
        let mut cells = Vec::new();
        cells.extend(has_ping_pong.then(|| line.ping_pong.map_or_else(String::new, |it| it.to_string())));
        cells.extend(has_fan.then(|| line.fan.to_string()));
        cells.extend([line.size.to_string(), line.peer.to_string()]);
        for column in &columns {
            cells.push(cell(line.figure(column.name).map(|value| value * column.scale)));
            if column.is_compared {
                let ratios = [&line.of_libzmq, &line.of_raw];
                cells.extend(
                    ratios.map(|it| it.get(column.name).map_or_else(String::new, |&it| cell(Some(it)))),
                );
            }
        }
        table.push(cells);
    }
    let Section { workload, transport, pin } = section;
    format!("{workload} {transport} {pin}: {title}\n\n{}", table.render())
}

/// One line's main figure, for the progress of a run.
pub(crate) fn brief(line: &Line) -> String {
    let (_, columns) = columns(line.workload);
    let main = columns.first().map(|column| (line.figure(column.name), column));
    let (value, heading) = main.map_or((None, ""), |(value, it)| (value.map(|x| x * it.scale), it.heading));
    format!("{} {} {heading}", line.peer, cell(value))
}

/// Everything, with these plots in front: each a file for a light and one for a dark background, and its title.
pub(crate) fn document(origins: &[Origin], lines: &[Line], plots: &[([String; 2], String)]) -> String {
    let mut text = String::from("# peermq, libzmq and plain sockets compared\n\n");
    for Origin { machine, command } in origins {
        text += &format!("{machine}\n\n```sh\n{command}\n```\n\n");
    }
    text += "Medians. Ratios (×) are those of the same figure, repetition by repetition, and the median of them. \
             `split`: a processor for each side; `same`: one for both.\n";
    for ([light, dark], title) in plots {
        text += &format!(
            "\n<picture>\n<source media=\"(prefers-color-scheme: dark)\" srcset=\"{dark}\">\n\
             <img alt=\"{title}\" src=\"{light}\">\n</picture>\n"
        );
    }
    for (section_of, lines) in sections(lines) {
        let table = section(section_of, &lines);
        text += &format!("\n## {table}");
        let failed = lines.iter().filter(|line| line.runs.0 < line.runs.1);
        for Line { peer, size, fan, runs: (well, all), .. } in failed {
            text += &format!("\n{peer}, {size} B, {fan}: {} of {all} runs failed.\n", all - well);
        }
    }
    text
}

/// The lines of each table, in the order in which the tables come first.
fn sections(lines: &[Line]) -> Vec<(Section, Vec<Line>)> {
    let mut sections: Vec<(Section, Vec<Line>)> = Vec::new();
    for line in lines {
        let of = Section { workload: line.workload, transport: line.transport, pin: line.pin };
        match sections.iter_mut().find(|(it, _)| *it == of) {
            Some((_, lines)) => lines.push(line.clone()),
            None => sections.push((of, vec![line.clone()])),
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versus::line::tests::some_lines;

    #[test]
    fn the_table_shows_medians_and_paired_ratios() {
        let (of, lines) = sections(&some_lines()).remove(0);
        let text = section(of, &lines);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split('|').map(str::trim).skip(1).collect()).collect();
        assert_eq!(rows[4], ["64", "peermq", "50.0", "9.00", "", "3200", "20.0", "1.00", "", ""]);
        assert_eq!(rows[5], ["64", "libzmq", "5.50", "", "", "352", "20.0", "", "", ""]);
    }

    #[test]
    fn a_document_tells_where_it_comes_from_and_what_failed() {
        let origin = Origin { machine: "a machine".into(), command: "versus --quick".into() };
        let text = document(
            &[origin],
            &some_lines(),
            &[(["thr.svg".into(), "thr-dark.svg".into()], "Throughput".into())],
        );
        for part in [
            "a machine\n",
            "versus --quick\n",
            "alt=\"Throughput\" src=\"thr.svg\"",
            "thr tcp split",
            "1 of 3 runs",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
