//! A comparison as a page: one self-contained HTML file without scripts, which fetches nothing. Tables as in the text, and
//! the AUROC of each recipe drawn with its interval.

use std::fmt::Write;

use super::text::{ends, estimate, number, percent, signed, signed_ends};
use crate::wire::{ComparisonData, ComparisonRow, Interval};

const STYLE: &str = include_str!("page.css");

/// Units of the drawing: width, and height of a bar.
const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 18.0;

impl ComparisonData {
    /// The comparison as a self-contained page.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to memory does not fail.
        let _ = self.write_page(&mut page);
        page
    }

    fn write_page(&self, page: &mut String) -> std::fmt::Result {
        let name = escaped(&self.data_name);
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>Comparison on {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>Comparison on {name}</h1>\n<p>{}; test parts of {} normal images ({} groups) and {} anomalous ones ({} \
             groups). Aberra {}.</p>\n",
            escaped(&self.design()),
            self.normals.images,
            self.normals.groups,
            self.anomalies.images,
            self.anomalies.groups,
            escaped(&self.aberra_version),
        )?;
        for note in &self.notes {
            writeln!(page, "<p class=\"note\">{}</p>", escaped(note))?;
        }
        self.write_ranking(page)?;
        self.write_costs(page)?;
        self.write_scorers(page)?;
        self.write_cells(page)?;
        self.write_settings(page)?;
        page.push_str("</main>\n</body>\n</html>\n");
        Ok(())
    }

    fn write_ranking(&self, page: &mut String) -> std::fmt::Result {
        let first = self.rows.first().map_or("", |row| row.recipe.as_str());
        let (to_first, to_classic) =
            (format!("AUROC minus {first}"), format!("AUROC minus its own {}", self.classic_scorer));
        let low = self.lowest();
        heading(page, "How well the scores tell anomalous from normal")?;
        writeln!(
            page,
            "<p>Means over cells: every fold with every seed. The {} comes from {} resamples of groups, the same for all \
             recipes; the line of the drawing marks an AUROC of 0.5, that of random scores.</p>",
            escaped(&self.level()),
            self.bootstrap.draws
        )?;
        table(
            page,
            &[
                "Recipe",
                "AUROC",
                &format!("AUROC, {low:.2} to 1"),
                &to_first,
                &to_classic,
                "Average precision",
                "Pixel average precision",
                "True positives at 5 % false positives",
            ],
            self.rows.iter().map(|row| {
                let difference = row.auroc_difference.as_ref();
                [
                    escaped(&row.recipe),
                    two_lines(&estimate(&row.auroc), &ends(&row.auroc)),
                    row.auroc.value().map_or(String::new(), |interval| bar(interval, low)),
                    difference.map_or(String::new(), |one| two_lines(&signed(one), &signed_ends(one))),
                    two_lines(&signed(&row.auroc_minus_classic), &signed_ends(&row.auroc_minus_classic)),
                    two_lines(&estimate(&row.average_precision), &ends(&row.average_precision)),
                    number(&row.pixel_average_precision, 3),
                    percent(&row.tpr_at_5_fpr),
                ]
            }),
        )
    }

    /// Where the drawing of AUROCs begins.
    fn lowest(&self) -> f64 {
        let lows = self.rows.iter().filter_map(|row| row.auroc.value()).map(|interval| interval.low);
        // In whole tenths, with 0.5 always in sight.
        (lows.fold(0.5, f64::min) * 10.0 - 0.5).floor().max(0.0) / 10.0
    }

    fn write_costs(&self, page: &mut String) -> std::fmt::Result {
        heading(page, "False alarms and cost")?;
        let alarms = format!("False alarms ({} % promised)", self.promised_false_alarm_rate * 100.0);
        table(
            page,
            &["Recipe", &alarms, "Seconds to train", "Milliseconds an image", "Parameters"],
            self.rows.iter().map(|row| {
                [
                    escaped(&row.recipe),
                    percent(&row.false_alarm_rate),
                    number(&row.training_secs, 1),
                    number(&row.ms_per_image, 2),
                    row.parameters.value().map_or(String::new(), usize::to_string),
                ]
            }),
        )
    }

    fn write_scorers(&self, page: &mut String) -> std::fmt::Result {
        heading(page, "AUROC of each scorer")?;
        let names = self.scorer_names();
        let columns: Vec<&str> = ["Recipe"].into_iter().chain(names.iter().copied()).collect();
        let of = |row: &ComparisonRow, name: &str| {
            row.scorers.get(name).map_or(String::new(), |value| number(value, 3))
        };
        let row = |row: &ComparisonRow| -> Vec<String> {
            let values = names.iter().map(|name| of(row, name));
            [escaped(&row.recipe)].into_iter().chain(values).collect()
        };
        table(page, &columns, self.rows.iter().map(row))
    }

    fn write_cells(&self, page: &mut String) -> std::fmt::Result {
        heading(page, "Cells")?;
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        table(
            page,
            &["Recipe", "Fold", "Seed", "AUROC", "Average precision", "False alarms", "Seconds to train"],
            cells.map(|cell| {
                [
                    escaped(&cell.recipe),
                    format!("{} of {}", cell.fold.index + 1, cell.fold.of),
                    cell.seed.to_string(),
                    number(&cell.auroc, 3),
                    number(&cell.average_precision, 3),
                    percent(&cell.false_alarm_rate),
                    format!("{:.1}", cell.training_secs),
                ]
            }),
        )?;
        for failure in self.rows.iter().flat_map(|row| &row.failures) {
            writeln!(page, "<p class=\"note\">{}</p>", escaped(failure))?;
        }
        Ok(())
    }

    fn write_settings(&self, page: &mut String) -> std::fmt::Result {
        heading(page, "Settings")?;
        self.rows.iter().try_for_each(|row| {
            writeln!(
                page,
                "<details><summary>{}</summary><pre>{}</pre></details>",
                escaped(&row.recipe),
                escaped(&row.settings_toml)
            )
        })
    }
}

fn heading(page: &mut String, text: &str) -> std::fmt::Result {
    writeln!(page, "<h2>{}</h2>", escaped(text))
}

/// A table: columns are text, cells are markup.
fn table<R: AsRef<[String]>>(
    page: &mut String,
    columns: &[&str],
    rows: impl Iterator<Item = R>,
) -> std::fmt::Result {
    page.push_str("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>");
    for column in columns {
        write!(page, "<th scope=\"col\">{}</th>", escaped(column))?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (column, cell) in row.as_ref().iter().enumerate() {
            match column {
                0 => write!(page, "<th scope=\"row\">{cell}</th>")?,
                _ => write!(page, "<td>{cell}</td>")?,
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
    Ok(())
}

fn two_lines(first: &str, second: &str) -> String {
    format!("{}<br><small>{}</small>", escaped(first), escaped(second))
}

/// A point with its interval on a scale from `low` to 1.
fn bar(interval: &Interval, low: f64) -> String {
    let at = |value: f64| ((value - low) / (1.0 - low)).clamp(0.0, 1.0) * WIDTH;
    let (middle, half) = (HEIGHT / 2.0, HEIGHT / 4.0);
    let mark = at(0.5);
    let (begin, end, point) = (at(interval.low), at(interval.high), at(interval.value));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
         aria-label=\"{:.3}, {:.3} to {:.3}\"><path class=\"mark\" d=\"M{mark:.1} 0V{HEIGHT}\"/><path class=\"interval\" \
         d=\"M{begin:.1} {middle}H{end:.1}M{begin:.1} {:.1}V{:.1}M{end:.1} {:.1}V{:.1}\"/><circle cx=\"{point:.1}\" \
         cy=\"{middle}\" r=\"4\"/></svg>",
        interval.value,
        interval.low,
        interval.high,
        middle - half,
        middle + half,
        middle - half,
        middle + half,
    )
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::comparison::summary::made_up_table;

    const HOSTILE: &str = "<script>alert(1)<img src=x onerror=alert(2)>&\"'";

    #[test]
    fn no_name_is_markup_and_nothing_is_fetched() {
        let failures = BTreeMap::from([("plain", vec![HOSTILE.to_owned()])]);
        let mut table = made_up_table(&failures, HOSTILE);
        table.notes.push(HOSTILE.to_owned());
        table.rows[0].recipe = HOSTILE.to_owned();
        table.rows[0].settings_toml = HOSTILE.to_owned();
        table.rows[0].scorers.insert(HOSTILE.to_owned(), crate::evaluate::Metric::Known(0.5));
        table.rows[0].cells[0].recipe = HOSTILE.to_owned();
        let page = table.page();
        assert!(page.contains("&lt;script&gt;alert(1)&lt;img src=x onerror=alert(2)&gt;&amp;&quot;&#39;"));
        for markup in ["<script", "<img", "<link", "src=\"", "href=", "url(", "@import", " onerror=\""] {
            assert!(!page.contains(markup), "{markup}");
        }
    }

    #[test]
    fn the_drawing_has_a_point_within_an_interval_for_each_recipe() {
        let page = made_up_table(&BTreeMap::new(), "data").page();
        assert_eq!(page.matches("<svg").count(), 2);
        let interval = Interval { value: 0.75, low: 0.5, high: 1.0 };
        let drawn = bar(&interval, 0.5);
        assert!(drawn.contains("cx=\"130.0\"") && drawn.contains("M0.0 9H260.0"), "{drawn}");
    }
}
