//! Tables of the project's own pages.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// The rows of the first table of `page` whose header has all of `columns`: their cells in these columns.
pub(crate) fn rows<const N: usize>(
    tree: &Tree,
    page: &str,
    columns: [&str; N],
) -> Result<Vec<[String; N]>, String> {
    let text = tree.files.get(page).ok_or_else(|| format!("{page} is missing"))?;
    let mut lines = text.lines().map(cells);
    let places = lines.find_map(|header| {
        let places = columns.iter().map(|name| column(&header, name)).collect::<Option<Vec<_>>>();
        places.and_then(|places| <[usize; N]>::try_from(places).ok())
    });
    let places =
        places.ok_or_else(|| format!("{page}: expected a table with the columns {}", columns.join(", ")))?;
    let rows = lines.skip(1).take_while(|row| !row.is_empty());
    Ok(rows.map(|row| places.map(|at| row.get(at).cloned().unwrap_or_default())).collect())
}

/// The words in backquotes.
pub(crate) fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The cells of a table's row; none where the line is no row.
fn cells(line: &str) -> Vec<String> {
    let inside = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inside.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).unwrap_or_default()
}

fn column(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|cell| cell.trim_matches('*').eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_table_and_columns_are_read() {
        let text =
            "| a | b |\n|---|---|\n| 1 | 2 |\n\n| *C* | x | b |\n|---|---|---|\n| 3 | 4 | 5 |\n| 6 |\nend";
        let tree = Tree::of(&[("page.md", text)]);
        assert_eq!(rows(&tree, "page.md", ["b", "c"]).unwrap(), [["5", "3"], ["", "6"]]);
        assert!(rows(&tree, "page.md", ["d"]).is_err());
        assert!(rows(&tree, "other.md", ["b"]).is_err());
    }

    #[test]
    fn words_in_backquotes_are_found() {
        assert_eq!(quoted("`a`, b and `c`").into_iter().collect::<Vec<_>>(), ["a", "c"]);
        assert!(quoted("none").is_empty());
    }
}
