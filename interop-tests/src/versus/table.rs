//! A table of text that reads well in a terminal and is Markdown too.

/// A header and rows of cells; every row is expected to have as many cells as the header.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: Vec<String>) -> Self {
        Self { lines: vec![header] }
    }

    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.lines.push(cells);
    }

    /// All columns right-aligned and as wide as their widest cell, one line per row.
    pub(crate) fn render(&self) -> String {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        let rule: Vec<String> =
            widths.iter().map(|width| format!("{:->width$}:", "", width = width - 1)).collect();
        let mut text = String::new();
        for (number, cells) in self.lines.iter().enumerate() {
            text.push_str(&line(cells, &widths));
            if number == 0 {
                text.push_str(&line(&rule, &widths));
            }
        }
        text
    }

    /// At least 2, so that the rule under the header is a dash and a colon.
    fn width(&self, column: usize) -> usize {
        let cells = self.lines.iter().filter_map(|cells| cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(2)
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!(" {cell:>width$} |"));
    format!("|{}\n", padded.collect::<String>())
}

/// Three significant digits: `143`, `9.77`, `0.0032`.
pub(crate) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals =
        [100.0, 10.0, 1.0, 0.1, 0.01, 0.001].iter().take_while(|&&limit| value.abs() < limit).count();
    format!("{value:.decimals$}")
}

/// [`figure`] of a value that may be missing.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec!["size".into(), "x".into()]);
        table.push(vec!["8".into(), "12.25".into()]);
        assert_eq!(table.render(), "| size |     x |\n| ---: | ----: |\n|    8 | 12.25 |\n");
    }

    #[test]
    fn figures_have_three_significant_digits() {
        let figures = [143.2, 9.774, 12.34, 0.5432, 0.0032].map(figure);
        assert_eq!(figures, ["143", "9.77", "12.3", "0.543", "0.00320"]);
        assert_eq!(cell(None), "–");
        assert_eq!(figure(f64::NAN), "–");
    }
}
