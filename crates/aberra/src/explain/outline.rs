//! The outline of a mask as an SVG path.

/// The outline of a mask, `[height, width]` row-major, as an SVG path in pixels: one closed subpath around each set of
/// pixels that share sides, and one around each hole. Empty for an empty mask.
pub fn outline(mask: &[bool], width: usize) -> String {
    let height = mask.len().checked_div(width).unwrap_or(0);
    let mut edges = Edges::around(mask, width, height);
    let mut path = String::new();
    for start in 0..edges.0.len() {
        while let Some(direction) = (0..4).find(|direction| edges.0[start] & (1 << direction) != 0) {
            edges.walk(start, direction, width + 1, &mut path);
        }
    }
    path
}

/// For each corner of a pixel, the sides that leave it with the mask on their right, as bits: right, down, left, up.
struct Edges(Vec<u8>);

impl Edges {
    fn around(mask: &[bool], width: usize, height: usize) -> Self {
        let mut edges = vec![0; (width + 1) * (height + 1)];
        let masked = |x: usize, y: usize| x < width && y < height && mask[y * width + x];
        for (x, y) in (0..width * height).map(|at| (at % width, at / width)).filter(|&(x, y)| masked(x, y)) {
            let corner = |x: usize, y: usize| y * (width + 1) + x;
            if y == 0 || !masked(x, y - 1) {
                edges[corner(x, y)] |= 1;
            }
            if !masked(x + 1, y) {
                edges[corner(x + 1, y)] |= 1 << 1;
            }
            if !masked(x, y + 1) {
                edges[corner(x + 1, y + 1)] |= 1 << 2;
            }
            if x == 0 || !masked(x - 1, y) {
                edges[corner(x, y + 1)] |= 1 << 3;
            }
        }
        Self(edges)
    }

    /// Follows the sides from `start` back to it, and takes them away.
    fn walk(&mut self, start: usize, first: usize, columns: usize, path: &mut String) {
        use std::fmt::Write;
        let steps = [1, columns as isize, -1, -(columns as isize)];
        let (mut at, mut direction, mut before) = (start, first, usize::MAX);
        // Writing to a string does not fail.
        let _ = write!(path, "M{} {}", start % columns, start / columns);
        loop {
            self.0[at] &= !(1 << direction);
            let next = at.wrapping_add_signed(steps[direction]);
            // Where two pixels touch at a corner, turning right keeps to the one pixel.
            let turned = [1, 0, 3].map(|turn| (direction + turn) % 4);
            let following = turned.into_iter().find(|&direction| self.0[next] & (1 << direction) != 0);
            let done = next == start;
            if done || following != Some(direction) {
                let _ = match direction {
                    _ if done && before != usize::MAX => write!(path, "Z"),
                    0 | 2 => write!(path, "H{}", next % columns),
                    _ => write!(path, "V{}", next / columns),
                };
            }
            let (Some(following), false) = (following, done) else { return };
            (before, at, direction) = (direction, next, following);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&str]) -> String {
        let mask: Vec<bool> = rows.iter().flat_map(|row| row.bytes().map(|byte| byte == b'#')).collect();
        outline(&mask, rows[0].len())
    }

    #[test]
    fn a_pixel_a_bar_and_nothing() {
        assert_eq!(of(&["...", ".#.", "..."]), "M1 1H2V2H1Z");
        assert_eq!(of(&["##", ".."]), "M0 0H2V1H0Z");
        assert_eq!(of(&["..", ".."]), "");
        assert_eq!(outline(&[], 0), "");
    }

    #[test]
    fn pixels_that_touch_at_a_corner_stay_apart() {
        assert_eq!(of(&["#.", ".#"]), "M0 0H1V1H0ZM1 1H2V2H1Z");
        assert_eq!(of(&[".#", "#."]), "M1 0H2V1H1ZM0 1H1V2H0Z");
    }

    #[test]
    fn a_hole_has_an_outline_of_its_own() {
        assert_eq!(of(&["###", "#.#", "###"]), "M0 0H3V3H0ZM1 1V2H2V1Z");
    }

    #[test]
    fn the_enclosed_area_is_the_masks() {
        let mut state = 9_u64;
        for _ in 0..50 {
            let mask: Vec<bool> = (0..12 * 9)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state >> 62 != 0
                })
                .collect();
            assert_eq!(area(&outline(&mask, 12)), mask.iter().filter(|&&masked| masked).count() as i64);
        }
    }

    /// By the shoelace formula; holes run the other way round and count negative.
    fn area(path: &str) -> i64 {
        path.split_terminator('Z')
            .map(|loop_| {
                let spaced: String = loop_
                    .chars()
                    .map(
                        |letter| {
                            if letter.is_ascii_digit() { letter.to_string() } else { format!(" {letter} ") }
                        },
                    )
                    .collect();
                let words: Vec<&str> = spaced.split_whitespace().collect();
                let (mut x, mut y): (i64, i64) = (words[1].parse().unwrap(), words[2].parse().unwrap());
                let (start, mut twice) = ((x, y), 0);
                for pair in words[3..].chunks(2) {
                    let to: i64 = pair[1].parse().unwrap();
                    let (next_x, next_y) = if pair[0] == "H" { (to, y) } else { (x, to) };
                    twice += x * next_y - next_x * y;
                    (x, y) = (next_x, next_y);
                }
                (twice + x * start.1 - start.0 * y) / 2
            })
            .sum()
    }
}
